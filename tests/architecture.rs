//! The shape of the program, held by tests: which room may use which, where each package lives, how long a file may be.
//!
//! Rooms are the folders and files directly under `src/`. They have ranks, and a file uses only rooms of a lower rank,
//! or its own. The rules are data, at the top; what breaks one is named with file and line.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Rank of every room. `main` is the program itself; `lib` only lists the rooms.
const RANKS: &[(&str, u8)] = &[
    ("report", 0),
    ("testing", 0),
    ("api", 1),
    ("resource", 1),
    ("store", 1),
    ("manifest", 2),
    ("mapping", 2),
    ("sandbox", 2),
    ("sql", 2),
    ("compare", 3),
    ("diff", 3),
    ("export", 3),
    ("retention", 3),
    ("backup", 4),
    ("check", 4),
    ("copy", 4),
    ("forget", 4),
    ("pause", 4),
    ("prune", 4),
    ("folder", 4),
    ("repair", 4),
    ("restore", 4),
    ("stats", 4),
    ("cli", 5),
    ("main", 5),
];

/// Neighbours of one rank of which the first may use the second: `compare` feeds `diff` what it needs to know of two
/// workspaces, `folder` reports an import as `backup` reports a backup, and `repair` mends what `check` finds.
const NEIGHBOURS: &[(&str, &str)] = &[
    ("compare", "diff"),
    ("folder", "backup"),
    ("repair", "check"),
];

/// Rooms that may use fewer rooms than their rank allows: the sandbox must not learn anything from the client.
const ONLY: &[(&str, &[&str])] = &[("sandbox", &["resource"])];

/// Packages that have a home, and where it is.
const HOMES: &[(&str, &[&str])] = &[
    ("age", &["store"]),
    ("axum", &["sandbox"]),
    ("blake3", &["store", "manifest"]),
    ("chacha20poly1305", &["store"]),
    ("clap", &["cli", "main"]),
    ("clap_complete", &["cli"]),
    ("csv", &["mapping", "cli"]),
    ("fastcdc", &["manifest", "backup"]),
    ("flate2", &["folder"]),
    ("indicatif", &["cli"]),
    ("reqwest", &["api"]),
    ("rpassword", &["cli"]),
    ("similar", &["diff"]),
    ("tar", &["folder"]),
    ("toml", &["mapping", "cli"]),
    ("xxhash_rust", &["api", "store"]),
    ("zip", &["export", "folder", "sandbox"]),
    ("zstd", &["store"]),
];

/// Only the terminal edge prints, exits or looks at the environment.
const EDGE_ONLY: &[&str] = &[
    "println!",
    "eprintln!",
    "print!(",
    "eprint!(",
    "process::exit",
    "ExitCode",
];

const MAX_LINES: usize = 600;

struct Source {
    path: PathBuf,
    room: String,
    text: String,
}

impl Source {
    /// The lines of code with their numbers: no comments, and nothing from the test module on, which may use more.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate();
        let before_tests = lines.take_while(|(_, line)| line.trim_start() != "#[cfg(test)]");
        before_tests
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
            .map(|(number, line)| (number + 1, line))
    }

    /// Whether the file is compiled for tests only.
    fn is_for_tests(&self) -> bool {
        let names = self.path.iter().filter_map(|part| part.to_str());
        names.into_iter().any(|name| {
            matches!(
                name,
                "tests" | "tests.rs" | "testing.rs" | "testserver.rs" | "test_support.rs"
            )
        })
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &root, &mut found);
    assert!(found.len() > 10, "the sources were not found");
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative = path.strip_prefix(root).unwrap().to_owned();
            let first = relative.components().next().unwrap();
            let room = Path::new(first.as_os_str()).file_stem().unwrap();
            found.push(Source {
                room: room.to_str().unwrap().to_owned(),
                text: fs::read_to_string(&path).unwrap(),
                path: relative,
            });
        }
    }
}

fn rank(room: &str) -> Option<u8> {
    RANKS
        .iter()
        .find(|(name, _)| *name == room)
        .map(|(_, rank)| *rank)
}

/// The rooms a line of code names: what follows `crate::` or `dbsnap::`, groups in braces included.
fn rooms_named(line: &str) -> Vec<&str> {
    let mut rooms = Vec::new();
    for start in ["crate::", "dbsnap::"] {
        for (at, _) in line.match_indices(start) {
            let rest = &line[at + start.len()..];
            match rest.strip_prefix('{') {
                Some(group) => {
                    rooms.extend(group.split(',').map(|part| first_word(part.trim_start())));
                }
                None => rooms.push(first_word(rest)),
            }
        }
    }
    rooms.retain(|room| rank(room).is_some());
    rooms
}

