#!/usr/bin/env python3
"""Makes ggml/golden.safetensors: the same values in ggml's block formats, and what they decode to.

    make_ggml.py        (needs gguf, numpy, safetensors and llama-cpp-python, which brings libggml)

Codes come from libggml's ggml_quantize_chunk, decoded values from the gguf package's own arithmetic; where that package
encodes too (q8_0, q4_0, q5_0), both must agree.
"""
import ctypes
from pathlib import Path

import gguf
import llama_cpp
import numpy as np
from safetensors.numpy import save_file

HERE = Path(__file__).resolve().parent
ROWS, COLUMNS = 12, 512
TYPES = {"q8_0": gguf.GGMLQuantizationType.Q8_0, "q4_0": gguf.GGMLQuantizationType.Q4_0,
         "q5_0": gguf.GGMLQuantizationType.Q5_0, "q4_k": gguf.GGMLQuantizationType.Q4_K,
         "q5_k": gguf.GGMLQuantizationType.Q5_K, "q6_k": gguf.GGMLQuantizationType.Q6_K}


def source():
    rng = np.random.default_rng(5)
    x = rng.normal(0, 0.03, (ROWS, COLUMNS))
    x[1] = rng.uniform(-1, 1, COLUMNS)             # another distribution
    x[2, ::17] *= 30                               # outliers
    x[3, 32:96] = 0                                # whole sub-blocks of zeros
    x[4] = np.abs(x[4])                            # no negative value
    x[5] = -np.abs(x[5])
    x[6] = np.round(x[6] * 100) / 100              # many ties
    x[7] *= 1e-6                                   # scales that are subnormal in 16 bits
    x[8] = 0.25                                    # constant
    x[9, :256] = 0                                 # a super-block of zeros
    x[10] *= 1000
    return x.astype(np.float32)


def encode(ggml, kind, x):
    block, size = gguf.GGML_QUANT_SIZES[kind]
    out = np.zeros((ROWS, COLUMNS // block * size), np.uint8)
    ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
    ggml.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64,
                                         ctypes.c_int64, ctypes.c_void_p]
    ggml.ggml_quantize_chunk(int(kind), x.ctypes.data, out.ctypes.data, 0, ROWS, COLUMNS, None)
    return out


def main():
    ggml = ctypes.CDLL(str(Path(llama_cpp.__file__).parent / "lib/libggml-base.so"))
    x = source()
    tensors = {"source": x}
    for name, kind in TYPES.items():
        blocks = encode(ggml, kind, x)
        try:
            theirs = gguf.quants.quantize(x, kind).reshape(ROWS, -1)
            assert np.array_equal(theirs, blocks), f"{name}: the gguf package and libggml differ"
        except NotImplementedError:
            pass
        tensors[name + ".blocks"] = blocks
        tensors[name + ".values"] = gguf.quants.dequantize(blocks, kind).astype(np.float32)
        error = np.sqrt(((tensors[name + ".values"][0] - x[0]) ** 2).mean() / (x[0] ** 2).mean())
        print(f"{name}: relative error on the normal row {error:.4f}")
    (HERE / "ggml").mkdir(exist_ok=True)
    save_file(tensors, HERE / "ggml/golden.safetensors")


if __name__ == "__main__":
    main()
