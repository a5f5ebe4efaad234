"""Conversations: the tree, branches, search, soft delete, migrations, and what a crash leaves."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from app.history.history import MIGRATIONS, History, title_from
from app.transfer.markdown import to_markdown
from tzcore.errors import StorageError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite"


@pytest.fixture
def history(file: Path) -> History:
    return History(file)


def texts(history: History, conversation: int) -> list[str]:
    return [message.text for message in history.messages(conversation)]


def test_a_conversation_is_kept(file: Path, history: History) -> None:
    conversation = history.create("starter:t2")
    question = history.append(conversation, None, "user", "What is the capital of France?")
    answer = history.append(conversation, question.id, "assistant", "", "starter:t2", "streaming")
    history.update(answer.id, "The capital", "streaming")
    history.update(answer.id, "The capital of France is Paris.", "done", {"tokens_per_second": 31.5})
    history.close()
    again = History(file)
    (summary,) = again.conversations()
    assert (summary.id, summary.title, summary.model) == (conversation, "What is the capital of France?", "starter:t2")
    first, second = again.messages(conversation)
    assert (first.role, first.parent, first.siblings) == ("user", None, 1)
    assert (second.text, second.state, second.model) == ("The capital of France is Paris.", "done", "starter:t2")
    assert second.timings == {"tokens_per_second": 31.5}
    assert second.created <= summary.updated


def test_branches(history: History) -> None:
    conversation = history.create("m")
    question = history.append(conversation, None, "user", "q")
    first = history.append(conversation, question.id, "assistant", "a1")
    follow = history.append(conversation, first.id, "user", "f1")
    history.append(conversation, follow.id, "assistant", "b1")
    second = history.append(conversation, question.id, "assistant", "a2")
    assert texts(history, conversation) == ["q", "a2"]
    assert [(m.text, m.siblings, m.position) for m in history.messages(conversation)] == [("q", 1, 0), ("a2", 2, 1)]
    assert [m.text for m in history.siblings(second.id)] == ["a1", "a2"]
    history.activate(first.id)
    assert texts(history, conversation) == ["q", "a1", "f1", "b1"]
    edited = history.append(conversation, None, "user", "q edited")
    assert texts(history, conversation) == ["q edited"]
    assert edited.siblings == 2
    history.activate(follow.id)
    assert texts(history, conversation) == ["q", "a1", "f1", "b1"]
    history.activate(second.id)
    assert texts(history, conversation) == ["q", "a2"]


def test_search(history: History) -> None:
    paris = history.create("m")
    history.append(paris, None, "user", "Tell me about the Crème brûlée in Paris")
    other = history.create("m", "Garden plans")
    answer = history.append(other, None, "assistant", "Tulips")
    chinese = history.create("m")
    history.append(chinese, None, "user", "今天天气怎么样？")
    tricky = history.create("m")
    history.append(tricky, None, "user", 'say 100% "sure" AND (maybe) _x_')

    def ids(query: str) -> list[int]:
        return [summary.id for summary in history.conversations(query)]

    assert ids("creme par") == [paris]
    assert ids("paris creme tulips") == []
    assert ids("gard") == [other]
    assert ids("天气") == [chinese]
    assert ids("100% \"sure\" AND") == [tricky]
    assert ids("%") == [tricky]
    assert ids('"') == [tricky]
    assert ids("NOT") == []
    assert set(ids("   ")) == {paris, other, chinese, tricky}
    history.update(answer.id, "Roses, not the others", "done")
    assert ids("tulips") == []
    assert ids("roses") == [other]
    history.rename(other, "Flowers")
    assert ids("garden") == []
    assert ids("flower") == [other]
    assert "brûlée" in history.conversations("brulee")[0].snippet


def test_soft_delete(history: History) -> None:
    conversation = history.create("m", "gone")
    history.append(conversation, None, "user", "secret words")
    history.delete(conversation)
    assert history.conversations() == []
    assert history.conversations("secret") == []
    assert [one.title for one in history.deleted()] == ["gone"]
    history.restore(conversation)
    assert [one.title for one in history.conversations("secret")] == ["gone"]
    assert texts(history, conversation) == ["secret words"]


def test_newest_first(history: History) -> None:
    first, second = history.create("m", "first"), history.create("m", "second")
    assert [one.id for one in history.conversations()] == [second, first]
    history.append(first, None, "user", "x")
    assert [one.id for one in history.conversations()] == [first, second]


def test_wrong_use_is_refused(history: History) -> None:
    one, two = history.create("m"), history.create("m")
    message = history.append(one, None, "user", "x")
    with pytest.raises(ValueError, match="not in conversation"):
        history.append(two, message.id, "user", "y")
    with pytest.raises(ValueError, match="none of"):
        history.append(one, None, "robot", "y")
    with pytest.raises(ValueError, match="none of"):
        history.update(message.id, "x", "half")
    for call in (history.messages, history.delete, history.activate, history.siblings, history.message):
        with pytest.raises(KeyError):
            call(12345)
    assert texts(history, one) == ["x"]


def test_export(history: History) -> None:
    conversation = history.create("starter:t2")
    question = history.append(conversation, None, "user", "Two plus two?")
    history.append(conversation, question.id, "assistant", "Four, and", "starter:t2", "stopped")
    assert to_markdown(history, conversation) == (
        "# Two plus two?\n\n## You\n\nTwo plus two?\n\n## starter:t2 (stopped)\n\nFour, and\n"
    )


def test_titles() -> None:
    assert title_from("\n\n## Hello there\nmore") == "Hello there"
    assert title_from("word " * 40) == ("word " * 11).strip() + "…"
    assert len(title_from("x" * 400)) == 60
    assert title_from("  \n ") == ""


def test_a_killed_program_keeps_the_partial_answer(file: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from app.history.history import History\n"
        "h = History(Path(sys.argv[1])); c = h.create('m')\n"
        "a = h.append(c, None, 'assistant', '', 'm', 'streaming'); h.update(a.id, 'half an ans', 'streaming')\n"
        "os.kill(os.getpid(), 9) if os.name == 'posix' else os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(file)], check=False).returncode != 0
    history = History(file)
    (message,) = history.messages(history.conversations()[0].id)
    assert (message.text, message.state) == ("half an ans", "interrupted")


def test_migration_from_version_2_keeps_everything_and_adds_the_context(file: Path) -> None:
    old = sqlite3.connect(file)
    old.executescript(MIGRATIONS[0] + MIGRATIONS[1] + "PRAGMA user_version = 2;")
    old.execute("INSERT INTO conversation (id, title, model, created, updated) VALUES (1, 't', 'm', 1, 2)")
    old.execute(
        "INSERT INTO message (id, conversation, role, text, model, created, state) "
        "VALUES (1, 1, 'user', 'hello', '', 1, 'done')"
    )
    old.execute("UPDATE conversation SET shown_root = 1")
    old.commit()
    old.close()
    history = History(file)
    assert texts(history, 1) == ["hello"]
    assert history.messages(1)[0].context_changes == ()
    assert history.context_overflow(1) == ""
    assert [found.id for found in history.conversations("hello")] == [1]
    history.set_context_overflow(1, "slide")
    answer = history.append(1, 1, "assistant", "", "m", "streaming")
    change = {"kind": "compact", "messages_left_out": 1, "summary": "They said “hello”.", "through": 1}
    history.set_context_changes(answer.id, [change])
    history.update(answer.id, "Hi", "done")
    history.close()
    again = History(file)
    assert again.context_overflow(1) == "slide"
    assert again.messages(1)[1].context_changes == (change,)
    with pytest.raises(KeyError):
        again.context_overflow(99)
    with pytest.raises(KeyError):
        again.set_context_changes(99, [])


def test_migration_from_version_1(file: Path) -> None:
    old = sqlite3.connect(file)
    old.executescript(MIGRATIONS[0] + "PRAGMA user_version = 1;")
    old.execute("INSERT INTO conversation VALUES (7, 'Old talk', 'm', 1.0, 2.0, NULL, NULL)")
    old.execute("INSERT INTO message VALUES (3, 7, NULL, 'user', 'about otters', '', 1.0, 'done', NULL, NULL)")
    old.execute("UPDATE conversation SET shown_root = 3")
    old.commit()
    old.close()
    history = History(file)
    assert [one.title for one in history.conversations("otter")] == ["Old talk"]
    assert [one.id for one in history.conversations("old")] == [7]
    assert texts(history, 7) == ["about otters"]
    assert history._db.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
    copy = sqlite3.connect(file.with_name(f"history.sqlite.before-v{len(MIGRATIONS)}"))
    assert copy.execute("PRAGMA user_version").fetchone()[0] == 1
    assert copy.execute("SELECT text FROM message").fetchall() == [("about otters",)]


def test_a_failed_migration_leaves_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    History(file).close()
    monkeypatch.setattr("app.history.history.MIGRATIONS", (*MIGRATIONS, "CREATE TABLE x (y); CREATE TABLE x (y);"))
    with pytest.raises(StorageError, match="already exists"):
        History(file)
    monkeypatch.undo()
    assert History(file).conversations() == []


def test_files_that_cannot_be_used(file: Path, tmp_path: Path) -> None:
    newer = tmp_path / "newer.sqlite"
    connection = sqlite3.connect(newer)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StorageError, match="newer version"):
        History(newer)
    (tmp_path / "plain").write_text("")
    with pytest.raises(StorageError):
        History(tmp_path / "plain" / "history.sqlite")
