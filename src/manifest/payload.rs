//! The bytes of a body, a content or a list of permissions, and where they are kept.
//!
//! Invariant: equal content has an equal digest, however it is kept; what is read back was checked against it.

use std::fmt;
use std::io::{Read, Write};

use bytes::Bytes;

use super::ManifestError;
use super::rows::split_ids;
use crate::store::{BlobId, BlobKind, Store, StoreError, Writer};

/// Up to here bytes lie in the manifest itself: a blob of their own would cost more than they compress to.
pub const LONGEST_INLINE: usize = 512;

/// Up to here content is one blob; longer content is cut into chunks. Every notebook is shorter.
pub const LONGEST_BLOB: usize = 4 << 20;

/// The sizes between which FastCDC (version 2020, normalisation level 1, seed 0) cuts.
pub(super) const CHUNK_SIZES: [usize; 3] = [256 << 10, 1 << 20, 4 << 20];

/// More chunk ids than this are a blob of their own.
const MOST_CHUNKS_IN_ENTRY: usize = 64;

/// Bytes that belong to an object, and where they are kept.
#[derive(Clone, PartialEq, Eq)]
pub enum Payload {
    /// Here.
    Inline(Vec<u8>),
    /// In one blob.
    Blob {
        /// The hash of the bytes, and the blob's id.
        id: BlobId,
        /// How many bytes there are.
        len: u64,
    },
    /// In several blobs, in this order.
    Chunked {
        /// The hash of all bytes.
        id: BlobId,
        /// How many bytes there are.
        len: u64,
        /// The blobs that make them up.
        chunks: Vec<BlobId>,
    },
    /// In so many blobs that the list of their ids is a blob too.
    Listed {
        /// The hash of all bytes.
        id: BlobId,
        /// How many bytes there are.
        len: u64,
        /// The blob that holds the ids, 32 bytes each.
        list: BlobId,
    },
}

impl Payload {
    /// Keeps `bytes`. `base` is the previous version, which a small difference is stored against.
    pub fn store(
        writer: &Writer,
        bytes: &[u8],
        base: Option<&Self>,
    ) -> Result<Self, ManifestError> {
        let len = bytes.len() as u64;
        let failed = |source| ManifestError::WritePayload { len, source };
        if bytes.len() <= LONGEST_INLINE {
            return Ok(Self::Inline(bytes.to_vec()));
        }
        if bytes.len() <= LONGEST_BLOB {
            let base = match base {
                Some(Self::Blob { id, .. }) => Some(id),
                _ => None,
            };
            let id = writer.put(BlobKind::Data, bytes, base).map_err(failed)?;
            return Ok(Self::Blob { id, len });
        }
        let [min, average, max] = CHUNK_SIZES;
        let chunks = fastcdc::v2020::FastCDC::new(bytes, min, average, max)
            .map(|chunk| {
                let chunk = &bytes[chunk.offset..chunk.offset + chunk.length];
                writer.put(BlobKind::Data, chunk, None)
            })
            .collect::<Result<Vec<_>, StoreError>>()
            .map_err(failed)?;
        Self::of_chunks(writer, BlobId::of(bytes), len, chunks, base)
    }

    /// Keeps all that comes from `source`, which may be longer than memory; the same as [`Payload::store`] would.
    pub fn store_from(
        writer: &Writer,
        mut source: impl Read,
        base: Option<&Self>,
    ) -> Result<Self, ManifestError> {
        let mut first = Vec::new();
        let mut short = source.by_ref().take(LONGEST_BLOB as u64 + 1);
        short
            .read_to_end(&mut first)
            .map_err(ManifestError::ReadSource)?;
        if first.len() <= LONGEST_BLOB {
            return Self::store(writer, &first, base);
        }
        let [min, average, max] = CHUNK_SIZES;
        let source = std::io::Cursor::new(first).chain(source);
        let (mut hasher, mut len, mut chunks) = (blake3::Hasher::new(), 0, Vec::new());
        for chunk in fastcdc::v2020::StreamCDC::new(source, min, average, max) {
            let chunk = chunk.map_err(|error| ManifestError::ReadSource(error.into()))?;
            hasher.update(&chunk.data);
            len += chunk.length as u64;
            let id = writer.put(BlobKind::Data, &chunk.data, None);
            chunks.push(id.map_err(|source| ManifestError::WritePayload { len, source })?);
        }
        let id = BlobId::from_bytes(*hasher.finalize().as_bytes());
        Self::of_chunks(writer, id, len, chunks, base)
    }

