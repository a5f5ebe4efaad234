"""Calls of a single product that lie about lengths, shapes or formats end in an error, never in a fault."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.backend.last_error import INVALID, message
from tzcore import trits
from tzcore.backend import native

ffi, lib = native.library()


class Call:
    """A correct ``tz_matmul`` call whose parts can be spoiled one by one."""

    def __init__(self) -> None:
        fmt = trits.format_named("t2")
        self.codes = np.zeros((2, trits.tile_bytes(fmt, 128)), np.uint8)
        self.scales = np.zeros((2, 1, 16), np.uint16)
        self.signs = np.ones(128, np.int8)
        self.x, self.out = np.zeros((3, 128), np.float32), np.zeros((3, 32), np.float32)
        self.pool = native.Pool(1)
        self.matrix = ffi.new("TzMatrix *")
        m = self.matrix
        m.codes, m.codes_length = ffi.cast("uint8_t *", self.codes.ctypes.data), self.codes.nbytes
        m.scales, m.scales_length = ffi.cast("uint16_t *", self.scales.ctypes.data), self.scales.size
        m.signs, m.signs_length, m.block = ffi.cast("int8_t *", self.signs.ctypes.data), 128, 64
        m.rows, m.cols, m.format, m.group, m.gain = 32, 128, 4, 128, 1.0
        self.bias = ffi.new("TzVector *")
        self.arguments: dict[str, Any] = {
            "pool": self.pool.handle,
            "variant": ffi.NULL,
            "matrix": self.matrix,
            "bias": self.bias[0],
            "x": ffi.cast("float *", self.x.ctypes.data),
            "x_length": self.x.size,
            "out": ffi.cast("float *", self.out.ctypes.data),
            "out_length": self.out.size,
            "tokens": 3,
            "per_token": 0,
            "repeats": 1,
        }

    def run(self) -> int:
        return int(lib.tz_matmul(*self.arguments.values()))


def test_the_call_itself_is_correct() -> None:
    assert Call().run() == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("codes", ffi.NULL),
        ("codes_length", 0),
        ("codes_length", 1023),
        ("codes_length", 2**63),
        ("scales", ffi.NULL),
        ("scales_length", 31),
        ("scales_length", 2**62),
        ("signs", ffi.NULL),
        ("signs_length", 127),
        ("block", 0),
        ("block", 1),
        ("block", 3),
        ("block", 256),
        ("block", 2**31),
        ("rows", 0),
        ("rows", 33),
        ("rows", 2**32 - 1),
        ("cols", 0),
        ("cols", 129),
        ("cols", 2**32 - 1),
        ("format", 0),
        ("format", 9),
        ("format", 8),
        ("format", 2**32 - 1),
        ("group", 0),
        ("group", 32),
        ("group", 64),
        ("group", 2**32 - 1),
        ("gain", 0.0),
        ("gain", -1.0),
        ("gain", float("nan")),
        ("gain", float("inf")),
    ],
)
def test_spoiled_matrix(field: str, value: Any) -> None:
    call = Call()
    setattr(call.matrix, field, value)
    assert call.run() == INVALID
    assert message()


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("pool", ffi.NULL),
        ("matrix", ffi.NULL),
        ("x", ffi.NULL),
        ("x_length", 383),
        ("out", ffi.NULL),
        ("out_length", 97),
        ("tokens", 0),
        ("tokens", 4),
        ("tokens", 2**64 - 1),
        ("per_token", 2),
    ],
)
def test_spoiled_arguments(argument: str, value: Any) -> None:
    call = Call()
    call.arguments[argument] = value
    assert call.run() == INVALID


def test_signs_that_are_no_signs() -> None:
    call = Call()
    call.signs[5] = 2
    assert call.run() == INVALID
    assert "sign" in message()
