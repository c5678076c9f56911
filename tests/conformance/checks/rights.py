"""Permissions."""

import base64
import io
import json

from databricks.sdk.errors import DatabricksError
from databricks.sdk.service import iam, jobs, settings, workspace

from expect import expect, expect_equal, expect_error


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


def check_permissions_of_every_type(env):
    client, level = env.client, iam.PermissionLevel
    env.client.workspace.mkdirs("/Shared/typed")
    source = base64.b64encode(b"1").decode()
    sql = {"format": workspace.ImportFormat.SOURCE, "language": workspace.Language.SQL}
    client.workspace.import_("/Shared/typed/notebook", content=source, **sql)
    client.workspace.upload("/Shared/typed/file", io.BytesIO(b"x"), format=workspace.ImportFormat.RAW)
    at = lambda path: client.workspace.get_status(path).object_id  # noqa: E731
    repo = client.repos.create(url="https://github.com/example/typed.git", provider="gitHub", path="/Shared/typed/git")
    policy = client.cluster_policies.create(name="typed policy", definition="{}")
    pool = client.instance_pools.create(instance_pool_name="typed pool", node_type_id="i3.xlarge")
    cluster = client.clusters.create(
        cluster_name="typed cluster", spark_version="15.4.x-scala2.12", node_type_id="i3.xlarge", num_workers=1
    )
    job = client.jobs.create(name="typed job")
    group = client.groups.create(display_name="typed group")
    types = (
        ("notebooks", at("/Shared/typed/notebook"), level.CAN_EDIT, "/Shared/typed/notebook"),
        ("directories", at("/Shared/typed"), level.CAN_RUN, "/Shared/typed"),
        ("files", at("/Shared/typed/file"), level.CAN_READ, "/Shared/typed/file"),
        ("repos", repo.id, level.CAN_MANAGE, "git-folder//Shared/typed/git"),
        ("cluster-policies", policy.policy_id, level.CAN_USE, "cluster-policy/typed policy"),
        ("instance-pools", pool.instance_pool_id, level.CAN_ATTACH_TO, "instance-pool/typed pool"),
        ("clusters", cluster.cluster_id, level.CAN_RESTART, "cluster/typed cluster"),
        ("jobs", job.job_id, level.CAN_MANAGE_RUN, "job/typed job"),
    )
    for kind, id, wanted, _ in types:
        known = client.permissions.get_permission_levels(kind, str(id)).permission_levels
        expect(wanted in {item.permission_level for item in known}, f"{wanted} is a level of {kind}")
        entry = iam.AccessControlRequest(group_name="typed group", permission_level=wanted)
        client.permissions.update(kind, str(id), access_control_list=[entry])
        answer = client.permissions.get(kind, str(id)).access_control_list
        granted = next(acl for acl in answer if acl.group_name == "typed group").all_permissions
        direct = [grant.permission_level for grant in granted if not grant.inherited]
        expect_equal(direct, [wanted], f"what the group may do with {kind}")
    env.backup()
    for kind, _, wanted, name in types:
        kept = json.loads(env.dbsnap("cat", "latest", name, "--permissions"))
        expect_equal(kept.get("group:typed group"), wanted.value, f"what the group may do with {kind} in the snapshot")

    # Who may use tokens is one list for the workspace, in which the administrators must stay.
    use = settings.TokenAccessControlRequest("typed group", settings.TokenPermissionLevel.CAN_USE)
    client.token_management.update_permissions(access_control_list=[use])
    before = client.permissions.get("authorization", "tokens").access_control_list
    users = lambda: {acl.group_name for acl in client.token_management.get_permissions().access_control_list}  # noqa: E731
    expect_equal(users(), {acl.group_name for acl in before} | {"typed group"}, "who may use tokens")
    admins = iam.AccessControlRequest(group_name="admins", permission_level=level.CAN_MANAGE)
    client.permissions.set("authorization", "tokens", access_control_list=[admins])
    expect_equal(users(), {"admins"}, "who may use tokens after a replacement")
    with expect_error(DatabricksError, "admins"):
        client.permissions.set("authorization", "tokens", access_control_list=[])
    without_owner = [jobs.JobAccessControlRequest("typed group", jobs.JobPermissionLevel.CAN_VIEW)]
    with expect_error(DatabricksError, "exactly one owner"):
        client.jobs.set_permissions(str(job.job_id), access_control_list=without_owner)
    client.groups.delete(group.id)
    client.jobs.delete(job.job_id)
    client.clusters.permanent_delete(cluster.cluster_id)
    client.workspace.delete("/Shared/typed", recursive=True)
