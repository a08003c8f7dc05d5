#!/usr/bin/env python3
"""The files that attune exports, read by the gguf package; and attune reading the same files.

    gguf_test.py PROGRAM SOURCE_FOLDER

Every family in every type: the package knows every key and every tensor's name, finds the values that config.json and
tokenizer.json hold, and dequantizes to the weights; where it quantizes itself (all but the K-quants) the bytes are the same.
Training and talking start from a file of each type as they do from a folder of what the package dequantized. Prints
"SKIP: reason" and exits with 77 when the package is not there.
"""
import json
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from golden_folder import FAMILIES, attune

PROGRAM = SOURCE = None
ARCHITECTURES = {"llama2": "llama", "llama3": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
# Type of file: llama.cpp's name of it, and the types that its matrices have when 256 divides every row.
TYPES = {"f32": ("ALL_F32", {"F32"}), "f16": ("MOSTLY_F16", {"F16"}), "bf16": ("MOSTLY_BF16", {"BF16"}),
         "q8_0": ("MOSTLY_Q8_0", {"Q8_0"}), "q4_0": ("MOSTLY_Q4_0", {"Q4_0", "Q6_K"}),
         "q4_k_m": ("MOSTLY_Q4_K_M", {"Q4_K", "Q6_K"})}
# Root mean square error of a tensor's values relative to the weights.
QUANTIZATION_ERROR = {"F32": 0, "F16": 2**-11, "BF16": 2**-8, "Q8_0": 0.01, "Q6_K": 0.03, "Q5_0": 0.06, "Q4_0": 0.12,
                      "Q4_K": 0.10}
RECIPE = """model: {model}
data: {data}
output: {output}
quantization: none
lora: {{r: 4}}
train: {{max_steps: 4, max_length: 64, learning_rate: 0.01}}
"""


def to_llama_rows(weight, heads):
    """Architecture llama holds the two halves of each head's rows interleaved."""
    return weight.reshape(heads, 2, -1, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def from_llama_rows(weight, heads):
    return weight.reshape(heads, -1, 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


class Gguf(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        import gguf
        import wide_model
        cls.gguf, cls.wide_model = gguf, wide_model
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = Path(temporary.name)

    def names(self, config, architecture):
        """Hugging Face's name -> GGUF's, by the package's own table."""
        table = self.gguf.get_tensor_name_map(self.gguf.MODEL_ARCH[architecture.upper()], config["num_hidden_layers"])
        return lambda name: table.get_name(name, try_suffixes=(".weight", ".bias"))

    def heads(self, config, architecture, name):
        """Of a tensor whose rows architecture llama reorders, else None."""
        if architecture != "llama" or name.split(".")[-2] not in ("q_proj", "k_proj"):
            return None
        return config["num_attention_heads" if "q_proj" in name else "num_key_value_heads"]

    def check_tensors(self, reader, model, architecture):
        import numpy
        config = json.loads((model / "config.json").read_text())
        name_of, stored = self.names(config, architecture), {t.name: t for t in reader.tensors}
        factors = stored.pop("rope_freqs.weight", None)
        self.assertEqual(factors is not None, (config.get("rope_scaling") or {}).get("rope_type") == "llama3")
        for name, weight in self.wide_model.read_safetensors(model / "model.safetensors").items():
            tensor, heads = stored.pop(name_of(name)), self.heads(config, architecture, name)
            expected = weight if heads is None else to_llama_rows(weight, heads)
            kind = tensor.tensor_type.name
            values = self.gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(expected.shape)
            error = numpy.sqrt(((values - expected) ** 2).mean() / (expected ** 2).mean())
            self.assertLessEqual(error, 0 if expected.ndim == 1 else QUANTIZATION_ERROR[kind], tensor.name)
            if kind[-2:] != "_K":
                theirs = self.gguf.quants.quantize(numpy.ascontiguousarray(expected), tensor.tensor_type)
                self.assertEqual(theirs.tobytes(), tensor.data.tobytes(), tensor.name)
        self.assertEqual(list(stored), [], "tensors that the model does not have")

    def keys(self, reader):
        """Name -> value of every key of the file, all of which the package must know."""
        def known(group):
            for value in (v for k, v in vars(group).items() if not k.startswith("__")):
                yield from known(value) if isinstance(value, type) else [value]
        keys = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")}
        names = {name.replace("{arch}", keys["general.architecture"]) for name in known(self.gguf.Keys)}
        self.assertEqual(set(keys) - names, set())
        return keys

    def expected_keys(self, model, architecture, dtype):
        """All keys of a wide model's file, from the files that Hugging Face's libraries read."""
        import numpy
        config, tokenizer, talk = (json.loads((model / f"{name}.json").read_text())
                                   for name in ("config", "tokenizer", "tokenizer_config"))
        real, rope = lambda value: float(numpy.float32(value)), config.get("rope_parameters") or config
        size, vocabulary = config["head_dim"], tokenizer["model"]["vocab"]
        tokens = {i: token for token, i in vocabulary.items()} | {t["id"]: t["content"] for t in tokenizer["added_tokens"]}
        kinds = self.gguf.TokenType
        described = {
            "block_count": config["num_hidden_layers"], "context_length": config["max_position_embeddings"],
            "embedding_length": config["hidden_size"], "feed_forward_length": config["intermediate_size"],
            "attention.head_count": config["num_attention_heads"],
            "attention.head_count_kv": config["num_key_value_heads"],
            "attention.layer_norm_rms_epsilon": real(config["rms_norm_eps"]), "attention.key_length": size,
            "attention.value_length": size, "rope.freq_base": real(rope["rope_theta"]), "rope.dimension_count": size,
            "vocab_size": config["vocab_size"]}
        if config.get("sliding_window"):
            described["attention.sliding_window"] = config["sliding_window"]
        end = next(i for i, token in tokens.items() if token == talk["eos_token"])
        return {f"{architecture}.{name}": value for name, value in described.items()} | {
            "general.architecture": architecture, "general.type": "model", "general.name": model.name,
            "general.file_type": int(self.gguf.LlamaFileType[TYPES[dtype][0]]), "general.quantization_version": 2,
            "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2",
            "tokenizer.ggml.tokens": [tokens.get(i, f"[PAD{i}]") for i in range(config["vocab_size"])],
            "tokenizer.ggml.token_type": [int(kinds.NORMAL if i < len(vocabulary) else kinds.CONTROL if i in tokens else
                                              kinds.UNUSED) for i in range(config["vocab_size"])],
            "tokenizer.ggml.merges": tokenizer["model"]["merges"],
            "tokenizer.ggml.bos_token_id": next(i for i, token in tokens.items() if token == talk["bos_token"]),
            "tokenizer.ggml.eos_token_id": end, "tokenizer.ggml.eot_token_id": end,
            "tokenizer.ggml.add_bos_token": False, "tokenizer.ggml.add_eos_token": False,
            "tokenizer.chat_template": talk["chat_template"]}

    def test_every_family_in_every_type(self):
        for family, architecture in ARCHITECTURES.items():
            model = self.wide_model.wide_folder(SOURCE, family, self.folder)
            for dtype, (_, kinds) in TYPES.items():
                with self.subTest(f"{family} {dtype}"):
                    path = self.folder / f"{family}-{dtype}.gguf"
                    attune(PROGRAM, "export", model, "--dtype", dtype, "-o", path)
                    reader = self.gguf.GGUFReader(path)
                    self.assertEqual(self.keys(reader), self.expected_keys(model, architecture, dtype))
                    self.assertEqual({t.tensor_type.name for t in reader.tensors if len(t.shape) > 1}, kinds)
                    self.check_tensors(reader, model, architecture)

    def test_tiny_model(self):
        """The bundled model: a SentencePiece vocabulary, and rows that K-quants do not divide."""
        for dtype in TYPES:
            with self.subTest(dtype):
                path = self.folder / f"{dtype}.gguf"
                attune(PROGRAM, "export", SOURCE / "assets/tiny", "--dtype", dtype, "-o", path)
                reader = self.gguf.GGUFReader(path)
                keys = self.keys(reader)
                self.assertEqual(keys["general.architecture"], "llama")
                self.assertEqual(keys["llama.attention.head_count_kv"], 3)
                self.assertEqual(len(keys["tokenizer.ggml.tokens"]), 4096)
                self.assertEqual(len(keys["tokenizer.ggml.scores"]), 4096)
                self.assertEqual(keys["tokenizer.ggml.tokens"][keys["tokenizer.ggml.eos_token_id"]], "<|end|>")
                self.assertIn("<|assistant|>", keys["tokenizer.chat_template"])
                self.assertEqual(len(reader.tensors), 1 + 6 * 9 + 1)
                self.check_tensors(reader, SOURCE / "assets/tiny", "llama")

    def test_lora(self):
        for family, architecture in ARCHITECTURES.items():
            with self.subTest(family):
                path, golden = self.folder / f"{family}-lora.gguf", SOURCE / "tests/golden" / family
                attune(PROGRAM, "export", golden / "model", "--adapter", golden / "adapter", "--to", "gguf-lora", "-o", path)
                reader = self.gguf.GGUFReader(path)
                keys = self.keys(reader)
                self.assertEqual((keys["general.architecture"], keys["general.type"], keys["adapter.type"]),
                                 (architecture, "adapter", "lora"))
                name_of = self.names(json.loads((golden / "model/config.json").read_text()), architecture)
                modules = {name.removeprefix("base_model.model.").rsplit(".lora_", 1)[0] + ".weight"
                           for name in self.wide_model.read_safetensors(golden / "adapter/adapter_model.safetensors")}
                self.assertEqual({t.name for t in reader.tensors},
                                 {f"{name_of(m)}.lora_{part}" for m in modules for part in "ab"})

    def dequantized(self, path, model, target):
        """A folder of the weights that the package finds in a file of architecture llama."""
        import numpy
        shutil.copytree(model, target)
        config = json.loads((model / "config.json").read_text())
        name_of, reader = self.names(config, "llama"), self.gguf.GGUFReader(path)
        stored, weights = {t.name: t for t in reader.tensors}, {}
        for name, weight in self.wide_model.read_safetensors(model / "model.safetensors").items():
            tensor, heads = stored[name_of(name)], self.heads(config, "llama", name)
            values = self.gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(weight.shape)
            if "embed" in name and tensor.tensor_type.name[0] == "Q":
                values = values.astype(numpy.float16)  # as attune holds it
            weights[name] = values if heads is None else from_llama_rows(values, heads)
        self.wide_model.write_safetensors(target / "model.safetensors", weights)
        return target

    def test_training_and_talking(self):
        """From a file of each type as from the same values in a folder."""
        model, data = self.wide_model.wide_folder(SOURCE, "llama2", self.folder / "training"), self.folder / "talk.jsonl"
        data.write_text("".join(json.dumps({"messages": [
            {"role": "user", "content": f"{i} plus one?"}, {"role": "assistant", "content": f"It is {i + 1}."}]}) + "\n"
            for i in range(24)))
        for dtype in list(TYPES)[1:]:
            with self.subTest(dtype):
                path = self.folder / f"training-{dtype}.gguf"
                attune(PROGRAM, "export", model, "--dtype", dtype, "-o", path)
                losses, answers = [], []
                for base in (path, self.dequantized(path, model, self.folder / f"folder-{dtype}")):
                    run, recipe = self.folder / f"run-{base.name}", self.folder / "recipe.yaml"
                    recipe.write_text(RECIPE.format(model=base, data=data, output=run))
                    attune(PROGRAM, "train", recipe)
                    rows = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
                    losses.append([row["loss"] for row in rows if "loss" in row])
                    answers.append(json.loads(attune(PROGRAM, "generate", base, "--adapter", run / "adapter", "--prompt",
                                                     "3 plus one?", "--temperature", 0, "--max-tokens", 12, "--json")))
                self.assertEqual(len(losses[0]), 4)
                self.assertLess(losses[0][-1], losses[0][0] - 0.5)
                for got, expected in zip(*losses):
                    self.assertAlmostEqual(got, expected, delta=1e-5)
                self.assertEqual(answers[0]["token_ids"], answers[1]["token_ids"])
                done = subprocess.run([PROGRAM, "chat", path, "--adapter", self.folder / f"run-{path.name}/adapter",
                                       "--temperature", "0", "--max-tokens", "12"], input="3 plus one?\n",
                                      capture_output=True, text=True, check=True)
                self.assertEqual(done.stdout.strip(), answers[0]["text"].strip())


def main():
    global PROGRAM, SOURCE
    PROGRAM, SOURCE = str(Path(sys.argv[1]).resolve()), Path(sys.argv[2]).resolve()
    try:
        import gguf  # noqa: F401
    except ImportError as error:
        print(f"SKIP: {error}; ./dev test makes .venv from tests/requirements.txt")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)


if __name__ == "__main__":
    main()
