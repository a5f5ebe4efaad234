"""The conversations of the sidebar: pinned ones, folders, the rest under headings by day; or what a search found."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from PySide6.QtCore import (
    QAbstractListModel,
    QMimeData,
    QModelIndex,
    QPersistentModelIndex,
    Qt,
    QTimer,
    Signal,
)

from app.history.search import FullSearch
from app.translation import mark, tr

if TYPE_CHECKING:
    from app.history.history import ConversationSummary, History
    from app.history.records import Folder, Hit

Index = QModelIndex | QPersistentModelIndex

ID = Qt.ItemDataRole.UserRole
"""A conversation's id; ``None`` for a heading or a folder."""
SNIPPET = Qt.ItemDataRole.UserRole + 1
BUSY = Qt.ItemDataRole.UserRole + 2
FOLDER = Qt.ItemDataRole.UserRole + 3
"""The row that is a folder: a :class:`FolderRow`."""
INSIDE = Qt.ItemDataRole.UserRole + 4
"""Whether a conversation is shown below its folder."""
PINNED = Qt.ItemDataRole.UserRole + 5

CONVERSATIONS = "application/x-ternary-zero-conversations"
"""What is dragged: the ids as JSON."""
PAGE = 500
"""Conversations that are read at once; a long list is read as far as it is scrolled."""
NEWEST = 1000
"""Matching messages that a search looks at before the window goes on; the rest is found in the background."""
SAVE_AGAIN_EVERY = 5000
"""Milliseconds between attempts to save what a full disk did not take."""

MONTHS = (
    mark("January"), mark("February"), mark("March"), mark("April"), mark("May"), mark("June"), mark("July"),
    mark("August"), mark("September"), mark("October"), mark("November"), mark("December"),
)


class FolderRow(NamedTuple):
    """A folder as a row of the list."""

    id: int
    name: str
    size: int
    closed: bool



