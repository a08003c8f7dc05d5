#!/usr/bin/env python3
"""Is every C++ file as clang-format-14 writes it? What `./dev format` does, looked at only."""
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FORMATTER = "clang-format-14"  # other versions break some lines elsewhere

if not shutil.which(FORMATTER):
    print(f"SKIP: {FORMATTER} is not installed")
    sys.exit(77)
files = [path for folder in ("src", "tests", "bench") for kind in ("*.h", "*.cc") for path in (ROOT / folder).rglob(kind)]
found = subprocess.run([FORMATTER, "--dry-run", *files], stderr=subprocess.PIPE, text=True, check=True).stderr
if found:
    print(found, "run ./dev format", sep="\n")
    sys.exit(1)
