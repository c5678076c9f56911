"""Test 8: a full disk, calls that fail, and a store that cannot be written to."""

import errno
import os
import re
import shutil
import subprocess

from bench import Bad
from kills import Task, tasks
from tracer import CHANGES, Traced

PAGE = 4096


def full(bench, positions):
    """A disk of its own that is full after so many bytes."""
    history, folder = bench.history(), bench.path("in")
    words = ["import", folder]
    task = Task(bench, "import", words, history, words)
    store = bench.path("disk/store")
    os.makedirs(bench.path("disk"), exist_ok=True)

    def on_disk(size, then):
        # Inodes take nothing from the size here.
        mount("-t", "tmpfs", "-o", f"size={size}", "none", bench.path("disk"))
        try:
            shutil.copytree(history, store, copy_function=shutil.copy2)
            then()
        finally:
            unmount(bench.path("disk"))

    sizes = {}

    def measure():
        sizes["before"] = used(store)
        bench.done(store, *words)
        sizes["after"] = used(store)

    on_disk(1 << 30, measure)
    bad, failed = [], 0
    for position in range(positions):
        free = (sizes["after"] - sizes["before"]) * position // positions // PAGE * PAGE

        def try_it():
            run = bench.run(store, *words)
            if run.returncode == 0:
                task.judge(store)
                return 0
            assert_plain(run, store, "No space left on device")
            before = used(store)
            leftovers(store)
            remount(bench.path("disk"), 1 << 30)
            task.judge(store)
            task.complete(store)
            # What the failed run had stored is used by the next one, and nothing lies there twice.
            if used(store) > sizes["after"] + 16 * PAGE:
                raise Bad(f"{used(store) - sizes['after']} bytes are not given back (before: {before})")
            return 1

        result = []
        try:
            on_disk(sizes["before"] + free, lambda: result.append(try_it()))
            failed += sum(result)
        except Bad as error:
            bad.append(f"full after {free} bytes: {error}")
    if failed < positions // 2:
        bad.append(f"only {failed} of {positions} runs met a full disk")
    return positions, "positions", bad


def full_and_freed(bench):
    """On a disk without a single free page a store can be read, what was condemned before goes, and snapshots can be
    forgotten and their space be freed."""
    history = bench.history()
    bench.done(history, "prune", "--grace", "0s")
    before = bench.everything(history)
    os.makedirs(bench.path("disk"), exist_ok=True)
    mount("-t", "tmpfs", "-o", "size=1g", "none", bench.path("disk"))
    bad = []
    try:
        store = bench.path("disk/store")
        shutil.copytree(history, store, copy_function=shutil.copy2)
        fill(bench.path("disk"))
        for words in (["check"], ["check", "--read-data"], ["snapshots"], ["stats"]):
            bench.done(store, *words)
        freed = -used(store)
        bench.done(store, "prune", "--grace", "0s", "--max-repack", "0")
        freed += used(store)
        if freed >= 0:
            raise Bad("what was condemned was not freed")
        oldest = bench.snapshots(store)[0]
        fill(bench.path("disk"))
        taken = used(store)
        bench.done(store, "forget", oldest)
        for _ in range(2):
            bench.done(store, "prune", "--grace", "0s", "--max-repack", "0")
        if used(store) >= taken:
            raise Bad("what was forgotten was not freed")
        bench.assert_well(store, before, (oldest,))
    except Bad as error:
        bad.append(str(error))
    finally:
        unmount(bench.path("disk"))
    return 1, "disk", bad


def fill(disk):
    """Takes all that is free, to the last page."""
    remount(disk, used(disk))


