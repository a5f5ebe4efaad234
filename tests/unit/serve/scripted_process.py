"""``serve`` in a process of its own, on a scripted model: ``python scripted_process.py '{"port": 0, …}'``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))


def main() -> int:
    from tests.unit.engine.scripted_model import ScriptedModel, engine
    from tzcore.errors import TernaryZeroError
    from tzcore.serve.server import serve

    options: dict[str, Any] = json.loads(sys.argv[1])
    heavy = {"torch", "transformers", "PySide6", "httpx", "rich", "gguf"} & set(sys.modules)
    assert not heavy, heavy

    def opener(path: Path, *, context: int | None, kv: str, report: Any, neighbours: Any) -> Any:
        return engine(path, ScriptedModel([70, 71], seconds_per_token=0.01), context or 2048)

    try:
        return serve(**options, opener=opener)
    except TernaryZeroError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
