"""The chat: header, messages, composer; shows one conversation at a time while others may go on being answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, Qt, QTimer, Signal
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from app.attachments.pending import PendingAttachments
from app.chat.conversation import Conversation
from app.chat.drafts import Drafts
from app.chat.loaded_model import LoadedModel
from app.chat.token_counter import TokenCounter
from app.history.history import Message
from app.theme import Theme
from app.translation import tr
from app.views.chat.chat_header import ChatHeader
from app.views.chat.chat_models import ChatModels
from app.views.chat.comparing import Comparing
from app.views.chat.composer import Composer
from app.views.chat.conversation_keys import install_keys
from app.views.chat.kept_text import kept
from app.views.chat.message_edit import local_files
from app.views.chat.message_list import COLUMN, MessageList
from app.views.chat.transcript import Transcript
from app.views.chat.user_message import UserMessage
from app.views.chat.welcome_view import WelcomeView
from app.views.controls.controls import label
from app.views.controls.notice_bar import NoticeBar

if TYPE_CHECKING:
    from app.application import Services
    from app.engine.client import Reply
    from app.views.chat.sampling_panel import SamplingPanel

COUNT_AFTER = 450
"""Milliseconds without typing before tokens are counted again, and the draft is kept."""
NARROW = 720
"""Pixels below which the panel takes the place of the messages."""


class ChatView(QWidget):
    """Emits what the rest of the window must know or do."""

    opened = Signal(object)
    """The id of the conversation shown now; ``None``: a new one."""
    created = Signal(int)
    busy_changed = Signal(int, bool)
    """An answer begins or ends in the conversation with this id."""
    library_wanted = Signal()
    get_wanted = Signal(str, str)
    rename_wanted = Signal(int)
    export_wanted = Signal(int)
    delete_wanted = Signal(int)

    def __init__(self, theme: Theme, services: Services) -> None:
        super().__init__()
        self._services, self._theme = services, theme
        self._live: dict[int, Conversation] = {}
        self.loaded = LoadedModel(services, self)
        self.counter = TokenCounter(services.client, self)
        self.drafts = Drafts()
        self.attachments = PendingAttachments(self._count_text, parent=self)
        self.header = ChatHeader(theme)
        self.notices = NoticeBar(theme)
        self.messages = MessageList(theme)
        self.transcript = Transcript(self.messages)
        self.welcome = WelcomeView(theme)
        self.composer = Composer(theme, self.attachments)
        self.models = ChatModels(self, services)
        self.panel: SamplingPanel | None = None
        self._note = label(tr("Models make mistakes. Check what matters."), "small")
        self.conversation = self._conversation(None)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.welcome)
        self._stack.addWidget(self.messages)
        self.comparing = Comparing(theme, services, self, self._stack)
        self._lay_out()
        self._count_timer = QTimer(self, singleShot=True, interval=COUNT_AFTER)
        self._count_timer.timeout.connect(self._on_pause)
        self.setAcceptDrops(True)
        self._connect_signals()
        install_keys(self)
        self._bind(self.conversation)
        self._read_draft()
        self.models.refresh()

    def _lay_out(self) -> None:
        bottom = QVBoxLayout()
        bottom.setContentsMargins(0, 0, 0, 0)
        bottom.setSpacing(6)
        bottom.addWidget(self.composer)
        bottom.addWidget(self._note, 0)
        self._note.setAlignment(self._note.alignment().AlignHCenter)
        self._bottom = QWidget()
        self._bottom.setMaximumWidth(COLUMN + 24)
        self._bottom.setLayout(bottom)
        row = QHBoxLayout()
        row.setContentsMargins(20, 4, 20, 10)
        row.addStretch(1)
        row.addWidget(self._bottom, 100)
        row.addStretch(1)
        self._talk = QWidget()
        talk = QVBoxLayout(self._talk)
        talk.setContentsMargins(0, 0, 0, 0)
        talk.setSpacing(0)
        talk.addWidget(self.comparing, 1)
        talk.addLayout(row)
        self._body = QHBoxLayout()
        self._body.setSpacing(0)
        self._body.addWidget(self._talk, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.header)
        layout.addWidget(self.notices)
        layout.addLayout(self._body, 1)

    def _connect_signals(self) -> None:
        self.composer.send.connect(self.send)
        self.composer.stop.connect(self.stop)
        self.composer.text_changed.connect(self._count_timer.start)
        self.composer.longer_context.connect(self.choose_context)
        self.composer.edit.up_pressed.connect(self.edit_last)
        self.transcript.changed.connect(self._on_shown)
        self.transcript.answered.connect(self._on_answered)
        self.transcript.reading.connect(lambda total: self.composer.show_use(total, self.loaded.context))
        self.transcript.larger_wanted.connect(self.choose_context)
        self.counter.counted.connect(lambda used: self.composer.show_use(used, self.loaded.context))
        self.comparing.busy_changed.connect(self._on_busy)
        self.header.picked.connect(self.pick_model)
        self.header.picker.unload.connect(self.models.unload)
        self.header.panel.connect(self.toggle_panel)
        self.header.compare.connect(self.comparing.begin)
        self.header.retry.connect(self.loaded.retry)
        self.header.context.connect(self.choose_context)
        self.composer.gauge.clicked.connect(self._show_popover)
        for signal, wanted in (
            (self.header.rename, self.rename_wanted),
            (self.header.export, self.export_wanted),
            (self.header.delete, self.delete_wanted),
        ):
            signal.connect(lambda wanted=wanted: wanted.emit(self.conversation.id))
        self.welcome.get.connect(self.get_wanted)
        self.welcome.library.connect(self.library_wanted)
        self.welcome.idea.connect(self._take_idea)
        self.loaded.changed.connect(self.models.on_loaded)
        self._services.library.changed.connect(self.models.refresh)
        self._services.settings.changed.connect(self._on_setting)
        self._on_setting("send_with")
        if (application := QCoreApplication.instance()) is not None:
            application.aboutToQuit.connect(self.keep_draft)
        jobs = self._services.jobs
        for signal in (jobs.added, jobs.removed, jobs.changed):
            signal.connect(self.models.show_welcome)

    # Which conversation

    def new_chat(self, model_id: str = "") -> None:
        """An empty conversation; it is kept only once something is said."""
        self.show_conversation(self._conversation(None, model_id))

    def open(self, conversation_id: int) -> None:
        """Show a conversation of the history."""
        if conversation_id == self.conversation.id:
            return
        known = self._live.get(conversation_id)
        self.show_conversation(known or self._conversation(conversation_id))

    def _conversation(self, conversation_id: int | None, model_id: str = "") -> Conversation:
        return self.track(Conversation(self._services, conversation_id, model_id or self.models.preferred()))

    def track(self, conversation: Conversation) -> Conversation:
        """Keep it alive while it is being answered, shown or not."""
        conversation.busy_changed.connect(lambda busy: self._track(conversation, busy))
        return conversation

    def _track(self, conversation: Conversation, busy: bool) -> None:
        """Keep a conversation while it is being answered, shown or not."""
        assert conversation.id is not None
        if busy:
            self._live[conversation.id] = conversation
        else:
            self._live.pop(conversation.id, None)
        self.busy_changed.emit(conversation.id, busy)

    def close_conversation(self, conversation_id: int) -> None:
        """It was deleted: stop what is being written in it, and show another."""
        conversation = self._live.pop(conversation_id, None)
        if conversation is not None:
            conversation.stop()
        if conversation_id == self.conversation.id:
            self.conversation.stop()
            self.new_chat()

    def show_conversation(self, conversation: Conversation) -> None:
        """Show it in place of the one that is shown, which goes on."""
        self.keep_draft()
        self.comparing.end()
        self._unbind(self.conversation)
        if not self.conversation.busy:
            self.conversation.deleteLater()
        self.conversation = conversation
        self._bind(conversation)
        self.models.show()
        self.models.load()
        self._read_draft()
        self.opened.emit(conversation.id)
        self.counter.drop()
        self.composer.gauge.show_use(0, 0)  # what it shows is the other conversation's
        self._count_timer.start()
        if conversation.id is None:
            self._count_tokens()
        self.composer.edit.setFocus()

    def _bind(self, conversation: Conversation) -> None:
        conversation.created.connect(self._on_created)
        conversation.busy_changed.connect(self._on_busy)
        conversation.branching_changed.connect(self._on_branching)
        conversation.settings_changed.connect(self._count_timer.start)
        self.transcript.show(conversation)
        self.composer.set_busy(conversation.busy)
        self._on_branching()
        if self.panel is not None:
            self.panel.show_conversation(conversation)

    def _unbind(self, conversation: Conversation) -> None:
        conversation.created.disconnect(self._on_created)
        conversation.busy_changed.disconnect(self._on_busy)
        conversation.branching_changed.disconnect(self._on_branching)
        conversation.settings_changed.disconnect(self._count_timer.start)

    # What the user does

    def send(self, text: str) -> None:
        """Say ``text``, with the files that are attached."""
        if self.panel is not None:
            self.panel.keep_system()
        attachments = self.attachments.ready
        self.attachments.clear()
        self.drafts.keep(self.conversation.id, "", [])
        self.loaded.want(self.conversation.model, needed=True)
        with kept(self, text, attachments):
            if not self.comparing.send(text, attachments):
                self.conversation.send(text, attachments)

    def stop(self) -> None:
        if not self.comparing.stop():
            self.conversation.stop()

    def edit_last(self) -> None:
        """Edit what was said last."""
        views = [view for view in self.messages.views if isinstance(view, UserMessage)]
        if views and not self.conversation.busy:
            views[-1].begin_edit()

    def toggle_panel(self) -> None:
        """Show or hide the system prompt and the sampling."""
        if self.panel is None:
            from app.views.chat.sampling_panel import SamplingPanel

            self.panel = SamplingPanel(self._theme, self._services, self.loaded)
            self.panel.hide()
            self.panel.closed.connect(self.toggle_panel)
            self.panel.show_conversation(self.conversation)
            self._body.addWidget(self.panel)
        self.panel.keep_system()
        shown = self.panel.isHidden()
        self.panel.setVisible(shown)
        self.header.panel_button.setChecked(shown)
        self._make_room()
        if shown:
            self.panel.focus_first()
        else:
            self.composer.edit.setFocus()

    def _make_room(self) -> None:
        shown = self.panel is not None and not self.panel.isHidden()
        narrow = self.width() < NARROW
        self._talk.setVisible(not (shown and narrow))
        if self.panel is not None:
            self.panel.set_whole(narrow)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._make_room()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802
        if local_files(event.mimeData()):
            event.acceptProposedAction()
            self.composer.note.show_note("drop", tr("Let go of the files here to attach them."))

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:  # noqa: N802
        super().dragLeaveEvent(event)
        self.composer.note.hide_note("drop")

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802
        event.acceptProposedAction()
        self.composer.note.hide_note("drop")
        self.composer.attach(local_files(event.mimeData()))

    # What was written and not sent

    def keep_draft(self) -> None:
        """Nothing is lost when the window closes, or another conversation is shown."""
        self.drafts.keep(self.conversation.id, self.composer.text, self.attachments.ready)

    def _read_draft(self) -> None:
        text, attachments = self.drafts.read(self.conversation.id)
        self.attachments.clear()
        self.composer.set_text(text)
        for attachment in attachments:
            self.attachments.add(attachment)

    def _on_pause(self) -> None:
        self.keep_draft()
        self._count_tokens()

    def pick_model(self, model_id: str) -> None:
        """Go on with another model, here and in new chats."""
        self.models.pick(model_id)

    def _take_idea(self, text: str) -> None:
        self.composer.set_text(text)
        self.composer.edit.setFocus()

    # What can be opened

    def choose_context(self) -> None:
        """Another length or precision of the context."""
        self.show_context_dialog(self.conversation.model)

    def show_context_dialog(self, model_id: str) -> None:
        """The context of a model, before it is opened or anew."""
        from app.views.chat.context_dialog import ContextDialog

        dialog = ContextDialog(self._theme, self._services, model_id, self.models.name(model_id), self.window())
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def _show_popover(self) -> None:
        from app.views.chat.context_popover import ContextPopover

        popover = ContextPopover(self._theme, self.loaded, self.conversation, self.composer.gauge, self)
        popover.resize_wanted.connect(self.choose_context)
        popover.show_above(self.composer.gauge)

    # What the conversation tells

    def _on_created(self, conversation_id: int) -> None:
        self.header.set_has_conversation(True)
        self.created.emit(conversation_id)

    def _on_shown(self) -> None:
        visible = bool(self.conversation.visible)
        self._stack.setCurrentWidget(self.messages if visible else self.welcome)
        self.header.set_has_conversation(self.conversation.id is not None)
        self.models.show_welcome()

    def _on_answered(self, message: Message) -> None:
        self.loaded.answered(message)
        self._count_timer.start()

    def _on_busy(self, _busy: bool) -> None:
        self.composer.set_busy(self.conversation.busy or self.comparing.busy)

    def _on_branching(self) -> None:
        if self.conversation.branching:
            text = tr("What you say next begins another branch here; the messages that followed stay.")
            self.composer.note.show_note("branch", text, [(tr("Back"), self.conversation.stay)])
            self.composer.edit.setFocus()
        else:
            self.composer.note.hide_note("branch")

    def _on_setting(self, key: str) -> None:
        if key == "send_with":
            self.composer.set_enter_sends(self._services.settings.get(key) == "enter")

    # The context gauge

    def count(self) -> None:
        """Have counted what is not counted yet."""
        self.attachments.enough = 2 * self.loaded.context
        self.attachments.count()
        self._count_tokens()

    def _count_tokens(self) -> None:
        if not self.loaded.serves(self.conversation.model):
            return
        if too_many := self.attachments.too_many:  # what is more need not be counted
            self.counter.drop()
            self.composer.show_use(too_many, self.loaded.context)
        elif not self.conversation.busy and not self.attachments.uncounted:  # each is followed by another count
            self.counter.count(self.conversation, self.composer.text.strip(), self.attachments.ready)

    def _count_text(self, text: str) -> Reply | None:
        model = self.conversation.model
        return self._services.client.count_text(model, text) if self.loaded.serves(model) else None
