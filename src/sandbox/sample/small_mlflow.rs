//! The experiments and registered models of the small workspace.

use serde_json::{Value, json};

use super::Builder;
use super::small::{LEFT, ROBOT};
use crate::sandbox::api::add_experiment;

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
    of_notebook(builder, "/Shared/etl/01 load");
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
    let tags = [("mlflow.experimentType".to_owned(), "NOTEBOOK".to_owned())];
    let location = format!("dbfs:/databricks/mlflow-tracking/{id}");
    add_experiment(builder.state, id, builder.caller, tags.into(), location);
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
