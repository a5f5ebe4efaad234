"""Kernels that are wrong on purpose: each change of the shipped sources is caught, and by what is said beside it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from kernels.cuda.build import SOURCES, CompileError, compile_source
from tests.ptx.report import KernelFault
from tests.ptx.test_products import Case, assert_close, case, few, many

HEADERS = {"FEW": "product_few.cuh", "MANY": "product_many.cuh"}
WRONG = "wrong results"
NO_WAIT = "still being copied to: no wait for cp.async"


@cache
def ptx(kernel: str, file: str = "", old: str = "", new: str = "", nth: int = 0) -> str:
    """One kernel of the sources, in which the ``nth`` of the places that read ``old`` in ``file`` reads ``new``."""
    headers = {path.name: path.read_text(encoding="utf-8") for path in SOURCES.glob("*.cuh")}
    if file:
        parts = headers[file].split(old)
        assert len(parts) > nth + 1, f"{file} has no longer: {old}"
        headers[file] = old.join(parts[: nth + 1]) + new + old.join(parts[nth + 1 :])
    include = HEADERS[kernel.partition("(")[0]]
    try:
        return compile_source(f'#include "{include}"\n{kernel}', headers=headers)
    except CompileError as error:
        if "NVRTC is missing" in str(error) and sys.platform != "linux":
            pytest.skip("NVRTC is not installed")
        raise


@dataclass(frozen=True)
class Subject:
    """A kernel (an instance by its macro), and a case that it gets right."""

    kernel: str
    case: Callable[[], Case]
    call: Callable[[Case, str], np.ndarray]

    def check(self, text: str) -> None:
        c = self.case()
        assert_close(self.call(c, text), c)


def _few(c: Case, text: str) -> np.ndarray:
    return few(c, 2, ptx=text).astype(np.float64).sum(0)


SUBJECTS = {
    "2-bit, one token": Subject("FEW(slots2, SLOTS2, 128, 1)", lambda: case("t1", 40, 2304, 128, 1), _few),
    "2-bit, several tokens": Subject("FEW(slots2, SLOTS2, 128, 8)", lambda: case("t1", 40, 1536, 128, 3), _few),
    "base 3": Subject("FEW(base3, BASE3, 128, 1)", lambda: case("t1b3", 40, 1408, 128, 1), _few),
    "4-bit": Subject("FEW(slots4, SLOTS4, 128, 1)", lambda: case("i4", 40, 1536, 128, 1), _few),
    "prefill": Subject(
        "MANY(slots2, SLOTS2, 128, Narrow, 32)", lambda: case("t1", 140, 384, 128, 40), lambda c, t: many(c, 32, ptx=t)
    ),
}


@dataclass(frozen=True)
class Fault:
    """``old`` in ``file`` becomes ``new``; what then goes wrong with the subject is ``caught``."""

    subject: str
    file: str
    old: str
    new: str
    caught: str
    nth: int = 0


FAULTS = {
    "a mask that takes one bit of two": Fault(
        "2-bit, one token", "product_few.cuh", "masked(w, 0x03030303u)", "masked(w, 0x03030301u)", WRONG
    ),
    "a mask of the neighbouring code": Fault(
        "2-bit, one token", "product_few.cuh", "masked(upper, 0x0c0c0c0cu)", "masked(upper, 0x30303030u)", WRONG
    ),
    "no shift of the odd products": Fault("2-bit, one token", "product_few.cuh", "acc[i][j] >>= 2", "", WRONG),
    "no shift of the high nibbles": Fault("4-bit", "product_few.cuh", "top[j] >>= 4", "", WRONG),
    "the zero of the codes left in": Fault("2-bit, one token", "product_few.cuh", "b - zero * sum", "b", WRONG),
    "trits in the opposite order": Fault(
        "base 3", "product_few.cuh", "in.quads(kblock + i, half)", "in.quads(kblock + 4 - i, half)", WRONG
    ),
    "a trit less what came before twice": Fault(
        "base 3", "fragments.cuh", "now - 3 * before", "now - 2 * before", WRONG
    ),
    "the input of the next token": Fault(
        "2-bit, several tokens", "product_few.cuh", "token = min(g, tokens", "token = min(g + 1, tokens", WRONG
    ),
    "scales of the next row": Fault(
        "2-bit, one token", "product_few.cuh", "* groups * 8 + g}", "* groups * 8 + g + 1}", "out of bounds"
    ),
    "a row too many written": Fault("2-bit, one token", "product_few.cuh", "r < rows", "r <= rows", "out of bounds"),
    "a tile too far": Fault(
        "2-bit, one token", "product_few.cuh", "tile * 16 >= rows", "tile * 16 >= rows + 16", "out of bounds"
    ),
    "a step too many": Fault(
        "2-bit, one token", "product_few.cuh", "end - begin, ring)", "end - begin + 1, ring)", "out of bounds"
    ),
    "copies read before they have come": Fault(
        "2-bit, one token", "product_few.cuh", "await_copies<ring.BATCHES - 2>();", "", NO_WAIT
    ),
    "one batch of copies too few waited for": Fault(
        "2-bit, several tokens", "product_few.cuh", "<ring.BATCHES - 2>", "<ring.BATCHES - 1>", NO_WAIT
    ),
    "the last copies not waited for": Fault("2-bit, one token", "product_few.cuh", "await_copies<0>();", "", NO_WAIT),
    "the first batch never fetched": Fault(
        "2-bit, one token", "product_few.cuh", "int batch = 0; batch", "int batch = 1; batch", NO_WAIT
    ),
    "no barrier before the first kblock": Fault("prefill", "product_many.cuh", "__syncthreads();", "", "races"),
    "no barrier between kblocks": Fault("prefill", "product_many.cuh", "__syncthreads();", "", "races", nth=1),
    "one buffer instead of two": Fault("prefill", "product_many.cuh", "buffers[kblock % 2 ^ 1]", "buffers[0]", NO_WAIT),
    "a barrier that not all reach": Fault(
        "prefill", "product_many.cuh", "__syncthreads();", "if (lane) __syncthreads();", "barrier|never come", nth=1
    ),
    "the first weights never put there": Fault(
        "prefill", "product_many.cuh", "put_weights(buffers[0], a);", "", "that nothing wrote"
    ),
    "inputs not waited for": Fault("prefill", "product_many.cuh", "await_copies<0>();", "", NO_WAIT),
    "a token too many": Fault(
        "prefill", "product_many.cuh", "min(first_token + token, tokens - 1)", "first_token + token", "out of bounds"
    ),
}  # fmt: skip


@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS.keys())
def test_the_sources_themselves_are_right(subject: Subject) -> None:
    subject.check(ptx(subject.kernel))


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_caught(fault: Fault) -> None:
    subject = SUBJECTS[fault.subject]
    text = ptx(subject.kernel, fault.file, fault.old, fault.new, fault.nth)
    if fault.caught == WRONG:
        with pytest.raises(AssertionError):
            subject.check(text)
    else:
        with pytest.raises(KernelFault, match=fault.caught):
            subject.check(text)
