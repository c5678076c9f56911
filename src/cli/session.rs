//! What every command has at hand: the flags that all share, the settings, the environment and the printer.
//!
//! Invariant: made once per command, before it starts; a command decides nothing about where settings come from.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use dbsnap::report::Reporter;
use dbsnap::store::{Passphrase, Secret, Store, StoreError};

use super::environment::Environment;
use super::error::Failure;
use super::exit::Kind;
use super::interrupt::Interrupt;
use super::output::{Manner, Printer, ProgressManner};
use super::progress::Progress;
use super::secrets::{self, Given, SecretArgs};
use super::settings::{Section, Settings};

/// Flags that all commands share.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Where the store is [also: DBSNAP_STORE, `store` in dbsnap.toml; default: the platform's data directory]
    #[arg(long, global = true, value_name = "DIR", alias = "set-export-dir")]
    pub(crate) store: Option<PathBuf>,

    /// The profile of .databrickscfg, and the section of dbsnap.toml [also: DATABRICKS_CONFIG_PROFILE]
    #[arg(long, short = 'p', global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,

    /// The settings of dbsnap [also: DBSNAP_CONFIG_FILE; default: dbsnap/dbsnap.toml in the settings directory]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config_file: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) secrets: SecretArgs,

    /// Write data as one JSON document
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Say nothing but warnings and errors
    #[arg(long, short, global = true, alias = "silent")]
    pub(crate) quiet: bool,

    /// Say more; twice for even more
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Show no progress
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,

    /// The older tool's way to say `-vv`.
    #[arg(long, global = true, hide = true)]
    pub(crate) debug: bool,
}

/// What a command has at hand.
pub(crate) struct Session {
    pub(crate) global: GlobalArgs,
    pub(crate) environment: Environment,
    /// What `dbsnap.toml` says for the profile.
    pub(crate) section: Section,
    pub(crate) out: Arc<Printer>,
    pub(crate) interrupt: Interrupt,
}

impl GlobalArgs {
    /// How much is to be said, and how.
    pub(crate) fn manner(&self, environment: &Environment) -> Manner {
        let progress = if self.no_progress || self.quiet {
            ProgressManner::Hidden
        } else if environment.words_on_terminal {
            ProgressManner::Bars
        } else {
            ProgressManner::Lines
        };
        Manner {
            json: self.json,
            quiet: self.quiet,
            verbose: if self.debug { 2 } else { self.verbose },
            progress,
        }
    }
}

impl Session {
    /// Puts together what a command needs.
    pub(crate) fn new(
        global: GlobalArgs,
        environment: Environment,
        out: Arc<Printer>,
        interrupt: Interrupt,
    ) -> Result<Self, Failure> {
        let settings = Settings::load(global.config_file.as_deref(), &environment)?;
        let variable = environment.variable("DATABRICKS_CONFIG_PROFILE");
        let section = settings.section(global.profile.as_deref().or(variable));
        Ok(Self {
            global,
            environment,
            section,
            out,
            interrupt,
        })
    }

