#!/usr/bin/env python3
"""`hub:` in a recipe: checkpoints become commits while the run trains, and a Hub that is away, hangs or dies costs the run
nothing: what it did not take waits in the run folder and arrives later, in order, once.

    hub_train_test.py PROGRAM
"""
import json
import os
import secrets
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import toy

sys.path.append(str(Path(__file__).resolve().parents[1] / "interop"))
from hub_server import HubServer  # noqa: E402

PROGRAM = None
TOKEN = "hf_" + secrets.token_hex(17)
RECIPE = """
model: base/model
data: talk.jsonl
output: {output}
quantization: none
lora: {{r: 2}}
train: {{max_steps: {steps}, max_length: 64, gradient_accumulation_steps: 1, per_device_train_batch_size: 1, learning_rate: {rate}}}
eval: {{eval_steps: 2}}
save: {{save_steps: 2, save_total_limit: 1}}
hub: {{repo: me/pete, {hub}}}
"""


class HubTrain(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        os.chdir(cls.folder.name)
        toy.make_base(PROGRAM)

    @classmethod
    def tearDownClass(cls):
        os.chdir("/")
        cls.folder.cleanup()

    def setUp(self):
        self.hub = HubServer(chunk=5_000_000)
        self.hub.add_user(TOKEN, "me")
        self.hub.__enter__()
        self.addCleanup(self.hub.__exit__)
        for name in [name for name in os.environ if name.startswith("HF_")]:
            del os.environ[name]
        os.environ |= {"HF_ENDPOINT": self.hub.url, "HF_TOKEN": TOKEN, "HF_HOME": str(Path("hf-home").resolve()), "NO_PROXY": "127.0.0.1"}
        self.outputs = []
        self.addCleanup(self.no_leak)

    def no_leak(self):
        self.assertEqual(self.hub.leaks, [])
        for text in self.outputs:
            self.assertNotIn(TOKEN, text)
        for path in Path().rglob("*"):
            if path.is_file():
                self.assertNotIn(TOKEN.encode(), path.read_bytes(), path)

    def recipe(self, output, hub="tag_per_step: true", steps=6, rate=0.01):
        Path(f"{output}.yaml").write_text(RECIPE.format(output=output, hub=hub, steps=steps, rate=rate))
        return f"{output}.yaml"

    def attune(self, *arguments, status=0):
        output, error = toy.attune(PROGRAM, *arguments, status=status)
        self.outputs += [output, error]
        return output, error

    def repo(self):
        return self.hub.repos[("model", "me/pete")]

    def titles(self, branch="main"):
        return [commit.title.split(":")[0] for commit in self.repo().history(branch)][::-1]

    def file_at(self, revision, path):
        entry = self.repo().find(revision).tree[path]
        return self.hub.lfs[entry.lfs] if entry.lfs else entry.data

    def waiting(self, run):
        return sorted(int(path.name) for path in (Path(run) / "hub/pending").glob("[0-9]*"))

    def test_every_save_is_a_commit_with_tag_and_branch(self):
        output, shown = self.attune("train", self.recipe("every", "branch_per_step: true"))
        self.assertIn(f"hub       {self.hub.url}/me/pete, private when it is made now: README.md, adapter_config.json, "
                      "adapter_model.safetensors\n", shown)
        self.assertIn("all pushes have arrived", output)
        self.assertEqual(self.titles(), ["initial commit", "Step 2", "Step 4", "Step 6"])
        self.assertTrue(self.repo().private)
        self.assertEqual(sorted(self.repo().tags), ["step-000002", "step-000004", "step-000006"])
        self.assertEqual(self.repo().tags["step-000004"], self.repo().branches["step-000004"])
        self.assertEqual(self.file_at("main", "adapter_model.safetensors"), Path("every/adapter/adapter_model.safetensors").read_bytes())
        self.assertNotEqual(self.file_at("step-000002", "adapter_model.safetensors"), self.file_at("step-000004", "adapter_model.safetensors"))
        card = self.file_at("step-000002", "README.md").decode()
        self.assertIn("| step | 2 |", card)
        forgot = {line["step"]: line for line in toy.json_lines("every/metrics.jsonl") if "eval_forgetting" in line}
        for step in (2, 6):
            rise, kl = forgot[step]["eval_forgetting"], forgot[step]["eval_forgetting_kl"]
            self.assertIn(f"| forgetting: rise of the loss on general words | {100 * rise:+.1f}% |\n"
                          f"| KL to the base on general text, nats a token | {kl:.4f} |\n",
                          self.file_at(f"step-{step:06}", "README.md").decode())
        self.assertNotIn(os.getcwd(), card)
        self.assertEqual(json.loads(self.file_at("main", "adapter_config.json"))["base_model_name_or_path"], "model")
        self.assertEqual(set(self.repo().find("main").tree), {".gitattributes", "README.md", "adapter_config.json", "adapter_model.safetensors"})
        self.assertEqual(self.waiting("every"), [])

    def test_end_is_one_commit_of_the_result(self):
        self.attune("train", self.recipe("end", "strategy: end, tag_per_step: false, private: false, license: mit, base_model: org/base"))
        self.assertEqual(self.titles(), ["initial commit", "Step 6"])
        self.assertFalse(self.repo().private)
        self.assertEqual(self.repo().tags, {})
        card = self.file_at("main", "README.md").decode()
        self.assertIn("base_model: org/base", card)
        self.assertIn("license: mit", card)
        self.assertEqual(json.loads(self.file_at("main", "adapter_config.json"))["base_model_name_or_path"], "org/base")

    def test_best_pushes_what_improves(self):
        self.attune("train", self.recipe("best", "strategy: best", steps=8, rate=0.02))
        losses = {line["step"]: line["eval_loss"] for line in toy.json_lines("best/metrics.jsonl") if "eval_loss" in line and line["step"] > 0}
        best, wanted = float("inf"), ["initial commit"]
        for step in sorted(losses):
            if losses[step] < best:
                best = losses[step]
                wanted.append(f"Step {step}")
        self.assertEqual(self.titles(), wanted)

    def test_a_hub_that_is_away_costs_nothing_and_gets_all_later(self):
        os.environ["HF_ENDPOINT"] = "http://127.0.0.1:9"
        self.attune("train", self.recipe("plain", "strategy: end"))
        output, _ = self.attune("train", self.recipe("away"))
        self.assertIn("3 pushes wait in away/hub; deliver with: attune sync away", output)
        self.assertEqual(self.waiting("away"), [2, 4, 6])
        self.assertEqual(Path("away/adapter/adapter_model.safetensors").read_bytes(), Path("plain/adapter/adapter_model.safetensors").read_bytes())
        os.environ["HF_ENDPOINT"] = self.hub.url
        self.hub.fault("lose", "/commit/", times=1)      # the answer to the first commit is lost
        self.hub.fault("status", "/tag/", status=403, times=1)  # and after it the delivery fails
        self.attune("sync", "away", status=2)
        self.assertEqual(self.waiting("away"), [2, 4, 6])
        self.attune("sync", "away")
        self.assertEqual(self.titles(), ["initial commit", "Step 2", "Step 4", "Step 6"])
        self.assertEqual(self.waiting("away"), [])
        self.assertEqual([line["step"] for line in toy.json_lines("away/hub/delivered.jsonl")], [2, 4, 6])
        self.attune("sync", "away")
        self.assertEqual(len(self.titles()), 4)

    def test_killed_runs_and_deliveries_lose_and_double_nothing(self):
        recipe = self.recipe("killed", steps=30)
        kills = 0
        for moment in (0.3, 0.5, 0.7, 0.9, 1.1):
            arguments = ["train", "--resume", "killed"] if Path("killed").exists() else ["train", recipe]
            process = subprocess.Popen([PROGRAM, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                process.wait(timeout=moment)
                break
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                kills += 1
        self.assertGreater(kills, 0)
        if not Path("killed/adapter").exists():
            self.attune("train", *(["--resume", "killed"] if Path("killed").exists() else [recipe]))
        self.attune("sync", "killed")
        titles = self.titles()
        self.assertEqual(titles, ["initial commit"] + [f"Step {step}" for step in range(2, 31, 2)])
        self.assertEqual(sorted(self.repo().tags), [f"step-{step:06}" for step in range(2, 31, 2)])

    def test_offline_waits_and_a_missing_token_is_said_before_the_start(self):
        del os.environ["HF_TOKEN"]
        _, error = self.attune("train", self.recipe("token"), status=2)
        self.assertIn("[hub.repo] expected a token with write access, found none", error)
        self.assertFalse(Path("token").exists())
        os.environ["HF_HUB_OFFLINE"] = "1"
        output, _ = self.attune("train", self.recipe("offline"))
        self.assertIn("3 pushes wait", output)
        self.assertEqual(self.hub.log, [])
        os.environ.pop("HF_HUB_OFFLINE")
        os.environ["HF_TOKEN"] = TOKEN
        self.attune("sync", "offline")
        self.assertEqual(len(self.titles()), 4)

    def test_mistakes_are_found_before_the_start(self):
        for hub, line in (("strategy: sometimes", "hub.strategy: expected"), ("license: free", "[hub.license] expected an identifier"),
                          ("base_model: ./base", "expected the name of a repository")):
            _, error = self.attune("train", self.recipe("wrong", hub), status=2)
            self.assertIn(line, error)
            self.assertFalse(Path("wrong").exists())


if __name__ == "__main__":
    PROGRAM = str(Path(sys.argv.pop(1)).resolve())
    unittest.main(verbosity=1)
