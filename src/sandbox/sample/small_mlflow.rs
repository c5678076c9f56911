//! The experiments and registered models of the small workspace.

use axum::body::Bytes;
use serde_json::{Value, json};

use super::Builder;
use super::small::{LEFT, ROBOT};
use crate::sandbox::api::add_of_notebook;

/// Fills them in.
pub(super) fn fill(builder: &mut Builder<'_>) {
    builder.act_as("ana@example.com");
    let note = json!([{"key": "mlflow.note.content", "value": "Wer kündigt?\n"}, {"key": "team", "value": "data"}]);
    let churn = experiment(
        builder,
        "/Users/ana@example.com/projects/churn/tuning",
        &note,
    );
    experiment(builder, "/Shared/etl/forecast — été", &json!([]));
    let elsewhere = json!({"name": "/Shared/on our bucket", "artifact_location": "s3://models.example.com/experiments/7"});
    builder.post("/api/2.0/mlflow/experiments/create", elsewhere);
    builder.permit(
        &format!("experiments/{churn}"),
        &[
            ("group_name", "data-eng", "CAN_EDIT"),
            ("service_principal_name", ROBOT, "CAN_READ"),
        ],
    );
    builder.act_as(LEFT);
    experiment(
        builder,
        &format!("/Users/{LEFT}/old experiment"),
        &json!([]),
    );
    of_notebook(
        builder,
        "/Users/ana@example.com/projects/pricing/elasticity",
    );
    builder.act_as("ana@example.com");
    runs(builder, &churn);
    models(builder);
}

fn experiment(builder: &mut Builder<'_>, name: &str, tags: &Value) -> String {
    let made = builder.post(
        "/api/2.0/mlflow/experiments/create",
        json!({"name": name, "tags": tags}),
    );
    made["experiment_id"]
        .as_str()
        .unwrap_or_default()
        .to_string()
}

/// What comes to be when a notebook logs its first run.
fn of_notebook(builder: &mut Builder<'_>, path: &str) {
    let Some(id) = builder.state.tree.find(path).map(|node| node.id) else {
        return;
    };
    add_of_notebook(builder.state, id, builder.caller);
}

/// A search for the best parameters: a run, and those within it.
fn runs(builder: &mut Builder<'_>, experiment: &str) {
    let begin = 1_785_542_400_000_i64;
    let parent = run(builder, experiment, "grid", begin, &json!([]));
    for (number, depth) in ["3", "5", "7"].into_iter().enumerate() {
        let number = number as i64;
        let tags = json!([
            {"key": "mlflow.parentRunId", "value": parent}, {"key": "mlflow.source.name", "value": "/Users/ana@example.com/projects/churn/train"},
            {"key": "mlflow.source.type", "value": "NOTEBOOK"}, {"key": "note", "value": "größer ist nicht besser"},
        ]);
        let id = run(
            builder,
            experiment,
            &format!("depth {depth}"),
            begin + 60_000 * (number + 1),
            &tags,
        );
        let batch = json!({
            "run_id": id, "params": [{"key": "depth", "value": depth}, {"key": "empty", "value": ""}],
            "metrics": [{"key": "auc", "value": 0.5, "timestamp": begin, "step": 0},
                {"key": "auc", "value": 0.75 + 0.01 * number as f64, "timestamp": begin + 1000, "step": 1}],
        });
        builder.post("/api/2.0/mlflow/runs/log-batch", batch);
        for (path, bytes) in FILES {
            put(builder, &id, path, bytes);
        }
        let dataset = json!({"name": "churn", "digest": "ab12", "source_type": "delta_table", "source": "{}"});
        let inputs = json!({"run_id": id, "datasets": [{"dataset": dataset, "tags": [{"key": "mlflow.data.context", "value": "training"}]}]});
        builder.post("/api/2.0/mlflow/runs/log-inputs", inputs);
        let status = if number == 2 { "FAILED" } else { "FINISHED" };
        end(builder, &id, status, begin + 60_000 * (number + 2));
    }
    end(builder, &parent, "FINISHED", begin + 600_000);
}

