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
  1   failed: nothing is at or below this path
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
    let mut listing = Listing::new(session, &found);
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
        if entry.key.is_whole_kind() || !is_below(&entry.key.name, args.prefix.as_deref()) {
            continue;
        }
        listing.add(&match (session.json(), args.long, is_shared) {
            (true, ..) => to_json(&entry).to_string(),
            (false, true, _) => long(&entry),
            (false, false, true) => select::exactly(&entry.key),
            (false, false, false) => select::called(&entry.key),
        });
    }
    match (&args.prefix, listing.is_empty()) {
        (Some(prefix), true) => return Err(nothing_below(&found, prefix, &kinds)),
        (None, true) => {
            session.out.note("there are no such objects");
            if let Some(hint) = select::hint_of_gaps(&found) {
                session.out.note(hint);
            }
        }
        (_, false) => {}
    }
    listing.finish();
    Ok(Outcome::Done)
}

/// The objects as they come: of a million, none waits for the last.
struct Listing<'a> {
    session: &'a Session,
    head: String,
    count: u64,
}

impl<'a> Listing<'a> {
    fn new(session: &'a Session, found: &Found) -> Self {
        let head = format!(
            "{{\n  \"snapshot\": \"{}\",\n  \"objects\": [",
            found.name.id
        );
        Self {
            session,
            head,
            count: 0,
        }
    }

    fn add(&mut self, object: &str) {
        let out = &self.session.out;
        match (self.session.json(), self.count) {
            (true, 0) => out.data(format!("{}\n    {object}", self.head)),
            (true, _) => out.data(format!(",\n    {object}")),
            // A name is one line, whatever it holds.
            (false, _) => out.line(object.replace('\n', "\\n")),
        }
        self.count += 1;
    }

    fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn finish(&self) {
        let out = &self.session.out;
        match (self.session.json(), self.count) {
            (true, 0) => out.line(format!("{}]\n}}", self.head)),
            (true, _) => out.line("\n  ]\n}"),
            (false, _) => {}
        }
    }
}

fn nothing_below(found: &Found, prefix: &str, kinds: &[String]) -> Failure {
    let what = match kinds {
        [] => String::new(),
        kinds => format!(" of kind {}", kinds.join(" or ")),
    };
    let failure = Failure::refused(format!(
        "the snapshot {:.8} has nothing{what} at or below `{prefix}`",
        found.name.id
    ));
    let failure = match select::hint_of_gaps(found) {
        Some(hint) => failure.hint(hint),
        None => failure,
    };
    match prefix.starts_with('/') {
        true => failure.hint(format!("`dbsnap ls {:.8}` lists all it has", found.name.id)),
        false => failure.hint("a path begins with a slash; --kind selects kinds"),
    }
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
    // The first name that can no longer be below it: a zero comes right after the slash.
    let end = format!("{start}0");
    let is_past = move |name: &str| prefix.is_some() && name >= end.as_str();
    let mut nodes: Vec<_> = nodes
        .into_iter()
        .map(|kind| {
            let first = ObjectKey::new(kind, start);
            tree.range(first.to_bytes()).peekable()
        })
        .collect();
    let by_path = std::iter::from_fn(move || {
        let name = |next: Option<&Result<Entry, ManifestError>>| match next {
            Some(Ok(entry)) if is_past(&entry.key.name) => None,
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
