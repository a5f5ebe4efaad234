"""Every earlier schema, with content, becomes the newest one: rows, order, branches, search, triggers."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from app.history.history import MIGRATIONS, History


def old_file(path: Path, version: int) -> None:
    """Three conversations as a program of that schema wrote them: branches, one in the trash."""
    old = sqlite3.connect(path)
    old.execute("PRAGMA journal_mode = WAL")
    old.executescript("".join(MIGRATIONS[:version]) + f"PRAGMA user_version = {version};")
    for number, title, updated, deleted in ((1, "Ölwechsel", 300.0, None), (2, "Otters", 100.0, None),
                                            (5, "Gone", 200.0, 250.0)):
        old.execute("INSERT INTO conversation (id, title, model, created, updated, deleted) "
                    "VALUES (?, ?, 'm:t2', ?, ?, ?)",
                    (number, title, updated - 50, updated, deleted))
    for number, conversation, parent, role, text, state, timings in (
        (1, 1, None, "system", "Be kind.", "done", None),
        (2, 1, 1, "user", "How do I change the oil?", "done", None),
        (3, 1, 2, "assistant", "First drain", "stopped", '{"tokens_per_second": 31.5}'),
        (4, 1, 2, "assistant", "Warm the engine", "done", None),
        (7, 2, None, "user", "about otters", "done", None),
        (9, 2, 7, "assistant", "half an ans", "streaming", None),
        (10, 5, None, "user", "secret words", "done", None),
    ):
        old.execute("INSERT INTO message (id, conversation, parent, role, text, model, created, state, timings) "
                    "VALUES (?, ?, ?, ?, ?, 'm:t2', 1.5, ?, ?)",
                    (number, conversation, parent, role, text, state, timings))
    for parent, child in ((1, 2), (2, 3), (7, 9)):
        old.execute("UPDATE message SET shown_child = ? WHERE id = ?", (child, parent))
    for conversation, root in ((1, 1), (2, 7), (5, 10)):
        old.execute("UPDATE conversation SET shown_root = ? WHERE id = ?", (root, conversation))
    if version >= 3:
        old.execute("UPDATE conversation SET context_overflow = 'slide' WHERE id = 1")
        old.execute("""UPDATE message SET context_changes = '[{"kind": "slide", "through": 2}]' WHERE id = 3""")
    if version >= 4:
        old.execute("UPDATE conversation SET place = updated")
    old.commit()
    old.close()


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_from_every_earlier_version(tmp_path: Path, version: int) -> None:
    file = tmp_path / "history.sqlite"
    old_file(file, version)
    history = History(file)
    assert history.notices == []
    assert history._db.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
    assert [(one.id, one.title, one.updated, one.folder, one.pinned) for one in history.conversations()] == [
        (1, "Ölwechsel", 300.0, None, False), (2, "Otters", 100.0, None, False),
    ]
    assert [(one.id, one.deleted) for one in history.deleted()] == [(5, 250.0)]
    assert [(m.id, m.text, m.state, m.siblings, m.position) for m in history.messages(1)] == [
        (1, "Be kind.", "done", 1, 0), (2, "How do I change the oil?", "done", 1, 0),
        (3, "First drain", "stopped", 2, 0),
    ]
    assert history.messages(1)[2].timings == {"tokens_per_second": 31.5}
    assert history.system(1) == "Be kind."
    assert [m.state for m in history.messages(2)] == ["done", "interrupted"]
    if version >= 3:
        assert history.context_overflow(1) == "slide"
        assert history.messages(1)[2].context_changes == ({"kind": "slide", "through": 2},)
    assert history.conversation_settings(1) == {}
    # What was written before is found, and the triggers keep the search up to date afterwards.
    assert [one.id for one in history.conversations("olwech")] == [1]
    assert [one.id for one in history.conversations("otters")] == [2]
    history.rename(1, "Brakes")
    history.update(4, "Cool the engine", "done")
    assert history.conversations("olwech") == []
    assert history.conversations("warm") == []
    assert [one.id for one in history.conversations("cool engine")] == [1]
    history.restore(5)
    history.purge(5)
    assert history.conversations("secret") == []
    assert history._db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    history._db.execute("INSERT INTO message_search (message_search) VALUES ('integrity-check')")
    history._db.execute("INSERT INTO title_search (title_search) VALUES ('integrity-check')")
    assert history._db.execute("PRAGMA foreign_key_check").fetchall() == []
    copy = sqlite3.connect(file.with_name(f"history.sqlite.before-v{len(MIGRATIONS)}"))
    assert copy.execute("PRAGMA user_version").fetchone()[0] == version
    assert copy.execute("SELECT count(*) FROM message").fetchone()[0] == 7


def test_an_old_file_and_a_new_one_have_the_same_schema(tmp_path: Path) -> None:
    def schema(path: Path) -> set[tuple[str, str]]:
        History(path).close()
        with sqlite3.connect(path) as connection:
            return set(connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))

    old_file(tmp_path / "old.sqlite", 1)
    assert schema(tmp_path / "old.sqlite") == schema(tmp_path / "new.sqlite")
