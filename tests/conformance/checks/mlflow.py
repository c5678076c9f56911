"""Experiments, their runs and files, registered models and their versions."""

import io
import json
import os
import pathlib
import posixpath

from databricks.sdk.errors import BadRequest, InvalidParameterValue, NotFound, PermissionDenied, ResourceAlreadyExists
from databricks.sdk.service import ml
from databricks.sdk.service.workspace import ObjectType
from mlflow.tracking import MlflowClient

from environment import TOKEN
from expect import expect, expect_equal, expect_error


def user_tags(tags):
    """What people said in tags, and not the service."""
    own = ("mlflow.owner", "mlflow.experiment")
    return {tag.key: tag.value for tag in tags or [] if not tag.key.startswith(own)}


def check_experiments_their_tags_and_permissions(env):
    api = env.client.experiments
    name = "/Shared/conformance experiment"
    tags = [ml.ExperimentTag("team", "data"), ml.ExperimentTag("mlflow.note.content", "what für")]
    made = api.create_experiment(name, tags=tags).experiment_id
    with expect_error(ResourceAlreadyExists):
        api.create_experiment(name)
    with expect_error(InvalidParameterValue):
        api.create_experiment("no path")
    with expect_error(NotFound):
        api.create_experiment("/Nowhere/at/all")
    node = env.client.workspace.get_status(name)
    expect_equal(str(node.object_id), made, "id of the node")
    expect(node.object_type not in (ObjectType.NOTEBOOK, ObjectType.FILE), "an experiment is a node of its own")
    api.set_experiment_tag(made, "team", "ops")
    api.update_experiment(made, new_name=f"{name} 2")
    found = api.get_experiment(made).experiment
    expect_equal(found.name, f"{name} 2", "name")
    expect_equal(user_tags(found.tags), {"team": "ops", "mlflow.note.content": "what für"}, "tags")
    expect_equal(api.get_by_name(found.name).experiment.experiment_id, made, "found by name")
    access = ml.ExperimentAccessControlRequest(group_name="data-eng", permission_level=ml.ExperimentPermissionLevel.CAN_EDIT)
    api.update_permissions(made, access_control_list=[access])
    levels = {level.permission_level.value for level in api.get_permission_levels(made).permission_levels}
    expect_equal(levels, {"CAN_READ", "CAN_EDIT", "CAN_MANAGE"}, "levels")

    passing = api.create_experiment("/Shared/conformance passing").experiment_id
    api.delete_experiment(passing)
    api.restore_experiment(passing)
    api.delete_experiment(passing)
    active = {one.experiment_id: one.name for one in api.list_experiments(max_results=2)}
    expect_equal(active, {one.experiment_id: one.name for one in api.search_experiments(max_results=3)}, "searched")
    everything = {one.experiment_id for one in api.list_experiments(view_type=ml.ViewType.ALL)}
    expect(passing in everything and passing not in active, "a deleted experiment is told only when asked for")

    env.backup()
    expect_equal({id: name for name, id in env.listed("experiment").items()}, active, "experiments")
    expect_equal(env.listed("workspace-object").get(found.name), None, "the experiment as an unknown object")
    kept = {tag["key"]: tag["value"] for tag in env.body("experiment", found.name)["tags"]}
    expect_equal(kept, user_tags(found.tags), "tags in the snapshot")
    api.delete_experiment(made)
    with expect_error(NotFound):
        api.get_by_name(found.name)


def check_registered_models_their_tags_and_permissions(env):
    api = env.client.model_registry
    tags = [ml.ModelTag("team", "data"), ml.ModelTag("passing", "x")]
    api.create_model("conformance", description="what it is", tags=tags)
    with expect_error(ResourceAlreadyExists):
        api.create_model("conformance")
    api.set_model_tag("conformance", "team", "ops")
    api.delete_model_tag("conformance", "passing")
    api.update_model("conformance", description="what it is now")
    api.rename_model("conformance", new_name="conformance 2")
    whole = api.get_model("conformance 2").registered_model_databricks
    expect_equal(whole.description, "what it is now", "description")
    level = ml.RegisteredModelPermissionLevel.CAN_MANAGE_STAGING_VERSIONS
    access = ml.RegisteredModelAccessControlRequest(group_name="data-eng", permission_level=level)
    api.update_permissions(whole.id, access_control_list=[access])
    permissions = api.get_permissions(whole.id).access_control_list
    direct = {
        entry.group_name or entry.user_name: one.permission_level.value
        for entry in permissions
        for one in entry.all_permissions
        if not one.inherited
    }
    expect_equal(direct["data-eng"], level.value, "level of the group")
    names = {model.name for model in api.list_models(max_results=1)}
    expect_equal(names, {model.name for model in api.search_models(max_results=2)}, "searched")

    env.backup()
    expect_equal(set(env.listed("registered-model")), names, "models")
    kept = env.body("registered-model", "conformance 2")
    expect_equal(kept["description"], whole.description, "description in the snapshot")
    expect_equal(kept["tags"], [{"key": "team", "value": "ops"}], "tags in the snapshot")
    api.delete_model("conformance 2")
    with expect_error(NotFound):
        api.get_model("conformance 2")


