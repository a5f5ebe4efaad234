"""Fields for plain text that is written from the left or from the right."""

from __future__ import annotations

from PySide6.QtCore import QObject, QSignalBlocker, Qt
from PySide6.QtWidgets import QPlainTextEdit


class TextDirection(QObject):
    """Lets ``field`` begin at the side at which its text begins; an empty one at that of the window's language.

    Within each paragraph Qt orders the words by the paragraph itself.  It aligns all paragraphs of such a field to
    one side, which is therefore that of the first.
    """

    def __init__(self, field: QPlainTextEdit) -> None:
        super().__init__(field)
        self._field = field
        option = field.document().defaultTextOption()
        option.setTextDirection(Qt.LayoutDirection.LayoutDirectionAuto)
        field.document().setDefaultTextOption(option)
        field.textChanged.connect(self._follow)
        self._follow()

    def _follow(self) -> None:
        document = self._field.document()
        first = document.firstBlock()
        while first.isValid() and not first.text().strip():
            first = first.next()
        direction = first.textDirection() if first.isValid() else self._field.layoutDirection()
        right = direction == Qt.LayoutDirection.RightToLeft
        side = (Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft) | Qt.AlignmentFlag.AlignAbsolute
        option = document.defaultTextOption()
        if option.alignment() != side:
            option.setAlignment(side)
            with QSignalBlocker(self._field):
                document.setDefaultTextOption(option)
