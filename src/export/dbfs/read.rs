//! What is in a file of the DBFS: blocks of at most a megabyte, each asked for by where it begins.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;

use crate::export::files::{Failure, File, Remote};
use crate::export::run::Run;

/// The service gives no more at once.
pub(in crate::export) const BLOCK: u64 = 1 << 20;

/// The DBFS, where a path says which file.
pub(in crate::export) struct Root<'a> {
    pub(in crate::export) run: &'a Run<'a>,
}

impl Remote for Root<'_> {
    type Place = String;

    fn block_len(&self, _: &String) -> u64 {
        BLOCK
    }

    async fn block(&self, path: &String, begin: u64, len: u64) -> Result<Bytes, Failure> {
        let (begin, asked) = (begin.to_string(), BLOCK.to_string());
        let query = [
            ("path", path.as_str()),
            ("offset", begin.as_str()),
            ("length", asked.as_str()),
        ];
        let answer = self.run.get("/api/2.0/dbfs/read", &query).await?;
        let text = answer["data"].as_str().unwrap_or_default();
        let bytes = STANDARD.decode(text).map_err(|error| {
            Failure::Failed(format!(
                "the answer to dbfs/read was not understood: {error}"
            ))
        })?;
        // More than there was, or less: a block is asked for whole, so that a file that grew shows.
        match bytes.len() as u64 == len {
            true => Ok(Bytes::from(bytes)),
            false => Err(Failure::Changed),
        }
    }

    async fn now(&self, file: &File<String>) -> Result<File<String>, Failure> {
        let query = [("path", file.place.as_str())];
        let answer: Value = self.run.get("/api/2.0/dbfs/get-status", &query).await?;
        let is_file = !answer["is_dir"].as_bool().unwrap_or_default();
        let size = answer["file_size"].as_u64().filter(|_| is_file);
        Ok(File {
            size: size.ok_or(Failure::Gone)?,
            modified_at: answer["modification_time"].as_i64(),
            ..file.clone()
        })
    }
}
