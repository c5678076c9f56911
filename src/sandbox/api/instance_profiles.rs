//! Instance profiles, keyed by their ARN.

use serde_json::{Value, json};

use crate::sandbox::call::{Answer, Call, Fields, Object, Refusal, Reply};
use crate::sandbox::routes::{Route, route};
use crate::sandbox::state::State;

pub(super) static ROUTES: &[Route] = &[
    route("GET", "instance-profiles/list", list),
    route("POST", "instance-profiles/add", add),
    route("POST", "instance-profiles/edit", edit),
    route("POST", "instance-profiles/remove", remove),
];

fn list(state: &mut State, _: &Call) -> Answer {
    Reply::list(
        "instance_profiles",
        state
            .instance_profiles
            .values()
            .cloned()
            .map(Value::Object)
            .collect(),
    )
}

fn add(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let arn = body.required_text("instance_profile_arn")?.to_string();
    if !arn.starts_with("arn:") || !arn.contains(":instance-profile/") {
        return Err(Refusal::invalid(format!(
            "Invalid instance profile ARN {arn}"
        )));
    }
    if state.instance_profiles.contains_key(&arn) {
        return Err(Refusal::exists(format!(
            "The instance profile {arn} already exists."
        )));
    }
    state.instance_profiles.insert(arn, complete(body));
    Reply::done()
}

fn edit(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let arn = body.required_text("instance_profile_arn")?.to_string();
    let known = state
        .instance_profiles
        .get_mut(&arn)
        .ok_or_else(|| not_found(&arn))?;
    known.extend(complete(body));
    Reply::done()
}

fn remove(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let arn = body.required_text("instance_profile_arn")?;
    state
        .instance_profiles
        .remove(arn)
        .ok_or_else(|| not_found(arn))?;
    Reply::done()
}

fn complete(mut body: Object) -> Object {
    body.remove("skip_validation");
    body.entry("is_meta_instance_profile")
        .or_insert(json!(false));
    body
}

fn not_found(arn: &str) -> Refusal {
    Refusal::not_found(format!("The instance profile {arn} does not exist."))
}
