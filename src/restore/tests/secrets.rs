//! Secret scopes come back: with values where they are in the snapshot, and with words where they are not.

use serde_json::json;

use super::law::whole;
use super::*;
use crate::restore::{Action, Step, undo};
use crate::sandbox::{Effect, Rule};

/// Restores only scopes.
fn scopes(options: Options) -> Options {
    Options {
        selection: Selection {
            only: vec!["secret-scope".to_owned()],
            ..Selection::default()
        },
        ..options
    }
}

impl Bench {
    /// A backup without values.
    async fn backup_names(&self) -> Source {
        let reporter: Arc<dyn Reporter> = Arc::new(Silent);
        let options = self.options(&Selection::default());
        let report = backup::run(&self.from.client, &self.store, options, &reporter).await;
        let report = report.unwrap();
        Source {
            store: self.store.clone(),
            id: report.id,
            snapshot: report.snapshot,
        }
    }
}

fn value(place: &Place, scope: &str, key: &str) -> Value {
    let path = format!("/api/2.0/secrets/get?scope={scope}&key={key}");
    place.workspace().call("GET", &path, Value::Null).1["value"].clone()
}

fn put(place: &Place, scope: &str, key: &str, value: &str) {
    let body = json!({"scope": scope, "key": key, "string_value": value});
    let put = place.workspace().call("POST", "/api/2.0/secrets/put", body);
    assert_eq!(put.0, 200, "{put:?}");
}

fn acls(place: &Place, scope: &str) -> Value {
    let path = format!("/api/2.0/secrets/acls/list?scope={scope}");
    place.workspace().call("GET", &path, Value::Null).1["items"].clone()
}

