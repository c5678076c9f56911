//! Objects that are made by calls which take their body.
//!
//! Invariant: a call that makes something is sent again only after a look showed that it had made nothing.

use serde_json::{Map, Value, json};

use super::{Carried, Failure, Run, chain};
use crate::api::encode::segment;
use crate::api::{ApiError, ErrorKind, Method, Repeat};
use crate::resource::{self, Call, Envelope, ExtraCall, Kind, Manner, Rest, visit};
use crate::restore::plan::{Completion, Step, is_nothing};

/// So often something is made anew when the answer was lost and a look showed nothing.
const ATTEMPTS: u32 = 3;

impl Run<'_> {
    /// Makes an object.
    pub(super) async fn create(&self, step: &Step, rest: &Rest) -> Result<Carried, Failure> {
        let kind = step.kind();
        let body = self.body(step);
        let sent = creating(to_request(kind, &body), rest);
        self.begin(step)?;
        let id = self.create_once(step, kind, rest, sent).await?;
        self.made(step, &id)?;
        let mut problems = self.after_create(kind, rest, &id).await;
        let later = rest.extras.iter().filter(|extra| !goes_along(extra));
        problems.extend(self.extras(step, later, &id, &body).await);
        let id = Some(id);
        Ok(Carried { id, problems })
    }

    pub(super) async fn create_once(
        &self,
        step: &Step,
        kind: &'static Kind,
        rest: &Rest,
        body: Value,
    ) -> Result<String, Failure> {
        if step.in_doubt
            && let Ok(Some((id, item))) = self.look_up(step, kind).await
        {
            self.learn_name(kind, &body, &item);
            return Ok(id);
        }
        let mut was_lost = false;
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let sent = self.call(kind, &rest.create, None, body.clone(), Repeat::Unsafe);
            let error = match sent.await {
                Ok(answer) => match created_id(rest, &answer, &step.target) {
                    Some(id) => {
                        self.learn_name(kind, &body, &answer);
                        return Ok(id);
                    }
                    None => None,
                },
                Err(error) => Some(error),
            };
            let is_lost = error.as_ref().is_none_or(ApiError::answer_may_be_lost);
            // The second attempt finds what the first one made.
            let is_there = was_lost
                && error
                    .as_ref()
                    .is_some_and(|error| error.kind() == ErrorKind::AlreadyExists);
            if let Some(error) = error
                && !is_lost
                && !is_there
            {
                return Err(chain(&error));
            }
            was_lost = true;
            match self.look_up(step, kind).await {
                Ok(Some((id, item))) => {
                    self.learn_name(kind, &body, &item);
                    return Ok(id);
                }
                Ok(None) => {
                    last = Some("the workspace did not answer, and did not do it".to_owned())
                }
                // Without a look it must not be made again.
                Err(error) => {
                    let why = chain(&error);
                    return Err(format!(
                        "the answer was lost, and whether it was made could not be found out: {why}"
                    ));
                }
            }
        }
        Err(last.unwrap_or_default())
    }

    /// Changes an object that is there.
    pub(super) async fn update(&self, step: &Step, rest: &Rest) -> Result<Carried, Failure> {
        let kind = step.kind();
        let id = step.target_id.clone().unwrap_or_default();
        let body = self.body(step);
        // A running cluster that is edited restarts: not for the sake of a library.
        let needs_update = step
            .differences
            .iter()
            .any(|change| !rest.is_extra(&change.path) && !change.path.starts_with("permissions."));
        if let (Some(call), true) = (&rest.update, needs_update) {
            let sent = without_extras(to_request(kind, &body), rest);
            self.call(kind, call, Some(&id), sent, Repeat::Safe)
                .await
                .map_err(|error| chain(&error))?;
        }
        let mut problems = match step.is_resumed {
            true => self.after_create(kind, rest, &id).await,
            false => Vec::new(),
        };
        problems.extend(self.extras(step, rest.extras.iter(), &id, &body).await);
        let id = Some(id);
        Ok(Carried { id, problems })
    }

    /// Makes the calls that follow on making an object; returns what failed.
    async fn after_create(&self, kind: &'static Kind, rest: &Rest, id: &str) -> Vec<String> {
        let mut problems = Vec::new();
        for call in rest.after_create {
            let sent = self.call(kind, call, Some(id), json!({}), Repeat::Safe);
            if let Err(error) = sent.await {
                problems.push(chain(&error));
            }
        }
        problems
    }

    /// Gives an object that was made in part its whole body.
    pub(super) async fn complete(
        &self,
        step: &Step,
        completion: &Completion,
    ) -> Result<(), Failure> {
        let kind = step.kind();
        let resource::Restore::Rest(rest) = &kind.restore else {
            return Ok(());
        };
        let Some(call) = &rest.update else {
            return Err(format!("the API cannot change a {}", kind.name));
        };
        let id = self.late().id(step).unwrap_or_default();
        let body = self.late().body(kind, completion.body.clone());
        let sent = without_extras(to_request(kind, &body), rest);
        let sent = self.call(kind, call, Some(&id), sent, Repeat::Safe);
        sent.await.map(drop).map_err(|error| chain(&error))
    }

    /// Makes the calls for fields that have one of their own; returns what failed.
    async fn extras(
        &self,
        step: &Step,
        extras: impl Iterator<Item = &ExtraCall>,
        id: &str,
        body: &Value,
    ) -> Vec<String> {
        let kind = step.kind();
        let mut problems = Vec::new();
        for extra in extras {
            let away = step.takes.get(extra.field);
            let away = extra.away.as_ref().zip(away);
            let away = away.map(|(call, value)| (call, bodies(extra, value, true)));
            let set = (&extra.call, bodies(extra, &body[extra.field], false));
            for (call, bodies) in away.into_iter().chain([set]) {
                for body in bodies {
                    let sent = self.call(kind, call, Some(id), body, Repeat::Safe);
                    if let Err(error) = sent.await {
                        problems.push(format!("{} was not set: {}", extra.field, chain(&error)));
                    }
                }
            }
        }
        problems
    }

    pub(super) async fn call(
        &self,
        kind: &Kind,
        call: &Call,
        id: Option<&str>,
        body: Value,
        repeat: Repeat,
    ) -> Result<Value, ApiError> {
        let method = match call.method {
            resource::Method::Post => Method::POST,
            resource::Method::Put => Method::PUT,
            resource::Method::Patch => Method::PATCH,
            resource::Method::Delete => Method::DELETE,
        };
        let path = match id {
            Some(id) => call.path.replace("{id}", &segment(id)),
            None => call.path.to_owned(),
        };
        let body = enveloped(kind, call.envelope, id, body);
        let client = self.apply.client;
        if method != Method::DELETE {
            return client.send(method, &path, &[], Some(&body), repeat).await;
        }
        let fields = body.as_object().into_iter().flatten();
        let query: Vec<(&str, &str)> = fields
            .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
            .collect();
        client.send(method, &path, &query, None, repeat).await
    }

    pub(super) fn body(&self, step: &Step) -> Value {
        let body = step.body.clone().unwrap_or_default();
        self.late().body(step.kind(), body)
    }

    /// Takes note of the name that the service gave someone.
    fn learn_name(&self, kind: &Kind, sent: &Value, answer: &Value) {
        let Some((_, at)) = kind.fields.principal else {
            return;
        };
        let name = |value: &Value| {
            let mut name = None;
            visit(value, at, &mut |value| {
                name = value.as_str().map(str::to_owned)
            });
            name
        };
        if let (Some(old), Some(new)) = (name(sent), name(answer))
            && old != new
            && at != kind.naming.at
        {
            self.late().rename(&old, &new);
        }
    }
}

