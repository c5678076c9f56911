//! What files of mappings say, and what is wrong with them.

use super::*;
use crate::resource::Principal;
use crate::testing::fuzz;

fn complaint(result: Result<(), (u64, PairError)>) -> String {
    let (line, error) = result.unwrap_err();
    format!("{line}: {error}")
}

#[test]
fn a_csv_file_says_by_its_spelling_what_is_meant() {
    let mut mapping = Mapping::default();
    let text = "old,new\n# those who married\nana@a.com, ana.b@b.com\n@a.com,@b.com\n\n\
                /Shared/old,/Shared/new\n\"5b2c1b5e-0000-4000-8000-000000000001\",5b2c1b5e-0000-4000-8000-000000000002\n";
    mapping.add_csv(text).unwrap();
    assert_eq!(mapping.renamed(Principal::User, "ana@a.com"), "ana.b@b.com");
    assert_eq!(mapping.renamed(Principal::User, "ben@a.com"), "ben@b.com");
    assert_eq!(mapping.path("/Shared/old/x"), "/Shared/new/x");
    assert_eq!(
        mapping.renamed(
            Principal::ServicePrincipal,
            "5B2C1B5E-0000-4000-8000-000000000001"
        ),
        "5b2c1b5e-0000-4000-8000-000000000002"
    );
}

#[test]
fn a_toml_file_has_a_table_for_each() {
    let mut mapping = Mapping::default();
    mapping
        .add_toml("[users]\n\"ana@a.com\" = \"ana@b.com\"\n[groups]\ndata = \"Data Team\"\n[paths]\n\"/a\" = \"/b/\"\n")
        .unwrap();
    assert_eq!(mapping.renamed(Principal::Group, "Data"), "Data Team");
    assert_eq!(mapping.path("/a"), "/b");
}

#[test]
fn a_broken_line_is_named() {
    let csv = |text: &str| complaint(Mapping::default().add_csv(text));
    let toml = |text: &str| complaint(Mapping::default().add_toml(text));
    assert_eq!(
        csv("a@x,b@x\na@x,b@x,c@x\n"),
        "2: it must have the form old,new"
    );
    assert_eq!(
        csv("a@x,b@x\nA@x,b@x\n"),
        "2: the user `A@x` is mapped a second time"
    );
    assert_eq!(
        csv("a@x,b@x\n\nA@x,c@x\n"),
        "3: the user `A@x` is mapped to `c@x` here and to `b@x` before"
    );
    assert_eq!(csv("a@x,\n"), "1: a name is empty");
    assert!(csv("data,team\n").starts_with("1: `data` is not a user"));
    assert_eq!(
        toml("[users]\n\"a@x\" = \"b@x\"\n\"A@x\" = \"c@x\"\n"),
        "3: the user `A@x` is mapped to `c@x` here and to `b@x` before"
    );
    assert!(toml("[users]\n\"a@x\" = 7\n").starts_with("2: "));
    assert!(toml("[user]\n").starts_with("1: "));
}

#[test]
fn a_directory_is_no_mapping_file_and_a_missing_one_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = Mapping::default().add_file(dir.path()).unwrap_err();
    assert!(matches!(error, MappingError::IsDirectory(_)));
    let error = Mapping::default()
        .add_file(&dir.path().join("none.csv"))
        .unwrap_err();
    assert!(matches!(error, MappingError::Read { .. }));
}

#[test]
fn a_flag_without_an_equals_sign_says_what_it_needs() {
    let error = Mapping::default()
        .add_pair(Table::Users, "ana@x")
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to understand the mapping `ana@x`"
    );
    assert_eq!(
        std::error::Error::source(&error).unwrap().to_string(),
        "it must have the form old=new"
    );
}

#[test]
fn a_file_may_end_in_the_middle_of_a_comment_or_of_a_record() {
    for end in ["", "\n", "\n# that is all", "\n  ", "\r\n#"] {
        let mut mapping = Mapping::default();
        let text = format!("# people\nana@a.com,ana@b.com{end}");
        assert_eq!(mapping.add_csv(&text), Ok(()), "{end:?}");
        assert_eq!(mapping.users.len(), 1);
    }
}

#[test]
fn fuzzed_files_are_refused_with_a_line_that_is_there_or_taken() {
    let csv =
        b"old,new\n# people\nana@a.com,ana@b.com\n@a.com,@b.com\n\"/Users/ana@a.com\",/Users/x\n";
    let fuzzed = fuzz("mappings as CSV", &[csv.to_vec()], |bytes| {
        is_taken(bytes, Mapping::add_csv)
    });
    assert!(fuzzed.accepted > 0);
    let toml = b"[users]\n\"ana@a.com\" = \"ana@b.com\"\n[domains]\n\"a.com\" = 'b.com'\n[groups]\ndata = \"engineers\"\n\
        [service-principals]\n\"00000000-0000-0000-0000-000000000001\" = \"00000000-0000-0000-0000-000000000002\"\n\
        [paths]\n\"/Shared\" = \"/Old/Shared\"\n";
    let fuzzed = fuzz("mappings as TOML", &[toml.to_vec()], |bytes| {
        is_taken(bytes, Mapping::add_toml)
    });
    assert!(fuzzed.accepted > 0);
}

type Add = fn(&mut Mapping, &str) -> Result<(), (u64, PairError)>;

fn is_taken(bytes: &[u8], add: Add) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let mut mapping = Mapping::default();
    match add(&mut mapping, &text) {
        Ok(()) => {
            // Who is asked for gets an answer.
            for name in ["ana@a.com", "data", "", "@", "é"] {
                mapping.renamed(crate::resource::Principal::Any, name);
            }
            // What says anything cannot be said a second time.
            let is_new = !mapping.is_empty();
            assert_eq!(add(&mut mapping, &text).is_err(), is_new);
            true
        }
        Err((line, error)) => {
            let lines = text.split('\n').count() as u64;
            assert!(
                (1..=lines).contains(&line),
                "line {line} of {lines}: {error}"
            );
            false
        }
    }
}
