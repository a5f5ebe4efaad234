"""The words of the window in the user's language: Qt Linguist's files, one context for all.

``resources/translations/app_de.ts`` is the source of German; ``packaging/translations.py`` collects the strings
from the code and compiles what the window loads.  English is what the code says.
"""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication


def tr(text: str, comment: str = "", n: int = -1) -> str:
    """``text`` in the language of the window.

    A literal, so that it is collected.  Values come in afterwards: ``tr("{done} of {total}").format(...)``.
    ``comment`` tells apart what is one word in English; ``%n`` becomes ``n`` and chooses the plural.
    """
    return QCoreApplication.translate("", text, comment or None, n)


def mark(text: str) -> str:
    """``text`` as it is, collected for translation: for tables of words, which :func:`tr` translates when shown."""
    return text
