//! Files of lines beside a store: what a run writes down while it changes a workspace.
//!
//! Invariant: a line is written by one call and counts once its line break is there; what a kill cut off is no line.

use std::borrow::Cow;
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde::Serialize;

use super::crypt::{Class, Crypt};
use super::id::BlobId;

/// How many hexadecimal digits of its hash an open line ends with.
const CHECK_DIGITS: usize = 16;

/// Seals what is kept beside a store line by line, if the store is encrypted; else each line ends with a tab and the
/// beginning of its hash. JSON has no tab of its own.
#[derive(Clone, Debug, Default)]
pub struct LineSeal(pub(super) Option<Crypt>);

impl LineSeal {
    /// A line of JSON with its line break, sealed.
    pub fn line(&self, says: &impl Serialize) -> io::Result<Vec<u8>> {
        let mut bytes = self.seal(serde_json::to_vec(says)?)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// The line as it is written. It has no line break of its own.
    pub(crate) fn seal(&self, line: Vec<u8>) -> io::Result<Vec<u8>> {
        match &self.0 {
            Some(crypt) => Ok(BASE64
                .encode(crypt.seal(Class::Line, "", &line)?)
                .into_bytes()),
            None => Ok([&line, &b"\t"[..], check(&line).as_bytes()].concat()),
        }
    }

    /// The line, if it is as it was written, and was sealed for this store.
    pub fn open<'a>(&self, line: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let Some(crypt) = &self.0 else {
            let tab = line.iter().rposition(|byte| *byte == b'\t')?;
            let (text, found) = (&line[..tab], &line[tab + 1..]);
            return (found == check(text).as_bytes()).then_some(text.into());
        };
        let sealed = BASE64.decode(line).ok()?;
        let text = crypt.open(Class::Line, "", &sealed).ok()?;
        Some(text.into())
    }

    /// A name for a file with such lines, that tells nothing either.
    pub fn name(&self, name: String) -> String {
        match &self.0 {
            Some(crypt) => crypt.pseudonym(&name),
            None => name,
        }
    }
}

fn check(line: &[u8]) -> String {
    let hash = BlobId::of(line).to_string();
    hash[..CHECK_DIGITS].to_owned()
}

/// Everything up to the last line that is complete.
pub fn whole_lines(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| *byte == b'\n');
    &text[..end.map_or(0, |end| end + 1)]
}

/// Whether an attempt at a lock got it; `false` where there are none. If somebody else has the lock, the error is
/// [`io::ErrorKind::WouldBlock`].
pub fn is_locked(attempt: Result<(), TryLockError>) -> io::Result<bool> {
    match attempt {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Makes the name of a new file last.
#[cfg(unix)]
pub fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// Makes the name of a new file last, which these systems do by themselves.
#[cfg(not(unix))]
pub fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
