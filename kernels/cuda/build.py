"""Compile ``*.cu`` beside this file to the PTX that the program ships: ``python kernels/cuda/build.py``.

NVRTC 12.0 (the wheel ``nvidia-cuda-nvrtc-cu12==12.0.76``) emits PTX ISA 8.0, which every driver
from 525 on loads and compiles for its own card; neither a toolkit nor a host compiler is needed.
``--check`` compiles anew and compares with the tree, which is how CI proves that what is shipped
is what the sources give.

Products and sums are never contracted behind the author's back (``--fmad=false``): where a fused
multiply-add is meant, the source says ``__fmaf_rn``, so that a kernel for one token and one for
eight give the same bits.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SOURCES = Path(__file__).resolve().parent
PTX = SOURCES.parents[1] / "tzcore" / "backend" / "cuda" / "ptx"
VERSION = (12, 0)
OPTIONS = ("--gpu-architecture=compute_80", "--std=c++17", "--fmad=false", "--device-as-default-execution-space")


class CompileError(Exception):
    """A source does not compile; the message is the compiler's log."""


def _library() -> ctypes.CDLL:
    spec = importlib.util.find_spec("nvidia.cuda_nvrtc")
    folders = list(spec.submodule_search_locations or []) if spec else []
    names = ("lib/libnvrtc.so.12", "bin/nvrtc64_120_0.dll")
    found = [path for folder in folders for name in names if (path := Path(folder) / name).exists()]
    if not found:
        raise CompileError("NVRTC is missing: pip install nvidia-cuda-nvrtc-cu12==12.0.76")
    library = ctypes.CDLL(str(found[0]))
    major, minor = ctypes.c_int(), ctypes.c_int()
    library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    if (major.value, minor.value) != VERSION:
        found = f"{major.value}.{minor.value}"
        raise CompileError(f"NVRTC {found} is installed; the PTX is made by {VERSION[0]}.{VERSION[1]}")
    return library


def _strings(values: Sequence[str]) -> ctypes.Array[ctypes.c_char_p]:
    return (ctypes.c_char_p * len(values))(*(value.encode() for value in values))


def compile_source(text: str, name: str = "kernel.cu", headers: dict[str, str] | None = None) -> str:
    """The PTX of the CUDA C++ ``text``; ``headers`` by the names they are included under (default: ``*.cuh`` here)."""
    if headers is None:
        headers = {path.name: path.read_text(encoding="utf-8") for path in sorted(SOURCES.glob("*.cuh"))}
    # NVRTC leaves its thread in the C locale, where files are ASCII, so that it gets one of its own.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_compile, text, name, headers).result()


def _compile(text: str, name: str, headers: dict[str, str]) -> str:
    library = _library()
    program = ctypes.c_void_p()
    bodies, names = _strings(list(headers.values())), _strings(list(headers))
    library.nvrtcCreateProgram(
        ctypes.byref(program), text.encode(), name.encode(), len(headers), bodies, names
    )
    try:
        failed = library.nvrtcCompileProgram(program, len(OPTIONS), _strings(OPTIONS))
        size = ctypes.c_size_t()
        if failed:
            library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
            log = ctypes.create_string_buffer(size.value)
            library.nvrtcGetProgramLog(program, log)
            raise CompileError(log.value.decode())
        library.nvrtcGetPTXSize(program, ctypes.byref(size))
        ptx = ctypes.create_string_buffer(size.value)
        library.nvrtcGetPTX(program, ptx)
        return _without_targets(ptx.value.decode())
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))


def _without_targets(ptx: str) -> str:
    """``ptx`` without the table of ``nv::target`` constants, which nothing here reads."""
    return "".join(line for line in ptx.splitlines(keepends=True) if not ("nv6target" in line and line[0] == "."))


def build(source: Path) -> str:
    """The PTX of one source file."""
    return compile_source(source.read_text(encoding="utf-8"), source.name)


def main() -> int:
    """Build or check; the exit code."""
    parser = argparse.ArgumentParser(description="Compile the CUDA kernels to PTX.")
    parser.add_argument("names", nargs="*", help="sources without .cu (default: all)")
    parser.add_argument("--check", action="store_true", help="compare with the tree instead of writing")
    options = parser.parse_args()
    sources = [SOURCES / f"{name}.cu" for name in options.names] or sorted(SOURCES.glob("*.cu"))
    stale = []
    for source in sources:
        target = PTX / f"{source.stem}.ptx"
        try:
            made = build(source)
        except CompileError as error:
            print(error, file=sys.stderr)
            return 1
        if not options.check:
            PTX.mkdir(parents=True, exist_ok=True)
            target.write_text(made, encoding="utf-8")
        elif not target.exists() or target.read_text(encoding="utf-8") != made:
            stale.append(source.name)
    if options.check and not options.names:
        stale += [path.name for path in PTX.glob("*.ptx") if not (SOURCES / f"{path.stem}.cu").exists()]
    if stale:
        print(f"the PTX in the tree is not what {', '.join(stale)} give: run kernels/cuda/build.py", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
