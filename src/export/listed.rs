//! The engine for kinds with one paged list.
//!
//! Invariant: an object is told once, under a key of its own, even when the list shows two by the same name.

use std::collections::{HashMap, HashSet};

use futures_util::StreamExt;
use futures_util::future::{join, join_all, join3};
use serde_json::Value;
use tokio::sync::{OnceCell, mpsc};

use super::inner;
use super::item::{Captured, Item, Part};
use super::permissions::{self, Answer, may_be_gone};
use super::run::{Run, reason, stream};
use crate::api::encode::segment;
use crate::api::{self, ApiError, ErrorKind};
use crate::manifest::{Extent, Gap};
use crate::report::Event;
use crate::resource::{
    Detail, Identified, Joined, Kind, Listing, ObjectKey, Paging, Source, identify, visit,
};

/// Objects of one kind that are completed at the same time.
const AT_ONCE: usize = 32;

/// Exports all objects of a kind that is listed.
pub(super) async fn export(run: &Run<'_>, kind: &'static Kind) {
    let Some(list) = kind.listing() else {
        return;
    };
    let (detail, extras, keep) = match &kind.source {
        Source::Listed {
            detail,
            extras,
            keep,
            ..
        } => (detail.as_ref(), *extras, *keep),
        _ => (None, [].as_slice(), None),
    };
    let facts = join_all(extras.iter().map(|joined| Facts::read(run, joined))).await;
    let engine = Engine {
        run,
        kind,
        list,
        detail,
        facts,
        ids: OnceCell::new(),
    };
    let (found, queue) = mpsc::channel(AT_ONCE);
    let listing = engine.list(keep, found);
    let completing = stream(queue).for_each_concurrent(AT_ONCE, |item| engine.complete(item));
    join(listing, completing).await;
}

struct Engine<'a> {
    run: &'a Run<'a>,
    kind: &'static Kind,
    list: &'static Listing,
    detail: Option<&'static Detail>,
    facts: Vec<Facts>,
    /// The ids that a second look at the list showed; `None` when that failed.
    ids: OnceCell<Option<HashSet<String>>>,
}

/// An item of the list and what it is called.
struct Found {
    key: ObjectKey,
    object_id: String,
    item: Value,
    /// Whether it comes to be elsewhere, and who may do what with it is said there.
    is_elsewhere: bool,
}

