//! Who and what is called otherwise: the flags `--map-user`, `--map-domain`, ..., and the file.

use std::path::PathBuf;

use dbsnap::mapping::{Mapping, MappingError, Table};

use super::error::Failure;
use super::settings;

/// Flags that say who and what is called otherwise in the other workspace.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Mapping")]
pub(crate) struct MappingArgs {
    /// A user is called otherwise; may be repeated
    #[arg(long, value_name = "OLD=NEW")]
    map_user: Vec<String>,

    /// The part of user names behind the @ is another; may be repeated
    #[arg(long, value_name = "OLD=NEW")]
    map_domain: Vec<String>,

    /// A group is called otherwise; may be repeated
    #[arg(long, value_name = "OLD=NEW")]
    map_group: Vec<String>,

    /// A service principal has another application id; may be repeated
    #[arg(long, value_name = "OLD=NEW")]
    map_service_principal: Vec<String>,

    /// A folder is elsewhere, with everything below it; may be repeated
    #[arg(long, value_name = "OLD=NEW")]
    map_path: Vec<String>,

    /// A file of such pairs: CSV lines `old,new` of users, @domains and /paths, or TOML with the tables users, domains,
    /// groups, service-principals, paths
    #[arg(long, value_name = "FILE")]
    map_file: Option<PathBuf>,
}

/// What is mapped, by flags or else by the settings.
pub(crate) fn mapping(
    args: &MappingArgs,
    settings: &settings::Restore,
) -> Result<Mapping, Failure> {
    let wrong = |error: MappingError| Failure::doing("read the mapping", error).into_usage();
    let given = |flag: &[String], set: &Option<Vec<String>>| match flag {
        [] => set.clone().unwrap_or_default(),
        _ => flag.to_vec(),
    };
    let mut mapping = Mapping::default();
    if let Some(file) = args.map_file.as_ref().or(settings.map_file.as_ref()) {
        mapping.add_file(file).map_err(wrong)?;
    }
    for (table, pairs) in [
        (Table::Users, given(&args.map_user, &settings.map_user)),
        (
            Table::Domains,
            given(&args.map_domain, &settings.map_domain),
        ),
        (Table::Groups, args.map_group.clone()),
        (Table::ServicePrincipals, args.map_service_principal.clone()),
        (Table::Paths, args.map_path.clone()),
    ] {
        for pair in pairs {
            mapping.add_pair(table, &pair).map_err(wrong)?;
        }
    }
    Ok(mapping)
}
