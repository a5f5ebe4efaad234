"""Whether there is a display to open a window on.  Qt itself would abort the process if there is none."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

WITHOUT_DISPLAY = ("offscreen", "minimal", "minimalegl", "vnc", "eglfs", "linuxfb")
NONE = "there is no display here to open a window on; in a terminal use: tz chat MODEL"
CURSOR = (
    "the window needs the library libxcb-cursor; on Debian and Ubuntu: apt install libxcb-cursor0, "
    "on Fedora: dnf install xcb-util-cursor"
)


def display_trouble(environment: Mapping[str, str] | None = None) -> str:
    """Why no window can be shown, with what to do, or ``""``.

    A Qt platform without a display that was asked for (``QT_QPA_PLATFORM=offscreen``) is no trouble.
    """
    env = os.environ if environment is None else environment
    if env.get("QT_QPA_PLATFORM", "").split(":")[0] in WITHOUT_DISPLAY or not sys.platform.startswith("linux"):
        return ""
    if _wayland_answers(env.get("WAYLAND_DISPLAY", ""), env.get("XDG_RUNTIME_DIR", "")):
        return ""
    if not _x11_answers(env.get("DISPLAY", "")):
        return NONE
    import ctypes

    try:
        ctypes.CDLL("libxcb-cursor.so.0")
    except OSError:
        return CURSOR
    return ""


def _wayland_answers(name: str, runtime_folder: str) -> bool:
    if not name or not (runtime_folder or name.startswith("/")):
        return False
    return _connects(socket.AF_UNIX, str(Path(runtime_folder) / name))


def _x11_answers(display: str) -> bool:
    """``[host]:number[.screen]``, see X(7)."""
    host, colon, number = display.rpartition(":")
    number = number.split(".")[0]
    if not colon or not number.isdigit():
        return False
    if host in ("", "unix"):
        place = f"/tmp/.X11-unix/X{number}"
        return _connects(socket.AF_UNIX, place) or _connects(socket.AF_UNIX, "\0" + place)
    return _connects(socket.AF_INET, (host, 6000 + int(number)))


def _connects(family: socket.AddressFamily, address: str | tuple[str, int]) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.settimeout(2)
            probe.connect(address)
    except (OSError, ValueError):
        return False
    return True