def failing_calls(bench, names, errors, step):
    """Every single call to a file of the store fails in turn, or one in so many."""
    bad, failed = [], 0
    for task in tasks(bench, names):
        for name in errors:
            number, is_over = 0, False
            while not is_over:
                store, log = task.fresh(), bench.path("failed.log")
                with open(log, "wb") as out:
                    traced = Traced(bench.argv(store, *task.words), bench.env, store, out)
                    call = run_to_failing(traced, number, name)
                    is_over = call is None
                    if not is_over:
                        traced.fail(getattr(errno, name))
                        failed += 1
                        traced.run()
                try:
                    if not is_over:
                        with open(log) as file:
                            judge(task, store, traced.code, file.read(), name)
                except Bad as error:
                    bad.append(f"{task.name}, {name} at {number} ({call}): {error}")
                number += step
    return failed, "calls", bad


def run_to_failing(traced, number, error):
    while (call := traced.next_call()) is not None:
        if can_fail(call.what, error):
            if number == 0:
                return call
            number -= 1
        traced.go_on()
    return None


def can_fail(what, error):
    """Whether that is an error of such a call."""
    if error == "EMFILE":
        return what in ("open", "create")
    if error == "EROFS":
        return what in CHANGES - {"write", "fsync"}
    if error == "ENOSPC":
        return what in ("create", "write", "mkdir", "rename", "fsync")
    return True


def judge(task, store, code, words, error):
    if code not in (0, 1, 3):
        raise Bad(f"it ended with {code}: {words}")
    if code == 1:
        assert_plain_words(words, store, os.strerror(getattr(errno, error)))
    now = task.judge(store)
    if code == 0 and task.makes and not any(id not in task.before for id in now):
        raise Bad("it said that it was done, and there is no snapshot")
    task.complete(store)


def read_only(bench):
    """A file system that cannot be written to: reading works, and what writes says why it does not."""
    history = bench.history()
    before = bench.everything(history)
    os.makedirs(bench.path("disk"), exist_ok=True)
    mount("--bind", history, bench.path("disk"))
    bad, tried = [], 0
    store = bench.path("disk")
    try:
        mount("-o", "remount,bind,ro", store)
        newest = bench.snapshots(store)[-1]
        for words in (["snapshots"], ["show", newest], ["ls", newest], ["diff", "latest~1", "latest"], ["check"],
                      ["check", "--read-data"], ["stats"], ["ls", newest, "/a"]):
            tried += 1
            try:
                bench.done(store, *words)
            except Bad as error:
                bad.append(str(error))
        for words in (["import", bench.path("in")], ["forget", newest, "--force"], ["prune"], ["repair", "index"]):
            tried += 1
            run = bench.run(store, *words)
            try:
                if run.returncode != 1:
                    raise Bad(f"it ended with {run.returncode}")
                assert_plain(run, store, "Read-only file system")
            except Bad as error:
                bad.append(f"{words[0]}: {error}")
        bench.assert_well(store, before)
    finally:
        unmount(bench.path("disk"))
    return tried, "commands", bad


def assert_plain(run, store, cause):
    if run.returncode != 1:
        raise Bad(f"it ended with {run.returncode}: {run.stderr}")
    assert_plain_words(run.stderr, store, cause)


def assert_plain_words(words, store, cause):
    """It says which file, why, and what to do."""
    for what, is_there in (
        ("the file", store in words),
        (f"`{cause}`", cause in words),
        ("a hint", re.search(r"^hint: ", words, re.M)),
    ):
        if not is_there:
            raise Bad(f"{what} is not in what it says: {words}")
    if "panicked" in words:
        raise Bad(words)


def leftovers(store):
    for above, _, files in os.walk(store):
        for name in files:
            if name.startswith(".tmp-"):
                raise Bad(f"{os.path.join(above, name)} was left behind")


def used(path):
    stat = os.statvfs(path)
    return (stat.f_blocks - stat.f_bfree) * stat.f_frsize


def mount(*words):
    subprocess.run(["mount", *words], check=True)


def remount(path, size):
    mount("-o", f"remount,size={size}", path)


def unmount(path):
    subprocess.run(["umount", path], check=True)


def why_not():
    """Why nothing can be mounted here; nothing if it can."""
    run = subprocess.run(["mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, text=True)
    if run.returncode:
        return f"nothing can be mounted here ({run.stderr.strip()})"
    unmount("/mnt")
    return None
