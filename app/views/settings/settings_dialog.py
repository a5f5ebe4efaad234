"""The settings, made from their declarations: a setting added there appears here."""

from __future__ import annotations

from itertools import groupby

from PySide6.QtCore import Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QScrollArea,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from app.settings.settings import SETTINGS, Setting, Settings
from app.theme import Theme
from app.translation import tr
from app.views.controls.controls import Button, label

LABEL = 168
"""Width of the names on the left, in pixels."""


class SettingsDialog(QDialog):
    """Every change holds at once."""

    def __init__(self, theme: Theme, settings: Settings, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self.editors: dict[str, QWidget] = {}
        self.setWindowTitle(tr("Settings"))
        self.resize(600, 660)
        column = QWidget()
        column.setObjectName("column")
        layout = QVBoxLayout(column)
        layout.setContentsMargins(26, 22, 26, 18)
        layout.setSpacing(8)
        shown = [setting for setting in SETTINGS if setting.group]
        for group, members in groupby(shown, key=lambda setting: setting.group):
            layout.addWidget(label(tr(group), "heading"))
            form = QFormLayout()
            form.setContentsMargins(0, 2, 0, 16)
            form.setHorizontalSpacing(24)
            form.setVerticalSpacing(8)
            form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
            form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
            for setting in members:
                self._add(form, setting)
            layout.addLayout(form)
        layout.addStretch()
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(column)
        buttons = QHBoxLayout()
        buttons.setContentsMargins(26, 10, 26, 16)
        buttons.addStretch()
        buttons.addWidget(Button(theme, tr("Close"), self.accept, kind="primary"))
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        outer.addWidget(scroll, 1)
        outer.addLayout(buttons)

    def _add(self, form: QFormLayout, setting: Setting) -> None:
        editor = self._editor(setting)
        meaning = tr(setting.help) if setting.help else ""
        editor.setAccessibleName(tr(setting.label))
        editor.setAccessibleDescription(meaning)
        editor.setToolTip(meaning)
        self.editors[setting.key] = editor
        field = QWidget()
        inner = QVBoxLayout(field)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(3)
        inner.addWidget(editor)
        if meaning:
            inner.addWidget(label(meaning, "small", wrap=True))
        name = QLabel(tr(setting.label))
        name.setBuddy(editor)
        name.setContentsMargins(0, 7, 0, 0)
        name.setWordWrap(True)
        name.setFixedWidth(LABEL)
        form.addRow(name, field)

    def _editor(self, setting: Setting) -> QWidget:
        value, key = self._settings.get(setting.key), setting.key
        if setting.choices:
            box = _QuietComboBox()
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.setMinimumContentsLength(18)
            for choice, text in setting.choices:
                box.addItem(tr(text), choice)
            box.setCurrentIndex(box.findData(value))
            box.activated.connect(lambda index: self._settings.set(key, box.itemData(index)))
            return box
        if setting.type is bool:
            check = QCheckBox()
            check.setChecked(bool(value))
            check.toggled.connect(lambda on: self._settings.set(key, on))
            return check
        if setting.type in (int, float):
            return self._number(setting, value)
        if setting.multiline:
            area = QPlainTextEdit(str(value or ""))
            area.setProperty("role", "field")
            area.setTabChangesFocus(True)
            area.setFixedHeight(92)
            area.textChanged.connect(lambda: self._settings.set(key, area.toPlainText()))
            return area
        line = QLineEdit(str(value or ""))
        line.editingFinished.connect(lambda: self._settings.set(key, line.text()))
        return line

    def _number(self, setting: Setting, value: object) -> QWidget:
        """A spin box; where a setting may be unset, one step below its minimum means that."""
        spin: QSpinBox | QDoubleSpinBox = _QuietSpinBox() if setting.type is int else _QuietDoubleSpinBox()
        step = setting.step or 1
        low = setting.minimum if setting.minimum is not None else 0
        high = setting.maximum if setting.maximum is not None else 2**31 - 1
        unset = low - step
        optional = setting.default is None
        if isinstance(spin, QSpinBox):
            spin.setRange(int(unset if optional else low), int(high))
            spin.setSingleStep(int(step))
            spin.setValue(int(unset) if value is None else int(str(value)))
        else:
            spin.setDecimals(2)
            spin.setRange(unset if optional else low, high)
            spin.setSingleStep(step)
            spin.setValue(unset if value is None else float(str(value)))
        if optional:
            spin.setSpecialValueText(tr(setting.unset) if setting.unset else tr("not set"))
        spin.setKeyboardTracking(False)
        spin.lineEdit().setTextMargins(8, 0, 0, 0)
        spin.valueChanged.connect(
            lambda number: self._settings.set(setting.key, None if optional and number < low else number)
        )
        return spin


class _QuietComboBox(QComboBox):
    """Turning the wheel over it scrolls the page."""

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        event.ignore()


class _QuietSpinBox(QSpinBox):
    """Turning the wheel over it scrolls the page."""

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        event.ignore()


class _QuietDoubleSpinBox(QDoubleSpinBox):
    """Turning the wheel over it scrolls the page."""

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        event.ignore()
