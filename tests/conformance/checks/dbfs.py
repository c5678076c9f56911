"""Files of the DBFS."""

import base64
import io

from databricks.sdk.errors import DatabricksError, InvalidParameterValue, NotFound, ResourceAlreadyExists

from expect import expect, expect_equal, expect_error

LONG = bytes(range(251)) * 10_000


def check_files_of_the_dbfs_written_and_read_in_blocks(env):
    api = env.client.dbfs
    api.mkdirs("/conformance/empty")
    api.upload("/conformance/long.bin", io.BytesIO(LONG))
    expect_equal(api.download("/conformance/long.bin").read(), LONG, "what is read back")
    api.put("/conformance/short.txt", contents=base64.b64encode(b"short").decode())
    with expect_error(ResourceAlreadyExists):
        api.put("/conformance/short.txt", contents="")
    with expect_error(DatabricksError):
        api.put("/conformance/long.txt", contents=base64.b64encode(b"x" * (1_048_577)).decode())
    with expect_error(DatabricksError):
        api.read("/conformance/long.bin", length=1_048_577)
    with expect_error(InvalidParameterValue):
        api.read("/conformance/long.bin", offset=-1)
    with expect_error(NotFound):
        api.get_status("/conformance/none")
    listed = {info.path: info for info in api.list("/conformance")}
    expect_equal(set(listed), {f"/conformance/{name}" for name in ("empty", "long.bin", "short.txt")}, "listed")
    expect(listed["/conformance/empty"].is_dir, "a folder is one")
    expect_equal(api.get_status("/conformance/long.bin"), listed["/conformance/long.bin"], "status")

    env.backup("--dbfs", "/conformance")
    ours = {name for name in env.listed("dbfs-file")}
    expect_equal(
        ours,
        {"dbfs:/conformance/empty", "dbfs:/conformance/long.bin", "dbfs:/conformance/short.txt"},
        "files and empty folders in the snapshot",
    )
    kept = env.dbsnap("cat", "latest", "dbfs:/conformance/long.bin")
    expect(kept == LONG, "the snapshot has other bytes than were written")
    api.move_("/conformance/short.txt", "/conformance/empty") if hasattr(api, "move_") else env.client.api_client.do(
        "POST",
        "/api/2.0/dbfs/move",
        body={"source_path": "/conformance/short.txt", "destination_path": "/conformance/empty"},
    )
    expect_equal(api.read("/conformance/empty/short.txt").bytes_read, 5, "what was moved")
    with expect_error(DatabricksError):
        api._api.do("POST", "/api/2.0/dbfs/delete", body={"path": "/conformance"})

    api.delete("/conformance", recursive=True)
    env.dbsnap("restore", "latest", "--yes", "--dbfs", "/conformance", "--on-conflict", "overwrite")
    expect_equal(api.download("/conformance/long.bin").read(), LONG, "what a restore brings back")
    api.delete("/conformance", recursive=True)
