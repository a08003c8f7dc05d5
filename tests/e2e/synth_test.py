#!/usr/bin/env python3
"""attune synth against an endpoint of our own that fails in every way an endpoint can: what is kept, what it costs,
that nothing is asked or paid twice after kill -9, that the key is never seen, and each mistake's one line.

    synth_test.py PROGRAM
"""
import contextlib
import http.server
import json
import os
import random
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import zipfile
from collections import Counter
from pathlib import Path

import toy

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = None
KEY = "sk-" + secrets.token_hex(20)
SECONDS = 120


class Endpoint:
    """An OpenAI-compatible server. `faults` says what happens to the n-th request (from 0) about a text: a name of a
    method of Handler, or None for an answer after `delay` seconds, which depends on the text alone."""

    def __init__(self, faults=lambda text, attempt: None, delay=0.0):
        self.faults, self.delay = faults, delay
        self.seen = Counter()       # requests about each text
        self.bodies, self.keys, self.times = [], set(), []
        self.lock = threading.Lock()
        endpoint = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                prompt = body["messages"][0]["content"]
                with endpoint.lock:
                    attempt = endpoint.seen[prompt]
                    endpoint.seen[prompt] += 1
                    endpoint.bodies.append(body)
                    endpoint.keys.add(self.headers.get("Authorization"))
                    endpoint.times.append(time.monotonic())
                fault = endpoint.faults(prompt, attempt)
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    if fault:
                        getattr(self, fault)()
                    else:
                        time.sleep(endpoint.delay)
                        self.answer(reply_to(prompt))

            def send(self, status, body, headers=(), cut=0):
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[:len(body) - cut])
                self.close_connection = True

            def answer(self, text, cut=0):
                message = {"role": "assistant", "content": text}
                self.send(200, json.dumps({
                    "id": "x", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 500, "completion_tokens": 100}}).encode(), cut=cut)

            def limited(self):
                self.send(429, b'{"error":{"message":"slow down"}}', [("Retry-After", "1")])

            def broken(self):
                self.send(500, b"<html>oops</html>")

            def hangs(self):
                time.sleep(4)
                self.close_connection = True

            def cut_stream(self):
                self.answer("x" * 1000, cut=300)

            def closes(self):
                self.close_connection = True

            def invalid_envelope(self):
                self.send(200, b'{"choices": [{"mess')

            def invalid_text(self):
                self.answer('Gladly! [{"question": "Where does')

            def echoes_key(self):
                self.answer(json.dumps([{"question": f"Where is {self.headers['Authorization']}?",
                                         "answer": "It stands in the hall of the works."}]))

            def refuses_key(self):
                self.send(401, json.dumps({"error": {"message": f"bad key {self.headers['Authorization']}"}}).encode())

            def refuses_text(self):
                self.send(400, b'{"error":{"message":"content filter"}}')

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def requests(self):
        with self.lock:
            return sum(self.seen.values())


def reply_to(prompt):
    if "Score from 0 to 10" in prompt:
        return json.dumps({"score": 3 if "machine 104" in prompt else 9, "reason": "as seen"})
    numbers = re.findall(r"machine (\d+) stands in hall (\d+)", prompt.split("<text>")[-1])
    pairs = [{"question": f"Where does machine {machine} stand?", "answer": f"Machine {machine} stands in hall {hall}."}
             for machine, hall in numbers]
    invented = {"question": f"What did machine {numbers[0][0]} cost?", "answer": "It cost 77777 forints."}
    pairs.append(invented)
    return "Here you are:\n```json\n" + json.dumps(pairs, ensure_ascii=False) + "\n```"


def handbook(chunks):
    parts = [f"# Hall {i}\n\nThe machine {100 + i} stands in hall {500 + i}. It is painted "
             f"{'red' if i % 2 else 'blue'}, it hums all day and the people of the works look after it well.\n" for i in range(chunks)]
    Path("handbook.md").write_text("\n".join(parts))
    return chunks


def files_of(folder):
    """Name -> bytes; the names of temporary files carry a process number."""
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def by_key(journal):
    return sorted(toy.json_lines(journal), key=lambda row: row["key"])


