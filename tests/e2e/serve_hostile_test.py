#!/usr/bin/env python3
"""attune serve and those who wish it ill: it answers with a status or hangs up, stays well and does not grow.

    serve_hostile_test.py PROGRAM
"""
import gzip
import json
import os
import random
import socket
import sys
import tempfile
import time
import unittest
from pathlib import Path

import toy
from server import Server

PROGRAM = None
GROWTH = 64 << 20  # bytes that the memory of the server may differ after an attack
GOOD = json.dumps({"model": "model", "messages": [{"role": "user", "content": "the sea"}], "max_tokens": 2}).encode()


def post(body, path="/v1/chat/completions", *headers):
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Hostile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        os.chdir(cls.folder.name)
        toy.make_base(PROGRAM)
        cls.server = Server(PROGRAM, "base/model", "--connections", 100)

    @classmethod
    def tearDownClass(cls):
        status = cls.server.stop()
        os.chdir("/")
        cls.folder.cleanup()
        assert status == 0, cls.server.output

    def setUp(self):
        self.well()
        self.before = self.server.resident_bytes()

    def tearDown(self):
        self.well()
        self.assertLess(self.server.resident_bytes() - self.before, GROWTH)

    def well(self):
        status, _, text = self.server.request("POST", "/v1/chat/completions", json.loads(GOOD))
        self.assertEqual(status, 200, text)

    def connect(self, timeout=60):
        return socket.create_connection(("127.0.0.1", self.server.port), timeout=timeout)

    def send(self, data):
        """What the server says to these bytes, until it closes; b"" when it only hangs up."""
        with self.connect() as raw:
            try:
                for begin in range(0, len(data), 1 << 16):
                    raw.sendall(data[begin:begin + (1 << 16)])
                raw.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it has closed its side already
            said = b""
            try:
                while piece := raw.recv(1 << 16):
                    said += piece
            except OSError:
                pass
            return said

    def status(self, data):
        said = self.send(data)
        return int(said.split(b" ", 2)[1]) if said.startswith(b"HTTP/1.1 ") else None

    def test_bodies_that_are_no_request(self):
        for body in (b"", b"{", b"\xff\xfe\x00", b'{"model": "\xc3\x28"}', b"[" * 100000, b'{"a":' * 100000, b"null", b'"x"',
                     b'{"model": "model", "model": "model"}', b"1e999999", GOOD[:-1], GOOD + b"}",
                     b'{"model": "model", "messages": [{"role": "user", "content": "\\ud800"}]}',
                     b'{"model": {}, "messages": 3}', b'{"model": "model", "messages": [[]]}'):
            self.assertEqual(self.status(post(body, "/v1/chat/completions", "Connection: close")), 400, body[:60])
        reply = self.send(post(b"\xff", "/v1/chat/completions", "Connection: close"))
        self.assertIn("error", json.loads(reply.split(b"\r\n\r\n", 1)[1]))

    def test_a_body_of_many_keys(self):
        keys = ",".join(f'"k{i}":0' for i in range(80000)).encode()
        begun = time.monotonic()
        self.assertEqual(self.status(post(b"{" + keys + b"}", "/v1/chat/completions", "Connection: close")), 400)
        self.assertLess(time.monotonic() - begun, 60)  # not the square of their number

    def test_large_bodies(self):
        large = 100_000_000
        head = post(b"").replace(b"Content-Length: 0", b"Content-Length: %d" % large)
        self.assertIn(self.status(head + b" " * large), (413, None))
        self.assertEqual(self.status(head), 413)
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        chunked = post(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        self.assertIn(self.status(chunked + chunk * (large // 0x10000)), (413, None))
        self.assertEqual(self.status(post(gzip.compress(b" " * large), "/v1/chat/completions", "Content-Encoding: gzip")), 415)

    def test_lengths_that_lie(self):
        for old, new, wanted in ((b"Content-Length: ", b"Content-Length: -", 400), (b"Content-Length: ", b"Content-Length: 9" * 30 + b"9", 400),
                                 (b"Content-Length: ", b"Content-Length: 1\r\nContent-Length: ", 400),
                                 (b"Content-Length: ", b"Transfer-Encoding: chunked\r\nContent-Length: ", 400),
                                 (b"Content-Length: ", b"Content-Length: 99999999999999999999999", 413),
                                 (b"Content-Length: ", b"Content-Length: 10", 400), (b"Content-Length: ", b"X: ", 411)):
            self.assertEqual(self.status(post(GOOD).replace(old, new, 1)), wanted, new)

    def test_headers_without_end(self):
        flood = b"GET /health HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(200000)) + b"\r\n"
        self.assertIn(self.status(flood), (431, None))
        self.assertIn(self.status(b"GET /" + b"a" * 10_000_000 + b" HTTP/1.1\r\n\r\n"), (414, 431, None))
        self.assertIn(self.status(b"GET / HTTP/1.1\r\nX: " + b"a" * 10_000_000 + b"\r\n\r\n"), (400, 431, None))

    def test_no_http(self):
        for data in (b"\x00" * 5000, b"\r\n" * 5000, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n",
                     b"GET / HTTP/9.9\r\n\r\n", b"GET /%00%ff%zz?%% HTTP/1.1\r\nHost: localhost\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                     b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", b"BREW /pot HTTP/1.1\r\nHost: localhost\r\n\r\n"):
            self.assertIn(self.status(data), (400, 404, 405, 505, None), data[:40])

    def test_mutations(self):
        rng = random.Random(5)
        good = post(GOOD, "/v1/chat/completions", "Connection: close")
        for _ in range(300):
            data = bytearray(good)
            for _ in range(rng.randint(1, 8)):
                at = rng.randrange(len(data))
                action = rng.randrange(3)
                if action == 0:
                    data[at] = rng.randrange(256)
                elif action == 1:
                    del data[at:at + rng.randint(1, 20)]
                else:
                    data[at:at] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 20)))
            self.send(bytes(data[:1 << 14]))

    def test_slow_senders_are_hung_up_on(self):
        slow = [self.connect() for _ in range(60)]
        begun = time.monotonic()
        open_ones = list(slow)
        for raw in open_ones:
            raw.sendall(b"POST /v1/chat/completions HTTP/1.1\r\n")
            raw.setblocking(False)
        while open_ones:
            self.well()  # others are served meanwhile
            for raw in list(open_ones):
                try:
                    raw.send(b"a")
                    if raw.recv(4096) is not None:  # a reply, or the end
                        open_ones.remove(raw)
                except BlockingIOError:
                    pass
                except OSError:
                    open_ones.remove(raw)
            self.assertLess(time.monotonic() - begun, 60, "a byte now and then holds a connection for ever")
            time.sleep(0.5)
        for raw in slow:
            raw.close()

    def test_slow_bodies_are_refused(self):
        begun = time.monotonic()
        open_ones = {self.connect(): b"" for _ in range(60)}
        for raw in open_ones:
            raw.sendall(post(b"").replace(b"Content-Length: 0", b"Content-Length: 1000"))
            raw.setblocking(False)
        while open_ones:
            asked = time.monotonic()
            self.well()  # others are served meanwhile
            self.assertLess(time.monotonic() - asked, 10)
            for raw, said in list(open_ones.items()):
                try:
                    raw.send(b" ")
                except OSError:
                    pass  # refused already, as may be read
                try:
                    piece = raw.recv(4096)
                except BlockingIOError:
                    continue
                open_ones[raw] = said + piece
                if not piece:
                    self.assertTrue(said.startswith(b"HTTP/1.1 408 "), said)
                    self.assertIn("error", json.loads(said.split(b"\r\n\r\n", 1)[1]))
                    self.assertGreater(time.monotonic() - begun, 25)  # the limit is 30 seconds
                    raw.close()
                    del open_ones[raw]
            self.assertLess(time.monotonic() - begun, 60, "a byte now and then holds a connection for ever")
            time.sleep(0.5)

    def test_too_many_connections(self):
        held = []
        refused = 0
        for _ in range(150):
            raw = self.connect()
            held.append(raw)
        for raw in held:
            raw.settimeout(0.01)
            try:
                refused += raw.recv(4096).startswith(b"HTTP/1.1 503 ")
            except OSError:
                pass
        self.assertGreater(refused, 20)
        for raw in held:
            raw.close()
        end = time.monotonic() + 60
        while self.server.request("GET", "/health")[0] != 200:  # until the closed ones are noticed
            self.assertGreater(end, time.monotonic())
            time.sleep(0.1)

    def test_a_reader_that_does_not_read(self):
        stuck = []
        for _ in range(20):
            raw = self.connect()
            raw.sendall(post(json.dumps({**json.loads(GOOD), "stream": True, "max_tokens": 40}).encode()) * 20)
            stuck.append(raw)
        time.sleep(0.5)
        self.well()
        for raw in stuck:
            raw.close()


if __name__ == "__main__":
    PROGRAM = str(Path(sys.argv.pop(1)).resolve())
    unittest.main(verbosity=1)
