"""The older command-line client."""

import pathlib
import subprocess
import sys

from expect import expect_equal


def check_the_older_client_exports_the_same_folder(env):
    env.backup()
    out = env.folder / "exported"
    older = pathlib.Path(sys.executable).parent / "databricks"
    # This client forgets the port of its host, but not that of a proxy; and a proxy is asked with the whole address.
    variables = env.variables() | {"http_proxy": env.host, "no_proxy": ""}
    done = subprocess.run(
        [older, "workspace", "export_dir", "/Shared", str(out)], env=variables, capture_output=True, timeout=300
    )
    expect_equal(done.returncode, 0, f"exit code of the older client: {done.stdout}{done.stderr}")
    extensions = (".py", ".sql", ".scala", ".r", ".ipynb")
    notebooks = {path for path in env.listed("notebook") if path.startswith("/Shared/")}
    seen = set()
    for file in (path for path in out.rglob("*") if path.is_file()):
        name = "/Shared/" + str(file.relative_to(out))
        stem = next((name.removesuffix(end) for end in extensions if name.endswith(end)), name)
        path = stem if stem in notebooks else name
        seen.add(path)
        if env.body("notebook", path)["format"] == "SOURCE":
            expect_equal(file.read_bytes(), env.dbsnap("cat", "latest", path), f"content of {path}")
    expect_equal(seen, notebooks, "notebooks exported by the older client")
