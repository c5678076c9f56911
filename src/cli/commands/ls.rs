//! `dbsnap ls`

use chrono::DateTime;
use dbsnap::manifest::{Entry, ManifestError, Payload};
use dbsnap::resource::{self, KindName, ObjectKey};
use serde_json::{Value, json};

use crate::cli::error::Failure;
use crate::cli::exit::Outcome;
use crate::cli::kinds;
use crate::cli::render::units::{bytes, time};
use crate::cli::select::{self, Found};
use crate::cli::session::Session;

/// List the objects of a snapshot
///
/// One object a line: its path, or KIND/NAME, or KIND/NAME#ID where several share the name. Each can be given to
/// `dbsnap cat`.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  dbsnap ls latest
  dbsnap ls latest /Users/ana@example.com
  dbsnap ls latest --kind jobs --long

Exit codes:
  0   done
  1   failed
  2   the command line or the settings were not understood
  10  there is no store
  12  the store is encrypted, and the key is missing or wrong")]
pub(crate) struct Args {
    /// The snapshot: the beginning of its id, `latest`, `latest~1`, or a date
    snapshot: String,

    /// Only objects at or below this path
    #[arg(value_name = "PATH")]
    prefix: Option<String>,

    /// Only these kinds, separated by commas
    #[arg(long, value_name = "KINDS")]
    kind: Vec<String>,

    /// Also show kind, id, size and time of the last change
    #[arg(long, short)]
    long: bool,
}

pub(crate) fn run(session: &Session, args: &Args) -> Result<Outcome, Failure> {
    let kinds = kinds::parse("--kind", &args.kind)?;
    let store = session.store()?;
    let wanted = select::reference(&args.snapshot)?;
    let found = select::snapshot(&store, &wanted, &args.snapshot)?;
    let reading = |error| Failure::doing(format!("read the snapshot {:.8}", found.name.id), error);
    let mut documents = Vec::new();
    let mut any = false;
    let mut entries = entries(&found, &kinds, args.prefix.as_deref()).peekable();
    let mut last = None;
    while let Some(entry) = entries.next() {
        if session.out.closed() {
            break;
        }
        let entry = entry.map_err(reading)?;
        // Those of one name come one after the other.
        let name = select::called(&entry.key);
        let next = entries.peek().and_then(|next| next.as_ref().ok());
        let is_shared = last.as_ref() == Some(&name)
            || next.is_some_and(|next| select::called(&next.key) == name);
        last = Some(name);
        if entry.key.name.is_empty() || !is_below(&entry.key.name, args.prefix.as_deref()) {
            continue;
        }
        any = true;
        if session.json() {
            documents.push(to_json(&entry));
        } else if args.long {
            session.out.line(long(&entry));
        } else if is_shared {
            session.out.line(select::exactly(&entry.key));
        } else {
            session.out.line(select::called(&entry.key));
        }
    }
    if session.json() {
        let id = found.name.id.to_string();
        session
            .out
            .json(&json!({"snapshot": id, "objects": documents}));
    } else if !any {
        session.out.note("there are no such objects");
    }
    Ok(Outcome::Done)
}

/// What may be listed: objects of lists kind by kind, then the tree path by path, whatever lies there.
fn entries<'a>(
    found: &'a Found,
    kinds: &'a [String],
    prefix: Option<&'a str>,
) -> impl Iterator<Item = Result<Entry, ManifestError>> + 'a {
    let tree = &found.tree;
    // As the head names them: a newer dbsnap may have known more kinds than this one.
    let names = found.head.kinds.keys().map(|name| KindName::read(name));
    let wanted =
        |name: &KindName| kinds.is_empty() || kinds.iter().any(|wanted| wanted == name.as_str());
    let is_node =
        |name: &KindName| resource::kind(name.as_str()).is_some_and(|kind| kind.node().is_some());
    let (nodes, listed): (Vec<KindName>, Vec<KindName>) = names.filter(wanted).partition(is_node);
    let start = prefix.unwrap_or_default().trim_end_matches('/');
    let mut nodes: Vec<_> = nodes
        .into_iter()
        .map(|kind| {
            let first = ObjectKey::new(kind, start);
            tree.range(first.to_bytes()).peekable()
        })
        .collect();
    let by_path = std::iter::from_fn(move || {
        let name = |next: Option<&Result<Entry, ManifestError>>| match next {
            Some(Ok(entry)) => Some(entry.key.name.clone()),
            // An error cannot wait.
            Some(Err(_)) => Some(String::new()),
            None => None,
        };
        let named = nodes.iter_mut().enumerate();
        let named = named.filter_map(|(at, nodes)| Some((name(nodes.peek())?, at)));
        let (_, at) = named.min()?;
        nodes[at].next()
    });
    let listed = listed.into_iter().filter(move |_| prefix.is_none());
    let listed = listed.flat_map(|kind| tree.kind(&kind));
    listed.chain(by_path)
}

fn is_below(name: &str, prefix: Option<&str>) -> bool {
    let Some(prefix) = prefix.map(|prefix| prefix.trim_end_matches('/')) else {
        return true;
    };
    match name.strip_prefix(prefix) {
        Some(rest) => rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

fn long(entry: &Entry) -> String {
    let size = match content_size(entry) {
        Some(size) => bytes(size),
        None => String::new(),
    };
    let changed = entry
        .modified_at
        .and_then(DateTime::from_timestamp_millis)
        .map_or_else(String::new, time);
    let id = entry.object_id.as_deref().unwrap_or_default();
    let name = &entry.key.name;
    let gap = match &entry.gap {
        Some(gap) => format!("  ({})", gap.reason),
        None => String::new(),
    };
    let kind = &entry.key.kind;
    format!("{kind:<18} {id:>20} {size:>10}  {changed:<23}  {name}{gap}")
}

fn content_size(entry: &Entry) -> Option<u64> {
    entry.content.as_ref().map(Payload::len).or(entry.size)
}

fn to_json(entry: &Entry) -> Value {
    json!({
        "kind": entry.key.kind.as_str(),
        "name": entry.key.name,
        "id": entry.object_id,
        "modified_at": entry.modified_at,
        "size": content_size(entry),
        "body": entry.body.as_ref().map(|payload| payload.digest().to_string()),
        "content": entry.content.as_ref().map(|payload| payload.digest().to_string()),
        "permissions": entry.permissions.as_ref().map(|payload| payload.digest().to_string()),
        "gap": entry.gap,
        "carried_over": entry.carried_over,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_means_whole_segments() {
        assert!(is_below("/Users/ana", Some("/Users/ana/")));
        assert!(is_below("/Users/ana/x", Some("/Users/ana")));
        assert!(!is_below("/Users/anabel", Some("/Users/ana")));
        assert!(is_below("/Users", Some("/")));
        assert!(!is_below("admins", Some("/")));
        assert!(is_below("admins", None));
    }
}
