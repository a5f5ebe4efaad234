"""The window: rail, list of conversations, notice bar, and the page that is shown."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from PySide6.QtCore import QByteArray, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QResizeEvent
from PySide6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QLineEdit,
    QMainWindow,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.models.conversation_list import ConversationList
from app.text import highlight, markdown
from app.theme import Theme
from app.translation import tr
from app.views.chat.chat_view import ChatView
from app.views.controls.controls import set_property
from app.views.controls.icons import application_icon
from app.views.controls.notice_bar import NoticeBar
from app.views.pages import PAGES
from app.views.shell import crash_notice, help_menu
from app.views.shell.news import News
from app.views.shell.rail import Rail
from app.views.shortcuts import install
from app.views.sidebar.conversation_actions import ConversationActions
from app.views.sidebar.sidebar import WIDTH, Sidebar

if TYPE_CHECKING:
    from app.application import Services
    from app.views.library.library_view import LibraryView


NARROW = 720
"""Pixels of a window below which the list of conversations leaves its place to the chat."""


class MainWindow(QMainWindow):
    """Everything that is seen.  Nothing is started here: see :meth:`app.application.Services.start`."""

    error_occurred = Signal(str)
    """A foreseeable error that nothing else has shown; from any thread."""
    fault_occurred = Signal(str, str)
    """Any other error, in one line and with its trace; from any thread."""

    def __init__(self, services: Services) -> None:
        super().__init__()
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        self._services = services
        self.theme = Theme(
            application, str(services.settings.get("theme")), int(services.settings.get("text_scale") or 100)
        )
        self.setWindowTitle("Ternary-Zero")
        self.setWindowIcon(application_icon())
        self.setMinimumSize(640, 400)  # 1280×800 at 200 %

        self.conversations = ConversationList(services.history)
        self._pages = {page.key: page for page in PAGES}
        self.rail = Rail(self.theme, list(self._pages.values()))
        self.sidebar = Sidebar(self.theme, self.conversations)
        self.notice = NoticeBar(self.theme)
        self.chat = ChatView(self.theme, services)
        self._made: dict[str, QWidget] = {"chat": self.chat}
        self._sidebar_wanted, self._sidebar_asked = bool(services.settings.get("sidebar")), False
        self.pages = QStackedWidget()
        self.pages.addWidget(self.chat)
        right = QWidget()
        right.setObjectName("content")
        right.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        column = QVBoxLayout(right)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.notice)
        column.addWidget(self.pages, 1)
        whole = QWidget()
        row = QHBoxLayout(whole)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.rail)
        row.addWidget(self.sidebar)
        row.addWidget(right, 1)
        self.setCentralWidget(whole)

        self._fit_sidebar()
        self.theme.changed.connect(self._fit_sidebar)
        self._connect_signals()
        self._add_shortcuts()
        self._restore_geometry()
        self.rail.show_page("chat")
        self._news.show_jobs()
        self._news.show_offline()
        self.chat.composer.edit.setFocus()
        QTimer.singleShot(1200, self, _warm)

    def _connect_signals(self) -> None:
        sidebar, chat, services = self.sidebar, self.chat, self._services
        sidebar.new_chat.connect(self.new_chat)
        self.error_occurred.connect(self.show_error)
        self.fault_occurred.connect(self.show_fault)
        self.rail.wanted.connect(self.show_page)
        self.rail.mode_wanted.connect(lambda mode: services.settings.set("theme", mode))
        self.rail.help.setMenu(help_menu.help_menu(self, self.show_shortcuts, self.show_report))
        sidebar.open_conversation.connect(self.open_conversation)
        acts = self.conversation_actions = ConversationActions(self, services)
        for part in (sidebar, chat):
            signals = (part.rename, part.export, part.delete) if part is sidebar else (
                chat.rename_wanted, chat.export_wanted, chat.delete_wanted
            )
            for signal, slot in zip(signals, (acts.rename, acts.export, self.delete), strict=True):
                signal.connect(slot)
        chat.opened.connect(sidebar.show_current)
        chat.created.connect(self._on_created)
        chat.busy_changed.connect(self._on_busy)
        chat.library_wanted.connect(self.show_library)
        chat.get_wanted.connect(self._get)
        services.settings.changed.connect(self._on_setting)
        self._news = News(self, services)

    def _add_shortcuts(self) -> None:
        install(self, "new_chat", self.new_chat)
        install(self, "search", self.focus_search)
        for page in self._pages.values():
            install(self, page.shortcut, partial(self.show_page, page.key))
        install(self, "sidebar", self.toggle_sidebar)
        install(self, "larger", lambda: self._scale_text(5))
        install(self, "smaller", lambda: self._scale_text(-5))
        install(self, "usual_size", lambda: self._services.settings.reset("text_scale"))
        install(self, "shortcuts", self.show_shortcuts)
        install(self, "escape", self._on_escape)
        install(self, "quit", self.close)

    # What can be shown

    def begin(self, model_id: str = "", left: int | None = None) -> None:
        """What the window shows first: a chat with ``model_id``, or what the settings say.

        ``left``: the conversation that was open when the window went down without ending properly (0: none).
        """
        if model_id:
            self.open_chat(model_id)
        elif (first := self._services.settings.get("start_page")) == "library":
            self.show_page("library")
        elif first == "last" and (known := self._services.history.conversations()):
            self.open_conversation(known[0].id)
        if left is not None:
            crash_notice.tell(self, left)

    def new_chat(self) -> None:
        self._show_chat()
        if self.chat.conversation.id is not None:
            self.chat.new_chat()
        self.chat.composer.edit.setFocus()

    def open_chat(self, model_id: str) -> None:
        """A new chat with this model, which is loaded when needed."""
        self._show_chat()
        self.chat.new_chat(model_id)
        self._services.settings.set("last_model", model_id)

    def open_conversation(self, conversation_id: int) -> None:
        self._sidebar_asked = False
        self._show_chat()
        self.chat.open(conversation_id)

    @property
    def library(self) -> LibraryView | None:
        """The library, once it has been shown."""
        return cast("LibraryView | None", self._made.get("library"))

    @property
    def page(self) -> str:
        """The key of the page that is shown."""
        shown = self.pages.currentWidget()
        return next(key for key, made in self._made.items() if made is shown)

    def show_page(self, key: str) -> None:
        """Show a page of :data:`app.views.pages.PAGES`; it is made on first use."""
        if key == "chat":
            self._sidebar_asked = self.page == "chat" and not self._sidebar_asked  # the only button for it there
            self._show_chat()
            self.chat.composer.edit.setFocus()
            return
        if self.conversation_actions.show(key):
            return
        page = self._made.get(key)
        if page is None:
            page = self._made[key] = self._pages[key].make(self.theme, self._services)
            self._connect_page(page)
            self.pages.addWidget(page)
        self._switch(key, page)
        if focus_first := getattr(page, "focus_first", None):
            focus_first()

    def _connect_page(self, page: QWidget) -> None:
        for name, slot in (
            ("chat_wanted", self.open_chat),
            ("context_wanted", self.chat.show_context_dialog),
            ("page_wanted", self.show_page),
        ):
            if (signal := getattr(page, name, None)) is not None:
                signal.connect(slot)

    def _fit_sidebar(self) -> None:
        """Wider with a larger text, and with its edge where the page is."""
        self.sidebar.setFixedWidth(min(340, round(WIDTH * max(1.0, self.theme.scale / 100))))
        set_property(self.sidebar, "mirrored", "true" if self.isRightToLeft() else "false")

    def _switch(self, key: str, page: QWidget) -> None:
        self.pages.setCurrentWidget(page)
        self.rail.show_page(key)
        self._show_sidebar()

    def _show_sidebar(self) -> None:
        """Beside the chat alone; in a narrow window only while it is asked for."""
        wanted = self._sidebar_wanted if self.width() >= NARROW else self._sidebar_asked
        self.sidebar.setVisible(wanted and self.page == "chat")

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._show_sidebar()

    def show_library(self) -> None:
        self.show_page("library")
        if self.library is not None:
            self.library.search.setFocus()

    def show_settings(self) -> None:
        self.show_page("settings")

    def toggle_sidebar(self) -> None:
        """Show or hide the list of conversations."""
        wanted = not self.sidebar.isVisibleTo(self)
        if self.width() < NARROW:
            self._sidebar_asked = wanted
        else:
            self._sidebar_wanted = wanted
            self._services.settings.set("sidebar", wanted)
        self._show_chat()

    def show_shortcuts(self) -> None:
        from app.views.shell.shortcut_sheet import ShortcutSheet

        ShortcutSheet(self.theme, self).open()

    def show_report(self) -> None:
        from app.views.settings.report_dialog import ReportDialog

        ReportDialog(self.theme, self._services, self).open()

    def focus_search(self) -> None:
        """The search of the page that is shown, else that of the conversations."""
        field = getattr(self.pages.currentWidget(), "search", None)
        if isinstance(field, QLineEdit):
            field.setFocus()
            field.selectAll()
            return
        self._sidebar_wanted = self._sidebar_asked = True
        self._show_chat()
        self.sidebar.focus_search()

    def show_error(self, message: str) -> None:
        """A foreseeable error that nothing else has shown."""
        self.notice.show_notice(message, "danger")

    def show_fault(self, line: str, trace: str) -> None:
        """An error that nobody foresaw: said, and never more than said."""
        from app.views.shell.fault_dialog import FaultDialog

        self.notice.show_notice(
            tr("Something went wrong: {reason}. Your conversations are safe.").format(reason=line), "danger",
            tr("Details"), lambda: FaultDialog(self.theme, trace, self.show_report, self).open(),
        )

    def _scale_text(self, step: int) -> None:
        wanted = int(self._services.settings.get("text_scale") or 100) + step
        if 90 <= wanted <= 150:
            self._services.settings.set("text_scale", wanted)

    def _show_chat(self) -> None:
        self._switch("chat", self.chat)

    # What can be done with a conversation

    def delete(self, conversation_id: int) -> None:
        """Out of the list at once, and back again with one click."""
        self.conversation_actions.delete([conversation_id])

    # What the services tell

    def _on_created(self, conversation_id: int) -> None:
        self.conversations.refresh()
        self.sidebar.show_current(conversation_id)

    def _on_busy(self, conversation_id: int, busy: bool) -> None:
        self.conversations.set_busy(conversation_id, busy)
        self.conversations.refresh()

    def _on_setting(self, key: str) -> None:
        if key == "theme":
            self.theme.set_mode(str(self._services.settings.get("theme")))
        elif key == "text_scale":
            self.theme.set_scale(int(self._services.settings.get("text_scale") or 100))

    def _get(self, source: str, encoding: str) -> None:
        self._services.jobs.add(source, encoding)
        self.show_library()

    def _on_escape(self) -> None:
        if self.chat.conversation.busy:
            self.chat.stop()
        elif self.pages.currentWidget() is not self.chat:
            self._show_chat()
        else:
            self.chat.composer.edit.setFocus()

    # Geometry

    def _restore_geometry(self) -> None:
        saved = str(self._services.settings.get("window_geometry") or "")
        if not saved or not self.restoreGeometry(QByteArray.fromBase64(saved.encode())):
            self.resize(1180, 800)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        geometry = bytes(self.saveGeometry().toBase64().data()).decode()
        self._services.settings.set("window_geometry", geometry)
        super().closeEvent(event)


def _warm() -> None:
    """What the first answer will need, imported and compiled while nothing else is going on."""
    markdown.parse("# a\n\n- b `c` **d** <https://e.f>\n\n| g |\n|---|\n| h |\n\n> i\n")
    highlight.warm()
