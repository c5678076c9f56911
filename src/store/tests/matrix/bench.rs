//! A store in memory with a bit of everything, and what is known of it while it is whole.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::OnceLock;

use crate::check::{self, CheckReport, Depth};
use crate::manifest::{
    Entry, Extent, Gap, Payload, Root, Snapshot, Surveyed, Tree, mark, snapshots, survey,
    write_tree,
};
use crate::report::Silent;
use crate::resource::{KindName, ObjectKey};
use crate::store::backend::{Files, Memory};
use crate::store::crypt::MasterKey;
use crate::store::look::{self, Condemned};
use crate::store::reader::Locate;
use crate::store::tests::{at, edited, encrypted, notebook};
use crate::store::{
    Amount, BlobId, BlobKind, FileId, HeadName, Identity, Lock, NewSlot, Secret, SnapshotId, Store,
    Writer, layout, pack,
};

/// How many snapshots there are.
pub(super) const SNAPSHOTS: u32 = 4;
/// So many entries that the list of them takes several nodes.
const FOLDERS: u32 = 300;

/// A store, and everything that can be read in it.
pub(super) struct Bench {
    pub(super) memory: Memory,
    /// All heads.
    pub(super) heads: Vec<HeadName>,
    /// All blobs that some snapshot refers to.
    pub(super) blobs: BTreeMap<BlobId, Vec<u8>>,
    /// What each snapshot has.
    pub(super) entries: BTreeMap<SnapshotId, Vec<Entry>>,
    /// The keys that lie below a node, by snapshot.
    nodes: BTreeMap<SnapshotId, BTreeMap<BlobId, BTreeSet<ObjectKey>>>,
    /// Where each blob lies: in which file, and as a patch on what.
    places: Vec<(BlobId, String, Option<BlobId>)>,
}

/// The plain store and the same encrypted.
pub(super) fn benches() -> &'static [Bench; 2] {
    static BENCHES: OnceLock<[Bench; 2]> = OnceLock::new();
    BENCHES.get_or_init(|| [false, true].map(Bench::new))
}

impl Bench {
    fn new(is_sealed: bool) -> Self {
        let memory = Memory::new(at(0));
        let files = Files::new("memory", memory.clone());
        let store = match is_sealed {
            true => {
                let slots = [identity_slot(0), identity_slot(1)];
                let master = MasterKey::from_bytes(&[5; 32]);
                Store::create_sealed(files, at(0), &master, &slots).unwrap()
            }
            false => Store::create_in(files, at(0)).unwrap(),
        };
        let mut parent = None;
        for number in 0..SNAPSHOTS {
            let writer = store.writer().unwrap();
            let root = workspace(&writer, number, parent.as_ref());
            commit(&store, writer, &root, number);
            parent = Some(Tree::open(&store, &root).unwrap());
            if number == 1 {
                // What was there is superseded, and lies there until a prune.
                store.repair_index(false, &Silent).unwrap();
            }
        }
        add_leftovers(&store);
        // When packs were read is remembered from now on.
        check_data(&store);
        Self::of(memory)
    }

    /// Takes note of what a whole store holds.
    fn of(memory: Memory) -> Self {
        let store = open(&memory).unwrap();
        let mut bench = Self {
            memory,
            heads: store.heads().unwrap(),
            blobs: BTreeMap::new(),
            entries: BTreeMap::new(),
            nodes: BTreeMap::new(),
            places: Vec::new(),
        };
        for listed in snapshots(&store).unwrap().snapshots {
            let tree = Tree::open(&store, &listed.snapshot.root).unwrap();
            bench.learn(&store, listed.name.id, &tree);
        }
        for (id, _) in layout::list_packs(store.files()).unwrap() {
            let (directory, _) = pack::read_directory(store.files(), &id).unwrap();
            for (_, frame, blobs) in directory.frames() {
                let place = |(blob, _): &(BlobId, u32)| (*blob, layout::pack_name(&id), frame.base);
                bench.places.extend(blobs.iter().map(place));
            }
        }
        bench
    }

