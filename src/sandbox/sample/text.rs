//! Text that looks like notebooks: the same boilerplate again and again, and now and then something of its own.
//!
//! Invariant: a text is a function of its language and its seed.

use std::fmt::Write;

use crate::sandbox::state::{Language, mix};

const TABLES: &[&str] = &[
    "orders",
    "customers",
    "payments",
    "shipments",
    "inventory",
    "sessions",
    "page_views",
    "refunds",
    "subscriptions",
    "invoices",
    "suppliers",
    "returns",
    "campaigns",
    "sensor_readings",
    "stock_levels",
    "support_tickets",
];
const COLUMNS: &[&str] = &[
    "order_id",
    "customer_id",
    "amount",
    "currency",
    "created_at",
    "updated_at",
    "country",
    "channel",
    "quantity",
    "unit_price",
    "discount",
    "status",
    "warehouse",
    "region",
    "session_id",
    "device",
    "score",
];
const SCHEMAS: &[&str] = &[
    "raw",
    "bronze",
    "silver",
    "gold",
    "sandbox",
    "reporting",
    "ml_features",
];
const VERBS: &[&str] = &[
    "load",
    "clean",
    "join",
    "aggregate",
    "export",
    "check",
    "score",
    "backfill",
    "merge",
    "sample",
];
const REMARKS: &[&str] = &[
    "Late rows arrive up to three days after the event, so the window is wider than it looks.",
    "The upstream system resends whole days; duplicates are expected here.",
    "Keep this in step with the dashboard, which reads the same columns.",
    "Amounts are in minor units until this point.",
    "Ask the platform team before changing the partitioning.",
    "This used to be a full scan and took forty minutes.",
];

/// A choice-maker that is nothing but a counter behind a scrambler.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(mix(seed))
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        mix(self.0)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.number() % end.max(1) as u64) as usize
    }

    pub(crate) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }
}

/// A name for a notebook.
pub(crate) fn title(dice: &mut Dice) -> String {
    format!("{}_{}", dice.pick(VERBS), dice.pick(TABLES))
}

/// The source of a notebook, a few kilobytes of it.
pub(crate) fn notebook(language: Language, seed: u64) -> String {
    let dice = &mut Dice::new(seed);
    let comment = language.comment();
    let mut text = format!("{comment} Databricks notebook source\n");
    let magic = |text: &mut String, lines: &str| {
        for line in lines.lines() {
            let _ = writeln!(text, "{comment} MAGIC {line}");
        }
    };
    magic(&mut text, &heading(dice));
    // Most notebooks are short, a few are long.
    let cells = 3 + dice.below(6) + if dice.below(10) == 0 { 25 } else { 0 };
    for _ in 0..cells {
        let _ = write!(text, "\n{comment} COMMAND ----------\n\n");
        match dice.below(8) {
            0 => magic(
                &mut text,
                &format!("%md\n### {}\n{}", title(dice), dice.pick(REMARKS)),
            ),
            1 if language != Language::Sql => magic(&mut text, &format!("%sql\n{}", query(dice))),
            _ => text.push_str(&cell(language, dice)),
        }
    }
    text
}

fn heading(dice: &mut Dice) -> String {
    let (title, owner) = (
        title(dice),
        dice.pick(&["data-eng", "analytics", "ml-platform", "finance"]),
    );
    format!("%md\n# {title}\nOwner: {owner}\n\n{}", dice.pick(REMARKS))
}

fn cell(language: Language, dice: &mut Dice) -> String {
    match language {
        Language::Python => python(dice),
        Language::Sql => query(dice),
        Language::Scala => scala(dice),
        Language::R => r(dice),
    }
}

fn query(dice: &mut Dice) -> String {
    let (schema, table) = (dice.pick(SCHEMAS), dice.pick(TABLES));
    let (key, value) = (dice.pick(COLUMNS), dice.pick(COLUMNS));
    let day = 1 + dice.below(28);
    format!(
        "SELECT {key}, count(*) AS n, sum({value}) AS total_{value}\nFROM main.{schema}.{table}\n\
         WHERE created_at >= '2025-{:02}-{day:02}'\nGROUP BY {key}\nORDER BY n DESC\nLIMIT {}\n",
        1 + dice.below(12),
        100 * (1 + dice.below(50)),
    )
}

