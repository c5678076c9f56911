//! Where the secrets come from that open an encrypted store.
//!
//! Invariant: a secret is never a flag, where every user of the machine could read it, and never part of a message. A
//! flag, a variable or the settings say where it is; without any of them a person at a terminal is asked.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dbsnap::store::{Identity, KeyError, Passphrase, Secret};
use zeroize::Zeroizing;

use super::environment::Environment;
use super::error::Failure;
use super::settings::Keys;

/// Longer files and outputs are no passwords.
const LONGEST: usize = 64 << 10;
/// How often somebody may mistype.
const TRIES: usize = 3;

/// Flags that say what opens an encrypted store.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Global options")]
pub(crate) struct SecretArgs {
    /// A file with the password of the store, if it is encrypted [also: DBSNAP_PASSWORD_FILE, `password-file` in [keys]
    /// of dbsnap.toml; or the password itself in DBSNAP_PASSWORD]
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(crate) password_file: Option<PathBuf>,

    /// A command that prints the password [also: DBSNAP_PASSWORD_COMMAND, `password-command` in [keys] of
    /// dbsnap.toml]
    #[arg(long, global = true, value_name = "COMMAND", hide_short_help = true)]
    pub(crate) password_command: Option<String>,

    /// A file with age identities that open the store; may be repeated [also: DBSNAP_IDENTITY_FILE, `identity-file` in
    /// [keys] of dbsnap.toml]
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(crate) identity_file: Vec<PathBuf>,
}

/// Where a password is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PasswordSource {
    /// In the variable of this name.
    Variable(&'static str),
    /// In a file.
    File(PathBuf),
    /// In what a command prints.
    Command(String),
}

/// Where everything is that was given to open the store with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) password: Option<PasswordSource>,
    pub(crate) identity_files: Vec<PathBuf>,
}

impl Given {
    /// A flag outranks a variable, a variable outranks the settings. A password and identities go together.
    pub(crate) fn find(
        args: &SecretArgs,
        environment: &Environment,
        set: &Keys,
    ) -> Result<Self, Failure> {
        let variable = |name| environment.variable(name).map(ToOwned::to_owned);
        let in_variable = variable("DBSNAP_PASSWORD").map(|_| "DBSNAP_PASSWORD");
        let levels = [
            one_of(
                None,
                args.password_file.clone(),
                args.password_command.clone(),
            )?,
            one_of(
                in_variable,
                variable("DBSNAP_PASSWORD_FILE").map(PathBuf::from),
                variable("DBSNAP_PASSWORD_COMMAND"),
            )?,
            one_of(
                None,
                set.password_file.clone(),
                set.password_command.clone(),
            )?,
        ];
        let files = [
            args.identity_file.clone(),
            Vec::from_iter(variable("DBSNAP_IDENTITY_FILE").map(PathBuf::from)),
            Vec::from_iter(set.identity_file.clone()),
        ];
        let files = files.into_iter().find(|files| !files.is_empty());
        Ok(Self {
            password: levels.into_iter().flatten().next(),
            identity_files: files.unwrap_or_default(),
        })
    }

    /// Whether there is anything: then the store is meant to be encrypted.
    pub(crate) fn is_any(&self) -> bool {
        self.password.is_some() || !self.identity_files.is_empty()
    }

    /// The password, if one was given.
    pub(crate) fn password(
        &self,
        environment: &Environment,
    ) -> Result<Option<Passphrase>, Failure> {
        self.password
            .as_ref()
            .map(|source| source.read(environment))
            .transpose()
    }

    /// The identities that were given.
    pub(crate) fn identities(&self) -> Result<Vec<Identity>, Failure> {
        let mut identities = Vec::new();
        for path in &self.identity_files {
            let doing = || format!("read the identities in {}", path.display());
            let text =
                read_file(path).map_err(|error| Failure::doing(doing(), error).into_wrong_key())?;
            let read = Identity::parse_file(&text);
            identities
                .extend(read.map_err(|error| Failure::doing(doing(), error).into_wrong_key())?);
        }
        Ok(identities)
    }

    /// Everything that was given.
    pub(crate) fn secrets(&self, environment: &Environment) -> Result<Vec<Secret>, Failure> {
        let identities = self.identities()?.into_iter().map(Secret::Identity);
        let password = self.password(environment)?.map(Secret::Passphrase);
        Ok(identities.chain(password).collect())
    }
}

impl PasswordSource {
    /// The password.
    pub(crate) fn read(&self, environment: &Environment) -> Result<Passphrase, Failure> {
        match self {
            Self::Variable(name) => {
                let text = environment.variable(name).unwrap_or_default().to_owned();
                passphrase(
                    Zeroizing::new(text),
                    &format!("take the password from {name}"),
                )
            }
            Self::File(path) => {
                let doing = format!("read the password in {}", path.display());
                let text = read_file(path)
                    .map_err(|error| Failure::doing(&doing, error).into_wrong_key())?;
                passphrase(one_line(text), &doing)
            }
            Self::Command(command) => {
                let doing = "get the password from the password command";
                let text =
                    run(command).map_err(|error| Failure::doing(doing, error).into_wrong_key())?;
                passphrase(one_line(text), doing)
            }
        }
    }
}

