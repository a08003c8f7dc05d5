#!/usr/bin/env python3
"""Models that attune merged, loaded by transformers.

    transformers_test.py PROGRAM SOURCE_FOLDER

Merged golden models give PEFT's logits. An adapter trained on the bundled model gives, merged, the logits that PEFT
computes from the two, the tokens and prompts of transformers' own tokenizer, and attune's greedy answers. Prints
"SKIP: reason" and exits with 77 without torch (tests/requirements-torch.txt).
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from golden_folder import FAMILIES, attune, golden_folder, train_pirate

os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
PROGRAM = SOURCE = None
QUESTIONS = ("What did you eat today?", "How is the weather?", "Hello! Who are you?")


class Merged(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = Path(temporary.name)
        cls.adapter, cls.merged = train_pirate(PROGRAM, SOURCE, cls.folder), cls.folder / "merged"
        cls.report = json.loads(attune(PROGRAM, "merge", SOURCE / "assets/tiny", "--adapter", cls.adapter, "-o", cls.merged,
                                       "--json"))

    def test_golden_models(self):
        for family in FAMILIES:
            with self.subTest(family):
                golden, merged = SOURCE / "tests/golden" / family, self.folder / f"{family}-merged"
                attune(PROGRAM, "merge", golden_folder(SOURCE, family, self.folder), "--adapter", golden / "adapter",
                       "-o", merged, "--shard-size", "100KB")
                self.assertGreater(len(list(merged.glob("model-*.safetensors"))), 1)
                done = subprocess.run([sys.executable, Path(__file__).with_name("peft_roundtrip.py"), golden, "--model",
                                       merged, "--expect", "logits_adapter"], capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_trained_adapter(self):
        import torch
        from peft import PeftModel
        from transformers import AutoModelForCausalLM, AutoTokenizer
        self.assertIn("held-out rows", self.report["compared_on"])
        load = AutoModelForCausalLM.from_pretrained
        ours = load(self.merged, dtype=torch.float32).eval()
        theirs = PeftModel.from_pretrained(load(SOURCE / "assets/tiny", dtype=torch.float32), self.adapter).eval()
        tokenizer, original = (AutoTokenizer.from_pretrained(f) for f in (self.merged, SOURCE / "assets/tiny"))
        self.assertEqual(tokenizer.chat_template, original.chat_template)
        self.assertEqual(ours.generation_config.to_dict(), theirs.generation_config.to_dict())
        for question in QUESTIONS:
            prompt = tokenizer.apply_chat_template([{"role": "user", "content": question}], add_generation_prompt=True,
                                                   return_tensors="pt", return_dict=True)["input_ids"]
            with torch.no_grad():
                got, expected = ours(prompt).logits, theirs(prompt).logits
                answer = ours.generate(input_ids=prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=24,
                                       do_sample=False)[0, prompt.shape[1]:].tolist()
            # The weights are bf16: 8 bits of each survive.
            self.assertLess(((got - expected).abs().max() / expected.abs().max()).item(), 2e-2, question)
            said = json.loads(attune(PROGRAM, "generate", self.merged, "--prompt", question, "--temperature", 0,
                                     "--max-tokens", 24, "--json"))
            self.assertEqual(said["prompt_tokens"], prompt.shape[1])
            self.assertEqual(said["token_ids"], [t for t in answer if t != tokenizer.eos_token_id], question)

    def test_merged_weights_are_those_of_peft(self):
        """Each weight is the f32 sum rounded once: PEFT's own merge of the f32 model, rounded."""
        import torch
        from peft import PeftModel
        from safetensors.torch import load_file
        from transformers import AutoModelForCausalLM
        base = AutoModelForCausalLM.from_pretrained(SOURCE / "assets/tiny", dtype=torch.float32)
        theirs = PeftModel.from_pretrained(base, self.adapter).merge_and_unload().state_dict()
        for name, tensor in load_file(self.merged / "model.safetensors").items():
            self.assertEqual(tensor.dtype, torch.bfloat16)
            # Half a step of bf16, and the rounding of a sum in f32.
            allowed = theirs[name].abs() * 2**-8 + theirs[name].abs().max() * 2**-20
            self.assertTrue(((tensor.float() - theirs[name]).abs() <= allowed).all(), name)


def main():
    global PROGRAM, SOURCE
    PROGRAM, SOURCE = str(Path(sys.argv[1]).resolve()), Path(sys.argv[2]).resolve()
    try:
        import peft  # noqa: F401
        import torch
        from transformers.utils.logging import disable_progress_bar
    except ImportError as error:
        print(f"SKIP: {error}; ./dev test --full makes .venv-torch from tests/requirements-torch.txt")
        sys.exit(77)
    torch.set_num_threads(1)
    disable_progress_bar()
    unittest.main(argv=sys.argv[:1], verbosity=2)


if __name__ == "__main__":
    main()
