"""The older command-line client."""

import base64
import io
import json
import zipfile

import requests
from databricks.sdk.service import jobs, workspace
from databricks_cli.sdk import ClusterService, JobsService
from requests import HTTPError

from environment import TOKEN
from expect import expect, expect_equal, expect_error, expect_same

CLUSTER = {"spark_version": "15.4.x-scala2.12", "node_type_id": "i3.xlarge", "num_workers": 1}


def check_the_older_client_exports_the_same_folder(env):
    env.backup()
    out = env.folder / "exported"
    env.older_tool("workspace", "export_dir", "/Shared", str(out))
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


def check_libraries_of_the_workspace_tree(env):
    """No client of today has these calls; the form is that of those which had them."""
    name, egg = "conformance.egg", b"what an egg holds"
    form = {"name": name, "libType": "python-egg", "folder": "/Shared/lib"}
    env.client.workspace.mkdirs("/Shared/lib")
    token = {"Authorization": f"Bearer {TOKEN}"}
    upload = f"{env.host}/api/1.2/libraries/upload"
    with expect_error(HTTPError):
        requests.post(upload, headers=token, data=form).raise_for_status()
    answer = requests.post(upload, headers=token, data=form, files={"uri": (name, egg)})
    made = answer.json()["id"]
    do = env.client.api_client.do
    known = {"id": made, "name": name, "folder": "/Shared/lib"}
    expect(known in do("GET", "/api/1.2/libraries/list"), "it is in the list")
    status = do("GET", "/api/1.2/libraries/status", query={"libraryId": made})
    expect_equal((status["libType"], len(status["files"])), ("python-egg", 1), "type and files")
    jar = "dbfs:/FileStore/jars/" + status["files"][0]
    expect_equal(env.client.dbfs.download(jar).read(), egg, "the file that was uploaded")

    env.backup()
    kept = env.dbsnap("cat", "latest", f"workspace-object//Shared/lib/{name}")
    expect_equal(kept, egg, "the file in the snapshot")


def check_clusters_by_the_older_version(env):
    older, newer = ClusterService(env.older_client("2.0")), env.client.clusters
    made = older.create_cluster(
        cluster_name="older cluster", custom_tags={"team": "old"}, autotermination_minutes=30, **CLUSTER
    )["cluster_id"]
    shown = older.get_cluster(made)
    expect_equal((shown["cluster_name"], shown["num_workers"], shown["state"]), ("older cluster", 1, "PENDING"), "made")
    expect_same(newer.get(made).as_dict(), shown | {"state": "RUNNING"}, "the cluster by the newer version")
    older.delete_cluster(made)
    expect_equal([older.get_cluster(made)["state"] for _ in range(2)], ["TERMINATING", "TERMINATED"], "states")
    older.edit_cluster(made, cluster_name="older cluster", **(CLUSTER | {"num_workers": 2}))
    expect_equal(older.get_cluster(made)["num_workers"], 2, "workers after edit")
    older.start_cluster(made)
    with expect_error(HTTPError, "INVALID_STATE"):
        older.start_cluster(made)
    expect_equal(older.get_cluster(made)["state"], "PENDING", "a cluster that is started")
    older.delete_cluster(made)
    newer.wait_get_cluster_terminated(made)
    older.pin_cluster(made)
    owner = env.client.users.create(user_name="older@example.com").user_name
    # Neither client has a call of this version for these two.
    do = env.client.api_client.do
    do("POST", "/api/2.0/clusters/change-owner", body={"cluster_id": made, "owner_username": owner})
    changes = {"num_workers": 5, "spark_conf": {"a": "b"}}
    body = {"cluster_id": made, "update_mask": "num_workers", "cluster": changes}
    do("POST", "/api/2.0/clusters/update", body=body)
    shown = older.get_cluster(made)
    seen = (shown["creator_user_name"], shown["num_workers"], shown.get("spark_conf"))
    expect_equal(seen, (owner, 5, None), "owner and what the mask lets through")

    env.backup()
    everywhere = {cluster["cluster_id"] for cluster in older.list_clusters()["clusters"]}
    expect_equal(everywhere, {cluster.cluster_id for cluster in newer.list()}, "clusters by both versions")
    body = env.body("cluster", "older cluster")
    expect_equal((body["num_workers"], body["pinned"]), (5, True), "workers and pin in the snapshot")
    older.unpin_cluster(made)
    older.permanent_delete_cluster(made)
    with expect_error(HTTPError, "does not exist"):
        older.get_cluster(made)


