from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.tiny_models import TEXT, VOCABULARY, tokenizer, write_small_files
from tzcore.errors import ConversionError, SourceError
from tzcore.quant import calibration, chat_text


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return write_small_files(tmp_path / "small")


def test_windows_of_the_length_and_number_asked_for(files: dict[str, Path]) -> None:
    found = calibration.collect(files, 1000, 128, None, VOCABULARY)
    assert found.windows.shape == (7, 128)
    again = calibration.collect(files, 1000, 128, None, VOCABULARY)
    assert found.sha256 == again.sha256
    assert np.array_equal(found.windows, again.windows)


def test_conversations_come_in_the_models_own_format(files: dict[str, Path]) -> None:
    found = calibration.collect(files, 4096, 128, None, VOCABULARY)
    assert found.chat == "the model's chat template"
    assert 0 in found.windows  # <|im_start|>, which no plain text contains
    text = tokenizer().decode(found.windows[0].tolist(), skip_special_tokens=False)
    assert text.startswith("<|im_start|>user\n")


def test_model_without_a_template_gets_plain_conversations(files: dict[str, Path]) -> None:
    del files["tokenizer_config.json"]
    found = calibration.collect(files, 4096, 128, None, VOCABULARY)
    assert found.chat == "plain: the model has no chat template"
    assert 0 not in found.windows


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ raise_exception('no system here') }}", "no system here"),
        ("{% if %}", "Expected an expression"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
    ],
)
def test_broken_template_is_said_in_the_receipt(template: str, reason: str, files: dict[str, Path]) -> None:
    settings = json.loads(files["tokenizer_config.json"].read_text())
    files["tokenizer_config.json"].write_text(json.dumps({**settings, "chat_template": template}))
    found = calibration.collect(files, 1024, 128, None, VOCABULARY)
    assert found.chat.startswith("plain: ")
    assert reason in found.chat


def test_template_that_never_ends_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_text, "SECONDS", 2.0)
    endless = "".join(f"{{% for {name} in range(99999) %}}" for name in "abc") + "{% endfor %}" * 3
    with pytest.raises(chat_text.TemplateFailed, match="does not come to an end"):
        chat_text.render(endless, {}, [[{"role": "user", "content": "hello"}]])


def test_template_that_refuses_system_prompts_gets_them_in_the_question() -> None:
    template = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    )
    question = {"role": "user", "content": "Why?"}
    talks = [[{"role": "system", "content": "Be brief."}, question], [question]]
    assert chat_text.render(template, {}, talks) == ["<user>Be brief.\n\nWhy?", "<user>Why?"]


def test_template_file_and_named_templates_and_tokens(tmp_path: Path) -> None:
    config = tmp_path / "tokenizer_config.json"
    named = [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D{{ bos_token }}"}]
    config.write_text(json.dumps({"chat_template": named, "bos_token": {"content": "<s>"}}))
    found = chat_text.template_of({"tokenizer_config.json": config})
    assert found == ("D{{ bos_token }}", {"bos_token": "<s>"})
    assert chat_text.render(*found, [[]]) == ["D<s>"]
    own = tmp_path / "chat_template.jinja"
    own.write_text("J")
    both = chat_text.template_of({"tokenizer_config.json": config, "chat_template.jinja": own})
    assert both == ("J", {"bos_token": "<s>"})


def test_own_text_comes_first_and_ours_keeps_a_share(files: dict[str, Path], tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text("zebra " * 4000, encoding="utf-8")
    found = calibration.collect(files, 1024, 128, own, VOCABULARY)
    texts = [tokenizer().decode(window.tolist()) for window in found.windows]
    assert len(texts) == 8
    assert sum("zebra" in text for text in texts) == 6


def test_short_own_text_is_repeated(files: dict[str, Path], tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text("one two", encoding="utf-8")
    assert len(calibration.collect(files, 256, 128, own, VOCABULARY).windows) == 2


def test_bad_texts_are_named(files: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"missing\.txt"):
        calibration.collect(files, 256, 128, tmp_path / "missing.txt", VOCABULARY)
    binary = tmp_path / "binary.txt"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConversionError, match="not UTF-8"):
        calibration.collect(files, 256, 128, binary, VOCABULARY)
    empty = tmp_path / "empty.txt"
    for nothing in ("", " \n\n \t"):
        empty.write_text(nothing)
        with pytest.raises(ConversionError, match="empty"):
            calibration.collect(files, 256, 128, empty, VOCABULARY)


def test_bad_tokenizers_are_named(files: dict[str, Path]) -> None:
    with pytest.raises(SourceError, match="vocabulary has 10"):
        calibration.collect(files, 256, 128, None, 10)
    files["tokenizer.json"].write_text("{")
    with pytest.raises(SourceError, match=r"tokenizer\.json cannot be read"):
        calibration.collect(files, 256, 128, None, VOCABULARY)
    del files["tokenizer.json"]
    with pytest.raises(SourceError, match=r"no tokenizer\.json"):
        calibration.collect(files, 256, 128, None, VOCABULARY)


def test_every_window_begins_with_what_the_tokenizer_puts_first(files: dict[str, Path]) -> None:
    from tokenizers import processors

    made = calibration.open_tokenizer(files)
    assert calibration.leading_tokens(made) == []
    made.post_processor = processors.TemplateProcessing(
        single="<|im_start|> $A <|im_end|>", special_tokens=[("<|im_start|>", 0), ("<|im_end|>", 1)]
    )
    assert calibration.leading_tokens(made) == [0]
    made.save(str(files["tokenizer.json"]))
    found = calibration.collect(files, 1024, 128, None, VOCABULARY)
    assert found.windows.shape == (8, 128)
    assert (found.windows[:, 0] == 0).all()
    assert calibration.cut(list(range(5, 12)), 4, [0]).tolist() == [[0, 5, 6, 7], [0, 8, 9, 10]]


@pytest.mark.parametrize("name", ["prose", "code", "languages", "mathematics", "novel"])
def test_the_text_of_evaluation_is_not_calibrated_on(name: str) -> None:
    from tzcore.paths import resources

    text = (resources() / "evaluation" / f"{name}.txt").read_text(encoding="utf-8")
    ours = "".join(p.read_text(encoding="utf-8") for p in (resources() / "calibration").iterdir())
    pieces = [piece for piece in re.split(r"[.。।]\s*|\n\n", text.replace("\n", " ")) if len(piece) > 50]
    assert len(pieces) > 20
    assert not [piece for piece in pieces if piece in ours.replace("\n", " ")]
    assert TEXT not in ours


def test_conversations_of_evaluation_are_not_calibrated_on() -> None:
    from tzcore.paths import resources

    def messages(folder: str) -> list[str]:
        lines = (resources() / folder / "chat.jsonl").read_text(encoding="utf-8").splitlines()
        return [message["content"] for line in lines for message in json.loads(line)["messages"]]

    assert len(messages("evaluation")) > 20
    assert len(messages("calibration")) > 240
    assert not set(messages("evaluation")) & set(messages("calibration"))
