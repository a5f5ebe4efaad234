"""One setting on the page: its name and help, its editor, whether it was changed, the way back, what is wrong."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from app.settings.declared import Setting, Value
from app.settings.settings import Settings
from app.theme import Space, Theme
from app.translation import tr
from app.views.controls.announcement import announce
from app.views.controls.controls import Button, IconButton, label
from app.views.settings.editors import Editor, SwitchEditor, editor
from tzcore.errors import TernaryZeroError

EDITOR = 340
"""Width of the column of editors, in pixels."""
SWITCH = 40
NARROW = 620
"""A row that has less than this puts its editor below its words."""


def matches(setting: Setting, words: list[str]) -> bool:
    """Whether all ``words`` (lower case) occur in what is said about the setting."""
    said = " ".join(tr(text) for text in (setting.label, setting.help, setting.words, setting.group) if text)
    said = f"{said} {setting.key} {' '.join(tr(text) for _, text in setting.choices)}".lower()
    return all(word in said for word in words)


class Row(QWidget):
    """The name on the left, something on the right or below."""

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self.setting = setting
        self.name = QLabel(tr(setting.label))
        self.name.setTextFormat(Qt.TextFormat.PlainText)
        self.help = label(tr(setting.help) if setting.help else "", "small", wrap=True)
        self.help.setVisible(bool(setting.help))
        self.error = label("", "danger", wrap=True)
        self.error.hide()
        self._small = False
        self._sides = QBoxLayout(QBoxLayout.Direction.LeftToRight)

    def lay_out(self, right: QWidget, wide: bool, beside_name: tuple[QWidget, ...] = ()) -> None:
        """``wide``: the editor is below the help."""
        heading = QHBoxLayout()
        heading.setSpacing(Space.TINY)
        heading.addWidget(self.name)
        for widget in beside_name:
            heading.addWidget(widget, 0, Qt.AlignmentFlag.AlignVCenter)
        heading.addStretch(1)
        words = QVBoxLayout()
        words.setSpacing(Space.HAIR)
        words.addLayout(heading)
        words.addWidget(self.help)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, Space.SMALL, 0, Space.SMALL)
        outer.setSpacing(Space.TINY)
        if wide:
            outer.addLayout(words)
            outer.addSpacing(Space.TINY)
            outer.addWidget(right)
        else:
            self._small = isinstance(right, SwitchEditor)
            right.setFixedWidth(SWITCH if self._small else EDITOR)
            self._sides.setSpacing(Space.LARGE)
            self._sides.addLayout(words, 1)
            self._sides.addWidget(right, 0, Qt.AlignmentFlag.AlignVCenter)
            outer.addLayout(self._sides)
        outer.addWidget(self.error)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        narrow = event.size().width() < NARROW and not self._small
        direction = QBoxLayout.Direction.TopToBottom if narrow else QBoxLayout.Direction.LeftToRight
        if self._sides.direction() != direction:
            self._sides.setDirection(direction)
            self._sides.setSpacing(Space.TINY if narrow else Space.LARGE)
        super().resizeEvent(event)

    def say(self, trouble: str) -> None:
        """What is wrong with what was entered, ``""`` for nothing."""
        self.error.setText(trouble)
        announce(self, trouble, urgent=True)
        self.error.setVisible(bool(trouble))


class SettingRow(Row):
    """A setting with a value."""

    def __init__(self, theme: Theme, settings: Settings, setting: Setting) -> None:
        super().__init__(setting)
        self._settings = settings
        self.editor: Editor = editor(theme, setting)
        named = self.editor.field
        named.setAccessibleName(tr(setting.label))
        self.name.setBuddy(named)
        self.mark = label("•", "changed")
        self.reset = IconButton(theme, "undo", "", self._on_reset, size=15)
        self.lay_out(self.editor, self.editor.wide, (self.mark, self.reset))
        self.editor.chosen.connect(self._on_chosen)
        self.refresh()

    def refresh(self) -> None:
        """Show the value that holds."""
        value = self._settings.get(self.setting.key)
        self.editor.show_value(value)
        changed = value != self.setting.default
        self.mark.setVisible(changed)
        self.reset.setVisible(changed)
        default = tr("Default: {value}").format(value=shown(self.setting, self.setting.default))
        self.mark.setToolTip(tr("Changed."))
        self.reset.set_name(tr("Reset {name}").format(name=tr(self.setting.label)))
        self.reset.setToolTip(f"{tr('Reset')}  ({default})")
        meaning = [tr(self.setting.help)] if self.setting.help else []
        meaning += [tr("Changed."), default] if changed else []
        self.editor.field.setAccessibleDescription(" ".join(meaning))
        self.editor.field.setToolTip(default)

    def _on_chosen(self, value: Value) -> None:
        try:
            self._settings.set(self.setting.key, value)
            self.say("")
        except (ValueError, TernaryZeroError) as error:
            self.say(str(error))
            return
        self.refresh()

    def _on_reset(self) -> None:
        self._on_chosen(self.setting.default)
        self.editor.field.setFocus()


class LinkRow(Row):
    """A way to another page."""

    wanted = Signal(str)

    def __init__(self, theme: Theme, setting: Setting) -> None:
        super().__init__(setting)
        self.button = Button(theme, tr(setting.words), lambda: self.wanted.emit(str(setting.default)))
        right = QWidget()
        inner = QHBoxLayout(right)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addStretch(1)
        inner.addWidget(self.button)
        self.lay_out(right, False)

    def refresh(self) -> None:
        """Nothing to show."""


def shown(setting: Setting, value: Value) -> str:
    """A value in words."""
    if setting.choices:
        return tr(next((text for choice, text in setting.choices if choice == value), str(value)))
    if isinstance(value, bool):
        return tr("on") if value else tr("off")
    if value is None:
        return tr(setting.unset) if setting.unset else tr("not set")
    if value == "":
        return tr("nothing")
    return f"{value:g}" if isinstance(value, float) else str(value)
