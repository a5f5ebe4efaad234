"""How long the window takes to be on the screen, and what it holds then.

    python tests/bench/window_start.py [--runs 10] [--json]

Each run is a new process.  Measured from just before the process is made to just after the first
paint, with the display that the environment names (``QT_QPA_PLATFORM=offscreen`` where there is
none).  Modules are compiled in the first run and kept, as an installation keeps them; that run is
reported apart.  On a busy machine compare the processor time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHILD = """
import sys, time
from app import application
def painted(services):
    shown = time.time() - float(sys.argv[1])
    import json, psutil
    from PySide6.QtWidgets import QApplication
    heavy = [name for name in ("torch", "transformers", "tokenizers", "numpy", "tzcore.engine") if name in sys.modules]
    memory = psutil.Process().memory_info().rss
    measured = {"seconds": shown, "cpu_seconds": time.process_time(), "resident_bytes": memory, "heavy_modules": heavy}
    print(json.dumps(measured), flush=True)
    QApplication.quit()
application.Services.start = painted
sys.exit(application.main([]))
"""


def run_once(home: str) -> dict[str, object]:
    """One start; CalledProcessError if the window fails."""
    command = [sys.executable, "-c", CHILD, repr(time.time())]
    environment = {**os.environ, "TZ_HOME": home, "PYTHONPYCACHEPREFIX": f"{home}/bytecode"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=60)
    result: dict[str, object] = json.loads(done.stdout)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        results = [run_once(home) for _ in range(arguments.runs + 1)]
    seconds = [float(str(result["seconds"])) for result in results]
    summary = {
        "first_seconds": seconds[0],
        "warm_median_seconds": statistics.median(seconds[1:]),
        "warm_worst_seconds": max(seconds[1:]),
        "warm_median_cpu_seconds": statistics.median(float(str(result["cpu_seconds"])) for result in results[1:]),
        "resident_bytes": max(int(str(result["resident_bytes"])) for result in results),
        "heavy_modules": results[-1]["heavy_modules"],
        "runs": arguments.runs,
    }
    if arguments.json:
        print(json.dumps(summary))
    else:
        print(
            f"first {seconds[0]:.3f} s; warm median {summary['warm_median_seconds']:.3f} s, "
            f"worst {summary['warm_worst_seconds']:.3f} s of {arguments.runs} "
            f"({summary['warm_median_cpu_seconds']:.3f} s of processor time); "
            f"{summary['resident_bytes'] / 1e6:.0f} MB resident; heavy modules: {summary['heavy_modules'] or 'none'}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