pub(super) fn to_request(kind: &Kind, body: &Value) -> Value {
    match kind.request {
        Some(request) => request(body.clone()),
        None => body.clone(),
    }
}

/// Whether a field is sent with the call that makes the object.
fn goes_along(extra: &ExtraCall) -> bool {
    matches!(extra.manner, Manner::Elements { .. })
}

/// The bodies of the calls for a field.
fn bodies(extra: &ExtraCall, value: &Value, is_away: bool) -> Vec<Value> {
    match extra.manner {
        _ if is_nothing(value) => Vec::new(),
        Manner::Whole => vec![json!({extra.field: value})],
        Manner::Apart => Vec::new(),
        Manner::Elements { key } => {
            let elements = value.as_array().into_iter().flatten();
            let body = |element: &Value| match is_away {
                true => json!({key: element[key]}),
                false => element.clone(),
            };
            elements.map(body).collect()
        }
    }
}

/// What the call that makes an object is told.
fn creating(mut body: Value, rest: &Rest) -> Value {
    if let Some(object) = body.as_object_mut() {
        let is_later = |field: &String| {
            let mut extras = rest.extras.iter();
            extras.any(|extra| extra.field == field && !goes_along(extra))
        };
        object.retain(|field, _| !is_later(field));
    }
    body
}

fn without_extras(mut body: Value, rest: &Rest) -> Value {
    if let Some(object) = body.as_object_mut() {
        object.retain(|field, _| rest.extras.iter().all(|extra| extra.field != field));
    }
    body
}

fn enveloped(kind: &Kind, envelope: Envelope, id: Option<&str>, body: Value) -> Value {
    let id = id.map(|id| kind.id.to_json(id)).unwrap_or_default();
    match envelope {
        Envelope::Plain => body,
        Envelope::WithId(field) => {
            let mut object = match body {
                Value::Object(object) => object,
                _ => Map::new(),
            };
            object.insert(field.to_owned(), id);
            Value::Object(object)
        }
        Envelope::Wrapped {
            id: at,
            body: field,
        } => json!({at: id, field: body}),
        Envelope::IdOnly(field) => json!({field: id}),
    }
}

/// The new id; where the answer has none, it is the name.
fn created_id(rest: &Rest, answer: &Value, name: &str) -> Option<String> {
    let Some(at) = rest.created_id else {
        return Some(name.to_owned());
    };
    match at
        .split('.')
        .try_fold(answer, |value, field| value.get(field))?
    {
        Value::String(id) => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::kind;

    #[test]
    fn bodies_are_wrapped_as_each_call_wants_it() {
        let job = kind("job").unwrap();
        let wrapped = Envelope::Wrapped {
            id: "job_id",
            body: "new_settings",
        };
        assert_eq!(
            enveloped(job, wrapped, Some("7"), json!({"name": "j"})),
            json!({"job_id": 7, "new_settings": {"name": "j"}})
        );
        let cluster = kind("cluster").unwrap();
        assert_eq!(
            enveloped(
                cluster,
                Envelope::WithId("cluster_id"),
                Some("7"),
                json!({"x": 1})
            ),
            json!({"cluster_id": "7", "x": 1})
        );
        assert_eq!(
            enveloped(
                cluster,
                Envelope::IdOnly("cluster_id"),
                Some("7"),
                json!({"x": 1})
            ),
            json!({"cluster_id": "7"})
        );
    }
}
