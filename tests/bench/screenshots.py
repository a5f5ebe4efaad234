"""Pictures of every page and dialog of the window, in its sizes, densities and colours.

    python tests/bench/screenshots.py --out FOLDER [--starter HOME] [--only chat,library] [--sizes 1280x800,1920x1080]
        [--densities 100,200] [--modes light,dark] [--language de] [--text-scale 150] [--right-to-left] [--sheets]
        [--patience SECONDS] [--no-jobs]

Sizes are physical pixels: 1920x1080 at 200 % is a window of 960x540.  ``--starter`` names a home folder with the
starter model installed, which is copied.  ``--patience``: how long a model's page may measure.  ``--sheets`` also puts
the pictures of one kind on one sheet.  Needs a display with fonts (``xvfb-run -s "-screen 0 1920x1200x24"`` makes
one, or ``QT_QPA_PLATFORM=offscreen``).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from app.views.main_window import MainWindow

Scene = Callable[["Studio"], "QWidget | None"]
SCENES: dict[str, Scene] = {}


def scene(name: str) -> Callable[[Scene], Scene]:
    """Declare what is shown under this name; ``None`` instead of a widget: this version has no such thing."""

    def declare(made: Scene) -> Scene:
        SCENES[name] = made
        return made

    return declare


class Studio:
    """The window on real services in a seeded home folder."""

    def __init__(
        self, home: Path, language: str, scale: int, right_to_left: bool, patience: float = 0.5, jobs: bool = True
    ) -> None:
        self.patience = patience
        os.environ["TZ_HOME"] = str(home)
        from PySide6.QtCore import Qt
        from PySide6.QtWidgets import QApplication

        from app.application import Services
        from app.views.main_window import MainWindow
        from tests.bench.window_seeds import seed, seed_jobs

        self.undo: list[Callable[[], object]] = []
        self.application = QApplication(["ternary-zero"])
        if right_to_left:
            self.application.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
        starter = os.environ.get("TZ_PICTURES_STARTER")
        self.ids = seed(home, Path(starter) if starter else None)
        if jobs:
            seed_jobs(home)
        self.services = Services.build(self.application)
        for key, value in {"last_model": "starter:t2", "language": language, "text_scale": scale}.items():
            try:
                self.services.settings.set(key, value)
            except KeyError:
                continue
        if language:
            from app import translation

            translation.load(language)
        self.window: MainWindow = MainWindow(self.services)
        self.window.show()
        self.services.start()
        self.until(lambda: self.services.library.loaded, 90)
        if starter:
            self.window.chat.pick_model("starter:t2")
            self.until(lambda: self.window.chat.loaded.state in ("ready", "failed"), 90)

    def until(self, reached: Callable[[], bool], seconds: float) -> None:
        """Let the window live until something is so."""
        end = time.monotonic() + seconds
        while not reached():
            if time.monotonic() > end:
                raise TimeoutError("the window did not get there")
            self.settle(0.02)

    def settle(self, seconds: float = 0.15) -> None:
        """Let the window live for a moment."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.application.processEvents()
            time.sleep(0.005)

    def dialog(self, open_it: Callable[[], object]) -> QWidget | None:
        """What ``open_it`` opens beside the main window."""
        before = set(self.application.topLevelWidgets())
        open_it()
        self.settle()
        shown = [w for w in self.application.topLevelWidgets() if w not in before and w.isVisible()]
        return shown[-1] if shown else None

    def later(self, undo: Callable[[], object]) -> None:
        """Done once the picture is taken."""
        self.undo.append(undo)

    def page(self, key: str) -> QWidget | None:
        if key not in self.window._pages:
            return None
        self.window.show_page(key)
        return self.window


@scene("chat")
def _chat(studio: Studio) -> QWidget | None:
    studio.window.open_conversation(studio.ids["rich"])
    studio.settle(0.5)
    bar = studio.window.chat.messages.verticalScrollBar()
    bar.setValue(0)
    return studio.window


@scene("chat-end")
def _chat_end(studio: Studio) -> QWidget | None:
    studio.window.open_conversation(studio.ids["rich"])
    studio.settle(0.5)
    bar = studio.window.chat.messages.verticalScrollBar()
    bar.setValue(bar.maximum())
    return studio.window


@scene("welcome")
def _welcome(studio: Studio) -> QWidget | None:
    studio.window.new_chat()
    return studio.window


@scene("notice")
def _notice(studio: Studio) -> QWidget | None:
    studio.window.show_error("The disk is full: 0.2 GB are needed in the folder of models. Make room and try again.")
    return studio.window


for _key in ("library", "jobs", "server", "network", "settings"):
    scene(_key)(lambda studio, key=_key: studio.page(key))


@scene("model")
def _model(studio: Studio) -> QWidget | None:
    library = studio.page("library")
    assert library is not None
    assert studio.window.library is not None
    view = studio.window.library
    view.open_model("starter")
    studio.later(view.close_model)
    studio.settle(studio.patience)
    return studio.window


@scene("search")
def _search(studio: Studio) -> QWidget | None:
    studio.page("library")
    assert studio.window.library is not None
    studio.window.library.show_tab(2)
    view = studio.window.library
    studio.later(lambda: view.show_tab(0))
    return studio.window


