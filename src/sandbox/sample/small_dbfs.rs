//! The files of the DBFS root of the small workspace: what its clusters load, uploads, and a file of many blocks.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::Builder;
use crate::sandbox::state::mix;

/// Longer than what is written and read at once.
const LONG: u64 = 2_500_000;

/// Fills in the files.
pub(super) fn fill(builder: &mut Builder<'_>) {
    builder.act_as("ana@example.com");
    put(
        builder,
        "/FileStore/jars/udf.jar",
        b"PK\x03\x04 not really a jar",
    );
    put(
        builder,
        "/FileStore/scripts/init.sh",
        b"#!/bin/bash\nset -e\npip install simplejson\n",
    );
    put(builder, "/FileStore/tables/empty.csv", b"");
    put(
        builder,
        "/FileStore/tables/Umsätze 100%.csv",
        "Monat;Umsatz\nMärz;3\n".as_bytes(),
    );
    put(
        builder,
        "/data/in/orders.json",
        b"{\"id\": 1}\n{\"id\": 2}\n",
    );
    let body = json!({"path": "/FileStore/models/weights.bin"});
    let handle = builder.post("/api/2.0/dbfs/create", body)["handle"].clone();
    let bytes: Vec<u8> = (0..LONG / 4)
        .flat_map(|at| (mix(at) as u32).to_le_bytes())
        .collect();
    for block in bytes.chunks(1 << 20) {
        let body = json!({"handle": handle, "data": STANDARD.encode(block)});
        builder.post("/api/2.0/dbfs/add-block", body);
    }
    builder.post("/api/2.0/dbfs/close", json!({"handle": handle}));
    // What a mount leads to looks like a folder, also one that is not where mounts usually are.
    put(builder, "/lake/raw/part-1.parquet", b"data of others");
    let mut mount = |point: &str, source: &str, encryption: &str| {
        let mounts = &mut builder.state.dbfs.mounts;
        mounts.insert(point.to_owned(), (source.to_owned(), encryption.to_owned()));
    };
    mount("/mnt/lake", "s3a://example-lake/events", "sse-s3");
    mount(
        "/mnt/old",
        "s3a://AKIAEXAMPLE:not/a-real-key@example-old",
        "",
    );
    mount("/lake", "abfss://raw@example.dfs.core.windows.net/", "");
    put(
        builder,
        "/mnt/lake/events/part-0.parquet",
        b"data of others",
    );
}

fn put(builder: &mut Builder<'_>, path: &str, bytes: &[u8]) {
    let body = json!({"path": path, "contents": STANDARD.encode(bytes)});
    builder.post("/api/2.0/dbfs/put", body);
}
