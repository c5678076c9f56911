//! Statements on both kinds of places.

use std::sync::Arc;

use super::*;
use crate::api::{ClientOptions, Config, Rates, RetryPolicy};
use crate::report::Silent;
use crate::sandbox::{Effect, Options, Rule, Running, Sample, Sandbox};

async fn small() -> Running {
    let options = Options {
        sample: Sample::Small,
        ..Options::default()
    };
    Sandbox::start(options).await.unwrap()
}

fn place(running: &Running, way: Way) -> Place {
    let config = Config::with_token(&running.url, running.token.reveal()).unwrap();
    let mut options = ClientOptions::new(config);
    options.rates = Rates::off();
    options.retry = RetryPolicy::quick();
    Place::new(Client::new(options).unwrap(), way, Arc::new(Silent))
}

fn warehouse() -> Way {
    Way::Warehouse("Starter Warehouse".into())
}

/// Its name is unique, and it does not run.
fn cluster() -> Way {
    Way::Cluster("Ana's cluster".into())
}

async fn both(running: &Running) -> [Place; 2] {
    let names = running.workspace.cluster_states();
    let unique = names.keys().find(|name| *name != "shared-etl");
    let name = unique.expect("the sample has a cluster").clone();
    [
        place(running, warehouse()),
        place(running, Way::Cluster(name)),
    ]
}

fn statements(texts: &[&str]) -> Vec<Statement> {
    texts.iter().map(|text| Statement::new(*text)).collect()
}

#[tokio::test]
async fn both_ways_give_the_same_rows_in_the_order_of_the_statements() {
    let running = small().await;
    let texts = [
        "SHOW DATABASES",
        "SHOW TABLES IN `select`",
        "SHOW TABLES IN nowhere",
        "DESCRIBE TABLE EXTENDED sales.customers",
    ];
    let mut results = Vec::new();
    for place in both(&running).await {
        let answers = place.run_all(&statements(&texts)).await;
        let answers = answers
            .into_iter()
            .map(|answer| answer.map_err(|error| error.to_string()));
        results.push(answers.collect::<Vec<_>>());
        place.close().await.unwrap();
    }
    assert_eq!(results[0], results[1]);
    assert_eq!(
        results[0][0].as_ref().unwrap().rows[0],
        [Some("default".to_owned())]
    );
    let error = results[0][2].as_ref().unwrap_err();
    assert_eq!(
        error,
        "[SCHEMA_NOT_FOUND] The schema `nowhere` cannot be found."
    );
}

#[tokio::test]
async fn a_result_of_many_chunks_and_a_text_of_a_megabyte_come_whole() {
    let running = small().await;
    let long = "ü".repeat(500_000);
    let workspace = &running.workspace;
    workspace
        .sql(&format!(
            "CREATE TABLE sales.long (a INT) USING csv COMMENT '{long}'"
        ))
        .unwrap();
    for number in 0..1234 {
        let statement = format!("ALTER TABLE staging.events ADD PARTITION (dt = '{number}')");
        workspace.sql(&statement).unwrap();
    }
    let many = Statement::new("SHOW PARTITIONS staging.events");
    for place in both(&running).await {
        let rows = place.run(&many).await.unwrap();
        assert_eq!((rows.rows.len(), rows.count), (1236, 1236));
        let counted = place.run(&many.clone().counted()).await.unwrap();
        assert_eq!((counted.rows.len(), counted.count), (0, 1236));
        let shown = place
            .run(&Statement::new("SHOW CREATE TABLE sales.long"))
            .await
            .unwrap();
        assert!(shown.rows[0][0].as_ref().unwrap().contains(&long));
        place.close().await.unwrap();
    }
    assert!(workspace.requests().to("result/chunks") >= 12);
}

#[tokio::test]
async fn a_cluster_that_did_not_run_is_started_and_stopped_again_and_its_context_destroyed() {
    let running = small().await;
    let before = running.workspace.cluster_states();
    let [_, place] = both(&running).await;
    assert!(before.values().all(|state| *state == "TERMINATED"));
    place.run(&Statement::new("SHOW DATABASES")).await.unwrap();
    assert!(
        running
            .workspace
            .cluster_states()
            .values()
            .any(|state| *state == "RUNNING")
    );
    assert_eq!(running.workspace.contexts(), 1);
    place.close().await.unwrap();
    assert_eq!(running.workspace.contexts(), 0);
    let stopping = running.workspace.cluster_states();
    assert!(
        stopping.values().all(|state| *state != "RUNNING"),
        "{stopping:?}"
    );
}

