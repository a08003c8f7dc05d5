#!/usr/bin/env python3
"""What a power cut and a full disk leave behind: never a corrupt or half-visible file, and always what was there before.

    durability_test.py PROGRAM [KILLS]

Each command is killed with SIGKILL at KILLS moments (drawn from a fixed seed, spread over the length of an undisturbed
run); after each kill everything visible must be whole, and at the end the result must be that of the undisturbed run. With
KILLS given, only that is done: 50 of them for each of the four commands are the 200 that `./dev test --full` makes; a few run
with the other tests. Then each command that writes does so on disks (tmpfs in a mount namespace of its own) with no page
free, with one, and so on up to what it needs: one clear line, nothing half-written, and nothing lost that was there.
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
from synth_test import Endpoint, handbook

sys.path.append(str(Path(__file__).resolve().parents[1] / "interop"))
from hub_server import HubServer  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
PROGRAM, KILLS = None, 4
TOKEN = "hf_" + secrets.token_hex(17)

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


class Kills(Durability):
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


class FullDisks(Durability):
    """Each command with no page free, with one, with two ... on its disk, until it has what it needs."""

    def on_a_disk(self, pages, command):
        """(exit status, output, lines of errors) of a command that finds on `disk`, with `pages` pages free, what `prepared`
        holds; the folder `after` is the disk as it was left."""
        script = ("mount -t tmpfs -o size=16m disk disk && cp -a prepared/. disk && "
                  "head -c $((($(stat -f -c %f disk) - $0) * 4096)) /dev/zero >disk/filler || exit 99; "
                  '"$@"; status=$?; rm disk/filler; rm -rf after; cp -a disk after; exit $status')
        done = subprocess.run(["unshare", "-rm", "sh", "-c", script, str(pages), PROGRAM, *map(str, command)],
                              capture_output=True, text=True, timeout=toy.SECONDS)
        return done.returncode, done.stdout, done.stderr.strip().splitlines()

    def setUp(self):
        if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode != 0:
            self.skipTest("no mount namespaces here (unshare -rm): a full disk cannot be made")
        for name in ("disk", "prepared", "after"):
            shutil.rmtree(name, ignore_errors=True)
        Path("disk").mkdir()
        Path("prepared").mkdir()
        Path("prepared/before").write_text("before")

    def until_it_fits(self, command, check=lambda: None, changes=(), said=r"\[disk[^\]]*\] .*No space left on device"):
        """Refused with one line while there is no room, and what was there before is untouched but for `changes`."""
        before, refused, pages = contents("prepared"), 0, 0
        while pages < 3000:
            status, _, errors = self.on_a_disk(pages, command)
            after = contents("after")
            self.assertEqual({path: after.get(path) for path in before if path not in changes},
                             {path: data for path, data in before.items() if path not in changes}, f"{pages} pages")
            self.assertFalse([path for path in after if is_temporary(path)], f"{pages} pages")
            if status == 0:
                self.assertGreater(refused, 0, "no disk was too small")
                return
            refused += 1
            self.assertEqual(status, 2, errors)
            self.assertRegex(errors[-1], "^attune: " + said, f"{pages} pages: {errors}")
            self.expect_whole("after")
            check()
            pages = max(pages + 1, pages * 4 // 3)
        self.fail(f"never succeeded, up to {pages} pages")

    def nothing_new(self, *names):
        """A check: these, of which all is there or nothing, are not there."""
        def check():
            self.assertFalse([name for name in names if Path("after", name).exists()])
        return check

    def test_import(self):
        self.until_it_fits(["import", "chat.txt", "--me", "Pete", "-o", "disk/data"], self.nothing_new("data"))

    def recipe(self, output, more="", epochs=1):
        Path(f"{output.replace('/', '-')}.yaml").write_text(
            RECIPE.format(output=output).replace("num_train_epochs: 12", f"num_train_epochs: {epochs}") + more)
        return f"{output.replace('/', '-')}.yaml"

    def test_train(self):
        # What a run has reached may stay; a result may not be there.
        self.until_it_fits(["train", self.recipe("disk/run")], self.nothing_new("run/adapter"))

    def test_train_and_its_spool_go_on_with_room(self):
        toy.attune(PROGRAM, "train", self.recipe("whole-run"))
        command = ["train", self.recipe("disk/run", "track: {tensorboard: true}"), "--auto-resume"]
        for pages in (1, 6, 24, 60):
            status, _, errors = self.on_a_disk(pages, command)
            self.assertEqual(status, 2, errors)
            self.assertRegex(errors[-1], r"^attune: \[disk[^\]]*\] .*No space left on device")
            shutil.rmtree("disk")
            shutil.copytree("after", "disk")
            output, _ = toy.attune(PROGRAM, *command)
            self.assertRegex(output, r"TensorBoard in disk/run/tensorboard: all \d+ records have arrived")
            self.assertEqual(contents("disk/run/adapter"), contents("whole-run/adapter"))
            shutil.rmtree("disk")
            Path("disk").mkdir()

    def test_without_room_for_the_token_cache_the_tokens_are_in_memory(self):
        toy.attune(PROGRAM, "train", self.recipe("uncached"))
        for pages in (0, 1):
            status, _, errors = self.on_a_disk(pages, ["train", self.recipe(f"cached-{pages}", "token_cache: disk/tokens")])
            self.assertEqual(status, 0, errors)
            self.assertEqual(set(contents("after")), {"before"})
            self.assertEqual(contents(f"cached-{pages}/adapter"), contents("uncached/adapter"))

    def test_merge(self):
        self.until_it_fits(["merge", "base/model", "--adapter", "run/adapter", "-o", "disk/merged"], self.nothing_new("merged"))

    def test_export(self):
        self.until_it_fits(["export", "base/model", "--adapter", "run/adapter", "-o", "disk/model.gguf"], self.nothing_new("model.gguf"))

    def test_eval(self):
        Path("prepared/eval.json").write_text('{"samples": []}')
        self.until_it_fits(["eval", "run", "--only", "held-out", "--max-tokens", "8", "--limit", "2", "-o", "disk/eval.json"], changes=["eval.json"],
                           check=lambda: self.assertEqual(Path("after/eval.json").read_text(), '{"samples": []}'))

    def test_report(self):
        Path("prepared/report.html").write_text("an older one")
        self.until_it_fits(["report", "run", "-o", "disk/report.html"], changes=["report.html"],
                           check=lambda: self.assertEqual(Path("after/report.html").read_text(), "an older one"))

    def hub(self):
        hub = HubServer(chunk=2_000)
        hub.add_user(TOKEN, "me")
        hub.__enter__()
        self.addCleanup(hub.__exit__)
        before = dict(os.environ)
        self.addCleanup(lambda: (os.environ.clear(), os.environ.update(before)))
        os.environ |= {"HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "NO_PROXY": "127.0.0.1"}
        return hub

    def test_pull(self):
        self.hub()
        os.environ["HF_HOME"] = str(Path("prepared").resolve())
        toy.attune(PROGRAM, "push", "run/adapter", "me/old", "--yes")
        toy.attune(PROGRAM, "push", "base/model", "me/new", "--yes")
        toy.attune(PROGRAM, "pull", "me/old")
        os.environ["HF_HOME"] = "disk"
        self.until_it_fits(["pull", "me/new"])
        fetched = {Path(path).name: data for path, data in contents("after").items() if "models--me--new/snapshots" in path}
        self.assertEqual(fetched["model.safetensors"], Path("base/model/model.safetensors").read_bytes())

    def test_push_writes_nothing_here(self):
        hub = self.hub()
        os.environ |= {"HF_HOME": "disk", "TMPDIR": "disk"}
        shutil.copytree("run/adapter", "prepared/adapter")
        status, _, errors = self.on_a_disk(0, ["push", "disk/adapter", "me/full", "--yes"])
        self.assertEqual((status, contents("after")), (0, contents("prepared")), errors)
        self.assertIn("adapter_model.safetensors", hub.repos[("model", "me/full")].find("main").tree)

    def test_synth_goes_on_where_the_disk_was_full(self):
        chunks = handbook(12)
        with Endpoint() as endpoint:
            command = ["synth", "handbook.md", "--endpoint", endpoint.url, "--model", "scripted", "-o", "disk/out",
                       "--chunk-size", "200", "--concurrency", "1"]
            kept = []

            def check():
                self.nothing_new("out/train.jsonl")()
                if Path("after/out/journal").exists():
                    kept.append(len(toy.json_lines("after/out/journal")))
                    shutil.copytree("after/out", "prepared/out", dirs_exist_ok=True)  # and room is made
            self.until_it_fits(command, check, changes=["out/journal"])
            self.assertEqual(kept, sorted(kept))
            self.assertEqual(len(toy.json_lines("after/out/journal")), chunks)
            self.assertLess(endpoint.requests(), 2 * chunks + len(kept))  # an answer is paid for again only if it found no room
        self.assertEqual(len(toy.json_lines("after/out/train.jsonl")), chunks - 1)

    def test_tracking_is_away_and_the_run_goes_on(self):
        toy.attune(PROGRAM, "train", self.recipe("untracked"))
        for name, track in (("board", "tensorboard: disk/board"), ("folder", "mlflow: ./disk/mlruns"),
                            ("base", "mlflow: sqlite:///disk/mlflow.db")):
            output = f"tracked-{name}"
            status, shown, errors = self.on_a_disk(0, ["train", self.recipe(output, f"track: {{{track}}}")])
            self.assertEqual(status, 0, errors)
            self.assertRegex(shown, rf"\d+ of \d+ records wait in {output}/spool; deliver them with: attune sync {output}\n +.*"
                                    "(No space left on device|database or disk is full|disk I/O error)")
            self.assertEqual(contents(f"{output}/adapter"), contents("untracked/adapter"))
            self.assertFalse([path for path in contents("after") if is_temporary(path)])
            shutil.rmtree("disk")  # one with room in its place
            Path("disk").mkdir()
            self.assertRegex(toy.attune(PROGRAM, "sync", output)[0], r"all \d+ records have arrived")

    def test_runs_are_listed_without_their_database(self):
        shutil.copytree("run", "prepared/run")
        status, shown, errors = self.on_a_disk(0, ["runs", "--in", "disk"])
        self.assertEqual(status, 0, errors)
        self.assertRegex(shown, r"(?m)^run +finished ")
        self.assertRegex("\n".join(errors), r"\Anote      \[disk/runs.sqlite\] .*; read from the folders\Z")

        # Nor does a run that goes on need it: here one whose folder lies on another disk.
        toy.attune(PROGRAM, "train", self.recipe("elsewhere"))
        shutil.rmtree("elsewhere/adapter")
        shutil.rmtree("prepared/run")
        Path("prepared/run").symlink_to("../elsewhere")
        status, _, errors = self.on_a_disk(0, ["train", "--resume", "disk/run"])
        self.assertEqual(status, 0, errors)
        self.assertTrue(Path("elsewhere/adapter/adapter_model.safetensors").exists())


if __name__ == "__main__":
    PROGRAM = str(Path(sys.argv[1]).resolve())
    KILLS = int(sys.argv[2]) if len(sys.argv) > 2 else KILLS
    unittest.main(argv=sys.argv[:1], defaultTest="Kills" if len(sys.argv) > 2 else None, verbosity=2)
