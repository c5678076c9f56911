//! Users, groups and service principals.

mod filter;
mod patch;

use serde_json::{Value, json};

use crate::sandbox::call::{Answer, Call, Fields, Object, Refusal, Reply};
use crate::sandbox::limits::Family;
use crate::sandbox::routes::{Route, route};
use crate::sandbox::state::{Kind, Principal, Stale, State, Want};

pub(super) static ROUTES: &[Route] = &[
    read("preview/scim/v2/Me", me),
    read("preview/scim/v2/Users", |state, call| {
        list(state, call, Kind::User)
    }),
    read("preview/scim/v2/Groups", |state, call| {
        list(state, call, Kind::Group)
    }),
    read("preview/scim/v2/ServicePrincipals", |state, call| {
        list(state, call, Kind::ServicePrincipal)
    }),
    read("preview/scim/v2/Users/{id}", |state, call| {
        get(state, call, Kind::User)
    }),
    read("preview/scim/v2/Groups/{id}", |state, call| {
        get(state, call, Kind::Group)
    }),
    read("preview/scim/v2/ServicePrincipals/{id}", |state, call| {
        get(state, call, Kind::ServicePrincipal)
    }),
    write("POST", "preview/scim/v2/Users", |state, call| {
        create(state, call, Kind::User)
    }),
    write("POST", "preview/scim/v2/Groups", |state, call| {
        create(state, call, Kind::Group)
    }),
    write(
        "POST",
        "preview/scim/v2/ServicePrincipals",
        |state, call| create(state, call, Kind::ServicePrincipal),
    ),
    write("PUT", "preview/scim/v2/Users/{id}", |state, call| {
        put(state, call, Kind::User)
    }),
    write("PUT", "preview/scim/v2/Groups/{id}", |state, call| {
        put(state, call, Kind::Group)
    }),
    write(
        "PUT",
        "preview/scim/v2/ServicePrincipals/{id}",
        |state, call| put(state, call, Kind::ServicePrincipal),
    ),
    write("PATCH", "preview/scim/v2/Users/{id}", |state, call| {
        patch(state, call, Kind::User)
    }),
    write("PATCH", "preview/scim/v2/Groups/{id}", |state, call| {
        patch(state, call, Kind::Group)
    }),
    write(
        "PATCH",
        "preview/scim/v2/ServicePrincipals/{id}",
        |state, call| patch(state, call, Kind::ServicePrincipal),
    ),
    write("DELETE", "preview/scim/v2/Users/{id}", |state, call| {
        delete(state, call, Kind::User)
    }),
    write("DELETE", "preview/scim/v2/Groups/{id}", |state, call| {
        delete(state, call, Kind::Group)
    }),
    write(
        "DELETE",
        "preview/scim/v2/ServicePrincipals/{id}",
        |state, call| delete(state, call, Kind::ServicePrincipal),
    ),
];

const fn read(path: &'static str, run: crate::sandbox::routes::Handler) -> Route {
    route("GET", path, run).family(Family::IdentityRead)
}

const fn write(
    method: &'static str,
    path: &'static str,
    run: crate::sandbox::routes::Handler,
) -> Route {
    route(method, path, run).family(Family::IdentityWrite)
}

/// The most one page holds, whatever was asked for.
const LARGEST_PAGE: usize = 10_000;
/// What a page holds when nothing was asked for.
const PAGE: usize = 100;

fn me(state: &mut State, call: &Call) -> Answer {
    let gone = || Refusal::identity(404, "", "The caller no longer exists.");
    let caller = state.directory.get(call.caller).ok_or_else(gone)?;
    let mut shown = state.directory.present(caller, &Want::of(call));
    if caller.kind == Kind::ServicePrincipal {
        // A machine is told about itself as if it were a user whose name is its application id.
        shown["userName"] = json!(caller.name());
    }
    Reply::json(shown)
}