def check_what_clusters_can_be_made_of_by_the_older_version(env):
    older, newer = ClusterService(env.older_client("2.0")), env.client.clusters
    expect_same(older.list_spark_versions(), newer.spark_versions().as_dict(), "Spark versions")
    expect_same(older.list_available_zones(), newer.list_zones().as_dict(), "zones")
    both = older.list_node_types()["node_types"], newer.list_node_types().as_dict()["node_types"]
    expect_equal(*([node["node_type_id"] for node in nodes] for nodes in both), "node types")


def check_jobs_of_one_task_by_the_oldest_version(env):
    api = JobsService(env.older_client("2.0"))
    notebook = {"notebook_path": "/Shared/x", "base_parameters": {"day": "1"}}
    made = api.create_job(name="oldest job", new_cluster=CLUSTER, notebook_task=notebook, max_retries=2)["job_id"]
    settings = api.get_job(made)["settings"]
    expect_equal((settings["format"], settings["max_retries"]), ("SINGLE_TASK", 2), "format and retries")
    expect("tasks" not in settings, "this version knows no tasks")
    expect_equal(settings["notebook_task"]["base_parameters"], {"day": "1"}, "parameters")
    task = lambda: env.client.jobs.get(made).settings.tasks[0].as_dict()  # noqa: E731
    expect_equal((task()["max_retries"], task()["new_cluster"]["num_workers"]), (2, 1), "the task by the newest version")

    api.update_job(made, new_settings={"max_retries": 5, "timeout_seconds": 60}, fields_to_remove=["email_notifications"])
    expect_equal(task()["notebook_task"]["notebook_path"], "/Shared/x", "the notebook after an update of something else")
    settings = api.get_job(made)["settings"]
    expect_equal((settings["max_retries"], settings["timeout_seconds"]), (5, 60), "settings after update")
    listed = {job["job_id"]: job["settings"] for job in api.list_jobs()["jobs"]}
    expect_equal(listed.keys(), {job.job_id for job in env.client.jobs.list()}, "jobs by the oldest and the newest version")
    expect_same(listed[made], settings, "a listed job")

    env.backup()
    [kept] = env.body("job", "oldest job")["tasks"]
    expect_equal((kept["max_retries"], kept["notebook_task"]["notebook_path"]), (5, "/Shared/x"), "task in the snapshot")
    python = {"python_file": "dbfs:/x.py"}
    api.reset_job(made, {"name": "oldest job", "new_cluster": CLUSTER, "spark_python_task": python})
    settings = api.get_job(made)["settings"]
    expect_equal((settings["spark_python_task"], settings.get("notebook_task")), (python, None), "settings after reset")
    api.delete_job(made)
    with expect_error(HTTPError, "does not exist"):
        api.get_job(made)


