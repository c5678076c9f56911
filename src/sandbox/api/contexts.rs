//! Execution contexts, version 1.2 of the API.
//!
//! A context of the language `sql` runs statements about the metastore. One of the language `python` is no Python: it knows
//! the one program that reads and makes a metastore, `dbsnap_run(jobs)` and `dbsnap_slice(begin, end)`, once their
//! definitions were sent. What is printed is cut off, as the service does.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::sandbox::call::{Answer, Call, Fields, Object, Refusal, Reply};
use crate::sandbox::routes::{Handler, Route, route};
use crate::sandbox::sql::{self, Catalog, Rows, Session};
use crate::sandbox::state::{ClusterState, Command, Context, State};

const V12: &[&str] = &["1.2"];

pub(super) static ROUTES: &[Route] = &[
    post("contexts/create", create),
    route("GET", "contexts/status", status).versions(V12),
    post("contexts/destroy", destroy),
    post("commands/execute", execute),
    route("GET", "commands/status", command_status).versions(V12),
    post("commands/cancel", cancel),
];

/// Mounts that every workspace has.
const OF_THE_SERVICE: [(&str, &str); 3] = [
    ("/databricks-datasets", "databricks-datasets"),
    ("/databricks-results", "databricks-results"),
    ("/", "DatabricksRoot"),
];

/// What is printed is cut off here.
const MOST_PRINTED: usize = 100_000;
/// How much of an answer is printed with its length.
const BEGINNING: usize = 50_000;
/// Rows that a table is shown with.
const MOST_ROWS: usize = 1000;
/// Contexts that a cluster can have.
const MOST_CONTEXTS: usize = 145;

const fn post(path: &'static str, run: Handler) -> Route {
    route("POST", path, run).versions(V12)
}

fn create(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let cluster = running(state, body.required_text("clusterId")?)?;
    let language = body.required_text("language")?.to_string();
    let profile = state.clusters[&cluster].body.get("aws_attributes");
    let profile = profile.and_then(|aws| aws["instance_profile_arn"].as_str());
    let session = Session {
        user: state.name_of(call.caller),
        database: None,
        profile: profile.map(str::to_string),
    };
    let of_cluster = state
        .sql
        .contexts
        .values()
        .filter(|context| context.cluster == cluster);
    if of_cluster.count() >= MOST_CONTEXTS {
        return Err(Refusal::new(
            400,
            "QUOTA_EXCEEDED",
            "The cluster has too many execution contexts",
        ));
    }
    let id = state.ids.next().to_string();
    let context = Context {
        cluster,
        language,
        session,
        is_ready: false,
        is_taught: false,
        answer: String::new(),
    };
    state.sql.contexts.insert(id.clone(), context);
    Reply::json(json!({"id": id}))
}

fn status(state: &mut State, call: &Call) -> Answer {
    let (cluster, id) = (call.required("clusterId")?, call.required("contextId")?);
    running(state, cluster)?;
    let context = find(state, cluster, id)?;
    // It is ready with the look after the first.
    let shown = if context.is_ready {
        "Running"
    } else {
        "Pending"
    };
    context.is_ready = true;
    Reply::json(json!({"id": id, "status": shown}))
}

fn destroy(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let (cluster, id) = (
        body.required_text("clusterId")?,
        body.required_text("contextId")?,
    );
    find(state, cluster, id)?;
    state.sql.contexts.remove(id);
    Reply::json(json!({"id": id}))
}

fn execute(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let cluster = running(state, body.required_text("clusterId")?)?;
    let id = body.required_text("contextId")?.to_string();
    let text = body.required_text("command")?;
    find(state, &cluster, &id)?;
    let State { sql, dbfs, .. } = state;
    let context = sql.contexts.get_mut(&id).expect("it was just found");
    let results = match context.language.as_str() {
        "sql" => table(sql::run(&mut sql.catalog, &mut context.session, text)),
        _ => match mounts(&mut dbfs.mounts, context, text) {
            Some(printed) => printed,
            None => python(&mut sql.catalog, context, text),
        },
    };
    let command = state.ids.next().to_string();
    let made = Command {
        context: id,
        results,
        looks: 1,
    };
    state.sql.commands.insert(command.clone(), made);
    Reply::json(json!({"id": command}))
}

fn command_status(state: &mut State, call: &Call) -> Answer {
    let (cluster, context) = (call.required("clusterId")?, call.required("contextId")?);
    let id = call.required("commandId")?;
    find(state, cluster, context)?;
    let command = state.sql.commands.get_mut(id);
    let command = command.filter(|command| command.context == context);
    let command = command.ok_or_else(|| Refusal::not_found(format!("CommandNotFound: {id}")))?;
    if command.looks > 0 {
        command.looks -= 1;
        return Reply::json(json!({"id": id, "status": "Running", "results": null}));
    }
    Reply::json(json!({"id": id, "status": "Finished", "results": command.results}))
}

fn cancel(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let (cluster, context) = (
        body.required_text("clusterId")?,
        body.required_text("contextId")?,
    );
    let id = body.required_text("commandId")?;
    find(state, cluster, context)?;
    if !state.sql.commands.contains_key(id) {
        return Err(Refusal::not_found(format!("CommandNotFound: {id}")));
    }
    Reply::json(json!({"id": id}))
}

