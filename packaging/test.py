"""All tests, in the project's own environment: ``python packaging/test.py``.

Creates or reuses ``.venv`` (``--fresh`` makes a new one), installs the program into it as a
link to this tree, runs the Python tests and the Rust tests, and compiles the Rust core for other
systems where their libraries can be had.  Its last line counts them all.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import cross_check
import environment

CROSS_SECONDS = 180
"""Time for compiling the Rust core for other systems; what is not done by then counts as skipped."""


@dataclass
class Count:
    """Tests by outcome."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)


def run_pytest(arguments: list[str]) -> tuple[int, Count]:
    """Run pytest with ``arguments``; its exit code, and what its report counted."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [environment.python(), "-m", "pytest", "-q", f"--junitxml={report}", *arguments]
        code = environment.run(command, check=False)
        count = Count()
        for suite in ET.parse(report).iter("testsuite") if report.exists() else ():
            total, skipped = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
            failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            count += Count(total - skipped - failed, failed, skipped)
    return code, count


def run_cargo() -> tuple[int, Count]:
    """Run the Rust tests; cargo's exit code and its own counts added up."""
    command = ["cargo", "test", "--release", "--offline", "--manifest-path", "kernels/cpu/Cargo.toml"]
    done = subprocess.run(command, cwd=environment.ROOT, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout, flush=True)
    count = Count()
    result = r"test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored"
    for passed, failed, ignored in re.findall(result, done.stdout):
        count += Count(int(passed), int(failed), int(ignored))
    return done.returncode, count


def run_cross() -> tuple[int, Count]:
    """Compile the Rust core for other systems: each is a test, skipped where its library cannot be had."""
    result = cross_check.check(seconds=CROSS_SECONDS)
    return int(bool(result.failed)), Count(len(result.compiled), len(result.failed), len(result.missing))


def main() -> int:
    parser = argparse.ArgumentParser(description="Run all tests. Further arguments go to pytest, alone.")
    parser.add_argument("--fresh", action="store_true", help="make a new .venv")
    options, more = parser.parse_known_args()
    began = time.monotonic()

    environment.check_tools()
    if sys.platform == "linux" and not environment.apt_install(environment.QT_LIBRARIES):
        print("Note: Qt's libraries could not be checked; if the window's tests fail to load, install them", flush=True)
    environment.create(options.fresh)
    environment.install("train,plots,dev")
    print(f"Installed after {time.monotonic() - began:.0f} s", flush=True)
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ.setdefault("OMP_NUM_THREADS", "2")

    if more:
        return run_pytest(more)[0]
    # The real model's tests measure time and use all cores: they run alone.
    python = [run_pytest(["-n", "2", "--ignore=tests/end_to_end"]), run_pytest(["tests/end_to_end"])]
    outcomes = [*python, run_cargo(), run_cross()]
    total = sum((count for _, count in outcomes), Count())
    print(f"Tests took {time.monotonic() - began:.0f} s with the installation")
    print(f"{total.passed} passed, {total.failed} failed, {total.skipped} skipped", flush=True)
    return max(abs(code) for code, _ in outcomes)


if __name__ == "__main__":
    sys.exit(main())
