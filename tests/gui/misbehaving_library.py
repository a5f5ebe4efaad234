"""A child with the words of ``tz list``, ``tz search`` and ``tz rm``; ``TZ_HOME/models.json`` is what is installed."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

listing = Path(os.environ["TZ_HOME"]) / "models.json"
verb, last = sys.argv[1], sys.argv[-1]
models = json.loads(listing.read_text()) if listing.exists() else []


def fail(message: str) -> None:
    print(json.dumps({"event": "error", "message": message}), flush=True)
    print(f"tz: {message}", file=sys.stderr)
    sys.exit(1)


if verb == "list":
    print(json.dumps({"event": "done", "models": models, "folders": [
        {"path": str(listing.parent / "models"), "available": True, "why": "", "free_bytes": 10**12}]}))
elif verb in ("plan", "show", "doctor"):
    known = listing.with_name(f"{verb}.json")
    if not known.exists():
        fail("The hub cannot be reached.")
    print(known.read_text(), flush=True)
elif verb == "rm":
    if last not in [model["id"] for model in models]:
        fail(f"{last} is not installed")
    listing.write_text(json.dumps([model for model in models if model["id"] != last]))
    print(json.dumps({"event": "done", "id": last}))
elif last == "no network":
    fail("The hub cannot be reached.")
elif last == "nonsense":
    print(json.dumps({"neither": "list"}))
else:
    if last.startswith("slow"):
        time.sleep(1)
    print(json.dumps([
        {"id": f"org/{last}", "downloads": 7, "likes": 2, "parameters": 10**9, "family": "llama", "licence": "mit",
         "gated": False, "supported": True},
        {"id": "org/giant", "parameters": 10**12},
        {"id": "org/unknown-size", "parameters": None},
    ]))
