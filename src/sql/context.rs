//! Statements in an execution context of a cluster.
//!
//! A context runs Python and shows what that prints, cut off where the service likes. So a batch of statements is run and
//! its answer kept there, as JSON in base64; what is printed is its length with its beginning, which for most is all of it,
//! and then one slice of it after another, each short, and compared with the length it must have.
//!
//! Invariant: statements are run one batch at a time; the context is gone at the end.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::cluster::Cluster;
use super::pace::Pace;
use super::queue::Queue;
use super::{Rows, SqlError, Statement, Wanted, words};
use crate::api::{Client, Repeat};

/// How much of an answer is printed at once, and the least that is tried where that is cut off.
const SLICE: usize = 200_000;
const LEAST_SLICE: usize = 1_000;
/// How much of an answer is printed with its length: as much as is hardly cut off anywhere.
const BEGINNING: usize = 50_000;

/// How long a batch may take.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

/// What the context has to know before anything is asked of it. `dbsnap_run` prints the length of the answer and its
/// beginning, and `dbsnap_slice` a part of it.
const PRELUDE: &str = r#"
import base64, json

def dbsnap_cell(cell):
    if cell is None or isinstance(cell, str):
        return cell
    return str(cell).lower() if isinstance(cell, bool) else str(cell)

def dbsnap_one(job):
    try:
        if job.get("database") is not None:
            spark.sql("USE `" + job["database"].replace("`", "``") + "`")
        frame = spark.sql(job["text"])
        if job["count"]:
            return {"count": frame.count()}
        return {"rows": [[dbsnap_cell(cell) for cell in row] for row in frame.collect()]}
    except Exception as error:
        return {"error": str(error)}

def dbsnap_keep(answer):
    global dbsnap_answer
    dbsnap_answer = base64.b64encode(json.dumps(answer).encode()).decode()
    print(str(len(dbsnap_answer)) + " " + dbsnap_answer[:50000])

def dbsnap_run(jobs):
    dbsnap_keep([dbsnap_one(job) for job in json.loads(base64.b64decode(jobs))])

def dbsnap_mounts():
    try:
        dbutils.fs.refreshMounts()
        fields = ("mountPoint", "source", "encryptionType")
        dbsnap_keep([{name: dbsnap_cell(getattr(mount, name, None)) for name in getattr(mount, "_fields", fields)}
            for mount in dbutils.fs.mounts()])
    except Exception as error:
        dbsnap_keep({"error": str(error)})

def dbsnap_mount(job):
    job = json.loads(base64.b64decode(job))
    try:
        dbutils.fs.mount(job["source"], job["point"], job["encryption"])
        dbsnap_keep([])
    except Exception as error:
        dbsnap_keep({"error": str(error)})

def dbsnap_slice(begin, end):
    print(dbsnap_answer[begin:end])

try:
    spark.sql("USE CATALOG hive_metastore")
except Exception:
    pass
"#;

/// An execution context, made when it is needed.
pub(super) struct Context {
    client: Client,
    cluster: Cluster,
    /// The id of the context, while there is one; held while a batch runs.
    id: Mutex<Option<String>>,
    queue: Queue,
}

impl Context {
    /// A context to come on a cluster.
    pub(super) fn new(client: &Client, cluster: Cluster) -> Self {
        Self {
            cluster,
            client: client.clone(),
            id: Mutex::new(None),
            queue: Queue::default(),
        }
    }

    /// Makes sure that there is a context.
    pub(super) async fn open(&self) -> Result<(), SqlError> {
        let mut id = self.id.lock().await;
        self.ready(&mut id).await.map(drop)
    }

    pub(super) async fn run_all(&self, statements: &[Statement]) -> Vec<Result<Rows, SqlError>> {
        let answers = self.queue.add(statements);
        // Whoever has the context runs what waits, be it another's.
        let mut id = self.id.lock().await;
        while let Some(batch) = self.queue.next() {
            let answers = self.batch(&mut id, &batch.statements).await;
            batch.deliver(answers);
        }
        drop(id);
        let mut results = Vec::with_capacity(answers.len());
        for answer in answers {
            let lost = |_| Err(SqlError::Answer("the run that asked was ended".to_owned()));
            results.push(answer.await.unwrap_or_else(lost));
        }
        results
    }

