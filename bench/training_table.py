#!/usr/bin/env python3
"""The speed of a training step for each shape, beside what no step can beat, as the table of docs/PERFORMANCE.md.

  bench/training_table.py build/release/attune [--tokens 2048] [--shapes llama-250m,...] [--rounds 2]
                          [--kinds free,recompute,int8,5GB] [--json FILE]

Kinds: free keeps everything, recompute only the blocks' inputs, int8 multiplies in 8-bit integers; anything else is a
memory budget. Each is measured in --rounds processes of their own, a step each after one that is not measured (mistral-7b:
its first). Do nothing else on the machine meanwhile.
"""
import argparse
import json

from plan_truth import run

SHAPES = "llama-250m,qwen2.5-0.5b,llama-3.2-1b,mistral-7b"
OPTIONS = {"free": [], "recompute": ["--recompute"], "int8": ["--compute", "int8"]}


def measure(attune, shape, tokens, kind):
    command = [attune, "bench", "train", "--shape", shape, "--tokens", str(tokens), "--quantization", "nf4", "--json"]
    command += OPTIONS.get(kind, ["--memory", kind]) + ["--steps", "0" if shape == "mistral-7b" else "1"]
    return run(command)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attune")
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--shapes", default=SHAPES)
    parser.add_argument("--kinds", default="free,recompute")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", help="write what `bench train --json` says of each there as well")
    options = parser.parse_args()
    rows = []
    print("| shape | tokens | kind | tokens/s | SOL | of GFLOP/s | of sustained | step | operations | bytes | planned MB "
          "| measured MB |\n" + 12 * "|---" + "|")
    for shape in options.shapes.split(","):
        for kind in options.kinds.split(","):
            for _ in range(options.rounds):
                row = measure(options.attune, shape, options.tokens, kind)
                rows.append({"kind": kind, **row})
                floors = row["floor_seconds"]
                of_sustained = row["sol"] * row["gemm_peak_gflops"] / row["gemm_sustained_gflops"]
                print(f"| {shape} | {options.tokens} | {kind} | {row['tokens_per_second']:.1f} | {100 * row['sol']:.1f}% "
                      f"| {row['gemm_peak_gflops']:.0f} "
                      f"| {100 * of_sustained:.1f}% | {row['step_seconds']:.2f} s | {floors['operations']:.2f} s "
                      f"| {floors['bytes']:.2f} s | {row['planned_peak_bytes'] / 1e6:.0f} "
                      f"| {row['measured_peak_bytes'] / 1e6:.0f} |", flush=True)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
