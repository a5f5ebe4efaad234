"""Buttons and labels in the window's own style; every control has an accessible name."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QFrame, QLabel, QPushButton, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from app.theme import Theme
from app.views.controls.icons import icon


class IconButton(QToolButton):
    """A button that is an icon; its name is tool tip and accessible name.  Recoloured with the theme."""

    def __init__(
        self,
        theme: Theme,
        icon_name: str,
        name: str,
        on_click: Callable[[], object] | None = None,
        *,
        size: int = 18,
        colour: str = "muted",
        kind: str = "",
        shortcut: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._theme, self._icon_name, self._colour = theme, icon_name, colour
        self.setIconSize(QSize(size, size))
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        if kind:
            self.setProperty("kind", kind)
        self.set_name(name, shortcut)
        if on_click is not None:
            self.clicked.connect(lambda _checked=False: on_click())
        theme.changed.connect(self._redraw)
        self._redraw()

    def set_name(self, name: str, shortcut: str = "") -> None:
        self.setAccessibleName(name)
        self.setToolTip(f"{name}  ({shortcut})" if shortcut else name)

    def set_icon(self, icon_name: str) -> None:
        if icon_name != self._icon_name:
            self._icon_name = icon_name
            self._redraw()

    def _redraw(self) -> None:
        colours = self._theme.colours
        self.setIcon(icon(self._icon_name, getattr(colours, self._colour), self.iconSize().width(), colours.faint))


class Button(QPushButton):
    """A button with a word on it, and an icon where one helps.

    ``kind``: "" (plain), "primary", "danger", "chip", "nav" (a row of the sidebar) or "fold".
    """

    def __init__(
        self,
        theme: Theme,
        text: str,
        on_click: Callable[[], object] | None = None,
        *,
        kind: str = "",
        icon_name: str = "",
        colour: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._theme, self._icon_name = theme, icon_name
        self.set_text(text)
        self._colour = colour or {"primary": "on_accent", "danger": "danger"}.get(kind, "muted")
        if kind:
            self.setProperty("kind", kind)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAutoDefault(False)
        if on_click is not None:
            self.clicked.connect(lambda _checked=False: on_click())
        if icon_name:
            self.setIconSize(QSize(17, 17))
            theme.changed.connect(self._redraw)
            self._redraw()

    def set_text(self, text: str) -> None:
        """The word on it, also its accessible name.  A space parts it from the icon."""
        self.setText(f" {text}" if self._icon_name and text else text)
        self.setAccessibleName(text)

    def set_icon(self, icon_name: str) -> None:
        self._icon_name = icon_name
        self._redraw()

    def _redraw(self) -> None:
        colours = self._theme.colours
        self.setIcon(icon(self._icon_name, getattr(colours, self._colour), 17, colours.faint))


def label(text: str = "", role: str = "", *, wrap: bool = False, selectable: bool = False) -> QLabel:
    """A plain-text label (never interprets mark-up).  Roles are those of ``resources/theme.qss``."""
    result = QLabel(text)
    result.setTextFormat(Qt.TextFormat.PlainText)
    if role:
        result.setProperty("role", role)
    if wrap:
        result.setWordWrap(True)
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        result.setSizePolicy(policy)
    if selectable:
        result.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return result


def tag(text: str, tone: str = "") -> QLabel:
    """A small pill: a size, a licence, a fit.  ``tone``: "", "good", "bad" or "accent"."""
    result = label(text, "tag")
    if tone:
        result.setProperty("tone", tone)
    result.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
    return result


def frame(role: str) -> QFrame:
    """A frame that the style sheet dresses by its role."""
    result = QFrame()
    result.setProperty("role", role)
    return result


def set_property(widget: QWidget, name: str, value: object) -> None:
    """Set a property that the style sheet selects on, and take the new style."""
    if widget.property(name) != value:
        widget.setProperty(name, value)
        widget.style().unpolish(widget)
        widget.style().polish(widget)


def discard(widget: QWidget) -> None:
    """Take a widget out of the window at once; it is deleted when the event loop comes round."""
    widget.hide()
    widget.setParent(None)
    widget.deleteLater()


class Column(QWidget):
    """Widgets below one another, filled and emptied as a list changes."""

    def __init__(self, spacing: int = 10) -> None:
        super().__init__()
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(spacing)

    def add(self, widget: QWidget, alignment: Qt.AlignmentFlag | None = None) -> None:
        self._layout.addWidget(widget)
        if alignment is not None:
            self._layout.setAlignment(widget, alignment)

    def clear(self) -> None:
        """Take every widget out and delete it."""
        while (item := self._layout.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                discard(widget)
