//! What the address of a workspace says: where it is, which cloud it runs on, and sometimes its id.
//!
//! Invariant: a [`Host`] holds scheme and authority only; whatever else was pasted is dropped or turned into a hint.

use std::fmt;

use url::Url;

/// The address of a workspace, normalised to `scheme://authority`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    url: String,
    name: String,
    workspace_hint: Option<u64>,
    account_hint: Option<String>,
}

/// The cloud a workspace runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cloud {
    /// Amazon Web Services.
    Aws,
    /// Microsoft Azure.
    Azure,
    /// Google Cloud.
    Gcp,
}

/// Why an address is not the address of a workspace.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// It cannot be read as a URL at all.
    #[error("`{host}` is not the address of a workspace")]
    Unreadable {
        /// What was given.
        host: String,
        /// What is wrong with it.
        #[source]
        source: url::ParseError,
    },
    /// It is a URL, but of something else.
    #[error("`{host}` is not the address of a workspace: {why}")]
    Unusable {
        /// What was given, without any password in it.
        host: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl Host {
    /// Normalises what a person pasted: adds `https://`, keeps scheme and authority, and reads the workspace and
    /// account ids that browser addresses carry (`?o=`, `?w=`, `?workspace_id=`, `?a=`, `?account_id=`).
    pub fn parse(given: &str) -> Result<Host, HostError> {
        let given = given.trim();
        let with_scheme = if given.contains("://") {
            given.to_owned()
        } else {
            format!("https://{given}")
        };
        let url = Url::parse(&with_scheme).map_err(|source| HostError::Unreadable {
            host: without_credentials(given),
            source,
        })?;
        let unusable = |why| HostError::Unusable {
            host: without_credentials(given),
            why,
        };
        if !matches!(url.scheme(), "http" | "https") {
            return Err(unusable("it must begin with https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(unusable("it must not hold a user name or a password"));
        }
        let Some(name) = url.host_str() else {
            return Err(unusable("it names no host"));
        };
        let authority = match url.port() {
            Some(port) => format!("{name}:{port}"),
            None => name.to_owned(),
        };
        Ok(Host {
            url: format!("{}://{authority}", url.scheme()),
            name: name.to_owned(),
            workspace_hint: hint(&url, &["o", "w", "workspace_id"]).and_then(|id| id.parse().ok()),
            account_hint: hint(&url, &["a", "account_id"]),
        })
    }

    /// The address, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The host name alone.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The workspace id that the pasted address or the host name itself carries. Azure puts it into the name
    /// (`adb-<id>.<n>.azuredatabricks.net`).
    pub fn workspace_id(&self) -> Option<u64> {
        let in_name = || {
            self.name
                .strip_prefix("adb-")?
                .split('.')
                .next()?
                .parse()
                .ok()
        };
        self.workspace_hint.or_else(in_name)
    }

    /// The workspace id that the pasted address carries in its query: a sign that the host may serve several.
    pub fn workspace_hint(&self) -> Option<u64> {
        self.workspace_hint
    }

    /// The account id that the pasted address carries in its query.
    pub fn account_hint(&self) -> Option<&str> {
        self.account_hint.as_deref()
    }

    /// The cloud, from the suffix of the name; AWS where no suffix is known.
    pub fn cloud(&self) -> Cloud {
        // `.gcp.databricks.com` ends like nothing else and needs no rule of precedence, but keep the longest first.
        const AZURE: [&str; 3] = [
            ".azuredatabricks.net",
            ".databricks.azure.us",
            ".databricks.azure.cn",
        ];
        const GCP: [&str; 3] = [
            ".staging.gcp.databricks.com",
            ".dev.gcp.databricks.com",
            ".gcp.databricks.com",
        ];
        let ends_like =
            |suffixes: &[&str]| suffixes.iter().any(|suffix| self.name.ends_with(suffix));
        if ends_like(&AZURE) {
            Cloud::Azure
        } else if ends_like(&GCP) {
            Cloud::Gcp
        } else {
            Cloud::Aws
        }
    }

    /// Whether this is the console of an account, where no workspace API answers.
    pub fn is_account_console(&self) -> bool {
        self.name.starts_with("accounts.") || self.name.starts_with("accounts-dod.")
    }

    /// Whether the address is on this very machine, so that no proxy and no certificate is expected.
    pub fn is_loopback(&self) -> bool {
        let bare = self.name.trim_start_matches('[').trim_end_matches(']');
        bare == "localhost"
            || bare
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }

    /// Whether what is sent there can be read on the way.
    pub fn is_clear_text(&self) -> bool {
        self.url.starts_with("http://")
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

impl Cloud {
    /// The cloud of a name such as the `DATABRICKS_CLOUD` variable holds.
    pub fn from_name(name: &str) -> Option<Cloud> {
        match name.to_ascii_lowercase().as_str() {
            "aws" => Some(Cloud::Aws),
            "azure" => Some(Cloud::Azure),
            "gcp" => Some(Cloud::Gcp),
            _ => None,
        }
    }
}

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cloud::Aws => "aws",
            Cloud::Azure => "azure",
            Cloud::Gcp => "gcp",
        })
    }
}

fn hint(url: &Url, names: &[&str]) -> Option<String> {
    // Browser addresses put the query after the fragment as well: `https://h/#job/1?o=2`.
    let fragment = url
        .fragment()
        .and_then(|fragment| fragment.split_once('?'))
        .map_or("", |(_, query)| query);
    url.query_pairs()
        .chain(url::form_urlencoded::parse(fragment.as_bytes()))
        .find(|(key, value)| names.contains(&key.as_ref()) && !value.is_empty())
        .map(|(_, value)| value.into_owned())
}

/// What stands before an `@` may be a password.
fn without_credentials(given: &str) -> String {
    let Some(at) = given.rfind('@') else {
        return given.to_owned();
    };
    let scheme = given[..at].find("://").map_or(0, |scheme| scheme + 3);
    format!("{}***{}", &given[..scheme], &given[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(given: &str) -> Host {
        Host::parse(given).unwrap()
    }

    #[test]
    fn scheme_is_added_and_all_behind_the_authority_dropped() {
        for given in [
            "adb-1.2.azuredatabricks.net",
            " https://adb-1.2.azuredatabricks.net/ ",
            "https://ADB-1.2.azuredatabricks.net/browse/folders/3?o=1#x",
            "https://adb-1.2.azuredatabricks.net:443",
        ] {
            assert_eq!(
                parsed(given).url(),
                "https://adb-1.2.azuredatabricks.net",
                "{given}"
            );
        }
        assert_eq!(
            parsed("http://127.0.0.1:8080/").url(),
            "http://127.0.0.1:8080"
        );
        assert_eq!(parsed("http://[::1]:8080/").url(), "http://[::1]:8080");
    }

    #[test]
    fn workspace_id_comes_from_the_query_then_from_the_name() {
        assert_eq!(
            parsed("https://x.cloud.databricks.com/?o=77").workspace_id(),
            Some(77)
        );
        assert_eq!(
            parsed("https://x.cloud.databricks.com/#job/3?o=77").workspace_id(),
            Some(77)
        );
        assert_eq!(
            parsed("https://x.cloud.databricks.com/?w=77&a=acc").account_hint(),
            Some("acc")
        );
        assert_eq!(
            parsed("https://adb-5096.16.azuredatabricks.net/?o=77").workspace_id(),
            Some(77)
        );
        assert_eq!(
            parsed("https://adb-5096.16.azuredatabricks.net").workspace_id(),
            Some(5096)
        );
        assert_eq!(
            parsed("https://adb-x.16.azuredatabricks.net/?o=abc").workspace_id(),
            None
        );
    }

    #[test]
    fn cloud_follows_the_suffix() {
        for (name, cloud) in [
            ("x.cloud.databricks.com", Cloud::Aws),
            ("x.cloud.databricks.us", Cloud::Aws),
            ("adb-1.2.azuredatabricks.net", Cloud::Azure),
            ("adb-1.2.staging.azuredatabricks.net", Cloud::Azure),
            ("adb-1.2.databricks.azure.cn", Cloud::Azure),
            ("1.2.gcp.databricks.com", Cloud::Gcp),
            ("1.2.dev.gcp.databricks.com", Cloud::Gcp),
            ("127.0.0.1", Cloud::Aws),
        ] {
            assert_eq!(parsed(name).cloud(), cloud, "{name}");
        }
    }

    #[test]
    fn account_consoles_and_this_machine_are_recognised() {
        assert!(parsed("accounts.azuredatabricks.net").is_account_console());
        assert!(parsed("accounts-dod.cloud.databricks.us").is_account_console());
        assert!(!parsed("x.cloud.databricks.com").is_account_console());
        assert!(parsed("http://localhost:1").is_loopback());
        assert!(parsed("http://[::1]:1").is_loopback());
        assert!(!parsed("https://10.0.0.1").is_loopback());
    }

    #[test]
    fn what_is_no_address_is_refused_without_showing_a_password() {
        for given in [
            "",
            "ftp://x",
            "https://",
            "https://me:hunter2@x.cloud.databricks.com",
            "a b",
        ] {
            let error = Host::parse(given).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(given in "(https?://|adb-|[0-9]|@|:|/|\\?o=|#|\\.|\\[|é|[ -~]){0,12}") {
            if let Ok(host) = Host::parse(&given) {
                let again = Host::parse(host.url()).unwrap();
                proptest::prop_assert_eq!(again.url(), host.url());
                host.workspace_id();
            }
        }
    }

    #[test]
    fn fuzzed_hosts_are_refused_or_read_the_same_again() {
        let good = [
            "adb-1.2.azuredatabricks.net",
            "https://x.cloud.databricks.com/?o=12&w=3#job/1",
            "http://[::1]:8080/",
        ];
        let good = good.map(|text| text.as_bytes().to_vec());
        let fuzzed = crate::testing::fuzz("hosts", &good, |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let Ok(host) = Host::parse(&text) else {
                return false;
            };
            let shown = host.to_string();
            assert_eq!(Host::parse(&shown).unwrap().to_string(), shown);
            true
        });
        assert!(fuzzed.accepted > 0);
    }
}
