"""A process that measures when it is told to: orders as JSON lines on stdin, answers on stdout.

    python worker.py ours|ggml|torch

``ggml`` runs in the peer's interpreter, so nothing of this project may be imported at the top.
Each side offers ``matmul`` and ``model``.  What an order needs is made once and kept.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any


def main() -> None:
    """Answer until stdin ends.  What a library prints goes to stderr."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    side: Any = importlib.import_module(f"{sys.argv[1]}_side")
    for line in sys.stdin:
        order = json.loads(line)
        answer = getattr(side, order.pop("what"))(**order)
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main()