impl Engine<'_> {
    /// Reads the list to its end, or as far as it goes.
    async fn list(&self, keep: Option<fn(&Value) -> bool>, found: mpsc::Sender<Found>) {
        let mut pages = self.run.client.pages(listing(self.list));
        let mut seen = Seen::default();
        loop {
            let items = match self.run.checked(pages.next()).await {
                Ok(Some(items)) => items,
                Ok(None) => return,
                Err(error) => return unlisted(self.run, self.kind, &error).await,
            };
            for item in items
                .into_iter()
                .filter(|item| keep.is_none_or(|keep| keep(item)))
            {
                match identify(self.kind, &item) {
                    Ok(identified) => {
                        let Some(found_item) = seen.tell(self.kind, identified, item) else {
                            continue;
                        };
                        if !self.run.selection.covers(&found_item.key) {
                            continue;
                        }
                        self.run.expect(1);
                        // The other end is polled beside this one and takes everything.
                        if found.send(found_item).await.is_err() {
                            return;
                        }
                    }
                    Err(error) => self.gap(reason(&error)).await,
                }
            }
        }
    }

    async fn gap(&self, reason: String) {
        let gap = Gap::new(Extent::Kind, reason);
        self.run
            .send_item(Item::Unlisted {
                kind: self.kind,
                gap,
            })
            .await;
    }

    /// Reads what the list does not tell of an object and sends it on.
    async fn complete(&self, found: Found) {
        let (whole, answer, lists) = join3(
            self.whole(&found),
            self.permissions(&found),
            inner::lists(self.run, self.kind, &found.object_id),
        )
        .await;
        let mut object = Captured::new(found.key, Some(found.object_id));
        let is_gone =
            |list: &Result<Value, ApiError>| matches!(list, Err(error) if may_be_gone(error));
        let missing = matches!(&whole, Err(error) if may_be_gone(error))
            || matches!(answer, Answer::Missing(_))
            || lists.iter().any(|(_, list)| is_gone(list));
        if missing && !self.is_still_listed(object.object_id.as_deref()).await {
            return self.run.gone(&object.key);
        }
        let (mut known, mut faults) = (Vec::new(), Vec::new());
        for (inner, list) in lists {
            match list {
                Ok(list) => known.push((inner.field, list)),
                Err(error) => faults.push(unknown(inner.field, &error)),
            }
        }
        let of_all = self.facts.iter().filter_map(|facts| facts.fault.clone());
        faults.extend(of_all);
        match whole
            .map_err(|error| reason(&error))
            .and_then(|whole| self.body(&object, whole.unwrap_or(found.item), known))
        {
            Ok(body) if faults.is_empty() => object.body = Part::Read(body),
            Ok(body) => object.body = Part::Doubtful(body),
            Err(reason) => {
                object.body = Part::Unread;
                object.add_gap(Gap::new(Extent::Object, reason));
            }
        }
        for fault in faults {
            object.add_gap(Gap::new(Extent::Object, fault));
        }
        object.permissions = match answer {
            Answer::Known(part) => part,
            Answer::Missing(error) => unread(&mut object, reason(&error)),
            Answer::Failed(reason) => unread(&mut object, reason),
        };
        inner::secrets(self.run, self.kind, &mut object).await;
        self.run.send(object).await;
    }

    async fn permissions(&self, found: &Found) -> Answer {
        match found.is_elsewhere {
            true => Answer::Known(Part::Absent),
            false => permissions::read(self.run, self.kind, &found.object_id).await,
        }
    }

    /// The detail of an object, where the list gives only a part of it.
    async fn whole(&self, found: &Found) -> Result<Option<Value>, ApiError> {
        let Some(detail) = self.detail else {
            return Ok(None);
        };
        if detail
            .only_when
            .is_some_and(|field| !is_true(&found.item, field))
        {
            return Ok(None);
        }
        let (path, query) = detail.path.split_once('?').unwrap_or((detail.path, ""));
        let path = path.replace("{id}", &segment(&found.object_id));
        let query: Vec<(&str, String)> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name, value.replace("{id}", &found.object_id)))
            .collect();
        let query: Vec<(&str, &str)> = query
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let answer = if detail.paged_inside {
            self.run
                .checked(self.run.client.get_whole(&path, &query))
                .await
        } else {
            self.run.get(&path, &query).await
        };
        answer.map(Some)
    }

    /// The canonical body of an object, with what other lists know of it, and its own.
    fn body(
        &self,
        object: &Captured,
        mut whole: Value,
        lists: Vec<(&'static str, Value)>,
    ) -> Result<Value, String> {
        for (field, list) in lists {
            whole[field] = list;
        }
        let id = object.object_id.as_deref().unwrap_or_default();
        for facts in &self.facts {
            if let Some(value) = facts.by_id.get(id) {
                whole[facts.field] = value.clone();
            }
        }
        identify(self.kind, &whole)
            .map(|identified| identified.body)
            .map_err(|error| reason(&error))
    }

    /// Whether the list, looked at a second time, still has the object. Looked at once for all objects in doubt; a
    /// failure says nothing against the object.
    async fn is_still_listed(&self, object_id: Option<&str>) -> bool {
        let look = || async {
            let items = self.run.client.list(listing(self.list));
            let items = self.run.checked(items).await.ok()?;
            let ids = items
                .iter()
                .filter_map(|item| identify(self.kind, item).ok());
            Some(ids.map(|identified| identified.object_id).collect())
        };
        match (self.ids.get_or_init(look).await, object_id) {
            (Some(ids), Some(id)) => ids.contains(id),
            _ => true,
        }
    }
}

