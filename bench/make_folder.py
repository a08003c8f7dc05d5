#!/usr/bin/env python3
"""A Hugging Face folder of random bf16 weights in shards, of one of attune's known shapes or of any config.json: what a
real download looks like on disk, written a few megabytes at a time.

  bench/make_folder.py mistral-7b /path/to/folder [--shard-gb 5] [--tokenizer assets/tiny]

The folder takes two bytes a weight (14.5 GB for mistral-7b). Needs Python alone.
"""
import argparse
import json
import os
import random
import shutil
import struct
import sys

SHAPES = {  # as src/model/shapes.cc has them
    "llama-250m": ("LlamaForCausalLM", "llama", 1024, 16, 2816, 16, 4, 64, 32000, 2048, 10000.0, False),
    "qwen2.5-0.5b": ("Qwen2ForCausalLM", "qwen2", 896, 24, 4864, 14, 2, 64, 151936, 32768, 1000000.0, True),
    "llama-3.2-1b": ("LlamaForCausalLM", "llama", 2048, 16, 8192, 32, 8, 64, 128256, 131072, 500000.0, True),
    "mistral-7b": ("MistralForCausalLM", "mistral", 4096, 32, 14336, 32, 8, 128, 32000, 32768, 10000.0, False),
}


def config_of(name):
    arch, kind, hidden, layers, inner, heads, kv_heads, head_dim, vocab, positions, theta, tied = SHAPES[name]
    return {"architectures": [arch], "model_type": kind, "hidden_size": hidden, "num_hidden_layers": layers,
            "intermediate_size": inner, "num_attention_heads": heads, "num_key_value_heads": kv_heads,
            "head_dim": head_dim, "vocab_size": vocab, "max_position_embeddings": positions, "rope_theta": theta,
            "tie_word_embeddings": tied, "hidden_act": "silu", "rms_norm_eps": 1e-5, "torch_dtype": "bfloat16",
            "bos_token_id": 1, "eos_token_id": 2, "sliding_window": None}


def tensors_of(c):
    hidden, inner, head = c["hidden_size"], c["intermediate_size"], c["head_dim"]
    q, kv = c["num_attention_heads"] * head, c["num_key_value_heads"] * head
    yield "model.embed_tokens.weight", (c["vocab_size"], hidden)
    for layer in range(c["num_hidden_layers"]):
        p = f"model.layers.{layer}."
        for name, shape in (("self_attn.q_proj", (q, hidden)), ("self_attn.k_proj", (kv, hidden)),
                            ("self_attn.v_proj", (kv, hidden)), ("self_attn.o_proj", (hidden, q)),
                            ("mlp.gate_proj", (inner, hidden)), ("mlp.up_proj", (inner, hidden)),
                            ("mlp.down_proj", (hidden, inner))):
            yield p + name + ".weight", shape
            if c["model_type"] == "qwen2" and name.split(".")[1] in ("q_proj", "k_proj", "v_proj"):
                yield p + name + ".bias", (shape[0],)
        yield p + "input_layernorm.weight", (hidden,)
        yield p + "post_attention_layernorm.weight", (hidden,)
    yield "model.norm.weight", (hidden,)
    if not c["tie_word_embeddings"]:
        yield "lm_head.weight", (c["vocab_size"], hidden)


def size_of(shape):
    count = 1
    for n in shape:
        count *= n
    return 2 * count


def weights(rng):
    """A megabyte of bf16 numbers between about -0.04 and 0.04, repeated with an odd period so that rows differ."""
    count = (1 << 19) - 3
    return b"".join(struct.pack("<f", rng.uniform(-0.035, 0.035))[2:] for _ in range(count))


def write_shard(path, tensors, pattern):
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in tensors:
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size_of(shape)]}
        at += size_of(shape)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape in tensors:
            data = b"\x80\x3f" * (1 << 19) if len(shape) == 1 and "norm" in name else pattern   # norms are 1.0
            left = size_of(shape)
            while left > 0:
                file.write(data[:left])
                left -= min(left, len(data))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("folder")
    parser.add_argument("--shard-gb", type=float, default=5)
    parser.add_argument("--tokenizer", help="copy the tokenizer of this model folder")
    options = parser.parse_args()
    config = config_of(options.shape)
    tensors = list(tensors_of(config))
    total = sum(size_of(shape) for _, shape in tensors)
    os.makedirs(options.folder)
    if total > 0.95 * shutil.disk_usage(options.folder).free:
        os.rmdir(options.folder)
        sys.exit(f"{options.folder}: {total / 1e9:.1f} GB do not fit on this disk")
    shards, used = [[]], 0
    for tensor in tensors:
        if used + size_of(tensor[1]) > options.shard_gb * 1e9 and shards[-1]:
            shards.append([])
            used = 0
        shards[-1].append(tensor)
        used += size_of(tensor[1])
    pattern, index = weights(random.Random(1)), {}
    for i, shard in enumerate(shards):
        name = f"model-{i + 1:05}-of-{len(shards):05}.safetensors"
        write_shard(os.path.join(options.folder, name), shard, pattern)
        index.update({tensor: name for tensor, _ in shard})
    with open(os.path.join(options.folder, "model.safetensors.index.json"), "w") as file:
        json.dump({"metadata": {"total_size": total}, "weight_map": index}, file)
    with open(os.path.join(options.folder, "config.json"), "w") as file:
        json.dump(config, file, indent=1)
    if options.tokenizer:
        for name in os.listdir(options.tokenizer):
            if name.startswith(("tokenizer", "special_tokens", "chat_template")):
                shutil.copy(os.path.join(options.tokenizer, name), options.folder)
    print(f"{options.folder}: {total / 1e9:.2f} GB in {len(shards)} shards")


if __name__ == "__main__":
    main()
