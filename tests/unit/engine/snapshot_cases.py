"""What tests of snapshots have in common: a prompt, and looks at an engine and at its files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.unit.engine.scripted_model import ScriptedModel
from tests.unit.engine.test_texts import say, tokens
from tzcore.engine import piece
from tzcore.engine.generation import Engine
from tzcore.engine.piece_tree import PieceTree

PROMPT = tokens(0, 900)
OPENED = Callable[..., Engine]
HEAD = piece._HEAD.size


def once(one: Engine, prompt: list[int] = PROMPT, count: int = 20) -> tuple[str, int]:
    """The answer, and how much of the prompt was not read; the engine is closed."""
    text, usage = say(one, prompt, count)
    one.close()
    return text, usage.cached_tokens


def files(root: Path) -> list[Path]:
    return sorted(root.glob("*/*"))


def scripted(one: Engine) -> ScriptedModel:
    assert isinstance(one._model, ScriptedModel)
    return one._model


def along(root: Path, text: list[int]) -> list[Path]:
    """The files of a text, in order."""
    (folder,) = root.iterdir()
    return [folder / str(name) for name in PieceTree(folder).find(text).pieces]
