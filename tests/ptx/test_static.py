"""What is proved without running anything: the PTX is what the sources give, and what cards' assemblers make of it."""

from __future__ import annotations

import hashlib
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from kernels.cuda.assemble import ARCHITECTURES, ToolMissing, assemble
from kernels.cuda.build import PTX
from kernels.cuda.hot_loops import hot_loop
from kernels.cuda.multiprocessor import LIMITS, resident_blocks
from kernels.cuda.sass import functions

ROOT = Path(__file__).parents[2]
on_linux = pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="the assemblers are for Linux on x86-64"
)
pytestmark = pytest.mark.timeout(600)  # compilers on a busy machine


@on_linux
def test_the_ptx_is_what_the_sources_give() -> None:
    command = [sys.executable, str(ROOT / "kernels" / "cuda" / "build.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@on_linux
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_nothing_spills(architecture: int) -> None:
    """No stack, no local memory, and registers for at least one block, in every kernel."""
    for path in sorted(PTX.glob("*.ptx")):
        for usage in assemble(path.read_text(encoding="utf-8"), architecture).usage:
            assert (usage.stack, usage.spill_stores, usage.spill_loads) == (0, 0, 0), usage
            assert usage.shared <= 48 << 10, usage
            assert resident_blocks(architecture, usage.threads, usage.registers, usage.shared) >= 1, usage


@on_linux
@pytest.mark.parametrize("architecture", [80, 89, 90, 120])
@pytest.mark.parametrize(("packing", "goal", "weights"), [("slots2", 0.75, 512), ("base3", 1.5, 320)])
def test_instructions_per_weight(packing: str, goal: float, weights: int, architecture: int) -> None:
    loop = hot_loop(f"product_few_{packing}_g128_m1", architecture)
    assert loop.weights == weights
    assert loop.per_weight <= goal
    assert not loop.turn.classes["STS"]


def test_the_tables_are_of_these_kernels() -> None:
    """``python tests/bench/cuda_kernels.py`` makes them anew."""
    table = (ROOT / "tests" / "bench" / "results" / "cuda-kernels.txt").read_text(encoding="utf-8")
    assert digest() in table


def digest() -> str:
    """Of all PTX in the tree."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(PTX.glob("*.ptx")))).hexdigest()[:16]


@pytest.mark.parametrize(
    ("architecture", "threads", "registers", "shared", "blocks"),
    [(80, 128, 128, 0, 4), (80, 128, 129, 0, 3), (86, 32, 16, 0, 16), (89, 1024, 32, 0, 1), (90, 128, 32, 100 << 10, 2),
     (120, 128, 40, 24 << 10, 4), (100, 256, 255, 0, 1)],
)  # fmt: skip
def test_resident_blocks(architecture: int, threads: int, registers: int, shared: int, blocks: int) -> None:
    assert resident_blocks(architecture, threads, registers, shared) == blocks
    assert blocks * -(-threads // 32) <= LIMITS[architecture].warps


LOOPS = """
.text.k:
        /*0000*/                   MOV R1, R2 ;
.L_x_1:
        /*0010*/                   IADD3 R1, R1, 0x1, RZ ;
        /*0020*/              @!P0 BRA `(.L_x_3) ;
.L_x_2:
        /*0030*/                   LOP3.LUT R1, R1, R2, RZ, 0xc0, !PT ;
        /*0040*/               @P1 BRA `(.L_x_2) ;
        /*0050*/                   BRA `(.L_x_4) ;
.L_x_3:
        /*0060*/                   LDG.E R1, [R2] ;
        /*0070*/                   LDG.E R1, [R2] ;
.L_x_4:
        /*0080*/              @!P2 CALL.REL.NOINC `(.L_x_5) ;
        /*0090*/                   BRA `(.L_x_1) ;
.L_x_5:
        /*00a0*/                   EXIT ;
.L_x_6:
        /*00b0*/                   BRA `(.L_x_6);
"""


def test_loops_of_machine_code() -> None:
    """The inner loop is not entered; of the ways past it the longest counts; a jump in place is no loop."""
    turns = functions(LOOPS)["k"].turns()
    assert [[i.opcode for i in turn.instructions] for turn in turns] == [
        ["IADD3", "BRA", "LDG", "LDG", "CALL", "BRA"],
        ["LOP3", "BRA"],
    ]
    assert turns[0].classes == {"other": 4, "LDG": 2}


def test_a_missing_tool_is_named() -> None:
    from kernels.cuda.assemble import _tool

    with pytest.raises(ToolMissing, match="pip install some-wheel"):
        _tool("nvidia.nothing", "nothing", "some-wheel")
