#!/usr/bin/env python3
"""What attune exports, run by real llama.cpp (llama-cpp-python).

    llama_cpp_test.py PROGRAM SOURCE_FOLDER TOKENIZE LOGITS

llama.cpp finds the tokens of attune (driver tokenize.cc) and, for the golden models with and without adapter, merged or
as a GGUF LoRA, the logits of torch. For a wider model of each family in every type: its llama-quantize makes the same
file, its logits are those of attune from that file (driver logits.cc), and so is its greedy text. Prints "SKIP: reason"
and exits with 77 when the package is not there.
"""
import ctypes
import json
import os
import platform
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from golden_folder import FAMILIES, attune, golden_folder, train_pirate

PROGRAM = SOURCE = TOKENIZE = LOGITS = None
PROMPTS = ("Hello, how are you?", "What is your name?", "I would like to order a pizza.")
TEXTS = ("Hello, world!", "  two  spaces", "line\nline\n\ttab", "\u00c1rv\u00edzt\u0171r\u0151 12345", "\u65e5\u672c\u8a9e \U0001f600",
         "don't he'll she", "<s><|user|>Hi there, how are you?<|end|><|assistant|>",
         "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n")
# Type of file: llama.cpp's number of it (enum llama_ftype).
FILE_TYPES = {"f32": 0, "f16": 1, "bf16": 32, "q8_0": 7, "q4_0": 2, "q4_k_m": 15}
# What llama.cpp rounds and attune does not: the activations, to meet the weights. Root mean square, relative to theirs: to
# f16 and bf16; for q8_0 and q4_0 to 8 bits with a scale per 32 values (the largest of 32 normal values is 2.1 deviations,
# a step 1/127 of it); for K-quants with one per 256 (2.8 deviations).
ROUNDING = {"f32": 1e-6, "f16": 2e-4, "bf16": 1.6e-3, "q8_0": 4.7e-3, "q4_0": 4.7e-3, "q4_k_m": 6.4e-3}
# The same when llama.cpp expands the file to f32 by itself: what is left is that attune holds a table of embeddings in
# blocks as f16.
EXPANDED = {"f32": 1e-6, "f16": 1e-6, "bf16": 1e-6, "q8_0": 1.5e-4, "q4_0": 1.5e-4, "q4_k_m": 1.5e-4}
# What a model makes of an error in each of its products: logits differ by so many times that. q8_0's own rounding, 4.7e-3 of
# the weights, shows it: 2.1e-2 to 3e-2 of the wide models' logits (4 bits: 0.3), 2.6e-3 of those of the bundled model.
WIDE_GAIN, TINY_GAIN = 5, 1
ALLOWED = 1.5  # times what is to be expected
CHATML = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
EXACT_CACHE = {"type_k": 0, "type_v": 0}  # keys and values in f32, which llama.cpp otherwise keeps in 16 bits


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


def attune_logits(model, tokens, *adapter):
    """[tokens, vocabulary] from the folder or file `model`."""
    import numpy
    with tempfile.TemporaryDirectory() as folder:
        ids, logits = Path(folder) / "ids", Path(folder) / "logits"
        ids.write_bytes(struct.pack(f"<{len(tokens)}i", *tokens))
        subprocess.run([LOGITS, model, ids, logits, *adapter], check=True)
        return numpy.fromfile(logits, numpy.float32).reshape(len(tokens), -1)


class GgufParameters(ctypes.Structure):
    _fields_ = [("no_alloc", ctypes.c_bool), ("context", ctypes.c_void_p)]


def stored_tensors(path):
    """Name -> (number of the type, bytes), as ggml reads the file."""
    from llama_cpp._ggml import libggml
    def call(name, kind, *arguments):
        function = getattr(libggml, f"gguf_{name}")
        function.restype = kind
        return function(*arguments)
    file, data = call("init_from_file", ctypes.c_void_p, str(path).encode(), GgufParameters(True, None)), path.read_bytes()
    file, size = ctypes.c_void_p(file), ctypes.c_size_t
    start, tensors = call("get_data_offset", size, file), {}
    for i in map(ctypes.c_int64, range(call("get_n_tensors", ctypes.c_int64, file))):
        begin = start + call("get_tensor_offset", size, file, i)
        tensors[call("get_tensor_name", ctypes.c_char_p, file, i).decode()] = (
            call("get_tensor_type", ctypes.c_int, file, i), data[begin:begin + call("get_tensor_size", size, file, i)])
    call("free", None, file)
    return tensors


