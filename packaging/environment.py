"""The project's virtual environment: made, filled, and asked to run things.

Standard library only: this runs on a bare Python before anything is installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
MINIMUM = (3, 11)

QT_LIBRARIES = (
    "libdbus-1-3",
    "libegl1",
    "libfontconfig1",
    "libgl1",
    "libglib2.0-0",
    "libgssapi-krb5-2",
    "libxkbcommon0",
    "fonts-dejavu-core",
)
"""What Qt loads on Debian to draw a window into memory, and a font to draw with."""
X11_LIBRARIES = ("libxcb-cursor0", "libxcb-icccm4", "libxcb-keysyms1", "libxkbcommon-x11-0")
"""What it loads besides to bring the window to a display; others come with these."""


def fail(message: str) -> NoReturn:
    """Stop with one line that says what to do."""
    sys.exit(f"{Path(sys.argv[0]).name}: {message}")


def check_tools() -> None:
    """Python new enough, and the Rust compiler there: said before anything is downloaded."""
    if sys.version_info < MINIMUM:
        fail(f"Python {MINIMUM[0]}.{MINIMUM[1]} or newer is needed, this is {sys.version.split()[0]}")
    if not shutil.which("cargo"):
        home = Path.home() / ".cargo" / "bin"
        if not (home / ("cargo.exe" if os.name == "nt" else "cargo")).exists():
            fail("cargo, the Rust build tool, is not installed or not on PATH: install Rust and run this again")
        os.environ["PATH"] = f"{home}{os.pathsep}{os.environ['PATH']}"


def python(folder: Path = ENVIRONMENT) -> Path:
    """The environment's interpreter."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def run(command: Sequence[str | Path], check: bool = True, **more: Any) -> int:
    """Run ``command`` in the project's root and return its exit code; with ``check`` a failure ends the script."""
    words = [str(word) for word in command]
    code = subprocess.run(words, cwd=ROOT, check=False, **more).returncode
    if check and code:
        fail(f"this command failed with exit code {code}: {' '.join(words)}")
    return int(code)


def create(fresh: bool = False) -> None:
    """Make ``.venv`` unless a usable one is there."""
    if fresh and ENVIRONMENT.exists():
        shutil.rmtree(ENVIRONMENT)
    if python().exists() and run([python(), "-m", "pip", "--version"], check=False, stdout=subprocess.DEVNULL) == 0:
        return
    try:
        venv.create(ENVIRONMENT, with_pip=True, clear=ENVIRONMENT.exists())
    except subprocess.CalledProcessError:  # Debian ships ensurepip in a package of its own
        if not apt_install(("python3-venv",)):
            fail("this Python cannot make virtual environments: install its venv module (Debian: python3-venv)")
        venv.create(ENVIRONMENT, with_pip=True, clear=True)


def install(extras: str) -> None:
    """Build the native part and link the project with ``extras`` into ``.venv``, at the tested versions.

    Linked, because Python started in this folder finds the sources here before any installed copy.
    """
    constraints = ROOT / "packaging" / "constraints.txt"
    command = [python(), "-m", "pip", "install", "--disable-pip-version-check", "-c", constraints]
    quiet = [] if sys.stdout.isatty() else ["-qq"]  # a person sees the progress, a log only what fails
    run([*command, *quiet, "--editable", f"{ROOT}[{extras}]"])


def apt_install(packages: Sequence[str]) -> bool:
    """Install missing Debian packages where that is possible.  True if all of them are there then."""
    if not shutil.which("dpkg-query"):
        return False
    missing = [name for name in packages if not _apt_has(name)]
    if not missing:
        return True
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    print(f"Installing the system packages {', '.join(missing)}", flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update", "-qq"], env=quiet)
    run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], env=quiet, stdout=subprocess.DEVNULL)
    return True


def _apt_has(name: str) -> bool:
    query = ["dpkg-query", "-W", "-f", "${Status}", name]
    answer = subprocess.run(query, capture_output=True, text=True, check=False)
    return "install ok installed" in answer.stdout


def missing_qt_libraries() -> str:
    """What the dynamic loader says is missing for a window, or nothing."""
    probe = "import PySide6.QtWidgets, PySide6.QtNetwork"
    answer = subprocess.run([str(python()), "-c", probe], capture_output=True, text=True, check=False)
    return answer.stderr.strip().splitlines()[-1] if answer.returncode else ""
