//! `dbsnap cat`

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use dbsnap::manifest::{Entry, Payload, SecretContent};
use dbsnap::resource;
use dbsnap::store::Store;
use serde_json::{Map, Value, json};

use crate::cli::error::Failure;
use crate::cli::exit::Outcome;
use crate::cli::select::{self, exactly};
use crate::cli::session::Session;

/// Write one object of a snapshot to the standard output
///
/// For a notebook or file that is its content, byte for byte, and for a run with the history of
/// its metrics that history; for everything else its body, as JSON. The values of secrets
/// are written only with --secret-values.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  dbsnap cat latest /Users/ana@example.com/report > report.py
  dbsnap cat latest~1 job/nightly
  dbsnap cat 2024-05-31 'job/nightly#1234' --permissions

Exit codes:
  0   done
  1   failed: no such object, or what was asked for was not read when the snapshot was taken
  2   the command line or the settings were not understood
  10  there is no store
  12  the store is encrypted, and the key is missing or wrong")]
pub(crate) struct Args {
    /// The snapshot: the beginning of its id, `latest`, `latest~1`, or a date
    snapshot: String,

    /// A path of the workspace, or KIND/NAME, or KIND/NAME#ID
    object: String,

    /// The JSON that describes the object, even if it has content
    #[arg(long, conflicts_with = "permissions")]
    body: bool,

    /// Who may do what with it
    #[arg(long)]
    permissions: bool,

    /// The values of a secret scope, as JSON of names and base64. Whoever sees the output knows them
    #[arg(long, conflicts_with_all = ["body", "permissions"])]
    secret_values: bool,
}

pub(crate) fn run(session: &Session, args: &Args) -> Result<Outcome, Failure> {
    let store = session.store()?;
    let wanted = select::reference(&args.snapshot)?;
    let found = select::snapshot(&store, &wanted, &args.snapshot)?;
    let mut entry = select::object(&found, &args.object)?;
    let has_secrets =
        resource::kind(entry.key.kind.as_str()).is_some_and(|kind| kind.secrets().is_some());
    if args.secret_values {
        return secret_values(session, &store, &entry, has_secrets);
    }
    if has_secrets {
        // Asked for by nothing but its own flag.
        entry.content = None;
    }
    if session.json() {
        session.out.json(&document(&store, &entry)?);
        return Ok(Outcome::Done);
    }
    let (payload, is_content) = if args.permissions {
        (&entry.permissions, false)
    } else if args.body || entry.content.is_none() && entry.body.is_some() {
        (&entry.body, false)
    } else {
        (&entry.content, true)
    };
    let Some(payload) = payload else {
        return Err(without(&entry, args));
    };
    let bytes = read(&store, &entry, payload)?;
    let parsed = || parse(&entry, &bytes);
    if !is_content
        && !args.body
        && !args.permissions
        && let Some(size) = resource::left_out(&parsed()?)
    {
        let object = exactly(&entry.key);
        return Err(Failure::refused(format!(
            "{object} has no content in the snapshot: its {size} bytes were more than the backup was to read"
        ))
        .hint("--body shows what is known of it"));
    }
    if is_content {
        session.out.data(bytes);
    } else {
        session.out.json(&parsed()?);
    }
    Ok(Outcome::Done)
}

/// Writes the values of an object, which somebody asked for in so many words.
fn secret_values(
    session: &Session,
    store: &Store,
    entry: &Entry,
    has_secrets: bool,
) -> Result<Outcome, Failure> {
    let object = exactly(&entry.key);
    if !has_secrets {
        return Err(Failure::usage(format!("{object} has no secret values")));
    }
    let Some(content) = &entry.content else {
        let reason = match &entry.gap {
            Some(gap) => format!(
                "could not be read when the snapshot was taken: {}",
                gap.reason
            ),
            None => "are not in the snapshot".to_owned(),
        };
        return Err(Failure::refused(format!("the values of {object} {reason}"))
            .hint("`dbsnap backup --secret-values` reads them"));
    };
    let secrets = SecretContent::parse(&read(store, entry, content)?).ok_or_else(|| {
        Failure::refused(format!(
            "what is stored of the values of {object} is damaged"
        ))
    })?;
    let pair = |name: &str| (name.to_owned(), json!(secrets.expose(name)));
    let values: Map<String, Value> = secrets.names().map(pair).collect();
    session.out.json(&Value::Object(values));
    Ok(Outcome::Done)
}

fn without(entry: &Entry, args: &Args) -> Failure {
    let part = match (args.permissions, args.body) {
        (true, _) => "permissions",
        (_, true) => "body",
        _ => "content",
    };
    let object = exactly(&entry.key);
    match &entry.gap {
        Some(gap) => Failure::refused(format!(
            "the {part} of {object} could not be read when the snapshot was taken: {}",
            gap.reason
        )),
        None => Failure::refused(format!("{object} has no {part} in the snapshot")),
    }
}

fn document(store: &Store, entry: &Entry) -> Result<Value, Failure> {
    let parsed = |payload: &Option<Payload>| match payload {
        Some(payload) => parse(entry, &read(store, entry, payload)?),
        None => Ok(Value::Null),
    };
    let mut document = json!({
        "kind": entry.key.kind.as_str(),
        "name": entry.key.name,
        "id": entry.object_id,
        "modified_at": entry.modified_at,
        "body": parsed(&entry.body)?,
        "permissions": parsed(&entry.permissions)?,
        "gap": entry.gap,
    });
    if let Some(content) = &entry.content {
        let bytes = read(store, entry, content)?;
        match str::from_utf8(&bytes) {
            Ok(text) => document["content"] = json!(text),
            Err(_) => document["content_base64"] = json!(STANDARD.encode(&bytes)),
        }
    }
    Ok(document)
}

fn read(store: &Store, entry: &Entry, payload: &Payload) -> Result<Bytes, Failure> {
    let reading = |error| Failure::doing(format!("read {}", exactly(&entry.key)), error);
    payload.read(store).map_err(reading)
}

fn parse(entry: &Entry, bytes: &[u8]) -> Result<Value, Failure> {
    let reading = |error| Failure::doing(format!("read {}", exactly(&entry.key)), error);
    serde_json::from_slice(bytes).map_err(reading)
}
