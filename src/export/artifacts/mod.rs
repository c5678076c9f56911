//! The engine for the files of runs: run by run its folders are listed, and the files read where they are.
//!
//! - `list`: which files a run has. `stores`: what is in them.
//!
//! Where an experiment keeps its files in a folder of the DBFS, they are read as other files of the DBFS. What the tracking
//! service keeps itself it does not give out: it signs an address for each file, at which the storage of the cloud answers.
//!
//! Invariant: a file that was listed is sent, whole, or with the reason why its content is not; a run whose files nobody
//! gives out is a gap, and a folder that could not be listed one of the whole kind.

mod list;
mod stores;
#[cfg(test)]
mod tests;

use futures_util::StreamExt;
use futures_util::stream::iter;
use serde_json::json;

use self::list::Listed;
use self::stores::{Place, Stores};
use super::files::{Failure, File, Reader};
use super::item::{Captured, Item, Part};
use super::run::{Run, reason};
use crate::manifest::{Extent, Gap};
use crate::resource::{ArtifactPlace, Kind, KindName, ObjectKey, artifact_kind, artifact_name};

/// Files of a run that are in work at the same time; how many requests are really sent, the client decides.
const AT_ONCE: usize = 8;

/// Files whose addresses are asked for at once.
const ADDRESSES: usize = 500;

/// A run whose files are to be read.
#[derive(Clone, Debug)]
pub(super) struct Author {
    pub(super) name: String,
    pub(super) id: String,
    /// Whether another run has the same name.
    pub(super) is_namesake: bool,
    /// Where the service says that its files are.
    pub(super) uri: String,
}

impl Author {
    fn object_id(&self, path: &str) -> String {
        format!("{}/{path}", self.id)
    }
}

pub(super) struct Artifacts<'a> {
    run: &'a Run<'a>,
    pub(super) kind: &'static Kind,
    reader: Reader<'a, Stores<'a>>,
}

impl<'a> Artifacts<'a> {
    /// The engine, if files of runs are selected.
    pub(super) fn new(run: &'a Run<'a>) -> Option<Self> {
        let kind = artifact_kind();
        let is_selected = run.selection.covers_kind(&KindName::known(kind.name));
        let selected = run.selection.artifacts().filter(|_| is_selected)?;
        let reader = Reader::new(run, Stores::new(run), selected.max_file_size);
        Some(Self { run, kind, reader })
    }

    /// Reads the files of a run.
    pub(super) async fn of_run(&self, author: &Author) {
        let place = ArtifactPlace::of(&author.uri);
        if place == ArtifactPlace::Elsewhere {
            return self.not_given_out(author).await;
        }
        let (listed, failures) = self.list(author, &place).await;
        for failure in failures {
            let gap = Gap::new(Extent::Kind, format!("files of {}: {failure}", author.name));
            let kind = self.kind;
            self.run.send_item(Item::Unlisted { kind, gap }).await;
        }
        let named = |file: Listed| (self.key(author, &file.path), file);
        let mut files: Vec<(ObjectKey, Listed)> = listed.into_iter().map(named).collect();
        files.retain(|(key, _)| self.run.selection.covers(key));
        self.run.expect(files.len());
        for files in files.chunks(ADDRESSES) {
            self.read(author, &place, files).await;
        }
    }

    fn key(&self, author: &Author, path: &str) -> ObjectKey {
        let kind = KindName::known(self.kind.name);
        let name = artifact_name(&author.name, path);
        match author.is_namesake {
            true => ObjectKey::with_id(kind, name, author.object_id(path)),
            false => ObjectKey::new(kind, name),
        }
    }

    /// Reads what could not be held in memory.
    pub(super) async fn finish(&self) {
        self.reader.finish().await;
    }

    /// Reads some files of a run.
    async fn read(&self, author: &Author, place: &ArtifactPlace, files: &[(ObjectKey, Listed)]) {
        let stores = &self.reader.remote;
        let is_read = |file: &&(ObjectKey, Listed)| !self.reader.leaves_out(file.1.size);
        let paths: Vec<&str> = files
            .iter()
            .filter(is_read)
            .map(|(_, file)| &*file.path)
            .collect();
        let mut addresses = match place {
            ArtifactPlace::Tracking => stores.addresses(&author.id, &paths).await,
            _ => Ok(Default::default()),
        };
        let mut known = Vec::new();
        for (key, listed) in files {
            let address = addresses.as_mut().ok();
            let address = address.and_then(|addresses| addresses.remove(&listed.path));
            let place = match place {
                ArtifactPlace::Dbfs(root) => Place::Dbfs(format!("{root}/{}", listed.path)),
                _ => Place::signed(&author.id, &listed.path, address),
            };
            known.push(File {
                key: key.clone(),
                object_id: author.object_id(&listed.path),
                size: listed.size,
                modified_at: listed.modified_at,
                body: json!({"run_id": author.id, "path": listed.path}),
                place,
            });
        }
        let why = addresses.err().map(|error| reason(&error));
        let why = why.as_deref();
        iter(known)
            .for_each_concurrent(AT_ONCE, |file| self.file(file, why))
            .await;
    }

    /// Sends a file on; `why` is why there are no addresses, if there are none.
    async fn file(&self, file: File<Place>, why: Option<&str>) {
        if self.reader.leaves_out(file.size) {
            return self.reader.file(file).await;
        }
        let found = match why {
            Some(why) => Err(Failure::Failed(why.to_owned())),
            None => self.reader.remote.looked_at(&file).await,
        };
        match found {
            Ok(found) => self.reader.file(found).await,
            Err(failure) => self.reader.unread(&file, failure).await,
        }
    }

    /// Sends on that nothing is known of the files of a run.
    async fn not_given_out(&self, author: &Author) {
        let key = self.key(author, "");
        if !self.run.selection.covers(&key) {
            return;
        }
        self.run.expect(1);
        let mut object = Captured::new(key, Some(author.object_id("")));
        object.body = Part::Unread;
        let place = match author.uri.as_str() {
            "" => "a place that the workspace does not tell",
            uri => uri,
        };
        object.add_gap(Gap::new(
            Extent::Object,
            format!(
                "its files are in {place}, which the workspace does not give out: back them up with the means of that storage, or leave the experiment out with --exclude-path"
            ),
        ));
        self.run.send(object).await;
    }
}
