"""``tz bench``: what is wrong usage, what goes to a card, and what is planned there."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.cli.conftest import Tz
from tzcore.cli import bench, bench_card
from tzcore.cli.console import Console
from tzcore.errors import BackendError, DoesNotFitError, RequestError
from tzcore.hub.reference import parse

GIB = 1 << 30


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    bench.configure(parser)
    return parser.parse_args(words)


def planned(*words: str, free: int = 130 * GIB) -> Any:
    device = SimpleNamespace(name="a card", memory=lambda: (free, free))
    args = arguments(*words)
    _, spec, made = bench_card.prepared(args, parse(args.model), device)  # type: ignore[arg-type]
    assert spec.max_context == made.context
    return made


@pytest.mark.parametrize("words", [(), ("starter", "--kernels"), ("starter", "--vram", "much"), ("--encoding", "t9")])
def test_wrong_usage(tz: Tz, words: tuple[str, ...]) -> None:
    done = tz("bench", *words)
    assert done.returncode == 2
    assert "tz: " in done.stderr


def test_a_synthetic_model_is_measured_on_the_processor_and_gone_afterwards(tz: Tz, tmp_path: Path) -> None:
    model = "synthetic:llama-3-8b@layers=1,hidden=128,intermediate=256,heads=2,kv_heads=1,head_dim=64,vocabulary=300"
    words = ("--backend", "cpu", "--encoding", "t1", "--prompt", "8", "--tokens", "2", "--repeat", "1", "--json")
    done = tz("bench", model, *words, TZ_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["decode_tps"] > 0
    assert result["backend"].startswith("cpu")
    assert not list(tmp_path.glob("bench-*"))
    assert not (tmp_path / "models").exists()


def test_without_a_card_the_kernels_cannot_be_timed(tz: Tz) -> None:
    done = tz("bench", "--kernels", CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 1
    assert "NVIDIA" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_synthetic_models_go_to_a_card_where_one_is(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    console = Console()
    monkeypatch.setattr(bench_card, "open_card", lambda: None)
    found = bench._on_card("synthetic:llama-3-8b@layers=2", "auto", console)
    assert found is not None
    assert (found.target, found.revision) == ("llama-3-8b", "layers=2")
    assert bench._on_card("synthetic:llama-3-8b", "cpu", console) is None
    assert bench._on_card("starter", "auto", console) is None

    def none() -> None:
        raise BackendError("no card here")

    monkeypatch.setattr(bench_card, "open_card", none)
    assert bench._on_card("synthetic:llama-3-8b", "auto", console) is None
    assert "no card here" in capsys.readouterr().err
    assert bench._on_card("synthetic:llama-3-8b", "cuda", console) is not None


def test_the_context_is_the_longest_that_fits() -> None:
    made = planned("synthetic:llama-3-70b", "--vram", "24GiB")
    assert made.fits
    assert made.memory.budget == 24 * GIB
    assert 20_000 < made.context < 32_000
    assert planned("synthetic:llama-3-70b").context == (128 << 10) + 256


def test_a_context_that_was_asked_for_is_kept() -> None:
    made = planned("synthetic:llama-3-70b", "--vram", "24GiB", "--context", "64k")
    assert made.context == 64 << 10
    with pytest.raises(DoesNotFitError):
        made.require()


def test_formats_are_chosen() -> None:
    base3, slots = (
        planned("synthetic:llama-3-8b", "--packing", word).memory.size("weights") for word in ("base3", "slots")
    )
    assert slots / base3 == pytest.approx(2.125 / 1.75, rel=0.01)
    heads = [planned("synthetic:llama-3-8b", "--head", word).memory.size("head") for word in ("i4", "i8", "f16")]
    assert heads == sorted(heads)


def test_more_than_is_free_is_refused() -> None:
    with pytest.raises(RequestError, match="more than a card has free"):
        planned("synthetic:llama-3-8b", "--vram", "24GiB", free=20 * GIB)
