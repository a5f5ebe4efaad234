from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tzcore import __version__
from tzcore.cli.main import VERBS, main


def tz(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tzcore.cli", *words]
    return subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", timeout=60, env={**os.environ, **env}, check=False
    )


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for verb in VERBS:
        assert f"\n    {verb} " in shown


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_and_takes_json(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    assert "--json" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"tz {__version__}\n"


@pytest.mark.parametrize("words", [[], ["fly"], ["run"], ["list", "--nonsense"], ["convert", "x", "--encoding", "t9"]])
def test_wrong_usage_is_two_and_says_where_to_look(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("tz: ")
    assert "--help" in captured.err


def test_module_and_command_are_the_same() -> None:
    command = Path(sys.executable).with_name("tz.exe" if os.name == "nt" else "tz")
    installed = subprocess.run([command, "--version"], capture_output=True, text=True, timeout=60, check=True).stdout
    assert tz("--version").stdout == installed == f"tz {__version__}\n"


@pytest.mark.skipif(os.name == "nt", reason="children's processor time is POSIX")
@pytest.mark.parametrize("words", [["--help"], ["list"]])
def test_answers_at_once(words: list[str]) -> None:
    """0.3 s is what a person may wait.  Processor time is counted, so that a busy machine does not matter."""
    import resource

    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert tz(*words).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times) <= 0.3


def test_output_is_utf8_whatever_the_locale_says() -> None:
    source = "from tzcore.cli.main import main; import sys; main(['--version']); print('π → ok')"
    child = subprocess.run(
        [sys.executable, "-c", source],
        capture_output=True,
        timeout=60,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    )
    assert child.stdout.decode("utf-8").splitlines()[-1] == "π → ok"