/// What every run within the search has written.
const FILES: [(&str, &[u8]); 3] = [
    (
        "model/MLmodel",
        b"flavors:\n  sklearn:\n    pickled_model: model.pkl\n",
    ),
    ("model/model.pkl", b"\x80\x04 not really a pickle"),
    ("plots/Größe 100%.csv", b""),
];

fn put(builder: &mut Builder<'_>, run: &str, path: &str, bytes: &'static [u8]) {
    let now = builder.state.clock.now();
    let uri = builder
        .state
        .mlflow
        .runs
        .get(run)
        .map(|run| run.artifact_uri.clone());
    let place = uri.as_deref().and_then(|uri| uri.strip_prefix("dbfs:"));
    if let Some(place) = place {
        let place = format!("{place}/{path}");
        // Nothing is in the way: the run is new.
        let _ = builder
            .state
            .dbfs
            .put(&place, Bytes::from_static(bytes), now);
    }
}

fn run(
    builder: &mut Builder<'_>,
    experiment: &str,
    name: &str,
    begin: i64,
    tags: &Value,
) -> String {
    let body =
        json!({"experiment_id": experiment, "run_name": name, "start_time": begin, "tags": tags});
    let made = builder.post("/api/2.0/mlflow/runs/create", body);
    made["run"]["info"]["run_id"]
        .as_str()
        .unwrap_or_default()
        .to_string()
}

fn end(builder: &mut Builder<'_>, run: &str, status: &str, time: i64) {
    let body = json!({"run_id": run, "status": status, "end_time": time});
    builder.post("/api/2.0/mlflow/runs/update", body);
}

fn models(builder: &mut Builder<'_>) {
    builder.act_as("ana@example.com");
    let churn = json!({
        "name": "churn", "description": "Who leaves, and when",
        "tags": [{"key": "team", "value": "data"}, {"key": "reviewed", "value": ""}],
    });
    builder.post("/api/2.0/mlflow/registered-models/create", churn);
    version(
        builder,
        "churn",
        json!({"source": "s3://models.example.com/churn/1", "description": "first"}),
    );
    version(
        builder,
        "churn",
        json!({
            "source": "s3://models.example.com/churn/2", "tags": [{"key": "auc", "value": "0.91"}],
        }),
    );
    stage(builder, "churn", "1", "Archived");
    stage(builder, "churn", "2", "Production");
    permit(
        builder,
        "churn",
        &[
            ("group_name", "data-eng", "CAN_MANAGE_STAGING_VERSIONS"),
            ("group_name", "analysts", "CAN_READ"),
        ],
    );
    builder.act_as("chloe@example.com");
    builder.post(
        "/api/2.0/mlflow/registered-models/create",
        json!({"name": "l'été prochain"}),
    );
    // Its files are where only this workspace reads them.
    version(
        builder,
        "l'été prochain",
        json!({"source": "dbfs:/databricks/mlflow-tracking/1/2/artifacts/model"}),
    );
}

fn version(builder: &mut Builder<'_>, model: &str, mut body: Value) {
    body["name"] = json!(model);
    builder.post("/api/2.0/mlflow/model-versions/create", body);
}

fn stage(builder: &mut Builder<'_>, model: &str, version: &str, stage: &str) {
    let body = json!({"name": model, "version": version, "stage": stage});
    builder.post(
        "/api/2.0/mlflow/databricks/model-versions/transition-stage",
        body,
    );
}

fn permit(builder: &mut Builder<'_>, model: &str, entries: &[(&str, &str, &str)]) {
    let id = builder
        .state
        .mlflow
        .models
        .get(model)
        .map(|model| model.id.clone());
    let object = format!("registered-models/{}", id.unwrap_or_default());
    builder.permit(&object, entries);
}
