//! `dbsnap forget`

use std::collections::BTreeSet;

use dbsnap::forget::{self, Removal, Survey};
use dbsnap::manifest::{SnapshotRef, Unreadable};
use dbsnap::prune::PruneReport;
use dbsnap::retention::{self, Candidate, KEEP_TAG, Policy, Reason};
use dbsnap::store::{HeadName, PruneOptions, Store};
use serde_json::{Value, json};

use super::prune as prune_command;
use crate::cli::capture;
use crate::cli::error::{Failure, in_a_line};
use crate::cli::exit::Outcome;
use crate::cli::render::forget as render;
use crate::cli::render::prune;
use crate::cli::render::units::plural;
use crate::cli::retention::{self as rules, Rules};
use crate::cli::select;
use crate::cli::session::Session;

/// Forget snapshots: all that no rule keeps, or those that are named
///
/// The rules say what stays; everything else is forgotten, at once and without a question. A snapshot stays if any rule
/// keeps it, and the table says which. Without a rule on the command line those of the table [retention] in dbsnap.toml
/// hold (`keep-daily = 7`), and without any rule nothing is done.
///
/// Every workspace counts for itself, and in it every selection: a backup with `--only jobs` stands for no other.
/// The newest complete one of a selection goes only when a newer complete one set out to read all that it has: the last
/// with the metastore, files of the DBFS, runs, mounts or values of secrets is not pushed out by those without.
/// Hours, days and weeks are those of UTC. Of a day with complete snapshots the last complete one stays, and days
/// without one do not count against those that have one. With a profile only its workspace is looked at.
///
/// Whatever the rules say, there stay: the newest snapshot of a workspace and its newest complete one, those with the
/// tag `keep`, those that cannot be read (they are named), and for 30 days what restores captured before they wrote,
/// which `restore --undo` needs and which stands for no day or week.
///
/// The time of a snapshot is what its writer says, as long as the store got it within a day after that. If the times
/// differ, both are shown, and the snapshots of the workspace are weighed by each of the two and once more without
/// those in doubt; what any of it keeps stays. So a wrong clock or made-up times push nothing out, and a copied store
/// whose files are all new keeps what it kept. Many new snapshots do push others out of --keep-last and its kin; what
/// --keep-within keeps cannot be pushed out.
///
/// What is forgotten frees no space by itself: the data stays in the store until `dbsnap prune`, or --prune here.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  dbsnap forget --keep-daily 7 --keep-weekly 5 --keep-monthly 12 --dry-run
  dbsnap forget --keep-within 30d --keep-tag release
  dbsnap forget --profile DEMO
  dbsnap forget 3f2a 77c01

Exit codes:
  0   done
  1   failed, nothing was forgotten
  2   the command line or the settings were not understood, or no rule says what to keep
  3   done, but a snapshot could not be read or removed; it is listed
  10  there is no store
  12  the store is encrypted, and the key is missing or wrong")]
pub(crate) struct Args {
    /// Forget just these: the beginning of an id, `latest` or `latest~1`
    #[arg(value_name = "SNAPSHOT")]
    snapshots: Vec<String>,

    /// Only say what would be forgotten
    #[arg(long, short = 'n')]
    dry_run: bool,

    /// Only snapshots of this workspace: its address, its id, or a part of them that fits no other
    #[arg(long, value_name = "TEXT", conflicts_with = "snapshots")]
    workspace: Option<String>,

    /// Forget the named snapshots even if they have the tag `keep`, cannot be read, or are the last complete ones
    #[arg(long, requires = "snapshots")]
    force: bool,

    /// Prune afterwards: condemn what nothing needs any more, and delete what a prune before condemned
    #[arg(long, conflicts_with = "dry_run")]
    prune: bool,

    #[command(flatten)]
    rules: Rules,
}

pub(crate) fn run(session: &Session, args: &Args) -> Result<Outcome, Failure> {
    let forgetting = Forgetting { session, args };
    if args.snapshots.is_empty() {
        let policy = rules::policy(&args.rules, &session.section.retention)?;
        forgetting.by_policy(&session.store()?, &policy)
    } else if args.rules.say_something() || args.rules.hold_something() {
        Err(
            Failure::usage("snapshots to forget and rules to keep some were both given")
                .hint("name the snapshots, or say what to keep"),
        )
    } else {
        forgetting.by_name(&session.store()?)
    }
}

