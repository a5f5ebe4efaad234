"""What a setting's value is changed with: one widget for each kind of value.

Every editor has ``chosen`` (the new value), :meth:`Editor.show_value`, and a focus widget that is named and
reachable by Tab.
"""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QPlainTextEdit,
    QSlider,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from app.settings.declared import Setting, Value
from app.theme import Space, Theme
from app.translation import tr
from app.views.controls.controls import Button

LONG_CHOICE = 260
"""Pixels beyond which the words of a choice need a line of their own."""
MOST_STEPS = 400
"""A number of more steps than this has no slider: a pixel would be several of them."""


class Editor(QWidget):
    """``field`` is what takes the focus and has the name."""

    chosen = Signal(object)
    wide = False
    """It wants the whole width of the page."""

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self.setting = setting
        self.field: QWidget = self

    def show_value(self, value: Value) -> None:
        """Show ``value`` without telling anybody."""
        raise NotImplementedError

    def _lay_out(self, field: QWidget, *others: QWidget) -> None:
        self.field = field
        self.setFocusProxy(field)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(Space.SMALL)
        for widget in (*others, field):
            row.addWidget(widget, 1 if isinstance(widget, QSlider | QComboBox | QLineEdit) else 0)


def editor(theme: Theme, setting: Setting) -> Editor:
    """The right one for the setting (secrets and links have their own rows)."""
    if setting.choices:
        return ChoiceEditor(setting)
    if setting.type is bool:
        return SwitchEditor(setting)
    if setting.type in (int, float):
        return NumberEditor(setting)
    if setting.kind == "folders":
        return FoldersEditor(theme, setting)
    return LongTextEditor(setting) if setting.multiline else TextEditor(setting)


class ChoiceEditor(Editor):
    """One of several."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.box = QuietComboBox()
        self.box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.box.setMinimumContentsLength(16)
        for choice, text in setting.choices:
            self.box.addItem(tr(text), choice)
        longest = max(self.box.fontMetrics().horizontalAdvance(tr(text)) for _, text in setting.choices)
        self.wide = longest > LONG_CHOICE
        self.box.setMaximumWidth(max(LONG_CHOICE, longest) + 80)
        self.box.activated.connect(lambda index: self.chosen.emit(self.box.itemData(index)))
        self._lay_out(self.box)

    def show_value(self, value: Value) -> None:
        self.box.setCurrentIndex(self.box.findData(value))


class SwitchEditor(Editor):
    """On or off."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.box = QCheckBox()
        self.box.toggled.connect(self.chosen.emit)
        self._lay_out(self.box)
        layout = self.layout()
        assert layout is not None
        layout.setAlignment(self.box, Qt.AlignmentFlag.AlignRight)

    def show_value(self, value: Value) -> None:
        with QSignalBlocker(self.box):
            self.box.setChecked(bool(value))


