//! What the text form of a difference looks like.

use proptest::prelude::*;

use super::*;
use serde_json::{Value, json};

fn diff(before: &str, after: &str) -> String {
    content_change(before.as_bytes(), after.as_bytes()).to_string()
}

const SOURCE: &str = "\
# Databricks notebook source
import os

# COMMAND ----------

rows = load()
rows.show()

# COMMAND ----------

# MAGIC %sql
# MAGIC select 1
";

fn ipynb(sources: &[&str], output: Value, execution: u32) -> String {
    let cells: Vec<Value> = sources
        .iter()
        .map(|source| {
            json!({"cell_type": "code", "execution_count": execution, "metadata": {}, "outputs": [output],
                   "source": source.split_inclusive('\n').collect::<Vec<_>>()})
        })
        .collect();
    json!({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).to_string()
}

#[test]
fn a_hunk_names_the_cell_that_differs() {
    let after = SOURCE.replace("rows.show()", "rows.count()");
    insta::assert_snapshot!(diff(SOURCE, &after), @"
    @@ -4,7 +4,7 @@ cell 2
     # COMMAND ----------
     
     rows = load()
    -rows.show()
    +rows.count()
     
     # COMMAND ----------
    ");
}

#[test]
fn a_new_cell_is_named_and_so_is_a_removed_one() {
    let after = SOURCE.replace(
        "# MAGIC %sql",
        "x = 1\n\n# COMMAND ----------\n\n# MAGIC %sql",
    );
    insta::assert_snapshot!(diff(SOURCE, &after), @"
    @@ -8,5 +8,9 @@ cells 3-4
     
     # COMMAND ----------
     
    +x = 1
    +
    +# COMMAND ----------
    +
     # MAGIC %sql
     # MAGIC select 1
    ");
    insta::assert_snapshot!(diff(&after, SOURCE), @"
    @@ -8,9 +8,5 @@ cells 3-4
     
     # COMMAND ----------
     
    -x = 1
    -
    -# COMMAND ----------
    -
     # MAGIC %sql
     # MAGIC select 1
    ");
}

#[test]
fn other_languages_have_other_comments() {
    let before = "-- Databricks notebook source\nselect 1\n-- COMMAND ----------\nselect 2\n";
    insta::assert_snapshot!(diff(before, &before.replace("select 2", "select 3")), @"
    @@ -1,4 +1,4 @@ cell 2
     -- Databricks notebook source
     select 1
     -- COMMAND ----------
    -select 2
    +select 3
    ");
}

#[test]
fn a_plain_file_has_no_cells_and_may_lack_its_last_line_break() {
    insta::assert_snapshot!(diff("a\nb\n", "a\nc"), @r"
    @@ -1,2 +1,2 @@
     a
    -b
    +c
    \ No newline at end of file
    ");
}

#[test]
fn a_jupyter_notebook_is_compared_by_its_sources() {
    let before = ipynb(&["a = 1\nb = 2", "print(a)"], json!({"text": "1"}), 1);
    let after = ipynb(&["a = 1\nb = 2", "print(b)"], json!({"text": "2"}), 7);
    insta::assert_snapshot!(diff(&before, &after), @"
    @@ -2,4 +2,4 @@ cell 2
     a = 1
     b = 2
     [code]
    -print(a)
    +print(b)
    ");
}

#[test]
fn what_differs_beside_the_sources_is_said_in_a_word() {
    let before = ipynb(&["a"], json!({"text": "1"}), 1);
    assert_eq!(
        diff(&before, &ipynb(&["a"], json!({"text": "2"}), 1)),
        "only outputs differ\n"
    );
    assert_eq!(
        diff(&before, &ipynb(&["a"], json!({"text": "1"}), 2)),
        "only metadata differs\n"
    );
    assert_eq!(diff("a\nb\n", "a\r\nb\r\n"), "only line endings differ\n");
}

#[test]
fn a_changed_format_is_said() {
    let after = ipynb(&["import os"], json!({}), 1);
    assert!(diff(SOURCE, &after).starts_with("the notebook's format changed\n@@"));
}

#[test]
fn bytes_that_are_no_text_are_told_by_their_lengths() {
    for bytes in [&b"PK\x03\x04\0\0"[..], b"\xff\xfe\xfd"] {
        let change = content_change(b"text", bytes);
        assert_eq!(
            change,
            ContentChange::Binary {
                before: 4,
                after: bytes.len() as u64
            }
        );
    }
}

#[test]
fn huge_contents_are_not_compared_line_by_line_and_many_lines_are_not_all_told() {
    let huge = vec![b'x'; LONGEST_TEXT as usize + 1];
    assert!(matches!(
        content_change(b"", &huge),
        ContentChange::TooLong { .. }
    ));
    assert!(matches!(
        content_change(b"", &[b'\n'; MOST_LINES + 1]),
        ContentChange::TooLong { .. }
    ));
    let lines = |of: &str| {
        (0..6_000)
            .map(|number| format!("{of}{number}\n"))
            .collect::<String>()
    };
    let ContentChange::Text {
        hunks,
        lines_left_out,
        ..
    } = content_change(lines("a").as_bytes(), lines("b").as_bytes())
    else {
        panic!("expected lines");
    };
    assert_eq!(hunks[0].lines.len() + lines_left_out, 12_000);
    assert_eq!(hunks[0].lines.len(), MOST_LINES_TOLD);
}

#[test]
fn a_very_long_line_is_cut_in_text_and_whole_in_json() {
    let before = format!("{}\n", "x".repeat(10_000));
    let change = content_change(before.as_bytes(), b"y\n");
    assert!(change.to_string().len() < 1_000);
    assert!(serde_json::to_string(&change).unwrap().len() > 10_000);
}

/// Does what a unified diff says.
fn apply(before: &str, change: &ContentChange) -> String {
    let ContentChange::Text { hunks, .. } = change else {
        panic!("expected lines");
    };
    let old: Vec<&str> = before.split_inclusive('\n').collect();
    let (mut result, mut at) = (String::new(), 0);
    for hunk in hunks {
        let start = if hunk.before.1 == 0 {
            hunk.before.0
        } else {
            hunk.before.0 - 1
        };
        result.extend(old[at..start].iter().copied());
        at = start;
        let mut marks = Vec::new();
        for line in &hunk.lines {
            match line.split_at(1) {
                ("\\", _) => drop(
                    marks
                        .pop()
                        .filter(|mark| *mark != '-')
                        .map(|_| result.pop()),
                ),
                (mark, text) => {
                    let mark = mark.chars().next().unwrap();
                    at += usize::from(mark != '+');
                    if mark != '-' {
                        result.push_str(text);
                        result.push('\n');
                    }
                    marks.push(mark);
                }
            }
        }
    }
    result.extend(old[at..].iter().copied());
    result
}

proptest! {
    #[test]
    fn a_diff_leads_from_one_text_to_the_other(
        before in proptest::collection::vec("[abc]{0,2}", 0..30),
        after in proptest::collection::vec("[abc]{0,2}", 0..30),
        breaks: (bool, bool),
    ) {
        let text = |lines: &[String], last_break| lines.join("\n") + if last_break { "\n" } else { "" };
        let (before, after) = (text(&before, breaks.0), text(&after, breaks.1));
        prop_assume!(before != after);
        let change = content_change(before.as_bytes(), after.as_bytes());
        if change != ContentChange::LineEndings {
            prop_assert_eq!(apply(&before, &change), after);
        }
    }

    #[test]
    fn any_bytes_can_be_compared(before: Vec<u8>, after in "\\PC*", notebook in "\\{\"nbformat\":4,\"cells\":\\[.{0,20}") {
        for (a, b) in [(&before[..], after.as_bytes()), (after.as_bytes(), notebook.as_bytes())] {
            let change = content_change(a, b);
            prop_assert!(!change.to_string().is_empty() || a == b);
        }
    }
}
