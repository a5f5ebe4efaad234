"""The chat: header, messages, composer; shows one conversation at a time while others may go on being answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from app import wording
from app.chat.conversation import Conversation
from app.chat.loaded_model import LoadedModel
from app.history.history import Message
from app.library.names import model_name
from app.theme import Theme
from app.translation import tr
from app.views.chat.chat_header import ChatHeader
from app.views.chat.composer import Composer
from app.views.chat.message_list import COLUMN, MessageList
from app.views.chat.welcome_view import WelcomeView
from app.views.controls.controls import label
from app.views.controls.notice_bar import NoticeBar

if TYPE_CHECKING:
    from app.application import Services
    from app.engine.client import Reply

COUNT_AFTER = 450
"""Milliseconds without typing before tokens are counted again."""


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
        self._count: Reply | None = None
        self.loaded = LoadedModel(services, self)
        self.header = ChatHeader(theme)
        self.notices = NoticeBar(theme)
        self.messages = MessageList(theme)
        self.welcome = WelcomeView(theme)
        self.composer = Composer(theme)
        self._note = label(tr("Models make mistakes. Check what matters."), "small")
        self.conversation = self._conversation(None)

        self._stack = QStackedWidget()
        self._stack.addWidget(self.welcome)
        self._stack.addWidget(self.messages)
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
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.header)
        layout.addWidget(self.notices)
        layout.addWidget(self._stack, 1)
        layout.addLayout(row)

        self._count_timer = QTimer(self)
        self._count_timer.setSingleShot(True)
        self._count_timer.setInterval(COUNT_AFTER)
        self._count_timer.timeout.connect(self._count_tokens)
        self._connect_signals()
        self._bind(self.conversation)
        self.refresh_models()

    def _connect_signals(self) -> None:
        self.composer.send.connect(self.send)
        self.composer.stop.connect(self.stop)
        self.composer.text_changed.connect(self._count_timer.start)
        self.messages.regenerate.connect(self._regenerate)
        self.messages.edited.connect(self._edit)
        self.messages.step.connect(self._show_sibling)
        self.header.picked.connect(self.pick_model)
        self.header.retry.connect(self.loaded.retry)
        self.header.context.connect(self.choose_context)
        self.composer.gauge.clicked.connect(self._show_popover)
        self.messages.overflow_chosen.connect(self._take_way_out)
        for signal, wanted in (
            (self.header.rename, self.rename_wanted),
            (self.header.export, self.export_wanted),
            (self.header.delete, self.delete_wanted),
        ):
            signal.connect(lambda wanted=wanted: wanted.emit(self.conversation.id))
        self.welcome.get.connect(self.get_wanted)
        self.welcome.library.connect(self.library_wanted)
        self.welcome.idea.connect(self._take_idea)
        self.loaded.changed.connect(self._on_loaded)
        self._services.library.changed.connect(self.refresh_models)
        jobs = self._services.jobs
        for signal in (jobs.added, jobs.removed, jobs.changed):
            signal.connect(self._show_welcome)

    # Which conversation

    def new_chat(self, model_id: str = "") -> None:
        """An empty conversation; it is kept only once something is said."""
        self._show(self._conversation(None, model_id))

    def open(self, conversation_id: int) -> None:
        """Show a conversation of the history."""
        if conversation_id == self.conversation.id:
            return
        known = self._live.get(conversation_id)
        self._show(known or self._conversation(conversation_id))

    def _conversation(self, conversation_id: int | None, model_id: str = "") -> Conversation:
        conversation = Conversation(self._services, conversation_id, model_id or self._preferred_model())
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

    def _show(self, conversation: Conversation) -> None:
        if not self.conversation.busy:
            self.conversation.deleteLater()
        self._unbind(self.conversation)
        self.conversation = conversation
        self._bind(conversation)
        self._show_model()
        self._load()
        self.opened.emit(conversation.id)
        self._count_timer.start()
        self.composer.edit.setFocus()

    def _bind(self, conversation: Conversation) -> None:
        conversation.created.connect(self._on_created)
        conversation.reset.connect(self._on_reset)
        conversation.appended.connect(self._on_appended)
        conversation.delta.connect(self.messages.feed)
        conversation.replaced.connect(self._on_replaced)
        conversation.prompt_progress.connect(self._on_prompt_progress)
        conversation.summarising.connect(self._on_summarising)
        conversation.context_changed.connect(self._on_context_changed)
        conversation.busy_changed.connect(self._on_busy)
        self._on_reset()
        self.messages.set_busy(conversation.busy)
        self.composer.set_busy(conversation.busy)

    def _unbind(self, conversation: Conversation) -> None:
        for signal, slot in (
            (conversation.created, self._on_created),
            (conversation.reset, self._on_reset),
            (conversation.appended, self._on_appended),
            (conversation.delta, self.messages.feed),
            (conversation.replaced, self._on_replaced),
            (conversation.prompt_progress, self._on_prompt_progress),
            (conversation.summarising, self._on_summarising),
            (conversation.context_changed, self._on_context_changed),
            (conversation.busy_changed, self._on_busy),
        ):
            signal.disconnect(slot)

    # What the user does

    def send(self, text: str) -> None:
        self.conversation.send(text)

    def stop(self) -> None:
        self.conversation.stop()

    def _regenerate(self, message_id: int) -> None:
        self.conversation.regenerate(message_id)

    def _edit(self, message_id: int, text: str) -> None:
        self.conversation.edit(message_id, text)

    def _show_sibling(self, message_id: int, step: int) -> None:
        self.conversation.show_sibling(message_id, step)

    def pick_model(self, model_id: str) -> None:
        """Go on with another model, here and in new chats."""
        self.conversation.set_model(model_id)
        self._services.settings.set("last_model", model_id)
        self._show_model()
        self._load()

    def _take_idea(self, text: str) -> None:
        self.composer.set_text(text)
        self.composer.edit.setFocus()

    # Models

    def refresh_models(self) -> None:
        """The list of installed models may be another."""
        installed = {entry.id for entry in self._services.library.installed()}
        if self._services.library.loaded and self.loaded.model_id and self.loaded.model_id not in installed:
            self.loaded.forget()
        if self.conversation.id is None and self.conversation.model not in installed:
            self.conversation.set_model(self._preferred_model())
        self._show_model()
        self._load()

    def _preferred_model(self) -> str:
        installed = [entry.id for entry in self._services.library.installed()]
        last = str(self._services.settings.get("last_model") or "")
        return last if last in installed else (installed[0] if installed else "")

    def _name(self, model_id: str) -> str:
        return model_name(model_id, self._services.library)

    def _is_installed(self, model_id: str) -> bool:
        return any(entry.id == model_id for entry in self._services.library.installed())

    def _load(self) -> None:
        if self._is_installed(self.conversation.model):
            self.loaded.want(self.conversation.model)

    def _show_model(self) -> None:
        model = self.conversation.model
        installed = self._services.library.installed()
        self.header.picker.show_models(installed, model, self._name)
        self.header.setVisible(bool(installed or model))
        self.composer.set_model_name(self._name(model))
        self._update_blocked()
        self._show_welcome()

    def _update_blocked(self) -> None:
        library = self._services.library
        if not library.installed():
            reason = tr("Get a model first") if library.loaded else tr("Looking for models…")
        elif not self._is_installed(self.conversation.model):
            reason = tr("This model is not installed any more: choose another above")
        else:
            reason = ""
        self.composer.set_blocked(reason)

    def _show_welcome(self, *_: object) -> None:
        if self.conversation.visible:
            return
        library = self._services.library
        if library.installed():
            self.welcome.show_ready(self._name(self.conversation.model))
        elif library.loaded:
            working = any(job.state in ("queued", "running") for job in self._services.jobs.jobs())
            catalogue = library.catalogue()
            starter = next((entry for entry in catalogue if entry.source == "starter"), None)
            self.welcome.show_no_model(starter or (catalogue[0] if catalogue else None), working)

    def _on_loaded(self) -> None:
        loaded = self.loaded
        self.header.show_load(loaded.state, loaded.message, loaded.done, loaded.total)
        self.header.show_context(loaded.context, loaded.kv)
        self._show_notices()
        if loaded.state == "ready":
            self._count_tokens()
        else:
            self.composer.gauge.show_use(0, 0)
        if self.conversation.busy and loaded.state == "loading":
            if loaded.total:
                percent = round(100 * loaded.done / loaded.total)
                self.messages.set_waiting(tr("Loading the model {percent} %…").format(percent=percent))
            else:
                self.messages.set_waiting(tr("Loading the model…"))

    def _show_notices(self) -> None:
        """What suffers in the model as it was loaded; once closed it stays away until it is another sentence."""
        text = " ".join(_sentence(notice) for notice in self.loaded.notices)
        if not text:
            self.notices.hide()
        elif text != self.notices.text:
            self.notices.show_notice(text)

    def choose_context(self) -> None:
        """Another length or precision of the context."""
        self.show_context_dialog(self.conversation.model)

    def show_context_dialog(self, model_id: str) -> None:
        """The context of a model, before it is opened or anew."""
        from app.views.chat.context_dialog import ContextDialog

        dialog = ContextDialog(self._theme, self._services, model_id, self._name(model_id), self.window())
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def _show_popover(self) -> None:
        from app.views.chat.context_popover import ContextPopover

        popover = ContextPopover(self._theme, self.loaded, self.conversation, self.composer.gauge, self)
        popover.resize_wanted.connect(self.choose_context)
        popover.show_above(self.composer.gauge)

    def _take_way_out(self, message_id: int, choice: str) -> None:
        """What the user chose for a conversation that does not fit."""
        if choice == "larger":
            self.choose_context()
            return
        self.conversation.set_overflow(choice)
        self.conversation.regenerate(message_id)

    # What the conversation tells

    def _on_created(self, conversation_id: int) -> None:
        self.header.set_has_conversation(True)
        self.created.emit(conversation_id)

    def _on_reset(self) -> None:
        visible = self.conversation.visible
        self.messages.show_messages(visible)
        if self.conversation.busy and (text := self.conversation.current_text()):
            saved = visible[-1].text
            self.messages.feed(text[len(saved) :])
        self._stack.setCurrentWidget(self.messages if visible else self.welcome)
        self.header.set_has_conversation(self.conversation.id is not None)
        self._show_welcome()

    def _on_appended(self, message: Message) -> None:
        self._stack.setCurrentWidget(self.messages)
        self.messages.append(message)

    def _on_replaced(self, message: Message) -> None:
        self.messages.replace_last(message)
        self._count_timer.start()

    def _on_prompt_progress(self, done: int, total: int, seconds_left: float) -> None:
        if total:
            self.messages.set_waiting(wording.reading(done, total, seconds_left))
            self.composer.gauge.show_use(total, self.loaded.context)

    def _on_summarising(self, done: int, total: int) -> None:
        if total:
            percent = 100 * done // total
            self.messages.set_waiting(tr("Summarising the oldest messages · {percent} %").format(percent=percent))

    def _on_context_changed(self) -> None:
        self.messages.show_context(self.conversation.visible)

    def _on_busy(self, busy: bool) -> None:
        self.messages.set_busy(busy)
        self.composer.set_busy(busy)

    # The context gauge

    def _count_tokens(self) -> None:
        if self.loaded.state != "ready" or self.loaded.model_id != self.conversation.model:
            return
        prompt = self.conversation.prompt(self.composer.text.strip())
        if not prompt:
            self.composer.gauge.show_use(0, self.loaded.context)
            return
        if self.conversation.busy:
            return  # the engine is at work; counted again at the end
        if self._count is not None:
            self._count.done.disconnect(self._on_counted)
        self._count = self._services.client.count_tokens(self.conversation.model, prompt, self.conversation.summary)
        self._count.done.connect(self._on_counted)

    def _on_counted(self, count: object) -> None:
        self._count = None
        if isinstance(count, int):
            self.composer.gauge.show_use(count, self.loaded.context)


def _sentence(text: str) -> str:
    """A notice as a sentence."""
    text = text.strip()
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else text + "."
