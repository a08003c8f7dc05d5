#!/usr/bin/env python3
"""Adds up what CTest wrote with --output-junit: names the skipped tests with their reasons and the failed ones, and
ends with one line. Exit 1 when a test failed or none ran.

    summary.py tests.xml...
"""
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter, defaultdict

REASON = re.compile(r"(?:^|\n)(?:SKIP(?:PED)?: *|[^\n]*: Skipped\n)([^\n]+)")


def main():
    counts = Counter()
    skipped, failed = defaultdict(list), []
    for path in sys.argv[1:]:
        for case in ElementTree.parse(path).getroot().iter("testcase"):
            # CTest files a test whose program is missing under "skipped"; only the test itself can ask to be skipped.
            mark = case.find("skipped")
            if case.find("failure") is not None or (mark is not None and not mark.get("message").startswith("SKIP_")):
                counts["failed"] += 1
                failed.append(f"{path}: {case.get('name')}")
            elif mark is not None or case.get("status") == "disabled":
                counts["skipped"] += 1
                reason = REASON.search(case.findtext("system-out") or "")
                skipped[reason.group(1).strip() if reason else "no reason given"].append(case.get("name"))
            else:
                counts["passed"] += 1
    print()
    for reason, names in skipped.items():
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        print(f"skipped: {', '.join(names[:3])}{more}: {reason}")
    for name in failed:
        print(f"FAILED: {name}")
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
