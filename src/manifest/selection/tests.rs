//! Which objects a selection has.

use super::*;

fn path(name: &str) -> ObjectKey {
    ObjectKey::new(KindName::known("notebook"), name)
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

#[test]
fn everything_is_covered_by_default() {
    let all = Selection::default();
    assert!(all.is_everything());
    assert!(all.covers(&path("/a")));
    assert!(all.covers(&ObjectKey::with_id(KindName::known("job"), "nightly", "1")));
}

#[test]
fn a_path_covers_what_is_below_it_and_no_neighbour() {
    let selection = Selection {
        include: strings(&["/Users/ana/"]),
        ..Selection::default()
    };
    for (name, covered) in [
        ("/Users/ana", true),
        ("/Users/ana/x/y", true),
        ("/Users/anabel", false),
        ("/Users", false),
        ("/", false),
    ] {
        assert_eq!(selection.covers(&path(name)), covered, "{name}");
    }
    assert!(
        selection.covers(&ObjectKey::new(KindName::known("group"), "admins")),
        "has no path"
    );
}

#[test]
fn an_excluded_path_wins_over_an_included_one() {
    let selection = Selection {
        include: strings(&["/Users"]),
        exclude: strings(&["/Users/*/tmp*"]),
        ..Selection::default()
    };
    assert!(selection.covers(&path("/Users/ana/report")));
    assert!(!selection.covers(&path("/Users/ana/tmp-1/x")));
    assert!(!selection.covers(&path("/Shared/x")));
}

#[test]
fn kinds_are_selected_and_skipped_with_their_whole() {
    let selection = Selection {
        only: strings(&["job", "notebook"]),
        skip: strings(&["notebook"]),
        ..Selection::default()
    };
    assert!(selection.covers(&ObjectKey::whole_kind(KindName::known("job"))));
    assert!(!selection.covers(&ObjectKey::whole_kind(KindName::known("notebook"))));
    assert!(!selection.covers(&ObjectKey::new(KindName::known("user"), "ana")));
}

#[test]
fn a_home_is_one_folder_and_nothing_else() {
    let selection = Selection {
        home: Some("ana@example.com".into()),
        ..Selection::default()
    };
    assert!(selection.covers(&path("/Users/ana@example.com/x")));
    assert!(!selection.covers(&path("/Users/bob@example.com/x")));
    assert!(!selection.covers(&ObjectKey::new(KindName::known("group"), "admins")));
    assert!(
        !Selection {
            home: Some("*".into()),
            ..Selection::default()
        }
        .covers(&path("/Users/bob/x"))
    );
}

#[test]
fn only_folders_that_may_hold_something_selected_are_entered() {
    let selection = Selection {
        include: strings(&["/Users/*/project", "/Shared"]),
        exclude: strings(&["/Shared/old"]),
        ..Selection::default()
    };
    for (folder, entered) in [
        ("/", true),
        ("/Users", true),
        ("/Users/ana", true),
        ("/Users/ana/project/deep", true),
        ("/Users/ana/other", false),
        ("/Repos", false),
        ("/Shared/new", true),
        ("/Shared/old", false),
    ] {
        assert_eq!(selection.enters(folder), entered, "{folder}");
    }
}

#[test]
fn nothing_of_the_metastore_is_covered_unless_it_is_asked_for() {
    let key = |kind, name: &str| ObjectKey::new(KindName::known(kind), name);
    let none = Selection::default();
    assert!(!none.covers(&key("table", "sales.orders")));
    assert!(!none.covers(&ObjectKey::whole_kind(KindName::known("view"))));
    let all = Selection::all();
    assert!(all.covers(&key("table", "sales.orders")) && all.is_everything());
    let sales = Selection {
        metastore: Some(Databases {
            only: strings(&["Sales"]),
        }),
        ..Selection::default()
    };
    assert!(sales.covers(&key("table", "sales.orders")));
    assert!(sales.covers(&key("database", "sales")));
    assert!(!sales.covers(&key("view", "salesforce.leads")));
    assert!(sales.covers(&key("metastore-securable", "any file")));
    assert!(!sales.is_everything());
}

#[test]
fn a_selection_includes_a_narrower_one_and_no_wider_one() {
    let of = |only: &[&str], databases: Option<&[&str]>| Selection {
        only: strings(only),
        metastore: databases.map(|only| Databases {
            only: strings(only),
        }),
        ..Selection::default()
    };
    let (all, tables) = (of(&[], Some(&[])), of(&["table"], Some(&[])));
    assert!(all.includes(&tables) && all.includes(&of(&[], Some(&["a"]))));
    assert!(all.includes(&Selection::default()) && tables.includes(&of(&["table"], None)));
    assert!(!Selection::default().includes(&all) && !of(&[], Some(&["a"])).includes(&all));
    assert!(!tables.includes(&Selection::default()));
}

#[test]
fn runs_are_selected_by_the_time_in_their_names_and_come_on_top() {
    let run = ObjectKey::new(
        KindName::known("run"),
        "/Shared/x/2026-02-01T00:00:00.000Z 1",
    );
    let since = |day: &str| Selection {
        runs: Some(Runs {
            since: Some(format!("{day}T00:00:00Z").parse().unwrap()),
            ..Runs::default()
        }),
        ..Selection::default()
    };
    let none = Selection::default();
    assert!(!none.covers(&run) && !none.covers_kind(&run.kind));
    assert!(since("2026-02-01").covers(&run) && !since("2026-02-02").covers(&run));
    assert!(since("2026-02-02").covers(&ObjectKey::whole_kind(run.kind.clone())));
    assert!(since("2026-02-01").is_everything() && Selection::all().covers(&run));
    assert!(since("2026-02-01").includes(&since("2026-02-02")));
    assert!(!since("2026-02-02").includes(&since("2026-02-01")));
    assert!(since("2026-02-01").includes(&none) && !none.includes(&since("2026-02-01")));
    let elsewhere = Selection {
        include: strings(&["/Users"]),
        ..since("2026-02-01")
    };
    assert!(!elsewhere.covers(&run));
}

#[test]
fn a_star_stays_within_its_segment() {
    for (pattern, text, fits) in [
        ("a*c", "abc", true),
        ("a*c", "ac", true),
        ("a*c", "ab", false),
        ("*", "anything", true),
        ("*a*b*", "xxaxxbxx", true),
        ("ab*ba", "aba", false),
        ("plain", "plain", true),
        ("plain", "plainer", false),
    ] {
        assert_eq!(segment_matches(pattern, text), fits, "{pattern} {text}");
    }
}

#[test]
fn everything_includes_all_but_secret_values_that_were_not_asked_for() {
    let all = Selection::default();
    let jobs = Selection {
        only: strings(&["job"]),
        ..Selection::default()
    };
    let with_values = |of: &Selection| Selection {
        secret_values: true,
        ..of.clone()
    };
    assert!(all.includes(&jobs) && !jobs.includes(&all));
    assert!(with_values(&all).includes(&all) && with_values(&jobs).includes(&jobs));
    assert!(!all.includes(&with_values(&jobs)) && !jobs.includes(&with_values(&jobs)));
    assert!(with_values(&all).is_everything() && !with_values(&jobs).is_everything());
    assert_eq!(serde_json::to_string(&all).unwrap(), "{}");
}

#[test]
fn what_a_newer_version_selects_by_survives() {
    let text = r#"{"only":["job"],"owner":"ana"}"#;
    let selection: Selection = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&selection).unwrap(), text);
}