#[tokio::test]
async fn a_cluster_that_ran_goes_on_running() {
    let running = small().await;
    let [_, first] = both(&running).await;
    let [_, second] = both(&running).await;
    first.open().await.unwrap();
    second.open().await.unwrap();
    second.close().await.unwrap();
    assert!(
        running
            .workspace
            .cluster_states()
            .values()
            .any(|state| *state == "RUNNING")
    );
    first.close().await.unwrap();
}

#[tokio::test]
async fn statements_of_many_callers_go_to_a_cluster_together() {
    let running = small().await;
    let [_, place] = both(&running).await;
    place.open().await.unwrap();
    let commands = || running.workspace.requests().to("commands/execute");
    let before = commands();
    let texts = (0..16).map(|number| format!("CREATE TABLE sales.t{number} (a INT) USING csv"));
    let statements: Vec<_> = texts
        .chain(["nonsense".to_owned()])
        .map(Statement::new)
        .collect();
    let runs = statements.iter().map(|statement| place.run(statement));
    let results = futures_util::future::join_all(runs).await;
    let failed: Vec<_> = results.iter().map(Result::is_err).collect();
    assert_eq!(failed.iter().position(|failed| *failed), Some(16));
    // The first does not wait for others.
    assert_eq!(commands() - before, 2);
    assert!(
        running
            .workspace
            .sql("DESCRIBE TABLE EXTENDED sales.t15")
            .is_ok()
    );
    place.close().await.unwrap();
}

#[tokio::test]
async fn a_short_answer_takes_one_command_and_a_long_one_more() {
    let running = small().await;
    let [_, place] = both(&running).await;
    place.open().await.unwrap();
    let commands = || running.workspace.requests().to("commands/execute");
    let before = commands();
    place.run(&Statement::new("SHOW DATABASES")).await.unwrap();
    assert_eq!(commands() - before, 1);
    let long = "x".repeat(100_000);
    let table = format!("CREATE TABLE sales.long (a INT) USING csv COMMENT '{long}'");
    running.workspace.sql(&table).unwrap();
    let shown = Statement::new("SHOW CREATE TABLE sales.long");
    let rows = place.run(&shown).await.unwrap();
    assert!(rows.rows[0][0].as_ref().unwrap().contains(&long));
    assert!(commands() - before > 2);
    place.close().await.unwrap();
}

#[tokio::test]
async fn a_context_that_was_lost_is_made_anew() {
    let running = small().await;
    let [_, place] = both(&running).await;
    place.open().await.unwrap();
    let lost = Effect::Refuse {
        status: 404,
        code: "RESOURCE_DOES_NOT_EXIST".into(),
        message: "ContextNotFound".into(),
    };
    running
        .workspace
        .inject(Rule::new("/api/1.2/commands/execute", lost).times(1));
    let statement = Statement::new("SHOW DATABASES");
    assert!(place.run(&statement).await.is_err());
    assert!(place.run(&statement).await.is_ok());
    place.close().await.unwrap();
}

#[tokio::test]
async fn a_place_that_is_not_there_or_not_unique_is_named_with_what_there_is() {
    let running = small().await;
    let words = |way| {
        let place = place(&running, way);
        async move { place.open().await.unwrap_err().to_string() }
    };
    assert_eq!(
        words(Way::Warehouse("Starter".into())).await,
        "there is no warehouse `Starter`; there are Réserve SQL, Starter Warehouse"
    );
    let twice = words(Way::Cluster("shared-etl".into())).await;
    assert!(
        twice.starts_with("there are 2 of the name `shared-etl`: say which by its id ("),
        "{twice}"
    );
    let none = words(cluster()).await;
    assert!(
        none.starts_with("there is no cluster `Ana's cluster`; there are "),
        "{none}"
    );
}

#[test]
fn words_of_a_server_end_where_its_stack_begins() {
    let text = "[PARSE] Syntax  error\nat 'x'. SQLSTATE: 42601 (line 1)\n\n== SQL ==\nSELECT\n\tat org.apache";
    assert_eq!(words(text), "[PARSE] Syntax error at 'x'.");
}
