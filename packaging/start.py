"""From a bare machine to a first answer and an open window: ``python packaging/start.py``.

Creates ``.venv``, installs the program, fetches the starter model, ternarises it, lets it
answer a question here, and opens the window on it.  Run it again and it goes on from where it
was; what is there already is not made twice.
"""

from __future__ import annotations

import os
import sys
import time

import environment

MODEL = "starter"
QUESTION = "What is the capital of France?"


def has_display() -> bool:
    """Whether a window could be seen here."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def main() -> None:
    began = time.monotonic()

    def step(text: str) -> None:
        print(f"[{time.monotonic() - began:4.0f} s] {text}", flush=True)

    environment.check_tools()
    step("Making the environment .venv and installing the program (some minutes the first time)")
    environment.create()
    environment.install("convert")
    tz = [environment.python(), "-m", "tzcore.cli"]

    step(f"Getting the model {MODEL!r} and ternarising it")
    environment.run([*tz, "convert", MODEL])
    step(f"Asking it: {QUESTION}")
    environment.run([*tz, "run", MODEL, QUESTION, "--temperature", "0"])
    step("Done")

    if not has_display():
        chat = " ".join([str(environment.python().relative_to(environment.ROOT)), "-m", "tzcore.cli", "chat", MODEL])
        print(f"There is no display here, so no window is opened. To talk with it in the terminal: {chat}")
        return
    environment.apt_install((*environment.QT_LIBRARIES, *environment.X11_LIBRARIES))
    if problem := environment.missing_qt_libraries():
        environment.fail(f"the window's libraries do not load: {problem}")
    print("Opening the window", flush=True)
    environment.run([*tz, "app", "--model", MODEL])


if __name__ == "__main__":
    main()
