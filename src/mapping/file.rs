//! Mappings as people write them: flags (`old=new`) and files (CSV or TOML).
//!
//! Invariant: every complaint about a file says in which line to look.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::{Mapping, Table, key};

/// Why a mapping was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MappingError {
    /// The file could not be read.
    #[error("failed to read the mapping file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A directory was given where a file is needed.
    #[error("the mapping file {} is a directory", .0.display())]
    IsDirectory(PathBuf),
    /// Something in the file is wrong.
    #[error("line {line} of the mapping file {} cannot be used", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        source: PairError,
    },
    /// A flag is wrong.
    #[error("failed to understand the mapping `{text}`")]
    Flag {
        /// What was given.
        text: String,
        /// What is wrong with it.
        source: PairError,
    },
}

/// What is wrong with one pair of names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PairError {
    /// It is no pair.
    #[error("it must have the form {0}")]
    NoPair(&'static str),
    /// A name is empty.
    #[error("a name is empty")]
    Empty,
    /// A name is not of the kind that is needed here.
    #[error("`{name}` is not a {}: {why}", table.noun())]
    BadName {
        /// The name.
        name: String,
        /// What it should have been.
        table: Table,
        /// What tells that it is none.
        why: &'static str,
    },
    /// The same is said twice.
    #[error("the {} `{old}` is mapped a second time", table.noun())]
    Again {
        /// Of which table.
        table: Table,
        /// The old name.
        old: String,
    },
    /// Two different things are said.
    #[error("the {} `{old}` is mapped to `{new}` here and to `{before}` before", table.noun())]
    Contradiction {
        /// Of which table.
        table: Table,
        /// The old name.
        old: String,
        /// The new name.
        new: String,
        /// The new name given before.
        before: String,
    },
    /// The file is not in its format.
    #[error("{0}")]
    Syntax(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Tables {
    #[serde(default)]
    users: Pairs,
    #[serde(default)]
    domains: Pairs,
    #[serde(default)]
    groups: Pairs,
    #[serde(default)]
    service_principals: Pairs,
    #[serde(default)]
    paths: Pairs,
}

type Pairs = BTreeMap<String, Spanned<String>>;

impl Mapping {
    /// Adds a pair as a flag gives it: `old=new`.
    pub fn add_pair(&mut self, table: Table, text: &str) -> Result<(), MappingError> {
        let pair = text.split_once('=').ok_or(PairError::NoPair("old=new"));
        pair.and_then(|(old, new)| self.add(table, old, new))
            .map_err(|source| MappingError::Flag {
                text: text.to_owned(),
                source,
            })
    }

    /// Adds all pairs of a file: TOML if it is called so, else CSV.
    pub fn add_file(&mut self, path: &Path) -> Result<(), MappingError> {
        if path.is_dir() {
            return Err(MappingError::IsDirectory(path.to_owned()));
        }
        let text = fs::read_to_string(path).map_err(|source| MappingError::Read {
            path: path.to_owned(),
            source,
        })?;
        let is_toml = path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
        let added = match is_toml {
            true => self.add_toml(&text),
            false => self.add_csv(&text),
        };
        added.map_err(|(line, source)| MappingError::Line {
            path: path.to_owned(),
            line,
            source,
        })
    }

    fn add_csv(&mut self, text: &str) -> Result<(), (u64, PairError)> {
        // The reader takes a comment that ends with the file, and not with its line, for a record.
        let text = &format!("{text}\n");
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .comment(Some(b'#'))
            .trim(csv::Trim::All)
            .from_reader(text.trim_start_matches('\u{feff}').as_bytes());
        for (index, record) in reader.records().enumerate() {
            let record = record.map_err(|error| {
                let line = error.position().map_or(0, csv::Position::line);
                (line, PairError::Syntax(error.to_string()))
            })?;
            let line = record.position().map_or(0, |at| line_of(text, at));
            let fields: Vec<&str> = record.iter().collect();
            if fields == [""] {
                continue;
            }
            let [old, new] = fields[..] else {
                return Err((line, PairError::NoPair("old,new")));
            };
            let is_header = index == 0 && (old, new) == ("old", "new");
            if !is_header {
                table_of(old)
                    .and_then(|table| self.add(table, old, new))
                    .map_err(|error| (line, error))?;
            }
        }
        Ok(())
    }

    fn add_toml(&mut self, text: &str) -> Result<(), (u64, PairError)> {
        let line_at = |offset: usize| text[..offset].matches('\n').count() as u64 + 1;
        let tables: Tables = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_at(span.start));
            (line, PairError::Syntax(error.message().to_owned()))
        })?;
        let all = [
            (Table::Users, tables.users),
            (Table::Domains, tables.domains),
            (Table::Groups, tables.groups),
            (Table::ServicePrincipals, tables.service_principals),
            (Table::Paths, tables.paths),
        ];
        for (table, pairs) in all {
            // In the order of the file, so that the second of two is the one complained about.
            let mut pairs: Vec<_> = pairs.into_iter().collect();
            pairs.sort_by_key(|(_, new)| new.span().start);
            for (old, new) in pairs {
                self.add(table, &old, new.get_ref())
                    .map_err(|error| (line_at(new.span().start), error))?;
            }
        }
        Ok(())
    }

    fn add(&mut self, table: Table, old: &str, new: &str) -> Result<(), PairError> {
        let (old, new) = (check(table, old)?, check(table, new)?);
        let names = self.table(table);
        match names.get(&key(table, &old)) {
            Some(before) if *before == new => Err(PairError::Again { table, old }),
            Some(before) => Err(PairError::Contradiction {
                table,
                old,
                before: before.clone(),
                new,
            }),
            None => {
                names.insert(key(table, &old), new);
                Ok(())
            }
        }
    }
}

