//! The file of a journal: claimed before the target is read, written once the plan was agreed to.
//!
//! Invariant: of two restores that plan at the same time, one at most comes to write: either both find the file, which
//! only one can lock, or one of them makes it, and the other finds that it is there now.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::{Earlier, Header, JournalError, Line};
use crate::store::{self, LineSeal, sync_folder, whole_lines};

/// A journal that is kept for one run, and that nothing was written into yet.
#[derive(Debug)]
pub struct Claim {
    path: PathBuf,
    header: Header,
    seal: LineSeal,
    found: Option<Found>,
}

/// A journal that was there.
#[derive(Debug)]
struct Found {
    file: File,
    /// How far it reaches without a line that a kill cut off.
    whole: u64,
    is_locked: bool,
}

impl Claim {
    /// Locks the journal of a restore if there is one, and tells what earlier runs did. Nothing is written.
    pub fn new(
        path: &Path,
        header: &Header,
        seal: &LineSeal,
    ) -> Result<(Self, Earlier), JournalError> {
        let opened = OpenOptions::new().read(true).write(true).open(path);
        let claim = |found| Self {
            path: path.to_owned(),
            header: header.clone(),
            seal: seal.clone(),
            found,
        };
        let mut file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok((claim(None), Earlier::default()));
            }
            Err(error) => return Err(io_error("open", path)(error)),
        };
        let is_locked = is_locked(file.try_lock(), path)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)
            .map_err(io_error("read", path))?;
        let text = whole_lines(&text);
        let earlier = Earlier::parse(path, text, header, seal)?;
        let found = Found {
            file,
            whole: text.len() as u64,
            is_locked,
        };
        Ok((claim(Some(found)), earlier))
    }

    /// Whether there was a journal already.
    pub const fn is_there(&self) -> bool {
        self.found.is_some()
    }

    /// Makes the journal ready to be written, and the file if there was none.
    pub fn begin(self) -> Result<Journal, JournalError> {
        let path = &*self.path;
        let io = |doing| io_error(doing, path);
        let found = match self.found {
            Some(found) => found,
            None => Found::make(path)?,
        };
        let Found {
            mut file,
            whole,
            is_locked,
        } = found;
        file.set_len(whole).map_err(io("cut"))?;
        file.seek(SeekFrom::End(0)).map_err(io("open"))?;
        let journal = Journal {
            path: self.path.clone(),
            seal: self.seal,
            file: Mutex::new(file),
            is_locked,
        };
        if whole == 0 {
            journal.write(&Line::Header(self.header), true)?;
            sync_folder(path).map_err(io("keep"))?;
        }
        Ok(journal)
    }
}

impl Found {
    fn make(path: &Path) -> Result<Self, JournalError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io_error("make the folder of", path))?;
        }
        let made = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path);
        let file = made.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => JournalError::Overtaken(path.to_owned()),
            _ => io_error("make", path)(error),
        })?;
        // Between the two somebody else may have found it, and then has the lock.
        let is_locked = is_locked(file.try_lock(), path)?;
        Ok(Self {
            file,
            whole: 0,
            is_locked,
        })
    }
}

/// A journal that is being written.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    seal: LineSeal,
    /// The lock ends with it.
    file: Mutex<File>,
    is_locked: bool,
}

impl Journal {
    /// What earlier runs did, without claiming the journal; none if there were none.
    pub fn look(
        path: &Path,
        header: &Header,
        seal: &LineSeal,
    ) -> Result<Option<Earlier>, JournalError> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("read", path)(error)),
        };
        Earlier::parse(path, whole_lines(&text), header, seal).map(Some)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether nobody else can write it meanwhile. Some file systems have no locks.
    pub const fn is_locked(&self) -> bool {
        self.is_locked
    }

    pub(in crate::restore) fn write(
        &self,
        line: &Line,
        is_durable: bool,
    ) -> Result<(), JournalError> {
        let sealed = self.seal.line(line);
        let bytes = sealed.map_err(io_error("seal a line of", &self.path))?;
        // A panic elsewhere cannot have left half a line: it is written by one call.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&bytes)
            .map_err(io_error("write", &self.path))?;
        if is_durable {
            file.sync_data().map_err(io_error("keep", &self.path))?;
        }
        Ok(())
    }
}

