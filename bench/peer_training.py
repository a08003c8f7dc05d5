#!/usr/bin/env python3
"""LoRA training beside a peer on the same machine, in turn: attune on 4-bit weights, and llama-finetune-lora, the trainer of a
llama.cpp fork (github.com/tetherto/qvac-fabric-llm.cpp, examples/training), on f32 weights of the same shape.

  bench/peer_training.py build/release/attune /path/to/llama-finetune-lora [--tokens 512] [--sequences 4] [--rounds 2]

Both: llama-250m, r 16 on all linears, one sequence a step, two threads or as many as the machine has. The peer's time is that
between its own lines of progress. Do nothing else on the machine meanwhile.
"""
import argparse
import os
import subprocess
import sys
import tempfile
import time

from plan_truth import run

HERE = os.path.dirname(os.path.abspath(__file__))
MODULES = "attn_q,attn_k,attn_v,attn_o,ffn_gate,ffn_up,ffn_down"
WORDS = "the quick brown fox jumps over the lazy dog while seven wizards make toxic brew for the evil queen and jack "


def write_model(attune, folder):
    base, gguf = os.path.join(folder, "base"), os.path.join(folder, "base.gguf")
    for command in ([sys.executable, os.path.join(HERE, "make_folder.py"), "llama-250m", base, "--tokenizer",
                     os.path.join(HERE, "..", "assets", "tiny")],
                    [attune, "export", base, "--to", "gguf", "--dtype", "f32", "-o", gguf]):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return gguf


def peer_speed(peer, gguf, folder, tokens, sequences):
    """Tokens per second from the first sequence's end to the last one's."""
    text = os.path.join(folder, "text.txt")
    with open(text, "w") as file:
        file.write(WORDS * (tokens * (sequences + 4) // 16))
    command = [peer, "-m", gguf, "-f", text, "-c", str(tokens), "-b", str(tokens), "-ub", str(tokens), "-fa", "off",
               "-t", str(os.cpu_count()), "--lora-rank", "16", "--lora-alpha", "32", "--lora-modules", MODULES,
               "--output-adapter", os.path.join(folder, "adapter.gguf")]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    ends, line = [], b""
    while len(ends) <= sequences:
        byte = process.stderr.read(1)
        if not byte:
            sys.exit(f"the peer ended after {len(ends)} sequences with {process.wait()}: {line[-300:]!r}")
        line = line + byte if byte not in b"\r\n" else b""
        if line.endswith(b"ETA=") and b"train" in line:
            ends.append(time.monotonic())
    process.kill()
    process.wait()
    return tokens * sequences / (ends[-1] - ends[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attune")
    parser.add_argument("peer")
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--sequences", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    attune = os.path.abspath(options.attune)
    bench = [attune, "bench", "train", "--shape", "llama-250m", "--tokens", str(options.tokens), "--quantization", "nf4",
             "--lora-r", "16", "--steps", "2", "--json"]
    with tempfile.TemporaryDirectory() as folder:
        gguf = write_model(attune, folder)
        print("| peer, tokens/s | attune | ratio | attune in int8 | ratio |\n|---|---|---|---|---|")
        for _ in range(options.rounds):
            peer = peer_speed(os.path.abspath(options.peer), gguf, folder, options.tokens, options.sequences)
            ours = run(bench)["tokens_per_second"]
            int8 = run(bench + ["--compute", "int8"])["tokens_per_second"]
            print(f"| {peer:.1f} | {ours:.1f} | {ours / peer:.1f} | {int8:.1f} | {int8 / peer:.1f} |", flush=True)


if __name__ == "__main__":
    main()
