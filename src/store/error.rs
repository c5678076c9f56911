//! What can go wrong in a store.
//!
//! Invariant: a message says what happened to which file or blob and nothing of what lies below; that is the source.

use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::crypt::SealError;
use super::{BlobId, FileId, HeadName, SlotName};

/// What went wrong in a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is nothing at the path, or an empty directory.
    #[error("there is no store at {}", .0.display())]
    NoStore(PathBuf),
    /// There is something else at the path.
    #[error("{} is not a dbsnap store", .0.display())]
    NotAStore(PathBuf),
    /// A store cannot be created where there is one.
    #[error("there is a store at {} already", .0.display())]
    AlreadyExists(PathBuf),
    /// A store is created in an empty directory only.
    #[error("{} is neither empty nor a dbsnap store", .0.display())]
    NotEmpty(PathBuf),
    /// A newer dbsnap wrote it.
    #[error("{} is a store of format {format}; this dbsnap knows format {}", path.display(), super::config::FORMAT)]
    NewerVersion {
        /// Where the store is.
        path: PathBuf,
        /// The format it has.
        format: u64,
    },
    /// The store uses something that this version cannot do.
    #[error("{} the store at {} needs the feature `{feature}`, which this dbsnap does not have", purpose.words(), path.display())]
    UnknownFeature {
        /// Where the store is.
        path: PathBuf,
        /// The feature's name.
        feature: String,
        /// What it is needed for.
        purpose: Purpose,
    },
    /// The store is encrypted in a way that this version cannot do.
    #[error("the store at {} is encrypted with `{scheme}`, which this dbsnap cannot read", path.display())]
    UnknownEncryption {
        /// Where the store is.
        path: PathBuf,
        /// The encryption's name.
        scheme: String,
    },
    /// The store is encrypted, and nothing was given to open it with.
    #[error("the store at {} is encrypted, and no key was given", .0.display())]
    KeyNeeded(PathBuf),
    /// Nothing that was given opens the store.
    #[error("no key that was given opens the store at {}{}", path.display(), damaged_slots(*slots, *damaged))]
    WrongKey {
        /// Where the store is.
        path: PathBuf,
        /// How many key slots it has.
        slots: usize,
        /// How many of them could not be read.
        damaged: usize,
    },
    /// The store is encrypted, but nobody has a key to it.
    #[error("the store at {} is encrypted, but there is no key in it", .0.display())]
    NoSlot(PathBuf),
    /// There are key slots beside data of which nothing is sealed, so that they are those of another store.
    #[error("there are keys in {}, but nothing else in the store is encrypted", .0.display())]
    ForeignSlots(PathBuf),
    /// Nothing of the store opens with the key that its slots hold, so that they are those of another store.
    #[error("nothing that is in the store at {} opens with its key: dbsnap.json and the keys are of another store, or all of it is damaged", .0.display())]
    OpensNothing(PathBuf),
    /// Without its last key slot, nobody could read the store ever again.
    #[error("this is the last key of the store at {}", .0.display())]
    LastSlot(PathBuf),
    /// Only encrypted stores have keys.
    #[error("the store at {} is not encrypted", .0.display())]
    NotEncrypted(PathBuf),
    /// The key slot is not there.
    #[error("the store has no key {0}")]
    MissingSlot(Box<SlotName>),
    /// A file does not say what its name or its neighbours promise.
    #[error("{} is damaged: {what}", file.display())]
    Corrupt {
        /// The damaged file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A blob is stored in a way that this version does not know.
    #[error("blob {blob} needs a newer dbsnap (frame codec {codec})")]
    NewerCodec {
        /// The blob.
        blob: BlobId,
        /// The codec it is stored with.
        codec: u8,
    },
    /// The store does not have the blob.
    #[error("blob {0} is not in the store")]
    MissingBlob(BlobId),
    /// The store does not have the head.
    #[error("the store has no head {0}")]
    MissingHead(HeadName),
    /// A store with data has no snapshot: all were forgotten, or their heads were lost.
    #[error(
        "the store at {} has no snapshot at all, but {packs} packs, some of which would go: nothing was deleted",
        path.display()
    )]
    NoSnapshots {
        /// Where the store is.
        path: PathBuf,
        /// How many packs it has.
        packs: usize,
    },
    /// Snapshots are gone that nobody forgot, and what they needed would go as well.
    #[error(
        "the store at {} has lost its snapshots from before {} UTC, and packs that they may need would go: nothing was deleted",
        path.display(), before.format("%Y-%m-%d %H:%M:%S")
    )]
    SnapshotsLost {
        /// Where the store is.
        path: PathBuf,
        /// They were gone when a snapshot of this time came.
        before: DateTime<Utc>,
    },
    /// The blob is larger than the format allows.
    #[error("a blob of {len} bytes is larger than the largest the store takes")]
    BlobTooLarge {
        /// The blob's length.
        len: u64,
    },
    /// Packs that a backup relied on were pruned before it could commit.
    #[error("pack {0} was pruned while the backup that relies on it was running")]
    PackPruned(FileId),
    /// The snapshot that a backup built on was forgotten before it could commit.
    #[error("snapshot {0} was forgotten while the backup that builds on it was running")]
    ParentForgotten(HeadName),
    /// A commit stood still for more than a day.
    #[error("the commit stood still for more than a day, and what it relies on may be gone")]
    Overdue,
    /// A writer had failed before.
    #[error("an earlier write to the store failed")]
    WriterFailed,
    /// The file system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it did not work.
        source: io::Error,
    },
}

