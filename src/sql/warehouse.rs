//! Statements on a SQL warehouse.
//!
//! Invariant: a result is complete: every chunk that the service announces was read.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::iter;
use serde_json::{Value, json};

use super::pace::Pace;
use super::{Rows, SqlError, Statement, Wanted, pick, words};
use crate::api::encode::segment;
use crate::api::{Client, Listing, Paging, Repeat};

/// Statements under way at once; how many requests that makes is the client's own decision.
const AT_ONCE: usize = 16;

/// A warehouse that has to start first takes minutes; a statement about metadata does not.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// The catalog of the Hive metastore.
const CATALOG: &str = "hive_metastore";

/// A warehouse.
pub(super) struct Warehouse {
    client: Client,
    id: String,
}

impl Warehouse {
    /// The warehouse of this name or id.
    pub(super) async fn find(client: &Client, wanted: &str) -> Result<Self, SqlError> {
        let listing = Listing {
            path: "/api/2.0/sql/warehouses",
            query: Vec::new(),
            items_key: "warehouses",
            id_key: Some("id"),
            paging: Paging::PageToken { size: None },
        };
        let text = |item: &Value, field: &str| item[field].as_str().unwrap_or_default().to_owned();
        let all = client.list(listing).await?;
        let all = all
            .iter()
            .map(|item| (text(item, "id"), text(item, "name")));
        Ok(Self {
            id: pick("warehouse", wanted, all.collect())?,
            client: client.clone(),
        })
    }

    pub(super) async fn run_all(&self, statements: &[Statement]) -> Vec<Result<Rows, SqlError>> {
        let runs = iter(statements).map(|statement| self.run(statement));
        runs.buffered(AT_ONCE).collect().await
    }

    async fn run(&self, statement: &Statement) -> Result<Rows, SqlError> {
        let mut body = json!({
            "warehouse_id": self.id,
            "statement": statement.text,
            "catalog": CATALOG,
            "disposition": "INLINE",
            "format": "JSON_ARRAY",
            "wait_timeout": "10s",
            "on_wait_timeout": "CONTINUE",
        });
        if let Some(database) = &statement.database {
            body["schema"] = json!(database);
        }
        // What only shows something may be asked for twice.
        let repeat = match reads(&statement.text) {
            true => Repeat::Safe,
            false => Repeat::Unsafe,
        };
        let path = "/api/2.0/sql/statements";
        let answer = self.client.post(path, &body, repeat).await?;
        let answer = self.finished(answer).await?;
        self.rows(&answer, statement.wanted).await
    }

    /// Waits until a statement is done.
    async fn finished(&self, mut answer: Value) -> Result<Value, SqlError> {
        let mut pace = Pace::new(PATIENCE);
        loop {
            let state = answer["status"]["state"].as_str().unwrap_or_default();
            match state {
                "SUCCEEDED" => return Ok(answer),
                "PENDING" | "RUNNING" => {}
                "FAILED" | "CANCELED" | "CLOSED" => {
                    let error = &answer["status"]["error"];
                    let message = error["message"].as_str().unwrap_or(state);
                    return Err(SqlError::Failed(words(message)));
                }
                other => return Err(SqlError::Answer(format!("a statement in state `{other}`"))),
            }
            let id = answer["statement_id"].as_str().unwrap_or_default();
            let path = format!("/api/2.0/sql/statements/{}", segment(id));
            if let Err(error) = pace.wait("the statement").await {
                let cancel = format!("{path}/cancel");
                // Nobody waits for it any more; whether it could be cancelled changes nothing about that.
                let _ = self.client.post(&cancel, &json!({}), Repeat::Safe).await;
                return Err(error);
            }
            answer = self.client.get(&path, &[]).await?;
        }
    }

    async fn rows(&self, answer: &Value, wanted: Wanted) -> Result<Rows, SqlError> {
        let manifest = &answer["manifest"];
        if manifest["truncated"] == json!(true) {
            return Err(SqlError::Answer("the result was cut off".to_owned()));
        }
        let total = manifest["total_row_count"].as_u64();
        if let (Wanted::Count, Some(count)) = (wanted, total) {
            return Ok(Rows {
                rows: Vec::new(),
                count,
            });
        }
        let id = answer["statement_id"].as_str().unwrap_or_default();
        let mut rows = Vec::new();
        let mut chunk = answer["result"].clone();
        loop {
            let data = chunk["data_array"].as_array().into_iter().flatten();
            rows.extend(data.map(cells));
            let Some(next) = chunk["next_chunk_index"].as_u64() else {
                break;
            };
            let path = format!(
                "/api/2.0/sql/statements/{}/result/chunks/{next}",
                segment(id)
            );
            chunk = self.client.get(&path, &[]).await?;
        }
        let count = rows.len() as u64;
        match total {
            Some(total) if total != count => Err(SqlError::Answer(format!(
                "{count} rows came of the {total} that were announced"
            ))),
            _ => Ok(Rows { rows, count }),
        }
    }
}

/// Whether a statement only shows something.
fn reads(statement: &str) -> bool {
    let first = statement.split_whitespace().next().unwrap_or_default();
    first.eq_ignore_ascii_case("SHOW") || first.eq_ignore_ascii_case("DESCRIBE")
}

fn cells(row: &Value) -> Vec<Option<String>> {
    let cells = row.as_array().into_iter().flatten();
    let cell = |cell: &Value| match cell {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    cells.map(cell).collect()
}
