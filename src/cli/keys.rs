//! Key slots as they are typed, chosen and shown.
//!
//! Invariant: a recovery key is shown once, when it is made, and nowhere else.

use std::io;

use dbsnap::store::{
    Identity, KeyError, Label, Lock, NewSlot, Passphrase, Recipient, Slot, SlotKind, WorkFactor,
};
use serde_json::{Value, json};

use super::error::Failure;
use super::output::Printer;
use super::render::table::{Align, Table};

/// What slots are called when nobody says otherwise.
const PASSWORD: &str = "password";
const RECIPIENT: &str = "recipient";
const IDENTITY: &str = "identity";
const RECOVERY: &str = "recovery";

/// How much of a slot's id is shown.
const SHORT: usize = 8;

/// A slot for a password.
pub(crate) fn for_password(password: &Passphrase, label: Option<&Label>) -> NewSlot {
    let lock = Lock::Passphrase(password.clone(), WorkFactor::default());
    new(label, PASSWORD, lock)
}

/// A slot for somebody who has an identity file.
pub(crate) fn for_identity(identity: &Identity, label: Option<&Label>) -> NewSlot {
    new(label, IDENTITY, Lock::Recipient(identity.recipient()))
}

/// A slot for a recovery key.
pub(crate) fn for_recovery(identity: &Identity, label: Option<&Label>) -> NewSlot {
    new(label, RECOVERY, Lock::Recipient(identity.recipient()))
}

/// A slot for a recipient as it is typed: `age1...` or `LABEL=age1...`.
pub(crate) fn for_recipient(text: &str, label: Option<&Label>) -> Result<NewSlot, KeyError> {
    let (own, recipient) = match text.split_once('=') {
        Some((label, recipient)) => (Some(label.parse::<Label>()?), recipient),
        None => (None, text),
    };
    let recipient: Recipient = recipient.parse()?;
    Ok(new(
        own.as_ref().or(label),
        RECIPIENT,
        Lock::Recipient(recipient),
    ))
}

/// The slot that is meant by the beginning of an id, or by a label that is the only one of its name.
pub(crate) fn choose<'a>(slots: &'a [Slot], wanted: &str) -> Result<&'a Slot, Failure> {
    let labelled = |slot: &&Slot| slot.name.label.to_string() == wanted;
    let begins = |slot: &&Slot| slot.name.id.to_string().starts_with(wanted);
    let mut found: Vec<&Slot> = slots.iter().filter(labelled).collect();
    if found.is_empty() && wanted.len() >= 2 {
        found = slots.iter().filter(begins).collect();
    }
    let hint = "`dbsnap key list` shows ids and labels";
    match found[..] {
        [slot] => Ok(slot),
        [] => Err(Failure::refused(format!("there is no key `{wanted}`")).hint(hint)),
        _ => Err(Failure::refused(format!("there are {} keys `{wanted}`", found.len())).hint(hint)),
    }
}

/// The slots as a table.
pub(crate) fn table(slots: &[Slot]) -> String {
    let columns = [
        ("ID", Align::Left),
        ("LABEL", Align::Left),
        ("OPENED BY", Align::Left),
    ];
    let mut table = Table::new(columns);
    for slot in slots {
        let kind = match slot.kind {
            SlotKind::Passphrase => "a password",
            SlotKind::Recipient => "an age identity",
            _ => "nothing: it cannot be read",
        };
        let id = short(slot);
        table.row([id, slot.name.label.to_string(), kind.to_owned()]);
    }
    table.render()
}

/// The beginning of a slot's id.
pub(crate) fn short(slot: &Slot) -> String {
    format!("{:.SHORT$}", slot.name.id)
}

/// A slot in a JSON document.
pub(crate) fn to_json(slot: &Slot) -> Value {
    let kind = match slot.kind {
        SlotKind::Passphrase => "password",
        SlotKind::Recipient => "recipient",
        _ => "unreadable",
    };
    json!({
        "id": slot.name.id.to_string(),
        "label": slot.name.label.to_string(),
        "kind": kind,
    })
}

/// Shows a recovery key: on the standard output, so that it can be put somewhere.
pub(crate) fn show_recovery(out: &Printer, recovery: &Identity) -> Result<(), Failure> {
    out.note(
        "This is the recovery key. It opens the store (--identity-file) and is shown only now: keep it where neither \
         the store nor this machine is.",
    );
    out.line(&*recovery.reveal());
    shown(out)
}

/// Makes sure that a recovery key reached somebody: it is not shown again.
pub(crate) fn shown(out: &Printer) -> Result<(), Failure> {
    let written = out.finish();
    let written = written.and_then(|()| match out.closed() {
        true => Err(io::ErrorKind::BrokenPipe.into()),
        false => Ok(()),
    });
    written.map_err(|error| {
        Failure::doing("show the recovery key", error)
            .hint("the store is there, but nobody has this key: make another with `dbsnap key add --recovery-key`")
            .hint("`dbsnap key list` shows the lost one, for `dbsnap key remove`")
    })
}

fn new(label: Option<&Label>, usual: &str, lock: Lock) -> NewSlot {
    let usual = || usual.parse().expect("the usual labels are labels");
    NewSlot {
        label: label.cloned().unwrap_or_else(usual),
        lock,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dbsnap::store::SlotName;

    fn slots(names: &[&str]) -> Vec<Slot> {
        let slot = |name: &&str| {
            let (label, digit) = name.split_once('-').unwrap();
            let name = SlotName {
                label: label.parse().unwrap(),
                id: digit.repeat(32).parse().unwrap(),
            };
            Slot {
                name,
                kind: SlotKind::Recipient,
            }
        };
        names.iter().map(slot).collect()
    }

    #[test]
    fn a_key_is_meant_by_its_label_or_the_beginning_of_its_id() {
        let slots = slots(&["ana-3f", "ci-31", "ci-77", "3f-aa"]);
        let chosen = |wanted: &str| choose(&slots, wanted).map(short).map_err(|e| e.render());
        assert_eq!(chosen("ana").unwrap(), "3f3f3f3f");
        assert_eq!(chosen("77").unwrap(), "77777777");
        assert_eq!(chosen("3f3").unwrap(), "3f3f3f3f");
        assert_eq!(chosen("3f").unwrap(), "aaaaaaaa", "a label outranks an id");
        assert!(chosen("ci").unwrap_err().contains("2 keys `ci`"));
        assert!(chosen("bo").unwrap_err().contains("no key `bo`"));
        assert!(chosen("").is_err());
    }

    #[test]
    fn a_recipient_may_be_typed_with_a_label() {
        let recipient = Identity::generate().recipient().to_string();
        let label = |text: &str| for_recipient(text, None).unwrap().label.to_string();
        assert_eq!(label(&recipient), "recipient");
        assert_eq!(label(&format!("ana={recipient}")), "ana");
        assert!(for_recipient(&format!("An A={recipient}"), None).is_err());
        assert!(for_recipient("ana=", None).is_err());
        let secret = Identity::generate().reveal();
        let words = for_recipient(&secret, None).unwrap_err().to_string();
        assert!(words.contains("secret") && !words.contains(&secret[16..]));
    }
}
