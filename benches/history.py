#!/usr/bin/env python3
"""The long history of a real repository of notebooks: what 200 daily states cost in dbsnap, restic, rustic and borg.

    history.py REPOSITORY [--states 200] [--dbsnap target/release/dbsnap]

REPOSITORY is a git repository, bare or not, of notebooks and whatever lies beside them; nothing is written to it. Its
states are the last commits of its last days with a commit, oldest first. They are laid out one after the other in one
directory, where only the files that changed are written, and backed up one by one with every program that is on the
PATH. At the end every file of every 20th state is read with `dbsnap cat` and compared with what git has.

Needs git, and GNU time for nothing: the CPU seconds are those of the children of this process.
"""

import argparse
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile

EVERY = 20


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("repository", type=pathlib.Path)
    arguments.add_argument("--states", type=int, default=200)
    arguments.add_argument("--dbsnap", default="target/release/dbsnap")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(pathlib.Path(folder), given)
        programs = [program(bench) for program in PROGRAMS if program.is_there(bench)]
        for program in programs:
            program.run()
        print_table(bench, programs)
        bench.compare_states()


class Bench:
    def __init__(self, folder, given):
        self.folder = folder
        self.dbsnap = str(pathlib.Path(given.dbsnap).resolve())
        self.repository = str(given.repository.resolve())
        self.files = folder / "files"
        self.environment = os.environ | {
            "HOME": str(folder / "home"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "BORG_BASE_DIR": str(folder / "borg"),
            "RESTIC_PASSWORD": "bench",
            "RUSTIC_PASSWORD": "bench",
            "RUSTIC_NO_PROGRESS": "true",
            "GIT_INDEX_FILE": str(folder / "git-index"),
        }
        self.states = self.last_days(given.states)

    def git(self, *arguments):
        done = subprocess.run(
            ["git", "-C", self.repository, *arguments], env=self.environment, check=True, stdout=subprocess.PIPE
        )
        return done.stdout

    def last_days(self, count):
        """The last commit of each of the last days, oldest first."""
        log = self.git("log", "--first-parent", "--format=%cd %H", "--date=short").decode()
        commits = {}
        for line in log.splitlines():
            day, commit = line.split()
            commits.setdefault(day, commit)
        return [commits[day] for day in sorted(commits)[-count:]]

    def lay_out(self):
        """Makes the directory the first state, then the next, and so on; yields their commits."""
        shutil.rmtree(self.files, ignore_errors=True)
        (self.folder / "git-index").unlink(missing_ok=True)
        self.files.mkdir()
        for commit in self.states:
            self.git("--work-tree", str(self.files), "read-tree", "-u", "--reset", commit)
            yield commit

    def run(self, *command, directory=None):
        done = subprocess.run(command, env=self.environment, cwd=directory, capture_output=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr.decode()}")
        return done.stdout

    def compare_states(self):
        """Every 20th state through `dbsnap cat`, against git."""
        store = str(self.folder / "dbsnap")
        snapshots = json.loads(self.run(self.dbsnap, "snapshots", "--store", store, "--json"))["snapshots"]
        by_tag = {tag: snapshot["id"] for snapshot in snapshots for tag in snapshot["tags"]}
        states = self.states[::-1][::EVERY]
        files = 0
        for commit in states:
            snapshot = by_tag[commit]
            listed = json.loads(self.run(self.dbsnap, "ls", "--store", store, snapshot, "--json"))["objects"]
            names = {item["name"] for item in listed if item["kind"] in ("notebook", "file")}
            tree = self.git("ls-tree", "-r", "-z", "--name-only", commit).decode().split("\0")[:-1]
            for path in tree:
                stem = "/" + path.rpartition(".")[0]
                name = "/" + path if "/" + path in names else stem
                content = self.run(self.dbsnap, "cat", "--store", store, snapshot, name)
                if content != self.git("cat-file", "blob", f"{commit}:{path}"):
                    sys.exit(f"{path} of {commit} is not what it was")
            if len(tree) != len(names):
                sys.exit(f"{commit} has {len(tree)} files, its snapshot {len(names)}")
            files += len(tree)
        print(f"\n{files} files of {len(states)} states are byte for byte what they were.")


class Program:
    """A backup program, and what it took."""

    def __init__(self, bench):
        self.bench = bench
        self.store = bench.folder / self.name
        self.cpu_seconds = 0

    @classmethod
    def is_there(cls, bench):
        return shutil.which(cls.name) is not None

    def run(self):
        before = children_seconds()
        self.init()
        self.cpu_seconds += children_seconds() - before
        for commit in self.bench.lay_out():
            before = children_seconds()
            self.backup(commit)
            self.cpu_seconds += children_seconds() - before

    def init(self):
        self.bench.run(self.name, "-r", str(self.store), "init")

    def backup(self, _commit):
        self.bench.run(self.name, "-r", str(self.store), "backup", ".", directory=self.bench.files)

    def bytes(self):
        return sum(file.stat().st_size for file in self.store.rglob("*") if file.is_file())

    def files(self):
        return sum(1 for file in self.store.rglob("*") if file.is_file())

    def version(self):
        return self.bench.run(self.name, "--version").decode().strip()


class Dbsnap(Program):
    name = "dbsnap"

    @classmethod
    def is_there(cls, bench):
        return pathlib.Path(bench.dbsnap).exists()

    def init(self):
        self.bench.run(self.bench.dbsnap, "init", "--store", str(self.store))

    def backup(self, commit):
        arguments = ["--store", str(self.store), "--at", "/", "--tag", commit]
        self.bench.run(self.bench.dbsnap, "import", *arguments, str(self.bench.files))

    def version(self):
        return self.bench.run(self.bench.dbsnap, "--version").decode().strip()


class Restic(Program):
    name = "restic"

    def version(self):
        return self.bench.run("restic", "version").decode().strip().rpartition(" compiled")[0]


class Rustic(Program):
    name = "rustic"


class Borg(Program):
    name = "borg"

    def init(self):
        self.bench.run("borg", "init", "--encryption", "none", str(self.store))

    def backup(self, commit):
        archive = f"{self.store}::{commit}"
        self.bench.run("borg", "create", "--compression", "zstd,3", archive, ".", directory=self.bench.files)


PROGRAMS = (Dbsnap, Restic, Rustic, Borg)


def children_seconds():
    """CPU seconds of all children so far; git's are left out by whoever looks before and after the others."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def print_table(bench, programs):
    live = sum(file.stat().st_size for file in bench.files.rglob("*") if file.is_file())
    print(f"{len(bench.states)} states, the last one of {live / 1e6:.1f} MB")
    print("| | " + " | ".join(program.name for program in programs) + " |")
    print("|---" * (len(programs) + 1) + "|")
    first = programs[0].bytes()
    rows = [
        ("store, MB", lambda program: f"{program.bytes() / 1e6:.2f}"),
        ("times dbsnap's", lambda program: f"{program.bytes() / first:.1f}"),
        ("files in the store", lambda program: f"{program.files()}"),
        ("CPU seconds of all backups", lambda program: f"{program.cpu_seconds:.1f}"),
    ]
    for name, cell in rows:
        print(f"| {name} | " + " | ".join(cell(program) for program in programs) + " |")
    for program in programs:
        print(f"- {program.version()}")


if __name__ == "__main__":
    main()
