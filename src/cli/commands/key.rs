//! `dbsnap key`

use std::path::PathBuf;

use clap::Subcommand;
use dbsnap::store::{Identity, Label, Passphrase, Slot, SlotName, Store, StoreError, WorkFactor};
use serde_json::{Value, json};

use crate::cli::error::Failure;
use crate::cli::exit::Outcome;
use crate::cli::keys;
use crate::cli::secrets::{self, PasswordSource};
use crate::cli::session::Session;

/// Say who can open an encrypted store
///
/// An encrypted store has several keys, each of which opens it: passwords and age recipients. Whoever adds or removes
/// one must have one. A key that was removed opens the store no more; but who had it may have kept what it opened, and
/// only a new store shuts them out for good. The last key stays.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  dbsnap key list
  dbsnap key add --recipient ana=age1...
  dbsnap key add --recovery-key > recovery-key
  dbsnap key add --label night --new-password-file /etc/dbsnap/password
  dbsnap key remove 3f2a
  dbsnap key change-password

Exit codes:
  0   done
  1   failed, nothing was changed
  2   the command line or the settings were not understood
  10  there is no store
  12  the key is missing or wrong, or the store is not encrypted")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the keys
    List,
    /// Add a password, age recipients, or a recovery key
    Add(Add),
    /// Remove keys
    Remove(Remove),
    /// Put a new password in the place of the one that is given
    ChangePassword(NewPassword),
}

#[derive(clap::Args, Debug)]
struct Add {
    /// Let the owner of this age recipient open the store; may be repeated
    #[arg(long, value_name = "[LABEL=]age1...", conflicts_with_all = ["recovery_key", "new_password_file", "new_password_command"])]
    recipient: Vec<String>,

    /// Make a recovery key, which is shown once
    #[arg(long, conflicts_with_all = ["new_password_file", "new_password_command"])]
    recovery_key: bool,

    /// What to call it: lower-case letters, digits, dots, hyphens and underscores, which everybody can read
    #[arg(long)]
    label: Option<String>,

    #[command(flatten)]
    password: NewPassword,
}

#[derive(clap::Args, Debug)]
struct Remove {
    /// Labels, or beginnings of ids
    #[arg(value_name = "KEY", required = true)]
    keys: Vec<String>,
}

/// Where a new password is. Without any of these it is asked for.
#[derive(clap::Args, Debug)]
struct NewPassword {
    /// A file with the new password
    #[arg(long, value_name = "FILE", conflicts_with = "new_password_command")]
    new_password_file: Option<PathBuf>,

    /// A command that prints the new password
    #[arg(long, value_name = "COMMAND")]
    new_password_command: Option<String>,
}

pub(crate) fn run(session: &Session, args: &Args) -> Result<Outcome, Failure> {
    match &args.what {
        What::List => list(session),
        What::Add(args) => add(session, args),
        What::Remove(args) => remove(session, args),
        What::ChangePassword(args) => change(session, args),
    }
}

fn list(session: &Session) -> Result<Outcome, Failure> {
    let store = encrypted(session)?;
    let slots = slots(&store)?;
    if session.json() {
        let keys: Vec<Value> = slots.iter().map(keys::to_json).collect();
        session.out.json(&json!({ "keys": keys }));
    } else {
        session.out.text(keys::table(&slots));
    }
    Ok(Outcome::Done)
}

fn add(session: &Session, args: &Add) -> Result<Outcome, Failure> {
    let label = args.label.as_deref().map(str::parse::<Label>).transpose();
    let label = label.map_err(|error| Failure::doing("use the --label", error).into_usage())?;
    let mut new = Vec::new();
    for text in &args.recipient {
        let slot = keys::for_recipient(text, label.as_ref());
        new.push(slot.map_err(|error| Failure::doing("use a --recipient", error).into_usage())?);
    }
    let store = encrypted(session)?;
    let recovery = args.recovery_key.then(Identity::generate);
    new.extend(
        recovery
            .iter()
            .map(|key| keys::for_recovery(key, label.as_ref())),
    );
    if new.is_empty() {
        let password = args.password.read(session)?;
        new.push(keys::for_password(&password, label.as_ref()));
    }
    let mut added = Vec::new();
    for slot in &new {
        let name = store.add_slot(slot);
        added.push(name.map_err(|error| Failure::doing("add a key", error))?);
    }
    show(session, &store, "added", &added, recovery.as_ref())
}

