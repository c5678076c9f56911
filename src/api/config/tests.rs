//! Tables of precedence.

use super::*;
use std::error::Error as _;

const FILE: &str = "
[DEFAULT]
host = https://default.cloud.databricks.com
token = default-token

[DEMO]
host = https://demo.cloud.databricks.com
token = demo-token

[M2M]
host = demo.gcp.databricks.com
client_id = id
client_secret = secret

[EMPTY]

[HALF]
host = https://half.cloud.databricks.com
client_id = id
";

fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn resolve(
    explicit: &[(Attribute, &str)],
    variables: &[(&str, &str)],
) -> Result<Config, ConfigError> {
    resolve_with(explicit, variables, Some(FILE))
}

fn resolve_with(
    explicit: &[(Attribute, &str)],
    variables: &[(&str, &str)],
    text: Option<&str>,
) -> Result<Config, ConfigError> {
    let overrides = explicit
        .iter()
        .fold(Overrides::new(), |all, (attribute, value)| {
            all.with(*attribute, *value)
        });
    let file = ProfileFile {
        path: Path::new("/home/ana/.databrickscfg"),
        text,
    };
    Config::resolve(&overrides, &environment(variables), Some(file))
}

fn host_and_token(config: &Config) -> (&str, &str) {
    (
        config.host().name(),
        config.get(Attribute::Token).unwrap_or("none"),
    )
}

#[test]
fn explicit_outranks_environment_outranks_profile_for_each_attribute() {
    let profile = (Attribute::Profile, "DEMO");
    let config = resolve(&[profile], &[]).unwrap();
    assert_eq!(
        host_and_token(&config),
        ("demo.cloud.databricks.com", "demo-token")
    );
    assert_eq!(config.profile(), Some("DEMO"));

    let config = resolve(
        &[profile],
        &[("DATABRICKS_TOKEN", "env-token"), ("DATABRICKS_HOST", "")],
    )
    .unwrap();
    assert_eq!(
        host_and_token(&config),
        ("demo.cloud.databricks.com", "env-token")
    );

    let config = resolve(
        &[profile, (Attribute::Token, "my-token")],
        &[("DATABRICKS_TOKEN", "env-token")],
    )
    .unwrap();
    assert_eq!(
        host_and_token(&config),
        ("demo.cloud.databricks.com", "my-token")
    );

    let config = resolve(&[], &[("DATABRICKS_CONFIG_PROFILE", "DEMO")]).unwrap();
    assert_eq!(config.profile(), Some("DEMO"));
    let config = resolve(&[profile], &[("DATABRICKS_CONFIG_PROFILE", "M2M")]).unwrap();
    assert_eq!(config.profile(), Some("DEMO"));
}

#[test]
fn the_file_is_read_only_if_nothing_else_says_who_we_are() {
    let config = resolve(&[], &[]).unwrap();
    assert_eq!(
        host_and_token(&config),
        ("default.cloud.databricks.com", "default-token")
    );

    let config = resolve(&[], &[("DATABRICKS_HOST", "x.cloud.databricks.com")]).unwrap();
    assert_eq!(host_and_token(&config), ("x.cloud.databricks.com", "none"));
    assert!(matches!(
        resolve(&[], &[("ARM_CLIENT_ID", "x")]),
        Err(ConfigError::NoHost)
    ));
    let broken = resolve_with(
        &[],
        &[("DATABRICKS_HOST", "x.cloud.databricks.com")],
        Some("[broken"),
    );
    assert!(broken.is_ok());
}

#[test]
fn the_fallback_profile_is_not_merged_into_others() {
    let text = "[DEFAULT]\ntoken = default-token\n[DEMO]\nhost = demo.cloud.databricks.com\n";
    let config = resolve_with(&[(Attribute::Profile, "DEMO")], &[], Some(text)).unwrap();
    assert_eq!(
        host_and_token(&config),
        ("demo.cloud.databricks.com", "none")
    );
}

#[test]
fn the_settings_section_names_the_profile_for_whoever_names_none() {
    let text = format!("{FILE}\n[__settings__]\ndefault_profile = DEMO\n");
    let config = resolve_with(&[], &[], Some(&text)).unwrap();
    assert_eq!(config.profile(), Some("DEMO"));
    let reserved = resolve_with(&[(Attribute::Profile, "__settings__")], &[], Some(&text));
    assert!(matches!(reserved, Err(ConfigError::UnknownProfile { .. })));
}

