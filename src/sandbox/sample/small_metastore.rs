//! The Hive metastore of the small workspace: every shape of table, names that are words of SQL, views of views made in
//! another order than that of their names, and rights, some of them denied.

use serde_json::json;

use super::Builder;
use super::small::{LEFT, ROBOT};

const STATEMENTS: &[&str] = &[
    "CREATE DATABASE sales COMMENT 'Orders & Kunden: it\\'s \"gold\"' WITH DBPROPERTIES ('team' = 'data', 'tier' = 'gold,1')",
    "CREATE DATABASE `select` COMMENT 'a word of SQL'",
    "CREATE DATABASE staging LOCATION 's3://acme-raw/staging'",
    "CREATE TABLE sales.orders (id BIGINT, customer STRING COMMENT 'Kürzel, wie in `crm`', amount DECIMAL(12,2), day DATE) \
     USING delta PARTITIONED BY (day) COMMENT 'alle Bestellungen' TBLPROPERTIES ('delta.appendOnly' = 'true')",
    "CREATE TABLE sales.customers (id BIGINT, `full name` STRING COMMENT 'it\\'s a \\\\ backslash', \
     address STRUCT<street: STRING, `zip code`: STRING>) USING parquet COMMENT '客户'",
    "CREATE TABLE sales.`order` (x INT, tags MAP<STRING, ARRAY<STRING>>) USING json TBLPROPERTIES ('path' = 'C:\\\\data\\\\')",
    "CREATE TABLE staging.raw_csv (a INT, b STRING) USING csv OPTIONS ('escape' = '\\\\', 'sep' = '\\t') \
     LOCATION 's3://acme-raw/staging/raw csv'",
    "CREATE TABLE staging.events (id STRING, payload STRING) PARTITIONED BY (dt STRING COMMENT 'day') \
     ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde' \
     WITH SERDEPROPERTIES ('escapeChar' = '\\\\', 'quoteChar' = '\\'', 'separatorChar' = '|') STORED AS TEXTFILE",
    "CREATE EXTERNAL TABLE staging.legacy (id INT) STORED AS ORC LOCATION 's3://acme-raw/legacy' TBLPROPERTIES ('owner' = 'ops')",
    "CREATE TABLE `select`.`from` (a INT) USING orc CLUSTERED BY (a) SORTED BY (a) INTO 8 BUCKETS",
    "ALTER TABLE staging.events ADD PARTITION (dt = '2024-05-30')",
    "ALTER TABLE staging.events ADD PARTITION (dt = '2024-05-31')",
    "CREATE FUNCTION sales.net AS 'com.example.hive.NetAmount' USING JAR 'dbfs:/FileStore/jars/udf.jar'",
    "CREATE FUNCTION sales.gross(x DOUBLE, rate DOUBLE) RETURNS DOUBLE COMMENT 'with tax' RETURN x * (1 + rate)",
    "CREATE VIEW sales.z_base (id, customer COMMENT 'who') COMMENT 'the base of other views' \
     AS SELECT id, customer FROM sales.orders WHERE customer LIKE 'A\\\\_%'",
    "CREATE VIEW sales.m_middle (id, customer) AS SELECT id, customer FROM sales.z_base",
    "CREATE VIEW sales.a_top (id) TBLPROPERTIES ('refresh' = 'daily') AS SELECT m.id FROM sales.m_middle m JOIN sales.z_base",
    "GRANT USAGE ON CATALOG TO `users`",
    "GRANT SELECT ON ANY FILE TO `data-eng`",
    "GRANT USAGE, CREATE ON DATABASE sales TO `data-eng`",
    "GRANT SELECT, READ_METADATA ON TABLE sales.orders TO `analysts`",
    "DENY SELECT ON TABLE sales.customers TO `analysts`",
    "GRANT SELECT ON VIEW sales.a_top TO `bob@example.com`",
    "GRANT SELECT ON FUNCTION sales.gross TO `users`",
    "ALTER TABLE sales.orders OWNER TO `data-eng`",
];

/// Fills the metastore.
pub(super) fn fill(builder: &mut Builder<'_>) {
    builder.act_as("ana@example.com");
    for name in ["Starter Warehouse", "Réserve SQL"] {
        let body = json!({"name": name, "cluster_size": "2X-Small", "auto_stop_mins": 10});
        builder.post("/api/2.0/sql/warehouses", body);
    }
    for statement in STATEMENTS {
        builder.sql(None, statement);
    }
    builder.sql(
        None,
        &format!("GRANT MODIFY ON TABLE sales.orders TO `{ROBOT}`"),
    );
    builder.sql(
        None,
        &format!("GRANT SELECT ON DATABASE staging TO `{LEFT}`"),
    );
    // Names in its query are meant in the database it was made in, which is not its own.
    builder.sql(
        Some("sales"),
        "CREATE VIEW `select`.`union` AS SELECT id, customer FROM orders",
    );
}
