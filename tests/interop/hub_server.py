#!/usr/bin/env python3
"""A Hugging Face Hub in memory, for tests: repositories with git's blobs, large files (LFS, basic and multipart), branches,
tags, commits with a parent, redirects to a storage on another port, gated, private and missing repositories, and faults on
order. The real huggingface_hub client passes against it (hub_test.py); attune has to as well.

It refuses what the Hub refuses, and what would be a leak: a token that reaches the storage is remembered in `leaks`.
"""
import hashlib
import http.server
import json
import re
import socket
import threading
import urllib.parse

from hub_state import Answer, Repo, error
from hub_uploads import Uploads

LICENSES = {"apache-2.0", "mit", "unknown", "other", "cc-by-4.0", "llama3.1", "gemma"}
PAGE = 3  # entries of a listing on one page: few, so that every test turns pages


class Fault:
    """What happens instead of, or after, the right answer: see Handler.run. Counts down `times`."""

    def __init__(self, action, times=1, status=500, headers=None, body=b"trouble", pattern="", method=None):
        self.action, self.times, self.status = action, times, status
        self.headers, self.body, self.pattern, self.method = headers or {}, body, re.compile(pattern), method


class Handler(Uploads, http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub = None  # the HubServer

    def log_message(self, *_):
        pass

    def run(self):
        parsed = urllib.parse.urlsplit(self.path)
        self.query = urllib.parse.parse_qs(parsed.query)
        self.route = parsed.path
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length) if length else b""
        if len(self.body) < length:  # the client died
            self.close_connection = True
            return
        hub = self.hub
        hub.log.append((self.command, self.route, len(self.body), self.headers.get("Range"), self.is_storage()))
        if self.is_storage() and self.headers.get("Authorization"):
            hub.leaks.append((self.command, self.path))
        fault = hub.take_fault(self.command, self.route)
        try:
            if fault and fault.action == "status":
                raise Answer(fault.status, fault.body, fault.headers)
            if fault and fault.action == "close":
                return self.drop()
            if fault and fault.action == "hang":
                hub.stopping.wait(fault.status)
                return self.drop()
            with hub.lock:
                answer = self.storage() if self.is_storage() else self.api()
        except Answer as answer_raised:
            answer = answer_raised
        except (KeyError, ValueError, TypeError) as problem:
            answer = error(400, "BadRequest", f"malformed request: {problem!r}")
        if fault and fault.action == "lose":  # done, and nobody hears of it
            return self.drop()
        if fault and fault.action == "corrupt":
            answer.body = bytes([answer.body[0] ^ 1]) + answer.body[1:]
        self.reply(answer, cut=fault is not None and fault.action == "cut")

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = run

    def is_storage(self):
        return self.server is self.hub.storage

    def drop(self):
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def reply(self, answer, cut):
        try:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if "Content-Length" not in answer.headers:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body[:len(answer.body) // 2] if cut else answer.body)
            if cut:
                self.wfile.flush()
                self.drop()
        except OSError:
            self.close_connection = True

    # Who asks, and what they may.

    def user(self):
        header = self.headers.get("Authorization")
        if header is None:
            return None
        user = self.hub.users.get(header.removeprefix("Bearer "))
        if user is None:
            # As some servers do, the wrong token is part of the complaint.
            raise error(401, "", f"Invalid credentials in Authorization header: {header}" if self.hub.echo_tokens
                        else "Invalid credentials in Authorization header")
        return user

    def repo(self, kind, name, write=False, content=False):
        user = self.user()
        name = self.hub.renamed.get((kind, name), name)
        repo = self.hub.repos.get((kind, name))
        if repo is None or (repo.private and (user is None or user["name"] != repo.owner)):
            raise error(401 if user is None else 404, "RepoNotFound", "Repository not found")
        if repo.gated and content and (user is None or user["name"] != repo.owner):
            raise error(401 if user is None else 403, "GatedRepo", "Access to this repository is restricted")
        if write and (user is None or not user["write"] or user["name"] != repo.owner):
            raise error(403, "", "You don't have the rights to write to this repository")
        return repo

    def json(self):
        return json.loads(self.body)

    # The API.

    def api(self):
        if self.route == "/api/whoami-v2":
            user = self.user()
            if user is None:
                raise error(401, "", "Invalid username or password.")
            return Answer(200, {"type": "user", "name": user["name"], "auth": {"accessToken": {"role": "write"}}})
        if self.route == "/api/validate-yaml":
            return self.validate()
        if self.route == "/api/repos/create":
            return self.create()
        if match := re.fullmatch(r"/lfs/(complete|verify)/([0-9a-f]{64})", self.route):
            return self.complete(match[2]) if match[1] == "complete" else self.verify()
        if match := re.fullmatch(r"/(?:(datasets)/)?(.+?)\.git/info/lfs/objects/batch", self.route):
            return self.batch((match[1] or "models")[:-1], match[2])
        if match := re.fullmatch(r"/(?:(datasets)/)?([^/]+/[^/]+|[^/]+)/resolve/([^/]+)/(.+)", self.route):
            return self.resolve((match[1] or "models")[:-1], match[2], urllib.parse.unquote(match[3]), urllib.parse.unquote(match[4]))
        if match := re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)(?:/([^/]+)(?:/([^/]+)(?:/(.+))?)?)?", self.route):
            kind, name, verb, argument = match[1][:-1], match[2], match[3] or "revision", urllib.parse.unquote(match[4] or "main")
            handler = getattr(self, f"{self.command.lower()}_{verb.replace('-', '_')}", None)
            if handler:
                return handler(kind, name, argument)
        raise error(404, "", f"no route {self.command} {self.route}")

    def validate(self):
        match = re.match(r"---\r?\n(.*?)\n---", self.json()["content"], re.S)
        license_line = re.search(r"^license: *(.*)$", match[1], re.M) if match else None
        if license_line and license_line[1].strip() not in LICENSES:
            raise Answer(400, {"errors": [{"message": f'"license" must be one of the known, got {license_line[1]}'}], "warnings": []})
        return Answer(200, {"errors": [], "warnings": []})

    def create(self):
        request, user = self.json(), self.user()
        if user is None or not user["write"]:
            raise error(401 if user is None else 403, "", "You don't have the rights to create a repository")
        owner = request.get("organization") or user["name"]
        if owner != user["name"]:
            raise error(403, "", f"You don't have the rights to create a model under the namespace \"{owner}\"")
        key = (request.get("type") or "model", f"{owner}/{request['name']}")
        url = f"{self.hub.url}/{'datasets/' if key[0] == 'dataset' else ''}{key[1]}"
        if key in self.hub.repos:
            raise Answer(409, {"error": "You already created this repo", "url": url})
        private = request.get("visibility") == "private" or request.get("private") is True
        self.hub.repos[key] = Repo(owner, private)
        return Answer(200, {"url": url, "name": key[1], "id": key[1]})

    def get_revision(self, kind, name, revision):
        repo = self.repo(kind, name)
        commit = repo.find(revision)
        return Answer(200, {"id": name, "_id": "1", "modelId": name, "sha": commit.oid, "private": repo.private, "gated": "auto" if repo.gated else False,
                            "tags": [], "downloads": 0, "likes": 0, "siblings": [{"rfilename": path} for path in sorted(commit.tree)]})

    def get_tree(self, kind, name, revision):
        commit = self.repo(kind, name).find(revision)
        start = int(self.query.get("cursor", ["0"])[0])
        paths = sorted(commit.tree)
        headers = {}
        if start + PAGE < len(paths):
            target = f"{self.hub.url}{self.route}?recursive=true&cursor={start + PAGE}"
            headers["Link"] = f'<{target}>; rel="next"'
        return Answer(200, [commit.tree[path].described(path) for path in paths[start:start + PAGE]], headers)

    def post_paths_info(self, kind, name, revision):
        commit = self.repo(kind, name).find(revision)
        wanted = urllib.parse.parse_qs(self.body.decode()).get("paths") or self.json().get("paths")
        return Answer(200, [commit.tree[path].described(path) for path in wanted if path in commit.tree])

    def get_commits(self, kind, name, revision):
        return Answer(200, [{"id": commit.oid, "title": commit.title, "message": commit.message, "authors": [{"user": "me"}],
                             "date": "2026-01-01T00:00:00.000Z"} for commit in self.repo(kind, name).history(revision)])

    def get_refs(self, kind, name, _):
        repo = self.repo(kind, name)
        return Answer(200, {"branches": [{"name": b, "ref": f"refs/heads/{b}", "targetCommit": c} for b, c in repo.branches.items()],
                            "tags": [{"name": t, "ref": f"refs/tags/{t}", "targetCommit": c} for t, c in repo.tags.items()], "converts": []})

    def post_branch(self, kind, name, branch):
        repo = self.repo(kind, name, write=True)
        if branch in repo.branches:
            raise error(409, "", "Reference already exists")
        start = (self.json() if self.body else {}).get("startingPoint") or "main"
        repo.branches[branch] = repo.find(start).oid
        return Answer(201)

    def delete_branch(self, kind, name, branch):
        del self.repo(kind, name, write=True).branches[branch]
        return Answer(200)

    def post_tag(self, kind, name, revision):
        repo, request = self.repo(kind, name, write=True), self.json()
        if request["tag"] in repo.tags:
            raise error(409, "", "Tag already exists")
        repo.tags[request["tag"]] = repo.find(revision).oid
        return Answer(201)

    def delete_tag(self, kind, name, tag):
        del self.repo(kind, name, write=True).tags[tag]
        return Answer(200)

    # Download.

    def resolve(self, kind, name, revision, path):
        if (kind, name) in self.hub.renamed:
            new = self.hub.renamed[(kind, name)]
            raise Answer(307, headers={"Location": self.path.replace(f"/{name}/", f"/{new}/", 1)})
        commit = self.repo(kind, name, content=True).find(revision)
        entry = commit.tree.get(path)
        if entry is None:
            raise Answer(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found", "X-Repo-Commit": commit.oid})
        headers = {"X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes"}
        if entry.lfs:
            headers |= {"X-Linked-Etag": f'"{entry.lfs}"', "X-Linked-Size": str(entry.size), "ETag": '"of the redirect"',
                        "Location": f"{self.hub.storage_url}/object/{entry.lfs}?signature=1"}
            return Answer(302, b"Found", headers)
        headers["ETag"] = f'"{entry.oid}"'
        return self.bytes(entry.data, headers)

    def bytes(self, data, headers):
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if match and self.hub.ranges:
            start = int(match[1])
            if start >= len(data):
                raise Answer(416, headers={"Content-Range": f"bytes */{len(data)}"})
            return Answer(206, data[start:], headers | {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"})
        return Answer(200, data, headers)

    def storage(self):
        if self.query.get("signature") != ["1"]:
            raise Answer(403, b"SignatureDoesNotMatch")
        if match := re.fullmatch(r"/object/([0-9a-f]{64})", self.route):
            if self.command == "PUT":
                self.store(match[1], self.body)
                return Answer(200, headers={"ETag": '"whole"'})
            if match[1] not in self.hub.lfs:
                raise Answer(404, b"NoSuchKey")
            return self.bytes(self.hub.lfs[match[1]], {"ETag": f'"{match[1]}"'})
        if match := re.fullmatch(r"/part/([0-9a-f]{64})/(\d+)", self.route):
            etag = f'"{hashlib.md5(self.body).hexdigest()}"'
            self.hub.parts.setdefault(match[1], {})[int(match[2])] = (etag, self.body)
            return Answer(200, headers={"ETag": etag})
        raise Answer(404, b"NoSuchKey")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A client that was killed is what some tests are about."""


class HubServer:
    """The two servers, the state they share, and the faults to come. Use as a context manager."""

    def __init__(self, chunk=100_000, port=0):
        self.chunk = chunk               # larger objects go in parts of so many bytes
        self.ranges = True               # False: Range is ignored, and the whole file comes
        self.echo_tokens = False         # True: the complaint about a wrong token quotes it
        self.users, self.repos, self.renamed = {}, {}, {}
        self.lfs, self.parts, self.samples = {}, {}, {}
        self.uploads, self.log, self.leaks, self.faults = [], [], [], []
        self.lock, self.stopping = threading.Lock(), threading.Event()
        handler = type("BoundHandler", (Handler,), {"hub": self})
        self.server = Server(("127.0.0.1", port), handler)
        self.storage = Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.storage_url = f"http://127.0.0.1:{self.storage.server_port}"

    def __enter__(self):
        for server in (self.server, self.storage):
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for server in (self.server, self.storage):
            server.shutdown()
            server.server_close()

    def add_user(self, token, name, write=True):
        self.users[token] = {"name": name, "write": write}

    def fault(self, action, pattern, **options):
        """action: status, close, hang (`status` seconds), lose (done but not answered), cut (half the body), corrupt."""
        self.faults.append(Fault(action, pattern=pattern, **options))

    def take_fault(self, method, route):
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and fault.pattern.search(route) and fault.method in (None, method):
                    fault.times -= 1
                    return fault
        return None

    def asked(self, method, pattern):
        """The requests so far of this method whose path matches."""
        return [entry for entry in self.log if entry[0] == method and re.search(pattern, entry[1])]