/// Tells that a list could not be read, or that the workspace does not have what it would list.
pub(super) async fn unlisted(run: &Run<'_>, kind: &'static Kind, error: &ApiError) {
    if error.kind() == ErrorKind::FeatureDisabled && !run.known.has_any(kind) {
        let text = format!("this workspace has no {}: {error}", kind.name);
        return run.reporter.report(match kind.node() {
            // The walk passes them by, should there be any after all.
            Some(_) => Event::Warning(&text),
            None => Event::Detail(&text),
        });
    }
    let gap = Gap::new(Extent::Kind, reason(error));
    run.send_item(Item::Unlisted { kind, gap }).await;
}

fn unknown(field: &str, error: &ApiError) -> String {
    format!("{field} is unknown: {}", reason(error))
}

fn unread<T>(object: &mut Captured, reason: String) -> Part<T> {
    object.add_gap(Gap::new(Extent::Permissions, reason));
    Part::Unread
}

/// What a list has shown so far.
#[derive(Default)]
struct Seen {
    ids: HashSet<String>,
    names: HashSet<String>,
}

impl Seen {
    /// `None` for an object that an earlier page had. Of two objects by one name the second gets its id into its key.
    fn tell(&mut self, kind: &Kind, identified: Identified, item: Value) -> Option<Found> {
        let Identified {
            key,
            object_id,
            body,
        } = identified;
        if !self.ids.insert(object_id.clone()) {
            return None;
        }
        let key = if key.id.is_some() || self.names.insert(key.name.clone()) {
            key
        } else {
            ObjectKey::with_id(key.kind, key.name, &object_id)
        };
        Some(Found {
            key,
            object_id,
            item,
            is_elsewhere: kind.is_made_elsewhere(&body),
        })
    }
}

/// What another list says of the objects of a kind.
struct Facts {
    field: &'static str,
    by_id: HashMap<String, Value>,
    /// Why there are none: then no object's body can be trusted.
    fault: Option<String>,
}

impl Facts {
    async fn read(run: &Run<'_>, joined: &'static Joined) -> Self {
        let mut facts = Self {
            field: joined.field,
            by_id: HashMap::new(),
            fault: None,
        };
        match run.checked(run.client.list(listing(&joined.list))).await {
            Ok(items) => {
                for item in &items {
                    if let (Some(id), Some(value)) =
                        (text_at(item, joined.id), (joined.value)(item))
                    {
                        facts.by_id.insert(id, value);
                    }
                }
            }
            Err(error) => {
                facts.fault = Some(unknown(joined.field, &error));
            }
        }
        facts
    }
}

/// The list call of a kind's table, as the client makes it.
pub fn listing(list: &'static Listing) -> api::Listing<'static> {
    api::Listing {
        path: list.path,
        query: list.query.to_vec(),
        items_key: list.items,
        id_key: None,
        paging: match list.paging {
            Paging::Whole => api::Paging::None,
            Paging::Token {
                size_parameter,
                size,
            } => api::Paging::PageToken {
                size: Some((size_parameter, size)),
            },
            Paging::Scim { size } => api::Paging::Scim { count: size },
        },
    }
}

fn is_true(item: &Value, field: &str) -> bool {
    let mut found = false;
    visit(item, field, &mut |value| {
        found |= value == &Value::Bool(true)
    });
    found
}

pub(super) fn text_at(item: &Value, field: &str) -> Option<String> {
    let mut found = None;
    visit(item, field, &mut |value| {
        found = match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn two_objects_by_one_name_are_both_told_and_one_object_on_two_pages_only_once() {
        let user = crate::resource::kind("user").unwrap();
        let mut seen = Seen::default();
        let mut tell = |id: &str| {
            let item = json!({"id": id, "userName": "ana@example.com"});
            seen.tell(user, identify(user, &item).unwrap(), item)
                .map(|found| found.key.to_string())
        };
        assert_eq!(tell("1").as_deref(), Some("user ana@example.com"));
        assert_eq!(tell("2").as_deref(), Some("user ana@example.com (id 2)"));
        assert_eq!(tell("1"), None);
    }

    #[test]
    fn a_switch_counts_as_on_only_when_it_is_true() {
        assert!(is_true(&json!({"has_more": true}), "has_more"));
        for item in [
            json!({}),
            json!({"has_more": false}),
            json!({"has_more": "true"}),
        ] {
            assert!(!is_true(&item, "has_more"));
        }
    }
}
