from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from tests.tiny_models import tiny_source
from tzcore.architecture.registry import read_spec
from tzcore.errors import CheckpointError, ConversionError, MissingExtraError
from tzcore.quant.budget import Request
from tzcore.quant.settings import Settings, format_for, parameters
from tzcore.trits import FORMATS


@pytest.mark.parametrize(
    ("encoding", "packing", "expected"),
    [("t1", None, "t1b3"), ("t1", "slots", "t1"), ("t2", None, "t2b3"), ("t2", "base3", "t2b3"), ("t2", "slots", "t2"),
     ("q2", None, "q2"), ("i4", "slots", "i4"), ("i8", None, "i8"), ("f16", None, "f16")],
)  # fmt: skip
def test_format_of_an_encoding(encoding: str, packing: str | None, expected: str) -> None:
    assert format_for(encoding, packing) == expected


@pytest.mark.parametrize(("encoding", "packing"), [("i4", "base3"), ("t3", None), ("t2", "bits")])
def test_what_does_not_exist_is_refused(encoding: str, packing: str | None) -> None:
    with pytest.raises(ConversionError):
        format_for(encoding, packing)


def test_defaults_by_size_and_the_users_choice() -> None:
    source = tiny_source("llama3")
    spec = read_spec(source.config, set(source.names()))
    assert parameters(spec) == sum(source.shape(n)[0] * source.shape(n)[1] for n in source.names() if "norm" not in n)
    small = Settings.default_for(spec)
    assert (small.format, small.encoding, small.group, small.head_format) == ("t2b3", "t2", 128, "i8")
    assert small.tunes
    assert Settings.default_for(spec, "f16").head_format == "f16"
    assert Settings.default_for(spec, "t1", "slots").format == "t1"
    large = Settings.default_for(replace(spec, embedding=replace(spec.embedding, rows=1 << 24)))
    assert not large.tunes
    assert Settings.default_for(replace(spec, embedding=replace(spec.embedding, rows=1 << 24)), tuned=True).tunes
    assert small.group_for(FORMATS["t2"], 1536) == small.group_for(FORMATS["t2"], 576) == 128
    assert small.group_for(FORMATS["t2"], 64) == 64
    assert small.group_for(FORMATS["f16"], 1536) == 0


def test_a_budget_names_the_model() -> None:
    settings = Settings(request=Request("bits", 2.4, "2.4bpw"))
    assert settings.encoding == "2.4bpw"
    assert settings.calibrates
    assert settings.as_json()["request"] == {"kind": "bits", "value": 2.4, "word": "2.4bpw"}


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_calibrated_and_transformed(name: str) -> None:
    settings = Settings(format=name)
    assert settings.calibrates == (name not in ("f16", "i8"))
    assert settings.rotates == settings.calibrates
    assert not Settings(format="f16", calibrated=True, rotate=True).calibrates
    assert not Settings(format="f16", rotate=True).rotates


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(CheckpointError, match="t3"):
        Settings(format="t3")
    with pytest.raises(ConversionError, match="96"):
        Settings(group=96)
    with pytest.raises(ConversionError, match="window"):
        Settings(window=1)


def test_torch_is_imported_late_and_missed_clearly() -> None:
    code = "import tzcore.quant.convert, tzcore.quant.evaluation, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from tzcore.quant.runtime import torch_session

    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r'pip install "ternary-zero\[convert\]"'), torch_session():
        pass
