//! Objects that the older tool wrote as one line each, as the workspace listed them.

use std::collections::HashMap;
use std::io::Read;

use serde_json::{Value, json};

use super::access::Access;
use super::book::{Book, Identity, add_gap};
use super::failures::Failures;
use super::files::{Export, list};
use super::lines::{Spot, failure, object};
use super::{ImportError, chain};
use crate::manifest::{Entry, Extent};
use crate::resource::{Kind, Source, kind};

/// The longest file of one group: a hundred thousand members take a few megabytes.
const LONGEST_GROUP: u64 = 64 << 20;

/// What the taking of an export needs throughout.
pub(super) struct Taker<'a, 'b> {
    pub(super) book: &'a mut Book<'b>,
    pub(super) export: &'a Export,
    pub(super) failures: &'a mut Failures,
}

/// A kind that the registry knows.
pub(super) fn known(name: &'static str) -> &'static Kind {
    kind(name).expect("the registry has every kind that is named here")
}

impl Taker<'_, '_> {
    /// Takes everything of which there is one line for each object, but for jobs and the tree.
    pub(super) fn listed(&mut self) -> Result<(), ImportError> {
        self.plain("users.log", known("user"), None)?;
        self.groups()?;
        self.plain("instance_profiles.log", known("instance-profile"), None)?;
        self.plain("instance_pools.log", known("instance-pool"), None)?;
        let acl = ("acl_cluster_policies.log", "name");
        self.plain("cluster_policies.log", known("cluster-policy"), Some(acl))?;
        self.clusters()
    }

    /// A file whose lines are objects as they are.
    fn plain(
        &mut self,
        file: &'static str,
        kind: &'static Kind,
        acl: Option<(&'static str, &'static str)>,
    ) -> Result<(), ImportError> {
        let mut access = self.access(kind, acl)?;
        self.each(file, kind, |taker, item, spot| {
            taker.item(kind, &item, &mut access, spot)
        })?;
        access.conclude(self.book, self.export)
    }

    /// The permissions of a kind.
    pub(super) fn access(
        &mut self,
        kind: &'static Kind,
        acl: Option<(&'static str, &'static str)>,
    ) -> Result<Access, ImportError> {
        match acl {
            Some((file, name)) => {
                Access::read(self.book, self.export, kind, (file.to_owned(), name))
            }
            None => Ok(Access::none(kind)),
        }
    }

    /// Calls `take` with every line of a file that is an object and records no failure.
    pub(super) fn each(
        &mut self,
        file: &str,
        kind: &'static Kind,
        mut take: impl FnMut(&mut Self, Value, &Spot) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        let Some(lines) = self.export.lines(self.book, file, kind.name) else {
            return Ok(());
        };
        self.book.covers(kind.name);
        for line in lines {
            let item = line.object();
            let item = item.and_then(|item| failure(&item).map_or(Ok(item), Err));
            match item {
                Ok(item) => take(self, item, &line.spot)?,
                Err(reason) => self
                    .book
                    .lost(kind.name, format!("{}: {reason}", line.spot)),
            }
        }
        Ok(())
    }

    /// Notes an object as the workspace listed it.
    pub(super) fn item(
        &mut self,
        kind: &'static Kind,
        item: &Value,
        access: &mut Access,
        spot: &Spot,
    ) -> Result<(), ImportError> {
        let Some(mut entry) = self.entry(kind, item, spot)? else {
            return Ok(());
        };
        let name = entry.key.name.clone();
        access.give(&mut entry, &name, self.failures);
        self.book.note(entry, spot)
    }

    /// The entry of an object as the workspace listed it; none, and the kind is unknown, if it lacks its name or id.
    pub(super) fn entry(
        &mut self,
        kind: &'static Kind,
        item: &Value,
        spot: &Spot,
    ) -> Result<Option<Entry>, ImportError> {
        match self.book.identify(kind, item) {
            Ok(mut entry) => {
                if let Some(reason) = self.failures.object(kind.name, &entry.key.name) {
                    add_gap(&mut entry, Extent::Object, reason);
                }
                Ok(Some(entry))
            }
            Err(Identity::Unknown(reason)) => {
                self.book.lost(kind.name, format!("{spot}: {reason}"));
                Ok(None)
            }
            Err(Identity::Failed(error)) => Err(error),
        }
    }

    /// Groups have a file each.
    fn groups(&mut self) -> Result<(), ImportError> {
        let kind = known("group");
        if !self.export.has_directory("groups") {
            return Ok(());
        }
        self.book.covers(kind.name);
        let (files, directories) = list(self.book, self.export, "groups")?;
        for name in directories {
            let reason = "a directory where a group's file was expected";
            self.book
                .not_understood(&format!("groups/{name}"), reason)?;
        }
        for name in files {
            let file = format!("groups/{name}");
            let group = match self.whole(&file, LONGEST_GROUP) {
                Ok(group) => failure(&group).map_or(Ok(group), Err),
                Err(reason) => Err(reason),
            };
            match group {
                Ok(mut group) => {
                    // The older tool adds this for itself.
                    for member in group["members"].as_array_mut().into_iter().flatten() {
                        member
                            .as_object_mut()
                            .map(|member| member.remove("userName"));
                    }
                    let spot = Spot { file, line: 1 };
                    self.item(kind, &group, &mut Access::none(kind), &spot)?;
                }
                Err(reason) => self.book.lost(kind.name, format!("{file}: {reason}")),
            }
        }
        Ok(())
    }

    /// A file that is one JSON object.
    fn whole(&self, name: &str, longest: u64) -> Result<Value, String> {
        let failed = |error| format!("it cannot be read: {}", chain(&error));
        let file = self
            .export
            .open(name)
            .map_err(failed)?
            .ok_or("it is gone")?;
        let mut text = String::new();
        let read = file.take(longest + 1).read_to_string(&mut text);
        read.map_err(failed)?;
        match text.len() as u64 > longest {
            true => Err(format!("it is longer than {longest} bytes")),
            false => object(&text),
        }
    }

    /// Clusters: being pinned is told by who pinned them, and libraries by a file of their own.
    fn clusters(&mut self) -> Result<(), ImportError> {
        let kind = known("cluster");
        let libraries = self.libraries(kind)?;
        let mut access = self.access(kind, Some(("acl_clusters.log", "cluster_name")))?;
        for file in ["clusters.log", "skipped_clusters.log"] {
            self.each(file, kind, |taker, mut item, spot| {
                if !is_kept(kind, &item) {
                    return Ok(());
                }
                if !item["pinned_by_user_name"].is_null() {
                    item["pinned"] = json!(true);
                }
                let id = item["cluster_id"].as_str().unwrap_or_default();
                if let Some(libraries) = libraries.get(id) {
                    item["libraries"] = libraries.clone();
                }
                taker.item(kind, &item, &mut access, spot)
            })?;
        }
        access.conclude(self.book, self.export)
    }

    /// The libraries that clusters load, by their ids.
    fn libraries(&mut self, kind: &'static Kind) -> Result<HashMap<String, Value>, ImportError> {
        let Source::Listed { extras, .. } = &kind.source else {
            return Ok(HashMap::new());
        };
        let mut libraries = HashMap::new();
        let joined = extras.iter().find(|joined| joined.field == "libraries");
        let file = "attached_cluster_libs.log";
        if let (Some(joined), Ok(Some(_))) = (joined, self.export.open(file)) {
            self.each(file, kind, |_, status, _| {
                if let (Some(id), Some(list)) =
                    (status["cluster_id"].as_str(), (joined.value)(&status))
                {
                    libraries.insert(id.to_owned(), list);
                }
                Ok(())
            })?;
        }
        Ok(libraries)
    }
}

/// Whether the workspace's own list would count it.
fn is_kept(kind: &Kind, item: &Value) -> bool {
    match &kind.source {
        Source::Listed { keep, .. } => keep.is_none_or(|keep| keep(item)),
        _ => true,
    }
}
