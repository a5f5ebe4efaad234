"""What a card's own assembler makes of the PTX, found without a card: registers, memory, machine code.

Needs the wheels ``nvidia-cuda-nvcc-cu12`` (ptxas) and ``nvidia-cuda-nvdisasm`` of the extra ``dev``; both are
for Linux on x86-64.  The driver's assembler is of the same family, not the same version: registers may differ by
a few, spills where there are none here would be a surprise.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ARCHITECTURES = (80, 86, 89, 90, 100, 120)


class ToolMissing(Exception):
    """An assembler is not installed; the message says how to get it."""


class AssemblyError(Exception):
    """ptxas or nvdisasm refuses its input; the message is what it says."""


@dataclass(frozen=True)
class Usage:
    """What one kernel takes: ``registers``, ``stack`` and spills (bytes) a thread, ``shared`` bytes a block."""

    kernel: str
    registers: int
    stack: int
    spill_stores: int
    spill_loads: int
    shared: int
    threads: int


@dataclass(frozen=True)
class Assembled:
    """Machine code of one PTX text, and what its kernels take, in the order of the text."""

    cubin: bytes
    usage: tuple[Usage, ...]


_ENTRY = re.compile(r"Compiling entry function '(\w+)'")
_STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers(?:.*?(\d+) bytes smem)?")
_THREADS = re.compile(r"\.entry (\w+)\([^)]*\)\s*\.maxntid (\d+)")


def _tool(package: str, name: str, wheel: str) -> str:
    spec = importlib.util.find_spec(package) if importlib.util.find_spec("nvidia") else None
    for folder in spec.submodule_search_locations or [] if spec else []:
        if (path := Path(folder) / "bin" / name).exists():
            return str(path)
    raise ToolMissing(f"{name} is missing: pip install {wheel}")


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssemblyError(done.stderr.strip() or f"{command[0]} ended with {done.returncode}")
    return done


@cache
def assemble(ptx: str, architecture: int) -> Assembled:
    """``ptx`` for ``sm_architecture``."""
    ptxas = _tool("nvidia.cuda_nvcc", "ptxas", "nvidia-cuda-nvcc-cu12")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "kernels.ptx", Path(folder) / "kernels.cubin"
        source.write_text(ptx, encoding="utf-8")
        log = _run(ptxas, f"-arch=sm_{architecture}", "-v", str(source), "-o", str(target)).stderr
        cubin = target.read_bytes()
    threads = {name: int(count) for name, count in _THREADS.findall(ptx)}
    names, stacks, used = _ENTRY.findall(log), _STACK.findall(log), _USED.findall(log)
    if not len(names) == len(stacks) == len(used) == ptx.count(".entry "):
        raise AssemblyError(f"ptxas speaks of {len(names)} kernels in words that are not known here:\n{log}")
    found = {
        name: Usage(
            name, int(registers), int(stack), int(stores), int(loads), int(shared or 0), threads.get(name, 1024)
        )
        for name, (stack, stores, loads), (registers, shared) in zip(names, stacks, used, strict=True)
    }
    return Assembled(cubin, tuple(found[name] for name in re.findall(r"\.entry (\w+)", ptx)))


@cache
def disassemble(cubin: bytes) -> str:
    """The machine code as text, labels included."""
    nvdisasm = _tool("nvidia.cu13", "nvdisasm", "nvidia-cuda-nvdisasm")
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        return _run(nvdisasm, "-c", file.name).stdout
