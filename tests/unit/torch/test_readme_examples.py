"""The README's examples of the library run as they stand, with folders of their own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.tiny_models import tiny_folder
from tests.unit.torch.folders import original
from tzcore.checkpoint import ModelFolder

README = Path(__file__).resolve().parents[3] / "README.md"


def run_example(section: str, places: dict[str, Path]) -> None:
    """The first Python code of a section, the words in capitals replaced by ``places``."""
    text = README.read_text(encoding="utf-8").partition(f"## {section}\n")[2].partition("\n## ")[0]
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    code = found[1]
    for name, path in places.items():
        assert f'"{name}"' in code
        code = code.replace(f'"{name}"', repr(str(path)))
    exec(compile(code, str(README), "exec"), {})


def test_from_python(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tiny_folder(tmp_path / "m", "llama", "t1", "i8")
    places = {"FOLDER": folder, "ORIGINAL": original(tmp_path / "f", "llama")}
    made = {name: tmp_path / name for name in ("SAVED", "OTHER")}
    run_example("From Python", places | made)
    said = capsys.readouterr().out
    assert said.startswith("The capital of France is")
    assert "model.layers.0.mlp.up_proj: left, because it is excluded by '*.layers.0.*'" in said
    for path in made.values():
        ModelFolder.open(path).verify()


def test_healing_by_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tiny_folder(tmp_path / "m", "llama", "t1", "i8")
    run_example("Healing by training", {"FOLDER": folder, "HEALED": tmp_path / "healed"})
    losses = [float(line.split()[1]) for line in capsys.readouterr().out.splitlines()]
    assert losses[2] < losses[0]
    ModelFolder.open(tmp_path / "healed").verify()