impl StoreError {
    /// Whether this is how the file is, and will stay.
    pub(super) fn is_damage(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::MissingBlob(_))
    }

    /// Whether it is the system that refuses, as it may not the next time, and nothing is known to be missing or damaged.
    pub fn is_out_of_reach(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() != io::ErrorKind::NotFound)
    }

    /// Whether there was no room for what was to be written.
    pub fn is_disk_full(&self) -> bool {
        let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
        matches!(self, Self::Io { source, .. } if full.contains(&source.kind()))
    }

    /// What an administrator can do about it, where there is something to say.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoStore(_) => "create it with `dbsnap init`, or name another with --store",
            Self::NotAStore(_) | Self::NotEmpty(_) => {
                "name an empty or missing directory, or the directory that holds dbsnap.json; if that file was lost, \
                 `dbsnap repair config` makes it anew"
            }
            Self::NewerVersion { .. } | Self::UnknownFeature { .. } | Self::NewerCodec { .. } => {
                "use the newer dbsnap that wrote it"
            }
            Self::UnknownEncryption { .. } => "use a dbsnap that knows this encryption",
            Self::KeyNeeded(_) => {
                "give a password with --password-file, --password-command or DBSNAP_PASSWORD, \
                 or an age identity with --identity-file"
            }
            Self::WrongKey { .. } => {
                "try another password or identity; the recovery key printed by `dbsnap init` is an identity too"
            }
            Self::NoSlot(_) => {
                "bring its directory `keys` back from a copy: without it nobody can read what lies there; only if there \
                 are no snapshots, because `dbsnap init` was interrupted, remove the directory and create the store again"
            }
            Self::ForeignSlots(_) => {
                "if they were copied here from another store, move them away: then the store opens again, or \
                 `dbsnap repair config` makes its configuration anew"
            }
            Self::OpensNothing(_) => {
                "bring `dbsnap.json` and `keys` of this store back from a copy; nothing was changed, and nothing else must \
                 be done before, since a repair would take all of it for damaged"
            }
            Self::NotEncrypted(_) => {
                "encryption is chosen when a store is created: `dbsnap init --encrypt`"
            }
            Self::NoSnapshots { .. } => {
                "if the directory `snapshots` was lost or emptied, bring it back from a copy before anything else writes \
                 here: everything that the snapshots need is still in the packs; if all snapshots were forgotten on \
                 purpose, prune with --without-snapshots"
            }
            Self::SnapshotsLost { .. } => {
                "bring the files that were in the directory `snapshots` back from a copy, beside those that are there: \
                 everything that they need is still in the packs; if they cannot be had any more, or were removed on \
                 purpose, prune once with --without-snapshots"
            }
            Self::LastSlot(_) => "add another key first, with `dbsnap key add`",
            Self::Corrupt { file, .. } if file.ends_with(super::layout::CONFIG) => {
                "`dbsnap repair config` makes the configuration anew from what else tells of the store"
            }
            Self::Corrupt { file, .. } if is_in(file, super::layout::CONDEMNED) => {
                "`dbsnap repair packs` removes it: then nothing is about to be deleted by it, and backups and prunes work again"
            }
            Self::Corrupt { file, .. } if is_in(file, super::layout::PENDING) => {
                "`dbsnap repair pending` removes it once no backup can rely on it any more; then prunes work again"
            }
            Self::Corrupt { .. } | Self::MissingBlob(_) => {
                "run `dbsnap check --read-data` to see everything that is damaged, and what to do about it"
            }
            Self::PackPruned(_) | Self::ParentForgotten(_) | Self::Overdue => {
                "run the backup again; nothing is lost"
            }
            Self::Io { action, source, .. } => return io_hint(action, source),
            _ => return None,
        })
    }
}

/// Whether a file lies in this directory of a store.
fn is_in(file: &Path, directory: &str) -> bool {
    file.parent()
        .is_some_and(|parent| parent.ends_with(directory))
}

/// What a feature of a store is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Reading the store.
    Reading,
    /// Writing to the store.
    Writing,
}

impl Purpose {
    const fn words(self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::Writing => "writing to",
        }
    }
}

