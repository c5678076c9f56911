//! Which objects: the flags `--only`, `--skip`, `--path`, `--exclude-path`, `--home`.
//!
//! Invariant: whatever cannot be selected yet is refused by name; nothing that was asked for is silently left out.

use dbsnap::manifest::Selection;
use dbsnap::resource;

use super::error::Failure;
use super::kinds;
use super::settings;

/// Flags that select what is backed up.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Selection")]
pub(crate) struct SelectionArgs {
    /// Only these kinds, separated by commas (`users,groups,jobs`)
    #[arg(long, value_name = "KINDS")]
    pub(crate) only: Vec<String>,

    /// Not these kinds
    #[arg(long, value_name = "KINDS")]
    pub(crate) skip: Vec<String>,

    /// Of the workspace tree, only what is at or below this path; may be repeated, and `*` stands for any part of a name
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Vec<String>,

    /// Of the workspace tree, nothing at or below this path; may be repeated
    #[arg(long, value_name = "PATH", alias = "exclude-work-item-prefixes")]
    pub(crate) exclude_path: Vec<String>,

    /// Only the home folder of this user
    #[arg(long, value_name = "USER", alias = "export-home")]
    pub(crate) home: Option<String>,
}

/// What is selected, by flags or else by the settings; `older` are the kinds that flags of the older tool name.
pub(crate) fn selection(
    args: &SelectionArgs,
    older: &[&str],
    settings: &settings::Backup,
) -> Result<Selection, Failure> {
    let given = |flag: &[String], set: &Option<Vec<String>>| match flag {
        [] => set.clone().unwrap_or_default(),
        _ => flag.to_vec(),
    };
    let mut only = match older {
        [] => given(&args.only, &settings.only),
        _ => args.only.clone(),
    };
    only.extend(older.iter().map(ToString::to_string));
    let selection = Selection {
        only: kinds::parse("--only", &only)?,
        skip: kinds::parse("--skip", &given(&args.skip, &settings.skip))?,
        include: paths("--path", given(&args.path, &settings.path))?,
        exclude: paths(
            "--exclude-path",
            given(&args.exclude_path, &settings.exclude_path),
        )?,
        home: args.home.clone(),
        ..Selection::default()
    };
    let whole = Selection {
        metastore: Selection::all().metastore,
        runs: Selection::all().runs,
        dbfs: Selection::all().dbfs,
        mounts: true,
        ..selection.clone()
    };
    let any = resource::ALL.iter().any(|kind| {
        let name = resource::KindName::known(kind.name);
        whole.covers_kind(&name)
    });
    if !any {
        return Err(Failure::usage(
            "--only and --skip together leave nothing to back up",
        ));
    }
    Ok(selection)
}

/// Paths of the workspace begin with a slash.
pub(crate) fn paths(flag: &str, given: Vec<String>) -> Result<Vec<String>, Failure> {
    match given.iter().find(|path| !path.starts_with('/')) {
        Some(path) => Err(Failure::usage(format!(
            "{flag}: `{path}` is not a path of the workspace"
        ))
        .hint(format!("did you mean `/{path}`?"))),
        None => Ok(given),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(args: SelectionArgs) -> Result<Selection, Failure> {
        selection(&args, &[], &settings::Backup::default())
    }

    #[test]
    fn flags_outrank_the_settings() {
        let settings = settings::Backup {
            only: Some(vec!["jobs".to_owned()]),
            skip: Some(vec!["files".to_owned()]),
            ..settings::Backup::default()
        };
        let args = SelectionArgs {
            only: vec!["users".to_owned()],
            ..SelectionArgs::default()
        };
        let selection = selection(&args, &[], &settings).unwrap();
        assert_eq!(selection.only, ["user"]);
        assert_eq!(selection.skip, ["file"]);
    }

    #[test]
    fn a_selection_of_nothing_is_refused() {
        let args = SelectionArgs {
            only: vec!["jobs".to_owned()],
            skip: vec!["job".to_owned()],
            ..SelectionArgs::default()
        };
        assert!(select(args).is_err());
        let args = SelectionArgs {
            path: vec!["Users/ana".to_owned()],
            ..SelectionArgs::default()
        };
        let failure = select(args).unwrap_err();
        assert!(failure.render().contains("did you mean `/Users/ana`?"));
    }
}