struct Forgetting<'a> {
    session: &'a Session,
    args: &'a Args,
}

impl Forgetting<'_> {
    /// Forgets what no rule keeps.
    fn by_policy(&self, store: &Store, policy: &Policy) -> Result<Outcome, Failure> {
        let out = &self.session.out;
        let mut survey = survey(store)?;
        self.warn_of_holds(&survey, policy);
        for unreadable in &survey.unreadable {
            let (id, why) = (unreadable.name.id, in_a_line(&unreadable.error));
            out.warning(format!("snapshot {id:.8} stays: {why}"));
        }
        let named = self.args.workspace.as_deref();
        rules::of_workspace(self.session, named, &mut survey.candidates)?;
        self.warn_of_times(&survey.candidates);
        let series = retention::decide(&survey.candidates, policy, self.session.now())
            .map_err(|error| Failure::doing("decide what to keep", error).into_usage())?;
        if !out.manner.json && !out.manner.quiet {
            for series in &series {
                out.text(render::series(series));
            }
            // Whatever ends the removal, the decisions have been shown.
            out.flush();
        }
        let decisions = series.iter().flat_map(|series| &series.decisions);
        let going = decisions.filter(|decision| !decision.is_kept());
        let going: Vec<HeadName> = going.map(|decision| decision.snapshot.name).collect();
        let decided = series.iter().map(render::document).collect();
        let all = survey.candidates.len();
        self.carry_out(store, &going, all, &survey.unreadable, decided)
    }

    /// Forgets what was named.
    fn by_name(&self, store: &Store) -> Result<Outcome, Failure> {
        let mut chosen = BTreeSet::new();
        for given in &self.args.snapshots {
            let wanted = select::reference(given)?;
            if let SnapshotRef::At(_) = wanted {
                return Err(Failure::usage(format!(
                    "`{given}` is a date, which may mean a snapshot of any time before"
                ))
                .hint("name the snapshot by its id; `dbsnap snapshots` lists all there are"));
            }
            chosen.insert(select::name(store, &wanted, given)?);
        }
        let survey = survey(store)?;
        if !self.args.force {
            refuse(&survey, &chosen)?;
        }
        let out = &self.session.out;
        if !out.manner.json && !out.manner.quiet {
            for name in &chosen {
                let mut known = survey.candidates.iter();
                let snapshot = known.find(|snapshot| snapshot.name == *name);
                out.text(render::line(name, snapshot));
            }
            out.flush();
        }
        let going: Vec<HeadName> = chosen.into_iter().collect();
        let all = survey.candidates.len() + survey.unreadable.len();
        // That others cannot be read was not asked.
        self.carry_out(store, &going, all, &[], Value::Null)
    }

    /// Removes the heads, unless it is only to be said, and says what was done.
    fn carry_out(
        &self,
        store: &Store,
        going: &[HeadName],
        all: usize,
        unreadable: &[Unreadable],
        series: Value,
    ) -> Result<Outcome, Failure> {
        let dry_run = self.args.dry_run;
        let removal = match dry_run {
            true => Removal::default(),
            false => forget::remove(store, going.iter().copied()),
        };
        let nothing_worked = removal.forgotten.is_empty();
        // Whoever forgets the last one here means it.
        let none_left = !nothing_worked && removal.forgotten.len() == all;
        let failed = removal.failed.into_iter().map(|(name, error)| {
            let doing = format!("forget the snapshot {:.8}", name.id);
            (name, Failure::doing(doing, error))
        });
        let mut failed: Vec<(HeadName, Failure)> = failed.collect();
        if nothing_worked && !failed.is_empty() {
            return Err(failed.swap_remove(0).1);
        }
        let out = &self.session.out;
        for (_, failure) in &failed {
            out.error(failure.render());
        }
        let told = if dry_run {
            going
        } else {
            &removal.forgotten[..]
        };
        if out.manner.json {
            let pruned = self.prune(store, none_left)?;
            out.json(&json!({
                "dry_run": dry_run,
                "series": series,
                "to_forget": ids(going),
                "forgotten": ids(&removal.forgotten),
                "failed": failed.iter().map(failure_document).collect::<Vec<_>>(),
                "unreadable": render::unreadable(unreadable),
                "prune": pruned.map(|pruned| prune::document(&pruned)),
            }));
        } else if out.manner.quiet {
            ids(told).iter().for_each(|id| out.line(id));
        } else {
            out.text(render::summary(told.len(), all, dry_run));
            out.flush();
        }
        if !out.manner.json
            && let Some(pruned) = self.prune(store, none_left)?
        {
            out.result(prune::summary(&pruned, PruneOptions::default().grace), true);
        }
        Ok(if failed.is_empty() && unreadable.is_empty() {
            Outcome::Done
        } else {
            Outcome::Incomplete
        })
    }

    fn prune(&self, store: &Store, none_left: bool) -> Result<Option<PruneReport>, Failure> {
        let options = PruneOptions {
            without_snapshots: none_left,
            ..PruneOptions::default()
        };
        let prune = || prune_command::prune(self.session, store, options, false);
        self.args.prune.then(prune).transpose().map_err(|failure| {
            failure.hint("the snapshots were forgotten; only the space is not free yet")
        })
    }

    /// Warns of holds that hold nothing: a typing error must not go unnoticed until the snapshot is gone.
    fn warn_of_holds(&self, survey: &Survey, policy: &Policy) {
        let known = survey.candidates.iter().map(|snapshot| snapshot.name);
        let unreadable = survey.unreadable.iter().map(|unreadable| unreadable.name);
        let ids: Vec<String> = known
            .chain(unreadable)
            .map(|name| name.id.to_string())
            .collect();
        for held in &policy.ids {
            if !ids.iter().any(|id| id.starts_with(held)) {
                let warning =
                    format!("no snapshot has an id that begins with {held}, which is to be kept");
                self.session.out.warning(warning);
            }
        }
    }

    fn warn_of_times(&self, candidates: &[Candidate]) {
        let odd = candidates
            .iter()
            .filter(|snapshot| !snapshot.is_credible())
            .count();
        if odd > 0 {
            self.session.out.warning(format!(
                "{odd} of {} say another time than the store, which is shown as STORED; \
                 they push nothing out, and stay if either time keeps them",
                plural(candidates.len() as u64, "snapshot")
            ));
        }
    }
}

