"""Models that the program recommends."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtWidgets import QComboBox, QHBoxLayout, QVBoxLayout, QWidget

from app.library.library import CatalogueEntry
from app.theme import Space, Theme
from app.translation import mark, tr
from app.views.chat.offer_card import CardGrid, OfferCard
from app.views.controls.controls import label

CHOICES = {
    "fitting": mark("Those that fit this machine"),
    "native": mark("Trained with ternary weights"),
    "all": mark("All"),
}


class RecommendedTab(QWidget):
    """``on_open`` gets a source, ``on_chat`` an installed model's id."""

    def __init__(
        self, theme: Theme, on_open: Callable[[str], object], on_chat: Callable[[str], object]
    ) -> None:
        super().__init__()
        self._theme, self._on_open, self._on_chat = theme, on_open, on_chat
        self._entries: Sequence[CatalogueEntry] = ()
        self._getting: frozenset[str] = frozenset()
        self.choice = QComboBox()
        self.choice.setAccessibleName(tr("Which recommended models are shown"))
        for key, text in CHOICES.items():
            self.choice.addItem(tr(text), key)
        self.choice.setCurrentIndex(self.choice.findData("all"))
        self.choice.currentIndexChanged.connect(self._fill)
        self.cards = CardGrid()
        self.nothing = label(tr("None of the recommended models is of this kind."), "muted", wrap=True)
        name = label(tr("Show"), "muted")
        name.setBuddy(self.choice)
        row = QHBoxLayout()
        row.setSpacing(Space.SMALL)
        row.addWidget(name)
        row.addWidget(self.choice)
        row.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(Space.MEDIUM)
        layout.addLayout(row)
        layout.addWidget(self.nothing)
        layout.addWidget(self.cards)
        layout.addStretch(1)

    def show_entries(self, entries: Sequence[CatalogueEntry], getting: frozenset[str]) -> None:
        """``getting`` are the sources that a job works on."""
        self._entries, self._getting = entries, getting
        self._fill()

    def _fill(self, _index: int = 0) -> None:
        choice = self.choice.currentData()
        shown = [
            entry for entry in self._entries
            if choice == "all" or (choice == "native" and entry.native) or (choice == "fitting" and entry.fit.ok)
        ]
        shown.sort(key=lambda entry: (entry.source != "starter", not entry.native, entry.parameters))
        self.nothing.setVisible(not shown)
        self.cards.show_cards(
            [
                OfferCard(self._theme, entry, entry.source in self._getting, self._on_open, self._on_chat)
                for entry in shown
            ]
        )
