#!/usr/bin/env python3
"""Tokenizing speed of attune and of Hugging Face tokenizers on the same text, one thread each, in one run.

    tokenize_bench.py TOKENIZE_DRIVER [SHARED_DATA]

The driver is build/release/bin/tokenize; run this with the Python of .venv. Prints megabytes per second of both, their
ratio, and whether all ids are equal (exit status 1 when one differs). Each side encodes all documents, of 64 KB each,
three times; the quickest round counts, loading does not. Time is that of the processor, so that what else the machine
does matters little.
"""
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
ROOT = Path(__file__).resolve().parents[1]
DRIVER = Path(sys.argv[1])
DATA = Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT.parent / "shared" / "data"
sys.argv = ["tokenizer_test.py", str(DRIVER), str(DATA), str(ROOT)]
sys.path.insert(0, str(ROOT / "tests" / "interop"))
import tokenizer_test as interop  # the vocabularies and the driver's protocol

ROUNDS = 3


def documents(path, size):
    text = (DATA / path).read_bytes()[:size]
    return [text[begin:begin + 65536] for begin in range(0, len(text), 65536)]


def measure(name, tokenizer, texts):
    os.environ["ATTUNE_TOKENIZE_ROUNDS"] = str(ROUNDS)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "tokenizer.json").write_text(tokenizer.to_str())
        facts, ids, *_ = interop.run_driver(folder, texts, Path(folder))
    decoded = [text.decode(errors="replace") for text in texts]
    best = float("inf")
    for _ in range(ROUNDS):
        begin = time.process_time()
        theirs = [tokenizer.encode_batch_fast([text], add_special_tokens=False)[0] for text in decoded]
        best = min(best, time.process_time() - begin)
    size = sum(map(len, texts)) / 1e6
    different = sum(a != b.ids for a, b in zip(ids, theirs))
    print(f"{name:32} {size:5.1f} MB   attune {facts['mb_per_s']:6.1f} MB/s   tokenizers {size / best:5.1f} MB/s   "
          f"{facts['mb_per_s'] * best / size:5.1f} times   {different} documents differ", flush=True)
    return different


def main():
    english = documents("books_en/classic_books_16MB.txt", 4_000_000)
    hungarian = documents("hungarian/eltec_hun_novels_16MB.txt", 4_000_000)
    sample = [english[i] for i in range(0, len(english), 12)] + [hungarian[i] for i in range(0, len(hungarian), 12)]
    specials = ["<|begin_of_text|>", "<|eot_id|>", "<|im_end|>"]
    tokenizers = {"gpt-2": interop.gpt2(),
                  "llama 3 pattern": interop.trained(interop.LLAMA3, None, specials, sample, ignore_merges=True, size=32000),
                  "qwen 2 pattern": interop.trained(interop.QWEN2, interop.normalizers.NFC(), specials, sample, size=32000)}
    v1 = interop.sentencepiece.SentencePieceProcessor(str(DATA / "tokenizers/mistral/tokenizer.model.v1"))
    tokenizers["mistral v1 (tokenizer.json)"] = interop.converted_sentencepiece(v1, False)
    different = 0
    for name, tokenizer in tokenizers.items():
        for language, texts in (("English", english), ("Hungarian", hungarian)):
            different += measure(f"{name}, {language}", tokenizer, texts)
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
