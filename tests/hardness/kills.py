"""Tests 3 and 4: killed at random moments, and before every single call that changes a file."""

import os
import random
import shutil
import subprocess
import time

from bench import Bad
from tracer import CHANGES, Traced


class Task:
    """A command, what it begins with, and what it may change."""

    def __init__(self, bench, name, words, start, makes=None, may_go=()):
        self.bench, self.name, self.words, self.start = bench, name, words, start
        self.may_go = may_go
        self.makes = bench.what_it_makes(*makes) if makes else None
        self.before = bench.everything(start) if start else {}

    def fresh(self):
        store = self.bench.path("store")
        shutil.rmtree(store, ignore_errors=True)
        return self.bench.copy_of(self.start) if self.start else store

    def judge(self, store):
        return self.bench.assert_well(store, self.before, self.may_go, self.makes)

    def complete(self, store):
        """The next run works, and does what it should."""
        # A snapshot that is forgotten already cannot be forgotten again.
        words = self.words
        if words[0] == "forget" and words[1] not in self.bench.snapshots(store):
            words = ["prune", "--grace", "0s"]
        self.bench.done(store, *words)
        now = self.judge(store)
        if self.makes and not any(id not in self.before for id in now):
            raise Bad("the next run made no snapshot")
        if self.words[0] == "forget" and self.words[1] in now:
            raise Bad("the next run did not forget")


def tasks(bench, wanted):
    history = bench.history()
    oldest = bench.snapshots(history)[0]
    folder = bench.path("in")
    all_tasks = {
        "import": (["import", folder], history, ["import", folder], ()),
        "first-import": (["import", folder], None, ["import", folder], ()),
        "forget": (["forget", oldest], history, None, (oldest,)),
        "prune": (["prune", "--grace", "0s"], history, None, ()),
        "repair-index": (["repair", "index"], history, None, ()),
        "repair-packs": (["repair", "packs"], history, None, ()),
        "backup": (["backup"], history, ["backup"], ()),
    }
    for name in wanted:
        words, start, makes, may_go = all_tasks[name]
        if name == "backup":
            bench.sandbox()
        yield Task(bench, name, words, start, makes, may_go)


def at_random(bench, runs):
    """`kill -9` after a random time, up to five times in a row on one store."""
    numbers, bad, kills = random.Random(7), [], 0
    names = ["import", "backup", "first-import", "prune", "forget", "repair-index", "repair-packs"]
    all_tasks = list(tasks(bench, names))
    took = {}
    for task in all_tasks:
        store, began = task.fresh(), time.monotonic()
        bench.done(store, *task.words)
        took[task.name] = time.monotonic() - began
    while kills < runs:
        # What takes long has more moments.
        task = numbers.choices(all_tasks, [took[task.name] for task in all_tasks])[0]
        store, times = task.fresh(), numbers.randint(1, 5)
        try:
            for _ in range(times):
                kills += 1
                kill_after(bench, store, task.words, took[task.name] * numbers.random())
                task.judge(store)
            task.complete(store)
        except Bad as error:
            bad.append(f"{task.name}, killed {times} times: {error}")
    return kills, "kills", bad


def kill_after(bench, store, words, seconds):
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(bench.argv(store, *words), env=bench.env, stdin=quiet, stdout=quiet, stderr=quiet)
    time.sleep(seconds)
    process.kill()
    process.wait()


def at_every_call(bench, names):
    """Killed before each call with which it changes a file in turn, the first to the last."""
    bad, kills = [], 0
    for task in tasks(bench, names):
        number, is_over = 0, False
        while not is_over:
            store = task.fresh()
            with open(os.devnull, "wb") as out:
                traced = Traced(bench.argv(store, *task.words), bench.env, bench.folder, out)
                made = run_to(traced, number)
                is_over = made is None
                if not is_over:
                    traced.kill()
                    kills += 1
            try:
                task.judge(store)
                # Every store can go on; that each does is tried with a few.
                if number % 3 == 0 or is_over:
                    task.complete(store)
            except Bad as error:
                bad.append(f"{task.name}, killed before change {number} ({made}): {error}")
            number += 1
    return kills, "kills", bad


def run_to(traced, number):
    """Lets it make so many changes, and returns the next one, before which it stands still; none if it is over."""
    while (call := traced.next_call()) is not None:
        if call.what in CHANGES:
            if number == 0:
                return call
            number -= 1
        traced.go_on()
    return None
