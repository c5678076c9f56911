//! Where the bytes of files of runs are: in the DBFS, or behind addresses that the service signs.
//!
//! Invariant: all blocks of one content carry the mark by which the storage knew it when it was first looked at.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use serde_json::json;

use crate::api::{ApiError, ErrorKind, Piece, Repeat, Signed};
use crate::export::dbfs::Root;
use crate::export::files::{Failure, File, Remote};
use crate::export::run::{Run, reason};

/// How much of a stored object is asked for at once.
const BLOCK: u64 = 2 << 20;

/// Where one file is.
#[derive(Clone)]
pub(super) enum Place {
    /// At this path of the DBFS.
    Dbfs(String),
    /// Behind an address.
    Signed(Object),
}

/// A file behind an address.
#[derive(Clone)]
pub(super) struct Object {
    run_id: Arc<str>,
    path: Arc<str>,
    /// Addresses end: it is asked for anew when it is refused.
    address: Arc<Mutex<Option<Signed>>>,
    etag: Option<Arc<str>>,
}

impl Place {
    pub(super) fn signed(run_id: &str, path: &str, address: Option<Signed>) -> Self {
        Self::Signed(Object {
            run_id: run_id.into(),
            path: path.into(),
            address: Arc::new(Mutex::new(address)),
            etag: None,
        })
    }
}

/// All places of files of runs.
pub(super) struct Stores<'a> {
    run: &'a Run<'a>,
    root: Root<'a>,
    /// Why no storage can be reached: to find that out once is enough.
    unreachable: OnceLock<String>,
}

impl<'a> Stores<'a> {
    pub(super) fn new(run: &'a Run<'a>) -> Self {
        Self {
            run,
            root: Root { run },
            unreachable: OnceLock::new(),
        }
    }

    /// Asks the service for the addresses of some files of a run, by their paths.
    pub(super) async fn addresses(
        &self,
        run_id: &str,
        paths: &[&str],
    ) -> Result<HashMap<String, Signed>, ApiError> {
        let mut found = HashMap::new();
        if paths.is_empty() {
            return Ok(found);
        }
        let mut body = json!({"run_id": run_id, "path": paths});
        let mut tokens = HashSet::new();
        loop {
            let client = self.run.client;
            let path = "/api/2.0/mlflow/artifacts/credentials-for-read";
            let answer = client.post(path, &body, Repeat::Safe);
            let answer = self.run.checked(answer).await?;
            for info in answer["credential_infos"].as_array().into_iter().flatten() {
                if let (Some(path), Some(signed)) = (info["path"].as_str(), Signed::from_json(info))
                {
                    found.insert(path.to_owned(), signed);
                }
            }
            match answer["next_page_token"].as_str() {
                Some(token) if !token.is_empty() && tokens.insert(token.to_owned()) => {
                    body["page_token"] = json!(token);
                }
                _ => return Ok(found),
            }
        }
    }

    /// A file that was listed, with what its store says of it.
    pub(super) async fn looked_at(&self, file: &File<Place>) -> Result<File<Place>, Failure> {
        match &file.place {
            // The listing has said it all.
            Place::Dbfs(_) => Ok(file.clone()),
            Place::Signed(object) => {
                let any = (file.size > 0).then_some(0..1);
                let piece = self.read(object, any, None).await?;
                let etag = piece.etag.map(Into::into);
                Ok(File {
                    size: piece.total,
                    modified_at: piece.modified_at,
                    place: Place::Signed(Object {
                        etag,
                        ..object.clone()
                    }),
                    ..file.clone()
                })
            }
        }
    }

    async fn read(
        &self,
        object: &Object,
        range: Option<std::ops::Range<u64>>,
        etag: Option<&str>,
    ) -> Result<Piece, Failure> {
        if let Some(reason) = self.unreachable.get() {
            return Err(Failure::Failed(reason.clone()));
        }
        let client = self.run.client;
        let mut is_new = false;
        loop {
            let address = self.address(object, &mut is_new).await?;
            let error = match client.read_signed(&address, range.clone(), etag).await {
                Ok(piece) => return Ok(piece),
                Err(error) => error,
            };
            match error.status() {
                // It has ended, most likely.
                Some(400 | 401 | 403) if !is_new => object.forget(),
                Some(412 | 416) => return Err(Failure::Changed),
                _ => {
                    if error.kind() == ErrorKind::Transport && !client.has_reached_storage() {
                        let _ = self.unreachable.set(reason(&error));
                    }
                    return Err(error.into());
                }
            }
        }
    }

    /// The address of a file; `is_new` becomes true if it had to be asked for.
    async fn address(&self, object: &Object, is_new: &mut bool) -> Result<Signed, Failure> {
        if let Some(address) = object.remembered() {
            return Ok(address);
        }
        *is_new = true;
        let mut found = self.addresses(&object.run_id, &[&object.path]).await?;
        let address = found.remove(&*object.path).ok_or_else(|| {
            Failure::Failed("the service signed no address of a kind that is known".to_owned())
        })?;
        *object.lock() = Some(address.clone());
        Ok(address)
    }
}

impl Object {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Signed>> {
        self.address.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remembered(&self) -> Option<Signed> {
        self.lock().clone()
    }

    fn forget(&self) {
        *self.lock() = None;
    }
}

impl Remote for Stores<'_> {
    type Place = Place;

    fn block_len(&self, place: &Place) -> u64 {
        match place {
            Place::Dbfs(path) => self.root.block_len(path),
            Place::Signed(_) => BLOCK,
        }
    }

    async fn block(&self, place: &Place, begin: u64, len: u64) -> Result<Bytes, Failure> {
        let object = match place {
            Place::Dbfs(path) => return self.root.block(path, begin, len).await,
            Place::Signed(object) => object,
        };
        let range = Some(begin..begin + len);
        let piece = self.read(object, range, object.etag.as_deref()).await?;
        match piece.bytes.len() as u64 == len {
            true => Ok(piece.bytes),
            false => Err(Failure::Changed),
        }
    }

    async fn now(&self, file: &File<Place>) -> Result<File<Place>, Failure> {
        let Place::Dbfs(path) = &file.place else {
            return self.looked_at(file).await;
        };
        let (key, object_id) = (file.key.clone(), file.object_id.clone());
        let in_dbfs = File {
            key,
            object_id,
            size: file.size,
            modified_at: file.modified_at,
            body: file.body.clone(),
            place: path.clone(),
        };
        let now = self.root.now(&in_dbfs).await?;
        Ok(File {
            size: now.size,
            modified_at: now.modified_at,
            ..file.clone()
        })
    }
}
