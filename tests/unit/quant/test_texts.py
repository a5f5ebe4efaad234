from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.tiny_models import TEXT, tokenizer, write_small_files
from tzcore.errors import RequestError
from tzcore.quant.texts import default_paths, open_texts, read, windows_of


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_small_files(tmp_path_factory.mktemp("files"))


def test_every_token_is_in_one_window_and_the_last_may_be_short(files: dict[str, Path]) -> None:
    windows, first = windows_of(TEXT, files, 50)
    ids = tokenizer().encode(TEXT).ids
    assert first == 0
    assert np.concatenate(windows).tolist() == ids
    assert {len(window) for window in windows[:-1]} == {50}
    assert 1 < len(windows[-1]) <= 50
    limited, _ = windows_of(TEXT, files, 50, 2)
    assert np.concatenate(limited).tolist() == ids[:100]


def test_conversations_are_written_as_the_model_reads_them(files: dict[str, Path], tmp_path: Path) -> None:
    talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Good day"}]
    path = tmp_path / "chat.jsonl"
    path.write_text("\n".join([json.dumps({"messages": talk}), "", json.dumps({"messages": talk[:1]})]))
    hi, good = "<|im_start|>user\nHi<|im_end|>\n", "<|im_start|>assistant\nGood day<|im_end|>\n"
    assert read(path, files) == hi + good + hi
    bare = {"tokenizer.json": files["tokenizer.json"]}
    assert read(path, bare) == "User: Hi\n\nAssistant: Good day\n\nUser: Hi\n\n"


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"text": "a"}',
        '{"messages": []}',
        '{"messages": [{"role": "user"}]}',
        '{"messages": [{"role": "user", "content": 3}]}',
    ],
)
def test_a_line_that_is_no_conversation_is_named(line: str, files: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "chat.jsonl"
    path.write_text('{"messages": [{"role": "user", "content": "a"}]}\n' + line)
    with pytest.raises(RequestError, match="line 2 is no conversation"):
        read(path, files)


def test_a_template_that_fails_is_an_error_of_that_file(files: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "chat.jsonl"
    path.write_text('{"messages": [{"role": "user", "content": "a"}]}')
    broken = tmp_path / "chat_template.jinja"
    broken.write_text("{{ raise_exception('no users here') }}")
    with pytest.raises(RequestError, match="no users here"):
        read(path, {**files, "chat_template.jinja": broken})


def test_files_that_cannot_be_read_are_named(files: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes("naïve".encode("latin-1"))
    (tmp_path / "empty.txt").write_text("")
    for name, why in [("latin.txt", "UTF-8"), ("empty.txt", "at least two tokens"), ("none.txt", "No such file")]:
        with pytest.raises(RequestError, match=why) as caught:
            open_texts([tmp_path / name], files, 50)
        assert str(tmp_path / name) in str(caught.value)


def test_the_projects_own_texts_are_the_default(files: dict[str, Path]) -> None:
    texts = open_texts([], files, 64, 1)
    assert [text.name for text in texts] == [path.name for path in default_paths()]
    assert "prose.txt" in {text.name for text in texts}
    assert all(text.tokens == len(text.windows[0]) for text in texts)
