#!/usr/bin/env python3
"""A trained adapter on its way out: merged, as GGUF, for Ollama; and GGUF files as models to chat with and train on.

    export_test.py PROGRAM

A toy model is pretrained and an adapter trained on it; every message of a refusal is stated whole.
"""
import json
import os
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

import toy
from server import Server

PROGRAM = None
RECIPE = """model: {model}
data: talk.jsonl
output: {output}
quantization: {quantization}
lora: {{r: 4}}
train: {{max_steps: 6, max_length: 64, learning_rate: 0.01}}
save: {{save_steps: 3}}
"""


class Export(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.before = os.getcwd()
        os.chdir(cls.folder.name)
        toy.make_base(PROGRAM)
        for quantization in ("none", "nf4"):
            Path("recipe.yaml").write_text(
                RECIPE.format(model="base/model", output=quantization, quantization=quantization))
            toy.attune(PROGRAM, "train", "recipe.yaml")

    @classmethod
    def tearDownClass(cls):
        os.chdir(cls.before)
        cls.folder.cleanup()

    def refused(self, message, *arguments):
        before = sorted(str(p) for p in Path(".").rglob("*"))
        error = toy.attune(PROGRAM, *arguments, status=2)[1]
        self.assertEqual(error.splitlines()[-1], f"attune: {message}")
        self.assertEqual(sorted(str(p) for p in Path(".").rglob("*")), before, "something was left behind")

    def answer(self, model, *more):
        return json.loads(toy.attune(PROGRAM, "generate", model, "--prompt", "the sea", "--temperature", 0,
                                     "--max-tokens", 12, "--json", *more)[0])

    # ---- merge

    def test_merge(self):
        report = json.loads(toy.attune(PROGRAM, "merge", "base/model", "--adapter", "none/adapter", "-o", "merged",
                                       "--shard-size", "20KB", "--json")[0])
        self.assertGreater(report["shards"], 1)
        self.assertLess(report["merged"]["kl"], 1e-3)
        self.assertNotIn("trained", report)
        names = {p.name for p in Path("merged").iterdir()}
        self.assertLessEqual({"config.json", "generation_config.json", "tokenizer.json", "tokenizer.model",
                              "tokenizer_config.json", "model.safetensors.index.json"}, names)
        self.answer("merged")

    def test_merge_of_an_adapter_trained_on_nf4_reports_both(self):
        report = json.loads(toy.attune(PROGRAM, "merge", "base/model", "--adapter", "nf4/adapter", "-o", "merged-nf4",
                                       "--data", "talk.jsonl", "--tolerance", 1, "--json")[0])
        self.assertEqual(report["compared_on"], "16 rows of talk.jsonl")
        self.assertEqual(report["trained_on"], "nf4")
        self.assertGreater(report["trained"]["kl"], report["merged"]["kl"])
        self.assertLessEqual(report["merged"]["choice_gap"], 0.05)

    def test_merge_compares_on_what_the_run_held_out(self):
        merge = ("merge", "base/model", "--tolerance", 1, "--json", "--adapter")
        for number, adapter in enumerate(("nf4/adapter", min(Path("nf4/checkpoints").iterdir()))):
            report = json.loads(toy.attune(PROGRAM, *merge, adapter, "-o", f"held-{number}")[0])
            self.assertRegex(report["compared_on"], r"^\d+ held-out rows of nf4$")
            self.assertEqual(report["trained_on"], "nf4")
        os.rename("talk.jsonl", "moved.jsonl")
        try:
            report = json.loads(toy.attune(PROGRAM, *merge, "nf4/adapter", "-o", "held-2")[0])
        finally:
            os.rename("moved.jsonl", "talk.jsonl")
        self.assertEqual(report["compared_on"], "12 built-in questions, no held-out rows of nf4: its data talk.jsonl is not there")
        Path("all.yaml").write_text(RECIPE.format(model="base/model", output="all", quantization="none")
                                    + "eval: {eval_share: 0}\n")
        toy.attune(PROGRAM, "train", "all.yaml")
        report = json.loads(toy.attune(PROGRAM, *merge, "all/adapter", "-o", "held-3")[0])
        self.assertEqual(report["compared_on"], "12 built-in questions, no held-out rows of all: it held none out")

    def test_merge_refusals(self):
        for message, *arguments in (
                ("[base/model] already exists; choose another name or remove it",
                 "base/model", "--adapter", "none/adapter", "-o", "base/model"),
                ("[nothing] no such folder; expected a PEFT adapter",
                 "base/model", "--adapter", "nothing", "-o", "out"),
                ('[--shard-size] expected a size such as 5GB, got "big"',
                 "base/model", "--adapter", "none/adapter", "-o", "out", "--shard-size", "big")):
            self.refused(message, "merge", *arguments)

    # ---- GGUF

    def test_gguf_is_a_model(self):
        toy.attune(PROGRAM, "export", "base/model", "--dtype", "bf16", "-o", "base.gguf")
        for more in ((), ("--adapter", "none/adapter"), ("--quantization", "nf4")):
            self.assertEqual(self.answer("base.gguf", *more)["token_ids"], self.answer("base/model", *more)["token_ids"])
        # Not compared with the folder's chat: what a run of bytes that is no text looks like differs between
        # tokenizer.json's decoder and SentencePiece's, and this model answers in bytes.
        answer = json.loads(toy.attune(PROGRAM, "generate", "base.gguf", "--prompt", "hello", "--seed", 1, "--json")[0])
        self.assertEqual(toy.attune(PROGRAM, "chat", "base.gguf", "--seed", 1, text="hello\n")[0].strip(),
                         answer["text"].replace("\r", "\n").strip())

    def test_gguf_is_served(self):
        toy.attune(PROGRAM, "export", "base/model", "--dtype", "q8_0", "-o", "served.gguf")
        with Server(PROGRAM, "served.gguf", "--adapter", "own=none/adapter") as server:
            models = json.loads(server.request("GET", "/v1/models")[2])
            self.assertEqual([model["id"] for model in models["data"]], ["served", "own"])
            for model, more in (("served", ()), ("own", ("--adapter", "none/adapter"))):
                body = {"model": model, "temperature": 0, "max_tokens": 12,
                        "messages": [{"role": "user", "content": "the sea"}]}
                answer = json.loads(server.request("POST", "/v1/chat/completions", body)[2])
                self.assertEqual(answer["choices"][0]["message"]["content"], self.answer("served.gguf", *more)["text"])

    def test_training_on_gguf(self):
        """The same weights in the same format give the same run; a quantized file is a frozen base."""
        toy.attune(PROGRAM, "export", "base/model", "--dtype", "bf16", "-o", "train.gguf")
        toy.attune(PROGRAM, "export", "base/model", "--dtype", "q8_0", "-o", "train-q8.gguf")
        losses = {}
        for model, quantization, output in (("base/model", "none", "from-folder"), ("train.gguf", "none", "from-gguf"),
                                            ("train.gguf", "nf4", "from-gguf-nf4"), ("train-q8.gguf", "none", "from-q8")):
            Path("recipe.yaml").write_text(RECIPE.format(model=model, output=output, quantization=quantization))
            toy.attune(PROGRAM, "train", "recipe.yaml")
            losses[output] = [row["loss"] for row in toy.json_lines(Path(output) / "metrics.jsonl") if "loss" in row]
        self.assertEqual(losses["from-folder"], losses["from-gguf"])
        for name in ("from-gguf-nf4", "from-q8"):
            self.assertAlmostEqual(losses[name][-1], losses["from-folder"][-1], delta=0.2)
        toy.attune(PROGRAM, "generate", "train-q8.gguf", "--adapter", "from-q8/adapter", "--prompt", "hi")

    def test_lora_and_ollama(self):
        toy.attune(PROGRAM, "export", "base/model", "--adapter", "none/adapter", "--to", "gguf-lora", "-o", "lora.gguf")
        self.assertTrue(Path("lora.gguf").read_bytes().startswith(b"GGUF"))
        toy.attune(PROGRAM, "export", "base/model", "--adapter", "none/adapter", "--to", "ollama", "-o", "ollama")
        self.assertEqual({p.name for p in Path("ollama").iterdir()}, {"Modelfile", "model.gguf"})
        toy.attune(PROGRAM, "export", "base/model", "--adapter", "none/adapter", "--to", "ollama", "--separate-adapter",
                   "-o", "ollama-apart")
        self.assertEqual({p.name for p in Path("ollama-apart").iterdir()}, {"Modelfile", "model.gguf", "adapter.gguf"})
        self.assertTrue(Path("ollama-apart/Modelfile").read_text().startswith("FROM ./model.gguf\nADAPTER ./adapter.gguf\n"))

    def test_export_refusals(self):
        toy.attune(PROGRAM, "export", "base/model", "-o", "whole.gguf")
        whole = Path("whole.gguf").read_bytes()
        Path("cut.gguf").write_bytes(whole[:-5000])
        Path("text.gguf").write_text("not a model")
        self.refused("[--to gguf-lora] needs --adapter FOLDER, the adapter to write",
                     "export", "base/model", "--to", "gguf-lora", "-o", "out.gguf")
        self.refused("[--separate-adapter] belongs to --to ollama; --to gguf-lora writes the adapter alone",
                     "export", "base/model", "--separate-adapter", "-o", "out.gguf")
        self.refused("[whole.gguf] is a GGUF file; expected the folder of the original model, as Hugging Face writes it",
                     "export", "whole.gguf", "-o", "out.gguf")
        self.refused("[whole.gguf] already exists; choose another name or remove it",
                     "export", "base/model", "-o", "whole.gguf")
        self.refused("[text.gguf] does not begin with GGUF; not a GGUF file", "generate", "text.gguf", "--prompt", "x")
        error = toy.attune(PROGRAM, "generate", "cut.gguf", "--prompt", "x", status=2)[1]
        self.assertRegex(error, r"\Aattune: \[cut.gguf: tensor \S+\] its \d+ bytes reach beyond the file of \d+; the file is "
                                r"cut short\n\Z")
        self.refused("[missing.gguf] no such file; check the path", "generate", "missing.gguf", "--prompt", "x")
        error = toy.attune(PROGRAM, "export", "base/model", "--dtype", "q3", "-o", "out.gguf", status=2)[1]
        self.assertRegex(error, r"\Aattune: \[command line\] --dtype: .*q3.*; see attune export --help\n\Z")

    def test_a_template_that_ollama_cannot_say(self):
        shutil.copytree("base/model", "odd")
        config = json.loads(Path("odd/tokenizer_config.json").read_text())
        config["chat_template"] = ("{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] | upper }}<|end|>"
                                   "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}")
        Path("odd/tokenizer_config.json").write_text(json.dumps(config))
        error = toy.attune(PROGRAM, "export", "odd", "--to", "ollama", "-o", "out", status=2)[1]
        self.assertRegex(error, r"\Aattune: \[chat template\] cannot be written as an Ollama template: .*; export --to gguf keeps "
                                r"it as it is for llama.cpp\n\Z")
        self.assertFalse(Path("out").exists())


if __name__ == "__main__":
    PROGRAM = str(Path(sys.argv[1]).resolve())
    unittest.main(argv=sys.argv[:1], verbosity=2)
