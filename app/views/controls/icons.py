"""The line icons of ``resources/icons``, drawn sharply in any colour and at any pixel density."""

from __future__ import annotations

from functools import cache, lru_cache

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QGuiApplication, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from tzcore import paths

APPLICATION = "ternary-zero"


@lru_cache(maxsize=512)
def pixmap(name: str, colour: str, size: int, ratio: float = 1.0) -> QPixmap:
    """The icon ``name`` in ``colour``, ``size`` logical pixels wide.  A missing icon is an OSError."""
    renderer = QSvgRenderer(QByteArray(_svg(name).replace("currentColor", colour).encode()))
    if not renderer.isValid():
        raise OSError(f"the icon {name}.svg is damaged")
    pixels = QPixmap(QSize(size, size) * ratio)
    pixels.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixels)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    renderer.render(painter, QRectF(0, 0, size * ratio, size * ratio))
    painter.end()
    pixels.setDevicePixelRatio(ratio)
    return pixels


@cache
def _svg(name: str) -> str:
    return (paths.resources() / "icons" / f"{name}.svg").read_text(encoding="utf-8")


def icon(name: str, colour: str, size: int = 18, disabled: str = "") -> QIcon:
    """An icon with pixmaps for the pixel densities of the screens that are there, and twice the usual."""
    result = QIcon()
    for ratio in sorted({1.0, 2.0, *(screen.devicePixelRatio() for screen in QGuiApplication.screens())}):
        result.addPixmap(pixmap(name, colour, size, ratio))
        if disabled:
            result.addPixmap(pixmap(name, disabled, size, ratio), QIcon.Mode.Disabled)
    return result


def application_icon() -> QIcon:
    """The program's own mark in the sizes that window managers ask for."""
    result = QIcon()
    for size in (16, 24, 32, 48, 64, 128, 256):
        result.addPixmap(pixmap(APPLICATION, "", size))
    return result
