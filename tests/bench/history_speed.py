"""How fast the history answers: 10,000 conversations of 20 messages listed and searched, and long ones opened.

``python -m tests.bench.history_speed [FOLDER]``; the database is made once in FOLDER (a minute), or in
a temporary one.  Times are the best and the median of several runs of what the window does: the query,
and the list's model filled with what it found.  Then once each, in seconds: a backup, an export of everything, its
import into an empty database in a process of its own while the window saves an answer four times a second, and the
restoring of a damaged database.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QCoreApplication

from app.history.history import History
from app.models.conversation_list import ConversationList
from app.transfer.export import everything, export

CONVERSATIONS = 10_000
MESSAGES = 20
RUNS = 15


def words(random_: random.Random, count: int) -> str:
    """Text whose words are as unevenly spread as those of a language."""
    return " ".join(f"w{int(random_.paretovariate(0.7)) % 40_000}" for _ in range(count))


def fill(path: Path) -> None:
    """The many conversations, then three long ones."""
    random_ = random.Random(1)
    history = History(path)
    database = history._db
    now = time.time()
    database.execute("BEGIN")
    for number in range(1, CONVERSATIONS + 1):
        written = now - (CONVERSATIONS - number) * 7000
        database.execute(
            "INSERT INTO conversation (id, title, model, created, updated, place) VALUES (?, ?, 'm:t2', ?, ?, ?)",
            (number, "About " + words(random_, 4), written, written, written),
        )
        first = (number - 1) * MESSAGES + 1
        for place in range(MESSAGES):
            text = words(random_, 60) + (" quasiparticle" if number % 997 == 0 and place == 7 else "")
            database.execute(
                "INSERT INTO message (id, conversation, parent, role, text, model, created, state) "
                "VALUES (?, ?, ?, ?, ?, 'm:t2', ?, 'done')",
                (first + place, number, first + place - 1 if place else None, ("user", "assistant")[place % 2], text,
                 written),
            )
        database.execute("UPDATE message SET shown_child = id + 1 WHERE conversation = ? AND id < ?",
                         (number, first + MESSAGES - 1))
        database.execute("UPDATE conversation SET shown_root = ? WHERE id = ?", (first, number))
    database.execute("COMMIT")
    for title, messages, size in (("400 messages, 600 kB", 400, 1500), ("one message of 600 kB", 1, 600_000)):
        conversation = history.create("m:t2", title)
        parent = None
        for place in range(messages):
            text = words(random_, size // 4)[:size]
            parent = history.append(conversation, parent, ("user", "assistant")[place % 2], text).id
            if place % 4 == 1 and messages > 1:  # other branches, which are not to be read
                history.append(conversation, history.message(parent).parent, "assistant", text)
                history.activate(parent)
    history.close()


def timed(action: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds: best and median."""
    took = []
    for _ in range(RUNS):
        began = time.perf_counter()
        action()
        took.append((time.perf_counter() - began) * 1000)
    return min(took), statistics.median(took)


def main() -> None:
    application = QCoreApplication.instance() or QCoreApplication([])
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(sys.argv[1] if len(sys.argv) > 1 else temporary) / "history.sqlite"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            fill(path)
        began = time.perf_counter()
        history = History(path)
        opening = (time.perf_counter() - began) * 1000
        count = history._db.execute("SELECT count(*) FROM message").fetchone()[0]
        print(f"{CONVERSATIONS:,} conversations, {count:,} messages, {path.stat().st_size / 1e6:.0f} MB")
        print(f"{'what':46} {'found':>7} {'best ms':>8} {'median ms':>10}")
        print(f"{'open the database':46} {'':>7} {opening:8.1f}")
        began = time.perf_counter()
        model = ConversationList(history)
        print(f"{'list, the first time':46} {model.count:7} {(time.perf_counter() - began) * 1000:8.1f}")
        queries = (("list all", ""), ("search: a rare word", "quasiparticle"), ("search: two words", "w17 w23"),
                   ("search: a common word, in most conversations", "w1"), ("search: the first letter typed", "w"),
                   ("search: nothing", "xyzzy"), ("search: part of a word, script without spaces", "天气"))
        for name, query in queries:
            best, median = timed(lambda query=query: model.refresh(query))  # type: ignore[misc]
            print(f"{name:46} {model.count:7} {best:8.1f} {median:10.1f}")
        model.refresh("")
        for summary in history.conversations()[:2]:
            found = history.messages(summary.id)
            best, median = timed(lambda number=summary.id: history.messages(number))  # type: ignore[misc]
            print(f"{'open: ' + summary.title:46} {len(found):7} {best:8.1f} {median:10.1f}")
            last = found[-1]
            for name, action in (("one message", lambda last=last: history.message(last.id)),
                                 ("siblings", lambda last=last: history.siblings(last.id)),
                                 ("activate", lambda last=last: history.activate(last.id))):
                best, median = timed(action)
                print(f"{'  ' + name:46} {'':7} {best:8.1f} {median:10.1f}")
        history.close()
        once(path)
    del application


def once(path: Path) -> None:
    """What takes seconds."""
    folder = Path(tempfile.mkdtemp(dir=path.parent))
    try:
        shutil.copyfile(path, folder / "history.sqlite")
        history = History(folder / "history.sqlite")
        print(f"{'backup, in the background':46} {seconds(history._backups.make):16.1f} s")
        file = folder / "all.json"
        took = seconds(lambda: list(export(history, everything(history), file, presets=True)))
        print(f"{'export of everything':46} {took:16.1f} s, {file.stat().st_size / 1e6:.0f} MB")
        history.close()
        live = History(folder / "imported.sqlite")
        answer = live.append(live.create("m"), None, "assistant", "", "m", "streaming")
        began = time.perf_counter()
        child = subprocess.Popen([sys.executable, "-m", "app.transfer", str(live.path), str(file)],
                                 stdout=subprocess.DEVNULL)
        waits = []
        while child.poll() is None:
            waits.append(seconds(lambda: live.update(answer.id, "text " * len(waits), "streaming")) * 1000)
            time.sleep(0.25)
        took, found = time.perf_counter() - began, len(live.conversations())
        print(f"{'import of that':46} {took:16.1f} s, {found:,} conversations; the window's saves meanwhile: "
              f"median {statistics.median(waits):.0f} ms, longest {max(waits):.0f} ms")
        live.close()
        with (folder / "history.sqlite").open("r+b") as stream:
            stream.seek(8 * 4096)
            stream.write(os.urandom(4 * 4096))
        (folder / "history.suspect").touch()
        took = seconds(lambda: History(folder / "history.sqlite").close())
        print(f"{'a damaged database restored':46} {took:16.1f} s")
    finally:
        shutil.rmtree(folder)


def seconds(action: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