#[test]
fn profiles_that_are_missing_or_empty_are_errors_only_if_somebody_asked() {
    for name in ["NOBODY", "EMPTY", "demo"] {
        let error = resolve(&[(Attribute::Profile, name)], &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "/home/ana/.databrickscfg has no {name} profile configured; it has DEFAULT, DEMO, HALF, M2M"
            )
        );
    }
    let error = resolve_with(&[(Attribute::Profile, "DEMO")], &[], None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "profile DEMO was asked for, but /home/ana/.databrickscfg does not exist"
    );
    for text in [None, Some(""), Some("[OTHER]\nhost = x\n")] {
        let error = resolve_with(&[], &[], text).unwrap_err();
        assert!(
            matches!(error, ConfigError::NoHost) && error.hint().unwrap().contains("--profile"),
            "{error}"
        );
    }
}

#[test]
fn a_broken_file_is_named_with_the_line_and_without_its_text() {
    let error = resolve_with(&[], &[], Some("[DEFAULT]\ndapi0123456789\n")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 2 of /home/ana/.databrickscfg is neither a [section] nor a `key = value`"
    );
}

#[test]
fn credentials_decide_the_strategy() {
    let host = ("DATABRICKS_HOST", "https://adb-1.2.azuredatabricks.net");
    for (variables, expected) in [
        (&[("DATABRICKS_TOKEN", "t")][..], &[Strategy::Pat][..]),
        (
            &[("DATABRICKS_USERNAME", "u"), ("DATABRICKS_PASSWORD", "p")],
            &[Strategy::Basic],
        ),
        (
            &[
                ("DATABRICKS_CLIENT_ID", "u"),
                ("DATABRICKS_CLIENT_SECRET", "p"),
            ],
            &[Strategy::OauthM2m],
        ),
        (
            &[("ARM_CLIENT_ID", "u"), ("ARM_CLIENT_SECRET", "p")],
            &[Strategy::AzureClientSecret],
        ),
        (
            &[("ARM_CLIENT_ID", "u"), ("ARM_USE_MSI", "true")],
            &[Strategy::AzureMsi],
        ),
        (&[("ARM_TENANT_ID", "t")], &[Strategy::AzureCli]),
        (&[], &[Strategy::DatabricksCli, Strategy::AzureCli]),
        (
            &[("DATABRICKS_AUTH_TYPE", "azure-cli")],
            &[Strategy::AzureCli],
        ),
        (
            &[
                ("DATABRICKS_AUTH_TYPE", "pat"),
                ("DATABRICKS_TOKEN", "t"),
                ("ARM_CLIENT_ID", "c"),
            ],
            &[Strategy::Pat],
        ),
    ] {
        let mut all = vec![host];
        all.extend(variables);
        assert_eq!(
            resolve(&[], &all).unwrap().strategies(),
            expected,
            "{variables:?}"
        );
    }
    let config = resolve(&[], &[("DATABRICKS_HOST", "x.cloud.databricks.com")]).unwrap();
    assert_eq!(config.strategies(), [Strategy::DatabricksCli]);
}

#[test]
fn credentials_of_two_kinds_are_refused_with_their_origins() {
    let error = resolve(
        &[(Attribute::Profile, "M2M")],
        &[("DATABRICKS_TOKEN", "dapi0123")],
    )
    .unwrap_err()
    .to_string();
    assert_eq!(
        error,
        "more than one authorization method configured: pat (token from DATABRICKS_TOKEN) and oauth (client_id from \
         profile M2M of /home/ana/.databrickscfg)"
    );
}

