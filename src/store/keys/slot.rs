//! Slots: the master key in an age file, locked for one passphrase or one recipient.
//!
//! Invariant: a slot holds the id of its store beside the key, so that one that strayed here from another store does not
//! open this one with a wrong key.

use std::fmt;
use std::io::Read;
use std::iter;
use std::str::FromStr;

use age::{Decryptor, scrypt};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::secret::{KeyError, Passphrase, Recipient, Secret};
use crate::store::crypt::MasterKey;
use crate::store::id::FileId;

/// No slot is longer than this.
pub(super) const MAX_SLOT: u64 = 64 << 10;

const MAX_LABEL: usize = 32;
const EXTENSION: &str = ".age";
/// The most work that a slot may ask for: a gibibyte of memory, some seconds.
const MAX_WORK_FACTOR: u8 = 20;

/// What a slot is called by people. It stands in the name of its file, for all to read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(String);

/// The name of a slot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotName {
    /// What it is called by people; several may be called the same.
    pub label: Label,
    /// The hash of its file.
    pub id: FileId,
}

/// A slot, as far as it shows without a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Its name.
    pub name: SlotName,
    /// What opens it.
    pub kind: SlotKind,
}

/// What opens a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlotKind {
    /// A passphrase.
    Passphrase,
    /// The identity of a recipient; the file does not tell of which.
    Recipient,
    /// The file is damaged, or something that dbsnap does not write.
    Unreadable,
}

/// A slot that is to be made.
#[derive(Debug, Clone)]
pub struct NewSlot {
    /// What people will call it.
    pub label: Label,
    /// What will open it.
    pub lock: Lock,
}

/// What a new slot is locked with.
#[derive(Debug, Clone)]
pub enum Lock {
    /// A passphrase, and how much work it takes to try one.
    Passphrase(Passphrase, WorkFactor),
    /// A recipient, who has the identity.
    Recipient(Recipient),
}

/// How much work it takes to try a passphrase: scrypt's N is two to the power of this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkFactor(u8);

impl Default for WorkFactor {
    /// 128 MiB of memory and some tenths of a second. More would not fit on the small machines that run backups.
    fn default() -> Self {
        Self(17)
    }
}

impl WorkFactor {
    /// Hardly any work: for passphrases that nobody needs to guess.
    pub const MINIMAL: Self = Self(1);
}

impl NewSlot {
    /// The bytes of the slot.
    pub(super) fn lock(&self, store: &str, master: &MasterKey) -> Vec<u8> {
        let text = text(store, master);
        let locked = match &self.lock {
            Lock::Passphrase(passphrase, work) => {
                let mut recipient = scrypt::Recipient::new(passphrase.text());
                recipient.set_work_factor(work.0);
                age::encrypt(&recipient, text.as_bytes())
            }
            Lock::Recipient(recipient) => age::encrypt(recipient.age(), text.as_bytes()),
        };
        locked.expect("one recipient and a little memory are all it takes")
    }
}

/// The master key, if the secret opens the slot and it is one of this store.
pub(super) fn open(slot: &[u8], secret: &Secret, store: &str) -> Option<MasterKey> {
    let (of, master) = open_any(slot, secret)?;
    (of == store).then_some(master)
}

/// The id of the store that the slot is one of and its master key, if the secret opens it.
pub(super) fn open_any(slot: &[u8], secret: &Secret) -> Option<(String, MasterKey)> {
    parse(&opened(slot, secret)?)
}

/// The id of the store that the slot is one of, if the secret opens it.
pub(super) fn store_of(slot: &[u8], secret: &Secret) -> Option<String> {
    Some(open_any(slot, secret)?.0)
}

fn opened(slot: &[u8], secret: &Secret) -> Option<Zeroizing<Vec<u8>>> {
    let decryptor = Decryptor::new_buffered(slot).ok()?;
    let reader = match secret {
        Secret::Passphrase(_) if !decryptor.is_scrypt() => return None,
        Secret::Passphrase(passphrase) => {
            let mut identity = scrypt::Identity::new(passphrase.text());
            identity.set_max_work_factor(MAX_WORK_FACTOR);
            decryptor.decrypt(iter::once(&identity as &dyn age::Identity))
        }
        Secret::Identity(identity) => {
            decryptor.decrypt(iter::once(identity.age() as &dyn age::Identity))
        }
    };
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_SLOT as usize));
    reader.ok()?.take(MAX_SLOT).read_to_end(&mut text).ok()?;
    Some(text)
}

/// What opens a slot, as its header says.
pub(super) fn kind(slot: &[u8]) -> SlotKind {
    match Decryptor::new_buffered(slot) {
        Ok(decryptor) if decryptor.is_scrypt() => SlotKind::Passphrase,
        Ok(_) => SlotKind::Recipient,
        Err(_) => SlotKind::Unreadable,
    }
}

/// The text of a slot. It is written in one piece, so that no copy of the key stays behind in memory.
pub(super) fn text(store: &str, master: &MasterKey) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(256));
    text.push_str(r#"{"dbsnap":"key","format":1,"store":""#);
    text.push_str(store);
    text.push_str(r#"","master":""#);
    for byte in master.expose() {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(digit.into(), 16).expect("four bits are a digit"));
        }
    }
    text.push_str("\"}\n");
    text
}

/// The id of a store and its master key.
pub(super) fn parse(text: &[u8]) -> Option<(String, MasterKey)> {
    /// The stored form of the text.
    #[derive(Deserialize)]
    struct Text {
        dbsnap: String,
        format: u64,
        store: String,
        master: Zeroizing<String>,
    }
    let text: Text = serde_json::from_slice(text).ok()?;
    if text.dbsnap != "key" || text.format != 1 {
        return None;
    }
    let key = Zeroizing::new(*text.master.parse::<FileId>().ok()?.as_bytes());
    Some((text.store, MasterKey::from_bytes(&key)))
}

impl FromStr for Label {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        let hidden = text.starts_with('.');
        if text.is_empty() || text.len() > MAX_LABEL || hidden || !text.chars().all(fits) {
            return Err(KeyError::NotALabel);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Prints the name of the slot's file.
impl fmt::Display for SlotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}{EXTENSION}", self.label, self.id)
    }
}

impl FromStr for SlotName {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let name = text.strip_suffix(EXTENSION).ok_or(KeyError::NotALabel)?;
        let (label, id) = name.rsplit_once('-').ok_or(KeyError::NotALabel)?;
        Ok(Self {
            label: label.parse()?,
            id: id.parse().map_err(|_| KeyError::NotALabel)?,
        })
    }
}
