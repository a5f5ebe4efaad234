"""Every control of every page and dialog as a screen reader finds it: its role and its name.

    QT_QPA_PLATFORM=offscreen python tests/bench/accessibility.py [--out tests/bench/results/accessibility.txt]

The window has the seeded conversations of the pictures; nothing is loaded.  Each page is walked in a window of its
own.  Ends with 1 where something is wrong.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))
LEFT_OUT = ("chat-end", "notice")
"""Scenes that show the controls of others again."""


def walk(name: str) -> int:
    """Print as JSON what a scene has, and what is wrong with it; ``null`` where there is no such thing."""
    from tests.bench.screenshots import SCENES, Studio
    from tests.gui.accessible_walk import controls, out_of_order, trouble

    found: dict[str, list[str]] | None = None
    with tempfile.TemporaryDirectory() as home:
        studio = Studio(Path(home), "en", 100, right_to_left=False)
        studio.window.resize(1280, 800)
        shown = SCENES[name](studio)
        if shown is not None:
            studio.settle()
            part = studio.window.pages if shown is studio.window and name != "chat" else shown
            lines = [control.line for control in controls(part)]
            found = {"controls": lines, "wrong": [*trouble(shown, part), *out_of_order(shown)]}
            if shown is not studio.window:
                shown.close()
        studio.window.close()
        studio.services.shutdown()
    print(json.dumps(found))
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--scene", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.scene:
        return walk(arguments.scene)
    from tests.bench.screenshots import SCENES

    lines: list[str] = []
    wrong: list[str] = []
    for name in SCENES:
        if name in LEFT_OUT:
            continue
        command = [sys.executable, __file__, "--scene", name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
        found = json.loads(done.stdout.splitlines()[-1])
        if found is not None:
            lines += ["", f"{name}: {len(found['controls'])} controls", *(f"  {line}" for line in found["controls"])]
            wrong += [f"{name}: {one}" for one in found["wrong"]]
    lines += ["", f"what is wrong: {len(wrong)}", *(f"  {one}" for one in wrong)]
    text = "\n".join(lines).lstrip("\n") + "\n"
    print(text, end="")
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
