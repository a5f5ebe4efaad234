"""A model that could be got: one of the catalogue, or one found on the hub."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from app import wording
from app.library.fit import Fit
from app.library.library import CatalogueEntry, HubEntry
from app.theme import Theme
from app.translation import mark, tr
from app.views.controls.controls import Button, discard, label, tag
from app.views.controls.flow_layout import FlowLayout
from app.views.controls.icons import pixmap

Act = Callable[[str], object]

LICENCES = {
    "apache-2.0": "Apache 2.0", "mit": "MIT", "gemma": mark("Gemma licence"),
    "falcon-llm-license": mark("Falcon licence"), "other": mark("Own licence"),
}  # fmt: skip


def licence_name(licence: str) -> str:
    """``"Apache 2.0"`` of ``"apache-2.0"``."""
    if licence.startswith("llama"):
        return tr("Llama {version} licence").format(version=licence.removeprefix("llama"))
    return tr(LICENCES[licence]) if licence in LICENCES else licence


class FitLine(QWidget):
    """A mark and the sentence with the numbers."""

    def __init__(self, theme: Theme, fit: Fit) -> None:
        super().__init__()
        self._theme, self._ok = theme, fit.ok
        self._mark = QLabel()
        text = label(fit.sentence[:1].upper() + fit.sentence[1:], "small" if fit.ok else "warning", wrap=True)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self._mark, 0, Qt.AlignmentFlag.AlignTop)
        layout.addWidget(text, 1)
        theme.changed.connect(self._draw)
        self._draw()

    def _draw(self) -> None:
        colours = self._theme.colours
        name, colour = ("check", colours.success) if self._ok else ("warning", colours.warning)
        self._mark.setPixmap(pixmap(name, colour, 15, self.devicePixelRatioF()))


class _Card(QFrame):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.setProperty("role", "card")
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(18, 15, 18, 16)
        self.column.setSpacing(8)

    def add_tags(self, texts: list[tuple[str, str]]) -> None:
        row = QWidget()
        flow = FlowLayout(row, 6, 4)
        for text, tone in texts:
            flow.addWidget(tag(text, tone))
        self.column.addWidget(row)


class OfferCard(_Card):
    """A catalogue entry.  ``working``: a job gets it already."""

    def __init__(self, theme: Theme, entry: CatalogueEntry, working: bool, on_open: Act, on_chat: Act) -> None:
        super().__init__(entry.name)
        self.column.addWidget(label(entry.name, "heading", wrap=True))
        self.column.addWidget(label(entry.description, "muted", wrap=True))
        weights = tr("{count} weights").format(count=wording.count(entry.parameters))
        tags = [(weights, ""), (licence_name(entry.licence), "")]
        if entry.native:
            tags.insert(0, (tr("natively ternary"), "good"))
        if entry.gated:
            tags.append((tr("needs an account"), "bad"))
        self.add_tags(tags)
        self.column.addStretch(1)
        download, keep = wording.size(entry.download_bytes), wording.size(entry.result_bytes)
        sizes = tr("{download} to download, about {keep} to keep").format(download=download, keep=keep)
        self.column.addWidget(label(sizes, "small", wrap=True))
        self.column.addWidget(FitLine(theme, entry.fit))
        row = QHBoxLayout()
        row.setContentsMargins(0, 4, 0, 0)
        row.setSpacing(8)
        if entry.installed:
            chat = Button(theme, tr("Chat"), lambda: on_chat(entry.installed), icon_name="chat")
            chat.setAccessibleName(tr("Chat with {name}").format(name=entry.name))
            row.addWidget(chat)
        row.addWidget(plan_button(theme, entry.name, working, lambda: on_open(entry.source)))
        row.addStretch()
        self.column.addLayout(row)


class HubCard(_Card):
    """A search result."""

    def __init__(self, theme: Theme, entry: HubEntry, working: bool, on_open: Act) -> None:
        super().__init__(entry.source)
        row = QHBoxLayout()
        row.setSpacing(12)
        words = QVBoxLayout()
        words.setSpacing(4)
        words.addWidget(label(entry.source, "heading", wrap=True, selectable=True))
        facts = []
        if entry.native:
            facts.append(tr("natively ternary"))
        if entry.parameters:
            facts.append(tr("{count} weights").format(count=wording.count(entry.parameters)))
        if entry.licence:
            facts.append(licence_name(entry.licence))
        facts.append(tr("{count} downloads").format(count=wording.count(entry.downloads)))
        if entry.likes:
            facts.append(tr("{count} likes").format(count=wording.count(entry.likes)))
        if entry.gated:
            facts.append(tr("needs an account"))
        words.addWidget(label("  ·  ".join(facts), "small", wrap=True))
        unfit = Fit(False, entry.reason or tr("Not supported"))
        words.addWidget(FitLine(theme, entry.fit if entry.supported else unfit))
        row.addLayout(words, 1)
        button = plan_button(theme, entry.source, working, lambda: on_open(entry.source))
        row.addWidget(button, 0, Qt.AlignmentFlag.AlignVCenter)
        self.column.addLayout(row)


def plan_button(theme: Theme, name: str, working: bool, on_open: Callable[[], object]) -> Button:
    """What leads to a model's page, where it is planned and got."""
    button = Button(theme, tr("Getting it…") if working else tr("Details"), on_open, icon_name="chevron-right")
    button.setAccessibleName(tr("Details of {name}: what it is and what it would cost").format(name=name))
    return button


class CardGrid(QWidget):
    """Cards of equal width in as many columns as fit."""

    SMALLEST = 320
    GAP = 14

    def __init__(self) -> None:
        super().__init__()
        self._cards: list[QWidget] = []
        self._columns = 0
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(self.GAP)

    @property
    def cards(self) -> list[QWidget]:
        return self._cards

    def show_cards(self, cards: list[QWidget]) -> None:
        """Replace what is shown."""
        for card in self._cards:
            discard(card)
        self._cards, self._columns = cards, 0
        self._arrange()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._arrange()

    def _arrange(self) -> None:
        columns = max(1, (self.width() + self.GAP) // (self.SMALLEST + self.GAP))
        if columns == self._columns:
            return
        for column in range(max(columns, self._columns)):
            self._grid.setColumnStretch(column, 1 if column < columns else 0)
        self._columns = columns
        for number, card in enumerate(self._cards):
            self._grid.addWidget(card, number // columns, number % columns)