def check_jobs_of_many_tasks_by_the_older_version(env):
    api = JobsService(env.older_client("2.1"))
    task = lambda key, **more: {"task_key": key, "notebook_task": {"notebook_path": "/Shared/x"}, **more}  # noqa: E731
    tasks = [task("first", job_cluster_key="c"), task("then", job_cluster_key="c", depends_on=[{"task_key": "first"}])]
    clusters = [{"job_cluster_key": "c", "new_cluster": CLUSTER}]
    made = api.create_job(name="Older Job", tasks=tasks, job_clusters=clusters, tags={"age": "old"})["job_id"]
    shown = api.get_job(made)
    expect_equal([task["task_key"] for task in shown["settings"]["tasks"]], ["first", "then"], "tasks")
    expect_same(shown["settings"], env.client.jobs.get(made).settings.as_dict(), "the job by the newest version")
    [listed] = api.list_jobs(name="older job", expand_tasks=True, limit=25)["jobs"]
    expect_same(listed["settings"], shown["settings"], "the job in a list, by its name in other letters")
    with expect_error(HTTPError, "limit"):
        api.list_jobs(expand_tasks=True, limit=26)
    api.update_job(made, new_settings={"max_concurrent_runs": 3}, fields_to_remove=["tags"])
    settings = api.get_job(made)["settings"]
    expect_equal((settings["max_concurrent_runs"], settings.get("tags"), len(settings["tasks"])), (3, None, 2), "update")

    env.backup()
    body = env.body("job", "Older Job")
    expect_equal(body["max_concurrent_runs"], 3, "runs in the snapshot")
    expect_equal([task["task_key"] for task in body["tasks"]], ["first", "then"], "tasks in the snapshot")
    api.reset_job(made, {"name": "Older Job", "tasks": [task("only", new_cluster=CLUSTER)]})
    kept = api.get_job(made)["settings"]
    expect_equal(([task["task_key"] for task in kept["tasks"]], kept.get("job_clusters")), (["only"], None), "reset")
    api.delete_job(made)
    with expect_error(HTTPError, "does not exist"):
        api.get_job(made)


def check_the_older_tool_lists_all_jobs_by_offset(env):
    some = [env.client.jobs.create(name=f"job {n}", tasks=[jobs.Task(task_key="t")]).job_id for n in range(25)]
    wanted = sorted(job.job_id for job in env.client.jobs.list())
    printed = env.older_tool("jobs", "list", "--version=2.1", "--all", "--output", "JSON")
    expect_equal(sorted(job["job_id"] for job in json.loads(printed)["jobs"]), wanted, "jobs in pages by offset")
    by_offset = env.client.jobs.list(offset=len(wanted) - 3, limit=10)
    expect_equal([job.job_id for job in by_offset], wanted[2::-1], "the oldest jobs, by offset")
    for job in some:
        env.client.jobs.delete(job)


def check_a_notebook_as_dbc(env):
    source = b"# Databricks notebook source\nprint(1)\n\n# COMMAND ----------\n\n# MAGIC %md\n# MAGIC # Two\n"
    path = "/Shared/as dbc"
    env.client.workspace.upload(path, source, format=workspace.ImportFormat.SOURCE, language=workspace.Language.PYTHON)
    content = env.client.workspace.export(path, format=workspace.ExportFormat.DBC).content
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(content))) as archive:
        [member] = archive.namelist()
        commands = json.loads(archive.read(member))["commands"]
    expect_equal([command["command"] for command in commands], ["print(1)", "%md\n# Two"], "commands in the archive")


def check_permissions_by_their_older_name(env):
    folder, do = env.client.workspace, env.client.api_client.do
    folder.mkdirs("/Shared/by the older name")
    id = folder.get_status("/Shared/by the older name").object_id
    group = env.client.groups.create(display_name="older readers").display_name
    older, newer = (f"/api/2.0/{prefix}permissions/directories/{id}" for prefix in ("preview/", ""))
    granted = lambda level: {"access_control_list": [{"group_name": group, "permission_level": level}]}  # noqa: E731
    do("PUT", older, body=granted("CAN_READ"))
    expect_equal(do("GET", older), do("GET", newer), "what was put by the older name")
    do("PATCH", older, body=granted("CAN_EDIT"))
    expect_equal(do("GET", f"{older}/"), do("GET", newer), "what was patched by the older name")
    env.backup()
    kept = json.loads(env.dbsnap("cat", "latest", "/Shared/by the older name", "--permissions"))
    expect_equal(kept, {f"group:{group}": "CAN_EDIT"}, "permissions in the snapshot")
