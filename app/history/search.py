"""Finding conversations by the words in their titles, messages and attachments."""

from __future__ import annotations

import re
import sqlite3
import threading
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from app.history.records import HIT, HIT_END, Hit
from tzcore.errors import StorageError

Read = Callable[..., Iterator[tuple[Any, ...]]]
ALL = -1
SHORT = 3
"""A word of so few letters begins very many words: looking for these all at once takes up to a second."""
WIDTH = 90
"""Characters of a snippet."""
BEFORE = 10
"""Of them before what matched: little, for the sidebar is narrow."""


def find(read: Read, query: str, newest: int = ALL) -> tuple[dict[int, Hit], bool]:
    """Conversation ids that match and where, the newest message first; and whether those are all.

    ``newest``: no more than so many matching messages, and a short last word only as it is.  A query that is
    interrupted gives what it found until then.
    """
    complete = True
    words = _words(query)
    if not words or any(_spaceless(word) for word in words):
        pattern = "%" + re.sub(r"([%_\\])", r"\\\1", query.strip()) + "%"
        searches: tuple[tuple[str, str], ...] = (
            ("", "SELECT id, id FROM conversation WHERE title LIKE ? ESCAPE '\\' ORDER BY id DESC LIMIT ?"),
            ("message", "SELECT conversation, id FROM message WHERE text LIKE ? ESCAPE '\\' ORDER BY id DESC LIMIT ?"),
        )
        match = pattern
    else:
        # The last word may be only begun; a single letter begins too many to be worth the search.
        begun = len(words[-1]) > (1 if newest == ALL else SHORT)
        complete = begun or newest == ALL
        match = " ".join(f'"{word}"' for word in words) + ("*" if begun else "")
        searches = (
            ("", "SELECT rowid, rowid FROM title_search WHERE title_search MATCH ? LIMIT ?"),
            ("message", "SELECT message.conversation, message.id FROM (SELECT rowid FROM message_search "
             "WHERE message_search MATCH ? ORDER BY rowid DESC LIMIT ?) AS hit JOIN message ON message.id = hit.rowid"),
            ("attachment", "SELECT message.conversation, attachment.id FROM attachment_search "
             "JOIN attachment ON attachment.id = attachment_search.rowid JOIN message "
             "ON message.id = attachment.message WHERE attachment_search MATCH ? LIMIT ?"),
        )
    found: dict[int, Hit] = {}
    for table, sql in searches:
        count = 0
        try:
            for conversation, row in read(sql, match, newest):
                count += 1
                if conversation not in found or (table and not found[conversation].table):
                    found[conversation] = Hit(table, row)
        except StorageError as error:
            if not _interrupted(error.__cause__):
                raise
            complete = False
        except sqlite3.OperationalError as error:
            if not _interrupted(error):
                raise
            complete = False
        complete = complete and count != newest
    return found, complete


def mend(connection: sqlite3.Connection) -> None:
    """Make those indexes anew that do not fit what they are of."""
    for table in ("message_search", "title_search", "attachment_search"):
        try:
            connection.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('integrity-check', 1)")
        except sqlite3.DatabaseError:
            connection.execute(f"INSERT INTO {table} ({table}) VALUES ('rebuild')")


class FullSearch:
    """A search to the end, in a thread with a connection of its own, so that nothing waits for it."""

    def __init__(self, path: Path, query: str, done: Callable[[dict[int, Hit]], None]) -> None:
        """``done`` is called in the thread, unless :meth:`stop` came first."""
        self._path, self._query, self._done = path, query, done
        self._connection: sqlite3.Connection | None = None
        self._stopped = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="history search", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Give up, and wait until the thread has let go of the file."""
        with self._lock:
            self._stopped = True
            if self._connection is not None:
                self._connection.interrupt()
        self._thread.join()

    def _run(self) -> None:
        with suppress(sqlite3.Error), closing(sqlite3.connect(self._path, check_same_thread=False)) as connection:
            with self._lock:
                if self._stopped:
                    return
                self._connection = connection
            try:
                found, complete = find(lambda sql, *values: connection.execute(sql, values), self._query)
            finally:
                with self._lock:
                    self._connection = None
            if complete and not self._stopped:
                with suppress(RuntimeError):  # whoever asked is gone
                    self._done(found)


def snippet(text: str, query: str) -> str:
    """The place of a text where it has the words of a query, which are marked."""
    words = _words(query) or [query.strip()]
    spaceless = any(_spaceless(word) for word in words)
    pieces = [re.escape(query.strip())] if spaceless or not _words(query) else [
        r"\b" + re.escape(word) + (r"\b" if number < len(words) - 1 else r"\w*") for number, word in enumerate(words)
    ]
    pattern = re.compile("|".join(pieces), re.IGNORECASE)
    first = pattern.search(text)
    shown = text
    if first is None:  # written with other accents
        shown = _plain(text)
        pattern = re.compile(_plain("|".join(pieces)), re.IGNORECASE)
        first = pattern.search(shown)
        if len(shown) == len(text):
            shown = text
    at = first.start() if first else 0
    begin = max(at - BEFORE, 0)
    if begin:  # at a word's beginning, where there is one near
        begin = max(shown.rfind(" ", 0, begin + 1) + 1, begin - BEFORE)
    part = shown[begin : begin + WIDTH]
    bare = _plain(part)
    spans = [match.span() for match in pattern.finditer(bare if len(bare) == len(part) else part)]
    marked, end = "", 0
    for start, stop in spans:
        marked += part[end:start] + HIT + part[start:stop] + HIT_END
        end = stop
    marked += part[end:]
    more = begin + WIDTH < len(shown)
    return ("…" if begin else "") + " ".join(marked.split()) + ("…" if more else "")


def _plain(text: str) -> str:
    """Without accents."""
    return "".join(char for char in unicodedata.normalize("NFD", text) if not unicodedata.combining(char))


def _words(query: str) -> list[str]:
    return re.findall(r"\w+", query)


def _interrupted(error: BaseException | None) -> bool:
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT


def _spaceless(word: str) -> bool:
    """Scripts that do not put spaces between words (Thai to Khmer, Chinese, Japanese): unicode61 makes a
    whole sentence one word of them."""
    return any("\u0e00" <= char <= "\u0eff" or "\u1000" <= char <= "\u109f" or "\u1780" <= char <= "\u17ff"
               or "\u2e80" <= char <= "\u9fff" or char >= "\U00020000" for char in word)
