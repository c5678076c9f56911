"""The two ways to run SQL, before a real Spark: statements of a warehouse, and execution contexts of clusters."""

import itertools
import queue
import threading
from concurrent.futures import ThreadPoolExecutor, wait

# Rows of a chunk, and how much of what is printed is shown: small, so that clients have to put pieces together.
CHUNK = 50
MOST_PRINTED = 120_000
# How long an answer is waited for before the client has to ask again.
PATIENCE = 0.3
# What the rights of an instance profile do not reach, by words of the statement.
REFUSED = {"arn:aws:iam::123456789012:instance-profile/etl": "`few`.`locked`"}
PROFILES = [*REFUSED, "arn:aws:iam::123456789012:instance-profile/finance"]


class Refusal(Exception):
    """What a client is told, with the status of the answer."""

    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code = status, code


def cell(value):
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


class Warehouse:
    """Statements, several at once; a session for each database in which names may be meant."""

    def __init__(self, spark):
        self.spark, self.sessions, self.lock = spark, {}, threading.Lock()
        self.workers = ThreadPoolExecutor(4)
        self.numbers, self.statements = itertools.count(), {}

    def begin(self, body):
        number = f"01ef-{next(self.numbers):08d}"
        run = self.workers.submit(self.run, body["statement"], body.get("schema", "default"))
        self.statements[number] = run
        wait([run], timeout=PATIENCE)
        return self.look(number)

    def run(self, statement, schema):
        frame = self.session(schema).sql(statement)
        return frame.columns, [[cell(value) for value in row] for row in frame.collect()]

    def session(self, schema):
        with self.lock:
            if schema not in self.sessions:
                session = self.spark.newSession()
                session.sql("USE `" + schema.replace("`", "``") + "`")
                self.sessions[schema] = session
            return self.sessions[schema]

    def look(self, number):
        run = self.statements[number]
        if not run.done():
            return {"statement_id": number, "status": {"state": "RUNNING"}}
        if error := run.exception():  # whatever Spark says, the client is told
            told = {"error_code": "BAD_REQUEST", "message": str(error)}
            return {"statement_id": number, "status": {"state": "FAILED", "error": told}}
        names, rows = run.result()
        columns = [{"name": name, "position": at} for at, name in enumerate(names)]
        manifest = {"format": "JSON_ARRAY", "schema": {"columns": columns}, "total_row_count": len(rows)}
        status = {"state": "SUCCEEDED"}
        return {"statement_id": number, "status": status, "manifest": manifest, "result": self.chunk(number, 0)}

    def chunk(self, number, index):
        _, rows = self.statements[number].result()
        result = {"chunk_index": index, "data_array": rows[index * CHUNK : (index + 1) * CHUNK]}
        if (index + 1) * CHUNK < len(rows):
            result["next_chunk_index"] = index + 1
        return result


class Rights:
    """A session with the rights of an instance profile."""

    def __init__(self, session, profile):
        self.session, self.profile = session, profile

    def sql(self, statement):
        words = REFUSED.get(self.profile)
        if words and words in statement:
            raise PermissionError(f"Access Denied: {self.profile} may not read {words}")
        return self.session.sql(statement)


class Context:
    """Python that is run one command at a time, in a session of its own."""

    def __init__(self, session):
        self.commands, self.waiting = {}, queue.SimpleQueue()
        self.globals = {"spark": session, "print": self.print}
        threading.Thread(target=self.work, daemon=True).start()

    def print(self, text):
        self.printed += f"{text}\n"

    def begin(self, command):
        number = str(len(self.commands) + 1)
        self.commands[number] = {"id": number, "status": "Queued", "results": None}
        self.waiting.put((number, command))
        return {"id": number}

    def work(self):
        while (waiting := self.waiting.get()) is not None:
            number, command = waiting
            self.printed = ""
            try:
                exec(command, self.globals)
                results = {"resultType": "text", "data": self.printed[:MOST_PRINTED]}
            except Exception as error:
                results = {"resultType": "error", "summary": str(error), "cause": str(error)}
            self.commands[number] = {"id": number, "status": "Finished", "results": results}

    def close(self):
        self.waiting.put(None)


class Clusters:
    """One cluster that somebody has, which does not run, and those that are made."""

    def __init__(self, spark):
        self.spark, self.contexts, self.numbers = spark, {}, itertools.count(1)
        mine = {"cluster_id": "0914-122331-spark001", "cluster_name": "spark", "state": "TERMINATED"}
        self.clusters = {mine["cluster_id"]: mine}

    def get(self, number):
        if number not in self.clusters:
            raise Refusal(400, "INVALID_PARAMETER_VALUE", f"Cluster {number} does not exist")
        cluster = self.clusters[number]
        # It takes a look or two until it runs.
        shown = dict(cluster)
        if cluster["state"] == "PENDING":
            cluster["state"] = "RUNNING"
        return shown

    def create(self, spec):
        if spec.get("data_security_mode") == "LEGACY_TABLE_ACL":
            raise Refusal(400, "INVALID_PARAMETER_VALUE", "there are no table ACLs here")
        number = f"1128-122331-made{next(self.numbers):04d}"
        self.clusters[number] = {**spec, "cluster_id": number, "state": "PENDING"}
        return {"cluster_id": number}

    def start(self, number):
        self.clusters[number]["state"] = "PENDING"
        return {}

    def stop(self, number):
        self.clusters[number]["state"] = "TERMINATED"
        self.contexts = {key: context for key, context in self.contexts.items() if key[0] != number}
        return {}

    def remove(self, number):
        self.stop(number)
        del self.clusters[number]
        return {}

    def open(self, cluster):
        if self.clusters.get(cluster, {}).get("state") != "RUNNING":
            raise Refusal(500, "INTERNAL_ERROR", f"ClusterNotReadyException: {cluster}")
        number = str(next(self.numbers))
        profile = self.clusters[cluster].get("aws_attributes", {}).get("instance_profile_arn")
        self.contexts[cluster, number] = Context(Rights(self.spark.newSession(), profile))
        return {"id": number}

    def context(self, cluster, number):
        if (cluster, number) not in self.contexts:
            raise Refusal(500, "INTERNAL_ERROR", f"ContextNotFound: {number}")
        return self.contexts[cluster, number]

    def destroy(self, cluster, number):
        self.context(cluster, number).close()
        del self.contexts[cluster, number]
        return {"id": number}