fn list(state: &mut State, call: &Call, kind: Kind) -> Answer {
    let directory = &state.directory;
    let mut found: Vec<&Principal> = match call.query("filter") {
        None => directory.of_kind(kind).collect(),
        Some(text) => {
            let filter = filter::parse(text)
                .map_err(|error| Refusal::identity(400, "invalidFilter", error))?;
            let keep = |principal: &&Principal| filter.matches(principal);
            directory.of_kind(kind).filter(keep).collect()
        }
    };
    sort(&mut found, call);
    let total = found.len();
    let start = call.query_int("startIndex")?.unwrap_or(1).max(1) as usize;
    let count = call
        .query_int("count")?
        .map_or(PAGE, |count| (count.max(0) as usize).min(LARGEST_PAGE));
    let want = Want::of(call);
    let page = found.into_iter().skip(start - 1).take(count);
    let resources: Vec<Value> = page
        .map(|principal| directory.present(principal, &want))
        .collect();
    let mut body = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": total,
        "startIndex": start,
        "itemsPerPage": resources.len(),
    });
    // A page past the end has no `Resources` at all.
    if !resources.is_empty() {
        body["Resources"] = Value::Array(resources);
    }
    Reply::json(body)
}

fn sort(found: &mut [&Principal], call: &Call) {
    let Some(field) = call.query("sortBy") else {
        return;
    };
    found.sort_by_key(|principal| {
        principal
            .body
            .text(field)
            .unwrap_or_default()
            .to_lowercase()
    });
    if call.query("sortOrder") == Some("descending") {
        found.reverse();
    }
}

fn get(state: &mut State, call: &Call, kind: Kind) -> Answer {
    let id = existing(state, call, kind)?;
    match state.lag.look(&lag_key(id)) {
        Some(Stale::Absent) => return Err(not_found(call, kind)),
        Some(Stale::Old(old)) => return Reply::json(old),
        None => {}
    }
    show(state, id, &Want::of(call), 200)
}

fn create(state: &mut State, call: &Call, kind: Kind) -> Answer {
    let mut body = call.object()?;
    if kind == Kind::ServicePrincipal && body.text("applicationId").is_none() {
        body.insert("applicationId".into(), json!(state.ids.uuid()));
    }
    let field = kind.name_field();
    let name = body.text(field).filter(|name| !name.is_empty());
    let name =
        name.ok_or_else(|| Refusal::identity(400, "invalidValue", format!("{field} is required")))?;
    if state.directory.find(kind, name).is_some() {
        return Err(taken(kind, name));
    }
    let members = patch::member_ids(&state.directory, body.items("members"))?;
    let body = complete(kind, body)?;
    let id = state.add_principal(kind, body);
    for member in members {
        state.directory.join(id, member);
    }
    state.lag.remember(lag_key(id), None);
    show(state, id, &Want::all(), 201)
}

fn put(state: &mut State, call: &Call, kind: Kind) -> Answer {
    let id = editable(state, call, kind)?;
    let mut body = call.object()?;
    let old_name = state.name_of(id);
    let name = body
        .text(kind.name_field())
        .unwrap_or(&old_name)
        .to_string();
    if kind != Kind::Group && !name.eq_ignore_ascii_case(&old_name) {
        return Err(Refusal::identity(
            400,
            "mutability",
            format!("{} cannot be changed", kind.name_field()),
        ));
    }
    if state
        .directory
        .find(kind, &name)
        .is_some_and(|other| other.id != id)
    {
        return Err(taken(kind, &name));
    }
    let members = patch::member_ids(&state.directory, body.items("members"))?;
    remember(state, id);
    body.insert(
        kind.name_field().into(),
        json!(if kind == Kind::Group { name } else { old_name }),
    );
    let body = complete(kind, body)?;
    state.directory.replace(id, body);
    if kind == Kind::Group {
        patch::set_members(state, id, &members)?;
    }
    show(state, id, &Want::all(), 200)
}

