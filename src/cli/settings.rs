//! `dbsnap.toml`: what a user does not want to type every time.
//!
//! Invariant: a flag outranks a variable, a variable outranks the section of the profile, and that outranks the rest of
//! the file. A key nobody knows is an error: a misspelt `skip` must not back up less than somebody thinks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::environment::Environment;
use super::error::Failure;
use super::retention::Rules;

/// The name of the file in the settings directory.
pub(crate) const FILE: &str = "dbsnap.toml";
/// The variable that names another.
pub(crate) const VARIABLE: &str = "DBSNAP_CONFIG_FILE";

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Settings {
    // The fields of [`Section`], once more: serde cannot both flatten and refuse unknown keys.
    store: Option<PathBuf>,
    #[serde(default)]
    keys: Keys,
    #[serde(default)]
    backup: Backup,
    #[serde(default)]
    restore: Restore,
    #[serde(default)]
    retention: Rules,
    #[serde(default)]
    profiles: BTreeMap<String, Section>,
}

/// What can be set in general and per profile.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Section {
    /// Where the store is.
    pub(crate) store: Option<PathBuf>,
    /// What opens it, if it is encrypted.
    #[serde(default)]
    pub(crate) keys: Keys,
    /// What `backup` reads.
    #[serde(default)]
    pub(crate) backup: Backup,
    /// How `restore`, and `diff` between workspaces, translate.
    #[serde(default)]
    pub(crate) restore: Restore,
    /// What `forget` keeps.
    #[serde(default)]
    pub(crate) retention: Rules,
}

/// `[keys]`: the flags of the same names.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Keys {
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) password_command: Option<String>,
    pub(crate) identity_file: Option<PathBuf>,
}

/// `[backup]`: the flags of the same names.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Backup {
    pub(crate) only: Option<Vec<String>>,
    pub(crate) skip: Option<Vec<String>>,
    pub(crate) path: Option<Vec<String>>,
    pub(crate) exclude_path: Option<Vec<String>>,
    pub(crate) rate_limit: Option<Vec<String>>,
    pub(crate) max_concurrency: Option<usize>,
    pub(crate) warehouse: Option<String>,
    pub(crate) cluster_name: Option<String>,
    pub(crate) launch_cluster: Option<bool>,
    pub(crate) iam: Option<Vec<String>>,
    pub(crate) database: Option<Vec<String>>,
    pub(crate) runs_since: Option<String>,
    pub(crate) metric_history: Option<bool>,
    pub(crate) artifacts: Option<bool>,
    pub(crate) artifacts_max_file_size: Option<String>,
    pub(crate) secret_values: Option<bool>,
    pub(crate) dbfs: Option<Vec<String>>,
    pub(crate) dbfs_max_file_size: Option<String>,
}

/// `[restore]`: the flags of the same names.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Restore {
    pub(crate) map_user: Option<Vec<String>>,
    pub(crate) map_domain: Option<Vec<String>>,
    pub(crate) map_file: Option<PathBuf>,
    pub(crate) missing_users: Option<String>,
    pub(crate) on_conflict: Option<String>,
}

