"""Test 11: held before every step of its commit, while others forget what it builds upon and prune twice without grace."""

import os

from bench import Bad
from kills import Task, run_to
from tracer import CHANGES, Traced


def at_every_step(bench, all_calls):
    """Then it may go on, or is killed: its snapshot is complete, or not there."""
    history = bench.history()
    parent = bench.snapshots(history)[-1]
    words = ["import", bench.path("in")]
    task = Task(bench, "import", words, history, words, (parent,))
    bad, held, finished = [], 0, 0
    for is_forgotten in (False, True):
        for dies in (False, True):
            number = 0
            while (call := hold(task, number, all_calls)) is not None:
                held, number = held + 1, number + 1
                try:
                    if is_forgotten:
                        bench.done(task.store, "forget", parent)
                    for _ in range(2):
                        bench.done(task.store, "prune", "--grace", "0s")
                    finished += end(task, dies)
                except Bad as error:
                    task.traced.kill()
                    bad.append(f"held before {number} ({call}), forgotten {is_forgotten}, killed {dies}: {error}")
    if finished == 0:
        bad.append("no import that was held came to its end")
    return held, "times", bad


def hold(task, number, all_calls):
    """Runs an import up to the step of this number, before which it stands still; none if there are fewer."""
    task.store, task.log = task.fresh(), task.bench.path("held.log")
    with open(task.log, "wb") as out:
        task.traced = Traced(task.bench.argv(task.store, *task.words), task.bench.env, task.bench.folder, out)
    while (call := run_to(task.traced, 0)) is not None:
        if all_calls or is_step(call):
            if number == 0:
                return call
            number -= 1
        task.traced.go_on()
    return None


def is_step(call):
    """Whether a step begins with it. Not when a file gets its name: until then a prune without grace removes it."""
    parts = call.path.split(os.sep)
    is_ours = any(part in ("packs", "index", "pending", "snapshots") for part in parts)
    return is_ours and call.what in ("create", "unlink")


def end(task, dies):
    """Kills it or lets it go on; says whether it came to its end, which it may only fail to for what the others did."""
    code = None
    if dies:
        task.traced.kill()
    else:
        task.traced.go_on()
        code = task.traced.run()
        with open(task.log) as file:
            words = file.read()
        if code != 0 and not (code == 1 and "hint: " in words and "panicked" not in words):
            raise Bad(f"it ended with {code}: {words}")
    now = task.judge(task.store)
    new = [id for id in now if id not in task.before]
    if code == 0 and len(new) != 1:
        raise Bad(f"it said that it was done, and there are {len(new)} snapshots of it")
    if code == 1 and new:
        raise Bad("it failed, and there is a snapshot")
    task.complete(task.store)
    return code == 0
