#!/usr/bin/env python3
"""The chat page of attune serve in headless Chromium: what a person sees and does, at a desk and on a phone.

    serve_page_test.py PROGRAM [FOLDER FOR PHOTOGRAPHS]
"""
import json
import os
import sys
import tempfile
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

    def open(self, browser):
        browser.open(self.server.url)
        browser.wait_for("document.querySelectorAll('#first option').length === 2")

    def photograph(self, browser, name):
        if PHOTOGRAPHS:
            browser.photograph(PHOTOGRAPHS / f"{name}.png")

    def say(self, browser, text):
        browser.run("document.getElementById('say').focus()")
        browser.type(text)
        browser.press("Enter")
        browser.wait_for("!document.getElementById('send').hidden && document.querySelectorAll('.assistant').length > 0")

    def fits(self, browser):
        """Nothing stands out sideways, and the field to write into is on the screen."""
        self.assertLessEqual(browser.run("document.documentElement.scrollWidth"), browser.run("innerWidth"))
        self.assertLessEqual(browser.run("document.getElementById('say').getBoundingClientRect().bottom"), browser.run("innerHeight"))

    def test_a_conversation_at_a_desk(self):
        with Browser() as browser:
            self.open(browser)
            self.assertEqual(browser.run("document.documentElement.lang"), "en")
            self.assertEqual(browser.run("document.getElementById('first').value"), "pete")  # the adapter
            browser.run("document.getElementById('temperature').value = 0; document.getElementById('temperature').oninput()")
            self.say(browser, "the sea is <b>calm</b>")
            self.assertEqual(browser.run("document.querySelector('.user').textContent"), "the sea is <b>calm</b>")
            wanted = self.server.request("POST", "/v1/chat/completions", {
                "model": "pete", "temperature": 0, "messages": [{"role": "user", "content": "the sea is <b>calm</b>"}]})[2]
            self.assertEqual(browser.run("document.querySelector('.assistant').textContent"),
                             json.loads(wanted)["choices"][0]["message"]["content"])
            self.assertIn("tokens/s", browser.run("document.querySelector('.note').textContent"))
            self.say(browser, "and the wind")
            self.photograph(browser, "desk")
            self.fits(browser)
            lines = [json.loads(line) for line in browser.run("exported()").splitlines()]
            self.assertEqual([message["role"] for message in lines[0]["messages"]], ["user", "assistant"] * 2)
            browser.run("confirm = () => true; document.getElementById('reset').click()")
            self.assertEqual(browser.run("document.querySelectorAll('.user').length"), 0)
            self.assertTrue(all(url.startswith((self.server.url, "data:")) for url in browser.requested), browser.requested)
            self.assertEqual(browser.errors, [])

    def test_two_models_side_by_side(self):
        with Browser() as browser:
            self.open(browser)
            browser.run("document.getElementById('second').value = 'long'; document.getElementById('second').onchange()")
            self.say(browser, "the sea is calm")
            browser.wait_for("document.querySelectorAll('section').length === 2")
            self.assertEqual(browser.run("[...document.querySelectorAll('section h2')].map((e) => e.textContent)"), ["pete", "long"])
            self.assertEqual(browser.run("document.querySelectorAll('.assistant').length"), 2)
            self.assertEqual(len(browser.run("exported()").splitlines()), 2)
            browser.run("document.getElementById('theme').click()")
            self.photograph(browser, "both-dark")
            self.assertEqual(browser.errors, [])

    def test_stop(self):
        with Browser() as browser:
            self.open(browser)
            # No limit, and a random model: an answer that lasts, unless it ends by chance.
            browser.run("""{ const ask = window.fetch; window.fetch = (url, options) => {
                if (options && options.body) options.body = options.body.replace('{', '{"max_tokens":90000,"temperature":1.5,')
                    .replace(',"temperature":0.7', '');
                return ask(url, options); }; }""")
            for _ in range(20):
                browser.run("document.getElementById('say').focus()")
                browser.type("the sea is calm")
                browser.press("Enter")
                browser.wait_for("document.querySelector('.assistant.running')?.textContent.length > 20 || !stopper")
                browser.press("Escape")
                browser.wait_for("!stopper")
                if "stopped" in browser.run("[...document.querySelectorAll('.note')].pop()?.textContent || ''"):
                    self.assertGreater(len(browser.run("exported()")), 20)  # what came is kept
                    return
            self.fail("no answer lasted until it was stopped")

    def test_hungarian_on_a_phone(self):
        with Browser("hu-HU", 390, 844) as browser:
            self.open(browser)
            self.assertEqual(browser.run("document.documentElement.lang"), "hu")
            self.assertEqual(browser.run("document.getElementById('send').textContent"), "Küldés")
            self.say(browser, "árvíztűrő tükörfúrógép " * 3)
            self.fits(browser)
            self.photograph(browser, "phone")
            browser.run("document.getElementById('language').value = 'en'; document.getElementById('language').onchange()")
            self.assertEqual(browser.run("document.getElementById('send').textContent"), "Send")
            browser.run("document.getElementById('second').value = 'long'; document.getElementById('second').onchange()")
            self.say(browser, "the wind")
            self.fits(browser)
            self.photograph(browser, "phone-both")
            self.assertEqual(browser.errors, [])

    def test_every_control_has_a_name_and_a_place_in_the_tab_order(self):
        with Browser() as browser:
            self.open(browser)
            nameless = browser.run("""[...document.querySelectorAll('button, select, input, textarea')].filter((e) =>
                !e.textContent.trim() && !e.getAttribute('aria-label')).map((e) => e.id)""")
            self.assertEqual(nameless, [])
            self.assertEqual(browser.run("document.querySelectorAll('[tabindex=\"-1\"]').length"), 0)

    def test_key(self):
        with Server(PROGRAM, "base/model", environment={"ATTUNE_API_KEY": "open-sesame"}) as server, Browser() as browser:
            browser.open(server.url)
            browser.wait_for("document.querySelector('.error') !== null")
            self.assertTrue(browser.run("document.getElementById('more').open"))
            browser.run("document.getElementById('key').value = 'open-sesame'; document.getElementById('key').onchange()")
            browser.wait_for("document.querySelectorAll('#first option').length === 1")

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