/// Says, where an I/O error happens, what was being done to which file.
pub(super) trait IoContext<T> {
    fn when(self, action: &'static str, path: &Path) -> Result<T, StoreError>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn when(self, action: &'static str, path: &Path) -> Result<T, StoreError> {
        self.map_err(|source| {
            let inner = source.get_ref();
            match inner.and_then(|inner| inner.downcast_ref::<SealError>()) {
                Some(broken) => corrupt(path, broken.to_string()),
                // Nothing in a store is read before it is complete.
                None if source.kind() == io::ErrorKind::UnexpectedEof => {
                    corrupt(path, "it ends too early")
                }
                None => StoreError::Io {
                    action,
                    path: path.to_owned(),
                    source,
                },
            }
        })
    }
}

pub(super) fn corrupt(file: &Path, what: impl Into<String>) -> StoreError {
    StoreError::Corrupt {
        file: file.to_owned(),
        what: what.into(),
    }
}

fn damaged_slots(slots: usize, damaged: usize) -> String {
    if damaged == 0 {
        return String::new();
    }
    format!("; of its {slots} keys, {damaged} cannot be read")
}

fn io_hint(action: &str, source: &io::Error) -> Option<&'static str> {
    Some(match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk or quota is full: make room and run again; nothing that was stored before is affected"
        }
        io::ErrorKind::FileTooLarge => {
            "files may not grow that large here: raise the limit (`ulimit -f`), which is to be 64 MiB at least; nothing that \
             was stored before is affected"
        }
        io::ErrorKind::ReadOnlyFilesystem => "the file system is mounted read-only",
        io::ErrorKind::PermissionDenied => {
            "the user who runs dbsnap may not do that; look at the owner and mode of the store"
        }
        io::ErrorKind::IsADirectory => {
            "a directory lies where the store needs a file: move it away, and run `dbsnap check`, or `dbsnap repair config` \
             if it has the name of the configuration"
        }
        io::ErrorKind::NotADirectory => "a file lies where the store needs a directory",
        io::ErrorKind::NotFound if action == "write" => {
            "somebody removed the file while it was written, such as a `dbsnap prune` with a short --grace: run it again; \
             nothing that was stored before is affected"
        }
        kind if is_transient(kind) => {
            "the storage did not answer, though it was asked several times: run it again later; \
             nothing that was stored before is affected"
        }
        _ => return source.raw_os_error().and_then(os_hint),
    })
}

/// What has no name in the standard library, by the numbers that all Unix systems give it.
fn os_hint(code: i32) -> Option<&'static str> {
    const EIO: i32 = 5;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    match code {
        _ if !cfg!(unix) => None,
        EIO => Some(
            "the disk, or the connection to it, is failing: look at the system's log, then run `dbsnap check --read-data`",
        ),
        ENFILE | EMFILE => {
            Some("too many files are open: raise the limit (`ulimit -n`) and run it again")
        }
        _ => None,
    }
}

/// Whether it is worth asking again.
pub(super) fn is_transient(kind: io::ErrorKind) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        kind,
        Kind::BrokenPipe
            | Kind::ConnectionAborted
            | Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::HostUnreachable
            | Kind::Interrupted
            | Kind::NetworkDown
            | Kind::NetworkUnreachable
            | Kind::NotConnected
            | Kind::ResourceBusy
            | Kind::StaleNetworkFileHandle
            | Kind::TimedOut
            | Kind::WouldBlock
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;

    #[test]
    fn a_full_disk_is_explained_and_the_cause_is_kept() {
        let error = Err::<(), _>(io::Error::from(io::ErrorKind::StorageFull))
            .when("write", Path::new("/store/packs/x"))
            .unwrap_err();
        assert_eq!(error.to_string(), "cannot write /store/packs/x");
        assert!(error.hint().is_some_and(|hint| hint.contains("full")));
        assert!(error.source().is_some());
    }

    #[test]
    fn a_file_that_vanishes_while_it_is_written_is_explained_and_one_cut_short_is_damaged() {
        let failed = |action, kind: io::ErrorKind| {
            let failed = Err::<(), _>(io::Error::from(kind)).when(action, Path::new("/store/x"));
            failed.unwrap_err()
        };
        let gone = failed("write", io::ErrorKind::NotFound);
        assert!(gone.hint().is_some_and(|hint| hint.contains("--grace")));
        assert_eq!(failed("read", io::ErrorKind::NotFound).hint(), None);
        let short = failed("read", io::ErrorKind::UnexpectedEof);
        assert_eq!(short.to_string(), "/store/x is damaged: it ends too early");
        assert!(!short.is_out_of_reach());
    }

    #[test]
    fn a_feature_is_named_with_what_it_is_needed_for() {
        let error = StoreError::UnknownFeature {
            path: "/s".into(),
            feature: "quantum".into(),
            purpose: Purpose::Writing,
        };
        assert!(
            error
                .to_string()
                .starts_with("writing to the store at /s needs the feature `quantum`")
        );
    }
}
