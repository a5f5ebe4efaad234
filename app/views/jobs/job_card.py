"""A job that is not done: how far it is, how long still, and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QMimeData, QPoint, Qt, Signal
from PySide6.QtGui import QAction, QDrag, QFocusEvent, QGuiApplication, QKeyEvent, QMouseEvent, QPixmap
from PySide6.QtWidgets import QApplication, QFrame, QHBoxLayout, QLabel, QMenu, QProgressBar, QVBoxLayout

from app.jobs.job import Job
from app.theme import Theme
from app.translation import tr
from app.views.controls.controls import Button, IconButton, label, set_property, tag
from app.views.controls.elided_label import ElidedLabel
from app.views.controls.icons import pixmap
from app.views.jobs import job_words

MIME = "application/x-ternary-zero-job"


class JobCard(QFrame):
    """Signals carry nothing but ``move`` (places down): the owner knows which job this card shows."""

    pause = Signal()
    cancel = Signal()
    retry = Signal()
    remove = Signal()
    show_log = Signal()
    move_wanted = Signal(int)

    def __init__(self, theme: Theme, job: Job, name: str) -> None:
        super().__init__()
        self._theme, self.job_id, self._name = theme, job.id, name
        self._pressed: QPoint | None = None
        self._message = ""
        self.setProperty("role", "card")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(lambda at: self._menu().exec(self.mapToGlobal(at)))
        self._grip = QLabel()
        self._grip.setToolTip(tr("Drag to change the order, or press Alt with the up and down keys"))
        self._grip.setCursor(Qt.CursorShape.OpenHandCursor)
        self._percent = label("", "muted")
        self._state = label("", "muted", wrap=True)
        self._remedy = label("", "muted", wrap=True)
        self._steps = [label("", "small") for _ in job_words.steps(job)]
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setRange(0, 1000)
        self._retry = Button(theme, tr("Resume"), self.retry.emit, icon_name="play")
        self._pause = IconButton(theme, "pause", tr("Pause"), self.pause.emit)
        self._cancel = IconButton(theme, "close", tr("Cancel"), self.cancel.emit)
        self._remove = IconButton(theme, "trash", tr("Take off the list"), self.remove.emit)
        self._more = IconButton(theme, "more", tr("More"), self._open_menu)
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self._grip)
        head.addWidget(ElidedLabel(name, "heading", job.source))
        tags = job_words.tags(job)
        for words in tags[:1]:
            head.addWidget(tag(words, "accent"))
        head.addStretch(1)
        for button in (self._retry, self._pause, self._cancel, self._remove, self._more):
            head.addWidget(button)
        bar = QHBoxLayout()
        bar.setSpacing(12)
        bar.addWidget(self._bar, 1)
        bar.addWidget(self._percent)
        steps = QHBoxLayout()
        steps.setSpacing(14)
        for step in self._steps:
            steps.addWidget(step)
        steps.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 12, 12, 14)
        layout.setSpacing(7)
        layout.addLayout(head)
        if len(tags) > 1:  # a row of their own: the name needs the room
            more = QHBoxLayout()
            more.setSpacing(8)
            for words in tags[1:]:
                more.addWidget(tag(words, "accent"))
            more.addStretch(1)
            layout.addLayout(more)
        layout.addLayout(bar)
        layout.addLayout(steps)
        layout.addWidget(self._state)
        layout.addWidget(self._remedy)
        theme.changed.connect(self._draw_grip)
        self._draw_grip()
        self.show_job(job)

    @property
    def sentence(self) -> str:
        return self._state.text()

    def show_job(self, job: Job) -> None:
        running = job.state == "running"
        self._message = job.message
        begun = job.fraction > 0 or running
        self._bar.setVisible(begun)
        self._bar.setValue(round(1000 * job.fraction))
        self._percent.setVisible(begun)
        self._percent.setText(job_words.time_left(job))
        for widget, (words, state) in zip(self._steps, job_words.steps(job), strict=True):
            widget.setVisible(running and state != "none")
            if state == "none":
                continue
            widget.setText(f"✓ {words}" if state == "done" else f"● {words}" if state == "now" else words)
            widget.setAccessibleName(
                {"done": tr("{step}: done"), "now": tr("{step}: under way"), "later": tr("{step}: to come")}[state]
                .format(step=words)
            )  # fmt: skip
            set_property(widget, "role", {"done": "stepDone", "now": "stepNow", "later": "small"}[state])
        sentence = job_words.progress(job)
        if running and job.detail:
            sentence += f"  ·  {job.detail}"
        self._state.setText(sentence)
        set_property(self._state, "role", "danger" if job.state == "failed" else "muted")
        self._remedy.setText(job_words.remedy(job))
        self._remedy.setVisible(bool(self._remedy.text()))
        self._bar.setAccessibleName(tr("Progress of {name}").format(name=self._name))
        self._bar.setAccessibleDescription(self._percent.text())
        self.setAccessibleName(f"{self._name}: {sentence} {self._percent.text()}".strip())
        self._retry.setVisible(job.state in ("paused", "failed", "cancelled"))
        self._retry.set_text(tr("Try again") if job.state == "failed" else tr("Resume"))
        self._pause.setVisible(job.state in ("running", "queued"))
        self._cancel.setVisible(job.state in ("running", "queued"))
        self._remove.setVisible(job.state not in ("running", "queued"))

    # Order

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        step = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}.get(Qt.Key(event.key()))
        if step is not None and event.modifiers() & Qt.KeyboardModifier.AltModifier:
            self.move_wanted.emit(step)
        elif event.key() in (Qt.Key.Key_Menu,):
            self._open_menu()
        elif event.key() == Qt.Key.Key_Delete and self._remove.isVisibleTo(self):
            self.remove.emit()
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if event.button() == Qt.MouseButton.LeftButton:
            self._pressed = event.position().toPoint()
        super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if self._pressed is None or not event.buttons() & Qt.MouseButton.LeftButton:
            return
        far = (event.position().toPoint() - self._pressed).manhattanLength()
        if far >= QApplication.startDragDistance():
            at, self._pressed = self._pressed, None
            drag = QDrag(self)
            data = QMimeData()
            data.setData(MIME, self.job_id.encode())
            drag.setMimeData(data)
            drag.setPixmap(self._picture())
            drag.setHotSpot(at)
            drag.exec(Qt.DropAction.MoveAction)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        self._pressed = None
        super().mouseReleaseEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        set_property(self, "focused", "true")
        super().focusInEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        set_property(self, "focused", "false")
        super().focusOutEvent(event)

    # What else can be done

    def _menu(self) -> QMenu:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        entries: list[tuple[str, Callable[[], object]] | None] = [
            (tr("Move up"), lambda: self.move_wanted.emit(-1)),
            (tr("Move down"), lambda: self.move_wanted.emit(1)),
            (tr("Move to the top"), lambda: self.move_wanted.emit(-1_000_000)),
            None,
            (tr("Show the log"), self.show_log.emit),
        ]
        if self._message:
            entries.append((tr("Copy the message"), lambda: QGuiApplication.clipboard().setText(self._message)))
        for entry in entries:
            if entry is None:
                menu.addSeparator()
                continue
            action = QAction(entry[0], menu)
            action.triggered.connect(lambda _checked=False, act=entry[1]: act())
            menu.addAction(action)
        return menu

    def _open_menu(self) -> None:
        self._menu().exec(self._more.mapToGlobal(QPoint(0, self._more.height())))

    def _picture(self) -> QPixmap:
        return self.grab().scaledToWidth(min(420, self.width()), Qt.TransformationMode.SmoothTransformation)

    def _draw_grip(self) -> None:
        self._grip.setPixmap(pixmap("drag", self._theme.colours.muted, 16, self.devicePixelRatioF()))

