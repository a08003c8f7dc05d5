"""A server that answers as MLflow's REST API and Databricks do, refuses what they refuse, and fails on demand.

Python's standard library only, so that the tests of tracking run everywhere; tests/interop/mlflow_test.py holds the same
program to the real `mlflow server`. It is stricter than that one where it matters here: metrics are appended as they
come, so that a point sent twice is there twice.
"""
import json
import re
import threading
import time
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = re.compile(r"^[\w\-./ ]{1,250}$")
API = "/api/2.0/mlflow/"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts/"


class Refused(Exception):
    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code = status, code


def invalid(message):
    return Refused(400, "INVALID_PARAMETER_VALUE", message)


def check_key(key):
    if not KEY.match(key) or key.startswith("/") or ".." in key.split("/") or "//" in key:
        raise invalid(f"invalid name {key!r}")


class Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # a client that was killed, or a connection that we cut


class Mlflow:
    """A server on a port of its own. `fault(n, method, path)` of the n-th request may return one of

    "refuse"   the connection is closed before anything is read
    "503"      answered so, without doing anything
    "hang"     no answer until the fault is lifted, nothing is done
    "cut"      done, and the connection is closed in the middle of the answer
    "lose"     done, and nothing is answered
    None       answered
    """

    def __init__(self, port=0, authorization=None, databricks=False, token_client=None):
        self.authorization, self.databricks, self.token_client = authorization, databricks, token_client
        self.experiments, self.runs, self.models, self.files = {}, {}, {}, {}
        self.folders = {"/", "/Users", "/Users/me@example.com", "/Shared"}
        self.fault, self.requests, self.refusals, self.tokens = (lambda n, method, path: None), [], [], []
        self.lock = threading.RLock()
        self.stopped = threading.Event()
        self.storage = Storage(self) if databricks else None
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                owner.handle(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

            def log_message(self, *arguments):
                pass

        self.server = Quiet(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.stopped.set()
        self.server.shutdown()
        self.server.server_close()
        if self.storage:
            self.storage.stop()

    # ---- one request

    def handle(self, http):
        with self.lock:
            self.requests.append((http.command, http.path))
            fault = self.fault(len(self.requests), http.command, http.path)
        if fault == "refuse":
            http.close_connection = True
            return
        body = http.rfile.read(int(http.headers.get("Content-Length", 0)))
        while fault == "hang" and not self.stopped.is_set() and self.fault(0, http.command, http.path) == "hang":
            time.sleep(0.05)
        if fault in ("503", "hang"):
            return self.answer(http, 503, {"error_code": "TEMPORARILY_UNAVAILABLE", "message": "down"})
        try:
            status, result = 200, self.act(http, body)
        except Refused as refused:
            status, result = refused.status, {"error_code": refused.code, "message": str(refused)}
            self.refusals.append((http.path, refused.status, str(refused)))
        if fault == "lose":
            http.close_connection = True
            return
        self.answer(http, status, result, cut=fault == "cut")

    def answer(self, http, status, result, cut=False):
        data = result if isinstance(result, bytes) else json.dumps(result).encode()
        try:
            http.send_response(status)
            http.send_header("Content-Length", str(len(data) + (100 if cut else 0)))
            http.end_headers()
            http.wfile.write(data)
            if cut:
                http.close_connection = True
        except OSError:
            pass

    def act(self, http, body):
        url = urllib.parse.urlsplit(http.path)
        query = {k: v[0] for k, v in urllib.parse.parse_qs(url.query).items()}
        if url.path == "/oidc/.well-known/oauth-authorization-server":
            return {"token_endpoint": self.url + "/oidc/v1/token"}
        if url.path == "/oidc/v1/token":
            return self.give_token(http, body)
        sent = http.headers.get("Authorization")
        if (self.authorization or self.token_client) and sent not in self.accepted():
            raise Refused(401, "UNAUTHENTICATED", f"Credential was not sent or was of an unsupported type: {sent}")
        if url.path.startswith(ARTIFACTS) and http.command == "PUT":
            with self.lock:
                self.files[urllib.parse.unquote(url.path[len(ARTIFACTS):])] = body
            return {}
        if url.path == "/api/2.0/workspace/mkdirs":
            self.folders.add(json.loads(body)["path"])
            return {}
        if not url.path.startswith(API):
            raise Refused(404, "ENDPOINT_NOT_FOUND", f"no such call: {url.path}")
        call = url.path[len(API):]
        fields = query if http.command == "GET" else json.loads(body, parse_constant=self.not_json)
        name = re.sub(r"\W", "_", call.split("/m-")[0]) + ("" if http.command != "PATCH" else "_patch")
        method = getattr(self, "call_" + name, None)
        if method is None:
            raise Refused(404, "ENDPOINT_NOT_FOUND", f"no such call: {call}")
        if call == "runs/log-batch" and len(body) > 1_000_000:
            raise invalid("batched logging API requests must be at most 1000000 bytes")
        with self.lock:
            return method(fields)

    @staticmethod
    def not_json(text):
        raise invalid(f"{text} is not JSON")

    def accepted(self):
        return [self.authorization] + [f"Bearer {token}" for token in self.tokens[-1:]]

    def give_token(self, http, body):
        import base64
        expected = "Basic " + base64.b64encode(":".join(self.token_client).encode()).decode()
        if http.headers.get("Authorization") != expected:
            raise Refused(401, "UNAUTHENTICATED", "invalid_client")
        if urllib.parse.parse_qs(body.decode()) != {"grant_type": ["client_credentials"], "scope": ["all-apis"]}:
            raise Refused(400, "BAD_REQUEST", "unsupported grant")
        self.tokens.append(f"oauth-token-{len(self.tokens)}-" + "s" * 20)
        return {"access_token": self.tokens[-1], "token_type": "Bearer", "expires_in": 3600}

    # ---- experiments and runs

    def call_experiments_get_by_name(self, fields):
        for identity, name in self.experiments.items():
            if name == fields["experiment_name"]:
                return {"experiment": {"experiment_id": identity, "name": name, "lifecycle_stage": "active"}}
        raise Refused(404, "RESOURCE_DOES_NOT_EXIST", "Could not find experiment")

    def call_experiments_create(self, fields):
        name = fields["name"]
        if name in self.experiments.values():
            raise Refused(400, "RESOURCE_ALREADY_EXISTS", f"Experiment '{name}' already exists.")
        if self.databricks:
            if not name.startswith("/"):
                raise invalid(f"Got an invalid experiment name '{name}'. An experiment name must be an absolute path")
            if name.rpartition("/")[0] not in self.folders:
                raise Refused(404, "RESOURCE_DOES_NOT_EXIST", "Parent directory does not exist")
        identity = str(len(self.experiments) + 1)
        self.experiments[identity] = name
        return {"experiment_id": identity}

    def call_runs_create(self, fields):
        identity = uuid.uuid4().hex
        root = f"dbfs:/databricks/mlflow-tracking/{fields['experiment_id']}" if self.databricks else "mlflow-artifacts:/1"
        self.runs[identity] = {
            "info": {"run_id": identity, "run_uuid": identity, "experiment_id": fields["experiment_id"], "status": "RUNNING",
                     "run_name": fields["run_name"], "start_time": fields["start_time"], "lifecycle_stage": "active",
                     "artifact_uri": f"{root}/{identity}/artifacts"},
            "tags": {tag["key"]: tag["value"] for tag in fields["tags"]}, "params": {}, "metrics": [], "inputs": []}
        return self.call_runs_get({"run_id": identity})

    def run(self, fields):
        run = self.runs.get(fields.get("run_id") or fields.get("run_uuid"))
        if run is None:
            raise Refused(404, "RESOURCE_DOES_NOT_EXIST", "Run not found")
        return run

    def call_runs_get(self, fields):
        run = self.run(fields)
        pairs = lambda items: [{"key": key, "value": value} for key, value in items.items()]
        return {"run": {"info": run["info"], "data": {"params": pairs(run["params"]), "tags": pairs(run["tags"])}}}

    def call_runs_search(self, fields):
        key, value = re.fullmatch(r"tags\.`([^`]+)` = '(\w+)'", fields["filter"]).groups()
        found = [identity for identity, run in self.runs.items() if run["tags"].get(key) == value]
        return {"runs": [self.call_runs_get({"run_id": identity})["run"] for identity in found]} if found else {}

    def call_runs_update(self, fields):
        self.run(fields)["info"].update({key: fields[key] for key in ("status", "end_time") if key in fields})
        return {"run_info": self.run(fields)["info"]}

    def call_runs_log_batch(self, fields):
        run = self.run(fields)
        metrics, params, tags = fields["metrics"], fields["params"], fields["tags"]
        if len(metrics) > 1000 or len(params) > 100 or len(tags) > 100 or len(metrics) + len(params) + len(tags) > 1000:
            raise invalid("a batch logging request can contain at most 1000 metrics, 100 params and 100 tags")
        for item in metrics + params + tags:
            check_key(item["key"])
        for param in params:
            if len(param["value"]) > 6000:
                raise invalid("param value too long")
            if run["params"].get(param["key"], param["value"]) != param["value"]:
                raise invalid(f"Changing param values is not allowed. Param with key='{param['key']}' was already logged")
        if len({param["key"] for param in params}) != len(params):
            raise invalid("Duplicate parameter keys have been submitted")
        for tag in tags:
            if len(tag["value"]) > 5000:
                raise invalid("tag value too long")
        for metric in metrics:
            if not isinstance(metric["value"], (int, float)):
                raise invalid("NaN is not stored")
        run["params"].update({param["key"]: param["value"] for param in params})
        run["tags"].update({tag["key"]: tag["value"] for tag in tags})
        run["metrics"] += metrics
        return {}

    def call_metrics_get_history(self, fields):
        found = [metric for metric in self.run(fields)["metrics"] if metric["key"] == fields["metric_key"]]
        begin, count = int(fields.get("page_token", 0)), min(int(fields["max_results"]), 50)
        # Whole numbers as texts, as protocol buffers' JSON may have them.
        page = [dict(metric, timestamp=str(metric["timestamp"])) for metric in found[begin:begin + count]]
        more = {"next_page_token": str(begin + count)} if begin + count < len(found) else {}
        return dict({"metrics": page}, **more)

    def call_runs_log_inputs(self, fields):
        for item in fields["datasets"]:
            if len(item["dataset"]["digest"]) > 36 or len(item["dataset"]["name"]) > 500:
                raise invalid("dataset name or digest too long")
            if item not in self.run(fields)["inputs"]:
                self.run(fields)["inputs"].append(item)
        return {}

    def call_runs_log_model(self, fields):
        run = self.run(fields)
        history = json.loads(run["tags"].get("mlflow.log-model.history", "[]"))
        run["tags"]["mlflow.log-model.history"] = json.dumps(history + [json.loads(fields["model_json"])])
        return {}

    # ---- models

    def call_logged_models(self, fields):
        if self.databricks:
            raise Refused(404, "ENDPOINT_NOT_FOUND", "not here")
        identity = "m-" + uuid.uuid4().hex
        self.models[identity] = {
            "info": {"model_id": identity, "name": fields["name"], "status": "LOGGED_MODEL_PENDING",
                     "artifact_uri": f"mlflow-artifacts:/1/models/{identity}/artifacts"},
            "tags": {tag["key"]: tag["value"] for tag in fields["tags"]}, "runs": []}
        return {"model": {"info": self.models[identity]["info"]}}

    def call_logged_models_search(self, fields):
        key, value = re.fullmatch(r"tags\.`([^`]+)` = '(\w+)'", fields["filter"]).groups()
        found = [{"info": model["info"]} for model in self.models.values() if model["tags"].get(key) == value]
        return {"models": found} if found else {}

    def call_logged_models_patch(self, fields):
        self.models[fields["model_id"]]["info"]["status"] = fields["status"]
        return {"model": {"info": self.models[fields["model_id"]]["info"]}}

    def call_runs_outputs(self, fields):
        for model in fields["models"]:
            if fields["run_id"] in self.models[model["model_id"]]["runs"]:
                raise Refused(400, "BAD_REQUEST", "UNIQUE constraint failed")
            self.models[model["model_id"]]["runs"].append(fields["run_id"])
        return {}

    # ---- Databricks' artifacts

    def call_artifacts_credentials_for_write(self, fields):
        self.run(fields)
        begin, paths = int(fields.get("page_token", 0)), fields["path"]
        if len(paths) > 2000:
            raise invalid("at most 2000 paths")
        infos = [self.storage.credential(fields["run_id"], path) for path in paths[begin:begin + 2]]
        more = {"next_page_token": str(begin + 2)} if begin + 2 < len(paths) else {}
        return dict({"credential_infos": infos}, **more)


class Storage:
    """A cloud's storage on another port: takes presigned requests, and refuses any that carries an Authorization."""

    kind = "AWS_PRESIGNED_URL"

    def __init__(self, owner):
        self.owner, self.blocks, self.leaked = owner, {}, []
        storage = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status = storage.put(self, body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_PUT = do_PATCH = handle_any

            def log_message(self, *arguments):
                pass

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def credential(self, run, path):
        return {"path": path, "run_id": run, "type": self.kind, "headers": [{"name": "x-needed", "value": "yes"}],
                "signed_uri": f"{self.url}/{run}/{urllib.parse.quote(path)}?signature=secret-signature"}

    def put(self, http, body):
        url = urllib.parse.urlsplit(http.path)
        query = {k: v[0] for k, v in urllib.parse.parse_qs(url.query).items()}
        name = urllib.parse.unquote(url.path[1:])
        if "Authorization" in http.headers:
            self.leaked.append(http.path)
            return 400
        if query.get("signature") != "secret-signature" or http.headers.get("x-needed") != "yes":
            return 403
        files = self.owner.files
        if self.kind == "AZURE_SAS_URI":
            if query.get("comp") == "block":
                self.blocks.setdefault(name, {})[query["blockid"]] = body
            elif query.get("comp") == "blocklist":
                ids = re.findall("<Latest>([^<]+)</Latest>", body.decode())
                files[name] = b"".join(self.blocks.get(name, {})[identity] for identity in ids)
            else:
                return 400
        elif self.kind == "AZURE_ADLS_GEN2_SAS_URI":
            if query.get("resource") == "file" and http.command == "PUT":
                self.blocks[name] = b""
            elif query.get("action") == "append" and int(query["position"]) == len(self.blocks[name]):
                self.blocks[name] += body
            elif query.get("action") == "flush" and int(query["position"]) == len(self.blocks[name]):
                files[name] = self.blocks[name]
            else:
                return 400
        else:
            files[name] = body
        return 200
