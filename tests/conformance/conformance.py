"""Drives every endpoint of the sandbox with the official Python SDK and the older command-line client.

A client and a server written by the same hands share their misunderstandings; these clients were written by others.
Each `check_*` function is one check; further arguments, parts of their names, leave out the others. What the SDK writes
and reads is compared with what `dbsnap ls` and `dbsnap cat` show of a backup of the same workspace.
"""

import base64
import contextlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import traceback

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import DatabricksError, NotFound
from databricks.sdk.service import compute, iam, jobs, workspace

TOKEN = "dapi" + "c0f0" * 8
CLIENT_ID = "c0f00000-0000-4000-8000-000000000001"
CLIENT_SECRET = "dose" + "c0f0" * 8
DBSNAP = sys.argv[1]


def expect(condition, message):
    """Like `assert`, with a message that tells what was seen; never optimised away."""
    if not condition:
        raise AssertionError(message)


def expect_equal(actual, wanted, what):
    expect(actual == wanted, f"{what}: {actual!r} instead of {wanted!r}")


@contextlib.contextmanager
def expect_error(kind, containing=""):
    try:
        yield
    except kind as error:
        expect(containing in str(error), f"the error says {error}, not {containing!r}")
        return
    raise AssertionError(f"no {kind.__name__} was raised")


