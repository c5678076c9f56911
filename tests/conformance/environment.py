"""The sandbox under test, and dbsnap beside its clients."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys

from databricks.sdk import WorkspaceClient
from databricks_cli.sdk import ApiClient

from expect import expect, expect_equal

TOKEN = "dapi" + "c0f0" * 8
CLIENT_ID = "c0f00000-0000-4000-8000-000000000001"
CLIENT_SECRET = "dose" + "c0f0" * 8


class Environment:
    """One sandbox, its clients, one store."""

    def __init__(self, program, folder):
        self.program = program
        self.folder = pathlib.Path(folder)
        self.store = self.folder / "store"
        self.requests = self.folder / "requests.json"
        self.sandbox = subprocess.Popen(
            [program, "sandbox", "--port", "0", "--sample", "small", "--token", TOKEN, "--json"]
            + ["--oauth-client", CLIENT_ID, "--requests", str(self.requests)],
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
        """Ends the sandbox; what was asked of it, as it tells itself."""
        self.sandbox.terminate()
        expect_equal(self.sandbox.wait(timeout=20), 0, "exit code of the sandbox")
        return json.loads(self.requests.read_text())

    def older_client(self, version):
        """The client of the older command-line tool, for a version of the API."""
        client = ApiClient(host=self.host, token=TOKEN, api_version=version, command_name="conformance")
        client.url = f"{self.host}/api/"  # By itself it forgets the port.
        return client

    def older_tool(self, *arguments):
        """The older command-line tool itself; what it prints."""
        tool = pathlib.Path(sys.executable).parent / "databricks"
        # It forgets the port of its host, but not that of a proxy; and a proxy is asked with the whole address.
        variables = self.variables() | {"http_proxy": self.host, "no_proxy": ""}
        done = subprocess.run([tool, *arguments], env=variables, capture_output=True, timeout=300)
        expect_equal(done.returncode, 0, f"exit code of the older tool: {done.stdout}{done.stderr}")
        return done.stdout

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

    def backup(self, *arguments):
        self.dbsnap("backup", "--quiet", *arguments, codes=(0, 3))

    def listed(self, kind):
        """What `dbsnap ls` shows of one kind: name -> object id."""
        return {item["name"]: item["id"] for item in self.objects(kind)}

    def objects(self, kind):
        return json.loads(self.dbsnap("ls", "latest", "--kind", kind, "--json"))["objects"]

    def body(self, kind, name):
        return json.loads(self.dbsnap("cat", "latest", f"{kind}/{name}", "--body"))
