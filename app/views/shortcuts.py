"""Every keyboard shortcut, declared once: the window, its menus, its tool tips and the shortcut sheet read this list.

A shortcut is put to work with :func:`install`; what a widget's own key handling does (Enter in the message field)
is declared all the same, so that the sheet is complete.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QWidget

from app.translation import mark, tr

EVERYWHERE = mark("Everywhere")
CONVERSATION = mark("Conversation")
WRITING = mark("Message field")
CONVERSATIONS = mark("List of conversations")
JOBS = mark("Jobs")
CONTEXTS = (EVERYWHERE, CONVERSATION, WRITING, CONVERSATIONS, JOBS)


@dataclass(frozen=True)
class Shortcut:
    """``keys`` are portable key sequences, all of which do the same; ``own``: the widget handles the key itself."""

    id: str
    keys: tuple[str, ...]
    what: str
    context: str
    own: bool = False


SHORTCUTS: tuple[Shortcut, ...] = (
    # Everywhere in the window
    Shortcut("new_chat", ("Ctrl+N",), mark("New chat"), EVERYWHERE),
    Shortcut("search", ("Ctrl+F",), mark("Search"), EVERYWHERE),
    Shortcut("page_chat", ("Ctrl+1",), mark("Chat"), EVERYWHERE),
    Shortcut("page_library", ("Ctrl+2", "Ctrl+L"), mark("Library"), EVERYWHERE),
    Shortcut("page_jobs", ("Ctrl+3", "Ctrl+J"), mark("Jobs"), EVERYWHERE),
    Shortcut("page_server", ("Ctrl+4",), mark("Server"), EVERYWHERE),
    Shortcut("page_network", ("Ctrl+5",), mark("Network"), EVERYWHERE),
    Shortcut("page_settings", ("Ctrl+6", "Ctrl+,"), mark("Settings"), EVERYWHERE),
    Shortcut("sidebar", ("Ctrl+B",), mark("Show or hide the list of conversations"), EVERYWHERE),
    Shortcut("larger", ("Ctrl++", "Ctrl+="), mark("Larger text"), EVERYWHERE),
    Shortcut("smaller", ("Ctrl+-",), mark("Smaller text"), EVERYWHERE),
    Shortcut("usual_size", ("Ctrl+0",), mark("Text in its usual size"), EVERYWHERE),
    Shortcut("shortcuts", ("F1", "Ctrl+/"), mark("Keyboard shortcuts"), EVERYWHERE),
    Shortcut("quit", ("Ctrl+Q",), mark("Quit"), EVERYWHERE),
    # A conversation
    Shortcut("escape", ("Esc",), mark("Stop the answer; back to the message field"), CONVERSATION),
    Shortcut("panel", ("Ctrl+Shift+P",), mark("System prompt and sampling"), CONVERSATION),
    Shortcut("copy_answer", ("Ctrl+Shift+C",), mark("Copy the last answer"), CONVERSATION),
    Shortcut("regenerate", ("Ctrl+R",), mark("Answer the last question again"), CONVERSATION),
    Shortcut("continue_answer", ("Ctrl+Shift+Return",), mark("Let the last answer go on"), CONVERSATION),
    Shortcut("attach", ("Ctrl+O",), mark("Attach files"), CONVERSATION),
    # The field in which a message is written
    Shortcut("send", ("Return",), mark("Send"), WRITING, own=True),
    Shortcut("new_line", ("Shift+Return",), mark("New line"), WRITING, own=True),
    Shortcut("edit_last", ("Up",), mark("Edit the last message (in the empty field)"), WRITING, own=True),
    # The list of conversations
    Shortcut("open", ("Return",), mark("Open; open or close a folder"), CONVERSATIONS, own=True),
    Shortcut("fold", ("Left", "Right"), mark("Close or open the folder"), CONVERSATIONS, own=True),
    Shortcut("menu", ("Shift+F10",), mark("What can be done with it"), CONVERSATIONS, own=True),
    Shortcut("rename", ("F2",), mark("Rename"), CONVERSATIONS, own=True),
    Shortcut("delete", ("Delete",), mark("Delete"), CONVERSATIONS, own=True),
    # The jobs page
    Shortcut("job_up", ("Alt+Up",), mark("Move the job up"), JOBS, own=True),
    Shortcut("job_down", ("Alt+Down",), mark("Move the job down"), JOBS, own=True),
    Shortcut("job_remove", ("Delete",), mark("Take the job off the list"), JOBS, own=True),
)

_BY_ID = {shortcut.id: shortcut for shortcut in SHORTCUTS}


def shortcut(shortcut_id: str) -> Shortcut:
    """KeyError for an id that is not declared."""
    return _BY_ID[shortcut_id]


def words(shortcut_id: str, number: int = 0) -> str:
    """The keys as this system writes them: ``Ctrl+N``, ``⌘N``."""
    return key_words(shortcut(shortcut_id).keys[number])


def key_words(keys: str) -> str:
    """A portable key sequence as this system writes it, in the user's language."""
    return QKeySequence(keys).toString(QKeySequence.SequenceFormat.NativeText)


def tool_tip(text: str, shortcut_id: str) -> str:
    """``text`` with the keys that do the same behind it."""
    return tr("{text}  ({keys})").format(text=text, keys=words(shortcut_id))


def install(
    owner: QWidget,
    shortcut_id: str,
    action: Callable[[], object],
    context: Qt.ShortcutContext = Qt.ShortcutContext.WindowShortcut,
) -> list[QShortcut]:
    """Let the shortcut's keys do ``action`` while ``owner``'s window (or what ``context`` says) has the focus."""
    made = []
    for keys in shortcut(shortcut_id).keys:
        key = QShortcut(QKeySequence(keys), owner)
        key.setContext(context)
        key.activated.connect(action)
        made.append(key)
    return made
