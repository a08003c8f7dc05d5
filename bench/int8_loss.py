#!/usr/bin/env python3
"""Do 8-bit products learn what others do? The bundled model on the bundled chat, 200 steps in f32, in bf16 and in int8 with the
same rows in the same order: the losses of every ten steps and the held-out loss, and how far apart they are.

  bench/int8_loss.py PROGRAM [--steps 200] [--quantization nf4]

Needs Python alone; some minutes. Exits with 1 when int8 is more than 1% from bf16 anywhere.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECIPE = """
model: {root}/assets/tiny
data: data
output: {compute}
compute: {compute}
quantization: {quantization}
lora: {{r: 16, lora_alpha: 32}}
train: {{max_steps: {steps}, per_device_train_batch_size: 2, gradient_accumulation_steps: 1, max_length: 512, learning_rate: 5.0e-4}}
eval: {{eval_steps: 50, style_answers: 0, forgetting_samples: 0}}
save: {{save_steps: 0}}
"""


def curve(program, compute, options):
    Path(f"{compute}.yaml").write_text(RECIPE.format(root=ROOT, compute=compute, steps=options.steps, quantization=options.quantization))
    subprocess.run([program, "train", f"{compute}.yaml"], check=True, stdout=subprocess.DEVNULL)
    lines = [json.loads(line) for line in Path(compute, "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    means = [sum(losses[i:i + 10]) / len(losses[i:i + 10]) for i in range(0, len(losses), 10)]
    return means, [line["eval_loss"] for line in lines if "eval_loss" in line]


def apart(left, right):
    return max(abs(a - b) / b for a, b in zip(left, right, strict=True))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=lambda path: Path(path).resolve())
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--quantization", default="nf4")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        subprocess.run([options.program, "import", ROOT / "assets/chat/whatsapp.txt", "--me", "Pete", "-o", "data"], check=True,
                       stdout=subprocess.DEVNULL)
        curves = {compute: curve(options.program, compute, options) for compute in ("f32", "bf16", "int8")}
        os.chdir("/")
    for compute, (losses, held_out) in curves.items():
        print(f"{compute:<5} training", *(f"{loss:.3f}" for loss in losses))
        print(f"{compute:<5} held out", *(f"{loss:.4f}" for loss in held_out))
    bad = False
    for compute in ("bf16", "int8"):
        for other in ("f32", "bf16"):
            if compute == other:
                continue
            training, held_out = (apart(curves[compute][i], curves[other][i]) for i in (0, 1))
            print(f"{compute} from {other}: at most {100 * training:.2f}% of a training loss, {100 * held_out:.2f}% of a held-out loss")
            bad |= compute == "int8" and other == "bf16" and max(training, held_out) > 0.01
    sys.exit(bad)


if __name__ == "__main__":
    main()
