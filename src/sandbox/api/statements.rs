//! SQL Statement Execution.
//!
//! A statement is carried out when it is sent. Its answer may say that it is still waiting or running: when nobody waits
//! for it, when the warehouse had to start, and now and then; it moves on by being looked at. A result comes in chunks.

use serde_json::{Value, json};

use super::warehouses;
use crate::sandbox::call::{Answer, Call, Fields, Refusal, Reply};
use crate::sandbox::routes::{Route, route};
use crate::sandbox::sql::{Rows, Session, run};
use crate::sandbox::state::{Executed, State};

pub(super) static ROUTES: &[Route] = &[
    route("POST", "sql/statements", execute),
    route("GET", "sql/statements/{id}", get),
    route("POST", "sql/statements/{id}/cancel", cancel),
    route("GET", "sql/statements/{id}/result/chunks/{chunk}", chunk),
];

/// Rows of a chunk.
const CHUNK: usize = 100;
/// Every so many statements one takes a while.
const SLOW: usize = 8;
/// The longest statement.
const LONGEST: usize = 16 << 20;

fn execute(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let id = body.required_text("warehouse_id")?;
    let statement = body.required_text("statement")?;
    if statement.len() > LONGEST {
        return Err(Refusal::invalid("The statement is longer than 16 MiB"));
    }
    for (field, only) in [("disposition", "INLINE"), ("format", "JSON_ARRAY")] {
        if body.text(field).is_some_and(|given| given != only) {
            return Err(Refusal::invalid(format!(
                "This workspace answers with {field} {only} only"
            )));
        }
    }
    let warehouse = state
        .sql
        .warehouses
        .get_mut(id)
        .ok_or_else(|| warehouses::not_found(id))?;
    let was_stopped = warehouse.insert("state".into(), json!("RUNNING")) != Some(json!("RUNNING"));
    let mut session = Session {
        user: state.name_of(call.caller),
        database: body.text("schema").map(str::to_lowercase),
        profile: None,
    };
    let result = run(&mut state.sql.catalog, &mut session, statement);
    let number = state.sql.statements.len();
    let nobody_waits = body.text("wait_timeout") == Some("0s");
    let looks = if nobody_waits || was_stopped || number % SLOW == SLOW - 1 {
        2
    } else {
        0
    };
    let id = format!(
        "01ef{number:04x}-{:04x}-1f36-bafa-{:012x}",
        number % 7919,
        state.ids.next()
    );
    let executed = Executed {
        result,
        looks,
        is_cancelled: false,
    };
    let shown = show(&id, &executed);
    state.sql.statements.insert(id, executed);
    Reply::json(shown)
}

fn get(state: &mut State, call: &Call) -> Answer {
    let id = call.param("id");
    let executed = state
        .sql
        .statements
        .get_mut(id)
        .ok_or_else(|| not_found(id))?;
    executed.looks = executed.looks.saturating_sub(1);
    Reply::json(show(id, executed))
}

fn cancel(state: &mut State, call: &Call) -> Answer {
    let id = call.param("id");
    let executed = state
        .sql
        .statements
        .get_mut(id)
        .ok_or_else(|| not_found(id))?;
    executed.is_cancelled |= executed.looks > 0;
    Reply::done()
}

fn chunk(state: &mut State, call: &Call) -> Answer {
    let id = call.param("id");
    let executed = state.sql.statements.get(id).ok_or_else(|| not_found(id))?;
    let number = usize::try_from(call.param_id("chunk")?).unwrap_or(usize::MAX);
    match &executed.result {
        Ok(rows) if executed.looks == 0 && number < chunks(rows) => {
            Reply::json(data(id, rows, number))
        }
        _ => Err(Refusal::not_found(format!(
            "There is no chunk {number} of statement {id}"
        ))),
    }
}

fn not_found(id: &str) -> Refusal {
    Refusal::not_found(format!("The statement {id} was not found."))
}

fn chunks(rows: &Rows) -> usize {
    rows.rows.len().div_ceil(CHUNK).max(1)
}

fn show(id: &str, executed: &Executed) -> Value {
    let state = |state: &str| json!({"statement_id": id, "status": {"state": state}});
    match (&executed.result, executed.looks) {
        _ if executed.is_cancelled => state("CANCELED"),
        (_, 2..) => state("PENDING"),
        (_, 1) => state("RUNNING"),
        (Err(message), _) => {
            let error = json!({"error_code": "BAD_REQUEST", "message": message});
            json!({"statement_id": id, "status": {"state": "FAILED", "error": error}})
        }
        (Ok(rows), _) => {
            let mut shown = state("SUCCEEDED");
            shown["manifest"] = manifest(rows);
            shown["result"] = data(id, rows, 0);
            shown
        }
    }
}

fn manifest(rows: &Rows) -> Value {
    let column = |(position, name): (usize, &&str)| json!({"name": name, "type_name": "STRING", "type_text": "STRING", "position": position});
    let columns: Vec<Value> = rows.columns.iter().enumerate().map(column).collect();
    let chunk = |number: usize| {
        let count = rows.rows.len().saturating_sub(number * CHUNK).min(CHUNK);
        json!({"chunk_index": number, "row_offset": number * CHUNK, "row_count": count})
    };
    json!({
        "format": "JSON_ARRAY",
        "schema": {"column_count": columns.len(), "columns": columns},
        "total_chunk_count": chunks(rows),
        "chunks": (0..chunks(rows)).map(chunk).collect::<Vec<_>>(),
        "total_row_count": rows.rows.len(),
        "truncated": false,
    })
}

fn data(id: &str, rows: &Rows, number: usize) -> Value {
    let part: Vec<_> = rows.rows.iter().skip(number * CHUNK).take(CHUNK).collect();
    let mut data = json!({
        "chunk_index": number,
        "row_offset": number * CHUNK,
        "row_count": part.len(),
        "data_array": part,
    });
    let next = number + 1;
    if next < chunks(rows) {
        data["next_chunk_index"] = json!(next);
        let link = format!("/api/2.0/sql/statements/{id}/result/chunks/{next}");
        data["next_chunk_internal_link"] = json!(link);
    }
    data
}
