//! Who and what is called otherwise: the flags `--map-user`, `--map-domain`, ..., and the file.

use std::path::PathBuf;

use dbsnap::manifest::{ManifestError, Tree};
use dbsnap::mapping::{Mapping, MappingError, Table};
use dbsnap::resource::{KindName, Principal};

use super::error::Failure;
use super::near::nearest;
use super::session::Session;
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

/// Warns of flags about people that nobody in the snapshot fits: most likely somebody mistyped.
pub(crate) fn warn_of_strangers(
    session: &Session,
    args: &MappingArgs,
    snapshot: &Tree,
) -> Result<(), Failure> {
    if args.map_user.is_empty() && args.map_domain.is_empty() {
        return Ok(());
    }
    let people = people(snapshot);
    let people =
        people.map_err(|error| Failure::doing("read the people of the snapshot", error))?;
    // A snapshot of something else tells of nobody.
    if people.is_empty() {
        return Ok(());
    }
    let domains = people
        .iter()
        .filter_map(|name| Some(name.rsplit_once('@')?.1));
    let mut domains: Vec<&str> = domains.collect();
    domains.sort_unstable();
    domains.dedup();
    let names: Vec<&str> = people.iter().map(String::as_str).collect();
    for (flag, table, pairs, near) in [
        ("--map-user", Table::Users, &args.map_user, &names),
        ("--map-domain", Table::Domains, &args.map_domain, &domains),
    ] {
        for pair in pairs.iter().filter(|pair| is_stranger(table, pair, &names)) {
            let old = pair.split_once('=').map_or(&**pair, |(old, _)| old);
            let near = nearest(old, near.iter().copied());
            let meant = match near.is_empty() {
                true => String::new(),
                false => format!("; did you mean {}?", near.join(" or ")),
            };
            session
                .out
                .warning(format!("{flag} {pair} fits nobody in the snapshot{meant}"));
        }
    }
    Ok(())
}

/// Whether a pair renames nobody, although it would rename somebody.
fn is_stranger(table: Table, pair: &str, people: &[&str]) -> bool {
    let mut mapping = Mapping::default();
    let is_pair = mapping.add_pair(table, pair).is_ok();
    let changes_nothing = pair.split_once('=').is_some_and(|(old, new)| old == new);
    let renames = |name: &&str| mapping.renamed(Principal::User, name) != *name;
    is_pair && !changes_nothing && !people.iter().any(renames)
}

/// Users, and everybody who has a home.
fn people(tree: &Tree) -> Result<Vec<String>, ManifestError> {
    const HOMES: &str = "/Users/";
    let mut people = Vec::new();
    for entry in tree.kind(&KindName::known("user")) {
        people.push(entry?.key.name);
    }
    for entry in tree.kind(&KindName::known("directory")) {
        let name = entry?.key.name;
        let home = name.strip_prefix(HOMES).filter(|name| !name.contains('/'));
        people.extend(home.map(ToOwned::to_owned));
    }
    people.retain(|name| !name.is_empty());
    people.sort_unstable();
    people.dedup();
    Ok(people)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_that_fits_somebody_is_none_of_a_stranger() {
        let people = ["Ana@example.com", "ben@other.com"];
        let is_stranger = |table, pair| is_stranger(table, pair, &people);
        assert!(!is_stranger(Table::Users, "ana@example.com=a@new.com"));
        assert!(is_stranger(Table::Users, "anna@example.com=a@new.com"));
        assert!(!is_stranger(Table::Domains, "other.com=new.com"));
        assert!(is_stranger(Table::Domains, "exmaple.com=new.com"));
        // It says that somebody keeps the name, whoever they are.
        assert!(!is_stranger(Table::Users, "eve@x.com=eve@x.com"));
    }
}
