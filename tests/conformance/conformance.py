"""Drives every endpoint of the sandbox with the official Python SDK and the older command-line client.

A client and a server written by the same hands share their misunderstandings; these clients were written by others.
Each `check_*` function in `checks/` is one check; further arguments, parts of their names, leave out the others. What the
SDK writes and reads is compared with what `dbsnap ls` and `dbsnap cat` show of a backup of the same workspace. After all
checks the sandbox tells what was asked of it, and each of its endpoints must have answered one of these clients.
"""

import sys
import tempfile
import traceback

from checks import compute, dbfs, identity, login, metastore, mlflow, older, rights, secrets, tree, work
from environment import Environment

ROOMS = (login, identity, compute, tree, work, rights, secrets, dbfs, metastore, mlflow, older)


def main():
    program, *wanted = sys.argv[1:]
    named = {name: check for room in ROOMS for name, check in vars(room).items() if name.startswith("check_")}
    checks = [check for name, check in named.items() if not wanted or any(part in name for part in wanted)]
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        env = Environment(program, folder)
        try:
            for check in checks:
                name = check.__name__.removeprefix("check_").replace("_", " ")
                try:
                    check(env)
                    print(f"ok      {name}", flush=True)
                except Exception:  # every check is to be tried
                    failed += 1
                    print(f"FAILED  {name}\n{traceback.format_exc()}", flush=True)
        finally:
            requests = env.stop()
    if not wanted:
        failed += judge(requests)
        checks.append(judge)
    print(f"{len(checks) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


def judge(requests):
    """1 if these clients left an endpoint unused, or missed one, else 0; what dbsnap itself asked for does not count."""
    idle = [name for name, asked in requests["endpoints"].items() if not asked["succeeded_for_others"]]
    for name in idle:
        print(f"FAILED  no client had a use for {name}")
    for name in requests["unknown"]:
        print(f"FAILED  a client asked for {name}, which the sandbox does not have")
    if idle or requests["unknown"]:
        return 1
    print(f"ok      all {len(requests['endpoints'])} endpoints answered these clients")
    return 0


if __name__ == "__main__":
    main()
