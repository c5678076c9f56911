//! `dbsnap init`

use std::path::Path;

use dbsnap::store::{Identity, NewSlot, Secret, Store};
use serde_json::json;

use crate::cli::error::Failure;
use crate::cli::exit::Outcome;
use crate::cli::keys;
use crate::cli::secrets;
use crate::cli::session::Session;

/// Create an empty store
///
/// The store is a directory that must not exist yet, or must be empty. (`backup` creates a missing store by itself.)
///
/// With --encrypt nothing in the store but sizes and times can be read without one of its keys. Keys are a password,
/// age recipients, and a recovery key that is shown once. The password is asked for, or read from where --password-file
/// and the like say; with --recipient or --identity-file there need not be one. Who loses all keys, or the directory
/// `keys` in the store, loses everything in it.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  dbsnap init
  dbsnap init --store /backups/dbsnap
  dbsnap init --encrypt
  dbsnap init --encrypt --password-file /etc/dbsnap/password > recovery-key
  dbsnap init --encrypt --recipient ana=age1... --recipient ci=age1... --no-recovery-key

Exit codes:
  0  the store was created
  1  failed: there is a store already, or something else
  2  the command line or the settings were not understood")]
pub(crate) struct Args {
    /// Encrypt the store
    #[arg(long)]
    encrypt: bool,

    /// Let the owner of this age recipient open the store; may be repeated
    #[arg(long, value_name = "[LABEL=]age1...", requires = "encrypt")]
    recipient: Vec<String>,

    /// Make no recovery key; then there must be two other keys
    #[arg(long, requires = "encrypt")]
    no_recovery_key: bool,
}

pub(crate) fn run(session: &Session, args: &Args) -> Result<Outcome, Failure> {
    let path = session.store_path()?;
    if args.encrypt {
        return encrypted(session, args, &path);
    }
    if session.given_keys()?.is_any() {
        return Err(
            Failure::usage("a key is given for a store that is not to be encrypted")
                .hint("add --encrypt, or leave the key out"),
        );
    }
    let store = Store::create(&path, session.now()).map_err(|error| failed(&path, error))?;
    if session.json() {
        session
            .out
            .json(&json!({"store": store.path(), "id": store.id()}));
    } else {
        session
            .out
            .note(format!("created the store at {}", path.display()));
    }
    Ok(Outcome::Done)
}

fn encrypted(session: &Session, args: &Args, path: &Path) -> Result<Outcome, Failure> {
    let mut slots = slots(session, args)?;
    let recovery = (!args.no_recovery_key).then(Identity::generate);
    slots.extend(recovery.iter().map(|key| keys::for_recovery(key, None)));
    if slots.len() < 2 {
        return Err(
            Failure::usage("one key is too few: if it is lost, so is everything")
                .hint("leave out --no-recovery-key, or name another --recipient"),
        );
    }
    let created = Store::create_encrypted(path, session.now(), &slots);
    let store = created.map_err(|error| failed(path, error))?;
    if let Some(recovery) = &recovery {
        // What is shown and put away for the worst day has opened the store once.
        let secret = Secret::Identity(recovery.clone());
        Store::open_with(path, &[secret]).map_err(|error| failed(path, error))?;
    }
    let listed = store.slots().map_err(|error| failed(path, error))?;
    if session.json() {
        let keys: Vec<_> = listed.iter().map(keys::to_json).collect();
        session.out.json(&json!({
            "store": store.path(),
            "id": store.id(),
            "keys": keys,
            "recovery_key": recovery.as_ref().map(|key| key.reveal().to_string()),
        }));
        if recovery.is_some() {
            keys::shown(&session.out)?;
        }
        return Ok(Outcome::Done);
    }
    session.out.note(format!(
        "created the encrypted store at {}; keep a copy of its directory `keys` elsewhere",
        path.display()
    ));
    if let Some(recovery) = &recovery {
        keys::show_recovery(&session.out, recovery)?;
    }
    Ok(Outcome::Done)
}

/// The slots for everybody who is to open the store, without a recovery key.
fn slots(session: &Session, args: &Args) -> Result<Vec<NewSlot>, Failure> {
    let given = session.given_keys()?;
    let mut slots = Vec::new();
    for text in &args.recipient {
        let slot = keys::for_recipient(text, None);
        slots.push(slot.map_err(|error| Failure::doing("use a --recipient", error).into_usage())?);
    }
    for identity in given.identities()? {
        slots.push(keys::for_identity(&identity, None));
    }
    let password = match given.password(&session.environment)? {
        None if slots.is_empty() && session.environment.can_ask => Some(secrets::ask_new(
            "Password of the new store",
            secrets::at_terminal,
        )?),
        None if slots.is_empty() => {
            return Err(Failure::usage("an encrypted store needs a password or a recipient")
                .hint("give one with --password-file, --password-command, DBSNAP_PASSWORD or --recipient"));
        }
        given => given,
    };
    slots.extend(
        password
            .iter()
            .map(|password| keys::for_password(password, None)),
    );
    Ok(slots)
}

fn failed(path: &Path, error: dbsnap::store::StoreError) -> Failure {
    Failure::doing(format!("create a store at {}", path.display()), error)
}
