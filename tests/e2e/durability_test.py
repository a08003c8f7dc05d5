#!/usr/bin/env python3
"""What a power cut and a full disk leave behind: never a corrupt or half-visible file, and always what was there before.

    durability_test.py PROGRAM [KILLS]

Each command is killed with SIGKILL at KILLS moments (drawn from a fixed seed, spread over the length of an undisturbed
run); after each kill everything visible must be whole, and at the end the result must be that of the undisturbed run. 50 of
them for each command is the long form, done by hand; the short one runs with the other tests. Then each command runs on
disks (tmpfs in a mount namespace of its own) of every size up to what it needs: one clear line, and nothing half-written.
"""
import json
import os
import random
import secrets
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import toy

sys.path.append(str(Path(__file__).resolve().parents[1] / "interop"))
from hub_server import HubServer  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
PROGRAM, KILLS = None, 4
TOKEN = "hf_" + secrets.token_hex(17)
SIZES = 12  # of disks for each command

RECIPE = """
model: base/model
data: talk.jsonl
output: {output}
lora: {{r: 4}}
train: {{num_train_epochs: 12, max_length: 64, gradient_accumulation_steps: 1, per_device_train_batch_size: 1}}
save: {{save_steps: 3, save_total_limit: 2}}
"""


def contents(folder):
    folder = Path(folder)
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def is_temporary(path):
    return any(".tmp" in part for part in Path(path).parts)


