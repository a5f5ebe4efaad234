"""What the context's gauge opens: how full it is, what happens then, and what it takes."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QButtonGroup, QFrame, QHBoxLayout, QProgressBar, QRadioButton, QVBoxLayout, QWidget

from app import wording
from app.context_change import OVERFLOWS, markers, sentence
from app.models.conversation import Conversation
from app.models.loaded_model import LoadedModel
from app.theme import Theme
from app.views.context_gauge import ContextGauge
from app.views.controls import Button, frame, label

WIDTH = 460


class ContextPopover(QFrame):
    """Closes when something else is clicked."""

    resize_wanted = Signal()

    def __init__(
        self, theme: Theme, loaded: LoadedModel, conversation: Conversation, gauge: ContextGauge, parent: QWidget
    ) -> None:
        super().__init__(parent, Qt.WindowType.Popup | Qt.WindowType.FramelessWindowHint)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setObjectName("popover")
        self.setAccessibleName("Context")
        self.setFixedWidth(WIDTH)
        used, context = gauge.used, gauge.context
        layout = QVBoxLayout(self)
        layout.setContentsMargins(18, 16, 18, 14)
        layout.setSpacing(8)
        layout.addWidget(label(f"{wording.count(used)} of {wording.count(context)} tokens used", "heading"))
        bar = QProgressBar()
        bar.setRange(0, 1000)
        bar.setValue(min(1000, round(1000 * used / max(1, context))))
        bar.setTextVisible(False)
        bar.setAccessibleName("Context used")
        layout.addWidget(bar)
        layout.addWidget(label(f"{gauge.hint}\n{_facts(loaded)}", "small", wrap=True))
        if left_out := _left_out(conversation):
            layout.addWidget(label(left_out, "small", wrap=True))
        layout.addSpacing(4)
        layout.addWidget(frame("rule"))
        layout.addSpacing(4)
        layout.addWidget(label("When it is full", "section"))
        self.choices: dict[str, QRadioButton] = {}
        group = QButtonGroup(self)
        for value, name, meaning in OVERFLOWS:
            choice = QRadioButton(name)
            choice.setAccessibleDescription(meaning)
            choice.setChecked(value == conversation.overflow)
            group.addButton(choice)
            self.choices[value] = choice
            choice.clicked.connect(lambda _checked=False, value=value: conversation.set_overflow(value))
            explained = label(meaning, "small")
            explained.setContentsMargins(26, 0, 0, 4)
            layout.addWidget(choice)
            layout.addWidget(explained)
        layout.addWidget(label("Holds for this conversation; the settings say it for all others.", "small"))
        row = QHBoxLayout()
        row.addStretch()
        self.resize_button = Button(theme, "Change the context…", self._change)
        row.addWidget(self.resize_button)
        layout.addSpacing(2)
        layout.addLayout(row)

    def show_above(self, anchor: QWidget) -> None:
        """Open with the lower edge over ``anchor``, within its window."""
        self.adjustSize()
        corner = anchor.mapToGlobal(QPoint(0, 0))
        window = anchor.window().mapToGlobal(QPoint(0, 0))
        self.move(corner.x(), max(window.y() + 8, corner.y() - self.height() - 8))
        self.show()
        next(choice for choice in self.choices.values() if choice.isChecked()).setFocus()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        if event.key() == Qt.Key.Key_Escape:
            self.close()
        else:
            super().keyPressEvent(event)

    def _change(self) -> None:
        self.close()
        self.resize_wanted.emit()


def _facts(loaded: LoadedModel) -> str:
    """Length, precision and memory of the context."""
    takes = f"take {wording.size(loaded.kv_bytes)} of memory" if loaded.kv_bytes else ""
    precise = f"in {wording.precision(loaded.kv)}" if loaded.kv else ""
    return " ".join(filter(None, [f"{wording.count(loaded.context)} tokens", precise, takes])) + "."


def _left_out(conversation: Conversation) -> str:
    """What the model does not read any more; its line in the conversation may be far above."""
    lines = list(markers(conversation.visible).values())
    return sentence(lines[-1]).replace(" above", " at the beginning") + "." if lines else ""
