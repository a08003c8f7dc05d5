#!/usr/bin/env python3
"""Is the plan the truth? Two steps of each shape at several lengths, with and without a budget: the bytes that were planned
beside the most that the system saw the process hold, the program itself included. (One step is no peak: what the optimizer
keeps is touched at its end.)

  bench/plan_truth.py build/release/attune [--tokens 256,1024,2048,8192] [--shapes llama-250m,...] [--json FILE]

Exit status 1 when a row differs by more than 2% or goes over its budget.
"""
import argparse
import json
import subprocess
import sys

SHAPES = "llama-250m,qwen2.5-0.5b,llama-3.2-1b"


def run(command):
    """What an attune command prints as JSON."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def measure(attune, shape, tokens, budget):
    command = [attune, "bench", "train", "--shape", shape, "--tokens", str(tokens), "--steps", "1", "--json"]
    return run(command + (["--memory", f"{budget}B"] if budget else []))


def budget_between(attune, shape, tokens):
    """A third of the way from the least memory that works to the most that helps."""
    plan = run([attune, "plan", shape, "--set", f"train.max_length={tokens}", "--sweep", "--json"])
    budgets = [row["budget_bytes"] for row in plan["sweep"]]
    return budgets[0] + (budgets[-1] - budgets[0]) // 3


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attune")
    parser.add_argument("--tokens", default="256,1024,2048,8192")
    parser.add_argument("--shapes", default=SHAPES)
    parser.add_argument("--json", help="write the rows there as well")
    options = parser.parse_args()
    rows, wrong = [], 0
    print(f"{'shape':<14} {'tokens':>6} {'budget':>10} {'planned':>10} {'measured':>10} {'off':>7} {'tokens/s':>9}")
    for shape in options.shapes.split(","):
        for tokens in map(int, options.tokens.split(",")):
            for budget in (None, budget_between(options.attune, shape, tokens)):
                result = measure(options.attune, shape, tokens, budget)
                planned, measured = result["planned_peak_bytes"], result["measured_peak_bytes"]
                off = measured / planned - 1
                bad = abs(off) > 0.02 or (budget is not None and measured > budget)
                wrong += bad
                rows.append({"shape": shape, "tokens": tokens, "budget": budget, "planned": planned, "measured": measured,
                             "tokens_per_second": result["tokens_per_second"]})
                print(f"{shape:<14} {tokens:>6} {budget / 1e6 if budget else float('nan'):>10.1f} {planned / 1e6:>10.1f} "
                      f"{measured / 1e6:>10.1f} {100 * off:>+6.2f}% {result['tokens_per_second']:>9.0f}"
                      f"{'  <- wrong' if bad else ''}", flush=True)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(rows, file, indent=1)
    print(f"{len(rows)} rows in MB, {wrong} off by more than 2% or over their budget")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
