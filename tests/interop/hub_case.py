"""What the tests of the Hub share: a Hub of our own (hub_server.py), the real huggingface_hub client against it, attune against
it, and a look at the end whether a token got anywhere.

Exit 77 on import: huggingface_hub is missing.
"""
import json
import os
import random
import secrets
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HOME = tempfile.TemporaryDirectory()
for name in [name for name in os.environ if name.startswith(("HF_", "HUGGING_FACE", "TRANSFORMERS_"))]:
    del os.environ[name]
os.environ |= {"HF_HOME": HOME.name, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
               "NO_PROXY": "127.0.0.1"}
try:
    import huggingface_hub
except ImportError as missing:
    print(f"SKIP: {missing}")
    sys.exit(77)

from hub_server import HubServer

SECONDS = 120
TOKEN = "hf_" + secrets.token_hex(17)      # planted: must never be seen
READER = "hf_" + secrets.token_hex(17)


def safetensors(data):
    header = json.dumps({"w": {"dtype": "U8", "shape": [len(data)], "data_offsets": [0, len(data)]}}).encode()
    return struct.pack("<Q", len(header)) + header + data


class HubTest(unittest.TestCase):
    """A Hub, an empty folder to work in, and a cache for each side."""
    program = None

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.here = Path(self.folder.name)
        self.hub = HubServer()
        self.hub.add_user(TOKEN, "me")
        self.hub.add_user(READER, "reader", write=False)
        self.hub.__enter__()
        self.addCleanup(self.hub.__exit__)
        self.addCleanup(self.no_leak)
        self.api = huggingface_hub.HfApi(endpoint=self.hub.url, token=TOKEN)
        self.outputs = []
        self.random = random.Random(7)

    def no_leak(self):
        """No token reached the storage, nor any output or file of attune's."""
        self.assertEqual(self.hub.leaks, [])
        for text in self.outputs:
            for token in (TOKEN, READER):
                self.assertNotIn(token, text)
        for path in self.here.rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                for token in (TOKEN, READER):
                    self.assertNotIn(token.encode(), data, path)

    def environment(self, token=TOKEN, cache="attune-cache", **more):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        environment |= {"HF_ENDPOINT": self.hub.url, "HF_HOME": str(self.here / "attune-home"), "HF_HUB_CACHE": str(self.here / cache)}
        if token:
            environment["HF_TOKEN"] = token
        return environment | more

    def attune(self, *arguments, status=0, text="", **environment):
        done = subprocess.run([self.program, *map(str, arguments)], env=self.environment(**environment), cwd=self.here, input=text,
                              capture_output=True, text=True, timeout=SECONDS)
        self.outputs += [done.stdout, done.stderr]
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def refused(self, *arguments, **environment):
        """The one line of an error that is the user's."""
        error = self.attune(*arguments, status=2, **environment).stderr
        self.assertRegex(error.splitlines()[-1], r"\Aattune: \[[^\n]*\Z")
        return error

    def pull(self, *arguments, **environment):
        return json.loads(self.attune("pull", *arguments, "--json", **environment).stdout)

    def push(self, *arguments, **environment):
        return json.loads(self.attune("push", *arguments, "--yes", "--json", **environment).stdout)

    def bytes(self, count):
        return self.random.randbytes(count)

    def adapter(self, name="adapter", size=5000):
        folder = self.here / name
        folder.mkdir()
        (folder / "adapter_model.safetensors").write_bytes(safetensors(self.bytes(size)))
        (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "base_model_name_or_path": "org/base", "r": 8,
                                                                "peft_version": "0.17.1"}, indent=2))
        return folder

    def upload(self, repo="me/model", kind="model", files=None, private=False):
        """The real client puts files there."""
        self.api.create_repo(repo, repo_type=kind, private=private)
        folder = self.here / "by-client"
        for path, data in (files or {}).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        self.api.upload_folder(repo_id=repo, folder_path=folder, repo_type=kind)
        return files

    def files_of(self, snapshot):
        root = Path(snapshot)
        return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}

    def history(self, repo="me/model", branch="main", kind="model"):
        return [c.title for c in self.hub.repos[(kind, repo)].history(branch)]


FILES = {"config.json": b"{}", "README.md": b"---\nlicense: mit\n---\n# x\n", "model.safetensors": safetensors(random.Random(1).randbytes(350_000)),
         "small.bin": b"\0" * 100, "deep/er/notes.txt": "árvíztűrő\n".encode(), "deep/with space.txt": b"a b", "empty.txt": b""}


def main():
    """PROGRAM is the first argument; the rest is unittest's."""
    HubTest.program = str(Path(sys.argv.pop(1)).resolve())
    unittest.main(module="__main__", verbosity=1)
