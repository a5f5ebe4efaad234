"""The words of the window in the user's language: Qt Linguist's files, one context for all.

``resources/translations/app_de.ts`` is the source of German; ``packaging/translations.py`` collects the strings
from the code and compiles what the window loads.  English is what the code says; ``app_en`` holds its plurals.
"""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QCoreApplication, QLibraryInfo, QLocale, QTranslator

from tzcore import paths

LANGUAGES = ("en", "de")
"""Those that are complete; the first is taken where none of the user's is among them."""

_installed: list[QTranslator] = []


def tr(text: str, comment: str = "", n: int = -1) -> str:
    """``text`` in the language of the window.

    A literal, so that it is collected.  Values come in afterwards: ``tr("{done} of {total}").format(...)``.
    ``comment`` tells apart what is one word in English; ``%n`` becomes ``n`` and chooses the plural.
    """
    return QCoreApplication.translate("", text, comment or None, n)


def mark(text: str) -> str:
    """``text`` as it is, collected for translation: for tables of words, which :func:`tr` translates when shown."""
    return text


def choose(wanted: str, system: Iterable[str]) -> str:
    """The language to use: the one that is set, else the first of the system's that is complete."""
    for name in (wanted, *system):
        if (code := name.replace("_", "-").partition("-")[0].lower()) in LANGUAGES:
            return code
    return LANGUAGES[0]


def load(wanted: str = "") -> str:
    """Speak the language that is set (``""``: the system's) from now on; what is shown already stays as it is.

    Also the words of Qt's own dialogs, the decimal separator, and the direction of writing.  Returns its code.
    """
    system = QLocale.system()
    code = choose(wanted, system.uiLanguages())
    unload()
    folder = paths.resources() / "translations"
    for name, place in ((f"app_{code}", str(folder)), (f"qtbase_{code}", _qt_folder())):
        translator = QTranslator(QCoreApplication.instance())
        if translator.load(name, place):
            QCoreApplication.installTranslator(translator)
            _installed.append(translator)
    locale = system if system.name().partition("_")[0] == code else QLocale(code)
    QLocale.setDefault(locale)
    from PySide6.QtGui import QGuiApplication

    if isinstance(application := QCoreApplication.instance(), QGuiApplication):
        application.setLayoutDirection(locale.textDirection())
    return code


def unload() -> None:
    """Back to what the code says."""
    while _installed:
        QCoreApplication.removeTranslator(_installed.pop())


def _qt_folder() -> str:
    return QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
