#!/usr/bin/env python3
"""Runs the commands of README.md and compares what they print with what it shows.

    readme_test.py PROGRAM

In README's ```console blocks a line "$ command" is followed by the lines it must print on standard output. `…` in such
a line stands for any text, and a line that is only `…` for any number of lines (numbers that depend on the machine).
The commands run in order in an empty folder that holds what README's reader has: assets/, examples/, and `attune`.
"""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 240  # for one command


def commands(readme):
    """[(command, [expected line])] of all console blocks, in order."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```$", readme, re.S | re.M):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def pattern(lines):
    """A regular expression for the whole output."""
    parts = []
    for line in lines:
        if line.strip() == "…":
            parts.append(r"(?:[^\n]*\n)*?")
        else:
            parts.append(".*".join(re.escape(part) for part in line.rstrip().split("…")) + r"[ ]*\n")
    return re.compile("".join(parts))


def first_difference(lines, output):
    """The first expected line that the output cannot match, found by growing the pattern."""
    for count in range(1, len(lines) + 1):
        if not pattern(lines[:count] + ["…"]).fullmatch(output):
            return lines[count - 1]
    return "(the end of the output)"


def main():
    program = Path(sys.argv[1]).resolve()
    steps = commands((ROOT / "README.md").read_text())
    if len(steps) < 5:
        sys.exit(f"README.md shows {len(steps)} commands in console blocks; from export to chat there are five")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("assets", "examples"):
            (Path(folder) / name).symlink_to(ROOT / name)
        (Path(folder) / "bin").mkdir()
        (Path(folder) / "bin/attune").symlink_to(program)
        environment = {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}"}
        for command, expected in steps:
            done = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True,
                                  timeout=SECONDS, stdin=subprocess.DEVNULL)
            print(f"$ {command}\n{done.stdout}", end="", flush=True)
            if done.returncode != 0:
                sys.exit(f"exit status {done.returncode}: {done.stderr}")
            if not pattern(expected).fullmatch(done.stdout):
                sys.exit(f"README.md shows something else, first this line:\n{first_difference(expected, done.stdout)}")


if __name__ == "__main__":
    main()
