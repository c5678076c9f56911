//! The libraries of clusters, and whether clusters are pinned: fields with calls of their own.

use serde_json::json;

use super::law::whole;
use super::*;
use crate::restore::Action;

const CLUSTER: &str = "etl";

/// Makes a cluster with these libraries.
fn make(place: &Place, libraries: &Value, is_pinned: bool) -> Value {
    let workspace = place.workspace();
    let cluster = json!({"cluster_name": CLUSTER, "spark_version": "15.4.x-scala2.12", "node_type_id": "i3.xlarge",
        "num_workers": 1});
    let (_, made) = workspace.call("POST", "/api/2.1/clusters/create", cluster);
    let id = made["cluster_id"].clone();
    let stop = json!({"cluster_id": id});
    workspace.call("POST", "/api/2.1/clusters/delete", stop.clone());
    // It ends when it is looked at.
    workspace.call("GET", "/api/2.1/clusters/list", Value::Null);
    let install = json!({"cluster_id": id, "libraries": libraries});
    workspace.call("POST", "/api/2.0/libraries/install", install);
    if is_pinned {
        workspace.call("POST", "/api/2.1/clusters/pin", stop);
    }
    id
}

/// The libraries of a cluster, and whether it is pinned.
fn state(place: &Place, id: &Value) -> (Vec<String>, bool) {
    let workspace = place.workspace();
    let id = id.as_str().unwrap();
    let path = format!("/api/2.0/libraries/cluster-status?cluster_id={id}");
    let (_, answer) = workspace.call("GET", &path, Value::Null);
    let libraries = answer["library_statuses"].as_array().into_iter().flatten();
    let mut libraries: Vec<_> = libraries
        .map(|library| library["library"].to_string())
        .collect();
    libraries.sort();
    let path = "/api/2.1/clusters/list?filter_by.is_pinned=true";
    let (_, pinned) = workspace.call("GET", path, Value::Null);
    (libraries, pinned.to_string().contains(id))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_is_overwritten_loses_libraries_and_the_pin_that_the_snapshot_does_not_have()
{
    let bench = Bench::new(Sample::Empty).await;
    let pypi = |name: &str| json!({"pypi": {"package": name}});
    let ours = make(&bench.from, &json!([pypi("kept"), pypi("new")]), false);
    let theirs = make(&bench.to, &json!([pypi("kept"), pypi("old")]), true);
    let source = bench.backup().await;
    let report = bench.restore(&source, &whole()).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(state(&bench.to, &theirs), state(&bench.from, &ours));
    // What was said to be done is done: the next run finds nothing.
    let again = bench.plan(&source, &whole()).await;
    let step = again.steps.iter().find(|step| step.target == CLUSTER);
    assert_eq!(step.unwrap().action, Action::Unchanged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_is_overwritten_loses_all_libraries_if_the_snapshot_has_none() {
    let bench = Bench::new(Sample::Empty).await;
    make(&bench.from, &json!([]), true);
    let theirs = make(&bench.to, &json!([{"jar": "dbfs:/old.jar"}]), false);
    let source = bench.backup().await;
    let report = bench.restore(&source, &whole()).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(state(&bench.to, &theirs), (Vec::new(), true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_library_in_the_tree_it_is_said_that_nothing_makes_it_and_where_its_file_is() {
    let bench = Bench::new(Sample::Small).await;
    let (path, file) = ("/Shared/a-1.0", "1-a.egg");
    let workspace = bench.from.workspace();
    workspace
        .put_library(path, "python-egg", file, b"egg")
        .unwrap();
    let source = bench.backup().await;
    let plan = bench.plan(&source, &options()).await;
    let step = plan.steps.iter().find(|step| step.name == path).unwrap();
    assert!(
        step.reason.contains("dbfs:/FileStore/jars/1-a.egg"),
        "{}",
        step.reason
    );
    let of_kind = |step: &&crate::restore::Step| step.kind == "workspace-object";
    let mut libraries = plan.steps.iter().filter(of_kind);
    let library = libraries.find(|step| step.name != path).unwrap();
    assert_eq!(library.action, crate::restore::Action::Skipped);
    assert!(
        library.reason.contains("--dbfs /FileStore/jars"),
        "{}",
        library.reason
    );
    let of_dashboards = |step: &&crate::restore::Step| step.kind == "dashboard";
    let dashboard = plan.steps.iter().find(of_dashboards).unwrap();
    assert!(!dashboard.reason.contains("/FileStore"));
}
