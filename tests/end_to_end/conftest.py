"""The real program on real models: the starter, fetched and converted once a run, and a small local one."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
Tz = Callable[..., "subprocess.CompletedProcess[str]"]


def environment(home: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "TZ_HOME": str(home), "PYTHONUTF8": "1", **more}


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "tzcore.cli", *map(str, words)]


def events(output: str) -> list[dict[str, Any]]:
    """The JSON lines of ``--json``."""
    return [json.loads(line) for line in output.splitlines()]


@pytest.fixture
def tz(home: Path) -> Tz:
    """Run ``tz`` to its end in a home of this test's own."""

    def run(*words: str | Path, stdin: str = "", timeout: float = 120, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*words),
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=timeout,
            env=environment(home, **env),
            check=False,
        )

    return run


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """The form of every foreseeable failure: exit code 1, nothing on stdout, one line that says what."""
    assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines, "nothing was said"
    assert lines[-1].startswith("tz: "), done.stderr
    assert sum(line.startswith("tz: ") for line in lines) == 1
    assert "Traceback" not in done.stderr
    assert "unexpected" not in lines[-1], done.stderr
    for word in words:
        assert word.lower() in lines[-1].lower(), lines[-1]


# --- the starter -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Starter:
    """The starter, installed in ``home``.  ``seconds`` and ``peak`` (resident bytes) of its conversion
    are ``None`` where an earlier run had made it."""

    home: Path
    id: str
    path: Path
    seconds: float | None
    peak: int | None

    def tz(self, *words: str | Path, stdin: str = "", timeout: float = 240) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*words),
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=timeout,
            env=environment(self.home),
            check=False,
        )


def _sources_digest() -> str:
    """Changes with whatever decides what a converted model is."""
    digest = hashlib.sha256()
    parts = ("quant", "checkpoint", "hub", "architecture", "trits")
    places = (*(f"tzcore/{part}" for part in parts), "kernels/cpu/src", "resources")
    files = [file for place in places for file in (ROOT / place).rglob("*") if "__pycache__" not in file.parts]
    for file in sorted([*files, ROOT / "tzcore/hadamard.py"]):
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def run_watched(words: list[str], env: dict[str, str], timeout: float) -> tuple[str, float, int]:
    """Run to success; its stdout, the seconds it took, and the most memory it held (resident bytes)."""
    began, peak = time.monotonic(), 0
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(words, stdout=out, stderr=errors, env=env) as child:
            watched = psutil.Process(child.pid)
            while child.poll() is None:
                with suppress(psutil.Error):
                    peak = max(peak, watched.memory_info().rss)
                if time.monotonic() - began > timeout:
                    child.kill()
                    pytest.fail(f"{words} took more than {timeout:.0f} s")
                time.sleep(0.05)
        seconds = time.monotonic() - began
        out.seek(0)
        errors.seek(0)
        assert child.returncode == 0, errors.read()
        return out.read(), seconds, peak


def starters(home: Path) -> list[dict[str, Any]]:
    words = command("list", "--json")
    listing = subprocess.run(words, env=environment(home), capture_output=True, text=True, check=True)
    return [model for model in json.loads(listing.stdout) if model["source"] == "starter"]


@pytest.fixture(scope="session")
def starter(pytestconfig: pytest.Config) -> Starter:
    """``tz convert starter``, once a run, and again only when its code has changed.

    ``TZ_TEST_CACHE`` names a folder to keep it in; by default pytest's own cache.
    """
    override = os.environ.get("TZ_TEST_CACHE")
    cache = Path(override) if override else Path(pytestconfig.cache.mkdir("starter"))  # type: ignore[union-attr]
    home = cache / _sources_digest()
    home.mkdir(parents=True, exist_ok=True)
    seconds = peak = None
    if not starters(home):
        words = command("convert", "starter", "--json")
        out, seconds, peak = run_watched(words, environment(home), timeout=1200)
        print(f"\nstarter converted in {seconds:.0f} s, at most {peak / 1e9:.2f} GB resident")
        assert events(out)[-1]["event"] == "done"
    (model,) = starters(home)
    return Starter(home, model["id"], Path(model["path"]), seconds, peak)


# --- a small model on this disk ----------------------------------------------------------------


@pytest.fixture(scope="session")
def local_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face folder with random weights, large enough that its conversion can be interrupted."""
    import numpy as np
    from safetensors.numpy import save_file

    from tests.tiny_models import hub_tensors, tiny_model, write_small_files

    model = tiny_model("llama", hidden_size=256, intermediate_size=512, num_hidden_layers=6, num_attention_heads=4)
    folder = tmp_path_factory.mktemp("source") / "small-llama"
    write_small_files(folder)
    (folder / "config.json").write_text(model.config.to_json_string(use_diff=False), encoding="utf-8")
    tensors = {name: value.astype(np.float16) for name, value in hub_tensors("llama", model).items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder
