//! A directory of notebooks and files as a folder below `/Shared`.
//!
//! Invariant: everything below the directory is in the workspace afterwards, or an error names what is not.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use axum::body::Bytes;
use walkdir::WalkDir;

use crate::sandbox::notebook::{has_header, jupyter_language};
use crate::sandbox::server::SandboxError;
use crate::sandbox::state::{Content, Form, Language, NodeKind, State};

/// Loads `directory` as `/Shared/<its name>`.
pub(crate) fn load(state: &mut State, directory: &Path) -> Result<(), SandboxError> {
    let name = directory.file_name().map_or_else(
        || "loaded".to_string(),
        |name| name.to_string_lossy().into_owned(),
    );
    let root = format!("/Shared/{name}");
    make_directory(state, &root);
    let mut taken: HashSet<String> = HashSet::new();
    for entry in WalkDir::new(directory).min_depth(1).sort_by_file_name() {
        let listing = |source| SandboxError::LoadDirectory {
            path: directory.to_path_buf(),
            source,
        };
        let entry = entry.map_err(listing)?;
        let relative = entry.path().strip_prefix(directory).unwrap_or(entry.path());
        let path = format!("{root}/{}", portable(relative)?);
        if entry.file_type().is_dir() {
            make_directory(state, &path);
            taken.insert(path);
            continue;
        }
        let reading = |source| SandboxError::LoadFile {
            path: entry.path().to_path_buf(),
            source,
        };
        let bytes = Bytes::from(std::fs::read(entry.path()).map_err(reading)?);
        let stem = path.rsplit_once('.').map(|(stem, _)| stem.to_string());
        // Two sources of one name (`a.py`, `a.sql`), or a source beside a file or folder of that name, keep their
        // extensions.
        let is_free = |stem: &String| !taken.contains(stem) && !is_on_disk(directory, &root, stem);
        let (path, kind) = match kind_of(entry.path(), bytes.clone()) {
            Some(notebook) => (stem.filter(is_free).unwrap_or(path), notebook),
            None => (path, NodeKind::file(bytes)),
        };
        taken.insert(path.clone());
        if state.put(&path, kind, false).is_err() {
            return Err(SandboxError::LoadName {
                path: entry.path().to_path_buf(),
            });
        }
    }
    Ok(())
}

fn make_directory(state: &mut State, path: &str) {
    // Only a file in the way could prevent it, and the directory on disk has no such thing.
    let _ = state.make_directories(path);
}

fn portable(relative: &Path) -> Result<String, SandboxError> {
    let names: Option<Vec<&str>> = relative.iter().map(|name| name.to_str()).collect();
    names
        .map(|names| names.join("/"))
        .ok_or_else(|| SandboxError::LoadName {
            path: relative.to_path_buf(),
        })
}

fn is_on_disk(directory: &Path, root: &str, stem: &str) -> bool {
    let relative: PathBuf = stem
        .strip_prefix(root)
        .unwrap_or(stem)
        .trim_start_matches('/')
        .split('/')
        .collect();
    directory.join(relative).exists()
}

fn kind_of(path: &Path, bytes: Bytes) -> Option<NodeKind> {
    let extension = path.extension()?.to_str()?;
    if extension == "ipynb" {
        let language = jupyter_language(&bytes)?;
        return Some(NodeKind::Notebook {
            language,
            form: Form::Jupyter,
            content: Content::Kept(bytes),
        });
    }
    let language =
        Language::of_extension(extension).filter(|language| has_header(&bytes, *language))?;
    Some(NodeKind::Notebook {
        language,
        form: Form::Source,
        content: Content::Kept(bytes),
    })
}