/// The id of a cluster that runs. The contexts of one that does not are gone.
fn running(state: &mut State, id: &str) -> Result<String, Refusal> {
    let cluster = state.clusters.get(id);
    let cluster =
        cluster.ok_or_else(|| Refusal::invalid(format!("Cluster {id} does not exist")))?;
    if cluster.state == ClusterState::Running {
        return Ok(id.to_string());
    }
    state
        .sql
        .contexts
        .retain(|_, context| context.cluster != id);
    Err(Refusal::new(
        400,
        "INVALID_STATE",
        format!("ClusterNotReadyException: Cluster {id} is not running"),
    ))
}

fn find<'a>(state: &'a mut State, cluster: &str, id: &str) -> Result<&'a mut Context, Refusal> {
    let context = state.sql.contexts.get_mut(id);
    let context = context.filter(|context| context.cluster == cluster);
    context.ok_or_else(|| Refusal::not_found(format!("ContextNotFound: {id}")))
}

fn table(outcome: sql::Outcome) -> Value {
    match outcome {
        Err(cause) => failed(&cause),
        Ok(rows) => {
            let column =
                |name: &&str| json!({"name": name, "type": "\"string\"", "metadata": "{}"});
            let shown: Vec<_> = rows.rows.iter().take(MOST_ROWS).collect();
            json!({
                "resultType": "table",
                "data": shown,
                "schema": rows.columns.iter().map(column).collect::<Vec<_>>(),
                "truncated": rows.rows.len() > MOST_ROWS,
                "isJsonSchema": true,
            })
        }
    }
}

fn failed(cause: &str) -> Value {
    let summary = format!("<span class=\"ansi-red-fg\">AnalysisException</span>: {cause}");
    json!({"resultType": "error", "summary": summary, "cause": cause})
}

/// Runs one of the commands that are known.
fn python(catalog: &mut Catalog, context: &mut Context, text: &str) -> Value {
    let text = text.trim();
    if text.contains("def dbsnap_run(") && text.contains("def dbsnap_slice(") {
        context.is_taught = true;
        return printed("");
    }
    let arguments = |name: &str| {
        text.strip_prefix(name)?
            .strip_prefix('(')?
            .strip_suffix(')')
    };
    if let (Some(jobs), true) = (arguments("dbsnap_run"), context.is_taught) {
        let jobs = STANDARD.decode(jobs.trim_matches('"')).ok();
        let jobs: Option<Vec<Object>> = jobs.and_then(|jobs| serde_json::from_slice(&jobs).ok());
        let Some(jobs) = jobs else {
            return failed("binascii.Error: Incorrect padding");
        };
        let answers = jobs
            .iter()
            .map(|job| job_done(catalog, &mut context.session, job));
        let answers: Vec<Value> = answers.collect();
        return kept(context, &Value::from(answers));
    }
    if let (Some(range), true) = (arguments("dbsnap_slice"), context.is_taught) {
        let (begin, end) = range.split_once(", ").unwrap_or((range, ""));
        let number = |text: &str| {
            text.parse()
                .map_or(0, |at: usize| at.min(context.answer.len()))
        };
        let (begin, end) = (number(begin), number(end));
        return printed(context.answer.get(begin..end).unwrap_or_default());
    }
    let name: String = text
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    failed(&format!("NameError: name '{name}' is not defined"))
}

/// Runs one of the commands about mounts, if it is one.
fn mounts(
    mounts: &mut BTreeMap<String, (String, String)>,
    context: &mut Context,
    text: &str,
) -> Option<Value> {
    let text = Some(text.trim()).filter(|_| context.is_taught)?;
    let answer = if text == "dbsnap_mounts()" {
        let show = |point: &str, source: &str, encryption: &str| json!({"mountPoint": point, "source": source, "encryptionType": encryption});
        let mut shown: Vec<Value> = OF_THE_SERVICE
            .iter()
            .map(|(point, source)| show(point, source, ""))
            .collect();
        let more = mounts.iter();
        shown.extend(more.map(|(point, (source, kind))| show(point, source, kind)));
        Value::from(shown)
    } else {
        let job = text.strip_prefix("dbsnap_mount(\"")?.strip_suffix("\")")?;
        let job = STANDARD.decode(job).ok()?;
        let job: Object = serde_json::from_slice(&job).ok()?;
        let text = |field: &str| job.text(field).unwrap_or_default().to_owned();
        match mounts.entry(text("point")) {
            Entry::Occupied(taken) => {
                json!({"error": format!("Directory already mounted: {}", taken.key())})
            }
            Entry::Vacant(free) => {
                free.insert((text("source"), text("encryption")));
                json!([])
            }
        }
    };
    Some(kept(context, &answer))
}

fn job_done(catalog: &mut Catalog, session: &mut Session, job: &Object) -> Value {
    if let Some(database) = job.text("database")
        && let Err(error) = sql::run(
            catalog,
            session,
            &format!("USE `{}`", database.replace('`', "``")),
        )
    {
        return json!({"error": error});
    }
    match sql::run(catalog, session, job.text("text").unwrap_or_default()) {
        Err(error) => json!({"error": error}),
        Ok(rows) if job.flag("count") => json!({"count": rows.rows.len()}),
        Ok(Rows { rows, .. }) => json!({"rows": rows}),
    }
}

/// Keeps an answer for those who ask for slices of it; prints its length and its beginning.
fn kept(context: &mut Context, answer: &Value) -> Value {
    context.answer = STANDARD.encode(answer.to_string());
    let beginning = &context.answer[..context.answer.len().min(BEGINNING)];
    printed(&format!("{} {beginning}", context.answer.len()))
}

fn printed(text: &str) -> Value {
    let shown: String = text.chars().take(MOST_PRINTED).collect();
    json!({"resultType": "text", "data": shown})
}
