"""What an empty chat shows: an invitation to get a model, or to ask something."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app import wording
from app.library.library import CatalogueEntry
from app.theme import Theme
from app.translation import mark, tr
from app.views.chat.offer_card import FitLine, licence_name
from app.views.controls.controls import Button, Column, frame, label, tag
from app.views.controls.icons import APPLICATION, pixmap
from app.views.controls.page_column import centred, scrolled

if TYPE_CHECKING:
    from app.library.library import Library

IDEAS = (
    mark("Explain how a rainbow forms, in three sentences"),
    mark("Write a short poem about the sea in winter"),
    mark("Give me five ideas for a rainy afternoon"),
    mark("What is the capital of France?"),
)


class WelcomeView(QWidget):
    """``get`` asks for the starter model, ``library`` for the library, ``idea`` fills the composer."""

    get = Signal(str, str)
    """Source and encoding."""
    library = Signal()
    idea = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._mark = QLabel()
        self._mark.setAccessibleName("Ternary-Zero")
        self._title = label("", "display")
        self._title.setWordWrap(True)  # the width of a column must not depend on it
        self._title.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._line = label("", "muted", wrap=True)
        self._line.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._body = Column()
        column = QWidget()
        inner = QVBoxLayout(column)
        inner.setSpacing(12)
        inner.addStretch(3)
        inner.addWidget(self._mark, 0, Qt.AlignmentFlag.AlignHCenter)
        inner.addSpacing(6)
        inner.addWidget(self._title)
        inner.addWidget(self._line)
        inner.addSpacing(14)
        inner.addWidget(self._body)
        inner.addStretch(4)
        scroll = scrolled(centred(column, 560, 20))  # a small window shows the beginning, and the rest below
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)
        self._shown: object = None

    def show_no_model(
        self, starter: CatalogueEntry | None, working: bool, library: Library | None = None
    ) -> None:
        """Nothing is installed.  ``working``: a model is being got already.  ``library`` recommends one."""
        if self._again(("none", starter, working)):
            return
        self._title.setText(tr("Chat with a model of your own"))
        self._line.setText(tr(
            "Pick a model, and it is downloaded, ternarised and kept on this machine. "
            "From then on everything stays here, with no network."
        ))
        self._body.clear()
        body = self._body
        if working:
            note = label(tr("A model is on its way. You can watch it in the library."), "muted", wrap=True)
            note.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            body.add(note)
        elif library is not None:
            from app.views.library.first_run import FirstRun

            first = FirstRun(self._theme, library)
            first.get.connect(self.get)
            body.add(first)
        elif starter is not None:
            body.add(self._starter_card(starter))
        row = QWidget()
        row_layout = QHBoxLayout(row)
        row_layout.setContentsMargins(0, 4, 0, 0)
        row_layout.addStretch()
        kind = "primary" if working or starter is None else ""
        text = tr("Open the library") if working or starter is None else tr("See all models")
        row_layout.addWidget(Button(self._theme, text, self.library.emit, kind=kind, icon_name="library"))
        row_layout.addStretch()
        body.add(row)

    def show_ready(self, name: str) -> None:
        """A model is there and nothing was said yet."""
        if self._again(("ready", name)):
            return
        self._title.setText(tr("What would you like to know?"))
        self._line.setText(tr("{name} answers here, on this machine.").format(name=name))
        self._body.clear()
        for text in map(tr, IDEAS):
            self._body.add(Button(self._theme, text, partial(self.idea.emit, text), kind="chip"))

    def _again(self, what: object) -> bool:
        """Whether ``what`` is shown already; draws the mark at the screen's density."""
        same, self._shown = what == self._shown, what
        if not same:
            self._mark.setPixmap(pixmap(APPLICATION, "", 60, self.devicePixelRatioF()))
        return same

    def _starter_card(self, starter: CatalogueEntry) -> QWidget:
        card = frame("card")
        layout = QVBoxLayout(card)
        layout.setContentsMargins(20, 18, 20, 18)
        layout.setSpacing(8)
        layout.addWidget(label(starter.name, "heading"))
        layout.addWidget(label(starter.description, "muted", wrap=True))
        tags = QHBoxLayout()
        tags.setSpacing(6)
        if starter.download_bytes:
            tags.addWidget(tag(tr("{size} to download").format(size=wording.size(starter.download_bytes))))
        if starter.licence:
            tags.addWidget(tag(licence_name(starter.licence)))
        tags.addStretch()
        layout.addLayout(tags)
        layout.addWidget(FitLine(self._theme, starter.fit))
        layout.addSpacing(6)
        get = Button(
            self._theme, tr("Get it"), lambda: self.get.emit(starter.source, starter.encoding or "t2"),
            kind="primary", icon_name="download",
        )
        get.setAccessibleName(tr("Get {name}").format(name=starter.name))
        layout.addWidget(get)
        return card
