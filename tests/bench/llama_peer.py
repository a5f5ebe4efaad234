"""llama.cpp's side of the benchmarks, run by ``paired_decode.py``, ``quality_peers.py`` and ``kv_peers.py`` with the
peer's interpreter.

    python llama_peer.py quantise IN.gguf OUT.gguf TQ2_0
    python llama_peer.py bench MODEL.gguf --threads 2 --prompt 512 --tokens 128
    python llama_peer.py roundtrip --threads 2
    python llama_peer.py cache MODEL.gguf --tokens TOKENS.npy --last 1024 --kinds f16 q8_0 q4_0

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


def cache(model: str, tokens: np.ndarray, last: int, kinds: list[str], threads: int) -> None:
    """How far the logits of the ``last`` tokens are from those of the first kind, for each kind of cache, a JSON
    line each.  A kind is a ggml type, or ``KEYS/VALUES``.  Flash attention, which quantised values need, is on for all
    but ``plain``: half precision without it, which shows how far two ways to the same sums are apart.
    """
    exact: np.ndarray | None = None
    for kind in kinds:
        keys, _, values = ("f16" if kind == "plain" else kind).partition("/")
        logits = _last_logits(model, tokens, last, _type(keys), _type(values or keys), threads, kind != "plain")
        if exact is None:
            exact = logits
        divergence, agreed = [], 0
        for at in range(0, last, 128):
            p, q = (_log_softmax(rows[at : at + 128]) for rows in (exact, logits))
            divergence.append((np.exp(p) * (p - q)).sum(1))
            agreed += int((p.argmax(1) == q.argmax(1)).sum())
        found = np.concatenate(divergence)
        row = {"kv": kind, "kl_mean": found.mean(), "kl_p99": np.quantile(found, 0.99), "top1": agreed / last}
        print(json.dumps(row), flush=True)


def _type(name: str) -> int:
    return int(getattr(llama_cpp, f"GGML_TYPE_{name.upper()}"))


def _last_logits(
    model: str, tokens: np.ndarray, last: int, keys: int, values: int, threads: int, flash: bool
) -> np.ndarray:
    llm = llama_cpp.Llama(
        model, n_ctx=-(-len(tokens) // 256) * 256, n_batch=512, n_threads=threads, n_threads_batch=threads,
        flash_attn=flash, type_k=keys, type_v=values, verbose=False,
    )  # fmt: skip
    out = np.empty((last, llm.n_vocab()), np.float32)
    first, at = len(tokens) - last, 0
    while at < len(tokens):
        scored = at >= first
        count = min(128 if scored else 512, (len(tokens) if scored else first) - at)
        llm._batch.set_batch(batch=tokens[at : at + count].tolist(), n_past=at, logits_all=scored)
        llm._ctx.decode(llm._batch)
        if scored:
            rows = np.ctypeslib.as_array(llm._ctx.get_logits(), shape=(count * out.shape[1],))
            out[at - first : at - first + count] = rows.reshape(count, -1)
        at += count
    llm.close()
    return out


def _log_softmax(x: np.ndarray) -> np.ndarray:
    wide = x.astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    return np.asarray(wide - np.log(np.exp(wide).sum(axis=1, keepdims=True)))


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
    held = verbs.add_parser("cache")
    held.add_argument("model")
    held.add_argument("--tokens", required=True)
    held.add_argument("--last", type=int, default=1024)
    held.add_argument("--kinds", nargs="+", required=True)
    held.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    if args.verb == "quantise":
        quantise(args.source, args.target, args.kind)
    elif args.verb == "roundtrip":
        roundtrips(args.threads)
    elif args.verb == "cache":
        cache(args.model, np.load(args.tokens), args.last, args.kinds, args.threads)
    else:
        print(json.dumps(bench(args.model, args.threads, args.prompt, args.tokens)))


if __name__ == "__main__":
    main()