class ConversationList(QAbstractListModel):
    """Rows are headings (``str``), folders and conversations."""

    found = Signal()
    """A search that went on in the background has found the rest."""
    trouble = Signal(str)
    """An answer cannot be saved (a sentence), or can again (empty)."""
    _rest_found = Signal(str, object)

    def __init__(self, history: History) -> None:
        super().__init__()
        self._history = history
        self._query = ""
        self._rows: list[str | FolderRow | ConversationSummary] = []
        self._places: dict[int, int] | None = None
        self._hits: dict[int, Hit] = {}
        self._snippets: dict[int, str] = {}
        self._folders: dict[int, str] = {}
        self._busy: set[int] = set()
        self._search: FullSearch | None = None
        self._loaded = 0
        self._more = False
        self._until = float("inf")
        self.complete = True
        """Whether the search has come to its end."""
        self._rest_found.connect(self._on_rest_found)
        history.on_trouble = self._on_trouble
        self._saver = QTimer(self)
        self._saver.setInterval(SAVE_AGAIN_EVERY)
        self._saver.timeout.connect(history.save_again)
        self.refresh()

    @property
    def query(self) -> str:
        return self._query

    def refresh(self, query: str | None = None) -> None:
        """Read the history again, with another search where ``query`` is given."""
        if query is not None:
            self._query = query.strip()
        self.stop_search()
        self.complete = True
        folders = self._history.folders()
        self._folders = {folder.id: folder.name for folder in folders}
        rows: list[str | FolderRow | ConversationSummary] = []
        if self._query:
            found, self._hits, self.complete = self._history.search(self._query, NEWEST)
            rows.extend(found)
        else:
            self._hits = {}
            if pinned := self._history.pinned():
                rows += [tr("Pinned"), *pinned]
            for folder in folders:
                rows.append(FolderRow(folder.id, folder.name, self._history.count_in_folder(folder.id), folder.closed))
                rows += [] if folder.closed else self._history.in_folder(folder.id)
            unfiled = self._history.unfiled(max(PAGE, self._loaded))
            self._more = len(unfiled) >= max(PAGE, self._loaded)
            self._loaded = len(unfiled)
            more, self._until = _with_headings(unfiled, datetime.now())
            rows += more
        self._reset(rows)
        if not self.complete:
            query = self._query
            self._search = FullSearch(
                self._history.path, query, lambda hits: self._rest_found.emit(query, hits)
            )

    def canFetchMore(self, parent: Index) -> bool:  # noqa: N802
        return self._more and not self._query

    def fetchMore(self, parent: Index) -> None:  # noqa: N802
        """The next ones of the many, as the list is scrolled to its end."""
        if not self.canFetchMore(parent):
            return
        unfiled = self._history.unfiled(PAGE, self._loaded)
        self._more = len(unfiled) == PAGE
        self._loaded += len(unfiled)
        rows, self._until = _with_headings(unfiled, datetime.now(), self._until)
        if rows:
            self.beginInsertRows(QModelIndex(), len(self._rows), len(self._rows) + len(rows) - 1)
            self._rows += rows
            self._places = None
            self.endInsertRows()

    def stop_search(self) -> None:
        """Nothing goes on in the background any more."""
        if self._search is not None:
            self._search.stop()
            self._search = None

    def set_busy(self, conversation_id: int, busy: bool) -> None:
        """An answer is being written in it."""
        (self._busy.add if busy else self._busy.discard)(conversation_id)
        if (index := self.index_of(conversation_id)).isValid():
            self.dataChanged.emit(index, index, [BUSY])

    def index_of(self, conversation_id: int | None) -> QModelIndex:
        if conversation_id is None:
            return QModelIndex()
        if self._places is None:
            self._places = {
                row.id: number for number, row in enumerate(self._rows)
                if not isinstance(row, str | FolderRow)
            }
        place = self._places.get(conversation_id)
        return QModelIndex() if place is None else self.index(place)

    def summary(self, index: Index) -> ConversationSummary | None:
        row = self._rows[index.row()] if index.isValid() else None
        return None if row is None or isinstance(row, str | FolderRow) else row

    def summaries(self, conversations: Sequence[int]) -> list[ConversationSummary]:
        """Those of these conversations that are in the list."""
        found = (self.summary(self.index_of(one)) for one in conversations)
        return [summary for summary in found if summary is not None]

    def folder(self, index: Index) -> FolderRow | None:
        """The folder that a row is."""
        row = self._rows[index.row()] if index.isValid() else None
        return row if isinstance(row, FolderRow) else None

    def folders(self) -> list[Folder]:
        """All folders by name."""
        return self._history.folders()

    def folder_index(self, folder_id: int) -> QModelIndex:
        for number, row in enumerate(self._rows):
            if isinstance(row, FolderRow) and row.id == folder_id:
                return self.index(number)
        return QModelIndex()

    @property
    def count(self) -> int:
        """How many conversations are listed."""
        return sum(not isinstance(row, str | FolderRow) for row in self._rows)

    @property
    def empty(self) -> bool:
        return not self._rows

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008
        return 0 if parent.isValid() else len(self._rows)

    def flags(self, index: Index) -> Qt.ItemFlag:
        if not index.isValid():
            return Qt.ItemFlag.NoItemFlags
        row = self._rows[index.row()]
        if isinstance(row, str):
            return Qt.ItemFlag.ItemIsDropEnabled
        both = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsDropEnabled
        return both if isinstance(row, FolderRow) else both | Qt.ItemFlag.ItemIsDragEnabled

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        row = self._rows[index.row()]
        if isinstance(row, str):
            return row if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole) else None
        if isinstance(row, FolderRow):
            match role:
                case Qt.ItemDataRole.DisplayRole:
                    return row.name
                case Qt.ItemDataRole.AccessibleTextRole:
                    state = tr("closed") if row.closed else tr("open")
                    count = tr("%n conversation(s)", "", row.size)
                    return tr("Folder {name}, {state}, {count}").format(name=row.name, state=state, count=count)
                case _ if role == FOLDER:
                    return row
            return None
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return row.title or tr("New chat")
            case Qt.ItemDataRole.AccessibleTextRole:
                return self._spoken(row)
            case Qt.ItemDataRole.ToolTipRole:
                return f"{row.title or tr('New chat')}\n{row.model}"
            case _ if role == ID:
                return row.id
            case _ if role == SNIPPET:
                return self._snippet(row)
            case _ if role == BUSY:
                return row.id in self._busy
            case _ if role == INSIDE:
                return not self._query and row.folder is not None and not row.pinned
            case _ if role == PINNED:
                return bool(row.pinned)
        return None

    # Dragging into folders

    def supportedDropActions(self) -> Qt.DropAction:  # noqa: N802
        return Qt.DropAction.MoveAction

    def mimeTypes(self) -> list[str]:  # noqa: N802
        return [CONVERSATIONS]

    def mimeData(self, indexes: Iterable[QModelIndex]) -> QMimeData:  # noqa: N802
        data = QMimeData()
        ids = [summary.id for index in indexes if (summary := self.summary(index)) is not None]
        data.setData(CONVERSATIONS, json.dumps(ids).encode())
        return data

    def canDropMimeData(  # noqa: N802
        self, data: QMimeData, action: Qt.DropAction, row: int, column: int, parent: Index
    ) -> bool:
        return data.hasFormat(CONVERSATIONS) and parent.isValid() and not self._query

    def dropMimeData(  # noqa: N802
        self, data: QMimeData, action: Qt.DropAction, row: int, column: int, parent: Index
    ) -> bool:
        """Onto a folder or a conversation in it: into the folder.  Onto anything else: out of its folder."""
        if not self.canDropMimeData(data, action, row, column, parent):
            return False
        target = self._rows[parent.row()]
        if isinstance(target, FolderRow):
            folder: int | None = target.id
        else:
            folder = None if isinstance(target, str) or target.pinned else target.folder
        for conversation in json.loads(bytes(data.data(CONVERSATIONS).data())):
            self._history.move(conversation, folder)
        QTimer.singleShot(0, self, self.refresh)  # not while the view still drags
        return False  # the view would remove the rows

    # Within

    def _reset(self, rows: list[Any]) -> None:
        self.beginResetModel()
        self._rows, self._places = rows, None
        self._snippets = {}
        self.endResetModel()

    def _on_rest_found(self, query: str, hits: dict[int, Hit]) -> None:
        if query != self._query:
            return
        self.complete = True
        self._hits = hits
        self._reset(list(self._history.listed(hits)))
        self.found.emit()

    def _on_trouble(self, message: str) -> None:
        if message:
            self._saver.start()
        else:
            self._saver.stop()
        self.trouble.emit(message)

    def _snippet(self, row: ConversationSummary) -> str:
        if not self._query:
            return ""
        if row.id not in self._snippets:
            hit = self._hits.get(row.id)
            text = self._history.snippet(self._query, hit) if hit is not None else ""
            if not text:
                folder = self._folders.get(row.folder or 0, "")
                text = " · ".join(part for part in (day_words(row.updated), folder) if part)
            self._snippets[row.id] = text
        return self._snippets[row.id]

    def _spoken(self, row: ConversationSummary) -> str:
        parts = [row.title or tr("New chat"), row.model.rpartition("/")[2], day_words(row.updated)]
        if row.pinned:
            parts.append(tr("pinned"))
        if row.folder is not None and row.folder in self._folders:
            parts.append(tr("in folder {name}").format(name=self._folders[row.folder]))
        if row.id in self._busy:
            parts.append(tr("an answer is being written"))
        return ", ".join(part for part in parts if part)


