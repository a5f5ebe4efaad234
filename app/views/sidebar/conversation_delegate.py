"""How a conversation, or a heading, is painted in the sidebar."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt
from PySide6.QtGui import QColor, QFont, QPainter
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from app.models.conversation_list import BUSY, ID, SNIPPET
from app.theme import Theme


class ConversationDelegate(QStyledItemDelegate):
    """One line for the title; in a search a second one that shows the match."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme

    def sizeHint(  # noqa: N802
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        line = option.fontMetrics.height()
        if index.data(ID) is None:
            return QSize(0, line + 18)
        return QSize(0, line * 2 + 16 if index.data(SNIPPET) else line + 15)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        colours = self._theme.colours
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box: QRect = option.rect.adjusted(2, 1, -2, -1)
        if index.data(ID) is None:
            font = QFont(option.font)
            font.setPointSizeF(font.pointSizeF() * 0.86)
            font.setWeight(QFont.Weight.DemiBold)
            painter.setFont(font)
            painter.setPen(QColor(colours.muted))
            bottom = Qt.AlignmentFlag.AlignBottom | Qt.AlignmentFlag.AlignLeft
            painter.drawText(box.adjusted(9, 0, 0, -4), bottom, str(index.data()))
            painter.restore()
            return
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        hovered = bool(option.state & QStyle.StateFlag.State_MouseOver)
        focused = bool(option.state & QStyle.StateFlag.State_HasFocus)
        if selected or hovered:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.pressed if selected else colours.hover))
            painter.drawRoundedRect(box, 8, 8)
        if focused:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QColor(colours.accent))
            painter.drawRoundedRect(box, 8, 8)
        text = box.adjusted(9, 0, -9, 0)
        if index.data(BUSY):
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.accent))
            painter.drawEllipse(text.right() - 7, box.center().y() - 3, 7, 7)
            text.setRight(text.right() - 16)
        snippet = index.data(SNIPPET)
        line = option.fontMetrics.height()
        title = QRect(text.left(), text.top() + 6, text.width(), line) if snippet else text
        middle = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        painter.setFont(option.font)
        painter.setPen(QColor(colours.text))
        elide = Qt.TextElideMode.ElideRight
        painter.drawText(title, middle, option.fontMetrics.elidedText(str(index.data()), elide, title.width()))
        if snippet:
            below = title.translated(0, line + 1)
            painter.setPen(QColor(colours.muted))
            one_line = " ".join(str(snippet).split())
            painter.drawText(below, middle, option.fontMetrics.elidedText(one_line, elide, below.width()))
        painter.restore()
