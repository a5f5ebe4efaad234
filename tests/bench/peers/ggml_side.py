"""llama.cpp as :mod:`worker` wants it: its kernels through ggml's CPU backend, its models through its own binding."""

from __future__ import annotations

import ctypes
import time
from ctypes import c_bool, c_char_p, c_int, c_int64, c_size_t, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np

_LIB = Path(llama_cpp.__file__).parent / "lib"


def _library(stem: str) -> Any:
    names = (f"lib{stem}.so", f"lib{stem}.dylib", f"{stem}.dll")
    return ctypes.CDLL(str(next(p for name in names if (p := _LIB / name).exists())), mode=ctypes.RTLD_GLOBAL)


class _InitParams(ctypes.Structure):
    _fields_ = (("size", c_size_t), ("buffer", c_void_p), ("no_alloc", c_bool))


_F32 = 0


@cache
def _libraries() -> tuple[Any, Any]:
    base, cpu = _library("ggml-base"), _library("ggml-cpu")
    for function, result, arguments in (
        (base.ggml_init, c_void_p, [_InitParams]),
        (base.ggml_new_tensor_2d, c_void_p, [c_void_p, c_int, c_int64, c_int64]),
        (base.ggml_mul_mat, c_void_p, [c_void_p, c_void_p, c_void_p]),
        (base.ggml_new_graph_custom, c_void_p, [c_void_p, c_size_t, c_bool]),
        (base.ggml_build_forward_expand, None, [c_void_p, c_void_p]),
        (base.ggml_backend_alloc_ctx_tensors, c_void_p, [c_void_p, c_void_p]),
        (base.ggml_backend_tensor_set, None, [c_void_p, c_void_p, c_size_t, c_size_t]),
        (base.ggml_backend_graph_compute, c_int, [c_void_p, c_void_p]),
        (base.ggml_nbytes, c_size_t, [c_void_p]),
        (base.ggml_type_name, c_char_p, [c_int]),
        (cpu.ggml_backend_cpu_init, c_void_p, []),
        (cpu.ggml_backend_cpu_set_n_threads, None, [c_void_p, c_int]),
    ):
        function.restype, function.argtypes = result, arguments
    return base, cpu


@cache
def _graph(rows: int, cols: int, kind: str, tokens: int, least: int) -> tuple[Any, Any, int, int]:
    """Backend and graph of as many products as read ``least`` bytes of weights; their number and the bytes of one."""
    base, cpu = _libraries()
    names = {(base.ggml_type_name(n) or b"").decode().upper(): n for n in range(llama_cpp.GGML_TYPE_COUNT)}
    context = base.ggml_init(_InitParams(16 << 20, None, True))
    graph = base.ggml_new_graph_custom(context, 4096, False)
    x = base.ggml_new_tensor_2d(context, _F32, cols, tokens)
    weights = [base.ggml_new_tensor_2d(context, names[kind], cols, rows)]
    size = base.ggml_nbytes(weights[0])
    while len(weights) * size < least:
        weights.append(base.ggml_new_tensor_2d(context, names[kind], cols, rows))
    for weight in weights:
        base.ggml_build_forward_expand(graph, base.ggml_mul_mat(context, weight, x))
    backend = cpu.ggml_backend_cpu_init()
    if not base.ggml_backend_alloc_ctx_tensors(context, backend):
        raise SystemExit("no memory for the peer's weights")
    rng = np.random.default_rng(0)
    values = rng.standard_normal((tokens, cols), np.float32)
    base.ggml_backend_tensor_set(x, values.ctypes.data, 0, values.nbytes)
    for weight in weights:
        raw = rng.integers(0, 60, size, np.uint8)  # as halves, scales are small numbers
        base.ggml_backend_tensor_set(weight, raw.ctypes.data, 0, raw.nbytes)
    return backend, graph, len(weights), int(size)


def matmul(rows: int, cols: int, kind: str, tokens: int, threads: int, least: int) -> Any:
    """Seconds and bytes of one product, from one pass over all matrices."""
    base, cpu = _libraries()
    backend, graph, count, size = _graph(rows, cols, kind, tokens, least)
    cpu.ggml_backend_cpu_set_n_threads(backend, threads)
    base.ggml_backend_graph_compute(backend, graph)
    began = time.perf_counter()
    base.ggml_backend_graph_compute(backend, graph)
    return {"seconds": (time.perf_counter() - began) / count, "bytes": size}


@cache
def _model(path: str, threads: int, context: int) -> Any:
    return llama_cpp.Llama(
        path, n_ctx=context, n_threads=threads, n_threads_batch=threads, n_batch=512, n_ubatch=512, verbose=False
    )


def model(path: str, threads: int, prompt: int, tokens: int) -> Any:
    """Seconds of ``prompt`` tokens at once and of one decoded after them."""
    loaded = _model(path, threads, prompt + tokens + 8)
    loaded.reset()
    ids = [1 + i % 1000 for i in range(prompt + tokens)]
    began = time.perf_counter()
    loaded.eval(ids[:prompt])
    middle = time.perf_counter()
    for token in ids[prompt:]:
        loaded.eval([token])
    return {"prefill": middle - began, "decode": (time.perf_counter() - middle) / max(tokens, 1)}


def versions() -> Any:
    """What is measured, and the instruction sets it was built for."""
    return {"version": llama_cpp.__version__, "system": llama_cpp.llama_print_system_info().decode()}
