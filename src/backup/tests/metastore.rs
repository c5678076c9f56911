//! The Hive metastore, by both ways.

use super::*;
use crate::manifest::{Databases, Extent};
use crate::sandbox::{Effect, Faults, Rule};
use crate::sql::{Place, Profiles, Way};
use serde_json::{Value, json};

impl Bench {
    fn warehouse(&self) -> Way {
        Way::Warehouse("Starter Warehouse".into())
    }

    fn cluster(&self) -> Way {
        let states = self.running.workspace.cluster_states();
        let name = states.keys().find(|name| *name != "shared-etl");
        Way::Cluster(name.unwrap().clone())
    }

    /// Backs up the metastore alone, or these databases of it.
    async fn backup_metastore(&self, way: Way, databases: &[&str]) -> BackupReport {
        let heard: Arc<dyn Reporter> = self.heard.clone();
        let place = Arc::new(Place::new(self.client.clone(), way, heard));
        let kinds = [
            "metastore-securable",
            "database",
            "table",
            "view",
            "function",
        ];
        let options = BackupOptions {
            metastore: Some(Arc::clone(&place)),
            selection: Selection {
                metastore: Some(Databases {
                    only: databases.iter().map(ToString::to_string).collect(),
                }),
                ..only(&kinds)
            },
            ..self.options()
        };
        let report = self.try_backup(options).await.unwrap();
        place.close().await.unwrap();
        report
    }

    fn body(&self, report: &BackupReport, kind: &'static str, name: &str) -> Value {
        let entry = entry(&self.store, report, kind, name);
        let body = entry.unwrap_or_else(|| panic!("no {kind} {name}")).body;
        serde_json::from_slice(&body.unwrap().read(&self.store).unwrap()).unwrap()
    }

    fn permissions(&self, report: &BackupReport, kind: &'static str, name: &str) -> Value {
        let permissions = entry(&self.store, report, kind, name).unwrap().permissions;
        serde_json::from_slice(&permissions.unwrap().read(&self.store).unwrap()).unwrap()
    }
}

fn names(store: &Store, report: &BackupReport) -> Vec<String> {
    let entries = entries(store, report).into_iter();
    entries.map(|entry| entry.key.to_string()).collect()
}

#[tokio::test]
async fn everything_in_the_metastore_becomes_an_object_and_both_ways_give_the_same_manifest() {
    let bench = Bench::small().await;
    let by_warehouse = bench.backup_metastore(bench.warehouse(), &[]).await;
    assert!(by_warehouse.snapshot.complete, "{:?}", gaps(&by_warehouse));
    let by_cluster = bench.backup_metastore(bench.cluster(), &[]).await;
    assert_eq!(by_warehouse.snapshot.root, by_cluster.snapshot.root);
    let found = names(&bench.store, &by_warehouse);
    for wanted in [
        "database select",
        "table select.from",
        "table sales.order",
        "view sales.z_base",
        "view select.union",
        "function sales.gross",
        "metastore-securable any file",
    ] {
        assert!(
            found.iter().any(|name| name == wanted),
            "{wanted} of {found:?}"
        );
    }
}

#[tokio::test]
async fn bodies_hold_what_makes_an_object_again_with_every_quote_and_backslash() {
    let bench = Bench::small().await;
    let report = bench.backup_metastore(bench.warehouse(), &[]).await;
    assert_eq!(
        bench.body(&report, "table", "sales.customers"),
        json!({
            "type": "MANAGED", "provider": "parquet", "comment": "客户", "owner": "ana@example.com",
            "definition": "(\n  id BIGINT,\n  `full name` STRING COMMENT 'it\\'s a \\\\ backslash',\n  \
                address STRUCT<street: STRING, `zip code`: STRING>)\nUSING parquet",
        })
    );
    let csv = bench.body(&report, "table", "staging.raw_csv");
    assert_eq!(csv["location"], "s3://acme-raw/staging/raw csv");
    assert!(
        csv["definition"]
            .as_str()
            .unwrap()
            .contains("'escape' = '\\\\'"),
        "{csv}"
    );
    let events = bench.body(&report, "table", "staging.events");
    assert_eq!(events["partitions"], 2);
    assert_eq!(
        events.get("properties"),
        None,
        "the time of the last change is no property"
    );
    let order = bench.body(&report, "table", "sales.order");
    assert_eq!(order["properties"], json!({"path": "C:\\data\\"}));
    let union = bench.body(&report, "view", "select.union");
    assert_eq!(
        (&union["namespace"], &union["query"]),
        (&json!("sales"), &json!("SELECT id, customer FROM orders"))
    );
    let sales = bench.body(&report, "database", "sales");
    assert_eq!(sales["comment"], "Orders & Kunden: it's \"gold\"");
    assert_eq!(sales.get("location"), None, "it lies where its name says");
}

