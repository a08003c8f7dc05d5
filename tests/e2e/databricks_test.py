#!/usr/bin/env python3
"""Databricks: the workspace and the token from the environment, absolute experiment paths, files through presigned URLs.

    databricks_test.py PROGRAM
"""
import os
import sys
import tempfile
import unittest
from pathlib import Path

import toy
from mlflow_server import Mlflow

PROGRAM = None
SECRET = "planted-client-secret-55d0"
RECIPE = """
model: base/model
data: talk.jsonl
output: runs/{name}
train: {{max_steps: 3, max_length: 64}}
track: {{mlflow: databricks, experiment: {experiment}}}
"""


class Databricks(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder.name)
        toy.make_base(PROGRAM)
        for name in [name for name in os.environ if name.startswith("DATABRICKS_")]:
            del os.environ[name]

    def environment(self, **variables):
        for name, value in variables.items():
            os.environ[name] = value
            self.addCleanup(os.environ.pop, name, None)

    def server(self, **options):
        server = Mlflow(databricks=True, **options)
        self.addCleanup(server.stop)
        return server

    def recipe(self, name, experiment="/Users/me@example.com/talk"):
        Path(f"{name}.yaml").write_text(RECIPE.format(name=name, experiment=experiment))
        return f"{name}.yaml"

    def check_run(self, server, name):
        run, = server.runs.values()
        identity = run["info"]["run_id"]
        self.assertEqual(run["info"]["status"], "FINISHED")
        self.assertTrue(any(metric["key"] == "loss" for metric in run["metrics"]))
        for path in ("recipe.yaml", "adapter/adapter_model.safetensors", "adapter/adapter_config.json"):
            self.assertEqual(server.files[f"{identity}/{path}"], Path(f"runs/{name}", path).read_bytes(), path)
        self.assertIn(f"{identity}/adapter/MLmodel", server.files)
        self.assertIn('"artifact_path": "adapter"', run["tags"]["mlflow.log-model.history"])
        self.assertEqual(server.storage.leaked, [], "our token went to the storage")

    def test_token_and_each_kind_of_storage(self):
        for kind in ("AWS_PRESIGNED_URL", "GCP_SIGNED_URL", "AZURE_SAS_URI", "AZURE_ADLS_GEN2_SAS_URI"):
            with self.subTest(kind):
                server = self.server(authorization="Bearer dapi-planted")
                server.storage.kind = kind
                self.environment(DATABRICKS_HOST=server.url + "/", DATABRICKS_TOKEN="dapi-planted\n")
                toy.attune(PROGRAM, "train", self.recipe(kind.lower()))
                self.check_run(server, kind.lower())

    def test_oauth_for_machines_and_a_token_that_expires(self):
        server = self.server(token_client=("client-id", SECRET))
        self.environment(DATABRICKS_HOST=server.url, DATABRICKS_CLIENT_ID="client-id", DATABRICKS_CLIENT_SECRET=SECRET)
        # The token is taken back in the middle of the run: another one is asked for.
        server.fault = lambda n, method, path: server.tokens.append("taken back") if n == 6 else None
        said = "".join(toy.attune(PROGRAM, "train", self.recipe("machine")))
        self.check_run(server, "machine")
        self.assertGreaterEqual(len([token for token in server.tokens if token != "taken back"]), 2)
        self.assertNotIn(SECRET, said)
        for path in Path(".").rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                self.assertFalse(SECRET.encode() in content or b"oauth-token-" in content or b"secret-signature" in content, path)

    def test_the_folder_of_the_experiment_is_made(self):
        server = self.server(authorization="Bearer t0ken")
        self.environment(DATABRICKS_HOST=server.url, DATABRICKS_TOKEN="t0ken")
        toy.attune(PROGRAM, "train", self.recipe("deep", "/Shared/chat/talk"))
        self.assertEqual(list(server.experiments.values()), ["/Shared/chat/talk"])
        self.check_run(server, "deep")

    def test_what_is_missing_is_said_before_anything_is_loaded(self):
        def refused(message, experiment="/Shared/talk"):
            self.assertEqual(toy.attune(PROGRAM, "train", self.recipe("bad", experiment), status=2)[1], f"attune: {message}\n")
            self.assertFalse(Path("runs/bad").exists())
        refused("[track.mlflow] databricks: expected the workspace in DATABRICKS_HOST, got nothing; e.g. "
                "https://adb-123.4.azuredatabricks.net")
        self.environment(DATABRICKS_HOST="http://127.0.0.1:1")
        refused("[track.mlflow] databricks: expected DATABRICKS_TOKEN, or DATABRICKS_CLIENT_ID and "
                "DATABRICKS_CLIENT_SECRET, in the environment; got neither")
        self.environment(DATABRICKS_TOKEN="t0ken")
        refused("[track.experiment] Databricks: expected an absolute path of the workspace, got talk; e.g. "
                "/Users/you@example.com/attune", "talk")


if __name__ == "__main__":
    PROGRAM = str(Path(sys.argv[1]).resolve())
    unittest.main(argv=sys.argv[:1] + sys.argv[2:], verbosity=2)
