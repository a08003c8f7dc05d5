#!/usr/bin/env python3
"""Tokens are seen by the servers they are for and by nobody else: every one that attune reads is planted, the commands that
use them work, fail and crash, and then everything that was said and every file that was left is searched.

    secrets_test.py PROGRAM
"""
import base64
import os
import re
import resource
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request
from pathlib import Path

import toy
from mlflow_server import Mlflow

sys.path.append(str(Path(__file__).resolve().parents[1] / "interop"))
from hub_server import HubServer  # noqa: E402

PROGRAM = None
HUB, WRONG = "hf_" + secrets.token_hex(17), "hf_" + secrets.token_hex(17)
PASSWORD, BEARER, DAPI, CLIENT, KEY, PROXY = (f"planted-{secrets.token_hex(12)}" for _ in range(6))
BASIC = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
PLANTED = [HUB, WRONG, PASSWORD, BEARER, DAPI, CLIENT, KEY, PROXY, BASIC]
RECIPE = """
model: base/model
data: talk.jsonl
output: runs/{name}
lora: {{r: 4}}
train: {{max_steps: {steps}, max_length: 64, gradient_accumulation_steps: 1}}
eval: {{eval_steps: 4}}
save: {{save_steps: 8}}
track: {{mlflow: "{mlflow}", experiment: /Shared/talk, tensorboard: true}}
hub: {{repo: me/{name}}}
"""


class Secrets(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder.name)
        for name in [name for name in os.environ if name.startswith(("HF_", "MLFLOW_", "DATABRICKS_"))]:
            del os.environ[name]
        toy.make_base(PROGRAM)
        self.hub = HubServer()
        self.hub.echo_tokens = True
        self.hub.add_user(HUB, "me")
        self.hub.__enter__()
        self.addCleanup(self.hub.__exit__)
        self.said = []

    def server(self, **options):
        server = Mlflow(**options)
        self.addCleanup(server.stop)
        return server

    def environment(self, **more):
        return {**os.environ, "HF_ENDPOINT": self.hub.url, "HF_TOKEN": HUB, "HF_HOME": "hf-home", "NO_PROXY": "127.0.0.1",
                "MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": PASSWORD, "MLFLOW_TRACKING_TOKEN": BEARER,
                "DATABRICKS_TOKEN": DAPI, "ATTUNE_API_KEY": KEY, "OPENAI_API_KEY": KEY,
                "HTTP_PROXY": f"http://me:{PROXY}@127.0.0.1:9", "http_proxy": f"http://me:{PROXY}@127.0.0.1:9"} | more

    def attune(self, *arguments, status=0, **environment):
        done = subprocess.run([PROGRAM, *map(str, arguments)], env=self.environment(**environment), capture_output=True,
                              stdin=subprocess.DEVNULL, text=True, timeout=toy.SECONDS)
        self.said.append(done.stdout + done.stderr)
        self.assertEqual(done.returncode, status, self.said[-1])
        return done.stdout

    def recipe(self, name, mlflow, steps=8):
        Path(f"{name}.yaml").write_text(RECIPE.format(name=name, mlflow=mlflow, steps=steps))
        return f"{name}.yaml"

    def crash(self, name, mlflow, number):
        """A run that dies of a signal in the middle, as of a fault of its own; what its live page shows is looked at, too."""
        process = subprocess.Popen([PROGRAM, "train", self.recipe(name, mlflow, 100_000), "--open"], env=self.environment(),
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))
        begun = ""
        while not Path(f"runs/{name}/checkpoints").exists() or "watch" not in begun:
            self.assertIsNone(process.poll(), begun)
            begun += process.stdout.readline() if "watch" not in begun else ""
            time.sleep(0.02)
        with urllib.request.urlopen(re.search(r"http://127\.0\.0\.1:\d+/", begun)[0]) as page:
            self.said.append(page.read().decode())
        self.said.append(Path(f"/proc/{process.pid}/cmdline").read_text())
        process.send_signal(number)
        self.said.append(begun + process.communicate(timeout=60)[0])
        self.assertEqual(process.returncode, -number)

    def test_planted_tokens_are_nowhere(self):
        basic = self.server(authorization=f"Basic {BASIC}")
        bearer = self.server(authorization="Bearer another")
        bricks = self.server(databricks=True, token_client=("client", CLIENT))
        none = {"MLFLOW_TRACKING_USERNAME": "", "MLFLOW_TRACKING_PASSWORD": ""}

        # What works: tracking with each kind of credential, pushing while training and by hand, pulling.
        self.attune("train", self.recipe("good", basic.url))
        self.assertEqual(len(basic.runs), 1)
        oauth = {"DATABRICKS_HOST": bricks.url, "DATABRICKS_TOKEN": "", "DATABRICKS_CLIENT_ID": "client", "DATABRICKS_CLIENT_SECRET": CLIENT}
        self.attune("train", self.recipe("bricks", "databricks"), **oauth)
        self.assertEqual(len(bricks.runs), 1)
        self.attune("push", "runs/good/adapter", "me/again", "--yes")
        self.attune("pull", "me/again")
        self.attune("report", "runs/good")
        self.attune("runs")

        # What does not: servers that repeat what they were sent, a proxy that is away.
        self.attune("train", self.recipe("refused", bearer.url), "--set", "hub.strategy=end", HF_TOKEN=WRONG, **none)
        self.attune("sync", "runs/refused", "--patience", "1", status=2, HF_TOKEN=WRONG, **none)
        self.attune("push", "runs/good/adapter", "me/wrong", "--yes", status=2, HF_TOKEN=WRONG)
        self.attune("pull", "me/wrong", status=2, HF_TOKEN=WRONG)
        self.attune("synth", "text.txt", "-o", "made", "--endpoint", "http://api.invalid/v1", "--model", "any", "--retries", 0, status=2)

        # What dies.
        self.crash("crash", basic.url, signal.SIGABRT)

        for text in self.said:
            for token in PLANTED:
                self.assertNotIn(token, text)
        files = [path for path in Path(".").rglob("*") if path.is_file()]
        self.assertGreater(len(files), 100)
        for path in files:
            data = path.read_bytes()
            for token in PLANTED:
                self.assertNotIn(token.encode(), data, path)
        self.assertEqual(self.hub.leaks, [])
        self.assertEqual(bricks.storage.leaked, [])
        asked = basic.requests + bearer.requests + bricks.requests + [entry[:2] for entry in self.hub.log]
        self.assertFalse([address for _, address in asked for token in PLANTED if token in address], "a token in an address")


if __name__ == "__main__":
    PROGRAM = str(Path(sys.argv[1]).resolve())
    unittest.main(argv=sys.argv[:1] + sys.argv[2:], verbosity=2)
