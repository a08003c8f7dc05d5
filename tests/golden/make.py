#!/usr/bin/env python3
"""Writes the reference data of tests/golden with torch, transformers, PEFT and bitsandbytes.

One tiny random model per family; see README.md beside this file for what each tensor is.
Usage: make.py [case ...]     (no names: every case)
Every number is computed twice and compared bit for bit before it is written.
"""
import json
import os
import shutil
import sys
import warnings
from pathlib import Path

if os.environ.get("PYTHONHASHSEED") != "0":  # PEFT writes target_modules in set order
    os.environ["PYTHONHASHSEED"] = "0"
    os.execv(sys.executable, [sys.executable, *sys.argv])
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers
from bitsandbytes.functional import dequantize_4bit, quantize_4bit
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
torch.set_grad_enabled(True)
transformers.logging.set_verbosity_error()
warnings.filterwarnings("ignore")
transformers.utils.logging.disable_progress_bar()

HERE = Path(__file__).resolve().parent
SEVEN = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
BATCH, LENGTH, SEGMENTS = 2, 48, [13, 20, 9]
PROMPT, NEW_TOKENS, STEPS = 20, 24, 10

# `sizes` are config.json fields, `lora` are LoraConfig fields; the rest says how the folder is written.
CASES = {
    "llama2": dict(
        config="LlamaConfig", seed=2001,
        sizes=dict(intermediate_size=172, num_attention_heads=4, num_key_value_heads=4, rms_norm_eps=1e-5,
                   max_position_embeddings=256, tie_word_embeddings=False,
                   rope_parameters=dict(rope_type="default", rope_theta=10000.0)),
        lora=dict(target_modules=SEVEN)),
    "llama3": dict(
        config="LlamaConfig", seed=2003, legacy_rope=True, bnb=True,
        sizes=dict(intermediate_size=108, num_attention_heads=8, num_key_value_heads=2, rms_norm_eps=1e-5,
                   max_position_embeddings=512, tie_word_embeddings=True,
                   rope_parameters=dict(rope_type="llama3", rope_theta=500.0, factor=8.0, low_freq_factor=1.0,
                                        high_freq_factor=4.0, original_max_position_embeddings=64)),
        lora=dict(target_modules=SEVEN, use_rslora=True)),
    "mistral": dict(
        config="MistralConfig", seed=2005, bf16=True,
        sizes=dict(intermediate_size=108, num_attention_heads=4, num_key_value_heads=2, head_dim=24,
                   sliding_window=16, rms_norm_eps=1e-5, max_position_embeddings=256,
                   tie_word_embeddings=False,
                   rope_parameters=dict(rope_type="default", rope_theta=10000.0)),
        lora=dict(target_modules=["q_proj", "v_proj"])),
    "qwen2": dict(
        config="Qwen2Config", seed=2007, legacy_rope=True, max_shard_size="140KB",
        sizes=dict(intermediate_size=108, num_attention_heads=4, num_key_value_heads=2, rms_norm_eps=1e-6,
                   max_position_embeddings=256, tie_word_embeddings=True, use_sliding_window=False,
                   rope_parameters=dict(rope_type="default", rope_theta=10000.0)),
        lora=dict(target_modules=SEVEN, rank_pattern={"q_proj": 8, "layers.1.mlp.down_proj": 2},
                  alpha_pattern={"q_proj": 4, "gate_proj": 12})),
    "qwen3": dict(
        config="Qwen3Config", seed=2011, layers=3,
        sizes=dict(intermediate_size=108, num_attention_heads=4, num_key_value_heads=2, head_dim=24,
                   rms_norm_eps=1e-6, max_position_embeddings=256, tie_word_embeddings=True,
                   rope_parameters=dict(rope_type="default", rope_theta=10000.0)),
        lora=dict(target_modules=SEVEN)),
}


def normal(generator, shape, std, mean=0.0):
    return torch.randn(shape, generator=generator) * std + mean


def fresh_folder(path):
    if path.exists():
        shutil.rmtree(path)
    path.mkdir(parents=True)
    return path


def write_model(case, spec, folder):
    """A random model whose logits and gradients are far from zero, saved as transformers saves it."""
    config = getattr(transformers, spec["config"])(
        vocab_size=320, hidden_size=64, num_hidden_layers=spec.get("layers", 2), bos_token_id=1,
        eos_token_id=2, dtype="float32", **spec["sizes"])
    generator = torch.Generator().manual_seed(spec["seed"])
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=torch.float32)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("norm.weight") or name.endswith("layernorm.weight"):
                weight.copy_(normal(generator, weight.shape, 0.25, 1.0))
            elif name.endswith("bias"):
                weight.copy_(normal(generator, weight.shape, 0.3))
            elif "embed_tokens" in name:
                weight.copy_(normal(generator, weight.shape, 0.2 if config.tie_word_embeddings else 0.5))
            else:
                weight.copy_(normal(generator, weight.shape, 0.12))
    size = spec.get("max_shard_size", "1GB")
    model.save_pretrained(fresh_folder(folder / "model"), max_shard_size=size)
    if spec.get("legacy_rope"):
        use_published_rope_fields(folder / "model" / "config.json")
    if spec.get("bf16"):
        model.to(torch.bfloat16).save_pretrained(fresh_folder(folder / "model_bf16"))


