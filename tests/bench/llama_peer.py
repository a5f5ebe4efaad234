"""llama.cpp's side of the benchmarks; run by ``paired_decode.py`` and ``quality_peers.py`` with the peer's interpreter.

    python llama_peer.py quantise IN.gguf OUT.gguf TQ2_0
    python llama_peer.py bench MODEL.gguf --threads 2 --prompt 512 --tokens 128
    python llama_peer.py roundtrip --threads 2

The peer is ``llama-cpp-python``, built from its source distribution in an environment of its own;
it is no dependency of this project.  Speed: greedy decoding, flash attention at its default, no logits but
the last, as one JSON line.  ``roundtrip`` answers each JSON line on stdin, an order, with one on stdout.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import llama_cpp
import numpy as np


def quantise(source: str, target: str, kind: str) -> None:
    """Requantise ``source`` as ``LLAMA_FTYPE_MOSTLY_<kind>``."""
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{kind}")
    params.allow_requantize = True
    if llama_cpp.llama_model_quantize(source.encode(), target.encode(), params):
        raise SystemExit(f"cannot quantise {source} as {kind}")


def bench(model: str, threads: int, prompt: int, tokens: int) -> dict[str, float]:
    """Tokens a second of prefill and of decoding after a prompt of ``prompt`` tokens."""
    llm = llama_cpp.Llama(
        model, n_ctx=prompt + tokens + 8, n_threads=threads, n_threads_batch=threads, n_batch=prompt, verbose=False
    )
    text = [1 + i % 1000 for i in range(prompt)]
    llm.eval(text[:16])  # pages in, threads up
    llm.reset()
    start = time.perf_counter()
    llm.eval(text)
    prefill = time.perf_counter() - start
    start = time.perf_counter()
    for _ in range(tokens):
        llm.eval([llm.sample(temp=0.0)])
    return {"prefill_tps": prompt / prefill, "decode_tps": tokens / (time.perf_counter() - start)}


class RowQuantiser:
    """ggml's own quantisation of rows of float32 and its inverse, from the library that llama.cpp uses."""

    def __init__(self) -> None:
        folder = Path(llama_cpp.__file__).parent / "lib"
        path = next(
            p for name in ("libggml-base.so", "libggml-base.dylib", "ggml-base.dll") if (p := folder / name).exists()
        )
        lib = self._lib = ctypes.CDLL(str(path))
        pointer, wide, size, kind = ctypes.c_void_p, ctypes.c_int64, ctypes.c_size_t, ctypes.c_int
        lib.ggml_quantize_chunk.argtypes = [kind, pointer, pointer, wide, wide, wide, pointer]
        lib.ggml_quantize_chunk.restype = size
        lib.ggml_row_size.argtypes, lib.ggml_row_size.restype = [kind, wide], size
        lib.ggml_type_name.argtypes, lib.ggml_type_name.restype = [kind], ctypes.c_char_p
        lib.ggml_quantize_requires_imatrix.argtypes = [kind]
        lib.ggml_quantize_requires_imatrix.restype = ctypes.c_bool
        lib.ggml_quantize_init.argtypes = [kind]

    def _name(self, kind: int) -> str:
        return (self._lib.ggml_type_name(kind) or b"").decode()

    def roundtrip(
        self, weights: np.ndarray, importance: np.ndarray | None, name: str, threads: int
    ) -> tuple[np.ndarray, int]:
        """``weights`` ``[rows, cols]`` float32 as stored in the type ``name``, and the bytes that takes.

        ``cols`` is a multiple of the type's block; ``importance`` ``[cols]`` weighs the errors.
        """
        kind = next(k for k in range(llama_cpp.GGML_TYPE_COUNT) if self._name(k).upper() == name)
        if importance is None and self._lib.ggml_quantize_requires_imatrix(kind):
            raise SystemExit(f"{name} needs an importance matrix")
        self._lib.ggml_quantize_init(kind)
        undo = getattr(self._lib, "dequantize_row_" + self._name(kind))
        undo.argtypes, undo.restype = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64], None
        rows, cols = weights.shape
        row_bytes = int(self._lib.ggml_row_size(kind, cols))
        stored, out = np.zeros((rows, row_bytes), np.uint8), np.empty_like(weights)
        weigh = None if importance is None else importance.ctypes.data
        step = -(-rows // (4 * threads))

        def part(start: int) -> None:
            count = min(step, rows - start)
            self._lib.ggml_quantize_chunk(
                kind, weights.ctypes.data, stored.ctypes.data, start * cols, count, cols, weigh
            )
            undo(stored[start:].ctypes.data, out[start:].ctypes.data, count * cols)

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(part, range(0, rows, step)))
        return out, stored.nbytes


def roundtrips(threads: int) -> None:
    """Serve orders ``{"weights": FILE, "importance": FILE or null, "kind": NAME, "out": FILE}`` until stdin ends."""
    quantiser = RowQuantiser()
    for line in sys.stdin:
        order = json.loads(line)
        weights = np.ascontiguousarray(np.load(order["weights"]), np.float32)
        importance = np.ascontiguousarray(np.load(order["importance"]), np.float32) if order["importance"] else None
        out, stored = quantiser.roundtrip(weights, importance, order["kind"], threads)
        np.save(order["out"], out)
        print(json.dumps({"bytes": stored}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(dest="verb", required=True)
    make = verbs.add_parser("quantise")
    make.add_argument("source")
    make.add_argument("target")
    make.add_argument("kind")
    run = verbs.add_parser("bench")
    run.add_argument("model")
    run.add_argument("--threads", type=int, default=2)
    run.add_argument("--prompt", type=int, default=512)
    run.add_argument("--tokens", type=int, default=128)
    serve = verbs.add_parser("roundtrip")
    serve.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    if args.verb == "quantise":
        quantise(args.source, args.target, args.kind)
    elif args.verb == "roundtrip":
        roundtrips(args.threads)
    else:
        print(json.dumps(bench(args.model, args.threads, args.prompt, args.tokens)))


if __name__ == "__main__":
    main()
