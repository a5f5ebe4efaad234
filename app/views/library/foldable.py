"""A part of a page that is folded away until somebody wants it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.theme import Space, Theme
from app.translation import tr
from app.views.controls.controls import Button


class Foldable(QWidget):
    """``make`` is called when it is first unfolded."""

    def __init__(self, theme: Theme, title: str, make: Callable[[], QWidget]) -> None:
        super().__init__()
        self._make: Callable[[], QWidget] | None = make
        self._body: QWidget | None = None
        self._title = title
        self.button = Button(theme, title, self.toggle, kind="fold", icon_name="chevron-right")
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(Space.SMALL)
        self._layout.addWidget(self.button)
        self._tell()

    @property
    def unfolded(self) -> bool:
        return self._body is not None and self._body.isVisibleTo(self)

    def toggle(self) -> None:
        """Unfold it, or fold it again."""
        if self._body is None:
            assert self._make is not None
            self._body, self._make = self._make(), None
            self._layout.addWidget(self._body)
            self._body.show()
        else:
            self._body.setVisible(not self.unfolded)
        self._tell()

    def _tell(self) -> None:
        unfolded = self.unfolded
        self.button.set_icon("chevron-down" if unfolded else "chevron-right")
        self.button.setAccessibleDescription(tr("unfolded") if unfolded else tr("folded"))
