"""Permissions."""

import io
import json

from databricks.sdk.errors import DatabricksError
from databricks.sdk.service import iam, workspace

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
