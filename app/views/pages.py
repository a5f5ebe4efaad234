"""The pages of the window, one line a page.  Each is made when it is first shown: the window opens faster so.

A page is a ``QWidget(theme, services)`` with ``focus_first()``, which puts the focus where work on it begins.
Signals that a page may have, and that the window connects: ``chat_wanted(model id)``, ``context_wanted(model id)``,
``page_wanted(page key)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QWidget

from app.theme import Theme
from app.translation import mark

if TYPE_CHECKING:
    from app.application import Services


@dataclass(frozen=True)
class Page:
    """``view`` is ``"module:Class"``; ``foot``: its button stands at the lower end of the rail."""

    key: str
    label: str
    icon: str
    view: str
    foot: bool = False

    @property
    def shortcut(self) -> str:
        """The id in :mod:`app.views.shortcuts`."""
        return f"page_{self.key}"

    def make(self, theme: Theme, services: Services) -> QWidget:
        """A new one; the import happens here."""
        module, _, name = self.view.partition(":")
        page = getattr(import_module(module), name)(theme, services)
        assert isinstance(page, QWidget)
        return page


PAGES: tuple[Page, ...] = (
    Page("chat", mark("Chat"), "chat", "app.views.chat.chat_view:ChatView"),
    Page("library", mark("Library"), "library", "app.views.library.library_view:LibraryView"),
    Page("jobs", mark("Jobs"), "jobs", "app.views.jobs.jobs_view:JobsView"),
    Page("server", mark("Server"), "server", "app.views.server.server_view:ServerView"),
    Page("network", mark("Network"), "globe", "app.views.network.network_view:NetworkView"),
    Page("settings", mark("Settings"), "settings", "app.views.settings.settings_view:SettingsView", foot=True),
)