class Environment:
    """One sandbox, one SDK client of it, one store."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.store = self.folder / "store"
        self.sandbox = subprocess.Popen(
            [DBSNAP, "sandbox", "--port", "0", "--sample", "small", "--token", TOKEN, "--json"]
            + ["--oauth-client", CLIENT_ID],
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
        self.sandbox.terminate()
        self.sandbox.wait(timeout=20)

    def variables(self):
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        return kept | {
            "HOME": str(self.folder),
            "DATABRICKS_HOST": self.host,
            "DATABRICKS_TOKEN": TOKEN,
            "DBSNAP_STORE": str(self.store),
        }

    def dbsnap(self, *arguments, codes=(0,)):
        done = subprocess.run([DBSNAP, *arguments], env=self.variables(), capture_output=True, timeout=120)
        expect(
            done.returncode in codes,
            f"dbsnap {' '.join(arguments)} ended with {done.returncode}: {done.stderr.decode()}",
        )
        return done.stdout

    def backup(self):
        self.dbsnap("backup", "--quiet", codes=(0, 3))

    def listed(self, kind):
        """What `dbsnap ls` shows of one kind: name -> object id."""
        return {item["name"]: item["id"] for item in self.objects(kind)}

    def objects(self, kind):
        return json.loads(self.dbsnap("ls", "latest", "--kind", kind, "--json"))["objects"]

    def body(self, kind, name):
        return json.loads(self.dbsnap("cat", "latest", f"{kind}/{name}", "--body"))


def check_identity_of_the_caller(env):
    me = env.client.current_user.me()
    expect("@" in me.user_name, me)
    expect(any(group.display == "admins" for group in me.groups), "the caller is an administrator")
    expect(env.client.get_workspace_id() > 0, "the workspace id is in a header of the answer")


def check_users(env):
    users = env.client.users
    made = users.create(
        user_name="conformance@example.com",
        display_name="Con Formance",
        entitlements=[iam.ComplexValue(value="allow-cluster-create")],
    )
    expect_equal(users.get(made.id).user_name, "conformance@example.com", "user name")
    with expect_error(DatabricksError):
        users.create(user_name="conformance@example.com")
    users.update(
        made.id,
        user_name="conformance@example.com",
        display_name="Con Formance",
        entitlements=[iam.ComplexValue(value="allow-cluster-create")],
    )
    users.patch(
        made.id,
        operations=[iam.Patch(op=iam.PatchOp.REPLACE, path="displayName", value="Renamed")],
        schemas=[iam.PatchSchema.URN_IETF_PARAMS_SCIM_API_MESSAGES_2_0_PATCH_OP],
    )
    expect_equal(users.get(made.id).display_name, "Renamed", "display name after PATCH")
    found = list(users.list(filter='userName eq "conformance@example.com"'))
    expect_equal([user.id for user in found], [made.id], "filter by user name")
    doomed = users.create(user_name="doomed@example.com")
    users.delete(doomed.id)
    with expect_error(NotFound):
        users.get(doomed.id)

    env.backup()
    wanted = {user.user_name: user.id for user in users.list(attributes="id,userName")}
    expect_equal(env.listed("user"), wanted, "users")
    body = env.body("user", "conformance@example.com")
    expect_equal(body["displayName"], "Renamed", "display name in the snapshot")
    expect_equal(body["entitlements"], [{"value": "allow-cluster-create"}], "entitlements in the snapshot")


def check_groups_and_their_members(env):
    groups = env.client.groups
    member = env.client.users.create(user_name="member@example.com")
    inner = groups.create(display_name="inner group", members=[iam.ComplexValue(value=member.id)])
    outer = groups.create(display_name="outer group", members=[iam.ComplexValue(value=inner.id)])
    expect_equal([m.value for m in groups.get(outer.id).members], [inner.id], "nested member")
    groups.patch(
        outer.id,
        operations=[iam.Patch(op=iam.PatchOp.ADD, path="members", value=[{"value": member.id}])],
        schemas=[iam.PatchSchema.URN_IETF_PARAMS_SCIM_API_MESSAGES_2_0_PATCH_OP],
    )
    expect_equal({m.value for m in groups.get(outer.id).members}, {inner.id, member.id}, "members after adding")
    groups.patch(
        outer.id,
        operations=[iam.Patch(op=iam.PatchOp.REMOVE, path=f'members[value eq "{member.id}"]')],
        schemas=[iam.PatchSchema.URN_IETF_PARAMS_SCIM_API_MESSAGES_2_0_PATCH_OP],
    )
    expect_equal({m.value for m in groups.get(outer.id).members}, {inner.id}, "members after removing")
    groups.update(inner.id, display_name="inner group", members=[iam.ComplexValue(value=member.id)])
    with expect_error(DatabricksError):
        groups.create(display_name="inner group")

    env.backup()
    wanted = {group.display_name: group.id for group in groups.list(attributes="id,displayName")}
    expect_equal(env.listed("group"), wanted, "groups")
    expect_equal(env.body("group", "outer group")["members"], [{"value": inner.id}], "members in the snapshot")
    groups.delete(outer.id)
    with expect_error(NotFound):
        groups.get(outer.id)


def check_service_principals(env):
    principals = env.client.service_principals
    made = principals.create(display_name="robot of conformance")
    expect(made.application_id, "the server makes an application id")
    expect_equal(principals.get(made.id).display_name, "robot of conformance", "display name")
    principals.patch(
        made.id,
        operations=[iam.Patch(op=iam.PatchOp.REPLACE, path="active", value="true")],
        schemas=[iam.PatchSchema.URN_IETF_PARAMS_SCIM_API_MESSAGES_2_0_PATCH_OP],
    )
    doomed = principals.create(display_name="doomed robot")
    principals.delete(doomed.id)
    with expect_error(NotFound):
        principals.get(doomed.id)
    principals.update(made.id, application_id=made.application_id, display_name="robot of conformance", active=True)
    env.backup()
    wanted = {principal.display_name for principal in principals.list()}
    expect_equal(set(env.listed("service-principal")), wanted, "service principals")
    body = env.body("service-principal", "robot of conformance")
    expect_equal(body["applicationId"], made.application_id, "application id in the snapshot")


def check_instance_profiles(env):
    profiles = env.client.instance_profiles
    arn = "arn:aws:iam::123456789012:instance-profile/conformance"
    profiles.add(instance_profile_arn=arn, skip_validation=True)
    profiles.edit(instance_profile_arn=arn, iam_role_arn="arn:aws:iam::123456789012:role/conformance")
    env.backup()
    wanted = {profile.instance_profile_arn for profile in profiles.list()}
    expect(arn in wanted, wanted)
    expect_equal(set(env.listed("instance-profile")), wanted, "instance profiles")
    profiles.remove(instance_profile_arn=arn)
    expect(arn not in {profile.instance_profile_arn for profile in profiles.list()}, "a removed profile is gone")


def check_instance_pools(env):
    pools = env.client.instance_pools
    made = pools.create(instance_pool_name="conformance pool", node_type_id="i3.xlarge", min_idle_instances=0)
    pools.edit(made.instance_pool_id, instance_pool_name="conformance pool", node_type_id="i3.xlarge", max_capacity=7)
    expect_equal(pools.get(made.instance_pool_id).max_capacity, 7, "capacity after edit")
    env.backup()
    wanted = {pool.instance_pool_name: pool.instance_pool_id for pool in pools.list()}
    expect_equal(env.listed("instance-pool"), wanted, "instance pools")
    expect_equal(env.body("instance-pool", "conformance pool")["max_capacity"], 7, "capacity in the snapshot")
    pools.delete(made.instance_pool_id)
    with expect_error(DatabricksError):
        pools.get(made.instance_pool_id)


def check_cluster_policies(env):
    policies = env.client.cluster_policies
    definition = {"autotermination_minutes": {"type": "fixed", "value": 30}}
    made = policies.create(name="conformance policy", definition=json.dumps(definition))
    definition["autotermination_minutes"]["value"] = 45
    policies.edit(made.policy_id, name="conformance policy", definition=json.dumps(definition))
    expect_equal(json.loads(policies.get(made.policy_id).definition), definition, "definition after edit")
    env.backup()
    wanted = {policy.name: policy.policy_id for policy in policies.list()}
    expect_equal(env.listed("cluster-policy"), wanted, "cluster policies")
    kept = env.body("cluster-policy", "conformance policy")["definition"]
    expect_equal(json.loads(kept), definition, "definition in the snapshot")
    policies.delete(made.policy_id)
    families = list(env.client.policy_families.list())
    expect(families, "there are policy families")
    family = env.client.policy_families.get(families[0].policy_family_id)
    expect_equal(family.policy_family_id, families[0].policy_family_id, "a policy family")


def check_clusters_with_libraries_and_pins(env):
    clusters = env.client.clusters
    made = clusters.create(
        cluster_name="conformance cluster",
        spark_version="15.4.x-scala2.12",
        node_type_id="i3.xlarge",
        num_workers=1,
        autotermination_minutes=20,
    ).response
    expect(clusters.get(made.cluster_id).state in (compute.State.PENDING, compute.State.RUNNING), "a new one starts")
    clusters.delete(made.cluster_id).result()
    expect_equal(clusters.get(made.cluster_id).state, compute.State.TERMINATED, "state after delete")
    clusters.edit(
        made.cluster_id,
        cluster_name="conformance cluster",
        spark_version="15.4.x-scala2.12",
        node_type_id="i3.xlarge",
        num_workers=3,
    )
    clusters.pin(made.cluster_id)
    library = compute.Library(pypi=compute.PythonPyPiLibrary(package="simplejson==3.19.2"))
    env.client.libraries.install(made.cluster_id, [library])
    installed = list(env.client.libraries.cluster_status(made.cluster_id))
    expect_equal([status.library for status in installed], [library], "libraries of the cluster")
    everywhere = {status.cluster_id for status in env.client.libraries.all_cluster_statuses()}
    expect(made.cluster_id in everywhere, "the cluster's libraries are in the list of all")
    pinned = clusters.list(filter_by=compute.ListClustersFilterBy(is_pinned=True))
    expect(made.cluster_id in {cluster.cluster_id for cluster in pinned}, "pinned clusters can be listed")
    with expect_error(NotFound, "does not exist"):
        clusters.get("0101-000000-nowhere0")

    env.backup()
    sources = (None, compute.ClusterSource.UI, compute.ClusterSource.API)
    wanted = {c.cluster_name for c in clusters.list() if c.cluster_source in sources}
    expect_equal(set(env.listed("cluster")), wanted, "clusters")
    body = env.body("cluster", "conformance cluster")
    expect_equal((body["num_workers"], body["pinned"]), (3, True), "workers and pin in the snapshot")
    expect_equal(body["libraries"], [library.as_dict()], "libraries in the snapshot")
    env.client.libraries.uninstall(made.cluster_id, [library])
    clusters.unpin(made.cluster_id)
    clusters.permanent_delete(made.cluster_id)
    with expect_error(NotFound):
        clusters.get(made.cluster_id)


def check_what_clusters_can_be_made_of(env):
    clusters = env.client.clusters
    expect(clusters.list_node_types().node_types, "there are node types")
    expect(clusters.spark_versions().versions, "there are Spark versions")
    expect(clusters.list_zones().zones, "there are zones")
    owned = clusters.create(cluster_name="owned", spark_version="15.4.x-scala2.12", node_type_id="i3.xlarge", num_workers=0)
    with expect_error(DatabricksError):
        clusters.change_owner(owned.response.cluster_id, "member@example.com")
    clusters.delete(owned.response.cluster_id).result()
    clusters.change_owner(owned.response.cluster_id, "member@example.com")
    expect_equal(clusters.get(owned.response.cluster_id).creator_user_name, "member@example.com", "the new owner")
    clusters.permanent_delete(owned.response.cluster_id)


def check_global_init_scripts(env):
    scripts = env.client.global_init_scripts
    text = base64.b64encode("#!/bin/sh\necho ünï\n".encode()).decode()
    made = scripts.create(name="conformance script", script=text, enabled=True)
    expect_equal(scripts.get(made.script_id).script, text, "script")
    scripts.update(made.script_id, name="conformance script", script=text, enabled=False)
    env.backup()
    expect_equal(set(env.listed("global-init-script")), {script.name for script in scripts.list()}, "scripts")
    body = env.body("global-init-script", "conformance script")
    expect_equal((body["script"], body["enabled"]), (text, False), "script in the snapshot")
    scripts.delete(made.script_id)


def check_workspace_tree(env):
    tree = env.client.workspace
    tree.mkdirs("/Shared/conformance/ünï codé & more/empty")
    source = "# Databricks notebook source\nprint('ünï')\n\n# COMMAND ----------\n\nprint(2)"
    notebook = "/Shared/conformance/a notebook 100%"
    tree.import_(
        notebook,
        content=base64.b64encode(source.encode()).decode(),
        format=workspace.ImportFormat.SOURCE,
        language=workspace.Language.PYTHON,
    )
    with expect_error(DatabricksError, "exists"):
        tree.import_(
            notebook,
            content=base64.b64encode(b"other").decode(),
            format=workspace.ImportFormat.SOURCE,
            language=workspace.Language.PYTHON,
        )
    with expect_error(NotFound):
        tree.import_(
            "/Shared/no such folder/x",
            content="",
            format=workspace.ImportFormat.SOURCE,
            language=workspace.Language.SQL,
        )
    tree.upload("/Shared/conformance/data.bin", io.BytesIO(bytes(range(256))), format=workspace.ImportFormat.RAW)
    expect_equal(tree.download("/Shared/conformance/data.bin").read(), bytes(range(256)), "bytes of a file")
    client = env.client.api_client
    client.do("POST", "/api/2.0/workspace-files/import-file/Shared/conformance/raw.bin", data=b"raw bytes")
    raw = client.do("GET", "/api/2.0/workspace-files/Shared/conformance/raw.bin", raw=True)["contents"].read()
    expect_equal(raw, b"raw bytes", "bytes by the call the official command-line client uses")
    status = tree.get_status(notebook)
    expect_equal((status.object_type, status.language), (workspace.ObjectType.NOTEBOOK, workspace.Language.PYTHON), "status")
    with expect_error(DatabricksError):
        tree.delete("/Shared/conformance")
    with expect_error(NotFound):
        tree.get_status("/Shared/nothing here")

    env.backup()
    objects = {}
    # The SDK walks into Git folders that lie outside /Repos; dbsnap keeps which commit they are at instead.
    in_git = tuple(f"{folder}/" for folder in env.listed("git-folder"))
    for entry in tree.list("/", recursive=True):
        if not entry.path.startswith(in_git):
            objects.setdefault(entry.object_type, {})[entry.path] = str(entry.object_id)
    expect_equal(env.listed("notebook"), objects[workspace.ObjectType.NOTEBOOK], "notebooks")
    expect_equal(env.listed("file"), objects[workspace.ObjectType.FILE], "files")
    for path in objects[workspace.ObjectType.NOTEBOOK]:
        exported = tree.export(path, format=workspace.ExportFormat.AUTO)
        content = base64.b64decode(exported.content)
        expect_equal(env.dbsnap("cat", "latest", path), content, f"content of {path}")
    for path in objects[workspace.ObjectType.FILE]:
        expect_equal(env.dbsnap("cat", "latest", path), tree.download(path).read(), f"content of {path}")
    tree.delete("/Shared/conformance", recursive=True)


def check_git_folders(env):
    repos = env.client.repos
    listed = {repo.path for repo in repos.list()}
    env.client.workspace.mkdirs("/Repos/conformance")
    made = repos.create(url="https://github.com/example/project.git", provider="gitHub", path="/Repos/conformance/project")
    repos.update(made.id, branch="release")
    expect_equal(repos.get(made.id).branch, "release", "branch")
    expect_equal({repo.path for repo in repos.list()} - listed, {"/Repos/conformance/project"}, "new Git folder")
    env.backup()
    body = env.body("git-folder", "/Repos/conformance/project")
    expect_equal((body["url"], body["branch"]), ("https://github.com/example/project.git", "release"), "snapshot")
    repos.delete(made.id)
    credentials = env.client.git_credentials
    credential = credentials.create(git_provider="gitLab", git_username="me", personal_access_token="glpat-example")
    credentials.update(credential.credential_id, git_provider="gitLab", git_username="other")
    expect_equal(credentials.get(credential.credential_id).git_username, "other", "git user after update")
    expect(credential.credential_id in {item.credential_id for item in credentials.list()}, "listed credentials")
    credentials.delete(credential.credential_id)


def check_jobs_of_many_tasks(env):
    api = env.client.jobs
    task = lambda key, **more: jobs.Task(  # noqa: E731
        task_key=key,
        notebook_task=jobs.NotebookTask(notebook_path="/Shared/x"),
        new_cluster=compute.ClusterSpec(spark_version="15.4.x-scala2.12", node_type_id="i3.xlarge", num_workers=1),
        **more,
    )
    tasks = [task("t000")]
    tasks += [task(f"t{n:03}", depends_on=[jobs.TaskDependency("t000")]) for n in range(1, 130)]
    made = api.create(name="conformance job", tasks=tasks)
    expect(made.job_id > 2**53, "ids of jobs need 64 bits")
    expect_equal(len(api.get(made.job_id).settings.tasks), 130, "tasks of the job, over all pages")
    api.update(made.job_id, new_settings=jobs.JobSettings(max_concurrent_runs=4))
    settings = api.get(made.job_id).settings
    expect_equal((settings.max_concurrent_runs, len(settings.tasks)), (4, 130), "job after update")
    with expect_error(NotFound, "does not exist"):
        api.get(1)

    env.backup()
    wanted = {str(job.job_id) for job in api.list()}
    expect_equal({item["id"] for item in env.objects("job")}, wanted, "jobs")
    kept = env.body("job", "conformance job")["tasks"]
    expect_equal([task["task_key"] for task in kept], [f"t{n:03}" for n in range(130)], "tasks in the snapshot")
    api.reset(made.job_id, new_settings=jobs.JobSettings(name="conformance job", tasks=[task("only")]))
    expect_equal([t.task_key for t in api.get(made.job_id).settings.tasks], ["only"], "tasks after reset")
    api.delete(made.job_id)
    with expect_error(NotFound):
        api.get(made.job_id)


def check_permissions_direct_and_inherited(env):
    env.client.workspace.mkdirs("/Shared/guarded")
    folder = env.client.workspace.get_status("/Shared/guarded")
    env.client.workspace.upload("/Shared/guarded/file.txt", io.BytesIO(b"x"), format=workspace.ImportFormat.RAW)
    file = env.client.workspace.get_status("/Shared/guarded/file.txt")
    user = env.client.users.create(user_name="guarded@example.com")
    level = iam.PermissionLevel
    entry = lambda wanted: [iam.AccessControlRequest(user_name=user.user_name, permission_level=wanted)]  # noqa: E731
    env.client.permissions.set("directories", str(folder.object_id), access_control_list=entry(level.CAN_MANAGE))
    env.client.permissions.update("files", str(file.object_id), access_control_list=entry(level.CAN_READ))
    answer = env.client.permissions.get("files", str(file.object_id))
    granted = next(acl for acl in answer.access_control_list if acl.user_name == user.user_name).all_permissions
    levels = {(grant.permission_level, bool(grant.inherited)) for grant in granted}
    expect_equal(levels, {(level.CAN_READ, False), (level.CAN_MANAGE, True)}, "direct and inherited")
    known = env.client.permissions.get_permission_levels("files", str(file.object_id)).permission_levels
    expect(level.CAN_EDIT in {item.permission_level for item in known}, "levels of files")
    with expect_error(DatabricksError):
        request = [iam.AccessControlRequest(user_name="nobody@example.com", permission_level=level.CAN_READ)]
        env.client.permissions.set("files", str(file.object_id), access_control_list=request)

    env.backup()
    kept = json.loads(env.dbsnap("cat", "latest", "/Shared/guarded/file.txt", "--permissions"))
    expect_equal(kept, {f"user:{user.user_name}": "CAN_READ"}, "direct permissions in the snapshot")
    env.client.workspace.delete("/Shared/guarded", recursive=True)


def check_a_wrong_token_is_refused(env):
    with expect_error(DatabricksError):
        WorkspaceClient(host=env.host, token="dapi" + "0" * 32).current_user.me()


def check_a_machine_logs_in_with_oauth(env):
    # No token: the SDK finds the endpoint of the login by itself, and gets a token there.
    machine = WorkspaceClient(
        host=env.host, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, auth_type="oauth-m2m"
    )
    expect_equal(machine.current_user.me().user_name, CLIENT_ID, "who the machine is")
    shared = {item.path for item in machine.workspace.list("/Shared")}
    expect_equal(shared, {item.path for item in env.client.workspace.list("/Shared")}, "what the machine lists")
    expect(shared, "there is something to list")
    with expect_error(ValueError, "invalid_client"):
        wrong = WorkspaceClient(
            host=env.host, client_id=CLIENT_ID, client_secret="wrong", auth_type="oauth-m2m"
        )
        wrong.current_user.me()


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


def main():
    wanted = sys.argv[2:]
    names = [name for name in globals() if name.startswith("check_")]
    checks = [globals()[name] for name in names if not wanted or any(part in name for part in wanted)]
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        env = Environment(folder)
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
            env.stop()
    print(f"{len(checks) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
