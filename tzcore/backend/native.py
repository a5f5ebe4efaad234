"""The Rust library as Python sees it: handles, structs from NumPy arrays, errors from codes.

One :class:`Pool` of threads, and the single functions of the core (:func:`matmul`,
:func:`hadamard`, :func:`quantise`) that tests and measurements use.  Arrays are passed by
address and are kept alive by the caller, or by the ``keep`` list.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tzcore.checkpoint.reader import StoredMatrix
from tzcore.checkpoint.schema import Activations
from tzcore.errors import BackendError, ContextFullError, RequestError

ABI = 5
VARIANT_VARIABLE = "TZ_CPU_VARIANT"
"""Environment variable that forces a set of kernels (see :func:`variants`)."""

FORMAT_NUMBERS = {"t1": 1, "t1b3": 2, "q2": 3, "t2": 4, "t2b3": 5, "i4": 6, "i8": 7, "f16": 8}

_INVALID, _MEMORY, _CONTEXT_FULL, _TOKEN, _INTERNAL = range(1, 6)
_ERRORS: dict[int, type[Exception]] = {_CONTEXT_FULL: ContextFullError, _TOKEN: RequestError}

Floats = npt.NDArray[np.float32]


@cache
def library() -> tuple[Any, Any]:
    """``(ffi, lib)`` of the compiled library; BackendError where it is missing or of another version."""
    try:
        from tzcore.backend._native import ffi, lib
    except (ImportError, OSError) as error:
        raise BackendError(f"the compiled CPU library cannot be loaded ({error}); install the program again") from error
    version = lib.tz_abi_version()
    if version != ABI:
        raise BackendError(f"the compiled CPU library has version {version}, not {ABI}; install the program again")
    # cffi unloads a library when its object is collected, which at the interpreter's end may be
    # before the handles' destructors and while threads sleep in its code: it is never let go.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(lib))
    return ffi, lib


def _text(fill: Any) -> str:
    ffi, _ = library()
    size = fill(ffi.NULL, 0) + 1
    buffer = ffi.new("uint8_t[]", size)
    fill(buffer, size)
    return bytes(ffi.buffer(buffer)[: size - 1]).decode(errors="replace")


def check(status: int) -> None:
    """Raise the error that a call's status stands for, with the library's message."""
    if status:
        _, lib = library()
        raise _ERRORS.get(status, BackendError)(_text(lib.tz_last_error))


def variants() -> list[str]:
    """Sets of kernels that this processor can run, best first."""
    _, lib = library()
    return _text(lib.tz_variants).split(",")


def variant_argument(variant: str | None) -> Any:
    """A C string for ``variant``, else for the environment's choice, else null for the best."""
    ffi, _ = library()
    name = variant or os.environ.get(VARIANT_VARIABLE)
    return ffi.new("char[]", name.encode()) if name else ffi.NULL


def floats(array: Floats | None, keep: list[Any]) -> Any:
    """A ``TzVector`` of ``array``, absent for None."""
    ffi, _ = library()
    vector = ffi.new("TzVector *")
    if array is not None:
        array = np.ascontiguousarray(array, np.float32)
        vector.data, vector.length = _address("float *", array, keep), array.size
    return vector[0]


def _address(kind: str, array: npt.NDArray[Any], keep: list[Any]) -> Any:
    ffi, _ = library()
    if not array.flags.c_contiguous:
        raise BackendError("a stored tensor is not contiguous")
    keep.append(array)
    return ffi.cast(kind, array.ctypes.data)