fn first_word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

/// Whether a line of code names a package: `package::` or `package!`, and not the tail of a longer word.
fn names_package(line: &str, package: &str) -> bool {
    line.match_indices(package).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = &line[at + package.len()..];
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
            && (after.starts_with("::") || (after.starts_with(';') && line.contains("use ")))
    })
}

fn fail_if_any(broken: &str) {
    assert!(broken.is_empty(), "\n{broken}");
}

#[test]
fn every_room_has_a_rank() {
    let mut broken = String::new();
    for source in sources() {
        if source.room != "lib" && rank(&source.room).is_none() {
            writeln!(
                broken,
                "{}: the room {} has no rank in tests/architecture.rs",
                source.path.display(),
                source.room
            )
            .unwrap();
        }
    }
    fail_if_any(&broken);
}

#[test]
fn a_room_uses_only_rooms_of_lower_rank() {
    let mut broken = String::new();
    for source in sources() {
        // Tests put rooms side by side that know nothing of each other.
        let Some(own) = rank(&source.room).filter(|_| !source.is_for_tests()) else {
            continue;
        };
        for (number, line) in source.code() {
            for room in rooms_named(line) {
                let other = rank(room).unwrap();
                let among_edges = own == 5 && other == 5;
                let is_allowed = among_edges || NEIGHBOURS.contains(&(&source.room, room));
                if room != source.room && other >= own && !is_allowed {
                    writeln!(
                        broken,
                        "{}:{number}: {} (rank {own}) uses {room} (rank {other})",
                        source.path.display(),
                        source.room
                    )
                    .unwrap();
                }
            }
        }
    }
    fail_if_any(&broken);
}

#[test]
fn the_sandbox_knows_nothing_of_the_client() {
    let mut broken = String::new();
    for source in sources() {
        let Some((_, allowed)) = ONLY.iter().find(|(room, _)| *room == source.room) else {
            continue;
        };
        for (number, line) in source.code() {
            for room in rooms_named(line) {
                if room != source.room && !allowed.contains(&room) {
                    writeln!(
                        broken,
                        "{}:{number}: {} may not use {room}",
                        source.path.display(),
                        source.room
                    )
                    .unwrap();
                }
            }
        }
    }
    fail_if_any(&broken);
}

#[test]
fn every_package_stays_in_its_home() {
    let mut broken = String::new();
    for source in sources() {
        if source.is_for_tests() {
            continue;
        }
        for (number, line) in source.code() {
            for (package, homes) in HOMES {
                if names_package(line, package) && !homes.contains(&source.room.as_str()) {
                    writeln!(
                        broken,
                        "{}:{number}: {package} is used outside {homes:?}",
                        source.path.display()
                    )
                    .unwrap();
                }
            }
        }
    }
    fail_if_any(&broken);
}

#[test]
fn only_the_edge_prints_or_exits() {
    let mut broken = String::new();
    for source in sources() {
        if matches!(source.room.as_str(), "cli" | "main") || source.is_for_tests() {
            continue;
        }
        for (number, line) in source.code() {
            for word in EDGE_ONLY {
                if line.contains(word) {
                    writeln!(
                        broken,
                        "{}:{number}: {word} outside the edge",
                        source.path.display()
                    )
                    .unwrap();
                }
            }
        }
    }
    fail_if_any(&broken);
}

#[test]
fn every_module_says_what_it_is() {
    let mut broken = String::new();
    for source in sources() {
        if !source.text.starts_with("//!") && !source.is_for_tests() {
            writeln!(broken, "{}: does not open with //!", source.path.display()).unwrap();
        }
    }
    fail_if_any(&broken);
}

#[test]
fn no_file_is_too_long_to_read() {
    let mut broken = String::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > MAX_LINES && !source.is_for_tests() {
            writeln!(broken, "{}: {lines} lines", source.path.display()).unwrap();
        }
    }
    fail_if_any(&broken);
}

#[test]
fn what_the_rules_look_for_is_found() {
    assert_eq!(
        rooms_named("use crate::{store::Store, report}; let x = dbsnap::manifest::Head;"),
        ["store", "report", "manifest"]
    );
    assert!(names_package("    zip::ZipArchive::new(x)", "zip"));
    assert!(!names_package(
        "    x.iter().zip(y); unzip::it; crate::zip::x",
        "zip"
    ));
}
