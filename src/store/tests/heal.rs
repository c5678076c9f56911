//! What hangs on something that is gone counts as gone, and is stored again by whoever comes with it.

use super::crash::files;
use super::*;
use crate::report::Silent;
use crate::store::backend::Memory;
use crate::store::prune::Pruning;

/// A store with three versions of a notebook, each in a pack of its own together with something else: the later ones are
/// patches on the one before.
struct Chain {
    memory: Memory,
    versions: Vec<Vec<u8>>,
    others: Vec<Vec<u8>>,
}

impl Chain {
    fn new() -> Self {
        let memory = Memory::new(at(0));
        let store = Store::create_in(files(&memory), at(0)).unwrap();
        let chain = Self {
            memory,
            versions: (0..3).map(|n| edited(&notebook(3, 200), n)).collect(),
            others: (0..3).map(|n| notebook(50 + n, 20)).collect(),
        };
        let mut base = None;
        for (version, other) in chain.versions.iter().zip(&chain.others) {
            base = Some(put(&store, &[(other, None), (version, base)]));
        }
        for (depth, version) in chain.versions.iter().enumerate() {
            let id = BlobId::of(version);
            let found = store.0.reader.read_below(&*store.0, &id, 9).unwrap();
            assert_eq!(usize::from(found.header().depth), depth);
        }
        chain
    }

    fn open(&self) -> Store {
        Store::open_in(files(&self.memory), &[]).unwrap().unwrap()
    }

    fn pack_of(&self, blob: &[u8]) -> String {
        let place = self.open().0.places(&BlobId::of(blob)).unwrap()[0];
        layout::pack_name(&place.pack)
    }

    /// Changes a byte of the first frame of a pack.
    fn spoil(&self, pack: &str) {
        let files = files(&self.memory);
        let mut bytes = files.read(pack, 1 << 30).unwrap().unwrap();
        bytes[60] ^= 1;
        files.remove(pack).unwrap();
        files.put(pack, &bytes).unwrap();
    }

    /// Which versions and others a store says it has; what it has must be readable.
    fn had(&self) -> [Vec<bool>; 2] {
        let store = self.open();
        [&self.versions, &self.others].map(|blobs| {
            let has = |blob: &Vec<u8>| {
                let has = store.contains(&BlobId::of(blob));
                assert_eq!(has, store.read(&BlobId::of(blob)).is_ok());
                has
            };
            blobs.iter().map(has).collect()
        })
    }
}

/// Commits blobs, as differences to others where those are given; says the id of the last.
fn put(store: &Store, blobs: &[(&Vec<u8>, Option<BlobId>)]) -> BlobId {
    let writer = store.writer().unwrap();
    let put = |(blob, base): &(&Vec<u8>, Option<BlobId>)| {
        writer.put(BlobKind::Data, blob, base.as_ref()).unwrap()
    };
    let ids: Vec<BlobId> = blobs.iter().map(put).collect();
    writer.commit(format!("{ids:?}").as_bytes(), at(1)).unwrap();
    *ids.last().unwrap()
}

/// Prunes all but these blobs, twice: what is condemned first is deleted then.
fn prune(chain: &Chain, live: &[&Vec<u8>]) {
    for _ in 0..2 {
        let options = PruneOptions {
            grace: TimeDelta::zero(),
            ..PruneOptions::default()
        };
        let pruning: Pruning = chain.open().prune(options).unwrap();
        let mut needed = Live::default();
        for (group, blob) in live.iter().enumerate() {
            needed.add(BlobId::of(blob), group as u64);
        }
        let plan = pruning.plan(&needed).unwrap();
        pruning.apply(&plan, &Silent).unwrap();
    }
    let store = chain.open();
    for blob in live {
        assert_eq!(store.read(&BlobId::of(blob)).unwrap(), **blob);
    }
}

#[test]
fn a_patch_on_what_is_gone_is_gone_as_well_until_its_base_is_back() {
    let chain = Chain::new();
    let pack = chain.pack_of(&chain.versions[0]);
    files(&chain.memory).remove(&pack).unwrap();
    assert_eq!(chain.had(), [[false; 3], [false, true, true]]);

    // The last version comes again, and is no patch on what is lost.
    let [_, second, third] = &chain.versions[..] else {
        panic!();
    };
    put(&chain.open(), &[(third, Some(BlobId::of(second)))]);
    assert_eq!(chain.had()[0], [false, false, true]);

    put(&chain.open(), &[(&chain.versions[0], None)]);
    assert_eq!(chain.had()[0], [true; 3]);
}

