//! Files that are too short, too long, empty, or another one's are found by name.

use super::bench::{Bench, benches, open};
use super::flips::{assert_named, assert_rest_is_read};
use super::{for_each_at_once, is_all};

#[test]
fn a_file_of_any_other_length_is_found_by_name_and_costs_nothing_but_what_lies_there() {
    for bench in benches() {
        let mut cases: Vec<(String, usize)> = Vec::new();
        for file in bench.files() {
            let len = bench.bytes(&file).len();
            cases.extend(lengths(len).into_iter().map(|len| (file.clone(), len)));
        }
        for_each_at_once(&cases, |(file, len)| {
            let mut bytes = bench.bytes(file);
            bytes.resize(*len, b'\n');
            let memory = bench.with(&[(file, Some(&bytes))]);
            let case = format!("{file} with {len} bytes");
            assert_named(&memory, &[file], &case);
            assert_rest_is_read(bench, &memory, file, &case);
        });
    }
}

/// Other lengths than the right one: none, one more, and all or some that are smaller.
fn lengths(len: usize) -> Vec<usize> {
    let shorter: Vec<usize> = match is_all() {
        true => (1..len.min(4096)).chain((4096..len).step_by(64)).collect(),
        false => vec![len - 1],
    };
    [vec![0, len + 1], shorter].concat()
}

#[test]
fn two_files_under_each_others_names_are_found_by_name() {
    for bench in benches() {
        for_each_at_once(&pairs(bench), |(one, other)| {
            let (first, second) = (bench.bytes(one), bench.bytes(other));
            let memory = bench.with(&[(one, Some(&second)), (other, Some(&first))]);
            let case = format!("{one} and {other}, swapped,");
            match [one, other].map(String::as_str).contains(&"dbsnap.json") {
                true => assert!(open(&memory).is_err(), "{case}"),
                false => assert_named(&memory, &[one, other], &case),
            }
        });
    }
}

/// All pairs of files, or those that are neighbours.
fn pairs(bench: &Bench) -> Vec<(String, String)> {
    let files = bench.files();
    let most = if is_all() { files.len() } else { 1 };
    let of = |(number, one): (usize, &String)| {
        let others = files[number + 1..].iter().take(most);
        others
            .map(|other| (one.clone(), other.clone()))
            .collect::<Vec<_>>()
    };
    files.iter().enumerate().flat_map(of).collect()
}
