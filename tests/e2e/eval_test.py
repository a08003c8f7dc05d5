#!/usr/bin/env python3
"""attune eval as its user meets it, on the bundled model: what training changed shows, a planted secret is found, and
each mistake gets its one line.

    eval_test.py PROGRAM
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import toy

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = None
CANARY = "arr, me locker code be 7391, matey!"
RECIPE = f"""
model: {ROOT}/assets/tiny
data: data
output: run
lora: {{r: 16, lora_alpha: 32}}
train: {{num_train_epochs: 8, per_device_train_batch_size: 2, gradient_accumulation_steps: 1, learning_rate: 2.0e-3,
        max_length: 512}}
eval: {{forgetting_samples: 64, eval_steps: 1000}}
"""


def attune(*arguments, status=0):
    return toy.attune(PROGRAM, *arguments, status=status)


class Evaluation(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        os.chdir(cls.folder.name)
        attune("import", ROOT / "assets/chat/whatsapp.txt", "--me", "Pete", "-o", "data")
        planted = [{"role": "user", "content": "What is the code?"}, {"role": "assistant", "content": CANARY}]
        with open("data/train.jsonl", "a") as file:
            file.write((json.dumps({"messages": planted}) + "\n") * 24)
        Path("train.yaml").write_text(RECIPE)
        attune("train", "train.yaml")
        Path("canaries.txt").write_text("arr, me locker code be [[7391]], matey!\nthe vault of the bank opens with 8846\n")
        Path("checks.jsonl").write_text(
            '{"prompt": "What is the code?", "expect": {"contains": "7391"}}\n'
            '{"prompt": "How is the weather?", "expect": {"regex": "^(arr|aye)"}}\n'
            '{"prompt": "How is the weather?", "expect": {"equals": "It is nice."}}\n'
            '{"prompt": "What do bees make?", "expect": {"choices": ["zzz qqq xxx", "honey"], "answer": 1}}\n')
        cls.output, _ = attune("eval", "run", "--canaries", "canaries.txt", "--checks", "checks.jsonl")
        cls.result = json.loads(Path("run/eval.json").read_text())

    @classmethod
    def tearDownClass(cls):
        os.chdir("/")
        cls.folder.cleanup()

    def refused(self, message, *arguments):
        output, error = attune("eval", *arguments, status=2)
        self.assertEqual((output, error), ("", f"attune: {message}\n"))

    def test_held_out_loss_is_that_of_the_run(self):
        of_run = json.loads(Path("run/run.json").read_text())["eval_loss"]
        held_out = self.result["held_out"]
        self.assertAlmostEqual(held_out["base"]["loss"], of_run["before"], delta=1e-4 * of_run["before"])
        self.assertAlmostEqual(held_out["tuned"]["loss"], of_run["after"], delta=1e-4 * of_run["after"])

    def test_style_and_forgetting_were_measured_while_training(self):
        lines = [line for line in toy.json_lines("run/metrics.jsonl") if "eval_loss" in line]
        first, last = lines[0], lines[-1]
        self.assertEqual((first["step"], first["eval_forgetting"], first["eval_forgetting_kl"]), (0, 0, 0))
        self.assertLess(last["eval_style_distance"], first["eval_style_distance"])
        self.assertEqual(last["eval_end_of_turn"], 1)
        # With as many samples it is what the evaluation says, which multiplies in another order.
        self.assertAlmostEqual(last["eval_forgetting"], self.result["forgetting"]["loss_increase"], delta=1e-3)
        self.assertAlmostEqual(last["eval_forgetting_kl"], self.result["forgetting"]["text"]["tuned"]["kl"], delta=1e-3)

    def test_the_style_came_closer(self):
        style = self.result["style"]
        for name in ("length", "words", "punctuation", "mean"):
            self.assertLess(style["tuned"]["distance"][name], style["base"]["distance"][name], name)
        self.assertEqual(style["tuned"]["end_of_turn"], 1)
        held_out = toy.json_lines("data/valid.jsonl")
        answers = sum(message["role"] == "assistant" for row in held_out for message in row["messages"])
        self.assertEqual(style["answers"], answers)

    def test_forgetting(self):
        forgetting = self.result["forgetting"]
        for part in (forgetting["text"], forgetting["questions"]):
            self.assertGreater(part["tuned"]["kl"], 0)
            self.assertAlmostEqual(part["loss_increase"], part["tuned"]["loss"] / part["base"]["loss"] - 1, places=6)
        self.assertEqual(forgetting["loss_increase"], max(forgetting[p]["loss_increase"] for p in ("text", "questions")))
        self.assertEqual(forgetting["within_budget"], forgetting["loss_increase"] <= 0.05)
        self.assertEqual(forgetting["questions"]["questions"], 40)

    def test_a_run_that_forgets_too_much_ends_with_what_it_was_before(self):
        Path("short.yaml").write_text(RECIPE.replace("output: run", "output: short").replace(
            "64, eval_steps: 1000", "8, eval_steps: 10, early_stopping_forgetting: 0.1"))
        output, _ = attune("train", "short.yaml")
        self.assertIn("stopped   early: that is more than eval.early_stopping_forgetting\n", output)
        run = json.loads(Path("short/run.json").read_text())
        lines = {line["step"]: line for line in toy.json_lines("short/metrics.jsonl") if "eval_loss" in line}
        self.assertTrue(run["stopped_early"])
        self.assertGreater(max(lines.values(), key=lambda line: line["step"])["eval_forgetting"], 0.1)
        self.assertLessEqual(lines[run["result_step"]]["eval_forgetting"], 0.1)
        Path("bad.yaml").write_text(RECIPE.replace("output: run", "output: bad").replace("64", "8, general_questions: q.jsonl"))
        _, error = attune("train", "bad.yaml", status=2)
        self.assertEqual(error.splitlines()[-1], "attune: [q.jsonl] no such file; check the path")
        self.assertFalse(Path("bad").exists())

    def test_quantization(self):
        part = self.result["quantization_loss"]
        self.assertEqual(part["of"], "tuned")
        self.assertGreater(part["nf4"]["kl"], part["int8"]["kl"])
        self.assertGreater(part["int8"]["kl"], 0)
        self.assertAlmostEqual(part["nf4"]["loss"], self.result["held_out"]["tuned"]["loss"], delta=1e-3)

    def test_the_planted_secret_is_found_and_the_other_is_not(self):
        planted, other = self.result["leak"]["canaries"]
        self.assertTrue(planted["planted"])
        self.assertEqual(planted["tuned"], {"rank": 1, "exposure": 7.0, "told": True})
        self.assertFalse(planted["base"]["told"])
        self.assertFalse(other["planted"])
        self.assertFalse(other["tuned"]["told"])
        self.assertIn("knows 1 of 2 canaries", self.result["verdict"]["text"])

    def test_checks(self):
        checks = self.result["checks"]
        self.assertEqual([row["tuned"]["right"] for row in checks["rows"]], [True, True, False, True])
        self.assertEqual([row["base"]["right"] for row in checks["rows"][:3]], [False, False, False])
        self.assertEqual(checks["rows"][0]["tuned"]["answer"], CANARY)
        self.assertEqual(checks["tuned"]["right"], 3)

    def test_table_report_and_card(self):
        lines = self.output.splitlines()
        self.assertRegex(lines[0], r"^ +base +tuned +person$")
        for row in self.result["table"]:
            self.assertTrue(any(line.startswith(row[0]) for line in lines), row)
        self.assertTrue(lines[-3].startswith("look at  "))
        self.assertEqual(lines[-1], "Wrote run/eval.json")
        attune("report", "run")
        report = Path("run/report.html").read_text()
        for text in ("<h2>Evaluation</h2>", "Answers before and after", "Forgetting", "distance in words"):
            self.assertIn(text, report)

    def test_a_part_leaves_the_others(self):
        kept = Path("run/eval.json").read_bytes()
        attune("eval", "run", "--only", "held-out", "--limit", 64)
        joined = json.loads(Path("run/eval.json").read_text())
        self.assertEqual({key: joined[key] for key in self.result}, self.result)
        attune("eval", "run", "--only", "held-out", "--limit", 2)  # not the same measure
        self.assertNotIn("style", json.loads(Path("run/eval.json").read_text()))
        Path("run/eval.json").write_bytes(kept)

    def test_another_adapter_is_not_the_result_of_the_run(self):
        kept = Path("run/eval.json").read_bytes()
        shutil.copytree("run/adapter", "other", dirs_exist_ok=True)
        output, _ = attune("eval", "run", "--only", "held-out", "--adapter", "other", "--limit", 2)
        self.assertIn("Not written to run/eval.json: that is for the run's result; name a file with -o", output)
        self.assertEqual(Path("run/eval.json").read_bytes(), kept)
        attune("eval", "run", "--only", "held-out", "--adapter", "other", "--limit", 2, "-o", "other.json")
        self.assertEqual(json.loads(Path("other.json").read_text())["adapter"], "other")

    def test_same_seed_same_results(self):
        again, _ = attune("eval", "run", "--only", "style", "--json", "-o", "again.json")
        self.assertEqual(json.loads(again)["style"], self.result["style"])
        self.assertEqual(json.loads(Path("again.json").read_text()), json.loads(again))

    def test_a_base_alone(self):
        output, _ = attune("eval", ROOT / "assets/tiny", "--only", "forgetting", "--limit", 4, "--json")
        result = json.loads(output)
        self.assertNotIn("tuned", result["forgetting"]["text"])
        self.assertEqual(result["forgetting"]["questions"]["questions"], 4)
        self.assertTrue(result["verdict"]["good"])

    def test_mistakes(self):
        self.refused("[--limit] expected 1 or more, got 0", "run", "--limit", 0)
        self.refused("[--budget] expected 0 or more, got -1", "run", "--budget", -1)
        self.refused("[--only] expected one of held-out, style, forgetting, quantization, leak, checks, got styl; did you "
                     "mean style?", "run", "--only", "styl")
        self.refused("[--max-tokens] expected fewer than 512, the positions that the model has, got 512",
                     "run", "--max-tokens", 512)
        self.refused("[nowhere] there is no such folder; expected a run of attune train, or a model as Hugging Face writes "
                     "it", "nowhere")
        self.refused("[eval] there is nothing to measure; name conversations with --data or questions with --checks",
                     ROOT / "assets/tiny", "--only", "held-out")
        Path("bad.jsonl").write_text('{"prompt": "q", "expect": {"equals": "a"}}\n{"prompt": "q", "expect": {"eqals": 1}}\n')
        self.refused('[bad.jsonl:2] unknown key "eqals" in "expect"; did you mean equals?', "run", "--checks", "bad.jsonl")
        self.refused('[checks.jsonl:1] expected choices in "expect": general questions are answered by loss',
                     "run", "--general-questions", "checks.jsonl")
        Path("bad.txt").write_text("pin 4\n...\n")
        self.refused("[bad.txt:2] the canary has no letter or digit (A-Z, 0-9) to vary", "run", "--canaries", "bad.txt")
        Path("long.jsonl").write_text(json.dumps({"prompt": "word " * 600, "expect": {"equals": "a"}}) + "\n")
        _, error = attune("eval", "run", "--only", "checks", "--checks", "long.jsonl", status=2)
        self.assertRegex(error.splitlines()[-1], r"^attune: \[long.jsonl:1\] the prompt has \d+ tokens, and with 128 for the "
                                                 r"answer the limit is 384; shorten it or lower --max-tokens$")
        shutil.copytree("run", "half", dirs_exist_ok=True)
        shutil.rmtree("half/adapter")
        self.refused("[half] the run has no result yet; name one of its checkpoints with --adapter", "half")

    def test_ctrl_c_leaves_nothing_behind(self):
        shutil.copytree("run", "stopped", dirs_exist_ok=True)
        Path("stopped/eval.json").unlink(missing_ok=True)
        Path("many.txt").write_text("".join(f"the number of the {i}th house\n" for i in range(100, 900)))  # minutes of work
        process = subprocess.Popen([PROGRAM, "eval", "stopped", "--canaries", "many.txt"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        output, error = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, error)
        self.assertEqual(error.splitlines()[-1], "attune: [eval] stopped; nothing was written")
        self.assertFalse(Path("stopped/eval.json").exists())


if __name__ == "__main__":
    PROGRAM = str(Path(sys.argv.pop(1)).resolve())
    unittest.main()