    fn learn(&mut self, store: &Store, snapshot: SnapshotId, tree: &Tree) {
        let entries = tree.iter().map(Result::unwrap).collect();
        self.entries.insert(snapshot, entries);
        let mut nodes = Vec::new();
        let mut add = |marked: crate::manifest::Marked| {
            let bytes = store.read(&marked.blob).unwrap().to_vec();
            self.blobs.insert(marked.blob, bytes);
            nodes.extend(marked.is_node.then_some(marked.blob));
            true
        };
        mark(tree, &mut add).unwrap();
        let all = self.keys(&snapshot);
        let below = nodes.into_iter().map(|node| {
            let mut others = BTreeSet::new();
            let enter = &mut |other: &BlobId| *other != node;
            survey(tree, enter, &mut |found| match found {
                Surveyed::Entry(entry) => drop(others.insert(entry.key)),
                Surveyed::Lost { .. } => unreachable!("the store is whole"),
            });
            // A root has no node above it that could be kept from being entered.
            let is_root = node == tree.root().node;
            let others = if is_root { BTreeSet::new() } else { others };
            (node, all.difference(&others).cloned().collect())
        });
        self.nodes.insert(snapshot, below.collect());
    }

    /// The keys of everything in a snapshot.
    pub(super) fn keys(&self, snapshot: &SnapshotId) -> BTreeSet<ObjectKey> {
        self.entries[snapshot]
            .iter()
            .map(|entry| entry.key.clone())
            .collect()
    }

    /// The names of all files.
    pub(super) fn files(&self) -> Vec<String> {
        self.memory.names()
    }

    pub(super) fn bytes(&self, file: &str) -> Vec<u8> {
        let files = Files::new("memory", self.memory.clone());
        files.read(file, 1 << 30).unwrap().unwrap()
    }

    /// The same files, with others in the place of some, or none.
    pub(super) fn with(&self, changed: &[(&str, Option<&[u8]>)]) -> Memory {
        let memory = self.memory.copy();
        let files = Files::new("memory", memory.clone());
        for (file, bytes) in changed {
            files.remove(file).unwrap();
            if let Some(bytes) = bytes {
                files.put(file, bytes).unwrap();
            }
        }
        memory
    }

    /// The blobs that can be had without a pack, if these were stored anew: the others lie nowhere else, or are patches
    /// on what is lost.
    pub(super) fn readable(&self, without: &str, anew: &BTreeSet<BlobId>) -> BTreeSet<BlobId> {
        let mut readable = anew.clone();
        loop {
            let before = readable.len();
            for (blob, pack, base) in &self.places {
                if pack != without && base.is_none_or(|base| readable.contains(&base)) {
                    readable.insert(*blob);
                }
            }
            if readable.len() == before {
                return readable;
            }
        }
    }

    /// What a snapshot loses if only these blobs can be read: objects of which nothing is known any more, and parts of
    /// those that are known.
    pub(super) fn losses(&self, snapshot: &SnapshotId, readable: &BTreeSet<BlobId>) -> Losses {
        let mut losses = Losses::default();
        for (node, keys) in &self.nodes[snapshot] {
            if !readable.contains(node) {
                losses.keys.extend(keys.iter().cloned());
            }
        }
        for entry in &self.entries[snapshot] {
            for (part, payload) in entry.parts() {
                let is_lost = blobs_of(payload, &self.blobs)
                    .iter()
                    .any(|blob| !readable.contains(blob));
                if is_lost && !losses.keys.contains(&entry.key) {
                    losses
                        .parts
                        .insert(format!("the {part} of {} is lost", entry.key));
                }
            }
        }
        losses
    }
}

/// What a snapshot has lost.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Losses {
    /// Objects in a part of the list that cannot be read.
    pub(super) keys: BTreeSet<ObjectKey>,
    /// Parts of objects, in the words of a check.
    pub(super) parts: BTreeSet<String>,
}

