#!/usr/bin/env python3
"""What tracking costs a run whose MLflow server refuses, hangs, dies in mid-answer, loses answers and comes back, all the
time: the same run of attune with and without `track`, in turns of half a second.

    bench/track_faults.py PROGRAM [--pairs 3] [--steps 200]

Both runs of a pair are there at once, but one stands still (SIGSTOP) while the other goes on, so that what else the
machine does meets both alike. Prints for each pair both times of a step and their ratio, then the median of the ratios.
The server runs on the same machine, and what it takes counts as well. Exits 1 when a point was lost or came twice.
"""
import argparse
import collections
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/e2e"))
from mlflow_server import Mlflow  # noqa: E402

RECIPE = f"""
model: {ROOT}/assets/tiny
data: data
train: {{max_steps: STEPS, per_device_train_batch_size: 4, gradient_accumulation_steps: 1, max_length: 256}}
save: {{save_steps: 0}}
eval: {{eval_steps: 0}}
"""
FAULTS = ["refuse", "503", "hang", "cut", "lose", None]
SECONDS_OF_A_FAULT = 0.5
SECONDS_OF_A_TURN = 0.5
STEPS_LEFT = 6  # that neither run ends within a turn


def changing_faults():
    """A fault(n, method, path) for the server, another one twice a second."""
    moods, now = random.Random(7), {"mood": None, "until": 0.0}

    def fault(n, method, path):
        if time.monotonic() > now["until"]:
            now.update(mood=moods.choice(FAULTS), until=time.monotonic() + SECONDS_OF_A_FAULT)
        return now["mood"]
    return fault


def attune(program, *arguments):
    subprocess.run([program, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Run:
    """A run of attune that goes on in turns, and the seconds of its turns alone."""

    def __init__(self, program, name, *settings):
        command = [program, "train", "run.yaml", "--set", f"output={name}", *settings]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        start_new_session=True)
        self.metrics, self.turns, self.first = Path(name) / "metrics.jsonl", [], None
        os.killpg(self.process.pid, signal.SIGSTOP)

    def take_turn(self):
        os.killpg(self.process.pid, signal.SIGCONT)
        begin = time.time()
        time.sleep(SECONDS_OF_A_TURN)
        os.killpg(self.process.pid, signal.SIGSTOP)
        self.turns.append((begin, time.time()))
        self.first = self.first or self.seen()

    def seen(self):
        """(steps so far, seconds of turns up to the last of them); None before the first."""
        steps = sum("loss" in json.loads(line) for line in self.metrics.read_text().splitlines()) \
            if self.metrics.exists() else 0
        written = self.metrics.stat().st_mtime if steps else 0
        return (steps, sum(max(0, min(end, written) - begin) for begin, end in self.turns)) if steps else None

    def seconds_of_step(self):
        (first, begin), (last, end) = self.first, self.seen()
        return (end - begin) / (last - first)

    def finish(self):
        os.killpg(self.process.pid, signal.SIGCONT)
        if self.process.wait() != 0:
            raise SystemExit(f"{self.metrics.parent}: attune ended with status {self.process.returncode}")


def lost_or_doubled(server, run):
    """How many points of the run did not arrive exactly once."""
    sent = collections.Counter((m["key"], m["step"]) for found in server.runs.values() for m in found["metrics"]
                               if not m["key"].startswith("system/"))
    lines = [json.loads(line) for line in (Path(run) / "metrics.jsonl").read_text().splitlines()]
    expected = collections.Counter((key, line["step"]) for line in lines for key in line if key != "step")
    return sum(((sent - expected) + (expected - sent)).values())


def measure_pair(program, steps, number):
    """(seconds of a step without, with, points that were lost or doubled, requests, of them with a fault)"""
    server, faults = Mlflow(), changing_faults()
    failed = []

    def fault(n, method, path):
        mood = faults(n, method, path)
        if n > 0 and mood:
            failed.append(mood)
        return mood
    server.fault = fault
    try:
        alone = Run(program, f"alone-{number}")
        told = Run(program, f"told-{number}", "--set", f"track.mlflow={server.url}")
        while all((run.seen() or (0, 0))[0] < steps - STEPS_LEFT for run in (alone, told)):
            for run in (alone, told):
                run.take_turn()
        seconds = alone.seconds_of_step(), told.seconds_of_step()
        alone.finish()
        told.finish()
        requests = len(server.requests)
        server.fault = lambda n, method, path: None
        attune(program, "sync", told.metrics.parent)
        return *seconds, lost_or_doubled(server, told.metrics.parent), requests, len(failed)
    finally:
        server.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()
    program = str(Path(options.program).resolve())
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("run.yaml").write_text(RECIPE.replace("STEPS", str(options.steps)))
        attune(program, "import", ROOT / "assets/chat/whatsapp.txt", "--me", "Pete", "-o", "data")
        attune(program, "train", "run.yaml", "--set", "output=warm", "--set", "train.max_steps=2")  # keeps the tokens
        ratios, wrong, requests, failed = [], 0, 0, 0
        print("without ms   with ms   with / without")
        for pair in range(options.pairs):
            alone, told, bad, asked, faulty = measure_pair(program, options.steps, pair)
            wrong, requests, failed = wrong + bad, requests + asked, failed + faulty
            ratios.append(told / alone)
            print(f"{1e3 * alone:10.2f}{1e3 * told:10.2f}{told / alone:17.4f}", flush=True)
        os.chdir("/")
    print(f"median of {len(ratios)} pairs of {options.steps} steps: {statistics.median(ratios):.4f} "
          f"(from {min(ratios):.4f} to {max(ratios):.4f})")
    print(f"{failed} of {requests} requests met a fault; points lost or doubled: {wrong}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
