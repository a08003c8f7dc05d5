#!/usr/bin/env python3
"""The chat page of attune serve in headless Chromium: what a person sees and does, at a desk and on a phone.

    serve_page_test.py PROGRAM [FOLDER FOR PHOTOGRAPHS]
"""
import http.client
import json
import os
import re
import signal
import sys
import tempfile
import time
import unittest
from pathlib import Path

import toy
from browser import Browser, chromium
from server import Server, with_positions

if chromium() is None:
    print("SKIP: there is no Chromium (Debian package chromium), which the chat page is tested with")
    sys.exit(77)

PROGRAM = None
PHOTOGRAPHS = None
PHONES = [("narrow", 320, 844), ("phone", 390, 844)]
DESK = ("desk", 1200, 800)

# The next answer is these events, pieces of text with milliseconds before them; what came when is in `clock`.
FAKE_ANSWER = """var clock = []; var kept = window.fetch; window.fetch = async () => {
    window.fetch = kept;
    const bytes = new TextEncoder();
    const send = (stream, data) => stream.enqueue(bytes.encode("data: " + data + "\\n\\n"));
    const choice = (delta, finish) => JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] });
    return new Response(new ReadableStream({ async start(stream) {
        send(stream, choice({ role: "assistant", content: "" }, null));
        for (const [delay, content] of PIECES) {
            await new Promise((done) => setTimeout(done, delay));
            clock.push(performance.now());
            send(stream, choice({ content }, null));
        }
        send(stream, choice({}, FINISH));
        await new Promise((done) => setTimeout(done, 700));
        send(stream, JSON.stringify({ choices: [], usage: { completion_tokens: PIECES.length } }));
        send(stream, "[DONE]");
        stream.close();
    } }));
}; 0"""