#[test]
fn a_patch_on_what_is_gone_stays_gone_when_the_index_is_merged_or_made_anew() {
    let merged = |chain: &Chain| {
        for n in 0..64 {
            put(&chain.open(), &[(&notebook(100 + n, 3), None)]);
        }
    };
    let made_anew = |chain: &Chain| {
        chain.open().repair_index(false, &Silent).unwrap();
    };
    let ways: [&dyn Fn(&Chain); 2] = [&merged, &made_anew];
    for way in ways {
        let chain = Chain::new();
        let pack = chain.pack_of(&chain.versions[0]);
        files(&chain.memory).remove(&pack).unwrap();
        let segments = || layout::list::<layout::SegmentName>(&files(&chain.memory), layout::INDEX);
        let before = segments().unwrap();
        way(&chain);
        // None of the segments that told of it counts any more.
        assert!(
            segments()
                .unwrap()
                .iter()
                .any(|name| name.level > before[0].level)
        );
        assert_eq!(chain.had(), [[false; 3], [false, true, true]]);
        put(&chain.open(), &[(&chain.versions[2], None)]);
        assert_eq!(chain.had()[0], [false, false, true]);

        // A prune lets the lost patch go, and then nothing needs to tell of it.
        prune(&chain, &[&chain.versions[2], &chain.others[1]]);
        assert_eq!(chain.had(), [[false, false, true], [false, true, false]]);
        put(&chain.open(), &[(&chain.versions[1], None)]);
        assert_eq!(chain.had()[0], [false, true, true]);
    }
}

#[test]
fn what_was_lost_in_a_pack_that_was_given_up_is_stored_again_beside_the_record() {
    let chain = Chain::new();
    chain.spoil(&chain.pack_of(&chain.versions[0]));
    let done = chain.open().repair_packs(false, &Silent).unwrap();
    assert_eq!((done.damaged.len(), done.lost.len()), (1, 2));
    assert_eq!(chain.had(), [[false; 3], [false, true, true]]);

    // The second pack is relied upon, although a patch in it is lost for good.
    let [_, other, _] = &chain.others[..] else {
        panic!();
    };
    put(&chain.open(), &[(other, None), (&chain.versions[2], None)]);
    assert_eq!(chain.had(), [[false, false, true], [false, true, true]]);
    // Who comes with the bytes of the lost patch does not rely on it either.
    put(&chain.open(), &[(&chain.versions[1], None)]);
    assert_eq!(chain.had()[0], [false, true, true]);
    prune(&chain, &[other, &chain.versions[1], &chain.versions[2]]);
}

#[test]
fn a_prune_keeps_the_copy_that_can_be_read() {
    let chain = Chain::new();
    let pack = chain.pack_of(&chain.versions[0]);
    files(&chain.memory).remove(&pack).unwrap();
    // The new copy lies below more patches than the one that is lost.
    let [deep, deeper] = [7, 8].map(|n| edited(&chain.versions[1], n));
    let store = chain.open();
    let first = put(&store, &[(&deep, None)]);
    let second = put(&store, &[(&deeper, Some(first))]);
    put(&store, &[(&chain.versions[1], Some(second))]);
    assert_eq!(
        chain.had()[0],
        [false, true, false],
        "too deep for the third"
    );
    prune(&chain, &[&chain.versions[1], &chain.others[1]]);
}

#[test]
fn what_a_snapshot_needs_and_what_is_lost_keeps_a_prune_from_deleting_anything() {
    let chain = Chain::new();
    chain.spoil(&chain.pack_of(&chain.versions[0]));
    chain.open().repair_packs(false, &Silent).unwrap();
    let pruning = chain.open().prune(PruneOptions::default()).unwrap();
    let mut live = Live::default();
    live.add(BlobId::of(&chain.versions[0]), 0);
    assert!(matches!(
        pruning.plan(&live),
        Err(StoreError::MissingBlob(_))
    ));
}
