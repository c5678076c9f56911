//! Plans from two written manifests, without any workspace.

use std::collections::BTreeMap;

use chrono::DateTime;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::api::Cloud;
use crate::manifest::{Entry, Extent, Gap, Selection, Tree, write_tree};
use crate::mapping::Table;
use crate::resource::{Grantee, KindName};
use crate::restore::journal::Earlier;
use crate::restore::options::Options;
use crate::store::Store;

/// Two sides, by what they hold.
#[derive(Default)]
struct World {
    snapshot: BTreeMap<Vec<u8>, Entry>,
    target: BTreeMap<Vec<u8>, Entry>,
    same_workspace: bool,
}

fn object(kind_name: &'static str, name: &str, id: &str, body: Value) -> Entry {
    let kind = KindName::known(kind_name);
    let is_unique = crate::resource::kind(kind_name).unwrap().naming.unique;
    let key = match is_unique {
        true => ObjectKey::new(kind, name),
        false => ObjectKey::with_id(kind, name, id),
    };
    Entry {
        object_id: Some(id.to_owned()),
        body: Some(Payload::Inline(body.to_string().into_bytes())),
        permissions: Some(Payload::Inline(b"{}".to_vec())),
        ..Entry::new(key)
    }
}

fn user(name: &str, id: &str) -> Entry {
    object("user", name, id, json!({"userName": name}))
}

fn notebook(path: &str, text: &str) -> Entry {
    Entry {
        content: Some(Payload::Inline(text.as_bytes().to_vec())),
        ..object(
            "notebook",
            path,
            path,
            json!({"language": "PYTHON", "format": "SOURCE"}),
        )
    }
}

fn folder(path: &str) -> Entry {
    object("directory", path, path, json!({}))
}

fn job(name: &str, id: &str, runs: &[i64]) -> Entry {
    let run = |(index, job): (usize, &i64)| json!({"task_key": format!("t{index}"), "run_job_task": {"job_id": job}});
    let tasks: Vec<Value> = runs.iter().enumerate().map(run).collect();
    object("job", name, id, json!({"name": name, "tasks": tasks}))
}

fn with_acl(entry: Entry, acl: &Value) -> Entry {
    Entry {
        permissions: Some(Payload::Inline(acl.to_string().into_bytes())),
        ..entry
    }
}

impl World {
    fn snapshot(mut self, entries: impl IntoIterator<Item = Entry>) -> Self {
        let entries = entries.into_iter();
        self.snapshot
            .extend(entries.map(|entry| (entry.key.to_bytes(), entry)));
        self
    }

    fn target(mut self, entries: impl IntoIterator<Item = Entry>) -> Self {
        let entries = entries.into_iter();
        self.target
            .extend(entries.map(|entry| (entry.key.to_bytes(), entry)));
        self
    }

    fn plan(self, change: impl FnOnce(&mut Options)) -> Result<Plan, PlanError> {
        let (_dir, store) = store();
        let tree = |entries: BTreeMap<Vec<u8>, Entry>| {
            let writer = store.writer().unwrap();
            let root = write_tree(&writer, entries.into_values(), None).unwrap();
            writer.stage_pending(b"{}", DateTime::UNIX_EPOCH).unwrap();
            Tree::open(&store, &root).unwrap()
        };
        let (snapshot, target) = (tree(self.snapshot), tree(self.target));
        let mut options = Options::new(Cloud::Aws);
        change(&mut options);
        let everything = Selection::default();
        let side = |tree, workspace| Side {
            tree,
            selection: &everything,
            workspace,
        };
        plan(&Inputs {
            snapshot: side(&snapshot, "a"),
            target: side(&target, if self.same_workspace { "a" } else { "b" }),
            caller: &Grantee::User("me@x".into()),
            options: &options,
            earlier: &Earlier::default(),
        })
    }
}

fn store() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(&dir.path().join("store"), DateTime::UNIX_EPOCH).unwrap();
    (dir, store)
}

fn lines(plan: &Plan) -> Vec<String> {
    let steps = plan.steps.iter();
    steps
        .map(|step| {
            format!(
                "{:?} {} {}: {}",
                step.action, step.kind, step.target, step.reason
            )
        })
        .collect()
}

