#!/usr/bin/env python3
"""What prompt lookup buys: greedy answers with and without it, which must be the same tokens.

    bench/prompt_lookup.py PROGRAM [--model assets/tiny] [--tokens 300] [--runs 3]

Prints tokens per second of both for text that repeats itself (a list to be continued, a passage that stands in the
prompt already) and for text that does not; exits 1 when an answer differs.
"""
import argparse
import json
import subprocess
import sys
from pathlib import Path

STORY = ("Once upon a time there was a little girl named Lily. She loved to play outside in the park with her red ball. "
         "One day the ball rolled under a big tree, and a small bird sat on it. Lily said hello to the bird. ")
PROMPTS = {"new text": "Once upon a time", "a passage again": STORY * 3 + "Once upon a time there was a little",
           "a list": "".join(f"{n}. Lily has {n} red balls.\n" for n in range(1, 13))}


def main():
    options = argparse.ArgumentParser()
    options.add_argument("program")
    options.add_argument("--model", default=str(Path(__file__).resolve().parents[1] / "assets/tiny"))
    options.add_argument("--tokens", type=int, default=300)
    options.add_argument("--runs", type=int, default=3)
    options = options.parse_args()

    def best(prompt, *more):
        results = [json.loads(subprocess.run(
            [options.program, "generate", options.model, "--raw", "--prompt", prompt, "--temperature", "0", "--max-tokens",
             str(options.tokens), "--json", *more], check=True, capture_output=True, text=True).stdout)
            for _ in range(options.runs)]
        return max(results, key=lambda result: result["tokens_per_second"])
    same = True
    print(f"{'text':<18}{'tokens':>8}{'plain/s':>10}{'lookup/s':>10}{'gain':>7}")
    for name, prompt in PROMPTS.items():
        plain, lookup = best(prompt, "--no-prompt-lookup"), best(prompt)
        same = same and plain["token_ids"] == lookup["token_ids"]
        print(f"{name:<18}{plain['tokens']:>8}{plain['tokens_per_second']:>10.0f}{lookup['tokens_per_second']:>10.0f}"
              f"{lookup['tokens_per_second'] / plain['tokens_per_second']:>7.2f}")
    if not same:
        sys.exit("the answers differ")


if __name__ == "__main__":
    main()