impl Settings {
    /// Reads the file: the one that is named, else the one in the settings directory, if there is one.
    pub(crate) fn load(named: Option<&Path>, environment: &Environment) -> Result<Self, Failure> {
        let named = named
            .map(Path::to_owned)
            .or_else(|| environment.variable(VARIABLE).map(PathBuf::from));
        let usual = || Some(environment.settings_directory()?.join(FILE));
        let Some(path) = named.clone().or_else(usual) else {
            return Ok(Self::default());
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text, &path),
            Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Self::default())
            }
            Err(error) => {
                let doing = format!("read the settings in {}", path.display());
                Err(Failure::doing(doing, error).into_usage())
            }
        }
    }

    /// What holds for a profile.
    pub(crate) fn section(&self, profile: Option<&str>) -> Section {
        let general = Section {
            store: self.store.clone(),
            keys: self.keys.clone(),
            backup: self.backup.clone(),
            restore: self.restore.clone(),
            retention: self.retention.clone(),
        };
        match profile.and_then(|profile| self.profiles.get(profile)) {
            Some(section) => section.clone().over(general),
            None => general,
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self, Failure> {
        let doing = || format!("understand the settings in {}", path.display());
        let mut settings: Self =
            toml::from_str(text).map_err(|error| Failure::doing(doing(), error).into_usage())?;
        // Relative paths count from the file, whatever directory the command is started in.
        let base = path.parent().unwrap_or(Path::new(""));
        let mut paths = vec![&mut settings.store, &mut settings.restore.map_file];
        paths.extend(settings.keys.paths());
        for section in settings.profiles.values_mut() {
            paths.extend([&mut section.store, &mut section.restore.map_file]);
            paths.extend(section.keys.paths());
        }
        for relative in paths.into_iter().flatten() {
            *relative = base.join(&*relative);
        }
        Ok(settings)
    }
}

impl Keys {
    fn paths(&mut self) -> [&mut Option<PathBuf>; 2] {
        [&mut self.password_file, &mut self.identity_file]
    }

    /// There is one password: whoever says where it is says so for both ways.
    fn over(self, below: Self) -> Self {
        let other = self.password_file.is_none() && self.password_command.is_none();
        Self {
            identity_file: self.identity_file.or(below.identity_file),
            password_file: self.password_file.or(below.password_file.filter(|_| other)),
            password_command: self
                .password_command
                .or(below.password_command.filter(|_| other)),
        }
    }
}

impl Section {
    fn over(self, below: Self) -> Self {
        // A profile that names one of them needs the other no more.
        let is_named = self.backup.warehouse.is_some()
            || self.backup.cluster_name.is_some()
            || self.backup.launch_cluster.is_some();
        Self {
            store: self.store.or(below.store),
            keys: self.keys.over(below.keys),
            backup: Backup {
                only: self.backup.only.or(below.backup.only),
                skip: self.backup.skip.or(below.backup.skip),
                path: self.backup.path.or(below.backup.path),
                exclude_path: self.backup.exclude_path.or(below.backup.exclude_path),
                rate_limit: self.backup.rate_limit.or(below.backup.rate_limit),
                max_concurrency: self.backup.max_concurrency.or(below.backup.max_concurrency),
                warehouse: self
                    .backup
                    .warehouse
                    .or(below.backup.warehouse.filter(|_| !is_named)),
                cluster_name: self
                    .backup
                    .cluster_name
                    .or(below.backup.cluster_name.filter(|_| !is_named)),
                launch_cluster: self
                    .backup
                    .launch_cluster
                    .or(below.backup.launch_cluster.filter(|_| !is_named)),
                iam: self.backup.iam.or(below.backup.iam),
                database: self.backup.database.or(below.backup.database),
                runs_since: self.backup.runs_since.or(below.backup.runs_since),
                metric_history: self.backup.metric_history.or(below.backup.metric_history),
                artifacts: self.backup.artifacts.or(below.backup.artifacts),
                artifacts_max_file_size: self
                    .backup
                    .artifacts_max_file_size
                    .or(below.backup.artifacts_max_file_size),
                secret_values: self.backup.secret_values.or(below.backup.secret_values),
                dbfs: self.backup.dbfs.or(below.backup.dbfs),
                dbfs_max_file_size: self
                    .backup
                    .dbfs_max_file_size
                    .or(below.backup.dbfs_max_file_size),
            },
            restore: Restore {
                map_user: self.restore.map_user.or(below.restore.map_user),
                map_domain: self.restore.map_domain.or(below.restore.map_domain),
                map_file: self.restore.map_file.or(below.restore.map_file),
                missing_users: self.restore.missing_users.or(below.restore.missing_users),
                on_conflict: self.restore.on_conflict.or(below.restore.on_conflict),
            },
            retention: self.retention.over(below.retention),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, Failure> {
        Settings::parse(text, Path::new("/etc/dbsnap/dbsnap.toml"))
    }

    #[test]
    fn the_section_of_a_profile_outranks_the_rest() {
        let text = r#"
            store = "store"
            [keys]
            password-file = "password"
            identity-file = "identity"
            [backup]
            skip = ["file"]
            [retention]
            keep-last = 7
            keep-daily = 30
            keep-id = ["3f2a"]
            [restore]
            map-domain = ["a.com=b.com"]
            [profiles.DEMO]
            store = "/demo"
            [profiles.DEMO.keys]
            password-command = "pass"
            [profiles.DEMO.backup]
            skip = []
            [profiles.DEMO.retention]
            keep-last = 2
            keep-within = "1y6m"
            keep-id = ["77"]
        "#;
        let settings = parse(text).unwrap();
        let demo = settings.section(Some("DEMO"));
        assert_eq!(demo.store, Some("/demo".into()));
        assert_eq!(demo.backup.skip, Some(vec![]));
        assert_eq!(
            demo.restore.map_domain,
            Some(vec!["a.com=b.com".to_owned()])
        );
        let rules = demo.retention;
        assert_eq!((rules.keep_last, rules.keep_daily), (Some(2), Some(30)));
        assert_eq!(rules.keep_within.unwrap().to_string(), "1y6m");
        assert_eq!(rules.keep_id, ["77", "3f2a"], "a hold is never taken away");
        assert_eq!(demo.keys.password_command, Some("pass".into()));
        assert_eq!(demo.keys.password_file, None);
        assert_eq!(demo.keys.identity_file, Some("/etc/dbsnap/identity".into()));
        let other = settings.section(Some("OTHER"));
        assert_eq!(
            other.keys.password_file,
            Some("/etc/dbsnap/password".into())
        );
        assert_eq!(other.store, Some("/etc/dbsnap/store".into()));
        assert_eq!(other.backup.skip, Some(vec!["file".to_owned()]));
    }

    #[test]
    fn a_time_span_that_is_none_is_an_error() {
        let failure = parse("[retention]\nkeep-within = '30 days'").unwrap_err();
        let text = failure.render();
        assert!(text.contains("`30 days` is no time span"), "{text}");
    }

    #[test]
    fn a_misspelt_key_is_an_error_that_points_at_it() {
        for text in [
            "stroe = '/x'",
            "[backup]\nskpi = []",
            "[profiles.A.backup]\nskpi = []",
            "[profile.A]",
            "[retention]\nkeep-weakly = 3",
        ] {
            let failure = parse(text).unwrap_err();
            assert!(failure.render().contains("unknown field"), "{text}");
        }
    }

    #[test]
    fn fuzzed_settings_are_refused_with_the_name_of_the_file_or_understood() {
        let good = b"store = 'store'\n[keys]\npassword-file = \"p\"\n[backup]\nskip = [\"file\"]\nmax-concurrency = 4\n\
            [retention]\nkeep-last = 7\nkeep-within = \"1y6m\"\n[restore]\nmissing-users = \"archive\"\n\
            [profiles.DEMO.keys]\nidentity-file = \"i\"\n[profiles.DEMO.retention]\nkeep-id = [\"77\"]\n";
        let fuzzed = crate::testing::fuzz("settings", &[good.to_vec()], |bytes| {
            match parse(&String::from_utf8_lossy(bytes)) {
                Ok(settings) => {
                    let section = settings.section(Some("DEMO"));
                    assert!(section.store.is_none_or(|store| store.is_absolute()));
                    true
                }
                Err(failure) => {
                    assert!(format!("{failure:?}").contains("/etc/dbsnap/dbsnap.toml"));
                    false
                }
            }
        });
        assert!(fuzzed.accepted > 0);
    }
}
