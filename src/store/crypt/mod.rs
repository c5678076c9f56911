//! Sealing: what a store writes when it is encrypted, so that nothing but sizes and times can be read without the key.
//!
//! Invariant: no key and nonce are ever used for two different texts. Every sealed file has a key of its own, made from
//! the master key and sixteen random bytes in the file's header, and in a file every box has a number of its own.

mod boxes;
#[cfg(test)]
mod tests;
mod veil;

use std::fmt;
use std::io;

use chacha20poly1305::aead::{Aead, AeadInPlace, KeyInit, Payload};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use zeroize::{Zeroize, Zeroizing};

pub(super) use boxes::{boxes_of, sealed_len, text_len};

use boxes::{BOX, SEALED_BOX, TAG, last_box};

/// The length of the header of a sealed file, and of a pack.
pub(super) const HEADER: usize = 32;

const MAGIC: &[u8; 8] = b"DBSNSEAL";
const FORMAT: u8 = 1;
const KEY: usize = 32;
const NONCE: usize = 16;
/// The number of a pack's directory. Frames are numbered by their offsets, which are smaller.
const DIRECTORY: u64 = u64::MAX;

/// The key that all others are made from. It is wiped from memory when dropped, and never printed.
#[derive(Clone)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub(super) struct MasterKey(Zeroizing<[u8; KEY]>);

impl MasterKey {
    /// A new random key.
    pub(super) fn generate() -> io::Result<Self> {
        let mut key = Zeroizing::new([0; KEY]);
        getrandom::fill(&mut *key).map_err(io::Error::other)?;
        Ok(Self(key))
    }

    pub(super) fn from_bytes(bytes: &[u8; KEY]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// The key itself. Whoever asks for it must wipe what is made of it.
    pub(super) fn expose(&self) -> &[u8; KEY] {
        &self.0
    }

    /// A key for one purpose, and for one file if there is a `salt`.
    fn derive(&self, context: &'static str, salt: &[u8]) -> Zeroizing<[u8; KEY]> {
        let mut hasher = blake3::Hasher::new_derive_key(context);
        hasher.update(&*self.0).update(salt);
        let mut hash = hasher.finalize();
        let key = Zeroizing::new(*hash.as_bytes());
        hash.zeroize();
        hasher.zeroize();
        key
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(***)")
    }
}

/// What a sealed file is. A file of one class never passes for one of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Head,
    Intent,
    Record,
    Segment,
}

impl Class {
    const fn code(self) -> u8 {
        match self {
            Self::Head => 1,
            Self::Intent => 2,
            Self::Record => 3,
            Self::Segment => 4,
        }
    }

    const fn context(self) -> &'static str {
        match self {
            Self::Head => "dbsnap 1 head",
            Self::Intent => "dbsnap 1 intent",
            Self::Record => "dbsnap 1 record",
            Self::Segment => "dbsnap 1 segment",
        }
    }
}

/// Why something sealed cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum SealError {
    #[error("it is not sealed, and in an encrypted store everything is")]
    NotSealed,
    #[error("it is sealed in the unknown format {0}")]
    UnknownFormat(u8),
    #[error("its seal is broken: it was damaged, moved or changed, or belongs to another store")]
    Broken,
}

/// Seals and opens the files of one store.
#[derive(Debug, Clone)]
pub(super) struct Crypt(MasterKey);

impl Crypt {
    pub(super) fn new(master: MasterKey) -> Self {
        Self(master)
    }

    pub(super) fn master(&self) -> &MasterKey {
        &self.0
    }

    /// What seals and opens the parts of the pack with this header.
    pub(super) fn pack(&self, header: &[u8; HEADER]) -> Seal {
        Seal::new(&self.0, "dbsnap 1 pack", header, "")
    }

    /// Seals a whole file. `name` is the name that it will have, as far as that is not a hash of what comes out here.
    pub(super) fn seal_file(&self, class: Class, name: &str, text: &[u8]) -> io::Result<Vec<u8>> {
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(MAGIC);
        header[8..10].copy_from_slice(&[FORMAT, class.code()]);
        getrandom::fill(&mut header[HEADER - NONCE..]).map_err(io::Error::other)?;
        Ok(self.seal_under(&header, class, name, text))
    }

