"""The button that names the model, and the list that it opens: search, size, fit, what is in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from PySide6.QtCore import QPoint, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QLineEdit, QListWidget, QListWidgetItem, QSizePolicy, QVBoxLayout, QWidget

from app import wording
from app.library.library import InstalledEntry
from app.theme import Theme
from app.translation import tr
from app.views.controls.controls import Button, Column, label

WIDTH, HEIGHT = 420, 300
ARROW = "▾"


@dataclass(frozen=True)
class Choice:
    """One model: its name with its encoding, and what is known of it."""

    id: str
    name: str
    facts: str
    loaded: bool = False
    frees: int = 0


def choices(
    models: Sequence[InstalledEntry], name: Callable[[str], str], loaded: Sequence[str], sizes: dict[str, int]
) -> list[Choice]:
    """The installed models as they are offered."""
    found = []
    for entry in models:
        encoding = wording.model_and_encoding(entry.id)[1] or entry.encoding
        facts = [wording.size(entry.bytes), entry.fit.sentence]
        if entry.id in loaded:
            facts.insert(0, tr("in memory"))
        here = entry.id in loaded
        one = Choice(entry.id, f"{name(entry.id)}  ·  {encoding}", "  ·  ".join(facts), here, sizes.get(entry.id, 0))
        found.append(one)
    return found


class ModelPicker(Button):
    """``picked`` only when the user chooses."""

    picked = Signal(str)
    unload = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme, "", self.open, kind="picker")
        self._shown = ""
        self._current, self._choices = "", list[Choice]()
        self.popup: ModelPopup | None = None
        self.setToolTip(tr("The model that answers"))
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return QSize(120, super().minimumSizeHint().height())

    def sizeHint(self) -> QSize:  # noqa: N802
        metrics = self.fontMetrics()
        spare = super().sizeHint().width() - metrics.horizontalAdvance(self.text())
        return QSize(spare + metrics.horizontalAdvance(self._words) + 2, super().sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._elide()

    @property
    def _words(self) -> str:
        return f"{self._shown}  {ARROW}"

    def _elide(self) -> None:
        """A narrow window cuts a long name in its middle, and keeps the encoding."""
        metrics = self.fontMetrics()
        frame = super().sizeHint().width() - metrics.horizontalAdvance(self.text())
        room = max(60, self.width() - frame - metrics.horizontalAdvance(f"  {ARROW}") + 4)
        name = self._shown
        if self.isVisible() and metrics.horizontalAdvance(name) > room:
            name = metrics.elidedText(name, Qt.TextElideMode.ElideMiddle, room)
        self.setText(f"{name}  {ARROW}")

    @property
    def choices(self) -> list[Choice]:
        return list(self._choices)

    def show_models(self, offered: list[Choice], current: str, name: str) -> None:
        """Offer these; a current one that is not installed any more stays named."""
        self._choices, self._current = offered, current
        chosen = next((one.name for one in offered if one.id == current), "")
        shown = chosen or (tr("{name}  (not installed)").format(name=name) if current else tr("Choose a model"))
        self._shown = shown
        self._elide()
        self.updateGeometry()
        self.setAccessibleName(tr("Model: {name}").format(name=shown))

    def open(self) -> None:
        """Open the list under the button."""
        popup = self.popup = ModelPopup(self._theme, self._choices, self._current, self)
        popup.picked.connect(self.picked)
        popup.unload.connect(self.unload)
        popup.show_under(self)


class ModelPopup(QWidget):
    """Closes when something is chosen, or something else is clicked."""

    picked = Signal(str)
    unload = Signal(str)

    def __init__(self, theme: Theme, offered: Sequence[Choice], current: str, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup | Qt.WindowType.FramelessWindowHint)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setObjectName("popover")
        self.setAccessibleName(tr("Models"))
        self.setFixedWidth(WIDTH)
        self.search = QLineEdit()
        self.search.setPlaceholderText(tr("Find a model"))
        self.search.setAccessibleName(tr("Find a model"))
        self.search.setClearButtonEnabled(True)
        self.list = QListWidget()
        self.list.setProperty("role", "groups")
        self.list.setAccessibleName(tr("Installed models"))
        self.list.setFrameShape(QListWidget.Shape.NoFrame)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setTextElideMode(Qt.TextElideMode.ElideRight)
        self._nothing = label(tr("No installed model is called so."), "muted")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 10, 10, 10)
        layout.setSpacing(8)
        for widget in (self.search, self.list, self._nothing):
            layout.addWidget(widget)
        for one in offered:
            item = QListWidgetItem(f"{one.name}\n{one.facts}")
            item.setData(Qt.ItemDataRole.UserRole, one.id)
            item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{one.name}, {one.facts}")
            item.setToolTip(f"{one.id}\n{one.facts}")
            self.list.addItem(item)
            if one.id == current:
                self.list.setCurrentItem(item)
        foot = Column(4)
        for one in offered:
            if one.loaded:
                text = tr("Unload {name}").format(name=one.name)
                if one.frees:
                    text = tr("Unload {name} (frees {size})").format(name=one.name, size=wording.size(one.frees))
                foot.add(Button(theme, text, partial(self._unload, one.id), kind="fold", icon_name="eject"))
        layout.addWidget(foot)
        rows = max(1, self.list.count())
        self.list.setFixedHeight(min(HEIGHT, rows * max(1, self.list.sizeHintForRow(0)) + 4))
        self.search.textChanged.connect(self._filter)
        self.list.itemActivated.connect(self._pick)
        self.list.itemClicked.connect(self._pick)
        self._filter("")

    def show_under(self, anchor: QWidget) -> None:
        """Open below ``anchor``, within its window."""
        self.adjustSize()
        corner = anchor.mapToGlobal(QPoint(0, anchor.height() + 4))
        if anchor.layoutDirection() == Qt.LayoutDirection.RightToLeft:
            corner.setX(corner.x() + anchor.width() - self.width())
        self.move(corner)
        self.show()
        self.search.setFocus()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """From the search the arrows move in the list, and Enter takes what is marked there."""
        key = event.key()
        if key == Qt.Key.Key_Escape:
            self.close()
        elif key in (Qt.Key.Key_Down, Qt.Key.Key_Up):
            self._move(1 if key == Qt.Key.Key_Down else -1)
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and (item := self.list.currentItem()) is not None:
            self._pick(item)
        else:
            super().keyPressEvent(event)

    def _move(self, step: int) -> None:
        shown = [row for row in range(self.list.count()) if not self.list.item(row).isHidden()]
        if shown:
            at = shown.index(self.list.currentRow()) + step if self.list.currentRow() in shown else 0
            self.list.setCurrentRow(shown[max(0, min(len(shown) - 1, at))])

    def _filter(self, text: str) -> None:
        words = text.casefold().split()
        for row in range(self.list.count()):
            item = self.list.item(row)
            found = f"{item.text()} {item.data(Qt.ItemDataRole.UserRole)}".casefold()
            item.setHidden(not all(word in found for word in words))
        shown = [row for row in range(self.list.count()) if not self.list.item(row).isHidden()]
        if shown and self.list.currentRow() not in shown:
            self.list.setCurrentRow(shown[0])
        self._nothing.setVisible(not shown)

    def _pick(self, item: QListWidgetItem) -> None:
        self.close()
        self.picked.emit(str(item.data(Qt.ItemDataRole.UserRole)))

    def _unload(self, model_id: str) -> None:
        self.close()
        self.unload.emit(model_id)
