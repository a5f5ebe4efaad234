"""The settings as a page, made from their declarations: a setting added there appears here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.settings.declared import GROUPS, SETTINGS, Setting
from app.theme import Space, Theme
from app.translation import tr
from app.views.controls.controls import frame, label
from app.views.controls.page_column import WIDTH, centred, scrolled
from app.views.settings.secret_row import SecretRow
from app.views.settings.setting_row import LinkRow, SettingRow, matches

if TYPE_CHECKING:
    from app.application import Services

COLUMN = 780
"""Greatest width of the column of settings, in pixels."""
GROUP_LIST = 164

AnyRow = SettingRow | SecretRow | LinkRow


class SettingsView(QWidget):
    """Groups on the left, their settings on the right; a search goes through all of them."""

    page_wanted = Signal(str)

    def __init__(self, theme: Theme, services: Services) -> None:
        super().__init__()
        self._theme, self._services = theme, services
        self.rows: dict[str, AnyRow] = {}
        self._sections: dict[str, _Section] = {}

        self.search = QLineEdit()
        self.search.setProperty("role", "search")
        self.search.setPlaceholderText(tr("Search settings"))
        self.search.setAccessibleName(tr("Search settings"))
        self.search.setClearButtonEnabled(True)
        self.groups = QListWidget()
        self.groups.setObjectName("groups")
        self.groups.setAccessibleName(tr("Groups of settings"))
        self.groups.setFrameShape(QListWidget.Shape.NoFrame)
        self.groups.setFixedWidth(GROUP_LIST)
        self.nothing = label("", "muted", wrap=True)

        column = QWidget()
        column.setObjectName("column")
        self._column = QVBoxLayout(column)
        self._column.setContentsMargins(Space.TINY, 0, Space.LARGE, Space.PAGE)
        self._column.setSpacing(0)
        for group in GROUPS:
            members = [setting for setting in SETTINGS if setting.group == group]
            if members:
                section = self._sections[group] = _Section(tr(group), [self._row(setting) for setting in members])
                self._column.addWidget(section)
                item = QListWidgetItem(tr(group))
                item.setData(Qt.ItemDataRole.UserRole, group)
                item.setSizeHint(QSize(0, 36))
                self.groups.addItem(item)
        self._column.addWidget(self.nothing)
        self._column.addStretch(1)
        holder = QWidget()
        holder.setObjectName("column")
        beside = QHBoxLayout(holder)
        beside.setContentsMargins(0, 0, 0, 0)
        column.setMaximumWidth(COLUMN)
        beside.addWidget(column, 1)
        beside.addStretch(0)
        self.area = scrolled(holder)

        left = QVBoxLayout()
        left.setSpacing(Space.MEDIUM)
        left.addWidget(self.groups, 1)
        body = QHBoxLayout()
        body.setSpacing(Space.LARGE)
        body.addLayout(left)
        body.addWidget(self.area, 1)
        head = QHBoxLayout()
        head.addWidget(label(tr("Settings"), "display"), 1)
        self.search.setMaximumWidth(280)
        head.addWidget(self.search, 1)
        whole = QWidget()
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(centred(whole, WIDTH + 2 * Space.PAGE))
        layout = QVBoxLayout(whole)
        layout.setContentsMargins(Space.PAGE, Space.LARGE, Space.TINY, 0)
        layout.setSpacing(Space.WIDE)
        heading = QWidget()
        heading.setLayout(head)
        head.setContentsMargins(0, 0, Space.LARGE, 0)
        layout.addWidget(heading)
        layout.addLayout(body, 1)

        self.groups.currentRowChanged.connect(lambda _: self._show())
        self.search.textChanged.connect(lambda _: self._show())
        services.settings.changed.connect(self._on_changed)
        self.groups.setCurrentRow(0)

    def focus_first(self) -> None:
        self.search.setFocus()

    def show_group(self, group: str) -> None:
        """Go to a group of :data:`app.settings.declared.GROUPS`."""
        self.search.clear()
        for place in range(self.groups.count()):
            if self.groups.item(place).data(Qt.ItemDataRole.UserRole) == group:
                self.groups.setCurrentRow(place)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        if event.key() == Qt.Key.Key_Escape and self.search.text():
            self.search.clear()
            return
        super().keyPressEvent(event)

    def _row(self, setting: Setting) -> AnyRow:
        made: AnyRow
        if setting.kind == "secret":
            made = SecretRow(self._theme, self._services.secrets, setting)
        elif setting.kind == "page":
            made = LinkRow(self._theme, setting)
            made.wanted.connect(self._on_link)
        else:
            made = SettingRow(self._theme, self._services.settings, setting)
        self.rows[setting.key] = made
        return made

    def _show(self) -> None:
        words = self.search.text().lower().split()
        item = self.groups.currentItem()
        chosen = item.data(Qt.ItemDataRole.UserRole) if item is not None else ""
        found = 0
        for group, section in self._sections.items():
            if words:
                count = section.show_matching(words)
                section.setVisible(count > 0)
                found += count
            else:
                section.show_matching([])
                section.setVisible(group == chosen)
        self.nothing.setText(tr("No setting has to do with “{words}”.").format(words=self.search.text().strip()))
        self.nothing.setVisible(bool(words) and not found)
        self.area.verticalScrollBar().setValue(0)

    def _on_changed(self, key: str) -> None:
        if key in self.rows:
            self.rows[key].refresh()

    def _on_link(self, target: str) -> None:
        if target == "report":
            from app.views.settings.report_dialog import ReportDialog

            ReportDialog(self._theme, self._services, self).open()
        else:
            self.page_wanted.emit(target)


class _Section(QWidget):
    """A group: its heading and its rows with lines between them."""

    def __init__(self, title: str, rows: list[AnyRow]) -> None:
        super().__init__()
        self._rows = [(row, frame("rule")) for row in rows]
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, Space.LARGE)
        layout.setSpacing(Space.TINY)
        layout.addWidget(label(title, "heading"))
        for row, rule in self._rows:
            layout.addWidget(rule)
            layout.addWidget(row)

    def show_matching(self, words: list[str]) -> int:
        """Show the rows that have to do with ``words`` (all where there are none); how many these are."""
        found = 0
        for row, rule in self._rows:
            shown = matches(row.setting, words)
            row.setVisible(shown)
            rule.setVisible(shown)
            found += shown
        return found
