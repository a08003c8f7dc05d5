#!/usr/bin/env python3
"""Do the documents tell the truth about the tree? Every path they name must exist, and the dependency list in
docs/ARCHITECTURE.md must be the one in cmake/layers.txt.
"""
import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ["README.md", "docs/ARCHITECTURE.md"]
# A path in running text, in a table, in a code block or as the target of a link.
FOLDERS = "src|tests|docs|assets|examples|cmake|bench|\\.ci"
IN_TREE = re.compile(rf"(?<![\w/.-])((?:{FOLDERS})/[\w./-]*)")
AT_ROOT = re.compile(r"`((?:\./)?(?:dev|LICENSE|CMakeLists\.txt|CMakePresets\.json|[\w-]+\.md))\b[^`]*`")
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)[^)]*\)")


class DocumentsTest(unittest.TestCase):
    def test_every_path_that_a_document_names_exists(self):
        for document in DOCUMENTS:
            text = (ROOT / document).read_text()
            paths = {(ROOT, path.rstrip(".")) for pattern in (IN_TREE, AT_ROOT) for path in pattern.findall(text)}
            paths |= {((ROOT / document).parent, path) for path in LINK.findall(text)}
            self.assertGreater(len(paths), 5, document)
            missing = sorted(path for folder, path in paths if not (folder / path).exists())
            self.assertEqual(missing, [], f"{document} names what is not there")

    def test_every_folder_of_the_program_is_in_both(self):
        folders = {f"src/{path.name}/" for path in (ROOT / "src").iterdir() if path.is_dir()}
        for document in DOCUMENTS:
            text = (ROOT / document).read_text()
            self.assertEqual({folder for folder in folders if folder not in text}, set(), document)

    def test_the_architecture_shows_the_rule_that_is_checked(self):
        rule = [line for line in (ROOT / "cmake/layers.txt").read_text().splitlines() if not line.startswith("#")]
        shown = re.search(r"## Who may include whom.*?```\n(.*?)```", (ROOT / "docs/ARCHITECTURE.md").read_text(), re.S)
        self.assertEqual(shown.group(1).splitlines(), rule)


if __name__ == "__main__":
    unittest.main()
