"""A workspace that consists of one real Spark: both ways to run SQL, and the little that a client asks besides.

Usage: adapter.py FOLDER. Prints the port it listens on; ends when its input ends.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlparse

from pyspark.sql import SparkSession
from ways import PROFILES, Clusters, Refusal, Warehouse

WAREHOUSE = {"id": "475b94ddc7cd5211", "name": "spark", "state": "RUNNING"}
ME = {"id": "1", "userName": "root@example.com", "displayName": "root", "groups": [{"display": "admins"}]}
VERSION = {"key": "3.5.x-scala2.12", "name": "3.5 LTS (Apache Spark 3.5.3, Scala 2.12)"}
MACHINE = {"node_type_id": "local", "memory_mb": 8192, "num_cores": 2.0, "num_gpus": 0}
# It lives for a minute or two: code that is compiled with more care does not pay within that.
JAVA = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData"


def session(folder):
    builder = SparkSession.builder.master("local[1]").enableHiveSupport()
    for key, value in {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.sql.warehouse.dir": f"{folder}/warehouse",
        "spark.sql.shuffle.partitions": "1",
        "spark.hadoop.javax.jdo.option.ConnectionURL": "jdbc:derby:memory:metastore;create=true",
        "spark.driver.extraJavaOptions": f"-Dderby.system.home={folder}/derby {JAVA}",
    }.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    return spark


class Workspace:
    """Everything that is answered, by method and path."""

    def __init__(self, spark):
        self.warehouse, self.clusters = Warehouse(spark), Clusters(spark)

    def answer(self, method, path, said):
        """`said` is the body of a request, or its query."""
        name = path.split("/", 3)[-1]
        if name.startswith("preview/scim/"):
            return self.people(path)
        if name.startswith("sql/"):
            return self.sql(method, name, said)
        if name.startswith("clusters/"):
            return self.of_clusters(name, said)
        if name == "instance-profiles/list":
            return {"instance_profiles": [{"instance_profile_arn": arn} for arn in PROFILES]}
        return self.of_contexts(name, said)

    def people(self, path):
        if path.endswith("/Me"):
            return ME
        found = [ME] if path.endswith("/Users") else []
        return {"totalResults": len(found), "Resources": found}

    def sql(self, method, name, said):
        match name.split("/"):
            case ["sql", "warehouses"]:
                return {"warehouses": [WAREHOUSE]}
            case ["sql", "statements"] if method == "POST":
                return self.warehouse.begin(said)
            case ["sql", "statements", number]:
                return self.warehouse.look(number)
            case ["sql", "statements", number, "result", "chunks", index]:
                return self.warehouse.chunk(number, int(index))

    def of_clusters(self, name, said):
        number = said.get("cluster_id")
        match name.removeprefix("clusters/"):
            case "list":
                return {"clusters": list(self.clusters.clusters.values())}
            case "get":
                return self.clusters.get(number)
            case "start":
                return self.clusters.start(number)
            case "delete":
                return self.clusters.stop(number)
            case "create":
                return self.clusters.create(said)
            case "permanent-delete":
                return self.clusters.remove(number)
            case "spark-versions":
                return {"versions": [VERSION]}
            case "list-node-types":
                return {"node_types": [MACHINE]}

    def of_contexts(self, name, said):
        cluster, number = said.get("clusterId"), said.get("contextId")
        match name:
            case "contexts/create":
                return self.clusters.open(cluster)
            case "contexts/status":
                self.clusters.context(cluster, number)
                return {"id": number, "status": "Running"}
            case "contexts/destroy":
                return self.clusters.destroy(cluster, number)
            case "commands/execute":
                return self.clusters.context(cluster, number).begin(said["command"])
            case "commands/status":
                return self.clusters.context(cluster, number).commands[said["commandId"]]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer in two pieces would wait for the client's acknowledgement of the first.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self):
        self.reply()

    def do_POST(self):
        self.reply()

    def reply(self):
        url = urlparse(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        said = json.loads(body) if body else dict(parse_qsl(url.query))
        status = 200
        try:
            answer = self.server.workspace.answer(self.command, url.path, said)
            if answer is None:
                raise Refusal(404, "ENDPOINT_NOT_FOUND", f"no {self.command} {url.path}")
        except Refusal as refusal:
            status, answer = refusal.status, {"error_code": refusal.code, "message": str(refusal)}
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def main():
    spark = session(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.workspace = Workspace(spark)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()
    java = spark.sparkContext._gateway.proc
    spark.stop()
    # It ends when its input does, and nothing of it is left behind.
    java.stdin.close()
    java.wait()


if __name__ == "__main__":
    main()
