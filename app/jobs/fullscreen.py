"""Whether another program fills the screen: a game, a film, a presentation.

Windows says so itself.  On X11 the window manager's properties do (EWMH: the active window, its state, its process);
they are read through libxcb, which is there wherever a Qt window is.  Wayland shows no program another's windows,
and macOS would need a permission for it, so nothing can be told there.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from typing import Any

Detector = Callable[[], bool]
"""Whether a program other than this one is in front and fills its screen."""

_DESKTOP = ("Progman", "WorkerW", "Shell_TrayWnd", "XamlExplorerHostIslandWindow", "MultitaskingViewFrame")
"""Windows' own windows that fill the screen."""


def detector(platform: str, display: str | None = None) -> Detector | None:
    """For the Qt platform plugin ``platform``; ``None`` where nothing can be told.  ``display``: X11's, by default
    the environment's."""
    if platform == "windows":
        return _windows()
    if platform == "xcb" and sys.platform != "darwin":
        try:
            return X11(display)
        except OSError:
            return None
    return None


class X11:
    """A connection of its own to the X server.  OSError where there is none."""

    def __init__(self, display: str | None = None) -> None:
        self._x = _library()
        self._connection = self._x.xcb_connect(display.encode() if display else None, None)
        if self._x.xcb_connection_has_error(self._connection):
            self._x.xcb_disconnect(self._connection)
            raise OSError("no X server answers")
        roots = self._x.xcb_setup_roots_iterator(self._x.xcb_get_setup(self._connection))
        self._root = int(roots.data[0])
        self._atoms = {
            name: self._atom(name)
            for name in ("_NET_ACTIVE_WINDOW", "_NET_WM_STATE", "_NET_WM_STATE_FULLSCREEN", "_NET_WM_PID")
        }

    def __call__(self) -> bool:
        if self._x.xcb_connection_has_error(self._connection):
            return False
        (active,) = self._property(self._root, "_NET_ACTIVE_WINDOW")[:1] or (0,)
        if not active or self._property(active, "_NET_WM_PID")[:1] == (os.getpid(),):
            return False
        return self._atoms["_NET_WM_STATE_FULLSCREEN"] in self._property(active, "_NET_WM_STATE")

    def close(self) -> None:
        """Leave the server."""
        self._x.xcb_disconnect(self._connection)

    def _atom(self, name: str) -> int:
        cookie = self._x.xcb_intern_atom(self._connection, 0, len(name), name.encode())
        reply = self._x.xcb_intern_atom_reply(self._connection, cookie, None)
        if not reply:
            raise OSError("the X server has gone")
        atom = int(reply.contents.atom)
        _free(reply)
        return atom

    def _property(self, window: int, name: str) -> tuple[int, ...]:
        """The 32-bit numbers of a property; none where window or property is not there (any more)."""
        error = ctypes.c_void_p()
        cookie = self._x.xcb_get_property(self._connection, 0, window, self._atoms[name], 0, 0, 64)
        reply = self._x.xcb_get_property_reply(self._connection, cookie, ctypes.byref(error))
        if error:
            _free(error)
        if not reply:
            return ()
        found: tuple[int, ...] = ()
        if reply.contents.format == 32:
            count = self._x.xcb_get_property_value_length(reply) // 4
            found = tuple(ctypes.cast(self._x.xcb_get_property_value(reply), ctypes.POINTER(ctypes.c_uint32))[:count])
        _free(reply)
        return found


class _Cookie(ctypes.Structure):
    _fields_ = (("sequence", ctypes.c_uint),)


class _Roots(ctypes.Structure):
    _fields_ = (("data", ctypes.POINTER(ctypes.c_uint32)), ("rem", ctypes.c_int), ("index", ctypes.c_int))


class _AtomReply(ctypes.Structure):
    _fields_ = (
        ("response_type", ctypes.c_uint8), ("pad0", ctypes.c_uint8), ("sequence", ctypes.c_uint16),
        ("length", ctypes.c_uint32), ("atom", ctypes.c_uint32),
    )  # fmt: skip


