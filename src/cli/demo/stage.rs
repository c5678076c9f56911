//! The stage of the demo: a directory, two workspaces, and what happens in them behind dbsnap's back.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dbsnap::sandbox::{Clock, Options, Running, Sample, Sandbox, Workspace};
use serde_json::{Value, json};

use crate::cli::environment::Environment;
use crate::cli::error::Failure;
use crate::cli::session::Session;

/// People of the first workspace who are in the second as well.
const MOVED_ALONG: [&str; 6] = ["ana", "chloe", "frank", "li.lei", "nina", "o'hara"];

const EDITED: &str = "/Users/ana@example.com/load";
pub(super) const DELETED: &str = "/Users/ana@example.com/projects/churn";
const MOVED: [&str; 2] = ["/Shared/etl/02 clean", "/Shared/etl/02 tidy up"];
const OPENED: &str = "/Users/ana@example.com/projects/pricing/elasticity";
const JOB: &str = "nightly etl";

/// Everything the demo plays with.
pub(super) struct Stage {
    directory: Directory,
    old: Running,
    new: Running,
}

enum Directory {
    Temporary(tempfile::TempDir),
    Kept(PathBuf),
}

impl Directory {
    fn path(&self) -> &Path {
        match self {
            Directory::Temporary(directory) => directory.path(),
            Directory::Kept(path) => path,
        }
    }
}

impl Stage {
    /// Starts the workspaces and writes the profiles.
    pub(super) async fn set(keep: Option<PathBuf>) -> Result<Self, Failure> {
        let preparing = |error| Failure::doing("prepare a directory for the demo", error);
        let directory = match keep {
            None => Directory::Temporary(tempfile::tempdir().map_err(preparing)?),
            Some(path) => {
                std::fs::create_dir_all(&path).map_err(preparing)?;
                let mut entries = std::fs::read_dir(&path).map_err(preparing)?;
                if entries.next().is_some() {
                    return Err(Failure::usage(format!("{} is not empty", path.display())));
                }
                Directory::Kept(path)
            }
        };
        let old = start(Sample::Small, 1).await?;
        let new = start(Sample::Empty, 2).await?;
        move_people(&old.workspace, &new.workspace);
        let profiles = format!(
            "[DEMO]\nhost = {}\ntoken = {}\n\n[NEW_DEMO]\nhost = {}\ntoken = {}\n",
            old.url,
            old.token.reveal(),
            new.url,
            new.token.reveal()
        );
        std::fs::write(directory.path().join(".databrickscfg"), profiles).map_err(preparing)?;
        Ok(Self {
            directory,
            old,
            new,
        })
    }

    /// Stops the workspaces.
    pub(super) async fn strike(self) {
        self.old.shutdown().await;
        self.new.shutdown().await;
    }

    /// Where everything is, if it stays.
    pub(super) fn kept(&self) -> Option<&Path> {
        match &self.directory {
            Directory::Temporary(_) => None,
            Directory::Kept(path) => Some(path),
        }
    }

    /// The environment of the commands: nothing of the user's own gets in.
    pub(super) fn environment(&self, session: &Session) -> Environment {
        let path = |name: &str| self.directory.path().join(name).display().to_string();
        let variables = [
            ("HOME", path("")),
            ("USERPROFILE", path("")),
            ("DATABRICKS_CONFIG_FILE", path(".databrickscfg")),
            ("DBSNAP_STORE", path("store")),
            ("HOSTNAME", session.environment.hostname()),
        ];
        let variables = variables.into_iter();
        Environment {
            variables: variables
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            fixed_now: session.environment.fixed_now,
            ..Environment::default()
        }
    }

    /// Starts counting the requests of the second workspace anew.
    pub(super) fn forget_requests(&self) {
        self.new.workspace.forget_requests();
    }

    /// Requests that changed something in the second workspace, or tried to.
    pub(super) fn writes(&self) -> u64 {
        let requests = self.new.workspace.requests();
        let methods = ["POST ", "PUT ", "PATCH ", "DELETE "];
        methods.iter().map(|method| requests.to(method)).sum()
    }

