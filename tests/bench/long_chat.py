"""A long conversation in the real window with the real engine: what each step of it takes.

    python tests/bench/long_chat.py MODEL [--tokens 20000] [--kv k8v8] [--screenshots FOLDER]

A document of the project's evaluation texts is pasted and asked about; then come a second question, the same question
edited, another answer to it, and after the window was closed and opened again a last question.  Seconds are those from
sending to the first word; tokens are those that were read, of all that the prompt has.  MODEL is an installed id; the
conversation is kept in a folder of its own.  Needs a display (``xvfb-run`` makes one).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TEXTS = ("novel.txt", "prose.txt", "mathematics.txt", "languages.txt", "code.txt")
QUESTIONS = ("Who are the people in this text?", "What happens to them?", "Where does it take place?")
LAST = "How does it end?"


def document(tokens: int) -> str:
    """Real text of about so many tokens, by four letters a token."""
    text = "\n\n".join((ROOT / "resources" / "evaluation" / name).read_text(encoding="utf-8") for name in TEXTS)
    return text[: 4 * tokens]


class Session:
    """The window, and what was measured in it."""

    def __init__(self, model: str, kv: str, screenshots: Path | None) -> None:
        from PySide6.QtWidgets import QApplication

        from app.application import Services
        from app.views.main_window import MainWindow

        self.application = QApplication([])
        self.services = Services.build(self.application)
        for key, value in {
            "context": 32768,
            "kv": kv,
            "temperature": 0.0,
            "max_tokens": 40,
            "last_model": model,
        }.items():
            self.services.settings.set(key, value)
        self.window = MainWindow(self.services)
        self.window.resize(1280, 800)
        self.window.show()
        self.services.start()
        self.screenshots = screenshots
        self.chat = self.window.chat
        self.until(lambda: self.chat.loaded.state == "ready")

    def until(self, reached: Callable[[], bool], seconds: float = 1800) -> None:
        """Let the window live until something is so."""
        end = time.monotonic() + seconds
        while not reached():
            self.application.processEvents()
            time.sleep(0.005)
            if time.monotonic() > end:
                raise TimeoutError(self.chat.loaded.message or "the window did not get there")

    def photograph(self, name: str) -> None:
        """The window as it is on the screen."""
        if self.screenshots:
            self.application.processEvents()
            self.screenshots.mkdir(parents=True, exist_ok=True)
            self.window.grab().save(str(self.screenshots / f"{name}.png"))

    def step(self, what: str, act: Callable[[], object], photograph_after: float | None = None) -> dict[str, Any]:
        """Do something that is answered; the row."""
        began = time.monotonic()
        act()
        if photograph_after is not None:
            self.until(lambda: time.monotonic() - began > photograph_after or not self.chat.conversation.busy)
            self.photograph(what.replace(" ", "-"))
        self.until(lambda: not self.chat.conversation.busy)
        message = self.chat.conversation.messages[-1]
        timings: dict[str, Any] = dict(message.timings or {})
        usage = timings.get("usage", {})
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
        row = {
            "step": what,
            "seconds": timings.get("first_token_seconds"),
            "prompt": usage.get("prompt_tokens"),
            "read": usage.get("prompt_tokens", 0) - cached,
            "state": message.state,
            "error": timings.get("error"),
        }
        print(json.dumps(row), flush=True)
        return row

    def close(self) -> None:
        """As the user closes it."""
        self.window.close()
        self.services.shutdown()


def talk(session: Session, tokens: int) -> None:
    """Until the window is closed for the first time."""
    chat = session.chat
    session.step("document", lambda: chat.send(f"{document(tokens)}\n\n{QUESTIONS[0]}"), photograph_after=8)
    session.step("second question", lambda: chat.send(QUESTIONS[1]))
    asked = next(m for m in reversed(chat.conversation.messages) if m.role == "user")
    session.step("edited question", lambda: chat.messages.edited.emit(asked.id, QUESTIONS[2]))
    answer = chat.conversation.messages[-1]
    session.step("another answer", lambda: chat.messages.regenerate.emit(answer.id))
    session.photograph("conversation")


def come_back(session: Session) -> None:
    """In a new window and a new engine."""
    conversation = session.services.history.conversations()[0]
    session.chat.open(conversation.id)
    session.step("opened again", lambda: session.chat.send(LAST))
    session.photograph("opened-again")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--kv", default="k8v8")
    parser.add_argument("--screenshots", type=Path)
    parser.add_argument("--part", choices=("talk", "come_back"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        session = Session(options.model, options.kv, options.screenshots)
        try:
            talk(session, options.tokens) if options.part == "talk" else come_back(session)
        finally:
            session.close()
        return 0
    from tzcore import paths

    with tempfile.TemporaryDirectory() as home:
        (Path(home) / "models").symlink_to(paths.models(), target_is_directory=True)
        environment = {**os.environ, "TZ_HOME": home}
        print(f"{options.model}, context of 32,768 tokens, keys and values {options.kv}")
        print(f"{'':18} {'to the first word':>18} {'read':>8} {'of':>8}")
        for part in ("talk", "come_back"):
            command = [sys.executable, __file__, *sys.argv[1:], "--part", part]
            done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False)
            for line in done.stdout.splitlines():
                row = json.loads(line)
                if row["error"] or row["seconds"] is None:
                    print(f"{row['step']:18} {row['state']}: {row['error']}")
                else:
                    print(f"{row['step']:18} {row['seconds']:16.2f} s {row['read']:8,} {row['prompt']:8,}", flush=True)
            if done.returncode:
                return done.returncode
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