    fn of_chunks(
        writer: &Writer,
        id: BlobId,
        len: u64,
        chunks: Vec<BlobId>,
        base: Option<&Self>,
    ) -> Result<Self, ManifestError> {
        if chunks.len() <= MOST_CHUNKS_IN_ENTRY {
            return Ok(Self::Chunked { id, len, chunks });
        }
        let ids: Vec<u8> = chunks.iter().flat_map(|id| *id.as_bytes()).collect();
        let base = match base {
            Some(Self::Listed { list, .. }) => Some(list),
            _ => None,
        };
        let list = writer
            .put(BlobKind::Data, &ids, base)
            .map_err(|source| ManifestError::WritePayload { len, source })?;
        Ok(Self::Listed { id, len, list })
    }

    /// Reads all bytes back, checked against their hash.
    pub fn read(&self, store: &Store) -> Result<Bytes, ManifestError> {
        if let Self::Blob { id, len } = self {
            // The store has checked a single blob against its id.
            let bytes = read_blob(store, id)?;
            let fits = bytes.len() as u64 == *len;
            return fits.then_some(bytes).ok_or(ManifestError::BadPayload {
                id: *id,
                what: "the blob has another length",
            });
        }
        let mut bytes = Vec::new();
        self.write_to(store, &mut bytes)?;
        Ok(bytes.into())
    }

    /// Writes all bytes into `target`, piece by piece. After an error some of them may have been written.
    pub fn write_to(&self, store: &Store, target: &mut dyn Write) -> Result<(), ManifestError> {
        let (id, len) = match self {
            Self::Inline(bytes) => {
                return target.write_all(bytes).map_err(ManifestError::WriteTarget);
            }
            Self::Blob { .. } => {
                let bytes = self.read(store)?;
                return target.write_all(&bytes).map_err(ManifestError::WriteTarget);
            }
            Self::Chunked { id, len, .. } | Self::Listed { id, len, .. } => (*id, *len),
        };
        let bad = |what| ManifestError::BadPayload { id, what };
        let (mut hasher, mut written) = (blake3::Hasher::new(), 0);
        for chunk in self.chunks(store)? {
            let chunk = read_blob(store, &chunk)?;
            written += chunk.len() as u64;
            if written > len {
                return Err(bad("the chunks are longer than the whole"));
            }
            hasher.update(&chunk);
            target
                .write_all(&chunk)
                .map_err(ManifestError::WriteTarget)?;
        }
        if written != len {
            return Err(bad("the chunks are shorter than the whole"));
        }
        if hasher.finalize().as_bytes() != id.as_bytes() {
            return Err(bad("the chunks give another hash"));
        }
        Ok(())
    }

    /// The BLAKE3 hash of the content.
    pub fn digest(&self) -> BlobId {
        match self {
            Self::Inline(bytes) => BlobId::of(bytes),
            Self::Blob { id, .. } | Self::Chunked { id, .. } | Self::Listed { id, .. } => *id,
        }
    }

    /// How many bytes there are.
    #[expect(
        clippy::len_without_is_empty,
        reason = "nobody asks whether a payload is empty"
    )]
    pub fn len(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Blob { len, .. } | Self::Chunked { len, .. } | Self::Listed { len, .. } => *len,
        }
    }

    /// All blobs that the payload needs: none when it is inline, with the list itself when there is one.
    pub fn blobs(&self, store: &Store) -> Result<Vec<BlobId>, ManifestError> {
        let mut blobs = self.chunks(store)?;
        if let Self::Listed { list, .. } = self {
            blobs.push(*list);
        }
        Ok(blobs)
    }

    /// Whether all of it is in the store, as far as that is known without reading it.
    pub fn is_stored(&self, store: &Store) -> bool {
        match self {
            Self::Inline(_) => true,
            Self::Blob { id, .. } => store.contains(id),
            Self::Chunked { .. } | Self::Listed { .. } => {
                let blobs = self.blobs(store);
                blobs.is_ok_and(|blobs| blobs.iter().all(|blob| store.contains(blob)))
            }
        }
    }

    fn chunks(&self, store: &Store) -> Result<Vec<BlobId>, ManifestError> {
        match self {
            Self::Chunked { chunks, .. } => Ok(chunks.clone()),
            Self::Listed { id, list, .. } => {
                split_ids(&read_blob(store, list)?).map_err(|_| ManifestError::BadPayload {
                    id: *id,
                    what: "the list of chunks is cut short",
                })
            }
            Self::Blob { id, .. } => Ok(vec![*id]),
            Self::Inline(_) => Ok(Vec::new()),
        }
    }
}

