"""Why a job failed, in a sentence, and what would help."""

from __future__ import annotations

import re

from app.translation import mark, tr

REMEDIES: dict[str, str] = {
    "disk": mark("Free some space on the disk, then try again. What is done is kept."),
    "network": mark("Check the connection, then try again. What has come already is kept."),
    "gated": mark(
        "Accept the licence on the model's page at huggingface.co and enter your access token in the settings, "
        "then try again."
    ),
    "memory": mark(
        "Close other programs or unload models, then try again: it goes on from where it was. If it happens again, "
        "take a smaller model."
    ),
    "torch": mark("Install the part that converts models (the extra “convert”), then try again."),
    "place": mark("Choose a folder that you may write to, then try again."),
    "offline": mark("Turn off offline mode in the settings, then try again."),
}
"""What helps, by kind of failure."""

_KINDS = {
    "NetworkError": "network", "AccessError": "gated", "MissingExtraError": "torch", "OfflineError": "offline",
    "MemoryError": "memory",
}  # fmt: skip
"""The errors of :mod:`tzcore.errors` that say by themselves what helps."""

_SIGNS: tuple[tuple[str, str], ...] = (
    ("offline", r"\boffline\b"),
    ("disk", r"disk .*full|no space|quota|no room for|not enough room|free some space"),
    ("gated", r"\bgated\b|access token|accept (its|the) licen|needs a token|log in|401|403"),
    ("memory", r"not enough memory|out of memory"),
    ("torch", r"\bextra\b.*(install|missing)|pip install"),
    ("network", r"network|connection|timed out|could not be reached|cannot reach|resolve host|could not download"),
    ("place", r"permission denied|not permitted|read-only"),
)


def reason(code: int, last_words: str) -> str:
    """From the exit code and the last line on stderr of a child that has said nothing better."""
    if code == -1:
        return tr("The conversion was killed, perhaps for lack of memory; Retry goes on from where it was.")
    if code == -2:
        return tr("The conversion cannot be started: {reason}").format(reason=last_words)
    return last_words.removeprefix("tz: ") or tr("The conversion ended with exit code {code}.").format(code=code)


def remedy(code: int, kind: str, message: str) -> str:
    """The key of what would help, or ``""``.  ``kind`` is the error's class, where the child named it."""
    if code == -1:
        return "memory"
    if kind in _KINDS:
        return _KINDS[kind]
    for key, pattern in _SIGNS:
        if re.search(pattern, message, re.IGNORECASE):
            return key
    return ""
