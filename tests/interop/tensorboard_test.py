#!/usr/bin/env python3
"""TensorBoard reads back what a run measured, also when the run was killed and resumed.

    tensorboard_test.py PROGRAM

Runs in .venv-mlflow (tests/requirements-mlflow.txt), which `./dev test --full` makes.
"""
import os
import random
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
import toy  # noqa: E402

try:
    from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator
except ImportError as missing:
    print(f"SKIP: {missing}; ./dev test --full makes .venv-mlflow from tests/requirements-mlflow.txt")
    sys.exit(77)

PROGRAM = None
RECIPE = """
model: base/model
data: talk.jsonl
output: runs/{name}
lora: {{r: 4}}
train: {{num_train_epochs: {epochs}, max_length: 64, gradient_accumulation_steps: 1, packing: false}}
save: {{save_steps: 5}}
eval: {{eval_steps: 10}}
track: {{tensorboard: {board}}}
"""


def f32(number):
    return struct.unpack("<f", struct.pack("<f", number))[0]


def tag(key):
    return "eval/" + key[5:] if key.startswith("eval_") else "train/" + key


class TensorBoard(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder.name)
        toy.make_base(PROGRAM)

    def check(self, folder, name):
        """Every number of the run, once, and nothing else."""
        expected = {}
        for line in toy.json_lines(f"runs/{name}/metrics.jsonl"):
            for key, value in line.items():
                if key != "step":
                    expected.setdefault(tag(key), []).append((line["step"], f32(value)))
        board = EventAccumulator(str(folder), size_guidance={SCALARS: 0})
        board.Reload()
        self.assertEqual(sorted(board.Tags()["scalars"]), sorted(expected))
        for name, points in expected.items():
            found = [(event.step, event.value) for event in board.Scalars(name)]
            if "tokens_per_second" in name or "sol" in name:   # of the process that was killed, where it was told first
                found, points = [step for step, _ in found], [step for step, _ in points]
            self.assertEqual(found, points, name)

    def test_reads_back_equal(self):
        Path("plain.yaml").write_text(RECIPE.format(name="plain", epochs=2, board="true"))
        output, _ = toy.attune(PROGRAM, "train", "plain.yaml")
        self.assertIn("track     TensorBoard in runs/plain/tensorboard: all ", output)
        self.check("runs/plain/tensorboard", "plain")

    def test_killed_and_resumed(self):
        Path("killed.yaml").write_text(RECIPE.format(name="killed", epochs=12, board="boards"))
        moments, kills = random.Random(3), 0
        while True:
            arguments = ["--resume", "runs/killed"] if Path("runs/killed").exists() else ["killed.yaml"]
            process = subprocess.Popen([PROGRAM, "train", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            try:
                message = process.communicate(timeout=moments.uniform(0.3, 1.5) if kills < 5 else 120)[1].decode()
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                kills += 1
                continue
            self.assertEqual(process.returncode, 0, message)
            break
        self.assertGreater(kills, 0)
        self.check("boards/killed", "killed")


if __name__ == "__main__":
    PROGRAM = str(Path(sys.argv[1]).resolve())
    unittest.main(argv=sys.argv[:1] + sys.argv[2:], verbosity=2)
