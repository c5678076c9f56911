//! The parts of an object, compared: body, content and permissions.
//!
//! Invariant: the store is read only where digests do not say enough, and what cannot be read from it is told.

use serde_json::Value;

use super::pair::Comparison;
use super::secrets::secret_changes;
use super::sides::has_secrets;
use super::text::LONGEST_TEXT;
use super::{
    Aspect, ContentChange, Details, Side, Where, acl_changes, content_change, field_changes,
};
use crate::manifest::{Entry, ManifestError, Payload, SecretContent};
use crate::report::chain;
use crate::store::BlobId;

impl Comparison<'_> {
    /// The hash of an entry's body as it is compared; `None` when it has none or it cannot be read.
    pub(super) fn body_digest(&self, entry: &Entry, at: Where) -> Option<BlobId> {
        let body = entry.body.as_ref()?;
        if self.by_digest() {
            return Some(body.digest());
        }
        let body = self.json(entry, Some(body), Aspect::Body, at).ok()??;
        Some(BlobId::of(body.to_string().as_bytes()))
    }

    /// Whether any of some parts differs, and, if that is of interest, what.
    pub(super) fn compare_parts(
        &self,
        before: &Entry,
        after: &Entry,
        of_interest: &dyn Fn(Aspect) -> bool,
        describe: bool,
    ) -> (bool, Details) {
        let mut details = Details::default();
        let mut differs = false;
        for aspect in [Aspect::Body, Aspect::Permissions] {
            if of_interest(aspect) {
                let told = (describe, &mut details);
                differs |= self.compare_json(before, after, aspect, told);
            }
        }
        if of_interest(Aspect::Content) && digest(&before.content) != digest(&after.content) {
            if has_secrets(&after.key) {
                differs |= self.compare_secrets(before, after, &mut details);
            } else if describe {
                differs = true;
                match self.content(before, after) {
                    Ok(change) => details.content = Some(change),
                    Err(error) => details.unreadable.push(told("content", &error)),
                }
            } else {
                differs = true;
            }
        }
        (differs, details)
    }

    /// Whether secret values differ. Values that came from another store have another salt there, so that their hashes
    /// say nothing.
    fn compare_secrets(&self, before: &Entry, after: &Entry, details: &mut Details) -> bool {
        let read = |side: &Side<'_>, entry: &Entry| {
            let bytes = entry.content.as_ref()?.read(side.tree.store()).ok()?;
            SecretContent::parse(&bytes)
        };
        let (Some(old), Some(new)) = (read(self.before, before), read(self.after, after)) else {
            let text = "content: its secret values cannot be read from the store";
            details.unreadable.push(text.to_owned());
            return true;
        };
        let changed = secret_changes(&old, &new);
        let differs = !changed.is_empty();
        if differs && self.details {
            details.content = Some(ContentChange::Secrets { changed });
        }
        differs
    }

    fn compare_json(
        &self,
        before: &Entry,
        after: &Entry,
        aspect: Aspect,
        (describe, details): (bool, &mut Details),
    ) -> bool {
        let (old, new) = match aspect {
            Aspect::Permissions => (&before.permissions, &after.permissions),
            Aspect::Body | Aspect::Content => (&before.body, &after.body),
        };
        let same_digest = digest(old) == digest(new);
        if self.by_digest() && (same_digest || !describe) {
            return !same_digest;
        }
        let read = || {
            let before = self.json(before, old.as_ref(), aspect, Where::Before)?;
            Ok((
                before,
                self.json(after, new.as_ref(), aspect, Where::After)?,
            ))
        };
        match read() {
            // Something is there that cannot be compared; only digests are left.
            Err(error) => {
                details.unreadable.push(error);
                !same_digest
            }
            // Equal as JSON, but not byte for byte: that is a difference only where bytes are what counts.
            Ok((before, after)) if before == after => self.by_digest(),
            Ok((before, after)) => {
                if describe {
                    tell_fields(before.as_ref(), after.as_ref(), aspect, details);
                }
                true
            }
        }
    }

    fn json(
        &self,
        entry: &Entry,
        payload: Option<&Payload>,
        aspect: Aspect,
        at: Where,
    ) -> Result<Option<Value>, String> {
        let Some(payload) = payload else {
            return Ok(None);
        };
        let what = if aspect == Aspect::Permissions {
            "permissions"
        } else {
            "body"
        };
        let side = if at == Where::Before {
            self.before
        } else {
            self.after
        };
        let bytes = payload
            .read(side.tree.store())
            .map_err(|error| told(what, &error))?;
        let value = serde_json::from_slice(&bytes).map_err(|error| told(what, &error))?;
        Ok(Some(match side.normalise {
            Some(normalise) => normalise(&entry.key, aspect, value),
            None => value,
        }))
    }

    fn content(&self, before: &Entry, after: &Entry) -> Result<ContentChange, ManifestError> {
        let (old, new) = match (&before.content, &after.content) {
            (Some(old), Some(new)) => (old, new),
            (old, new) => {
                let len = |payload: &Option<Payload>| payload.as_ref().map_or(0, Payload::len);
                let (before, after) = (len(old), len(new));
                return Ok(if old.is_none() {
                    ContentChange::Appeared { after }
                } else {
                    ContentChange::Vanished { before }
                });
            }
        };
        if old.len().max(new.len()) > LONGEST_TEXT {
            return Ok(ContentChange::TooLong {
                before: old.len(),
                after: new.len(),
            });
        }
        let before = old.read(self.before.tree.store())?;
        let after = new.read(self.after.tree.store())?;
        Ok(content_change(&before, &after))
    }
}

fn tell_fields(
    before: Option<&Value>,
    after: Option<&Value>,
    aspect: Aspect,
    details: &mut Details,
) {
    if aspect == Aspect::Permissions
        && let Some(changes) = acl_changes(before, after)
    {
        details.permissions = changes;
        return;
    }
    let mut changes = field_changes(
        before.unwrap_or(&Value::Null),
        after.unwrap_or(&Value::Null),
    );
    if aspect == Aspect::Permissions {
        for change in &mut changes {
            change.path.insert_str(0, "permissions.");
        }
    }
    details.fields.append(&mut changes);
}

fn digest(payload: &Option<Payload>) -> Option<BlobId> {
    payload.as_ref().map(Payload::digest)
}

/// What could not be read, and why, as one line of a report.
fn told(what: &str, error: &dyn std::error::Error) -> String {
    format!("{what}: {}", chain(error))
}
