"""What the hub has: results of a search, with what is to be left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QVBoxLayout, QWidget

from app.library.library import PAGE, HubEntry
from app.library.search_filters import LICENCES, SORTS, SearchFilters
from app.theme import Space, Theme
from app.translation import tr
from app.views.chat.offer_card import HubCard, licence_name
from app.views.controls.controls import Button, Column, label, set_property
from app.views.controls.flow_layout import FlowLayout
from app.views.library.empty_state import EmptyState

if TYPE_CHECKING:
    from app.library.library import Library


class SearchTab(QWidget):
    """``on_open`` gets a source.  ``getting()`` are the sources that a job works on."""

    def __init__(
        self, theme: Theme, library: Library, on_open: Callable[[str], object], getting: Callable[[], set[str]]
    ) -> None:
        super().__init__()
        self._theme, self._library, self._on_open, self._getting = theme, library, on_open, getting
        self.query = ""
        self._found: list[HubEntry] | None = None
        self._whole = False
        self.supported = _check(tr("Can be converted"), True)
        self.fitting = _check(tr("Fits this machine"), False)
        self.native = _check(tr("Natively ternary"), False)
        self.open_only = _check(tr("No account needed"), False)
        self.licence = QComboBox()
        self.licence.setAccessibleName(tr("Licence"))
        self.licence.addItem(tr("Any licence"), "")
        for name in LICENCES:
            self.licence.addItem(licence_name(name), name)
        self.sort = QComboBox()
        self.sort.setAccessibleName(tr("Order"))
        for key, text in SORTS.items():
            self.sort.addItem(tr(text), key)
        for check in (self.supported, self.fitting, self.native, self.open_only):
            check.toggled.connect(self._again)
        for box in (self.licence, self.sort):
            box.currentIndexChanged.connect(self._again)
        self.note = label("", "muted", wrap=True)
        self.empty = EmptyState(
            theme, "search", tr("Find a model on Hugging Face"),
            tr("Type a name above and press Enter. Nothing is asked of the network before."), [],
        )
        self.results = Column()
        self.more = Button(theme, tr("More"), self._more, icon_name="chevron-down")
        self.more.setAccessibleName(tr("More results"))
        self.more.hide()
        filters = QWidget()
        flow = FlowLayout(filters, Space.MEDIUM, Space.SMALL)
        for widget in (self.supported, self.fitting, self.native, self.open_only, self.licence, self.sort):
            flow.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(Space.MEDIUM)
        layout.addWidget(filters)
        layout.addWidget(self.empty)
        layout.addWidget(self.note)
        layout.addWidget(self.results)
        row = QHBoxLayout()
        row.addStretch()
        row.addWidget(self.more)
        row.addStretch()
        layout.addLayout(row)
        layout.addStretch(1)
        self.note.hide()
        library.search_finished.connect(self._on_found)

    @property
    def filters(self) -> SearchFilters:
        """What is chosen."""
        return SearchFilters(
            self.supported.isChecked(), self.native.isChecked(), self.open_only.isChecked(), self.fitting.isChecked(),
            str(self.licence.currentData()), str(self.sort.currentData()),
        )

    def search(self, query: str) -> None:
        """Ask the hub; an empty query only clears the list."""
        self.query, self._found, self._whole = query, None, False
        if query:
            self._library.search(query, self.filters)
        self._show(tr("Searching Hugging Face…") if query else "")

    def show_failure(self, message: str) -> bool:
        """Whether the failure was this search's."""
        if not self.query or (self._found is not None and not self._library.searching and self.more.isEnabled()):
            return False
        self._show(message, failed=True)
        return True

    def refresh(self) -> None:
        """A job has begun or ended."""
        if self._found:
            self._show("")

    def _again(self, _value: object = None) -> None:
        if self.query:
            self.search(self.query)

    def _more(self) -> None:
        self.more.setEnabled(False)
        self._library.search_more()

    def _on_found(self, found: list[HubEntry]) -> None:
        if not self.query:
            return
        self._found = [*(self._found or ()), *found]
        self._whole = len(found) < PAGE
        nothing = tr("Nothing was found. Perhaps the filters leave it out, or it is spelt otherwise.")
        self._show("" if self._found else nothing)

    def _show(self, note: str, failed: bool = False) -> None:
        self.note.setText(note)
        set_property(self.note, "role", "danger" if failed else "muted")
        self.note.setVisible(bool(note))
        self.empty.setVisible(not self.query)
        self.results.clear()
        getting = self._getting()
        for entry in self._found or ():
            self.results.add(HubCard(self._theme, entry, entry.source in getting, self._on_open))
        query = self.query
        exact = query.count("/") == 1 and " " not in query
        if exact and all(entry.source != query for entry in self._found or ()):
            text = tr("Details of “{query}” as typed").format(query=query)
            direct = Button(self._theme, text, lambda: self._on_open(query), icon_name="chevron-right")
            self.results.add(direct, Qt.AlignmentFlag.AlignLeading)
        self.more.setEnabled(True)
        self.more.setVisible(bool(self._found) and not self._whole)


def _check(text: str, on: bool) -> QCheckBox:
    box = QCheckBox(text)
    box.setChecked(on)
    return box
