//! What every backend promises, run over each of them.

use std::sync::Barrier;
use std::thread;

use super::*;
use crate::store::crypt::MasterKey;
use crate::store::tests::{at, temp_dir};

/// Runs a test over every backend.
fn on_each(test: impl Fn(&dyn Backend)) {
    let dir = temp_dir();
    test(&Local::new(dir.path()));
    let root = Path::new("/disk/store");
    test(&Local::on(FakeDisk::new(root, at(0)), root));
    test(&Memory::new(at(0)));
    test(&Retrying::new(Memory::new(at(0)), |_| {}));
    let crypt = Crypt::new(MasterKey::from_bytes(&[1; 32]));
    test(&Sealed::new(Arc::new(Memory::new(at(0))), crypt));
}

fn read(backend: &dyn Backend, name: &str) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; backend.stat(name)?.len as usize];
    backend.read_at(name, 0, &mut bytes)?;
    Ok(bytes)
}

fn names(backend: &dyn Backend, dir: &str) -> Vec<String> {
    let listed = backend.list(dir).unwrap().into_iter();
    listed.map(|file| file.name).collect()
}

#[test]
fn what_was_put_is_there_whole_and_in_parts() {
    on_each(|backend| {
        backend.put("packs/ab/abcd", b"0123456789").unwrap();
        backend.put("empty", b"").unwrap();
        assert_eq!(read(backend, "packs/ab/abcd").unwrap(), b"0123456789");
        assert_eq!(read(backend, "empty").unwrap(), b"");
        let mut part = [0; 4];
        backend.read_at("packs/ab/abcd", 3, &mut part).unwrap();
        assert_eq!(part, *b"3456");
        let beyond = backend.read_at("packs/ab/abcd", 8, &mut part);
        assert_eq!(beyond.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let far = backend.read_at("packs/ab/abcd", u64::MAX - 1, &mut part);
        assert!(far.is_err());
    });
}

#[test]
fn putting_the_same_again_is_fine_and_a_file_of_another_length_is_replaced() {
    on_each(|backend| {
        backend.put("a/b", b"whole").unwrap();
        backend.put("a/b", b"whole").unwrap();
        assert_eq!(read(backend, "a/b").unwrap(), b"whole");
        backend.put("a/c", b"who").unwrap();
        assert_eq!(read(backend, "a/c").unwrap(), b"who");
        backend.put("a/c", b"whole").unwrap();
        assert_eq!(read(backend, "a/c").unwrap(), b"whole");
    });
}

#[test]
fn of_many_who_create_a_file_one_does() {
    on_each(|backend| {
        let barrier = Barrier::new(8);
        let create = |n: u8| {
            barrier.wait();
            backend.create("config", &[n; 100]).unwrap()
        };
        let created: Vec<bool> = thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|n| scope.spawn(move || create(n))).collect();
            let results = threads.into_iter().map(|thread| thread.join().unwrap());
            results.collect()
        });
        let winner = created.iter().position(|created| *created).unwrap();
        assert_eq!(created.iter().filter(|created| **created).count(), 1);
        assert_eq!(read(backend, "config").unwrap(), [winner as u8; 100]);
    });
}

#[test]
fn a_listing_has_every_file_below_with_its_length_and_nothing_else() {
    on_each(|backend| {
        assert_eq!(backend.list("packs").unwrap(), []);
        for name in ["packs/b/2", "packs/a/1", "packs/a/0", "packets", "index/x"] {
            backend.put(name, name.as_bytes()).unwrap();
        }
        assert_eq!(
            names(backend, "packs"),
            ["packs/a/0", "packs/a/1", "packs/b/2"]
        );
        assert_eq!(names(backend, "packs/a"), ["packs/a/0", "packs/a/1"]);
        assert_eq!(names(backend, "").len(), 5);
        for file in backend.list("packs").unwrap() {
            assert_eq!(file.len, file.name.len() as u64);
        }
    });
}

#[test]
fn what_is_removed_is_gone_and_removing_it_again_is_fine() {
    on_each(|backend| {
        backend.put("snapshots/1", b"x").unwrap();
        assert_eq!(read(backend, "snapshots/1").unwrap(), b"x");
        backend.remove("snapshots/1").unwrap();
        backend.remove("snapshots/1").unwrap();
        backend.remove("nowhere/1").unwrap();
        assert_eq!(names(backend, "snapshots"), Vec::<String>::new());
        let gone = backend.stat("snapshots/1").unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
        let gone = backend.read_at("snapshots/1", 0, &mut [0]).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
    });
}

#[test]
fn a_torn_write_leaves_a_file_that_is_known_to_be_unfinished() {
    let memory = Memory::new(at(0));
    let torn = memory.hooked(Arc::new(|op| match op {
        memory::Op::Put(_) => memory::Fate::Torn(io::ErrorKind::StorageFull.into()),
        _ => memory::Fate::Done,
    }));
    let error = torn.put("packs/ab/abcd", b"0123").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    let [file] = &memory.list("packs").unwrap()[..] else {
        panic!("there is one file");
    };
    assert!(file.is_unfinished() && file.len == 2);
}
