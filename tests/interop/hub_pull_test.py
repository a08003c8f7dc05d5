#!/usr/bin/env python3
"""The real huggingface_hub client against the Hub of our own, which proves that it is one; then attune pull: what the client
uploaded, the cache that both share, faults, and errors told apart.

    hub_pull_test.py PROGRAM
"""
import os
import secrets
import subprocess
import time
from pathlib import Path

from hub_case import FILES, READER, TOKEN, HubTest, main

import huggingface_hub
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError


class Client(HubTest):
    """The Hub of our own is one: the real client passes against it."""

    def test_uploads_downloads_branches_and_tags(self):
        files = self.upload(files=FILES)
        self.assertIn("model.safetensors", files)
        self.assertGreater(len(self.hub.parts), 0, "a multipart upload was meant")
        self.api.create_branch("me/model", branch="side")
        self.api.create_tag("me/model", tag="v1", revision="main")
        refs = self.api.list_repo_refs("me/model")
        self.assertEqual({b.name for b in refs.branches}, {"main", "side"})
        self.assertEqual([t.name for t in refs.tags], ["v1"])
        self.assertEqual(len(self.api.list_repo_commits("me/model")), 2)
        snapshot = huggingface_hub.snapshot_download("me/model", endpoint=self.hub.url, token=TOKEN, cache_dir=self.here / "cache", revision="v1")
        self.assertEqual(self.files_of(snapshot), FILES | {".gitattributes": self.hub.repos[("model", "me/model")].find("main").tree[".gitattributes"].data})
        path = huggingface_hub.hf_hub_download("me/model", "deep/with space.txt", endpoint=self.hub.url, token=TOKEN, cache_dir=self.here / "cache")
        self.assertEqual(Path(path).read_bytes(), b"a b")

    def test_errors(self):
        self.upload(private=True, files={"a": b"x"})
        stranger = huggingface_hub.HfApi(endpoint=self.hub.url, token=READER)
        self.assertRaises(RepositoryNotFoundError, stranger.model_info, "me/model")
        self.assertRaises(RevisionNotFoundError, self.api.model_info, "me/model", revision="nowhere")
        self.hub.repos[("model", "me/model")].private = False
        self.hub.repos[("model", "me/model")].gated = True
        self.assertRaises(GatedRepoError, stranger.hf_hub_download, "me/model", "a", cache_dir=self.here / "cache")