/// Asks a person who can answer for a password that is there already.
pub(crate) fn ask(prompt: &str, mut read: impl Read) -> Result<Passphrase, Failure> {
    let doing = "ask for the password";
    let text = read(&format!("{prompt}: ")).map_err(|error| Failure::doing(doing, error))?;
    passphrase(Zeroizing::new(text), doing)
}

/// Asks for a new password, twice.
pub(crate) fn ask_new(what: &str, mut read: impl Read) -> Result<Passphrase, Failure> {
    let mut prompt = what.to_owned();
    for _ in 0..TRIES {
        let first = ask(&prompt, &mut read)?;
        let second = ask("The same again", &mut read)?;
        if first.is(&second) {
            return Ok(first);
        }
        prompt = format!("That was not the same. {what}");
    }
    Err(Failure::refused(
        "the password was not the same the second time",
    ))
}

/// Asks for the password until `open` takes it, a few times at most.
pub(crate) fn ask_until<T, E>(
    prompt: &str,
    mut read: impl Read,
    mut open: impl FnMut(Passphrase) -> Result<T, E>,
    is_wrong: impl Fn(&E) -> bool,
) -> Result<Result<T, E>, Failure> {
    let mut prompt = prompt.to_owned();
    for left in (0..TRIES).rev() {
        let opened = open(ask(&prompt, &mut read)?);
        match opened {
            Err(error) if left > 0 && is_wrong(&error) => {
                prompt = "That does not open it. Password".to_owned();
            }
            opened => return Ok(opened),
        }
    }
    unreachable!("the last try returns, whatever comes of it")
}

/// Shows a prompt and reads what is typed, which does not show.
pub(crate) trait Read: FnMut(&str) -> io::Result<String> {}

impl<F: FnMut(&str) -> io::Result<String>> Read for F {}

/// Asks at the terminal.
pub(crate) fn at_terminal(prompt: &str) -> io::Result<String> {
    rpassword::prompt_password(prompt)
}

fn one_of(
    variable: Option<&'static str>,
    file: Option<PathBuf>,
    command: Option<String>,
) -> Result<Option<PasswordSource>, Failure> {
    let variable = variable.map(PasswordSource::Variable);
    let file = file.map(PasswordSource::File);
    let command = command.map(PasswordSource::Command);
    let mut given = [variable, file, command].into_iter().flatten();
    match (given.next(), given.next()) {
        (_, Some(_)) => Err(Failure::usage(
            "the password of the store is given in two ways at once",
        )
        .hint("use one of --password-file and --password-command, or one of DBSNAP_PASSWORD, DBSNAP_PASSWORD_FILE and \
               DBSNAP_PASSWORD_COMMAND")),
        (given, None) => Ok(given),
    }
}

fn passphrase(text: Zeroizing<String>, doing: &str) -> Result<Passphrase, Failure> {
    if text.contains(['\n', '\r']) {
        return Err(Failure::doing(
            doing,
            "a password is one line, and this is more",
        ));
    }
    Passphrase::new(text).map_err(|error: KeyError| Failure::doing(doing, error))
}

/// Without what editors and `echo` put around a line.
fn one_line(text: Zeroizing<String>) -> Zeroizing<String> {
    let line = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let line = line.strip_suffix('\n').unwrap_or(line);
    let line = line.strip_suffix('\r').unwrap_or(line);
    Zeroizing::new(line.to_owned())
}

fn read_file(path: &Path) -> io::Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
    let file = fs::File::open(path)?;
    io::Read::read_to_end(&mut io::Read::take(file, LONGEST as u64 + 1), &mut bytes)?;
    text(&bytes)
}

/// Runs the command by the system's shell. It may ask at the terminal, and its own words are shown.
fn run(command: &str) -> io::Result<Zeroizing<String>> {
    let (shell, flag) = if cfg!(windows) {
        ("cmd", "/C")
    } else {
        ("sh", "-c")
    };
    let output = Command::new(shell)
        .args([flag, command])
        .stdin(Stdio::inherit())
        .stderr(Stdio::inherit())
        .output()?;
    let bytes = Zeroizing::new(output.stdout);
    if !output.status.success() {
        return Err(io::Error::other(format!("it ended with {}", output.status)));
    }
    text(&bytes)
}

fn text(bytes: &[u8]) -> io::Result<Zeroizing<String>> {
    let invalid = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    if bytes.len() > LONGEST {
        return Err(invalid("this is far too long for a secret"));
    }
    // The error of the standard library would not show what is there either, but say so here.
    let text = std::str::from_utf8(bytes).map_err(|_| invalid("this is not text in UTF-8"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests;
