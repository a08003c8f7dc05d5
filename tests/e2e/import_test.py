#!/usr/bin/env python3
"""`attune import` of several kinds of exports at once, and what it refuses.

    import_test.py PROGRAM

The importers' own rules have their tests beside them; here the command is held to them: one time line of several paths,
--alias and --me for all of them, the ledger, and for bad input one line, status 2 and nothing left behind.
"""
import json
import os
import sqlite3
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

import toy

PROGRAM = None


def mangled(text):
    """Text as Meta exports it: every byte of the UTF-8 as a character."""
    return text.encode().decode("latin-1")


def telegram(path, messages):
    rows = [{"id": i, "type": "message", "date": date, "from": sender, "text": text} for i, (date, sender, text) in enumerate(messages)]
    Path(path).write_text(json.dumps({"name": "x", "type": "personal_chat", "id": 1, "messages": rows}, indent=1))


class Import(unittest.TestCase):
    def setUp(self):
        self.before = os.getcwd()
        self.folder = tempfile.TemporaryDirectory()
        os.chdir(self.folder.name)

    def tearDown(self):
        os.chdir(self.before)
        self.folder.cleanup()

    def run_import(self, *arguments):
        output, _ = toy.attune(PROGRAM, "import", *arguments, "-o", "out", "--valid-share", "0", "--json")
        rows = [json.loads(line)["messages"] for line in Path("out/train.jsonl").read_text().splitlines()]
        return json.loads(output), [[m["content"] for m in row] for row in rows]

    def refused(self, message, *arguments):
        before = sorted(str(p) for p in Path(".").rglob("*"))
        _, error = toy.attune(PROGRAM, "import", *arguments, "-o", "out", status=2)
        self.assertEqual(error.count("\n"), 1, error)
        self.assertIn(message, error)
        self.assertEqual(sorted(str(p) for p in Path(".").rglob("*")), before, "something was left behind")

    def test_one_time_line_of_many_programs(self):
        Path("chat.txt").write_text("31/12/2023, 21:41 - Kati: whatsapp question\n31/12/2023, 21:42 - Gergő Nagy: whatsapp answer\n")
        telegram("result.json", [("2020-01-15T10:30:00", "Kati", "telegram question"), ("2020-01-15T10:31:00", "gergo", "telegram answer")])
        with zipfile.ZipFile("facebook.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("messages/inbox/kati_1/message_1.json", json.dumps({
                "participants": [{"name": mangled("Kovács Kati")}],
                "messages": [{"sender_name": mangled("Gergő Nagy"), "timestamp_ms": 1500000060000, "content": mangled("messengerből jó válasz")},
                             {"sender_name": mangled("Kovács Kati"), "timestamp_ms": 1500000000000, "content": mangled("messenger kérdés")}]}))
        database = sqlite3.connect("chat.db")
        database.executescript(
            "CREATE TABLE message (ROWID INTEGER PRIMARY KEY, text TEXT, handle_id INTEGER, date INTEGER, is_from_me INTEGER);"
            "CREATE TABLE handle (ROWID INTEGER PRIMARY KEY, id TEXT); CREATE TABLE chat (ROWID INTEGER PRIMARY KEY, chat_identifier TEXT);"
            "CREATE TABLE chat_message_join (chat_id INTEGER, message_id INTEGER); INSERT INTO handle VALUES (1, '+36301234567');"
            "INSERT INTO chat VALUES (1, '+36301234567'); INSERT INTO message VALUES (1,'imessage question',1,700000000,0),(2,'imessage answer',1,700000060,1);"
            "INSERT INTO chat_message_join VALUES (1,1),(1,2);")
        database.close()
        Path("rows.jsonl").write_text(json.dumps({"instruction": "ready question", "input": "", "output": "ready answer"}) + "\n")
        ledger, rows = self.run_import("chat.txt", "result.json", "facebook.zip", "chat.db", "rows.jsonl", "--me", "Gergő Nagy",
                                       "--alias", "gergo=Gergő Nagy", "--alias", "Kati=Kovács Kati", "--alias", "+36301234567=Kovács Kati")
        self.assertEqual(rows, [["ready question", "ready answer"], ["messenger kérdés", "messengerből jó válasz"],
                                ["telegram question", "telegram answer"], ["imessage question", "imessage answer"],
                                ["whatsapp question", "whatsapp answer"]])
        self.assertEqual(ledger["senders"], {"Gergő Nagy": 4, "Kovács Kati": 4})
        self.assertEqual([c["format"] for c in ledger["chats"] if c["format"] != "conversations"],
                         ["WhatsApp (Android)", "Telegram", "Messenger", "iMessage"])
        self.assertEqual((ledger["lines"], ledger["records"], ledger["rows"]), (2, 7, 1))

    def test_rows_need_no_me(self):
        Path("rows.jsonl").write_text(json.dumps({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}) + "\n")
        _, rows = self.run_import("rows.jsonl")
        self.assertEqual(rows, [["a", "b"]])

    def test_table_with_named_columns(self):
        Path("t.csv").write_text("When;Who;What\n2024-01-15 10:30;Anna;hi\n2024-01-15 10:31;Bob;ho\n")
        _, rows = self.run_import("t.csv", "--from", "table", "--columns", "time=When,sender=Who,text=What", "--me", "Bob")
        self.assertEqual(rows, [["hi", "ho"]])

    def test_bad_input(self):
        telegram("result.json", [("2020-01-15T10:30:00", "Kati", "a"), ("2020-02-31T10:31:00", "gergo", "b")])
        self.refused('[result.json:19, record 2] expected a date, got "2020-02-31T10:31:00"', "result.json", "--me", "gergo")
        Path("cut.json").write_text(Path("result.json").read_text()[:200])
        self.refused("it is cut off", "cut.json", "--me", "gergo")
        Path("chat.txt").write_text("31/12/2023, 21:41 - Kati: a\n31/12/2023, 21:42 - Pete: b\n")
        self.refused('[--alias] nobody is called "Kate" in the chats; did you mean Kati?', "chat.txt", "--me", "Pete", "--alias", "Kate=K")
        self.refused('[--alias] expected "Old name=Name", got "Kate"', "chat.txt", "--me", "Pete", "--alias", "Kate")
        self.refused("[--me] expected the name", "chat.txt")
        with zipfile.ZipFile("evil.zip", "w") as archive:
            archive.writestr("../../evil.txt", "31/12/2023, 21:41 - Kati: a\n")
        self.refused('[evil.zip] the archive has an entry "../../evil.txt" that would lie outside it', "evil.zip", "--me", "Kati")
        with zipfile.ZipFile("bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("_chat.txt", b"31/12/2023, 21:41 - Kati: a\n" + b"y" * 300_000_000)
        self.refused("[bomb.zip] entry _chat.txt unpacks to more than 300 times the size", "bomb.zip", "--me", "Kati")
        Path("latin.txt").write_bytes("31/12/2023, 21:41 - Kati: árvíz\n".encode("latin-1"))
        self.refused("[latin.txt:1] not UTF-8 but an older encoding such as Latin-1", "latin.txt", "--me", "Kati")
        Path("two").mkdir()
        os.rename("chat.txt", "two/chat.txt")
        os.rename("cut.json", "two/result.json")
        self.refused("[two/result.json] a file of another type (telegram) beside chat.txt (whatsapp)", "two", "--me", "Kati")

    def test_eighty_thousand_messages(self):
        with open("big.txt", "w") as file:
            for i in range(80_000):
                file.write(f"2023. {i // 8000 + 1:02}. {i // 320 % 25 + 1:02}. {i // 20 % 16 + 8}:{i % 20:02} - "
                           f"{'Kati' if i % 3 else 'Gergő'}: ez a {i}. üzenet, őszintén 😂\n")
        ledger, rows = self.run_import("big.txt", "--me", "Kati")
        self.assertEqual((ledger["lines"], ledger["messages"]), (80_000, 80_000))
        self.assertGreater(len(rows), 1_000)

    def test_a_line_of_a_gigabyte(self):
        with open("long.txt", "wb") as file:  # a sparse file: zeros are characters too
            file.write(b"31/12/2023, 21:41 - Kati: a\n31/12/2023, 21:42 - Kati: ")
            file.truncate(1_000_000_000)
        self.refused("[long.txt:2] a line of 999999972 bytes", "long.txt", "--me", "Kati")

    def test_a_text_that_nobody_writes(self):
        """Every importer refuses a message of 20 MB where it finds it, before anything is made of it."""
        long = "x" * 20_000_000
        too_long = "a text of more than 16 MB; no person writes one"
        meta = {"participants": [{"name": "A"}, {"name": "B"}],
                "messages": [{"sender_name": "A", "timestamp_ms": 1700000000000, "content": long}]}
        ready = {"messages": [{"role": "user", "content": long}, {"role": "assistant", "content": "b"}]}
        envelope = {"source": "+1", "sourceName": "A", "timestamp": 1700000000000,
                    "dataMessage": {"timestamp": 1700000000000, "message": long}}
        table = [  # file, its text, what is said
            ("result.json", json.dumps({"name": "x", "type": "personal_chat", "id": 1, "messages": [
                {"id": 1, "type": "message", "date": "2020-01-15T10:30:00", "from": "A", "text": long}]}),
             f"[result.json:1, record 1] {too_long}"),
            ("discord.json", json.dumps({"guild": {"id": "1"}, "channel": {"id": "2"}, "messages": [
                {"id": "1", "type": "Default", "timestamp": "2024-01-15T10:30:00+00:00", "content": long, "author": {"name": "A"}}]}),
             f"[discord.json:1, record 1] {too_long}"),
            ("discord.csv", f"AuthorID,Author,Date,Content,Attachments,Reactions\n1,A,2024-01-15T10:30:00,{long},,\n",
             f"[discord.csv:2] {too_long}"),
            ("slack.json", json.dumps([{"type": "message", "user": "U1", "ts": "1700000000.000100", "text": long}]),
             f"[slack.json:1, record 1] {too_long}"),
            ("instagram.json", json.dumps({**meta, "thread_path": "inbox/a_1", "magic_words": []}),
             f"[instagram.json:1, record 1] {too_long}"),
            ("message_1.json", json.dumps(meta), f"[message_1.json:1, record 1] {too_long}"),
            ("signal.jsonl", json.dumps({"envelope": envelope, "account": "+2"}) + "\n", f"[signal.jsonl:1, record 1] {too_long}"),
            ("daemon.jsonl", json.dumps({"jsonrpc": "2.0", "method": "receive", "params": {"envelope": envelope}}) + "\n",
             f"[daemon.jsonl:1, record 1] {too_long}"),
            ("received.txt", f"Envelope from: “A” +1 (device: 1)\nTimestamp: 1700000000000 (x)\nBody: {long}\n",
             "[received.txt:3] a line of 20000006 bytes"),
            ("chat.md", f"[2022-05-01 12:00:00] A: {long}\n", "[chat.md:1] a line of 20000025 bytes"),
            ("sms.xml", '<?xml version="1.0"?>\n<smses count="1">\n'
             f'<sms address="+1" date="1700000000000" type="1" body="{long}"/>\n</smses>\n', f"[sms.xml:3] {too_long}"),
            ("1.eml", f"From: A <a@b.c>\nTo: d@b.c\nSubject: x\nDate: Mon, 15 Jan 2024 10:30:00 +0100\n\n{long}\n",
             f"[1.eml:1] record 1: {too_long}"),
            ("irc.log", f"[10:30] <a> b\n[10:31] <a> {long}\n",
             "[irc.log:2] a line of 20000012 bytes; IRC has none longer than 512"),
            ("chat.txt", f"31/12/2023, 21:41 - Kati: {long}\n",
             "[chat.txt:1] a line of 20000026 bytes; a chat has none longer than 16777216"),
            ("rows.jsonl", json.dumps(ready) + "\n", "[rows.jsonl:1] a row of more than 16 MB; no model reads one"),
            ("rows.json", json.dumps([ready]), "[rows.json: row 1] a row of more than 16 MB; no model reads one"),
            ("table.csv", f"time,sender,text\n2024-01-15 10:30,A,{long}\n", f"[table.csv:2] {too_long}"),
            ("quoted.csv", f'time,sender,text\n2024-01-15 10:30,A,"{long}', f"[quoted.csv:2] {too_long}"),
            ("table.jsonl", json.dumps({"time": "2024-01-15 10:30", "sender": "A", "text": long}) + "\n",
             f"[table.jsonl:1, record 1] {too_long}"),
        ]
        for name, text, message in table:
            with self.subTest(name):
                Path(name).write_text(text)
                self.refused(f"attune: {message}\n", name, "--me", "A")
                os.remove(name)
        database = sqlite3.connect("chat.db")
        database.executescript(
            "CREATE TABLE message (ROWID INTEGER PRIMARY KEY, text TEXT, handle_id INTEGER, date INTEGER, is_from_me INTEGER);"
            "CREATE TABLE handle (ROWID INTEGER PRIMARY KEY, id TEXT); CREATE TABLE chat (ROWID INTEGER PRIMARY KEY, chat_identifier TEXT);"
            "CREATE TABLE chat_message_join (chat_id INTEGER, message_id INTEGER); INSERT INTO handle VALUES (1, '+36301234567');"
            "INSERT INTO chat VALUES (1, '+36301234567'); INSERT INTO chat_message_join VALUES (1,1);")
        database.execute("INSERT INTO message VALUES (1,?,1,700000000,0)", (long,))
        database.commit()
        database.close()
        self.refused(f"attune: [chat.db: message 1] {too_long}\n", "chat.db", "--me", "A")

    def test_a_value_of_a_gigabyte(self):
        for name, begin in [("result.json", '{"name":"x","type":"personal_chat","messages":[{"date":"2020-01-15T10:30:00","from":"A","text":"'),
                            ("table.csv", 'time,sender,text\n2024-01-15 10:30,A,"')]:
            with open(name, "wb") as file:
                file.write(begin.encode())
                file.truncate(1_000_000_000)
            self.refused("a text of more than 16 MB; no person writes one", name, "--me", "A")
            os.remove(name)


if __name__ == "__main__":
    PROGRAM = str(Path(sys.argv[1]).resolve())
    unittest.main(argv=sys.argv[:1], verbosity=2)
