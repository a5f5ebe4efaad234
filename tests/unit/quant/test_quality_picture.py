from __future__ import annotations

import importlib.util
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tzcore.errors import MissingExtraError, RequestError, StorageError
from tzcore.quant import quality_picture
from tzcore.quant.quality_picture import Point, Series, draw

needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="matplotlib is not installed (the extra plots)"
)
SERIES = [
    Series("one", (Point(56, 1.6, "t1"), Point(76, 0.19, "t2"), Point(269, 0.0, "f16"))),
    Series("another", (Point(120, 0.9, "small & quick"),)),
]


@needs_matplotlib
@pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf"])
def test_draws_every_point_in_the_form_the_name_asks_for(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"picture{suffix}"
    draw(path, SERIES, "size, MB", "loss")
    content = path.read_bytes()
    if suffix == ".svg":
        root = ET.fromstring(content)
        comments = content.decode()
        assert root.tag.endswith("svg")
        for text in ("t1", "t2", "f16", "small &amp; quick", "size, MB", "loss", "another"):
            assert f"<!-- {text} -->" in comments, text
    else:
        assert content.startswith({".png": b"\x89PNG", ".pdf": b"%PDF"}[suffix])


@needs_matplotlib
def test_a_place_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot write"):
        draw(tmp_path / "none" / "picture.svg", SERIES, "size", "loss")


def test_an_unknown_ending_is_refused_before_anything_else() -> None:
    with pytest.raises(RequestError, match=r"\.svg, \.png, \.pdf"):
        quality_picture.check(Path("picture.jpg"))


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality_picture.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"ternary-zero\[plots\]"):
        quality_picture.check(Path("picture.svg"))
