"""mma.sync and ldmatrix, all warps at once.

Fragments are those of the manual (section 9.7.13): with lane = 4·g + c, a register of A holds rows g or g + 8, and
32 / bits neighbouring columns from c on. Integer products are exact. Float products are summed in float64 and rounded
once to the accumulator's type, where a card's order and rounding of sums are not laid down.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.ptx.access import addresses
from tests.ptx.conversions import _from_bfloat
from tests.ptx.operands import Context, Run, read, write
from tests.ptx.registry import exact, instruction
from tests.ptx.scalars import SCALARS, Array, Scalar
from tests.ptx.spaces import SPACES, rows
from tests.ptx.state import WARP, State
from tests.ptx.syntax import Instruction, Operand, Vector
from tests.ptx.warp import by_warp, mine

WORD = SCALARS["u32"]
_SHAPES = {
    "m16n8k32": ("s8", "u8"),
    "m16n8k16": ("s8", "u8", "f16", "bf16"),
    "m16n8k8": ("f16", "bf16", "tf32"),
    "m16n8k4": ("tf32",),
}
_ELEMENTS = {"s8": ("i1", 8), "u8": ("u1", 8), "f16": ("f2", 16), "bf16": ("u2", 16), "tf32": ("f4", 32)}


def _words(operand: Operand, ins: Instruction) -> list[Operand]:
    return list(operand.parts) if isinstance(operand, Vector) else [operand]


@instruction("mma")
def _mma(context: Context, ins: Instruction) -> Run:
    shape = ins.pick(*_SHAPES)
    names = [part for part in ins.parts if part in SCALARS]
    if len(names) != 4 or names[1] not in _SHAPES.get(shape, ()) or not (ins.has("row") and ins.has("col")):
        raise ins.error("unknown shape or types of mma")
    d_type, a_type, b_type, c_type = (SCALARS[name] for name in names)
    inner = int(shape[6:])
    d, a, b, c = (_words(operand, ins) for operand in ins.operands)
    counts = [len(each) for each in (a, b)]
    per_word = 32 // _ELEMENTS[a_type.name][1]
    if counts != [16 * inner // WARP // per_word, 8 * inner // WARP // per_word]:
        raise ins.error("a wrong number of registers")
    fetch_a = _fragment(context, ins, a, a_type, 16, inner)
    fetch_b = _fragment(context, ins, b, b_type, 8, inner)
    sum_, give = _accumulator(context, ins, c, d, c_type, d_type)
    integers = d_type.integer and d_type.name != "b32"
    work = np.float32 if integers else np.float64

    def run(s: State) -> None:
        if s.idx is not None and s.idx.size % WARP:
            raise ins.error("a warp is not whole")
        product = np.matmul(fetch_a(s).astype(work), fetch_b(s).astype(work).swapaxes(1, 2))
        give(s, sum_(s), product)

    return exact(run)


def _fragment(
    context: Context, ins: Instruction, operands: list[Operand], scalar: Scalar, height: int, inner: int
) -> Callable[[State], Array]:
    """[warps, height, inner] elements; B is held as its columns, so that both are read alike."""
    reads = [read(context, ins, operand, WORD) for operand in operands]
    dtype, bits = _ELEMENTS[scalar.name]
    per_word, tall = 32 // bits, height // 8
    wide = len(operands) // tall

    def fetch(s: State) -> Array:
        words = np.stack([_lanes(s, each(s)) for each in reads])  # [wide·tall, warps, 32]
        parts = words.view(dtype).reshape(wide, tall, -1, 8, 4, per_word)
        return _real(parts.transpose(2, 1, 3, 0, 4, 5).reshape(-1, height, inner), scalar)

    return fetch


def _real(values: Array, scalar: Scalar) -> Array:
    if scalar.name == "bf16":
        return _from_bfloat(values)
    if scalar.name == "tf32":
        return (values.view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)
    return values


def _lanes(s: State, value: Array) -> Array:
    """[warps that run, 32] of a value of the running lanes (whole warps)."""
    value = np.broadcast_to(value, s.size if s.idx is None else s.idx.size)
    return np.ascontiguousarray(value).reshape(-1, WARP)


def _accumulator(
    context: Context, ins: Instruction, c: list[Operand], d: list[Operand], c_type: Scalar, d_type: Scalar
) -> tuple[Callable[[State], Array], Callable[[State, Array, Array], None]]:
    """How C is read as [warps, 16, 8] and how D is left: rows g and g + 8, columns 2c and 2c + 1."""
    take = SCALARS["u32"] if c_type.bits == 16 else c_type
    put = SCALARS["u32"] if d_type.bits == 16 else d_type
    reads = [read(context, ins, operand, take) for operand in c]
    stores = [write(ins, operand, put) for operand in d]
    if len(reads) != (2 if c_type.bits == 16 else 4) or len(stores) != (2 if d_type.bits == 16 else 4):
        raise ins.error("a wrong number of registers")
    low, high = d_type.limits if d_type.integer else (0, 0)
    saturates = ins.has("satfinite")

    def get(s: State) -> Array:
        words = np.stack([_lanes(s, each(s)) for each in reads])
        if c_type.bits == 16:
            parts = words.view(np.float16).reshape(2, -1, 8, 4, 2)
        else:
            parts = words.reshape(2, 2, -1, 8, 4).transpose(0, 2, 3, 4, 1)
        return parts.transpose(1, 0, 2, 3, 4).reshape(-1, 16, 8)

    def give(s: State, before: Array, product: Array) -> None:
        if d_type.integer:
            total = before.astype(np.int64) + product.astype(np.int64)
            out = (np.clip(total, low, high) if saturates else total).astype(d_type.dtype)
        else:
            out = (before.astype(np.float64) + product).astype(d_type.dtype)
        parts = out.reshape(-1, 2, 8, 4, 2)
        if d_type.bits == 16:
            words = np.ascontiguousarray(parts.transpose(1, 0, 2, 3, 4)).view(np.uint32).reshape(2, -1)
        else:
            words = parts.transpose(1, 4, 0, 2, 3).reshape(4, -1)
        for store, word in zip(stores, words, strict=True):
            store(s, word)

    return get, give


@instruction("ldmatrix")
def _ldmatrix(context: Context, ins: Instruction) -> Run:
    """Matrices of 8 rows of 16 bytes; lanes 8i..8i+7 give the rows of matrix i."""
    count = int(ins.pick("x1", "x2", "x4")[1:])
    stores = [write(ins, operand, WORD) for operand in _words(ins.operands[0], ins)]
    where = addresses(context, ins, ins.operands[1])
    if len(stores) != count or not ins.has("m8n8"):
        raise ins.error(f"{count} registers are needed")
    turned = ins.has("trans")

    def run(s: State) -> None:
        before, lanes = s.idx, s.active()
        asked = lanes % WARP < 8 * count
        places = where(s)
        s.idx = lanes[asked]
        try:
            index = SPACES["shared"].place(s, ins, places[asked], 16, reads=True, writes=False)
        finally:
            s.idx = before
        data = rows(s.shared, 8, 2).take(index, 0).view(np.uint16).reshape(-1, count, 8, 8)
        if turned:
            data = data.swapaxes(2, 3)
        words = np.ascontiguousarray(data).view(np.uint32).reshape(-1, count, WARP)
        for k, store in enumerate(stores):
            store(s, words[:, k].reshape(-1))

    return exact(run)


__all__ = ["by_warp", "mine"]
