#!/usr/bin/env python3
"""Dialogues of novels as a chat export, so that they go the way of your own chat.

    dialogues.py DIALOGUES.jsonl [MOST] >chat.txt

A line of the input is {"turns": [{"role": "A" or "B", "text": ...}, ...]}, as in ELTeC-hun's dialogue runs. A becomes
Anna and B Béla, a minute lies between two turns and eight hours between two dialogues, more than the silence that
`attune import` takes for the end of a session.
"""
import datetime
import itertools
import json
import sys

BEGIN = datetime.datetime(2010, 1, 1)
NAMES = {"A": "Anna", "B": "Béla"}


def main():
    most = int(sys.argv[2]) if len(sys.argv) > 2 else None
    sys.stdout.reconfigure(encoding="utf-8")
    with open(sys.argv[1], encoding="utf-8") as file:
        for number, line in enumerate(itertools.islice(file, most)):
            time = BEGIN + number * datetime.timedelta(hours=8)
            for minute, turn in enumerate(json.loads(line)["turns"]):
                at = time + minute * datetime.timedelta(minutes=1)
                print(f"{at:%Y. %m. %d. %H:%M} - {NAMES[turn['role']]}: {' '.join(turn['text'].split())}")


if __name__ == "__main__":
    main()
