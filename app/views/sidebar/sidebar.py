"""The left side of the chat: new chat, search, the conversations."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QFrame, QLineEdit, QListView, QMenu, QVBoxLayout, QWidget

from app.models.conversation_list import ID, ConversationList
from app.theme import Theme
from app.translation import tr
from app.views.controls.controls import Button, label
from app.views.shortcuts import tool_tip
from app.views.sidebar.conversation_delegate import ConversationDelegate

WIDTH = 268
SEARCH_AFTER = 180
"""Milliseconds without typing before the search runs."""


class Sidebar(QWidget):
    """Signals say what the user asked for; those that concern a conversation carry its id."""

    new_chat = Signal()
    open_conversation = Signal(int)
    rename = Signal(int)
    export = Signal(int)
    delete = Signal(int)

    def __init__(self, theme: Theme, conversations: ConversationList) -> None:
        super().__init__()
        self._theme, self._model = theme, conversations
        self.setObjectName("sidebar")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedWidth(WIDTH)

        self.new_button = Button(
            theme, tr("New chat"), self.new_chat.emit, kind="nav", icon_name="plus", colour="accent"
        )
        self.new_button.setToolTip(tool_tip(tr("New chat"), "new_chat"))

        self.search = QLineEdit()
        self.search.setProperty("role", "search")
        self.search.setPlaceholderText(tr("Search conversations"))
        self.search.setAccessibleName(tr("Search conversations"))
        self.search.setClearButtonEnabled(True)
        self._search_timer = QTimer(self)
        self._search_timer.setSingleShot(True)
        self._search_timer.setInterval(SEARCH_AFTER)
        self._search_timer.timeout.connect(lambda: self._model.refresh(self.search.text()))
        self.search.textChanged.connect(lambda _text: self._search_timer.start())

        self.list = QListView()
        self.list.setObjectName("conversations")
        self.list.setAccessibleName(tr("Conversations"))
        self.list.setModel(conversations)
        self._delegate = ConversationDelegate(theme)
        self.list.setItemDelegate(self._delegate)
        self.list.setFrameShape(QFrame.Shape.NoFrame)
        self.list.setMouseTracking(True)
        self.list.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.list.customContextMenuRequested.connect(self._menu)
        self.list.clicked.connect(self._open)
        self.list.activated.connect(self._open)
        delete = QShortcut(QKeySequence(Qt.Key.Key_Delete), self.list)
        delete.setContext(Qt.ShortcutContext.WidgetShortcut)
        delete.activated.connect(lambda: self._emit(self.delete, self.list.currentIndex()))
        rename = QShortcut(QKeySequence(Qt.Key.Key_F2), self.list)
        rename.setContext(Qt.ShortcutContext.WidgetShortcut)
        rename.activated.connect(lambda: self._emit(self.rename, self.list.currentIndex()))
        self._nothing = label("", "small", wrap=True)
        self._nothing.setContentsMargins(12, 8, 12, 8)

        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 12, 10, 10)
        layout.setSpacing(4)
        layout.addWidget(self.new_button)
        layout.addSpacing(4)
        layout.addWidget(self.search)
        layout.addWidget(self._nothing)
        layout.addWidget(self.list, 1)

        conversations.modelReset.connect(self._on_reset)
        theme.changed.connect(self.list.viewport().update)
        self._current: int | None = None
        self._on_reset()

    def show_current(self, conversation_id: int | None) -> None:
        """Mark the conversation that is open."""
        self._current = conversation_id
        index = self._model.index_of(conversation_id)
        if index.isValid():
            self.list.setCurrentIndex(index)
        else:
            self.list.clearSelection()
            self.list.setCurrentIndex(QModelIndex())

    def focus_search(self) -> None:
        self.search.setFocus()
        self.search.selectAll()

    def _on_reset(self) -> None:
        searching = bool(self.search.text().strip())
        self._nothing.setText(tr("Nothing found.") if searching else tr("Your conversations will be kept here."))
        self._nothing.setVisible(self._model.empty)
        self.show_current(self._current)

    def _open(self, index: QModelIndex) -> None:
        self._emit(self.open_conversation, index)

    def _emit(self, signal: object, index: QModelIndex) -> None:
        if (conversation_id := index.data(ID)) is not None:
            signal.emit(conversation_id)  # type: ignore[attr-defined]

    def _menu(self, at: QPoint) -> None:
        index = self.list.indexAt(at)
        if index.data(ID) is None:
            return
        menu = QMenu(self)
        menu.addAction(tr("Rename…"), lambda: self._emit(self.rename, index))
        menu.addAction(tr("Export as Markdown…"), lambda: self._emit(self.export, index))
        menu.addSeparator()
        menu.addAction(tr("Delete"), lambda: self._emit(self.delete, index))
        menu.exec(self.list.viewport().mapToGlobal(at))
        menu.deleteLater()
