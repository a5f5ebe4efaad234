"""The machine's memory as one bar: what is taken, what a model would take, what is left; with a legend."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app import wording
from app.library import plan_words
from app.theme import Theme
from app.translation import tr
from app.views.controls.controls import label
from app.views.controls.memory_bar import MemoryBar

HEIGHT = 18
DOT = 10
COLUMNS = 3


@dataclass(frozen=True)
class Part:
    """``name`` is a key of :data:`app.library.plan_words.ITEMS`."""

    name: str
    bytes: int


class MemoryParts(QWidget):
    """``show_parts`` draws the parts in their order over ``whole`` bytes; what goes beyond is in warning colours."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._bar = _Bar(theme)
        self._legend = QGridLayout()
        self._legend.setHorizontalSpacing(16)
        self._legend.setVerticalSpacing(4)
        self._entries: list[tuple[_Dot, QLabel]] = []
        for column in range(COLUMNS):
            self._legend.setColumnStretch(column, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self._bar)
        layout.addLayout(self._legend)

    @property
    def sentence(self) -> str:
        return self._bar.accessibleName()

    def show_parts(self, parts: list[Part], whole: int) -> None:
        self._bar.show_named(parts, whole)
        while len(self._entries) < len(parts):
            self._add_entry()
        for number, (dot, text) in enumerate(self._entries):
            shown = number < len(parts)
            dot.setVisible(shown)
            text.setVisible(shown)
            if shown:
                part = parts[number]
                dot.show_colour(part.name)
                name = tr(plan_words.ITEMS[part.name])
                text.setText(tr("{name}: {size}").format(name=name, size=wording.size(part.bytes)))

    def _add_entry(self) -> None:
        dot, text = _Dot(self._theme), label("", "small", wrap=True)
        row, column = divmod(len(self._entries), COLUMNS)
        entry = QHBoxLayout()
        entry.setSpacing(6)
        entry.addWidget(dot, 0, Qt.AlignmentFlag.AlignTop)
        entry.addWidget(text, 1)
        self._legend.addLayout(entry, row, column)
        self._entries.append((dot, text))


def colour_of(theme: Theme, name: str) -> QColor:
    """The colour of a part: the model's own in shades of the accent, others in grey."""
    colours = theme.colours
    if name in ("weights", "context", "workspace"):
        shade = QColor(colours.accent)
        shade.setAlphaF({"weights": 1.0, "context": 0.62, "workspace": 0.36}[name])
        return shade
    grey = QColor(colours.muted)
    grey.setAlphaF({"others": 0.75, "loaded": 0.45, "reserve": 0.25}.get(name, 0.1))
    return grey


class _Bar(MemoryBar):
    """The bar with each part in its own colour; what is free is its ground."""

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme, HEIGHT)
        self._names: list[str] = []

    def show_named(self, parts: list[Part], whole: int) -> None:
        words = ", ".join(f"{tr(plan_words.ITEMS[part.name])} {wording.size(part.bytes)}" for part in parts)
        words = tr("Memory, {whole}: {parts}").format(whole=wording.size(whole), parts=words)
        taken = [part for part in parts if part.name != "free"]
        self._names = [part.name for part in taken]
        self.show_parts([part.bytes for part in taken], whole, words)

    def colours(self) -> list[QColor]:
        return [colour_of(self._theme, name) for name in self._names]


class _Dot(QWidget):
    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme, self._name = theme, "free"
        self.setFixedSize(DOT, DOT + 5)
        theme.changed.connect(self.update)

    def show_colour(self, name: str) -> None:
        self._name = name
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour_of(self._theme, self._name))
        painter.drawRoundedRect(QRectF(0, 4, DOT, DOT), 3, 3)
        painter.end()