/// Opens a store as somebody who comes later does.
pub(super) fn open(memory: &Memory) -> Result<Store, String> {
    let files = Files::new("memory", memory.clone());
    match Store::open_in(files, &encrypted::secrets()) {
        Ok(Some(store)) => Ok(store),
        Ok(None) => Err("dbsnap.json is not there".into()),
        Err(error) => Err(told(&error)),
    }
}

fn told(error: &dyn Error) -> String {
    let cause = error.source().map(told);
    format!("{error}: {}", cause.unwrap_or_default())
}

pub(super) fn check_data(store: &Store) -> CheckReport {
    let (amount, now) = (Amount::All, at(1_000));
    check::run(store, Depth::Data { amount, now }, &Silent).unwrap()
}

/// Everything that a check says, with problems before notes.
pub(super) fn said(report: &CheckReport) -> Vec<String> {
    let problems = report.problems.iter().map(ToString::to_string);
    problems.chain(report.notes.iter().cloned()).collect()
}

fn blobs_of(payload: &Payload, known: &BTreeMap<BlobId, Vec<u8>>) -> Vec<BlobId> {
    match payload {
        Payload::Inline(_) => Vec::new(),
        Payload::Blob { id, .. } => vec![*id],
        Payload::Chunked { chunks, .. } => chunks.clone(),
        Payload::Listed { list, .. } => {
            let ids = known[list].as_chunks::<32>().0.iter();
            ids.map(|id| BlobId::from_bytes(*id))
                .chain([*list])
                .collect()
        }
    }
}

fn identity_slot(number: usize) -> NewSlot {
    let Secret::Identity(identity) = &encrypted::secrets()[number] else {
        unreachable!("these are identities");
    };
    let identity: &Identity = identity;
    NewSlot {
        label: "test".parse().unwrap(),
        lock: Lock::Recipient(identity.recipient()),
    }
}

/// The workspace as it is at a backup of some number: much stays, some is edited, some comes and goes.
pub(super) fn workspace(writer: &Writer, number: u32, parent: Option<&Tree>) -> Root {
    let old = |key: &ObjectKey| parent.and_then(|tree| tree.get(key).unwrap());
    let mut entries = Vec::new();
    for folder in 0..FOLDERS {
        let name = format!("/Users/user{:02}/folder{folder:03}", folder % 40);
        let mut entry = Entry::new(ObjectKey::new(KindName::known("directory"), name));
        entry.object_id = Some((1_000 + folder).to_string());
        entry.body = Some(Payload::Inline(b"{}".to_vec()));
        if folder % 200 == 17 + number {
            entry.gap = Some(Gap::new(Extent::Permissions, "403"));
        }
        entries.push(entry);
    }
    let mut add = |kind: &'static str,
                   name: String,
                   text: &[u8],
                   part: fn(&mut Entry) -> &mut Option<Payload>| {
        let mut entry = Entry::new(ObjectKey::new(KindName::known(kind), name));
        let mut before = old(&entry.key);
        let base = before.as_mut().and_then(|entry| part(entry).take());
        *part(&mut entry) = Some(Payload::store(writer, text, base.as_ref()).unwrap());
        entries.push(entry);
    };
    for n in 0..14 {
        let text = versioned(n, if n < 6 { number } else { 0 });
        add(
            "notebook",
            format!("/Users/user{n:02}/report"),
            &text,
            |entry| &mut entry.content,
        );
    }
    for n in number..number + 5 {
        add(
            "file",
            format!("/Shared/data{n:02}.csv"),
            &words(n),
            |entry| &mut entry.content,
        );
        add(
            "job",
            format!("nightly{n:02}"),
            &versioned(40 + n, number),
            |entry| &mut entry.body,
        );
        add(
            "cluster",
            format!("shared{n:02}"),
            &words(90 + n),
            |entry| &mut entry.permissions,
        );
    }
    for is_listed in [false, true] {
        entries.push(large_file(writer, number, is_listed));
    }
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    write_tree(writer, entries, parent).unwrap()
}