class _PropertyReply(ctypes.Structure):
    _fields_ = (
        ("response_type", ctypes.c_uint8), ("format", ctypes.c_uint8), ("sequence", ctypes.c_uint16),
        ("length", ctypes.c_uint32), ("type", ctypes.c_uint32), ("bytes_after", ctypes.c_uint32),
        ("value_len", ctypes.c_uint32), ("pad0", ctypes.c_uint8 * 12),
    )  # fmt: skip


def _library() -> ctypes.CDLL:
    """libxcb with its types; OSError where it is not installed."""
    x = ctypes.CDLL("libxcb.so.1")
    pointer, number, small = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint8
    declared = {
        "xcb_connect": (pointer, [ctypes.c_char_p, pointer]),
        "xcb_connection_has_error": (ctypes.c_int, [pointer]),
        "xcb_disconnect": (None, [pointer]),
        "xcb_get_setup": (pointer, [pointer]),
        "xcb_setup_roots_iterator": (_Roots, [pointer]),
        "xcb_intern_atom": (_Cookie, [pointer, small, ctypes.c_uint16, ctypes.c_char_p]),
        "xcb_intern_atom_reply": (ctypes.POINTER(_AtomReply), [pointer, _Cookie, pointer]),
        "xcb_get_property": (_Cookie, [pointer, small, number, number, number, number, number]),
        "xcb_get_property_reply": (ctypes.POINTER(_PropertyReply), [pointer, _Cookie, pointer]),
        "xcb_get_property_value": (pointer, [ctypes.POINTER(_PropertyReply)]),
        "xcb_get_property_value_length": (ctypes.c_int, [ctypes.POINTER(_PropertyReply)]),
    }
    for name, (result, arguments) in declared.items():
        function = getattr(x, name)
        function.restype, function.argtypes = result, arguments
    return x


def _free(memory: Any) -> None:
    free = ctypes.CDLL(None).free
    free.argtypes, free.restype = [ctypes.c_void_p], None
    free(ctypes.cast(memory, ctypes.c_void_p))


def _windows() -> Detector | None:
    if sys.platform != "win32":
        return None
    from ctypes import wintypes

    user, shell = ctypes.windll.user32, ctypes.windll.shell32
    direct3d, presentation = 3, 4  # QUNS_RUNNING_D3D_FULL_SCREEN, QUNS_PRESENTATION_MODE

    class Monitor(ctypes.Structure):
        _fields_ = (
            ("size", wintypes.DWORD), ("whole", wintypes.RECT), ("work", wintypes.RECT), ("flags", wintypes.DWORD),
        )  # fmt: skip

    def full_screen() -> bool:
        window = user.GetForegroundWindow()
        process = wintypes.DWORD()
        user.GetWindowThreadProcessId(window, ctypes.byref(process))
        if not window or process.value == os.getpid():
            return False
        state = ctypes.c_int()
        if shell.SHQueryUserNotificationState(ctypes.byref(state)) == 0 and state.value in (direct3d, presentation):
            return True
        name = ctypes.create_unicode_buffer(64)
        user.GetClassNameW(window, name, 64)
        if name.value in _DESKTOP:
            return False
        place, monitor = wintypes.RECT(), Monitor(size=ctypes.sizeof(Monitor))
        user.MonitorFromWindow.restype = ctypes.c_void_p
        screen = ctypes.c_void_p(user.MonitorFromWindow(window, 2))
        if not user.GetWindowRect(window, ctypes.byref(place)):
            return False
        if not user.GetMonitorInfoW(screen, ctypes.byref(monitor)):
            return False
        whole = monitor.whole
        return (
            place.left <= whole.left and place.top <= whole.top
            and place.right >= whole.right and place.bottom >= whole.bottom
        )  # fmt: skip

    return full_screen
