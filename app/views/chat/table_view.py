"""A table of an answer: as wide as the column, scrolling sideways when its cells need more."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QSizePolicy, QVBoxLayout

from app.text.markdown import Table
from app.theme import Colours, Theme
from app.translation import tr
from app.views.chat.rich_text import RichText


class TableView(QFrame):
    """Shows a :class:`app.text.markdown.Table`."""

    def __init__(self, theme: Theme, block: Table) -> None:
        super().__init__()
        self._theme, self._block = theme, block
        self.setProperty("role", "table")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._text = RichText(theme, scroll_sideways=True)
        self._text.setAccessibleName(tr("Table"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(1, 1, 1, 1)
        layout.addWidget(self._text)
        self.show_block(block)

    def show_block(self, block: Table) -> None:
        self._block = block
        self._text.set_html(_html(block, self._theme.colours))

    def fit(self, width: int) -> int:
        """The height at ``width``."""
        return self._text.fit(width - 2) + 2

    def restyle(self) -> None:
        self._text.restyle()
        self.show_block(self._block)


def _html(table: Table, colours: Colours) -> str:
    last = len(table.rows) - 1
    rows = [_row("th", table.header, table.align, f"background-color:{colours.sunken}; font-weight:600;")]
    for number, cells in enumerate(table.rows):
        line = f"border-bottom:1px solid {colours.border};" if number < last else ""
        rows.append(_row("td", cells, table.align, line))
    return f'<table width="100%" cellspacing="0" cellpadding="7" border="0">{"".join(rows)}</table>'


def _row(tag: str, cells: tuple[str, ...], align: tuple[str, ...], style: str) -> str:
    style += " padding-left:12px; vertical-align:middle;"
    inner = "".join(
        f'<{tag} align="{align[i] if i < len(align) else "left"}" style="{style}">{cell}</{tag}>'
        for i, cell in enumerate(cells)
    )
    return f"<tr>{inner}</tr>"
