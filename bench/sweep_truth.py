#!/usr/bin/env python3
"""Is `plan --sweep` right about speed? Budgets from the least that works to the most that helps: the tokens per second that
the plan estimates, and those that training reaches with that budget.

  bench/sweep_truth.py build/release/attune [--shape llama-250m] [--tokens 512] [--budgets 5]

The estimate is made from a calibration just before and one just after each measurement, since what a shared machine can
do changes from minute to minute. Exit status 1 when one differs by more than 15%.
"""
import argparse
import sys

from plan_truth import run


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attune")
    parser.add_argument("--shape", default="llama-250m")
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--budgets", type=int, default=5)
    options = parser.parse_args()
    plan = [options.attune, "plan", options.shape, "--set", f"train.max_length={options.tokens}",
            "--set", "train.per_device_train_batch_size=1", "--json"]
    sweep = [row["budget_bytes"] for row in run(plan + ["--sweep"])["sweep"]]
    last, wrong = len(sweep) - 1, 0
    chosen = sorted({round(i * last / max(1, options.budgets - 1)) for i in range(options.budgets)})
    print("| budget, MB | estimated tokens/s | measured | measured / estimated |\n|---|---|---|---|")
    for budget in (sweep[i] for i in chosen):
        memory = ["--memory", f"{budget + 8_000_000}B"]  # the two commands are not of one size themselves

        def estimate():
            return run(plan + memory)["estimate"]["tokens_per_second"]

        before = estimate()
        measured = run([options.attune, "bench", "train", "--shape", options.shape, "--tokens", str(options.tokens),
                        "--steps", "2", "--json"] + memory)["tokens_per_second"]
        estimated = (before + estimate()) / 2
        wrong += abs(measured / estimated - 1) > 0.15
        print(f"| {budget / 1e6:.0f} | {estimated:.1f} | {measured:.1f} | {measured / estimated:.2f} |", flush=True)
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
