//! Which workspace, as whom: explicit settings over environment over profile file, as the official tools do it.
//!
//! Invariant: pure. The environment and the text of the profile file are arguments; nothing here looks for them.

mod attribute;
mod error;
mod profiles;
mod resolve;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

pub use attribute::Attribute;
pub use error::ConfigError;

use super::auth::Strategy;
use super::host::{Cloud, Host};
use super::secret::Secret;
use resolve::{add_profile, host_of, is_true, layer, strategies};

/// Everything needed to speak to one workspace.
#[derive(Clone, Debug)]
pub struct Config {
    host: Host,
    settings: Settings,
    profile: Option<String>,
    strategies: Vec<Strategy>,
}

type Settings = BTreeMap<Attribute, Setting>;

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    value: Secret,
    origin: Origin,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was given explicitly, by a flag or by code.
    Explicit,
    /// An environment variable.
    Environment(&'static str),
    /// A profile of the file.
    Profile {
        /// The section.
        name: String,
        /// The file.
        file: PathBuf,
    },
}

/// Settings given explicitly: they outrank everything.
#[derive(Clone, Debug, Default)]
pub struct Overrides(BTreeMap<Attribute, Secret>);

/// The profile file as the caller found it.
#[derive(Clone, Copy, Debug)]
pub struct ProfileFile<'a> {
    /// Where it is, or would be.
    pub path: &'a Path,
    /// What is in it; `None` if there is none.
    pub text: Option<&'a str>,
}

impl Overrides {
    /// None at all.
    pub fn new() -> Overrides {
        Overrides::default()
    }

    /// These and one more. An empty value is the same as none.
    pub fn with(mut self, attribute: Attribute, value: impl Into<String>) -> Overrides {
        self.0.insert(attribute, Secret::new(value));
        self
    }
}

impl Config {
    /// Where the profile file is to be looked for: an explicit path, else the variable, else the home directory.
    pub fn profile_file(
        explicit: &Overrides,
        environment: &BTreeMap<String, String>,
        home: Option<&Path>,
    ) -> Option<PathBuf> {
        let named = layer(Attribute::ConfigFile, explicit, environment);
        let Some(named) = named else {
            return Some(home?.join(".databrickscfg"));
        };
        let named = named.value.expose();
        match (named.strip_prefix("~/"), home) {
            (Some(rest), Some(home)) => Some(home.join(rest)),
            _ => Some(PathBuf::from(named)),
        }
    }

    /// Puts the settings together.
    pub fn resolve(
        explicit: &Overrides,
        environment: &BTreeMap<String, String>,
        file: Option<ProfileFile<'_>>,
    ) -> Result<Config, ConfigError> {
        let mut settings: Settings = Attribute::all()
            .filter_map(|attribute| Some((attribute, layer(attribute, explicit, environment)?)))
            .collect();
        let profile = add_profile(&mut settings, file)?;
        let host = host_of(&settings)?;
        let strategies = strategies(&settings, &host)?;
        for attribute in [
            Attribute::HttpTimeoutSeconds,
            Attribute::RetryTimeoutSeconds,
            Attribute::RateLimit,
        ] {
            if let Some(setting) = settings.get(&attribute) {
                setting
                    .value
                    .expose()
                    .parse::<i64>()
                    .map_err(|_| ConfigError::NotANumber {
                        attribute,
                        origin: setting.origin.clone(),
                    })?;
            }
        }
        Ok(Config {
            host,
            settings,
            profile,
            strategies,
        })
    }

    /// A workspace and a token, without looking anywhere else.
    pub fn with_token(host: &str, token: &str) -> Result<Config, ConfigError> {
        let explicit = Overrides::new()
            .with(Attribute::Host, host)
            .with(Attribute::Token, token);
        Config::resolve(&explicit, &BTreeMap::new(), None)
    }

    /// The address of the workspace.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The cloud: as set, else as the host name tells.
    pub fn cloud(&self) -> Cloud {
        self.get(Attribute::Cloud)
            .and_then(Cloud::from_name)
            .unwrap_or_else(|| self.host.cloud())
    }

    /// The workspace id, if it is known without asking: as set, else as the address tells.
    pub fn workspace_id(&self) -> Option<u64> {
        self.get(Attribute::WorkspaceId)
            .and_then(|id| id.parse().ok())
            .or_else(|| self.host.workspace_id())
    }

    /// The profile that was used.
    pub fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// The ways to authenticate, in the order in which they are tried.
    pub fn strategies(&self) -> &[Strategy] {
        &self.strategies
    }

    /// A setting's value. Whoever asks for a secret handles it as one.
    pub fn get(&self, attribute: Attribute) -> Option<&str> {
        self.settings
            .get(&attribute)
            .map(|setting| setting.value.expose())
    }

    /// Where a setting came from.
    pub fn origin(&self, attribute: Attribute) -> Option<&Origin> {
        self.settings.get(&attribute).map(|setting| &setting.origin)
    }

    pub(super) fn secret(&self, attribute: Attribute) -> Option<&Secret> {
        self.settings.get(&attribute).map(|setting| &setting.value)
    }

    /// A number that was checked when the settings were put together.
    pub(super) fn number(&self, attribute: Attribute) -> Option<i64> {
        self.get(attribute)?.parse().ok()
    }

    pub(super) fn is_true(&self, attribute: Attribute) -> bool {
        self.get(attribute).is_some_and(is_true)
    }

    /// One line per setting, with its origin and without secrets.
    pub fn describe_sources(&self) -> Vec<String> {
        let show = |(attribute, setting): (&Attribute, &Setting)| {
            let value = if attribute.is_secret() {
                "***"
            } else {
                setting.value.expose()
            };
            format!("{attribute} = {value} ({})", setting.origin)
        };
        self.settings.iter().map(show).collect()
    }

    /// What a careful person would like to know before going on.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.host.is_clear_text() && !self.host.is_loopback() {
            warnings.push(format!(
                "{} is not encrypted: tokens and data can be read on the way",
                self.host
            ));
        }
        if self.host.is_account_console() {
            warnings.push(format!(
                "{} is the console of an account, not a workspace",
                self.host
            ));
        }
        // `--profile NEW` with DATABRICKS_HOST of the old workspace in the environment: the precedence is what the
        // official tools do, and the one mistake nobody wants to make in a restore.
        if let (Some(profile), Some(origin @ Origin::Environment(_))) =
            (&self.profile, self.origin(Attribute::Host))
        {
            warnings.push(format!(
                "the host is {} ({origin}), whatever profile {profile} says",
                self.host
            ));
        }
        warnings
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Explicit => f.write_str("given explicitly"),
            Origin::Environment(variable) => write!(f, "from {variable}"),
            Origin::Profile { name, file } => {
                write!(f, "from profile {name} of {}", file.display())
            }
        }
    }
}

#[cfg(test)]
mod tests;
