"""The proof on real Spark: back up one, restore into others, and compare what they show of everything."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import tables

KINDS = "databases,tables,views,functions"
# What the metastore changes by itself.
VOLATILE = re.compile(r",?\n  'transient_lastDdlTime' = '\d+'")
HERE = Path(__file__).parent


class Spark:
    """A real Spark in a process of its own, behind the two ways to run SQL."""

    def __init__(self, folder, name):
        home = Path(folder, name)
        home.mkdir()
        program = [sys.executable, str(HERE / "adapter.py"), str(home)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(program, cwd=home, text=True, **pipes)
        self.home = str(home)
        self.url = f"http://127.0.0.1:{self.process.stdout.readline().strip()}"

    def run(self, statement, schema="default"):
        body = {"warehouse_id": "475b94ddc7cd5211", "statement": statement, "schema": schema}
        answer = self.post("/api/2.0/sql/statements", body)
        if answer["status"]["state"] != "SUCCEEDED":
            raise RuntimeError(f"{statement[:200]}: {answer['status']['error']['message'][:500]}")
        rows, chunk = list(answer["result"]["data_array"]), answer["result"]
        while (index := chunk.get("next_chunk_index")) is not None:
            chunk = self.get(f"/api/2.0/sql/statements/{answer['statement_id']}/result/chunks/{index}")
            rows += chunk["data_array"]
        return rows

    def post(self, path, body):
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def get(self, path):
        with urllib.request.urlopen(self.url + path) as answer:
            return json.load(answer)

    def everything(self):
        """What it shows of every object, by kind and name."""
        shown = {}
        databases = [name for [name] in self.run("SHOW DATABASES")]
        for database in databases:
            rows = self.run(f"DESCRIBE DATABASE EXTENDED `{database}`")
            shown["database", database] = [[key, value.replace(self.home, "")] for key, value in rows]
            for _, name, _ in self.run(f"SHOW TABLES IN `{database}`"):
                shown["table", f"{database}.{name}"] = self.table(f"`{database}`.`{name}`")
            for [name] in self.run(f"SHOW USER FUNCTIONS IN `{database}`"):
                quoted = ".".join(f"`{part}`" for part in name.replace("`", "").split(".")[-2:])
                shown["function", name] = self.run(f"DESCRIBE FUNCTION EXTENDED {quoted}")
        return shown

    def table(self, name):
        rows = self.run(f"DESCRIBE TABLE EXTENDED {name}")
        own = ["View Text", "View Catalog and Namespace", "Type", "Provider", "Comment"]
        details = [row for row in rows if row[0] in own]
        columns = rows[: next(at for at, row in enumerate(rows) if not row[0] or row[0].startswith("# "))]
        # Each of the two forms is for what the other one cannot show, or shows wrongly.
        form = " AS SERDE" if ["Provider", "hive", ""] in rows else ""
        [[statement]] = self.run(f"SHOW CREATE TABLE {name}{form}")
        statement = VOLATILE.sub("", statement).replace("(,\n", "(\n").replace("TBLPROPERTIES ()\n", "")
        return [columns, details, statement]

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


class Dbsnap:
    def __init__(self, program, folder):
        self.program, self.store = program, str(Path(folder, "store"))

    def run(self, spark, *arguments, codes=(0,)):
        environment = {"PATH": os.environ["PATH"], "HOME": self.store, "DATABRICKS_HOST": spark.url, "DATABRICKS_TOKEN": "x"}
        command = [self.program, *arguments, "--store", self.store]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode not in codes:
            raise SystemExit(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        return done.stdout


def compare(before, after, what):
    """How many are equal; ends the program if not all are."""
    differing = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    for key in differing[:10]:
        print(f"DIFFERS {key}\n  before: {str(before.get(key))[:1500]}\n  after:  {str(after.get(key))[:1500]}")
    tables_equal = sum(1 for key in before if key[0] == "table" and key not in differing)
    tables_all = sum(1 for key in before if key[0] == "table")
    print(f"{what}: {tables_equal} of {tables_all} tables and views equal, {len(differing)} objects differ", flush=True)
    if differing:
        raise SystemExit(1)


def main():
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        dbsnap = Dbsnap(sys.argv[1], folder)
        source = Spark(folder, "source")
        schema = "default"
        for statement in tables.statements(folder):
            if statement.startswith("USE "):
                schema = statement.split()[1]
            else:
                source.run(statement, schema)
        before = source.everything()
        print(f"made {len(before)} objects in {time.monotonic() - began:.0f} s", flush=True)
        ways = {"warehouse": ["--warehouse", "spark"], "cluster": ["--cluster-name", "spark"]}
        for name, way in ways.items():
            taken = time.monotonic()
            dbsnap.run(source, "backup", "--only", KINDS, *way)
            target = Spark(folder, f"by-{name}")
            dbsnap.run(target, "restore", "latest", "--kind", KINDS, "--yes", *way)
            compare(before, target.everything(), f"by {name}")
            again = dbsnap.run(target, "restore", "latest", "--kind", KINDS, "--yes", *way)
            assert "nothing to do: everything is as the snapshot says" in again, again[-2000:]
            target.stop()
            print(f"by {name}: {time.monotonic() - taken:.0f} s", flush=True)
        same = dbsnap.run(source, "diff", "latest~1", "latest", "--exit-code")
        print(f"both ways give the same snapshot: {same.strip()}")
        source.stop()


if __name__ == "__main__":
    main()
