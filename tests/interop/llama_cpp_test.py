#!/usr/bin/env python3
"""What attune exports, read by the gguf package and run by real llama.cpp.

    llama_cpp_test.py PROGRAM SOURCE_FOLDER gguf
    llama_cpp_test.py PROGRAM SOURCE_FOLDER llama TOKENIZE

gguf: every key and tensor of every type is read by the gguf package; its dequantization gives the weights back, and where
it quantizes itself (Q8_0, Q4_0, Q5_0) the bytes are the same. llama: llama.cpp (llama-cpp-python) gives the tokens of attune (driver tokenize.cc),
the logits of torch for the golden models with and without adapter, merged or as a GGUF LoRA, and the greedy answers that
attune gives from the same file. Prints "SKIP: reason" and exits with 77 when the package is not there.
"""
import json
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from golden_folder import FAMILIES, attune, golden_folder, train_pirate

PROGRAM = SOURCE = TOKENIZE = None
PROMPTS = ("Hello, how are you?", "What is your name?", "I would like to order a pizza.")
TEXTS = ("Hello, world!", "  two  spaces", "line\nline\n\ttab", "\u00c1rv\u00edzt\u0171r\u0151 12345", "\u65e5\u672c\u8a9e \U0001f600",
         "don't he'll she", "<s><|user|>Hi there, how are you?<|end|><|assistant|>",
         "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n")
# Root mean square error of a format's values relative to those of the weights.
QUANTIZATION_ERROR = {"f32": 0, "f16": 1e-3, "bf16": 0, "q8_0": 0.01, "q4_0": 0.12, "q4_k_m": 0.10}


def safetensors(path):
    """Name -> f32 array of a file's float tensors; numpy has no bf16."""
    import numpy
    data = Path(path).read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for name, entry in json.loads(data[8:8 + size]).items():
        if name == "__metadata__":
            continue
        begin, end = (8 + size + x for x in entry["data_offsets"])
        if entry["dtype"] == "BF16":
            bits = numpy.frombuffer(data[begin:end], numpy.uint16).astype(numpy.uint32) << 16
            values = bits.view(numpy.float32)
        else:
            kind = {"F32": numpy.float32, "F16": numpy.float16, "I64": numpy.int64}[entry["dtype"]]
            values = numpy.frombuffer(data[begin:end], kind)
        tensors[name] = values.reshape(entry["shape"])
    return tensors


def token_ids(model, texts):
    """attune's ids of each text, special tokens recognised."""
    with tempfile.TemporaryDirectory() as folder:
        documents, results = Path(folder) / "documents", Path(folder) / "results"
        encoded = [text.encode() for text in texts]
        documents.write_bytes(b"".join(struct.pack("<I", len(text)) + text for text in encoded))
        subprocess.run([TOKENIZE, model, documents, results], check=True, capture_output=True)
        data, at, blobs = results.read_bytes(), 0, []
        while at < len(data):
            size, = struct.unpack_from("<I", data, at)
            blobs.append(data[at + 4:at + 4 + size])
            at += 4 + size
    return [list(struct.unpack(f"<{len(blob) // 4}i", blob)) for blob in blobs[::4]]  # then three decoded texts


