#!/usr/bin/env python3
"""The preset `cuda` configures with NVIDIA's own toolkit, and what it makes of drivers is tested with one of our own.

    cuda_preset_test.py

Runs in .venv (tests/requirements.txt), where the toolkit's compiler and headers come from. No GPU is needed: the whole
program differs from the preset `release` in src/device/ alone, and that is what is built here.
"""
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLKITS = sorted(Path(sysconfig.get_path("purelib")).glob("nvidia/cu*/bin/nvcc"))


def run(*command):
    done = subprocess.run(list(map(str, command)), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout)
    if done.returncode != 0:
        sys.exit(f"{command[0]} ended with status {done.returncode}")


def main():
    if not TOOLKITS:
        print("SKIP: no CUDA toolkit; ./dev test makes .venv from tests/requirements.txt, which holds one")
        sys.exit(77)
    toolkit = TOOLKITS[-1].parents[1]
    runtime = next((toolkit / "lib").glob("libcudart.so*"))  # under a name that CMake does not look for
    with tempfile.TemporaryDirectory() as folder:
        run("cmake", "--preset", "cuda", "-B", folder, "-DATTUNE_TESTS=ON", "-DATTUNE_WERROR=ON",
            f"-DCUDAToolkit_ROOT={toolkit}", f"-DCUDA_CUDART={runtime}")
        for program in "device_test", "no_driver_test":
            run("cmake", "--build", folder, "--target", program)
            run(f"{folder}/bin/{program}")


main()
