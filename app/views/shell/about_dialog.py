"""What this program is, which version, and whose work it stands on."""

from __future__ import annotations

import platform
import re
import sys
from importlib import metadata

from PySide6.QtCore import Qt, qVersion
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.theme import Space
from app.translation import tr
from app.views.controls.controls import label
from app.views.controls.icons import APPLICATION, pixmap
from tzcore import paths

PROGRAM = "ternary-zero"


class AboutDialog(QDialog):
    """Text that can be copied with one button, for a question to somebody else."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("About Ternary-Zero"))
        self.resize(560, 560)
        emblem = QLabel()
        emblem.setPixmap(pixmap(APPLICATION, "", 48, self.devicePixelRatioF()))
        words = QVBoxLayout()
        words.setSpacing(Space.TINY)
        words.addWidget(label("Ternary-Zero", "title"))
        self.versions = label(", ".join(versions()), "muted", wrap=True, selectable=True)
        words.addWidget(self.versions)
        head = QHBoxLayout()
        head.setSpacing(Space.WIDE)
        head.addWidget(emblem, 0, Qt.AlignmentFlag.AlignTop)
        head.addLayout(words, 1)

        licence = label(
            tr("Free software under the Apache License 2.0, without any warranty. Kept in {folder}.").format(
                folder=paths.home()
            ),
            "", wrap=True, selectable=True,
        )
        table = self._table()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(Space.PAGE, Space.PAGE, Space.PAGE, Space.LARGE)
        layout.setSpacing(Space.WIDE)
        layout.addLayout(head)
        layout.addWidget(licence)
        layout.addWidget(label(tr("Made with the work of others"), "section"))
        layout.addWidget(table, 1)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        copy = QPushButton(tr("Copy versions"))
        copy.clicked.connect(lambda: QApplication.clipboard().setText("\n".join(versions())))
        close = QPushButton(tr("Close"))
        close.setProperty("kind", "primary")
        close.setDefault(True)
        close.clicked.connect(self.accept)
        buttons.addWidget(copy)
        buttons.addWidget(close)
        layout.addLayout(buttons)
        close.setFocus()

    def _table(self) -> QTableWidget:
        rows = components()
        table = QTableWidget(len(rows), 3)
        table.setAccessibleName(tr("Components and their licences"))
        table.setHorizontalHeaderLabels([tr("Component"), tr("Version"), tr("Licence")])
        table.verticalHeader().hide()
        table.setShowGrid(False)
        table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        table.setTabKeyNavigation(False)
        header = table.horizontalHeader()
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(2, QHeaderView.ResizeMode.Stretch)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeading | Qt.AlignmentFlag.AlignVCenter)
        for number, row in enumerate(rows):
            for column, text in enumerate(row):
                table.setItem(number, column, QTableWidgetItem(text))
        return table


def versions() -> list[str]:
    """``["Ternary-Zero 0.7.0", "Python 3.11.9", "Qt 6.11.3", "Linux x86_64"]``."""
    return [
        f"Ternary-Zero {_version(PROGRAM) or tr('from its sources')}",
        f"Python {platform.python_version()}",
        f"Qt {qVersion()}",
        f"{platform.system()} {platform.machine()}" if sys.platform != "darwin" else f"macOS {platform.mac_ver()[0]}",
    ]


def components() -> list[tuple[str, str, str]]:
    """Name, version and licence of every distribution that this program requires and that is installed."""
    try:
        required = metadata.requires(PROGRAM) or []
    except metadata.PackageNotFoundError:
        return []
    found = {}
    for line in required:
        match = re.match(r"[A-Za-z0-9._-]+", line)
        if "extra ==" in line or match is None:
            continue
        try:
            facts = metadata.metadata(match.group())
        except metadata.PackageNotFoundError:
            continue
        found[facts["Name"]] = (facts["Name"], facts["Version"], _licence(facts))
    return sorted(found.values(), key=lambda row: row[0].lower())


def _licence(facts: metadata.PackageMetadata) -> str:
    """The licence's name: the expression, the classifiers, or the first line of the field."""
    if "License-Expression" in facts:
        return str(facts["License-Expression"])
    classifiers = [
        line.rpartition(" :: ")[2] for line in facts.get_all("Classifier") or () if line.startswith("License ::")
    ]
    if classifiers:
        return ", ".join(classifiers)
    return (str(facts["License"]).splitlines() or [""])[0][:80] if "License" in facts else ""


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