class Pull(HubTest):
    def test_what_the_client_uploaded(self):
        self.upload(files=FILES)
        result = self.pull("me/model")
        files = self.files_of(result["path"])
        files.pop(".gitattributes")
        self.assertEqual(files, FILES)
        self.assertEqual(result["commit"], self.hub.repos[("model", "me/model")].branches["main"])
        again = self.pull("me/model")
        self.assertEqual(again["fetched_bytes"], 0)

    def test_a_data_set_a_revision_a_file_and_a_folder(self):
        self.upload("me/data", "dataset", {"train.jsonl": b"{}\n"})
        self.api.create_tag("me/data", tag="v1", repo_type="dataset")
        self.api.upload_file(path_or_fileobj=b"{}\n{}\n", path_in_repo="train.jsonl", repo_id="me/data", repo_type="dataset")
        old = self.pull("me/data", "--type", "dataset", "--revision", "v1", "-o", "copy")
        self.assertEqual(Path(self.here / old["path"] / "train.jsonl").read_bytes(), b"{}\n")
        self.assertFalse((self.here / "copy/train.jsonl").is_symlink())
        new = self.pull("me/data", "--type", "dataset", "--file", "train.jsonl")
        self.assertEqual(list(self.files_of(new["path"])), ["train.jsonl"])
        self.assertIn("has no file nothing.txt", self.refused("pull", "me/data", "--type", "dataset", "--file", "nothing.txt"))
        self.assertIn("already exists", self.refused("pull", "me/data", "--type", "dataset", "-o", "copy"))

    def test_the_cache_is_the_clients(self):
        """Each side reads, without a connection, what the other fetched."""
        self.upload(files=FILES)
        ours = self.pull("me/model")
        cache = self.here / "attune-cache"
        theirs = huggingface_hub.snapshot_download("me/model", endpoint=self.hub.url, token=TOKEN, cache_dir=cache, local_files_only=True)
        self.assertEqual(os.path.realpath(theirs), os.path.realpath(ours["path"]))
        path = huggingface_hub.hf_hub_download("me/model", "model.safetensors", cache_dir=cache, local_files_only=True)
        self.assertEqual(Path(path).read_bytes(), FILES["model.safetensors"])
        self.assertEqual(huggingface_hub.scan_cache_dir(cache).warnings, [])
        before = len(self.hub.asked("GET", "/object/"))
        huggingface_hub.snapshot_download("me/model", endpoint=self.hub.url, token=TOKEN, cache_dir=cache)
        self.assertEqual(len(self.hub.asked("GET", "/object/")), before, "the client fetched again what attune had")

        snapshot = huggingface_hub.snapshot_download("me/model", endpoint=self.hub.url, token=TOKEN, cache_dir=self.here / "client-cache")
        result = self.pull("me/model", cache="client-cache")
        self.assertEqual(result["fetched_bytes"], 0)
        self.assertEqual(os.path.realpath(result["path"]), os.path.realpath(snapshot))

    def test_missing_files_are_remembered_as_the_client_does(self):
        self.upload(files={"a": b"x"})
        self.refused("pull", "me/model", "--file", "chat_template.jinja")
        commit = self.hub.repos[("model", "me/model")].branches["main"]
        self.assertTrue((self.here / "attune-cache/models--me--model/.no_exist" / commit / "chat_template.jinja").is_file())
        known = huggingface_hub.try_to_load_from_cache("me/model", "chat_template.jinja", cache_dir=self.here / "attune-cache", revision=commit)
        self.assertIs(known, huggingface_hub._CACHED_NO_EXIST)

    def test_a_connection_that_breaks_goes_on_where_it_was(self):
        self.upload(files={"model.safetensors": FILES["model.safetensors"]})
        self.hub.fault("cut", "/object/", method="GET", times=3)
        result = self.pull("me/model")
        self.assertEqual(self.files_of(result["path"])["model.safetensors"], FILES["model.safetensors"])
        ranges = [entry[3] for entry in self.hub.asked("GET", "/object/")]
        self.assertIsNone(ranges[0])
        starts = [int(r.removeprefix("bytes=").removesuffix("-")) for r in ranges[1:]]
        self.assertEqual(starts, sorted(set(starts)), "each attempt begins where the last one ended")
        self.assertEqual(len(starts), 3)

    def test_a_storage_without_ranges_and_a_killed_pull(self):
        self.upload(files={"model.safetensors": FILES["model.safetensors"]})
        self.hub.fault("hang", "/object/", method="GET", status=60)
        process = subprocess.Popen([self.program, "pull", "me/model"], env=self.environment(), cwd=self.here, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        while not self.hub.asked("GET", "/object/"):
            time.sleep(0.05)
        process.kill()
        process.communicate()
        blobs = self.here / "attune-cache/models--me--model/blobs"
        unfinished = next(blobs.glob("*.incomplete"))
        unfinished.write_bytes(FILES["model.safetensors"][:1000])
        self.hub.ranges = False
        self.assertEqual(self.files_of(self.pull("me/model")["path"])["model.safetensors"], FILES["model.safetensors"])
        self.assertEqual(list(blobs.glob("*.incomplete")), [])

    def test_wrong_bytes_never_get_the_name(self):
        self.upload(files={"model.safetensors": FILES["model.safetensors"], "a.txt": b"text"})
        blobs = self.here / "attune-cache/models--me--model/blobs"
        for path, pattern in (("a.txt", "/resolve/.*a.txt"), ("model.safetensors", "/object/")):
            self.hub.fault("corrupt", pattern, method="GET")
            self.assertIn(f"[me/model/{path}] the bytes that came are not those that the Hub names", self.refused("pull", "me/model", "--file", path))
            self.assertEqual(list(blobs.iterdir()), [])
        self.assertEqual(self.files_of(self.pull("me/model")["path"])["a.txt"], b"text")

    def test_what_an_earlier_attempt_left_wrong_is_fetched_again(self):
        self.upload(files={"model.safetensors": FILES["model.safetensors"]})
        blobs = self.here / "attune-cache/models--me--model/blobs"
        blobs.mkdir(parents=True)
        (blobs / f"{self.hub.uploads[0]}.incomplete").write_bytes(b"something else")
        self.assertEqual(self.files_of(self.pull("me/model")["path"])["model.safetensors"], FILES["model.safetensors"])

    def test_a_busy_hub_is_waited_for(self):
        self.upload(files={"a": b"x"})
        self.hub.fault("status", "/revision/", status=429, headers={"RateLimit": '"api";r=0;t=0'})
        self.hub.fault("status", "/tree/", status=503)
        self.hub.fault("close", "/resolve/")
        self.pull("me/model")

    def test_a_renamed_repository(self):
        self.upload(files=FILES)
        self.hub.renamed[("model", "me/old")] = "me/model"
        files = self.files_of(self.pull("me/old")["path"])
        self.assertEqual(files["model.safetensors"], FILES["model.safetensors"])

    def test_missing_private_and_gated_are_told_apart(self):
        self.upload(files={"a": b"x"}, private=True)
        self.assertIn("[me/model] there is no such model, or it is private; check the name, or set HF_TOKEN if it is yours",
                      self.refused("pull", "me/model", token=None))
        self.assertIn("[me/model] there is no such model that your token may see", self.refused("pull", "me/model", token=READER))
        self.assertIn("does not accept the token", self.refused("pull", "me/model", token="hf_wrong"))
        self.assertIn('[me/model] has no branch, tag or commit "v9"', self.refused("pull", "me/model", "--revision", "v9"))
        repo = self.hub.repos[("model", "me/model")]
        repo.private, repo.gated = False, True
        self.assertIn(f"[me/model] the model is gated: accept its terms at {self.hub.url}/me/model, set HF_TOKEN",
                      self.refused("pull", "me/model", token=None))
        self.assertIn("with the account of your token", self.refused("pull", "me/model", token=READER))
        self.assertIn("expected the name of a repository", self.refused("pull", "me/../etc"))

    def test_a_token_that_the_server_quotes_is_not_shown(self):
        self.hub.echo_tokens = True
        wrong = "hf_" + secrets.token_hex(17)
        error = self.refused("pull", "me/model", token=wrong)
        self.assertNotIn(wrong, error)

    def test_offline_nothing_is_sent(self):
        self.assertIn("HF_HUB_OFFLINE", self.refused("pull", "me/model", HF_HUB_OFFLINE="1"))
        self.assertEqual(self.hub.log, [])

    def test_a_pulled_model_has_its_repositorys_name(self):
        self.upload("me/base", files={"config.json": b"{}"})
        self.assertIn("attune pull me/base", self.refused("generate", "me/base", "--prompt", "x"))
        self.pull("me/base")
        error = self.refused("generate", "me/base", "--prompt", "x")
        self.assertIn("models--me--base/snapshots", error)


if __name__ == "__main__":
    main()