#[test]
fn groups_are_made_children_first_and_jobs_after_those_they_run() {
    let group = |name: &str, id: &str, members: &[&str]| {
        let members: Vec<Value> = members.iter().map(|id| json!({"value": id})).collect();
        object(
            "group",
            name,
            id,
            json!({"displayName": name, "members": members}),
        )
    };
    let world = World::default().snapshot([
        group("all", "1", &["2", "3"]),
        group("eng", "2", &["3"]),
        group("ops", "3", &[]),
        job("a", "10", &[11]),
        job("b", "11", &[]),
    ]);
    let plan = world.plan(|_| {}).unwrap();
    let order: Vec<_> = plan
        .steps
        .iter()
        .map(|step| (step.target.as_str(), step.needs.clone()))
        .collect();
    assert_eq!(
        order,
        [
            ("ops", vec![]),
            ("eng", vec![0]),
            ("all", vec![0, 1]),
            ("b", vec![]),
            ("a", vec![3])
        ]
    );
    assert_eq!(
        plan.steps[2].body.as_ref().unwrap()["members"],
        json!([{"value": "${group 2}"}, {"value": "${group 3}"}])
    );
    assert!(plan.completions.is_empty());
}

#[test]
fn jobs_that_run_each_other_are_made_in_part_and_completed_at_the_end() {
    let world = World::default().snapshot([job("a", "10", &[11]), job("b", "11", &[10])]);
    let plan = world.plan(|_| {}).unwrap();
    let bodies: Vec<_> = plan
        .steps
        .iter()
        .map(|step| step.body.clone().unwrap())
        .collect();
    assert_eq!(bodies[0], json!({"name": "b"}));
    assert_eq!(bodies[1]["tasks"][0]["run_job_task"]["job_id"], "${job 11}");
    let [completion] = &plan.completions[..] else {
        panic!("{:?}", plan.completions)
    };
    assert_eq!((completion.step, &completion.needs[..]), (0, &[0, 1][..]));
    assert_eq!(
        completion.body["tasks"][0]["run_job_task"]["job_id"],
        "${job 10}"
    );
}

#[test]
fn two_users_who_become_one_share_one_home_and_what_collides_is_a_conflict() {
    let group = json!({"displayName": "g", "members": [{"value": "1"}, {"value": "2"}]});
    let world = World::default()
        .snapshot([
            user("a@x", "1"),
            user("b@x", "2"),
            object("group", "g", "5", group),
            folder("/Users/a@x"),
            folder("/Users/b@x"),
            notebook("/Users/a@x/n", "1"),
            notebook("/Users/b@x/n", "2"),
        ])
        .target([user("c@x", "9"), folder("/Users"), folder("/Users/c@x")]);
    let plan = world
        .plan(|options| {
            options.mapping.add_pair(Table::Users, "a@x=c@x").unwrap();
            options.mapping.add_pair(Table::Users, "b@x=c@x").unwrap();
        })
        .unwrap();
    let of = |kind: &str| {
        lines(&plan)
            .into_iter()
            .filter(|line| line.contains(kind))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        of("notebook"),
        [
            "Create notebook /Users/c@x/n: is not in the target",
            "Conflict notebook /Users/c@x/n: something else of the snapshot is restored to the same path",
        ]
    );
    assert_eq!(
        of("user"),
        [
            "Unchanged user c@x: is as the snapshot says",
            "Skipped user c@x: becomes the same as user a@x",
        ]
    );
    let group = plan.steps.iter().find(|step| step.kind == "group").unwrap();
    assert_eq!(
        group.body.as_ref().unwrap()["members"],
        json!([{"value": "9"}, {"value": "9"}])
    );
}

#[test]
fn what_the_snapshot_could_not_read_is_said_and_what_it_took_over_is_restored() {
    let gap = |extent, reason| Some(Gap::new(extent, reason));
    let unread = Entry {
        content: None,
        gap: gap(Extent::Content, "403"),
        ..notebook("/Shared/unread", "")
    };
    let older = Entry {
        gap: gap(Extent::Object, "503"),
        carried_over: true,
        ..notebook("/Shared/older", "x")
    };
    let jobs = Entry {
        gap: gap(Extent::Kind, "timed out"),
        ..Entry::new(ObjectKey::whole_kind(KindName::known("job")))
    };
    let world = World::default()
        .snapshot([folder("/Shared"), unread, older, jobs])
        .target([folder("/Shared")]);
    let plan = world.plan(|_| {}).unwrap();
    assert_eq!(
        lines(&plan)[1..],
        [
            "Create notebook /Shared/older: is not in the target",
            "Skipped notebook /Shared/unread: is not in the snapshot: 403",
            "Skipped job : what there is more of this kind is not in the snapshot: timed out",
        ]
    );
    let older = plan
        .steps
        .iter()
        .find(|step| step.target == "/Shared/older")
        .unwrap();
    assert_eq!(
        older.notes,
        ["taken from an older snapshot, because this one could not read it: 503"]
    );
}