fn survey(store: &Store) -> Result<Survey, Failure> {
    forget::survey(store, capture::is_safety)
        .map_err(|error| Failure::doing("list the snapshots", error))
}

/// Refuses to forget what somebody may regret.
fn refuse(survey: &Survey, chosen: &BTreeSet<HeadName>) -> Result<(), Failure> {
    let objections = retention::objections(&survey.candidates, chosen);
    let objections = objections.iter().map(|(name, reason)| {
        let what = match reason {
            Reason::Protected => format!("has the tag `{KEEP_TAG}`"),
            Reason::NewestComplete => "is the last complete one of its workspace".to_owned(),
            _ => "is the last one of its workspace".to_owned(),
        };
        format!("snapshot {:.8} {what}", name.id)
    });
    let unreadable = survey.unreadable.iter();
    let unreadable = unreadable.filter(|unreadable| chosen.contains(&unreadable.name));
    let unreadable = unreadable.map(|unreadable| {
        let why = in_a_line(&unreadable.error);
        format!("snapshot {:.8} cannot be read: {why}", unreadable.name.id)
    });
    let objections: Vec<String> = objections.chain(unreadable).collect();
    if objections.is_empty() {
        return Ok(());
    }
    Err(
        Failure::refused(format!("nothing was forgotten: {}", objections.join("; ")))
            .hint("--force forgets it all the same"),
    )
}

fn ids(names: &[HeadName]) -> Vec<String> {
    names.iter().map(|name| name.id.to_string()).collect()
}

fn failure_document((name, failure): &(HeadName, Failure)) -> Value {
    let mut document = failure.to_json()["error"].take();
    document["id"] = json!(name.id.to_string());
    document
}
