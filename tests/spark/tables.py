"""Statements that make 300 tables, views and functions of every shape that Spark knows."""

from itertools import product

WORDS = {
    "quotes": r"it\'s \"quoted\" and `ticked`",
    "backslash": r"C:\\data\\ and \\d+ ends in \\",
    "lines": r"one\ntwo\tthree",
    "unicode": "ünïcode, 客户, 😀, العربية",
    "sql": r"; DROP TABLE x; -- /* */ ${spark.x} \'",
    "parens": r"(a, b) = \'c\', TBLPROPERTIES (\'x\' = \'y\')",
}
TYPES = [
    "BOOLEAN", "TINYINT", "SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL(38,18)", "STRING", "CHAR(7)",
    "VARCHAR(31)", "BINARY", "DATE", "TIMESTAMP", "TIMESTAMP_NTZ", "INTERVAL YEAR TO MONTH", "INTERVAL DAY TO SECOND",
    "ARRAY<ARRAY<INT>>", "MAP<STRING, MAP<INT, STRING>>",
    r"STRUCT<a: INT COMMENT 'in\\ner \'q\'', `b c`: ARRAY<STRUCT<d: STRING>>>",
]
PARTITIONED, PARTITIONS = "d1.parquet_early", 130
RESERVED = ["select", "from", "order", "table", "view", "location", "comment", "as", "using", "options", "tblproperties"]


def databases(root):
    yield r"CREATE DATABASE d1 COMMENT 'it\'s \\ ünï' WITH DBPROPERTIES ('a' = 'b,c', 'team' = '(x)')"
    yield f"CREATE DATABASE far LOCATION '{root}/far'"
    yield "CREATE DATABASE `select`"
    yield "CREATE DATABASE few"


def tables(root):
    """Those that need nothing but the databases; `root` is a folder for external ones."""
    yield from data_sources(root)
    yield from hive(root)
    yield from odd_names()
    yield from large()
    for name in ["good", "locked", "torn"]:
        yield f"CREATE TABLE few.{name} (a INT) USING parquet COMMENT 'ours'"


def data_sources(root):
    shapes = {
        "plain": "(a INT, b STRING) USING {f}",
        "part": "(a INT, b STRING, p INT, q STRING) USING {f} PARTITIONED BY (p, q)",
        "early": "(p INT, a INT, b STRING) USING {f} PARTITIONED BY (p)",
        "bucket": "(a INT, b STRING) USING {f} CLUSTERED BY (a, b) INTO 4 BUCKETS",
        "sorted": "(a INT, b STRING) USING {f} CLUSTERED BY (a) SORTED BY (b) INTO 3 BUCKETS",
        "both": "(a INT, b STRING, p INT) USING {f} PARTITIONED BY (p) CLUSTERED BY (a) SORTED BY (a) INTO 2 BUCKETS",
        "extern": "(a INT, b STRING) USING {f} LOCATION '{root}/{f} extern'",
        "options": r"(a INT, b STRING) USING {f} OPTIONS ('compression' = 'gzip', 'x\'y' = '\\', 'z' = '\'')",
        "words": r"(a INT COMMENT 'c\\', b STRING COMMENT '\'') USING {f} COMMENT 'all \\ of \'it' TBLPROPERTIES ('k' = 'v', 'path.x' = 'C:\\')",
        "props": r"(a INT) USING {f} TBLPROPERTIES ('a.b' = '1', 'quote\'d' = '\'', 'empty' = '', 'json' = '{{\"a\": [1, \"\\n\"]}}')",
    }
    for form, (name, shape) in product(["parquet", "orc", "csv", "json"], shapes.items()):
        yield f"CREATE TABLE d1.{form}_{name} " + shape.format(f=form, root=root)
    yield "CREATE TABLE d1.text_plain (value STRING) USING text"
    yield r"CREATE TABLE d1.csv_read (a INT) USING csv OPTIONS ('sep' = '\t', 'quote' = '\"', 'escape' = '\\', 'header' = 'true')"
    for number, of in enumerate(TYPES):
        for form in ["parquet", "json"]:
            if form == "json" and of == "BINARY":
                continue
            yield f"CREATE TABLE d1.{form}_type_{number} (x {of}, y INT) USING {form}"
    yield "CREATE TABLE d1.all_types (" + ", ".join(f"c{at} {of}" for at, of in enumerate(TYPES)) + ") USING parquet"
    yield "CREATE TABLE d1.defaults (a INT DEFAULT 3, b STRING DEFAULT 'x') USING parquet"
    yield "CREATE TABLE d1.selected USING parquet AS SELECT 1 AS a, 'x' AS `b c`"
    for name, words in WORDS.items():
        yield f"CREATE TABLE d1.comment_{name} (a INT COMMENT '{words}') USING parquet COMMENT '{words}'"
        yield f"CREATE TABLE d1.property_{name} (a INT) USING parquet TBLPROPERTIES ('{words}' = '{words}')"
        yield f"CREATE TABLE d1.option_{name} (a INT) USING csv OPTIONS ('o' = '{words}')"
        yield f"CREATE TABLE d1.nested_{name} (a STRUCT<b: INT COMMENT '{words}', c: INT>) USING parquet"
    for number in range(70):
        yield f"CREATE TABLE far.t{number} (a INT, p INT) USING parquet PARTITIONED BY (p)"


