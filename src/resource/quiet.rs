//! The vocabulary for what keeps a restored object from starting to act on its own.

use serde_json::Value;

use super::field::{FieldPath, split, visit, visit_mut};

/// A field that is given a harmless value on restore unless the user asks for schedules to be kept.
#[derive(Debug)]
pub struct Quiet {
    /// The field.
    pub at: FieldPath,
    /// The value that keeps it quiet.
    pub value: QuietValue,
}

/// A harmless value.
#[derive(Clone, Copy, Debug)]
pub enum QuietValue {
    /// A text, such as `PAUSED`.
    Text(&'static str),
    /// A switch.
    Bool(bool),
}

impl Quiet {
    /// What a body says: nothing for the field being absent, and no item where it could not even stand.
    pub fn said(&self, body: &Value) -> Vec<Option<Value>> {
        let (parent, name) = split(self.at);
        let mut said = Vec::new();
        visit(body, parent, &mut |place| {
            said.push(place.get(name).cloned());
        });
        said
    }

    /// Gives the field its harmless value wherever it could stand: a schedule that is not said to be paused runs.
    pub fn apply(&self, body: &mut Value) {
        let (parent, name) = split(self.at);
        visit_mut(body, parent, &mut |place| {
            if let Some(place) = place.as_object_mut() {
                place.insert(name.to_owned(), self.value.to_json());
            }
        });
    }
}

impl QuietValue {
    /// As JSON.
    pub fn to_json(self) -> Value {
        match self {
            QuietValue::Text(text) => Value::from(text),
            QuietValue::Bool(value) => Value::from(value),
        }
    }
}
