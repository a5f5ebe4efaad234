"""The left side of the chat: new chat, search, the conversations in their folders."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QEvent, QItemSelectionModel, QModelIndex, QObject, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QMenu, QVBoxLayout, QWidget

from app.history.records import Folder
from app.models.conversation_list import ConversationList
from app.theme import Space, Theme
from app.translation import tr
from app.views.controls.controls import Button, IconButton, label
from app.views.shortcuts import tool_tip, words
from app.views.sidebar.conversation_delegate import ConversationDelegate
from app.views.sidebar.conversation_view import ConversationView

WIDTH = 268
SEARCH_AFTER = 180
"""Milliseconds without typing before the search runs."""


class Sidebar(QWidget):
    """Signals say what the user asked for; those that concern one conversation or folder carry its id, those that
    concern several a list."""

    new_chat = Signal()
    open_conversation = Signal(int)
    rename = Signal(int)
    export = Signal(int)
    delete = Signal(int)
    delete_several = Signal(list)
    export_several = Signal(list)
    pin = Signal(list, bool)
    move_wanted = Signal(list, object)
    """Into a folder (its id), out of all (``None``), or into a new one (``"new"``)."""
    folder_new = Signal()
    folder_rename = Signal(int)
    folder_delete = Signal(int)
    folder_closed = Signal(int, bool)
    import_wanted = Signal(list)
    """The files, or none: ask which."""
    export_all = Signal()
    trash = Signal()

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
        self.more = IconButton(theme, "more", tr("Folders, import, export, trash"), self._show_more)
        head = QHBoxLayout()
        head.setSpacing(Space.TINY)
        head.addWidget(self.new_button, 1)
        head.addWidget(self.more)

        self.search = QLineEdit()
        self.search.setProperty("role", "search")
        self.search.setPlaceholderText(tr("Search conversations"))
        self.search.setAccessibleName(tr("Search conversations"))
        self.search.setClearButtonEnabled(True)
        self.search.installEventFilter(self)
        self._search_timer = QTimer(self)
        self._search_timer.setSingleShot(True)
        self._search_timer.setInterval(SEARCH_AFTER)
        self._search_timer.timeout.connect(self._run_search)
        self.search.textChanged.connect(lambda _text: self._search_timer.start())

        self.list = ConversationView(conversations)
        self._delegate = ConversationDelegate(theme)
        self.list.setItemDelegate(self._delegate)
        self.list.opened.connect(self.open_conversation)
        self.list.folder_toggled.connect(self.folder_closed)
        self.list.delete_wanted.connect(self._delete_chosen)
        self.list.rename_wanted.connect(self._rename_current)
        self.list.menu_wanted.connect(self._show_menu)
        self.list.files_dropped.connect(self.import_wanted)
        self._nothing = label("", "small", wrap=True)
        self._nothing.setContentsMargins(Space.MEDIUM, Space.TINY, Space.MEDIUM, Space.TINY)

        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, Space.MEDIUM, 10, 10)
        layout.setSpacing(Space.TINY)
        layout.addLayout(head)
        layout.addSpacing(Space.TINY)
        layout.addWidget(self.search)
        layout.addWidget(self._nothing)
        layout.addWidget(self.list, 1)

        conversations.modelAboutToBeReset.connect(self._before_reset)
        conversations.modelReset.connect(self._on_reset)
        theme.changed.connect(self.list.viewport().update)
        self._current: int | None = None
        self._folder: int | None = None
        self._scrolled = 0
        self._on_reset()

    def show_current(self, conversation_id: int | None) -> None:
        """Mark the conversation that is open."""
        self._current = conversation_id
        self._choose(self._model.index_of(conversation_id))

    def _choose(self, index: QModelIndex) -> None:
        """Select this alone, whatever keys are held: with Ctrl or Shift the view itself would add it to the others."""
        self.list.selectionModel().setCurrentIndex(index, QItemSelectionModel.SelectionFlag.ClearAndSelect)

    def focus_search(self) -> None:
        self.search.setFocus()
        self.search.selectAll()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        """From the search into what it found: down, or straight to the first; Esc ends the search."""
        if watched is self.search and isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            match event.key():
                case Qt.Key.Key_Down:
                    self._run_search_now()
                    self.list.setFocus()
                    if not self.list.currentIndex().isValid():
                        self._choose(self._first())
                    return True
                case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                    self._run_search_now()
                    first = self._model.summary(self._first())
                    if first is not None:
                        self.open_conversation.emit(first.id)
                    return True
        escape = event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and (
            event.key() == Qt.Key.Key_Escape
        )
        if watched is self.search and escape and self.search.text():
            self.search.clear()
            self._run_search_now()
            event.accept()
            return True
        return super().eventFilter(watched, event)

    def _run_search(self) -> None:
        self._model.refresh(self.search.text())

    def _run_search_now(self) -> None:
        if self._search_timer.isActive():
            self._search_timer.stop()
            self._run_search()

    def _first(self) -> QModelIndex:
        for number in range(self._model.rowCount()):
            if self._model.summary(self._model.index(number)) is not None:
                return self._model.index(number)
        return QModelIndex()

    def _before_reset(self) -> None:
        folder = self._model.folder(self.list.currentIndex())
        self._folder = folder.id if folder is not None else None
        self._scrolled = self.list.verticalScrollBar().value()

    def _on_reset(self) -> None:
        searching = bool(self._model.query)
        if self._delegate.two_lines != searching:
            self._delegate.two_lines = searching
            self._scrolled = 0
            self.list.scheduleDelayedItemsLayout()
        if searching and not self._model.complete:
            text = tr("%n found so far", "", self._model.count) if self._model.count else tr("Searching…")
        elif searching:
            text = tr("%n conversation(s) found", "", self._model.count) if self._model.count else tr("Nothing found.")
        else:
            text = tr("Your conversations will be kept here.") if self._model.empty else ""
        self._nothing.setText(text)
        self._nothing.setVisible(bool(text))
        self.show_current(self._current)
        if self._folder is not None and (place := self._model.folder_index(self._folder)).isValid():
            self._choose(place)
        self.list.verticalScrollBar().setValue(self._scrolled)

    # What can be done with what is selected

    def _delete_chosen(self) -> None:
        folder = self._model.folder(self.list.currentIndex())
        chosen = self.list.chosen()
        if len(chosen) > 1:
            self.delete_several.emit(chosen)
        elif chosen:
            self.delete.emit(chosen[0])
        elif folder is not None:
            self.folder_delete.emit(folder.id)

    def _rename_current(self) -> None:
        index = self.list.currentIndex()
        if (folder := self._model.folder(index)) is not None:
            self.folder_rename.emit(folder.id)
        elif (summary := self._model.summary(index)) is not None:
            self.rename.emit(summary.id)

    def menu(self) -> QMenu:
        """What can be done with the selected conversations, or the folder."""
        menu = QMenu(self)
        folder = self._model.folder(self.list.currentIndex())
        chosen = self.list.chosen()
        if folder is not None and not chosen:
            menu.addAction(tr("Close folder") if not folder.closed else tr("Open folder"),
                           lambda: self.folder_closed.emit(folder.id, not folder.closed))
            menu.addAction(tr("Rename…") + "\t" + words("rename"), lambda: self.folder_rename.emit(folder.id))
            menu.addSeparator()
            menu.addAction(tr("Delete folder") + "\t" + words("delete"), lambda: self.folder_delete.emit(folder.id))
            return menu
        if not chosen:
            return menu
        pinned = all(summary.pinned for summary in self._model.summaries(chosen))
        if len(chosen) == 1:
            menu.addAction(tr("Rename…") + "\t" + words("rename"), lambda: self.rename.emit(chosen[0]))
        menu.addAction(tr("Unpin") if pinned else tr("Pin"), lambda: self.pin.emit(chosen, not pinned))
        self._add_folders(menu.addMenu(tr("Move to")), chosen)
        if len(chosen) == 1:
            menu.addAction(tr("Export…"), lambda: self.export.emit(chosen[0]))
        else:
            menu.addAction(tr("Export…"), lambda: self.export_several.emit(chosen))
        menu.addSeparator()
        menu.addAction(tr("Delete") + "\t" + words("delete"), self._delete_chosen)
        return menu

    def _add_folders(self, menu: QMenu, chosen: list[int]) -> None:
        inside = {summary.folder for summary in self._model.summaries(chosen)}
        folders: list[Folder] = self._model.folders()
        for folder in folders:
            action = menu.addAction(folder.name.replace("&", "&&"), partial(self.move_wanted.emit, chosen, folder.id))
            action.setCheckable(True)
            action.setChecked(inside == {folder.id})
        if folders:
            menu.addSeparator()
        if inside != {None}:
            menu.addAction(tr("No folder"), lambda: self.move_wanted.emit(chosen, None))
        menu.addAction(tr("New folder…"), lambda: self.move_wanted.emit(chosen, "new"))

    def more_menu(self) -> QMenu:
        """What concerns all conversations."""
        menu = QMenu(self)
        menu.addAction(tr("New folder…"), self.folder_new.emit)
        menu.addSeparator()
        menu.addAction(tr("Import conversations…"), lambda: self.import_wanted.emit([]))
        menu.addAction(tr("Export all…"), self.export_all.emit)
        menu.addSeparator()
        menu.addAction(tr("Trash…"), self.trash.emit)
        return menu

    def _show_menu(self, at: QPoint) -> None:
        menu = self.menu()
        if menu.actions():
            menu.exec(at)
        menu.deleteLater()

    def _show_more(self) -> None:
        menu = self.more_menu()
        menu.exec(self.more.mapToGlobal(QPoint(0, self.more.height())))
        menu.deleteLater()
