"""How long the plan's sliders take from a key to everything repainted: ``python tests/bench/plan_sliders.py [SOURCE]``.

Each step of both sliders is made and all events it leads to are handled, the repaint included; the table of a real
``tz plan SOURCE --options`` is shown.  Medians and the longest, in milliseconds, of three rounds.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PySide6.QtWidgets import QApplication

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


def main() -> None:
    from app.theme import Theme
    from app.views.library.plan_view import PlanView
    from tests.gui.window_services import ScriptedLibrary, scripted_services

    source = sys.argv[1] if len(sys.argv) > 1 else "synthetic:llama-3-70b"
    command = [sys.executable, "-m", "tzcore.cli", "plan", source, "--options", "--json"]
    began = time.perf_counter()
    raw = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()[-1])
    print(f"tz plan {source} --options --json: {time.perf_counter() - began:.1f} s, {len(json.dumps(raw)):,} bytes")
    application = QApplication.instance() or QApplication([])
    assert isinstance(application, QApplication)
    with tempfile.TemporaryDirectory() as folder:
        services = scripted_services(Path(folder))
        view = PlanView(Theme(application, "light"), services)
        view.resize(900, 700)
        view.show()
        view.show_source(source)
        assert isinstance(services.library, ScriptedLibrary)
        services.library.plans[0].done.emit(raw)
        application.processEvents()
        for name, slider in (("quality", view.quality), ("context", view.context)):
            took = []
            for _ in range(3):
                for value in (*range(slider.maximum() + 1), *range(slider.maximum(), -1, -1)):
                    start = time.perf_counter()
                    slider.setValue(value)
                    application.processEvents()
                    took.append(1000 * (time.perf_counter() - start))
            middle, most = statistics.median(took), max(took)
            print(f"{name}: {slider.maximum() + 1} points, {middle:.1f} ms, at most {most:.1f} ms")
        services.jobs.shutdown()
        services.history.close()


if __name__ == "__main__":
    main()
