"""How long the window takes to be on the screen, and what it holds then.

    python tests/bench/window_start.py [--runs 10] [--cold] [--idle HOME] [--json]

Each run is a new process.  Measured from just before the process is made to just after the first
paint, with the display that the environment names (``QT_QPA_PLATFORM=offscreen`` where there is
none).  Modules are compiled in the first run and kept, as an installation keeps them; that run is
reported apart.  On a busy machine compare the processor time.

``--cold``: also runs for which the system forgets what it has read of the disk (Linux, as root).
``--idle HOME``: the window with the engine on a copy of that home folder, and what both hold ten seconds after the
first paint; the window's own is the resident set, shared libraries included.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
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


IDLE = """
import json, sys
import psutil
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from app import application
start = application.Services.start
def painted(services):
    start(services)
    QTimer.singleShot(10_000, measure)
def measure():
    me = psutil.Process()
    engine = sum(child.memory_info().rss for child in me.children(recursive=True))
    own = me.memory_full_info()
    print(json.dumps({"window": own.rss, "own": own.uss, "children": engine}), flush=True)
    QApplication.quit()
application.Services.start = painted
sys.exit(application.main([]))
"""
DROP = Path("/proc/sys/vm/drop_caches")


def idle(home: str) -> dict[str, int]:
    """Bytes of the window and of its children, ten seconds after the first paint."""
    environment = {**os.environ, "TZ_HOME": home}
    done = subprocess.run(
        [sys.executable, "-c", IDLE], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True,
        timeout=120,
    )
    result: dict[str, int] = json.loads(done.stdout)
    return result


def forget() -> bool:
    """Let the system forget the files that it has read; False where that is not permitted."""
    try:
        os.sync()
        DROP.write_text("3")
    except OSError:
        return False
    return True


def cold_runs(home: str, runs: int) -> list[float]:
    """Seconds of starts from the disk; none where the caches cannot be dropped."""
    found = []
    for _ in range(runs):
        if not forget():
            break
        found.append(float(str(run_once(home)["seconds"])))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--idle", metavar="HOME")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        results = [run_once(home) for _ in range(arguments.runs + 1)]
        cold = cold_runs(home, 3) if arguments.cold else []
    held: dict[str, int] = {}
    if arguments.idle:
        with tempfile.TemporaryDirectory() as home:
            shutil.copytree(arguments.idle, home, dirs_exist_ok=True)
            held = idle(home)
    seconds = [float(str(result["seconds"])) for result in results]
    summary = {
        "first_seconds": seconds[0],
        "warm_median_seconds": statistics.median(seconds[1:]),
        "warm_worst_seconds": max(seconds[1:]),
        "warm_median_cpu_seconds": statistics.median(float(str(result["cpu_seconds"])) for result in results[1:]),
        "resident_bytes": max(int(str(result["resident_bytes"])) for result in results),
        "heavy_modules": results[-1]["heavy_modules"],
        "runs": arguments.runs,
        "cold_seconds": cold,
        "idle_bytes": held,
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
        if arguments.cold:
            said = ", ".join(f"{seconds:.3f} s" for seconds in cold)
            print(f"cold, from the disk: {said or 'the caches cannot be dropped here'}")
        if held:
            print(
                f"idle after 10 s: window {held['window'] / 1e6:.0f} MB resident ({held['own'] / 1e6:.0f} MB its own), "
                f"engine and other children {held['children'] / 1e6:.0f} MB"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
