"""What the context's gauge opens: how full it is, what happens then, and what it takes."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QButtonGroup, QFrame, QHBoxLayout, QProgressBar, QRadioButton, QVBoxLayout, QWidget

from app import wording
from app.chat.context_change import OVERFLOWS, markers
from app.chat.conversation import Conversation
from app.chat.loaded_model import LoadedModel
from app.theme import Theme
from app.translation import tr
from app.views.chat.context_gauge import ContextGauge
from app.views.controls.controls import Button, frame, label

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
        self.setAccessibleName(tr("Context"))
        self.setFixedWidth(WIDTH)
        used, context = gauge.used, gauge.context
        layout = QVBoxLayout(self)
        layout.setContentsMargins(18, 16, 18, 14)
        layout.setSpacing(8)
        sentence = tr("{used} of {total} tokens used").format(used=wording.count(used), total=wording.count(context))
        layout.addWidget(label(sentence, "heading"))
        bar = QProgressBar()
        bar.setRange(0, 1000)
        bar.setValue(min(1000, round(1000 * used / max(1, context))))
        bar.setTextVisible(False)
        bar.setAccessibleName(tr("Context used"))
        layout.addWidget(bar)
        layout.addWidget(label(f"{gauge.hint}\n{_facts(loaded)}", "small", wrap=True))
        if left_out := _left_out(conversation):
            layout.addWidget(label(left_out, "small", wrap=True))
        layout.addSpacing(4)
        layout.addWidget(frame("rule"))
        layout.addSpacing(4)
        layout.addWidget(label(tr("When it is full"), "section"))
        self.choices: dict[str, QRadioButton] = {}
        group = QButtonGroup(self)
        for value, name, meaning in OVERFLOWS:
            choice = QRadioButton(tr(name))
            choice.setAccessibleDescription(tr(meaning))
            choice.setChecked(value == conversation.overflow)
            group.addButton(choice)
            self.choices[value] = choice
            choice.clicked.connect(lambda _checked=False, value=value: conversation.set_overflow(value))
            explained = label(tr(meaning), "small")
            explained.setContentsMargins(26, 0, 0, 4)
            layout.addWidget(choice)
            layout.addWidget(explained)
        layout.addWidget(label(tr("Holds for this conversation; the settings say it for all others."), "small"))
        row = QHBoxLayout()
        row.addStretch()
        self.resize_button = Button(theme, tr("Change the context…"), self._change)
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
    if loaded.kv and loaded.kv_bytes:
        text = tr("{count} tokens in {precision} take {size} of memory.")
    elif loaded.kv:
        text = tr("{count} tokens in {precision}.")
    elif loaded.kv_bytes:
        text = tr("{count} tokens take {size} of memory.")
    else:
        text = tr("{count} tokens.")
    return text.format(
        count=wording.count(loaded.context),
        precision=wording.precision(loaded.kv),
        size=wording.size(loaded.kv_bytes),
    )


def _left_out(conversation: Conversation) -> str:
    """What the model does not read any more; its line in the conversation may be far above."""
    lines = list(markers(conversation.visible).values())
    if not lines:
        return ""
    change = lines[-1]
    count = int(change.get("messages_left_out") or 0)
    if change.get("summary"):
        one = tr("The message at the beginning is summarised for the model ({tokens} tokens less to read).")
        many = tr("The {count} messages at the beginning are summarised for the model ({tokens} tokens less to read).")
    else:
        one = tr("The message at the beginning is not read by the model any more ({tokens} tokens).")
        many = tr("The {count} messages at the beginning are not read by the model any more ({tokens} tokens).")
    tokens = wording.count(int(change.get("tokens_left_out") or 0))
    return (one if count == 1 else many).format(count=wording.count(count), tokens=tokens)
