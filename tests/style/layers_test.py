#!/usr/bin/env python3
"""Does cmake/check_layers.py fail when it must? Plants one violation at a time into a copy of src/."""
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHECK = ROOT / "cmake/check_layers.py"


class LayersTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name)
        shutil.copytree(ROOT / "src", self.root / "src")
        (self.root / "cmake").mkdir()
        shutil.copy(ROOT / "cmake/layers.txt", self.root / "cmake")

    def tearDown(self):
        self.folder.cleanup()

    def check(self):
        done = subprocess.run([sys.executable, CHECK, self.root], capture_output=True, text=True)
        return done.returncode, done.stdout.splitlines()

    def append(self, path, text):
        path = self.root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(text)

    def test_the_tree_as_it_is_passes(self):
        self.assertEqual(self.check(), (0, []))

    def test_an_include_of_a_higher_folder_fails(self):
        self.append("src/model/planted.cc", '#include "train/step.h"\n')
        self.assertEqual(self.check(), (1, ['src/model/planted.cc: model may not see train']))

    def test_a_data_folder_that_includes_a_compute_folder_fails(self):
        self.append("src/token/deep/planted.h", '  #  include   "ops/shapes.h"\n')
        self.assertEqual(self.check(), (1, ['src/token/deep/planted.h: token may not see ops']))

    def test_an_include_without_its_folder_fails(self):
        self.append("src/base/planted.cc", '#include "error.h"\n')
        self.assertEqual(self.check(), (1, ['src/base/planted.cc: "" is no folder of src (a library is included with <>)']))

    def test_a_wrong_link_dependency_fails(self):
        self.append("src/base/CMakeLists.txt", "\n  DEPENDS tensor\n")
        self.assertEqual(self.check(), (1, ['src/base/CMakeLists.txt: base may not see tensor']))

    def test_a_folder_that_is_not_listed_fails(self):
        self.append("src/utilities/planted.h", "")
        self.assertEqual(self.check(), (1, ["src/utilities: the folder is not in cmake/layers.txt"]))

    def test_a_name_that_is_no_folder_fails(self):
        self.append("cmake/layers.txt", "nothing: base\n")
        self.assertEqual(self.check(), (1, ["cmake/layers.txt: there is no folder src/nothing"]))

    def test_a_circle_in_the_list_fails(self):
        layers = self.root / "cmake/layers.txt"
        layers.write_text(layers.read_text().replace("\ntensor: base\n", "\ntensor: base quant\n"))
        self.assertEqual(self.check(), (1, ["cmake/layers.txt: tensor may not see quant, which is not listed above it"]))


if __name__ == "__main__":
    unittest.main()
