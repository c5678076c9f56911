//! Folders exported as archives.

use std::io::{Cursor, Read};

use serde_json::json;

use super::Client;
use super::tree::JUPYTER;
use crate::sandbox::notebook;

#[tokio::test]
async fn a_folder_exports_as_an_archive_of_its_notebooks_and_files() {
    let client = Client::empty().await;
    let workspace = &client.running.workspace;
    workspace.put_notebook(
        "/Shared/d/deep/é",
        "SQL",
        "-- Databricks notebook source\nselect 1",
    );
    workspace.put_jupyter("/Shared/d/j", JUPYTER);
    workspace.put_file("/Shared/d/readme.md", b"# hi");
    // Both would be `x.py`: only one of them is in.
    workspace.put_notebook("/Shared/d/x", "PYTHON", "1");
    workspace.put_file("/Shared/d/x.py", b"2");
    assert_eq!(
        members(&client.export("/Shared/d", "AUTO").await),
        [
            (
                "deep/é.sql".into(),
                b"-- Databricks notebook source\nselect 1".to_vec()
            ),
            ("j.ipynb".into(), JUPYTER.as_bytes().to_vec()),
            ("readme.md".into(), b"# hi".to_vec()),
            ("x.py".into(), b"1".to_vec()),
        ]
    );
    let as_source = members(&client.export("/Shared/d", "SOURCE").await);
    let names: Vec<&str> = as_source.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["deep/é.sql", "j.py", "x.py"]);
    let source = notebook::to_source(JUPYTER.as_bytes(), crate::sandbox::state::Language::Python);
    assert_eq!(as_source[1].1, source.as_bytes());
}

#[tokio::test]
async fn an_archive_over_the_limit_is_refused_as_a_whole() {
    let client = Client::empty().await;
    let words = (0..(6u64 << 20) / 8).map(crate::sandbox::state::mix);
    let noise: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    client.running.workspace.put_file("/Shared/d/a.bin", &noise);
    let export = "/api/2.0/workspace/export?path=/Shared/d&format=AUTO&direct_download=true";
    assert_eq!(
        client.request("GET", export).send().await.unwrap().status(),
        200
    );
    client.running.workspace.put_file("/Shared/d/b.bin", &noise);
    let (status, body) = client.get(export).await;
    assert_eq!(
        (status, &body["error_code"]),
        (400, &json!("MAX_NOTEBOOK_SIZE_EXCEEDED"))
    );
}

/// The members of an archive, by name.
fn members(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut members: Vec<(String, Vec<u8>)> = (0..archive.len())
        .map(|index| {
            let mut member = archive.by_index(index).unwrap();
            let mut bytes = Vec::new();
            member.read_to_end(&mut bytes).unwrap();
            (member.name().unwrap().to_string(), bytes)
        })
        .collect();
    members.sort();
    members
}
