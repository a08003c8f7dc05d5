#!/usr/bin/env python3
"""A run's report as people meet it, in a headless browser: bright and dark, at a desk and on a phone, and while the run goes
on; it asks for nothing but itself.

    report_test.py PROGRAM [FOLDER FOR SCREENSHOTS]
"""
import html
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

import toy
from browser import Browser, chromium

PROGRAM = None
PHOTOGRAPHS = None
RECIPE = """
model: base/model
data: talk.jsonl
output: {output}
lora: {{r: 4}}
train: {{num_train_epochs: {epochs}, max_length: 64, gradient_accumulation_steps: 1, per_device_train_batch_size: 2}}
eval: {{eval_steps: 5, style_answers: 3}}
"""
HEADINGS = ["Course", "Evaluation", "Answers before and after", "Memory", "Recipe", "Environment"]
PICTURES = ["Loss by step", "Style", "Forgetting", "KL to the base", "Learning rate", "Gradient norm", "Tokens per second",
            "Share of this machine", "Length of a conversation"]
# The smallest contrast of a text with the page or card behind it; WCAG asks for 4.5.
CONTRAST = """(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const light = (colour) => { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((c) => c / 255)
      .map((c) => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4).reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0); };
  const behind = (e) => { for (; e; e = e.parentElement) { const colour = getComputedStyle(e).backgroundColor;
    if (colour !== 'rgba(0, 0, 0, 0)') return colour; } return 'white'; };
  return Math.min(...[...document.querySelectorAll('h1,h2,p,dt,dd,small,figcaption,th,td,pre,.state,.legend span,svg text')].map((e) => {
    const style = getComputedStyle(e), a = light(e instanceof SVGElement ? style.fill : style.color), b = light(behind(e));
    return (Math.max(a, b) + .05) / (Math.min(a, b) + .05); }));
})()"""

# The smallest text of a picture, in pixels of the screen.
SMALLEST = """Math.min(...[...document.querySelectorAll('svg text')].map((e) =>
  parseFloat(getComputedStyle(e).fontSize) * e.ownerSVGElement.getScreenCTM().a))"""


