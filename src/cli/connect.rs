//! Which workspace, and how to speak to it.
//!
//! Invariant: no credential is ever a flag, where every user of the machine could read it.

use std::path::PathBuf;

use dbsnap::api::{Attribute, Client, ClientOptions, Config, Overrides, ProfileFile, Rates};

use super::error::Failure;
use super::session::Session;

/// Flags of commands that speak to a workspace.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Workspace")]
pub(crate) struct ConnectArgs {
    /// Address of the workspace, instead of the profile's [also: DATABRICKS_HOST]
    ///
    /// Credentials are never flags: they come from the profile, or from DATABRICKS_TOKEN and the other variables of
    /// the official tools.
    #[arg(long, value_name = "URL")]
    pub(crate) host: Option<String>,

    /// How to log in: pat, oauth-m2m, databricks-cli, azure-cli, ... [also: DATABRICKS_AUTH_TYPE]
    #[arg(long, value_name = "TYPE")]
    pub(crate) auth_type: Option<String>,

    /// The file of profiles [also: DATABRICKS_CONFIG_FILE; default: ~/.databrickscfg]
    #[arg(long, value_name = "FILE")]
    pub(crate) databrickscfg: Option<PathBuf>,

    /// Limit requests: FAMILY=RATE (`export=20/s`, `scim-get=100/min`, `total=10/s`), or `off`; may be repeated
    #[arg(long, value_name = "FAMILY=RATE|off")]
    pub(crate) rate_limit: Vec<String>,

    /// The most requests at once
    #[arg(long, value_name = "N", alias = "num-parallel")]
    pub(crate) max_concurrency: Option<usize>,

    /// Accept any TLS certificate: for test set-ups only
    #[arg(long)]
    pub(crate) no_ssl_verification: bool,
}

/// A client for the workspace that flags, environment and profiles name. Nothing is sent yet.
pub(crate) fn client(session: &Session, args: &ConnectArgs) -> Result<Client, Failure> {
    let config = config(session, args)?;
    for warning in config.warnings() {
        session.out.warning(warning);
    }
    for line in config.describe_sources() {
        session.out.detail(line);
    }
    let doing = format!("connect to {}", config.host());
    let options = options(session, args, config)?;
    Client::new(options).map_err(|error| Failure::doing(doing, error))
}

/// The address and the credentials that flags, environment and profiles name.
pub(crate) fn config(session: &Session, args: &ConnectArgs) -> Result<Config, Failure> {
    let doing = "find out which workspace to connect to";
    let environment = &session.environment;
    let mut explicit = Overrides::new();
    let path = args.databrickscfg.as_ref().map(|path| path.display());
    for (attribute, value) in [
        (Attribute::Profile, session.global.profile.clone()),
        (Attribute::Host, args.host.clone()),
        (Attribute::AuthType, args.auth_type.clone()),
        (Attribute::ConfigFile, path.map(|path| path.to_string())),
    ] {
        if let Some(value) = value {
            explicit = explicit.with(attribute, value);
        }
    }
    let home = environment.home();
    let path = Config::profile_file(&explicit, &environment.variables, home.as_deref());
    let text = match &path {
        Some(path) => match std::fs::read_to_string(path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                let reading = format!("read the profiles in {}", path.display());
                return Err(Failure::doing(reading, error));
            }
        },
        None => None,
    };
    let file = path.as_deref().map(|path| ProfileFile {
        path,
        text: text.as_deref(),
    });
    Config::resolve(&explicit, &environment.variables, file)
        .map_err(|error| Failure::doing(doing, error))
}

fn options(
    session: &Session,
    args: &ConnectArgs,
    config: Config,
) -> Result<ClientOptions, Failure> {
    let mut options = ClientOptions::new(config);
    options.skip_tls_verification |= args.no_ssl_verification;
    let settings = &session.section.backup;
    let set = settings.rate_limit.as_deref().unwrap_or_default();
    // A flag adds to the file, family by family.
    for text in set.iter().chain(&args.rate_limit) {
        let rates: Rates = text.parse().map_err(|error| {
            Failure::doing(format!("understand --rate-limit {text}"), error).into_usage()
        })?;
        options.rates = options.rates.changed_by(&rates);
    }
    if let Some(most) = args.max_concurrency.or(settings.max_concurrency) {
        if most == 0 {
            return Err(Failure::usage("--max-concurrency must be at least 1"));
        }
        options.max_concurrency = most;
    }
    Ok(options)
}
