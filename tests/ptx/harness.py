"""What the interpreter's tests share: one instruction over arrays, and CUDA C++ run on NumPy arrays."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest

from kernels.cuda.build import CompileError, compile_source
from tests.ptx.device import Checks, InterpretedDevice
from tests.ptx.scalars import SCALARS, Array, Scalar

HEADER = ".version 8.0\n.target sm_80\n.address_size 64\n"
EDGES = {
    bits: [0, 1, 2, 3, 7, 8, bits - 1, bits, bits + 1, (1 << bits - 1) - 1, 1 << bits - 1, (1 << bits - 1) + 1,
           (1 << bits) - 2, (1 << bits) - 1, 0x55 * ((1 << bits) - 1) // 255, 1 << bits // 2]
    for bits in (8, 16, 32, 64)
}  # fmt: skip


def integers(name: str, count: int, seed: int = 0) -> Array:
    """Edge values of the type in every position, then random ones of all magnitudes."""
    scalar, rng = SCALARS[name], np.random.default_rng([seed, count])
    unsigned = np.dtype(f"u{scalar.size}")
    values = rng.integers(0, 1 << 63, count, np.uint64) * np.uint64(2) + rng.integers(0, 2, count, np.uint64)
    values >>= rng.integers(0, scalar.bits, count, np.uint64)
    edges = np.asarray(EDGES[scalar.bits], np.uint64)
    chosen = rng.random(count) < 0.4
    values[chosen] = rng.choice(edges, int(chosen.sum()))
    return values.astype(unsigned).view(scalar.dtype)


def floats(name: str, count: int, seed: int = 0, special: bool = True) -> Array:
    """Numbers of all magnitudes, with zeros, subnormals, infinities and NaN if ``special``."""
    dtype, rng = SCALARS[name].dtype, np.random.default_rng([seed, count])
    info = np.finfo(dtype)
    spread = {2: 4, 4: 20, 8: 60}[dtype.itemsize]
    values = (rng.standard_normal(count) * 2.0 ** rng.integers(-spread, spread, count)).astype(dtype)
    if special:
        known = [0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, info.max, info.min, info.tiny, -info.tiny,
                 info.smallest_subnormal, info.tiny / 2, np.inf, -np.inf, np.nan]  # fmt: skip
        chosen = rng.random(count) < 0.4
        values[chosen] = rng.choice(np.asarray(known).astype(dtype), int(chosen.sum()))
    return values


def _register(scalar: Scalar) -> str:
    return "pred" if scalar.kind == "p" else f"b{max(16, scalar.bits)}"


def statement(text: str, result: str, inputs: Sequence[str]) -> str:
    """A kernel whose thread i does ``text`` on element i; ``{d}`` is its result, ``{0}``, ``{1}``, ... its operands."""
    out, scalars = SCALARS[result], [SCALARS[name] for name in inputs]
    lines = [
        HEADER + ".visible .entry k(" + "".join(f".param .u64 p{k}, " for k in range(len(scalars))) + ".param .u64 pd, "
        ".param .u32 pn)\n{\n.reg .pred %done, %dp; .reg .b32 %i, %t, %n, %pick; .reg .b64 %at, %off;",
        f".reg .{_register(out)} %d;",
        "mov.u32 %i, %ctaid.x; mov.u32 %n, %ntid.x; mov.u32 %t, %tid.x; mad.lo.u32 %i, %i, %n, %t;",
        "ld.param.u32 %n, [pn]; setp.ge.u32 %done, %i, %n; @%done bra DONE;",
    ]
    for k, scalar in enumerate(scalars):
        name = "u8" if scalar.kind == "p" else scalar.name if scalar.bits == 8 else f"b{scalar.bits}"
        target = f"%byte{k}" if scalar.kind == "p" else f"%x{k}"
        lines.append(f".reg .{_register(scalar)} %x{k}; .reg .b16 %byte{k};")
        lines.append(f"ld.param.u64 %at, [p{k}]; mul.wide.u32 %off, %i, {scalar.size}; add.u64 %at, %at, %off;")
        lines.append(f"ld.global.{name} {target}, [%at];")
        if scalar.kind == "p":
            lines.append(f"setp.ne.u16 %x{k}, %byte{k}, 0;")
    lines.append(text.format(*[f"%x{k}" for k in range(len(scalars))], d="%d"))
    stored = SCALARS["u32"] if out.kind == "p" else out
    lines.append(f"ld.param.u64 %at, [pd]; mul.wide.u32 %off, %i, {stored.size}; add.u64 %at, %at, %off;")
    if out.kind == "p":
        lines.append("selp.u32 %pick, 1, 0, %d; st.global.u32 [%at], %pick;")
    else:
        lines.append(f"st.global.b{out.bits} [%at], %d;")
    return "\n".join([*lines, "DONE: ret;", "}"])


def evaluate(text: str, result: str, *inputs: tuple[str, Array], block: int = 96) -> Array:
    """``text`` (see ``statement``) on arrays of one length; a predicate comes back as bool."""
    count = len(inputs[0][1])
    ptx = statement(text, result, [name for name, _ in inputs])
    scalar = SCALARS["u32" if result == "pred" else result]
    arrays = [np.asarray(values).astype(np.uint8) if name == "pred" else values for name, values in inputs]
    out = np.zeros(count, scalar.dtype)
    run(ptx, "k", -(-count // block), block, [*arrays, out, count])
    return out.astype(bool) if result == "pred" else out


def run(
    ptx: str, name: str, grid: int | tuple[int, int, int], block: int, arguments: Sequence[Any], shared: int = 0,
    checks: Checks | None = None, unwritten: Sequence[int] = (),
) -> InterpretedDevice:  # fmt: skip
    """Runs a kernel whose array arguments go in and come back out in place.

    Arrays at the places ``unwritten`` are not copied in.
    """
    device = InterpretedDevice(checks)
    addresses: list[Any] = []
    for place, argument in enumerate(arguments):
        if isinstance(argument, np.ndarray):
            addresses.append(device.allocate(argument.nbytes))
            if place not in unwritten:
                device.copy_in(addresses[-1], argument)
        else:
            addresses.append(argument)
    shape = (grid, 1, 1) if isinstance(grid, int) else grid
    device.launch(device.load(ptx).kernel(name), shape, block, addresses, shared)
    for argument, address in zip(arguments, addresses, strict=True):
        if isinstance(argument, np.ndarray):
            device.copy_out(argument, address)
    return device


@cache
def compiled(text: str) -> str:
    """PTX of CUDA C++; the test is skipped where there is no NVRTC to install (it is a wheel for Linux)."""
    try:
        return compile_source(text, headers={})
    except CompileError as error:
        if "NVRTC is missing" in str(error) and sys.platform != "linux":
            pytest.skip("NVRTC is not installed")
        raise
