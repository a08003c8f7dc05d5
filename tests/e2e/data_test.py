#!/usr/bin/env python3
"""From an export to checked, trainable data as its user meets it: import's choices and privacy, data check, the cache.

    data_test.py PROGRAM
"""
import json
import os
import re
import shutil
import stat
import sys
import tempfile
import unittest
from pathlib import Path

import toy

PROGRAM = None
RECIPE = """
model: base/model
data: talk.jsonl
output: {output}
quantization: nf4
lora: {{r: 4, init_lora_weights: gaussian}}
train: {{max_steps: 3, max_length: 64, gradient_accumulation_steps: 1, learning_rate: 0.05}}
token_cache: {cache}
"""


def attune(*arguments, text=None, status=0):
    return toy.attune(PROGRAM, *arguments, text=text, status=status)


def chat(days=30):
    """A WhatsApp export: five exchanges a minute apart every second morning, private values among them."""
    lines = []
    private = ["my number is +36 30 123 4567", "write to anna.kovacs@example.com", "pay to HU42 1177 3016 1111 1018 0000 0000",
               "the card is 4111 1111 1111 1111", "order 123456789 of 2024-01-15, version 1.2.3.4", "I live at Petőfi utca 12"]
    for day in range(days):
        date = f"{day * 2 % 28 + 1:02}/{day * 2 // 28 + 1:02}/24"
        for i in range(5):
            lines.append(f"{date}, 08:{2 * i:02} - Anna: what about thing {day * 31 + i * 7} and {private[(day + i) % 6]}?")
            lines.append(f"{date}, 08:{2 * i + 1:02} - Pete: arr Anna, {day * 17 + i} it be, and call 06 30 123 4567, matey")
    Path("chat.txt").write_text("\n".join(lines) + "\n")