/// A notebook of which there are versions.
fn versioned(n: u32, version: u32) -> Vec<u8> {
    (0..version).fold([notebook(n, 40), words(n)].concat(), |text, edit| {
        edited(&text, edit)
    })
}

/// Text that does not compress much.
fn words(n: u32) -> Vec<u8> {
    let word = |at: u32| BlobId::of(&[n, at].map(u32::to_le_bytes).concat()).to_string();
    (0..14).flat_map(|at| word(at).into_bytes()).collect()
}

/// A file in chunks, which are shorter here than any writer would make them.
fn large_file(writer: &Writer, number: u32, is_listed: bool) -> Entry {
    let name = format!("/Volumes/large{}", u8::from(is_listed));
    let mut entry = Entry::new(ObjectKey::new(KindName::known("file"), name));
    let parts = [words(200), words(201 + number), words(300)];
    let put = |bytes: &[u8]| writer.put(BlobKind::Data, bytes, None).unwrap();
    let chunks: Vec<BlobId> = parts.iter().map(|part| put(part)).collect();
    let (id, len) = (BlobId::of(&parts.concat()), parts.concat().len() as u64);
    entry.content = Some(match is_listed {
        true => {
            let ids: Vec<u8> = chunks.iter().flat_map(|chunk| *chunk.as_bytes()).collect();
            let list = put(&ids);
            Payload::Listed { id, len, list }
        }
        false => Payload::Chunked { id, len, chunks },
    });
    entry
}

pub(super) fn commit(store: &Store, writer: Writer, root: &Root, number: u32) -> SnapshotId {
    writer.flush().unwrap();
    let tree = Tree::open(store, root).unwrap();
    let time = at(60 * i64::from(number));
    let head = Snapshot::of(&tree, time, "https://example.com").unwrap();
    writer.commit(&head.to_bytes(), time).unwrap()
}

/// What runs leave that were killed: an intent, and a pack that a prune has condemned.
fn add_leftovers(store: &Store) {
    let writer = store.writer().unwrap();
    writer
        .put(BlobKind::Data, b"of no use to anybody", None)
        .unwrap();
    writer.stage_pending(b"{\"staged\":1}", at(900)).unwrap();
    let (blob, before) = (
        BlobId::of(b"of no use to anybody"),
        store.reopened().unwrap(),
    );
    let unused: FileId = before.0.places(&blob).unwrap()[0].pack;
    let record = look::record(&Condemned {
        packs: vec![unused],
        is_damage: false,
    });
    let name = HeadName::new(at(901), SnapshotId::of(&record));
    store
        .files()
        .put(&format!("condemned/{name}"), &record)
        .unwrap();
}

#[test]
fn the_store_of_the_matrix_is_whole_and_has_a_bit_of_everything() {
    for bench in benches() {
        let store = open(&bench.with(&[])).unwrap();
        let report = check_data(&store);
        assert_eq!(said(&report), [""; 0]);
        let files = bench.files();
        let count = |dir: &str| files.iter().filter(|file| file.starts_with(dir)).count();
        assert!(count("packs/") >= 8 && count("index/") >= 5);
        assert_eq!(count("snapshots/"), SNAPSHOTS as usize);
        assert_eq!(["pending/", "condemned/", "verified/"].map(count), [1; 3]);
        let size: usize = files.iter().map(|file| bench.bytes(file).len()).sum();
        assert!((50_000..200_000).contains(&size), "{size} bytes");
        let patches = bench.places.iter().filter(|(.., base)| base.is_some());
        assert!(patches.count() > 10);
        let nodes = bench.nodes[&bench.heads[0].id].len();
        assert!(nodes > 2, "{nodes} nodes");
    }
}
