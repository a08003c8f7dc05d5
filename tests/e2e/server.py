"""A server under test: `attune serve` on a free port, its log, its metrics and its memory."""
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import threading
from pathlib import Path

SECONDS = 120


class Server:
    """with Server(PROGRAM, "base/model", ...) as server: ... ; ended by SIGTERM, which must be a clean end."""

    def __init__(self, program, *arguments, environment=None):
        command = [program, "serve", *map(str, arguments), "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        env={**os.environ, "OMP_WAIT_POLICY": "passive", **(environment or {})})
        self.output = ""
        self.ready = threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.ready.wait(SECONDS)
        if "\nready" not in self.output:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            raise AssertionError(f"the server did not begin:\n{self.output}")
        self.port = int(re.search(r"ready +http://[^ ]*:(\d+)/", self.output).group(1))
        self.url = f"http://127.0.0.1:{self.port}"

    def _read(self):
        for line in self.process.stdout:
            self.output += line
            if line.startswith("ready"):
                self.ready.set()
        self.ready.set()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        status = self.stop()
        if kind is None and status != 0:
            raise AssertionError(f"the server ended with {status}:\n{self.output}")

    def stop(self, by=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(by)
        try:
            self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("the server did not stop") from None
        self.reader.join(SECONDS)
        self.process.stdout.close()
        return self.process.returncode

    def request(self, method, path, body=None, headers=None, timeout=SECONDS):
        """(status, headers, body as text) of one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            if isinstance(body, dict):
                body = json.dumps(body)
                headers = {"Content-Type": "application/json", **(headers or {})}
            connection.request(method, path, body, headers or {})
            reply = connection.getresponse()
            return reply.status, dict(reply.getheaders()), reply.read().decode()
        finally:
            connection.close()

    def metrics(self):
        """Name with labels -> value."""
        status, _, text = self.request("GET", "/metrics")
        assert status == 200, text
        return {name: float(value) for name, value in
                (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))}

    def resident_bytes(self):
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


def with_positions(model, copy, positions):
    """A copy of a toy model whose answers may be as long as that."""
    shutil.copytree(model, copy, dirs_exist_ok=True)
    path = Path(copy) / "config.json"
    config = json.loads(path.read_text())
    config["max_position_embeddings"] = positions
    path.write_text(json.dumps(config))