def check_model_versions(env):
    api = env.client.model_registry
    api.create_model("conformance versions")
    make = lambda **more: api.create_model_version("conformance versions", **more).model_version.version  # noqa: E731
    first = make(source="s3://b/1", description="first", tags=[ml.ModelVersionTag("a", "1"), ml.ModelVersionTag("b", "2")])
    second = make(source="s3://b/2", run_id="0" * 32)
    passing = make(source="s3://b/3")
    expect_equal((first, second, passing), ("1", "2", "3"), "numbers")
    api.delete_model_version("conformance versions", passing)
    api.update_model_version("conformance versions", first, description="the first")
    api.set_model_version_tag("conformance versions", first, "a", "changed")
    api.delete_model_version_tag("conformance versions", first, "b")
    api.transition_stage("conformance versions", first, "Staging", False)
    api.transition_stage("conformance versions", second, "Staging", True)
    with expect_error(BadRequest):
        api.delete_model("conformance versions")
    found = {one.version: one for one in api.search_model_versions(filter="name='conformance versions'", max_results=1)}
    expect_equal({version: one.current_stage for version, one in found.items()}, {"1": "Archived", "2": "Staging"}, "stages")
    one = api.get_model_version("conformance versions", "1").model_version
    expect_equal((one.description, [tag.as_dict() for tag in one.tags]), ("the first", [{"key": "a", "value": "changed"}]), "version")

    env.backup()
    kept = {one["version"]: one for one in env.body("registered-model", "conformance versions")["versions"]}
    shown = lambda one: (one.source, one.current_stage, one.description, one.run_id)  # noqa: E731
    fields = ("source", "current_stage", "description", "run_id")
    expect_equal(
        {version: tuple(one.get(field) for field in fields) for version, one in kept.items()},
        {version: shown(one) for version, one in found.items()},
        "versions in the snapshot",
    )
    expect_equal(kept["1"]["tags"], [{"key": "a", "value": "changed"}], "tags of a version in the snapshot")
    api.transition_stage("conformance versions", second, "None", False)
    api.delete_model("conformance versions")


def check_runs_of_experiments(env):
    api = env.client.experiments
    experiment = api.create_experiment("/Shared/conformance runs").experiment_id
    begin = 1_770_000_000_000
    parent = api.create_run(experiment_id=experiment, run_name="all", start_time=begin).run.info.run_id
    tags = [ml.RunTag("mlflow.parentRunId", parent)]
    run = api.create_run(experiment_id=experiment, run_name="one", start_time=begin + 1, tags=tags).run.info.run_id
    metric = lambda value, step: ml.Metric(key="auc", value=value, timestamp=begin + step, step=step)  # noqa: E731
    params = [ml.Param("depth", "3"), ml.Param("note", "größer")]
    api.log_batch(run_id=run, metrics=[metric(0.5, 0), metric(0.75, 1)], params=params, tags=[ml.RunTag("t", "1")])
    with expect_error(InvalidParameterValue):
        api.log_batch(run_id=run, params=[ml.Param("depth", "4")])
    with expect_error(InvalidParameterValue):
        api.log_batch(run_id=run, params=[ml.Param(f"p{number}", "x") for number in range(101)])
    history = list(api.get_history("auc", run_id=run, max_results=1))
    expect_equal([(one.value, one.step) for one in history], [(0.5, 0), (0.75, 1)], "history of a metric, page by page")
    api.set_tag("t", "2", run_id=run)
    dataset = ml.Dataset(name="d", digest="1", source_type="delta", source="{}")
    api.log_inputs(run, datasets=[ml.DatasetInput(dataset=dataset)])
    api.update_run(run_id=run, status=ml.UpdateRunStatus.FINISHED, end_time=begin + 9)
    passing = api.create_run(experiment_id=experiment, start_time=begin + 2).run.info.run_id
    api.delete_run(passing)
    with expect_error(NotFound):
        api.get_run("0" * 32)
    found = list(api.search_runs(experiment_ids=[experiment], max_results=1))
    expect_equal([one.info.run_id for one in found], [run, parent], "runs, the newest first")
    later = api.search_runs(experiment_ids=[experiment], filter=f"attributes.start_time >= {begin + 1}")
    expect_equal([one.info.run_id for one in later], [run], "runs of a window")
    one = api.get_run(run).run
    expect_equal([value.as_dict() for value in one.data.metrics], [metric(0.75, 1).as_dict()], "last values")
    expect_equal((one.info.status.value, one.info.end_time, one.info.run_name), ("FINISHED", begin + 9, "one"), "info")

    # The experiment of a notebook comes to be with its first run.
    notebook = str(env.client.workspace.get_status("/Shared/etl/02 clean").object_id)
    with expect_error(NotFound):
        api.get_experiment(notebook)
    api.create_run(experiment_id=notebook, start_time=begin)
    kind = next(tag.value for tag in api.get_experiment(notebook).experiment.tags if tag.key == "mlflow.experimentType")
    expect_equal(kind, "NOTEBOOK", "type of the experiment")

    env.backup()
    expect_equal(env.listed("run"), {}, "runs that nobody asked for")
    env.dbsnap("backup", "--quiet", "--runs-since", "all", codes=(0, 3))
    kept = {id: name for name, id in env.listed("run").items()}
    expect(kept[run].startswith("/Shared/conformance runs/2026-02-02T02:40:00.001Z "), "name of the run")
    expect(passing not in kept, "no deleted run is in the snapshot")
    body = env.body("run", kept[run])
    expect_equal(body["metrics"], [metric(0.75, 1).as_dict()], "metrics in the snapshot")
    expect_equal(body["params"], [param.as_dict() for param in params], "parameters in the snapshot")
    expect_equal((body["parent_run_id"], body["status"], body["end_time"]), (parent, "FINISHED", begin + 9), "run in the snapshot")
    expect_equal(body["tags"], [{"key": "t", "value": "2"}], "tags in the snapshot")
    env.dbsnap("backup", "--quiet", "--runs-since", "all", "--metric-history", codes=(0, 3))
    lines = env.dbsnap("cat", "latest", f"run/{kept[run]}").decode().splitlines()
    expect_equal([json.loads(line) for line in lines], [metric(0.5, 0).as_dict(), metric(0.75, 1).as_dict()], "history in the snapshot")
    api.delete_experiment(experiment)


