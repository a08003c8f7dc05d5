#!/usr/bin/env python3
"""attune push against the Hub of our own: what the real huggingface_hub client reads back, faults that cost time and nothing
else, and what is not sent.

    hub_push_test.py PROGRAM
"""
import json
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path

from hub_case import READER, TOKEN, HubTest, main, safetensors

import huggingface_hub


class Push(HubTest):
    def test_an_adapter_that_the_client_reads_back(self):
        folder = self.adapter(size=350_000)
        result = self.push(folder, "me/model", "--tag", "v1", "--message", "First")
        self.assertTrue(result["created"] and result["private"])
        self.assertTrue(self.hub.repos[("model", "me/model")].private)
        self.assertGreater(len(self.hub.parts), 0, "a multipart upload was meant")
        snapshot = Path(huggingface_hub.snapshot_download("me/model", endpoint=self.hub.url, token=TOKEN, cache_dir=self.here / "cache", revision="v1"))
        for name in ("adapter_model.safetensors", "adapter_config.json"):
            self.assertEqual((snapshot / name).read_bytes(), (folder / name).read_bytes())
        card = huggingface_hub.ModelCard.load(snapshot / "README.md")
        self.assertEqual(card.data.base_model, "org/base")
        self.assertEqual(card.data.library_name, "peft")
        self.assertEqual(card.data.to_dict()["base_model_relation"], "adapter")
        self.assertTrue(card.text.rstrip().split("### Framework versions")[1].strip().startswith("- PEFT 0.17.1"))
        self.assertEqual(self.history(), ["First", "initial commit"])
        self.assertEqual(self.api.list_repo_refs("me/model").tags[0].target_commit, result["commit"])

    def test_only_what_changed_is_sent(self):
        folder = self.adapter()
        self.push(folder, "me/model")
        again = self.push(folder, "me/model")
        self.assertEqual((again["changed"], again["unchanged"]), (0, 3))
        self.assertEqual(len(self.history()), 2)
        (folder / "adapter_config.json").write_text("{}")
        third = self.push(folder, "me/model")
        self.assertLess(third["changed"], 3)
        self.assertEqual(third["sent_bytes"], 0)
        self.assertEqual(len(self.hub.uploads), 1)

    def test_a_data_set_a_branch_and_a_gguf(self):
        data = self.here / "data"
        data.mkdir()
        (data / "train.jsonl").write_text('{"messages": []}\n')
        (data / "ledger.json").write_text('{"senders": ["Anna"]}')
        self.assertIn("push it with --type dataset", self.refused("push", data, "me/data", "--yes"))
        self.push(data, "me/data", "--type", "dataset", "--branch", "try", "--public")
        repo = self.hub.repos[("dataset", "me/data")]
        self.assertFalse(repo.private)
        self.assertEqual(set(repo.find("try").tree), {".gitattributes", "README.md", "train.jsonl"})
        self.assertEqual(set(repo.find("main").tree), {".gitattributes"})
        gguf = self.here / "model.gguf"
        gguf.write_bytes(b"GGUF" + self.bytes(1000))
        self.push(gguf, "me/gguf")
        path = huggingface_hub.hf_hub_download("me/gguf", "model.gguf", endpoint=self.hub.url, token=TOKEN, cache_dir=self.here / "cache")
        self.assertEqual(Path(path).read_bytes(), gguf.read_bytes())

    def test_many_files_are_several_commits(self):
        folder = self.adapter()
        for i in range(300):
            (folder / f"note-{i:03}.txt").write_text(f"{i}")
        (folder / "empty.txt").write_text("")
        (folder / "skip.ignored").write_text("")
        self.push(folder, "me/model", "--message", "Many")
        self.assertEqual(self.history()[:2], ["Many (4/4)", "Many (3/4)"])
        tree = self.hub.repos[("model", "me/model")].find("main").tree
        self.assertEqual(len(tree), 305)
        self.assertNotIn("skip.ignored", tree)

    def test_faults_cost_time_and_nothing_else(self):
        folder = self.adapter(size=350_000)
        self.hub.fault("status", "/api/repos/create", status=500)
        self.hub.fault("close", "/preupload/")
        self.hub.fault("status", "/objects/batch", status=429, headers={"Retry-After": "1"})
        self.hub.fault("close", "/part/", times=2)
        self.hub.fault("status", "/lfs/complete/", status=503)
        self.hub.fault("cut", "/lfs/verify/")
        self.push(folder, "me/model", "--message", "Once")
        self.assertEqual(self.history(), ["Once", "initial commit"])
        pulled = self.pull("me/model")
        self.assertEqual(self.files_of(pulled["path"])["adapter_model.safetensors"], (folder / "adapter_model.safetensors").read_bytes())

    def test_a_commit_whose_answer_is_lost_is_not_made_twice(self):
        folder = self.adapter()
        self.hub.fault("lose", "/commit/")
        result = self.push(folder, "me/model", "--message", "Once")
        self.assertEqual(self.history(), ["Once", "initial commit"])
        self.assertEqual(result["commit"], self.hub.repos[("model", "me/model")].branches["main"])
        self.assertEqual(len(self.hub.asked("POST", "/commit/")), 1)

    def test_a_commit_that_did_not_happen_is_made(self):
        self.hub.fault("status", "/commit/", status=503)
        self.hub.fault("close", "/commit/")
        self.push(self.adapter(), "me/model", "--message", "Once")
        self.assertEqual(self.history(), ["Once", "initial commit"])

    def test_somebody_else_commits_meanwhile(self):
        folder = self.adapter()
        self.push(folder, "me/model", "--message", "One")
        (folder / "more.txt").write_text("more")
        server_commit = self.hub.server.RequestHandlerClass.post_commit
        api = self.api

        def late(handler, kind, name, branch):
            if not late.done:
                late.done = True
                handler.hub.lock.release()
                api.upload_file(path_or_fileobj=b"theirs", path_in_repo="theirs.txt", repo_id="me/model", commit_message="Theirs")
                handler.hub.lock.acquire()
            return server_commit(handler, kind, name, branch)

        late.done = False
        self.hub.server.RequestHandlerClass.post_commit = late
        self.push(folder, "me/model", "--message", "Two")
        self.assertEqual(self.history(), ["Two", "Theirs", "One", "initial commit"])
        self.assertIn("theirs.txt", self.hub.repos[("model", "me/model")].find("main").tree)

    def test_a_killed_push_goes_on(self):
        folder = self.adapter()
        (folder / "second.safetensors").write_bytes(safetensors(self.bytes(2000)))
        (folder / "third.safetensors").write_bytes(safetensors(self.bytes(3000)))
        seen = len(self.hub.uploads)
        self.hub.fault("hang", "/lfs/verify/", status=60)
        process = subprocess.Popen([self.program, "push", folder, "me/model", "--yes"], env=self.environment(), cwd=self.here, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        while not self.hub.asked("POST", "/lfs/verify/"):
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        self.assertEqual(len(self.hub.uploads), seen + 1)
        self.push(folder, "me/model", "--message", "Whole")
        self.assertEqual(len(self.hub.uploads), len(set(self.hub.uploads)), "an object was sent twice")
        self.assertEqual(self.history(), ["Whole", "initial commit"])

    def test_what_may_not_be(self):
        folder = self.adapter()
        self.assertIn("expected a token with write access", self.refused("push", folder, "me/model", "--yes", token=None))
        self.assertIn("your token may not create it", self.refused("push", folder, "me/model", "--yes", token=READER))
        self.assertIn("may not create it", self.refused("push", folder, "other/model", "--yes"))
        self.assertIn("expected --yes", self.refused("push", folder, "me/model"))
        self.assertIn("expected the name of a branch", self.refused("push", folder, "me/model", "--branch", "a..b"))
        self.assertIn("there is no such file or folder", self.refused("push", "nowhere", "me/model"))
        self.assertEqual(self.hub.repos, {})
        self.push(folder, "me/model", "--tag", "v1")
        (folder / "new.txt").write_text("x")
        self.assertIn("has the tag v1 at another commit", self.refused("push", folder, "me/model", "--tag", "v1", "--yes"))

    def test_the_card_is_checked_here_and_there(self):
        folder = self.adapter()
        (folder / "README.md").write_text("---\nlicense: nonsense\n---\n")
        self.assertIn("[README.md] license: expected an identifier", self.refused("push", folder, "me/model", "--yes"))
        self.assertEqual(self.hub.log, [])
        (folder / "README.md").write_text("---\nlicense: isc\n---\n")  # known here, not to this Hub
        self.assertIn("the Hub does not accept the card", self.refused("push", folder, "me/model", "--yes"))
        self.assertEqual(self.hub.repos, {})


class Secrets(HubTest):
    def test_findings_stop_the_push_before_anything_is_sent(self):
        folder = self.adapter()
        (folder / "notes.txt").write_text("fine\nmail anna@mail.hu or +36 30 123 4567\n")
        planted = "ghp_" + secrets.token_hex(20)[:36]
        (folder / "run.log").write_text(f"token {planted}\n")
        error = self.refused("push", folder, "me/model", "--yes")
        for part in ("notes.txt:2", "email", "phone", "run.log:1", "token", "nothing was sent"):
            self.assertIn(part, error)
        self.assertNotIn(planted, error)
        self.assertEqual(self.hub.log, [])
        self.assertIn("run.log:1", self.refused("push", folder, "me/model", "--yes", "--allow", "email", "--allow", "notes.txt:2"))
        self.push(folder, "me/model", "--allow", "notes.txt", "--allow", "run.log:1")

    def test_the_users_own_token_is_found_anywhere(self):
        folder = self.adapter()
        odd = "not-a-known-form-" + secrets.token_hex(8)
        self.hub.add_user(odd, "me")
        (folder / "weights.bin").write_bytes(b"\0" * 500 + odd.encode() + b"\0" * 500)
        self.assertIn("your own token", self.refused("push", folder, "me/model", "--yes", token=odd))
        shutil.rmtree(folder)

    def test_the_list_is_shown_and_a_dry_run_sends_nothing(self):
        folder = self.adapter()
        (folder / ".env").write_text(f"HF_TOKEN={secrets.token_hex(8)}")
        output = self.attune("push", folder, "me/model", "--dry-run").stdout
        for part in ("adapter_model.safetensors", "README.md  (written now)", "left out  .env (hidden)", f"{self.hub.url}/me/model, branch main"):
            self.assertIn(part, output)
        self.assertEqual(self.hub.log, [])

    def test_tokens_from_everywhere_stay_out_of_sight(self):
        """Tokens in the environment and in the token file; every way to fail and to succeed; no_leak() looks at everything."""
        folder = self.adapter()
        home = self.here.parent / f"{self.here.name}-home"
        home.mkdir()
        self.addCleanup(shutil.rmtree, home)
        (home / "token").write_text(TOKEN + "\n")
        self.push(folder, "me/model", token=None, HF_HOME=str(home))
        self.attune("pull", "me/model", token=None, HF_HOME=str(home))
        self.attune("pull", "me/model", token=None, HUGGING_FACE_HUB_TOKEN=TOKEN)
        self.hub.echo_tokens = True
        self.hub.users.pop(READER)
        self.refused("pull", "me/model", token=READER)
        self.refused("push", folder, "me/model", "--yes", token=READER)
        self.hub.fault("status", "/api/", status=403, body=json.dumps({"error": f"{TOKEN} may not"}).encode(), times=20)
        self.refused("pull", "me/model")
        self.refused("push", folder, "me/model", "--yes")


if __name__ == "__main__":
    main()
