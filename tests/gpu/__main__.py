"""``python -m tests.gpu``: the tests on this machine's card.  ``--out FOLDER``: then the benchmarks, into FOLDER.

Needs Python 3.11, NumPy and cuda-python; uses pytest and torch where they are.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULES = ("test_card", "test_device", "test_kernels", "test_models")
MODEL = "synthetic:llama-3-70b"
BENCHMARKS: dict[str, list[str]] = {
    "kernels": ["--kernels"],
    "70b-base3-24gib": [MODEL, "--vram", "24GiB"],
    "70b-slots-24gib": [MODEL, "--vram", "24GiB", "--packing", "slots"],
    "70b-base3-deep": [MODEL],
    "70b-slots-deep": [MODEL, "--packing", "slots"],
    "8b": ["synthetic:llama-3-8b"],
    "32b": ["synthetic:qwen3-32b"],
}
"""Arguments of ``tz bench`` by the name of the result."""
SMALL = "layers=1,hidden=64,intermediate=128,heads=2,kv_heads=1,head_dim=64,vocabulary=300"
REHEARSED: dict[str, list[str]] = {
    "small": [f"synthetic:llama-3-8b@{SMALL}", "--context", "70", "--tokens", "2", "--prompt", "10", "--repeat", "2"]
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.gpu", description=__doc__)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="also run the benchmarks; everything goes there")
    parser.add_argument("--minutes", type=float, default=8.5, help="for all of it (default 8.5)")
    parser.add_argument("--rehearse", action="store_true", help="on the interpreter: slow, and no measurement")
    parser.add_argument("--no-tests", action="store_true", help="the benchmarks alone")
    parser.add_argument("--only", default="", metavar="WORD", help="tests, or benchmarks, with WORD in their name")
    args = parser.parse_args()
    if args.rehearse:
        os.environ["TZ_GPU_REHEARSE"] = "1"
    end = time.monotonic() + 60 * args.minutes
    worst = 0 if args.no_tests else tests(args.out, args.only, end)
    if args.out is not None:
        worst = max(worst, benchmarks(args.out, args.only if args.no_tests else "", end, args.rehearse))
    return worst


def tests(out: Path | None, wanted: str, end: float) -> int:
    """Run them with pytest, or without it; what they say also goes to ``out``."""
    if find_spec("pytest") is None:
        return without_pytest(out, wanted)
    words = [sys.executable, "-m", "pytest", "tests/gpu", "-q", "-p", "no:cacheprovider", "--tb=short"]
    # Options of plugins in pyproject.toml that are not there would be errors.
    words += ["-o", "addopts=--import-mode=importlib -ra", "-W", "ignore::pytest.PytestConfigWarning"]
    words += ["-k", wanted] if wanted else []
    return _logged(words, out, "tests", end)


def without_pytest(out: Path | None, wanted: str) -> int:
    """The same tests by the stand-in."""
    from tests.gpu import small_pytest

    small_pytest.stand_in()
    lines: list[str] = []

    def say(text: str) -> None:
        lines.append(text)
        print(text, flush=True)

    run = small_pytest.Run(import_module("tests.gpu.conftest"), say)
    for name in MODULES:
        run.module(import_module(f"tests.gpu.{name}"), wanted)
    run.close()
    say(f"{run.passed} passed, {run.failed} failed, {run.skipped} skipped")
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "tests.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return int(run.failed > 0)


def benchmarks(out: Path, wanted: str, end: float, rehearse: bool) -> int:
    """Each in a process of its own: rows as they come in NAME.jsonl, the table in NAME.txt."""
    from tzcore.bench.words import lines

    out.mkdir(parents=True, exist_ok=True)
    worst = 0
    for name, arguments in (REHEARSED if rehearse else BENCHMARKS).items():
        if wanted not in name:
            continue
        tz = "tests.gpu.rehearsed_tz" if rehearse else "tzcore.cli"
        backend = [] if "--kernels" in arguments else ["--backend", "cuda"]
        code = _logged([sys.executable, "-m", tz, "bench", *arguments, *backend, "--json"], out, name, end, ".jsonl")
        events = [json.loads(line) for line in _read(out / f"{name}.jsonl") if line.startswith("{")]
        rows = [{key: value for key, value in event.items() if key != "event"} for event in events
                if event["event"] == "measured"]  # fmt: skip
        table = f"tz bench {' '.join(arguments)}\n{lines(rows)}\n"
        (out / f"{name}.txt").write_text(table, encoding="utf-8")
        print(f"\n{table}", flush=True)
        worst = max(worst, code)
    return worst


def _read(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines()


def _logged(words: list[str], out: Path | None, name: str, end: float, ending: str = ".txt") -> int:
    """Run ``words`` until ``end``; what it says goes to ``out``, its errors to the screen too."""
    left = end - time.monotonic()
    if left < 5:
        print(f"{name}: no time is left", flush=True)
        return 1
    began = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    try:
        if out is None:
            return subprocess.run(words, cwd=ROOT, env=environment, timeout=left, check=False).returncode
        out.mkdir(parents=True, exist_ok=True)
        with open(out / f"{name}{ending}", "w", encoding="utf-8") as file:
            errors = subprocess.STDOUT if ending == ".txt" else None
            code = subprocess.run(
                words, cwd=ROOT, env=environment, stdout=file, stderr=errors, timeout=left, check=False
            ).returncode
    except subprocess.TimeoutExpired:
        code = 124
    print(f"{name}: exit code {code} after {time.monotonic() - began:.0f} s", flush=True)
    if ending == ".txt" and out is not None:
        print("\n".join(_read(out / f"{name}{ending}")[-30:]), flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
