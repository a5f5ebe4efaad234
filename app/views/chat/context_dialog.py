"""How long the context is to be and in which precision it is kept, with what each choice takes of the memory.

Every number comes from the engine (``/v1/plan``), which loads nothing for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QSignalBlocker, Qt, QTimer
from PySide6.QtGui import QValidator
from PySide6.QtWidgets import (
    QButtonGroup,
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QRadioButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from app import wording
from app.chat import context_scale
from app.theme import Theme
from app.translation import tr
from app.views.controls.controls import Button, frame, label, set_property
from app.views.controls.memory_bar import MemoryBar
from app.views.controls.slider_scale import ContextSlider, SliderScale

if TYPE_CHECKING:
    from app.application import Services
    from app.engine.client import Reply

ASK_AFTER = 60
"""Milliseconds without another change before the engine is asked."""
AUTO = "auto"


class ContextDialog(QDialog):
    """``accept`` stores the choice in the settings, which opens the model anew."""

    def __init__(
        self, theme: Theme, services: Services, model_id: str, name: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._services, self._model_id = services, model_id
        self._reply: Reply | None = None
        self._plan: dict[str, Any] = {}
        self._made_for = 0
        context = services.settings.get("context")
        self._tokens = int(context) if context else 0  # 0: what the engine takes by itself
        self.setWindowTitle(tr("Context"))
        self.setFixedWidth(640)

        self.slider = ContextSlider(theme)
        self.slider.setAccessibleName(tr("Context"))
        self.slider.setPageStep(context_scale.STEPS_PER_DOUBLING)
        self.slider.valueChanged.connect(self._on_slider)
        self.spin = _Tokens()
        self.spin.setAccessibleName(tr("Context in tokens"))
        self.spin.setSuffix(" " + tr("tokens"))
        self.spin.setSingleStep(256)
        self.spin.setKeyboardTracking(False)
        self.spin.setFixedWidth(172)
        self.spin.lineEdit().setTextMargins(8, 0, 0, 0)
        self.spin.valueChanged.connect(self._on_spin)
        self._scale = SliderScale(theme)
        self.about = label("", "muted", wrap=True)
        self.beyond = label("", "warning", wrap=True)
        self.beyond.hide()
        self.trouble = label("", "danger", wrap=True)
        self.trouble.hide()

        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(18)
        self._grid.setVerticalSpacing(5)
        self._grid.setColumnStretch(0, 1)
        self._group = QButtonGroup(self)
        self.rows: dict[str, tuple[QRadioButton, list[QLabel]]] = {}
        for column, title in enumerate((tr("Precision"), tr("Memory"), tr("a token"), tr("Longest that fits"), "")):
            self._grid.addWidget(label(title, "small"), 0, column, self._side(column))
        wanted = str(services.settings.get("kv"))
        for kv, text in wording.PRECISIONS.items():
            self._add_row(kv, tr(text), kv == wanted)

        self.bar = MemoryBar(theme)
        self.sum = label("")
        self.note = label("", "small", wrap=True)
        self._open = Button(theme, tr("Open with this context"), self.accept, kind="primary")
        self._open.setDefault(True)
        self._lay_out(theme, name)

        self._ask = QTimer(self, singleShot=True, interval=ASK_AFTER)
        self._ask.timeout.connect(self._request)
        self._show_range(wording.USUAL_CONTEXT)
        self._request()

    def _lay_out(self, theme: Theme, name: str) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(26, 22, 26, 18)
        layout.setSpacing(10)
        layout.addWidget(label(tr("Context of {name}").format(name=name), "title"))
        layout.addWidget(self.about)
        row = QHBoxLayout()
        row.setSpacing(16)
        scale = QVBoxLayout()
        scale.setSpacing(2)
        scale.addWidget(self.slider)
        scale.addWidget(self._scale)
        row.addLayout(scale, 1)
        row.addWidget(self.spin, 0, Qt.AlignmentFlag.AlignTop)
        layout.addLayout(row)
        layout.addWidget(self.beyond)
        layout.addWidget(frame("rule"))
        layout.addLayout(self._grid)
        layout.addWidget(frame("rule"))
        layout.addWidget(self.bar)
        layout.addWidget(self.sum)
        layout.addWidget(self.note)
        layout.addWidget(self.trouble)
        buttons = QHBoxLayout()
        self.usual = Button(theme, tr("Automatic"), self._take_usual)
        self.usual.setToolTip(tr("The context and the precision that the engine chooses by itself"))
        buttons.addWidget(self.usual)
        buttons.addStretch()
        buttons.addWidget(Button(theme, tr("Cancel"), self.reject))
        buttons.addWidget(self._open)
        layout.addSpacing(4)
        layout.addLayout(buttons)

    def _add_row(self, kv: str, text: str, chosen: bool) -> None:
        choice = QRadioButton(text)
        choice.setChecked(chosen)
        choice.clicked.connect(self._show)
        self._group.addButton(choice)
        at = self._grid.rowCount()
        self._grid.addWidget(choice, at, 0)
        cells = [label("", "muted") for _ in range(4)]
        for column, cell in enumerate(cells, 1):
            self._grid.addWidget(cell, at, column, self._side(column))
        self.rows[kv] = choice, cells

    @staticmethod
    def _side(column: int) -> Qt.AlignmentFlag:
        return Qt.AlignmentFlag.AlignRight if 0 < column < 4 else Qt.AlignmentFlag.AlignLeft

    @property
    def kv(self) -> str:
        """The precision that is chosen."""
        return next(kv for kv, (choice, _) in self.rows.items() if choice.isChecked())

    @property
    def tokens(self) -> int:
        """The context that is chosen; 0 leaves it to the engine."""
        return self._tokens

    def accept(self) -> None:
        """Store the choice."""
        self._services.settings.set("context", self._tokens or None)
        self._services.settings.set("kv", self.kv)
        super().accept()

    def done(self, result: int) -> None:
        """However it is closed, no answer is waited for."""
        self._drop()
        super().done(result)

    # What the user does

    def _on_slider(self, step: int) -> None:
        self._choose(context_scale.tokens_at(step, self._made_for))

    def _on_spin(self, tokens: int) -> None:
        self._choose(tokens)

    def _take_usual(self) -> None:
        self.rows[AUTO][0].setChecked(True)
        self._tokens = 0
        self._ask.start()

    def _choose(self, tokens: int) -> None:
        self._tokens = tokens
        self._show_tokens(tokens)
        self._ask.start()

    # What the engine says

    def _drop(self) -> None:
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.done.disconnect(self._on_plan)
            reply.failed.disconnect(self._on_failed)
            reply.cancel()

    def _request(self) -> None:
        self._drop()
        self._reply = self._services.client.plan(self._model_id, self._tokens or None)
        self._reply.done.connect(self._on_plan)
        self._reply.failed.connect(self._on_failed)

    def _on_plan(self, plan: object) -> None:
        self._reply = None
        if not isinstance(plan, dict):
            return
        self._plan = plan
        self._show_range(int(plan["max_context"]))
        self._show_tokens(int(plan["context"]))
        self._show()

    def _on_failed(self, message: str) -> None:
        self._reply = None
        self.trouble.setText(message)
        self.trouble.show()
        self._open.setEnabled(False)

    # What is shown

    def _show_range(self, made_for: int) -> None:
        if made_for != self._made_for:
            self._made_for = made_for
            blockers = [QSignalBlocker(self.slider), QSignalBlocker(self.spin)]
            self.slider.setRange(0, context_scale.steps(made_for))
            self.spin.setRange(context_scale.LEAST, context_scale.longest(made_for))
            self._scale.show_scale(made_for)
            del blockers
        about = tr("How much text a conversation can hold, questions and answers together.")
        if self._plan:
            about += " " + tr("The model was made for {count} tokens.").format(count=wording.count(made_for))
        self.about.setText(about)

    def _show_tokens(self, tokens: int) -> None:
        blockers = [QSignalBlocker(self.slider), QSignalBlocker(self.spin)]
        self.slider.setValue(context_scale.step_of(tokens))
        self.spin.setValue(tokens)
        del blockers
        beyond = tokens > self._made_for and bool(self._plan)
        self.beyond.setVisible(beyond)
        if beyond:
            self.beyond.setText(
                tr(
                    "More than the {count} tokens that the model was made for: past them its "
                    "answers may lose the thread. What exactly suffers is said once it is open."
                ).format(count=wording.count(self._made_for))
            )

    def _show(self) -> None:
        plan = self._plan
        if not plan:
            return
        formats = {str(one["kv"]): one for one in plan["formats"]}
        automatic = str(plan["auto"])
        for kv, (choice, cells) in self.rows.items():
            one = formats.get(automatic if kv == AUTO else kv)
            choice.setEnabled(one is not None)
            if one is None:
                continue
            if kv == AUTO:
                taken = wording.precision(automatic)
                choice.setText(tr("Automatic: {precision} here").format(precision=taken))
            fits = bool(one["fits"])
            longest = int(one["longest_context"])
            texts = (
                wording.size(one["kv_bytes"]),
                wording.size(one["bytes_per_token"]),
                _longest(longest, int(plan["context"]), fits),
                tr("fits") if fits else tr("does not fit"),
            )
            for cell, text in zip(cells, texts, strict=True):
                cell.setText(text)
            set_property(cells[3], "role", "success" if fits else "warning")
            choice.setAccessibleDescription(", ".join(texts))
        chosen = formats[automatic if self.kv == AUTO else self.kv]
        self._show_sum(plan, chosen)

    def _show_sum(self, plan: dict[str, Any], chosen: dict[str, Any]) -> None:
        parts = [int(plan["weights_bytes"]), int(chosen["kv_bytes"]), int(plan["workspace_bytes"])]
        free = max(0, int(plan["free"]) - int(plan["reserve"]))
        weights, context, workspace = map(wording.size, parts)
        total = wording.size(sum(parts))
        terms = {"weights": weights, "context": context, "workspace": workspace, "total": total}
        words = tr("Weights {weights} + context {context} + workspace {workspace} = {total}").format(**terms)
        of_free = tr("Weights {weights} + context {context} + workspace {workspace} = {total} of {free}")
        fits = bool(chosen["fits"])
        verdict = tr("it fits") if fits else tr("{size} too much").format(size=wording.size(sum(parts) - free))
        self.bar.show_parts(parts, free, of_free.format(**terms, free=wording.size(free)))
        self.sum.setText(f"{words}  ·  {verdict}")
        set_property(self.sum, "role", "" if fits else "warning")
        if card := str(plan["card"]):
            note = tr("{free} of {card} are free, of which {kept} are kept for the system.")
        else:
            note = tr("{free} of main memory are free, of which {kept} are kept for the system.")
        note = note.format(free=wording.size(plan["free"]), card=card, kept=wording.size(plan["reserve"]))
        self.note.setText(note + " " + tr("The choice holds for all models."))
        self.trouble.hide()
        self._open.setEnabled(fits)


def _longest(longest: int, asked: int, fits: bool) -> str:
    """The engine looks no further than what the model was made for."""
    if fits and asked > longest:
        return tr("{count} or more").format(count=wording.count(asked))
    if not longest:
        return tr("none", "no length of the context fits")
    return tr("{count} tokens").format(count=wording.count(longest))


class _Tokens(QSpinBox):
    """Numbers as the window writes them everywhere."""

    def textFromValue(self, value: int) -> str:  # noqa: N802
        return wording.count(value)

    def valueFromText(self, text: str) -> int:  # noqa: N802
        return int("".join(letter for letter in text if letter.isdigit()) or 0)

    def validate(self, text: str, at: int) -> tuple[QValidator.State, str, int]:
        plain = text.removesuffix(self.suffix()).strip()
        fine = all(letter.isdigit() or letter.isspace() for letter in plain)
        if not fine:
            return QValidator.State.Invalid, text, at
        inside = bool(plain) and self.minimum() <= self.valueFromText(plain) <= self.maximum()
        return (QValidator.State.Acceptable if inside else QValidator.State.Intermediate), text, at
