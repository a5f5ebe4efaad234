"""The models of the chat: which one answers, what is offered beside it, and how far it is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from app.library.names import model_name
from app.translation import tr
from app.views.chat.model_picker import choices

if TYPE_CHECKING:
    from app.application import Services
    from app.views.chat.chat_view import ChatView


class ChatModels(QObject):
    """Shows in ``view`` what the library and the engine say."""

    def __init__(self, view: ChatView, services: Services) -> None:
        super().__init__(view)
        self._view, self._services = view, services

    def refresh(self) -> None:
        """The list of installed models may be another."""
        view, library = self._view, self._services.library
        installed = {entry.id for entry in library.installed()}
        if library.loaded and view.loaded.model_id and view.loaded.model_id not in installed:
            view.loaded.forget()
        if view.conversation.id is None and view.conversation.model not in installed:
            view.conversation.set_model(self.preferred())
        self.show()
        self.load()

    def preferred(self) -> str:
        """The model of a new chat."""
        installed = [entry.id for entry in self._services.library.installed()]
        last = str(self._services.settings.get("last_model") or "")
        return last if last in installed else (installed[0] if installed else "")

    def pick(self, model_id: str) -> None:
        """Go on with another model, here and in new chats."""
        view = self._view
        view.conversation.set_model(model_id)
        self._services.settings.set("last_model", model_id)
        self.show()
        self.load()
        view.comparing.plan_anew()
        view.attachments.count(afresh=True)

    def unload(self, model_id: str) -> None:
        """Give a model's memory back."""
        if model_id == self._view.loaded.model_id:
            self._view.loaded.unload()
        else:
            self._services.client.unload(model_id).done.connect(lambda _: self.show())

    def name(self, model_id: str) -> str:
        """What the model is called."""
        return model_name(model_id, self._services.library)

    def load(self) -> None:
        """Bring the conversation's model into memory."""
        if self._is_installed(self._view.conversation.model):
            self._view.loaded.want(self._view.conversation.model)

    def show(self) -> None:
        """The header, and what the composer says of the model."""
        view, client, library = self._view, self._services.client, self._services.library
        model, installed = view.conversation.model, library.installed()
        offered = choices(installed, self.name, list(client.loaded), client.sizes)
        view.header.picker.show_models(offered, model, self.name(model))
        view.header.show_comparisons([one for one in offered if one.id != model])
        view.header.setVisible(bool(installed or model))
        view.composer.set_model_name(self.name(model))
        if not installed:
            reason = tr("Get a model first") if library.loaded else tr("Looking for models…")
        elif not self._is_installed(model):
            reason = tr("This model is not installed any more: choose another above")
        else:
            reason = ""
        view.composer.set_blocked(reason)
        self.show_welcome()

    def show_welcome(self, *_: object) -> None:
        """What an empty chat shows."""
        if self._view.conversation.visible:
            return
        library = self._services.library
        if library.installed():
            self._view.welcome.show_ready(self.name(self._view.conversation.model))
        elif library.loaded:
            working = any(job.state in ("queued", "running") for job in self._services.jobs.jobs())
            catalogue = library.catalogue()
            starter = next((entry for entry in catalogue if entry.source == "starter"), None)
            self._view.welcome.show_no_model(starter or (catalogue[0] if catalogue else None), working, library)

    def on_loaded(self) -> None:
        """The model is loaded, or further than it was."""
        view, loaded = self._view, self._view.loaded
        view.header.show_load(loaded.state, loaded.message, loaded.done, loaded.total)
        view.header.show_context(loaded.context, loaded.kv)
        self._show_notices()
        if loaded.state in ("ready", "unloaded"):
            self.show()
        view.comparing.on_loaded()
        if loaded.state == "ready":
            view.count()
        else:
            view.composer.show_use(0, 0)
        if view.conversation.busy and loaded.state == "loading":
            if loaded.total:
                percent = round(100 * loaded.done / loaded.total)
                view.messages.set_waiting(tr("Loading the model {percent} %…").format(percent=percent))
            else:
                view.messages.set_waiting(tr("Loading the model…"))

    def _show_notices(self) -> None:
        """What suffers in the model as it was loaded; once closed it stays away until it is another sentence."""
        text = " ".join(_sentence(notice) for notice in self._view.loaded.notices)
        if not text:
            self._view.notices.hide()
        elif text != self._view.notices.text:
            self._view.notices.show_notice(text)

    def _is_installed(self, model_id: str) -> bool:
        return any(entry.id == model_id for entry in self._services.library.installed())


def _sentence(text: str) -> str:
    """A notice as a sentence."""
    text = text.strip()
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else text + "."
