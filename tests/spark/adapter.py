"""A workspace that consists of one real Spark session: both ways to run SQL, and the little that a client asks besides.

Usage: adapter.py FOLDER. Prints the port it listens on; ends when its input ends.
"""

import contextlib
import io
import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

from pyspark.sql import SparkSession

# Rows of a chunk, and how much of what is printed is shown: small, so that clients have to put pieces together.
CHUNK = 50
MOST_PRINTED = 120_000
WAREHOUSE = {"id": "475b94ddc7cd5211", "name": "spark", "state": "RUNNING"}
CLUSTER = {"cluster_id": "0914-122331-spark001", "cluster_name": "spark", "state": "TERMINATED"}
ME = {"id": "1", "userName": "root@example.com", "displayName": "root"}


def session(folder):
    metastore = "jdbc:derby:memory:metastore;create=true"
    builder = SparkSession.builder.master("local[1]").enableHiveSupport()
    for key, value in {
        "spark.ui.enabled": "false",
        "spark.driver.memory": "1g",
        "spark.sql.warehouse.dir": f"{folder}/warehouse",
        "spark.hadoop.javax.jdo.option.ConnectionURL": metastore,
        "spark.driver.extraJavaOptions": f"-Dderby.system.home={folder}/derby",
    }.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    return spark


def cell(value):
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


class Workspace:
    """Everything that is answered, by method and path."""

    def __init__(self, spark):
        self.spark = spark
        self.lock = threading.Lock()
        self.results = {}
        self.globals = {"spark": spark}

    def statement(self, body):
        with self.lock:
            number = f"01ef-{len(self.results):08d}"
            try:
                self.spark.sql(f"USE `{body.get('schema', 'default')}`")
                frame = self.spark.sql(body["statement"])
                rows = [[cell(value) for value in row] for row in frame.collect()]
                self.results[number] = (frame.columns, rows)
            except Exception as error:  # whatever Spark says, the client is told
                error = {"error_code": "BAD_REQUEST", "message": str(error)}
                self.results[number] = None
                return {"statement_id": number, "status": {"state": "FAILED", "error": error}}
        columns = [{"name": name, "position": at} for at, name in enumerate(frame.columns)]
        manifest = {"format": "JSON_ARRAY", "schema": {"columns": columns}, "total_row_count": len(rows)}
        status = {"state": "SUCCEEDED"}
        return {"statement_id": number, "status": status, "manifest": manifest, "result": self.chunk(number, 0)}

    def chunk(self, number, index):
        _, rows = self.results[number]
        result = {"chunk_index": index, "data_array": rows[index * CHUNK : (index + 1) * CHUNK]}
        if (index + 1) * CHUNK < len(rows):
            result["next_chunk_index"] = index + 1
        return result

    def command(self, body):
        printed = io.StringIO()
        with self.lock:
            number = str(len(self.results))
            try:
                with contextlib.redirect_stdout(printed):
                    exec(body["command"], self.globals)
                result = {"resultType": "text", "data": printed.getvalue()[:MOST_PRINTED]}
            except Exception as error:
                result = {"resultType": "error", "summary": str(error), "cause": str(error)}
            self.results[number] = result
        return {"id": number}

    def answer(self, method, path, query, body):
        if path.endswith("/Me"):
            return ME
        if "/scim/" in path:
            found = [ME] if path.endswith("/Users") else []
            return {"totalResults": len(found), "Resources": found}
        if path == "/api/2.0/sql/warehouses":
            return {"warehouses": [WAREHOUSE]}
        if path == "/api/2.0/sql/statements":
            return self.statement(body)
        if match := re.fullmatch(r"/api/2.0/sql/statements/(.+)/result/chunks/(\d+)", path):
            return self.chunk(match[1], int(match[2]))
        if path.endswith("/clusters/list"):
            return {"clusters": [CLUSTER]}
        if path.endswith("/clusters/get"):
            return CLUSTER
        if path.endswith("/clusters/start"):
            CLUSTER["state"] = "RUNNING"
            return {}
        if path.endswith("/clusters/delete"):
            CLUSTER["state"] = "TERMINATED"
            return {}
        if path == "/api/1.2/contexts/create":
            return {"id": "1"}
        if path == "/api/1.2/contexts/status":
            return {"id": "1", "status": "Running"}
        if path == "/api/1.2/contexts/destroy":
            return {"id": "1"}
        if path == "/api/1.2/commands/execute":
            return self.command(body)
        if path == "/api/1.2/commands/status":
            return {"id": query["commandId"][0], "status": "Finished", "results": self.results[query["commandId"][0]]}
        return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.reply()

    def do_POST(self):
        self.reply()

    def reply(self):
        url = urlparse(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or b"{}")
        answer = self.server.workspace.answer(self.command, url.path, parse_qs(url.query), body)
        status = 200
        if answer is None:
            status, answer = 404, {"error_code": "ENDPOINT_NOT_FOUND", "message": f"no {self.command} {url.path}"}
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
    spark.stop()


if __name__ == "__main__":
    main()
