#!/usr/bin/env python3
"""attune against the real MLflow: its server, its database, its folder of files.

    mlflow_test.py PROGRAM

Runs in .venv-mlflow (tests/requirements-mlflow.txt), which `./dev test --full` makes.
"""
import collections
import http.client
import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
import toy  # noqa: E402

os.environ.update(MLFLOW_ALLOW_FILE_STORE="true", MLFLOW_DISABLE_TELEMETRY="true", MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false")
try:
    import mlflow
    from mlflow.models import Model
except ImportError as missing:
    print(f"SKIP: {missing}; ./dev test --full makes .venv-mlflow from tests/requirements-mlflow.txt")
    sys.exit(77)

PROGRAM = None
SECONDS_TO_START = 240
RECIPE = """
model: base/model
data: talk.jsonl
output: runs/{name}
lora: {{r: 4}}
train: {{max_steps: {steps}, max_length: 64, gradient_accumulation_steps: 1}}
eval: {{eval_steps: 4}}
track: {{mlflow: "{mlflow}", experiment: talk, run_name: "{name}, first" {more}}}
"""


def free_port():
    import socket
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """`mlflow server` on a store."""

    def __init__(self, store):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = open(f"server-{self.port}.log", "w")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store, "--artifacts-destination", "artifacts",
             "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"],
            stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True)
        for _ in range(SECONDS_TO_START):
            try:
                with urllib.request.urlopen(self.url + "/health", timeout=1):
                    return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(1)
        self.stop()
        raise AssertionError("mlflow server did not start:\n" + Path(self.log.name).read_text()[-3000:])

    def stop(self):
        self.log.close()
        try:
            os.killpg(self.process.pid, 15)
            self.process.wait(20)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(self.process.pid, 9)
            self.process.wait()


