#!/usr/bin/env python3
"""How long `attune import` takes and how much memory it holds, from 80,000 to millions of messages.

    bench/import_scale.py build/release/attune [--messages 80000 10000000] [--formats whatsapp telegram]

The chats are made from the shared logs (../shared/data): the lines of the Ubuntu IRC logs and of Hungarian novels'
dialogues, repeated and varied, by two people 20 seconds apart with a night after every 600 messages. Each message is the
first half of one line, the second half of another and its number: no two are equal, and no stretch comes again. With
--repeat it is one line and its number, and most stretches come again nearly. Time is that of the processor beside that
of the clock; memory is the peak resident set of the process, as the kernel counts it.
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


def messages(count, repeat):
    pool = texts()
    moment = datetime.datetime(2012, 1, 1, 8, 0)
    for i in range(count):
        moment += datetime.timedelta(seconds=20 if i % 600 else 36000)
        text = pool[i * 7919 % len(pool)]
        if not repeat:
            other = pool[(i * 104729 + i // len(pool) * 31) % len(pool)]
            text = text[:len(text) // 2] + other[len(other) // 2:]
        yield moment, ("Anna", "Gergő")[i // 2 % 2], f"{text} {i}"


def write_whatsapp(path, chat):
    with open(path, "w", encoding="utf-8") as file:
        for moment, sender, text in chat:
            file.write(f"{moment:%Y-%m-%d, %H:%M} - {sender}: {text}\n")


def write_telegram(path, chat):
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"name": "Anna", "type": "personal_chat", "id": 1, "messages": [\n')
        for i, (moment, sender, text) in enumerate(chat):
            row = {"id": i, "type": "message", "date": moment.isoformat(), "date_unixtime": str(int(moment.timestamp())),
                   "from": sender, "from_id": f"user{len(sender)}", "text": text,
                   "text_entities": [{"type": "plain", "text": text}]}
            file.write(("," if i else "") + json.dumps(row, ensure_ascii=False, indent=1) + "\n")
        file.write("]}\n")


def measure(attune, source, output):
    """Seconds of the clock and of the processor, and the peak of memory in MB."""
    begun = time.monotonic()
    child = subprocess.run([attune, "import", source, "--me", "Gergő", "-o", output], capture_output=True, text=True)
    seconds = time.monotonic() - begun
    if child.returncode:
        sys.exit(f"attune import: {child.stderr}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attune")
    parser.add_argument("--messages", type=int, nargs="+", default=[80_000, 1_000_000])
    parser.add_argument("--formats", nargs="+", default=["whatsapp", "telegram"])
    parser.add_argument("--repeat", action="store_true", help="make chats most of which are nearly repeated")
    parser.add_argument("--folder", help="where the chats are made (default: a temporary folder)")
    arguments = parser.parse_args()
    if not SHARED.exists():
        sys.exit(f"import_scale: no {SHARED}")
    folder = pathlib.Path(arguments.folder or tempfile.mkdtemp(prefix="attune-import-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{'format':10}{'messages':>12}{'file MB':>10}{'seconds':>10}{'CPU s':>10}{'peak MB':>10}")
    for form, count in itertools.product(arguments.formats, arguments.messages):
        kind = "repeated" if arguments.repeat else "varied"
        source = folder / f"{form}-{kind}-{count}.{'txt' if form == 'whatsapp' else 'json'}"
        output = folder / "out"
        if not source.exists():
            (write_whatsapp if form == "whatsapp" else write_telegram)(source, messages(count, arguments.repeat))
        shutil.rmtree(output, ignore_errors=True)
        read_end, write_end = os.pipe()
        if os.fork() == 0:  # so that the peak is that of this import alone
            os.write(write_end, " ".join(map(str, measure(arguments.attune, str(source), str(output)))).encode())
            os._exit(0)
        os.close(write_end)
        os.wait()
        result = os.read(read_end, 100).split()
        if not result:
            sys.exit(1)
        seconds, processor, peak = map(float, result)
        size = source.stat().st_size / 1e6
        print(f"{form:10}{count:>12,}{size:>10.1f}{seconds:>10.2f}{processor:>10.2f}{peak:>10.1f}", flush=True)
        shutil.rmtree(output, ignore_errors=True)
    if not arguments.folder:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
