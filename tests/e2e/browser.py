"""Headless Chromium over its DevTools protocol, with nothing but the standard library: a page is opened, driven by
JavaScript and photographed.
"""
import base64
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

SECONDS = 60


def chromium():
    """The program, or None."""
    return next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)


class WebSocket:
    """A client of RFC 6455 for text messages."""

    def __init__(self, url):
        _, _, address, path = url.split("/", 3)
        host, port = address.split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=SECONDS)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((f"GET /{path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())
        self.rest = b""
        while b"\r\n\r\n" not in self.rest:
            self.rest += self.socket.recv(4096)
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        assert b" 101 " in head, head

    def _take(self, count):
        while len(self.rest) < count:
            piece = self.socket.recv(1 << 16)
            assert piece, "the browser hung up"
            self.rest += piece
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def send(self, text):
        data = text.encode()
        mask = os.urandom(4)
        length = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data)) \
            if len(data) < 1 << 16 else b"\xff" + struct.pack(">Q", len(data))
        self.socket.sendall(b"\x81" + length + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(data)))

    def receive(self):
        message = b""
        while True:
            first, length = self._take(2)
            length &= 0x7F
            if length == 126:
                length, = struct.unpack(">H", self._take(2))
            elif length == 127:
                length, = struct.unpack(">Q", self._take(8))
            data = self._take(length)
            if first & 0xF in (0, 1):
                message += data
                if first & 0x80:
                    return message.decode()


class Browser:
    """with Browser(language, width, height) as browser: browser.open(url); browser.run("1 + 1")"""

    def __init__(self, language="en-US", width=1200, height=800):
        self.profile = tempfile.TemporaryDirectory()
        self.log = open(os.path.join(self.profile.name, "log"), "w+b")
        self.process = subprocess.Popen(
            [chromium(), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-extensions", "--disable-background-networking", "--hide-scrollbars", f"--lang={language}",
             f"--accept-lang={language}", f"--user-data-dir={self.profile.name}", "--remote-debugging-port=0",
             "--remote-allow-origins=*", f"--window-size={width},{height}", "about:blank"],
            stdout=self.log, stderr=self.log, env={**os.environ, "LANGUAGE": language.replace("-", "_")})
        self.requested = []  # addresses
        self.errors = []  # what the page or its policy complained of
        self.count = 0
        port_file = os.path.join(self.profile.name, "DevToolsActivePort")
        end = time.monotonic() + SECONDS
        while not (port := Path(port_file).read_text().split()[:1] if os.path.exists(port_file) else []):
            assert self.process.poll() is None and time.monotonic() < end, "chromium did not begin"
            time.sleep(0.05)
        with urllib.request.urlopen(f"http://127.0.0.1:{port[0]}/json") as reply:
            pages = json.load(reply)
        self.devtools = WebSocket(next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page"))
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setTouchEmulationEnabled", enabled=width < 600)  # a phone has a thumb and no mouse

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.devtools.socket.close()
        self.process.terminate()
        self.process.wait(SECONDS)
        self.log.close()
        end = time.monotonic() + SECONDS
        while os.path.exists(self.profile.name):
            try:
                self.profile.cleanup()
            except OSError:  # a process of the browser's wrote once more
                assert time.monotonic() < end, f"cannot remove {self.profile.name}"
                time.sleep(0.1)

    def call(self, method, **parameters):
        self.count += 1
        self.devtools.send(json.dumps({"id": self.count, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.devtools.receive())
            self._note(message)
            if message.get("id") == self.count:
                assert "error" not in message, message
                return message["result"]

    def _note(self, message):
        if message.get("method") == "Runtime.exceptionThrown":
            self.errors.append(message["params"]["exceptionDetails"]["text"])
        elif message.get("method") == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
            self.errors.append(message["params"]["entry"]["text"])
        elif message.get("method") == "Network.requestWillBeSent":
            self.requested.append(message["params"]["request"]["url"])

    def open(self, url):
        self.requested = []
        self.call("Page.navigate", url=url)
        self.wait_for("document.readyState === 'complete'")

    def run(self, script):
        """The value of a JavaScript expression; promises are awaited."""
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, script):
        end = time.monotonic() + SECONDS
        while not self.run(script):
            assert time.monotonic() < end, f"waited for {script}; the page shows {self.run('document.body.innerText')}"
            time.sleep(0.05)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def press(self, key, modifiers=0):
        code = {"Enter": 13, "Escape": 27, "Tab": 9}[key]
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, modifiers=modifiers,
                      **(text if kind == "keyDown" else {}))

    def click(self, selector):
        """A press of the mouse in the middle of an element, wherever that is."""
        x, y = self.run(f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])"
                        f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def download_to(self, folder):
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    def photograph(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