/// Whether an attempt at a lock got it; `false` where there are none.
fn is_locked(attempt: Result<(), TryLockError>, path: &Path) -> Result<bool, JournalError> {
    store::is_locked(attempt).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => JournalError::Locked(path.to_owned()),
        _ => io_error("lock", path)(error),
    })
}

fn io_error<'a>(
    doing: &'static str,
    path: &'a Path,
) -> impl Fn(io::Error) -> JournalError + use<'a> {
    move |source| JournalError::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Memory;
    use super::*;
    use crate::store::{Identity, Lock, NewSlot, Store};
    use crate::testing::fuzz;

    fn made(handle: &str, id: &str) -> Line {
        Line::Made {
            kind: "job".into(),
            handle: handle.into(),
            name: "n".into(),
            id: id.into(),
        }
    }

    fn open(path: &Path) -> (Journal, Earlier) {
        let (claim, earlier) =
            Claim::new(path, &Header::new("s", "w"), &LineSeal::default()).unwrap();
        (claim.begin().unwrap(), earlier)
    }

    #[test]
    fn a_journal_remembers_and_a_torn_line_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("restores/x.jsonl");
        let (journal, earlier) = open(&path);
        assert_eq!(earlier, Earlier::default());
        let begin = Line::Begin {
            kind: "job".into(),
            handle: "1".into(),
            name: "n".into(),
            before: vec!["7".into()],
        };
        journal.write(&begin, true).unwrap();
        journal.write(&made("2", "20"), true).unwrap();
        drop(journal);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(br#"{"made":{"kind":"job","hand"#).unwrap();

        let (journal, earlier) = open(&path);
        let begun = Memory::Begun {
            before: vec!["7".into()],
        };
        assert_eq!(earlier.get("job", "1"), Some(&begun));
        assert_eq!(earlier.made().collect::<Vec<_>>(), [("job", "n", "20")]);
        journal.write(&Line::Finished, false).unwrap();
        drop(journal);
        let (_, earlier) = open(&path);
        let done = Memory::Made {
            id: "20".into(),
            is_done: true,
        };
        assert_eq!(earlier.get("job", "2"), Some(&done));
    }

    #[test]
    fn the_journal_of_another_restore_and_a_damaged_one_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.jsonl");
        drop(open(&path));
        let other = Claim::new(&path, &Header::new("s", "v"), &LineSeal::default()).unwrap_err();
        assert!(matches!(other, JournalError::Foreign(_)));
        let whole = std::fs::read(&path).unwrap();
        // All but the line break, without which the line is one that a kill cut off.
        for at in 0..whole.len() - 1 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            let damaged = Claim::new(&path, &Header::new("s", "w"), &LineSeal::default());
            let damaged = damaged.unwrap_err();
            assert!(
                matches!(damaged, JournalError::Sealed { line: 1, .. }),
                "{at}"
            );
        }
    }

    #[test]
    fn a_journal_has_one_user_at_a_time_and_is_free_again_when_that_ends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.jsonl");
        let header = Header::new("s", "w");
        let (journal, _) = open(&path);
        assert!(journal.is_locked());
        let second = Claim::new(&path, &header, &LineSeal::default()).unwrap_err();
        assert!(matches!(second, JournalError::Locked(_)));
        drop(journal);
        let (claim, _) = Claim::new(&path, &header, &LineSeal::default()).unwrap();
        let second = Claim::new(&path, &header, &LineSeal::default()).unwrap_err();
        assert!(matches!(second, JournalError::Locked(_)));
        drop(claim);
        drop(open(&path));
    }

    #[test]
    fn of_two_restores_that_find_no_journal_only_one_may_write() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.jsonl");
        let header = Header::new("s", "w");
        let claims = [(); 2].map(|()| Claim::new(&path, &header, &LineSeal::default()).unwrap().0);
        assert!(!path.exists(), "a claim writes nothing");
        let [first, second] = claims;
        let journal = first.begin().unwrap();
        // Even when the first has ended: what it did, the second has not seen.
        drop(journal);
        let overtaken = second.begin().unwrap_err();
        assert!(matches!(overtaken, JournalError::Overtaken(_)));
    }

    #[test]
    fn without_locks_a_journal_is_used_all_the_same() {
        let unsupported = || TryLockError::Error(io::ErrorKind::Unsupported.into());
        assert!(!is_locked(Err(unsupported()), Path::new("x")).unwrap());
        let other = TryLockError::Error(io::ErrorKind::PermissionDenied.into());
        assert!(is_locked(Err(other), Path::new("x")).is_err());
    }

    /// A line with its hash.
    fn with_hash(line: &[u8]) -> Vec<u8> {
        match line.strip_suffix(b"\n").unwrap_or(line) {
            [] => line.to_vec(),
            text => [
                LineSeal::default().seal(text.to_vec()).unwrap(),
                b"\n".to_vec(),
            ]
            .concat(),
        }
    }

    #[test]
    fn a_fuzzed_journal_is_refused_with_its_line_or_remembers() {
        let header = Header::new("s", "w");
        let (kind, name) = (|| "job".to_owned(), || "n".to_owned());
        let lines = [
            Line::Header(header.clone()),
            Line::Run { plan: "p".into() },
            Line::Safety {
                snapshot: Some("x".into()),
            },
            Line::Begin {
                kind: kind(),
                handle: "1".into(),
                name: name(),
                before: vec!["7".into()],
            },
            made("1", "20"),
            Line::Change {
                kind: kind(),
                name: name(),
                id: Some("7".into()),
            },
            Line::Done {
                kind: kind(),
                handle: "1".into(),
            },
            Line::Finished,
        ];
        let lines = lines.iter().map(|line| serde_json::to_vec(line).unwrap());
        let good = [lines.collect::<Vec<_>>().join(&b'\n'), b"\n".to_vec()].concat();
        let fuzzed = fuzz("journals", &[good], |text| {
            // Beneath the hashes, which would refuse all of it.
            let hashed = whole_lines(text).split_inclusive(|byte| *byte == b'\n');
            let hashed: Vec<u8> = hashed.flat_map(with_hash).collect();
            let lines = hashed.as_slice();
            let path = Path::new("the journal");
            match Earlier::parse(path, lines, &header, &LineSeal::default()) {
                Ok(earlier) => {
                    assert!(earlier.made().count() <= lines.len());
                    // A kill cuts the last line off, and nothing else changes.
                    let torn = [lines, b"{\"made\":".as_slice()].concat();
                    let same =
                        Earlier::parse(path, whole_lines(&torn), &header, &LineSeal::default());
                    assert_eq!(same.unwrap(), earlier);
                    true
                }
                Err(error) => {
                    assert!(error.to_string().contains("the journal"), "{error}");
                    false
                }
            }
        });
        assert!(fuzzed.accepted > 0);
    }

    #[test]
    fn beside_an_encrypted_store_a_journal_tells_nothing_and_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let [store, other] = ["a", "b"].map(|name| {
            let slot = NewSlot {
                label: "test".parse().unwrap(),
                lock: Lock::Recipient(Identity::generate().recipient()),
            };
            let now = chrono::DateTime::UNIX_EPOCH;
            Store::create_encrypted(&dir.path().join(name), now, &[slot]).unwrap()
        });
        let path = dir.path().join("x.jsonl");
        let header = Header::new("snapshot", "workspace");
        let seal = store.line_seal();
        let (claim, _) = Claim::new(&path, &header, &seal).unwrap();
        let journal = claim.begin().unwrap();
        journal.write(&made("2", "20"), true).unwrap();
        drop(journal);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(
            !text.contains("job") && !text.contains("snapshot"),
            "{text}"
        );
        let earlier = Journal::look(&path, &header, &seal).unwrap().unwrap();
        assert_eq!(earlier.made().collect::<Vec<_>>(), [("job", "n", "20")]);
        for wrong in [other.line_seal(), LineSeal::default()] {
            assert!(Journal::look(&path, &header, &wrong).is_err());
        }
    }
}
