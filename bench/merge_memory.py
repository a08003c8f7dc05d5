#!/usr/bin/env python3
"""The memory of attune merge: a model folder of a real shape with random weights and an adapter on all of its linears, merged
and compared.

  bench/merge_memory.py PROGRAM [--shape mistral-7b] [--folder /var/tmp/merge] [--limit-gb 2] [OPTION OF attune merge...]

Prints the peak of the process and the time; exits 1 above the limit. Takes twice the bytes of the model on disk (29 GB for
mistral-7b) and removes what it made. Needs Python alone.
"""
import argparse
import json
import random
import resource
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

from make_folder import SHAPES, config_of, tensors_of

ROOT = Path(__file__).resolve().parent.parent


def write_adapter(folder, config, rank):
    """A PEFT folder: A as PEFT draws it, B small, so that the merged model differs from the base and is no noise."""
    folder.mkdir(parents=True)
    rng, targets, tensors = random.Random(2), set(), []
    patterns = {scale: struct.pack("<4093f", *(rng.uniform(-scale, scale) for _ in range(4093))) for scale in (0.02, 0.002)}
    for name, shape in tensors_of(config):
        if not name.endswith("_proj.weight"):
            continue
        module = name.removesuffix(".weight")
        targets.add(module.split(".")[-1])
        tensors.append((f"base_model.model.{module}.lora_A.weight", (rank, shape[1]), 0.02))
        tensors.append((f"base_model.model.{module}.lora_B.weight", (shape[0], rank), 0.002))
    header, at = {}, 0
    for name, shape, _ in tensors:
        size = 4 * shape[0] * shape[1]
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(folder / "adapter_model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, shape, scale in tensors:
            left = 4 * shape[0] * shape[1]
            while left > 0:
                file.write(patterns[scale][:left])
                left -= min(left, len(patterns[scale]))
    (folder / "adapter_config.json").write_text(json.dumps(
        {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": 2 * rank, "lora_dropout": 0.0,
         "target_modules": sorted(targets), "bias": "none"}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--shape", choices=SHAPES, default="mistral-7b")
    parser.add_argument("--folder", default="/var/tmp/attune-merge", help="for everything it makes; a base/ there is used")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--limit-gb", type=float, default=2)
    options, merge_options = parser.parse_known_args()
    folder = Path(options.folder)
    base, adapter, merged = folder / "base", folder / "adapter", folder / "merged"
    kept = base.exists()
    if not kept:
        subprocess.run([sys.executable, ROOT / "bench/make_folder.py", options.shape, base,
                        "--tokenizer", ROOT / "assets/tiny"], check=True)
    shutil.rmtree(adapter, ignore_errors=True)
    shutil.rmtree(merged, ignore_errors=True)
    write_adapter(adapter, config_of(options.shape), options.rank)
    begun = time.monotonic()
    done = subprocess.run([options.program, "merge", base, "--adapter", adapter, "-o", merged, *merge_options])
    seconds = time.monotonic() - begun
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    size = sum(file.stat().st_size for file in merged.glob("*.safetensors")) if merged.exists() else 0
    shutil.rmtree(merged, ignore_errors=True)
    shutil.rmtree(adapter)
    if not kept:
        shutil.rmtree(base)
    print(f"{options.shape}: {size / 1e9:.1f} GB written and compared in {seconds:.0f} s; peak memory {peak / 1e9:.2f} GB, "
          f"mapped files included; limit {options.limit_gb} GB")
    if done.returncode != 0 or peak > options.limit_gb * 1e9:
        sys.exit(1)


if __name__ == "__main__":
    main()
