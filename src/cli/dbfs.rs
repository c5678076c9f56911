//! Which files of the DBFS root: the flags `--dbfs` and `--dbfs-max-file-size`.
//!
//! Invariant: none of them is read unless somebody said which; and what is a mount is refused by name.

use dbsnap::manifest::{DbfsFiles, ManifestError, Selection, Tree};
use dbsnap::resource::{self, KindName};

use super::error::Failure;
use super::quantity;
use super::settings;

/// Flags of commands that read the DBFS.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "DBFS")]
pub(crate) struct DbfsArgs {
    /// Include the files of the DBFS root at or below this path, `/` for all of them; may be repeated, and `*` stands for
    /// any part of a name. Nothing in /mnt is read, and no mount that --cluster-name tells of [default: no file of the DBFS]
    #[arg(long, value_name = "PATH")]
    dbfs: Vec<String>,

    /// Of files of the DBFS that are longer, keep only that they are there (`100M`, `2G`) [default: no limit]
    #[arg(long, value_name = "SIZE")]
    dbfs_max_file_size: Option<String>,
}

impl DbfsArgs {
    /// Adds the files to what is selected; refuses a selection that needs them and does not say which.
    pub(crate) fn select(
        &self,
        settings: &settings::Backup,
        selection: &mut Selection,
    ) -> Result<(), Failure> {
        let paths = match self.dbfs.as_slice() {
            [] => settings.dbfs.clone().unwrap_or_default(),
            given => given.to_vec(),
        };
        let size = self.dbfs_max_file_size.as_ref();
        let max_file_size = match size.or(settings.dbfs_max_file_size.as_ref()) {
            Some(text) => Some(
                quantity::bytes(text)
                    .map_err(|why| Failure::usage(format!("--dbfs-max-file-size: {why}")))?,
            ),
            None => None,
        };
        let hint = "say which files with --dbfs PATH (`--dbfs /` means all of them)";
        if paths.is_empty() {
            if self.dbfs_max_file_size.is_some() {
                return Err(Failure::usage("--dbfs-max-file-size goes with --dbfs").hint(hint));
            }
            return match selection.only.iter().find(|name| is_file(name)) {
                Some(kind) => Err(Failure::usage(format!(
                    "the kind {kind} is about files of the DBFS, and none was named"
                ))
                .hint(hint)),
                None => Ok(()),
            };
        }
        selection.dbfs = Some(DbfsFiles {
            paths: self::paths("--dbfs", &paths)?,
            max_file_size,
        });
        if !selection.covers_kind(&KindName::known("dbfs-file")) || selection.home.is_some() {
            let what = "--dbfs asks for files that --only, --skip or --home leave out";
            if self.dbfs.is_empty() {
                // The settings are about the usual run, and this is one of a part.
                selection.dbfs = None;
                return Ok(());
            }
            return Err(
                Failure::usage(what).hint("name the kind dbfs-files too, or leave --dbfs out")
            );
        }
        Ok(())
    }
}

/// Paths as the DBFS has them: `dbfs:/x` is `/x`. All of it is no path.
pub(crate) fn paths(flag: &str, given: &[String]) -> Result<Vec<String>, Failure> {
    let mut paths = Vec::new();
    for text in given {
        let path = resource::dbfs_path(text);
        let path = path
            .strip_prefix("/dbfs/")
            .map_or(path.to_owned(), |rest| format!("/{rest}"));
        if !path.starts_with('/') {
            return Err(
                Failure::usage(format!("{flag}: `{text}` is not a path of the DBFS"))
                    .hint(format!("did you mean `/{path}`?")),
            );
        }
        if path == "/mnt" || path.starts_with("/mnt/") {
            return Err(Failure::usage(format!(
                "{flag}: {path} is a mount: what it leads to is storage of its own, and no part of the DBFS root"
            ))
            .hint("back it up with the means of that storage"));
        }
        paths.push(path);
    }
    if paths.iter().any(|path| path == "/") {
        paths.clear();
    }
    Ok(paths)
}

/// Selected paths at which there was no file, as far as that is known.
pub(crate) fn empty_paths(
    tree: &Tree,
    selection: &Selection,
) -> Result<Vec<String>, ManifestError> {
    let Some(files) = &selection.dbfs else {
        return Ok(Vec::new());
    };
    let mut paths = files.paths.clone();
    paths.retain(|path| !path.contains('*'));
    for entry in tree.kind(&KindName::known("dbfs-file")) {
        let name = entry?.key.name;
        if name.is_empty() {
            // Something could not be listed, and that was said.
            return Ok(Vec::new());
        }
        let file = resource::dbfs_path(&name);
        let one = |path: String| DbfsFiles {
            paths: vec![path],
            max_file_size: None,
        };
        paths.retain(|path| !one(path.clone()).covers(file));
        if paths.is_empty() {
            break;
        }
    }
    Ok(paths)
}

/// Whether a selection would have files of the DBFS if somebody had said which.
pub(crate) fn misses_files(selection: &Selection) -> bool {
    selection.dbfs.is_none()
        && selection.home.is_none()
        && selection.only.is_empty()
        && !selection.skip.iter().any(|name| is_file(name))
}

fn is_file(kind: &str) -> bool {
    resource::kind(kind).is_some_and(resource::Kind::is_dbfs_file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(args: &DbfsArgs, only: &[&str]) -> Result<Option<DbfsFiles>, String> {
        let mut selection = Selection {
            only: only.iter().map(ToString::to_string).collect(),
            ..Selection::default()
        };
        let settings = settings::Backup {
            dbfs_max_file_size: Some("1M".to_owned()),
            ..settings::Backup::default()
        };
        let selected = args.select(&settings, &mut selection);
        selected.map_err(|failure| failure.render())?;
        Ok(selection.dbfs)
    }

    fn args(paths: &[&str], size: Option<&str>) -> DbfsArgs {
        DbfsArgs {
            dbfs: paths.iter().map(ToString::to_string).collect(),
            dbfs_max_file_size: size.map(str::to_owned),
        }
    }

    #[test]
    fn paths_are_understood_however_they_are_written_and_a_flag_outranks_the_settings() {
        let files = select(
            &args(&["dbfs:/FileStore", "/dbfs/x", "/y"], Some("2G")),
            &[],
        );
        let files = files.unwrap().unwrap();
        assert_eq!(files.paths, ["/FileStore", "/x", "/y"]);
        assert_eq!(files.max_file_size, Some(2 << 30));
        let all = select(&args(&["/FileStore", "/"], None), &[])
            .unwrap()
            .unwrap();
        assert_eq!((all.paths.len(), all.max_file_size), (0, Some(1 << 20)));
        assert_eq!(select(&args(&[], None), &[]), Ok(None));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_to_do() {
        let refused = |args: &DbfsArgs, only: &[&str]| select(args, only).unwrap_err();
        assert!(refused(&args(&["/mnt/lake"], None), &[]).contains("is a mount"));
        assert!(refused(&args(&["FileStore"], None), &[]).contains("did you mean `/FileStore`?"));
        assert!(refused(&args(&[], Some("1M")), &[]).contains("goes with --dbfs"));
        assert!(refused(&args(&["/x"], Some("big")), &[]).contains("`big` is no size"));
        assert!(refused(&args(&[], None), &["dbfs-file"]).contains("--dbfs PATH"));
        assert!(refused(&args(&["/x"], None), &["job"]).contains("leave out"));
    }
}
