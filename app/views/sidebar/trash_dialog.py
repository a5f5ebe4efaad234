"""The deleted conversations: bring back, delete for ever."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QMessageBox,
    QVBoxLayout,
    QWidget,
)

from app.history.history import History
from app.models.conversation_list import day_words
from app.theme import Space, Theme
from app.translation import tr
from app.views.controls.controls import Button, label

ID = Qt.ItemDataRole.UserRole


class TrashDialog(QDialog):
    """Lists what was deleted, newest first; several can be chosen at once."""

    changed = Signal()
    """Something came back, or went."""

    def __init__(self, theme: Theme, history: History, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._history = history
        self.setWindowTitle(tr("Trash"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(560, 460)
        self._words = label("", "small", wrap=True)
        self.list = QListWidget()
        self.list.setAccessibleName(tr("Deleted conversations"))
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.list.itemSelectionChanged.connect(self._enable)
        self.list.itemActivated.connect(lambda _item: self.restore())
        key = QShortcut(QKeySequence(Qt.Key.Key_Delete), self.list)
        key.setContext(Qt.ShortcutContext.WidgetShortcut)
        key.activated.connect(self.purge)
        self.restore_button = Button(theme, tr("Restore"), self.restore, icon_name="undo")
        self.purge_button = Button(theme, tr("Delete for ever…"), self.purge, kind="danger", icon_name="trash")
        self.empty_button = Button(theme, tr("Empty the trash…"), self.empty, kind="danger")
        close = Button(theme, tr("Close"), self.accept)
        buttons = QHBoxLayout()
        buttons.setSpacing(Space.SMALL)
        buttons.addWidget(self.restore_button)
        buttons.addWidget(self.purge_button)
        buttons.addWidget(self.empty_button)
        buttons.addStretch(1)
        buttons.addWidget(close)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(Space.LARGE, Space.LARGE, Space.LARGE, Space.WIDE)
        layout.setSpacing(Space.MEDIUM)
        layout.addWidget(label(tr("Trash"), "heading"))
        layout.addWidget(self._words)
        layout.addWidget(self.list, 1)
        layout.addLayout(buttons)
        self._fill()
        self.list.setFocus()

    def chosen(self) -> list[int]:
        return [item.data(ID) for item in self.list.selectedItems()]

    def restore(self) -> None:
        """The chosen ones back into the list of conversations."""
        for number in self.chosen():
            self._history.restore(number)
        self._fill()
        self.changed.emit()

    def purge(self) -> None:
        """The chosen ones for ever, after a question that says what goes."""
        chosen = self.chosen()
        if not chosen:
            return
        if len(chosen) == 1:
            title = self._history.conversation(chosen[0]).title or tr("Conversation")
            question = tr("Delete “{title}” for ever?").format(title=title)
        else:
            question = tr("Delete %n conversation(s) for ever?", "", len(chosen))
        if self._sure(question, chosen):
            for number in chosen:
                self._history.purge(number)
            self._gone()

    def empty(self) -> None:
        """Everything in the trash for ever, after a question."""
        every = [one.id for one in self._history.deleted()]
        if every and self._sure(tr("Delete %n conversation(s) for ever?", "", len(every)), every):
            self._history.empty_trash()
            self._gone()

    def _gone(self) -> None:
        self._history.forget_in_backups()
        self._fill()
        self.changed.emit()

    def _sure(self, question: str, conversations: list[int]) -> bool:
        messages, attachments = self._history.weight(conversations)
        goes = tr("%n message(s) in all their branches", "", messages)
        if attachments:
            files = tr("%n attached file(s)", "", attachments)
            goes = tr("{messages} and {files}").format(messages=goes, files=files)
        box = QMessageBox(QMessageBox.Icon.Warning, tr("Delete for ever"), question, parent=self)
        box.setInformativeText(tr("{what} go with it. This cannot be undone.").format(what=goes))
        delete = box.addButton(tr("Delete for ever"), QMessageBox.ButtonRole.DestructiveRole)
        box.setDefaultButton(box.addButton(QMessageBox.StandardButton.Cancel))
        box.exec()
        return box.clickedButton() is delete

    def _fill(self) -> None:
        deleted = self._history.deleted()
        self.list.clear()
        for one in deleted:
            title = one.title or tr("New chat")
            when = tr("deleted: {day}").format(day=day_words(one.deleted or one.updated))
            item = QListWidgetItem(f"{title}\n{when} · {one.model.rpartition('/')[2]}")
            item.setData(ID, one.id)
            item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{title}, {when}")
            self.list.addItem(item)
        self._words.setText(
            tr("Deleted conversations stay here until you delete them for ever.") if deleted
            else tr("The trash is empty.")
        )
        self.empty_button.setEnabled(bool(deleted))
        self._enable()

    def _enable(self) -> None:
        chosen = bool(self.list.selectedItems())
        self.restore_button.setEnabled(chosen)
        self.purge_button.setEnabled(chosen)
