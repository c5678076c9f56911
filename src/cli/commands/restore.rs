//! `dbsnap restore`

mod options;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dbsnap::api::{Client, WorkspaceInfo};
use dbsnap::backup::{self, BackupError};
use dbsnap::manifest::Selection;
use dbsnap::resource::Grantee;
use dbsnap::restore::{
    self, Claim, Earlier, Header, Journal, KeepError, Options, Plan, RestoreError, RestoreReport,
    Source, Task, Undo,
};
use dbsnap::store::Store;
use tokio::sync::Notify;

use super::jobs;
use crate::cli::capture::{self, SAFETY_TAG};
use crate::cli::connect;
use crate::cli::error::Failure;
use crate::cli::exit::Outcome;
use crate::cli::mapping;
use crate::cli::metastore::Metastore;
use crate::cli::render::{plan as render_plan, restore as render};
use crate::cli::select;
use crate::cli::session::Session;

pub(crate) use options::Args;

/// Steps that are under way at once; how many requests that makes is the client's own decision.
const CONCURRENCY: usize = 16;

/// How long the service may take to know someone who was just made.
const SETTLE: Duration = Duration::from_secs(5);

pub(crate) async fn run(session: &Session, args: &Args) -> Result<Outcome, Failure> {
    args.older.check(&session.out)?;
    if let Some(pauses) = args.older.pauses()? {
        return jobs::set_paused(session, pauses, args.dry_run, &args.connect).await;
    }
    let store = session.store()?;
    let wanted = select::reference(&args.snapshot)?;
    let found = select::snapshot(&store, &wanted, &args.snapshot)?;
    let client = connect::client(session, &args.connect)?;
    let settings = &session.section.backup;
    let metastore = Metastore::new(session, &args.metastore, settings, &client)?;
    let options = options::options(session, args, client.config().cloud(), &metastore)?;
    let doing = || format!("connect to {}", client.host());
    let workspace = client.workspace().await;
    let workspace = workspace.map_err(|error| Failure::doing(doing(), error))?;
    metastore.open(client.host()).await?;
    let restore = Restore {
        session,
        args,
        store: &store,
        client: &client,
        metastore: &metastore,
        caller: caller(&workspace),
        workspace: name_of(&workspace),
    };
    select::require_paths(&found, &options.selection.include)?;
    mapping::warn_of_strangers(session, &args.mapping, &found.tree)?;
    let source = Source {
        store: store.clone(),
        id: found.name.id,
        snapshot: found.head,
    };
    let journal = restore.journal(&source);
    let outcome = if args.undo {
        restore.undo(&source, &options, &journal).await
    } else {
        session.out.note(format!(
            "restoring snapshot {:.8} of {} into {}",
            source.id, source.snapshot.host, workspace.host
        ));
        restore.run(&source, &options, &journal).await
    };
    metastore.close(session).await;
    outcome
}

/// A restore with everything that stays the same for all its tasks.
struct Restore<'a> {
    session: &'a Session,
    args: &'a Args,
    store: &'a Store,
    client: &'a Client,
    metastore: &'a Metastore,
    caller: Grantee,
    workspace: String,
}

