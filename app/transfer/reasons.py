"""Why something could not be imported, in words.  The child says the key; the window says the sentence."""

from __future__ import annotations

from app.translation import mark, tr

REASONS = {
    "unreadable": mark("The file cannot be read: {detail}"),
    "no_json": mark("This is no JSON file, or one that was cut off: {detail}"),
    "too_deep": mark("The file is nested too deeply to be an export of conversations."),
    "too_large": mark("The file holds more than {detail} when unpacked; that is not read."),
    "no_conversations": mark("The archive holds no conversations.json."),
    "no_archive": mark("This is no ZIP archive, or one that is damaged: {detail}"),
    "unknown": mark(
        "No conversations were recognised in this file. Exports of this program, of ChatGPT (conversations.json or "
        "the ZIP with it) and of Open WebUI can be read."
    ),
    "newer": mark("The file was written by a newer version of this program: update the program to import it."),
    "wrong": mark("It is not as that program writes it: {detail}"),
    "circle": mark("Its messages refer to each other in a circle."),
    "empty": mark("It has no messages."),
    "not_written": mark("The conversations cannot be saved: {detail}"),
    "stopped": mark("The import ended before it was done; nothing of it was kept."),
}


def in_words(reason: str, detail: str = "") -> str:
    """The sentence."""
    return tr(REASONS.get(reason, REASONS["wrong"])).format(detail=detail)
