"""The workspace tree, and Git folders in it."""

import base64
import io

from databricks.sdk.errors import DatabricksError, NotFound
from databricks.sdk.service import workspace

from expect import expect, expect_equal, expect_error


def check_workspace_tree(env):
    tree = env.client.workspace
    folder = "/Shared/conformance/ünï codé & more/empty"
    tree.mkdirs(folder)
    expect_equal(tree.get_status(f"/Workspace{folder}").path, folder, "a folder by its other name")
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
    with expect_error(NotFound):
        tree.get_status("/Shared/conformance")


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
    expect_equal({repo.path for repo in repos.list()}, listed, "Git folders after deleting the new one")
    credentials = env.client.git_credentials
    credential = credentials.create(git_provider="gitLab", git_username="me", personal_access_token="glpat-example")
    credentials.update(credential.credential_id, git_provider="gitLab", git_username="other")
    expect_equal(credentials.get(credential.credential_id).git_username, "other", "git user after update")
    expect(credential.credential_id in {item.credential_id for item in credentials.list()}, "listed credentials")
    credentials.delete(credential.credential_id)
    listed = {item.credential_id for item in credentials.list()}
    expect(credential.credential_id not in listed, "a deleted credential is gone")
