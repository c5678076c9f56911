//! DBC archives of one notebook: a zip whose only member is the notebook as JSON.
//!
//! What an import keeps of it is its source, put together from the commands as an export as SOURCE would: a line that says
//! that it is a notebook, the commands with a line between them, commands in another language and titles as comments.
//! Results, widgets and remarks of readers are not part of a source.
//!
//! Invariant: what is not understood is refused with words, and no more is unpacked than a limit.

use std::io::{Cursor, Read};

use serde::Deserialize;
use zip::ZipArchive;

use crate::report::chain;

/// The longest archive that is read. The older tool gets none over 10 MB.
pub(super) const LONGEST: u64 = 64 << 20;

/// The longest notebook within. Results of commands are in it as well.
const LONGEST_NOTEBOOK: u64 = 256 << 20;

/// The languages: as the archive spells them, the extension of their sources, what opens a comment.
const LANGUAGES: &[(&str, &str, &str)] = &[
    ("python", "py", "#"),
    ("sql", "sql", "--"),
    ("scala", "scala", "//"),
    ("r", "r", "#"),
];

/// As much of a notebook as makes its source.
#[derive(Deserialize)]
struct Notebook {
    version: String,
    language: String,
    commands: Vec<Command>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Command {
    command: String,
    #[serde(default)]
    position: f64,
    #[serde(default)]
    command_title: Option<String>,
    #[serde(default)]
    show_command_title: bool,
}

/// The source of the notebook in an archive, with the extension of its language.
pub(super) fn source(archive: &[u8]) -> Result<(&'static str, String), String> {
    if archive.len() as u64 > LONGEST {
        return Err(format!("the archive is longer than {LONGEST} bytes"));
    }
    let notebook: Notebook = serde_json::from_slice(&only_member(archive)?)
        .map_err(|error| format!("what is in the archive is no notebook: {error}"))?;
    if notebook.version != "NotebookV1" {
        return Err(format!(
            "the notebook has the unknown version {}",
            notebook.version
        ));
    }
    let language = LANGUAGES
        .iter()
        .find(|(name, ..)| *name == notebook.language);
    let Some((_, extension, comment)) = language else {
        return Err(format!(
            "the notebook has the unknown language {}",
            notebook.language
        ));
    };
    let mut commands = notebook.commands;
    commands.sort_by(|a, b| a.position.total_cmp(&b.position));
    let cells: Vec<String> = commands
        .iter()
        .map(|command| command.cell(comment))
        .collect();
    let between = format!("\n\n{comment} COMMAND ----------\n\n");
    let text = format!(
        "{comment} Databricks notebook source\n{}\n",
        cells.join(&between)
    );
    Ok((extension, text))
}

impl Command {
    fn cell(&self, comment: &str) -> String {
        let title = match (&self.command_title, self.show_command_title) {
            (Some(title), true) if !title.is_empty() => format!("{comment} DBTITLE 1,{title}\n"),
            _ => String::new(),
        };
        if !self.command.starts_with('%') {
            return title + &self.command;
        }
        let lines = self.command.split('\n');
        let lines: Vec<String> = lines
            .map(|line| format!("{comment} MAGIC {line}"))
            .collect();
        title + &lines.join("\n")
    }
}

/// The file in an archive that has one.
fn only_member(archive: &[u8]) -> Result<Vec<u8>, String> {
    let broken = |error| format!("it is no DBC archive: {}", chain(&error));
    let mut archive = ZipArchive::new(Cursor::new(archive)).map_err(broken)?;
    let files: Vec<usize> = (0..archive.len().min(16))
        .filter(|at| archive.by_index(*at).is_ok_and(|file| !file.is_dir()))
        .collect();
    let [at] = files[..] else {
        return Err("the archive holds something else than one notebook".to_owned());
    };
    let file = archive.by_index(at).map_err(broken)?;
    let mut bytes = Vec::new();
    // What the archive says of the size is not believed.
    let read = file.take(LONGEST_NOTEBOOK + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("the archive cannot be unpacked: {}", chain(&error)))?;
    match bytes.len() as u64 > LONGEST_NOTEBOOK {
        true => Err(format!(
            "the notebook is longer than {LONGEST_NOTEBOOK} bytes"
        )),
        false => Ok(bytes),
    }
}