#[tokio::test]
async fn rights_are_kept_with_the_object_they_were_granted_on_and_owners_are_principals() {
    let bench = Bench::small().await;
    let report = bench.backup_metastore(bench.warehouse(), &[]).await;
    assert_eq!(
        bench.permissions(&report, "table", "sales.orders"),
        json!({"group:analysts": "READ_METADATA, SELECT",
            "service-principal:b7f5c2f0-3a52-4c0f-9a57-0f2f6f6c8b11": "MODIFY"})
    );
    assert_eq!(
        bench.body(&report, "table", "sales.orders")["owner"],
        "data-eng"
    );
    assert_eq!(
        bench.permissions(&report, "table", "sales.customers"),
        json!({"group:analysts": "DENIED_SELECT"})
    );
    assert_eq!(
        bench.permissions(&report, "metastore-securable", "catalog"),
        json!({"group:users": "USAGE"})
    );
    assert_eq!(
        bench.permissions(&report, "view", "sales.z_base"),
        json!({})
    );
    assert_eq!(
        bench.body(&report, "function", "sales.net")["owner"],
        "ana@example.com"
    );
}

#[tokio::test]
async fn without_table_acls_nothing_is_said_of_rights_unless_there_were_some_before() {
    let bench = Bench::small().await;
    bench.running.workspace.set_table_acls(false);
    let report = bench.backup_metastore(bench.warehouse(), &[]).await;
    assert!(report.snapshot.complete, "{:?}", gaps(&report));
    assert!(
        entry(&bench.store, &report, "table", "sales.orders")
            .unwrap()
            .permissions
            .is_none()
    );
    assert!(bench.heard.any("there are no table ACLs here"));
    bench.running.workspace.set_table_acls(true);
    let before = bench.backup_metastore(bench.warehouse(), &[]).await;
    let granted = bench.permissions(&before, "table", "sales.orders");
    bench.running.workspace.set_table_acls(false);
    let after = bench.backup_metastore(bench.warehouse(), &[]).await;
    assert!(!after.snapshot.complete);
    assert_eq!(
        bench.permissions(&after, "table", "sales.orders"),
        granted,
        "taken over"
    );
}

#[tokio::test]
async fn tables_that_fail_are_gaps_with_the_words_of_the_server_and_keep_what_was_known() {
    let bench = Bench::small().await;
    let workspace = &bench.running.workspace;
    for number in 0..300 {
        let table = format!("CREATE TABLE staging.t{number} (a INT) USING parquet");
        workspace.sql(&table).unwrap();
    }
    let before = bench.backup_metastore(bench.warehouse(), &[]).await;
    workspace.set_faults(Faults {
        tables: 0.03,
        ..Faults::default()
    });
    let after = bench.backup_metastore(bench.warehouse(), &[]).await;
    let broken: Vec<_> = entries(&bench.store, &after)
        .into_iter()
        .filter(|entry| entry.gap.is_some())
        .collect();
    assert!((3..20).contains(&broken.len()), "{} of 300", broken.len());
    for entry in broken {
        let gap = entry.gap.unwrap();
        assert_eq!(gap.extent, Extent::Object);
        assert!(
            gap.reason.contains("FileNotFoundException"),
            "{}",
            gap.reason
        );
        assert!(entry.body.is_some() && entry.carried_over, "{}", entry.key);
    }
    assert_eq!(
        before.snapshot.kinds["table"].entries,
        after.snapshot.kinds["table"].entries
    );
}

#[tokio::test]
async fn what_was_not_selected_is_never_taken_as_deleted() {
    let bench = Bench::small().await;
    let all = bench.backup_metastore(bench.warehouse(), &[]).await;
    let some = bench.backup_metastore(bench.warehouse(), &["SALES"]).await;
    let found = names(&bench.store, &some);
    assert!(found.iter().any(|name| name == "table sales.orders"));
    assert!(
        !found.iter().any(|name| name.contains("staging")),
        "{found:?}"
    );
    assert_eq!(some.counts["table"].removed, 0);
    let none = bench.backup().await;
    assert!(!none.counts.contains_key("table"));
    assert!(
        !none
            .snapshot
            .selection
            .covers(&ObjectKey::new(KindName::known("table"), "sales.orders"))
    );
    let again = bench.backup_metastore(bench.warehouse(), &[]).await;
    assert_eq!(
        again.snapshot.parent,
        Some(all.id),
        "the last one that has all of it"
    );
}

#[tokio::test]
async fn a_place_that_cannot_be_used_makes_the_metastore_unknown_and_the_rest_goes_on() {
    let bench = Bench::small().await;
    let before = bench.backup_metastore(bench.warehouse(), &[]).await;
    let nowhere = Way::Warehouse("gone".into());
    let after = bench.backup_metastore(nowhere, &[]).await;
    assert!(!after.snapshot.complete);
    assert!(
        gaps(&after)[0].contains("there is no warehouse `gone`"),
        "{:?}",
        gaps(&after)
    );
    let table = entry(&bench.store, &after, "table", "sales.orders").unwrap();
    assert!(table.carried_over);
    assert_eq!(
        table.body,
        entry(&bench.store, &before, "table", "sales.orders")
            .unwrap()
            .body
    );
}

