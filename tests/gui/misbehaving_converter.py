"""A child with the words of ``tz convert --json``; the source's name says how it behaves.

It keeps how far it came in ``TZ_HOME/steps`` and goes on from there, as the real one does.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

source = sys.argv[-1]
steps = Path(os.environ["TZ_HOME"]) / "steps"
with (steps.parent / "calls").open("a") as calls:
    print(" ".join(sys.argv[1:]), file=calls)


def say(event: str, **fields: object) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


if source == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if source == "unknown":
    say("error", message="There is no model called unknown.")
    print("tz: There is no model called unknown.", file=sys.stderr)
    sys.exit(1)
if source == "speechless":
    sys.exit(4)
if source == "wordy":
    print("tz: the disk is full", file=sys.stderr)
    sys.exit(1)
if source == "shot":
    os.kill(os.getpid(), 9)
if source == "half":  # ends well but has not said what came out
    sys.exit(0)
say("note", message="about to begin")
begun = int(steps.read_text()) if steps.exists() else 0
total = 6 if source == "quick" or sys.argv[1] == "eval" else 400
for step in range(begun, total):
    say("progress", phase="convert", done=step * 1000, total=total * 1000, unit="weights", detail=f"layer {step}")
    steps.with_suffix(".new").write_text(str(step))
    steps.with_suffix(".new").replace(steps)
    time.sleep(0.02)
steps.unlink()
say("done", id=f"{source}:t2", path="/x", encoding="t2", bytes=5, source=source)