def matrix(stored: StoredMatrix, keep: list[Any], start: int = 0, rows: int | None = None) -> Any:
    """A ``TzMatrix`` of ``rows`` rows from ``start`` (a multiple of 16) of a stored matrix, zero-copy."""
    ffi, _ = library()
    entry = stored.entry
    rows = entry.rows if rows is None else rows
    if start % 16 or start < 0 or rows < 1 or start + rows > entry.rows:
        raise BackendError(f"{entry.name} has no rows {start} to {start + rows}, or they do not begin a tile")
    tiles = slice(start // 16, start // 16 + -(-rows // 16))
    result = ffi.new("TzMatrix *")
    codes = stored.codes[tiles]
    result.codes, result.codes_length = _address("uint8_t *", codes, keep), codes.nbytes
    if stored.scales is not None:
        scales = stored.scales[tiles]
        result.scales, result.scales_length = _address("uint16_t *", scales, keep), scales.size
    if entry.transform is not None:
        if stored.signs is None:
            raise BackendError(f"{entry.name} declares a transform but has no signs")
        result.signs, result.signs_length = _address("int8_t *", stored.signs, keep), stored.signs.size
        result.block = entry.transform.block
    result.rows, result.cols = rows, entry.cols
    result.format, result.group, result.gain = FORMAT_NUMBERS[entry.format.name], entry.group, entry.gain
    return result[0]


class Pool:
    """Threads of the library; the caller of a step is one of them.

    ``cpus`` pins thread ``i`` to processor ``cpus[i]``; without it the system places them.
    """

    def __init__(self, threads: int, cpus: Sequence[int] = ()) -> None:
        ffi, lib = library()
        if threads < 1:
            raise BackendError(f"{threads} threads are not possible")
        handle = ffi.new("TzPool **")
        check(lib.tz_pool_new(threads, list(cpus) or ffi.NULL, len(cpus), handle))
        self.threads = threads
        self.handle = ffi.gc(handle[0], lib.tz_pool_free)

    @classmethod
    def of_team(cls, threads: int) -> Pool:
        """Up to ``threads`` threads of the OpenMP runtime in this process, such as torch's, whose threads would spin on
        the cores that ours want; threads of its own where there is none that exports libgomp's functions."""
        ffi, lib = library()
        names = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")
        try:
            process = ctypes.CDLL(None)
            found = [ctypes.cast(getattr(process, name), ctypes.c_void_p).value for name in names]
        except (AttributeError, OSError, TypeError):  # not there; and Windows has no library of everything
            return cls(threads)
        handle = ffi.new("TzPool **")
        check(lib.tz_pool_of_team(threads, *(ffi.cast("void *", address) for address in found), handle))
        made = cls.__new__(cls)
        made.threads, made.handle = threads, ffi.gc(handle[0], lib.tz_pool_free)
        return made

    def close(self) -> None:
        """Stop the threads, once no model uses them any more."""
        ffi, _ = library()
        ffi.release(self.handle)

    def read_bandwidth(self, size: int = 1 << 29, passes: int = 3) -> float:
        """Bytes per second that the threads read together, best of ``passes`` over ``size`` bytes."""
        ffi, lib = library()
        result = ffi.new("double *")
        check(lib.tz_read_bandwidth(self.handle, size, passes, result))
        return float(result[0])


def matmul(
    pool: Pool,
    stored: StoredMatrix,
    x: Floats,
    bias: Floats | None = None,
    variant: str | None = None,
    out: Floats | None = None,
    repeats: int = 1,
    activations: Activations = "group",
) -> Floats:
    """``x`` ``[n, cols]`` times the stored matrix, transform and int8 rounding included: ``[n, rows]``."""
    ffi, lib = library()
    keep: list[Any] = []
    x = np.ascontiguousarray(x, np.float32)
    if x.ndim != 2:
        raise BackendError(f"x has {x.ndim} dimensions, not 2")
    if out is None:
        out = np.empty((len(x), stored.entry.rows), np.float32)
    source, target = _address("float *", x, keep), _address("float *", out, keep)
    struct = ffi.new("TzMatrix *", matrix(stored, keep))
    name = variant_argument(variant)
    status = lib.tz_matmul(
        *(pool.handle, name, struct, floats(bias, keep), source, x.size, target, out.size, len(x)),
        *(activations == "token", repeats),
    )
    check(status)
    return out


def hadamard(x: Floats, block: int, variant: str | None = None) -> Floats:
    """The orthonormal Walsh–Hadamard transform of each run of ``block`` numbers, as a copy."""
    ffi, lib = library()
    result = np.array(x, np.float32, order="C")
    check(lib.tz_hadamard(variant_argument(variant), ffi.cast("float *", result.ctypes.data), result.size, block))
    return result


def quantise(x: Floats, group: int, variant: str | None = None) -> tuple[npt.NDArray[np.int8], Floats]:
    """Int8 codes ``[n]`` and scales ``[groups]`` of a vector, as the kernels round activations.

    The group 0 rounds with one scale ``[1]`` for the whole vector, as a token's.
    """
    ffi, lib = library()
    x = np.ascontiguousarray(x, np.float32)
    codes, scales = np.empty(x.size, np.int8), np.empty(-(-x.size // group) if group else 1, np.float32)
    status = lib.tz_quantise(
        variant_argument(variant),
        ffi.cast("float *", x.ctypes.data),
        x.size,
        group,
        ffi.cast("int8_t *", codes.ctypes.data),
        codes.size,
        ffi.cast("float *", scales.ctypes.data),
        scales.size,
    )
    check(status)
    return codes, scales
