"""What other programs export is read: trees, branches, what cannot be kept is named, hostile files are one message."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import pytest

from app.history.history import Attachment, History
from app.transfer.conversation import Talk, UnreadableError
from app.transfer.export import everything, export
from app.transfer.markdown import to_markdown
from app.transfer.source import open_source
from app.transfer.write import Outcome, write

FIXTURES = Path(__file__).parent / "exports"


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "history.sqlite")


def imported(history: History, file: Path) -> Outcome:
    return write(history.path, open_source(file), lambda done, total: None)


def saved(tmp_path: Path, content: Any, name: str = "file.json") -> Path:
    file = tmp_path / name
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return file


def shown(history: History, conversation: int) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in history.messages(conversation)]


def dumped(history: History) -> list[dict[str, Any]]:
    """Everything of all conversations in a form that does not know the ids."""
    found = []
    for number in everything(history):
        summary = history.conversation(number)
        folder = next((folder.name for folder in history.folders() if folder.id == summary.folder), None)
        tree = history.tree(number)
        places = {message.id: place for place, message in enumerate(tree)}
        found.append({
            "summary": summary._replace(id=0, folder=None), "folder": folder,
            "settings": history.conversation_settings(number), "overflow": history.context_overflow(number),
            "shown": [places[message.id] for message in history.messages(number)],
            "chosen": {places[a]: places[b] for a, b in history.shown_children(number).items()},
            "tree": [
                (places.get(m.parent), m.role, m.text, m.model, m.created, m.state, m.timings,
                 [{**change, "through": places.get(change["through"])} for change in m.context_changes],
                 [(a.name, a.kind, a.bytes, a.text, a.tokens) for a in m.attachments])
                for m in tree
            ],
        })
    return found


def rich(history: History) -> None:
    """Conversations with everything that can be kept of one."""
    first = history.create("org/Model:t2", "Élan ✓")
    system = history.append(first, None, "system", "Be kind.")
    question = history.append(first, system.id, "user", "q", attachments=[
        Attachment(0, "notes.txt", "text", 12, "about zebras\u2028", 3), Attachment(0, "a.pdf", "pdf", 9000, "", 0),
    ])
    one = history.append(first, question.id, "assistant", "a1", "org/Model:t2", "stopped", {"tokens_per_second": 3.5})
    history.append(first, question.id, "assistant", "a2", "other", "done", {"edited": True})
    follow = history.append(first, one.id, "user", "next")
    last = history.append(first, follow.id, "assistant", "end", "org/Model:t2", "failed", {"error": "full"})
    history.set_context_changes(last.id, [{"kind": "compact", "messages_left_out": 2, "summary": "They spoke.",
                                           "through": one.id}])
    history.set_conversation_settings(first, {"temperature": 0.3, "preset": "Brief"})
    history.set_context_overflow(first, "slide")
    history.pin(first, True)
    history.move(first, history.create_folder("Work"))
    history.append(first, None, "user", "another root")
    history.activate(one.id)
    gone = history.create("m", "in the trash")
    history.append(gone, None, "user", "x")
    history.delete(gone)
    history.create("m", "empty")
    history.save_preset("Brief", {"system": "Be brief."})


def test_own_format_comes_back_as_it_was(tmp_path: Path, history: History) -> None:
    rich(history)
    file = tmp_path / "all.json"
    assert list(export(history, everything(history), file, presets=True)) == [1, 2, 3]
    assert [path.name for path in tmp_path.glob("all*")] == ["all.json"]
    other = History(tmp_path / "other.sqlite")
    outcome = imported(other, file)
    assert (outcome.conversations, outcome.known, outcome.failed, outcome.program) == (3, 0, 0, "Ternary-Zero")
    assert dumped(other) == dumped(history)
    assert [(preset.name, preset.settings) for preset in other.presets()] == [("Brief", {"system": "Be brief."})]
    assert [one.title for one in other.conversations("zebras")] == ["Élan ✓"]
    again = imported(other, file)
    assert (again.conversations, again.known) == (0, 3)
    into_itself = imported(history, file)
    assert (into_itself.conversations, into_itself.known) == (0, 3)
    # A second way through: what was imported is exported and imported once more.
    second = tmp_path / "second.json"
    list(export(other, everything(other), second))
    third = History(tmp_path / "third.sqlite")
    imported(third, second)
    assert dumped(third) == dumped(history)


def test_an_export_that_is_stopped_leaves_nothing(tmp_path: Path, history: History) -> None:
    rich(history)
    steps = export(history, everything(history), tmp_path / "all.json")
    next(steps)
    steps.close()
    assert list(tmp_path.glob("all*")) == []


def test_chatgpt(tmp_path: Path, history: History) -> None:
    outcome = imported(history, FIXTURES / "chatgpt.json")
    assert (outcome.program, outcome.conversations, outcome.empty, outcome.failed) == ("ChatGPT", 2, 1, 1)
    assert outcome.replaced == 3
    assert outcome.failures == [{"title": "Broken", "reason": "wrong", "detail": "mapping is no object"}]
    newest, oldest = history.conversations()
    assert (newest.title, oldest.title) == ("Tide tables", "Plan a garden")
    assert (newest.pinned, oldest.pinned) == (False, True)
    assert oldest.updated == pytest.approx(1700000500.25)
    assert shown(history, oldest.id) == [
        ("user", "Plan a small garden."), ("assistant", "Second try: herbs."), ("user", "And in winter?"),
        ("assistant", "Kale."),
    ]
    answers = history.siblings(history.messages(oldest.id)[1].id)
    assert [answer.text for answer in answers] == ["First try: roses.", "Second try: herbs."]
    assert (answers[0].model, answers[0].created) == ("gpt-4o", 1700000100.5)
    texts = [text for _, text in shown(history, newest.id)]
    assert texts == [
        "[picture]\n\nWhat is on this chart?", "<think>\nLook at the axes.\n</think>",
        "```python\nprint(1 + 1)\n```", "[python]\n\n```\n2\n```", "[file: report.pdf]\n\nUse this as well.",
        "[picture: a calm sea]",
    ]
    assert imported(history, FIXTURES / "chatgpt.json").known == 2
    archive = tmp_path / "export.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.write(FIXTURES / "chatgpt.json", "a1b2/conversations.json")
        file.writestr("a1b2/chat.html", "<html>")
    other = History(tmp_path / "other.sqlite")
    assert imported(other, archive).conversations == 2
    every = json.loads((FIXTURES / "chatgpt.json").read_text(encoding="utf-8"))
    split = tmp_path / "split.zip"
    with zipfile.ZipFile(split, "w") as file:
        for number, one in enumerate(every[:2]):
            file.writestr(f"conversations-{number:03}.json", json.dumps([one]))
    assert imported(History(tmp_path / "third.sqlite"), split).conversations == 2


def test_open_webui(history: History) -> None:
    outcome = imported(history, FIXTURES / "open-webui.json")
    assert (outcome.program, outcome.conversations, outcome.empty, outcome.failed) == ("Open WebUI", 2, 1, 0)
    assert outcome.replaced == 2
    tree, plain = history.conversations()
    assert (tree.title, tree.model, tree.pinned) == ("Sorting in Rust", "llama3.2:latest", True)
    assert shown(history, tree.id) == [
        ("system", "You are terse."), ("user", "[file: main.rs]\n\nHow do I sort a Vec?"),
        ("assistant", "Use `sort()`."),
        ("user", "[picture]\n\nUnstable?"), ("assistant", "Use `sort_unstable()`."),
    ]
    answers = history.siblings(history.messages(tree.id)[2].id)
    assert [(answer.text, answer.model) for answer in answers] == [
        ("Use `sort()`.", "llama3.2:latest"), ("vec.sort();", "qwen2.5:7b"),
    ]
    assert shown(history, plain.id) == [("user", "Hello"), ("assistant", "Hi!")]
    assert plain.updated == pytest.approx(1711111111)


def test_markdown_goes_out_and_comes_back(tmp_path: Path, history: History) -> None:
    rich(history)
    number = history.conversations("Élan")[0].id
    document = to_markdown(history, number)
    assert "# Élan ✓\n\n## System\n\nBe kind.\n\n## You\n\n> *Attached: notes.txt (12 bytes)*\n\n" in document
    assert "summary of what came before: They spoke.*" in document
    assert "a2" not in document
    other = History(tmp_path / "other.sqlite")
    assert imported(other, saved(tmp_path, document, "talk.md")).conversations == 1
    assert shown(other, other.conversations()[0].id) == shown(history, number)
    assert [m.state for m in other.messages(1)] == [m.state for m in history.messages(number)]
    code = "# T\n\n## You\n\n```\n## no heading\n```\n\n## m\n\nanswer\n"
    assert imported(other, saved(tmp_path, code, "code.md")).messages == 2
    with pytest.raises(UnreadableError):
        open_source(saved(tmp_path, "# A letter\n\nDear all\n", "letter.md"))


NODE = {"id": "a", "message": {"author": {"role": "user"}, "content": {"content_type": "text", "parts": ["x"]}},
        "parent": "b", "children": ["b"]}


@pytest.mark.parametrize(("content", "reason"), [
    ("", "no_json"), ("{", "no_json"), ("[" * 200_000, "too_deep"), ('{"a":' * 100_000, "too_deep"), ("[]", "unknown"),
    ("3", "unknown"), ('{"format": "ternary-zero-conversations", "version": 9, "conversations": []}', "newer"),
    ('{"format": "ternary-zero-conversations", "version": 1, "conversations": 3}', "wrong"),
    ('{"format": "ternary-zero-conversations", "version": "x"}', "wrong"), ('{"some": "thing"}', "unknown"),
])
def test_files_that_are_no_export(tmp_path: Path, content: str, reason: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        open_source(saved(tmp_path, content))
    assert caught.value.reason == reason


@pytest.mark.parametrize("conversation", [
    {"title": "circle", "mapping": {"a": NODE, "b": {**NODE, "id": "b", "parent": "a"}}},
    {"title": "no way out", "mapping": {"a": {**NODE, "parent": "b"}, "b": {"parent": "c"}, "c": {"parent": "b"}}},
    {"title": "itself", "mapping": {"a": {**NODE, "parent": "a"}}},
    {"title": ["list"], "mapping": {"a": 3}}, {"title": None, "mapping": []}, {"mapping": {}},
    {"mapping": {"a": {"message": {"author": "x", "content": [], "metadata": 7}}}}, 7, None,
])
def test_one_broken_conversation_does_not_cost_the_others(
    tmp_path: Path, history: History, conversation: object
) -> None:
    good = {"title": "good", "id": "1", "mapping": {"a": {**NODE, "parent": None, "children": "wrong"}},
            "current_node": {}, "create_time": "never", "update_time": 1e308}
    outcome = imported(history, saved(tmp_path, [conversation, good]))
    assert (outcome.conversations, outcome.failed + outcome.empty) == (1, 1)
    assert [(one.title, one.updated > 0) for one in history.conversations()] == [("good", True)]


def test_odd_text_is_kept_as_text(tmp_path: Path, history: History) -> None:
    parts = ["a\ud800b\0c", "<script>x</script>", 3, None, {"content_type": "image_asset_pointer"}]
    node = {"message": {"author": {"role": "user"}, "content": {"content_type": "multimodal_text", "parts": parts}}}
    outcome = imported(history, saved(tmp_path, [{"id": "1", "title": "\ud800", "mapping": {"a": node}}]))
    assert outcome.conversations == 1
    assert shown(history, 1) == [("user", "a?bc\n\n<script>x</script>\n\n[picture]")]


def test_what_is_kept_as_json_may_hold_anything(tmp_path: Path, history: History) -> None:
    odd = {"note": "\ud800", "deep": [[[[1e308]]]], "temperature": float("nan")}
    message = {"id": 1, "parent": None, "role": "user", "text": "x", "timings": odd, "attachments": [
        {"name": 3, "bytes": -1, "tokens": 2**70, "text": None}, "wrong"],
        "context_changes": [{"through": [], "kind": 3}]}
    document = {"format": "ternary-zero-conversations", "version": 1, "presets": [3, {"name": "p", "settings": odd}],
                "conversations": [{"title": 3, "settings": odd, "pinned": "yes", "created": "x", "messages": [message],
                                   "shown_root": 7, "folder": "F\0"}]}
    outcome = imported(history, saved(tmp_path, document))
    assert (outcome.conversations, outcome.failed) == (1, 0)
    assert shown(history, 1) == [("user", "x")]
    assert [folder.name for folder in history.folders()] == ["F"]
    assert history.conversation_settings(1)["deep"] == [[[[1e308]]]]
    assert history.presets()[0].settings["note"] == "\ud800"


def test_archives_are_not_believed(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("conversations.json", b" " * 5_000_000)
    with pytest.raises(UnreadableError) as caught:
        open_source(bomb, largest=1_000_000)
    assert caught.value.reason == "too_large"
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as file:
        file.writestr("pictures/a.png", b"x")
    with pytest.raises(UnreadableError, match="no_conversations"):
        open_source(tmp_path / "other.zip")
    broken = tmp_path / "broken.zip"
    broken.write_bytes(bomb.read_bytes()[:-30])
    with pytest.raises(UnreadableError, match="no_archive"):
        open_source(broken)
    damaged = bytearray(bomb.read_bytes())
    damaged[60:80] = b"\xff" * 20
    bomb.write_bytes(damaged)
    with pytest.raises(UnreadableError):
        open_source(bomb)
    with pytest.raises(UnreadableError, match="unreadable"):
        open_source(tmp_path / "missing.json")


def test_all_or_nothing(tmp_path: Path, history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    history.create("m", "was here")
    source = open_source(FIXTURES / "chatgpt.json")
    good = source.talks

    def talks() -> Any:
        for talk in good:
            if isinstance(talk, Talk):
                yield talk
                assert [one.title for one in history.conversations()] == ["was here"]  # not seen half-way
                assert history.deleted() == []
        raise KeyboardInterrupt

    source.talks = talks()
    with pytest.raises(KeyboardInterrupt):
        write(history.path, source, lambda done, total: None)
    assert [one.title for one in history.conversations()] == ["was here"]
    assert history._db.execute("SELECT count(*) FROM message").fetchone()[0] == 0
    # What a killed import left is cleared away by the next one.
    with sqlite3.connect(history.path) as database:
        database.execute("INSERT INTO conversation (title, model, created, updated, deleted) "
                         "VALUES ('x', '', 1, 1, -1)")
    assert imported(history, FIXTURES / "chatgpt.json").conversations == 2
    assert history._db.execute("SELECT count(*) FROM conversation WHERE deleted < 0").fetchone()[0] == 0
    assert len(history.conversations()) == 3
