"""The benchmark of conversion under a limit on memory, small: killed twice, the same bytes, within the limit."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tzcore.cli.plan import scratch_bytes, shape_of
from tzcore.hub import sources
from tzcore.hub.reference import parse
from tzcore.quant.settings import Settings

BENCH = Path(__file__).parents[2] / "bench" / "streamed_conversion.py"
SOURCE = "synthetic:llama-3-8b@layers=3,hidden=128,vocabulary=300"
TOKENS = 512

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="limits and samples memory as Linux has it"),
    pytest.mark.timeout(600),
]


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    run = [sys.executable, str(BENCH), "--source", SOURCE, "--tokens", str(TOKENS), "--window", "64"]
    return subprocess.run([*run, "--no-extrapolate", *words], capture_output=True, text=True, timeout=500, check=False)


def test_killed_and_resumed_within_the_limit() -> None:
    done = bench("--limit", "512", "--kills", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall("^killed ", done.stdout, re.MULTILINE)) == 2
    assert re.search(r"^identical: \d+ files, 5 shards", done.stdout, re.MULTILINE)
    scratch = re.search(r"of which scratch up to ([\d,]+) kB", done.stdout)
    assert scratch is not None
    spec = shape_of(sources.describe(parse(SOURCE)).config or {})
    assert spec is not None
    planned = scratch_bytes(spec, Settings(tokens=TOKENS, window=64, tuned=False)) / 1e3
    assert 0.7 * planned < int(scratch[1].replace(",", "")) < planned + 200  # beside notes of a few kB


def test_the_limit_limits() -> None:
    done = bench("--limit", "64")
    assert done.returncode == 1
    assert "the conversion failed" in done.stderr
