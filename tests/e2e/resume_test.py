#!/usr/bin/env python3
"""A run that is killed with SIGKILL at random moments, and resumed each time, ends in the same bytes as one that is not.

    resume_test.py PROGRAM [KILLS]

Moments are drawn from the clock-free seed below, spread over the length of an undisturbed run, so that loading,
training and writing checkpoints are all hit. What a kill leaves behind must never be a half-visible file.
"""
import random
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import toy

PROGRAM, KILLS = None, 8

RECIPE = """
model: base/model
data: talk.jsonl
output: {output}
lora: {{r: 4, lora_dropout: 0.1}}
train: {{num_train_epochs: 25, max_length: 64, gradient_accumulation_steps: 2, per_device_train_batch_size: 1,
        learning_rate: 0.01, neftune_noise_alpha: 2}}
save: {{save_steps: 2, save_total_limit: 2}}
"""


def start(arguments):
    return subprocess.Popen([PROGRAM, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def result_bytes(run):
    return {path.name: path.read_bytes() for path in sorted((Path(run) / "adapter").iterdir())}


class Resume(unittest.TestCase):
    def test_killed_and_resumed_is_the_same_bytes(self):
        with tempfile.TemporaryDirectory() as folder, toy.inside(folder):
            toy.make_base(PROGRAM)
            for name in ("whole", "killed"):
                Path(f"{name}.yaml").write_text(RECIPE.format(output=name))
            begun = time.monotonic()
            toy.attune(PROGRAM, "train", "whole.yaml")
            length = time.monotonic() - begun

            moments = random.Random(20261123)
            kills = 0
            while True:
                resume = ["--resume", "killed"] if Path("killed").exists() else ["killed.yaml"]
                process = start(["train", *resume])
                try:
                    # Two thirds of a run at most: now and then one gets through, and the test ends.
                    process.wait(timeout=moments.uniform(0.02, 0.66 * length) if kills < KILLS else 120)
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                    process.stderr.close()
                    kills += 1
                    continue
                message = process.stderr.read().decode()
                process.stderr.close()
                self.assertEqual(process.returncode, 0, message)
                break
            self.assertGreater(kills, 0)
            self.assertEqual(result_bytes("killed"), result_bytes("whole"))
            steps = [line for line in toy.json_lines("killed/metrics.jsonl") if "loss" in line]
            self.assertEqual([line["step"] for line in steps], list(range(1, len(steps) + 1)))
            for path in Path("killed/adapter").iterdir():
                self.assertFalse(path.name.endswith(".tmp"), path)

    def test_interrupt_saves_and_says_how_to_go_on(self):
        with tempfile.TemporaryDirectory() as folder, toy.inside(folder):
            toy.make_base(PROGRAM)
            Path("long.yaml").write_text(RECIPE.format(output="long").replace("num_train_epochs: 25", "num_train_epochs: 5000")
                                         .replace("save_steps: 2,", "save_steps: 0,"))
            process = start(["train", "long.yaml"])
            while not Path("long/metrics.jsonl").exists() or len(Path("long/metrics.jsonl").read_text()) < 2000:
                self.assertIsNone(process.poll(), "the run ended before it could be interrupted")
                time.sleep(0.02)
            # Somebody looks on, goes away and comes back, and the run does not mind.
            onlooker = subprocess.Popen([PROGRAM, "train", "--watch", "long"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            time.sleep(0.5)
            onlooker.send_signal(signal.SIGINT)
            self.assertRegex(onlooker.communicate(timeout=60)[0], r"^long: goes on, step \d+ of \d+\n$")
            onlooker = subprocess.Popen([PROGRAM, "train", "--watch", "long"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self.assertIsNone(process.poll())
            process.send_signal(signal.SIGINT)
            message = process.communicate(timeout=60)[1].decode().strip().splitlines()[-1]
            self.assertEqual(process.returncode, 130)
            self.assertRegex(message, r"^attune: \[long\] stopped at step \d+ of \d+ and saved; go on with: "
                                      r"attune train --resume long$")
            saved = list(Path("long/checkpoints").glob("step-*/state.json"))
            self.assertEqual(len(saved), 1)
            self.assertRegex(onlooker.communicate(timeout=60)[0], r"^long: stopped, step \d+ of \d+\n$")

    def test_a_warning_of_the_cluster_saves_and_the_job_goes_on_when_it_comes_back(self):
        with tempfile.TemporaryDirectory() as folder, toy.inside(folder):
            toy.make_base(PROGRAM)
            Path("job.yaml").write_text(RECIPE.format(output="job").replace("num_train_epochs: 25", "num_train_epochs: 5000")
                                        .replace("save_steps: 2,", "save_steps: 0,"))
            job = ["train", "job.yaml", "--auto-resume"]
            process = start(job)
            while not Path("job/metrics.jsonl").exists() or len(Path("job/metrics.jsonl").read_text()) < 2000:
                self.assertIsNone(process.poll(), "the run ended before it could be warned")
                time.sleep(0.02)
            process.send_signal(signal.SIGUSR1)
            deadline = time.time() + 60
            while not (saved := list(Path("job/checkpoints").glob("step-*/state.json"))) and time.time() < deadline:
                time.sleep(0.02)
            self.assertEqual(len(saved), 1)
            self.assertIsNone(process.poll(), "SIGUSR1 ended the run")
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(timeout=60), 130)
            process.stderr.close()
            reached = max(int(path.parent.name.split("-")[1]) for path in Path("job/checkpoints").glob("step-*/state.json"))

            # The same command goes on; with another recipe it refuses; when all is done it says so.
            process = start(job)
            while max(line["step"] for line in toy.json_lines("job/metrics.jsonl")) <= reached:
                self.assertIsNone(process.poll(), "the run did not go on")
                time.sleep(0.05)
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(timeout=60), 130)
            process.stderr.close()
            error = toy.attune(PROGRAM, *job, "--set", "train.seed=7", status=2)[1]
            self.assertEqual(error, "attune: [job] the run there has another recipe; go on with: attune train --resume job, "
                                    "or choose another `output`\n")
            Path("short.yaml").write_text(RECIPE.format(output="short").replace("num_train_epochs: 25", "num_train_epochs: 1"))
            toy.attune(PROGRAM, "train", "short.yaml", "--auto-resume")
            output = toy.attune(PROGRAM, "train", "short.yaml", "--auto-resume")[0]
            self.assertEqual(output, "finished  short/adapter\n")


if __name__ == "__main__":
    PROGRAM = str(Path(sys.argv[1]).resolve())
    KILLS = int(sys.argv[2]) if len(sys.argv) > 2 else KILLS
    unittest.main(argv=sys.argv[:1], verbosity=2)
