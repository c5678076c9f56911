#!/usr/bin/env python3
"""What dbsnap takes for a million notebooks and for ten thousand snapshots.

    million.py [--files 1000000] [--snapshots 10000] [--dbsnap target/release/dbsnap]

Makes that many notebooks of about 600 bytes in homes of 200 each (6 GB of memory or disk for a million), and imports
them: first, unchanged, with 1 % of them changed all over, and with all of 1 % of the homes changed; then compares the
snapshots. After that it imports a small directory until there are ten thousand snapshots, and lists them. Prints a table
of CPU seconds, wall seconds, peak memory and bytes added to the store. The medians of what takes less than a second are
those of five runs.
"""

import argparse
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import tempfile
import time

FILES_OF_A_HOME = 200


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--files", type=int, default=1_000_000)
    arguments.add_argument("--snapshots", type=int, default=10_000)
    arguments.add_argument("--dbsnap", default="target/release/dbsnap")
    given = arguments.parse_args()
    parent = "/dev/shm" if pathlib.Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        bench = Bench(pathlib.Path(folder), str(pathlib.Path(given.dbsnap).resolve()))
        print("| | CPU s | wall s | peak MB | MB added |\n|---|---|---|---|---|")
        bench.many_files(given.files)
        bench.many_snapshots(given.snapshots)


class Bench:
    def __init__(self, folder, dbsnap):
        self.folder, self.dbsnap = folder, dbsnap
        self.files, self.store = folder / "files", folder / "store"

    def many_files(self, count):
        self.make(range(count))
        self.run("first import", self.backup)
        self.run("unchanged", self.backup)
        scattered = random.Random(1).sample(range(count), count // 100)
        self.change(scattered)
        self.run("1 % changed, all over", self.backup)
        first = count // 2 // FILES_OF_A_HOME * FILES_OF_A_HOME
        self.change(range(first, first + count // 100))
        self.run("1 % changed, whole homes", self.backup)
        both = {"all over": ("latest~2", "latest~1"), "whole homes": ("latest~1", "latest")}
        for where, (before, after) in both.items():
            names = [self.dbsnap, "diff", before, after, "--stat", "--store", self.store]
            self.run(f"diff --stat, {where}", names, times=5)
            self.run(f"diff, {where}", [part for part in names if part != "--stat"], times=5)

    def many_snapshots(self, count):
        self.make(range(3))
        shutil.rmtree(self.store)
        for _ in range(count):
            self.quietly(self.backup)
        self.run(f"snapshots, {count:,} of them", [self.dbsnap, "snapshots", "--store", self.store], times=5)
        self.run(f"one import more after {count:,}", self.backup)

    @property
    def backup(self):
        return [self.dbsnap, "import", "--store", self.store, "--at", "/", self.files]

    def make(self, numbers):
        shutil.rmtree(self.files, ignore_errors=True)
        for number in numbers:
            path = self.path(number)
            if number % FILES_OF_A_HOME == 0:
                path.parent.mkdir(parents=True)
            lines = (f'df{n} = spark.table("t{(number * 7919 + n * 104729) % 1000003}")\n' for n in range(18))
            path.write_text(f"# Databricks notebook source\n# notebook {number}\n{''.join(lines)}")
        settle()

    def change(self, numbers):
        for number in numbers:
            with self.path(number).open("a") as file:
                file.write(f'print("changed {number}")\n')
        settle()

    def path(self, number):
        home = f"user{number // FILES_OF_A_HOME:05}@example.com"
        return self.files / "Users" / home / "work" / f"notebook {number:07}.py"

    def quietly(self, command):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def run(self, name, command, times=1):
        before = self.stored()
        runs = [self.measure(command) for _ in range(times)]
        cpu, wall, peak = (statistics.median(figures) for figures in zip(*runs))
        added = (self.stored() - before) / 1e6
        print(f"| {name} | {cpu:.2f} | {wall:.2f} | {peak:.0f} | {added:.2f} |", flush=True)

    def measure(self, command):
        began = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            raise SystemExit(f"{command} ended with {child.returncode}")
        return used.ru_utime + used.ru_stime, time.monotonic() - began, used.ru_maxrss / 1024

    def stored(self):
        return sum(file.stat().st_size for file in self.store.rglob("*") if file.is_file())


def settle():
    """Files that were written a moment ago are read again by the next import."""
    time.sleep(3)


if __name__ == "__main__":
    main()
