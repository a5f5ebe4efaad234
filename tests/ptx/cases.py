"""Which shipped kernels the tests launch, and in how many ways: a plug-in of pytest.

    python -m pytest tests/ptx -n 2 --kernel-cases tests/bench/results/cuda-cases.txt

writes the table.  A run of all of ``tests/ptx`` fails if a kernel of the shipped PTX is launched by none of them.
A case is a grid with the numbers among the arguments.  Kernels that a test has changed do not count.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent
PTX = FOLDER.parents[1] / "tzcore" / "backend" / "cuda" / "ptx"
RECORD: pytest.StashKey[Counter[str]] = pytest.StashKey()
WHOLE = pytest.StashKey[bool]()


def shipped() -> dict[str, str]:
    """The file of every kernel."""
    found = {}
    for path in sorted(PTX.glob("*.ptx")):
        for name in re.findall(r"\.entry (\w+)", path.read_text(encoding="utf-8")):
            found[name] = path.stem
    return found


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kernel-cases", metavar="FILE", help="write which kernels tests/ptx launches, and how")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RECORD] = Counter()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Whether all of the interpreter's tests are to run."""
    collected = {item.path for item in session.items}
    narrowed = session.config.option.keyword or any("::" in argument for argument in session.config.args)
    session.config.stash[WHOLE] = not narrowed and collected.issuperset(FOLDER.glob("test_*.py"))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker of xdist has ended: what it noted goes to the run's own record."""
    output = getattr(node, "workeroutput", {})
    node.config.stash[RECORD].update(output.get("launches", {}))
    node.config.stash[WHOLE] = output.get("whole", False)


def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    record = config.stash[RECORD]
    if hasattr(config, "workeroutput"):
        config.workeroutput.update(launches=dict(record), whole=config.stash.get(WHOLE, False))
        return
    files = shipped()
    if path := config.getoption("--kernel-cases"):
        Path(path).write_text("\n".join(table(record, files)) + "\n", encoding="utf-8")
    missing = sorted(files.keys() - {line.split("\t")[0] for line in record})
    if config.stash.get(WHOLE, False) and missing and session.exitstatus == pytest.ExitCode.OK:
        print(f"\nno test in {FOLDER.name} launches these shipped kernels: {', '.join(missing)}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def table(record: Counter[str], files: dict[str, str]) -> Iterator[str]:
    """One line a kernel: launches, different cases, and the tests that launch it."""
    launches: Counter[str] = Counter()
    cases, tests = defaultdict(set), defaultdict(set)
    for line, count in record.items():
        kernel, test, case = line.split("\t")
        launches[kernel] += count
        cases[kernel].add(case)
        tests[kernel].add(test.removeprefix("tests/ptx/test_").replace(".py::test_", ": "))
    yield "python -m pytest tests/ptx -n 2 --kernel-cases tests/bench/results/cuda-cases.txt"
    yield f"Shipped kernels that the tests run on the interpreter: {len(launches)} of {len(files)}."
    yield "A case is a grid with the numbers among the arguments."
    yield ""
    yield f"{'kernel':32}{'launches':>9}{'cases':>7}  tests"
    for kernel in files:
        names = sorted(tests[kernel])
        for place, name in enumerate(names or ["none"]):
            head = f"{kernel:32}{launches[kernel]:9}{len(cases[kernel]):7}" if place == 0 else " " * 48
            yield f"{head}  {name}"
