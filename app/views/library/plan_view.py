"""What a model would cost before anything is fetched, with two sliders: quality against size, and the context.

Every number comes from one answer of ``tz plan`` (:mod:`app.library.plan`), so that a slider moves without asking
anybody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QCheckBox, QComboBox, QFrame, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app import wording
from app.library import plan_words
from app.library.inquiry import Inquiry
from app.library.plan import Option, Plan
from app.theme import Space, Theme
from app.translation import tr
from app.views.controls.controls import Button, frame, label, set_property
from app.views.controls.slider_scale import ContextSlider
from app.views.library.memory_parts import MemoryParts, Part

if TYPE_CHECKING:
    from app.application import Services

WORTH_SAYING = 16 << 20
"""Bytes of loaded models below which nobody needs to know."""
FACTS = ("fetch", "disk", "conversion", "speed", "first")


class PlanView(QFrame):
    """``get_wanted`` carries source, encoding (``""`` where a budget or the model's own weights are taken) and the
    job's options."""

    get_wanted = Signal(str, str, dict)
    planned = Signal(object)
    """A :class:`Plan` has come."""

    def __init__(self, theme: Theme, services: Services) -> None:
        super().__init__()
        self.setProperty("role", "card")
        self._services = services
        self._source = ""
        self._inquiry: Inquiry | None = None
        self.plan: Plan | None = None
        self.freed = 0
        """Bytes that unloading what is loaded now would give back."""

        self.note = label(tr("Reading what the model is…"), "muted", wrap=True)
        self.quality = _slider(theme, tr("Quality against size"))
        self.quality_value, self.quality_title, self.quality_note = label(""), label(""), label("", "small", wrap=True)
        self.context = _slider(theme, tr("Context"))
        self.context_value, self.context_note = label(""), label("", "small", wrap=True)
        self.facts = {name: _Fact(title) for name, title in zip(FACTS, _titles(), strict=True)}
        self.memory = MemoryParts(theme)
        self.verdict = label("", wrap=True)
        self.on_card = label("", "muted", wrap=True)
        self.discard = QCheckBox(tr("Delete the original weights while converting"))
        self.discard.toggled.connect(self._show)
        self.discard_note = label("", "small", wrap=True)
        self.folder = QComboBox()
        self.folder.setAccessibleName(tr("Folder for the model"))
        self.get = Button(theme, tr("Get it"), self._get, kind="primary", icon_name="download")
        self.again = Button(theme, tr("Try again"), self._ask, icon_name="refresh")
        self.again.hide()
        self.quality.valueChanged.connect(self._show)
        self.context.valueChanged.connect(self._show)
        self._body = QWidget()
        self._lay_out()
        self._body.hide()

    def _lay_out(self) -> None:
        body = QVBoxLayout(self._body)
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(Space.MEDIUM)
        ends = tr("smaller, faster"), tr("better")
        body.addLayout(_row(tr("Quality against size"), self.quality, self.quality_value, ends))
        set_property(self.quality_title, "role", "heading")
        body.addWidget(self.quality_title)
        body.addWidget(self.quality_note)
        body.addWidget(frame("rule"))
        self._context_row = QWidget()
        context = QVBoxLayout(self._context_row)
        context.setContentsMargins(0, 0, 0, 0)
        context.setSpacing(Space.TINY)
        ends = tr("shorter, less memory"), tr("longer conversations and texts")
        context.addLayout(_row(tr("Context"), self.context, self.context_value, ends))
        context.addWidget(self.context_note)
        body.addWidget(self._context_row)
        body.addWidget(frame("rule"))
        grid = QGridLayout()
        grid.setHorizontalSpacing(Space.LARGE)
        grid.setVerticalSpacing(Space.MEDIUM)
        for number, fact in enumerate(self.facts.values()):
            row, column = divmod(number, 3)
            grid.addWidget(fact, row, column)
            grid.setColumnStretch(column, 1)
        body.addLayout(grid)
        body.addWidget(frame("rule"))
        body.addWidget(self.memory)
        body.addWidget(self.verdict)
        body.addWidget(self.on_card)
        last = QHBoxLayout()
        last.setSpacing(Space.SMALL)
        options = QVBoxLayout()
        options.setSpacing(Space.TINY)
        options.addWidget(self.discard)
        options.addWidget(self.discard_note)
        options.addWidget(self.folder)
        last.addLayout(options, 1)
        last.addWidget(self.get)
        body.addLayout(last)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(Space.WIDE, Space.WIDE, Space.WIDE, Space.WIDE)
        layout.setSpacing(Space.SMALL)
        layout.addWidget(label(tr("What it will cost"), "title"))
        layout.addWidget(self.note)
        layout.addSpacing(Space.TINY)
        layout.addWidget(self.again)
        layout.addWidget(self._body)

    # Asking

    def show_source(self, source: str, encoding: str = "") -> None:
        """Plan for ``source``, beginning with the choice ``encoding`` (default: the settings')."""
        self._source, self._wanted = source, encoding or str(self._services.settings.get("encoding"))
        self.plan = None
        self._ask()

    def stop(self) -> None:
        """Nobody looks at it any more."""
        inquiry, self._inquiry = self._inquiry, None
        if inquiry is not None:
            inquiry.cancel()

    def _ask(self) -> None:
        self.stop()
        self.again.hide()
        self._body.hide()
        set_property(self.note, "role", "muted")
        self.note.setText(tr("Reading what the model is…"))
        self.note.show()
        self._inquiry = self._services.library.plan(self._source)
        self._inquiry.partial.connect(lambda raw: self._take(raw, False))
        self._inquiry.done.connect(self._on_done)
        self._inquiry.failed.connect(self._on_failed)

    def _on_done(self, raw: object) -> None:
        self._inquiry = None
        if isinstance(raw, dict):
            self._take(raw, True)

    def _on_failed(self, message: str) -> None:
        self._inquiry = None
        self.note.setText(plan_words.sentence(message))
        set_property(self.note, "role", "danger")
        self.note.show()
        self.again.show()

    def _take(self, raw: dict[str, Any], final: bool) -> None:
        if "options" not in raw:
            return  # a note or progress
        first = self.plan is None
        try:
            plan = Plan.read(raw, final)
        except (KeyError, TypeError, ValueError) as error:
            self._on_failed(tr("The plan cannot be read: {reason}").format(reason=error))
            return
        self.plan = plan
        if first:
            blockers = [QSignalBlocker(self.quality), QSignalBlocker(self.context)]
            self.quality.setRange(0, max(0, len(plan.options) - 1))
            self.quality.setValue(plan.usual_option(self._wanted))
            self.quality.setEnabled(len(plan.options) > 1)
            self.context.setRange(0, max(0, len(plan.contexts) - 1))
            self.context.setValue(plan.usual_context())
            del blockers
            self._show_folders()
        services = self._services
        self.freed = services.library.freed_by_unloading(services.engine.pid) if services.client.loaded else 0
        self._context_row.setVisible(bool(plan.contexts))
        self.note.setVisible(not final)
        self.note.setText(tr("Measuring how fast this machine is…"))
        self._body.setVisible(bool(plan.options))
        self._show()
        self.planned.emit(plan)

    # Showing

    @property
    def option(self) -> Option | None:
        """The choice that is shown."""
        return self.plan.options[self.quality.value()] if self.plan is not None and self.plan.options else None

    def _show(self) -> None:
        plan, option = self.plan, self.option
        if plan is None or option is None:
            return
        outcome = plan.outcome(self.quality.value(), self.context.value(), self.freed)
        name = plan_words.option_name(option)
        each = option.bits_per_weight
        bits = tr("{bits} bits a weight").format(bits=wording.decimal(each, 2)) if each else ""
        self.quality_value.setText(name if option.bits or not bits else f"{name}  ·  {bits}")
        self.quality_title.setText(plan_words.quality_title(option))
        self.quality_note.setText(plan_words.quality_sentence(option))
        self.quality.setAccessibleDescription(f"{self.quality_value.text()}. {self.quality_title.text()}")
        if plan.contexts:
            point = plan.contexts[self.context.value()]
            self.context_value.setText(tr("{count} tokens").format(count=wording.count(point.tokens)))
            self.context_note.setText(plan_words.context_note(plan, outcome))
            self.context.setAccessibleDescription(f"{self.context_value.text()}. {self.context_note.text()}")
        self._show_discard(option)
        discard = self.discard.isChecked() and self.discard.isVisibleTo(self)
        self.facts["fetch"].show_fact(*plan_words.to_fetch(plan))
        self.facts["disk"].show_fact(*plan_words.disk(option, discard))
        self.facts["conversion"].show_fact(*plan_words.conversion(plan, option))
        self.facts["speed"].show_fact(*plan_words.speed(plan, outcome))
        self.facts["first"].show_fact(*plan_words.first_token(plan, outcome))
        self._show_memory(plan, outcome.items)
        self.verdict.setText(plan_words.verdict(plan, outcome, self.freed))
        set_property(self.verdict, "role", "success" if outcome.fits else "warning")
        self.on_card.setText(plan_words.on_card(plan, option))
        self.on_card.setVisible(bool(self.on_card.text()))
        self._show_button(plan, option)

    def _show_memory(self, plan: Plan, items: tuple[tuple[str, int], ...]) -> None:
        machine = plan.machine
        total, others = int(machine["memory_total"]), int(machine["other_programs_bytes"])
        loaded = min(self.freed, others)
        loaded = loaded if loaded >= WORTH_SAYING else 0
        parts = [Part("others", others - loaded)]
        if loaded:
            parts.append(Part("loaded", loaded))
        parts += [Part(name, size) for name, size in items]
        parts.append(Part("reserve", int(machine["reserve_bytes"])))
        left = total - sum(part.bytes for part in parts)
        if left > 0:
            parts.append(Part("free", left))
        self.memory.show_parts(parts, total)

    def _show_discard(self, option: Option) -> None:
        """Offered where it saves disk."""
        less, more = option.discard_disk, option.peak_disk
        possible = less is not None and more is not None and less < more
        self.discard.setVisible(possible)
        self.discard_note.setVisible(possible)
        if less is None or more is None:
            return
        text = tr("Takes {less} of disk at most instead of {more}.")
        if option.discard_passes > 1:
            text = tr("Takes {less} of disk at most instead of {more}; they are fetched {times} times.")
        words = {"less": wording.size(less), "more": wording.size(more), "times": option.discard_passes}
        self.discard_note.setText(text.format_map(words))
        self.discard.setAccessibleDescription(self.discard_note.text())

    def _show_button(self, plan: Plan, option: Option) -> None:
        text = tr("Installed already") if option.installed else tr("Convert it again so") if plan.installed else tr(
            "Get it")
        self.get.set_text(text)
        self.get.setEnabled(plan.supported and not option.installed)
        self.get.setToolTip("" if plan.supported else tr("Models of this family cannot be converted yet."))

    def _show_folders(self) -> None:
        folders = self._services.library.folders()
        self.folder.clear()
        for path in folders:
            self.folder.addItem(tr("Keep it in {folder}").format(folder=str(path)), str(path))
        self.folder.setVisible(len(folders) > 1)

    def _get(self) -> None:
        option = self.option
        if option is None:
            return
        options: dict[str, Any] = {}
        if option.bits is not None:
            options["bits"] = option.bits
        if self.discard.isVisibleTo(self) and self.discard.isChecked():
            options["discard_source"] = True
        if self.folder.currentIndex() > 0 and option.folder_name:
            options["out"] = f"{self.folder.currentData()}/{option.folder_name}"
        self.get_wanted.emit(self._source, option.encoding, options)


class _Fact(QWidget):
    """A title, a number, and a word about it."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title
        self.value, self.note = label("", "heading", wrap=True), label("", "small", wrap=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(Space.HAIR)
        layout.addWidget(label(title, "small"))
        layout.addWidget(self.value)
        layout.addWidget(self.note)
        layout.addStretch(1)

    def show_fact(self, value: str, note: str) -> None:
        self.value.setText(value)
        self.note.setText(note)
        self.value.setAccessibleName(f"{self._title}: {value}")


def _titles() -> tuple[str, ...]:
    return (
        tr("To download"), tr("Disk, at most at once"), tr("Time to convert"), tr("Speed of answers"),
        tr("First word after"),
    )


def _slider(theme: Theme, name: str) -> ContextSlider:
    slider = ContextSlider(theme)
    slider.setAccessibleName(name)
    slider.setPageStep(1)
    return slider


def _row(title: str, slider: ContextSlider, value: QLabel, ends: tuple[str, str]) -> QVBoxLayout:
    head = QHBoxLayout()
    name = label(title, "section")
    name.setBuddy(slider)
    head.addWidget(name)
    head.addStretch()
    head.addWidget(value)
    column = QVBoxLayout()
    column.setSpacing(Space.TINY)
    column.addLayout(head)
    column.addWidget(slider)
    foot = QHBoxLayout()
    foot.addWidget(label(ends[0], "small"))
    foot.addStretch()
    foot.addWidget(label(ends[1], "small"))
    column.addLayout(foot)
    return column