def hive(root):
    shapes = {
        "plain": "(a INT, b STRING) STORED AS {f}",
        "part": "(a INT, b STRING) PARTITIONED BY (p INT, q STRING COMMENT 'a part') STORED AS {f}",
        "bucket": "(a INT, b STRING) CLUSTERED BY (a) SORTED BY (b) INTO 4 BUCKETS STORED AS {f}",
        "extern": "(a INT, b STRING) STORED AS {f} LOCATION '{root}/hive {f}'",
        "words": r"(a INT COMMENT 'c\\', b STRING COMMENT '\'') COMMENT 'all \\ of \'it' STORED AS {f} TBLPROPERTIES ('k' = '\\', 'l' = '\'')",
    }
    for form, (name, shape) in product(["TEXTFILE", "ORC", "PARQUET", "SEQUENCEFILE", "RCFILE"], shapes.items()):
        yield f"CREATE TABLE d1.hive_{form.lower()}_{name} " + shape.format(f=form, root=root)
    yield r"CREATE TABLE d1.hive_delimited (a INT, m MAP<STRING,INT>) ROW FORMAT DELIMITED FIELDS TERMINATED BY '|' ESCAPED BY '\\' COLLECTION ITEMS TERMINATED BY ',' MAP KEYS TERMINATED BY ':' LINES TERMINATED BY '\n' NULL DEFINED AS '\\N' STORED AS TEXTFILE"
    yield r"CREATE TABLE d1.hive_control (a INT) ROW FORMAT DELIMITED FIELDS TERMINATED BY '\001' STORED AS TEXTFILE"
    csv = "org.apache.hadoop.hive.serde2.OpenCSVSerde"
    yield rf"CREATE TABLE d1.hive_csv (a STRING) ROW FORMAT SERDE '{csv}' WITH SERDEPROPERTIES ('separatorChar' = '\t', 'quoteChar' = '\'', 'escapeChar' = '\\') STORED AS TEXTFILE"
    regex = "org.apache.hadoop.hive.serde2.RegexSerDe"
    yield rf"CREATE TABLE d1.hive_regex (a STRING, b STRING) ROW FORMAT SERDE '{regex}' WITH SERDEPROPERTIES ('input.regex' = '([^ ]*) \"?(\\d+|-)\"? \'x\'') STORED AS TEXTFILE TBLPROPERTIES ('skip.header.line.count' = '1')"
    for name in ["select", "order by"]:
        yield f"CREATE TABLE d1.hive_column_{name[:5]} (`{name}` INT, `übung` STRING) STORED AS ORC"


def odd_names():
    for name in RESERVED:
        yield f"CREATE TABLE `select`.`{name}` (`{name}` INT, `a b` STRING, `tick``ed` INT, `dot.ted` INT, `ümläut` INT) USING json"
    for name in ["1st", "123", "UPPER", "_x", "a" * 120]:
        yield f"CREATE TABLE `select`.`{name}` (`{name}` INT) USING parquet"


def large():
    columns = [f"column_number_{at} STRING COMMENT 'what column {at} holds, in a few words'" for at in range(7000)]
    yield f"CREATE TABLE d1.wide ({', '.join(columns)}) USING parquet"
    yield f"CREATE TABLE d1.hive_wide ({', '.join(columns[:1500])}) STORED AS PARQUET"
    yield f"CREATE TABLE d1.verbose (a INT) USING parquet COMMENT '{'ü' * 30_000}'"
    yield f"CREATE TABLE d1.property_long (a INT) USING parquet TBLPROPERTIES ('long' = '{'x' * 30_000}')"


def partitions():
    """More of them than a chunk of a result has rows."""
    days = " ".join(f"PARTITION (p = {day})" for day in range(PARTITIONS))
    yield f"ALTER TABLE {PARTITIONED} ADD {days}"


def functions():
    yield "CREATE FUNCTION d1.hex AS 'org.apache.hadoop.hive.ql.udf.UDFHex'"
    yield "CREATE FUNCTION `select`.`join` AS 'org.apache.hadoop.hive.ql.udf.UDFHex'"


def views():
    """In an order in which they succeed, which is not that of their names; names without a database are meant in `d1`."""
    yield r"CREATE VIEW d1.z (x COMMENT 'c\'x\\', y) COMMENT 'v \'c\' \\' TBLPROPERTIES ('p' = '\\') AS SELECT a, b FROM parquet_plain WHERE b LIKE '%\\_%' -- tail"
    below = "z"
    for number in range(20, 0, -1):
        yield f"CREATE VIEW d1.v{number:02} AS SELECT * FROM {below}"
        below = f"v{number:02}"
    yield "CREATE VIEW `select`.`where` AS SELECT x AS `select`, y AS `a b` FROM v01"
    yield "CREATE VIEW d1.cte AS WITH t AS (SELECT a FROM orc_plain) SELECT t.a, count(*) OVER (PARTITION BY t.a) AS n FROM t"
    yield "CREATE VIEW d1.joined AS SELECT l.a, r.b FROM csv_plain l LEFT JOIN `select`.`from` s ON l.a = s.`from` JOIN json_plain r USING (a)"
    yield "CREATE VIEW d1.united AS SELECT a FROM orc_plain UNION ALL SELECT x FROM z UNION SELECT 1"
    yield "CREATE VIEW d1.udf AS SELECT d1.hex(a) AS h FROM orc_plain"
    yield "CREATE VIEW d1.exploded AS SELECT e FROM parquet_plain LATERAL VIEW explode(split(b, '\\\\.')) t AS e"
    for name, words in WORDS.items():
        yield f"CREATE VIEW d1.view_{name} (a COMMENT '{words}') COMMENT '{words}' AS SELECT '{words}'"
    for number in range(40):
        yield f"CREATE VIEW far.w{number} AS SELECT a FROM far.t{number} WHERE a > {number}"
