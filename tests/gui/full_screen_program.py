"""A program that fills the screen of an X server without a window manager, and so sets the properties itself.

``python full_screen_program.py full|small``: prints ``ready``; a line on stdin ends it.  Needs libX11 alone.
"""

from __future__ import annotations

import ctypes
import os
import sys

x = ctypes.CDLL("libX11.so.6")
x.XOpenDisplay.restype = ctypes.c_void_p
x.XInternAtom.restype = x.XDefaultRootWindow.restype = x.XCreateSimpleWindow.restype = ctypes.c_ulong
display = ctypes.c_void_p(x.XOpenDisplay(None))
root = x.XDefaultRootWindow(display)
window = x.XCreateSimpleWindow(display, ctypes.c_ulong(root), 0, 0, 640, 480, 0, ctypes.c_ulong(0), ctypes.c_ulong(0))


def put(target: int, name: str, kind: int, *values: int) -> None:
    atom = x.XInternAtom(display, name.encode(), 0)
    numbers = (ctypes.c_ulong * len(values))(*values)
    x.XChangeProperty(
        display, ctypes.c_ulong(target), ctypes.c_ulong(atom), ctypes.c_ulong(kind), 32, 0, numbers, len(values)
    )


ATOM, CARDINAL, WINDOW = 4, 6, 33
put(window, "_NET_WM_PID", CARDINAL, int(sys.argv[2]) if len(sys.argv) > 2 else os.getpid())
if sys.argv[1] == "full":
    put(window, "_NET_WM_STATE", ATOM, x.XInternAtom(display, b"_NET_WM_STATE_FULLSCREEN", 0))
x.XMapWindow(display, ctypes.c_ulong(window))
put(root, "_NET_ACTIVE_WINDOW", WINDOW, window)
x.XSync(display, 0)
print("ready", flush=True)
sys.stdin.readline()
put(root, "_NET_ACTIVE_WINDOW", WINDOW, 0)
x.XDestroyWindow(display, ctypes.c_ulong(window))
x.XSync(display, 0)
x.XCloseDisplay(display)
