"""The proof: what the older tool exported is, but for what it loses, what a backup of the same workspace is."""

import collections
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import losses

# What it reads by running Python on a cluster, which a sandbox does not do.
ON_CLUSTERS = ("secrets", "metastore", "metastore_table_acls")
# What its pipeline leaves to its steps.
MLFLOW = ("--mlflow-experiments", "--mlflow-experiments-permissions", "--mlflow-runs")
STEPS = ("--users", "--clusters", "--jobs", "--workspace", "--download", "--workspace-acls")


class Workspace:
    """A sandbox, and a home with a profile for it."""

    def __init__(self, dbsnap, home):
        self.dbsnap, self.home, self.token = dbsnap, home, "dapi" + secrets.token_hex(16)
        command = [dbsnap, "sandbox", "--token", self.token]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        line = self.process.stdout.readline()
        self.url = next(word for word in line.replace(";", " ").split() if word.startswith("http://"))
        profile = f"[DEMO]\nhost = {self.url}\ntoken = {self.token}\n"
        (home / ".databrickscfg").write_text(profile)

    def call(self, method, path, body=None):
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def without_slashes_in_names_of_groups(self):
        """The older tool names a file after each group, and ends at one with a slash."""
        groups = "/api/2.0/preview/scim/v2/Groups"
        for group in self.call("GET", f"{groups}?attributes=id,displayName")["Resources"]:
            if "/" in group["displayName"]:
                value = {"displayName": group["displayName"].replace("/", "-")}
                self.call("PATCH", f"{groups}/{group['id']}", {"Operations": [{"op": "replace", "value": value}]})

    def log_a_run(self):
        """A run that began just now: the older tool looks no further back than thirty days."""
        experiments = self.call("GET", "/api/2.0/mlflow/experiments/list")["experiments"]
        found = next(one for one in experiments if one["name"].startswith("/Shared/"))
        now = int(time.time() * 1000)
        begun = {"experiment_id": found["experiment_id"], "start_time": now, "run_name": "proof"}
        run = {"run_id": self.call("POST", "/api/2.0/mlflow/runs/create", begun)["run"]["info"]["run_id"]}
        metrics = [{"key": "loss", "value": 0.25, "timestamp": now, "step": 7}, {"key": "whole", "value": 3, "timestamp": now}]
        tags = [{"key": "team", "value": "b"}, {"key": "mlflow.source.name", "value": "/Shared/x"}]
        params = [{"key": "depth", "value": "3"}]
        self.call("POST", "/api/2.0/mlflow/runs/log-batch", {**run, "metrics": metrics, "params": params, "tags": tags})
        self.call("POST", "/api/2.0/mlflow/runs/update", {**run, "status": "FINISHED", "end_time": now + 5})

    def run(self, *arguments, codes=(0, 3)):
        environment = {"HOME": str(self.home), "PATH": os.environ["PATH"], "NO_PROXY": "*"}
        done = subprocess.run([self.dbsnap, *arguments], env=environment, capture_output=True, text=True)
        if done.returncode not in codes:
            raise RuntimeError(f"dbsnap {arguments} ended with {done.returncode}: {done.stderr}")
        return done.stdout


def export(python, checkout, workspace, target):
    """Runs the older tool; gives back the words in which it failed, if it did."""
    environment = {"HOME": str(workspace.home), "PATH": os.environ["PATH"], "NO_PROXY": "*", "PYTHONDONTWRITEBYTECODE": "1"}
    base = ["--profile", "DEMO", "--set-export-dir", str(target)]
    if (checkout / "migration_pipeline.py").exists():
        pipeline = ["migration_pipeline.py", *base, "--export-pipeline", "--use-checkpoint", "--session", "proof"]
        calls = [[*pipeline, "--notebook-format", "SOURCE", "--skip-tasks", *ON_CLUSTERS]]
        calls += [["export_db.py", *base, "--session", "proof", step] for step in MLFLOW]
    else:
        target.mkdir(parents=True)
        calls = [["export_db.py", *base, step] for step in STEPS]
    failed = []
    for call in calls:
        done = subprocess.run([python, *call], cwd=checkout, env=environment, capture_output=True, text=True, timeout=600)
        if done.returncode:
            failed.append(f"{call[0]}: {done.stderr.strip().splitlines()[-1]}")
    return failed


def differences(change):
    """What is said of a change, as one text for each difference."""
    details, name = change.get("details", {}), change["object"]["name"]
    if change["change"] in ("added", "removed"):
        yield f"{change['change']} {name}"
        return
    for field in details.get("fields", []):
        yield field["path"]
    for _ in details.get("permissions", []):
        yield "permissions"
    if details.get("content"):
        yield "content"


def compare(workspace):
    """Counts what differs, by why, and prints what nothing explains."""
    document = json.loads(workspace.run("diff", "latest~1", "latest", "--json"))
    explained, unexplained = collections.Counter(), 0
    for change in document["changes"]:
        kind, name = change["object"]["kind"], change["object"]["name"]
        for unknown in change.get("details", {}).get("unknown", []):
            explained[f"gap: {unknown['reason'][:90]}"] += 1
        for what in differences(change):
            why = losses.reason(kind, what)
            explained[why] += why is not None
            if why is None:
                unexplained += 1
                print(f"FAILED  {kind} {name}: {what}")
    for why, count in sorted((why, count) for why, count in explained.items() if why):
        print(f"        {count:4} {why}")
    return unexplained


def prove(dbsnap, python, checkout):
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        workspace = Workspace(dbsnap, home)
        try:
            workspace.without_slashes_in_names_of_groups()
            workspace.log_a_run()
            for words in export(python, checkout, workspace, home / "export"):
                print(f"        the older tool ended early: {words}")
            snapshot = json.loads(workspace.run("import", str(home / "export"), "--json"))
            runs = ["--runs-since", "29d"] if (checkout / "migration_pipeline.py").exists() else []
            workspace.run("backup", "--profile", "DEMO", *runs)
            unexplained = compare(workspace)
        finally:
            workspace.process.terminate()
            workspace.process.wait()
    counts = {kind: totals["entries"] for kind, totals in snapshot["kinds"].items()}
    if min(counts.get(kind, 0) for kind in ("user", "group", "cluster", "job", "notebook", "directory")) == 0:
        print(f"FAILED  hardly anything was exported: {counts}")
        return False
    state = "FAILED" if unexplained else "ok    "
    print(f"{state}  {checkout.name}: {sum(counts.values())} objects, {unexplained} differences that nothing explains")
    return not unexplained


def main():
    dbsnap, python, checkouts = sys.argv[1:]
    results = [prove(dbsnap, python, Path(path).resolve()) for path in checkouts.split(":")]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
