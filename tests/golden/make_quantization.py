#!/usr/bin/env python3
"""Writes the quantization references: nf4/, int8/ and the bitsandbytes model beside the llama3 case.

Run after make.py (it reads llama3/model). All of it is what bitsandbytes itself computes on the CPU.
"""
import os

os.environ["TORCHDYNAMO_DISABLE"] = "1"  # bitsandbytes compiles its odd-sized fallback otherwise

from make import CASES, HERE, fresh_folder, load_model, make_batch, quantize_linears, save, twice

import torch
from bitsandbytes.functional import (
    dequantize_4bit, dequantize_blockwise, int8_vectorwise_quant, quantize_4bit)
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

NF4 = [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
       -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
       0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
       0.7229568362236023, 1.0]


def ties():
    """Every midpoint between two codes, and the f32 values just below and above it, in blocks of absmax 1."""
    codes = torch.tensor(NF4)
    middle = (codes[1:] + codes[:-1]) / 2
    below, above = (torch.nextafter(middle, torch.tensor(end)) for end in (-2.0, 2.0))
    values = torch.cat([codes, middle, below, above])
    return torch.cat([values, torch.zeros(128 - len(values))]).reshape(2, 64).contiguous()


def nf4_inputs():
    """Name -> f32 tensor; sizes that fill blocks of 64 exactly, straddle rows, or leave a ragged, odd end."""
    generator = torch.Generator().manual_seed(4001)

    def draw(*shape, std=0.05):
        return torch.randn(shape, generator=generator) * std

    zeros = draw(4, 64)
    zeros[1] = 0.0
    zeros[2] = -0.0
    zeros[2, 5] = 3e-4
    scales = draw(8, 64, std=1.0) * torch.tensor([1e30, 1e-30, 1e4, 1e-4, 65504.0, 1e-20, 1.0, 1e10])[:, None]
    outlier = draw(6, 64)
    outlier[3, 17] = -40.0
    return {
        "plain": draw(16, 64),
        "straddle": draw(7, 36),  # 252 elements: blocks cross rows, the last holds 60
        "odd": draw(5, 13),  # 65 elements: a last block of one, half a byte left over
        "short": draw(3, 5),
        "single": torch.tensor([[-0.25]]),
        "zeros": zeros,
        "zero_tail": torch.cat([draw(1, 64), torch.zeros(1, 64), torch.zeros(1, 64)], 0)[:, :50].contiguous(),
        "ties": ties(),
        "scales": scales,
        "outlier": outlier,
        "nested": draw(150, 129) * (0.2 + torch.rand(150, 1, generator=generator)),  # 303 blocks, two nested
    }


def nf4_golden():
    out = {}
    for name, value in nf4_inputs().items():
        for dtype, label in ((torch.float32, "f32"), (torch.bfloat16, "bf16")):
            if name == "nested" and dtype == torch.bfloat16:
                continue
            key, tensor = f"{name}.{label}", value.to(dtype)
            packed, state = quantize_4bit(tensor, blocksize=64, quant_type="nf4")
            out[f"{key}.input"], out[f"{key}.packed"], out[f"{key}.absmax"] = tensor, packed, state.absmax
            out[f"{key}.dequantized"] = dequantize_4bit(packed, state).reshape(tensor.shape)
            again, nested = quantize_4bit(tensor, blocksize=64, quant_type="nf4", compress_statistics=True)
            assert torch.equal(packed, again)
            out[f"{key}.double.absmax"] = nested.absmax
            out[f"{key}.double.nested_absmax"] = nested.state2.absmax
            out[f"{key}.double.nested_offset"] = nested.offset
            absmax = dequantize_blockwise(nested.absmax, nested.state2) + nested.offset
            out[f"{key}.double.absmax_dequantized"] = absmax
            out[f"{key}.double.dequantized"] = dequantize_4bit(again, nested).reshape(tensor.shape)
            out["quant_map"], out["nested_quant_map"] = nested.code, nested.state2.code
    assert torch.equal(out["quant_map"], torch.tensor(NF4))
    return out


def int8_golden():
    generator = torch.Generator().manual_seed(4003)
    ties = torch.arange(-32, 32).float()[None] / 2 + 0.5  # absmax 127 makes the scale 1: exact halves
    ties[0, 0] = 127.0
    inputs = {
        "plain": torch.randn(8, 64, generator=generator) * 0.05,
        "odd": torch.randn(5, 13, generator=generator),
        "ties": ties,
        "outlier": torch.randn(4, 64, generator=generator) * torch.tensor([1e20, 1e-20, 1.0, 300.0])[:, None],
    }
    out = {}
    for name, value in inputs.items():
        for dtype, label in ((torch.float32, "f32"), (torch.bfloat16, "bf16")):
            tensor = value.to(dtype)
            codes, absmax, _ = int8_vectorwise_quant(tensor.clone())
            key = f"{name}.{label}"
            out[f"{key}.input"], out[f"{key}.codes"], out[f"{key}.absmax"] = tensor, codes, absmax
            out[f"{key}.dequantized"] = codes.float() * (absmax[:, None] / 127.0)
    return out


def load_4bit(folder, name):
    options = {}
    if name == "model":
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.float32)
    return AutoModelForCausalLM.from_pretrained(
        folder / name, dtype=torch.float32, attn_implementation="eager", device_map="cpu", **options).eval()


def bnb_golden(folder, spec):
    ids = make_batch(spec)["input_ids"]
    with torch.no_grad():
        logits = load_4bit(folder, "model_bnb_nf4")(ids).logits
        dequantized = quantize_linears(load_model(folder))(ids).logits
    assert (logits - dequantized).abs().max() < 1e-5, "bitsandbytes does not use the weights it stores"
    return {"input_ids": ids, "logits": logits}


def make_bnb_model(case):
    folder = HERE / case
    load_4bit(folder, "model").save_pretrained(fresh_folder(folder / "model_bnb_nf4"))
    save(twice(bnb_golden, folder, CASES[case]), folder / "golden_bnb.safetensors")


def main():
    for name, compute in (("nf4", nf4_golden), ("int8", int8_golden)):
        save(twice(compute), fresh_folder(HERE / name) / "golden.safetensors")
    make_bnb_model("llama3")


if __name__ == "__main__":
    main()