fn python(dice: &mut Dice) -> String {
    let (schema, table, column) = (dice.pick(SCHEMAS), dice.pick(TABLES), dice.pick(COLUMNS));
    let other = dice.pick(COLUMNS);
    match dice.below(5) {
        0 => format!(
            "from pyspark.sql import functions as F\nfrom pyspark.sql import types as T\n\n\
             spark.conf.set(\"spark.sql.shuffle.partitions\", \"{}\")\n\
             RUN_ID = \"{:016x}\"  # {}\n",
            dice.pick(&[64, 128, 200, 400]),
            dice.number(),
            dice.pick(REMARKS),
        ),
        1 => format!(
            "{table} = (\n    spark.read.table(\"main.{schema}.{table}\")\n    .where(F.col(\"{column}\").isNotNull())\n    \
             .withColumn(\"{other}_day\", F.to_date(\"{other}\"))\n    .dropDuplicates([\"{column}\", \"{other}\"])\n)\n\
             display({table}.limit({}))\n",
            10 * (1 + dice.below(20)),
        ),
        2 => format!(
            "def {}_{table}(frame, {column}=None):\n    \"\"\"{}\"\"\"\n    if {column} is not None:\n        \
             frame = frame.where(F.col(\"{column}\") == {column})\n    return (\n        frame.groupBy(\"{other}\")\n        \
             .agg(F.sum(\"{column}\").alias(\"{column}_sum\"), F.count(\"*\").alias(\"n\"))\n        \
             .orderBy(F.desc(\"n\"))\n    )\n",
            dice.pick(VERBS),
            dice.pick(REMARKS),
        ),
        3 => format!(
            "dbutils.widgets.text(\"{column}\", \"{}\")\n{column} = dbutils.widgets.get(\"{column}\")\n\
             path = f\"dbfs:/mnt/{schema}/{table}/{{{column}}}\"\nassert path, \"nothing to read\"\n",
            dice.below(100_000),
        ),
        _ => format!(
            "(\n    {table}\n    .write.format(\"delta\")\n    .mode(\"{}\")\n    .option(\"mergeSchema\", \"true\")\n    \
             .partitionBy(\"{column}\")\n    .saveAsTable(\"main.{schema}.{table}_{}\")\n)\n",
            dice.pick(&["append", "overwrite"]),
            dice.below(1000),
        ),
    }
}

fn scala(dice: &mut Dice) -> String {
    let (schema, table, column) = (dice.pick(SCHEMAS), dice.pick(TABLES), dice.pick(COLUMNS));
    format!(
        "import org.apache.spark.sql.functions._\n\nval {table} = spark.table(\"main.{schema}.{table}\")\n  \
         .filter(col(\"{column}\") > {})\n  .groupBy(\"{}\")\n  .agg(sum(\"{column}\").as(\"total\"))\n\n\
         {table}.createOrReplaceTempView(\"{table}_view\") // {}\n",
        dice.below(10_000),
        dice.pick(COLUMNS),
        dice.pick(REMARKS),
    )
}

fn r(dice: &mut Dice) -> String {
    let (schema, table, column) = (dice.pick(SCHEMAS), dice.pick(TABLES), dice.pick(COLUMNS));
    format!(
        "library(SparkR)\n\n{table} <- tableToDF(\"main.{schema}.{table}\")\n\
         {table} <- filter({table}, {table}${column} > {})\nhead(summarize(groupBy({table}, \"{}\"), n = n({table}${column})))\n",
        dice.below(10_000),
        dice.pick(COLUMNS),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::notebook::has_header;

    #[test]
    fn texts_follow_their_seed_and_are_notebooks_of_a_few_kilobytes() {
        for language in Language::ALL {
            assert_eq!(notebook(language, 5), notebook(language, 5));
            assert_ne!(notebook(language, 5), notebook(language, 6));
            assert!(has_header(notebook(language, 5).as_bytes(), language));
        }
        let sizes: Vec<usize> = (0..300)
            .map(|seed| notebook(Language::Python, seed).len())
            .collect();
        let average = sizes.iter().sum::<usize>() / sizes.len();
        assert!((1_500..6_000).contains(&average), "{average}");
    }
}