    /// Destroys the context, and puts the cluster back as it was.
    pub(super) async fn close(&self) -> Result<(), SqlError> {
        let destroyed = match self.id.lock().await.take() {
            Some(id) => {
                let body = json!({"clusterId": self.cluster.id, "contextId": id});
                let path = "/api/1.2/contexts/destroy";
                self.client.post(path, &body, Repeat::Safe).await.map(drop)
            }
            None => Ok(()),
        };
        // Whatever became of the context, the cluster must not go on running.
        self.cluster.put_back().await?;
        Ok(destroyed?)
    }

    async fn batch(
        &self,
        id: &mut Option<String>,
        statements: &[Statement],
    ) -> Result<Vec<Result<Rows, SqlError>>, SqlError> {
        let job = |statement: &Statement| {
            json!({"text": statement.text, "database": statement.database,
                "count": statement.wanted == Wanted::Count})
        };
        let jobs: Vec<Value> = statements.iter().map(job).collect();
        let jobs = STANDARD.encode(Value::from(jobs).to_string());
        let answer = self.ask(id, &format!("dbsnap_run(\"{jobs}\")")).await?;
        let answers: Vec<Value> =
            serde_json::from_value(answer).map_err(|error| SqlError::Answer(error.to_string()))?;
        if answers.len() != statements.len() {
            return Err(SqlError::Answer(format!(
                "{} answers to {} statements",
                answers.len(),
                statements.len()
            )));
        }
        Ok(answers.into_iter().map(rows).collect())
    }

    /// The mounts, each with all that is said of it.
    pub(super) async fn mounts(&self) -> Result<Vec<Value>, SqlError> {
        let mut id = self.id.lock().await;
        match self.ask(&mut id, "dbsnap_mounts()").await? {
            Value::Array(mounts) => Ok(mounts),
            answer => Err(refused(&answer)),
        }
    }

    /// Mounts storage that needs no credential.
    pub(super) async fn mount(
        &self,
        point: &str,
        source: &str,
        encryption: &str,
    ) -> Result<(), SqlError> {
        let job = json!({"point": point, "source": source, "encryption": encryption});
        let job = STANDARD.encode(job.to_string());
        let mut id = self.id.lock().await;
        let command = format!("dbsnap_mount(\"{job}\")");
        match self.ask(&mut id, &command).await? {
            Value::Array(_) => Ok(()),
            answer => Err(refused(&answer)),
        }
    }

    /// Runs one of the prelude's commands; the answer it keeps.
    async fn ask(&self, id: &mut Option<String>, command: &str) -> Result<Value, SqlError> {
        let context = self.ready(id).await?;
        let printed = match self.execute(&context, command).await {
            Ok(printed) => printed,
            Err(error) => {
                // A driver that was restarted forgets its contexts; the next command gets a new one.
                *id = None;
                return Err(error);
            }
        };
        let (length, beginning) = beginning(&printed)?;
        let text = self.answer(&context, length, beginning).await?;
        let bytes = STANDARD
            .decode(text)
            .map_err(|error| SqlError::Answer(error.to_string()))?;
        serde_json::from_slice(&bytes).map_err(|error| SqlError::Answer(error.to_string()))
    }

    /// Fetches the rest of an answer of this length, slice by slice.
    async fn answer(
        &self,
        context: &str,
        length: usize,
        beginning: &str,
    ) -> Result<String, SqlError> {
        let mut text = String::with_capacity(length);
        text.push_str(beginning);
        let mut slice = SLICE;
        while text.len() < length {
            let begin = text.len();
            let end = length.min(begin + slice);
            let command = format!("dbsnap_slice({begin}, {end})");
            let part = self.execute(context, &command).await?;
            let part = part.trim();
            if part.len() == end - begin {
                text.push_str(part);
            } else if slice > LEAST_SLICE {
                slice = (slice / 2).max(LEAST_SLICE);
            } else {
                return Err(SqlError::Answer(
                    "the cluster cuts off what is printed".to_owned(),
                ));
            }
        }
        Ok(text)
    }

