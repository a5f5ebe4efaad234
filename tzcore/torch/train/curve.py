"""``training.jsonl``: a line a step, and a line an evaluation.

``{"step", "tokens", "seconds", "loss", "rate"}``, and ``{"step", "tokens", "seconds", "perplexity",
"original_perplexity", "kl"}`` for held-out text; step 0 is the model as it was.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tzcore import atomic

NAME = "training.jsonl"


class Curve:
    """The file, written line by line.  What lies after ``step`` belongs to a run that was killed and is dropped."""

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        found = read(path)
        self.lines = [line for line in found if line["step"] <= step]
        atomic.write(path, [(json.dumps(line) + "\n").encode() for line in self.lines])

    def add(self, **fields: Any) -> None:
        """Append a line.  StorageError where there is no room."""
        self.lines.append(fields)
        with atomic.storage_errors(self.path), open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(fields) + "\n")

    def evaluated(self, step: int) -> bool:
        """Whether the model was measured after ``step``."""
        return any(line["step"] == step and "kl" in line for line in self.lines)


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a curve, without what is torn; none where there is no file."""
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    found = []
    for line in content.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict) and isinstance(value.get("step"), int):
            found.append(value)
    return found
