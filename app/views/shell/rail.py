"""The rail at the window's edge: one button for each page, appearance and help at its foot."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from app.theme import Theme
from app.translation import mark, tr
from app.views.controls.controls import set_property
from app.views.controls.icons import APPLICATION, icon, pixmap
from app.views.pages import Page
from app.views.shortcuts import tool_tip

ICON = 21
NARROW = 56
"""Least width in pixels."""
NEXT_MODE = {"system": "light", "light": "dark", "dark": "system"}
MODE_ICON = {"system": "monitor", "light": "sun", "dark": "moon"}
MODE_NAME = {
    "system": mark("Appearance: as the system"),
    "light": mark("Appearance: light"),
    "dark": mark("Appearance: dark"),
}


class RailButton(QToolButton):
    """An icon with its word below, and a badge where there is something to know."""

    def __init__(self, theme: Theme, icon_name: str, text: str, tip: str) -> None:
        super().__init__()
        self._theme, self._icon_name, self._name = theme, icon_name, text
        self._count, self._progress, self._current = 0, -1.0, False
        self.setProperty("kind", "rail")
        self.setText(text)
        self.setAccessibleName(text)
        self.setToolTip(tip)
        self.setIconSize(QSize(ICON, ICON))
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        theme.changed.connect(self._redraw)
        self._redraw()

    def show_badge(self, count: int, progress: float, sentence: str) -> None:
        """``count`` things are under way (0 hides the badge); ``progress`` from 0 to 1, below 0 where it is unknown."""
        self._count, self._progress = count, progress
        self.setAccessibleName(f"{self._name}, {sentence}" if sentence else self._name)
        self.update()

    @property
    def current(self) -> bool:
        return self._current

    def set_current(self, current: bool) -> None:
        """Whether its page is the one that is shown."""
        if current != self._current:
            self._current = current
            set_property(self, "current", "true" if current else "false")
            self.setAccessibleDescription(tr("This page is shown") if current else "")
            self._redraw()

    @property
    def badge(self) -> int:
        return self._count

    def set_icon(self, icon_name: str, name: str) -> None:
        self._icon_name = icon_name
        self.setAccessibleName(name)
        self.setToolTip(name)
        self._redraw()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        super().paintEvent(event)
        if not self._count:
            return
        colours = self._theme.colours
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = QFont(self.font())
        font.setPointSizeF(max(7.0, font.pointSizeF() * 0.86))
        font.setBold(True)
        painter.setFont(font)
        text = str(self._count) if self._count < 100 else "99+"
        size = QFontMetrics(font).height()
        width = max(size, QFontMetrics(font).horizontalAdvance(text) + 8)
        side = 1 if self.layoutDirection() == Qt.LayoutDirection.LeftToRight else -1
        middle = self.width() / 2 + side * (ICON / 2 + 3)
        box = QRectF(middle - width / 2, 3, width, size)
        painter.setPen(QPen(QColor(colours.sidebar), 2))
        painter.setBrush(QColor(colours.accent))
        painter.drawRoundedRect(box, size / 2, size / 2)
        painter.setPen(QColor(colours.on_accent))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
        if self._progress >= 0:
            line = QRectF(12, self.height() - 4, self.width() - 24, 2)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.border_strong))
            painter.drawRoundedRect(line, 1, 1)
            done = line.width() * min(1.0, self._progress)
            left = line.left() if side > 0 else line.right() - done
            painter.setBrush(QColor(colours.accent))
            painter.drawRoundedRect(QRectF(left, line.top(), done, 2), 1, 1)
        painter.end()

    def _redraw(self) -> None:
        colours = self._theme.colours
        self.setIcon(icon(self._icon_name, colours.accent if self._current else colours.muted, ICON, colours.faint))


class Rail(QWidget):
    """``wanted`` carries a page's key."""

    wanted = Signal(str)
    mode_wanted = Signal(str)

    def __init__(self, theme: Theme, pages: Sequence[Page]) -> None:
        super().__init__()
        self._theme = theme
        self.setObjectName("rail")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.buttons: dict[str, RailButton] = {}
        self._emblem = QLabel()
        self._emblem.setAccessibleName("Ternary-Zero")
        self._emblem.setPixmap(pixmap(APPLICATION, "", 28, self.devicePixelRatioF()))
        self._emblem.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 12, 6, 8)
        layout.setSpacing(4)
        layout.addWidget(self._emblem)
        layout.addSpacing(8)
        for page in pages:
            if not page.foot:
                layout.addWidget(self._page_button(page))
        layout.addStretch(1)
        self.mode = RailButton(theme, "monitor", tr("Look"), "")
        self.mode.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonIconOnly)
        self.mode.clicked.connect(self.next_mode)
        self.help = RailButton(theme, "help", tr("Help"), tr("Shortcuts, logs, about this program"))
        self.help.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        layout.addWidget(self.mode)
        layout.addWidget(self.help)
        for page in pages:
            if page.foot:
                layout.addWidget(self._page_button(page))
        theme.changed.connect(self._on_theme)
        self._on_theme()

    def show_page(self, key: str) -> None:
        """Mark the page that is shown."""
        for name, button in self.buttons.items():
            button.set_current(name == key)

    def next_mode(self) -> None:
        """As the system, light, dark, in turn."""
        self.mode_wanted.emit(NEXT_MODE[self._theme.mode])

    def _page_button(self, page: Page) -> RailButton:
        name = tr(page.label)
        button = RailButton(self._theme, page.icon, name, tool_tip(name, page.shortcut))
        button.clicked.connect(lambda _checked=False, key=page.key: self.wanted.emit(key))
        self.buttons[page.key] = button
        return button

    def _on_theme(self) -> None:
        mode = self._theme.mode
        self.mode.set_icon(MODE_ICON[mode], tr(MODE_NAME[mode]))
        self._fit()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """The words are left out where the window is too low for them, as it can be with a large text."""
        labelled = [*self.buttons.values(), self.help]
        for button in labelled:
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        layout = self.layout()
        icons_only = layout is not None and 0 < self.height() < layout.totalMinimumSize().height()
        if icons_only:
            for button in labelled:
                button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonIconOnly)
        metrics = labelled[0].fontMetrics()
        widest = 0 if icons_only else max(metrics.horizontalAdvance(button.text()) for button in labelled)
        self.setFixedWidth(max(NARROW, widest + 24))

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return QSize(NARROW, 0)  # the window's own least height decides, not the words
