"""Every control of every page and dialog as a screen reader finds it: its role and its name.

    QT_QPA_PLATFORM=offscreen python tests/bench/accessibility.py [--out tests/bench/results/accessibility.txt]

The window has the seeded conversations of the pictures; nothing is loaded.  Ends with 1 where something is wrong.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    from tests.bench.screenshots import SCENES, Studio
    from tests.gui.accessible_walk import controls, out_of_order, trouble

    lines: list[str] = []
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as home:
        studio = Studio(Path(home), "en", 100, right_to_left=False)
        studio.window.resize(1280, 800)
        for name, scene in SCENES.items():
            shown = scene(studio)
            if shown is None or name == "help":  # a menu is its actions
                continue
            studio.settle()
            part = studio.window.pages if shown is studio.window and name != "chat" else shown
            listed = controls(part)
            lines += ["", f"{name}: {len(listed)} controls", *(f"  {control.line}" for control in listed)]
            wrong += [f"{name}: {one}" for one in (*trouble(shown, part), *out_of_order(shown))]
            if shown is not studio.window:
                shown.close()
        studio.window.close()
        studio.services.shutdown()
    lines += ["", f"what is wrong: {len(wrong)}", *(f"  {one}" for one in wrong)]
    text = "\n".join(lines).lstrip("\n") + "\n"
    print(text, end="")
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
