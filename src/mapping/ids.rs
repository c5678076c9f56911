//! An index of workspace ids: which object an id means.

use std::collections::HashMap;

use crate::resource::ObjectKey;

/// Which object an id means, for the kinds that are referred to by id.
#[derive(Clone, Debug, Default)]
pub struct Ids {
    keys: HashMap<String, Vec<ObjectKey>>,
}

impl Ids {
    /// Takes note of an object's id.
    pub fn insert(&mut self, key: ObjectKey, id: &str) {
        self.keys.entry(id.to_owned()).or_default().push(key);
    }

    /// The object of one of these kinds that has the id.
    pub fn get(&self, kinds: &[&str], id: &str) -> Option<&ObjectKey> {
        let keys = self.keys.get(id)?;
        keys.iter().find(|key| kinds.contains(&key.kind.as_str()))
    }
}