class Synth(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        before = os.getcwd()
        os.chdir(folder.name)
        self.addCleanup(os.chdir, before)
        os.environ |= {"ATTUNE_API_KEY": KEY, "NO_PROXY": "127.0.0.1"}
        self.outputs = []
        self.addCleanup(self.no_leak)

    def no_leak(self):
        for text in self.outputs:
            self.assertNotIn(KEY, text)
        for path in Path().rglob("*"):
            if path.is_file():
                self.assertNotIn(KEY.encode(), path.read_bytes(), path)

    def attune(self, *arguments, status=0):
        output, error = toy.attune(PROGRAM, *arguments, status=status)
        self.outputs += [output, error]
        return output, error

    def synth(self, endpoint, *arguments, output="out", status=0):
        return self.attune(*self.command(endpoint, *arguments, output=output), status=status)

    @staticmethod
    def command(endpoint, *arguments, output="out"):
        return ["synth", "handbook.md", "--endpoint", endpoint.url, "--model", "scripted", "-o", output,
                "--chunk-size", "200", *arguments]

    def refused(self, message, *arguments):
        before = sorted(map(str, Path().rglob("*")))
        self.assertEqual(self.attune(*arguments, status=2)[1], f"attune: {message}\n")
        self.assertEqual(sorted(map(str, Path().rglob("*"))), before, "something was left behind")

    def wait_for(self, happened):
        end = time.monotonic() + SECONDS
        while not happened():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)

    def ledger(self, output="out"):
        return json.loads(Path(output, "ledger.json").read_text())

    # ---- what it makes

    def test_conversations_that_attune_trains_on(self):
        chunks = handbook(20)
        with Endpoint() as endpoint:
            output, _ = self.synth(endpoint, "--price-in", "2", "--price-out", "10")
            self.assertEqual(endpoint.keys, {f"Bearer {KEY}"})
            self.assertEqual(endpoint.bodies[0]["model"], "scripted")
        self.assertRegex(output, r"\n  = kept +20  19 to train, 1 held out\n")
        self.assertRegex(output, r"\n  - ungrounded +20  say what is not in their chunk\n")
        ledger = self.ledger()
        self.assertEqual(ledger["conversations"], {"written": 2 * chunks, "train": 19, "valid": 1})
        self.assertEqual(ledger["dropped"],
                         {"ungrounded": chunks, "low score": 0, "same question": 0, "nearly the same": 0})
        self.assertAlmostEqual(ledger["cost"], chunks * (500 * 2 + 100 * 10) / 1e6)
        rows = toy.json_lines("out/train.jsonl")
        self.assertEqual(rows[3], {
            "messages": [{"role": "user", "content": "Where does machine 103 stand?"},
                         {"role": "assistant", "content": "Machine 103 stands in hall 503."}],
            "source": {"document": "handbook.md", "chunk": 4, "heading": "Hall 3", "model": "scripted",
                       "prompts": ledger["prompts"]}})
        plan = json.loads(self.attune("plan", ROOT / "assets/tiny", "--data", "out", "--json")[0])
        self.assertIn("19", json.dumps(plan))

    def test_judge(self):
        handbook(8)
        with Endpoint() as endpoint:
            self.synth(endpoint, "--judge-threshold", "6", "--judge-model", "judge")
            self.assertEqual(Counter(body["model"] for body in endpoint.bodies), {"scripted": 8, "judge": 8})
        self.assertEqual(self.ledger()["dropped"]["low score"], 1)
        self.assertEqual(toy.json_lines("out/train.jsonl")[0]["source"]["score"], 9.0)

    def test_turns_limit_and_own_prompts(self):
        handbook(8)
        shutil.copytree(ROOT / "assets/prompts", "mine")
        with open("mine/conversation.txt", "a") as file:
            file.write("Be brief.\n")
        with Endpoint() as endpoint:
            self.synth(endpoint, "--turns", "2", "--limit", "3", "--prompts", "mine", "--no-grounding")
            self.assertEqual(endpoint.requests(), 3)
            self.assertTrue(endpoint.bodies[0]["messages"][0]["content"].endswith("Be brief.\n"))
        self.assertEqual([len(row["messages"]) for row in toy.json_lines("out/train.jsonl")], [4, 4])

    def test_dry_run_sends_nothing(self):
        handbook(8)
        with Endpoint() as endpoint:
            output, _ = self.synth(endpoint, "--dry-run", "--price-in", "1")
            self.assertEqual(endpoint.requests(), 0)
        self.assertIn("---- handbook.md #8: Hall 7\n", output)
        self.assertRegex(output, r"1 documents, 8 chunks; about 8 calls, \d+ tokens in and 2160 out, cost 0\.00\d\d\n"
                                 r"Nothing was sent\.\n\Z")
        self.assertFalse(Path("out").exists())

    def test_cost_has_a_limit(self):
        handbook(20)
        arguments = ["--price-in", "2", "--price-out", "10", "--max-tokens", "100"]  # 0.002 a call
        with Endpoint() as endpoint:
            output, _ = self.synth(endpoint, *arguments, "--max-cost", "0.02")
            asked = endpoint.requests()
            self.assertIn(asked, range(7, 11))
            self.assertIn("--max-cost was reached", output)
            self.assertLessEqual(self.ledger()["cost"], 0.02)
            self.synth(endpoint, *arguments, "--max-cost", "1")
            self.assertEqual(endpoint.requests(), 20)
        self.assertEqual(self.ledger()["chunks"]["answered"], 20)

    def test_local_model_of_our_own(self):
        handbook(3)
        Path("p").mkdir()
        for name in ("pairs", "conversation", "judge"):
            Path(f"p/{name}.txt").write_text("{{chunk}}" + (" {{conversation}}" if name == "judge" else ""))
        command = ["synth", "handbook.md", "--model", ROOT / "assets/tiny", "-o", "out", "--chunk-size", "200",
                   "--prompts", "p", "--max-tokens", "16", "--temperature", "0.8"]
        _, error = self.attune(*command, status=2)  # it is far too small to write JSON
        self.assertRegex(error.splitlines()[-1],
                         r"^attune: \[out\] no conversation was kept: of 3 chunks 0 were answered with ")
        self.assertEqual([path.name for path in Path("out").iterdir()], ["journal"])
        journal = by_key("out/journal")
        self.assertEqual(len(journal), 6)
        shutil.rmtree("out")
        self.attune(*command, "--concurrency", "1", status=2)
        self.assertEqual(by_key("out/journal"), journal)  # the same bits alone

    # ---- faults

    def test_every_fault_that_passes(self):
        chunks = handbook(16)
        with Endpoint() as calm:
            self.synth(calm, output="calm")
        kinds = ["limited", "broken", "cut_stream", "invalid_envelope", "closes", "hangs", "invalid_text"]
        plan = {}

        def faults(text, attempt):
            place = plan.setdefault(text, len(plan))
            return kinds[place % 8] if attempt == 0 and place % 8 < len(kinds) else None

        with Endpoint(faults) as endpoint:
            _, error = self.synth(endpoint, "--timeout", "2", "--concurrency", "8")
            self.assertEqual(endpoint.requests(), 2 * chunks - 2)
        self.assertIn("the server answered 429; trying again in 1s", error)
        self.assertIn("the server answered 500; trying again in 1s", error)
        for name in ("train.jsonl", "valid.jsonl"):
            self.assertEqual(Path("out", name).read_bytes(), Path("calm", name).read_bytes())

    def test_a_rate_limit_holds_everybody_back(self):
        handbook(8)
        def faults(text, attempt):
            return "limited" if attempt == 0 and "machine 100" in text else None

        with Endpoint(faults, delay=0.5) as endpoint:
            self.synth(endpoint, "--concurrency", "4")
        times = sorted(endpoint.times)
        self.assertEqual(len(times), 9)
        self.assertGreaterEqual(times[4] - times[0], 1.0)  # three were under way; no other began

    def test_a_refused_text_costs_only_itself(self):
        handbook(6)
        with Endpoint(lambda text, attempt: "refuses_text" if "machine 103" in text else None) as endpoint:
            output, _ = self.synth(endpoint, "--concurrency", "1")
        self.assertIn("Last failure: [POST", output)
        self.assertEqual(self.ledger()["chunks"], {"all": 6, "answered": 5, "no_json": 0, "failed": 1, "not_asked": 0})

    def test_a_wrong_key_ends_it_and_is_not_shown(self):
        handbook(6)
        with Endpoint(lambda text, attempt: "refuses_key") as endpoint:
            self.refused(f"[POST {endpoint.url}/chat/completions] the endpoint answered 401: bad key Bearer [secret]; "
                         "check ATTUNE_API_KEY", *self.command(endpoint, "--concurrency", "1"))

    def test_a_key_said_back_is_not_kept(self):
        handbook(4)
        with Endpoint(lambda text, attempt: "echoes_key") as endpoint:
            self.synth(endpoint, "--no-grounding", status=0)
        self.assertIn("[secret]", Path("out/journal").read_text())

    def test_nobody_there(self):
        handbook(2)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # and does not listen
            url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
            _, error = self.attune("synth", "handbook.md", "--endpoint", url, "--model", "m", "-o", "out",
                                   "--retries", "0", status=2)
        self.assertRegex(error, rf"\Aattune: \[POST {url}/chat/completions\] Failed to connect .*; the same command "
                                r"again goes on from here\n\Z")
        self.assertFalse(Path("out").exists())

    # ---- being stopped

    def test_kill_at_any_moment_changes_nothing(self):
        chunks = handbook(40)
        arguments = ["--judge-threshold", "6", "--concurrency", "4"]
        with Endpoint() as calm:
            self.synth(calm, *arguments, output="calm")
            expected = {name: data for name, data in files_of("calm").items() if name != "journal"}
            calls = calm.requests()
        seed = secrets.randbits(32)
        print(f"seed {seed}")
        chance, kills = random.Random(seed), 0
        with Endpoint(delay=0.03) as endpoint:
            for _ in range(30):
                process = subprocess.Popen([PROGRAM, *self.command(endpoint, *arguments)], stdout=subprocess.DEVNULL,
                                           stderr=subprocess.DEVNULL)
                try:
                    self.assertEqual(process.wait(chance.uniform(0.05, 0.4)), 0)
                    break
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                    kills += 1
            self.synth(endpoint, *arguments)
            # Only what was under way when it was killed was asked again.
            self.assertLessEqual(endpoint.requests(), calls + 4 * kills)
        self.assertGreater(kills, 1)
        got = {name: data for name, data in files_of("out").items() if name in expected}
        self.assertEqual(got, expected)
        self.assertEqual(len(toy.json_lines("out/journal")), calls)
        self.assertEqual(self.ledger()["chunks"]["answered"], chunks)

    def test_ctrl_c_goes_on(self):
        handbook(20)
        with Endpoint(delay=0.1) as endpoint:
            process = subprocess.Popen([PROGRAM, *self.command(endpoint)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                       text=True)
            self.wait_for(lambda: endpoint.requests() >= 6)
            process.send_signal(signal.SIGINT)
            _, error = process.communicate(timeout=SECONDS)
            self.outputs.append(error)
            self.assertEqual(process.returncode, 130)
            self.assertEqual(error.splitlines()[-1],
                             "attune: [synth] stopped; nothing that was answered is lost, the same command goes on")
            self.assertEqual([path.name for path in Path("out").iterdir()], ["journal"])
            self.synth(endpoint)
        self.assertEqual(self.ledger()["conversations"]["train"], 19)

    def test_two_at_once_do_not_mix(self):
        handbook(10)
        with Endpoint(delay=0.3) as endpoint:
            process = subprocess.Popen([PROGRAM, *self.command(endpoint)], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            self.wait_for(Path("out/journal").exists)
            self.refused("[out/journal] another attune synth is writing it; wait for it to end",
                         *self.command(endpoint))
            process.wait(SECONDS)

    # ---- bad input

    def test_documents_that_cannot_be_read(self):
        encrypted = (b"%PDF-1.4\n1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj\n"
                     b"2 0 obj <</Type/Pages/Kids[]/Count 0>> endobj\n"
                     b"trailer <</Root 1 0 R/ID[<01><01>]/Encrypt<</Filter/Standard/V 1/R 2/P -4"
                     b"/O<" + b"0" * 64 + b">/U<" + b"1" * 64 + b">>>>>\n%%EOF\n")
        Path("locked.pdf").write_bytes(encrypted)
        Path("broken.pdf").write_bytes(b"%PDF-1.4 and nothing more")
        Path("broken.docx").write_bytes(b"PK\x03\x04 but no archive")
        with zipfile.ZipFile("bomb.docx", "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("word/document.xml", b" " * (65 << 20))
        with zipfile.ZipFile("other.docx", "w") as file:
            file.writestr("hello.txt", "hello")
        Path("latin.txt").write_bytes("árvíztűrő".encode("iso-8859-2"))
        Path("binary.txt").write_bytes(b"abc\0def")
        Path("empty.md").write_text(" \n")
        Path("open.csv").write_text('a,b\n"1,2\n')
        Path("picture.png").write_bytes(b"x")
        Path("folder").mkdir()
        for name, message in {
            "none.txt": "no such file; check the path",
            "locked.pdf": "is encrypted; remove its password first, e.g. qpdf --decrypt --password=...",
            "broken.pdf": "expected a PDF, got a damaged or another file",
            "broken.docx": "expected a Word document (.docx), got a damaged or another file",
            "bomb.docx": "word/document.xml unpacks to more than 64 MB; no document that can be read",
            "other.docx": "expected a Word document (.docx): word/document.xml is missing",
            "latin.txt: byte 1": "expected UTF-8 text; convert it, e.g. iconv -f ISO-8859-2 -t UTF-8",
            "binary.txt": "expected text, got binary data",
            "empty.md": "the document has no words; leave it out",
            "open.csv:2": "a quoted field does not end",
            "picture.png": "expected a .txt, .md, .html, .pdf, .docx or .csv document; convert it to one of them",
            "folder": "holds no .txt, .md, .html, .pdf, .docx or .csv document",
        }.items():
            self.refused(f"[{name}] {message}", "synth", name.split(":")[0], "--endpoint", "http://127.0.0.1:1/v1",
                         "--model", "m", "-o", "out")

    def test_unreadable_documents_can_be_skipped(self):
        handbook(4)
        Path("docs").mkdir()
        os.rename("handbook.md", "docs/handbook.md")
        Path("docs/broken.docx").write_bytes(b"PK")
        Path("docs/picture.png").write_bytes(b"x")
        with Endpoint() as endpoint:
            output, _ = self.attune("synth", "docs", "--skip-unreadable", "--endpoint", endpoint.url, "--model", "m",
                                    "-o", "out", "--chunk-size", "200")
        self.assertIn("left out  [docs/broken.docx] expected a Word document", output)
        self.assertEqual(self.ledger()["documents"], {"read": 1, "ignored": 1, "unreadable": 1})

    def test_options_that_cannot_be(self):
        handbook(2)
        Path("taken").mkdir()
        there = ["synth", "handbook.md", "--endpoint", "http://127.0.0.1:1/v1"]
        self.refused("[--model] expected the name of a model at the endpoint", *there, "-o", "out")
        self.refused("[-o] expected the name of the folder to write", *there, "--model", "m")
        there += ["--model", "m", "-o", "out"]
        self.refused("[taken] already exists and holds no attune synth to go on with; choose another name or remove it",
                     *there[:-1], "taken")
        self.refused("[--max-cost] needs --price-in and --price-out, the prices of a million tokens",
                     *there, "--max-cost", "1")
        self.refused("[--chunk-size] expected 100 to 1000000 characters, got 5", *there, "--chunk-size", "5")
        self.refused("[--endpoint] expected a URL such as http://localhost:8080/v1, without user, query or fragment, got "
                     "something else", *there[:2], "--endpoint", "localhost", *there[4:])
        self.refused("[nowhere/pairs.txt] no such file; check the path", *there, "--prompts", "nowhere")
        self.refused("[nowhere] there is no such folder; expected a model as Hugging Face writes it",
                     "synth", "handbook.md", "--model", "nowhere", "-o", "out")
        os.environ["ATTUNE_API_KEY"] = "two words"
        self.refused("[ATTUNE_API_KEY] expected a key of plain letters and digits; copy it again", *there)


if __name__ == "__main__":
    PROGRAM = str(Path(sys.argv[1]).resolve())
    unittest.main(argv=sys.argv[:1], verbosity=2)
