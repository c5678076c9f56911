"""The programs of the proof: Sparks behind their adapters, and dbsnap."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

# What the metastore changes by itself.
VOLATILE = re.compile(r",?\n  'transient_lastDdlTime' = '\d+'")
HERE = Path(__file__).parent


class Spark:
    """A real Spark in a process of its own, behind the two ways to run SQL."""

    def __init__(self, folder, name):
        self.home = str(Path(folder, name))
        self.words = Path(folder, f"{name}.log")
        os.mkdir(self.home)
        program = [sys.executable, str(HERE / "adapter.py"), self.home]
        with open(self.words, "w") as words:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": words}
            self.process = subprocess.Popen(program, cwd=self.home, text=True, **pipes)
        self.address = None

    @property
    def url(self):
        """Where it listens, once it does."""
        if self.address is None:
            port = self.process.stdout.readline().strip()
            if not port:
                raise SystemExit(f"Spark did not start:\n{self.words.read_text()[-4000:]}")
            self.address = f"http://127.0.0.1:{port}"
        return self.address

    def run(self, statement, schema="default"):
        body = {"warehouse_id": "475b94ddc7cd5211", "statement": statement, "schema": schema}
        answer = self.ask("/api/2.0/sql/statements", body)
        path = f"/api/2.0/sql/statements/{answer['statement_id']}"
        while answer["status"]["state"] == "RUNNING":
            answer = self.ask(path)
        if answer["status"]["state"] != "SUCCEEDED":
            raise SystemExit(f"{statement[:200]}: {answer['status']['error']['message'][:2000]}")
        rows, chunk = list(answer["result"]["data_array"]), answer["result"]
        while (index := chunk.get("next_chunk_index")) is not None:
            chunk = self.ask(f"{path}/result/chunks/{index}")
            rows += chunk["data_array"]
        return rows

    def python(self, command):
        """Runs Python where Spark runs, on the cluster that is there."""
        cluster = self.clusters()[0]["cluster_id"]
        self.ask("/api/2.1/clusters/start", {"cluster_id": cluster})
        while self.ask(f"/api/2.1/clusters/get?cluster_id={cluster}")["state"] != "RUNNING":
            pass
        place = {"clusterId": cluster, "language": "python"}
        place["contextId"] = self.ask("/api/1.2/contexts/create", place)["id"]
        number = self.ask("/api/1.2/commands/execute", {**place, "command": command})["id"]
        path = f"/api/1.2/commands/status?clusterId={cluster}&contextId={place['contextId']}&commandId={number}"
        while (answer := self.ask(path))["status"] != "Finished":
            time.sleep(0.1)
        if answer["results"]["resultType"] == "error":
            raise SystemExit(f"{command}: {answer['results']['cause']}")
        self.ask("/api/2.1/clusters/delete", {"cluster_id": cluster})

    def clusters(self):
        return self.ask("/api/2.1/clusters/list")["clusters"]

    def ask(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{path} was answered {error.code}: {error.read()[:2000]}") from error

    def everything(self, pool):
        """What it shows of every object, by kind and name."""
        shown, names, functions = {}, [], []
        for [database] in self.run("SHOW DATABASES"):
            rows = self.run(f"DESCRIBE DATABASE EXTENDED `{database}`")
            shown["database", database] = [[key, value.replace(self.home, "")] for key, value in rows]
            names += [(database, name) for _, name, _ in self.run(f"SHOW TABLES IN `{database}`")]
            functions += [name for [name] in self.run(f"SHOW USER FUNCTIONS IN `{database}`")]
        tables = pool.map(lambda name: self.table("`{}`.`{}`".format(*name)), names)
        shown.update((("table", ".".join(name)), table) for name, table in zip(names, tables))
        for name in functions:
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
    """The program, with a store of its own."""

    def __init__(self, program, folder):
        self.program, self.store = program, str(Path(folder, "store"))
        environment = {"PATH": os.environ["PATH"], "HOME": self.store}
        subprocess.run([program, "init", "--store", self.store], env=environment, check=True, capture_output=True)

    def backup(self, spark, *flags, codes=(0,)):
        return json.loads(self.run(spark, "backup", "--json", *flags, codes=codes))

    def run(self, spark, *arguments, codes=(0,)):
        environment = {"PATH": os.environ["PATH"], "HOME": self.store, "DATABRICKS_HOST": spark.url, "DATABRICKS_TOKEN": "x"}
        command = [self.program, *arguments, "--store", self.store]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode not in codes:
            raise SystemExit(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        return done.stdout
