"""Who calls, and how the caller proves it."""

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import DatabricksError

from environment import CLIENT_ID, CLIENT_SECRET
from expect import expect, expect_equal, expect_error


def check_identity_of_the_caller(env):
    me = env.client.current_user.me()
    expect("@" in me.user_name, me)
    expect(any(group.display == "admins" for group in me.groups), "the caller is an administrator")
    expect(env.client.get_workspace_id() > 0, "the workspace id is in a header of the answer")


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