fn remove(session: &Session, args: &Remove) -> Result<Outcome, Failure> {
    let store = encrypted(session)?;
    let slots = slots(&store)?;
    let chosen = args.keys.iter().map(|wanted| keys::choose(&slots, wanted));
    // All are found before the first one goes.
    let chosen: Vec<&Slot> = chosen.collect::<Result<_, _>>()?;
    let mut removed = Vec::new();
    for slot in chosen {
        let name = &slot.name;
        let doing = || format!("remove the key `{}` ({})", name.label, keys::short(slot));
        let done = store.remove_slot(name);
        done.map_err(|error| Failure::doing(doing(), error))?;
        session.out.note(format!(
            "removed the key `{}` ({})",
            name.label,
            keys::short(slot)
        ));
        removed.push(keys::to_json(slot));
    }
    if session.json() {
        session.out.json(&json!({ "removed": removed }));
    }
    Ok(Outcome::Done)
}

fn change(session: &Session, args: &NewPassword) -> Result<Outcome, Failure> {
    let (store, old) = session.open_with_password(&session.store_path()?)?;
    let new = args.read(session)?;
    let changed = store.change_passphrase(&old, &new, WorkFactor::default());
    let name = changed.map_err(|error| Failure::doing("change the password", error))?;
    show(session, &store, "changed the password:", &[name], None)
}

impl NewPassword {
    fn read(&self, session: &Session) -> Result<Passphrase, Failure> {
        let source = match (&self.new_password_file, &self.new_password_command) {
            (Some(path), _) => PasswordSource::File(path.clone()),
            (None, Some(command)) => PasswordSource::Command(command.clone()),
            (None, None) if session.environment.can_ask => {
                return secrets::ask_new("New password", secrets::at_terminal);
            }
            (None, None) => {
                return Err(
                    Failure::usage("there is nobody to ask for the new password")
                        .hint("give it with --new-password-file or --new-password-command"),
                );
            }
        };
        source.read(&session.environment)
    }
}

/// The store, if it has keys at all.
fn encrypted(session: &Session) -> Result<Store, Failure> {
    let store = session.store()?;
    if store.is_encrypted() {
        return Ok(store);
    }
    let bare = StoreError::NotEncrypted(store.path().to_owned());
    Err(Failure::doing("look at the keys of the store", bare))
}

fn slots(store: &Store) -> Result<Vec<Slot>, Failure> {
    let slots = store.slots();
    slots.map_err(|error| Failure::doing("list the keys of the store", error))
}

fn show(
    session: &Session,
    store: &Store,
    done: &str,
    names: &[SlotName],
    recovery: Option<&Identity>,
) -> Result<Outcome, Failure> {
    let slots = slots(store)?;
    let shown: Vec<&Slot> = slots
        .iter()
        .filter(|slot| names.contains(&slot.name))
        .collect();
    if session.json() {
        let mut document =
            json!({ "keys": shown.iter().map(|slot| keys::to_json(slot)).collect::<Vec<_>>() });
        if let Some(recovery) = recovery {
            document["recovery_key"] = recovery.reveal().as_str().into();
        }
        session.out.json(&document);
        if recovery.is_some() {
            keys::shown(&session.out)?;
        }
        return Ok(Outcome::Done);
    }
    for slot in shown {
        let name = &slot.name;
        session
            .out
            .note(format!("{done} `{}` ({})", name.label, keys::short(slot)));
    }
    if let Some(recovery) = recovery {
        keys::show_recovery(&session.out, recovery)?;
    }
    Ok(Outcome::Done)
}