class NumberEditor(Editor):
    """A spin box, and a slider where the range is short.  Where a setting may be unset, one step below the minimum
    means that."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.spin: QSpinBox | QDoubleSpinBox = QuietSpinBox() if setting.type is int else QuietDoubleSpinBox()
        self.step = setting.step or 1
        self.low = setting.minimum if setting.minimum is not None else 0
        high = setting.maximum if setting.maximum is not None else 2**31 - 1
        self.optional = setting.default is None
        self.bottom = self.low - self.step if self.optional else self.low
        if isinstance(self.spin, QSpinBox):
            self.spin.setRange(int(self.bottom), int(high))
            self.spin.setSingleStep(int(self.step))
        else:
            self.spin.setDecimals(2)
            self.spin.setRange(self.bottom, high)
            self.spin.setSingleStep(self.step)
        if self.optional:
            self.spin.setSpecialValueText(tr(setting.unset) if setting.unset else tr("not set"))
        self.spin.setKeyboardTracking(False)
        self.spin.lineEdit().setTextMargins(8, 0, 0, 0)
        longest = max(self.spin.specialValueText(), "0000000", key=len)
        self.spin.setMinimumWidth(self.spin.fontMetrics().horizontalAdvance(longest) + 46)
        self.spin.valueChanged.connect(self._on_spun)
        self.slider: QSlider | None = None
        steps = round((high - self.bottom) / self.step)
        if setting.maximum is not None and steps <= MOST_STEPS:
            self.slider = QuietSlider(Qt.Orientation.Horizontal)
            self.slider.setRange(0, steps)
            self.slider.setMinimumWidth(64)
            mirrored = self.slider.layoutDirection() == Qt.LayoutDirection.RightToLeft
            self.slider.setProperty("role", "mirrored" if mirrored else "setting")
            self.slider.setAccessibleName(tr("{name}, slider").format(name=tr(setting.label)))
            self.slider.valueChanged.connect(self._on_slid)
            self._lay_out(self.spin, self.slider)
        else:
            self._lay_out(self.spin)
            layout = self.layout()
            assert isinstance(layout, QHBoxLayout)
            layout.setStretch(0, 1)

    def show_value(self, value: Value) -> None:
        number = self.bottom if value is None else float(str(value))
        with QSignalBlocker(self.spin):
            if isinstance(self.spin, QSpinBox):
                self.spin.setValue(int(number))
            else:
                self.spin.setValue(number)
        self._place_slider(number)

    def _place_slider(self, number: float) -> None:
        if self.slider is not None:
            with QSignalBlocker(self.slider):
                self.slider.setValue(round((number - self.bottom) / self.step))

    def _on_spun(self, number: float) -> None:
        self._place_slider(number)
        unset = self.optional and number < self.low - self.step / 2
        kind = int if self.setting.type is int else float
        self.chosen.emit(None if unset else kind(round(number, 6)))

    def _on_slid(self, place: int) -> None:
        number = self.bottom + place * self.step
        if isinstance(self.spin, QSpinBox):
            self.spin.setValue(round(number))
        else:
            self.spin.setValue(number)


class TextEditor(Editor):
    """One line; it holds when the field is left."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.line = QLineEdit()
        self.line.setMinimumWidth(160)
        self.line.editingFinished.connect(lambda: self.chosen.emit(self.line.text().strip()))
        self._lay_out(self.line)

    def show_value(self, value: Value) -> None:
        if self.line.text() != str(value or ""):
            self.line.setText(str(value or ""))


class LongTextEditor(Editor):
    """Several lines."""

    wide = True

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.area = QPlainTextEdit()
        self.area.setProperty("role", "field")
        self.area.setTabChangesFocus(True)
        self.area.setFixedHeight(92)
        self.area.textChanged.connect(lambda: self.chosen.emit(self.area.toPlainText()))
        self._lay_out(self.area)

    def show_value(self, value: Value) -> None:
        if self.area.toPlainText() != str(value or ""):
            with QSignalBlocker(self.area):
                self.area.setPlainText(str(value or ""))


class FoldersEditor(Editor):
    """A list of folders with buttons to add and remove."""

    wide = True

    def __init__(self, theme: Theme, setting: Setting) -> None:
        super().__init__(setting)
        self.list = QListWidget()
        self.list.setFixedHeight(96)
        self.list.setProperty("role", "field")
        self.add = Button(theme, tr("Add a folder…"), self._on_add, icon_name="folder-plus")
        self.take = Button(theme, tr("Remove"), self._on_take, icon_name="minus")
        buttons = QHBoxLayout()
        buttons.setSpacing(Space.SMALL)
        buttons.addWidget(self.add)
        buttons.addWidget(self.take)
        buttons.addStretch(1)
        self.list.currentRowChanged.connect(lambda row: self.take.setEnabled(row >= 0))
        self.take.setEnabled(False)
        self.field = self.list
        self.setFocusProxy(self.list)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(Space.SMALL)
        column.addWidget(self.list)
        column.addLayout(buttons)

    def show_value(self, value: Value) -> None:
        self.list.clear()
        self.list.addItems([line for line in str(value or "").splitlines() if line.strip()])

    def folders(self) -> list[str]:
        return [self.list.item(row).text() for row in range(self.list.count())]

    def _on_add(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, tr("Add a folder"))
        if chosen and chosen not in self.folders():
            self.chosen.emit("\n".join([*self.folders(), chosen]))

    def _on_take(self) -> None:
        row = self.list.currentRow()
        if row >= 0:
            self.chosen.emit("\n".join(folder for place, folder in enumerate(self.folders()) if place != row))


class QuietComboBox(QComboBox):
    """Turning the wheel over it scrolls the page."""

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        event.ignore()


class QuietSpinBox(QSpinBox):
    """Turning the wheel over it scrolls the page."""

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        event.ignore()


class QuietDoubleSpinBox(QDoubleSpinBox):
    """Turning the wheel over it scrolls the page."""

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        event.ignore()


class QuietSlider(QSlider):
    """Turning the wheel over it scrolls the page."""

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        event.ignore()
