//! The Hive metastore: databases, tables, functions, views and rights, by both ways.

use serde_json::json;

use super::law::{BEYOND_REACH, whole};
use super::*;
use crate::manifest::Databases;
use crate::mapping::Table;
use crate::restore::{Action, OnConflict, Step, undo};
use crate::sandbox::{Effect, Rule};
use crate::sql;

/// How statements are run in both workspaces.
#[derive(Clone, Copy)]
enum Way {
    Warehouse,
    Cluster,
}

impl Place {
    /// What runs statements there; made first, where there is none.
    fn sql(&self, way: Way) -> Arc<sql::Place> {
        let workspace = self.workspace();
        let way = match way {
            Way::Warehouse => {
                let body = json!({"name": "by tests"});
                workspace.call("POST", "/api/2.0/sql/warehouses", body);
                sql::Way::Warehouse("by tests".into())
            }
            Way::Cluster => {
                let body = json!({"cluster_name": "by tests", "spark_version": "15.4.x-scala2.12",
                    "node_type_id": "i3.xlarge", "num_workers": 1});
                let (_, made) = workspace.call("POST", "/api/2.1/clusters/create", body);
                sql::Way::Cluster(made["cluster_id"].as_str().unwrap().to_owned())
            }
        };
        Arc::new(sql::Place::new(self.client.clone(), way, Arc::new(Silent)))
    }
}

/// A bench whose workspaces run statements.
struct WithSql {
    bench: Bench,
    from: Arc<sql::Place>,
    to: Arc<sql::Place>,
}

impl WithSql {
    async fn new(sample: Sample, way: Way) -> Self {
        let bench = Bench::new(sample).await;
        Self {
            from: bench.from.sql(way),
            to: bench.to.sql(way),
            bench,
        }
    }

    /// Runs statements in one of the workspaces.
    fn run(place: &super::Place, statements: &[&str]) {
        for statement in statements {
            place.workspace().sql(statement).unwrap();
        }
    }

    async fn read(
        &self,
        place: &super::Place,
        selection: &Selection,
        sql: &Arc<sql::Place>,
    ) -> Source {
        let options = BackupOptions {
            metastore: Some(Arc::clone(sql)),
            ..self.bench.options(selection)
        };
        let reporter: Arc<dyn Reporter> = Arc::new(Silent);
        let store = &self.bench.store;
        let (store, report) = backup::capture(&place.client, store, options, &reporter)
            .await
            .unwrap();
        Source {
            store,
            id: report.id,
            snapshot: report.snapshot,
        }
    }

    fn everything(&self) -> Selection {
        Selection {
            secret_values: self.bench.store.is_encrypted(),
            mounts: false,
            ..Selection::all()
        }
    }

    async fn backup(&self) -> Source {
        self.read(&self.bench.from, &self.everything(), &self.from)
            .await
    }

    /// What is in the target.
    async fn target(&self) -> Source {
        self.read(&self.bench.to, &self.everything(), &self.to)
            .await
    }

    async fn restore(&self, source: &Source, options: &Options) -> RestoreReport {
        let bench = &self.bench;
        let journal = bench.dir.path().join(format!("{}.jsonl", source.id));
        let task = Task {
            metastore: Some(&self.to),
            ..bench.task(source, options, &journal, false)
        };
        let capture = async |selection: &Selection| {
            Ok::<_, BackupError>(self.read(&bench.to, selection, &self.to).await)
        };
        run(task, capture, |_| true).await.unwrap()
    }
}

/// Everything, with statements.
fn with_sql() -> Options {
    Options {
        runs_statements: true,
        ..whole()
    }
}

/// The metastore alone.
fn only_metastore() -> Options {
    let mut options = with_sql();
    let kinds = [
        "metastore-securable",
        "database",
        "table",
        "function",
        "view",
    ];
    options.selection.only = kinds.map(str::to_owned).into();
    options
}

fn step<'p>(plan: &'p Plan, kind: &str, name: &str) -> &'p Step {
    let mut steps = plan.steps.iter();
    let found = steps.find(|step| step.kind == kind && step.name == name);
    found.unwrap_or_else(|| panic!("no step for {kind} {name}"))
}