def use_published_rope_fields(path):
    """Rewrites transformers 5's `rope_parameters` as the `rope_theta`/`rope_scaling` of published models."""
    config = json.loads(path.read_text())
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = None if rope == {"rope_type": "default"} else rope
    config["torch_dtype"] = config.pop("dtype")
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def load_model(folder, dtype=torch.float32, name="model"):
    model = AutoModelForCausalLM.from_pretrained(folder / name, dtype=dtype, attn_implementation="eager")
    return model.eval()


def write_adapter(case, spec, folder):
    """A PEFT adapter whose B is random rather than zero, so that it changes the logits."""
    config = LoraConfig(r=4, lora_alpha=8, lora_dropout=0.0, bias="none", task_type="CAUSAL_LM",
                        **spec["lora"])
    model = get_peft_model(load_model(folder), config)
    generator = torch.Generator().manual_seed(spec["seed"] + 500)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_A" in name:
                weight.copy_(normal(generator, weight.shape, 0.15))
            elif "lora_B" in name:
                weight.copy_(normal(generator, weight.shape, 0.1))
    model.peft_config["default"].base_model_name_or_path = f"attune-golden/{case}"
    model.save_pretrained(fresh_folder(folder / "adapter"))
    (folder / "adapter" / "README.md").unlink()  # a model card template that names this machine's paths
    batch = make_batch(spec)
    with torch.no_grad():
        saved = model(batch["input_ids"]).logits
        loaded = load_adapter(folder)(batch["input_ids"]).logits
    assert torch.equal(saved, loaded), f"{case}: PEFT reads another adapter than it wrote"


def load_adapter(folder, model=None):
    model = model or load_model(folder)
    return PeftModel.from_pretrained(model, folder / "adapter", is_trainable=True).eval()


def make_batch(spec):
    generator = torch.Generator().manual_seed(spec["seed"] + 900)
    ids = torch.randint(3, 320, (BATCH, LENGTH), generator=generator)
    labels = ids.clone()
    labels[0, :15] = -100  # the prompt of row 0
    labels[0, 29:34] = -100  # a second user turn
    labels[1, :22] = -100
    labels[1, -4:] = -100
    return {"input_ids": ids, "labels": labels}


def adapter_parameters(model):
    """Name as in adapter_model.safetensors -> parameter, in the model's order."""
    return {n.replace(".default.", "."): p for n, p in model.named_parameters() if p.requires_grad}


def gradients(parameters):
    return {name: p.grad.detach().clone() for name, p in parameters.items()}


# In bf16 a step of 1e-2 says little: Adam's first steps follow the sign of each gradient, and where rounding decides
# the sign, torch's own bf16 and f32 losses part by up to 0.1. 5e-4 is a rate that adapters are really trained with: there they stay together, and the losses still fall.
BF16_RATE = 5e-4


def train(model, parameters, batch, lr):
    """Ten AdamW steps; losses and gradient norms are those before each step."""
    optimizer = torch.optim.AdamW(parameters.values(), lr=lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01,
                                  foreach=False, fused=False)
    losses, norms = [], []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = model(**batch).loss
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(parameters.values(), 1.0, foreach=False))
        losses.append(loss.detach())
        optimizer.step()
    return torch.stack(losses).float(), torch.stack(norms).detach().float()


