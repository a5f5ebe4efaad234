"""What a model is called in front of people: the catalogue's name where it has one, else the end of its id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.wording import model_and_encoding, short_model

if TYPE_CHECKING:
    from app.library.library import Library


def model_name(model_id: str, library: Library) -> str:
    """``"SmolLM2 135M Instruct"`` of ``"starter:t2"``; ``"Qwen3-4B"`` of ``"Qwen/Qwen3-4B:t1"``; ``""`` of ``""``."""
    source, _ = model_and_encoding(model_id)
    names = library.names()
    name = names.get(source) or names.get(model_id) or ""
    return name.partition(" (")[0] or short_model(source)
