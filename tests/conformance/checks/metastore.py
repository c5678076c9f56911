"""The Hive metastore by SQL statements: warehouses, Statement Execution, execution contexts."""

from databricks.sdk.errors import DatabricksError, NotFound
from databricks.sdk.service import compute, sql

from expect import expect, expect_equal, expect_error

COMMENT = "it's a \\ backslash, ünï"
ESCAPED = COMMENT.replace("\\", "\\\\").replace("'", "\\'")


def run(env, warehouse, statement, schema=None):
    """The rows of a statement, chunk by chunk."""
    execution = env.client.statement_execution
    done = execution.execute_statement(statement, warehouse, schema=schema, wait_timeout="0s")
    states = [done.status.state]
    while done.status.state in (sql.StatementState.PENDING, sql.StatementState.RUNNING):
        done = execution.get_statement(done.statement_id)
        states.append(done.status.state)
    expect_equal(states[0], sql.StatementState.PENDING, "the state when nobody waits")
    if done.status.state != sql.StatementState.SUCCEEDED:
        raise RuntimeError(done.status.error.message)
    rows, chunk = list(done.result.data_array or []), done.result
    while chunk.next_chunk_index is not None:
        chunk = execution.get_statement_result_chunk_n(done.statement_id, chunk.next_chunk_index)
        rows += chunk.data_array
    expect_equal(len(rows), done.manifest.total_row_count, "rows of all chunks")
    return rows


def check_a_metastore_on_a_warehouse(env):
    warehouses = env.client.warehouses
    made = warehouses.create(name="conformance", cluster_size="2X-Small", auto_stop_mins=10).response.id
    expect_equal(warehouses.get(made).state, sql.State.STOPPED, "a new warehouse")
    expect(made in {warehouse.id for warehouse in warehouses.list()}, "it is listed")
    run(env, made, "CREATE DATABASE conformance")
    run(env, made, f"CREATE TABLE t (a INT COMMENT '{ESCAPED}', p INT) USING parquet PARTITIONED BY (p)", "conformance")
    for number in range(250):
        run(env, made, f"ALTER TABLE conformance.t ADD PARTITION (p = {number})")
    run(env, made, "CREATE VIEW v AS SELECT a FROM t", "conformance")
    expect_equal(warehouses.get(made).state, sql.State.RUNNING, "it was started by a statement")
    partitions = run(env, made, "SHOW PARTITIONS conformance.t")
    expect_equal(partitions, [[f"p = {number}"] for number in range(250)], "partitions")
    with expect_error(RuntimeError, "TABLE_OR_VIEW_NOT_FOUND"):
        run(env, made, "DESCRIBE TABLE EXTENDED conformance.nothing")
    execution = env.client.statement_execution
    waiting = execution.execute_statement("SHOW DATABASES", made, wait_timeout="0s").statement_id
    execution.cancel_execution(waiting)
    expect_equal(execution.get_statement(waiting).status.state, sql.StatementState.CANCELED, "a cancelled statement")

    env.dbsnap("backup", "--only", "tables,views", "--warehouse", "conformance", "--database", "conformance")
    table = env.body("table", "conformance.t")
    expect_equal(table["partitions"], 250, "partitions in the snapshot")
    [[shown]] = run(env, made, "SHOW CREATE TABLE conformance.t")
    expect(f"COMMENT '{COMMENT.replace(chr(39), chr(92) + chr(39))}'" in shown, shown)
    expect(f"COMMENT '{ESCAPED}'" in table["definition"], table["definition"])
    expect_equal(env.body("view", "conformance.v")["namespace"], "conformance", "where names in the view are meant")

    warehouses.delete(made)
    with expect_error(NotFound):
        warehouses.get(made)


def check_a_metastore_in_an_execution_context(env):
    clusters, commands = env.client.clusters, env.client.command_execution
    size = {"spark_version": "15.4.x-scala2.12", "node_type_id": "i3.xlarge", "num_workers": 1}
    cluster = clusters.create_and_wait(cluster_name="conformance contexts", **size).cluster_id
    context = commands.create_and_wait(cluster_id=cluster, language=compute.Language.SQL).id
    arguments = {"cluster_id": cluster, "context_id": context, "language": compute.Language.SQL}
    shown = commands.execute_and_wait(command="SHOW DATABASES", **arguments)
    expect_equal(shown.status, compute.CommandStatus.FINISHED, "status of the command")
    expect_equal(shown.results.result_type, compute.ResultType.TABLE, "type of the result")
    expect(["sales"] in shown.results.data, shown.results.data)
    wrong = commands.execute_and_wait(command="SHOW TABLES IN nowhere", **arguments)
    expect_equal(wrong.results.result_type, compute.ResultType.ERROR, "a statement that fails")
    expect("SCHEMA_NOT_FOUND" in wrong.results.cause, wrong.results.cause)
    begun = commands.execute(command="SHOW DATABASES", **arguments).response.id
    commands.cancel(cluster_id=cluster, context_id=context, command_id=begun)
    commands.destroy(cluster, context)
    with expect_error(DatabricksError, "ContextNotFound"):
        commands.context_status(cluster, context)

    clusters.delete_and_wait(cluster)
    env.dbsnap("backup", "--only", "databases", "--cluster-name", cluster)
    by_cluster = env.listed("database")
    env.dbsnap("backup", "--only", "databases", "--warehouse", "Starter Warehouse")
    expect_equal(by_cluster, env.listed("database"), "databases by both ways")
    state = clusters.get(cluster).state
    expect(state in (compute.State.TERMINATING, compute.State.TERMINATED), f"the cluster was left {state}")
    clusters.permanent_delete(cluster)
