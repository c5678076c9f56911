//! What the `DESCRIBE` statements answer, taken apart.
//!
//! Invariant: what is not understood is left out, never guessed.

use std::collections::BTreeMap;

/// One row of an answer.
pub type Row = Vec<Option<String>>;

fn cell(row: &Row, at: usize) -> &str {
    row.get(at).and_then(Option::as_deref).unwrap_or_default()
}

/// What `DESCRIBE TABLE EXTENDED` says of a table or view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// Its columns, with their comments.
    pub columns: Vec<(String, Option<String>)>,
    /// Whether it has columns of partitions.
    pub is_partitioned: bool,
    details: BTreeMap<String, String>,
}

impl Described {
    /// From the answer.
    pub fn new(rows: &[Row]) -> Self {
        let mut described = Self::default();
        let is_column = |row: &&Row| !cell(row, 0).is_empty() && !cell(row, 0).starts_with("# ");
        let columns = rows.iter().take_while(is_column);
        described.columns = columns
            .map(|row| (cell(row, 0).to_owned(), row.get(2).cloned().flatten()))
            .collect();
        for row in rows.iter().skip(described.columns.len()) {
            match cell(row, 0) {
                "# Partition Information" => described.is_partitioned = true,
                "" => {}
                name => {
                    let value = cell(row, 1).to_owned();
                    described.details.entry(name.to_owned()).or_insert(value);
                }
            }
        }
        described
    }

    /// A detail, if the server tells it.
    pub fn detail(&self, name: &str) -> Option<&str> {
        let value = self.details.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }

    /// Whether it is a view.
    pub fn is_view(&self) -> bool {
        self.detail("Type") == Some("VIEW")
    }

    /// Whether only Hive's own form of the statement shows how the table is stored.
    pub fn is_hive_format(&self) -> bool {
        self.detail("Provider")
            .is_some_and(|provider| provider.eq_ignore_ascii_case("hive"))
    }

    /// The options of its storage, as far as their line can be taken apart.
    pub fn storage_options(&self) -> Vec<(String, String)> {
        let line = self.detail("Storage Properties").unwrap_or_default();
        let line = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'));
        let pairs = line.unwrap_or_default().split(", ");
        pairs
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }
}

/// What `DESCRIBE DATABASE EXTENDED` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Database {
    /// Its comment.
    pub comment: Option<String>,
    /// Where its tables lie.
    pub location: Option<String>,
    /// Who owns it.
    pub owner: Option<String>,
    /// Its properties.
    pub properties: BTreeMap<String, String>,
}

impl Database {
    /// From the answer.
    pub fn new(rows: &[Row]) -> Self {
        let detail = |name: &str| {
            let row = rows.iter().find(|row| cell(row, 0) == name)?;
            Some(cell(row, 1).to_owned()).filter(|value| !value.is_empty())
        };
        Self {
            comment: detail("Comment").or_else(|| detail("Description")),
            location: detail("Location"),
            owner: detail("Owner"),
            properties: database_properties(&detail("Properties").unwrap_or_default()),
        }
    }
}

/// `((key,value), (key,value))`: neither is quoted, so that a comma in a key cannot be told from the one after it.
fn database_properties(text: &str) -> BTreeMap<String, String> {
    let inner = text
        .strip_prefix("((")
        .and_then(|text| text.strip_suffix("))"));
    let pairs = inner.into_iter().flat_map(|inner| inner.split("), ("));
    pairs
        .filter_map(|pair| pair.split_once(','))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(cells: &[[&str; 3]]) -> Vec<Row> {
        let row = |row: &[&str; 3]| row.iter().map(|cell| Some((*cell).to_owned())).collect();
        cells.iter().map(row).collect()
    }

    #[test]
    fn columns_end_where_the_details_begin() {
        let described = Described::new(&rows(&[
            ["a b", "int", "it's"],
            ["p", "string", ""],
            ["# Partition Information", "", ""],
            ["# col_name", "data_type", "comment"],
            ["p", "string", ""],
            ["", "", ""],
            ["# Detailed Table Information", "", ""],
            ["Type", "MANAGED", ""],
            ["Provider", "hive", ""],
            ["Storage Properties", "[field.delim=|, escapeChar=\\]", ""],
        ]));
        let names: Vec<_> = described.columns.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a b", "p"]);
        assert!(described.is_partitioned && described.is_hive_format() && !described.is_view());
        let options = described.storage_options();
        assert_eq!(options[1], ("escapeChar".to_owned(), "\\".to_owned()));
    }

    #[test]
    fn properties_of_a_database_may_hold_commas_and_parentheses() {
        let properties = database_properties("((a,b,c), (d,(x)))");
        assert_eq!(properties["a"], "b,c");
        assert_eq!(properties["d"], "(x)");
        assert!(database_properties("").is_empty());
    }
}
