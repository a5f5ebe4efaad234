"""Finding conversations by the words in their titles, messages and attachments."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable

from app.history.records import HIT, HIT_END

Read = Callable[..., list[sqlite3.Row]]


def find(read: Read, query: str) -> dict[int, str]:
    """Conversation ids that match, each with a snippet (empty where only the title matches)."""
    words = re.findall(r"\w+", query)
    if not words or any(_spaceless(word) for word in words):
        return _as_it_is(read, query)
    match = " ".join(f'"{word}"' for word in words) + "*"
    found = {row["rowid"]: "" for row in read("SELECT rowid FROM title_search WHERE title_search MATCH ?", match)}
    hit = f"'{HIT}', '{HIT_END}', '…', 14"
    for rows in (
        read(f"SELECT message.conversation, snippet(message_search, 0, {hit}) AS snippet "
             "FROM message_search JOIN message ON message.id = message_search.rowid "
             "WHERE message_search MATCH ? ORDER BY rank", match),
        read(f"SELECT message.conversation, snippet(attachment_search, -1, {hit}) AS snippet FROM attachment_search "
             "JOIN attachment ON attachment.id = attachment_search.rowid JOIN message ON message.id = "
             "attachment.message WHERE attachment_search MATCH ? ORDER BY rank", match),
    ):
        for row in rows:
            if not found.get(row["conversation"]):
                found[row["conversation"]] = " ".join(row["snippet"].split())
    return found


def _as_it_is(read: Read, query: str) -> dict[int, str]:
    pattern = "%" + re.sub(r"([%_\\])", r"\\\1", query) + "%"
    found = {row["id"]: "" for row in read("SELECT id FROM conversation WHERE title LIKE ? ESCAPE '\\'", pattern)}
    for row in read("SELECT conversation, text FROM message WHERE text LIKE ? ESCAPE '\\' ORDER BY id", pattern):
        if not found.get(row["conversation"]):
            found[row["conversation"]] = around(row["text"], query)
    return found


def around(text: str, query: str, width: int = 60) -> str:
    """The place of a text where it has ``query``, which is marked."""
    at = max(text.lower().find(query.lower()), 0)
    start, end = max(at - width // 2, 0), at + len(query) + width // 2
    marked = text[start:at] + HIT + text[at : at + len(query)] + HIT_END + text[at + len(query) : end]
    return ("…" if start else "") + " ".join(marked.split()) + ("…" if end < len(text) else "")


def _spaceless(word: str) -> bool:
    """Scripts that do not put spaces between words (Thai to Khmer, Chinese, Japanese): unicode61 makes a
    whole sentence one word of them."""
    return any("\u0e00" <= char <= "\u0eff" or "\u1000" <= char <= "\u109f" or "\u1780" <= char <= "\u17ff"
               or "\u2e80" <= char <= "\u9fff" or char >= "\U00020000" for char in word)