def wait_until(happened):
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def at_work(server):
    metrics = server.metrics()
    return metrics["attune_answers_under_way"] + metrics["attune_queue_length"]


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        os.chdir(cls.folder.name)
        toy.make_base(PROGRAM, steps=100)
        toy.make_adapter(PROGRAM)
        with_positions("base/model", "long", 100000)
        cls.server = Server(PROGRAM, "long", "--context", 100000, "--max-tokens", 24, "--adapter", "pete=run/adapter")

    @classmethod
    def tearDownClass(cls):
        status = cls.server.stop()
        os.chdir("/")
        cls.folder.cleanup()
        assert status == 0, cls.server.output

    def open(self, browser, server=None):
        browser.open((server or self.server).url)
        browser.wait_for("document.querySelectorAll('#first option').length > 0")

    def photograph(self, browser, name):
        if PHOTOGRAPHS:
            browser.photograph(PHOTOGRAPHS / f"{name}.png")

    def send(self, browser, text):
        browser.run("document.getElementById('say').focus()")
        browser.type(text)
        browser.click("#send")

    def say(self, browser, text):
        self.send(browser, text)
        browser.wait_for("!document.getElementById('send').hidden")

    def choose(self, browser, name, value):
        browser.run(f"{{ const field = document.getElementById('{name}'); field.value = {json.dumps(value)};"
                    " field.dispatchEvent(new Event('input')); field.dispatchEvent(new Event('change')); }")

    def last(self, browser, selector):
        return browser.run(f"[...document.querySelectorAll('{selector}')].pop()?.textContent ?? null")

    def field(self, browser):
        return browser.run("document.getElementById('say').value")

    def exported(self, browser):
        return [json.loads(line) for line in browser.run("exported()").splitlines()]

    def fake(self, browser, pieces, finish="stop"):
        browser.run(FAKE_ANSWER.replace("PIECES", json.dumps(pieces)).replace("FINISH", json.dumps(finish)))

    def ask_without_end(self, server, count):
        """Requests that keep a server of one answer at a time busy until the connections are closed."""
        body = json.dumps({"model": "long", "temperature": 0, "max_tokens": 90000, "stream": True,
                           "messages": [{"role": "user", "content": "the sea is calm"}]})
        connections = []
        for place in range(1, count + 1):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
            connections.append(connection)
            wait_until(lambda: at_work(server) == place)
        return connections

    def fits(self, browser):
        """The page does not scroll in any direction, and every column ends where the field to write into begins."""
        self.assertLessEqual(browser.run("document.documentElement.scrollWidth"), browser.run("innerWidth"))
        self.assertLessEqual(browser.run("document.documentElement.scrollHeight"), browser.run("innerHeight"))
        footer = browser.run("(({top, bottom}) => [top, bottom])(document.querySelector('footer').getBoundingClientRect())")
        self.assertLessEqual(footer[1], browser.run("innerHeight"))
        for bottom in browser.run("[...document.querySelectorAll('section')].map((e) => e.getBoundingClientRect().bottom)"):
            self.assertLessEqual(bottom, footer[0] + 0.5)

    def test_a_conversation_at_a_desk(self):
        with Browser() as browser:
            self.open(browser)
            self.assertEqual(browser.run("document.documentElement.lang"), "en")
            self.assertEqual(browser.run("document.getElementById('first').value"), "pete")  # the adapter
            self.choose(browser, "temperature", 0)
            self.say(browser, "the sea is <b>calm</b>")
            self.assertEqual(browser.run("document.querySelector('.user').textContent"), "the sea is <b>calm</b>")
            wanted = self.server.request("POST", "/v1/chat/completions", {
                "model": "pete", "temperature": 0, "messages": [{"role": "user", "content": "the sea is <b>calm</b>"}]})[2]
            self.assertEqual(browser.run("document.querySelector('.assistant').textContent"),
                             json.loads(wanted)["choices"][0]["message"]["content"])
            self.assertRegex(browser.run("document.querySelector('.note').textContent"), r"^\d+ tokens.*, context 0% full$")
            browser.run("document.getElementById('say').focus()")
            browser.type("and the wind")
            browser.press("Enter")  # as good as a click at a desk
            browser.wait_for("document.querySelectorAll('.assistant').length === 2 && !stopper")
            self.photograph(browser, "desk")
            self.fits(browser)
            self.assertEqual([message["role"] for message in self.exported(browser)[0]["messages"]], ["user", "assistant"] * 2)
            browser.run("confirm = () => true")
            browser.click("#reset")
            self.assertEqual(browser.run("document.querySelectorAll('.user').length"), 0)
            self.assertTrue(all(url.startswith((self.server.url, "data:")) for url in browser.requested), browser.requested)
            self.assertEqual(browser.errors, [])

    def test_two_models_side_by_side(self):
        for name, width, height in [*PHONES, DESK]:
            with self.subTest(name), Browser("en-US", width, height) as browser:
                self.open(browser)
                self.choose(browser, "second", "long")
                self.assertEqual(browser.run("[...document.querySelectorAll('section h2')].map((e) => e.textContent)"),
                                 ["pete", "long"])
                for _ in range(5):
                    self.say(browser, "the sea is calm and the wind is in the sails")
                self.assertEqual(browser.run("document.querySelectorAll('.user').length"), 10)
                self.fits(browser)
                logs = browser.run("[...document.querySelectorAll('.log')]"
                                   ".map((e) => [e.scrollHeight, e.clientHeight, e.scrollTop])")
                for whole, shown, top in logs:
                    self.assertGreater(shown, 200)
                    self.assertGreaterEqual(top + shown, whole - 1)  # the newest is in sight
                self.assertTrue(any(whole > shown for whole, shown, _ in logs), logs)
                self.assertEqual([line["model"] for line in self.exported(browser)], ["pete", "long"])
                self.photograph(browser, f"{name}-both")
                # The second column goes only when its conversation may be forgotten.
                browser.run("confirm = () => false")
                self.choose(browser, "second", "")
                self.assertEqual(browser.run("document.querySelectorAll('section').length"), 2)
                browser.run("confirm = () => true")
                self.choose(browser, "second", "")
                self.assertEqual(browser.run("document.querySelectorAll('section').length"), 1)
                self.assertEqual(browser.errors, [])

    def test_the_hint_is_no_answer(self):
        with Browser() as browser:
            self.open(browser)
            style = browser.run("(({backgroundColor, borderTopStyle}) => [backgroundColor, borderTopStyle])"
                                "(getComputedStyle(document.querySelector('.empty')))")
            self.assertEqual(style, ["rgba(0, 0, 0, 0)", "none"])

    def test_stop(self):
        with Server(PROGRAM, "long", "--context", 100000, "--max-tokens", 90000) as server, Browser() as browser:
            self.open(browser, server)
            self.choose(browser, "temperature", 0)  # it goes on without end
            for stop in (lambda: browser.click("#stop"), lambda: browser.press("Escape")):
                self.send(browser, "the sea is calm")
                browser.wait_for("document.querySelector('.assistant.running')?.textContent.length > 20")
                stop()
                browser.wait_for("!stopper && document.getElementById('stop').hidden")
                self.assertEqual(self.last(browser, ".note"), "stopped")
                self.assertGreater(len(self.exported(browser)[0]["messages"][-1]["content"]), 20)  # what came is kept
                wait_until(lambda: at_work(server) == 0)  # and the server troubles itself no more
            self.assertEqual(browser.errors, [])

    def test_export(self):
        with tempfile.TemporaryDirectory() as folder, Browser() as browser:
            browser.download_to(folder)
            self.open(browser)
            self.assertTrue(browser.run("document.getElementById('export').disabled"))  # there is nothing yet
            self.choose(browser, "system", "Be brief.")
            self.say(browser, "the sea is calm\n\"gold\" & árvíz")
            self.assertTrue(browser.run("onbeforeunload()"))  # leaving would lose it
            browser.click("#export")
            path = Path(folder) / "conversation.jsonl"
            wait_until(path.exists)
            line, = toy.json_lines(path)
            self.assertEqual(line, {"model": "pete", "messages": [
                {"role": "system", "content": "Be brief."}, {"role": "user", "content": "the sea is calm\n\"gold\" & árvíz"},
                {"role": "assistant", "content": self.last(browser, ".assistant")}]})
            self.assertIsNone(browser.run("onbeforeunload()"))
            self.assertEqual(browser.errors, [])

    def test_speed(self):
        with Browser() as browser:
            self.open(browser)
            self.fake(browser, [[500, "one"], [300, " two"], [300, " three"]])
            self.say(browser, "count")
            first, *_, last = browser.run("clock")
            shown = re.fullmatch(r"3 tokens, ([\d.]+) tokens/s", self.last(browser, ".note"))
            # Neither the wait for the first token nor that for the end counts.
            self.assertAlmostEqual(float(shown.group(1)) / (2000 / (last - first)), 1, delta=0.15)
            self.fake(browser, [[300, "one"]])
            self.say(browser, "count")
            self.assertEqual(self.last(browser, ".assistant"), "one")
            self.assertEqual(browser.run("document.querySelectorAll('.note').length"), 1)  # the former

    def test_a_full_context_forgets_the_oldest(self):
        with Server(PROGRAM, "base/model", "--context", 64, "--max-tokens", 12) as server, \
                Browser("en-US", 320, 420) as browser:  # a phone whose keyboard is open
            self.open(browser, server)
            self.choose(browser, "temperature", 0)
            said, forgotten = [], 0
            while forgotten < 2:
                said.append(f"the sea is calm {len(said)}")
                self.assertLess(len(said), 20)
                self.say(browser, said[-1])
                self.assertIsNone(self.last(browser, ".error"))
                forgotten += "oldest exchanges forgotten: " in (self.last(browser, ".note") or "")
            # Of what it is told the page knows how much there is room for: nothing was refused.
            self.assertNotIn('attune_requests_total{endpoint="/v1/chat/completions",status="400"}', server.metrics())
            self.assertRegex(self.last(browser, ".note"), r", context \d\d% full, oldest exchanges forgotten: \d$")
            # All of it is still there to be read and exported; only the model knows less.
            messages = self.exported(browser)[0]["messages"]
            self.assertEqual([message["content"] for message in messages[::2]], said)
            self.assertTrue(all(message["content"] for message in messages))
            known = browser.run("columns[0].messages.slice(columns[0].from)")
            self.assertEqual(known, messages[-len(known):])
            # A message too long by itself comes back, and costs the conversation nothing.
            long = "gold and fish " * 40 + "end"
            self.choose(browser, "language", "hu")
            self.say(browser, long)
            self.assertEqual(self.last(browser, ".error"),
                             "Ez túl hosszú a modellnek: rövidítsd az üzenetet vagy az utasítást.")
            self.assertEqual(self.field(browser), long)
            self.assertLessEqual(browser.run("document.querySelector('.error').getBoundingClientRect().bottom"),
                                 browser.run("document.querySelector('footer').getBoundingClientRect().top"))
            browser.click("#more")
            self.fits(browser)
            browser.click("#more")
            self.assertEqual(self.last(browser, ".user"), said[-1])
            self.assertEqual(browser.run("columns[0].messages.slice(columns[0].from)"), known)
            self.choose(browser, "say", "")
            self.say(browser, "the wind")
            self.assertIsNone(self.last(browser, ".error"))
            self.assertEqual(self.last(browser, ".user"), "the wind")

    def test_a_full_queue(self):
        with Server(PROGRAM, "long", "--context", 100000, "--parallel", 1, "--queue", 1) as server, \
                Browser("hu-HU") as browser:
            self.open(browser, server)
            busy = self.ask_without_end(server, 2)
            self.say(browser, "the sea")
            self.assertEqual(self.last(browser, ".error"),
                             "A szerver elfoglalt: túl sokan várnak rá. Próbáld újra kicsit később.")
            self.assertEqual(self.field(browser), "the sea")
            for connection in busy:
                connection.close()
            wait_until(lambda: at_work(server) == 0)
            self.choose(browser, "temperature", 0)
            self.say(browser, "")
            self.assertIsNone(self.last(browser, ".error"))  # it has passed
            self.assertEqual(browser.run("[...document.querySelectorAll('.user')].map((e) => e.textContent)"), ["the sea"])

    def test_a_server_that_leaves(self):
        with Server(PROGRAM, "long", "--context", 100000, "--max-tokens", 90000) as server, Browser("hu-HU") as browser:
            self.open(browser, server)
            self.choose(browser, "temperature", 0)
            self.send(browser, "the sea is calm")
            browser.wait_for("document.querySelector('.assistant.running')?.textContent")
            server.process.send_signal(signal.SIGTERM)  # five seconds of grace, then it ends the answer
            browser.wait_for("!stopper")
            self.assertEqual(self.last(browser, ".error"), "A szerver éppen leáll.")
            self.assertGreater(len(self.exported(browser)[0]["messages"][-1]["content"]), 0)
            self.assertEqual(self.field(browser), "")
            server.stop()
            self.say(browser, "the wind")
            self.assertEqual(self.last(browser, ".error"), "A szerver nem érhető el.")
            self.assertEqual(self.field(browser), "the wind")

    def test_a_connection_that_breaks(self):
        server = Server(PROGRAM, "long", "--context", 100000, "--max-tokens", 90000)
        with Browser("hu-HU") as browser:
            self.open(browser, server)
            self.choose(browser, "temperature", 0)
            self.send(browser, "the sea is calm")
            browser.wait_for("document.querySelector('.assistant.running')?.textContent")
            server.stop(signal.SIGKILL)
            browser.wait_for("!stopper")
            self.assertEqual(self.last(browser, ".error"), "Megszakadt a kapcsolat a szerverrel.")

    def test_every_refusal_is_told_in_the_language_of_the_page(self):
        told = {
            (429, "queue_full", None): "A szerver elfoglalt: túl sokan várnak rá. Próbáld újra kicsit később.",
            (503, None, None): "A szerver elfoglalt: túl sokan várnak rá. Próbáld újra kicsit később.",
            (503, "shutting_down", None): "A szerver éppen leáll.",
            (503, "timeout", None): "A szervernek nem jutott ideje a válaszra. Próbáld újra.",
            (400, "context_length_exceeded", "messages"):
                "Ez túl hosszú a modellnek: rövidítsd az üzenetet vagy az utasítást.",
            (413, None, None): "Ez túl hosszú a modellnek: rövidítsd az üzenetet vagy az utasítást.",
            (404, "model_not_found", "model"): "Ez a modell már nincs meg a szerveren: válassz másikat.",
            (400, None, "model"): "Ez a modell nem beszélgetésre készült: nincs hozzá sablon.",
            (401, "invalid_api_key", None): "A szerver érvényes API-kulcsot kér: a „Továbbiak” alatt add meg.",
            (500, None, None): "in the server's words",
        }
        with Browser("hu-HU") as browser:
            self.open(browser)
            same = browser.run("""[TEXTS.en, TEXTS.en.errors].every((texts, i) =>
                Object.keys(texts).sort().join() === Object.keys([TEXTS.hu, TEXTS.hu.errors][i]).sort().join())""")
            self.assertTrue(same)
            for (status, code, param), words in told.items():
                body = json.dumps({"error": {"message": "in the server's words", "type": "x", "param": param, "code": code}})
                browser.run(f"""window.fetch = async (url) => url.endsWith("completions")
                    ? new Response({json.dumps(body)}, {{ status: {status} }}) : Promise.reject(new TypeError())""")
                self.choose(browser, "say", "")
                self.say(browser, "the sea")
                self.assertEqual(browser.run("[...document.querySelectorAll('.error')].map((e) => e.textContent)"), [words])
                self.assertEqual(self.field(browser), "the sea")
                self.assertEqual(browser.run("document.querySelectorAll('.user').length"), 0)
            self.assertFalse(browser.run("document.getElementById('settings').hidden"))  # for the key
            # A time limit that passed in the queue ends a stream that has begun, without a word of an answer.
            for finish, words in (("length", told[503, "timeout", None]), ("stop", "A modell nem válaszolt semmit.")):
                self.fake(browser, [], finish)
                self.say(browser, "")
                self.assertEqual(browser.run("[...document.querySelectorAll('.error')].map((e) => e.textContent)"), [words])
                self.assertEqual(self.field(browser), "the sea")
            # An answer in the other column is an answer: there the message stays where it was said.
            browser.run("window.fetch = kept")
            self.choose(browser, "second", "long")
            self.fake(browser, [[1, "one"]])  # for the first to ask; the other one learns that the server is gone
            browser.run("kept = async () => { throw new TypeError(); }; 0")
            self.say(browser, "")
            self.assertEqual(self.field(browser), "")
            self.assertEqual(browser.run("document.querySelectorAll('.user').length"), 2)
            self.assertEqual(self.last(browser, ".error"), "A szerver nem érhető el.")
            self.assertEqual(len(self.exported(browser)), 1)

    def test_what_is_typed_meanwhile_is_kept(self):
        with Browser() as browser:
            self.open(browser)
            self.fake(browser, [[500, ""]])
            self.send(browser, "first")
            browser.run("document.getElementById('say').focus()")
            browser.type("second")
            browser.wait_for("!stopper")
            self.assertEqual(self.field(browser), "first\nsecond")

    def test_a_reader_who_scrolled_up_stays_there(self):
        with Browser("en-US", 390, 500) as browser:
            self.open(browser)
            for _ in range(4):
                self.say(browser, "the sea is calm\nand the wind\nis in the sails")
            self.fake(browser, [[300, "one"], [300, "\ntwo\nthree\nfour"]])
            self.send(browser, "go on")
            browser.wait_for("document.querySelector('.assistant.running')?.textContent === 'one'")
            browser.run("document.querySelector('.log').scrollTop = 0")
            browser.wait_for("!stopper")
            self.assertEqual(browser.run("document.querySelector('.log').scrollTop"), 0)

    def test_hungarian_on_a_phone(self):
        for name, width, height in PHONES:
            with self.subTest(name), Browser("hu-HU", width, height) as browser:
                self.open(browser)
                self.assertEqual(browser.run("document.documentElement.lang"), "hu")
                self.assertEqual(browser.run("document.getElementById('send').textContent"), "Küldés")
                # Enter on a thumb's keyboard, which has no Shift+Enter, begins a new line.
                self.assertEqual(self.last(browser, ".empty"), "Amit írsz, csak ehhez a szerverhez jut el.")
                browser.run("document.getElementById('say').focus()")
                browser.press("Enter")
                self.assertEqual(self.field(browser), "\n")
                self.say(browser, "árvíztűrő tükörfúrógép " * 3)
                self.fits(browser)
                self.assertNotEqual(browser.run("document.activeElement.id"), "say")  # no keyboard over the answer
                for language in ("hu", "en"):
                    self.choose(browser, "language", language)
                    for _ in ("light", "dark"):
                        photograph = f"{name}-{language}-" + browser.run("document.documentElement.dataset.theme")
                        self.tidy_header(browser)
                        self.photograph(browser, photograph)
                        browser.click("#more")
                        self.tidy_settings(browser)
                        self.photograph(browser, photograph + "-more")
                        browser.click("#theme")
                        browser.click("#more")
                self.assertEqual(browser.run("document.getElementById('send').textContent"), "Send")
                self.assertEqual(browser.errors, [])

    def tidy_header(self, browser):
        """Two rows, every control large enough for a thumb, no word cut."""
        boxes = browser.run("""[...document.querySelectorAll(':is(header, footer) :is(button, select, textarea)')]
            .map((e) => [e.id, e.getBoundingClientRect(), e.scrollWidth - e.clientWidth]).filter(([, box]) => box.width)
            .map(([id, box, over]) => [id, box.left, box.right, box.top, box.bottom, over])""")
        for name, left, right, top, bottom, over in boxes:
            self.assertGreaterEqual(min(right - left, bottom - top), 40, name)
            self.assertGreaterEqual(left, 0, name)
            self.assertLessEqual(right, browser.run("innerWidth"), name)
            self.assertLessEqual(over, 0, name)
        rows = sorted({top for name, *_, top, _, _ in boxes if name in ("first", "second", "reset", "export", "more")})
        self.assertEqual(len(rows), 2, boxes)

    def tidy_settings(self, browser):
        self.fits(browser)
        for name in ("system", "key", "temperature", "language", "theme"):
            box = browser.run(f"(({{width, height}}) => [width, height])"
                              f"(document.getElementById('{name}').getBoundingClientRect())")
            self.assertGreaterEqual(min(box), 40, name)
        # A hint that is cut helps nobody.
        self.assertEqual(browser.run("document.getElementById('system').placeholder"), "")
        self.assertTrue(browser.run("""[...document.querySelectorAll('#settings label')].every((e) =>
            e.scrollWidth <= e.clientWidth && e.textContent.trim())"""))

    def test_every_control_has_a_name_and_a_place_in_the_tab_order(self):
        with Browser() as browser:
            self.open(browser)
            nameless = browser.run("""[...document.querySelectorAll('button, select, input, textarea')].filter((e) =>
                !e.textContent.trim() && !e.getAttribute('aria-label') && !e.labels.length).map((e) => e.id)""")
            self.assertEqual(nameless, [])
            self.say(browser, "the sea")
            browser.click("#more")
            reached = []
            for _ in range(20):
                browser.press("Tab")
                name = browser.run("document.activeElement.id || document.activeElement.className")
                if name in reached:
                    break
                if name:
                    reached.append(name)
            start = reached.index("first")
            self.assertEqual(reached[start:] + reached[:start],
                             ["first", "second", "reset", "export", "more", "system", "key", "temperature", "language",
                              "theme", "log", "say", "send"])
            # While an answer comes its stop button is there, and Enter presses it.
            self.fake(browser, [[1, "one"], [60000, " two"]])
            browser.run("document.getElementById('say').focus()")
            browser.type("count")
            browser.press("Enter")
            browser.wait_for("document.querySelector('.assistant.running')?.textContent === 'one'")
            browser.press("Tab")
            self.assertEqual(browser.run("document.activeElement.id"), "stop")

    def test_key(self):
        with Server(PROGRAM, "base/model", environment={"ATTUNE_API_KEY": "open-sesame"}) as server, Browser() as browser:
            browser.open(server.url)
            browser.wait_for("!document.getElementById('trouble').hidden")
            self.assertIn("asks for a valid API key", browser.run("document.getElementById('trouble').textContent"))
            self.assertEqual(browser.run("document.activeElement.id"), "key")  # and so it is in sight
            self.choose(browser, "key", "open-sesame")
            browser.wait_for("document.querySelectorAll('#first option').length === 1")
            browser.wait_for("document.getElementById('trouble').hidden")
            self.choose(browser, "temperature", 0)
            self.say(browser, "the sea")
            # Another key, once there is a conversation, does not cost it.
            self.choose(browser, "key", "open-barley")
            browser.wait_for("!document.getElementById('trouble').hidden")
            self.assertEqual(len(self.exported(browser)), 1)

    def test_policy(self):
        _, headers, html = self.server.request("GET", "/")
        policy = headers["Content-Security-Policy"]
        self.assertTrue(policy.startswith("default-src 'none'; script-src 'nonce-"), policy)
        nonce = policy.split("'nonce-")[1].split("'")[0]
        self.assertEqual(html.count(f'nonce="{nonce}"'), 2)
        self.assertNotIn(nonce, self.server.request("GET", "/")[2])  # another one each time


if __name__ == "__main__":
    PROGRAM = str(Path(sys.argv[1]).resolve())
    if len(sys.argv) > 2:
        PHOTOGRAPHS = Path(sys.argv[2]).resolve()
    unittest.main(argv=sys.argv[:1], verbosity=1)
