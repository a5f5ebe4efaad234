"""Asks before a model is deleted, and says what that frees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QMessageBox, QWidget

from app import wording
from app.library import measured
from app.library.library import InstalledEntry
from app.translation import tr

if TYPE_CHECKING:
    from app.library.library import Library


class DeleteBox(QMessageBox):
    """Opened by :meth:`open`; what is chosen is done."""

    def __init__(self, library: Library, entry: InstalledEntry, parent: QWidget) -> None:
        super().__init__(parent)
        self._library, self._entry = library, entry
        self.setWindowTitle(tr("Delete model"))
        self.setIcon(QMessageBox.Icon.NoIcon)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setText(tr("Delete {id}?").format(id=entry.id))
        self._say({"model_bytes": entry.bytes})
        self._source = QCheckBox(tr("Also delete the original that it was made from"))
        self._source.hide()
        self.setCheckBox(self._source)
        self._delete = self.addButton(tr("Delete"), QMessageBox.ButtonRole.DestructiveRole)
        keep = self.addButton(tr("Keep"), QMessageBox.ButtonRole.RejectRole)
        self.setDefaultButton(keep)
        self.setEscapeButton(keep)
        self.buttonClicked.connect(self._on_button)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        inquiry = library.what_removing_frees(entry.id)
        inquiry.done.connect(self._on_known)
        self.finished.connect(lambda _: inquiry.cancel() if inquiry.running else None)

    def _on_known(self, what: object) -> None:
        if not isinstance(what, dict):
            return
        self._say(what)
        original = int(what.get("source_bytes") or 0)
        if original and what.get("source_ours") and not what.get("source_needed_by"):
            text = tr("Also delete the original that it was made from ({size})")
            self._source.setText(text.format(size=wording.size(original)))
            self._source.show()

    def _say(self, what: Mapping[str, Any]) -> None:
        """What goes, what stays."""
        lines = [tr("This frees {size}.").format(size=wording.size(int(what["model_bytes"])))]
        if kept := int(what.get("snapshot_bytes") or 0):
            lines.append(tr("{size} that was kept ready of its conversations goes as well.").format(
                size=wording.size(kept)))
        lines.append(tr("Your conversations stay. To use the model again it must be ternarised again."))
        original = int(what.get("source_bytes") or 0)
        if original and not what.get("source_ours"):
            text = tr("The original ({size}) stays in the Hugging Face cache, which other programs use too: {path}")
            lines.append(text.format(size=wording.size(original), path=what.get("source_path") or ""))
        elif original and (others := what.get("source_needed_by")):
            text = tr("The original stays: {models} was made from it too.")
            lines.append(text.format(models=", ".join(others)))
        self.setInformativeText("\n\n".join(lines))

    def _on_button(self, button: object) -> None:
        if button is self._delete:
            self._library.remove(self._entry.id, self._source.isChecked())
            measured.forget(self._entry.id)
