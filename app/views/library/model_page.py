"""The page of one model: what it is, what one may do with it, what it would cost, and what its authors say of it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from app import wording
from app.jobs import receipt as receipts
from app.library import card_text, licences, plan_words
from app.library.inquiry import Inquiry
from app.library.library import InstalledEntry
from app.library.model_facts import ModelFacts
from app.theme import Space, Theme
from app.translation import tr
from app.views.chat.message_body import MessageBody
from app.views.chat.offer_card import licence_name
from app.views.controls.controls import Button, Column, discard, label, tag
from app.views.controls.flow_layout import FlowLayout
from app.views.controls.page_column import centred, scrolled
from app.views.library.foldable import Foldable
from app.views.library.gated_steps import GatedSteps
from app.views.library.plan_view import PlanView

if TYPE_CHECKING:
    from app.application import Services

COLUMN = 900


class ModelPage(QWidget):
    """``show_model`` fills it.  ``back_wanted``; ``get_wanted`` is that of :class:`PlanView`."""

    back_wanted = Signal()
    chat_wanted = Signal(str)
    page_wanted = Signal(str)
    get_wanted = Signal(str, str, dict)

    def __init__(self, theme: Theme, services: Services) -> None:
        super().__init__()
        self._theme, self._services = theme, services
        self._source = ""
        self._inquiry: Inquiry | None = None
        self.facts: ModelFacts | None = None
        self.back = Button(theme, tr("Back to the library"), self.back_wanted.emit, kind="fold", icon_name="arrow-left")
        self.title = label("", "display", wrap=True, selectable=True)
        self._tag_row = QWidget()
        self._tags = FlowLayout(self._tag_row, Space.SMALL, Space.TINY)
        self.why = label("", "warning", wrap=True, selectable=True)
        self.licence = label("", "muted", wrap=True)
        self.address = label("", "small", wrap=True, selectable=True)
        self._gated = Column()
        self._installed_title = label(tr("Installed"), "section")
        self.installed = Column()
        self.plan = PlanView(theme, services)
        self.plan.get_wanted.connect(self.get_wanted)
        self._details = Column(Space.SMALL)
        self._lay_out()
        services.library.changed.connect(self._show_installed)

    def _lay_out(self) -> None:
        column = QWidget()
        layout = QVBoxLayout(column)
        layout.setContentsMargins(6, Space.LARGE, 6, Space.PAGE)
        layout.setSpacing(Space.MEDIUM)
        layout.addWidget(self.back, 0, Qt.AlignmentFlag.AlignLeading)
        layout.addWidget(self.title)
        layout.addWidget(self._tag_row)
        for widget in (self.why, self.licence, self.address, self._gated, self._installed_title, self.installed,
                       self.plan, self._details):
            layout.addWidget(widget)
        layout.addStretch(1)
        self._scroll = scrolled(centred(column, COLUMN, Space.PAGE))
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self._scroll)

    # Asking

    @property
    def source(self) -> str:
        """What is shown."""
        return self._source

    def show_model(self, source: str, name: str, encoding: str = "") -> None:
        """Ask for everything about ``source``; what is known already is shown at once."""
        self._source, self._name, self._encoding = source, name, encoding
        self.facts = None
        self.title.setText(name)
        self.address.setText(source)
        self.why.hide()
        self.licence.setText("")
        self._show_tags([])
        self._gated.clear()
        self._details.clear()
        self._show_installed()
        self._scroll.verticalScrollBar().setValue(0)
        self._ask()

    def stop(self) -> None:
        """Nobody looks at it any more."""
        inquiry, self._inquiry = self._inquiry, None
        if inquiry is not None:
            inquiry.cancel()
        self.plan.stop()

    def _ask(self) -> None:
        self.stop()
        self._inquiry = self._services.library.show(self._source)
        self._inquiry.done.connect(self._on_facts)
        self._inquiry.failed.connect(self._on_failed)
        self.plan.show_source(self._source, self._encoding)

    def _on_failed(self, message: str) -> None:
        self._inquiry = None
        self.licence.setText("")
        self._say_why(plan_words.sentence(message))

    def _on_facts(self, raw: object) -> None:
        self._inquiry = None
        try:
            self.facts = ModelFacts.read(raw if isinstance(raw, dict) else {})
        except (KeyError, TypeError, ValueError) as error:
            self._say_why(tr("What is known of the model cannot be read: {reason}").format(reason=error))
            return
        self._show_facts(self.facts)

    # Showing

    def _say_why(self, text: str) -> None:
        self.why.setText(text)
        self.why.setVisible(bool(text))

    def _show_facts(self, facts: ModelFacts) -> None:
        tags = [(facts.family, "")] if facts.family else []
        if facts.parameters:
            tags.append((tr("{count} weights").format(count=wording.count(facts.parameters)), ""))
        if facts.native:
            tags.append((tr("natively ternary"), "good"))
        if facts.context:
            tags.append((tr("{count} tokens of context").format(count=wording.count(facts.context)), ""))
        tags.append((licence_name(facts.licence), ""))
        if facts.downloads:
            tags.append((tr("{count} downloads").format(count=wording.count(facts.downloads)), ""))
        if facts.gated:
            tags.append((tr("needs an account"), "bad"))
        self._show_tags(tags)
        unfit = tr("It cannot be converted: {reason}").format(reason=facts.why) if not facts.supported else ""
        self._say_why(plan_words.sentence(unfit) if unfit else "")
        self.licence.setText(tr("Licence: {name}. {sentence}").format(
            name=licence_name(facts.licence), sentence=licences.explained(facts.licence)))
        address = facts.address or self._source
        self.address.setText(tr("PyPI package {name}").format(name=address) if facts.kind == "pypi" else address)
        self._gated.clear()
        if facts.gated and not facts.access:
            steps = GatedSteps(self._theme, facts.address)
            steps.settings_wanted.connect(lambda: self.page_wanted.emit("settings"))
            steps.again_wanted.connect(self._ask)
            self._gated.add(steps)
        self._show_details(facts)

    def _show_tags(self, tags: list[tuple[str, str]]) -> None:
        while (item := self._tags.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                discard(widget)
        for text, tone in tags:
            self._tags.addWidget(tag(text[:60], tone))
        self._tag_row.setVisible(bool(tags))

    def _show_details(self, facts: ModelFacts) -> None:
        self._details.clear()
        needed = sum(file.bytes for file in facts.files if file.needed)
        if facts.files:
            title = tr("Files: {count}, of which {size} are needed").format(
                count=len(facts.files), size=wording.size(needed))
            self._details.add(Foldable(self._theme, title, partial(_file_list, facts)))
        self._details.add(label(tr("What its authors say"), "section"))
        text = card_text.readable(facts.card)
        if not text:
            note = facts.card_note or tr("it has none")
            self._details.add(label(tr("No description: {reason}").format(reason=note), "muted", wrap=True))
            return
        part, more = card_text.beginning(text)
        body = MessageBody(self._theme)
        body.set_text(part)
        self._theme.changed.connect(body.restyle)
        self._details.add(body)
        if more:
            def whole() -> None:
                body.set_text(text)
                button.hide()

            button = Button(self._theme, tr("Show all of it"), whole)
            self._details.add(button, Qt.AlignmentFlag.AlignLeading)
        if facts.card_note:
            self._details.add(label(plan_words.sentence(facts.card_note), "small", wrap=True))

    def _show_installed(self) -> None:
        """The conversions of this model that are here, each with its receipt."""
        self.installed.clear()
        here = [entry for entry in self._services.library.installed() if self._source in (entry.source, entry.id)]
        self._installed_title.setVisible(bool(here))
        self.installed.setVisible(bool(here))
        for entry in here:
            self.installed.add(self._installed_row(entry))

    def _installed_row(self, entry: InstalledEntry) -> QWidget:
        row = QWidget()
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(Space.SMALL)
        name = wording.encoding(wording.model_and_encoding(entry.id)[1] or entry.encoding)
        found = receipts.read(entry.path, entry.id)
        verdict = found.verdict[0] if found is not None else ""
        words = "  ·  ".join(part for part in (name, wording.size(entry.bytes), verdict) if part)
        layout.addWidget(label(words, wrap=True), 1)
        receipt = Button(self._theme, tr("Receipt"), partial(self._show_receipt, entry), icon_name="receipt")
        receipt.setAccessibleName(tr("Receipt of {id}").format(id=entry.id))
        chat = Button(self._theme, tr("Chat"), partial(self.chat_wanted.emit, entry.id), icon_name="chat")
        chat.setAccessibleName(tr("Chat with {id}").format(id=entry.id))
        layout.addWidget(receipt)
        layout.addWidget(chat)
        return row

    def _show_receipt(self, entry: InstalledEntry) -> None:
        from app.views.library.model_receipt import show_receipt

        show_receipt(self._theme, self._services, entry.id, self)


def _file_list(facts: ModelFacts) -> QWidget:
    """Names and sizes; those that are needed first."""
    table = QWidget()
    grid = QGridLayout(table)
    grid.setContentsMargins(Space.LARGE, 0, 0, 0)
    grid.setHorizontalSpacing(Space.LARGE)
    grid.setVerticalSpacing(Space.TINY)
    grid.setColumnStretch(0, 1)
    for number, file in enumerate(facts.files[:200]):
        name = label(file.name[:200], "" if file.needed else "muted", wrap=True, selectable=True)
        grid.addWidget(name, number, 0)
        grid.addWidget(label(wording.size(file.bytes), "muted"), number, 1, Qt.AlignmentFlag.AlignTrailing)
        grid.addWidget(label(tr("needed") if file.needed else tr("not fetched"), "small"), number, 2)
    if len(facts.files) > 200:
        more = tr("{count} more").format(count=len(facts.files) - 200)
        grid.addWidget(label(more, "muted"), 200, 0)
    return table