class Llama(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        import llama_cpp
        import wide_model
        cls.llama_cpp, cls.wide_model = llama_cpp, wide_model
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = Path(temporary.name)

    def load(self, path, **more):
        return self.llama_cpp.Llama(str(path), n_ctx=256, n_batch=256, logits_all=True, verbose=False, n_threads=1,
                                    n_threads_batch=1, seed=1, **more)

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
                golden = self.wide_model.read_safetensors(SOURCE / "tests/golden" / family / "golden.safetensors")
                adapter = SOURCE / "tests/golden" / family / "adapter"
                model = golden_folder(SOURCE, family, self.folder)
                base, merged, lora = (self.folder / f"{family}{end}.gguf" for end in ("", "-merged", "-lora"))
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

    def quantize(self, source, target, dtype):
        """What llama-quantize does; to f32 it expands a file of any type."""
        parameters = self.llama_cpp.llama_model_quantize_default_params()
        parameters.ftype, parameters.allow_requantize, parameters.nthread = FILE_TYPES[dtype], True, 1
        done = self.llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(parameters))
        self.assertEqual(done, 0, f"llama-quantize {source} {dtype}")
        return target

    def compare(self, path, ours, theirs, limit, what):
        """Logits [tokens, vocabulary] of the same tokens."""
        import numpy
        difference, scale = ours - theirs, numpy.sqrt((theirs**2).mean())
        middle, most = numpy.sqrt((difference**2).mean()) / scale, numpy.abs(difference).max() / scale
        print(f"{path.name} {what}: {middle:.1e}, at most {most:.1e}", flush=True)
        self.assertLessEqual(middle, limit, f"{path.name} {what}")
        self.assertLessEqual(most, 6 * limit, f"{path.name} {what}")  # the farthest of 20,000 is 4 deviations away

    def answers(self, llama, path, template):
        """attune's greedy answers: the ids of each prompt and those chosen, with the one that ends the turn."""
        pairs = []
        for prompt in PROMPTS:
            ids = llama.tokenize(template.format(prompt).encode(), add_bos=False, special=True)
            answer = json.loads(attune(PROGRAM, "generate", path, "--prompt", prompt, "--temperature", 0, "--max-tokens", 16,
                                       "--json"))
            self.assertEqual(answer["prompt_tokens"], len(ids))
            pairs.append((ids, answer["token_ids"] + [llama.token_eos()] * (answer["finish_reason"] == "stop")))
        return pairs

    def same_answers(self, path, llama, answers, limit, what):
        """After the same tokens llama.cpp chooses the same next one, or one of several between which the error of the
        logits decides; to the first such choice the texts are the same. The share of the others."""
        import numpy
        clear = []
        for ids, chosen in answers:
            logits = self.logits(llama, ids + chosen[:-1])[len(ids) - 1:]
            second, best = numpy.sort(logits, axis=1)[:, -2:].T
            error = 4 * 2**0.5 * limit * numpy.sqrt((logits**2).mean())  # four deviations of the difference of two
            for step, token in enumerate(chosen):
                self.assertGreaterEqual(logits[step][token], best[step] - error, f"{path.name} {what}: step {step} of {chosen}")
            clear += (best - second > error).tolist()
            same = (clear[-len(chosen):] + [False]).index(False)
            llama.reset()
            theirs = [token for token, _ in zip(llama.generate(ids, temp=0.0), range(same))]
            self.assertEqual(chosen[:same], theirs, f"{path.name} {what}")
        print(f"{path.name} {what}: {sum(clear)} of {len(clear)} choices clear", flush=True)
        return sum(clear) / len(clear)

    def check_file(self, path, model, tokens, template, dtype, gain):
        """What llama.cpp makes of the file is what attune makes of it."""
        expanded = self.load(self.quantize(path, path.with_suffix(".expanded"), "f32"), **EXACT_CACHE)
        answers, ours, limit = self.answers(expanded, path, template), attune_logits(path, tokens), ALLOWED * gain
        self.compare(path, ours, self.logits(expanded, tokens), limit * EXPANDED[dtype], "expanded")
        self.assertGreater(self.same_answers(path, expanded, answers, limit * EXPANDED[dtype], "expanded"), 0.9, path.name)
        expanded.close()
        llama = self.load(path, **EXACT_CACHE)
        for text, ids in zip(TEXTS, token_ids(model, TEXTS)):
            self.assertEqual(llama.tokenize(text.encode(), add_bos=False, special=True), ids, text)
        self.compare(path, ours, self.logits(llama, tokens), limit * ROUNDING[dtype], "as it is")
        self.assertGreater(self.same_answers(path, llama, answers, limit * ROUNDING[dtype], "as it is"), 0.25, path.name)
        end = template.split("{}")[1].split(">")[0] + ">"  # of a turn
        self.assertEqual(llama.detokenize([llama.token_eos()], special=True).decode(), end)
        llama.close()

    def test_wide_models(self):
        """Every family in every type: the file is that of llama-quantize, its logits and texts are those of attune, and so
        are the logits with a LoRA beside it."""
        import numpy
        tokens = numpy.random.default_rng(0).integers(0, 320, 60).tolist()
        for family in FAMILIES:
            model = self.wide_model.wide_folder(SOURCE, family, self.folder / "wide")
            adapter = self.wide_model.wide_adapter(model, self.folder / f"wide-{family}-adapter")
            lora = self.folder / f"wide-{family}-lora.gguf"
            attune(PROGRAM, "export", model, "--adapter", adapter, "--to", "gguf-lora", "-o", lora)
            for dtype in FILE_TYPES:
                with self.subTest(f"{family} {dtype}"):
                    path = self.folder / f"wide-{family}-{dtype}.gguf"
                    attune(PROGRAM, "export", model, "--dtype", dtype, "-o", path)
                    theirs = self.quantize(self.folder / f"wide-{family}-f32.gguf", path.with_suffix(".quantized"), dtype)
                    self.assertEqual(stored_tensors(path), stored_tensors(theirs))
                    self.check_file(path, model, tokens, CHATML, dtype, WIDE_GAIN)
                    llama = self.load(path, lora_path=str(lora), **EXACT_CACHE)
                    self.compare(path, attune_logits(path, tokens, adapter), self.logits(llama, tokens),
                                 ALLOWED * WIDE_GAIN * ROUNDING[dtype], "with LoRA")
                    llama.close()

    def test_tiny_model(self):
        """The same of the bundled model, a trained one whose rows K-quants do not divide."""
        tokens, = token_ids(SOURCE / "assets/tiny", [TEXTS[-2]])
        for dtype in FILE_TYPES:
            with self.subTest(dtype):
                path = self.folder / f"tiny-{dtype}.gguf"
                attune(PROGRAM, "export", SOURCE / "assets/tiny", "--dtype", dtype, "-o", path)
                theirs = self.quantize(self.folder / "tiny-f32.gguf", path.with_suffix(".quantized"), dtype)
                self.assertEqual(stored_tensors(path), stored_tensors(theirs))
                self.check_file(path, SOURCE / "assets/tiny", tokens, "<s><|user|>{}<|end|><|assistant|>", dtype,
                                TINY_GAIN)

    def test_trained_adapter(self):
        """Greedy answers of a trained adapter, merged into the file and beside it, are those of the folder."""
        tiny, adapter = SOURCE / "assets/tiny", train_pirate(PROGRAM, SOURCE, self.folder)
        merged, base, lora = (self.folder / f"pirate-{part}.gguf" for part in ("merged", "base", "lora"))
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
    global PROGRAM, SOURCE, TOKENIZE, LOGITS
    PROGRAM, SOURCE, TOKENIZE, LOGITS = (Path(argument).resolve() for argument in sys.argv[1:5])
    try:
        import llama_cpp  # noqa: F401
    except ImportError as error:
        print(f"SKIP: {error}; ./dev test --full makes .venv-llama from tests/requirements-llama.txt")
        sys.exit(77)
    if platform.machine() == "x86_64":
        os.environ["ATTUNE_SIMD"] = "avx2"  # wider sets may bring activations in bf16: answers come from f32, as logits do
    unittest.main(argv=sys.argv[:1], verbosity=2)


if __name__ == "__main__":
    main()
