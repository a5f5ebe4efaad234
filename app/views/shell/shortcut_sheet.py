"""All keyboard shortcuts on one sheet (F1), made from their declarations; typing narrows them down."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QGridLayout, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from app.theme import Space, Theme
from app.translation import tr
from app.views.controls.controls import Button, label
from app.views.controls.page_column import scrolled
from app.views.shortcuts import CONTEXTS, SHORTCUTS, Shortcut, key_words


class ShortcutSheet(QDialog):
    """One line a shortcut, under the place where it works."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Keyboard shortcuts"))
        self.resize(540, 620)
        self._lines: list[tuple[str, list[QWidget]]] = []
        self._titles: list[tuple[QWidget, list[int]]] = []
        self.filter = QLineEdit()
        self.filter.setProperty("role", "search")
        self.filter.setPlaceholderText(tr("Find a shortcut"))
        self.filter.setAccessibleName(tr("Find a shortcut"))
        self.filter.setClearButtonEnabled(True)
        self.filter.textChanged.connect(self._narrow)
        column = QWidget()
        column.setObjectName("column")
        self._grid = QGridLayout(column)
        self._grid.setContentsMargins(Space.PAGE, 0, Space.PAGE, Space.LARGE)
        self._grid.setHorizontalSpacing(Space.LARGE)
        self._grid.setVerticalSpacing(Space.SMALL)
        self._grid.setColumnStretch(0, 1)
        for context in CONTEXTS:
            self._add_context(tr(context), [one for one in SHORTCUTS if one.context == context])
        self._nothing = label(tr("No shortcut is called that."), "muted")
        self._nothing.hide()
        self._grid.addWidget(self._nothing, self._grid.rowCount(), 0, 1, 2)
        self._grid.setRowStretch(self._grid.rowCount(), 1)
        scroll = scrolled(column)
        scroll.setFocusPolicy(Qt.FocusPolicy.StrongFocus)  # the keys scroll it: nothing in it takes them
        scroll.setAccessibleName(tr("Keyboard shortcuts"))
        head = QHBoxLayout()
        head.setContentsMargins(Space.PAGE, Space.PAGE, Space.PAGE, Space.WIDE)
        head.addWidget(self.filter)
        foot = QHBoxLayout()
        foot.setContentsMargins(Space.PAGE, Space.WIDE, Space.PAGE, Space.LARGE)
        foot.addStretch(1)
        foot.addWidget(Button(theme, tr("Close"), self.accept, kind="primary"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addWidget(scroll, 1)
        layout.addLayout(foot)
        self.filter.setFocus()

    def _add_context(self, name: str, members: list[Shortcut]) -> None:
        if not members:
            return
        title = label(name, "section")
        title.setContentsMargins(0, Space.WIDE if self._lines else 0, 0, Space.TINY)
        self._grid.addWidget(title, self._grid.rowCount(), 0, 1, 2)
        numbers = []
        for one in members:
            row = self._grid.rowCount()
            keys = [key_words(key) for key in one.keys]
            what = label(tr(one.what), wrap=True)
            what.setAccessibleDescription(", ".join(keys))
            caps = QWidget()
            box = QHBoxLayout(caps)
            box.setContentsMargins(0, 0, 0, 0)
            box.setSpacing(Space.TINY)
            box.addStretch(1)
            for key in keys:
                box.addWidget(label(key, "key"))
            self._grid.addWidget(what, row, 0)
            self._grid.addWidget(caps, row, 1)
            numbers.append(len(self._lines))
            self._lines.append((f"{tr(one.what)} {' '.join(keys)}".casefold(), [what, caps]))
        self._titles.append((title, numbers))

    def _narrow(self, text: str) -> None:
        wanted = text.casefold().split()
        shown = [all(word in line for word in wanted) for line, _ in self._lines]
        for (_, widgets), on in zip(self._lines, shown, strict=True):
            for widget in widgets:
                widget.setVisible(on)
        for title, numbers in self._titles:
            title.setVisible(any(shown[number] for number in numbers))
        self._nothing.setVisible(not any(shown))
