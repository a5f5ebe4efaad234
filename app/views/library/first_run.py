"""The first minutes: what this machine can do, one model for it, and a small one to try at once."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app import wording
from app.library import plan_words
from app.library.entries import CatalogueEntry
from app.library.fit import Machine, gigabytes
from app.library.inquiry import Inquiry
from app.library.plan import Plan
from app.library.recommendation import STARTER, recommend
from app.theme import Space, Theme
from app.translation import tr
from app.views.chat.offer_card import licence_name
from app.views.controls.controls import Button, frame, label, tag
from app.views.controls.flow_layout import FlowLayout
from tzcore import paths

if TYPE_CHECKING:
    from app.library.library import Library


class FirstRun(QWidget):
    """``get`` carries a source and an encoding, ``""`` where the model's own weights are taken.  Nothing is asked of
    the network: what is said comes from the catalogue, from this machine, and from children that only look at it."""

    get = Signal(str, str)

    def __init__(self, theme: Theme, library: Library, machine: Machine | None = None) -> None:
        super().__init__()
        self._theme, self._library = theme, library
        self._machine = machine or Machine.here(paths.models())
        self._inquiries: list[Inquiry] = []
        self.machine = label(self._machine_words("", ""), "muted", wrap=True)
        self.minutes: QLabel | None = None
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(Space.MEDIUM)
        layout.addWidget(self.machine)
        self._cards = QVBoxLayout()
        self._cards.setSpacing(Space.MEDIUM)
        layout.addLayout(self._cards)
        self.offline = label(
            tr(
                "Only the download needs the network. Without one, bring a model folder or a .gguf file from another "
                "computer and open it in the library."
            ),
            "small", wrap=True,
        )
        layout.addWidget(self.offline)
        self._show_cards(0)
        self._ask(library.doctor, self._on_doctor)
        self._ask(lambda: library.plan(STARTER), self._on_starter)

    def _ask(self, question: Callable[[], Inquiry], then: Callable[[Any], object]) -> None:
        inquiry = question()
        self._inquiries.append(inquiry)
        inquiry.done.connect(then)

    def _machine_words(self, processor: str, card: str) -> str:
        """This machine in one sentence."""
        words = {
            "memory": gigabytes(self._machine.memory), "free": gigabytes(self._machine.free_memory),
            "processor": processor, "card": card,
        }
        if processor and card:
            return tr(
                "This machine has {memory} of memory, {free} of it free, a processor {processor} and {card}."
            ).format(**words)
        if processor:
            return tr(
                "This machine has {memory} of memory, {free} of it free, and a processor {processor}; no graphics card "
                "that can be used, which is no hindrance."
            ).format(**words)
        return tr("This machine has {memory} of memory, {free} of it free.").format(**words)

    def _on_doctor(self, answer: object) -> None:
        findings = answer.get("findings", ()) if isinstance(answer, dict) else ()
        known = {str(one.get("subject")): one for one in findings if isinstance(one, dict)}
        processor = str(known.get("processor", {}).get("detail", "")).partition(", ")[0]
        graphics = next(
            (one for name, one in known.items() if name.startswith("graphics") and one.get("state") == "ok"), None
        )
        card = str(graphics.get("detail", "")).partition(",")[0] if graphics is not None else ""
        self.machine.setText(self._machine_words(processor, card))
        if graphics is not None and (memory := card_bytes(str(graphics.get("detail", "")))):
            self._show_cards(memory)

    def _on_starter(self, answer: object) -> None:
        """Say how long the starter takes here."""
        try:
            plan = Plan.read(answer if isinstance(answer, dict) else {}, True)
        except (KeyError, TypeError, ValueError):
            return
        option = plan.options[plan.usual_option("t2")] if plan.options else None
        if self.minutes is not None and option is not None and option.conversion_seconds is not None:
            took = wording.duration(plan_words.rounded(option.conversion_seconds))
            self.minutes.setText(tr("About {duration} to prepare on this machine, after the download.").format(
                duration=took))

    def _show_cards(self, card: int) -> None:
        while (item := self._cards.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        catalogue = self._library.catalogue()
        found = recommend(catalogue, self._machine, card)
        if found is not None:
            self._cards.addWidget(self._card(found.entry, found.reason, first=True))
        starter = next((entry for entry in catalogue if entry.source == STARTER), None)
        if starter is not None:
            self._cards.addWidget(self._card(starter, starter.description, first=found is None))

    def _card(self, entry: CatalogueEntry, reason: str, first: bool) -> QWidget:
        card = frame("card")
        card.setAccessibleName(entry.name)
        layout = QVBoxLayout(card)
        layout.setContentsMargins(Space.WIDE, Space.WIDE, Space.WIDE, Space.WIDE)
        layout.setSpacing(Space.SMALL)
        layout.addWidget(label(entry.name, "heading", wrap=True))
        layout.addWidget(label(reason, "muted", wrap=True))
        tags = QWidget()
        flow = FlowLayout(tags, Space.SMALL, Space.TINY)
        for text in (
            tr("{size} to download").format(size=wording.size(entry.download_bytes)),
            tr("about {size} to keep").format(size=wording.size(entry.result_bytes)),
            licence_name(entry.licence),
        ):
            flow.addWidget(tag(text))
        layout.addWidget(tags)
        row = QHBoxLayout()
        row.setSpacing(Space.MEDIUM)
        text = tr("Get it") if first else tr("Or try this one first")
        get = Button(
            self._theme, text, lambda: self.get.emit(entry.source, "" if entry.native else entry.encoding or "t2"),
            kind="primary" if first else "", icon_name="download",
        )
        get.setAccessibleName(tr("Get {name}").format(name=entry.name))
        row.addWidget(get)
        if entry.source == STARTER:
            self.minutes = label(tr("Ready within minutes."), "small", wrap=True)
            row.addWidget(self.minutes, 1)
        else:
            row.addStretch()
        layout.addLayout(row)
        return card


def card_bytes(sentence: str) -> int:
    """Bytes of a card from what ``tz doctor`` says of it (``"… 24.0 GB …"``); 0 where it says nothing."""
    words = sentence.replace("(", " ").replace(",", " ").split()
    for number, unit in pairwise(words):
        if unit in ("GB", "GiB"):
            try:
                return round(float(number) * (10**9 if unit == "GB" else 1 << 30))
            except ValueError:
                continue
    return 0
