"""The proof on real Spark: back up one, restore into two others, each by one way to run SQL, and compare what they show."""

import json
import resource
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import tables
from programs import Dbsnap, Spark
from ways import PROFILES, REFUSED

KINDS = "databases,tables,views,functions"
WAYS = {"warehouse": ["--warehouse", "spark"], "cluster": ["--cluster-name", "spark"]}
LEAST = 300
# What Hive stores of a column, as nobody can read it.
TEAR = """
client = spark.session._jsparkSession.sharedState().externalCatalog().unwrapped().client()
client.runSqlHive("ALTER TABLE few.torn SET TBLPROPERTIES ('spark.sql.sources.schema' = '{torn')")
"""


def check(holds, what, seen):
    if not holds:
        raise SystemExit(f"it does not hold that {what}:\n{str(seen)[-4000:]}")
    print(f"  {what}", flush=True)


def compare(before, after, what):
    """How many are equal; ends the program if not all are."""
    differing = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    for key in differing[:10]:
        print(f"DIFFERS {key}\n  before: {str(before.get(key))[:1500]}\n  after:  {str(after.get(key))[:1500]}")
    of_tables = [key for key in before if key[0] == "table"]
    equal = sum(1 for key in of_tables if key not in differing)
    print(f"{what}: {equal} of {len(of_tables)} tables and views equal, {len(differing)} objects differ", flush=True)
    if differing or len(of_tables) < LEAST:
        raise SystemExit(1)


def make(spark, root, pool):
    """Makes everything in a Spark, and returns what it shows of it."""
    for statement in tables.databases(root):
        spark.run(statement)
    list(pool.map(spark.run, [*tables.tables(root), *tables.functions()]))
    for statement in [*tables.partitions(), *tables.views()]:
        spark.run(statement, "d1")
    return spark.everything(pool)


class Proof:
    def __init__(self, dbsnap, source, pool):
        self.dbsnap, self.source, self.pool = dbsnap, source, pool

    def there_and_back(self, before, way, target):
        """Backs up, restores, compares, and restores again; the id of the snapshot."""
        began, flags = time.monotonic(), WAYS[way]
        taken = self.dbsnap.backup(self.source, "--only", KINDS, *flags)
        check(taken["complete"], f"the backup by {way} is complete, with {taken['requests']['total']} requests", taken)
        restore = ["restore", taken["id"], "--kind", KINDS, "--yes", *flags]
        said = self.dbsnap.run(target, *restore)
        check("the data of tables is not part of a snapshot" in said, f"the restore by {way} says what it leaves", said)
        compare(before, target.everything(self.pool), f"by {way}")
        said = self.dbsnap.run(target, *restore)
        check("nothing to do: everything is as the snapshot says" in said, f"a second one by {way} does nothing", said)
        clusters = [(one["cluster_name"], one["state"]) for one in target.clusters()]
        check(clusters == [("spark", "TERMINATED")], f"after {way} the cluster is as it was", clusters)
        print(f"by {way}: {time.monotonic() - began:.0f} s", flush=True)
        return taken["id"]

    def same_by_both(self, one, other):
        said = self.dbsnap.run(self.source, "diff", one, other, "--exit-code")
        check("no differences" in said, "both ways give the same snapshot", said)
        table = json.loads(self.dbsnap.run(self.source, "cat", one, f"table/{tables.PARTITIONED}"))
        check(table["partitions"] == tables.PARTITIONS, "partitions are counted over all chunks", table)

    def launched(self, before):
        """A cluster of one's own, with the rights of one instance profile after the other."""
        flags = ["--only", KINDS, "--launch-cluster", "--database", "few"]
        with_one = self.dbsnap.backup(self.source, *flags, "--iam", next(iter(REFUSED)), codes=(3,))
        reasons = [gap["reason"] for gap in with_one["gaps"]["first"]]
        check(len(reasons) == 1 and "Access Denied" in reasons[0], "without rights a table is a gap", with_one)
        with_all = self.dbsnap.backup(self.source, *flags, "--iam", "all")
        check(with_all["complete"], f"what one of {len(PROFILES)} profiles may not read the next one reads", with_all)
        self.dbsnap.run(self.source, "diff", before, with_all["id"], "--kind", KINDS, "--exit-code")
        names = [one["cluster_name"] for one in self.source.clusters()]
        check(names == ["spark"], "what was launched is gone", names)

    def torn(self):
        """A table that Spark itself cannot read."""
        self.source.python(TEAR)
        flags = ["--only", KINDS, "--database", "few", *WAYS["warehouse"]]
        taken = self.dbsnap.backup(self.source, *flags, codes=(3,))
        reasons = [gap["reason"] for gap in taken["gaps"]["first"]]
        check(len(reasons) == 1 and "JsonParseException" in reasons[0], "a torn table is a gap with Spark's words", taken)
        table = taken["changes"]["table"]
        check((table["unchanged"], table["changed"]) == (2, 1), "and those beside it are read", taken)

    def conflicts(self, snapshot, target):
        """What is there follows --on-conflict, and no row is lost."""
        for statement in [
            "INSERT INTO few.good VALUES (1), (2)",
            "COMMENT ON TABLE few.good IS 'theirs'",
            "ALTER TABLE few.locked ADD COLUMNS (z INT)",
            "INSERT INTO few.locked VALUES (1, 2)",
        ]:
            target.run(statement)
        restore = ["restore", snapshot, "--kind", "tables", "--database", "few", "--yes", *WAYS["warehouse"]]
        shown = lambda: "\n".join(target.run(f"SHOW CREATE TABLE few.{name}")[0][0] for name in ["good", "locked"])
        theirs = shown()
        self.dbsnap.run(target, *restore, codes=(3,))
        self.dbsnap.run(target, *restore, "--on-conflict", "fail", codes=(1,))
        check(shown() == theirs and "theirs" in theirs, "what differs is left alone and told", shown())
        said = self.dbsnap.run(target, *restore, "--on-conflict", "overwrite", codes=(3,))
        check("could only be changed by dropping it" in said, "no table is dropped for its columns", said)
        check("theirs" not in shown() and "z INT" in shown(), "words about a table are put back", shown())
        rows = [target.run(f"SELECT count(*) FROM few.{name}")[0][0] for name in ["good", "locked"]]
        check(rows == ["2", "1"], "every row is still there", rows)


def main():
    began = time.monotonic()
    pool, lanes = ThreadPoolExecutor(4), ThreadPoolExecutor(2)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, ExitStack() as running, pool, lanes:
        source, *targets = [Spark(folder, name) for name in ["source", *WAYS]]
        for spark in [source, *targets]:
            running.callback(spark.stop)
        proof = Proof(Dbsnap(sys.argv[1], folder), source, pool)
        before = make(source, folder, pool)
        print(f"made {len(before)} objects in {time.monotonic() - began:.0f} s", flush=True)
        snapshots = list(lanes.map(lambda way, target: proof.there_and_back(before, way, target), WAYS, targets))
        proof.same_by_both(*snapshots)
        rest = [lanes.submit(proof.conflicts, snapshots[0], targets[0]), lanes.submit(proof.launched, snapshots[0])]
        for one in rest:
            one.result()
        proof.torn()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"all of it in {time.monotonic() - began:.0f} s, {used.ru_utime + used.ru_stime:.0f} s of CPU", flush=True)


if __name__ == "__main__":
    main()
