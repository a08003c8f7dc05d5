#!/usr/bin/env python3
"""How long `attune import` takes and how much memory it holds, from 80,000 to millions of messages.

    bench/import_scale.py build/release/attune [--messages 80000 10000000] [--formats whatsapp telegram]

The chats are made from the shared logs (../shared/data): the lines of the Ubuntu IRC logs and of Hungarian novels'
dialogues, repeated and varied (each message gets its number, so that no two are equal), by two people a minute apart
with nights between. Memory is the peak resident set of the process, as the kernel counts it.
"""
import argparse
import datetime
import itertools
import json
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time

SHARED = pathlib.Path(__file__).resolve().parent.parent.parent / "shared" / "data"


def texts():
    lines = []
    for path in sorted((SHARED / "dialog_en/ubuntu_irc/train").glob("*.raw.txt"))[:40]:
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            match = re.match(r"\[\d\d:\d\d\] <[^>]+> (.+)", line)
            if match:
                lines.append(match.group(1))
    with open(SHARED / "hungarian/eltec_hun_dialogue_runs.jsonl", encoding="utf-8") as file:
        for row in itertools.islice(file, 8000):
            lines += [turn.strip().replace("\n", " ") for turn in re.findall(r'"(?:text|content|value)": ?"([^"\\]+)"', row)]
    return [line for line in lines if line]


def messages(count):
    pool = texts()
    moment = datetime.datetime(2012, 1, 1, 8, 0)
    for i in range(count):
        moment += datetime.timedelta(seconds=20 if i % 60 else 36000)
        yield moment, ("Anna", "Gergő")[i // 2 % 2], f"{pool[i * 7919 % len(pool)]} {i}"


def write_whatsapp(path, count):
    with open(path, "w", encoding="utf-8") as file:
        for moment, sender, text in messages(count):
            file.write(f"{moment:%Y-%m-%d, %H:%M} - {sender}: {text}\n")


def write_telegram(path, count):
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"name": "Anna", "type": "personal_chat", "id": 1, "messages": [\n')
        for i, (moment, sender, text) in enumerate(messages(count)):
            row = {"id": i, "type": "message", "date": moment.isoformat(), "date_unixtime": str(int(moment.timestamp())),
                   "from": sender, "from_id": f"user{len(sender)}", "text": text,
                   "text_entities": [{"type": "plain", "text": text}]}
            file.write(("," if i else "") + json.dumps(row, ensure_ascii=False, indent=1) + "\n")
        file.write("]}\n")


def measure(attune, source, output):
    begun = time.monotonic()
    child = subprocess.Popen([attune, "import", source, "--me", "Gergő", "-o", output], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
    _, err = child.communicate()
    seconds = time.monotonic() - begun
    if child.returncode:
        sys.exit(f"attune import: {err}")
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attune")
    parser.add_argument("--messages", type=int, nargs="+", default=[80_000, 1_000_000])
    parser.add_argument("--formats", nargs="+", default=["whatsapp", "telegram"])
    parser.add_argument("--folder", help="where the chats are made (default: a temporary folder)")
    arguments = parser.parse_args()
    if not SHARED.exists():
        sys.exit(f"import_scale: no {SHARED}")
    folder = pathlib.Path(arguments.folder or tempfile.mkdtemp(prefix="attune-import-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{'format':10}{'messages':>12}{'file MB':>10}{'seconds':>10}{'messages/s':>13}{'peak MB':>10}")
    for form, count in itertools.product(arguments.formats, arguments.messages):
        source = folder / f"{form}-{count}.{'txt' if form == 'whatsapp' else 'json'}"
        output = folder / "out"
        if not source.exists():
            (write_whatsapp if form == "whatsapp" else write_telegram)(source, count)
        shutil.rmtree(output, ignore_errors=True)
        read_end, write_end = os.pipe()
        if os.fork() == 0:  # so that the peak is that of this import alone
            seconds = measure(arguments.attune, str(source), str(output))
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
            os.write(write_end, f"{seconds} {peak}".encode())
            os._exit(0)
        os.close(write_end)
        os.wait()
        result = os.read(read_end, 100).split()
        if not result:
            sys.exit(1)
        seconds, peak = map(float, result)
        size = source.stat().st_size / 1e6
        print(f"{form:10}{count:>12,}{size:>10.1f}{seconds:>10.2f}{count / seconds:>13,.0f}{peak:>10.1f}", flush=True)
        shutil.rmtree(output, ignore_errors=True)
    if not arguments.folder:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