/// Where they are, and not the bytes themselves: they may be secret.
impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(bytes) => write!(f, "Inline({} bytes)", bytes.len()),
            Self::Blob { id, len } => write!(f, "Blob({id:.12}, {len} bytes)"),
            Self::Chunked { id, len, chunks } => {
                write!(f, "Chunked({id:.12}, {len} bytes in {})", chunks.len())
            }
            Self::Listed { id, len, list } => {
                write!(f, "Listed({id:.12}, {len} bytes, list {list:.12})")
            }
        }
    }
}

fn read_blob(store: &Store, id: &BlobId) -> Result<Bytes, ManifestError> {
    store
        .read(id)
        .map_err(|source| ManifestError::ReadPayload { id: *id, source })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{noise, store};
    use super::*;

    #[test]
    fn content_of_every_size_comes_back() {
        let (_dir, store) = store();
        let writer = store.writer().unwrap();
        for len in [
            0,
            1,
            LONGEST_INLINE,
            LONGEST_INLINE + 1,
            LONGEST_BLOB,
            LONGEST_BLOB + 1,
        ] {
            let bytes = noise(len as u64, len);
            let payload = Payload::store(&writer, &bytes, None).unwrap();
            assert_eq!(payload.len(), len as u64);
            assert_eq!(payload.digest(), BlobId::of(&bytes));
            let form = match payload {
                Payload::Inline(_) => len <= LONGEST_INLINE,
                Payload::Blob { .. } => len > LONGEST_INLINE && len <= LONGEST_BLOB,
                Payload::Chunked { .. } => len > LONGEST_BLOB,
                Payload::Listed { .. } => false,
            };
            assert!(form, "{len}");
            writer
                .stage_pending(format!("{len}").as_bytes(), chrono::Utc::now())
                .unwrap();
            assert_eq!(payload.read(&store).unwrap(), bytes);
        }
    }

    #[test]
    fn a_change_in_the_middle_of_a_large_file_stores_few_new_chunks() {
        let (_dir, store) = store();
        let writer = store.writer().unwrap();
        let mut bytes = noise(7, 8 << 20);
        let first = Payload::store(&writer, &bytes, None).unwrap();
        bytes.splice(4 << 20..4 << 20, *b"inserted");
        let second = Payload::store(&writer, &bytes, Some(&first)).unwrap();
        let known = first.blobs(&store).unwrap();
        let new = second
            .blobs(&store)
            .unwrap()
            .iter()
            .filter(|id| !known.contains(id))
            .count();
        assert!((1..=2).contains(&new), "{new} new chunks");
    }

    #[test]
    fn what_is_read_piece_by_piece_is_kept_as_the_whole_would_be() {
        let (_dir, store) = store();
        let writer = store.writer().unwrap();
        for len in [0, LONGEST_BLOB, LONGEST_BLOB + 1, 9 << 20] {
            let bytes = noise(len as u64, len);
            let streamed = Payload::store_from(&writer, bytes.as_slice(), None).unwrap();
            assert_eq!(streamed, Payload::store(&writer, &bytes, None).unwrap());
        }
        let failing = std::io::Read::chain(&b"abc"[..], Failing);
        let error = Payload::store_from(&writer, failing, None).unwrap_err();
        assert!(matches!(error, ManifestError::ReadSource(_)), "{error}");
    }

    struct Failing;

    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("no"))
        }
    }

    #[test]
    fn chunks_that_do_not_make_up_the_whole_are_refused() {
        let (_dir, store) = store();
        let writer = store.writer().unwrap();
        let bytes = noise(3, LONGEST_BLOB + 1);
        let Payload::Chunked { id, len, chunks } = Payload::store(&writer, &bytes, None).unwrap()
        else {
            panic!("expected chunks");
        };
        writer.stage_pending(b"{}", chrono::Utc::now()).unwrap();
        let turned = chunks.iter().rev().copied().collect();
        let short = chunks[1..].to_vec();
        let long = chunks.iter().chain(&chunks).copied().collect();
        for chunks in [turned, short, long] {
            let payload = Payload::Chunked { id, len, chunks };
            assert!(matches!(
                payload.read(&store),
                Err(ManifestError::BadPayload { .. })
            ));
        }
    }
}
