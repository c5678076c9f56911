//! Heads as they are written, read and listed.

use chrono::DateTime;

use crate::manifest::testing::{notebook, store, tree, with_gap};
use crate::manifest::*;
use crate::store::Store;

fn snapshot(store: &Store) -> Snapshot {
    let gapped = with_gap(notebook("/b", 1), Extent::Content, "403 PERMISSION_DENIED");
    let tree = tree(store, [notebook("/a", 1), gapped]);
    let time = DateTime::parse_from_rfc3339("2024-05-31T18:00:00.75Z")
        .unwrap()
        .to_utc();
    let mut snapshot = Snapshot::of(&tree, time, "https://example.cloud.databricks.com").unwrap();
    snapshot.store = "0".repeat(32);
    snapshot.tool_version = "0.1.0".into();
    snapshot
}

#[test]
fn a_head_is_a_page_that_a_person_can_read() {
    let (_dir, store) = store();
    let mut snapshot = snapshot(&store);
    snapshot.workspace_id = Some("1234567890".into());
    snapshot.parent = Some(crate::store::SnapshotId::of(b"parent"));
    snapshot.selection.skip = vec!["dbfs-file".into()];
    insta::assert_snapshot!(String::from_utf8(snapshot.to_bytes()).unwrap(), @r#"
    {
      "format": 1,
      "time": "2024-05-31T18:00:00.750Z",
      "host": "https://example.cloud.databricks.com",
      "workspace_id": "1234567890",
      "cloud": null,
      "complete": false,
      "parent": "ebdea6058df2230dc25b7a7c7b487b470c508c2e0a5119c96893c443de3a9e79",
      "selection": {
        "skip": [
          "dbfs-file"
        ]
      },
      "kinds": {
        "notebook": {
          "entries": 2,
          "bytes": 62,
          "gaps": 1
        }
      },
      "gaps": {
        "count": 1,
        "first": [
          {
            "kind": "notebook",
            "name": "/b",
            "extent": "content",
            "reason": "403 PERMISSION_DENIED"
          }
        ]
      },
      "tags": [],
      "hostname": "",
      "user": "",
      "tool_version": "0.1.0",
      "duration_ms": 0,
      "requests": 0,
      "store": "00000000000000000000000000000000",
      "root": {
        "node": "3a2b18a27df9ec5a39c157c82dbc42727759c1c1da9d9b9387e1f0ecc8188e58",
        "levels": 1,
        "entries": 2,
        "bytes": 62,
        "gaps": 1
      }
    }
    "#);
    assert_eq!(Snapshot::parse(&snapshot.to_bytes()).unwrap(), snapshot);
}

#[test]
fn what_a_newer_version_wrote_into_a_head_survives() {
    let (_dir, store) = store();
    let mut json: serde_json::Value = serde_json::from_slice(&snapshot(&store).to_bytes()).unwrap();
    json["moon"] = "full".into();
    json["gaps"]["moon"] = 1.into();
    json["gaps"]["first"][0]["moon"] = 2.into();
    json["selection"]["moon"] = 3.into();
    json["kinds"]["notebook"]["moon"] = 4.into();
    json["root"]["moon"] = 5.into();
    let parsed = Snapshot::parse(json.to_string().as_bytes()).unwrap();
    let again: serde_json::Value = serde_json::from_slice(&parsed.to_bytes()).unwrap();
    assert_eq!(again, json);
}

#[test]
fn a_head_of_a_newer_format_is_refused_by_name() {
    let (_dir, store) = store();
    let mut json: serde_json::Value = serde_json::from_slice(&snapshot(&store).to_bytes()).unwrap();
    json["format"] = 2.into();
    let error = Snapshot::parse(json.to_string().as_bytes()).unwrap_err();
    assert!(
        matches!(error, ManifestError::NewerHead { format: 2 }),
        "{error}"
    );
    assert!(matches!(
        Snapshot::parse(b"{"),
        Err(ManifestError::BadHead(_))
    ));
    assert!(matches!(
        Snapshot::parse(b"{\"format\":1}"),
        Err(ManifestError::BadHead(_))
    ));
}

#[test]
fn a_damaged_head_hides_no_other() {
    let (_dir, store) = store();
    let snapshot = snapshot(&store);
    store
        .writer()
        .unwrap()
        .commit(&snapshot.to_bytes(), snapshot.time)
        .unwrap();
    store
        .writer()
        .unwrap()
        .commit(b"{}", snapshot.time)
        .unwrap();
    store
        .writer()
        .unwrap()
        .stage_pending(&snapshot.clone().unfinished().to_bytes(), snapshot.time)
        .unwrap();
    let listing = snapshots(&store).unwrap();
    assert_eq!(listing.snapshots.len(), 1);
    assert_eq!(listing.snapshots[0].snapshot, snapshot);
    assert_eq!(listing.snapshots[0].name.id, snapshot.id());
    assert_eq!(listing.unreadable.len(), 1);
    let begun = pending(&store).unwrap();
    assert!(begun.snapshots[0].snapshot.unfinished && !begun.snapshots[0].snapshot.complete);
}

#[test]
fn workspaces_are_the_same_by_id_and_else_by_host() {
    let (_dir, store) = store();
    let a = snapshot(&store);
    let mut b = a.clone();
    assert!(a.is_same_workspace(&b));
    b.workspace_id = Some("1".into());
    assert!(a.is_same_workspace(&b), "only one id is known");
    let mut c = b.clone();
    c.workspace_id = Some("2".into());
    assert!(!b.is_same_workspace(&c));
    assert_eq!(
        (a.workspace(), c.workspace()),
        ("https://example.cloud.databricks.com", "2")
    );
}
