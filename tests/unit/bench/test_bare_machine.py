"""The benchmarks and the tests on a card run with Python, NumPy and cuda-python: nothing else is imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.timeout(300)

BARE = """
import importlib.abc, importlib.util, sys

def absent(name):
    top = name.partition(".")[0]
    allowed = {"numpy", "cuda", "tzcore", "tests"} | sys.stdlib_module_names
    return name.startswith("tzcore.backend._native") or not (top in allowed or top.startswith("_sysconfigdata"))

class Bare(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if absent(name):
            raise ModuleNotFoundError(f"{name} is not on this machine", name=name)

find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if absent(name) else find_spec(name, package)
sys.meta_path.insert(0, Bare())
import os
os.environ["TZ_GPU_REHEARSE"] = "1"
"""


def run(code: str) -> str:
    words = [sys.executable, "-c", BARE + code]
    done = subprocess.run(words, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_model_is_measured() -> None:
    out = run("""
from tests.gpu.__main__ import REHEARSED
from tests.gpu.rehearsed_tz import small
from tzcore.cli.main import main
small()
assert main(["bench", *REHEARSED["small"], "--backend", "cuda", "--json"]) == 0
""")
    done = out.splitlines()[-1]
    assert '"event": "done"' in done
    assert '"share_of_copy"' in done
    assert '"taken"' in done


def test_kernels_are_measured() -> None:
    out = run("""
from tests.gpu.rehearsed_tz import small
from tzcore.cli.main import main
small()
assert main(["bench", "--kernels"]) == 0
""")
    assert out.count("64 x 256") == 2 * 4 + 2 + 1
    assert "cuBLAS through torch not there" in out


def test_the_tests_run_without_pytest() -> None:
    out = run("""
from tests.gpu.__main__ import without_pytest
assert without_pytest(None, "arrange_") == 0
""")
    assert out.splitlines()[-1].endswith(" passed, 0 failed, 0 skipped")
    assert int(out.splitlines()[-1].split()[0]) > 20
