"""One window a user and home folder: a second start hands its arguments to the first and ends."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal


class Instance(QObject):
    """The claim to be the only window."""

    activated = Signal(list)
    """A second start was asked for with these arguments (``list[str]``): come to the front."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        raise NotImplementedError

    def claim(self, arguments: list[str]) -> bool:
        """True: this is the only one.  False: another runs and was handed ``arguments``."""
        raise NotImplementedError

    def release(self) -> None:
        raise NotImplementedError
