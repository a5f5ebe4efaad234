"""Where Tab goes among messages: as they are read, though their widgets come and go in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QWidget

from app.views.chat.message_view import MessageView

if TYPE_CHECKING:
    from app.views.chat.message_list import MessageList


def go_on(messages: MessageList, forward: bool) -> bool:
    """Move the focus one stop on; False where it is not among the messages."""
    focus = messages.window().focusWidget()
    views = messages.views
    order = [widget for view in views for widget in stops(view)]
    if focus not in order:
        return False
    at = order.index(focus) + (1 if forward else -1)
    if 0 <= at < len(order):
        _focus(messages, order[at], forward)
        return True
    beyond = messages.index_of(views[-1 if forward else 0]) + (1 if forward else -1)
    if 0 <= beyond < len(messages.messages):
        _focus(messages, stops(messages.reveal(beyond))[0 if forward else -1], forward)
    else:
        _leave(messages, focus, forward)
    return True


def stops(view: MessageView) -> list[QWidget]:
    """Where Tab stops within a message, from top to bottom, the message itself first."""
    inside = [
        widget
        for widget in view.findChildren(QWidget)
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.isVisibleTo(view) and widget.isEnabled()
    ]

    def place(widget: QWidget) -> tuple[int, int]:
        corner = widget.mapTo(view, QPoint(0, 0))
        return corner.y(), -corner.x() if view.isRightToLeft() else corner.x()

    return [view, *sorted(inside, key=place)]


def _focus(messages: MessageList, widget: QWidget, forward: bool) -> None:
    widget.setFocus(Qt.FocusReason.TabFocusReason if forward else Qt.FocusReason.BacktabFocusReason)
    messages.show_widget(widget)


def _leave(messages: MessageList, focus: QWidget, forward: bool) -> None:
    """To whatever comes after the messages, or before them."""
    target = focus
    while True:
        target = (target.nextInFocusChain() if forward else target.previousInFocusChain()) or focus
        inside = target is messages or messages.isAncestorOf(target)
        stop = target.focusPolicy() & Qt.FocusPolicy.TabFocus and target.isVisible() and target.isEnabled()
        if target is focus or (stop and not inside):
            break
    target.setFocus(Qt.FocusReason.TabFocusReason if forward else Qt.FocusReason.BacktabFocusReason)
