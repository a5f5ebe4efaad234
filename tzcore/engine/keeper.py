"""Brings texts from the disk in place of reading them, and puts what was read there, in a thread beside the engine."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterator

from tzcore.backend.base import PIECE
from tzcore.engine.piece import ROOT, PieceError, PieceName
from tzcore.engine.piece_tree import PieceTree
from tzcore.engine.snapshots import Snapshots
from tzcore.engine.texts import Text, Texts
from tzcore.errors import BackendError, Cancelled, ContextFullError, StorageError

logger = logging.getLogger("tzcore.engine")

_PATIENCE = 5.0  # seconds that closing waits for what is not written yet


class Keeper:
    """What ``texts`` hold, kept in ``tree``.  Trouble with the disk never stops an answer: it is logged once, and
    nothing is saved any more."""

    def __init__(self, texts: Texts, tree: PieceTree, snapshots: Snapshots) -> None:
        self._texts, self._tree, self._snapshots = texts, tree, snapshots
        self._waiting: deque[Text] = deque()
        self._change = threading.Condition()
        self._writing = threading.Lock()  # held from a look at a text until its piece is on disk
        self._busy = self._leaving = self._failed = False
        self._thread: threading.Thread | None = None
        snapshots.clean()

    def resume(self, prompt: list[int], cancel: threading.Event) -> None:
        """Take the beginning of ``prompt`` from the disk, where it spares the reading of :data:`PIECE` tokens.

        Setting ``cancel`` ends it between two pieces, with nothing taken.
        """
        while True:
            found = self._tree.find(prompt[:-1])
            if found.length < self._texts.reach(prompt) + PIECE:
                return
            text = self._texts.begin_empty()
            try:
                with self._texts.appending(found.length) as sequence:
                    sequence.load(_until(cancel, self._tree.payloads(found.pieces)), found.length)
                    text.tokens += prompt[: found.length]
                    text.cut(sequence.resumable(found.length))
                self._tree.touch(found.pieces)
                return
            except PieceError:
                self._undo(text)  # the tree is without that piece now
            except Cancelled:
                self._undo(text)
                return
            except (BackendError, ContextFullError) as error:
                self._undo(text)
                logger.warning("a text on disk cannot be used, and is read again: %s", error)
                return

    def keep(self) -> None:
        """Save the running text, but for what is there, in the background."""
        if self._failed or self._leaving or len(self._texts.running.tokens) < PIECE:
            return
        text = self._texts.lend()
        if text is None:
            return
        with self._change:
            for other in [t for t in self._waiting if text.tokens[: len(t.tokens)] == t.tokens]:
                self._waiting.remove(other)  # the same conversation, when it was shorter
                self._texts.close_text(other)
            self._waiting.append(text)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="snapshots", daemon=True)
                self._thread.start()
            self._change.notify_all()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until everything is written; False where it took longer."""
        with self._change:
            return self._change.wait_for(lambda: not self._waiting and not self._busy, seconds)

    def forget(self, beginning: list[int]) -> int:
        """Remove the texts that begin so from the disk, for good, as memory is without them already; the pieces
        that were removed."""
        with self._writing:
            return self._tree.forget(beginning)

    def close(self) -> None:
        """Wait a little, then let the piece that is being written be the last."""
        self.wait(_PATIENCE)
        with self._change:
            self._leaving = True
            self._change.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _undo(self, text: Text) -> None:
        """Whatever the backend did: the text is as it was."""
        with self._texts.lock:
            text.sequence.truncate(0)
            text.tokens.clear()

    def _work(self) -> None:
        while True:
            with self._change:
                self._busy = False
                self._change.notify_all()
                self._change.wait_for(lambda: self._waiting or self._leaving)
                if self._leaving and not self._waiting:
                    return
                text = self._waiting.popleft()
                self._busy = True
            try:
                if not (self._failed or self._leaving):
                    self._save(text)
            except StorageError as error:
                self._failed = True
                logger.warning("conversations are not saved any more until the model is opened again: %s", error)
            except BackendError as error:
                logger.warning("a conversation was not saved: %s", error)
            finally:
                self._texts.close_text(text)

    def _save(self, text: Text) -> None:
        above: PieceName | None = None
        for number, at in enumerate(range(0, len(text.tokens), PIECE)):
            piece = text.tokens[at : at + PIECE]
            parent = ROOT if above is None else above.own
            with self._writing:
                if not self._tree.has(parent, piece):
                    with self._texts.lock:
                        if text.closed or self._leaving:
                            return
                        payload = text.sequence.save(number)
                    self._snapshots.make_room(len(payload))
                    if above is not None and not self._tree.there(above):
                        return  # the quota does not hold more of this text
                    self._tree.put(parent, piece, payload)
            above = PieceName.of(parent, piece)


def _until(cancel: threading.Event, payloads: Iterator[bytes]) -> Iterator[bytes]:
    for payload in payloads:
        if cancel.is_set():
            raise Cancelled("stopped while a text was taken from the disk")
        yield payload
