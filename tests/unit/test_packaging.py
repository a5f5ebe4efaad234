"""What the set-up scripts and the README promise."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from tzcore.cli.main import VERBS

ROOT = Path(__file__).resolve().parents[2]


def normal(requirement: str) -> str:
    """A requirement's name as registries compare names (PEP 503)."""
    return re.sub(r"[-_.]+", "-", re.split(r"[<>=!~;\[ ]", requirement)[0]).lower()


def script(name: str) -> ModuleType:
    """``packaging/NAME.py`` as a module."""
    folder = ROOT / "packaging"
    sys.path.insert(0, str(folder))
    try:
        spec = importlib.util.spec_from_file_location(f"packaging_{name}", folder / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(folder))


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = {normal(r) for r in [*project["dependencies"], *extras["convert"], *extras["cuda"], *extras["dev"]]}
    lines = (ROOT / "packaging" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.\-]+==[\w.]+", pin) for pin in pins)
    assert wanted - {normal(pin) for pin in pins} == set()


def test_the_readme_names_only_verbs_that_exist_and_both_commands() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^tz (\w+)", readme, re.MULTILINE)) <= set(VERBS)
    for command in re.findall(r"^python (\S+)$", readme, re.MULTILINE):
        assert (ROOT / command).is_file()
    assert {"packaging/start.py", "packaging/test.py"} <= set(re.findall(r"^python (\S+)$", readme, re.MULTILINE))


def test_every_folder_on_the_map_exists() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = readme.split("## Map")[1].split("```")[1]
    top, found = "", []
    for line in block.splitlines():
        if match := re.match(r"(\S+/) ", line):
            top = match[1]
            found.append(top)
        elif re.match(r"  \S", line):  # one or two names with what is in them
            found += [f"{top}{name}" for name in re.findall(r"  (\w+(?:/|\.py)) ", line)]
    assert len(found) >= 30
    assert {"app/chat/", "app/history/", "tzcore/trits/", "tzcore/outbound.py"} <= set(found)
    for name in found:
        assert (ROOT / name).exists(), name


def test_counts_come_from_the_report_and_failures_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = script("test")
    monkeypatch.setattr(module.environment, "python", lambda: Path(sys.executable))
    (tmp_path / "test_sample.py").write_text(
        "import pytest\n"
        "def test_a(): pass\n"
        "def test_b(): pass\n"
        "def test_c(): assert False\n"
        "def test_d(): pytest.skip('because')\n"
        "@pytest.fixture\n"
        "def broken(): raise ValueError\n"
        "def test_e(broken): pass\n"
    )
    code, count = module.run_pytest([str(tmp_path), "-p", "no:cacheprovider"])
    assert code == 1
    assert count == module.Count(passed=2, failed=2, skipped=1)


def answer_to(monkeypatch: pytest.MonkeyPatch, messages: list[dict[str, object]], errors: str, in_time: bool) -> object:
    """What the cross check makes of such an answer of cargo: compiled, missing, messages."""
    module = script("cross_check")
    lines = [json.dumps({"manifest_path": str(module.MANIFEST), **message}) for message in messages]
    monkeypatch.setattr(module, "run_until", lambda *_: ("\n".join(lines), errors, in_time))
    answer = module.compile_for(module.Job("a", [], {}, Path("target")), 0.0, [])
    return answer.compiled, answer.missing, answer.messages


WARNING: dict[str, object] = {"reason": "compiler-message", "message": {"rendered": "text"}}
ARTIFACT: dict[str, object] = {"reason": "compiler-artifact"}
OURS = "error: could not compile `ternary-zero` (lib)"
LIBRARYS = "error: could not compile `core` (lib)"


@pytest.mark.parametrize(
    ("messages", "errors", "in_time", "expected"),
    [
        ([WARNING, ARTIFACT], "", True, (True, "", ["text"])),
        ([WARNING], OURS, True, (False, "", ["text"])),
        ([], OURS, True, (False, "", [OURS])),
        ([], f"note\n{LIBRARYS}\nmore", True, (False, LIBRARYS, [])),
        ([], "", True, (False, "cargo said nothing", [])),
        ([], "Compiling core", False, (False, "the time was up", [])),
    ],
)
def test_only_an_error_of_ours_is_a_compile_error(
    monkeypatch: pytest.MonkeyPatch, messages: list[dict[str, object]], errors: str, in_time: bool, expected: object
) -> None:
    assert answer_to(monkeypatch, messages, errors, in_time) == expected


def test_without_targets_or_debian_the_cross_check_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = script("cross_check")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(module, "rustc_says", lambda *_: "")
    monkeypatch.setattr(module.debian_rust.shutil, "which", lambda _: None)
    result = module.check(("a",))
    assert (result.compiled, result.failed, list(result.missing)) == ([], [], ["a"])
    assert capsys.readouterr().out.startswith("a: not checked, neither targets nor")


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="these always have a display")
def test_a_display_is_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    start = script("start")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not start.has_display()
    monkeypatch.setenv("DISPLAY", ":0")
    assert start.has_display()
