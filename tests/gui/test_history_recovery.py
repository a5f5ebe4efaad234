"""Backups, and what happens when the database is damaged, the disk is full, or the program is killed."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from app.history.history import MIGRATIONS, Attachment, History
from tzcore.errors import StorageError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite"


def filled(file: Path, count: int = 3) -> list[int]:
    """Conversations with two messages each, closed cleanly."""
    history = History(file)
    numbers = []
    for number in range(count):
        conversation = history.create("m", f"talk {number}")
        question = history.append(conversation, None, "user", f"question {number} " + "word " * 300)
        history.append(conversation, question.id, "assistant", f"answer {number} " + "text " * 300)
        numbers.append(conversation)
    history.close()
    return numbers


def backed_up(file: Path) -> None:
    history = History(file)
    history._backups.make()
    history.close()


def break_pages(file: Path, begin: int = 1, end: int = 4) -> None:
    """Garbage in the middle; the header still says SQLite."""
    with file.open("r+b") as stream:
        stream.seek(begin * 4096)
        stream.write(os.urandom((end - begin) * 4096))


def broken_files(file: Path) -> list[Path]:
    return sorted(path for path in file.parent.glob("history.broken-*.sqlite"))


def test_a_backup_is_one_whole_file_and_two_are_kept(file: Path) -> None:
    filled(file)
    history = History(file)
    history.keep_backup()
    history._backups.wait()
    newest, previous = history._backups.newest, history._backups.previous
    with sqlite3.connect(newest) as copy:
        assert copy.execute("SELECT count(*) FROM message").fetchone()[0] == 6
    history.create("m", "one more")
    history._backups.make()
    history.create("m", "and another")
    history._backups.make()
    counts = [sqlite3.connect(path).execute("SELECT count(*) FROM conversation").fetchone()[0]
              for path in (newest, previous)]
    assert counts == [5, 4]
    assert sorted(path.name for path in file.parent.glob("history.*")) == sorted([
        "history.sqlite", "history.sqlite-wal", "history.sqlite-shm", newest.name, previous.name,
    ])


def test_a_backup_is_due_once_a_day_and_after_a_migration(file: Path) -> None:
    filled(file)
    backed_up(file)
    history = History(file)
    history.create("m", "changed")
    backups = history._backups
    made = backups.newest.stat().st_mtime
    assert not backups._due()
    os.utime(backups.newest, (made - 90_000, made - 90_000))
    assert backups._due()
    os.utime(backups.newest, (made + 90_000, made + 90_000))
    os.utime(file, (made + 90_001, made + 90_001))
    assert backups._due()  # the clock was changed
    os.utime(backups.newest, (made, made))
    os.utime(file, (made, made))
    before = file.with_name("history.sqlite.before-v9")
    before.touch()
    os.utime(before, (made + 5, made + 5))
    assert backups._due()
    history.close()
    before.unlink()
    backups.newest.touch()
    assert not backups._due()


def test_a_damaged_database_is_never_copied_over_a_good_one(file: Path) -> None:
    filled(file, 40)
    backed_up(file)
    history = History(file)
    good = history._backups.newest.read_bytes()
    history.close()
    break_pages(file, 8, 12)
    history = History(file)
    with pytest.raises(StorageError):
        history._backups.make()
    assert history._backups.newest.read_bytes() == good
    assert not list(file.parent.glob("*.new"))
    history.close()
    assert "damaged" in History(file).notices[0]  # the mark has it checked


def test_no_database_at_all(file: Path) -> None:
    file.write_bytes(b"this is no database, however long one looks at it" * 100)
    history = History(file)
    assert history.conversations() == []
    (notice,) = history.notices
    (aside,) = broken_files(file)
    assert aside.name in notice
    assert "nothing could be read" in notice
    assert aside.read_bytes().startswith(b"this is no database")
    history.create("m", "new")
    history.close()
    assert History(file).notices == []


def test_the_backup_is_restored_and_what_came_after_it_added(file: Path) -> None:
    numbers = filled(file, 30)
    backed_up(file)
    history = History(file)
    last = history.messages(numbers[0])[-1]
    added = history.append(numbers[0], last.id, "user", "after the backup",
                           attachments=[Attachment(0, "a.txt", "text", 3, "abc", 1)])
    new = history.create("m", "made after the backup")
    history.append(new, None, "user", "a new conversation, about walruses")
    history.close()
    break_pages(file, 0, 1)  # the header's page is gone: nothing can be read
    history = History(file)
    assert len(history.conversations()) == 30
    (notice,) = history.notices
    assert "30 conversations" in notice
    assert time.strftime("%Y-%m-%d") in notice
    assert broken_files(file)[0].name in notice
    history.close()
    # The same with only the title's index broken: all can be read from the damaged file.
    broken_files(file)[0].unlink()
    file.unlink()
    filled(file, 30)
    backed_up(file)
    history = History(file)
    added = history.append(numbers[0], history.messages(numbers[0])[-1].id, "user", "after the backup",
                           attachments=[Attachment(0, "a.txt", "text", 3, "abc", 1)])
    new = history.create("m", "made after the backup")
    history.append(new, None, "user", "a new conversation, about walruses")
    root = history._db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'message_by_parent'").fetchone()[0]
    history.close()
    break_pages(file, root - 1, root)
    file.with_name("history.suspect").touch()
    history = History(file)
    assert "31 conversations" in history.notices[0]
    assert "2 later messages" in history.notices[0]
    assert history.messages(numbers[0])[-1].text == "after the backup"
    assert [one.name for one in history.messages(numbers[0])[-1].attachments] == ["a.txt"]
    assert history.message(added.id).text == "after the backup"
    assert [one.title for one in history.conversations("walruses")] == ["made after the backup"]
    history._db.execute("PRAGMA foreign_key_check")
    assert history._db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_without_a_backup_all_that_can_be_read_is_kept(file: Path) -> None:
    filled(file, 60)
    database = sqlite3.connect(file)
    leaf = database.execute("SELECT pageno FROM dbstat WHERE name = 'message' AND pagetype = 'leaf' LIMIT 1 OFFSET 5")
    try:
        page = leaf.fetchone()[0]
    except sqlite3.Error:
        pytest.skip("this SQLite has no dbstat")
    database.close()
    break_pages(file, page - 1, page)
    file.with_name("history.suspect").touch()
    history = History(file)
    assert "no backup" in history.notices[0]
    assert len(history.conversations()) == 60
    texts = [message.text for one in history.conversations() for message in history.messages(one.id)]
    assert 110 < len(texts) < 120
    assert history._db.execute("PRAGMA foreign_key_check").fetchall() == []


def test_when_the_newest_backup_is_damaged_too_the_one_before_is_taken(file: Path) -> None:
    filled(file, 5)
    backed_up(file)
    history = History(file)
    history.create("m", "sixth")
    history._backups.make()
    newest = history._backups.newest
    history.close()
    break_pages(newest, 0, 2)
    break_pages(file, 0, 2)
    assert len(History(file).conversations()) == 5


def test_a_damage_met_while_reading_is_said_and_repaired_at_the_next_opening(file: Path) -> None:
    numbers = filled(file, 60)
    backed_up(file)
    with closing(sqlite3.connect(file)) as database:
        root = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'message'").fetchone()[0]
    break_pages(file, root - 1, root)
    history = History(file)
    assert history.notices == []
    with pytest.raises(StorageError, match="open it again"):
        history.messages(numbers[3])
    history.close()
    history = History(file)
    assert len(history.conversations()) == 60
    assert history.notices


def test_a_newer_file_is_not_touched(file: Path) -> None:
    filled(file, 1)
    backed_up(file)
    with sqlite3.connect(file) as newer:
        newer.execute("PRAGMA user_version = 99")
    with pytest.raises(StorageError, match="newer version"):
        History(file)
    assert broken_files(file) == []


def test_a_full_disk_loses_no_text_and_is_said_once(file: Path) -> None:
    history = History(file)
    told: list[str] = []
    history.on_trouble = told.append
    conversation = history.create("m")
    question = history.append(conversation, None, "user", "q")
    answer = history.append(conversation, question.id, "assistant", "", "m", "streaming")
    pages = history._db.execute("PRAGMA page_count").fetchone()[0]
    history._db.execute(f"PRAGMA max_page_count = {pages}")
    long = "words of the answer " * 5000
    for end in (40_000, 60_000, 80_000):
        assert history.update(answer.id, long[:end], "streaming").text == long[:end]
    final = history.update(answer.id, long, "done", {"tokens": 7})
    assert (final.text, final.state, final.timings) == (long, "done", {"tokens": 7})
    assert [message.text for message in history.messages(conversation)] == ["q", long]
    assert len(told) == 1
    assert "disk" in told[0]
    assert history.unsaved
    assert not history.save_again()
    history._db.execute("PRAGMA max_page_count = 1000000")
    assert history.save_again()
    assert told[1:] == [""]
    history.close()
    kept = History(file).messages(conversation)[-1]
    assert (kept.text, kept.state, kept.timings) == (long, "done", {"tokens": 7})


def test_without_a_listener_a_full_disk_is_an_error(file: Path) -> None:
    history = History(file)
    conversation = history.create("m")
    answer = history.append(conversation, None, "assistant", "", "m", "streaming")
    history._db.execute(f"PRAGMA max_page_count = {history._db.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(StorageError, match="full"):
        history.update(answer.id, "x" * 100_000, "done")
    with pytest.raises(StorageError, match="full"):
        history.append(conversation, answer.id, "user", "x" * 100_000)


def test_killed_while_an_answer_is_written(file: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from app.history.history import History\n"
        "h = History(Path(sys.argv[1])); c = h.create('m'); q = h.append(c, None, 'user', 'q')\n"
        "a = h.append(c, q.id, 'assistant', '', 'm', 'streaming'); text = ''\n"
        "while True:\n text += 'and so on '; h.update(a.id, text, 'streaming'); print(len(text), flush=True)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script, str(file)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for _ in range(40):
        said = child.stdout.readline()
    child.kill()
    child.wait()
    child.stdout.close()
    history = History(file)
    assert history.notices == []
    _, answer = history.messages(history.conversations()[0].id)
    assert answer.state == "interrupted"
    assert len(answer.text) >= int(said)
    assert answer.text == "and so on " * (len(answer.text) // 10)


@pytest.mark.parametrize("step", [1, 4, 9, 14, 20])
@pytest.mark.skipif(os.name != "posix", reason="kills itself by a signal")
def test_killed_while_migrating(file: Path, step: int) -> None:
    old = sqlite3.connect(file)
    old.executescript("".join(MIGRATIONS[:3]) + "PRAGMA user_version = 3;")
    old.execute("INSERT INTO conversation (id, title, model, created, updated) VALUES (1, 't', 'm', 1, 2)")
    old.execute("INSERT INTO message (id, conversation, role, text, model, created, state) "
                "VALUES (1, 1, 'user', 'hello', '', 1, 'done')")
    old.execute("UPDATE conversation SET shown_root = 1")
    old.commit()
    old.close()
    script = (
        "import os, sqlite3, sys; from pathlib import Path; from app.history.history import History\n"
        "class Dying(sqlite3.Connection):\n"
        "    def executescript(self, script):\n"
        "        seen = []\n"
        "        def trace(statement):\n"
        "            seen.append(statement)\n"
        "            if len(seen) > int(sys.argv[2]): os.kill(os.getpid(), 9)\n"
        "        self.set_trace_callback(trace)\n"
        "        return super().executescript(script)\n"
        "connect = sqlite3.connect\n"
        "sqlite3.connect = lambda *a, **k: connect(*a, **{'factory': Dying, **k})\n"
        "History(Path(sys.argv[1]))\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(file), str(step)], check=False).returncode == -9
    with sqlite3.connect(file) as half:
        assert half.execute("PRAGMA user_version").fetchone()[0] == 3
    history = History(file)
    assert history.notices == []
    assert [message.text for message in history.messages(1)] == ["hello"]
    assert [one.id for one in history.conversations("hello")] == [1]


def test_what_is_deleted_for_ever_stays_in_no_copy(file: Path) -> None:
    history = History(file)
    secret = history.create("m", "secret")
    history.append(secret, None, "user", "the walrus password is xq77zz")
    history._backups.make()
    history.create("m", "kept")
    history._backups.make()
    file.with_name("history.sqlite.before-v3").write_bytes(b"xq77zz")
    history.purge(secret)
    history.forget_in_backups()
    history.close()
    left = {path.name: path.read_bytes() for path in file.parent.glob("history.*")}
    assert sorted(left) == ["history.backup.sqlite", "history.sqlite"]
    assert b"walrus password" not in left["history.sqlite"]
    assert b"walrus password" not in left["history.backup.sqlite"]


def test_an_answer_goes_on_while_another_process_writes(file: Path) -> None:
    history = History(file)
    told: list[str] = []
    history.on_trouble = told.append
    conversation = history.create("m")
    answer = history.append(conversation, None, "assistant", "", "m", "streaming")
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        assert history.update(answer.id, "half", "streaming").text == "half"
        assert time.monotonic() - began < 3
        other.execute("COMMIT")
    assert (told, history.unsaved) == ([], True)
    history.update(answer.id, "half an answer", "streaming")
    assert not history.unsaved
    assert history._db.execute("SELECT text FROM message").fetchone()[0] == "half an answer"


def test_a_damaged_search_index_is_made_anew(file: Path) -> None:
    filled(file, 40)
    with closing(sqlite3.connect(file)) as database:
        database.execute("UPDATE message_search_data SET block = zeroblob(20) WHERE id > 10")
        database.commit()
    history = History(file)
    with pytest.raises(StorageError, match="open it again"):
        history.conversations("question")
    history.close()
    history = History(file)
    assert history.notices == []
    assert len(history.conversations("question")) == 40
