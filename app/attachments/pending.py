"""Files on their way into a message: read by a child, counted by the engine, shown until they are sent.

A file's text is exact to the page: of a PDF any range of pages can be taken, and is counted anew.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Signal

from app.attachments import kinds
from app.attachments.counting import Counting
from app.child import Child
from app.history.records import Attachment
from app.translation import mark, tr
from tzcore import paths

if TYPE_CHECKING:
    from app.engine.client import Reply

EXTRACT: tuple[str, ...] = (sys.executable, "-m", "app.attachments.extract")
SECONDS = 120
"""Seconds after which a file that is still being read is given up."""
LONG = 500_000
"""Characters of a file from which on its own tokens are counted first."""
MOST = 20
"""Files with one message."""

GAVE_UP = mark("{name} takes too long to be read: it may be damaged; attach a part of it.")
DIED = mark("{name} cannot be read: it took too much memory or is damaged.")


class PendingAttachment(QObject):
    """States: ``"reading"``, ``"ready"``, ``"failed"`` (see ``message``).  ``tokens`` is −1 while not counted;
    ``more``: it has more than these, and what is more cannot fit anyway."""

    changed = Signal()

    def __init__(self, name: str, kind: str = "", size: int = 0, pages: Sequence[str] = ()) -> None:
        super().__init__()
        self.name, self.kind, self.bytes = name, kind, size
        self.pages = list(pages)
        self.state = "ready" if pages else "reading"
        self.message = ""
        self.done = self.total = 0
        self.paged = False
        self.range = ""
        """The pages taken, as the user wrote them: ``"1-5, 8"``; empty: all."""
        self.tokens, self.more = -1, False
        self._child: Child | None = None
        self._patience = QTimer(self, singleShot=True, interval=SECONDS * 1000)
        self._patience.timeout.connect(lambda: self._fail(tr(GAVE_UP).format(name=self.name)))

    @classmethod
    def of_file(cls, path: Path, command: Sequence[str] = EXTRACT) -> PendingAttachment:
        """Begin to read a file."""
        made = cls(path.name)
        made._read(path, command)
        return made

    @property
    def text(self) -> str:
        """What the model would read of it."""
        taken = self.pages if not self.range else [self.pages[at] for at in pages_of(self.range, len(self.pages))]
        return "\n\n".join(filter(None, taken))

    def take_pages(self, written: str) -> None:
        """Take only these; ValueError says what is wrong with them."""
        pages_of(written, len(self.pages))
        self.range = written.strip()
        self.tokens = -1
        self.changed.emit()

    def set_tokens(self, tokens: int, more: bool = False) -> None:
        self.tokens, self.more = tokens, more
        self.changed.emit()

    def attachment(self) -> Attachment:
        """As it goes into the history."""
        name = f"{self.name} ({tr('pages {range}').format(range=self.range)})" if self.range else self.name
        return Attachment(0, name, self.kind, self.bytes, self.text, 0 if self.more else max(0, self.tokens))

    def cancel(self) -> None:
        """Nobody wants it any more."""
        self._patience.stop()
        child, self._child = self._child, None
        if child is not None:
            child.said.disconnect(self._on_event)
            child.finished.disconnect(self._on_finished)
            child.finished.connect(child.deleteLater)
            child.kill()

    def _read(self, path: Path, command: Sequence[str]) -> None:
        child = self._child = Child([str(path)], command, paths.logs() / "attachments.log")
        child.said.connect(self._on_event)
        child.finished.connect(self._on_finished)
        self._patience.start()
        child.start()

    def _on_event(self, event: Any) -> None:
        kind = event.get("event")
        if kind == "kind":
            self.kind, self.bytes, self.paged = event["kind"], event["bytes"], event["pages"] > 1
        elif kind == "text":
            while len(self.pages) < event["page"]:
                self.pages.append("")
            self.pages[-1] += event["text"]
        elif kind == "progress":
            self.done, self.total = event["done"], event["total"]
            self.changed.emit()
        elif kind == "error":
            self._fail(tr(event["message"]).format(name=self.name, **event["values"]))
        elif kind == "done":
            self._patience.stop()
            self.state = "ready"
            self.changed.emit()

    def _on_finished(self, _code: int) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.deleteLater()
        if self.state == "reading":
            self._fail(tr(DIED).format(name=self.name))

    def _fail(self, message: str) -> None:
        self.cancel()
        self.pages = []
        self.state, self.message = "failed", message
        self.changed.emit()


def pages_of(written: str, count: int) -> list[int]:
    """Places (from 0) of the pages in ``"1-5, 8"``, in that order; ValueError with a sentence for the user."""
    taken: list[int] = []
    for part in filter(None, (part.strip() for part in written.split(","))):
        found = re.fullmatch(r"(\d+)(?:\s*[-–]\s*(\d+))?", part)
        if not found:
            raise ValueError(tr("Write pages as 1-5, 8."))
        first, last = int(found[1]), int(found[2] or found[1])
        if not 1 <= first <= last <= count:
            raise ValueError(tr("There are pages 1 to {count}.").format(count=count))
        taken += range(first - 1, last)
    return taken or list(range(count))


class PendingAttachments(QObject):
    """Those of the message that is being written."""

    changed = Signal()
    """One is added or gone, or another state, or another number of tokens."""
    refused = Signal(str)
    """Why a file is not attached: one sentence."""

    def __init__(
        self, count: Callable[[str], Reply | None], command: Sequence[str] = EXTRACT, parent: QObject | None = None
    ) -> None:
        """``count`` asks the engine for the tokens of a text; None where no engine can say now."""
        super().__init__(parent)
        self._count_text, self._command = count, command
        self._counts: dict[PendingAttachment, Counting] = {}
        self.enough = 0
        """Tokens from which on it does not matter how many more there are; 0: it always does."""
        self.items: list[PendingAttachment] = []

    @property
    def ready(self) -> list[Attachment]:
        """Those that would be sent."""
        return [item.attachment() for item in self.items if item.state == "ready"]

    @property
    def reading(self) -> bool:
        """Whether one is not there yet, so that nothing should be sent."""
        return any(item.state == "reading" for item in self.items)

    def add_file(self, path: Path) -> None:
        """Read a file and attach it."""
        if self._room():
            self._add(PendingAttachment.of_file(path, self._command))

    def add_text(self, text: str, name: str) -> PendingAttachment | None:
        """Attach what was pasted."""
        if not self._room():
            return None
        item = PendingAttachment(name, kinds.kind_by_name(name), len(text.encode("utf-8", "replace")), [text])
        self._add(item)
        return item

    def add(self, attachment: Attachment) -> None:
        """One that was attached before: a draft's."""
        item = PendingAttachment(attachment.name, attachment.kind, attachment.bytes, [attachment.text])
        self._add(item)

    def remove(self, item: PendingAttachment) -> None:
        if item in self.items:
            self.items.remove(item)
            self._forget(item)
            self.changed.emit()

    def clear(self) -> None:
        """Let go of all; those being read are not read on."""
        items, self.items = self.items, []
        for item in items:
            self._forget(item)
        if items:
            self.changed.emit()

    def count(self, afresh: bool = False) -> None:
        """Have counted what is not counted yet; ``afresh``: all, as another model counts otherwise."""
        for item in self.items:
            if afresh:
                item.tokens = -1
            if item.state == "ready" and item.tokens < 0 and item not in self._counts:
                counting = Counting(item.text, self._count_text, self.enough)
                if not counting.start():
                    continue
                self._counts[item] = counting
                asked = item.range
                counting.done.connect(
                    lambda tokens, more, item=item, asked=asked: self._on_counted(item, tokens, more, asked)
                )
                counting.failed.connect(lambda item=item: self._counts.pop(item, None))

    def _add(self, item: PendingAttachment) -> None:
        item.changed.connect(lambda: self._on_item(item))
        self.items.append(item)
        self._on_item(item)

    def _room(self) -> bool:
        if len(self.items) < MOST:
            return True
        self.refused.emit(tr("At most {count} files can go with one message.").format(count=MOST))
        return False

    def _on_item(self, item: PendingAttachment) -> None:
        if item not in self.items:
            return
        if item.state == "failed":
            self.items.remove(item)
            self.refused.emit(item.message)
            item.deleteLater()
        self.count()
        self.changed.emit()

    @property
    def uncounted(self) -> bool:
        """Whether the tokens of a long file are not known yet, so that the whole should not be sent for a count."""
        return any(len(item.text) > LONG and item.tokens < 0 for item in self.items if item.state == "ready")

    @property
    def too_many(self) -> int:
        """Tokens of a file that cannot fit, as far as they were counted; 0 where there is none."""
        return max((item.tokens for item in self.items if item.more), default=0)

    def _on_counted(self, item: PendingAttachment, tokens: int, more: bool, asked: str) -> None:
        self._counts.pop(item, None)
        if item in self.items:
            if asked == item.range:
                item.set_tokens(tokens, more)
            else:
                self.count()

    def _forget(self, item: PendingAttachment) -> None:
        item.cancel()
        if (counting := self._counts.pop(item, None)) is not None:
            counting.drop()
        item.deleteLater()