    /// Opens a whole file.
    pub(super) fn open_file(
        &self,
        class: Class,
        name: &str,
        sealed: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let (header, boxes) = sealed.split_first_chunk().ok_or(SealError::NotSealed)?;
        let seal = self.file(class, name, header)?;
        let len = text_len(sealed.len() as u64).ok_or(SealError::Broken)?;
        let mut text = Vec::with_capacity(boxes.len());
        seal.open_boxes(0, len, boxes, &mut text)?;
        Ok(text)
    }

    /// What opens the boxes of the file with this header.
    pub(super) fn file(
        &self,
        class: Class,
        name: &str,
        header: &[u8; HEADER],
    ) -> Result<Seal, SealError> {
        if &header[..8] != MAGIC {
            return Err(SealError::NotSealed);
        }
        if header[8] != FORMAT {
            return Err(SealError::UnknownFormat(header[8]));
        }
        if header[9] != class.code() || header[10..16] != [0; 6] {
            return Err(SealError::Broken);
        }
        Ok(Seal::new(&self.0, class.context(), header, name))
    }

    fn seal_under(&self, header: &[u8; HEADER], class: Class, name: &str, text: &[u8]) -> Vec<u8> {
        let seal = Seal::new(&self.0, class.context(), header, name);
        let mut sealed = Vec::with_capacity(sealed_len(text.len() as u64) as usize);
        sealed.extend(header);
        let last = last_box(text.len() as u64);
        for number in 0..=last {
            let rest = &text[number as usize * BOX..];
            let part = &rest[..rest.len().min(BOX)];
            seal.seal_into(number, number == last, part, &mut sealed);
        }
        sealed
    }
}

/// The key of one sealed file with what all its boxes are bound to.
#[derive(Clone)]
pub(super) struct Seal {
    cipher: XChaCha20Poly1305,
    bound: Vec<u8>,
}

impl Seal {
    /// The key is salted with the end of the header; all of the header and the name are bound into every box.
    fn new(master: &MasterKey, context: &'static str, header: &[u8; HEADER], name: &str) -> Self {
        let key = master.derive(context, &header[HEADER - NONCE..]);
        Self {
            cipher: XChaCha20Poly1305::new((&*key).into()),
            bound: [header, name.as_bytes()].concat(),
        }
    }

    /// Seals the frame that will lie at this offset of its pack.
    pub(super) fn seal_frame(&self, offset: u32, frame: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(frame.len() + TAG);
        self.seal_into(offset.into(), false, frame, &mut sealed);
        sealed
    }

    /// Opens the frame that lies at this offset of its pack.
    pub(super) fn open_frame(&self, offset: u32, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        self.open(offset.into(), false, sealed)
    }

    /// Seals the directory of a pack.
    pub(super) fn seal_directory(&self, directory: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(directory.len() + TAG);
        self.seal_into(DIRECTORY, false, directory, &mut sealed);
        sealed
    }

    /// Opens the directory of a pack.
    pub(super) fn open_directory(&self, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        self.open(DIRECTORY, false, sealed)
    }

    /// Opens neighbouring boxes of a file, of which `first` is the number of the first, and appends what is in them to
    /// `text`. The file's whole text has `len` bytes.
    pub(super) fn open_boxes(
        &self,
        first: u64,
        len: u64,
        boxes: &[u8],
        text: &mut Vec<u8>,
    ) -> Result<(), SealError> {
        let last = last_box(len);
        for (number, sealed) in (first..).zip(boxes.chunks(SEALED_BOX)) {
            text.extend(self.open(number, number == last, sealed)?);
        }
        Ok(())
    }

    fn seal_into(&self, number: u64, last: bool, text: &[u8], sealed: &mut Vec<u8>) {
        let start = sealed.len();
        sealed.extend(text);
        let nonce = nonce(number, last);
        let tag: Tag = self
            .cipher
            .encrypt_in_place_detached(&nonce, &self.bound, &mut sealed[start..])
            .expect("the cipher takes 256 GiB, and nothing here is that long");
        sealed.extend(tag);
    }

    fn open(&self, number: u64, last: bool, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let payload = Payload {
            msg: sealed,
            aad: &self.bound,
        };
        self.cipher
            .decrypt(&nonce(number, last), payload)
            .map_err(|_| SealError::Broken)
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(***)")
    }
}

fn nonce(number: u64, last: bool) -> XNonce {
    let mut nonce = [0; 24];
    nonce[..8].copy_from_slice(&number.to_le_bytes());
    nonce[8] = last.into();
    nonce.into()
}
