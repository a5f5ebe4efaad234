"""How one gets at a model whose authors want to know who takes it, step by step."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout

from app.theme import Space, Theme
from app.translation import tr
from app.views.controls.controls import Button, label

TOKENS = "https://huggingface.co/settings/tokens"


class GatedSteps(QFrame):
    """``settings_wanted``: to put the token in; ``again_wanted``: when all is done."""

    settings_wanted = Signal()
    again_wanted = Signal()

    def __init__(self, theme: Theme, address: str) -> None:
        super().__init__()
        self.setProperty("role", "card")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(Space.WIDE, Space.WIDE, Space.WIDE, Space.WIDE)
        layout.setSpacing(Space.SMALL)
        layout.addWidget(label(tr("This model asks for an account"), "heading"))
        layout.addWidget(label(tr(
            "Its authors want to know who takes it. That is free, and done once:"
        ), "muted", wrap=True))
        for number, step in enumerate(steps(address), 1):
            text = label(tr("{number}. {step}").format(number=number, step=step), wrap=True, selectable=True)
            layout.addWidget(text)
        row = QHBoxLayout()
        row.setSpacing(Space.SMALL)
        row.addWidget(Button(theme, tr("Open the settings"), self.settings_wanted.emit, icon_name="key"))
        row.addWidget(Button(theme, tr("Try again"), self.again_wanted.emit, icon_name="refresh"))
        row.addStretch()
        layout.addLayout(row)


def steps(address: str) -> list[str]:
    """What to do, in order."""
    return [
        tr("Open {address} in your browser, log in, and accept the terms. Some authors approve by hand.").format(
            address=address),
        tr("Make a token that may read, at {address}.").format(address=TOKENS),
        tr("Put it into the settings under Network, as the Hugging Face token. It is kept in the system's key ring."),
    ]
