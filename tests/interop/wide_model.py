"""A random model of each family in which every row divides into the 256 values of a K-quant's block, so that every type
of GGUF file holds what it is named after; the golden models are too narrow for that. Needs numpy."""
import json
import struct
from pathlib import Path

import numpy

from golden_folder import FAMILIES, golden_folder

LAYERS, WINDOW, RANK = 4, 64, 4  # with four layers q4_k_m gives some of them to q6_k
HEAD_SIZES = {"llama2": 64, "llama3": 32, "mistral": 128, "qwen2": 64, "qwen3": 128}
CHATML = ("{% for m in messages %}{{'<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
          "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")


def read_safetensors(path):
    """Name -> f32 array of a file's float tensors; numpy has no bf16."""
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


def write_safetensors(path, tensors):
    """Of f32 arrays."""
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, values in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [at, at + 4 * values.size]}
        at += 4 * values.size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for values in tensors.values():
            file.write(numpy.ascontiguousarray(values, numpy.float32).tobytes())


def linear_shapes(config):
    """Name within a block -> [outputs, inputs]."""
    hidden, mlp, size = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    queries, keys = size * config["num_attention_heads"], size * config["num_key_value_heads"]
    return {"self_attn.q_proj": (queries, hidden), "self_attn.k_proj": (keys, hidden), "self_attn.v_proj": (keys, hidden),
            "self_attn.o_proj": (hidden, queries), "mlp.gate_proj": (mlp, hidden), "mlp.up_proj": (mlp, hidden),
            "mlp.down_proj": (hidden, mlp)}


def model_shapes(config):
    """Name as in model.safetensors -> shape."""
    hidden, vocabulary = config["hidden_size"], config["vocab_size"]
    shapes = {"model.embed_tokens.weight": (vocabulary, hidden), "model.norm.weight": (hidden,)}
    if not config["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (vocabulary, hidden)
    for layer in range(LAYERS):
        block = f"model.layers.{layer}."
        for name, shape in linear_shapes(config).items():
            shapes[f"{block}{name}.weight"] = shape
            if config["model_type"] == "qwen2" and name[-6:] in ("q_proj", "k_proj", "v_proj"):
                shapes[f"{block}{name}.bias"] = shape[:1]
        norms = {"input_layernorm": hidden, "post_attention_layernorm": hidden}
        if config["model_type"] == "qwen3":
            norms |= {"self_attn.q_norm": config["head_dim"], "self_attn.k_norm": config["head_dim"]}
        shapes |= {f"{block}{name}.weight": (size,) for name, size in norms.items()}
    return shapes


def wide_folder(source, family, folder):
    """The model in `folder`/`family`, with the tokenizer of golden_folder() and the template ChatML."""
    target = golden_folder(source, family, folder)
    for file in target.glob("model*"):
        file.unlink()
    config = json.loads((target / "config.json").read_text())
    config |= {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": LAYERS, "head_dim": HEAD_SIZES[family]}
    if config.get("sliding_window"):
        config["sliding_window"] = WINDOW
    if "layer_types" in config:
        config["layer_types"] = ["full_attention"] * LAYERS
    (target / "config.json").write_text(json.dumps(config))
    tokenizer = json.loads((target / "tokenizer_config.json").read_text())
    (target / "tokenizer_config.json").write_text(json.dumps(tokenizer | {"chat_template": CHATML}))
    generator = numpy.random.default_rng(FAMILIES.index(family))
    tensors = {}
    for name, shape in model_shapes(config).items():
        # As loud as those of golden/make.py: every layer changes the logits, and none of them drowns the others.
        mean, deviation = ((1, 0.25) if "norm" in name else (0, 0.3) if name.endswith("bias") else
                           (0, 0.1 if config["tie_word_embeddings"] else 0.5) if "embed" in name else (0, 0.06))
        tensors[name] = generator.normal(mean, deviation, shape).astype(numpy.float32)
    write_safetensors(target / "model.safetensors", tensors)
    return target


def wide_adapter(model, target):
    """A PEFT folder for such a model that changes all its linears."""
    target.mkdir()
    config, generator = json.loads((model / "config.json").read_text()), numpy.random.default_rng(7)
    shapes, tensors = linear_shapes(config), {}
    for layer in range(LAYERS):
        for name, (outputs, inputs) in shapes.items():
            for part, shape in (("A", (RANK, inputs)), ("B", (outputs, RANK))):
                tensors[f"base_model.model.model.layers.{layer}.{name}.lora_{part}.weight"] = generator.normal(
                    0, 0.05, shape).astype(numpy.float32)
    write_safetensors(target / "adapter_model.safetensors", tensors)
    (target / "adapter_config.json").write_text(json.dumps(
        {"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": str(model), "r": RANK, "lora_alpha": 8,
         "lora_dropout": 0.0, "bias": "none", "target_modules": [name.split(".")[1] for name in shapes]}))
    return target
