"""The list itself: keys, the menu by mouse or keyboard, dragging into folders, files dropped on it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QModelIndex, QPoint, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QDragEnterEvent, QDragMoveEvent, QDropEvent, QKeyEvent
from PySide6.QtWidgets import QAbstractItemView, QFrame, QListView, QWidget

from app.models.conversation_list import FOLDER, ID, ConversationList
from app.translation import tr

IMPORTABLE = (".json", ".zip", ".md")


class ConversationView(QListView):
    """Signals carry what is selected; the sidebar knows what is done with it."""

    opened = Signal(int)
    folder_toggled = Signal(int, bool)
    delete_wanted = Signal()
    rename_wanted = Signal()
    menu_wanted = Signal(QPoint)
    """In global coordinates."""
    files_dropped = Signal(list)

    def __init__(self, conversations: ConversationList, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._conversations = conversations
        self.setObjectName("conversations")
        self.setAccessibleName(tr("Conversations"))
        self.setModel(conversations)
        self.setUniformItemSizes(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setMouseTracking(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setDragEnabled(True)
        self.setAcceptDrops(True)
        self.setDropIndicatorShown(True)
        self.setDragDropMode(QAbstractItemView.DragDropMode.DragDrop)
        self.setDefaultDropAction(Qt.DropAction.MoveAction)
        self.clicked.connect(self._on_clicked)

    def chosen(self) -> list[int]:
        """The selected conversations, from top to bottom."""
        rows = sorted(self.selectedIndexes(), key=lambda index: index.row())
        return [number for index in rows if (number := index.data(ID)) is not None]

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        index = self.currentIndex()
        folder, outer = index.data(FOLDER), self._inside(index)
        plain = event.modifiers() in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier)
        rtl = self.layoutDirection() == Qt.LayoutDirection.RightToLeft
        closing = Qt.Key.Key_Right if rtl else Qt.Key.Key_Left
        match event.key():
            case Qt.Key.Key_Return | Qt.Key.Key_Enter | Qt.Key.Key_Space if plain and index.isValid():
                self._open(index)
            case Qt.Key.Key_Left | Qt.Key.Key_Right if plain and folder is not None:
                if folder.closed != (event.key() == closing):
                    self.folder_toggled.emit(folder.id, event.key() == closing)
            case Qt.Key.Key_Left | Qt.Key.Key_Right if plain and event.key() == closing and outer is not None:
                self.setCurrentIndex(outer)
            case Qt.Key.Key_Delete if plain:
                self.delete_wanted.emit()
            case Qt.Key.Key_F2 if plain:
                self.rename_wanted.emit()
            case _:
                super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:  # noqa: N802
        if event.reason() == QContextMenuEvent.Reason.Mouse:
            index = self.indexAt(event.pos())
            if not index.isValid() or not index.flags() & Qt.ItemFlag.ItemIsSelectable:
                return
            if not self.selectionModel().isSelected(index):
                self.setCurrentIndex(index)
            self.menu_wanted.emit(event.globalPos())
        elif self.currentIndex().isValid():
            self.scrollTo(self.currentIndex())
            self.menu_wanted.emit(self.viewport().mapToGlobal(self.visualRect(self.currentIndex()).center()))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802
        if _files(event):
            event.acceptProposedAction()
        else:
            super().dragEnterEvent(event)

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:  # noqa: N802
        if _files(event):
            event.acceptProposedAction()
        else:
            super().dragMoveEvent(event)

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802
        if files := _files(event):
            event.acceptProposedAction()
            self.files_dropped.emit(files)
        else:
            super().dropEvent(event)

    def _on_clicked(self, index: QModelIndex) -> None:
        if len(self.selectedIndexes()) > 1:  # several are being selected, with Ctrl or Shift
            return
        self._open(index)

    def _open(self, index: QModelIndex) -> None:
        folder, number = index.data(FOLDER), index.data(ID)
        if folder is not None:
            self.folder_toggled.emit(folder.id, not folder.closed)
        elif number is not None:
            self.opened.emit(number)

    def _inside(self, index: QModelIndex) -> QModelIndex | None:
        """The folder in which a conversation stands."""
        summary = self._conversations.summary(index)
        if summary is None or summary.folder is None or summary.pinned:
            return None
        return self._conversations.folder_index(summary.folder)


def _files(event: QDropEvent) -> list[str]:
    """The dropped files that conversations could be read from."""
    data = event.mimeData()
    if not data.hasUrls():
        return []
    local = [url.toLocalFile() for url in data.urls()]
    return [name for name in local if Path(name).suffix.lower() in IMPORTABLE]
