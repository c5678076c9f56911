"""Runs the tests and says what came of each, a line for each. See `run`."""

import os
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import disks
import holds
import kills
import tracer
from bench import Bad, Bench

ERRORS = ["EIO", "ENOSPC", "EMFILE", "EROFS"]
ALL = ["import", "first-import", "prune", "forget", "repair-index", "repair-packs"]
# Name, what it needs, and how it is run: quickly, and in full.
TESTS = [
    ("kill-at-random", None, lambda b: kills.at_random(b, 50), lambda b: kills.at_random(b, 500)),
    ("kill-every-syscall", tracer.why_not, lambda b: kills.at_every_call(b, ["import", "prune"]),
     lambda b: kills.at_every_call(b, ALL + ["backup"])),
    ("hold-every-step", tracer.why_not, lambda b: holds.at_every_step(b, False), lambda b: holds.at_every_step(b, True)),
    ("full-disk", disks.why_not, lambda b: disks.full(b, 50), lambda b: disks.full(b, 200)),
    ("full-disk-freed", disks.why_not, disks.full_and_freed, disks.full_and_freed),
    ("fail-every-syscall", tracer.why_not, lambda b: disks.failing_calls(b, ["import", "prune"], ["EIO", "ENOSPC"], 7),
     lambda b: disks.failing_calls(b, ALL, ERRORS, 1)),
    ("read-only", disks.why_not, disks.read_only, disks.read_only),
]


def main():
    words = sys.argv[1:]
    is_full = "--full" in words
    dbsnap, *wanted = [word for word in words if word != "--full"]
    failed = 0
    for name, why_not, quick, full in TESTS:
        if wanted and name not in wanted:
            continue
        if why_not and (reason := why_not()):
            print(f"skip {name}: {reason}", flush=True)
            continue
        began = time.monotonic()
        # Syncing a disk takes its time, and is not what is tested here.
        in_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        folder = os.path.realpath(tempfile.mkdtemp(prefix="dbsnap-hardness-", dir=in_memory))
        bench = Bench(dbsnap, folder)
        try:
            count, of_what, bad = (full if is_full else quick)(bench)
        except Bad as error:
            count, of_what, bad = 0, "cases", [f"before it began: {error}"]
        finally:
            bench.close()
            shutil.rmtree(folder)
        for case in bad[:20]:
            print(f"  {case}")
        word = "ok" if not bad else "FAILED"
        failed += bool(bad)
        print(f"{word} {name}: {count:,} {of_what}, {len(bad)} bad, {time.monotonic() - began:.0f} s", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