    /// The time.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.environment.now()
    }

    /// Whether data is one JSON document.
    pub(crate) fn json(&self) -> bool {
        self.out.manner.json
    }

    /// Shows what long operations report.
    pub(crate) fn progress(&self) -> Arc<dyn Reporter> {
        Arc::new(Progress::new(Arc::clone(&self.out)))
    }

    /// Where the store is.
    pub(crate) fn store_path(&self) -> Result<PathBuf, Failure> {
        let variable = || self.environment.variable("DBSNAP_STORE").map(PathBuf::from);
        let data = || Some(self.environment.data_directory()?.join("store"));
        let path = self.global.store.clone().or_else(variable);
        let path = path.or_else(|| self.section.store.clone()).or_else(data);
        path.ok_or_else(|| {
            Failure::usage("there is no home directory to find the store in")
                .hint("say where it is with --store or DBSNAP_STORE")
        })
    }

    /// Opens the store, which must be there.
    pub(crate) fn store(&self) -> Result<Store, Failure> {
        self.open(&self.store_path()?)
    }

    /// Opens the store to copy from. It may be a bare one though a key was given: then that is for the other store.
    pub(crate) fn store_to_copy(&self) -> Result<Store, Failure> {
        let path = self.store_path()?;
        match Store::open(&path) {
            Ok(bare) => Ok(bare),
            // It is opened once more, by whoever knows what to do about any error.
            Err(_) => self.open(&path),
        }
    }

    /// Opens the store at a path, with what was given or is typed now if it is encrypted.
    pub(crate) fn open(&self, path: &Path) -> Result<Store, Failure> {
        let failed = |error| Failure::doing(format!("open the store at {}", path.display()), error);
        let given = self.given_keys()?;
        match Store::open(path) {
            // Somebody may have put another store in the place of the encrypted one, to be filled with bare data.
            Ok(store) if given.is_any() => {
                let bare = StoreError::NotEncrypted(store.path().to_owned());
                Err(failed(bare).hint(
                    "a key was given, so it should be; if that is a mistake, leave the key out",
                ))
            }
            Err(StoreError::KeyNeeded(_)) if given.is_any() => {
                Store::open_with(path, &given.secrets(&self.environment)?).map_err(failed)
            }
            Err(StoreError::KeyNeeded(_)) if self.environment.can_ask => self
                .open_by_typing(path)?
                .map(|(store, _)| store)
                .map_err(failed),
            opened => opened.map_err(failed),
        }
    }

    /// Opens an encrypted store with a password, and says which that was.
    pub(crate) fn open_with_password(&self, path: &Path) -> Result<(Store, Passphrase), Failure> {
        let failed = |error| Failure::doing(format!("open the store at {}", path.display()), error);
        match self.given_keys()?.password(&self.environment)? {
            Some(password) => {
                let secret = Secret::Passphrase(password.clone());
                let store = Store::open_with(path, &[secret]).map_err(failed)?;
                Ok((store, password))
            }
            None if self.environment.can_ask => self.open_by_typing(path)?.map_err(failed),
            None => Err(failed(StoreError::KeyNeeded(path.to_owned()))),
        }
    }

    /// Where the keys of the store are.
    pub(crate) fn given_keys(&self) -> Result<Given, Failure> {
        Given::find(&self.global.secrets, &self.environment, &self.section.keys)
    }

    fn open_by_typing(
        &self,
        path: &Path,
    ) -> Result<Result<(Store, Passphrase), StoreError>, Failure> {
        let open = |password: Passphrase| {
            let secret = Secret::Passphrase(password.clone());
            Store::open_with(path, &[secret]).map(|store| (store, password))
        };
        let is_wrong = |error: &StoreError| matches!(error, StoreError::WrongKey { .. });
        let prompt = format!("Password of the store at {}", path.display());
        secrets::ask_until(&prompt, secrets::at_terminal, open, is_wrong)
    }

    /// Opens the store, or creates it.
    pub(crate) fn store_or_new(&self) -> Result<Store, Failure> {
        self.store_or_new_at(&self.store_path()?)
    }

    /// Opens the store at this place, or creates it.
    pub(crate) fn store_or_new_at(&self, path: &Path) -> Result<Store, Failure> {
        let missing = match self.open(path) {
            Err(failure) if failure.kind() == Kind::NoStore => failure,
            other => return other,
        };
        if self.given_keys()?.is_any() {
            return Err(missing.hint("an encrypted one is created with `dbsnap init --encrypt`"));
        }
        let store = match Store::create(path, self.now()) {
            // Somebody else was quicker.
            Err(StoreError::AlreadyExists(_)) => return self.open(path),
            created => created.map_err(|error| {
                Failure::doing(format!("create a store at {}", path.display()), error)
            })?,
        };
        let words = format!("created the store at {}", path.display());
        match self.out.manner.quiet {
            // Who runs this every night must know when it is not the store of the nights before.
            true => self.out.warning(words),
            false => self.out.note(words),
        }
        Ok(store)
    }
}