@scene("recommended")
def _recommended(studio: Studio) -> QWidget | None:
    studio.page("library")
    assert studio.window.library is not None
    view = studio.window.library
    view.show_tab(1)
    studio.later(lambda: view.show_tab(0))
    return studio.window


@scene("trash")
def _trash(studio: Studio) -> QWidget | None:
    return studio.dialog(studio.window.conversation_actions.show_trash)


@scene("shortcuts")
def _shortcuts(studio: Studio) -> QWidget | None:
    return studio.dialog(studio.window.show_shortcuts)


@scene("about")
def _about(studio: Studio) -> QWidget | None:
    from app.views.shell.help_menu import show_about

    return studio.dialog(lambda: show_about(studio.window))


@scene("fault")
def _fault(studio: Studio) -> QWidget | None:
    studio.window.show_fault("ZeroDivisionError: division by zero", "Traceback (most recent call last):\n  …")
    return studio.dialog(studio.window.notice._act)


@scene("report")
def _report(studio: Studio) -> QWidget | None:
    return studio.dialog(studio.window.show_report)


@scene("panel")
def _panel(studio: Studio) -> QWidget | None:
    toggle = studio.window.chat.toggle_panel
    studio.window.open_conversation(studio.ids["rich"])
    toggle()
    studio.later(toggle)
    return studio.window


@scene("find")
def _find(studio: Studio) -> QWidget | None:
    studio.window.open_conversation(studio.ids["rich"])
    studio.window.chat.messages.find_bar.open_bar()
    studio.later(studio.window.chat.messages.find_bar.close_bar)
    return studio.window


@scene("context")
def _context(studio: Studio) -> QWidget | None:
    return studio.dialog(lambda: studio.window.chat.show_context_dialog("starter:t2"))


def take(arguments: argparse.Namespace) -> None:
    """In a process of its own density: every scene in every size and colour."""
    density = int(arguments.density)
    with tempfile.TemporaryDirectory() as home:
        studio = Studio(
            Path(home), arguments.language, arguments.text_scale, arguments.right_to_left, arguments.patience,
            not arguments.no_jobs,
        )
        out = Path(arguments.out)
        out.mkdir(parents=True, exist_ok=True)
        wanted = arguments.only.split(",") if arguments.only else list(SCENES)
        for mode in arguments.modes.split(","):
            studio.services.settings.set("theme", mode)
            for size in arguments.sizes.split(","):
                width, height = (int(part) * 100 // density for part in size.split("x"))
                studio.window.resize(width, height)
                studio.settle()
                for name in wanted:
                    shown = SCENES[name](studio)
                    if shown is None:
                        continue
                    studio.settle(0.3)
                    shown.grab().save(str(out / f"{name}-{size}-{density}-{mode}.png"))
                    if shown is not studio.window:
                        shown.close()
                    while studio.undo:
                        studio.undo.pop()()
                    studio.window.notice.hide()
        studio.window.close()
        studio.services.shutdown()


def sheets(out: Path, width: int = 900) -> None:
    """All pictures of one size, density and mode on one sheet, two beside each other."""
    from PIL import Image

    groups: dict[str, list[Path]] = {}
    for file in sorted(out.glob("*-*x*-*-*.png")):
        groups.setdefault("-".join(file.stem.split("-")[-3:]), []).append(file)
    for name, files in groups.items():
        images = []
        for file in files:
            image = Image.open(file).convert("RGB")
            images.append(image.resize((width, round(image.height * width / image.width))))
        for number in range(0, len(images), 4):
            part = images[number : number + 4]
            heights = [max(one.height for one in part[row : row + 2]) for row in range(0, len(part), 2)]
            sheet = Image.new("RGB", (2 * width + 12, sum(heights) + 12), "#808080")
            for place, image in enumerate(part):
                sheet.paste(image, ((place % 2) * (width + 12), (place // 2) * (heights[0] + 12)))
            sheet.save(out / f"sheet-{name}-{number // 4}.png")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", required=True)
    parser.add_argument("--starter", default="")
    parser.add_argument("--only", default="")
    parser.add_argument("--sizes", default="1280x800,1920x1080")
    parser.add_argument("--densities", default="100,200")
    parser.add_argument("--modes", default="light,dark")
    parser.add_argument("--language", default="")
    parser.add_argument("--text-scale", type=int, default=100)
    parser.add_argument("--right-to-left", action="store_true")
    parser.add_argument("--patience", type=float, default=6.0)
    parser.add_argument("--no-jobs", action="store_true")
    parser.add_argument("--sheets", action="store_true")
    parser.add_argument("--density", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.density:
        take(arguments)
        return 0
    for density in arguments.densities.split(","):
        environment = {**os.environ, "QT_SCALE_FACTOR": str(int(density) / 100)}
        if arguments.starter:
            environment["TZ_PICTURES_STARTER"] = arguments.starter
        command = [sys.executable, __file__, *sys.argv[1:], "--density", density]
        subprocess.run(command, env=environment, check=True, cwd=ROOT)
    if arguments.sheets:
        sheets(Path(arguments.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
