"""Who there is: users, groups, service principals."""

from databricks.sdk.errors import DatabricksError, NotFound
from databricks.sdk.service import iam

from expect import expect, expect_equal, expect_error


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
        name=iam.Name(given_name="Con", family_name="Formance"),
        entitlements=[iam.ComplexValue(value="allow-cluster-create")],
    )
    expect_equal(users.get(made.id).name.given_name, "Con", "given name after PUT")
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
    outsider = env.client.users.create(user_name="outsider@example.com")
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
    groups.update(inner.id, display_name="inner group", members=[iam.ComplexValue(value=outsider.id)])
    expect_equal([m.value for m in groups.get(inner.id).members], [outsider.id], "members after replacing the group")
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
        operations=[iam.Patch(op=iam.PatchOp.REPLACE, path="active", value="false")],
        schemas=[iam.PatchSchema.URN_IETF_PARAMS_SCIM_API_MESSAGES_2_0_PATCH_OP],
    )
    expect_equal(principals.get(made.id).active, False, "active after PATCH")
    doomed = principals.create(display_name="doomed robot")
    principals.delete(doomed.id)
    with expect_error(NotFound):
        principals.get(doomed.id)
    principals.update(made.id, application_id=made.application_id, display_name="robot of conformance", active=True)
    expect_equal(principals.get(made.id).active, True, "active after PUT")
    env.backup()
    wanted = {principal.display_name for principal in principals.list()}
    expect_equal(set(env.listed("service-principal")), wanted, "service principals")
    body = env.body("service-principal", "robot of conformance")
    expect_equal(body["applicationId"], made.application_id, "application id in the snapshot")
