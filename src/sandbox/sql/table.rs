//! What a `CREATE TABLE` says.
//!
//! Invariant: a clause that is not understood is refused, never left out.

use std::collections::BTreeMap;

use super::lexer::{Token, Tokens};

/// A table.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    pub(super) columns: Vec<Column>,
    /// `hive` for tables in a format of Hive's own.
    pub(super) provider: String,
    pub(super) options: BTreeMap<String, String>,
    /// The names of the columns of partitions.
    pub(super) partitioned: Vec<String>,
    pub(super) partitions: Vec<String>,
    /// `CLUSTERED BY` with what belongs to it.
    pub(super) buckets: Option<String>,
    pub(super) serde: String,
    pub(super) input: String,
    pub(super) output: String,
    pub(super) comment: String,
    pub(super) location: Option<String>,
    pub(super) properties: BTreeMap<String, String>,
    pub(super) owner: String,
}

/// A column.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) definition: String,
    pub(super) comment: Option<String>,
}

/// The classes that `STORED AS` stands for.
const FORMATS: &[(&str, &str, &str, &str)] = &[
    (
        "TEXTFILE",
        "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
        "org.apache.hadoop.mapred.TextInputFormat",
        "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
    ),
    (
        "ORC",
        "org.apache.hadoop.hive.ql.io.orc.OrcSerde",
        "org.apache.hadoop.hive.ql.io.orc.OrcInputFormat",
        "org.apache.hadoop.hive.ql.io.orc.OrcOutputFormat",
    ),
    (
        "PARQUET",
        "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    ),
];

impl Table {
    /// Reads what follows the name.
    pub(super) fn parse(tokens: &mut Tokens<'_>) -> Result<Table, String> {
        let mut table = Table::default();
        if tokens.peek() == Some(&Token::Sign('(')) {
            table.columns = columns(tokens.inside()?)?;
        }
        while tokens.peek().is_some() {
            table.clause(tokens)?;
        }
        if table.provider.is_empty() {
            table.provider = if table.serde.is_empty() {
                "delta"
            } else {
                "hive"
            }
            .into();
        }
        if table.columns.is_empty() {
            return Err("[UNABLE_TO_INFER_SCHEMA] Unable to infer schema. It must be specified manually. SQLSTATE: 42KD9".into());
        }
        Ok(table)
    }

    fn clause(&mut self, tokens: &mut Tokens<'_>) -> Result<(), String> {
        if tokens.takes("USING") {
            self.provider = tokens.name()?.to_lowercase();
        } else if tokens.takes("OPTIONS") || tokens.takes("WITH SERDEPROPERTIES") {
            self.options.extend(tokens.pairs()?);
        } else if tokens.takes("TBLPROPERTIES") {
            self.properties.extend(tokens.pairs()?);
        } else if tokens.takes("COMMENT") {
            self.comment = tokens.text()?;
        } else if tokens.takes("LOCATION") {
            self.location = Some(tokens.text()?);
        } else if tokens.takes("PARTITIONED BY") {
            self.partitions(tokens.inside()?)?;
        } else if tokens.takes("CLUSTERED BY") {
            self.buckets = Some(buckets(tokens)?);
        } else if tokens.takes("ROW FORMAT SERDE") {
            self.serde = tokens.text()?;
        } else if tokens.takes("STORED AS INPUTFORMAT") {
            self.input = tokens.text()?;
            tokens.must("OUTPUTFORMAT")?;
            self.output = tokens.text()?;
        } else if tokens.takes("STORED AS") {
            let format = tokens.name()?;
            let known = FORMATS
                .iter()
                .find(|known| known.0.eq_ignore_ascii_case(&format));
            let (_, serde, input, output) =
                known.ok_or_else(|| tokens.wrong("a format of Hive"))?;
            if self.serde.is_empty() {
                self.serde = (*serde).into();
            }
            (self.input, self.output) = ((*input).into(), (*output).into());
            let format = "serialization.format".to_string();
            self.options.entry(format).or_insert_with(|| "1".into());
        } else {
            return Err(tokens.wrong("a clause of CREATE TABLE"));
        }
        Ok(())
    }

    /// Names of columns, or columns of their own, which come after the others.
    fn partitions(&mut self, inside: &str) -> Result<(), String> {
        for column in columns(inside)? {
            self.partitioned.push(column.name.clone());
            match self
                .columns
                .iter()
                .position(|known| known.name == column.name)
            {
                Some(at) => {
                    let own = self.columns.remove(at);
                    self.columns.push(own);
                }
                None => self.columns.push(column),
            }
        }
        Ok(())
    }
}

fn buckets(tokens: &mut Tokens<'_>) -> Result<String, String> {
    let mut text = format!("CLUSTERED BY ({})\n", tokens.inside()?.trim());
    if tokens.takes("SORTED BY") {
        text += &format!("SORTED BY ({})\n", tokens.inside()?.trim());
    }
    tokens.must("INTO")?;
    text += &format!("INTO {} BUCKETS", tokens.name()?);
    tokens.must("BUCKETS")?;
    Ok(text)
}

/// The columns of a list, without its parentheses.
pub(super) fn columns(inside: &str) -> Result<Vec<Column>, String> {
    let mut tokens = Tokens::new(inside)?;
    let mut columns = Vec::new();
    while tokens.peek().is_some() {
        let name = tokens.name()?;
        let begin = tokens.place();
        let (mut end, mut depth, mut comment) = (begin, 0_i32, None);
        while let Some(token) = tokens.peek().cloned() {
            match token {
                Token::Sign('(' | '<') => depth += 1,
                Token::Sign(')' | '>') => depth -= 1,
                Token::Sign(',') if depth == 0 => break,
                _ => {}
            }
            if depth == 0 && tokens.takes("COMMENT") {
                comment = Some(tokens.text()?);
                continue;
            }
            tokens.next();
            end = tokens.end();
        }
        tokens.takes_sign(',');
        let definition = inside[begin..end.max(begin)].trim();
        columns.push(Column {
            name,
            definition: definition.into(),
            comment,
        });
    }
    Ok(columns)
}
