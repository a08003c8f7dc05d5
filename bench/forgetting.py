#!/usr/bin/env python3
"""What holding on costs and buys: the bundled model learns the bundled chat with replayed conversations, with a KL term to the
base, with both and with neither; style gained beside what was forgotten, as the table of docs/FORGETTING.md.

  bench/forgetting.py PROGRAM [--folder build/forgetting] [--epochs 3]

The replayed conversations are the base's own answers to the plain questions that come with it. Needs Python alone; a few minutes.
"""
import argparse
import json
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECIPE = {  # as attune demo trains, for fewer epochs
    "lora": {"r": 16, "lora_alpha": 32},
    "train": {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 1, "max_length": 512, "learning_rate": 2e-3},
    "eval": {"eval_steps": 20},
}
SETTINGS = (  # name, keys of train:, keys of eval:
    ("neither", {}, {}),
    ("replay 0.1", {"replay_ratio": 0.1}, {}),
    ("replay 0.5", {"replay_ratio": 0.5}, {}),
    ("kl_to_base 0.1", {"kl_to_base": 0.1}, {}),
    ("kl_to_base 0.5", {"kl_to_base": 0.5}, {}),
    ("replay 0.5, kl_to_base 0.1", {"replay_ratio": 0.5, "kl_to_base": 0.1}, {}),
    ("replay 0.5, kl_to_base 0.5", {"replay_ratio": 0.5, "kl_to_base": 0.5}, {}),
    ("early stop at 5%", {}, {"early_stopping_forgetting": 0.05, "forgetting_samples": 16, "eval_steps": 5}),
)


def attune(program, *arguments):
    return subprocess.run([program, *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def measured(program, folder, name, train, more, epochs):
    recipe = json.loads(json.dumps(RECIPE))
    recipe |= {"model": str(ROOT / "assets/tiny"), "data": str(folder / "data"), "output": str(folder / name.replace(" ", "-"))}
    recipe["train"] |= {"num_train_epochs": epochs} | train
    if "replay_ratio" in train:
        recipe["train"]["replay_data"] = str(folder / "replay.jsonl")
    recipe["eval"] |= more
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(recipe))  # JSON is YAML
    attune(program, "train", path)
    run = json.loads((Path(recipe["output"]) / "run.json").read_text())
    result = json.loads(attune(program, "eval", recipe["output"], "--json", "--only", "held-out", "--only", "style",
                               "--only", "forgetting"))
    return run, result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--folder", default="build/forgetting")
    parser.add_argument("--epochs", type=float, default=3)
    options = parser.parse_args()
    folder = Path(options.folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    attune(options.program, "import", ROOT / "assets/chat/whatsapp.txt", "--me", "Pete", "-o", folder / "data")
    rows = json.loads(attune(options.program, "generate", ROOT / "assets/tiny", "--prompts", "general", "--seed", 1,
                             "-o", folder / "replay.jsonl", "--json"))
    print(f"{rows['answers']} replayed conversations to choose from\n")
    print("| setting | steps | held-out loss | style distance | general text | general answers | right by loss | KL to the base |")
    print("|---|---|---|---|---|---|---|---|")
    for number, (name, train, more) in enumerate(SETTINGS):
        run, e = measured(options.program, folder, name, train, more, options.epochs)
        text, questions = e["forgetting"]["text"], e["forgetting"]["questions"]
        if number == 0:
            print(f"| the base | 0 | {e['held_out']['base']['loss']:.3f} | {e['style']['base']['distance']['mean']:.3f} | "
                  f"| | {questions['base']['right']:.0%} | 0 |")
        print(f"| {name} | {run['result_step']} | {e['held_out']['tuned']['loss']:.3f} | "
              f"{e['style']['tuned']['distance']['mean']:.3f} | {text['loss_increase']:+.1%} | "
              f"{questions['loss_increase']:+.1%} | {questions['tuned']['right']:.0%} | {text['tuned']['kl']:.3f} |",
              flush=True)


if __name__ == "__main__":
    main()