#[test]
fn a_target_whose_people_are_unknown_gives_no_plan() {
    let users = Entry {
        gap: Some(Gap::new(Extent::Kind, "403")),
        ..Entry::new(ObjectKey::whole_kind(KindName::known("user")))
    };
    let world = World::default()
        .snapshot([folder("/Shared")])
        .target([users]);
    let error = world.plan(|_| {}).unwrap_err();
    assert!(
        matches!(error, PlanError::TargetUnknown { kind: "user", .. }),
        "{error}"
    );
}

#[test]
fn something_else_in_the_place_is_never_replaced_and_nothing_is_made_below_it() {
    let file = object("file", "/Shared/x", "7", json!({}));
    let world = World::default()
        .snapshot([
            folder("/Shared"),
            folder("/Shared/x"),
            notebook("/Shared/x/n", "1"),
        ])
        .target([folder("/Shared"), file]);
    let plan = world
        .plan(|options| options.on_conflict = OnConflict::Overwrite)
        .unwrap();
    assert_eq!(
        lines(&plan)[1..],
        [
            "Conflict directory /Shared/x: the target has a file at this path",
            "Skipped notebook /Shared/x/n: its folder cannot be made: the target has something else there",
        ]
    );
}

#[test]
fn permissions_that_shut_out_whoever_restores_come_last_and_folders_from_the_inside_out() {
    let acl = json!({"user:ana@x": "CAN_MANAGE"});
    let world = World::default()
        .snapshot([
            with_acl(folder("/a"), &acl),
            with_acl(folder("/a/b"), &acl),
            with_acl(notebook("/a/b/n", "1"), &acl),
            with_acl(
                notebook("/a/m", "1"),
                &json!({"user:ana@x": "CAN_READ", "user:me@x": "CAN_MANAGE"}),
            ),
        ])
        .target([user("ana@x", "1"), user("me@x", "2")]);
    let plan = world.plan(|_| {}).unwrap();
    let order = plan
        .permissions
        .iter()
        .map(|step| plan.steps[step.step].target.as_str());
    assert_eq!(order.collect::<Vec<_>>(), ["/a/m", "/a/b/n", "/a/b", "/a"]);
}

#[test]
fn nobody_who_is_gone_leaves_an_object_open() {
    let acl = json!({"user:left@x": "CAN_MANAGE", "group:gone": "CAN_RUN"});
    let world = World::default()
        .snapshot([
            with_acl(notebook("/n", "1"), &acl),
            with_acl(
                object("cluster", "c", "1", json!({"cluster_name": "c"})),
                &acl,
            ),
        ])
        .target([]);
    let plan = world.plan(|_| {}).unwrap();
    // A new notebook has no direct entries; of a new cluster those that the service made are taken away.
    let [of_cluster] = &plan.permissions[..] else {
        panic!("{:?}", plan.permissions)
    };
    assert_eq!(of_cluster.entries, json!({}));
    assert_eq!(plan.summary().unmapped, ["group:gone", "user:left@x"]);
}

#[test]
fn a_running_job_that_is_as_the_snapshot_says_is_left_running() {
    let running = |id| {
        object(
            "job",
            "j",
            id,
            json!({"name": "j", "schedule": {"pause_status": "UNPAUSED"}}),
        )
    };
    let world = World {
        same_workspace: true,
        ..World::default()
            .snapshot([running("1")])
            .target([running("1")])
    };
    let plan = world
        .plan(|options| options.on_conflict = OnConflict::Overwrite)
        .unwrap();
    assert_eq!(lines(&plan), ["Unchanged job j: is as the snapshot says"]);
}

#[test]
fn an_unknown_kind_is_refused_by_name() {
    let error = World::default()
        .plan(|options| options.selection.only = vec!["jobz".into()])
        .unwrap_err();
    assert_eq!(error.to_string(), "there is no kind `jobz`");
}

#[test]
fn secret_values_that_are_damaged_in_the_store_keep_nothing_else_from_coming_back() {
    let body = json!({"name": "s", "backend_type": "DATABRICKS", "keys": [{"key": "k"}],
        "acls": [{"principal": "me@x", "permission": "MANAGE"}]});
    let scope = Entry {
        content: Some(Payload::Blob {
            id: crate::store::BlobId::of(b"gone"),
            len: 4,
        }),
        ..object("secret-scope", "s", "s", body)
    };
    let world = World::default()
        .snapshot([scope, user("me@x", "1")])
        .target([user("me@x", "1")]);
    let plan = world.plan(|_| {}).unwrap();
    let step = plan.steps.iter().find(|step| step.name == "s").unwrap();
    assert_eq!((step.action, step.values.len()), (Action::Create, 0));
    assert_eq!(
        step.lost,
        [
            "what is stored of its values is damaged",
            "values that are not in the snapshot must be set by hand: k"
        ]
    );
}
