//! How an export is told from any other directory.

use super::super::layout::{self, What};
use super::super::{Recognised, recognise};
use super::*;

fn recognised(bench: &Bench) -> Recognised {
    recognise(&bench.logs()).unwrap()
}

#[test]
fn both_layouts_are_recognised() {
    let bench = Bench::new();
    bench.lines("M1/users.log", &[user("1", "ana@example.com")]);
    assert_eq!(
        recognised(&bench),
        Recognised::Export(bench.logs().join("M1"))
    );
    bench.lines("M2/jobs.log", &[json!({"job_id": 1, "settings": {}})]);
    assert_eq!(
        recognised(&bench),
        Recognised::Several(vec!["M1".to_owned(), "M2".to_owned()])
    );
    bench.lines(
        "clusters.log",
        &[json!({"cluster_id": "c", "cluster_name": "n"})],
    );
    // Two sessions are more that is strange than one file is evidence.
    assert!(matches!(
        recognised(&bench),
        Recognised::Unclear { strange: 2, .. }
    ));
    for name in ["jobs.log", "users.log"] {
        bench.write(name, "");
    }
    assert_eq!(recognised(&bench), Recognised::Export(bench.logs()));
}

#[test]
fn notebooks_and_files_are_no_export_whatever_they_are_called() {
    let bench = Bench::new();
    bench.write("etl/load.py", "x");
    bench.write("users.log", "a line of another program\n");
    bench.write("jobs.log", "{\"job\": 7}\n");
    assert_eq!(recognised(&bench), Recognised::Plain);
    bench.lines("logs/users.log", &[user("1", "ana@example.com")]);
    assert_eq!(
        recognised(&bench),
        Recognised::Around(vec!["logs".to_owned()])
    );
}

#[test]
#[cfg(unix)]
fn a_link_is_no_evidence() {
    let bench = Bench::new();
    let path = bench.dir.path().join("elsewhere");
    fs::write(&path, user("1", "ana@example.com").to_string()).unwrap();
    std::os::unix::fs::symlink(path, bench.logs().join("users.log")).unwrap();
    bench.write("x", "");
    assert_eq!(recognised(&bench), Recognised::Plain);
}

#[test]
fn names_with_a_star_stand_for_many() {
    assert_eq!(layout::what("failed_users.log"), Some(What::Data));
    assert!(matches!(
        layout::what("mlflow_runs_id_map.log"),
        Some(What::Aside(_))
    ));
    assert_eq!(layout::what("failed_.lo"), None);
    assert_eq!(layout::what("users.log.bak"), None);
}
