#!/usr/bin/env python3
"""Training on the narrower instruction sets that ATTUNE_SIMD chooses is the training that the widest one gives.

    simd_test.py PROGRAM

Sets that this processor or this build lacks are named as skipped.
"""
import os
import re
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
from pathlib import Path

import toy

PROGRAM = None
SETS = ("avx512", "avx2", "neon", "scalar")

# In f32, or in bf16, which some of the sets multiply in f32. A rate at which twelve steps lower the loss, and rounding does
# not yet grow.
RECIPE = """
model: base/model
data: talk.jsonl
output: {output}
quantization: {quantization}
compute: {compute}
lora: {{r: 4}}
train: {{max_steps: 12, max_length: 64, per_device_train_batch_size: 2, gradient_accumulation_steps: 1,
        learning_rate: 0.005}}
"""


def losses(output, quantization, simd=None, compute="f32"):
    Path(f"{output}.yaml").write_text(RECIPE.format(output=output, quantization=quantization, compute=compute))
    environment = {name: value for name, value in os.environ.items() if name != "ATTUNE_SIMD"}
    if simd is not None:
        environment["ATTUNE_SIMD"] = simd
    with unittest.mock.patch.dict(os.environ, environment, clear=True):
        toy.attune(PROGRAM, "train", f"{output}.yaml")
    return [line["loss"] for line in toy.json_lines(f"{output}/metrics.jsonl") if "loss" in line]


def refusal(simd):
    """The line in which the program says that it cannot be limited to this set, or None."""
    done = subprocess.run([PROGRAM, "--version"], env={**os.environ, "ATTUNE_SIMD": simd}, capture_output=True, text=True,
                          timeout=toy.SECONDS)
    if done.returncode == 0:
        return None
    assert done.returncode == 2 and re.fullmatch(r"attune: \[ATTUNE_SIMD\] [^\n]*\n", done.stderr), done
    return done.stderr.strip()


class Simd(unittest.TestCase):
    def test_every_set_trains_alike(self):
        with tempfile.TemporaryDirectory() as folder, toy.inside(folder):
            toy.make_base(PROGRAM)
            for quantization in ("none", "nf4", "int8"):
                widest = losses(f"{quantization}-widest", quantization)
                self.assertLess(widest[-1], widest[0] - 0.05)
                for simd in SETS:
                    with self.subTest(quantization=quantization, simd=simd):
                        why = refusal(simd)
                        if why:
                            self.skipTest(why)
                        limited = losses(f"{quantization}-{simd}", quantization, simd)
                        difference = max(abs(a - b) / b for a, b in zip(limited, widest, strict=True))
                        self.assertLess(difference, 1e-5)

    def test_bf16_trains_alike(self):
        with tempfile.TemporaryDirectory() as folder, toy.inside(folder):
            toy.make_base(PROGRAM)
            widest = losses("bf16-widest", "nf4", compute="bf16")
            self.assertLess(widest[-1], widest[0] - 0.05)
            for simd in SETS:
                with self.subTest(simd=simd):
                    why = refusal(simd)
                    if why:
                        self.skipTest(why)
                    limited = losses(f"bf16-{simd}", "nf4", simd, compute="bf16")
                    difference = max(abs(a - b) / b for a, b in zip(limited, widest, strict=True))
                    self.assertLess(difference, 2e-4)  # a tenth of what one rounding to bf16 may do

    def test_another_name_is_refused(self):
        self.assertEqual(refusal("sse9"), 'attune: [ATTUNE_SIMD] expected avx512, avx2, neon or scalar, got "sse9"')


if __name__ == "__main__":
    PROGRAM = str(Path(sys.argv[1]).resolve())
    unittest.main(argv=sys.argv[:1], verbosity=2)