/// A record's position is where the one before it ended: empty lines and comments come between.
fn line_of(text: &str, position: &csv::Position) -> u64 {
    let between = text.lines().skip(position.line() as usize - 1);
    let passed = between.take_while(|line| line.trim().is_empty() || line.starts_with('#'));
    position.line() + passed.count() as u64
}

/// CSV has no tables: the spelling of the old name tells what it is.
fn table_of(old: &str) -> Result<Table, PairError> {
    match old {
        _ if old.starts_with('/') => Ok(Table::Paths),
        _ if old.starts_with('@') => Ok(Table::Domains),
        _ if old.contains('@') => Ok(Table::Users),
        _ if is_uuid(old) => Ok(Table::ServicePrincipals),
        "" => Err(PairError::Empty),
        _ => Err(PairError::BadName {
            name: old.to_owned(),
            table: Table::Users,
            why: "it has no @ (groups need a TOML file with a [groups] table)",
        }),
    }
}

fn check(table: Table, name: &str) -> Result<String, PairError> {
    let name = name.trim();
    let bad = |why| PairError::BadName {
        name: name.to_owned(),
        table,
        why,
    };
    if name.is_empty() {
        return Err(PairError::Empty);
    }
    Ok(match table {
        Table::Users if !name.contains('@') => return Err(bad("it has no @")),
        Table::Users if name.contains('/') => return Err(bad("it has a /")),
        Table::Domains => {
            let domain = name.strip_prefix('@').unwrap_or(name);
            if domain.is_empty() || domain.contains(['@', '/']) {
                return Err(bad("give the part behind the @"));
            }
            domain.to_lowercase()
        }
        Table::Paths => {
            let path = name
                .strip_prefix("/Workspace/")
                .map_or_else(|| name.to_owned(), |rest| format!("/{rest}"));
            let path = path.trim_end_matches('/');
            if !path.starts_with('/') {
                return Err(bad("it must begin with / and name more than the root"));
            }
            path.to_owned()
        }
        Table::Users | Table::Groups | Table::ServicePrincipals => name.to_owned(),
    })
}

fn is_uuid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    lengths == [8, 4, 4, 4, 12] && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests;
