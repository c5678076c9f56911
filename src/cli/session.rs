//! What every command has at hand: the flags that all share, the settings, the environment and the printer.
//!
//! Invariant: made once per command, before it starts; a command decides nothing about where settings come from.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use dbsnap::report::Reporter;
use dbsnap::store::{Store, StoreError};

use super::environment::Environment;
use super::error::Failure;
use super::interrupt::Interrupt;
use super::output::{Manner, Printer, ProgressManner};
use super::progress::Progress;
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
        let path = self.store_path()?;
        Store::open(&path)
            .map_err(|error| Failure::doing(format!("open the store at {}", path.display()), error))
    }

    /// Opens the store, or creates it.
    pub(crate) fn store_or_new(&self) -> Result<Store, Failure> {
        self.store_or_new_at(&self.store_path()?)
    }

    /// Opens the store at this place, or creates it.
    pub(crate) fn store_or_new_at(&self, path: &Path) -> Result<Store, Failure> {
        match Store::open(path) {
            Err(StoreError::NoStore(_)) => {}
            other => {
                return other.map_err(|error| {
                    Failure::doing(format!("open the store at {}", path.display()), error)
                });
            }
        }
        let created = match Store::create(path, self.now()) {
            // Somebody else was quicker.
            Err(StoreError::AlreadyExists(_)) => Store::open(path),
            created => created,
        };
        let store = created.map_err(|error| {
            Failure::doing(format!("create a store at {}", path.display()), error)
        })?;
        self.out
            .note(format!("created the store at {}", path.display()));
        Ok(store)
    }
}