class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        os.chdir(cls.folder.name)
        toy.make_base(PROGRAM, context=256)
        Path("run.yaml").write_text(RECIPE.format(output="run", epochs=2))
        toy.attune(PROGRAM, "train", "run.yaml")
        toy.attune(PROGRAM, "eval", "run", "--limit", 4, "--max-tokens", 16, "--only", "held-out", "--only", "style", "--only", "forgetting")

    @classmethod
    def tearDownClass(cls):
        os.chdir("/")
        cls.folder.cleanup()

    def page(self, path):
        """As it was written: what an untrained model says may hold carriage returns."""
        return Path(path).read_bytes().decode()

    def expect_samples(self, run, page):
        """samples.json has answers before and after to things that people said, and the page shows them all."""
        written = json.loads(Path(run, "samples.json").read_text())
        said = [[turn["content"] for turn in row["messages"]] for row in toy.json_lines("talk.jsonl")]
        self.assertEqual(len(written["samples"]), 3)
        for sample in written["samples"]:
            self.assertEqual(list(sample), ["prompt", "base", "tuned", "person"])
            self.assertIn([sample["prompt"], sample["person"]], said)
            row = "".join(f"<td>{html.escape(text)}</td>" for text in sample.values())
            self.assertIn(row, page.replace("&#39;", "&#x27;"))
        return written

    def test_answers_before_and_after_without_an_evaluation(self):
        Path("plain.yaml").write_text(RECIPE.format(output="plain", epochs=3).replace("eval_steps: 5", "eval_steps: 5, eval_share: 0.1, forgetting_samples: 0"))
        process = subprocess.Popen([PROGRAM, "train", "plain.yaml"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        samples = Path("plain/samples.json")
        while not samples.exists() or json.loads(samples.read_text())["step"] < 5:
            self.assertIsNone(process.poll(), "the run ended")
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        self.assertIn("and saved; go on with", process.communicate()[1])
        self.assertEqual(process.returncode, 130)
        before = [sample["base"] for sample in json.loads(samples.read_text())["samples"]]

        # A resumed run keeps the answers from before its first step.
        toy.attune(PROGRAM, "train", "--resume", "plain")
        toy.attune(PROGRAM, "report", "plain")
        page = self.page("plain/report.html")
        written = self.expect_samples("plain", page)
        self.assertEqual([sample["base"] for sample in written["samples"]], before)
        self.assertEqual(written["step"], json.loads(Path("plain/run.json").read_text())["steps"])
        self.assertIn(f"before the first step and at step {written['step']}</p>", page)
        self.assertNotEqual([sample["tuned"] for sample in written["samples"]], before)

        # Where it ran.
        for what in ("system", "processor", "threads", "memory", "compiler"):
            self.assertRegex(page, f"<tr><th>{what}</th><td>[^<]+</td></tr>")
        self.assertRegex(page, r"<th>system</th><td>[^<]*Linux [0-9]")

        # MLflow gets them in the report, and nowhere else.
        toy.attune(PROGRAM, "train", "plain.yaml", "--set", "output=told", "--set", "track.mlflow=./mlruns", "--set", "train.max_steps=2")
        sent, = Path("mlruns").rglob("report.html")
        written = self.expect_samples("told", self.page(sent))
        for path in Path("mlruns").rglob("*"):
            if path.is_file() and path != sent:
                for sample in written["samples"]:
                    self.assertNotIn(sample["prompt"], path.read_text(errors="replace"), path)

        # No answers, no file; and what is evaluated shows the answers of the evaluation.
        toy.attune(PROGRAM, "train", "plain.yaml", "--set", "output=mute", "--set", "eval.style_answers=0", "--set", "train.max_steps=2")
        self.assertFalse(Path("mute/samples.json").exists())
        toy.attune(PROGRAM, "report", "mute")
        self.assertNotIn("Answers before and after", Path("mute/report.html").read_text())
        toy.attune(PROGRAM, "report", "run")
        self.assertNotIn("before the first step", Path("run/report.html").read_text())

    def photograph(self, browser, name, width):
        if PHOTOGRAPHS:
            height = browser.run("document.documentElement.scrollHeight")
            browser.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
            browser.photograph(PHOTOGRAPHS / f"{name}.png")

    def test_bright_and_dark_at_a_desk_and_on_a_phone(self):
        self.assertEqual(toy.attune(PROGRAM, "report", "run")[0], "run/report.html\n")
        url = Path("run/report.html").resolve().as_uri()
        papers = set()
        with Browser() as browser:
            for width, scheme in ((1200, "light"), (1200, "dark"), (360, "light"), (360, "dark")):
                browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
                browser.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 600)
                browser.open(url)
                self.assertEqual(browser.run("[...document.querySelectorAll('h2')].map((e) => e.textContent)"), HEADINGS)
                pictures = browser.run("[...document.querySelectorAll('figcaption')].map((e) => e.textContent)")
                self.assertEqual([text.startswith(begin) for text, begin in zip(pictures, PICTURES)], [True] * len(PICTURES), pictures)
                self.assertLessEqual(browser.run("document.documentElement.scrollWidth"), browser.run("innerWidth"))
                self.assertGreaterEqual(browser.run(CONTRAST), 4.5, scheme)
                self.assertGreaterEqual(browser.run(SMALLEST), 9, width)
                papers.add(browser.run("getComputedStyle(document.body).backgroundColor"))
                self.photograph(browser, f"{scheme}-{width}", width)
                self.assertEqual((browser.requested, browser.errors), ([url], []))
        self.assertEqual(len(papers), 2)

    def test_while_the_run_goes_on(self):
        opened = Path("opened").resolve()
        Path("bin").mkdir()
        Path("bin/xdg-open").write_text(f'#!/bin/sh\necho "$1" >{opened}.tmp && mv {opened}.tmp {opened}\n')
        Path("bin/xdg-open").chmod(0o755)
        Path("long.yaml").write_text(RECIPE.format(output="long", epochs=5000))
        process = subprocess.Popen([PROGRAM, "train", "long.yaml", "--open"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env={**os.environ, "PATH": f"{Path('bin').resolve()}:{os.environ['PATH']}"})
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        while not opened.exists():
            self.assertIsNone(process.poll(), "the run ended")
            time.sleep(0.05)
        url = opened.read_text().strip()
        self.assertRegex(url, r"^http://127\.0\.0\.1:\d+/$")
        step = "Number([...document.querySelectorAll('dt')].find((e) => e.textContent === 'Steps')?.nextSibling.textContent" \
               ".split(' of ')[0].replace(/,/g, ''))"
        with Browser() as browser:
            browser.open(url)
            browser.wait_for(step + " > 1")
            seen = browser.run(step)
            browser.wait_for(f"{step} > {seen}")  # by itself
            self.assertTrue(all(address.startswith(url) for address in browser.requested), browser.requested)
            self.assertEqual(browser.errors, [])
            # A page elsewhere whose name leads here may not read it.
            for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example"):
                with self.assertRaises(urllib.error.HTTPError) as refused:
                    urllib.request.urlopen(urllib.request.Request(url, headers={"Host": host}))
                self.assertEqual(refused.exception.code, 403)
                refused.exception.close()
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.assertEqual(toy.attune(PROGRAM, "report", "long", "-o", "killed.html")[0], "killed.html\n")
        self.assertIn('<span class="state killed">killed</span>', Path("killed.html").read_text())


if __name__ == "__main__":
    if not chromium():
        print("SKIP: no Chromium here (package chromium)")
        sys.exit(77)
    PROGRAM = str(Path(sys.argv.pop(1)).resolve())
    PHOTOGRAPHS = Path(sys.argv.pop(1)).resolve() if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else None
    unittest.main(verbosity=2)
