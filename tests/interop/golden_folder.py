"""What the tests of exported models share: the program, and the golden models as folders it can tokenize for."""
import json
import subprocess
from pathlib import Path

FAMILIES = ("llama2", "llama3", "mistral", "qwen2", "qwen3")


def attune(program, *arguments):
    """Standard output of a command that must succeed."""
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"attune {' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def golden_folder(source, family, folder):
    """The golden model of a family in `folder`/`family`, with a tokenizer of bytes."""
    target = Path(folder) / family
    target.mkdir(parents=True)
    for file in (source / "tests/golden" / family / "model").iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in visible]
    vocabulary = {chr(byte): byte for byte in visible} | {chr(256 + i): byte for i, byte in enumerate(others)}
    vocabulary["he"] = 256  # llama.cpp asks for merges
    special = [{"id": 257 + i, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
                "normalized": False, "special": True} for i, content in enumerate(("<s>", "<|im_start|>", "<|im_end|>"))]
    (target / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "added_tokens": special,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
        "decoder": {"type": "ByteLevel"},
        "model": {"type": "BPE", "vocab": vocabulary, "merges": ["h e"]}}))
    (target / "tokenizer_config.json").write_text(json.dumps(
        {"bos_token": "<s>", "eos_token": "<|im_end|>", "add_bos_token": False}))
    return target


def train_pirate(program, source, folder):
    """An adapter on the bundled model, trained on its chat by the example's recipe, briefly and on 16-bit weights."""
    attune(program, "import", source / "assets/chat/whatsapp.txt", "--me", "Pete", "-o", Path(folder) / "data")
    recipe = (source / "examples/tiny/recipe.yaml").read_text()
    for written, wanted in (("assets/tiny", source / "assets/tiny"), ("build/readme/data", Path(folder) / "data"),
                            ("runs/tiny", Path(folder) / "run"), ("num_train_epochs: 8", "num_train_epochs: 3")):
        recipe = recipe.replace(f": {written}\n", f": {wanted}\n").replace(f"  {written}\n", f"  {wanted}\n")
    path = Path(folder) / "recipe.yaml"
    path.write_text(recipe + "quantization: none\n")
    attune(program, "train", path)
    return Path(folder) / "run/adapter"