class Durability(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        os.chdir(cls.folder.name)
        toy.make_base(PROGRAM)
        toy.make_adapter(PROGRAM)
        shutil.copy(ROOT / "assets/chat/whatsapp.txt", "chat.txt")

    @classmethod
    def tearDownClass(cls):
        os.chdir("/")
        cls.folder.cleanup()

    # ---- what must hold at any moment

    def expect_whole(self, folder):
        """Every visible file can be read to its end; a name that says "complete" is complete."""
        for path in Path(folder).rglob("*"):
            if not path.is_file() or is_temporary(path.relative_to(folder)):
                continue
            data = path.read_bytes()
            if path.suffix == ".safetensors":
                length = struct.unpack("<Q", data[:8])[0]
                header = json.loads(data[8:8 + length])
                end = max((entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0)
                self.assertEqual(len(data), 8 + length + end, path)
            elif path.suffix == ".json":
                json.loads(data)
            elif path.suffix == ".jsonl":
                lines = data.split(b"\n")
                if path.name == "metrics.jsonl":
                    lines = lines[:-1]  # appended to: its last line may be torn, and is dropped by the next run
                for line in lines:
                    if line:
                        json.loads(line)

    def kill_at_random(self, command, name, check):
        """Runs command(attempt) KILLS times and kills it, then once more to its end; `check` looks after each kill."""
        begun = time.monotonic()
        toy.attune(PROGRAM, *command("whole"))
        length = time.monotonic() - begun
        moments = random.Random(f"{name} 20261129")
        killed = 0
        for _ in range(KILLS * 3):
            if killed == KILLS:
                break
            process = subprocess.Popen([PROGRAM, *command("killed")], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            try:
                _, error = process.communicate(timeout=moments.uniform(0.0, 1.05 * length))
                self.assertEqual(process.returncode, 0, error.decode())
                check()
                self.begin_again()
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                killed += 1
                check()
        self.assertEqual(killed, KILLS)

    def begin_again(self):
        shutil.rmtree("killed", ignore_errors=True)

    def expect_no_leftovers(self):
        """What the killed ones had begun was removed by the one that came through."""
        self.assertFalse([path for path in Path(".").iterdir() if is_temporary(path)])

    # ---- kills

    def kill_what_appears_at_once(self, name, command):
        """For commands whose output is all there, or not at all: killed, and run to the end, it is that of an undisturbed run."""
        def check():
            self.expect_whole(".")
            if Path("killed").exists():
                self.assertEqual(contents("killed"), contents("whole"))
                self.begin_again()

        self.begin_again()
        shutil.rmtree("whole", ignore_errors=True)
        self.kill_at_random(command, name, check)
        toy.attune(PROGRAM, *command("killed"))
        self.assertEqual(contents("killed"), contents("whole"))
        self.expect_no_leftovers()

    def test_import(self):
        self.kill_what_appears_at_once("import", lambda output: ["import", "chat.txt", "--me", "Pete", "-o", output])

    def test_train(self):
        for name in ("whole", "killed"):
            shutil.rmtree(name, ignore_errors=True)
            Path(f"{name}.yaml").write_text(RECIPE.format(output=name))
        command = lambda output: ["train", f"{output}.yaml", "--auto-resume"]

        def check():
            self.expect_whole("killed" if Path("killed").exists() else ".")
            if Path("killed/adapter").exists():
                self.assertEqual(contents("killed/adapter"), contents("whole/adapter"))

        self.kill_at_random(command, "train", check)
        toy.attune(PROGRAM, *command("killed"))
        self.assertEqual(contents("killed/adapter"), contents("whole/adapter"))

    def test_push(self):
        with HubServer(chunk=2_000) as hub:
            hub.add_user(TOKEN, "me")
            os.environ |= {"HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HF_HOME": str(Path("hf-home").resolve()),
                           "NO_PROXY": "127.0.0.1"}
            command = lambda name: ["push", "run/adapter", f"me/{name}", "--yes"]

            def tree(name):
                repo = hub.repos.get(("model", f"me/{name}"))
                if repo is None:
                    return None
                return {path: hub.lfs[entry.lfs] if entry.lfs else entry.data for path, entry in repo.find("main").tree.items()
                        if path != ".gitattributes"}

            def check():
                there = tree("killed")
                if there:  # a repository without files, or with all of them
                    self.assertEqual(set(there), set(tree("whole")))
                    self.assertEqual(there["adapter_model.safetensors"], Path("run/adapter/adapter_model.safetensors").read_bytes())

            self.kill_at_random(command, "push", check)
            toy.attune(PROGRAM, *command("killed"))
            check()
            self.assertEqual(len(list(hub.repos[("model", "me/killed")].history("main"))), 2)  # the first and ours: none twice

    def test_merge(self):
        self.kill_what_appears_at_once(
            "merge", lambda output: ["merge", "base/model", "--adapter", "run/adapter", "--shard-size", "20KB", "-o", output])

    # ---- disks that are full

    def on_disks(self, command, output):
        """command(output) on ever larger disks, until it succeeds. On each it must say that the disk is full."""
        if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode != 0:
            self.skipTest("no mount namespaces here (unshare -rm): a full disk cannot be made")
        shutil.rmtree("needed", ignore_errors=True)
        toy.attune(PROGRAM, *command("needed"))
        pages = sum((len(data) + 4095) // 4096 + 1 for data in contents("needed").values()) + 8
        sizes = sorted({max(2, pages * i // SIZES) for i in range(1, 2 * SIZES)})
        Path("disk").mkdir(exist_ok=True)
        refused = 0
        for size in sizes:
            script = (f'mount -t tmpfs -o size={size * 4096} disk disk && echo before >disk/before && {{ "$@"; echo "exit $?" >&2; }}; '
                      'cat disk/before; find disk -type f')
            done = subprocess.run(["unshare", "-rm", "sh", "-c", script, "sh", PROGRAM, *command(f"disk/{output}")],
                                  capture_output=True, text=True, timeout=toy.SECONDS)
            errors = done.stderr.strip().splitlines()
            status = int(errors[-1].split()[-1])
            self.assertIn("before\n", done.stdout)
            left = [line for line in done.stdout.splitlines() if line.startswith("disk/") and line != "disk/before"]
            self.assertFalse([path for path in left if is_temporary(path)], size)
            if status == 0:
                self.assertGreater(refused, 0, "no disk was too small")
                return
            refused += 1
            self.assertEqual(status, 2, done.stderr)
            self.assertRegex(errors[-2], r"^attune: \[disk[^\]]*\] .*No space left on device", f"{size} pages: {done.stderr}")
            self.check_after_full(left)
        self.fail(f"never succeeded, up to {sizes[-1]} pages")

    def check_after_full(self, left):
        # What a run has reached may stay; a result may not be there.
        self.assertFalse([path for path in left if "/adapter/" in path.replace("/checkpoints/", "/") and "step-" not in path], left)

    def test_import_on_a_full_disk(self):
        self.on_disks(lambda output: ["import", "chat.txt", "--me", "Pete", "-o", output], "data")

    def test_train_on_a_full_disk(self):
        def command(output):
            Path("disk.yaml").write_text(RECIPE.format(output=output).replace("num_train_epochs: 12", "num_train_epochs: 1"))
            return ["train", "disk.yaml"]
        self.on_disks(command, "run")

    def test_merge_on_a_full_disk(self):
        self.on_disks(lambda output: ["merge", "base/model", "--adapter", "run/adapter", "-o", output], "merged")


if __name__ == "__main__":
    PROGRAM = str(Path(sys.argv[1]).resolve())
    KILLS = int(sys.argv[2]) if len(sys.argv) > 2 else KILLS
    unittest.main(argv=sys.argv[:1], verbosity=2)
