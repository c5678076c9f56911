//! What an archive holds, and which member is which object.
//!
//! How the service names and escapes members is written down nowhere. So both layouts that make sense are read (with and
//! without the folder as the first component), and an object gets a content only when exactly one member can be it.
//!
//! Invariant: no more is unpacked than asked for, whatever an archive says of itself.

use std::collections::HashMap;
use std::io::{Cursor, Read};

use bytes::Bytes;
use percent_encoding::percent_decode_str;
use thiserror::Error;
use zip::ZipArchive;

use super::found::{Found, member_names};
use super::single::{Content, is_jupyter, is_source};
use crate::resource::Node;

/// Members an archive may have.
const MOST_MEMBERS: usize = 50_000;

/// A file in an archive.
pub(super) struct Member {
    name: String,
    bytes: Bytes,
}

/// Why an archive is not used.
#[derive(Debug, Error)]
pub(super) enum ArchiveError {
    #[error("failed to read the archive")]
    Broken(#[source] zip::result::ZipError),
    #[error("failed to unpack `{name}` from the archive")]
    Unpack {
        name: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the archive holds more than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("the archive holds {0} members")]
    TooMany(usize),
    #[error("two members of the archive share a name")]
    Doubles,
}

/// Unpacks an archive, up to `limit` bytes.
pub(super) fn unpack(archive: &[u8], limit: u64) -> Result<Vec<Member>, ArchiveError> {
    let mut archive = ZipArchive::new(Cursor::new(archive)).map_err(ArchiveError::Broken)?;
    if archive.len() > MOST_MEMBERS {
        return Err(ArchiveError::TooMany(archive.len()));
    }
    if archive.has_duplicate_names() {
        return Err(ArchiveError::Doubles);
    }
    let mut left = limit;
    let mut members = Vec::with_capacity(archive.len());
    for index in 0..archive.len() {
        let file = archive.by_index(index).map_err(ArchiveError::Broken)?;
        if file.is_dir() {
            continue;
        }
        let name = String::from_utf8(file.name_raw().to_vec())
            .unwrap_or_else(|raw| String::from_utf8_lossy(raw.as_bytes()).into_owned());
        let mut bytes = Vec::new();
        // What the archive says of the size is not believed.
        let read = file.take(left + 1).read_to_end(&mut bytes);
        read.map_err(|source| ArchiveError::Unpack {
            name: name.clone(),
            source,
        })?;
        left = left
            .checked_sub(bytes.len() as u64)
            .ok_or(ArchiveError::TooLarge { limit })?;
        members.push(Member {
            name,
            bytes: bytes.into(),
        });
    }
    Ok(members)
}

/// The contents of `objects`, which lie below the folder `root`, as far as members are theirs without doubt.
pub(super) fn assign(root: &str, objects: &[&Found], members: &[Member]) -> Vec<Option<Content>> {
    let prefix = format!("{}/", root.trim_end_matches('/'));
    let folder = root.rsplit('/').next().unwrap_or_default();
    let plain = assign_layout(&prefix, objects, members, "");
    let nested = assign_layout(&prefix, objects, members, &format!("{folder}/"));
    let count = |contents: &[Option<Content>]| contents.iter().flatten().count();
    if count(&nested) > count(&plain) {
        nested
    } else {
        plain
    }
}

fn assign_layout(
    prefix: &str,
    objects: &[&Found],
    members: &[Member],
    layout: &str,
) -> Vec<Option<Content>> {
    // Under its own name or, where names are escaped, under the one that it stands for.
    let mut by_name: HashMap<String, Vec<&Member>> = HashMap::new();
    for member in members {
        let Some(name) = member.name.strip_prefix(layout) else {
            continue;
        };
        let decoded = percent_decode_str(name).decode_utf8_lossy();
        if decoded != name {
            by_name
                .entry(decoded.into_owned())
                .or_default()
                .push(member);
        }
        by_name.entry(name.to_owned()).or_default().push(member);
    }
    objects
        .iter()
        .map(|found| {
            let name = found.path().strip_prefix(prefix)?;
            let names = member_names(found.node, found.body["language"].as_str(), name);
            let mut fitting = names.iter().filter_map(|name| by_name.get(name)).flatten();
            let (member, None) = (fitting.next()?, fitting.next()) else {
                return None;
            };
            content_of(found, member)
        })
        .collect()
}

/// The content of an object out of its member, if it looks as it must.
fn content_of(found: &Found, member: &Member) -> Option<Content> {
    let bytes = member.bytes.clone();
    let format = match found.node {
        Node::Notebook if is_source(&bytes) => Some("SOURCE"),
        Node::Notebook if member.name.ends_with(".ipynb") && is_jupyter(&bytes) => Some("JUPYTER"),
        Node::File if found.size.is_none_or(|size| size == bytes.len() as u64) => None,
        Node::Dashboard => None,
        _ => return None,
    };
    Some(Content { bytes, format })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::found::tests::{file, notebook};
    use super::*;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    const SOURCE: &[u8] = b"# Databricks notebook source\n1";

    fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in members {
            writer
                .start_file(*name, SimpleFileOptions::default())
                .unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn assigned(members: &[(&str, &[u8])], objects: &[Found]) -> Vec<Option<&'static str>> {
        let members = unpack(&archive(members), 1 << 20).unwrap();
        let objects: Vec<_> = objects.iter().collect();
        let contents = assign("/a/f", &objects, &members).into_iter();
        contents
            .map(|content| content.map(|content| content.format.unwrap_or("file")))
            .collect()
    }

    #[test]
    fn members_are_found_in_either_layout() {
        let objects = [
            notebook("/a/f/x"),
            notebook("/a/f/g/y"),
            file("/a/f/t.txt", 2),
        ];
        let all = [Some("SOURCE"), Some("JUPYTER"), Some("file")];
        let jupyter = br#"{"cells": []}"#;
        for layout in ["", "f/"] {
            let name = |name: &str| format!("{layout}{name}");
            let (x, y, t) = (name("x.py"), name("g/y.ipynb"), name("t.txt"));
            let members = [(x.as_str(), SOURCE), (&y, jupyter), (&t, b"hi")];
            assert_eq!(assigned(&members, &objects), all, "{layout:?}");
        }
    }

    #[test]
    fn an_escaped_name_stands_for_the_name_it_escapes() {
        let objects = [notebook("/a/f/50% off?")];
        assert_eq!(
            assigned(&[("50%25%20off%3F.py", SOURCE)], &objects),
            [Some("SOURCE")]
        );
    }

    #[test]
    fn what_two_members_could_be_is_neither() {
        let objects = [notebook("/a/f/x")];
        let members = [("x.py", SOURCE), ("x.ipynb", &br#"{"cells": []}"#[..])];
        assert_eq!(assigned(&members, &objects), [None]);
    }

    #[test]
    fn a_member_that_does_not_look_as_it_must_is_refused() {
        let objects = [
            notebook("/a/f/x"),
            file("/a/f/t.txt", 3),
            notebook("/a/f/y"),
        ];
        let members = [
            ("x.py", &b"print(1)"[..]),
            ("t.txt", b"hi"),
            ("y.ipynb", b"{}"),
        ];
        assert_eq!(assigned(&members, &objects), [None, None, None]);
    }

    #[test]
    fn an_archive_is_not_unpacked_beyond_the_limit() {
        let bytes = archive(&[("zeros", &[0; 100_000])]);
        assert!(bytes.len() < 1_000);
        assert!(matches!(
            unpack(&bytes, 99_999),
            Err(ArchiveError::TooLarge { limit: 99_999 })
        ));
        assert_eq!(unpack(&bytes, 100_000).unwrap().len(), 1);
        assert!(matches!(unpack(b"PK", 10), Err(ArchiveError::Broken(_))));
    }
}
