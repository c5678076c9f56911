//! Files of runs: asked for by flag or settings, said to be left out otherwise, and brought back.

use dbsnap::sandbox::Sample;

use crate::support::Served;

const PROFILE: [&str; 2] = ["--profile", "DEMO"];

fn words(output: std::process::Output) -> String {
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

#[test]
fn a_backup_of_runs_says_that_it_has_no_files_of_them_unless_they_were_left_out_on_purpose() {
    let served = Served::start(Sample::Small);
    let env = served.env();
    let backup = ["backup", "--path", "/Users", "--runs-since", "all"];
    let told = words(env.output(&[&backup[..], &PROFILE].concat()));
    let note = "the files that runs have written are not included: --artifacts";
    assert!(told.contains(note), "{told}");
    let told = words(env.output(&[&backup[..], &PROFILE, &["--skip", "run-artifacts"]].concat()));
    assert!(!told.contains(note), "{told}");
}

#[test]
fn files_of_runs_are_backed_up_shown_and_restored_as_the_settings_say() {
    let served = Served::start(Sample::Small);
    let mut env = served.env();
    let settings =
        "[backup]\nruns-since = \"all\"\nartifacts = true\nartifacts-max-file-size = \"40\"\n";
    let file = env.write("settings.toml", settings);
    env.set("DBSNAP_CONFIG_FILE", file.to_str().unwrap());
    let only = ["backup", "--only", "experiments,runs,run-artifacts"];
    let taken = env.output(&[&only[..], &PROFILE].concat());
    assert_eq!(taken.status.code(), Some(0), "{taken:?}");
    let told = String::from_utf8(taken.stderr).unwrap();
    let line = "files longer than 40 bytes only that they are there is kept";
    assert!(told.contains(line), "{told}");
    let shown = words(env.output(&["show", "latest"]));
    assert!(
        shown.contains("with files of runs of at most 40 B"),
        "{shown}"
    );
    let listed = env.json(&["ls", "latest", "--kind", "run-artifacts"]);
    let listed = listed["objects"].as_array().unwrap();
    assert_eq!(listed.len(), 9);
    let path = "model/model.pkl";
    let one = listed
        .iter()
        .find(|one| one["id"].as_str().unwrap().ends_with(path))
        .unwrap();
    let content = b"\x80\x04 not really a pickle";
    let name = format!("run-artifact/{}", one["name"].as_str().unwrap());
    assert_eq!(env.output(&["cat", "latest", &name]).stdout, content);

    // What is known of one that was too long is not handed out as if it were the file.
    let mut failed = listed.iter().map(|one| {
        let name = format!("run-artifact/{}", one["name"].as_str().unwrap());
        env.output(&["cat", "latest", &name]).status.code()
    });
    assert!(failed.any(|code| code == Some(1)));

    let (run, _) = one["id"].as_str().unwrap().split_once('/').unwrap();
    let workspace = &served.running.workspace;
    workspace.put_artifact(run, path, b"other").unwrap();
    let restore = ["restore", "latest", "--kind", "run-artifacts", "--yes"];
    let overwrite = ["--on-conflict", "overwrite"];
    let restored = env.output(&[&restore[..], &overwrite, &PROFILE].concat());
    assert_eq!(
        restored.status.code(),
        Some(3),
        "longer ones are not in it: {restored:?}"
    );
    assert!(words(restored).contains("were more than --artifacts-max-file-size"));
    assert_eq!(workspace.artifact(run, path).unwrap(), &content[..]);
}
