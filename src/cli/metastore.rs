//! Where the statements run that read and make the Hive metastore: the flags `--warehouse`, `--cluster-name`,
//! `--launch-cluster` with `--iam`, and `--database`.
//!
//! Invariant: nothing is started that nobody named; what was started is stopped before the command ends.

use std::sync::Arc;

use dbsnap::api::{Client, Host};
use dbsnap::manifest::{Databases, Selection};
use dbsnap::resource::{self, KindName};
use dbsnap::sql::{Place, Profiles, Way};

use super::error::Failure;
use super::session::Session;
use super::settings;

/// Flags of commands that read or write the metastore.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Hive metastore")]
pub(crate) struct MetastoreArgs {
    /// Include the Hive metastore, by statements on this SQL warehouse, which starts by itself
    #[arg(long, value_name = "NAME|ID", conflicts_with = "cluster_name")]
    warehouse: Option<String>,

    /// Include the Hive metastore, by statements on this cluster; it is started if need be, and then stopped again
    #[arg(long, value_name = "NAME|ID")]
    cluster_name: Option<String>,

    /// Include the Hive metastore, by statements on a small cluster that is made for it and removed again
    #[arg(long, conflicts_with_all = ["warehouse", "cluster_name"])]
    launch_cluster: bool,

    /// The instance profile of the cluster that is launched; of several, or of `all`, the next is tried for tables that the
    /// one before cannot read
    #[arg(long, value_name = "ARN|all")]
    iam: Vec<String>,

    /// Of the Hive metastore, only this database; may be repeated
    #[arg(long, value_name = "NAME")]
    database: Vec<String>,
}

/// What runs statements, and what they are to be about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metastore {
    /// What runs them; none if nobody named anything.
    pub(crate) place: Option<Arc<Place>>,
    /// Whether it is a cluster, which tells of mounts as well.
    pub(crate) is_cluster: bool,
    /// Which databases.
    pub(crate) databases: Databases,
}

impl Metastore {
    /// What flags or else the settings say.
    pub(crate) fn new(
        session: &Session,
        args: &MetastoreArgs,
        settings: &settings::Backup,
        client: &Client,
    ) -> Result<Self, Failure> {
        let iam = match args.iam.as_slice() {
            [] => settings.iam.clone().unwrap_or_default(),
            given => given.to_vec(),
        };
        let warehouse = args.warehouse.clone();
        let given = ways(
            warehouse,
            args.cluster_name.clone(),
            args.launch_cluster,
            &iam,
        );
        let set = ways(
            settings.warehouse.clone(),
            settings.cluster_name.clone(),
            settings.launch_cluster.unwrap_or(false),
            &iam,
        );
        let way = match (given.into_iter().next(), set.len()) {
            (Some(way), _) => Some(way),
            (None, 0 | 1) => set.into_iter().next(),
            (None, _) => {
                return Err(Failure::usage(
                    "the settings name more than one of warehouse, cluster-name and launch-cluster: one is enough",
                ));
            }
        };
        if !args.iam.is_empty() && !matches!(way, Some(Way::Launched(_))) {
            return Err(Failure::usage("--iam is about a cluster that dbsnap launches")
                .hint("add --launch-cluster; a cluster of --cluster-name keeps the instance profile it has"));
        }
        let only = match args.database.as_slice() {
            [] => settings.database.clone().unwrap_or_default(),
            given => given.to_vec(),
        };
        if way.is_none() && !args.database.is_empty() {
            return Err(without_place("--database"));
        }
        let place = |way| Arc::new(Place::new(client.clone(), way, session.progress()));
        Ok(Self {
            is_cluster: matches!(way, Some(Way::Cluster(_) | Way::Launched(_))),
            place: way.map(place),
            databases: Databases { only },
        })
    }

    /// Adds the metastore to what is selected; refuses a selection that needs it and cannot have it.
    pub(crate) fn select(&self, selection: &mut Selection) -> Result<(), Failure> {
        selection.metastore = self.place.as_ref().map(|_| self.databases.clone());
        selection.mounts = self.is_cluster;
        let is_mount = |name: &String| resource::kind(name).is_some_and(resource::Kind::is_mount);
        if !self.is_cluster && selection.only.iter().any(is_mount) {
            return Err(Failure::usage("only a cluster tells of mounts")
                .hint("say which one with --cluster-name NAME, or --launch-cluster"));
        }
        let of_metastore = |name: &&String| {
            let kind = resource::kind(name);
            kind.is_some_and(|kind| kind.securable().is_some())
        };
        match selection.only.iter().find(of_metastore) {
            Some(kind) if self.place.is_none() => Err(without_place(&format!("the kind {kind}"))),
            _ => Ok(()),
        }
    }

    /// Makes sure that statements can be run where flags or settings say so.
    pub(crate) async fn open(&self, host: &Host) -> Result<(), Failure> {
        let Some(place) = &self.place else {
            return Ok(());
        };
        let opened = place.open().await;
        opened.map_err(|error| {
            Failure::doing(format!("reach what runs SQL statements in {host}"), error)
                .hint("without a warehouse or cluster all but the Hive metastore is restored")
        })
    }

    /// Puts everything back as it was.
    pub(crate) async fn close(&self, session: &Session) {
        let Some(place) = &self.place else { return };
        if let Err(error) = place.close().await {
            session.out.warning(format!(
                "what ran the statements could not be put back as it was: {error}"
            ));
        }
    }
}

/// Whether a selection would have the metastore if there were something to read it with.
pub(crate) fn misses_metastore(selection: &Selection) -> bool {
    let whole = Selection {
        metastore: Some(Databases::default()),
        ..selection.clone()
    };
    let mut kinds = resource::ALL
        .iter()
        .filter(|kind| kind.securable().is_some());
    let is_asked_for = |kind: &&resource::Kind| whole.covers_kind(&KindName::known(kind.name));
    selection.metastore.is_none() && selection.home.is_none() && kinds.any(is_asked_for)
}

/// Whether a selection would have the mounts if there were a cluster to ask.
pub(crate) fn misses_mounts(selection: &Selection) -> bool {
    let skips_them = |kind: &String| resource::kind(kind).is_some_and(resource::Kind::is_mount);
    !selection.mounts
        && selection.only.is_empty()
        && selection.home.is_none()
        && !selection.skip.iter().any(skips_them)
}

/// Every place that is named.
fn ways(
    warehouse: Option<String>,
    cluster: Option<String>,
    launches: bool,
    iam: &[String],
) -> Vec<Way> {
    let profiles = match iam.iter().any(|profile| profile == "all") {
        true => Profiles::All,
        false => Profiles::Named(iam.to_vec()),
    };
    let launched = launches.then_some(Way::Launched(profiles));
    let named = warehouse.map(Way::Warehouse).into_iter();
    named
        .chain(cluster.map(Way::Cluster))
        .chain(launched)
        .collect()
}

fn without_place(what: &str) -> Failure {
    Failure::usage(format!(
        "{what} is about the Hive metastore, which only SQL statements can read"
    ))
    .hint("say where they run, with --warehouse NAME, --cluster-name NAME or --launch-cluster")
}
