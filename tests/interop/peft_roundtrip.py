#!/usr/bin/env python3
"""Does what attune wrote mean the same to transformers and PEFT?

Loads an adapter folder (with PEFT, on the base model of a golden case) or a whole model folder (merged or fully
trained), runs the case's input_ids in f32 and compares with what is expected. Also fails when the library ignored,
missed or changed a tensor of the folder. Exit status: 0 same, 1 different, 2 wrong usage, 77 torch is not installed.

    peft_roundtrip.py tests/golden/llama2 --adapter OUT                          # expects golden logits_adapter
    peft_roundtrip.py tests/golden/llama2 --adapter OUT --expect loss_after      # the loss golden training ends with
    peft_roundtrip.py tests/golden/llama2 --model OUT --expect logits_adapter    # a merged model
    peft_roundtrip.py tests/golden/llama2 --model OUT --expect own.safetensors   # `logits` as attune computed them
"""
import argparse
import os
import sys
import warnings
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
try:
    import torch
    import transformers
    from peft import PeftModel, get_peft_model_state_dict
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM
except ModuleNotFoundError as missing:
    print(f"SKIPPED: {missing.name} is not installed (tests/requirements-torch.txt)")
    sys.exit(77)


class Different(Exception):
    """What attune wrote is not what transformers or PEFT reads or computes."""


def load_model(folder):
    """The model in f32; every tensor of the folder must be used and none may be made up."""
    model, report = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    tied = set(model.all_tied_weights_keys)
    problems = {kind: sorted(set(map(str, report.get(kind, []))) - (tied if kind == "missing_keys" else set()))
                for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs")}
    for kind, names in problems.items():
        if names:
            raise Different(f"transformers reports {kind.replace('_', ' ')}: {', '.join(names[:4])}")
    return model.eval()


def load_adapter(model, folder):
    """The adapter on the model; PEFT only warns about absent tensors, so compare name by name."""
    model = PeftModel.from_pretrained(model, folder).eval()
    written = load_file(folder / "adapter_model.safetensors")
    read = get_peft_model_state_dict(model)
    if written.keys() != read.keys():
        raise Different(f"PEFT expects other tensors: {', '.join(sorted(written.keys() ^ read.keys())[:4])}")
    for name, tensor in written.items():
        if not torch.equal(tensor.float(), read[name].float()):
            raise Different(f"PEFT holds other values than the file in {name}")
    return model


def expected_tensor(golden, expect):
    if not expect.endswith(".safetensors"):
        if expect not in golden:
            raise Different(f"--expect {expect}: no such tensor in golden.safetensors")
        return golden[expect]
    tensors = load_file(expect)
    if "logits" not in tensors:
        raise Different(f"{expect}: expected a tensor `logits`, got {', '.join(sorted(tensors)[:4])}")
    return tensors["logits"].float()


def compare(model, golden, expect, tolerance):
    """A scalar is a loss, anything else logits; the largest absolute difference counts."""
    want = expected_tensor(golden, expect)
    with torch.no_grad():
        result = model(golden["input_ids"], labels=golden["labels"])
    got = result.loss if want.dim() == 0 else result.logits
    if got.shape != want.shape:
        raise Different(f"{expect}: shape {list(want.shape)}, the library computes {list(got.shape)}")
    gap = (got - want).abs().max().item()
    if not gap <= tolerance:  # also when NaN
        raise Different(f"{expect}: differs by up to {gap:.3e}, allowed is {tolerance:.0e}")
    return gap


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", type=Path, help="a folder of tests/golden")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--adapter", type=Path, help="adapter folder to load on the base model")
    what.add_argument("--model", type=Path, help="model folder to load instead of the case's own")
    parser.add_argument("--base", type=Path, help="base model for --adapter (default: CASE/model)")
    parser.add_argument("--expect", default="logits_adapter", help="tensor of golden.safetensors, or a file")
    parser.add_argument("--tolerance", type=float, default=1e-4, help="largest absolute difference")
    return parser.parse_args()


def main():
    args = arguments()
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    folder = args.model or args.adapter
    try:
        golden = load_file(args.case / "golden.safetensors")
        model = load_model(args.model or args.base or args.case / "model")
        if args.adapter:
            model = load_adapter(model, args.adapter)
        gap = compare(model, golden, args.expect, args.tolerance)
    except (Different, OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        print(f"DIFFERENT: {folder}: {' '.join(str(error).split())[:400]}")
        return 1
    print(f"same: {folder}: {args.expect} within {gap:.3e}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