fn step<'a>(plan: &'a Plan, scope: &str) -> &'a Step {
    let mut steps = plan.steps.iter();
    let is_it = |step: &&Step| step.kind == "secret-scope" && step.name == scope;
    steps.find(is_it).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_that_are_not_in_the_snapshot_are_named_and_the_rest_of_the_scope_comes_back() {
    let bench = Bench::new(Sample::Small).await;
    let source = bench.backup_names().await;
    let report = bench.restore(&source, &whole()).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    assert!(report.is_partial);
    assert_eq!(
        step(&report.plan, "etl").lost,
        ["values that are not in the snapshot must be set by hand: api-token, hms-password"]
    );
    assert_eq!(acls(&bench.to, "etl"), acls(&bench.from, "etl"));
    assert_eq!(bench.to.workspace().requests().to("secrets/put"), 0);

    // Whoever sets them by hand ends it.
    for key in ["api-token", "hms-password"] {
        put(&bench.to, "etl", key, "set by hand");
    }
    let again = bench.plan(&source, &whole()).await;
    let etl = step(&again, "etl");
    assert_eq!((etl.action, etl.lost.len()), (Action::Unchanged, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_was_changed_is_a_conflict_that_an_overwrite_and_its_undo_settle() {
    let bench = Bench::new(Sample::Small).await;
    let source = bench.backup().await;
    bench.restore(&source, &whole()).await;
    let (ours, other) = (value(&bench.from, "etl", "api-token"), json!("bmV3"));
    put(&bench.to, "etl", "api-token", "new");
    put(&bench.to, "etl", "more", "unknown to the snapshot");
    let plan = bench.plan(&source, &scopes(options())).await;
    let etl = step(&plan, "etl");
    assert_eq!(etl.action, Action::Conflict);
    let paths: Vec<_> = etl.differences.iter().map(|change| &change.path).collect();
    assert_eq!(paths, ["values[api-token]"]);

    bench.to.workspace().forget_requests();
    let report = bench.restore(&source, &scopes(whole())).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(value(&bench.to, "etl", "api-token"), ours);
    // Only that value was written, and what the snapshot does not know is there still.
    assert_eq!(bench.to.workspace().requests().to("secrets/put"), 1);
    assert_ne!(value(&bench.to, "etl", "more"), Value::Null);

    let journal = journal_path(
        bench.dir.path(),
        &LineSeal::default(),
        &source.id,
        &bench.to.id,
    );
    let header = crate::restore::Header::new(source.id.to_string(), &bench.to.id);
    let earlier = crate::restore::Journal::look(&journal, &header, &bench.store.line_seal());
    let earlier = earlier.unwrap().unwrap();
    let back = &undo(&earlier, &options())[0];
    let heads = bench.store.heads().unwrap();
    let head = heads.iter().find(|head| head.id.to_string() == back.safety);
    let head = *head.unwrap();
    let safety = Source {
        store: bench.store.clone(),
        id: head.id,
        snapshot: crate::manifest::read(&bench.store, &head).unwrap(),
    };
    let undone = bench.restore(&safety, &back.options).await;
    assert_eq!(failures(&undone), Vec::<String>::new());
    assert_eq!(value(&bench.to, "etl", "api-token"), other);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_one_workspace_the_time_tells_that_a_value_without_a_copy_is_another_one() {
    let bench = Bench::new(Sample::Empty).await;
    let create = |scope: &str| json!({"scope": scope});
    let to = bench.to.workspace();
    to.call("POST", "/api/2.0/secrets/scopes/create", create("s"));
    put(&bench.to, "s", "same", "1");
    put(&bench.to, "s", "changed", "1");
    let reporter: Arc<dyn Reporter> = Arc::new(Silent);
    let options_of_it = bench.options(&Selection::default());
    let report = backup::run(&bench.to.client, &bench.store, options_of_it, &reporter).await;
    let report = report.unwrap();
    let source = Source {
        store: bench.store.clone(),
        id: report.id,
        snapshot: report.snapshot,
    };
    put(&bench.to, "s", "changed", "2");
    let plan = bench.plan(&source, &scopes(options())).await;
    assert_eq!(
        step(&plan, "s").lost,
        ["values that are not in the snapshot must be set by hand: changed"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_in_the_target_gets_nothing_and_whoever_restores_takes_their_place() {
    let bench = Bench::new(Sample::Small).await;
    let source = bench.backup().await;
    // Nobody of the snapshot is there, and nobody is made.
    let report = bench.restore(&source, &scopes(options())).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    let etl = step(&report.plan, "etl");
    assert!(
        etl.unmapped.contains(&"ana@example.com".to_owned()),
        "{etl:?}"
    );
    let manager = json!([{"principal": "admin@example.com", "permission": "MANAGE"}]);
    assert_eq!(acls(&bench.to, "etl"), manager);
    assert_eq!(
        value(&bench.to, "etl", "api-token"),
        value(&bench.from, "etl", "api-token")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_that_repeats_a_value_is_told_without_it() {
    let bench = Bench::new(Sample::Small).await;
    let source = bench.backup().await;
    let secret = value(&bench.from, "etl", "api-token");
    let secret = secret.as_str().unwrap();
    let refuse = Effect::Refuse {
        status: 400,
        code: "INVALID_PARAMETER_VALUE".into(),
        message: format!("cannot take {secret}, which is not-a-real-token"),
    };
    bench
        .to
        .workspace()
        .inject(Rule::new("/api/2.0/secrets/put", refuse).target("api-token"));
    let report = bench.restore(&source, &scopes(options())).await;
    let told = failures(&report).concat() + &format!("{report:?}");
    assert!(told.contains("cannot take ***, which is ***"), "{told}");
    assert!(!told.contains(secret) && !told.contains("not-a-real-token"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scope_of_a_workspace_without_access_lists_is_made_for_everybody() {
    let bench = Bench::new(Sample::Empty).await;
    let refuse = || Effect::Refuse {
        status: 400,
        code: "FEATURE_DISABLED".into(),
        message: "Secret ACLs are a premium feature".into(),
    };
    for place in [&bench.from, &bench.to] {
        let rule = Rule::new("/api/2.0/secrets/acls", refuse());
        place.workspace().inject(rule);
    }
    let create = json!({"scope": "s", "initial_manage_principal": "users"});
    let from = bench.from.workspace();
    from.call("POST", "/api/2.0/secrets/scopes/create", create);
    put(&bench.from, "s", "k", "v");
    let source = bench.backup().await;
    assert!(source.snapshot.complete);
    let report = bench.restore(&source, &whole()).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    let made = json!([{"principal": "users", "permission": "MANAGE"}]);
    assert_eq!(acls(&bench.to, "s"), made);
    let differences = bench.differences(&source, &report.plan.mapping).await;
    assert_eq!(differences, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_access_list_that_could_not_be_read_is_not_guessed() {
    let bench = Bench::new(Sample::Small).await;
    let rule = Rule::new("/api/2.0/secrets/acls/list", Effect::forbidden()).target("shared@team");
    bench.from.workspace().inject(rule);
    let source = bench.backup().await;
    let report = bench.restore(&source, &whole()).await;
    let shared = step(&report.plan, "shared@team");
    assert_eq!(shared.lost, ["its acls are not in the snapshot"]);
    // Nobody but whoever restores it may use it, though it was everybody's.
    let maker = json!([{"principal": "admin@example.com", "permission": "MANAGE"}]);
    assert_eq!(acls(&bench.to, "shared@team"), maker);
    let again = bench.plan(&source, &whole()).await;
    assert_eq!(step(&again, "shared@team").action, Action::Unchanged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overwrite_takes_rights_away_that_the_snapshot_does_not_know() {
    let bench = Bench::new(Sample::Small).await;
    let source = bench.backup().await;
    bench.restore(&source, &whole()).await;
    let more = json!({"scope": "etl", "principal": "users", "permission": "MANAGE"});
    let put = "/api/2.0/secrets/acls/put";
    assert_eq!(bench.to.workspace().call("POST", put, more).0, 200);
    let report = bench.restore(&source, &scopes(whole())).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(acls(&bench.to, "etl"), acls(&bench.from, "etl"));
}
