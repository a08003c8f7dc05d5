#!/usr/bin/env python3
"""What tracking costs a run whose MLflow server refuses, hangs, dies in mid-answer, loses answers and comes back, all the
time: the same run of attune with and without `track`, in turns.

    bench/track_faults.py PROGRAM [--pairs 10] [--steps 200]

Prints for each pair both times of a step and their ratio, then the median of the ratios. The time of a step is that of the
whole loop, from the making of metrics.jsonl to its last line, by its number of steps. The server runs on the same machine,
and what it takes counts as well. Exits 1 when a point was lost or came twice.
"""
import argparse
import collections
import json
import os
import random
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


def seconds_of_step(run):
    metrics = Path(run) / "metrics.jsonl"
    born = float(subprocess.run(["stat", "-c", "%.W", metrics], check=True, capture_output=True, text=True).stdout)
    steps = sum("loss" in json.loads(line) for line in metrics.read_text().splitlines())
    return (metrics.stat().st_mtime - born) / steps


def lost_or_doubled(server, run):
    """How many points of the run did not arrive exactly once."""
    sent = collections.Counter((m["key"], m["step"]) for found in server.runs.values() for m in found["metrics"]
                               if not m["key"].startswith("system/"))
    lines = [json.loads(line) for line in (Path(run) / "metrics.jsonl").read_text().splitlines()]
    expected = collections.Counter((key, line["step"]) for line in lines for key in line if key != "step")
    return sum(((sent - expected) + (expected - sent)).values())


def tracked(program, name):
    """(seconds of a step, points that were lost or doubled, requests, of them with a fault)"""
    server, faults = Mlflow(), changing_faults()
    failed = []

    def fault(n, method, path):
        mood = faults(n, method, path)
        if n > 0 and mood:
            failed.append(mood)
        return mood
    server.fault = fault
    try:
        attune(program, "train", "run.yaml", "--set", f"output={name}", "--set", f"track.mlflow={server.url}")
        requests = len(server.requests)
        server.fault = lambda n, method, path: None
        attune(program, "sync", name)
        return seconds_of_step(name), lost_or_doubled(server, name), requests, len(failed)
    finally:
        server.stop()


def untracked(program, name):
    attune(program, "train", "run.yaml", "--set", f"output={name}")
    return seconds_of_step(name)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()
    program = str(Path(options.program).resolve())
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("run.yaml").write_text(RECIPE.replace("STEPS", str(options.steps)))
        attune(program, "import", ROOT / "assets/chat/whatsapp.txt", "--me", "Pete", "-o", "data")
        untracked(program, "warm")
        ratios, wrong, requests, failed = [], 0, 0, 0
        print("without ms   with ms   with / without")
        for pair in range(options.pairs):
            alone = untracked(program, f"alone-{pair}") if pair % 2 == 0 else None
            told, bad, asked, faulty = tracked(program, f"told-{pair}")
            alone = alone if alone is not None else untracked(program, f"alone-{pair}")
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
