//! Which objects: the flags `--only`, `--skip`, `--path`, `--exclude-path`, `--home`, and those of the older tool.
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
    #[arg(long, value_name = "PATH")]
    pub(crate) exclude_path: Vec<String>,

    /// Only the home folder of this user
    #[arg(long, value_name = "USER", alias = "export-home")]
    pub(crate) home: Option<String>,
}

/// What the older tool's users type. All of it means something here, or is refused with a reason.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Flags of the older tool, accepted and translated")]
pub(crate) struct OldArgs {
    /// `--only users,groups,instance-profiles`
    #[arg(long, hide_short_help = true)]
    users: bool,

    /// `--only clusters,cluster-policies,instance-pools,global-init-scripts`
    #[arg(long, hide_short_help = true)]
    clusters: bool,

    /// `--only jobs`
    #[arg(long, hide_short_help = true)]
    jobs: bool,

    /// `--only` with all kinds of the workspace tree; contents and permissions are always included
    #[arg(long, hide_short_help = true)]
    workspace: bool,

    /// The same as --workspace
    #[arg(long, hide_short_help = true)]
    download: bool,

    /// The same as --workspace
    #[arg(long, hide_short_help = true)]
    workspace_acls: bool,

    /// `--only clusters`: the libraries of a cluster are part of it
    #[arg(long, hide_short_help = true)]
    libs: bool,

    /// Not needed: the host tells the cloud
    #[arg(long, hide_short_help = true)]
    azure: bool,

    /// Not needed: the host tells the cloud
    #[arg(long, hide_short_help = true)]
    gcp: bool,

    /// Not needed for a backup, which nothing stops; for a restore `--missing-users skip`
    #[arg(long, hide_short_help = true)]
    pub(crate) skip_failed: bool,

    /// `--only databases,tables,views,functions`; needs --warehouse or --cluster-name
    #[arg(long, hide_short_help = true)]
    metastore: bool,

    /// Not possible yet
    #[arg(long, hide_short_help = true)]
    mounts: bool,

    /// `--only secret-scopes`; their values only with --secret-values
    #[arg(long, hide_short_help = true)]
    secrets: bool,

    /// The same with `metastore-securables`; grants are always included
    #[arg(long, hide_short_help = true)]
    table_acls: bool,
}

impl OldArgs {
    /// The kinds they select; none when no such flag was given.
    pub(crate) fn kinds(&self) -> Result<Vec<&'static str>, Failure> {
        for (asked, flag) in [(self.mounts, "mounts")] {
            if asked {
                return Err(
                    Failure::usage(format!("--{flag}: dbsnap cannot back these up yet")).hint(
                        format!("leave --{flag} out and keep the older tool for them; the README lists what is backed up"),
                    ),
                );
            }
        }
        let mut kinds = Vec::new();
        if self.users {
            kinds.extend(["user", "group", "instance-profile"]);
        }
        if self.clusters || self.libs {
            kinds.push("cluster");
        }
        if self.clusters {
            kinds.extend(["cluster-policy", "instance-pool", "global-init-script"]);
        }
        if self.secrets {
            kinds.push("secret-scope");
        }
        if self.jobs {
            kinds.push("job");
        }
        if self.metastore || self.table_acls {
            kinds.extend(["database", "table", "view", "function"]);
        }
        if self.table_acls {
            kinds.push("metastore-securable");
        }
        if self.workspace || self.download || self.workspace_acls {
            kinds.extend(in_tree());
        }
        Ok(kinds)
    }
}

/// All kinds of the workspace tree.
fn in_tree() -> impl Iterator<Item = &'static str> {
    let nodes = resource::ALL.iter().filter(|kind| kind.node().is_some());
    nodes.map(|kind| kind.name)
}

/// What is selected, by flags or else by the settings.
pub(crate) fn selection(
    args: &SelectionArgs,
    old: &OldArgs,
    settings: &settings::Backup,
) -> Result<Selection, Failure> {
    let given = |flag: &[String], set: &Option<Vec<String>>| match flag {
        [] => set.clone().unwrap_or_default(),
        _ => flag.to_vec(),
    };
    let old_kinds = old.kinds()?;
    let only = if args.only.is_empty() && !old_kinds.is_empty() {
        old_kinds.iter().map(ToString::to_string).collect()
    } else {
        let mut only = given(&args.only, &settings.only);
        only.extend(old_kinds.iter().map(ToString::to_string));
        only
    };
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

    fn select(args: SelectionArgs, old: OldArgs) -> Result<Selection, Failure> {
        selection(&args, &old, &settings::Backup::default())
    }

    #[test]
    fn the_older_flags_select_what_they_did() {
        let old = OldArgs {
            users: true,
            download: true,
            ..OldArgs::default()
        };
        let selection = select(SelectionArgs::default(), old).unwrap();
        for kind in ["user", "group", "notebook", "directory", "file"] {
            assert!(selection.only.iter().any(|only| only == kind), "{kind}");
        }
        assert!(!selection.only.iter().any(|only| only == "job"));
    }

    #[test]
    fn what_cannot_be_done_yet_is_refused_not_ignored() {
        let old = OldArgs {
            mounts: true,
            ..OldArgs::default()
        };
        let failure = select(SelectionArgs::default(), old).unwrap_err();
        assert!(failure.render().contains("--mounts"));
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
        let selection = selection(&args, &OldArgs::default(), &settings).unwrap();
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
        assert!(select(args, OldArgs::default()).is_err());
        let args = SelectionArgs {
            path: vec!["Users/ana".to_owned()],
            ..SelectionArgs::default()
        };
        let failure = select(args, OldArgs::default()).unwrap_err();
        assert!(failure.render().contains("did you mean `/Users/ana`?"));
    }
}
