#!/usr/bin/env python3
"""Holds the folders of src/ to cmake/layers.txt: who may include whom. Prints one line per violation; exit 1 if any.

    check_layers.py [SOURCE FOLDER]

A wrong include, an include that names no folder, a folder that the list does not know and a name in the list that is
no folder are all violations, so the list stays both obeyed and true. The same goes for DEPENDS in CMakeLists.txt.
"""
import re
import sys
from pathlib import Path

INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]*)"', re.M)
DEPENDS = re.compile(r"^\s*DEPENDS\s+([a-z ]+)", re.M)


def read_layers(text):
    """{folder: set of folders it may see}; '*' sees all folders listed above it."""
    allowed = {}
    for line in text.splitlines():
        line = line.partition("#")[0].strip()
        if line:
            folder, _, names = line.partition(":")
            allowed[folder.strip()] = set(allowed) if names.strip() == "*" else set(names.split())
    return allowed


def violations(root):
    allowed = read_layers((root / "cmake/layers.txt").read_text())
    folders = {path.name for path in (root / "src").iterdir() if path.is_dir() and any(path.iterdir())}
    for folder in sorted(folders - allowed.keys()):
        yield f"src/{folder}: the folder is not in cmake/layers.txt"
    above = set()
    for folder, names in allowed.items():
        if folder not in folders:
            yield f"cmake/layers.txt: there is no folder src/{folder}"
        for name in sorted(names - above):
            yield f"cmake/layers.txt: {folder} may not see {name}, which is not listed above it"
        above.add(folder)
    for path in sorted((root / "src").rglob("*")):
        folder = path.relative_to(root / "src").parts[0]
        if folder not in allowed:
            continue
        if path.name == "CMakeLists.txt":
            seen = [name for names in DEPENDS.findall(path.read_text()) for name in names.split()]
        elif path.suffix in (".h", ".cc"):
            seen = [include.rpartition("/")[0].partition("/")[0] for include in INCLUDE.findall(path.read_text())]
        else:
            continue
        for name in dict.fromkeys(seen):
            if name not in folders:
                yield f'{path.relative_to(root)}: "{name}" is no folder of src (a library is included with <>)'
            elif name != folder and name not in allowed[folder]:
                yield f"{path.relative_to(root)}: {folder} may not see {name}"


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    found = list(violations(root))
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
