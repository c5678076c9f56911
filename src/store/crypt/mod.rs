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

use chacha20poly1305::aead::{AeadInPlace, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::{Zeroize, Zeroizing};

pub(super) use boxes::Boxes;

use boxes::TAG;

/// The length of the header of a sealed file.
pub(super) const HEADER: usize = 32;

pub(super) const MAGIC: &[u8; 8] = b"DBSNSEAL";
const FORMAT: u8 = 1;
const KEY: usize = 32;
const SALT: usize = 16;

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
    Pack,
    /// A line of a file that is kept beside the store.
    Line,
}

impl Class {
    const fn code(self) -> u8 {
        match self {
            Self::Head => 1,
            Self::Intent => 2,
            Self::Record => 3,
            Self::Segment => 4,
            Self::Pack => 5,
            Self::Line => 6,
        }
    }

    const fn context(self) -> &'static str {
        match self {
            Self::Head => "dbsnap 1 head",
            Self::Intent => "dbsnap 1 intent",
            Self::Record => "dbsnap 1 record",
            Self::Segment => "dbsnap 1 segment",
            Self::Pack => "dbsnap 1 pack",
            Self::Line => "dbsnap 1 line",
        }
    }

    /// How much text is in a box. To read one entry of a segment means to open a box, so that they are small; the frames
    /// of a pack are longer.
    const fn box_size(self) -> u64 {
        match self {
            Self::Head | Self::Intent | Self::Record | Self::Segment | Self::Line => 4 << 10,
            Self::Pack => 16 << 10,
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
    #[error("its seal is broken: it was changed or moved, or belongs to another store")]
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

    /// Seals a whole file. `name` is the name that it will have, as far as that is not a hash of what comes out here.
    pub(super) fn seal(&self, class: Class, name: &str, text: &[u8]) -> io::Result<Vec<u8>> {
        let mut salt = [0; SALT];
        getrandom::fill(&mut salt).map_err(io::Error::other)?;
        Ok(self.seal_salted(salt, class, name, text))
    }

    /// Opens a whole file.
    pub(super) fn open(&self, class: Class, name: &str, file: &[u8]) -> Result<Vec<u8>, SealError> {
        let (header, sealed) = file.split_first_chunk().ok_or(SealError::NotSealed)?;
        let seal = self.seal_of(class, name, header)?;
        let boxes = Boxes::of_file(class, file.len() as u64).ok_or(SealError::Broken)?;
        seal.open(&boxes, 0, sealed)
    }

    /// A name that tells nothing of the text it stands for.
    pub(super) fn pseudonym(&self, text: &str) -> String {
        let key = self.0.derive("dbsnap 1 pseudonym", &[]);
        let hash = blake3::keyed_hash(&key, text.as_bytes());
        hash.to_hex()[..32].to_owned()
    }

    /// A salt for secrets of this name.
    pub(super) fn salt(&self, name: &str) -> [u8; 32] {
        let key = self.0.derive("dbsnap 1 salt", &[]);
        *blake3::keyed_hash(&key, name.as_bytes()).as_bytes()
    }

    /// What opens the boxes of the file with this header.
    pub(super) fn seal_of(
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
        Ok(Seal::new(&self.0, class, name, header))
    }

    fn seal_salted(&self, salt: [u8; SALT], class: Class, name: &str, text: &[u8]) -> Vec<u8> {
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(MAGIC);
        header[8..10].copy_from_slice(&[FORMAT, class.code()]);
        header[HEADER - SALT..].copy_from_slice(&salt);
        let seal = Seal::new(&self.0, class, name, &header);
        let boxes = Boxes::of_text(class, text.len() as u64);
        let mut file = Vec::with_capacity(boxes.file_len() as usize);
        file.extend(header);
        for number in 0..=boxes.last() {
            let rest = &text[boxes.start_of(number) as usize..];
            let part = &rest[..rest.len().min(boxes.size as usize)];
            seal.close(number, number == boxes.last(), part, &mut file);
        }
        file
    }
}

/// The key of one sealed file with what all its boxes are bound to.
pub(super) struct Seal {
    cipher: XChaCha20Poly1305,
    bound: Vec<u8>,
}

impl Seal {
    /// The key is salted with the end of the header; all of the header and the name are bound into every box.
    fn new(master: &MasterKey, class: Class, name: &str, header: &[u8; HEADER]) -> Self {
        let key = master.derive(class.context(), &header[HEADER - SALT..]);
        Self {
            cipher: XChaCha20Poly1305::new((&*key).into()),
            bound: [header, name.as_bytes()].concat(),
        }
    }

    /// Opens neighbouring boxes, the first of which has the number `first`.
    pub(super) fn open(
        &self,
        boxes: &Boxes,
        first: u64,
        sealed: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let mut text = Vec::with_capacity(sealed.len());
        for (number, sealed) in (first..).zip(sealed.chunks((boxes.size + TAG) as usize)) {
            let (part, tag) = sealed
                .split_last_chunk::<{ TAG as usize }>()
                .ok_or(SealError::Broken)?;
            let start = text.len();
            text.extend(part);
            let nonce = nonce(number, number == boxes.last());
            self.cipher
                .decrypt_in_place_detached(&nonce, &self.bound, &mut text[start..], tag.into())
                .map_err(|_| SealError::Broken)?;
        }
        Ok(text)
    }

    fn close(&self, number: u64, last: bool, text: &[u8], file: &mut Vec<u8>) {
        let start = file.len();
        file.extend(text);
        let tag = self
            .cipher
            .encrypt_in_place_detached(&nonce(number, last), &self.bound, &mut file[start..])
            .expect("the cipher takes 256 GiB, and no box is that long");
        file.extend(tag);
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
