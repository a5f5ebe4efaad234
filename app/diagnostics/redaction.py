"""Takes what is secret or personal out of a text that may leave this machine: tokens, passwords, names, places.

Better too much than too little: what is taken out leaves a word in brackets, so that the text stays readable.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import socket
from collections.abc import Iterable
from pathlib import Path

REMOVED = "[removed]"
SHORTEST = 4
"""Characters that a secret or a name must have to be looked for by itself: shorter ones occur everywhere."""

_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    # a proxy's user and password tell whose it is, and so does its name
    (re.compile(r"\b([a-z][a-z0-9+.-]*://)[^\s/@\"']*:[^\s/@\"']*@[^\s/\"':]+", re.I), r"\1" + REMOVED),
    (re.compile(r"\b([a-z][a-z0-9+.-]*://)[^\s/@\"']+@[^\s/\"':]+", re.I), r"\1" + REMOVED),
    (re.compile(r"(https?://[^\s\"'?#]+)\?[^\s\"'#]+", re.I), r"\1?" + REMOVED),
    (re.compile(r"\bhf_[A-Za-z0-9_-]{4,}"), "hf_" + REMOVED),
    (re.compile(r"\b(sk|ghp|gho|github_pat|xox[abp])[-_][A-Za-z0-9_-]{8,}"), r"\1-" + REMOVED),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]+){1,2}"), REMOVED),
    (re.compile(r"(\bBearer|authorization[\"'\s:=]+(?:Basic|Token))\s+[A-Za-z0-9._~+/=-]{6,}", re.I), r"\1 " + REMOVED),
    (
        re.compile(
            r"((?:\b|_)(?:token|password|passwd|secret|api[-_]?key|authorization|cookie)\b[\"']?\s*[:=]\s*[\"']?)"
            r"(?!\[removed\]|Bearer |Basic )[^\s\"',;}&]+",
            re.I,
        ),
        r"\1" + REMOVED,
    ),
    (re.compile(r"(--token[= ])(?!random\b)\S+"), r"\1" + REMOVED),
    (re.compile(r"\b(?!127\.|0\.0\.0\.0)(?:\d{1,3}\.){3}\d{1,3}\b"), "[address]"),
    (re.compile(r"\b[\w.+-]+@[\w-]+(\.[\w-]+)+\b"), "[mail]"),
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """``text`` without what is secret or personal; ``secrets`` are values that are known to be."""
    for secret in sorted(set(secrets), key=len, reverse=True):
        if len(secret) >= SHORTEST:
            text = text.replace(secret, REMOVED)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    for place, name in _places():
        text = re.sub(re.escape(place) + r"(?![\w.-])", name, text, flags=re.I if os.name == "nt" else 0)
    for word, name in _names():
        text = re.sub(rf"(?<![\w]){re.escape(word)}(?![\w])", name, text, flags=re.I)
    return text


def _places() -> list[tuple[str, str]]:
    """Folders, the longest first, in the ways in which they are written."""
    home = str(Path.home())
    found = {home: "~", os.path.realpath(home): "~", home.replace("\\", "/"): "~", home.replace("\\", "\\\\"): "~"}
    return sorted(((place, name) for place, name in found.items() if len(place) > 1), key=lambda pair: -len(pair[0]))


def _names() -> list[tuple[str, str]]:
    """The user's account and the machine's name."""
    names: list[tuple[str, str]] = []
    with contextlib.suppress(OSError, KeyError, ImportError):  # there may be no such account
        names.append((getpass.getuser(), "[user]"))
    names.append((Path.home().name, "[user]"))
    machine = socket.gethostname()
    names += [(machine, "[machine]"), (machine.partition(".")[0], "[machine]")]
    return [(word, name) for word, name in names if len(word) >= SHORTEST and word.lower() not in ("user", "localhost")]
