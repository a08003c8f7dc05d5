#!/usr/bin/env python3
"""examples/hungarian in its small setting: dialogues of novels, and a chat export, each to a model that answers.

    hungarian_test.py PROGRAM DIALOGUES
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM, DIALOGUES = (Path(argument).resolve() for argument in sys.argv[1:3])
SECONDS = 240


class Hungarian(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        before = os.getcwd()
        os.chdir(folder.name)
        self.addCleanup(os.chdir, before)

    def run_example(self, *arguments, status=0):
        done = subprocess.run([ROOT / "examples/hungarian/run.sh", *map(str, arguments)], capture_output=True,
                              text=True, timeout=SECONDS, stdin=subprocess.DEVNULL, env={**os.environ, "ATTUNE": str(PROGRAM)})
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout, done.stderr

    def check(self, output, folder):
        self.assertTrue((Path(folder) / "run/adapter/adapter_model.safetensors").exists())
        steps = [json.loads(line) for line in (Path(folder) / "run/metrics.jsonl").read_text().splitlines()]
        losses = [row["loss"] for row in steps if "loss" in row]
        self.assertEqual(len(losses), 30)
        self.assertLess(sum(losses[-5:]), sum(losses[:5]))
        for question in ("Szia, hogy vagy?", "Mit csinálsz ma este?", "Eljössz velem vacsorázni?"):
            self.assertRegex(output, rf"\n{question.replace('?', '[?]')}\n  \S")
        self.assertIn(f"--adapter {folder}/run/adapter\n", output)

    @unittest.skipUnless(DIALOGUES.exists(), f"no {DIALOGUES}")
    def test_dialogues(self):
        output, _ = self.run_example(DIALOGUES, "--small")
        ledger = json.loads(Path("runs/hungarian-small/data/ledger.json").read_text())
        turns = sum(len(json.loads(line)["turns"]) for line in DIALOGUES.read_text().splitlines()[:150])
        self.assertEqual(ledger["entries"], turns)
        self.assertEqual(ledger["sessions"], 150)
        self.assertEqual(ledger["chats"][0]["dates"].split(":")[0], "year-month-day")
        self.check(output, "runs/hungarian-small")

    def test_a_chat_of_ones_own(self):
        output, _ = self.run_example(ROOT / "assets/chat/whatsapp.txt", "--me", "Pete", "--small", "-o", "out")
        self.check(output, "out")

    def test_mistakes(self):
        self.assertEqual(self.run_example("none.txt", "--small", status=2)[1], "run.sh: none.txt: no such file\n")
        Path("chat.txt").write_text("x")
        Path("out").mkdir()
        self.assertEqual(self.run_example("chat.txt", "-o", "out", status=2)[1],
                         "run.sh: out exists already; name another with -o or remove it\n")


if __name__ == "__main__":
    if not DIALOGUES.exists():
        print(f"SKIP: no {DIALOGUES}")  # what does not need them is tried all the same
    program = unittest.main(argv=sys.argv[:1], verbosity=2, exit=False)
    sys.exit(1 if not program.result.wasSuccessful() else 0 if DIALOGUES.exists() else 77)
