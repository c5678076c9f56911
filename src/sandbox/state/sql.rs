//! What there is for SQL: warehouses, the metastore, statements and contexts under way.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use crate::sandbox::call::Object;
use crate::sandbox::sql::{Catalog, Outcome, Session};

/// All of it.
pub(crate) struct Sql {
    pub(crate) catalog: Catalog,
    pub(crate) warehouses: BTreeMap<String, Object>,
    pub(crate) statements: HashMap<String, Executed>,
    pub(crate) contexts: BTreeMap<String, Context>,
    pub(crate) commands: HashMap<String, Command>,
}

impl Sql {
    pub(crate) fn new(seed: u64) -> Sql {
        Sql {
            catalog: Catalog::new(seed),
            warehouses: BTreeMap::new(),
            statements: HashMap::new(),
            contexts: BTreeMap::new(),
            commands: HashMap::new(),
        }
    }
}

/// A statement that was carried out.
pub(crate) struct Executed {
    pub(crate) result: Outcome,
    /// So many looks at it still show that it is not done.
    pub(crate) looks: u8,
    pub(crate) is_cancelled: bool,
}

/// An execution context.
pub(crate) struct Context {
    pub(crate) cluster: String,
    pub(crate) language: String,
    pub(crate) session: Session,
    pub(crate) is_ready: bool,
    /// Whether the definitions of its program were sent.
    pub(crate) is_taught: bool,
    /// What the last commands answered, to be printed in slices.
    pub(crate) answer: String,
}

/// A command of a context.
pub(crate) struct Command {
    pub(crate) context: String,
    pub(crate) results: Value,
    /// So many looks at it still show that it is not done.
    pub(crate) looks: u8,
}
