"""One number that says how answers are drawn: its name, a slider, a field, and what the model recommends."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QDoubleSpinBox, QHBoxLayout, QVBoxLayout, QWidget

from app.chat.sampling import Control
from app.theme import Theme
from app.translation import tr
from app.views.controls.controls import IconButton, label, tag
from app.views.controls.slider_scale import ContextSlider

STEPS = 1000
"""Of the slider: finer than the eye."""


class _Field(QDoubleSpinBox):
    """Turning the wheel over it scrolls the panel."""

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        event.ignore()


class SamplingRow(QWidget):
    """``changed(value)`` by the user alone; ``reset`` wants what holds without this conversation's own value."""

    changed = Signal(object)
    reset = Signal()

    def __init__(self, theme: Theme, control: Control) -> None:
        super().__init__()
        self.control = control
        name, meaning = tr(control.name), tr(control.meaning)
        self._unset = control.low - control.step
        self.field = _Field()
        self.field.setDecimals(control.decimals)
        self.field.setSingleStep(control.step)
        self.field.setRange(self._unset if control.unset else control.low, control.limit)
        if control.unset:
            self.field.setSpecialValueText(tr(control.unset))
        self.field.setKeyboardTracking(False)
        self.field.setAccessibleName(name)
        self.field.setAccessibleDescription(meaning)
        self.field.lineEdit().setTextMargins(8, 0, 0, 0)
        if not control.unset:
            self.field.setFixedWidth(92)
        self.slider: ContextSlider | None = None
        if not control.unset:
            self.slider = ContextSlider(theme)
            self.slider.setRange(0, STEPS)
            self.slider.setSingleStep(max(1, round(STEPS * control.step / (control.high - control.low))))
            self.slider.setPageStep(STEPS // 10)
            self.slider.setAccessibleName(name)
            self.slider.setAccessibleDescription(meaning)
            self.slider.setMinimumWidth(80)
            self.slider.valueChanged.connect(self._on_slider)
        self._mark = tag(tr("changed"), "accent")
        self._reset = IconButton(theme, "undo", tr("Reset {name}").format(name=name), self.reset.emit, size=14)
        self._own = label("", "small", wrap=True)
        head = QHBoxLayout()
        head.setSpacing(6)
        title = label(name, wrap=True)
        title.setToolTip(meaning)
        title.setBuddy(self.field)
        head.addWidget(title, 1)
        head.addWidget(self._mark)
        head.addWidget(self._reset)
        body = QHBoxLayout()
        body.setSpacing(10)
        if self.slider is not None:
            body.addWidget(self.slider, 1)
        body.addWidget(self.field, 0 if self.slider is not None else 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(head)
        layout.addLayout(body)
        layout.addWidget(self._own)
        self.setToolTip(meaning)
        self.field.valueChanged.connect(self._on_field)
        policy = self._reset.sizePolicy()
        policy.setRetainSizeWhenHidden(True)  # so that nothing moves when a value is changed
        self._reset.setSizePolicy(policy)

    @property
    def words(self) -> str:
        """What is said of the model's own value."""
        return self._own.text()

    @property
    def marked(self) -> bool:
        return not self._mark.isHidden()

    def show_value(self, value: float | None, own: float | None, changed: bool) -> None:
        """``value`` holds now (None: the model's ``own``, where that is known); ``changed``: in this conversation."""
        shown = own if value is None else value
        if shown is None:
            shown = self._unset if self.control.unset else self.control.low
        with QSignalBlocker(self.field):
            self.field.setValue(shown)
        if self.slider is not None:
            with QSignalBlocker(self.slider):
                self.slider.setValue(self._place(shown))
            self.slider.update()
        self._mark.setVisible(changed and value != own)
        self._reset.setVisible(changed)
        known = own is not None and not self.control.unset
        text = tr("The model's own: {value}").format(value=f"{own:.{self.control.decimals}f}") if known else ""
        self._own.setText(text)
        self._own.setVisible(bool(text))

    def _place(self, value: float) -> int:
        control = self.control
        return round(STEPS * (min(value, control.high) - control.low) / (control.high - control.low))

    def _on_slider(self, place: int) -> None:
        control = self.control
        exact = control.low + (control.high - control.low) * place / STEPS
        self._tell(control.low + round((exact - control.low) / control.step) * control.step)

    def _on_field(self, value: float) -> None:
        self._tell(value)

    def _tell(self, value: float) -> None:
        control = self.control
        if control.unset and value < control.low:
            self.changed.emit(None)
        else:
            self.changed.emit(round(value) if not control.decimals else round(value, control.decimals))