#[test]
fn credentials_that_are_incomplete_or_of_no_use_are_refused() {
    let error = resolve(&[(Attribute::Profile, "HALF")], &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "oauth-m2m authentication needs client_secret as well"
    );
    assert_eq!(
        error.hint().unwrap(),
        "set client_secret in the profile or DATABRICKS_CLIENT_SECRET"
    );

    let host = ("DATABRICKS_HOST", "x.cloud.databricks.com");
    let error = resolve(&[], &[host, ("DATABRICKS_AUTH_TYPE", "pat")]).unwrap_err();
    assert_eq!(error.to_string(), "pat authentication needs token as well");
    let error = resolve(&[], &[host, ("DATABRICKS_AUTH_TYPE", "magic")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "auth_type magic (from DATABRICKS_AUTH_TYPE) is not supported"
    );
    let error = resolve(&[], &[host, ("GOOGLE_CREDENTIALS", "{}")]).unwrap_err();
    assert!(
        error.to_string().starts_with("google credentials")
            && error.hint().unwrap().contains("oauth-m2m")
    );
}

#[test]
fn a_host_or_number_that_is_none_names_its_origin() {
    let error = resolve(&[], &[("DATABRICKS_HOST", "ftp://x")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the host from DATABRICKS_HOST is not usable"
    );
    assert!(error.source().unwrap().to_string().contains("ftp://x"));
    let host = ("DATABRICKS_HOST", "x.cloud.databricks.com");
    let error = resolve(&[], &[host, ("DATABRICKS_RATE_LIMIT", "many")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "rate_limit (from DATABRICKS_RATE_LIMIT) is not a whole number"
    );
}

#[test]
fn sources_are_described_without_secrets() {
    let config = resolve(
        &[(Attribute::Profile, "DEMO")],
        &[("DATABRICKS_TOKEN", "env-token")],
    )
    .unwrap();
    assert_eq!(
        config.describe_sources(),
        [
            "host = https://demo.cloud.databricks.com (from profile DEMO of /home/ana/.databrickscfg)",
            "token = *** (from DATABRICKS_TOKEN)",
            "profile = DEMO (given explicitly)",
        ]
    );
    assert!(!format!("{config:?}").contains("env-token"));
}

#[test]
fn a_host_from_the_environment_that_overrules_a_profile_is_worth_a_warning() {
    let other = [("DATABRICKS_HOST", "other.cloud.databricks.com")];
    let config = resolve(&[(Attribute::Profile, "DEMO")], &other).unwrap();
    assert_eq!(
        config.warnings(),
        [
            "the host is https://other.cloud.databricks.com (from DATABRICKS_HOST), whatever profile DEMO says"
        ]
    );
    assert_eq!(
        resolve(&[(Attribute::Profile, "DEMO")], &[])
            .unwrap()
            .warnings(),
        [""; 0]
    );
    assert_eq!(
        Config::with_token("http://10.0.0.1", "t")
            .unwrap()
            .warnings()
            .len(),
        1
    );
    assert_eq!(
        Config::with_token("http://127.0.0.1:1", "t")
            .unwrap()
            .warnings()
            .len(),
        0
    );
    assert_eq!(
        Config::with_token("accounts.cloud.databricks.com", "t")
            .unwrap()
            .warnings()
            .len(),
        1
    );
}

#[test]
fn the_profile_file_is_named_explicitly_or_by_variable_or_in_the_home() {
    let home = Some(Path::new("/home/ana"));
    let none = Overrides::new();
    let named = environment(&[("DATABRICKS_CONFIG_FILE", "~/mine.cfg")]);
    assert_eq!(
        Config::profile_file(&none, &environment(&[]), home),
        Some(PathBuf::from("/home/ana/.databrickscfg"))
    );
    assert_eq!(
        Config::profile_file(&none, &named, home),
        Some(PathBuf::from("/home/ana/mine.cfg"))
    );
    let explicit = Overrides::new().with(Attribute::ConfigFile, "/x");
    assert_eq!(
        Config::profile_file(&explicit, &named, home),
        Some(PathBuf::from("/x"))
    );
    assert_eq!(Config::profile_file(&none, &environment(&[]), None), None);
}

#[test]
fn workspace_and_cloud_follow_settings_then_the_address() {
    let host = ("DATABRICKS_HOST", "https://adb-5.2.azuredatabricks.net");
    let config = resolve(&[], &[host]).unwrap();
    assert_eq!(
        (config.workspace_id(), config.cloud()),
        (Some(5), Cloud::Azure)
    );
    let config = resolve(
        &[],
        &[
            host,
            ("DATABRICKS_WORKSPACE_ID", "6"),
            ("DATABRICKS_CLOUD", "AWS"),
        ],
    )
    .unwrap();
    assert_eq!(
        (config.workspace_id(), config.cloud()),
        (Some(6), Cloud::Aws)
    );
}
