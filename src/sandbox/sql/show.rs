//! Objects as the statements that make them, the way Spark writes those.
//!
//! Invariant: quotes are escaped and nothing else is, as the real server does it.

use std::collections::BTreeMap;

use super::catalog::Key;
use super::table::Table;

/// A name, quoted where it has to be.
pub(super) fn name(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match text.chars().all(is_plain) && !text.starts_with(|c: char| c.is_ascii_digit()) {
        true => text.to_string(),
        false => format!("`{}`", text.replace('`', "``")),
    }
}

/// A text in quotes.
fn text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "\\'"))
}

fn pairs(pairs: &BTreeMap<String, String>) -> String {
    let pair = |(key, value): (&String, &String)| format!("  {} = {}", text(key), text(value));
    let pairs: Vec<String> = pairs.iter().map(pair).collect();
    format!("(\n{})", pairs.join(",\n"))
}

/// `SHOW CREATE TABLE`.
pub(super) fn create_table((database, own): &Key, table: &Table, as_serde: bool) -> String {
    let is_hive = table.provider == "hive";
    let catalog = if is_hive { "" } else { "hive_metastore." };
    let external = if as_serde && table.location.is_some() {
        "EXTERNAL "
    } else {
        ""
    };
    let column = |column: &super::table::Column| {
        let comment = column.comment.as_ref();
        let comment = comment.map_or_else(String::new, |words| format!(" COMMENT {}", text(words)));
        format!("  {} {}{comment}", name(&column.name), column.definition)
    };
    let split = match as_serde {
        true => table.columns.len() - table.partitioned.len(),
        false => table.columns.len(),
    };
    let (own_columns, partitions) = table.columns.split_at(split);
    let columns: Vec<String> = own_columns.iter().map(column).collect();
    let mut sql = format!(
        "CREATE {external}TABLE {catalog}{}.{} (\n{})\n",
        name(database),
        name(own),
        columns.join(",\n")
    );
    let comment = match table.comment.as_str() {
        "" => String::new(),
        words => format!("COMMENT {}\n", text(words)),
    };
    if as_serde {
        sql += &comment;
        if !partitions.is_empty() {
            let columns: Vec<String> = partitions
                .iter()
                .map(|of| column(of).trim().to_string())
                .collect();
            sql += &format!("PARTITIONED BY ({})\n", columns.join(", "));
        }
        sql += &table
            .buckets
            .iter()
            .map(|text| format!("{text}\n"))
            .collect::<String>();
        sql += &format!("ROW FORMAT SERDE {}\n", text(&table.serde));
        if !table.options.is_empty() {
            sql += &format!("WITH SERDEPROPERTIES {}\n", pairs(&table.options));
        }
        sql += &format!(
            "STORED AS\n  INPUTFORMAT {}\n  OUTPUTFORMAT {}\n",
            text(&table.input),
            text(&table.output)
        );
    } else {
        sql += &format!("USING {}\n", table.provider);
        if !table.options.is_empty() {
            sql += &format!("OPTIONS {}\n", pairs(&table.options));
        }
        if !table.partitioned.is_empty() {
            let names: Vec<String> = table.partitioned.iter().map(|of| name(of)).collect();
            sql += &format!("PARTITIONED BY ({})\n", names.join(", "));
        }
        sql += &table
            .buckets
            .iter()
            .map(|text| format!("{text}\n"))
            .collect::<String>();
        sql += &comment;
    }
    let location = table.location.iter();
    sql += &location
        .map(|at| format!("LOCATION {}\n", text(at)))
        .collect::<String>();
    if !table.properties.is_empty() {
        sql += &format!("TBLPROPERTIES {}\n", pairs(&table.properties));
    }
    sql
}