async fn law(way: Way) {
    let world = WithSql::new(Sample::Small, way).await;
    let source = world.backup().await;
    let report = world.restore(&source, &with_sql()).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    let target = world.target().await;
    let found = world
        .bench
        .differences_to(&source, &target, &report.plan.mapping)
        .await;
    let found: Vec<_> = found
        .into_iter()
        .filter(|one| !one.contains("by tests"))
        .collect();
    // Partitions come with the data.
    let partitions = "changed table staging.events: partitions".to_owned();
    let mut expected: Vec<String> = BEYOND_REACH.iter().map(ToString::to_string).collect();
    expected.push(partitions);
    let sorted = |mut list: Vec<String>| {
        list.sort();
        list
    };
    assert_eq!(sorted(found), sorted(expected));
    // A second run finds everything in its place.
    let again = world.restore(&source, &with_sql()).await;
    let is_of_metastore = |step: &&Step| step.kind().securable().is_some();
    let steps = again.plan.steps.iter().filter(is_of_metastore);
    let writing: Vec<_> = steps
        .filter(|step| step.action.writes())
        .map(|step| &step.target)
        .collect();
    assert_eq!(writing, Vec::<&String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_metastore_restored_by_a_warehouse_is_as_it_was() {
    law(Way::Warehouse).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_metastore_restored_by_a_cluster_is_as_it_was() {
    law(Way::Cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_of_views_are_made_whatever_their_order_and_one_that_cannot_be_is_told_once() {
    let world = WithSql::new(Sample::Empty, Way::Warehouse).await;
    let from = &world.bench.from;
    WithSql::run(
        from,
        &["CREATE DATABASE d", "CREATE TABLE d.t (a INT) USING csv"],
    );
    for number in (0..20).rev() {
        let below = match number {
            19 => "d.t".to_owned(),
            _ => format!("d.v{:02}", number + 1),
        };
        WithSql::run(
            from,
            &[&format!(
                "CREATE VIEW d.v{number:02} AS SELECT a FROM {below}"
            )],
        );
    }
    let source = world.backup().await;
    // Its table is not selected, so that one chain of views has nothing to stand on.
    let report = world.restore(&source, &only_metastore()).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    let views = world.bench.to.workspace().sql("SHOW VIEWS IN d").unwrap();
    assert_eq!(views.len(), 20);
    let stage = |number: usize| step(&report.plan, "view", &format!("d.v{number:02}")).stage;
    assert!((1..20).all(|number| stage(number) < stage(number - 1)));

    let other = WithSql::new(Sample::Empty, Way::Warehouse).await;
    let mut views_only = only_metastore();
    views_only.selection.only = ["database", "view"].map(str::to_owned).into();
    let report = other.restore(&source, &views_only).await;
    let failed = failures(&report);
    assert_eq!(failed.len(), 20, "{failed:?}");
    assert!(
        failed[0].contains("TABLE_OR_VIEW_NOT_FOUND"),
        "{}",
        failed[0]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_whose_queries_seem_to_need_each_other_are_made_all_the_same() {
    let world = WithSql::new(Sample::Empty, Way::Warehouse).await;
    WithSql::run(
        &world.bench.from,
        &[
            "CREATE DATABASE d",
            "CREATE TABLE d.t (a INT) USING csv",
            "CREATE VIEW d.a AS SELECT d.c FROM d.t AS d",
            "CREATE VIEW d.b AS SELECT * FROM d.a",
            "CREATE VIEW d.c AS SELECT * FROM d.b",
        ],
    );
    let source = world.backup().await;
    let report = world.restore(&source, &only_metastore()).await;
    // The first of them looks as if it needed the last.
    let stage = |name: &str| step(&report.plan, "view", name).stage;
    assert!(stage("d.b") < stage("d.a"));
    assert_eq!(failures(&report), Vec::<String>::new());
    let views = world.bench.to.workspace().sql("SHOW VIEWS IN d").unwrap();
    assert_eq!(views.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_table_that_is_there_only_comment_and_properties_change_and_views_are_replaced() {
    let world = WithSql::new(Sample::Empty, Way::Warehouse).await;
    let same = ["CREATE DATABASE d", "CREATE TABLE d.t (a INT) USING csv"];
    WithSql::run(&world.bench.from, &same);
    WithSql::run(&world.bench.to, &same);
    WithSql::run(
        &world.bench.from,
        &[
            "CREATE TABLE d.words (a INT) USING csv COMMENT 'ours' TBLPROPERTIES ('k' = 'v', 'both' = '1')",
            "CREATE TABLE d.columns (a BIGINT) USING csv",
            "CREATE VIEW d.v AS SELECT a FROM d.t",
        ],
    );
    WithSql::run(
        &world.bench.to,
        &[
            "CREATE TABLE d.words (a INT) USING csv COMMENT 'theirs' TBLPROPERTIES ('other' = 'x', 'both' = '1')",
            "CREATE TABLE d.columns (a INT) USING csv",
            "CREATE VIEW d.v (b) AS SELECT a FROM d.t",
        ],
    );
    let source = world.backup().await;
    let skipping = Options {
        on_conflict: OnConflict::Skip,
        ..only_metastore()
    };
    let report = world.restore(&source, &skipping).await;
    for (kind, name) in [
        ("table", "d.words"),
        ("table", "d.columns"),
        ("view", "d.v"),
    ] {
        assert_eq!(
            step(&report.plan, kind, name).action,
            Action::Conflict,
            "{name}"
        );
    }
    let report = world.restore(&source, &only_metastore()).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    let columns = step(&report.plan, "table", "d.columns");
    assert_eq!(columns.action, Action::Conflict);
    assert!(
        columns
            .reason
            .contains("could only be changed by dropping it"),
        "{}",
        columns.reason
    );
    let rows = |statement: &str| world.bench.to.workspace().sql(statement).unwrap();
    let text = |statement: &str| format!("{:?}", rows(statement));
    assert!(text("SHOW CREATE TABLE d.columns").contains("a INT"));
    let words = text("SHOW CREATE TABLE d.words");
    assert!(
        words.contains("ours") && words.contains("'k' = 'v'") && !words.contains("other"),
        "{words}"
    );
    assert!(text("DESCRIBE TABLE EXTENDED d.v").contains("Some(\"a\")"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_follow_their_people_and_nobody_keeps_more_than_the_snapshot_says() {
    let world = WithSql::new(Sample::Empty, Way::Warehouse).await;
    world.bench.from.workspace().add_user("ana@old.com");
    world.bench.to.workspace().add_user("ana@new.com");
    world.bench.to.workspace().add_user("eve@new.com");
    let same = ["CREATE DATABASE d", "CREATE TABLE d.t (a INT) USING csv"];
    WithSql::run(&world.bench.from, &same);
    WithSql::run(&world.bench.to, &same);
    WithSql::run(
        &world.bench.from,
        &[
            "GRANT SELECT, MODIFY ON TABLE d.t TO `ana@old.com`",
            "DENY CREATE ON DATABASE d TO `ana@old.com`",
            "ALTER TABLE d.t OWNER TO `ana@old.com`",
            "GRANT SELECT ON ANY FILE TO `users`",
            "GRANT SELECT ON TABLE d.t TO `left@old.com`",
            "CREATE FUNCTION d.f AS 'org.example.F'",
            "ALTER FUNCTION d.f OWNER TO `ana@old.com`",
        ],
    );
    // Who left is no user any more, and keeps the grants that the metastore remembers on both sides.
    WithSql::run(
        &world.bench.to,
        &[
            "GRANT SELECT ON TABLE d.t TO `eve@new.com`",
            "GRANT SELECT ON TABLE d.t TO `left@new.com`",
        ],
    );
    let mut options = only_metastore();
    options
        .mapping
        .add_pair(Table::Domains, "old.com=new.com")
        .unwrap();
    let source = world.backup().await;
    let report = world.restore(&source, &options).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    let grants = |on: &str| {
        let rows = world
            .bench
            .to
            .workspace()
            .sql(&format!("SHOW GRANTS ON {on}"))
            .unwrap();
        let cell = |row: &Vec<Option<String>>, at: usize| row[at].clone().unwrap_or_default();
        let own = rows
            .iter()
            .filter(|row| !on.contains("TABLE") || cell(row, 2) == "TABLE");
        own.map(|row| format!("{} {}", cell(row, 0), cell(row, 1)))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        grants("TABLE d.t"),
        [
            "ana@new.com MODIFY",
            "ana@new.com SELECT",
            "left@new.com SELECT",
            "ana@new.com OWN"
        ]
    );
    assert_eq!(grants("DATABASE d")[0], "ana@new.com DENIED_CREATE");
    assert_eq!(grants("ANY FILE"), ["users SELECT"]);
    assert_eq!(grants("FUNCTION d.f")[0], "ana@new.com OWN");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_anything_that_runs_statements_everything_is_skipped_with_the_reason() {
    let world = WithSql::new(Sample::Small, Way::Warehouse).await;
    let source = world.backup().await;
    let report = world.bench.restore(&source, &whole()).await;
    assert!(report.is_partial);
    let orders = step(&report.plan, "table", "sales.orders");
    assert_eq!(orders.action, Action::Skipped);
    assert!(orders.reason.contains("--warehouse"), "{}", orders.reason);
    assert_eq!(world.bench.to.workspace().requests().to("sql/"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_without_table_acls_gets_the_tables_and_is_told_what_is_lost() {
    let world = WithSql::new(Sample::Small, Way::Warehouse).await;
    world.bench.to.workspace().set_table_acls(false);
    let source = world.backup().await;
    let report = world.restore(&source, &only_metastore()).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    let orders = step(&report.plan, "table", "sales.orders");
    assert_eq!(orders.action, Action::Create);
    assert!(
        orders.lost[0].contains("no table ACLs"),
        "{:?}",
        orders.lost
    );
    assert!(report.is_partial);
    let again = world.restore(&source, &only_metastore()).await;
    assert!(
        !again.plan.changes_anything(),
        "{:?}",
        odd_steps(&again.plan)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_whose_answer_was_lost_is_no_failure_and_nothing_is_made_twice() {
    let world = WithSql::new(Sample::Small, Way::Warehouse).await;
    let source = world.backup().await;
    let lost = Rule::new("/api/2.0/sql/statements", Effect::LoseAnswer).method("POST");
    let mut options = only_metastore();
    options.selection.metastore = Some(Databases {
        only: vec!["sales".into()],
    });
    // The first statements of all read what is there, and are repeated.
    world.bench.to.workspace().inject(lost.times(40));
    let report = world.restore(&source, &options).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    let tables = world
        .bench
        .to
        .workspace()
        .sql("SHOW TABLES IN sales")
        .unwrap();
    assert_eq!(tables.len(), 6);
    assert!(
        world
            .bench
            .to
            .workspace()
            .sql("SHOW TABLES IN staging")
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undo_gives_back_the_words_and_the_query_that_were_there() {
    let world = WithSql::new(Sample::Empty, Way::Warehouse).await;
    let table = |comment: &str| format!("CREATE TABLE d.t (a INT) USING csv COMMENT '{comment}'");
    WithSql::run(
        &world.bench.from,
        &[
            "CREATE DATABASE d",
            &table("new"),
            "CREATE VIEW d.v (a) AS SELECT a FROM d.t WHERE a = 1",
        ],
    );
    WithSql::run(
        &world.bench.to,
        &[
            "CREATE DATABASE d",
            &table("old"),
            "CREATE VIEW d.v (a) AS SELECT a FROM d.t WHERE a = 2",
        ],
    );
    let before = world.target().await;
    let source = world.backup().await;
    let report = world.restore(&source, &only_metastore()).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    let journal = world.bench.dir.path().join(format!("{}.jsonl", source.id));
    let header = crate::restore::Header::new(source.id.to_string(), &world.bench.to.id);
    let earlier = crate::restore::Journal::look(&journal, &header, &source.store.line_seal());
    let tasks = undo(&earlier.unwrap().unwrap(), &only_metastore());
    assert_eq!(tasks.len(), 1);
    for task in tasks {
        let listing = crate::manifest::snapshots(&world.bench.store).unwrap();
        let mut kept = listing.snapshots.into_iter();
        let kept = kept
            .find(|listed| listed.name.id.to_string() == task.safety)
            .unwrap();
        let safety = Source {
            store: world.bench.store.clone(),
            id: kept.name.id,
            snapshot: kept.snapshot,
        };
        let report = world.restore(&safety, &task.options).await;
        assert_eq!(failures(&report), Vec::<String>::new());
    }
    let after = world.target().await;
    assert_eq!(before.snapshot.root, after.snapshot.root);
}
