#!/usr/bin/env python3
"""Tracking as its user meets it: every point arrives once, whatever the server does, and the run never waits for it.

    track_test.py PROGRAM

Against the server of mlflow_server.py, which keeps a point twice when it is sent twice. The real MLflow is met in
tests/interop/mlflow_test.py.
"""
import collections
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import toy
from mlflow_server import Mlflow

PROGRAM = None
TOKEN = "planted-token-7c1f0e5a94"
RECIPE = """
model: base/model
data: talk.jsonl
output: runs/{name}
lora: {{r: 4, lora_dropout: 0.1}}
train: {{num_train_epochs: {epochs}, max_length: 64, gradient_accumulation_steps: 1, per_device_train_batch_size: 1,
        learning_rate: 0.01, packing: false}}
save: {{save_steps: 5}}
eval: {{eval_steps: 10}}
track: {{mlflow: "{url}", experiment: talk, {more}}}
"""


def expected_points(run):
    """{(key, step): value} of all numbers in metrics.jsonl."""
    return {(key, line["step"]): value for line in toy.json_lines(Path(run) / "metrics.jsonl")
            for key, value in line.items() if key != "step"}


class Track(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder.name)
        toy.make_base(PROGRAM)

    def server(self, **options):
        server = Mlflow(**options)
        self.addCleanup(server.stop)
        return server

    def recipe(self, name, url, epochs=2, more=""):
        Path(f"{name}.yaml").write_text(RECIPE.format(name=name, url=url, epochs=epochs, more=more))
        return f"{name}.yaml"

    def the_run(self, server):
        self.assertEqual(len(server.runs), 1, "one run, however often it was begun")
        return next(iter(server.runs.values()))

    def check_points(self, server, run):
        sent = collections.Counter((m["key"], m["step"]) for m in self.the_run(server)["metrics"] if not m["key"].startswith("system/"))
        self.assertEqual([point for point, count in sent.items() if count > 1], [], "points that arrived twice")
        expected = expected_points(run)
        self.assertEqual(sorted(sent), sorted(expected), "points that are missing or were never measured")
        return {(m["key"], m["step"]): m["value"] for m in self.the_run(server)["metrics"]}, expected

    # ---- a server that does its work

    def test_a_run_with_all_that_belongs_to_it(self):
        server = self.server()
        parent = "0123456789abcdef0123456789abcdef"
        recipe = self.recipe("pete", server.url + "/", more=f'run_name: "Pete, first", parent_run: {parent}')
        output, _ = toy.attune(PROGRAM, "train", recipe)
        self.assertRegex(output, rf"track     MLflow at {server.url}/?: all \d+ records have arrived\n")
        sent, expected = self.check_points(server, "runs/pete")
        for point, value in expected.items():
            self.assertEqual(sent[point], value, point)
        run = self.the_run(server)
        self.assertEqual(server.experiments, {"1": "talk"})
        self.assertEqual(run["info"]["status"], "FINISHED")
        self.assertEqual(run["tags"]["mlflow.runName"], "Pete, first")
        self.assertEqual(run["tags"]["mlflow.parentRunId"], parent)
        self.assertEqual(run["params"]["lora.r"], "4")
        self.assertEqual(run["params"]["data"], "[talk.jsonl]")
        self.assertEqual(run["inputs"][0]["dataset"]["name"], "talk.jsonl")
        self.assertEqual(run["inputs"][0]["tags"], [{"key": "mlflow.data.context", "value": "training"}])
        self.assertTrue(any(m["key"] == "system/system_memory_usage_percentage" for m in run["metrics"]))
        identity = run["info"]["run_id"]
        for name in ("recipe.yaml", "run.json", "metrics.jsonl", "report.html"):
            self.assertEqual(server.files[f"1/{identity}/artifacts/{name}"], Path("runs/pete", name).read_bytes())
        (model_id, model), = server.models.items()
        self.assertEqual((model["info"]["status"], model["runs"]), ("LOGGED_MODEL_READY", [identity]))
        uploaded = server.files[f"1/models/{model_id}/artifacts/adapter_model.safetensors"]
        self.assertEqual(uploaded, Path("runs/pete/adapter/adapter_model.safetensors").read_bytes())
        self.assertIn(f'run_id: "{identity}"', server.files[f"1/models/{model_id}/artifacts/MLmodel"].decode())
        self.assertEqual(server.refusals, [item for item in server.refusals if item[1] == 404])

        # An evaluation joins the run, its numbers only and each once, at the last step.
        toy.attune(PROGRAM, "eval", "runs/pete", "--only", "held-out", "--only", "style", "--limit", 4, "--max-tokens", 8)
        toy.attune(PROGRAM, "sync", "runs/pete")
        told = {m["key"]: (m["step"], m["value"]) for m in run["metrics"] if m["key"].startswith("eval/")}
        evaluation = json.loads(Path("runs/pete/eval.json").read_text())
        steps = json.loads(Path("runs/pete/run.json").read_text())["steps"]
        for voice in ("base", "tuned"):
            self.assertEqual(told[f"eval/held_out/{voice}/loss"], (steps, evaluation["held_out"][voice]["loss"]))
        self.assertEqual(len(told), sum(m["key"].startswith("eval/") for m in run["metrics"]))
        self.assertEqual(told.pop("eval/verdict/good"), (steps, float(evaluation["verdict"]["good"])))
        self.assertFalse([key for key in told if not key.startswith(("eval/held_out/", "eval/style/", "eval/personal_data/"))])

        # Again: nothing is left to say.
        before = len(server.requests)
        toy.attune(PROGRAM, "sync", "runs/pete")
        self.assertEqual(len(server.requests), before)

    # ---- a server that does not

    def test_faults_through_the_whole_run(self):
        server = self.server()
        moods = random.Random(5)
        healthy = []
        current = {"mood": None, "until": 0}

        def fault(n, method, path):
            if healthy:
                return None
            if time.monotonic() > current["until"]:
                current["mood"] = moods.choice(["refuse", "503", "hang", "cut", "lose", None, None])
                current["until"] = time.monotonic() + 0.3
            return current["mood"]

        server.fault = fault
        output, _ = toy.attune(PROGRAM, "train", self.recipe("storm", server.url, epochs=6))
        healthy.append(True)
        toy.attune(PROGRAM, "sync", "runs/storm")
        self.check_points(server, "runs/storm")
        self.assertEqual(self.the_run(server)["info"]["status"], "FINISHED")
        self.assertEqual(len(server.models), 1)

    def test_every_answer_is_lost(self):
        # Whatever is sent is done, and the sender never knows: the hardest case for "once".
        server = self.server()
        server.fault = lambda n, method, path: "lose" if method == "POST" and n % 2 == 1 else None
        toy.attune(PROGRAM, "train", self.recipe("lost", server.url))
        server.fault = lambda n, method, path: "lose" if method == "POST" and n % 3 == 1 else None
        toy.attune(PROGRAM, "sync", "runs/lost")
        self.check_points(server, "runs/lost")
        self.assertEqual(len(server.models), 1)

    def test_nobody_is_there_until_days_later(self):
        server = self.server()
        url, port = server.url, server.port
        server.stop()
        output, _ = toy.attune(PROGRAM, "train", self.recipe("alone", url))
        self.assertRegex(output, r"track     MLflow at .*: (\d+) of \1 records wait in runs/alone/spool; deliver them with: "
                                 r"attune sync runs/alone\n")
        error = toy.attune(PROGRAM, "sync", "runs/alone", "--patience", "1", status=2)[1]
        self.assertRegex(error.strip().splitlines()[-1], r"^attune: \[runs/alone\] \d+ records were not delivered to MLflow at .*; "
                                                         r"run it again when that is back$")
        server = self.server(port=port)
        toy.attune(PROGRAM, "sync", "runs/alone")
        self.check_points(server, "runs/alone")
        toy.attune(PROGRAM, "sync", "runs/alone")
        self.check_points(server, "runs/alone")

    # ---- a run that is killed

    def test_killed_and_resumed_into_the_same_run(self):
        server = self.server()
        server.fault = lambda n, method, path: "lose" if n % 5 == 2 else None
        recipe, moments, kills = self.recipe("killed", server.url, epochs=12), random.Random(11), 0
        while True:
            arguments = ["--resume", "runs/killed"] if Path("runs/killed").exists() else [recipe]
            process = subprocess.Popen([PROGRAM, "train", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            try:
                process.wait(timeout=moments.uniform(0.3, 1.5) if kills < 5 else 120)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                process.stderr.close()
                kills += 1
                continue
            message = process.stderr.read().decode()
            process.stderr.close()
            self.assertEqual(process.returncode, 0, message)
            break
        self.assertGreater(kills, 0)
        server.fault = lambda n, method, path: None
        toy.attune(PROGRAM, "sync", "runs/killed")
        self.check_points(server, "runs/killed")
        self.assertEqual(self.the_run(server)["info"]["status"], "FINISHED")

    def test_a_killed_run_shows_as_such(self):
        server = self.server()
        process = subprocess.Popen([PROGRAM, "train", self.recipe("gone", server.url, epochs=5000)],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not Path("runs/gone/metrics.jsonl").exists() or not server.runs or not self.the_run(server)["metrics"]:
            self.assertIsNone(process.poll(), "the run ended before it could be killed")
            time.sleep(0.05)
        listed = json.loads(toy.attune(PROGRAM, "runs", "--json")[0])
        self.assertEqual([(run["name"], run["status"]) for run in listed], [("gone", "running")])
        error = toy.attune(PROGRAM, "train", "--resume", "runs/gone", status=2)[1]
        self.assertEqual(error, f"attune: [runs/gone] process {process.pid} is training this run; wait for it or stop it\n")
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.assertEqual(json.loads(toy.attune(PROGRAM, "runs", "--json")[0])[0]["status"], "killed")
        toy.attune(PROGRAM, "sync", "runs/gone")
        self.assertEqual(self.the_run(server)["info"]["status"], "KILLED")

    # ---- secrets

    def test_tokens_are_seen_by_the_server_only(self):
        # The server repeats what it was sent in its refusal, as some proxies do.
        os.environ["MLFLOW_TRACKING_TOKEN"] = TOKEN
        self.addCleanup(os.environ.pop, "MLFLOW_TRACKING_TOKEN")
        strict = self.server(authorization="Bearer another")
        said = "".join(toy.attune(PROGRAM, "train", self.recipe("refused", strict.url)))
        said += "".join(toy.attune(PROGRAM, "sync", "runs/refused", "--patience", "1", status=2))
        self.assertIn("UNAUTHENTICATED", said)
        good = self.server(authorization=f"Bearer {TOKEN}")
        said += "".join(toy.attune(PROGRAM, "train", self.recipe("taken", good.url)))
        self.check_points(good, "runs/taken")
        said += toy.attune(PROGRAM, "train", self.recipe("url", f"http://me:{TOKEN}@127.0.0.1:1"), status=2)[1].replace(TOKEN, "", 0)
        self.assertNotIn(TOKEN, said)
        for path in Path(".").rglob("*"):
            if path.is_file() and path.name != "url.yaml":   # the one that we planted
                self.assertNotIn(TOKEN.encode(), path.read_bytes(), path)
        self.assertFalse(any(TOKEN in item[1] for item in strict.requests + good.requests), "a token in an address")

    # ---- the list of runs

    def test_runs_side_by_side(self):
        for name, rank in (("small", 2), ("large", 4)):
            Path(f"{name}.yaml").write_text(f"model: base/model\ndata: talk.jsonl\nlora: {{r: {rank}}}\n"
                                            "train: {max_steps: 2, max_length: 64}\n")
            toy.attune(PROGRAM, "train", f"{name}.yaml")
        table = toy.attune(PROGRAM, "runs")[0].splitlines()
        self.assertRegex(table[0], r"^run +status +started +steps +loss +held-out +trained +memory +tokens/s +SOL +time$")
        self.assertRegex(table[1], r"^large +finished ")
        listed = json.loads(toy.attune(PROGRAM, "runs", "--json")[0])
        info = json.loads(Path("runs/small/run.json").read_text())
        small = next(run for run in listed if run["name"] == "small")
        self.assertEqual(small["trained_parameters"], info["parameters"]["trained"])
        self.assertEqual(small["eval_loss_after"], info["eval_loss"]["after"])
        self.assertEqual(small["seconds"], info["seconds"])
        both = json.loads(toy.attune(PROGRAM, "runs", "small", "large", "--json")[0])
        self.assertEqual(both["differing"], {"lora.r": ["2", "4"]})
        text = toy.attune(PROGRAM, "runs", "small", "large")[0]
        self.assertRegex(text, r"(?m)^lora.r +2 +4$")
        self.assertRegex(text, r"(?m)^held-out loss +\d\.\d{4} +\d\.\d{4}$")
        self.assertEqual(toy.attune(PROGRAM, "runs", "smal", status=2)[1],
                         'attune: [smal] is not a run in runs; did you mean small?\n')
        # As docs/TRACKING.md shows it; and the file is a copy of what the folders say.
        store = sqlite3.connect("runs/runs.sqlite")
        self.assertEqual(store.execute("SELECT name, status FROM runs ORDER BY name").fetchall(), [("large", "finished"), ("small", "finished")])
        self.assertEqual(store.execute("SELECT step, value FROM metrics WHERE run = 'small' AND key = 'loss' ORDER BY step").fetchall(),
                         [(line["step"], line["loss"]) for line in toy.json_lines("runs/small/metrics.jsonl") if "loss" in line])
        store.close()
        Path("runs/runs.sqlite").unlink()
        self.assertEqual(json.loads(toy.attune(PROGRAM, "runs", "--json")[0]), listed)


if __name__ == "__main__":
    PROGRAM = str(Path(sys.argv[1]).resolve())
    unittest.main(argv=sys.argv[:1] + sys.argv[2:], verbosity=2)
