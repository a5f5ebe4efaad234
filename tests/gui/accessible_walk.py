"""What a screen reader and the Tab key find in a window: every control with its name and role, and what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAccessible
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractScrollArea,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QCheckBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QListView,
    QPlainTextEdit,
    QRadioButton,
    QScrollArea,
    QScrollBar,
    QSlider,
    QTableView,
    QTextEdit,
    QTreeView,
    QWidget,
)

from app.views.chat.message_list import MessageList

Role = QAccessible.Role
BUTTONS = {Role.Button, Role.CheckBox, Role.RadioButton, Role.ButtonMenu, Role.ButtonDropDown, Role.PageTab, Role.Link}
EXPECTED: tuple[tuple[type[QWidget], set[QAccessible.Role]], ...] = (
    (QCheckBox, {Role.CheckBox}),
    (QRadioButton, {Role.RadioButton}),
    (QAbstractButton, BUTTONS),
    (QLineEdit, {Role.EditableText}),
    (QAbstractSpinBox, {Role.SpinBox}),
    (QComboBox, {Role.ComboBox}),
    (QSlider, {Role.Slider}),
    (QTextEdit, {Role.EditableText, Role.StaticText, Role.Document}),
    (QPlainTextEdit, {Role.EditableText, Role.StaticText, Role.Document}),
    (QTableView, {Role.Table}),
    (QTreeView, {Role.Tree}),
    (QListView, {Role.List}),
)
"""Which roles a widget of a class may have; the first class that fits counts."""
LINKS = 40
"""How often Tab is tried in one widget before it counts as a trap."""


@dataclass(frozen=True)
class Control:
    """One control as assistive software sees it."""

    widget: QWidget
    role: QAccessible.Role
    name: str
    description: str

    @property
    def line(self) -> str:
        state = "" if self.widget.isEnabled() else "  (disabled)"
        name = " ".join(self.name.split()) or "—"
        return f"{self.role.name:<14}{name if len(name) < 90 else name[:88] + ' …'}{state}"


def controls(root: QWidget) -> list[Control]:
    """What can be operated in ``root``, in the order of its widgets: all that takes the focus or is a control."""
    return [control for widget in _widgets(root) if (control := _control(widget)) is not None]


def _widgets(root: QWidget) -> Iterator[QWidget]:
    for child in root.findChildren(QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly):
        if child.isVisibleTo(root) and not child.isWindow():
            yield child
            yield from _widgets(child)


def _inner(widget: QWidget) -> bool:
    """A part of another control: its scroll bars, the line of a spin box, the button that clears a field."""
    above = widget.parentWidget()
    if isinstance(widget, QScrollBar) or widget.objectName() == "qt_scrollarea_viewport":
        return True
    while above is not None and not above.isWindow():
        if isinstance(above, QAbstractSpinBox | QComboBox | QLineEdit):
            return True
        if isinstance(above, QTableView | QTreeView | QListView) and not isinstance(widget, QAbstractButton):
            return True
        above = above.parentWidget()
    return False


def _control(widget: QWidget) -> Control | None:
    focusable = widget.focusPolicy() != Qt.FocusPolicy.NoFocus
    if isinstance(widget, QLabel):
        return None  # text that the mouse can select
    if _inner(widget) or not (focusable or isinstance(widget, QAbstractButton | QAbstractSlider | QLineEdit)):
        return None
    policies = (Qt.FocusPolicy.StrongFocus, Qt.FocusPolicy.WheelFocus)
    if isinstance(widget, QScrollArea) and widget.focusPolicy() in policies:
        inside = widget.widget()
        if inside is not None and any(True for _ in _focusable(inside)):
            return None  # Qt's own policy; the keys scroll it from whatever has the focus in it
    interface = QAccessible.queryAccessibleInterface(widget)
    if interface is None:
        return None
    return Control(
        widget, interface.role(), interface.text(QAccessible.Text.Name), interface.text(QAccessible.Text.Description)
    )


def _focusable(root: QWidget) -> Iterator[QWidget]:
    return (one for one in _widgets(root) if one.focusPolicy() != Qt.FocusPolicy.NoFocus and not _inner(one))


def tab_stops(window: QWidget) -> list[QWidget]:
    """The widgets that Tab reaches one after the other, once round."""
    window.activateWindow()
    for _ in range(200):
        if QApplication.activeWindow() is window:
            break
        QTest.qWait(10)
    window.setFocus()  # Tab goes on from here to the first of the window's own order
    QTest.keyClick(window, Qt.Key.Key_Tab)
    found: list[QWidget] = []
    while (now := QApplication.focusWidget()) is not None and now not in found:
        found.append(now)
        for _ in range(LINKS):  # Tab goes through the links of a text before it leaves it
            QTest.keyClick(now, Qt.Key.Key_Tab)
            if QApplication.focusWidget() is not now:
                break
    return found


def trouble(window: QWidget, part: QWidget | None = None) -> list[str]:
    """What is wrong with the controls of ``part`` (default: all) of a window."""
    root = part or window
    listed = controls(root)
    return [*_unnamed(listed), *_wrong_roles(listed), *_confusing(listed), *_unreachable(window, listed)]


def _where(widget: QWidget) -> str:
    names = []
    above: QWidget | None = widget
    while above is not None and len(names) < 4:
        names.append(type(above).__name__ + (f"#{above.objectName()}" if above.objectName() else ""))
        above = above.parentWidget()
    return " < ".join(names)


def _unnamed(listed: list[Control]) -> list[str]:
    nameless = [one for one in listed if not one.name.strip() and not _reads_only(one.widget)]
    return [f"no name: {one.role.name} {_where(one.widget)}" for one in nameless]


def _wrong_roles(listed: list[Control]) -> list[str]:
    found = []
    for one in listed:
        expected = next((roles for kind, roles in EXPECTED if isinstance(one.widget, kind)), None)
        wrong = one.role not in expected if expected is not None else (
            one.role in (Role.NoRole, Role.Client) and not isinstance(one.widget, QAbstractScrollArea)
            and not any(True for _ in _widgets(one.widget))  # a named group of things may have the focus
        )
        if wrong:
            found.append(f"role {one.role.name}: “{one.name}” {_where(one.widget)}")
    return found


def _confusing(listed: list[Control]) -> list[str]:
    """Two controls of one kind and name beside each other cannot be told apart."""
    groups = Counter((one.widget.parentWidget(), one.role, one.name) for one in listed if one.name.strip())
    return [
        f"{count} × “{name}” ({role.name}) in {_where(parent)}"
        for (parent, role, name), count in groups.items() if count > 1 and parent is not None
    ]


def _unreachable(window: QWidget, listed: list[Control]) -> list[str]:
    stops = set(tab_stops(window))
    found = []
    for one in listed:
        widget = one.widget
        if widget in stops or not widget.isEnabled() or widget.focusProxy() in stops:
            continue
        if _reads_only(widget) or _one_of_a_group(widget, stops) or _beside_a_number(widget):
            continue
        if _another_message(widget, stops):
            continue
        found.append(f"not reached by Tab: {one.role.name} “{one.name}” {_where(widget)}")
    return found


def _one_of_a_group(widget: QWidget, stops: set[QWidget]) -> bool:
    """Of buttons of which one is chosen, Tab reaches that one, and the arrow keys the others."""
    if not isinstance(widget, QAbstractButton):
        return False
    if (group := widget.group()) is not None and group.exclusive():
        return any(button in stops for button in group.buttons())
    return widget.autoExclusive() and any(
        isinstance(stop, type(widget)) and stop.parentWidget() is widget.parentWidget() for stop in stops
    )


def _another_message(widget: QWidget, stops: set[QWidget]) -> bool:
    """Tab stops at one message and what is in it; the arrow keys go to the others."""
    above: QWidget | None = widget
    while above is not None and not isinstance(above, MessageList):
        above = above.parentWidget()
    return above is not None and any(above.isAncestorOf(stop) for stop in stops)


def _beside_a_number(widget: QWidget) -> bool:
    """A slider for the mouse beside a field that takes the same number from the keyboard."""
    above = widget.parentWidget()
    return isinstance(widget, QSlider) and above is not None and above.findChild(QAbstractSpinBox) is not None


def _reads_only(widget: QWidget) -> bool:
    """Text that is only read: a screen reader has its own keys for it."""
    return isinstance(widget, QTextEdit | QPlainTextEdit) and widget.isReadOnly()


def out_of_order(window: QWidget) -> list[str]:
    """Tab stops that go back to the left and up within one container, against the direction of reading."""
    found = []
    stops = [stop for stop in tab_stops(window) if window.isAncestorOf(stop)]
    mirrored = window.layoutDirection() == Qt.LayoutDirection.RightToLeft
    for before, after in pairwise(stops):
        if before.parentWidget() is not after.parentWidget():
            continue
        one, other = _place(before, window), _place(after, window)
        above = other.y() + after.height() <= one.y()
        back = one.x() < other.x() if mirrored else other.x() + after.width() <= one.x()
        level = abs(other.y() + after.height() / 2 - one.y() - before.height() / 2) < before.height() / 2
        if above or (level and back):
            found.append(f"“{before.accessibleName()}” → “{after.accessibleName()}” in {_where(after)}")
    return found


def _place(widget: QWidget, window: QWidget) -> QPoint:
    return widget.mapTo(window, QPoint(0, 0))