def day_words(updated: float) -> str:
    """The day as a heading would say it, or the date."""
    day, today = datetime.fromtimestamp(updated).date(), date.today()
    if day >= today - timedelta(days=1):
        return heading_for(day, today)
    return tr("{day} {month} {year}").format(day=day.day, month=tr(MONTHS[day.month - 1]), year=day.year)


def _with_headings(
    found: list[ConversationSummary], now: datetime, until: float = float("inf")
) -> tuple[list[str | ConversationSummary], float]:
    """The rows, and the moment at which the days of the last heading begin (``until``: that of the rows before).

    The list is in order of use.  Where the clock was wrong for a while, the times in it are not: one from the
    future, or from long before its neighbours, goes under its older neighbour's heading."""
    end = datetime(now.year, now.month, now.day) + timedelta(days=1)
    latest = 0.0
    times: list[float] = []
    for summary in reversed(found):
        if latest < summary.updated < end.timestamp():
            latest = summary.updated
        times.append(latest or now.timestamp())
    rows: list[str | ConversationSummary] = []
    for summary, updated in zip(found, reversed(times), strict=True):
        if updated < until:
            day = datetime.fromtimestamp(updated).date()
            rows.append(heading_for(day, now.date()))
            until = _begin(day, now.date())
        rows.append(summary)
    return rows, until


def _begin(day: date, today: date) -> float:
    """The first moment that has the same heading as this day."""
    for days in (0, 1, 7, 30):
        first = today - timedelta(days=days)
        if day >= first:
            return datetime(first.year, first.month, first.day).timestamp()
    return datetime(day.year, day.month, 1).timestamp()


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