class LosingProxy:
    """Hands requests on and keeps every third answer to a POST for itself."""

    def __init__(self, port):
        proxy, self.posts, self.faithful = self, 0, False

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
                upstream.request(self.command, self.path, body, headers)
                answer = upstream.getresponse()
                data = answer.read()
                upstream.close()
                proxy.posts += self.command == "POST"
                if self.command == "POST" and proxy.posts % 3 == 2 and not proxy.faithful:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_PATCH = handle_any

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Mlflow(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.before = os.getcwd()
        os.chdir(cls.folder.name)
        toy.make_base(PROGRAM)

    @classmethod
    def tearDownClass(cls):
        os.chdir(cls.before)
        cls.folder.cleanup()

    def train(self, name, place, more="", steps=10):
        Path(f"{name}.yaml").write_text(RECIPE.format(name=name, mlflow=place, more=more, steps=steps))
        return toy.attune(PROGRAM, "train", f"{name}.yaml")[0]

    def check_run(self, client, name):
        """What MLflow's own client reads is what the run measured; the run."""
        experiment = client.get_experiment_by_name("talk")
        run, = [run for run in client.search_runs([experiment.experiment_id]) if run.info.run_name == f"{name}, first"]
        self.assertEqual(run.info.status, "FINISHED")
        for key, value in (("train.learning_rate", "0.0002"), ("lora.r", "4"), ("data", "[talk.jsonl]"), ("model", "base/model")):
            self.assertEqual(run.data.params[key], value)
        for key, value in (("mlflow.source.type", "LOCAL"), ("mlflow.source.name", "attune train")):
            self.assertEqual(run.data.tags[key], value)
        expected = collections.defaultdict(list)
        for line in toy.json_lines(f"runs/{name}/metrics.jsonl"):
            for key, value in line.items():
                if key != "step":
                    expected[key].append((line["step"], value))
        for key, points in expected.items():
            history = client.get_metric_history(run.info.run_id, key)
            self.assertEqual(sorted((metric.step, metric.value) for metric in history), sorted(points), key)
            self.assertEqual(run.data.metrics[key], points[-1][1], f"latest {key}")
            times = [metric.timestamp for metric in sorted(history, key=lambda metric: metric.step)]
            self.assertEqual(times, sorted(times), f"times of {key}")
            self.assertTrue(run.info.start_time <= times[0] and times[-1] <= run.info.end_time, f"times of {key}")
        for key in ("cpu_utilization_percentage", "disk_usage_percentage", "system_memory_usage_megabytes"):
            self.assertIn("system/" + key, run.data.metrics)
        dataset, = run.inputs.dataset_inputs
        info = json.loads(Path(f"runs/{name}/run.json").read_text())
        self.assertEqual((dataset.dataset.name, dataset.dataset.digest), ("talk.jsonl", info["data_sha256"][:32]))
        self.assertEqual([(tag.key, tag.value) for tag in dataset.tags], [("mlflow.data.context", "training")])
        for file in ("recipe.yaml", "run.json", "report.html"):
            self.assertIn(file, [item.path for item in client.list_artifacts(run.info.run_id)])
            local = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=file, tracking_uri=client.tracking_uri)
            self.assertEqual(Path(local).read_bytes(), Path(f"runs/{name}", file).read_bytes())
        return run

    def check_model(self, client, run):
        """The adapter is a model that MLflow lists, with the run that made it and all its files."""
        model, = client.search_logged_models([run.info.experiment_id], filter_string=f"source_run_id = '{run.info.run_id}'")
        self.assertEqual((model.name, str(model.status)), ("adapter", "READY"))
        self.assertEqual([output.model_id for output in run.outputs.model_outputs], [model.model_id])
        mlflow.set_tracking_uri(client.tracking_uri)
        folder = Path(mlflow.artifacts.download_artifacts(artifact_uri=f"models:/{model.model_id}"))
        self.assertTrue((folder / "adapter_model.safetensors").stat().st_size > 0)
        described = Model.load(str(folder))
        self.assertEqual((described.run_id, described.flavors["attune"]["base_model"]), (run.info.run_id, "base/model"))

    def check_evaluation(self, client, name):
        """The numbers of eval.json, at the run's last step, once."""
        toy.attune(PROGRAM, "eval", f"runs/{name}", "--only", "held-out", "--limit", "4", "--max-tokens", "16")
        for _ in range(2):
            toy.attune(PROGRAM, "sync", f"runs/{name}")
        run = self.check_run(client, name)
        held_out = json.loads(Path(f"runs/{name}/eval.json").read_text())["held_out"]
        steps = json.loads(Path(f"runs/{name}/run.json").read_text())["steps"]
        for voice in ("base", "tuned"):
            history = client.get_metric_history(run.info.run_id, f"eval/held_out/{voice}/loss")
            self.assertEqual([(metric.step, metric.value) for metric in history], [(steps, held_out[voice]["loss"])])

    def check_pages(self, server, run):
        """What MLflow's own pages ask the server for, they get."""
        def get(path):
            with urllib.request.urlopen(server.url + path, timeout=60) as reply:
                return reply.read()
        self.assertIn(b"<title>MLflow</title>", get("/"))
        ajax = "/ajax-api/2.0/mlflow/"
        self.assertIn("talk", [found["name"] for found in json.loads(get(ajax + "experiments/search?max_results=10"))["experiments"]])
        shown = json.loads(get(ajax + f"runs/get?run_id={run.info.run_id}"))["run"]
        self.assertEqual((shown["info"]["run_name"], shown["info"]["status"]), (run.info.run_name, "FINISHED"))
        history = json.loads(get(ajax + f"metrics/get-history?run_id={run.info.run_id}&metric_key=loss"))["metrics"]
        self.assertEqual(len(history), 10)

    def test_database_without_a_server_and_then_with_one(self):
        # The file that attune makes is brought up to date by MLflow when it opens it, and goes on being written.
        place = f"sqlite:///{os.getcwd()}/mlflow.db"
        self.train("first", place)
        server = Server(place)
        self.addCleanup(server.stop)
        client = mlflow.MlflowClient(server.url)
        run = self.check_run(client, "first")
        self.assertIn("mlflow.log-model.history", run.data.tags)
        self.check_pages(server, run)
        self.train("second", place)
        self.check_model(client, self.check_run(client, "second"))
        # The server itself: nested below the first, and every third answer lost.
        proxy = LosingProxy(server.port)
        self.addCleanup(proxy.stop)
        self.train("third", proxy.url, f", parent_run: {run.info.run_id}")
        proxy.faithful = True
        toy.attune(PROGRAM, "sync", "runs/third")
        third = self.check_run(client, "third")
        self.assertEqual(third.data.tags["mlflow.parentRunId"], run.info.run_id)
        children = client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
        self.assertEqual([child.info.run_id for child in children], [third.info.run_id])
        self.check_model(client, third)
        # All of them in the one experiment, which was made once.
        self.assertEqual({found.name for found in client.search_experiments()}, {"talk", "Default"})
        self.assertEqual(len(client.search_runs([run.info.experiment_id])), 3)
        self.check_evaluation(client, "third")
        self.stop_and_go_on(client, server.url)

    def stop_and_go_on(self, client, place):
        """A run that is stopped shows as such, and goes on in the same MLflow run."""
        Path("stopped.yaml").write_text(RECIPE.format(name="stopped", mlflow=place, more="", steps=1000))
        process = subprocess.Popen([PROGRAM, "train", "stopped.yaml"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not Path("runs/stopped/metrics.jsonl").exists() or Path("runs/stopped/metrics.jsonl").stat().st_size < 5000:
            self.assertIsNone(process.poll(), "the run ended before it could be stopped")
            time.sleep(0.1)
        process.terminate()
        self.assertEqual(process.wait(60), 130)
        toy.attune(PROGRAM, "sync", "runs/stopped")
        experiment = client.get_experiment_by_name("talk")
        runs = [run for run in client.search_runs([experiment.experiment_id]) if run.info.run_name == "stopped, first"]
        self.assertEqual([run.info.status for run in runs], ["KILLED"])
        toy.attune(PROGRAM, "train", "--resume", "runs/stopped")
        toy.attune(PROGRAM, "sync", "runs/stopped")
        self.assertEqual(self.check_run(client, "stopped").info.run_id, runs[0].info.run_id)

    def test_folder_without_a_server(self):
        self.train("folder", "mlruns")
        client = mlflow.MlflowClient(f"file://{os.getcwd()}/mlruns")
        self.check_model(client, self.check_run(client, "folder"))
        # MLflow writes into what attune made, and attune into what MLflow made.
        other = client.create_run(client.get_experiment_by_name("talk").experiment_id)
        client.log_metric(other.info.run_id, "loss", 1.0)
        client.create_experiment("made by MLflow, with a name that is long enough to be folded over two lines of YAML text")
        self.train("again", "mlruns")
        self.check_run(client, "again")
        self.assertEqual(len(client.search_experiments()), 3)
        self.check_evaluation(client, "again")
        server = Server("mlruns")
        self.addCleanup(server.stop)
        served = mlflow.MlflowClient(server.url)
        self.check_pages(server, self.check_run(served, "folder"))

    def test_server_on_files_keeps_no_point_twice(self):
        # Unlike its database, MLflow's files keep a point twice when it is sent twice.
        server = Server(f"file://{os.getcwd()}/served")
        self.addCleanup(server.stop)
        proxy = LosingProxy(server.port)
        self.addCleanup(proxy.stop)
        self.train("lossy", proxy.url, steps=40)
        proxy.faithful = True
        toy.attune(PROGRAM, "sync", "runs/lossy")
        client = mlflow.MlflowClient(server.url)
        self.check_model(client, self.check_run(client, "lossy"))


if __name__ == "__main__":
    PROGRAM = str(Path(sys.argv[1]).resolve())
    unittest.main(argv=sys.argv[:1] + sys.argv[2:], verbosity=2)
