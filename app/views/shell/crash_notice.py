"""What the window says when it was not closed properly the last time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.translation import tr

if TYPE_CHECKING:
    from app.views.main_window import MainWindow


def tell(window: MainWindow, conversation: int) -> None:
    """Say so; offer the conversation that was open (0: none), and a report."""
    text = tr("Ternary-Zero was not closed properly the last time. Everything that was said up to then is kept.")
    report = tr("Report a problem…")
    if conversation and window.conversations.index_of(conversation).isValid():
        window.notice.show_notice(
            text, "warning", tr("Open the conversation"), lambda: window.open_conversation(conversation),
            second=report, on_second=window.show_report,
        )
    else:
        window.notice.show_notice(text, "warning", report, window.show_report)
