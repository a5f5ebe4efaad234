"""``python -m app.transfer DATABASE FILE``: import one file, in a process that may take its time and its memory.

Says its progress, what came of it or what is wrong as JSON lines.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(argv: list[str]) -> int:
    """0: done; 1: it could not be imported, which was said."""
    from app.transfer.conversation import UnreadableError
    from app.transfer.source import open_source
    from app.transfer.write import write

    database, file = argv
    try:
        _say({"event": "reading"})
        source = open_source(Path(file))
        outcome = write(Path(database), source, lambda done, total: _say({"event": "wrote", "done": done,
                                                                          "total": total}))
    except UnreadableError as error:
        _say({"event": "unreadable", "reason": error.reason, "detail": error.detail})
        return 1
    _say({"event": "done", **outcome.as_json()})
    return 0


def _say(event: dict[str, object]) -> None:
    print(json.dumps(event), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
