"""A place to try things: stores, a directory to import, a sandbox to back up, and what must hold of a store afterwards."""

import hashlib
import json
import os
import random
import shutil
import subprocess
import tarfile

TOKEN = "dapi0123456789abcdef0123456789abcdef"
# Nothing else may lie in a store: a lock that somebody left, say.
PARTS = {"dbsnap.json", "README.txt", "packs", "index", "snapshots", "pending", "condemned", "begun", "verified", "restores", "lost+found"}


class Bad(Exception):
    """Something that must not happen."""


class Bench:
    def __init__(self, dbsnap, folder):
        self.dbsnap, self.folder = dbsnap, folder
        self.server = None
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(("DBSNAP_", "DATABRICKS_", "XDG_"))}
        self.env.update(HOME=self.path("home"), TMPDIR=self.path("tmp"))
        for name in ("home", "tmp"):
            os.mkdir(self.path(name))

    def path(self, name):
        return os.path.join(self.folder, name)

    def close(self):
        if self.server:
            self.server.terminate()
            self.server.wait()

    def sandbox(self):
        """Starts a workspace, once, for `backup`."""
        if self.server:
            return
        argv = [self.dbsnap, "sandbox", "--token", TOKEN]
        self.server = subprocess.Popen(argv, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in self.server.stdout:
            if line.startswith("host = "):
                self.env.update(DATABRICKS_HOST=line.split(" = ")[1].strip(), DATABRICKS_TOKEN=TOKEN)
            if line.startswith("token"):
                return

    def argv(self, store, *words):
        more = ["--rate-limit", "off"] if words[0] == "backup" else []
        return [self.dbsnap, *words, *more, "--store", store]

    def run(self, store, *words):
        return subprocess.run(self.argv(store, *words), env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True)

    def done(self, store, *words):
        """Runs a command that must work. Exit code 3 is right for the sandbox: it holds what the API gives no content of."""
        run = self.run(store, *words)
        allowed = (0, 3) if words[0] == "backup" else (0,)
        if run.returncode not in allowed:
            raise Bad(f"`dbsnap {' '.join(words)}` ended with {run.returncode}: {run.stderr.strip()}")
        return run.stdout

    def fill(self, seed, name="in"):
        """A directory of notebooks and files; another seed gives another version of it."""
        folder = self.path(name)
        shutil.rmtree(folder, ignore_errors=True)
        for number in range(24):
            below = os.path.join(folder, "abc"[number % 3])
            os.makedirs(below, exist_ok=True)
            version = random.Random(seed * 1000 + number).randrange(3)
            lines = random.Random(number * 10 + version).choices(range(100), k=60 + 20 * number)
            with open(os.path.join(below, f"n{number}.py"), "w") as file:
                file.write("# Databricks notebook source\n" + "".join(f"print({line})\n" for line in lines))
            with open(os.path.join(below, f"f{number}.txt"), "w") as file:
                file.write(f"version {version}\n")
        with open(os.path.join(folder, "noise.bin"), "wb") as file:
            file.write(random.Random(seed).randbytes(300_000))
        return folder

    def snapshots(self, store):
        """The ids of all snapshots, oldest first."""
        listed = json.loads(self.done(store, "snapshots", "--json"))["snapshots"]
        return [snapshot["id"] for snapshot in listed]

    def contents(self, store, id):
        """Everything that a snapshot says, by the hash of each file of an export; not when it was taken."""
        archive = self.path("tmp/export.tar")
        run = self.run(store, "export", id, archive, "--format", "tar")
        if run.returncode not in (0, 3):
            raise Bad(f"snapshot {id[:8]} cannot be exported: {run.stderr.strip()}")
        found = {}
        with tarfile.open(archive) as tar:
            for member in tar:
                file = tar.extractfile(member)
                found[member.name] = hashlib.sha256(file.read()).hexdigest() if file else None
        os.remove(archive)
        del found["snapshot.json"]
        return found

    def everything(self, store):
        return {id: self.contents(store, id) for id in self.snapshots(store)}

    def what_it_makes(self, *words):
        """What a snapshot says that the command makes of its source as it is now."""
        store = self.path("once")
        shutil.rmtree(store, ignore_errors=True)
        self.done(store, *words)
        return self.contents(store, self.snapshots(store)[-1])

    def history(self, name="history"):
        """A store with something for everybody: versions, patches, packs to sweep and packs to condemn."""
        store = self.path(name)
        for seed in range(5):
            self.done(store, "import", self.fill(seed))
            if seed == 2:
                self.done(store, "forget", self.snapshots(store)[0])
                self.done(store, "prune", "--grace", "0s")
        self.done(store, "forget", self.snapshots(store)[1])
        self.fill(9)
        return store

    def copy_of(self, store, name="store"):
        """The same store elsewhere."""
        copy = self.path(name)
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(store, copy, copy_function=shutil.copy2)
        return copy

    def assert_well(self, store, before, may_go=(), may_come=None):
        """The store is whole and has no lock; every snapshot of `before` says what it said; and one that is new says
        `may_come`. Returns what is there."""
        if not os.path.exists(os.path.join(store, "dbsnap.json")):
            if before:
                raise Bad("the store is gone")
            return {}
        strange = [name for name in os.listdir(store) if name not in PARTS and not name.startswith(".tmp-")]
        if strange:
            raise Bad(f"left in the store: {strange}")
        run = self.run(store, "check", "--read-data")
        if run.returncode != 0:
            raise Bad(f"check ended with {run.returncode}: {run.stdout}{run.stderr}")
        now = self.everything(store)
        for id, contents in before.items():
            if now.get(id) != contents and not (id in may_go and id not in now):
                raise Bad(f"snapshot {id[:8]} is not what it was")
        for id, contents in now.items():
            if id not in before and contents != may_come:
                raise Bad(f"snapshot {id[:8]} is new, and not whole")
        return now