#[tokio::test]
async fn an_unchanged_metastore_adds_nothing() {
    let bench = Bench::small().await;
    bench.backup_metastore(bench.warehouse(), &[]).await;
    let second = bench.backup_metastore(bench.warehouse(), &[]).await;
    for (kind, counts) in &second.counts {
        assert_eq!(
            (counts.new, counts.changed, counts.removed),
            (0, 0, 0),
            "{kind}"
        );
    }
}

const PROFILES: [&str; 2] = [
    "arn:aws:iam::123456789012:instance-profile/etl",
    "arn:aws:iam::123456789012:instance-profile/finance",
];

#[tokio::test]
async fn tables_that_one_instance_profile_may_not_read_are_read_with_the_next() {
    let bench = Bench::small().await;
    let workspace = &bench.running.workspace;
    let second = json!({"instance_profile_arn": PROFILES[1], "skip_validation": true});
    workspace.call("POST", "/api/2.0/instance-profiles/add", second);
    let before = workspace.cluster_states();
    workspace.lock_table("sales", "orders", PROFILES[0]);
    workspace.lock_table("sales", "customers", PROFILES[1]);
    workspace.lock_table(
        "staging",
        "events",
        "arn:aws:iam::123456789012:instance-profile/gone",
    );
    let report = bench
        .backup_metastore(Way::Launched(Profiles::All), &[])
        .await;
    let gaps = gaps(&report);
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(
        gaps[0].contains("staging.events") && gaps[0].contains("Access Denied"),
        "{gaps:?}"
    );
    for table in ["sales.orders", "sales.customers", "select.from"] {
        assert_ne!(bench.body(&report, "table", table), json!({}));
    }
    assert_eq!(
        workspace.cluster_states(),
        before,
        "what was launched is gone"
    );
    assert_eq!(workspace.requests().to("POST /api/2.1/clusters/create"), 2);
    let named = Profiles::Named(vec![PROFILES[1].to_owned()]);
    let report = bench.backup_metastore(Way::Launched(named), &[]).await;
    let gaps = self::gaps(&report);
    assert_eq!(gaps.len(), 2, "{gaps:?}");
    assert!(gaps[0].contains("sales.orders"), "{gaps:?}");
}

#[tokio::test]
async fn what_is_launched_gives_the_manifest_of_the_other_ways_and_is_no_cluster_of_the_workspace()
{
    let bench = Bench::small().await;
    let by_warehouse = bench.backup_metastore(bench.warehouse(), &[]).await;
    let launched = || Way::Launched(Profiles::Named(Vec::new()));
    let report = bench.backup_metastore(launched(), &[]).await;
    assert_eq!(report.snapshot.root, by_warehouse.snapshot.root);
    // A whole backup looks for clusters while there is one more.
    let place = Place::new(bench.client.clone(), launched(), bench.heard.clone());
    place.open().await.unwrap();
    let whole = bench.try_backup(bench.options()).await.unwrap();
    let names = names(&bench.store, &whole);
    assert!(
        names.iter().any(|name| name.starts_with("cluster ")),
        "{names:?}"
    );
    assert!(
        !names.iter().any(|name| name.starts_with("cluster dbsnap")),
        "{names:?}"
    );
    // A killed run leaves it; it ends by itself, and the next launch removes it.
    let states = bench.running.workspace.cluster_states();
    assert_eq!(states.get("dbsnap metastore"), Some(&"RUNNING"));
    let (_, listed) = bench
        .running
        .workspace
        .call("GET", "/api/2.1/clusters/list", json!({}));
    let listed = listed["clusters"].as_array().unwrap();
    let id = &listed
        .iter()
        .find(|cluster| cluster["cluster_name"] == "dbsnap metastore")
        .unwrap()["cluster_id"];
    let body = json!({"cluster_id": id});
    bench
        .running
        .workspace
        .call("POST", "/api/2.1/clusters/delete", body);
    for _ in 0..3 {
        // It takes a few looks to end.
        bench
            .running
            .workspace
            .call("GET", "/api/2.1/clusters/list", json!({}));
    }
    bench.backup_metastore(launched(), &["sales"]).await;
    assert!(
        !bench
            .running
            .workspace
            .cluster_states()
            .contains_key("dbsnap metastore")
    );
}

#[tokio::test]
async fn where_there_are_no_clusters_with_table_acls_another_is_launched() {
    let bench = Bench::small().await;
    let refused = Effect::Refuse {
        status: 400,
        code: "INVALID_PARAMETER_VALUE".into(),
        message: "LEGACY_TABLE_ACL is not supported".into(),
    };
    let rule = Rule::new("/api/2.1/clusters/create", refused).times(1);
    bench.running.workspace.inject(rule);
    let way = Way::Launched(Profiles::Named(Vec::new()));
    let report = bench.backup_metastore(way, &["sales"]).await;
    assert!(report.snapshot.complete, "{:?}", gaps(&report));
}
