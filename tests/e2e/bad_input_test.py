#!/usr/bin/env python3
"""Every mistake a user can make with files gets one line, exit status 2, and leaves nothing half-written.

    bad_input_test.py PROGRAM

Each case states the whole message. The recipe's, the importer's and the safetensors reader's own rules have their
exact messages in the unit tests beside them; here the program as a whole is held to them.
"""
import json
import os
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import toy

PROGRAM = None
RECIPE = """model: {model}
data: {data}
output: {output}
lora: {{r: 4}}
train: {{max_steps: 2, max_length: 64}}
"""


def header_of(path):
    data = Path(path).read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8:8 + size]), data[8 + size:]


def write_safetensors(path, header, data):
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + data)


class BadInput(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.before = os.getcwd()
        os.chdir(cls.folder.name)
        toy.make_base(PROGRAM)
        Path("good.yaml").write_text(RECIPE.format(model="base/model", data="talk.jsonl", output="good"))
        toy.attune(PROGRAM, "train", "good.yaml")

    @classmethod
    def tearDownClass(cls):
        os.chdir(cls.before)
        cls.folder.cleanup()

    def refused(self, message, *arguments, **more):
        """`arguments` end with status 2, exactly this one line on stderr, and no new file."""
        before = sorted(str(p) for p in Path(".").rglob("*"))
        output, error = toy.attune(PROGRAM, *arguments, status=2, **more)
        self.assertEqual(error, f"attune: {message}\n")
        self.assertEqual(sorted(str(p) for p in Path(".").rglob("*")), before, "something was left behind")

    def train_refused(self, message, recipe):
        Path("bad.yaml").write_text(recipe)
        self.refused(message, "train", "bad.yaml")

    def broken_model(self, name):
        shutil.rmtree(name, ignore_errors=True)
        shutil.copytree("base/model", name)
        return Path(name)

    def generate_refused(self, message, model):
        self.refused(message, "generate", model, "--prompt", "hello")

    # ---- words in

    def test_missing_file(self):
        self.refused("[nothing.txt] no such file; check the path", "import", "nothing.txt", "--me", "Pete", "-o", "out")
        self.refused("[nothing.yaml] no such file; check the path", "train", "nothing.yaml")

    def test_unknown_sender(self):
        Path("chat.txt").write_text("31/12/2023, 21:41 - Anna: hello\n31/12/2023, 21:42 - Pete: arr\n")
        self.refused('[--me] expected the name of a sender, got "Peet"; did you mean "Pete"?; the senders are Anna (1), '
                     'Pete (1)', "import", "chat.txt", "--me", "Peet", "-o", "out")

    def test_empty_export(self):
        Path("empty.txt").write_text("")
        self.refused("[empty.txt] the file is empty; expected a chat export", "import", "empty.txt", "--me", "Pete", "-o", "out")

    # ---- recipe

    def test_unknown_key_and_wrong_type(self):
        good = RECIPE.format(model="base/model", data="talk.jsonl", output="new")
        self.train_refused("[bad.yaml:6] unknown key learnig_rate; did you mean train.learning_rate?", good + "learnig_rate: 1\n")
        self.train_refused("[bad.yaml:5] train.max_steps: expected a whole number from -1 to 1000000000, got many",
                           good.replace("max_steps: 2", "max_steps: many"))

    def test_existing_run(self):
        self.refused("[good] the run exists already; go on with: attune train --resume good, or choose another `output`",
                     "train", "good.yaml")

    def test_nothing_to_learn(self):
        with open("silent.jsonl", "w") as file:
            row = {"messages": [{"role": "user", "content": "long " * 100}, {"role": "assistant", "content": "yes"}]}
            file.write(json.dumps(row) + "\n")
        self.train_refused("[silent.jsonl] no token would be trained on: 1 conversations, 1 without an assistant token "
                           "within max_length 64; check the roles and max_length",
                           RECIPE.format(model="base/model", data="silent.jsonl", output="new"))

    def test_budget_too_small(self):
        Path("bad.yaml").write_text(RECIPE.format(model="base/model", data="talk.jsonl", output="new") + "memory: 100KB\n")
        error = toy.attune(PROGRAM, "train", "bad.yaml", status=2)[1]
        # How much is needed depends on the type that the processor computes in.
        self.assertRegex(error, r"\Aattune: \[memory\] the run needs [\d.]+ [kM]B and the budget is 100.0 kB; no shorter rows or "
                                r"smaller batches fit: raise the budget or choose a smaller model\n\Z")
        self.assertFalse(Path("new").exists())

    # ---- model folders

    def test_weights_header(self):
        model = self.broken_model("broken")
        weights = model / "model.safetensors"
        whole = weights.read_bytes()
        header = struct.unpack("<Q", whole[:8])[0]
        data = len(whole) - 8 - header
        for content, message in (
                (whole[:100], f"header of {header} bytes reaches beyond the file of 100; the file is cut short"),
                (struct.pack("<Q", 1 << 60) + whole[8:],
                 f"header of {1 << 60} bytes, expected at most 100000000; not a safetensors file"),
                (whole[:-10], f"expected {data} bytes of data, got {data - 10}; the file is cut short")):
            weights.write_bytes(content)
            self.generate_refused(f"[broken/model.safetensors] {message}", "broken")

    def test_overlapping_tensors(self):
        model = self.broken_model("broken")
        header, data = header_of(model / "model.safetensors")
        names = sorted((n for n in header if n != "__metadata__"), key=lambda n: header[n]["data_offsets"])
        begin, end = header[names[1]]["data_offsets"]
        header[names[1]]["data_offsets"] = [begin - 2, end - 2]
        write_safetensors(model / "model.safetensors", header, data)
        self.generate_refused(f"[broken/model.safetensors: tensor {names[1]}] expected data to begin at byte {begin}, got "
                              f"{begin - 2}; tensors overlap", "broken")

    def test_missing_shard(self):
        model = self.broken_model("broken")
        header, _ = header_of(model / "model.safetensors")
        names = [n for n in header if n != "__metadata__"]
        (model / "model.safetensors.index.json").write_text(json.dumps(
            {"metadata": {"total_size": 1}, "weight_map": {n: "model-00001-of-00001.safetensors" for n in names}}))
        (model / "model.safetensors").unlink()
        self.generate_refused("[broken] shard model-00001-of-00001.safetensors is missing; download the whole model folder",
                              "broken")

    def change_config(self, model, **changes):
        config = json.loads((model / "config.json").read_text())
        config.update(changes)
        (model / "config.json").write_text(json.dumps(config))

    def test_shape_mismatch(self):
        self.change_config(self.broken_model("broken"), intermediate_size=72)
        self.generate_refused("[broken/model.safetensors: tensor model.layers.0.mlp.gate_proj.weight] expected shape [72, 32], "
                              "got [64, 32]; the weights do not fit config.json", "broken")

    def test_unsupported_architecture(self):
        self.change_config(self.broken_model("broken"), architectures=["MambaForCausalLM"], model_type="mamba")
        self.generate_refused("[broken/config.json] architecture MambaForCausalLM is not supported; expected LlamaForCausalLM, "
                              "MistralForCausalLM, Qwen2ForCausalLM or Qwen3ForCausalLM", "broken")

    def test_vocabulary_mismatch(self):
        model = self.broken_model("broken")
        header, data = header_of(model / "model.safetensors")
        config = json.loads((model / "config.json").read_text())
        vocabulary, config["vocab_size"] = config["vocab_size"], 100
        (model / "config.json").write_text(json.dumps(config))
        table = header["model.embed_tokens.weight"]
        width = table["shape"][1]
        cut = 2 * width * (table["shape"][0] - 100)
        begin, end = table["data_offsets"]
        data = data[:end - cut] + data[end:]
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            entry["data_offsets"] = [x - cut if x >= end else x for x in entry["data_offsets"]]
        table["shape"][0] = 100
        write_safetensors(model / "model.safetensors", header, data)
        message = (f"[broken] the tokenizer has {vocabulary} ids, the model 100 embeddings; "
                   "the two are not of the same model")
        self.generate_refused(message, "broken")
        self.train_refused(message, RECIPE.format(model="broken", data="talk.jsonl", output="new"))

    def test_adapter_for_another_base(self):
        Path("wide.yaml").write_text(toy.PRETRAIN.replace("output: base", "output: wide").replace(
            "hidden_size: 32", "hidden_size: 64"))
        toy.attune(PROGRAM, "pretrain", "wide.yaml")
        self.refused("[good/adapter/adapter_model.safetensors: tensor base_model.model.model.layers.0.self_attn.q_proj."
                     "lora_A.weight] expected shape [4, 64], got [4, 32]; the adapter was made for another base model",
                     "generate", "wide/model", "--adapter", "good/adapter", "--prompt", "hi")

    # ---- the place to write

    def test_read_only_output(self):
        # Root ignores permissions; /proc is a place where not even root can make a folder.
        chat = self.chat()
        self.refused("[/proc/attune] the folder cannot be created: No such file or directory",
                     "import", chat, "--me", "Pete", "-o", "/proc/attune/out")

    def test_folder_without_permission(self):
        """As a user who may read everything here and write into nothing: the message names the place that was asked for."""
        other = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            readable = subprocess.run([*other, "ls", folder, PROGRAM], capture_output=True).returncode == 0 if shutil.which("setpriv") else False
            if not readable:
                self.skipTest("not root, or no setpriv, or the program lies where others may not read")
            shutil.copytree("base", f"{folder}/base")
            shutil.copytree("good", f"{folder}/good")
            for name in (self.chat(), "talk.jsonl"):
                shutil.copy(name, folder)
            Path(folder, "run.yaml").write_text(
                RECIPE.format(model="base/model", data="talk.jsonl", output="ro/out") + "token_cache: none\n")
            Path(folder, "ro").mkdir()
            subprocess.run(["chmod", "-R", "a+rX,a-w", folder], check=True)
            self.assertEqual(stat.S_IMODE(Path(folder, "ro").stat().st_mode), 0o555)
            Path(folder, "locked").mkdir(mode=0o700)
            before = sorted(Path(folder).rglob("*"))
            cannot_be_made = "[ro/out] the folder cannot be created: Permission denied"
            unchanged = "cannot be written: Permission denied; the previous contents are unchanged"
            for message, arguments in (
                    (cannot_be_made, ["import", "chat.txt", "--me", "Pete", "-o", "ro/out"]),
                    ("[locked/out] Permission denied", ["import", "chat.txt", "--me", "Pete", "-o", "locked/out"]),
                    (cannot_be_made, ["train", "run.yaml"]),
                    ("[locked/out] Permission denied", ["train", "run.yaml", "--set", "output=locked/out"]),
                    (cannot_be_made, ["merge", "base/model", "--adapter", "good/adapter", "-o", "ro/out"]),
                    (f"[ro/out.gguf] {unchanged}", ["export", "base/model", "-o", "ro/out.gguf"]),
                    (f"[good/report.html] {unchanged}", ["report", "good"])):
                done = subprocess.run([*other, PROGRAM, *arguments], cwd=folder, capture_output=True, text=True, timeout=toy.SECONDS)
                self.assertEqual((done.returncode, done.stderr), (2, f"attune: {message}\n"), arguments)
                self.assertEqual(sorted(Path(folder).rglob("*")), before, arguments)
            listed = subprocess.run([*other, PROGRAM, "runs", "--in", "."], cwd=folder, capture_output=True, text=True, timeout=toy.SECONDS)
            self.assertEqual((listed.returncode, listed.stderr),
                             (0, "note      [./runs.sqlite] cannot be opened: unable to open database file; read from the folders\n"))
            self.assertRegex(listed.stdout, r"(?m)^good +finished ")

    def test_full_disk(self):
        # /dev/shm-like small file systems need root; a limit on file size is the same error to a writer.
        def small_files():
            import resource
            import signal
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        before = sorted(str(p) for p in Path(".").rglob("*"))
        Path("full.yaml").write_text(RECIPE.format(model="base/model", data="talk.jsonl", output="full"))
        done = subprocess.run([PROGRAM, "train", "full.yaml"], capture_output=True, text=True, preexec_fn=small_files)
        self.assertEqual(done.returncode, 2)
        message = done.stderr.strip().splitlines()[-1]
        self.assertRegex(message, r"^attune: \[full/.*\] cannot be written.*: File too large")
        left = {str(p) for p in Path("full").rglob("*")}
        self.assertFalse([p for p in left if p.endswith(".tmp") or "adapter_model" in p], left)

    def chat(self):
        Path("chat.txt").write_text("31/12/2023, 21:41 - Anna: hello\n31/12/2023, 21:42 - Pete: arr\n")
        return "chat.txt"


if __name__ == "__main__":
    PROGRAM = str(Path(sys.argv[1]).resolve())
    unittest.main(argv=sys.argv[:1], verbosity=2)
