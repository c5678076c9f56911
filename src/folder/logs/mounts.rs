//! Mounts, of which the older tool keeps what a cluster told: where they are, and what they lead to.
//!
//! Invariant: what a line says is stripped of credentials before anything else is done with it, and no message repeats it.

use super::ImportError;
use super::lines::{Line, failure};
use super::listed::{Taker, known};
use crate::manifest::Entry;
use crate::resource::Mount;

const FILE: &str = "dbfs_mounts.log";

impl Taker<'_, '_> {
    /// Takes all mounts but those that every workspace has.
    pub(super) fn mounts(&mut self) -> Result<(), ImportError> {
        let kind = known("mount");
        let Some(lines) = self.export.lines(self.book, FILE, kind.name) else {
            return Ok(());
        };
        self.book.covers(kind.name);
        for line in lines {
            let mount = match mount(&line) {
                Ok(mount) if mount.is_of_the_service() => continue,
                Ok(mount) => mount,
                Err(reason) => {
                    self.book
                        .lost(kind.name, format!("{}: {reason}", line.spot));
                    continue;
                }
            };
            let mut entry = Entry::new(mount.key().fit(None));
            entry.body = Some(self.book.json(&mount.body)?);
            entry.object_id = Some(mount.point);
            self.book.note(entry, &line.spot)?;
        }
        Ok(())
    }
}

fn mount(line: &Line) -> Result<Mount, String> {
    let mut told = line.object()?;
    if failure(&told).is_some() {
        return Err("it records a failure, which may hold a credential".to_owned());
    }
    if let Some(told) = told.as_object_mut()
        && let Some(point) = told.remove("path")
    {
        told.insert("mountPoint".to_owned(), point);
    }
    let mount = told.as_object().and_then(Mount::read);
    let mount = mount.filter(|mount| mount.point.starts_with('/'));
    mount.ok_or_else(|| "it has no `path` or no `source`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::lines::Lines;
    use super::*;
    use serde_json::Value;

    fn told(text: &str) -> Result<(String, Value), String> {
        let line = Lines::new("dbfs_mounts.log", text.as_bytes()).next();
        mount(&line.unwrap()).map(|mount| (mount.point, mount.body))
    }

    #[test]
    fn no_reason_repeats_what_a_line_says() {
        for text in [
            r#"{"path": "/mnt/x", "sauce": "s3a://AKIA:hush@b"}"#,
            r#"{"path": "mnt/x", "source": "s3a://AKIA:hush@b"}"#,
            r#"{"error": "cannot mount s3a://AKIA:hush@b"}"#,
            r#"{"path": "/mnt/x", "source": "hush""#,
            r#"{"source": "s3a://AKIA:hush@b"}"#,
        ] {
            let reason = told(text).unwrap_err();
            assert!(!reason.contains("hush"), "{reason}");
        }
    }
}
