from __future__ import annotations

import struct

import numpy as np
import pytest

from tzcore.backend.cuda.device import Kernel, Module, Parameter, contiguous, parse
from tzcore.errors import BackendError

PTX = """
// a comment with .entry nothing(.param .u64 x)
.version 8.0
.target sm_80
.address_size 64
.visible .entry scale(
	.param .u64 scale_param_0,
	.param .u32 scale_param_1, /* how many */
	.param .f32 scale_param_2,
	.param .u64 .ptr .global .align 16 scale_param_3,
	.param .s8 scale_param_4
)
.maxntid 256, 1, 1
{ ret; }
.visible .entry bare()
{ ret; }
.entry plain { ret; }
.func (.param .b32 out) helper(.param .b64 in) { ret; }
"""


def kernel(name: str = "scale") -> Kernel:
    return Kernel(name, parse(PTX)[name])


def test_parameters_come_from_the_text() -> None:
    found = parse(PTX)
    assert set(found) == {"scale", "bare", "plain"}
    assert [parameter.kind for parameter in found["scale"]] == ["u64", "u32", "f32", "u64", "s8"]
    assert found["scale"][3].name == "scale_param_3"
    assert found["bare"] == found["plain"] == ()


@pytest.mark.parametrize("text", ["", "\x00\x01garbage", "not ptx at all"])
def test_what_is_not_ptx(text: str) -> None:
    with pytest.raises(BackendError, match="damaged"):
        parse(text)


@pytest.mark.parametrize("parameter", [".param .align 8 .b8 p[16]", ".param .v4 p", "p"])
def test_parameters_that_cannot_be_passed(parameter: str) -> None:
    with pytest.raises(BackendError, match="kernel k has a parameter that cannot be passed"):
        parse(f".version 8.0\n.entry k({parameter}) {{ ret; }}")


def test_arguments_are_packed_by_kind_and_aligned() -> None:
    packed = kernel().pack([2**48 + 5, -3, 0.5, np.int64(77), np.int8(-1)])
    assert kernel().offsets == (0, 8, 12, 16, 24)
    assert packed == struct.pack("<QifQb", 2**48 + 5, -3, 0.5, 77, -1)
    assert kernel("bare").pack([]) == b""


def test_numbers_of_either_sign_keep_their_bits() -> None:
    pair = Kernel("pair", (Parameter("a", "u32"), Parameter("b", "s32"), Parameter("c", "u64"), Parameter("d", "b16")))
    assert pair.pack([2**32 - 1, 2**31, -1, -2]) == pair.pack([-1, -(2**31), 2**64 - 1, 2**16 - 2])
    assert pair.pack([-1, 5, 6, 7]) == struct.pack("<iiQH", -1, 5, 6, 7)


def test_an_unaligned_order_is_padded() -> None:
    odd = Kernel("odd", (Parameter("a", "u8"), Parameter("b", "u64"), Parameter("c", "u32"), Parameter("d", "f64")))
    assert odd.offsets == (0, 8, 16, 24)
    assert odd.pack([1, 2, 3, 4.0]) == struct.pack("<B7xQI4xd", 1, 2, 3, 4.0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([1, 2, 0.5, 3], "takes 5 arguments, not 4"),
        ([1, 2, 0.5, 3, 4, 5], "takes 5 arguments, not 6"),
        ([1, 2, 2**25, 3, 4], "argument 3: 33554432 is no float, which f32 needs"),
        ([1.0, 2, 0.5, 3, 4], "argument 1: 1.0 is no whole number, which u64 needs"),
        ([1, 2**32, 0.5, 3, 4], f"argument 2: {2**32} does not fit u32"),
        ([1, 2, 1e39, 3, 4], "argument 3: 1e\\+39 is too large"),
        ([1, 2, 0.5, 3, 256], "argument 5: 256 does not fit s8"),
        ([1, None, 0.5, 3, 4], "argument 2: None is no whole number"),
    ],
)
def test_wrong_arguments(arguments: list[float], said: str) -> None:
    with pytest.raises(BackendError, match=said):
        kernel().pack(arguments)


def test_infinity_and_other_floats_are_floats() -> None:
    kernel().pack([1, 2, float("-inf"), 3, 4])
    kernel().pack([1, 2, float("nan"), 3, 4])
    kernel().pack([1, 2, np.float32(2), np.uint64(3), 4])
    kernel().pack([1, 2, 0, 3, 4])
    assert kernel().pack([1, 2, -1, 3, 4]) == kernel().pack([1, 2, -1.0, 3, 4])


@pytest.mark.parametrize(
    ("grid", "block", "shared"),
    [((0, 1, 1), 32, 0), ((1, 65536, 1), 32, 0), ((1, 1, 1), 0, 0), ((1, 1, 1), 1025, 0), ((1, 1, 1), 32, -1)],
)
def test_impossible_launches(grid: tuple[int, int, int], block: int, shared: int) -> None:
    with pytest.raises(BackendError, match="kernel bare cannot have"):
        kernel("bare").check_shape(grid, block, shared)


def test_an_unknown_kernel_is_named() -> None:
    module = Module({"scale": kernel()})
    assert module.kernel("scale").name == "scale"
    with pytest.raises(BackendError, match="no CUDA kernel called product_few"):
        module.kernel("product_few")


def test_only_whole_arrays_are_copied() -> None:
    whole = np.zeros((4, 4))
    assert contiguous(whole) is whole
    with pytest.raises(BackendError, match="not contiguous"):
        contiguous(whole.T[1:])
    whole.flags.writeable = False
    contiguous(whole)
    with pytest.raises(BackendError, match="not writable"):
        contiguous(whole, writable=True)
