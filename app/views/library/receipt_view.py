"""A model's receipt: one sentence on how good it is, the numbers with what they mean, and answers side by side."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from app import wording
from app.jobs.receipt import Receipt
from app.theme import Theme
from app.translation import tr
from app.views.controls.controls import Button, Column, frame, label, set_property
from app.views.controls.icons import pixmap
from app.views.controls.page_column import scrolled
from app.views.library.sample_texts import SampleTexts

_TONES = {
    "good": ("check", "success"), "fair": ("info", "warning"), "bad": ("warning", "danger"), "": ("help", "muted"),
}  # fmt: skip


class ReceiptView(QWidget):
    """``measure_wanted``: the user wants it measured now, which takes minutes and may fetch the original."""

    measure_wanted = Signal()

    def __init__(self, theme: Theme, receipt: Receipt | None = None, *, measuring: bool = False) -> None:
        super().__init__()
        self._theme = theme
        self._tone = ""
        self._icon = QLabel()
        self._icon.setFixedWidth(24)
        self._verdict = label("", "title", wrap=True, selectable=True)
        self._measure = Button(theme, tr("Measure now"), self.measure_wanted.emit, icon_name="gauge")
        self._measure_note = label("", "small", wrap=True)
        head = QHBoxLayout()
        head.setSpacing(10)
        head.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignTop)
        head.addWidget(self._verdict, 1)
        self._figures = QGridLayout()
        self._figures.setSpacing(12)
        self._samples_title = label(tr("The same questions to both"), "section")
        self._samples_note = label("", "muted", wrap=True, selectable=True)
        self._samples = Column(18)
        self._origin = label("", "small", wrap=True, selectable=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(12)
        layout.addLayout(head)
        layout.addWidget(self._measure, 0, Qt.AlignmentFlag.AlignLeading)
        layout.addWidget(self._measure_note)
        layout.addLayout(self._figures)
        layout.addSpacing(6)
        for widget in (self._samples_title, self._samples_note, self._samples, self._origin):
            layout.addWidget(widget)
        layout.addStretch(1)
        theme.changed.connect(self._draw_icon)
        self.show_receipt(receipt, measuring=measuring)

    @property
    def verdict(self) -> str:
        return self._verdict.text()

    def show_receipt(self, receipt: Receipt | None, *, measuring: bool = False) -> None:
        """``measuring``: it is being measured now."""
        shown = receipt or Receipt("")
        sentence, self._tone = shown.verdict
        self._verdict.setText(tr("The receipt of this model cannot be read.") if receipt is None else sentence)
        self._draw_icon()
        self._show_measuring(shown, receipt is None, measuring)
        self._show_figures(shown)
        self._samples.clear()
        for sample in shown.samples:
            self._samples.add(SampleTexts(self._theme, sample))
        compared = any(sample.original is not None for sample in shown.samples)
        self._samples_title.setText(tr("The same questions to both") if compared else tr("Sample answers"))
        self._samples_title.setVisible(bool(shown.samples))
        note = shown.skipped
        if compared:
            note = tr(
                "Both took the likeliest word each time, repetitions discouraged. What differs is marked; other words "
                "are not worse words."
            )
        self._samples_note.setText(note)
        self._samples_note.setVisible(bool(note))
        self._samples.setVisible(bool(shown.samples))
        self._origin.setText("\n".join(origin(shown)))
        self._origin.setVisible(receipt is not None)

    def _show_measuring(self, receipt: Receipt, unreadable: bool, measuring: bool) -> None:
        whole = receipt.measured and bool(receipt.samples)
        self._measure.setVisible(not unreadable and not measuring and not whole)
        note = ""
        if measuring:
            note = tr("It is being measured now; the Jobs page shows how far it is.")
        elif not whole and not unreadable:
            note = tr(
                "Takes a few minutes for a small model. The original is needed for it: if it is not on this machine "
                "any more, it is fetched again."
            )
        self._measure_note.setText(note)
        self._measure_note.setVisible(bool(note))

    def _show_figures(self, receipt: Receipt) -> None:
        while (item := self._figures.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        for place, (value, name, meaning) in enumerate(figures(receipt)):
            self._figures.addWidget(_figure(value, name, meaning), place // 2, place % 2)

    def _draw_icon(self) -> None:
        name, colour = _TONES[self._tone]
        self._icon.setPixmap(pixmap(name, getattr(self._theme.colours, colour), 24, self.devicePixelRatioF()))
        set_property(self._verdict, "tone", self._tone)


def _figure(value: str, name: str, meaning: str) -> QFrame:
    panel = frame("card")
    panel.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
    layout = QVBoxLayout(panel)
    layout.setContentsMargins(15, 11, 15, 12)
    layout.setSpacing(2)
    layout.addWidget(label(name, "small"))
    layout.addWidget(label(value, "figure", selectable=True))
    layout.addWidget(label(meaning, "muted", wrap=True))
    layout.addStretch(1)
    panel.setAccessibleName(f"{name}: {value}. {meaning}")
    return panel


def figures(receipt: Receipt) -> list[tuple[str, str, str]]:
    """Value, name and meaning of every number that was measured."""
    found = []
    if receipt.top1 is not None:
        found.append((
            tr("{percent} %").format(percent=f"{100 * receipt.top1:.0f}"), tr("Same next word"),
            tr("How often it holds the same word for the likeliest as the original does."),
        ))  # fmt: skip
    if receipt.kl is not None:
        found.append((
            wording.decimal(receipt.kl, 3), tr("Divergence (KL, nats a token)"),
            tr("How far its predictions are from the original's. 0 is the same; up to 0.2 answers stay sensible."),
        ))  # fmt: skip
    if receipt.perplexity is not None:
        meaning = tr("How much a text surprises it; lower is better.")
        if receipt.original_perplexity:
            more = 100 * (receipt.perplexity / receipt.original_perplexity - 1)
            meaning = tr("How much a text surprises it; lower is better. The original: {original} ({more} %).").format(
                original=wording.decimal(receipt.original_perplexity, 2), more=f"{more:+.0f}"
            )
        found.append((wording.decimal(receipt.perplexity, 2), tr("Perplexity"), meaning))
    if receipt.bits is not None:
        meaning = tr("Stored for each weight of the projections; the original's usually have 16.")
        found.append((wording.decimal(receipt.bits, 2), tr("Bits a weight"), meaning))
    return found


def origin(receipt: Receipt) -> list[str]:
    """Where the model comes from and how it was measured, in lines."""
    lines = []
    if receipt.tokens:
        text = tr("Measured on {tokens} tokens of text that it was not made with.")
        lines.append(text.format(tokens=wording.count(receipt.tokens)))
    if receipt.source:
        revision = f"@{receipt.revision[:12]}" if receipt.revision else ""
        text = tr("Made from {source}, licence {licence}.")
        lines.append(text.format(source=f"{receipt.source}{revision}", licence=receipt.licence or tr("unknown")))
    made = []
    if receipt.created:
        made.append(receipt.created[:10])
    if receipt.seconds:
        made.append(tr("in {duration}").format(duration=wording.duration(receipt.seconds)))
    if receipt.device:
        made.append(tr("on {device}").format(device=receipt.device))
    if receipt.program:
        made.append(tr("by version {version}").format(version=receipt.program))
    if made:
        lines.append(tr("Converted {how}.").format(how=", ".join(made)))
    return lines


class ReceiptDialog(QDialog):
    """The receipt of ``name`` in a window of its own; ``view`` where it is more than a file that was read."""

    def __init__(
        self,
        theme: Theme,
        receipt: Receipt | None,
        name: str,
        parent: QWidget | None = None,
        *,
        view: ReceiptView | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Receipt of {name}").format(name=name))
        self.resize(860, 680)
        self.view = view or ReceiptView(theme, receipt)
        inside = QWidget()
        inside.setObjectName("column")
        padding = QVBoxLayout(inside)
        padding.setContentsMargins(24, 22, 24, 20)
        padding.addWidget(label(name, "display", wrap=True))
        padding.addSpacing(4)
        padding.addWidget(self.view)
        scroll = scrolled(inside)
        close = Button(theme, tr("Close"), self.accept, kind="primary")
        row = QHBoxLayout()
        row.setContentsMargins(24, 10, 24, 16)
        row.addStretch(1)
        row.addWidget(close)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(scroll, 1)
        layout.addLayout(row)
        close.setFocus()
