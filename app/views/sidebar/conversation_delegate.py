"""How a conversation, a folder or a heading is painted in the sidebar."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPointF, QRect, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QTextCharFormat, QTextLayout
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from app.history.records import HIT, HIT_END
from app.models.conversation_list import BUSY, FOLDER, ID, INSIDE, PINNED, SNIPPET, FolderRow
from app.theme import Radius, Theme
from app.views.controls.icons import pixmap

MARGIN = 9
ICON = 15
INDENT = 18


class ConversationDelegate(QStyledItemDelegate):
    """One line for the title; in a search a second one that shows the match.  All rows are of one height: the
    view of ten thousand rows asks for it once."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self.two_lines = False

    def sizeHint(  # noqa: N802
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        line = option.fontMetrics.height()
        return QSize(0, line * 2 + 16 if self.two_lines else line + 15)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box: QRect = option.rect.adjusted(2, 1, -2, -1)
        folder = index.data(FOLDER)
        if index.data(ID) is None and folder is None:
            self._heading(painter, option, box, str(index.data()))
        else:
            self._ground(painter, option, box)
            inner = box.adjusted(MARGIN, 0, -MARGIN, 0)
            if folder is not None:
                self._folder(painter, option, inner, folder)
            else:
                self._conversation(painter, option, inner, index)
        painter.restore()

    def _heading(self, painter: QPainter, option: QStyleOptionViewItem, box: QRect, text: str) -> None:
        font = QFont(option.font)
        font.setPointSizeF(font.pointSizeF() * 0.86)
        font.setWeight(QFont.Weight.DemiBold)
        painter.setFont(font)
        painter.setPen(QColor(self._theme.colours.muted))
        bottom = Qt.AlignmentFlag.AlignBottom | self._leading(option)
        painter.drawText(box.adjusted(MARGIN, 0, -MARGIN, -4), bottom, text)

    def _ground(self, painter: QPainter, option: QStyleOptionViewItem, box: QRect) -> None:
        colours = self._theme.colours
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        if selected or option.state & QStyle.StateFlag.State_MouseOver:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.pressed if selected else colours.hover))
            painter.drawRoundedRect(box, Radius.CONTROL, Radius.CONTROL)
        if option.state & QStyle.StateFlag.State_HasFocus:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QColor(colours.accent))
            painter.drawRoundedRect(box, Radius.CONTROL, Radius.CONTROL)

    def _folder(self, painter: QPainter, option: QStyleOptionViewItem, box: QRect, folder: FolderRow) -> None:
        colours = self._theme.colours
        rtl = option.direction == Qt.LayoutDirection.RightToLeft
        chevron = ("chevron-left" if rtl else "chevron-right") if folder.closed else "chevron-down"
        box = self._icon(painter, option, box, chevron, 12, before=True)
        box = self._icon(painter, option, box, "folder" if folder.closed else "folder-open", ICON, before=True)
        count = str(folder.size)
        font = QFont(option.font)
        font.setPointSizeF(font.pointSizeF() * 0.86)
        width = QFontMetrics(font).horizontalAdvance(count)
        painter.setFont(font)
        painter.setPen(QColor(colours.muted))
        end = QRect(box.right() - width, box.top(), width + 1, box.height())
        beside = QStyle.visualRect(option.direction, box, end)
        painter.drawText(beside, Qt.AlignmentFlag.AlignVCenter | self._leading(option), count)
        self._line(painter, option, self._shortened(option, box, width + 8), folder.name)

    def _conversation(
        self, painter: QPainter, option: QStyleOptionViewItem, box: QRect, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        colours = self._theme.colours
        if index.data(INSIDE):
            box = self._shortened(option, box, INDENT, before=True)
        if index.data(BUSY):
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.accent))
            dot = QRect(box.right() - 7, box.center().y() - 3, 7, 7)
            painter.drawEllipse(QStyle.visualRect(option.direction, box, dot))
            box = self._shortened(option, box, 16)
        elif index.data(PINNED):
            box = self._icon(painter, option, box, "pin", 13, before=False)
        snippet = str(index.data(SNIPPET) or "") if self.two_lines else ""
        if not snippet:
            self._line(painter, option, box, str(index.data()))
            return
        line = option.fontMetrics.height()
        title = QRect(box.left(), box.top() + 6, box.width(), line)
        self._line(painter, option, title, str(index.data()))
        self._marked(painter, option, title.translated(0, line + 1), " ".join(snippet.split()))

    def _line(self, painter: QPainter, option: QStyleOptionViewItem, box: QRect, text: str) -> None:
        painter.setFont(option.font)
        painter.setPen(QColor(self._theme.colours.text))
        elided = option.fontMetrics.elidedText(text, Qt.TextElideMode.ElideRight, box.width())
        painter.drawText(box, Qt.AlignmentFlag.AlignVCenter | self._leading(option), elided)

    def _marked(self, painter: QPainter, option: QStyleOptionViewItem, box: QRect, snippet: str) -> None:
        """The place that a search found, the words that matched in the accent's colour and bold."""
        colours = self._theme.colours
        plain, formats = "", []
        for number, piece in enumerate(snippet.split(HIT)):
            hit, end, rest = piece.partition(HIT_END) if number else ("", "", piece)
            if number and end:
                span = QTextLayout.FormatRange()
                span.start, span.length = len(plain), len(hit)
                form = QTextCharFormat()
                form.setForeground(QColor(colours.accent))
                form.setFontWeight(QFont.Weight.DemiBold)
                span.format = form
                formats.append(span)
                plain += hit + rest
            else:
                plain += piece
        elided = option.fontMetrics.elidedText(plain, Qt.TextElideMode.ElideRight, box.width() - 6)
        layout = QTextLayout(elided, option.font)
        seen = len(plain) if elided == plain else len(elided) - 1
        inside = [span for span in formats if span.start + span.length <= seen]
        layout.setFormats(inside)
        text_option = layout.textOption()
        text_option.setTextDirection(option.direction)
        text_option.setAlignment(self._leading(option))
        layout.setTextOption(text_option)
        layout.beginLayout()
        layout.createLine().setLineWidth(box.width())
        layout.endLayout()
        painter.setPen(QColor(colours.muted))
        painter.setClipRect(box)
        layout.draw(painter, QPointF(box.topLeft()))
        painter.setClipping(False)

    def _icon(
        self, painter: QPainter, option: QStyleOptionViewItem, box: QRect, name: str, size: int, *, before: bool
    ) -> QRect:
        """Paint an icon at one end of the box; the box without it."""
        ratio = painter.device().devicePixelRatioF()
        left = box.left() if before else box.right() - size
        place = QRect(left, box.center().y() - size // 2, size, size)
        picture = pixmap(name, self._theme.colours.muted, size, ratio)
        painter.drawPixmap(QStyle.visualRect(option.direction, box, place), picture)
        return self._shortened(option, box, size + 7, before=before)

    @staticmethod
    def _shortened(option: QStyleOptionViewItem, box: QRect, by: int, *, before: bool = False) -> QRect:
        part = box.adjusted(by, 0, 0, 0) if before else box.adjusted(0, 0, -by, 0)
        return QStyle.visualRect(option.direction, box, part)

    @staticmethod
    def _leading(option: QStyleOptionViewItem) -> Qt.AlignmentFlag:
        """Where a line of text begins."""
        rtl = option.direction == Qt.LayoutDirection.RightToLeft
        side = Qt.AlignmentFlag.AlignRight if rtl else Qt.AlignmentFlag.AlignLeft
        return side | Qt.AlignmentFlag.AlignAbsolute