fn patch(state: &mut State, call: &Call, kind: Kind) -> Answer {
    let id = editable(state, call, kind)?;
    let body = call.object()?;
    let operations = body.items("Operations");
    if operations.is_empty() {
        return Err(Refusal::identity(
            400,
            "invalidSyntax",
            "Operations must not be empty",
        ));
    }
    remember(state, id);
    for operation in operations {
        patch::apply(state, id, operation)?;
    }
    show(state, id, &Want::all(), 200)
}

fn delete(state: &mut State, call: &Call, kind: Kind) -> Answer {
    let id = editable(state, call, kind)?;
    if state.directory.is_built_in(id) {
        return Err(Refusal::identity(
            400,
            "mutability",
            "Built-in groups cannot be deleted",
        ));
    }
    // The home folder stays, as that of somebody who left.
    state.directory.remove(id);
    Ok(Reply::Empty(204))
}

fn show(state: &State, id: i64, want: &Want, status: u16) -> Answer {
    let principal = state
        .directory
        .get(id)
        .ok_or_else(|| Refusal::identity(404, "", "Resource not found."))?;
    Ok(Reply::Json(
        status,
        state.directory.present(principal, want),
    ))
}

fn remember(state: &mut State, id: i64) {
    if state.lag.is_on() {
        let old = state
            .directory
            .get(id)
            .map(|principal| state.directory.present(principal, &Want::all()));
        state.lag.remember(lag_key(id), old);
    }
}

/// The key under which a principal's older views are kept.
pub(super) fn lag_key(id: i64) -> String {
    format!("identity/{id}")
}

fn existing(state: &State, call: &Call, kind: Kind) -> Result<i64, Refusal> {
    let found = call
        .param("id")
        .parse()
        .ok()
        .and_then(|id| state.directory.get(id));
    found
        .filter(|principal| principal.kind == kind)
        .map(|principal| principal.id)
        .ok_or_else(|| not_found(call, kind))
}

fn editable(state: &State, call: &Call, kind: Kind) -> Result<i64, Refusal> {
    let id = existing(state, call, kind)?;
    if state
        .directory
        .get(id)
        .is_some_and(|principal| principal.is_account_group)
    {
        let detail =
            "Account groups cannot be changed in the workspace; change them in the account.";
        return Err(Refusal::identity(403, "", detail));
    }
    Ok(id)
}

fn not_found(call: &Call, kind: Kind) -> Refusal {
    let name = kind.collection().trim_end_matches('s');
    Refusal::identity(
        404,
        "",
        format!("{name} with id {} not found.", call.param("id")),
    )
}

fn taken(kind: Kind, name: &str) -> Refusal {
    let detail = match kind {
        Kind::User => format!("User with username {name} already exists."),
        Kind::Group => format!("Group with name {name} already exists."),
        Kind::ServicePrincipal => {
            format!("Service principal with application id {name} already exists.")
        }
    };
    Refusal::identity(409, "uniqueness", detail)
}

/// A body as it is kept: without what the service works out, with the defaults it fills in.
fn complete(kind: Kind, mut body: Object) -> Result<Object, Refusal> {
    for computed in ["id", "schemas", "groups", "members", "meta"] {
        body.remove(computed);
    }
    for list in ["roles", "entitlements"] {
        let values: Vec<Value> = body
            .items(list)
            .iter()
            .filter_map(|item| item.get("value").cloned())
            .collect();
        body.remove(list);
        if !values.is_empty() {
            body.insert(list.into(), patch::values(&values));
        }
    }
    if kind == Kind::Group {
        return Ok(body);
    }
    let active = body.get("active").is_none_or(patch::is_true);
    body.insert("active".into(), json!(active));
    let name = body.text(kind.name_field()).unwrap_or_default().to_string();
    if body.text("displayName").is_none_or(str::is_empty) {
        body.insert("displayName".into(), json!(name));
    }
    if kind == Kind::User && body.items("emails").is_empty() {
        body.insert(
            "emails".into(),
            json!([{"type": "work", "value": name, "primary": true}]),
        );
    }
    Ok(body)
}
