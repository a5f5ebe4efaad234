"""What the window says when it was not closed properly the last time, and how a problem is reported."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from app.translation import tr

if TYPE_CHECKING:
    from app.views.main_window import MainWindow


def tell(window: MainWindow, conversation: int) -> None:
    """Say so; offer the conversation that was open (0: none), and a report."""
    text = tr("Ternary-Zero was not closed properly the last time. Everything that was said up to then is kept.")
    report = reporter(window)
    if conversation and window.conversations.index_of(conversation).isValid():
        window.notice.show_notice(
            text, "warning", tr("Open the conversation"), lambda: window.open_conversation(conversation),
            second=tr("Report a problem…") if report else "", on_second=report,
        )
    else:
        window.notice.show_notice(text, "warning", tr("Report a problem…") if report else "", report)


def reporter(window: MainWindow) -> Callable[[], None] | None:
    """Opens the dialog that gathers a report; ``None`` where this installation cannot make one."""
    try:
        if find_spec("app.views.settings.report_dialog") is None:
            return None
    except ModuleNotFoundError:
        return None

    def report() -> None:
        show = getattr(window, "show_report", None)
        if show is not None:
            show()

    return report