impl Restore<'_> {
    async fn run(
        &self,
        source: &Source,
        options: &Options,
        journal: &Path,
    ) -> Result<Outcome, Failure> {
        let refusal = RefCell::new(None);
        let agreed = Notify::new();
        let confirm = |plan: &Plan| match self.confirm(plan) {
            Ok(()) => {
                // Whatever ends the run from here on, the plan has been shown.
                self.session.out.flush();
                agreed.notify_one();
                true
            }
            Err(failure) => {
                refusal.replace(Some(failure));
                false
            }
        };
        let progress = self.session.progress();
        let task = Task {
            source,
            client: self.client,
            metastore: self.metastore.place.as_deref(),
            caller: &self.caller,
            options,
            journal,
            safety: (!self.args.no_safety_snapshot).then_some(self.store),
            workspace: &self.workspace,
            dry_run: self.args.dry_run,
            concurrency: CONCURRENCY,
            settle: SETTLE,
            reporter: &*progress,
        };
        let capture = async |selection: &Selection| self.capture(selection).await;
        let interrupted = async {
            agreed.notified().await;
            self.session.interrupt.asked().await;
        };
        let report = tokio::select! {
            report = restore::run(task, capture, confirm) => report,
            () = interrupted => {
                let hint = match self.args.no_safety_snapshot {
                    true => "the same command goes on where this one stopped",
                    false => "the same command goes on where this one stopped; --undo takes back what was overwritten",
                };
                return Err(Failure::interrupted("interrupted while the plan was carried out").hint(hint));
            }
        };
        let report = report.map_err(|error| self.failed(source, error))?;
        if let Some(refusal) = refusal.into_inner() {
            return Err(refusal);
        }
        self.show(source, &report)
    }

    /// Takes back what restores of this snapshot into this workspace did.
    async fn undo(
        &self,
        source: &Source,
        options: &Options,
        journal: &Path,
    ) -> Result<Outcome, Failure> {
        // Held to the end, so that no restore goes on meanwhile with what is taken back.
        let (_claim, earlier) = self.earlier(source, journal)?;
        let tasks = restore::undo(&earlier, options);
        let mut outcome = Outcome::Done;
        for Undo {
            safety, options, ..
        } in &tasks
        {
            let wanted = select::reference(safety)?;
            let found = select::snapshot(self.store, &wanted, safety)?;
            let source = Source {
                store: self.store.clone(),
                id: found.name.id,
                snapshot: found.head,
            };
            let journal = self.journal_of_undo(&source);
            if self.run(&source, options, &journal).await? == Outcome::Incomplete {
                outcome = Outcome::Incomplete;
            }
        }
        let out = &self.session.out;
        let lost: Vec<_> = earlier.beyond_undo().collect();
        if !lost.is_empty() {
            out.warning(render::beyond_undo(&lost));
            outcome = Outcome::Incomplete;
        } else if tasks.is_empty() {
            out.note("the restore changed nothing that was there before");
        }
        let made: Vec<_> = earlier.made().collect();
        if !made.is_empty() {
            out.warning(render::remains(&made));
        }
        Ok(outcome)
    }

    /// What earlier restores did, and their journal.
    fn earlier(
        &self,
        source: &Source,
        journal: &Path,
    ) -> Result<(Option<Claim>, Earlier), Failure> {
        let header = Header::new(source.id.to_string(), &self.workspace);
        let seal = self.store.line_seal();
        let found = match self.args.dry_run {
            true => Journal::look(journal, &header, &seal).map(|found| Some((None, found?))),
            false => Claim::new(journal, &header, &seal)
                .map(|(claim, earlier)| claim.is_there().then_some((Some(claim), earlier))),
        };
        let found =
            found.map_err(|error| Failure::doing("read the journal of the restore", error))?;
        found.ok_or_else(|| {
            Failure::refused(format!(
                "snapshot {:.8} was never restored into {}: there is nothing to undo",
                source.id,
                self.client.host()
            ))
        })
    }

    /// Where the journal is.
    fn journal(&self, source: &Source) -> PathBuf {
        let usual = || {
            let seal = self.store.line_seal();
            restore::journal_path(self.store.path(), &seal, &source.id, &self.workspace)
        };
        self.args.journal.clone().unwrap_or_else(usual)
    }

    /// Where the journal of taking something back is: beside the one of what is taken back.
    fn journal_of_undo(&self, source: &Source) -> PathBuf {
        match &self.args.journal {
            Some(given) => {
                let mut name = given.clone().into_os_string();
                name.push(format!(".undo-{:.12}", source.id));
                name.into()
            }
            None => self.journal(source),
        }
    }

    /// Reads what is there, into a store that is gone when the command ends.
    async fn capture(&self, selection: &Selection) -> Result<Source, BackupError> {
        let mut options = capture::options(self.session, selection.clone());
        options.tags = vec![SAFETY_TAG.to_owned()];
        options.trusts_lists = true;
        options.metastore.clone_from(&self.metastore.place);
        let progress = self.session.progress();
        let captured = backup::capture(self.client, self.store, options, &progress).await;
        self.session.interrupt.unheed();
        let (store, report) = captured?;
        Ok(Source {
            store,
            id: report.id,
            snapshot: report.snapshot,
        })
    }

    /// Shows the plan, and asks whether to go on.
    fn confirm(&self, plan: &Plan) -> Result<(), Failure> {
        let out = &self.session.out;
        let text = render_plan::plan(plan, out.manner.verbose > 0);
        if out.manner.json {
            out.note(text);
        } else {
            out.result(text, self.args.yes);
        }
        if self.args.yes {
            return Ok(());
        }
        if !self.session.environment.can_ask {
            return Err(Failure::refused(
                "nobody is there to agree to the plan: nothing was changed",
            )
            .hint("give --yes to go ahead, or --dry-run to see the plan alone"));
        }
        let question = format!(
            "{} into {}? [y/N]",
            render_plan::counts(plan),
            self.client.host()
        );
        let answer = out
            .ask(&question)
            .map_err(|error| Failure::doing("read the answer", error))?;
        match answer.to_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Failure::refused("not agreed to: nothing was changed")),
        }
    }

    fn show(&self, source: &Source, report: &RestoreReport) -> Result<Outcome, Failure> {
        let out = &self.session.out;
        let is_empty = report.plan.steps.is_empty();
        if out.manner.json {
            out.json(report);
        } else if !is_empty {
            let is_fine = !report.is_partial && !self.args.dry_run;
            // A plan that was carried out was shown when it was agreed to.
            if self.args.dry_run || !report.plan.changes_anything() {
                let plan = render_plan::plan(&report.plan, out.manner.verbose > 0);
                out.result(plan, is_fine);
            }
            out.result(render::summary(report, &source.id), is_fine);
        }
        if is_empty {
            return Err(Failure::refused(
                "nothing of the snapshot was selected: nothing was done",
            ));
        }
        let conflicts = report.plan.forbidden_conflicts().count() as u64;
        if conflicts > 0 {
            return Err(Failure::refused(format!(
                "{} are there already and differ: nothing was changed",
                crate::cli::render::units::plural(conflicts, "object")
            ))
            .hint(
                "--on-conflict skip leaves them as they are, --on-conflict overwrite changes them",
            ));
        }
        Ok(match report.is_partial && !self.args.dry_run {
            true => Outcome::Incomplete,
            false => Outcome::Done,
        })
    }

    fn failed(&self, source: &Source, error: RestoreError<BackupError>) -> Failure {
        match error {
            RestoreError::Keep(error) => cannot_keep(error),
            RestoreError::Capture(error) => capture::failed(self.client, error),
            error => Failure::doing(
                format!(
                    "restore snapshot {:.8} into {}",
                    source.id,
                    self.client.host()
                ),
                error,
            ),
        }
    }
}

fn cannot_keep(error: KeepError) -> Failure {
    Failure::doing(
        "keep what is in the workspace now, before anything is changed",
        error,
    )
    .hint(
        "where the store cannot be written to, --no-safety-snapshot restores without a way back, and --journal FILE \
         keeps the journal elsewhere; or copy the store to where it can be written to, and restore from the copy",
    )
}

/// Who restores. The service calls a machine by its application id, which is no address.
fn caller(workspace: &WorkspaceInfo) -> Grantee {
    let name = workspace.user_name.clone();
    match name.contains('@') {
        true => Grantee::User(name),
        false => Grantee::ServicePrincipal(name),
    }
}

/// What snapshots of the workspace call it.
fn name_of(workspace: &WorkspaceInfo) -> String {
    match workspace.workspace_id {
        Some(id) => id.to_string(),
        None => workspace.host.clone(),
    }
}