    /// The id of a context that is ready and knows the prelude.
    async fn ready(&self, id: &mut Option<String>) -> Result<String, SqlError> {
        if let Some(id) = id {
            return Ok(id.clone());
        }
        self.cluster.make_ready().await?;
        let body = json!({"clusterId": self.cluster.id, "language": "python"});
        let path = "/api/1.2/contexts/create";
        // A second context after a lost answer does no harm: it goes with the cluster.
        let made = self.client.post(path, &body, Repeat::Safe).await?;
        let made = made["id"].as_str().unwrap_or_default().to_owned();
        *id = Some(made.clone());
        let query = [
            ("clusterId", self.cluster.id.as_str()),
            ("contextId", &made),
        ];
        let mut pace = Pace::new(PATIENCE);
        loop {
            let context = self.client.get("/api/1.2/contexts/status", &query).await?;
            match context["status"].as_str().unwrap_or_default() {
                "Running" => break,
                "Pending" => pace.wait("the execution context").await?,
                other => {
                    let text = format!("the execution context is in state {other}");
                    return Err(SqlError::NoPlace(text));
                }
            }
        }
        self.execute(&made, PRELUDE).await?;
        Ok(made)
    }

    /// Runs Python; what it printed.
    async fn execute(&self, context: &str, command: &str) -> Result<String, SqlError> {
        let cluster = self.cluster.id.as_str();
        let body = json!({"clusterId": cluster, "contextId": context, "language": "python", "command": command});
        let path = "/api/1.2/commands/execute";
        let begun = self.client.post(path, &body, Repeat::Unsafe).await?;
        let id = begun["id"].as_str().unwrap_or_default();
        let query = [
            ("clusterId", cluster),
            ("contextId", context),
            ("commandId", id),
        ];
        let mut pace = Pace::new(PATIENCE);
        loop {
            let command = self.client.get("/api/1.2/commands/status", &query).await?;
            match command["status"].as_str().unwrap_or_default() {
                "Finished" | "Error" => return printed(&command["results"]),
                "Queued" | "Running" | "Cancelling" => {}
                other => {
                    return Err(SqlError::NoPlace(format!(
                        "the command is in state {other}"
                    )));
                }
            }
            if let Err(error) = pace.wait("the command").await {
                let body = json!({"clusterId": cluster, "contextId": context, "commandId": id});
                let path = "/api/1.2/commands/cancel";
                // Nobody waits for it any more; whether it could be cancelled changes nothing about that.
                let _ = self.client.post(path, &body, Repeat::Safe).await;
                return Err(error);
            }
        }
    }
}

fn printed(results: &Value) -> Result<String, SqlError> {
    let text = |field: &str| results[field].as_str().unwrap_or_default();
    match text("resultType") {
        "text" => Ok(text("data").to_owned()),
        "error" => Err(SqlError::Failed(words(text("cause")))),
        other => Err(SqlError::Answer(format!("a result of type `{other}`"))),
    }
}

/// The length of an answer, and as much of its beginning as is certain to be whole: all of what is printed, or nothing.
fn beginning(printed: &str) -> Result<(usize, &str), SqlError> {
    let not_understood = || SqlError::Answer(words(printed));
    let (length, beginning) = printed.trim().split_once(' ').ok_or_else(not_understood)?;
    let length: usize = length.parse().map_err(|_| not_understood())?;
    let is_whole = beginning.len() == length.min(BEGINNING);
    Ok((length, if is_whole { beginning } else { "" }))
}

/// Why a command did nothing, in the words of the cluster.
fn refused(answer: &Value) -> SqlError {
    SqlError::Failed(words(answer["error"].as_str().unwrap_or("it said nothing")))
}

/// The result of one statement of a batch.
fn rows(answer: Value) -> Result<Rows, SqlError> {
    if let Some(error) = answer["error"].as_str() {
        return Err(SqlError::Failed(words(error)));
    }
    if let Some(count) = answer["count"].as_u64() {
        return Ok(Rows {
            rows: Vec::new(),
            count,
        });
    }
    let rows = serde_json::from_value(answer["rows"].clone());
    let rows: Vec<_> = rows.map_err(|error| SqlError::Answer(error.to_string()))?;
    let count = rows.len() as u64;
    Ok(Rows { rows, count })
}
