"""What every message of a conversation has: focus, keys, actions, a menu, the text, and who edits it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPoint, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QEnterEvent, QFocusEvent, QGuiApplication, QKeyEvent

from app.chat.context_change import Change
from app.history.history import Message
from app.text.markdown import parse, references
from app.text.plain import of_blocks
from app.text.stream import pieces
from app.text.thinking import split_thinking
from app.theme import Theme
from app.views.chat.context_marker import ContextMarker
from app.views.chat.message_actions import MessageActions
from app.views.chat.message_body import MessageBody
from app.views.chat.message_editor import MessageEditor
from app.views.chat.stack import Stack
from app.views.controls.controls import discard

PLAIN_LIMIT = 2_000_000
"""Characters up to which Markdown is made plain for the clipboard; beyond it is copied as it is."""


class MessageView(Stack):
    """Common to both: focus by keyboard, actions that appear under the pointer or on focus."""

    step = Signal(int, int)
    """Message id and which way: show the version beside this one."""
    edited = Signal(int, str)
    """Message id, and the text that is to stand in its place."""
    regenerate = Signal(int)
    continue_wanted = Signal(int)
    branch_wanted = Signal(int)
    """What is said next is to begin another branch here."""
    travel = Signal(int)
    """The focus is to go to the message so many places on."""

    def __init__(self, theme: Theme, message: Message, body: MessageBody, *, spacing: int) -> None:
        super().__init__(spacing)
        self.message = message
        self.theme = theme
        self.body = body
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.actions_row = MessageActions(theme, of_user=message.role == "user")
        self.actions_row.step.connect(lambda step: self.step.emit(self.message.id, step))
        self.actions_row.copy.connect(self.copy_markdown)
        self.actions_row.edit.connect(self.begin_edit)
        self.actions_row.regenerate.connect(lambda: self.regenerate.emit(self.message.id))
        self.actions_row.go_on.connect(lambda: self.continue_wanted.emit(self.message.id))
        self.actions_row.more.connect(self.show_menu)
        self.always_show_actions = False
        self.editor: MessageEditor | None = None
        self._hovered = False
        self.marker: ContextMarker | None = None

    @property
    def text(self) -> str:
        """What the message says, thinking left out."""
        if self.message.role == "user":
            return self.message.text
        return split_thinking(self.message.text).text.strip()

    @property
    def can_continue(self) -> bool:
        """Whether the answer broke off where it could go on."""
        message = self.message
        if message.role != "assistant" or not message.text:
            return False
        cut = message.state == "done" and (message.timings or {}).get("reason") == "length"
        return cut or message.state in ("stopped", "interrupted")

    # What is in view

    def realise(self, top: int, bottom: int, deadline: float, upwards: bool) -> bool:
        """Make the widgets of the text between two heights; whether all are there."""
        y = self.body_offset()
        return self.body.realise(top - y, bottom - y, deadline, upwards)

    def release(self, top: int, bottom: int) -> bool:
        """Do away with some widgets outside of two heights; whether there were any."""
        y = self.body_offset()
        return self.body.release(top - y, bottom - y)

    def body_offset(self) -> int:
        """Where the text begins."""
        return self.body.mapTo(self, QPoint(0, 0)).y()

    def set_marker(self, theme: Theme, change: Change | None) -> None:
        """Show below this message what the model does not read any more, or nothing."""
        if (self.marker.change if self.marker else None) == change:
            return
        if self.marker is not None:
            self.take(self.marker)
            discard(self.marker)
            self.marker = None
        if change is not None:
            self.marker = ContextMarker(theme, change)
            self.add(self.marker)
        self.updateGeometry()

    def restyle(self) -> None:
        """The theme is another."""
        self.body.restyle()
        if self.marker is not None:
            self.marker.restyle()

    # Actions

    def set_always_show_actions(self, always: bool) -> None:
        """The last answer keeps its actions in view."""
        self.always_show_actions = always
        self.show_actions()

    def show_actions(self) -> None:
        """Show or hide the row of actions, as pointer and focus are."""
        focus = self.window().focusWidget() if self.isVisible() else None
        focused = focus is not None and (focus is self or self.isAncestorOf(focus))
        wanted = self.always_show_actions or self._hovered or focused
        visible = self.message.state != "streaming" and self.editor is None and wanted
        if visible:
            self.actions_row.show_message(self.message, self.can_continue)
        if self.actions_row.isHidden() == visible:
            self.actions_row.setVisible(visible)

    def copy_markdown(self) -> None:
        """The message as it was written, to the clipboard."""
        QGuiApplication.clipboard().setText(self.text)

    def copy_plain(self) -> None:
        """The message without its marks, to the clipboard."""
        text = self.text
        if self.message.role != "user" and len(text) <= PLAIN_LIMIT:
            defined = references(text)
            text = "\n\n".join(of_blocks(parse(piece, defined)) for piece in pieces(text))
        QGuiApplication.clipboard().setText(text)

    def show_menu(self, at: QPoint | None = None) -> None:
        """All that can be done with the message."""
        from app.views.chat.message_menu import message_menu

        menu = message_menu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(at if isinstance(at, QPoint) else self.actions_row.menu_place())

    def begin_edit(self) -> None:
        """Put an editor in the text's place."""
        if self.editor is not None or not self.actions_row.enabled:
            return
        self.editor = MessageEditor(self.theme, self.text, of_user=self.message.role == "user")
        self.editor.accepted.connect(self._accept)
        self.editor.rejected.connect(self._end_edit)
        self.show_text(False)
        self.add(self.editor, 0)
        self.show_actions()
        self.updateGeometry()
        self.editor.take_focus()

    def show_text(self, visible: bool) -> None:
        """Show or hide what an editor takes the place of."""
        self.body.setVisible(visible)

    def _accept(self, text: str) -> None:
        before = self.text
        self._end_edit()
        if text.strip() and text.strip() != before.strip():
            self.edited.emit(self.message.id, text.strip())

    def _end_edit(self) -> None:
        if self.editor is not None:
            self.take(self.editor)
            discard(self.editor)
            self.editor = None
            self.show_text(True)
            self.setFocus()
            self.show_actions()
            self.updateGeometry()

    # Events

    def enterEvent(self, event: QEnterEvent) -> None:  # noqa: N802
        self._hovered = True
        self.show_actions()
        super().enterEvent(event)

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802
        self._hovered = False
        self.show_actions()
        super().leaveEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        super().focusInEvent(event)
        self.show_actions()
        self.update()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:  # noqa: N802
        place = event.globalPos()
        if event.reason() == QContextMenuEvent.Reason.Keyboard:
            place = self.mapToGlobal(QPoint(20, 20))
        self.show_menu(place)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """While the message itself has the focus, one key does one thing."""
        if self.editor is not None or event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier:
            super().keyPressEvent(event)
            return
        back = 1 if self.layoutDirection() == Qt.LayoutDirection.RightToLeft else -1
        match event.key():
            case Qt.Key.Key_Up:
                self.travel.emit(-1)
            case Qt.Key.Key_Down:
                self.travel.emit(1)
            case Qt.Key.Key_Left | Qt.Key.Key_Right if self.message.siblings > 1 and self.actions_row.enabled:
                self.step.emit(self.message.id, back if event.key() == Qt.Key.Key_Left else -back)
            case Qt.Key.Key_C:
                self.copy_markdown()
            case Qt.Key.Key_E:
                self.begin_edit()
            case Qt.Key.Key_R if self.message.role == "assistant" and self.actions_row.enabled:
                self.regenerate.emit(self.message.id)
            case Qt.Key.Key_G if self.can_continue and self.actions_row.enabled:
                self.continue_wanted.emit(self.message.id)
            case Qt.Key.Key_B if self.actions_row.enabled:
                self.branch_wanted.emit(self.message.id)
            case _:
                super().keyPressEvent(event)
