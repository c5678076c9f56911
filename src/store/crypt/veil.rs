//! Veils: ids in the names of files, where they must not be read.
//!
//! The id of a snapshot is a hash of its head, and the head hangs on everything in the workspace: who knew all of it but
//! a short secret could try every value of that against the id. So a name shows the id under a permutation that only the
//! key can undo; listing still gives all ids without opening a file, and a snapshot has the same id in every store.
//!
//! Invariant: veiling is one to one, so that different heads never meet in one name.

use super::{Crypt, KEY};
use crate::store::frame::array;

/// Rounds of the Feistel network. With four and a good round function, nobody without the key tells what it does from
/// chance (Luby and Rackoff), even who may ask for the way back.
const ROUNDS: u8 = 4;

impl Crypt {
    /// The id as it stands in the name of a file.
    pub(in crate::store) fn veil(&self, id: &[u8; 32]) -> [u8; 32] {
        let key = self.0.derive("dbsnap 1 name", &[]);
        let (mut left, mut right) = halves(id);
        for round in 0..ROUNDS {
            (left, right) = (right, mixed(left, &key, round, right));
        }
        joined(left, right)
    }

    /// The id that stands in the name of a file.
    pub(in crate::store) fn unveil(&self, name: &[u8; 32]) -> [u8; 32] {
        let key = self.0.derive("dbsnap 1 name", &[]);
        let (mut left, mut right) = halves(name);
        for round in (0..ROUNDS).rev() {
            (left, right) = (mixed(right, &key, round, left), left);
        }
        joined(left, right)
    }
}

fn halves(bytes: &[u8; 32]) -> ([u8; 16], [u8; 16]) {
    (array(&bytes[..16]), array(&bytes[16..]))
}

fn joined(left: [u8; 16], right: [u8; 16]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(&left);
    bytes[16..].copy_from_slice(&right);
    bytes
}

/// One round: a half, changed by a keyed hash of the round's number and the other half.
fn mixed(mut half: [u8; 16], key: &[u8; KEY], round: u8, other: [u8; 16]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(&[round]).update(&other);
    let hash = hasher.finalize();
    for (byte, mask) in half.iter_mut().zip(hash.as_bytes()) {
        *byte ^= mask;
    }
    half
}

#[cfg(test)]
mod tests {
    use super::super::MasterKey;
    use super::*;

    fn crypt(seed: u8) -> Crypt {
        Crypt::new(MasterKey::from_bytes(&[seed; 32]))
    }

    #[test]
    fn a_veil_hides_every_half_and_comes_off_with_the_key_only() {
        let ids = [[0; 32], [255; 32], *blake3::hash(b"head").as_bytes()];
        for id in ids {
            let name = crypt(1).veil(&id);
            assert_ne!(name[..16], id[..16]);
            assert_ne!(name[16..], id[16..]);
            assert_eq!(crypt(1).unveil(&name), id);
            assert_ne!(crypt(2).unveil(&name), id);
        }
    }

    #[test]
    fn one_bit_of_the_id_changes_both_halves_of_the_name() {
        let id = *blake3::hash(b"head").as_bytes();
        let name = crypt(1).veil(&id);
        for bit in 0..256 {
            let mut other = id;
            other[bit / 8] ^= 1 << (bit % 8);
            let other = crypt(1).veil(&other);
            assert_ne!(other[..16], name[..16], "bit {bit}");
            assert_ne!(other[16..], name[16..], "bit {bit}");
        }
    }
}
