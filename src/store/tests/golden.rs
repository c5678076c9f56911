//! A store of format 1, as it was written first. It is never written again, and every later version must read it.

use std::path::Path;

use super::*;
use crate::report::Silent;

/// Opens the encrypted one, and nothing else.
const IDENTITY: &str = "AGE-SECRET-KEY-1FF7USLLG0QU784FTG3LLZADS86Q70DXFQS9WZWU9MZCH3GFCLVNSA2JJXG";

/// The same store twice: as it is, and encrypted.
fn golden_stores() -> [Store; 2] {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/tests");
    let identity = Identity::parse_file(IDENTITY).unwrap().remove(0);
    let secrets = [Secret::Identity(identity)];
    let encrypted = Store::open_with(&tests.join("format-1-encrypted"), &secrets);
    [
        Store::open(&tests.join("format-1")).unwrap(),
        encrypted.unwrap(),
    ]
}

fn blobs() -> Vec<(BlobKind, Vec<u8>)> {
    let noise = BlobId::of(b"noise").as_bytes().to_vec();
    let mut blobs = vec![
        (BlobKind::Data, noise),
        (BlobKind::Node, notebook(2, 30)),
        (BlobKind::Data, Vec::new()),
    ];
    let mut version = notebook(1, 300);
    for n in 0..3 {
        blobs.push((BlobKind::Data, version.clone()));
        version = edited(&version, n);
    }
    blobs
}

#[test]
fn the_first_store_of_format_1_is_still_read() {
    for store in golden_stores() {
        is_read(&store);
    }
    let password = Passphrase::new("a password".to_owned().into()).unwrap();
    let sealed = golden_stores()[1].path().to_owned();
    assert!(Store::open_with(&sealed, &[Secret::Passphrase(password)]).is_ok());
}

fn is_read(store: &Store) {
    for (kind, blob) in blobs() {
        assert_eq!(store.read(&kind.id_of(&blob)).unwrap(), blob);
    }
    let depth = |blob: &(BlobKind, Vec<u8>)| {
        let id = blob.0.id_of(&blob.1);
        let found = store.0.reader.read_below(&*store.0, &id, 65).unwrap();
        found.header().depth
    };
    assert_eq!(
        blobs().iter().map(depth).collect::<Vec<_>>(),
        [0, 0, 0, 0, 1, 2]
    );
    let heads = store.heads().unwrap();
    assert_eq!(
        heads.iter().map(|head| head.time).collect::<Vec<_>>(),
        [at(1), at(2), at(3)]
    );
    assert_eq!(store.read_head(&heads[2]).unwrap(), b"{\"head\":3}\n");
    let pending = store.pending().unwrap();
    assert_eq!(
        store.read_pending(&pending[0]).unwrap(),
        b"{\"intent\":4}\n"
    );
    let found = store.verify(&Silent).unwrap();
    assert!(found.is_sound() && found.notes.is_empty(), "{found:?}");
    assert_eq!((found.packs, found.blobs, found.segments), (4, 6, 3));
}

/// The listing is what a reader in another language makes of the same store.
#[test]
fn the_first_store_of_format_1_holds_what_is_listed() {
    for store in golden_stores() {
        holds_what_is_listed(&store);
    }
}

fn holds_what_is_listed(store: &Store) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/tests");
    let mut lines = Vec::new();
    for head in store.heads().unwrap() {
        let len = store.read_head(&head).unwrap().len();
        lines.push(format!("snapshots {head} {len}"));
    }
    for intent in store.pending().unwrap() {
        let len = store.read_pending(&intent).unwrap().len();
        lines.push(format!("pending {intent} {len}"));
    }
    for pack in look::condemned(store.files()).unwrap() {
        lines.push(format!("condemned {pack}"));
    }
    let mut blobs: Vec<(BlobId, BlobKind)> = blobs()
        .iter()
        .map(|(kind, blob)| (kind.id_of(blob), *kind))
        .collect();
    blobs.sort_by_key(|(id, _)| *id);
    for (id, kind) in blobs {
        let kind = match kind {
            BlobKind::Data => "data",
            BlobKind::Node => "node",
        };
        lines.push(format!("{kind} {id} {}", store.read(&id).unwrap().len()));
    }
    let wanted = std::fs::read_to_string(tests.join("format-1.txt")).unwrap();
    assert_eq!(lines, wanted.lines().collect::<Vec<_>>());
}
