"""What was written comes back into its field when it cannot be sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from app.history.records import Attachment
from tzcore.errors import StorageError

if TYPE_CHECKING:
    from app.views.chat.chat_view import ChatView


@contextmanager
def kept(view: ChatView, text: str, attachments: Sequence[Attachment]) -> Iterator[None]:
    """Around the sending: where the history cannot take it (a full disk), nothing that was written is lost."""
    try:
        yield
    except StorageError:
        said = view.conversation.messages
        if not said or said[-1].role != "user" or said[-1].text != text:
            view.composer.set_text(text)
            for one in attachments:
                view.attachments.add(one)
        raise
