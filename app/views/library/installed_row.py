"""An installed model: what it is, what it takes, and the two things to do with it."""

from __future__ import annotations

import json
from collections.abc import Callable

from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout

from app import wording
from app.library import measured
from app.library.library import InstalledEntry
from app.theme import Theme
from app.translation import tr
from app.views.controls.controls import Button, IconButton, label, tag
from app.views.controls.elided_label import ElidedLabel


class InstalledRow(QFrame):
    """``on_chat``, ``on_context``, ``on_open`` and ``on_delete`` are called with the entry."""

    def __init__(
        self,
        theme: Theme,
        entry: InstalledEntry,
        name: str,
        on_chat: Callable[[InstalledEntry], object],
        on_context: Callable[[InstalledEntry], object],
        on_open: Callable[[InstalledEntry], object],
        on_delete: Callable[[InstalledEntry], object],
    ) -> None:
        super().__init__()
        self.setProperty("role", "card")
        source, encoding = wording.model_and_encoding(entry.id)
        self.setAccessibleName(tr("Installed model {id}").format(id=entry.id))
        chat = Button(theme, tr("Chat"), lambda: on_chat(entry), kind="primary", icon_name="chat")
        chat.setAccessibleName(tr("Chat with {name}").format(name=name))
        context = IconButton(theme, "gauge", tr("Context of {name}").format(name=name), lambda: on_context(entry))
        context.setToolTip(tr("How long the context is to be, and what it takes of the memory"))
        details = Button(theme, tr("Details"), lambda: on_open(entry))
        details.setAccessibleName(tr("Details of {name}").format(name=name))
        details.setToolTip(tr("What it is, how good it is, and how it could be converted again"))
        delete = IconButton(theme, "trash", tr("Delete {id}").format(id=entry.id), lambda: on_delete(entry))
        title = QHBoxLayout()
        title.setSpacing(8)
        title.addWidget(ElidedLabel(name, "heading"))
        title.addWidget(tag(wording.encoding(encoding or entry.encoding), "accent"))
        title.addStretch()
        facts = [wording.size(entry.bytes)]
        if bits := bits_per_weight(entry):
            facts.append(tr("{bits} bits a weight").format(bits=wording.decimal(bits, 2)))
        pace = measured.usual_speed(entry.id)
        if pace is not None:
            facts.append(tr("{number} tokens/s measured here").format(number=f"{pace:.0f}"))
        facts.append(_sentence(entry.fit.sentence))
        facts.append(source)
        words = QVBoxLayout()
        words.setSpacing(3)
        words.addLayout(title)
        line = label("  ·  ".join(facts), "muted", wrap=True)
        words.addWidget(line)
        if not entry.fit.ok:
            line.setProperty("role", "warning")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(18, 13, 12, 14)
        layout.setSpacing(10)
        layout.addLayout(words, 1)
        layout.addWidget(details)
        layout.addWidget(context)
        layout.addWidget(chat)
        layout.addWidget(delete)


def bits_per_weight(entry: InstalledEntry) -> float:
    """True bits per weight of the projections from the model's receipt; 0.0 where it says nothing."""
    try:
        receipt = json.loads((entry.path / "receipt.json").read_text(encoding="utf-8"))
        return float(receipt["bits_per_weight"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
