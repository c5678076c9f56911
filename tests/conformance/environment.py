"""The sandbox under test, and dbsnap beside its clients."""

import contextlib
import json
import os
import pathlib
import subprocess

from databricks.sdk import WorkspaceClient

from expect import expect

TOKEN = "dapi" + "c0f0" * 8
CLIENT_ID = "c0f00000-0000-4000-8000-000000000001"
CLIENT_SECRET = "dose" + "c0f0" * 8


class Environment:
    """One sandbox, one SDK client of it, one store."""

    def __init__(self, program, folder):
        self.program = program
        self.folder = pathlib.Path(folder)
        self.store = self.folder / "store"
        self.sandbox = subprocess.Popen(
            [program, "sandbox", "--port", "0", "--sample", "small", "--token", TOKEN, "--json"]
            + ["--oauth-client", CLIENT_ID],
            env=os.environ | {"DBSNAP_SANDBOX_OAUTH_SECRET": CLIENT_SECRET},
            stdout=subprocess.PIPE,
            text=True,
        )
        self.host = self.first_document()["host"]
        self.client = WorkspaceClient(host=self.host, token=TOKEN)

    def first_document(self):
        """What the sandbox says of itself, as soon as it has said all of it."""
        text = ""
        for line in self.sandbox.stdout:
            text += line
            with contextlib.suppress(json.JSONDecodeError):
                return json.loads(text)
        raise RuntimeError(f"the sandbox said {text!r} and ended")

    def stop(self):
        self.sandbox.terminate()
        self.sandbox.wait(timeout=20)

    def variables(self):
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        return kept | {
            "HOME": str(self.folder),
            "DATABRICKS_HOST": self.host,
            "DATABRICKS_TOKEN": TOKEN,
            "DBSNAP_STORE": str(self.store),
        }

    def dbsnap(self, *arguments, codes=(0,)):
        done = subprocess.run([self.program, *arguments], env=self.variables(), capture_output=True, timeout=120)
        expect(
            done.returncode in codes,
            f"dbsnap {' '.join(arguments)} ended with {done.returncode}: {done.stderr.decode()}",
        )
        return done.stdout

    def backup(self):
        self.dbsnap("backup", "--quiet", codes=(0, 3))

    def listed(self, kind):
        """What `dbsnap ls` shows of one kind: name -> object id."""
        return {item["name"]: item["id"] for item in self.objects(kind)}

    def objects(self, kind):
        return json.loads(self.dbsnap("ls", "latest", "--kind", kind, "--json"))["objects"]

    def body(self, kind, name):
        return json.loads(self.dbsnap("cat", "latest", f"{kind}/{name}", "--body"))
