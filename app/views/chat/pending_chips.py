"""The files of the message that is being written, as chips above the field."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QInputDialog, QLabel, QWidget

from app.attachments.pending import PendingAttachment, PendingAttachments, pages_of
from app.theme import Theme
from app.translation import tr
from app.views.chat.attachment_chips import AttachmentDialog, facts, icon_of, shortened
from app.views.controls.controls import Button, IconButton, discard, frame, label
from app.views.controls.flow_layout import FlowLayout
from app.views.controls.icons import pixmap


class PendingChips(QWidget):
    """Hidden while there is none."""

    def __init__(self, theme: Theme, attachments: PendingAttachments) -> None:
        super().__init__()
        self._theme, self._attachments = theme, attachments
        self._chips: dict[PendingAttachment, _Chip] = {}
        self._flow = FlowLayout(self, 6, 6)
        self.setAccessibleName(tr("Attached files"))
        attachments.changed.connect(self._show)
        self._show()

    @property
    def chips(self) -> list[_Chip]:
        return list(self._chips.values())

    def _show(self) -> None:
        items = self._attachments.items
        for item in [item for item in self._chips if item not in items]:
            chip = self._chips.pop(item)
            self._flow.removeWidget(chip)
            discard(chip)
        for item in items:
            if item not in self._chips:
                chip = self._chips[item] = _Chip(self._theme, item)
                chip.removed.connect(self._attachments.remove)
                self._flow.addWidget(chip)
            self._chips[item].show_state()
        self.setVisible(bool(items))
        self.updateGeometry()


class _Chip(QWidget):
    removed = Signal(object)

    def __init__(self, theme: Theme, item: PendingAttachment) -> None:
        super().__init__()
        self._theme, self.item = theme, item
        box = frame("code")
        icon = QLabel()
        icon.setPixmap(pixmap(icon_of(item.kind), theme.colours.muted, 16, self.devicePixelRatioF()))
        self._icon = icon
        self._name = Button(theme, "", self._open, kind="fold")
        self._facts = label("", "small")
        self._pages = Button(theme, "", self._choose_pages, kind="fold")
        remove = IconButton(theme, "close", tr("Remove {name}").format(name=item.name), self._remove, size=14)
        row = QHBoxLayout(box)
        row.setContentsMargins(10, 3, 4, 3)
        row.setSpacing(6)
        for widget in (icon, self._name, self._facts, self._pages, remove):
            row.addWidget(widget)
        outer = QHBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(box)

    @property
    def facts(self) -> str:
        return self._facts.text()

    def show_state(self) -> None:
        """The item's state in words."""
        item = self.item
        self._name.setText(shortened(item.name, self._name.fontMetrics()))
        self._name.setAccessibleName(tr("Show {name}").format(name=item.name))
        self._name.setToolTip(item.name)
        self._name.setEnabled(item.state == "ready")
        self._icon.setPixmap(
            pixmap(icon_of(item.kind), self._theme.colours.muted, 16, self.devicePixelRatioF())
        )
        if item.state == "reading":
            percent = round(100 * item.done / item.total) if item.total else 0
            self._facts.setText(tr("Reading {percent} %…").format(percent=percent) if item.total else tr("Reading…"))
        else:
            self._facts.setText(facts(item.bytes, item.tokens, item.more))
        self._pages.setVisible(item.paged and item.state == "ready")
        chosen = tr("pages {range}").format(range=item.range)
        self._pages.set_text(chosen if item.range else tr("all {count} pages").format(count=len(item.pages)))
        self._pages.setToolTip(tr("Choose which pages the model reads"))
        self.updateGeometry()

    def _remove(self) -> None:
        self.removed.emit(self.item)

    def _choose_pages(self) -> None:
        choose_pages(self, self.item)

    def _open(self) -> None:
        """Show what the model would read."""
        AttachmentDialog(self._theme, self.item.attachment(), self.window()).open()


def choose_pages(parent: QWidget, item: PendingAttachment) -> None:
    """Ask for a range of pages until it is one, or nobody wants it any more."""
    written, hint = item.range, ""
    while True:
        question = tr("Pages of {name} that the model reads, such as 1-5, 8 (empty: all {count})")
        text = question.format(name=item.name, count=len(item.pages))
        written, accepted = QInputDialog.getText(
            parent, tr("Pages"), f"{hint}\n{text}" if hint else text, text=written
        )
        if not accepted:
            return
        try:
            pages_of(written, len(item.pages))
        except ValueError as error:
            hint = str(error)
            continue
        item.take_pages(written)
        return