def quantize_linears(model):
    """Replaces the seven projections by what NF4 with double quantization keeps of them."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.split(".")[-2] in SEVEN and name.endswith("weight"):
                packed, state = quantize_4bit(
                    weight.data, blocksize=64, compress_statistics=True, quant_type="nf4")
                weight.copy_(dequantize_4bit(packed, state))
    return model


def forward_golden(folder, spec):
    batch = make_batch(spec)
    out = dict(batch)
    with torch.no_grad():
        out["logits_base"] = load_model(folder)(batch["input_ids"]).logits
        if spec.get("bf16"):
            out["logits_bf16_weights"] = load_model(folder, name="model_bf16")(batch["input_ids"]).logits
    model = load_adapter(folder)
    result = model(**batch)
    result.loss.backward()
    out["logits_adapter"], out["loss"] = result.logits.detach(), result.loss.detach()
    out.update({f"grad.{n}": g for n, g in gradients(adapter_parameters(model)).items()})

    model = load_model(folder)
    result = model(**batch)
    result.loss.backward()
    out["loss_base"] = result.loss.detach()
    out.update({f"full_grad.{n}": g for n, g in gradients(dict(model.named_parameters())).items()})
    return out


def training_golden(folder, spec):
    batch, out = make_batch(spec), {}
    model = load_adapter(folder)
    parameters = adapter_parameters(model)
    out["adamw_losses"], out["adamw_grad_norms"] = train(model, parameters, batch, 1e-2)
    out["loss_after"] = model(**batch).loss.detach()
    out.update({f"adapter_after.{n}": p.detach().clone() for n, p in parameters.items()})

    model = load_adapter(folder, load_model(folder, torch.bfloat16))
    parameters = adapter_parameters(model)
    assert all(p.dtype == torch.float32 for p in parameters.values())
    out["adamw_losses_bf16"], out["adamw_grad_norms_bf16"] = train(model, parameters, batch, BF16_RATE)

    model = load_adapter(folder, quantize_linears(load_model(folder)))
    parameters = adapter_parameters(model)
    out["adamw_losses_nf4"], out["adamw_grad_norms_nf4"] = train(model, parameters, batch, 1e-2)

    model = load_model(folder)
    out["full_adamw_losses"], out["full_adamw_grad_norms"] = train(
        model, dict(model.named_parameters()), batch, 1e-3)
    return out


def packed_golden(folder, spec):
    """Sequences in one row must give what each gives alone; the loss is the sum over all / trained tokens."""
    generator = torch.Generator().manual_seed(spec["seed"] + 1300)
    model = load_adapter(folder)
    ids, labels, positions, logits, total, count = [], [], [], [], 0.0, 0
    for length in SEGMENTS:
        segment = torch.randint(3, 320, (1, length), generator=generator)
        target = segment.clone()
        target[0, : length // 3] = -100
        result = model(segment).logits
        total = total + torch.nn.functional.cross_entropy(
            result[0, :-1], target[0, 1:], ignore_index=-100, reduction="sum")
        count += int((target[0, 1:] != -100).sum())
        ids.append(segment), labels.append(target), logits.append(result.detach())
        positions.append(torch.arange(length)[None])
    loss = total / count
    loss.backward()
    out = {"input_ids": torch.cat(ids, 1), "labels": torch.cat(labels, 1),
           "position_ids": torch.cat(positions, 1), "segment_lengths": torch.tensor(SEGMENTS),
           "logits": torch.cat(logits, 1), "loss": loss.detach()}
    out["segment_ids"] = torch.repeat_interleave(torch.arange(len(SEGMENTS)), out["segment_lengths"])[None]
    out.update({f"grad.{n}": g for n, g in gradients(adapter_parameters(model)).items()})
    return {f"packed.{name}": tensor for name, tensor in out.items()}


def greedy(model, prompt):
    """Greedy ids, and the smallest gap between first and second choice (rounding must not decide)."""
    model.generation_config.eos_token_id = None
    result = model.generate(input_ids=prompt, attention_mask=torch.ones_like(prompt), do_sample=False,
                            max_new_tokens=NEW_TOKENS, pad_token_id=0, output_scores=True,
                            return_dict_in_generate=True)
    ids = result.sequences[0, prompt.shape[1]:]
    top = torch.stack([s[0].topk(2).values for s in result.scores])
    assert len(ids) == NEW_TOKENS
    return ids, (top[:, 0] - top[:, 1]).min()


def generation_golden(folder, spec):
    prompt = make_batch(spec)["input_ids"][:1, :PROMPT]
    out = {"generate.prompt": prompt[0].clone()}
    for name, model in (("base", load_model(folder)), ("adapter", load_adapter(folder))):
        ids, gap = greedy(model, prompt)
        assert gap > 1e-3, f"{name}: the greedy choice is decided by {gap}"
        out[f"generate.{name}"] = ids
    return out


def identical(first, second):
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), f"{name} differs between two runs"
        assert first[name].isfinite().all(), f"{name} is not finite"


def twice(compute, *arguments):
    first, second = compute(*arguments), compute(*arguments)
    identical(first, second)
    return first


def save(tensors, path):
    save_file({name: t.detach().clone().contiguous() for name, t in tensors.items()}, path)


def make_case(case):
    spec, folder = CASES[case], HERE / case
    write_model(case, spec, folder)
    write_adapter(case, spec, folder)
    golden = {}
    for compute in (forward_golden, training_golden, packed_golden, generation_golden):
        golden.update(twice(compute, folder, spec))
    save(golden, folder / "golden.safetensors")
    changed = (golden["logits_base"] - golden["logits_adapter"]).abs().mean()
    print(f"{case}: loss {golden['loss']:.4f} base {golden['loss_base']:.4f}"
          f" logits std {golden['logits_base'].std():.3f} adapter changes them by {changed:.3f}\n"
          f"  adamw {[round(x, 4) for x in golden['adamw_losses'].tolist()]}\n"
          f"  norms {[round(x, 4) for x in golden['adamw_grad_norms'].tolist()]}\n"
          f"  bf16  {[round(x, 4) for x in golden['adamw_losses_bf16'].tolist()]}\n"
          f"  nf4   {[round(x, 4) for x in golden['adamw_losses_nf4'].tolist()]}\n"
          f"  full  {[round(x, 4) for x in golden['full_adamw_losses'].tolist()]}", flush=True)


def main():
    names = sys.argv[1:] or list(CASES)
    for name in names:
        make_case(name)


if __name__ == "__main__":
    main()