class Import(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        os.chdir(self.folder.name)
        chat()

    def tearDown(self):
        os.chdir("/")
        self.folder.cleanup()

    def words(self, folder="out"):
        return "".join(path.read_text() for path in Path(folder).glob("*.jsonl"))

    def test_private_values_are_replaced_and_remembered_for_the_owner_only(self):
        output, _ = attune("import", "chat.txt", "--me", "Pete", "-o", "out")
        words = self.words()
        for private in ("30 123", "anna.kovacs", "1177", "4111", "utca 12"):
            self.assertNotIn(private, words)
        for kept in ("order 123456789 of 2024-01-15, version 1.2.3.4", "my number is [phone 1]", "call [phone 1], matey",
                     "write to [email 1]", "pay to [iban 1]", "the card is [card 1]", "[address 1]"):
            self.assertIn(kept, words)
        self.assertRegex(output, r"phone +\d+  replaced, 1 different")
        ledger = json.loads(Path("out/ledger.json").read_text())
        self.assertEqual(ledger["redacted"]["iban"]["values"], 1)
        secret = Path("out/.redactions.json")
        self.assertEqual(stat.S_IMODE(secret.stat().st_mode), 0o600)
        self.assertEqual(json.loads(secret.read_text())["phone"], [{"replacement": "[phone 1]", "value": "+36 30 123 4567"}])

    def test_exceptions_names_and_off(self):
        attune("import", "chat.txt", "--me", "Pete", "-o", "kept", "--keep", "iban", "--keep", "+36301234567")
        self.assertIn("HU42 1177", self.words("kept"))
        self.assertIn("06 30 123 4567", self.words("kept"))
        self.assertIn("[card 1]", self.words("kept"))
        attune("import", "chat.txt", "--me", "Pete", "-o", "names", "--redact-names")
        self.assertNotIn("Anna", self.words("names") + Path("names/ledger.json").read_text())
        self.assertRegex(self.words("names"), r"arr (Alex|Robin), ")
        attune("import", "chat.txt", "--me", "Pete", "-o", "off", "--no-redact")
        self.assertIn("4111 1111 1111 1111", self.words("off"))
        self.assertFalse(Path("off/.redactions.json").exists())
        error = attune("import", "chat.txt", "--me", "Pete", "-o", "bad", "--keep", "phnoe", status=2)[1]
        self.assertIn("did you mean phone?", error)
        self.assertFalse(Path("bad").exists())

    def test_windows_gap_and_system_prompt(self):
        ledger = json.loads(attune("import", "chat.txt", "--me", "Pete", "-o", "out", "--gap", "auto", "--system", "You are Pete.",
                                   "--exchanges", "2-3", "--overlap", "1", "--json")[0])
        self.assertTrue(ledger["session_gap"]["learnt"])
        self.assertTrue(120 < ledger["session_gap"]["seconds"] < 47 * 3600)
        rows = [row["messages"] for row in toy.json_lines("out/train.jsonl")]
        self.assertTrue(all(row[0] == {"role": "system", "content": "You are Pete."} for row in rows))
        self.assertTrue(all(len(row) in (5, 7) for row in rows))
        self.assertEqual(rows[0][-2:], rows[1][1:3])
        self.assertEqual(ledger["used"] + sum(ledger["dropped"].values()), ledger["entries"])
        for bad, message in ((("--gap", "soon"), '[--gap] expected auto or hours above 0, got "soon"'),
                             (("--overlap", "6"), "[--overlap] expected 0 to 5, less than a window has exchanges, got 6")):
            self.assertEqual(attune("import", "chat.txt", "--me", "Pete", "-o", "bad", *bad, status=2)[1], f"attune: {message}\n")

    def test_repetitions_are_left_out_and_counted(self):
        once = Path("chat.txt").read_text()
        again = re.sub(r"^(\d\d)/(\d\d)/24", lambda m: f"{m[1]}/{int(m[2]) + 6:02}/24", once, flags=re.M)
        Path("chat.txt").write_text(once + again)
        ledger = json.loads(attune("import", "chat.txt", "--me", "Pete", "-o", "out", "--json")[0])
        self.assertEqual(ledger["conversations"]["repeated"], 30)
        self.assertEqual(ledger["dropped"]["repeated"], 300)
        self.assertEqual(ledger["used"] + sum(ledger["dropped"].values()), ledger["entries"])
        both = json.loads(attune("import", "chat.txt", "--me", "Pete", "-o", "both", "--no-dedup", "--json")[0])
        train = set(Path("both/train.jsonl").read_text().splitlines())
        self.assertFalse(Path("both/valid.jsonl").exists() and train & set(Path("both/valid.jsonl").read_text().splitlines()))
        self.assertEqual(both["conversations"]["train"] + both["conversations"]["valid"] + both["conversations"]["repeated"], 60)


class Check(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        os.chdir(cls.folder.name)
        toy.make_base(PROGRAM)

    @classmethod
    def tearDownClass(cls):
        os.chdir("/")
        cls.folder.cleanup()

    def test_numbers_agree_with_the_run(self):
        Path("train.yaml").write_text(RECIPE.format(output="run", cache="none"))
        attune("train", "train.yaml")
        run = json.loads(Path("run/run.json").read_text())
        check = json.loads(attune("data", "check", "--recipe", "train.yaml", "--set", "eval.eval_share=0", "--json")[0])
        self.assertEqual(check["conversations"]["train"], run["conversations"]["train"] + run["conversations"]["valid"])
        self.assertEqual(check["errors"], 0)
        self.assertEqual(check["steps"], 3)
        self.assertGreater(check["tokens_per_epoch"]["all"], run["tokens_per_epoch"]["all"])

    def test_report_in_terminal_and_html(self):
        output, _ = attune("data", "check", "talk.jsonl", "--model", "base/model", "--html", "check.html")
        for word in ("length     median ", "an epoch", "steps ", "max_length", "language"):
            self.assertIn(word, output)
        page = Path("check.html").read_text()
        self.assertIn("What is trained on", page)
        self.assertNotRegex(page, r"(src|href)=")

    def test_a_row(self):
        plain, _ = attune("data", "check", "talk.jsonl", "--model", "base/model", "--row", "2")
        answer = toy.json_lines("talk.jsonl")[1]["messages"][1]["content"]
        self.assertIn("«" + answer, plain)
        colored, _ = attune("data", "check", "talk.jsonl", "--model", "base/model", "--row", "2", "--color", "always")
        self.assertIn("\033[32m", colored)
        self.assertEqual(attune("data", "check", "talk.jsonl", "--model", "base/model", "--row", "41", status=2)[1],
                         "attune: [--row] expected 1 to 40, got 41\n")

    def test_errors_name_their_rows(self):
        good = Path("talk.jsonl").read_text().splitlines()[0]
        Path("bad.jsonl").write_text(good + '\n{"messages":[{"role":"assistant","content":"x"}]}\n' + good.replace("the", " ") + "\n")
        output, error = attune("data", "check", "bad.jsonl", "--model", "base/model", status=2)
        self.assertIn("ERROR      1 conversation: not a conversation", output)
        self.assertIn("bad.jsonl:2: message 1] expected the user to speak first", output)
        self.assertEqual(error, "attune: [bad.jsonl] training refuses 1 conversation; correct or remove what is listed above\n")

    def test_a_cached_run_is_the_same_run(self):
        for name, cache in (("plain", "none"), ("writes", "cache"), ("maps", "cache")):
            Path(f"{name}.yaml").write_text(RECIPE.format(output=name, cache=cache))
            attune("train", f"{name}.yaml")
        adapters = [Path(name, "adapter/adapter_model.safetensors").read_bytes() for name in ("plain", "writes", "maps")]
        self.assertEqual(adapters[0], adapters[1])
        self.assertEqual(adapters[0], adapters[2])
        self.assertEqual(len(list(Path("cache").iterdir())), 1)
        shutil.rmtree("plain")
        shutil.rmtree("cache")
        attune("train", "writes.yaml", "--set", "output=plain", "--no-cache")
        self.assertFalse(Path("cache").exists())


if __name__ == "__main__":
    PROGRAM = str(Path(sys.argv[1]).resolve())
    unittest.main(argv=sys.argv[:1], verbosity=2)