    /// A day of work in the first workspace; what was done, in words.
    pub(super) fn change_the_workspace(&self) -> String {
        let workspace = &self.old.workspace;
        edit(workspace);
        workspace.remove(DELETED);
        workspace.relocate(MOVED[0], MOVED[1]);
        open_to_everybody(workspace);
        delay_the_job(workspace);
        format!(
            "  - ana adds a cell to {EDITED}\n  - somebody deletes {DELETED}\n  - {} becomes {}\n  - everybody may now change {OPENED}\n  - the job {JOB} runs later",
            MOVED[0], MOVED[1]
        )
    }
}

async fn start(sample: Sample, seed: u64) -> Result<Running, Failure> {
    let options = Options {
        sample,
        seed,
        clock: Clock::System,
        workspace_id: 5_000_000_000_000_000 + seed,
        ..Options::default()
    };
    let running = Sandbox::start(options).await;
    running.map_err(|error| Failure::doing("start a sandbox workspace", error))
}

/// What a directory service does: the same people in the new workspace, with their new addresses. Groups of the account
/// and applications are the same everywhere.
fn move_people(old: &Workspace, new: &Workspace) {
    let scim = "/api/2.0/preview/scim/v2";
    let (_, users) = old.call("GET", &format!("{scim}/Users"), Value::Null);
    for user in users["Resources"].as_array().into_iter().flatten() {
        let name = user["userName"].as_str().unwrap_or_default();
        let Some(name) = name.strip_suffix("@example.com") else {
            continue;
        };
        if MOVED_ALONG.contains(&name) {
            let mut user = user.clone();
            user["userName"] = json!(format!("{name}@example.org"));
            for field in ["id", "emails", "groups"] {
                user.as_object_mut().and_then(|user| user.remove(field));
            }
            new.call("POST", &format!("{scim}/Users"), user);
        }
    }
    let (_, robots) = old.call("GET", &format!("{scim}/ServicePrincipals"), Value::Null);
    for robot in robots["Resources"].as_array().into_iter().flatten() {
        let mut robot = robot.clone();
        for field in ["id", "groups"] {
            robot.as_object_mut().and_then(|robot| robot.remove(field));
        }
        new.call("POST", &format!("{scim}/ServicePrincipals"), robot);
    }
    new.add_group("acct-analysts", &[]);
    new.give_group_to_account("acct-analysts");
}

fn edit(workspace: &Workspace) {
    let path = format!(
        "/api/2.0/workspace/export?format=SOURCE&path={}",
        encoded(EDITED)
    );
    let (_, exported) = workspace.call("GET", &path, Value::Null);
    let bytes = STANDARD.decode(exported["content"].as_str().unwrap_or_default());
    let source = String::from_utf8(bytes.unwrap_or_default()).unwrap_or_default();
    let source = source.trim_end();
    let source =
        format!("{source}\n\n# COMMAND ----------\n\ndisplay(spark.table(\"orders\").limit(10))\n");
    workspace.put_notebook(EDITED, "PYTHON", &source);
}

fn encoded(path: &str) -> String {
    path.replace('@', "%40")
}

fn open_to_everybody(workspace: &Workspace) {
    let path = format!("/api/2.0/workspace/get-status?path={}", encoded(OPENED));
    let (_, status) = workspace.call("GET", &path, Value::Null);
    let id = &status["object_id"];
    let everybody = json!({"group_name": "users", "permission_level": "CAN_EDIT"});
    workspace.call(
        "PATCH",
        &format!("/api/2.0/permissions/notebooks/{id}"),
        json!({"access_control_list": [everybody]}),
    );
}

fn delay_the_job(workspace: &Workspace) {
    let (_, listed) = workspace.call("GET", "/api/2.2/jobs/list?limit=100", Value::Null);
    let mut jobs = listed["jobs"].as_array().into_iter().flatten();
    let Some(job) = jobs.find(|job| job["settings"]["name"] == JOB) else {
        return;
    };
    let later = json!({
        "quartz_cron_expression": "0 30 4 * * ?", "timezone_id": "UTC", "pause_status": "UNPAUSED"});
    workspace.call(
        "POST",
        "/api/2.2/jobs/update",
        json!({"job_id": job["job_id"], "new_settings": {"schedule": later}}),
    );
}
