"""Environments for the peers, built from package registries."""

from __future__ import annotations

import os
import subprocess
import venv
from pathlib import Path

PEER = "llama-cpp-python==0.3.36"
FLAGS = {
    "native": "-DGGML_NATIVE=ON",
    "avx2": "-DGGML_NATIVE=OFF -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON -DGGML_AVX512=OFF",
}
"""llama.cpp as it is built on this machine, and for one that has no more than AVX2."""


def interpreter(home: Path, kind: str) -> Path:
    """The Python of the peer ``kind`` under ``home``, built now if it is not there: some ten minutes on two cores."""
    place = home / kind
    python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not (place / "built").exists():
        venv.create(place, clear=True, with_pip=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--no-cache-dir", "--no-binary", "llama-cpp-python"]
        subprocess.run([*install, PEER, "gguf"], check=True, env={**os.environ, "CMAKE_ARGS": FLAGS[kind]})
        (place / "built").touch()
    return python
