"""What the end-to-end tests share: a toy model that the program pretrains in a moment, and how to run the program.

The model talks nonsense, but it is a real folder with weights, tokenizer and chat template.
"""
import contextlib
import json
import os
import subprocess
from pathlib import Path

SECONDS = 120
PRETRAIN = """
data: [text.txt, talk.jsonl]
output: base
model: {vocab_size: 400, hidden_size: 32, intermediate_size: 64, num_hidden_layers: 2, num_attention_heads: 4,
        num_key_value_heads: 2}
train: {max_steps: 3, per_device_train_batch_size: 2, max_length: 64}
"""
TRAIN = """
model: base/model
data: talk.jsonl
output: run
lora: {r: 4, init_lora_weights: gaussian}
train: {max_steps: 3, max_length: 64, gradient_accumulation_steps: 1, learning_rate: 0.05}
"""
WORDS = "the sea is calm and the wind is in the sails of our small ship while we sing about fish and gold".split()


@contextlib.contextmanager
def inside(folder):
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def attune(program, *arguments, text=None, status=0):
    """(standard output, standard error) of a command that must end with `status`."""
    done = subprocess.run([program, *map(str, arguments)], input=text, capture_output=True, text=True, timeout=SECONDS)
    if done.returncode != status:
        raise AssertionError(f"attune {' '.join(map(str, arguments))}: exit {done.returncode}, expected {status}\n"
                             f"{done.stdout}{done.stderr}")
    return done.stdout, done.stderr


def write_texts():
    """text.txt (prose) and talk.jsonl (conversations) in the current folder."""
    sentences = [" ".join(WORDS[(i * k + k) % len(WORDS)] for k in range(4, 14)) + "." for i in range(60)]
    Path("text.txt").write_text("\n\f\n".join(" ".join(sentences[i:i + 5]) for i in range(0, 60, 5)) + "\n")
    with open("talk.jsonl", "w") as file:
        for i in range(40):
            turns = [{"role": "user", "content": sentences[i]}, {"role": "assistant", "content": sentences[i + 1]}]
            file.write(json.dumps({"messages": turns}) + "\n")


def make_base(program, steps=3, context=64):
    """base/model in the current folder. After a hundred steps it repeats one word at temperature 0, without end. Training
    measures no style of a model whose context is shorter than 241 tokens."""
    write_texts()
    Path("base.yaml").write_text(PRETRAIN.replace("max_steps: 3", f"max_steps: {steps}").replace("max_length: 64", f"max_length: {context}"))
    attune(program, "pretrain", "base.yaml")


def make_adapter(program):
    """run/adapter on base/model in the current folder."""
    Path("train.yaml").write_text(TRAIN)
    attune(program, "train", "train.yaml")


def json_lines(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]
