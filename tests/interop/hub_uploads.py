"""The Hub's side of an upload: preupload, LFS batch (basic and multipart), verify, and the commit. Mixed into hub_server.py's
Handler; refuses what the Hub refuses.
"""
import base64
import hashlib
import json

from hub_state import Answer, Commit, Entry, error

BINARY = (".safetensors", ".gguf", ".bin", ".pt", ".onnx", ".parquet")


class Uploads:
    def post_preupload(self, kind, name, revision):
        commit = self.repo(kind, name, write=True).find(revision)
        answers = []
        files = self.json()["files"]
        if len(files) > 256:
            raise error(413, "", "at most 256 files")
        for file in files:
            sample = base64.b64decode(file["sample"], validate=True)
            if len(sample) != min(512, file["size"]):
                raise error(400, "", f"sample of {file['path']}: expected the first 512 bytes, got {len(sample)}")
            self.hub.samples[file["path"]] = sample
            lfs = file["path"].endswith(BINARY) or b"\0" in sample or file["size"] > 10_000_000
            there = commit.tree.get(file["path"])
            answers.append({"path": file["path"], "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": file["path"].endswith(".ignored"),
                            "oid": there.content_oid if there else None})
        return Answer(200, {"files": answers})

    def batch(self, kind, name):
        self.repo(kind, name, write=True)
        request = self.json()
        if self.headers["Content-Type"] != "application/vnd.git-lfs+json" or request["hash_algo"] != "sha256":
            raise error(422, "", "not an LFS batch")
        if "multipart" not in request["transfers"] or not request["ref"]["name"] or len(request["objects"]) > 256:
            raise error(422, "", "unsupported batch")
        return Answer(200, {"transfer": "basic", "objects": [self.action(o["oid"], o["size"]) for o in request["objects"]]})

    def action(self, oid, size):
        answer = {"oid": oid, "size": size}
        if size == 0:
            raise error(501, "", "storage takes no empty object")
        if oid in self.hub.lfs:
            return answer
        verify = {"href": f"{self.hub.url}/lfs/verify/{oid}"}
        if size <= self.hub.chunk:
            upload = {"href": f"{self.hub.storage_url}/object/{oid}?signature=1"}
        else:
            parts = list(range(1, (size + self.hub.chunk - 1) // self.hub.chunk + 1))
            header = {str(n): f"{self.hub.storage_url}/part/{oid}/{n}?signature=1" for n in sorted(parts, key=str)}
            upload = {"href": f"{self.hub.url}/lfs/complete/{oid}?uploadId=1", "header": {"chunk_size": str(self.hub.chunk), **header}}
        answer["actions"] = {"upload": upload, "verify": verify}
        return answer

    def complete(self, oid):
        request = self.json()
        parts = self.hub.parts.get(oid, {})
        if request["oid"] != oid or [p["partNumber"] for p in request["parts"]] != list(range(1, len(parts) + 1)):
            raise error(400, "", "the parts are not 1, 2, ...")
        for part in request["parts"]:
            if part["etag"] != parts[part["partNumber"]][0]:
                raise error(400, "", f"the ETag of part {part['partNumber']} is another")
        self.store(oid, b"".join(parts[n][1] for n in sorted(parts)))
        return Answer(200, {})

    def store(self, oid, data):
        if hashlib.sha256(data).hexdigest() != oid:
            raise error(400, "", "the bytes are not those of the name")
        self.hub.lfs[oid] = data
        self.hub.uploads.append(oid)

    def verify(self):
        request = self.json()
        if self.user() is None:
            raise error(401, "", "no token")
        if len(self.hub.lfs.get(request["oid"], b"")) != request["size"]:
            raise error(404, "", "no such object")
        return Answer(200, {})

    def post_commit(self, kind, name, branch):
        repo = self.repo(kind, name, write=True)
        if branch not in repo.branches:
            raise error(404, "RevisionNotFound", f"Invalid rev id: {branch}")
        if self.headers["Content-Type"] != "application/x-ndjson":
            raise error(400, "", "not ndjson")
        lines = [json.loads(line) for line in self.body.decode().splitlines()]
        header = lines[0]["value"]
        if lines[0]["key"] != "header" or not header["summary"] or not isinstance(header["description"], str):
            raise error(400, "", "the first line is no header")
        head = repo.commits[repo.branches[branch]]
        if header.get("parentCommit") and header["parentCommit"] != head.oid:
            raise error(412, "", "A commit has happened since. Please refresh and try again.")
        tree = dict(head.tree)
        for line in lines[1:]:
            self.apply(line["key"], line["value"], tree)
        commit = Commit(tree, head.oid, header["summary"], header["description"])
        repo.commits[commit.oid] = commit
        repo.branches[branch] = commit.oid
        return Answer(200, {"success": True, "commitOid": commit.oid, "commitUrl": f"{self.hub.url}/{name}/commit/{commit.oid}", "hookOutput": ""})

    def apply(self, key, value, tree):
        path = value["path"]
        if path.startswith(("/", "./")) or ".." in path.split("/") or ".git" in path.split("/"):
            raise error(400, "", f"bad path {path}")
        if key == "file":
            data = base64.b64decode(value["content"], validate=True)
            if value["encoding"] != "base64" or len(data) > 10_000_000:
                raise error(413, "", f"{path} is too large")
            if self.hub.samples.get(path, b"") != data[:512]:
                raise error(400, "", f"{path} does not begin with the sample that was sent")
            tree[path] = Entry(data)
        elif key == "lfsFile":
            if value["algo"] != "sha256" or len(self.hub.lfs.get(value["oid"], b"")) != value["size"]:
                raise error(400, "", f"LFS pointer of {path} points to nothing")
            tree[path] = Entry(lfs=value["oid"], size=value["size"])
        elif key == "deletedFile":
            del tree[path]
        elif key == "deletedFolder":
            for inside in [p for p in tree if p.startswith(path.rstrip("/") + "/")]:
                del tree[inside]
        else:
            raise error(400, "", f"unknown operation {key}")
