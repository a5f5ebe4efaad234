"""Folders, pins, settings, presets, attachments, the system prompt, the trash: each kept across a reopening."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.history.history import Attachment, Folder, History, Preset
from app.history.records import HIT, HIT_END


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite"


@pytest.fixture
def history(file: Path) -> History:
    return History(file)


def shown(history: History, conversation: int) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in history.messages(conversation)]


def test_folders_and_pins(file: Path, history: History) -> None:
    work, home = history.create_folder("Work"), history.create_folder("home")
    one, two = history.create("m", "one"), history.create("m", "two")
    history.move(one, work)
    history.pin(two, True)
    history.rename_folder(home, "Home")
    history.close()
    history = History(file)
    assert history.folders() == [Folder(home, "Home"), Folder(work, "Work")]
    assert (history.conversation(one).folder, history.conversation(one).pinned) == (work, False)
    assert (history.conversation(two).folder, history.conversation(two).pinned) == (None, True)
    assert [found.folder for found in history.conversations("one")] == [work]
    history.delete_folder(work)
    assert history.conversation(one).folder is None
    history.pin(two, False)
    assert not history.conversation(two).pinned
    for call in (lambda: history.move(one, work), lambda: history.rename_folder(work, "x"),
                 lambda: history.delete_folder(work), lambda: history.move(99, None), lambda: history.pin(99, True)):
        with pytest.raises(KeyError):
            call()


def test_settings_and_presets(file: Path, history: History) -> None:
    conversation = history.create("m", "one")
    assert history.conversation_settings(conversation) == {}
    history.set_conversation_settings(conversation, {"temperature": 0.2, "preset": "Précis", "seed": None})
    first = history.save_preset("b", {"system": "Be brief."})
    history.save_preset("A", {"top_k": 3})
    assert history.save_preset("b", {"system": "Be long.", "temperature": 1.0}) == first
    history.close()
    history = History(file)
    assert history.conversation_settings(conversation) == {"temperature": 0.2, "preset": "Précis", "seed": None}
    assert [preset.name for preset in history.presets()] == ["A", "b"]
    assert history.presets()[1] == Preset(first, "b", {"system": "Be long.", "temperature": 1.0})
    history.delete_preset(first)
    assert [preset.name for preset in history.presets()] == ["A"]
    for call in (lambda: history.delete_preset(first), lambda: history.conversation_settings(99),
                 lambda: history.set_conversation_settings(99, {})):
        with pytest.raises(KeyError):
            call()


def test_attachments(file: Path, history: History) -> None:
    conversation = history.create("m")
    given = (Attachment(0, "notes.txt", "text", 12, "about zebras", 3), Attachment(0, "a.pdf", "pdf", 9000, "", 0))
    message = history.append(conversation, None, "user", "", attachments=given)
    assert history.conversation(conversation).title == "notes.txt"
    assert [(one.name, one.kind, one.bytes, one.text, one.tokens) for one in message.attachments] == [
        ("notes.txt", "text", 12, "about zebras", 3), ("a.pdf", "pdf", 9000, "", 0),
    ]
    edited = history.append(conversation, None, "user", "again", attachments=message.attachments)
    assert [one.name for one in edited.attachments] == ["notes.txt", "a.pdf"]
    assert {one.id for one in edited.attachments}.isdisjoint(one.id for one in message.attachments)
    history.close()
    history = History(file)
    assert history.messages(conversation)[0].attachments == edited.attachments
    assert [one.attachments for one in history.siblings(edited.id)] == [message.attachments, edited.attachments]
    (found,) = history.conversations("zebra")
    assert found.snippet == f"about {HIT}zebras{HIT_END}"
    assert [one.id for one in history.conversations("pdf")] == [conversation]
    history.purge(conversation)
    assert history.conversations("zebra") == []
    assert history._db.execute("SELECT count(*) FROM attachment").fetchone()[0] == 0


def test_the_system_prompt_is_put_changed_and_taken_away(history: History) -> None:
    conversation = history.create("m")
    assert history.system(conversation) == ""
    question = history.append(conversation, None, "user", "q")
    history.append(conversation, question.id, "assistant", "a")
    history.append(conversation, None, "user", "q2")
    history.activate(question.id)
    history.set_system(conversation, "")
    before = shown(history, conversation)
    history.set_system(conversation, "Be kind.")
    assert history.system(conversation) == "Be kind."
    assert shown(history, conversation) == [("system", "Be kind."), *before]
    assert [message.siblings for message in history.messages(conversation)] == [1, 2, 1]
    history.set_system(conversation, "Be brief.")
    assert history.system(conversation) == "Be brief."
    assert [message.text for message in history.tree(conversation)] == ["Be brief.", "q", "a", "q2"]
    history.set_system(conversation, "")
    assert (history.system(conversation), shown(history, conversation)) == ("", before)
    assert [message.text for message in history.siblings(question.id)] == ["q", "q2"]
    empty = history.create("m")
    history.set_system(empty, "Alone")
    assert shown(history, empty) == [("system", "Alone")]
    history.set_system(empty, "")
    assert shown(history, empty) == []
    with pytest.raises(KeyError):
        history.system(99)


def test_all_branches(history: History) -> None:
    conversation = history.create("m")
    question = history.append(conversation, None, "user", "q")
    first = history.append(conversation, question.id, "assistant", "a1")
    history.append(conversation, question.id, "assistant", "a2")
    history.append(conversation, first.id, "user", "f1")
    history.append(conversation, None, "user", "other")
    assert [message.text for message in history.tree(conversation)] == ["q", "a1", "f1", "a2", "other"]
    assert {message.id: message.siblings for message in history.tree(conversation)}[first.id] == 2


def test_an_edited_answer_is_a_sibling(history: History) -> None:
    conversation = history.create("m")
    question = history.append(conversation, None, "user", "q")
    history.append(conversation, question.id, "assistant", "a1", "m")
    edited = history.append(conversation, question.id, "assistant", "mine", "m", timings={"edited": True})
    assert (edited.siblings, edited.position, edited.timings) == (2, 1, {"edited": True})


def test_the_trash(history: History) -> None:
    gone, kept, third = (history.create("m", title) for title in ("gone", "kept", "third"))
    question = history.append(gone, None, "user", "secret words")
    history.append(gone, question.id, "assistant", "answer")
    history.delete(gone)
    history.delete(third)
    assert history.conversation(gone).deleted is not None
    assert history.empty_trash(older_than=1.0) == 0
    history.purge(gone)
    with pytest.raises(KeyError):
        history.conversation(gone)
    with pytest.raises(KeyError):
        history.purge(gone)
    assert history._db.execute("SELECT count(*) FROM message").fetchone()[0] == 0
    assert history.empty_trash() == 1
    assert ([one.id for one in history.conversations()], history.deleted()) == ([kept], [])


def test_order_when_the_clock_goes_back(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = history.create("m", "first"), history.create("m", "second")
    monkeypatch.setattr("time.time", lambda: 1000.0)
    history.append(first, None, "user", "after the clock went back")
    assert [one.id for one in history.conversations()] == [first, second]
    third = history.create("m", "third")
    assert [one.id for one in history.conversations()] == [third, first, second]
    assert history.conversation(third).updated == 1000.0
