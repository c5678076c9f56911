//! Where a password is read from, and how it is asked for.

use super::*;
use crate::cli::environment::with;

fn typed(text: &str) -> Passphrase {
    Passphrase::new(Zeroizing::new(text.to_owned())).unwrap()
}

fn file(bytes: &[u8]) -> (tempfile::TempDir, PasswordSource) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    fs::write(&path, bytes).unwrap();
    (dir, PasswordSource::File(path))
}

#[test]
fn a_flag_outranks_a_variable_and_that_the_settings() {
    let mut args = SecretArgs::default();
    let environment = with(&[
        ("DBSNAP_PASSWORD_COMMAND", "pass"),
        ("DBSNAP_IDENTITY_FILE", "/variable"),
    ]);
    let set = Keys {
        password_file: Some("/set".into()),
        identity_file: Some("/set-too".into()),
        ..Keys::default()
    };
    let found = |args: &SecretArgs, environment: &Environment| {
        let given = Given::find(args, environment, &set).unwrap();
        (given.password.unwrap(), given.identity_files[0].clone())
    };
    let in_file = |path: &str| PasswordSource::File(path.into());
    assert_eq!(
        found(&args, &with(&[])),
        (in_file("/set"), "/set-too".into())
    );
    assert_eq!(
        found(&args, &environment),
        (PasswordSource::Command("pass".into()), "/variable".into())
    );
    args.password_file = Some("/flag".into());
    args.identity_file = vec!["/flag-too".into()];
    assert_eq!(
        found(&args, &environment),
        (in_file("/flag"), "/flag-too".into())
    );
    assert!(
        !Given::find(&SecretArgs::default(), &with(&[]), &Keys::default())
            .unwrap()
            .is_any()
    );
}

#[test]
fn two_passwords_at_once_are_one_too_many() {
    let environment = with(&[("DBSNAP_PASSWORD", "a"), ("DBSNAP_PASSWORD_FILE", "/b")]);
    let refused = Given::find(&SecretArgs::default(), &environment, &Keys::default());
    assert!(refused.unwrap_err().render().contains("two ways"));
}

#[test]
fn a_password_is_the_line_in_a_file() {
    for bytes in [&b"s 1"[..], b"s 1\n", b"s 1\r\n", b"\xef\xbb\xbfs 1\n"] {
        let (_dir, source) = file(bytes);
        assert!(source.read(&with(&[])).unwrap().is(&typed("s 1")));
    }
    for (bytes, reason) in [
        (&b"s1\ns2\n"[..], "one line"),
        (b"\n", "empty"),
        (b"s\xff1", "UTF-8"),
        (&[b'x'; LONGEST + 1], "too long"),
    ] {
        let (_dir, source) = file(bytes);
        let words = source.read(&with(&[])).unwrap_err().render();
        assert!(words.contains(reason), "{words}");
        assert!(!words.contains("s1"), "{words}");
    }
}

#[test]
fn a_variable_is_taken_as_it_is() {
    let source = PasswordSource::Variable("DBSNAP_PASSWORD");
    let read = source.read(&with(&[("DBSNAP_PASSWORD", " s1 ")])).unwrap();
    assert!(read.is(&typed(" s1 ")));
}

#[cfg(unix)]
#[test]
fn a_command_prints_the_password_or_fails_without_telling_it() {
    let read = |command: &str| PasswordSource::Command(command.into()).read(&with(&[]));
    assert!(read("echo s1").unwrap().is(&typed("s1")));
    let words = read("echo s1; exit 3").unwrap_err().render();
    assert!(
        words.contains("exit status: 3") && !words.contains("s1"),
        "{words}"
    );
}

#[test]
fn a_new_password_is_typed_twice_alike() {
    let mut answers = ["s1", "s2", "s3", "s3"].into_iter();
    let mut prompts = Vec::new();
    let read = |prompt: &str| {
        prompts.push(prompt.to_owned());
        Ok(answers.next().unwrap().to_owned())
    };
    assert!(ask_new("New password", read).unwrap().is(&typed("s3")));
    assert_eq!(prompts[..2], ["New password: ", "The same again: "]);
    let mut n = 0;
    let never = |_: &str| {
        n += 1;
        Ok(n.to_string())
    };
    assert!(ask_new("New password", never).is_err());
    assert_eq!(n, 2 * TRIES);
}

#[test]
fn a_wrong_password_may_be_typed_again() {
    let mut answers = ["wrong", "right", "never asked"].into_iter();
    let read = |_: &str| Ok(answers.next().unwrap().to_owned());
    let open = |typed_in: Passphrase| match typed_in.is(&typed("right")) {
        true => Ok("open"),
        false => Err("wrong"),
    };
    let opened = ask_until("Password", read, open, |_| true).unwrap();
    assert_eq!((opened, answers.next()), (Ok("open"), Some("never asked")));
    let refused = ask_until("Password", |_: &str| Ok("x".into()), open, |_| true);
    assert_eq!(refused.unwrap(), Err("wrong"));
}
