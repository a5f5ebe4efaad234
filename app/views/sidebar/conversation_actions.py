"""What is done with conversations as wholes: rename, move, pin, export, import, delete and bring back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtWidgets import QFileDialog, QInputDialog, QLineEdit, QMessageBox

from app.chat.conversation import Conversation
from app.translation import tr

if TYPE_CHECKING:
    from app.application import Services
    from app.views.main_window import MainWindow

DAY = 24 * 3600


class ConversationActions(QObject):
    """Asks where something must be asked, does it, and says what was done with a way back."""

    def __init__(self, window: MainWindow, services: Services) -> None:
        super().__init__(window)
        self._window, self._services = window, services
        self._history, self._list = services.history, window.conversations
        sidebar = window.sidebar
        sidebar.pin.connect(self.pin)
        sidebar.move_wanted.connect(self.move)
        sidebar.delete_several.connect(self.delete)
        sidebar.export_several.connect(self.export_several)
        sidebar.folder_new.connect(self.new_folder)
        sidebar.folder_rename.connect(self.rename_folder)
        sidebar.folder_delete.connect(self.delete_folder)
        sidebar.folder_closed.connect(self.close_folder)
        sidebar.import_wanted.connect(self.import_files)
        sidebar.export_all.connect(self.export_all)
        sidebar.trash.connect(self.show_trash)
        self._list.trouble.connect(self._on_trouble)
        QTimer.singleShot(0, self, self._begin)

    def show(self, key: str) -> bool:
        """What the settings link to as if it were a page; False for anything else."""
        links = {"trash": self.show_trash, "import": lambda: self.import_files([]), "export": self.export_all}
        if key not in links:
            return False
        links[key]()
        return True

    def rename(self, conversation_id: int) -> None:
        old = self._history.conversation(conversation_id).title
        title = self._ask(tr("Rename conversation"), tr("Title"), old)
        if title:
            self._history.rename(conversation_id, title)
            self._list.refresh()

    def pin(self, conversations: Sequence[int], on: bool) -> None:
        for number in conversations:
            self._history.pin(number, on)
        self._list.refresh()

    # Folders

    def move(self, conversations: Sequence[int], folder: object) -> None:
        """Into a folder, out of all (``None``) or into one that is asked for (``"new"``)."""
        if folder == "new":
            name = self._ask(tr("New folder"), tr("Name"))
            if not name:
                return
            folder = self._history.create_folder(name)
        for number in conversations:
            self._history.move(number, folder if isinstance(folder, int) else None)
        self._list.refresh()

    def new_folder(self) -> None:
        if name := self._ask(tr("New folder"), tr("Name")):
            self._history.create_folder(name)
            self._list.refresh()

    def rename_folder(self, folder_id: int) -> None:
        old = next((folder.name for folder in self._history.folders() if folder.id == folder_id), "")
        if name := self._ask(tr("Rename folder"), tr("Name"), old):
            self._history.rename_folder(folder_id, name)
            self._list.refresh()

    def close_folder(self, folder_id: int, closed: bool) -> None:
        self._history.close_folder(folder_id, closed)
        self._list.refresh()

    def delete_folder(self, folder_id: int) -> None:
        """The conversations stay, in no folder; and back again with one click."""
        name = next(folder.name for folder in self._history.folders() if folder.id == folder_id)
        inside = [one.id for one in [*self._history.conversations(), *self._history.deleted()]
                  if one.folder == folder_id]
        self._history.delete_folder(folder_id)
        self._list.refresh()

        def restore() -> None:
            self.move(inside, self._history.create_folder(name))

        text = tr("The folder “{name}” was deleted. Its conversations are kept.").format(name=name)
        self._window.notice.show_notice(text, action=tr("Undo"), on_action=restore, seconds=12)

    # Trash

    def delete(self, conversations: Sequence[int]) -> None:
        """Out of the list at once, and back again with one click."""
        title = self._history.conversation(conversations[0]).title or tr("Conversation")
        for number in conversations:
            self._forget(number)
            self._window.chat.close_conversation(number)
            self._history.delete(number)
        self._list.refresh()

        def restore() -> None:
            for number in conversations:
                self._history.restore(number)
            self._list.refresh()
            if len(conversations) == 1:
                self._window.open_conversation(conversations[0])

        text = tr("“{title}” was deleted.").format(title=title)
        if len(conversations) > 1:
            text = tr("%n conversation(s) were deleted.", "", len(conversations))
        self._window.notice.show_notice(text, action=tr("Undo"), on_action=restore, seconds=12)

    def show_trash(self) -> None:
        from app.views.sidebar.trash_dialog import TrashDialog

        dialog = TrashDialog(self._window.theme, self._history, self._window)
        dialog.changed.connect(self._list.refresh)
        dialog.open()

    def _forget(self, conversation_id: int) -> None:
        """Nothing of a deleted conversation stays with the engine.  Where it cannot say so, its quota will see
        to it in time; where the deletion is undone, the text is read once more."""
        conversation = Conversation(self._services, conversation_id, "")
        if self._services.engine.url:
            for messages, summary in conversation.beginnings():
                self._services.client.forget_text(conversation.model, messages, summary)

    # Export and import

    def export(self, conversation_id: int) -> None:
        """One conversation: Markdown to read, or JSON with all branches."""
        title = self._history.conversation(conversation_id).title or tr("conversation")
        self._export([conversation_id], _file_name(title), markdown=True)

    def export_several(self, conversations: Sequence[int]) -> None:
        self._export(list(conversations), tr("conversations"))

    def export_all(self) -> None:
        """Everything, the trash included, in one file that this program reads again."""
        from app.transfer.export import everything

        self._export(everything(self._history), tr("conversations"), whole=True)

    def import_files(self, files: Sequence[str]) -> None:
        """Conversations of this program, of ChatGPT and of Open WebUI; asks which file where none is given."""
        from app.views.transfer.import_dialog import ImportDialog

        if not files:
            name, _ = QFileDialog.getOpenFileName(
                self._window, tr("Import conversations"), "",
                tr("Conversations (*.json *.zip *.md);;All files (*)"),
            )
            files = [name] if name else []
        if files:
            dialog = ImportDialog(self._window.theme, self._history.path, list(files), self._window)
            dialog.done_with.connect(self._list.refresh)
            dialog.open()
            dialog.start()

    def _export(self, conversations: list[int], name: str, *, markdown: bool = False, whole: bool = False) -> None:
        kinds = {"JSON (*.json)": ".json"}
        if markdown:
            kinds = {"Markdown (*.md)": ".md", tr("JSON with all branches (*.json)"): ".json"}
        ending = next(iter(kinds.values()))
        file, kind = QFileDialog.getSaveFileName(
            self._window, tr("Export conversations"), name + ending, ";;".join(kinds)
        )
        if not file:
            return
        path = Path(file)
        if path.suffix.lower() not in (".md", ".json"):
            path = path.with_name(path.name + kinds.get(kind, ending))
        if path.suffix.lower() == ".md":
            from app.transfer.markdown import to_markdown

            text = to_markdown(self._history, conversations[0])
            try:
                path.write_text(text, encoding="utf-8")
            except OSError as error:
                self._window.show_error(
                    tr("{file} cannot be written: {reason}.").format(file=file, reason=error.strerror)
                )
            return
        from app.views.transfer.export_dialog import ExportDialog

        dialog = ExportDialog(self._window.theme, self._history, conversations, path, self._window, whole=whole)
        dialog.open()
        dialog.start()

    # Within

    def _begin(self) -> None:
        """What must be said of the opening, the backup, and the trash that the user wants emptied by itself."""
        if self._history.notices:
            # A dialog: the notice bar's next notice would take its place before it was read.
            box = QMessageBox(QMessageBox.Icon.Warning, tr("Your conversations"), "\n\n".join(self._history.notices),
                              QMessageBox.StandardButton.Ok, self._window)
            box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            box.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            box.open()
        days = self._services.settings.get("trash_days")
        if days and self._history.empty_trash(older_than=time.time() - float(days) * DAY):
            self._history.forget_in_backups()

    def _on_trouble(self, message: str) -> None:
        if message:
            self._window.show_error(message)
        else:
            self._window.notice.show_notice(tr("The answer is saved now."), seconds=12)

    def _ask(self, title: str, field: str, old: str = "") -> str:
        text, accepted = QInputDialog.getText(self._window, title, field, QLineEdit.EchoMode.Normal, old)
        return str(text).strip() if accepted else ""


def _file_name(title: str) -> str:
    return "".join(letter if letter.isalnum() or letter in " -_" else "_" for letter in title).strip()[:80]
