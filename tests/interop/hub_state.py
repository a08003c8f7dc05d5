"""What the Hub of hub_server.py remembers: files, commits, repositories; and how it answers."""
import hashlib
import json
import time


def git_blob(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Answer(Exception):
    """Ends a request with this answer."""

    def __init__(self, status, body=b"", headers=None):
        super().__init__(status)
        self.status, self.headers = status, dict(headers or {})
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
            self.headers.setdefault("Content-Type", "application/json")
        self.body = body


def error(status, code, message):
    return Answer(status, {"error": message}, {"X-Error-Code": code, "X-Error-Message": message})


class Entry:
    """A file of a tree: git's bytes, or a large object's name."""

    def __init__(self, data=None, lfs=None, size=None):
        self.data, self.lfs = data, lfs
        self.size = len(data) if lfs is None else size
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{lfs}\nsize {size}\n".encode()
        self.oid = git_blob(data if lfs is None else pointer)
        self.pointer_size = len(pointer)
        self.content_oid = lfs or self.oid

    def described(self, path):
        entry = {"type": "file", "path": path, "size": self.size, "oid": self.oid}
        if self.lfs:
            entry["lfs"] = {"oid": self.lfs, "size": self.size, "pointerSize": self.pointer_size}
        return entry


class Commit:
    def __init__(self, tree, parent, title, message):
        self.tree, self.parent, self.title, self.message = tree, parent, title, message
        names = "".join(f"{path} {entry.oid}\n" for path, entry in sorted(tree.items()))
        self.oid = hashlib.sha1(f"{parent}\n{title}\n{message}\n{names}\n{time.time_ns()}".encode()).hexdigest()


class Repo:
    def __init__(self, owner, private):
        self.owner, self.private, self.gated = owner, private, False
        first = Commit({".gitattributes": Entry(b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n")}, None, "initial commit", "")
        self.commits, self.branches, self.tags = {first.oid: first}, {"main": first.oid}, {}

    def find(self, revision):
        oid = self.branches.get(revision) or self.tags.get(revision) or revision
        if oid not in self.commits:
            raise error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return self.commits[oid]

    def history(self, revision):
        commit = self.find(revision)
        while commit:
            yield commit
            commit = self.commits.get(commit.parent)