def check_files_of_runs_by_the_client_of_mlflow_itself(env):
    os.environ |= {"DATABRICKS_HOST": env.host, "DATABRICKS_TOKEN": TOKEN}
    client = MlflowClient("databricks")
    contents = {"model/MLmodel": b"flavors: {}\n", "plots/Größe 100% #1.bin": os.urandom(3_000_000), "empty": b""}
    # To folders of the DBFS the client writes by a path that is no part of the API: the SDK does it by the API.
    in_dbfs = lambda run, path: f"{client.get_run(run).info.artifact_uri}/{path}"  # noqa: E731

    def log(name, run, path, content):
        file = env.folder / posixpath.basename(path)
        file.write_bytes(content)
        if name == "kept":
            client.log_artifact(run, str(file), posixpath.dirname(path) or None)
        else:
            env.client.dbfs.upload(in_dbfs(run, path), io.BytesIO(content))

    def read(name, run, path):
        if name == "kept":
            return pathlib.Path(client.download_artifacts(run, path, str(env.folder))).read_bytes()
        return env.client.dbfs.download(in_dbfs(run, path)).read()

    runs = {}
    for name, location in (("kept", None), ("in the dbfs", "dbfs:/conformance/files")):
        experiment = client.create_experiment(f"/Shared/conformance files {name}", artifact_location=location)
        runs[name] = client.create_run(experiment, start_time=1_771_000_000_000).info.run_id
        for path, content in contents.items():
            log(name, runs[name], path, content)
    run = runs["kept"]
    listed = {file.path: (file.is_dir, file.file_size) for file in client.list_artifacts(run)}
    expect_equal(listed, {"model": (True, None), "plots": (True, None), "empty": (False, 0)}, "files of a run")
    inside = {file.path: file.file_size for file in env.client.experiments.list_artifacts(run_id=run, path="plots")}
    expect_equal(inside, {"plots/Größe 100% #1.bin": 3_000_000}, "files of a folder, as the SDK lists them")
    with expect_error(PermissionDenied):
        list(env.client.dbfs.list(client.get_run(run).info.artifact_uri))

    env.dbsnap("backup", "--quiet", "--runs-since", "2026-02-13", "--artifacts", codes=(0, 3))
    kept = env.listed("run-artifact")
    for run in runs.values():
        for path, content in contents.items():
            name = next(name for name, id in kept.items() if id == f"{run}/{path}")
            expect_equal(env.dbsnap("cat", "latest", f"run-artifact/{name}"), content, f"{path} in the snapshot")
    # What the client logs and dbsnap restores, the client downloads.
    for run in runs.values():
        client.delete_run(run)
    names = [part for name in runs for part in ("--path", f"/Shared/conformance files {name}")]
    env.dbsnap("restore", "latest", "--yes", "--kind", "runs,run-artifacts", *names)
    for name in runs:
        experiment = client.get_experiment_by_name(f"/Shared/conformance files {name}").experiment_id
        [restored] = client.search_runs([experiment])
        for path, content in contents.items():
            expect_equal(read(name, restored.info.run_id, path), content, f"{path} of the restored run")
        client.delete_experiment(experiment)
