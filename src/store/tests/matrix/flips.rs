//! A flipped bit anywhere is found, named, never read, and costs nothing else.

use super::bench::{Bench, benches, check_data, open, said};
use super::{for_each_at_once, is_all};
use crate::store::backend::Memory;
use crate::testing::Random;

/// A bit of a file.
struct Flip {
    file: String,
    byte: usize,
    bit: u8,
}

#[test]
fn a_flipped_bit_anywhere_is_found_by_name_and_costs_nothing_but_what_lies_there() {
    for bench in benches() {
        for_each_at_once(&flips(bench), |flip| {
            let mut bytes = bench.bytes(&flip.file);
            bytes[flip.byte] ^= 1 << flip.bit;
            let memory = bench.with(&[(&flip.file, Some(&bytes))]);
            let case = format!("bit {} of byte {} of {}", flip.bit, flip.byte, flip.file);
            assert_named(&memory, &[&flip.file], &case);
            assert_rest_is_read(bench, &memory, &flip.file, &case);
        });
    }
}

fn flips(bench: &Bench) -> Vec<Flip> {
    let mut random = Random::new("flips", 1);
    let mut flips = Vec::new();
    for file in bench.files() {
        let len = bench.bytes(&file).len();
        let bits = match is_all() {
            true => (0..len * 8).collect(),
            // No checksum of anything else covers it, so that a few more of it are tried.
            false if file == "dbsnap.json" => (0..64).map(|_| random.below(len * 8)).collect(),
            false => vec![random.below(len * 8), random.below(len * 8)],
        };
        flips.extend(bits.into_iter().map(|at| Flip {
            file: file.clone(),
            byte: at / 8,
            bit: (at % 8) as u8,
        }));
    }
    flips
}

/// Whoever looks is told of these files, at the latest by a check that reads everything.
pub(super) fn assert_named(memory: &Memory, files: &[&str], case: &str) {
    let told = match open(memory) {
        Ok(store) => said(&check_data(&store)),
        Err(told) => vec![told],
    };
    for file in files {
        assert!(
            told.iter().any(|told| told.contains(file)),
            "{case} is not found: {told:#?}"
        );
    }
}

/// Nothing that does not lie in the file is lost, and nothing that is read is wrong.
pub(super) fn assert_rest_is_read(bench: &Bench, memory: &Memory, file: &str, case: &str) {
    let store = match open(memory) {
        Ok(store) => store,
        // Without knowing how a store is to be read nothing can be; that is said.
        Err(told) => return assert!(file == "dbsnap.json", "{case}: {told}"),
    };
    let readable = bench.readable(file, &[].into());
    for (id, bytes) in &bench.blobs {
        match store.read(id) {
            Ok(read) => assert_eq!(read, *bytes, "{case}"),
            Err(error) => assert!(!readable.contains(id), "{case}: {error}"),
        }
    }
    for head in &bench.heads {
        let name = match store.is_encrypted() {
            // The names of heads are veiled, and only their times are as they were.
            true => head.to_string()[..20].to_owned(),
            false => head.to_string(),
        };
        let is_hit = file.starts_with("snapshots/") && file.contains(&name);
        assert_eq!(store.read_head(head).is_ok(), !is_hit, "{case}");
    }
}
