"""Secret scopes."""

import base64

from databricks.sdk.errors import BadRequest, NotFound, ResourceAlreadyExists
from databricks.sdk.service import workspace

from expect import expect, expect_equal, expect_error


def check_secret_scopes_their_keys_and_their_access_lists(env):
    api, level = env.client.secrets, workspace.AclPermission
    me = env.client.current_user.me().user_name
    api.create_scope("conformance")
    with expect_error(ResourceAlreadyExists):
        api.create_scope("conformance")
    api.put_secret("conformance", "text", string_value="pässword")
    api.put_secret("conformance", "bytes", bytes_value=base64.b64encode(b"\xff\x00").decode())
    api.put_secret("conformance", "passing", string_value="x")
    api.delete_secret("conformance", "passing")
    with expect_error(NotFound):
        api.get_secret("conformance", "passing")
    value = lambda key: base64.b64decode(api.get_secret("conformance", key).value)  # noqa: E731
    expect_equal((value("text"), value("bytes")), ("pässword".encode(), b"\xff\x00"), "values")
    keys = {secret.key: secret.last_updated_timestamp for secret in api.list_secrets("conformance")}
    expect_equal(set(keys), {"text", "bytes"}, "keys")

    api.put_acl("conformance", "users", level.READ)
    api.put_acl("conformance", "data-eng", level.WRITE)
    expect_equal(api.get_acl("conformance", "data-eng").permission, level.WRITE, "level of the group")
    api.delete_acl("conformance", "data-eng")
    with expect_error(NotFound):
        api.put_acl("conformance", "nobody@example.com", level.READ)
    acls = {acl.principal: acl.permission for acl in api.list_acls("conformance")}
    expect_equal(acls, {me: level.MANAGE, "users": level.READ}, "access list")

    env.backup()
    expect_equal(set(env.listed("secret-scope")), {scope.name for scope in api.list_scopes()}, "scopes")
    kept = env.body("secret-scope", "conformance")
    expect_equal({key["key"]: key["last_updated_timestamp"] for key in kept["keys"]}, keys, "keys in the snapshot")
    kept = {acl["principal"]: level(acl["permission"]) for acl in kept["acls"]}
    expect_equal(kept, acls, "access list in the snapshot")
    api.delete_scope("conformance")
    with expect_error(NotFound):
        list(api.list_secrets("conformance"))


def check_secret_scopes_of_a_vault_and_for_everybody(env):
    api = env.client.secrets
    vault = workspace.AzureKeyVaultSecretScopeMetadata(resource_id="/v/1", dns_name="https://v.example.com/")
    kind = workspace.ScopeBackendType.AZURE_KEYVAULT
    api.create_scope("conformance-vault", scope_backend_type=kind, backend_azure_keyvault=vault)
    listed = next(scope for scope in api.list_scopes() if scope.name == "conformance-vault")
    expect_equal((listed.backend_type, listed.keyvault_metadata), (kind, vault), "scope of a vault")
    with expect_error(BadRequest):
        api.put_secret("conformance-vault", "k", string_value="v")
    api.create_scope("conformance-all", initial_manage_principal="users")
    acls = {acl.principal: acl.permission.value for acl in api.list_acls("conformance-all")}
    expect_equal(acls, {"users": "MANAGE"}, "who manages a scope for everybody")

    env.backup()
    kept = env.body("secret-scope", "conformance-vault")
    expect_equal(kept["keyvault_metadata"], vault.as_dict(), "vault in the snapshot")
    expect("value" not in str(kept), "no value is in a body")
    for name in ("conformance-vault", "conformance-all"):
        api.delete_scope(name)
