"""The conversations of the sidebar, newest first, under headings by day."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, Qt

from app.translation import mark, tr

if TYPE_CHECKING:
    from app.history.history import ConversationSummary, History

Index = QModelIndex | QPersistentModelIndex

ID = Qt.ItemDataRole.UserRole
"""A conversation's id; ``None`` for a heading."""
SNIPPET = Qt.ItemDataRole.UserRole + 1
BUSY = Qt.ItemDataRole.UserRole + 2

MONTHS = (
    mark("January"), mark("February"), mark("March"), mark("April"), mark("May"), mark("June"), mark("July"),
    mark("August"), mark("September"), mark("October"), mark("November"), mark("December"),
)


class ConversationList(QAbstractListModel):
    """Rows are headings (``str``) and conversations."""

    def __init__(self, history: History) -> None:
        super().__init__()
        self._history = history
        self._query = ""
        self._rows: list[str | ConversationSummary] = []
        self._busy: set[int] = set()
        self.refresh()

    def refresh(self, query: str | None = None) -> None:
        """Read the history again, with another search where ``query`` is given."""
        if query is not None:
            self._query = query.strip()
        found = self._history.conversations(self._query)
        self.beginResetModel()
        self._rows = list(found) if self._query else _with_headings(found, date.today())
        self.endResetModel()

    def set_busy(self, conversation_id: int, busy: bool) -> None:
        """An answer is being written in it."""
        (self._busy.add if busy else self._busy.discard)(conversation_id)
        if (index := self.index_of(conversation_id)).isValid():
            self.dataChanged.emit(index, index, [BUSY])

    def index_of(self, conversation_id: int | None) -> QModelIndex:
        for number, row in enumerate(self._rows):
            if not isinstance(row, str) and row.id == conversation_id:
                return self.index(number)
        return QModelIndex()

    def summary(self, index: Index) -> ConversationSummary | None:
        row = self._rows[index.row()] if index.isValid() else None
        return None if row is None or isinstance(row, str) else row

    @property
    def empty(self) -> bool:
        return not self._rows

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008
        return 0 if parent.isValid() else len(self._rows)

    def flags(self, index: Index) -> Qt.ItemFlag:
        if not index.isValid() or self.summary(index) is None:
            return Qt.ItemFlag.NoItemFlags
        return Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        row = self._rows[index.row()]
        if isinstance(row, str):
            return row if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole) else None
        match role:
            case Qt.ItemDataRole.DisplayRole | Qt.ItemDataRole.AccessibleTextRole:
                return row.title or tr("New chat")
            case Qt.ItemDataRole.ToolTipRole:
                return f"{row.title or tr('New chat')}\n{row.model}"
            case _ if role == ID:
                return row.id
            case _ if role == SNIPPET:
                return row.snippet
            case _ if role == BUSY:
                return row.id in self._busy
        return None


def _with_headings(found: list[ConversationSummary], today: date) -> list[str | ConversationSummary]:
    rows: list[str | ConversationSummary] = []
    heading = ""
    for summary in found:
        wanted = heading_for(datetime.fromtimestamp(summary.updated).date(), today)
        if wanted != heading:
            heading = wanted
            rows.append(heading)
        rows.append(summary)
    return rows


def heading_for(day: date, today: date) -> str:
    """``Today``, ``Yesterday``, ``Previous 7 days``, ``Previous 30 days``, then month and year."""
    if day >= today:
        return tr("Today")
    if day == today - timedelta(days=1):
        return tr("Yesterday")
    if day >= today - timedelta(days=7):
        return tr("Previous 7 days")
    if day >= today - timedelta(days=30):
        return tr("Previous 30 days")
    return tr("{month} {year}").format(month=tr(MONTHS[day.month - 1]), year=day.year)