class Gguf(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        import gguf
        cls.gguf = gguf
        cls.folder = tempfile.TemporaryDirectory()
        cls.tiny = safetensors(SOURCE / "assets/tiny/model.safetensors")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def hugging_face(self, name):
        """The weights that a tensor of the tiny model holds, rows in GGUF's order."""
        part = name.split(".")
        if part[0] in ("token_embd", "output_norm"):
            return self.tiny[{"token_embd": "model.embed_tokens.weight", "output_norm": "model.norm.weight"}[part[0]]]
        module = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
                  "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
                  "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
        weight = self.tiny[f"model.layers.{part[1]}.{module[part[2]]}.weight"]
        if part[2] in ("attn_q", "attn_k"):
            heads = {"attn_q": 6, "attn_k": 3}[part[2]]
            weight = weight.reshape(heads, 2, -1, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)
        return weight

    def test_every_type(self):
        import numpy
        for dtype, limit in QUANTIZATION_ERROR.items():
            with self.subTest(dtype):
                path = Path(self.folder.name) / f"{dtype}.gguf"
                attune(PROGRAM, "export", SOURCE / "assets/tiny", "--dtype", dtype, "-o", path)
                reader = self.gguf.GGUFReader(path)
                keys = {name: field.contents() for name, field in reader.fields.items()}
                self.assertEqual(keys["general.architecture"], "llama")
                self.assertEqual(keys["llama.attention.head_count_kv"], 3)
                self.assertEqual(len(keys["tokenizer.ggml.tokens"]), 4096)
                self.assertEqual(len(keys["tokenizer.ggml.scores"]), 4096)
                self.assertEqual(keys["tokenizer.ggml.tokens"][keys["tokenizer.ggml.eos_token_id"]], "<|end|>")
                self.assertIn("<|assistant|>", keys["tokenizer.chat_template"])
                self.assertEqual(len(reader.tensors), 1 + 6 * 9 + 1)
                for tensor in reader.tensors:
                    expected = self.hugging_face(tensor.name)
                    values = self.gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(expected.shape)
                    error = numpy.sqrt(((values - expected) ** 2).mean() / (expected ** 2).mean())
                    self.assertLessEqual(error, 0 if expected.ndim == 1 else limit, tensor.name)
                    if tensor.tensor_type.name in ("Q8_0", "Q4_0", "Q5_0"):
                        theirs = self.gguf.quants.quantize(numpy.ascontiguousarray(expected), tensor.tensor_type)
                        self.assertEqual(theirs.tobytes(), tensor.data.tobytes(), tensor.name)

    def test_lora(self):
        path = Path(self.folder.name) / "lora.gguf"
        golden = SOURCE / "tests/golden/llama3"
        attune(PROGRAM, "export", golden / "model", "--adapter", golden / "adapter", "--to", "gguf-lora", "-o", path)
        reader = self.gguf.GGUFReader(path)
        self.assertEqual(reader.fields["adapter.type"].contents(), "lora")
        self.assertTrue(all(t.name.endswith((".lora_a", ".lora_b")) for t in reader.tensors))


class Llama(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        import llama_cpp
        cls.llama_cpp = llama_cpp
        cls.folder = tempfile.TemporaryDirectory()

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def load(self, path, **more):
        return self.llama_cpp.Llama(str(path), n_ctx=256, n_batch=256, logits_all=True, verbose=False, n_threads=2,
                                    seed=1, **more)

    def logits(self, model, tokens):
        import numpy
        model.reset()
        model.eval([int(token) for token in tokens])
        return numpy.array(model.scores[:len(tokens)])

    def close(self, got, expected, limit, what):
        import numpy
        difference = numpy.abs(got - expected).max() / numpy.abs(expected).max()
        self.assertLessEqual(difference, limit, f"{what}: logits differ by {difference:.5f} of the largest")

    def test_golden_models(self):
        """f32 files of every family, their adapters merged and beside the base, against torch's logits."""
        for family in FAMILIES:
            with self.subTest(family):
                golden = safetensors(SOURCE / "tests/golden" / family / "golden.safetensors")
                adapter = SOURCE / "tests/golden" / family / "adapter"
                model = golden_folder(SOURCE, family, self.folder.name)
                base, merged, lora = (Path(self.folder.name) / f"{family}{end}.gguf" for end in ("", "-merged", "-lora"))
                attune(PROGRAM, "export", model, "--dtype", "f32", "-o", base)
                attune(PROGRAM, "export", model, "--adapter", adapter, "--dtype", "f32", "-o", merged)
                attune(PROGRAM, "export", model, "--adapter", adapter, "--to", "gguf-lora", "-o", lora)
                # llama.cpp has no sliding window in architecture llama: within the window it must agree.
                length = 16 if family == "mistral" else 48
                for path, name, more in ((base, "logits_base", {}), (merged, "logits_adapter", {}),
                                         (base, "logits_adapter", {"lora_path": str(lora)})):
                    llama = self.load(path, **more)
                    for text, ids in zip(TEXTS, token_ids(model, TEXTS)):
                        self.assertEqual(llama.tokenize(text.encode(), add_bos=False, special=True), ids, text)
                    for row in range(2):
                        got = self.logits(llama, golden["input_ids"][row][:length])
                        # llama.cpp keeps keys and values in 16 bits.
                        self.close(got, golden[name][row][:length], 5e-3, f"{path.name} {name}")
                    llama.close()

    def test_tiny_model(self):
        """Tokens, logits and greedy answers of the bundled model in every type."""
        tiny = SOURCE / "assets/tiny"
        exact = None
        for dtype, limit in (("f32", 1e-4), ("f16", 5e-3), ("bf16", 3e-2), ("q8_0", 0.05), ("q4_0", 0.5),
                             ("q4_k_m", 0.4)):
            with self.subTest(dtype):
                path = Path(self.folder.name) / f"tiny-{dtype}.gguf"
                attune(PROGRAM, "export", tiny, "--dtype", dtype, "-o", path)
                llama = self.load(path)
                for text, ids in zip(TEXTS, token_ids(tiny, TEXTS)):
                    self.assertEqual(llama.tokenize(text.encode(), add_bos=False, special=True), ids, text)
                tokens = llama.tokenize(TEXTS[-2].encode(), add_bos=False, special=True)
                got = self.logits(llama, tokens)
                exact = got if exact is None else exact
                self.close(got, exact, limit, dtype)
                for prompt in PROMPTS:
                    ids = llama.tokenize(f"<s><|user|>{prompt}<|end|><|assistant|>".encode(), add_bos=False, special=True)
                    answer = json.loads(attune(PROGRAM, "generate", path, "--prompt", prompt, "--temperature", 0, "--max-tokens", 16,
                                               "--json"))["token_ids"]
                    llama.reset()
                    theirs = []
                    for token in llama.generate(ids, temp=0.0):
                        if token == llama.token_eos() or len(theirs) == 16:
                            break
                        theirs.append(token)
                    # Below 16 bits llama.cpp also rounds the activations to 8: the answers need not be the same.
                    if dtype in ("f32", "f16"):
                        self.assertEqual(answer, theirs, f"{dtype}: {prompt}")
                self.assertEqual(llama.detokenize([llama.token_eos()], special=True), b"<|end|>")
                llama.close()

    def test_trained_adapter(self):
        """Greedy answers of a trained adapter, merged into the file and beside it, are those of the folder."""
        tiny, adapter = SOURCE / "assets/tiny", train_pirate(PROGRAM, SOURCE, self.folder.name)
        merged, base, lora = (Path(self.folder.name) / f"pirate-{part}.gguf" for part in ("merged", "base", "lora"))
        attune(PROGRAM, "export", tiny, "--adapter", adapter, "--dtype", "f32", "-o", merged)
        attune(PROGRAM, "export", tiny, "--dtype", "bf16", "-o", base)
        attune(PROGRAM, "export", tiny, "--adapter", adapter, "--to", "gguf-lora", "-o", lora)
        for path, more in ((merged, {}), (base, {"lora_path": str(lora)})):
            llama = self.load(path, **more)
            for prompt in PROMPTS:
                answer = json.loads(attune(PROGRAM, "generate", tiny, "--adapter", adapter, "--prompt", prompt, "--temperature",
                                           0, "--max-tokens", 24, "--json"))
                said = llama.create_chat_completion([{"role": "user", "content": prompt}], temperature=0, max_tokens=24)
                self.assertEqual(said["choices"][0]["message"]["content"].strip(), answer["text"].strip(), path.name)
            llama.close()


def main():
    global PROGRAM, SOURCE, TOKENIZE
    PROGRAM, SOURCE, part = str(Path(sys.argv[1]).resolve()), Path(sys.argv[2]).resolve(), sys.argv[3]
    TOKENIZE = sys.argv[4] if len(sys.argv) > 4 else None
    module, case, where = {"gguf": ("gguf", Gguf, "test: .venv from tests/requirements.txt"),
                           "llama": ("llama_cpp", Llama, "test --full: .venv-llama from tests/requirements-llama.txt")}[part]
    try:
        __import__(module)
        import numpy  # noqa: F401
    except ImportError as error:
        print(f"SKIP: {error}; ./dev {where}")
        sys.exit(77)
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(case)
    sys.exit(0 if unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful() else 1)


if __name__ == "__main__":
    main()
