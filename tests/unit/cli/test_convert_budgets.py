"""--bits, --size, --vram, --context and --quality: what can be typed, and what it comes to."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

import pytest

from tests.tiny_models import tiny_source
from tests.unit.backend.cuda.shapes import shape
from tests.unit.cli.conftest import Tz
from tzcore.architecture.registry import read_spec
from tzcore.architecture.spec import ModelSpec
from tzcore.backend.cuda.pages import layer_bytes
from tzcore.backend.cuda.plan import RESERVE
from tzcore.cli import budget_arguments, card_plan, convert
from tzcore.cli.budget_arguments import Budget
from tzcore.cli.main import parse
from tzcore.engine.plan import plan_on_card
from tzcore.errors import RequestError
from tzcore.hub import library
from tzcore.quant.allocation import BudgetError
from tzcore.quant.budget import QUALITIES, Overhead, Request, assumed_losses, items_of, resolve
from tzcore.quant.settings import Settings
from tzcore.quant.stored import stored_as


@pytest.fixture(scope="module")
def spec() -> ModelSpec:
    source = tiny_source("llama")
    return read_spec(source.config, set(source.names()))


def asked(*words: str) -> Budget | None:
    return budget_arguments.chosen(parse(["convert", "starter", *words]))


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What wrong usage says; it exits with 2."""
    with pytest.raises(SystemExit) as stop:
        asked(*words)
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert message.startswith("tz: ")
    return message


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], None),
        (["--encoding", "t1", "--packing", "slots"], None),
        (["--bits", "2.35"], Budget("bits", 2.35, "2.35bpw")),
        (["--bits", "3"], Budget("bits", 3.0, "3bpw")),
        (["--size", "20GiB"], Budget("size", 20 << 30, "20GiB")),
        (["--size", "20 gb"], Budget("size", 20 * 10**9, "20GB")),
        (["--size", "1.50GB"], Budget("size", 15 * 10**8, "1.5GB")),
        (["--size", "700MB"], Budget("size", 700 * 10**6, "700MB")),
        (["--vram", "24GiB"], Budget("vram", 24 << 30, "24GiB")),
        (["--vram", "24GiB", "--context", "32k"], Budget("vram", 24 << 30, "24GiB-32k", 32768)),
        (["--vram", "8GB", "--context", "5000"], Budget("vram", 8 * 10**9, "8GB-5000", 5000)),
        (["--quality", "balanced"], Budget("quality", 0.0, "balanced")),
    ],
)
def test_what_can_be_typed(words: list[str], expected: Budget | None) -> None:
    assert asked(*words) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--size", "20"], "write a number and its unit, 20GB (10⁹ bytes) or 20GiB (2³⁰ bytes)"),
        (["--size", "20G"], "20GiB"),
        (["--size=-5GB"], "is no size"),
        (["--size", "0GB"], "is no room at all"),
        (["--size", "1e9GB"], "is no size"),
        (["--vram", "lots"], "is no size"),
        (["--bits", "two"], "is no number of bits from 1 to 16"),
        (["--bits", "0.5"], "from 1 to 16"),
        (["--bits", "17"], "from 1 to 16"),
        (["--bits", "nan"], "from 1 to 16"),
        (["--vram", "8GB", "--context", "32K tokens"], "is no number of tokens"),
        (["--vram", "8GB", "--context", "0"], "is no number of tokens"),
        (["--quality", "best"], "balanced"),
        (["--context", "32k"], "give --vram as well"),
        (["--bits", "2", "--context", "32k"], "give --vram as well"),
        (["--bits", "2", "--packing", "slots"], "a budget chooses the packing itself"),
        (["--bits", "2", "--encoding", "t1"], "not allowed with"),
        (["--size", "2GB", "--vram", "8GB"], "not allowed with"),
        (["--quality", "high", "--bits", "2"], "not allowed with"),
    ],
)
def test_what_cannot(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert expected in refused(capsys, *words)


def test_budgets_become_requests(spec: ModelSpec) -> None:
    assert Budget("bits", 2.35, "2.35bpw").request(spec) == Request("bits", 2.35, "2.35bpw")
    assert Budget("size", 10**9, "1GB").request(spec) == Request("size", 10**9, "1GB")
    assert Budget("quality", 0.0, "small").request(spec) == Request("quality", QUALITIES["small"], "small")
    assert set(budget_arguments.QUALITIES) == set(QUALITIES)


def test_vram_is_what_remains_beside_context_and_workspace(spec: ModelSpec) -> None:
    gigabyte = 1 << 30
    default, short = (card_plan.room(gigabyte, context, spec) for context in (None, 256))
    assert default == card_plan.room(gigabyte, spec.max_context, spec)  # its maximum is below the default
    page = len(spec.layers) * layer_bytes(spec)
    assert page * 0.5 < short - default <= page  # a page more of context, and rows are padded on a card
    assert default < gigabyte - RESERVE - 2 * page
    assert Budget("vram", gigabyte, "1GiB-256", 256).request(spec) == Request("memory", short, "1GiB-256")


@pytest.mark.parametrize(
    ("name", "vram", "context"),
    [
        ("llama-3-70b", 24 << 30, 8192), ("llama-3-70b", 48 << 30, 8192), ("llama-3-8b", 4 << 30, 4096),
        ("llama-3-8b", 6 * 10**9, None),
    ],
)  # fmt: skip
def test_what_is_made_for_a_card_fits_on_it(name: str, vram: int, context: int | None) -> None:
    """Whatever the budget's choice: mixtures by assumed losses, and every format alone that the room allows."""
    large = shape(name)
    request = Budget("vram", vram, "a card", context).request(large)
    settings = replace(Settings.default_for(large), request=request)
    items = items_of(large, assumed_losses(large), settings.group_for)
    overhead = Overhead.of(large, rotates=True)
    chosen = resolve(request, items, overhead)
    made = plan_on_card(large, stored_as(large, chosen.formats, settings), context, vram, "a card")
    assert made.fits, made.sentence()
    assert made.context == (8192 if context is None else context)
    if not chosen.note:  # that the largest formats take less
        assert made.memory.total + made.memory.reserve > 0.94 * vram


def test_contexts_that_cannot_be_had(spec: ModelSpec) -> None:
    assert card_plan.room(1 << 30, 1024, spec) < card_plan.room(1 << 30, 512, spec)  # 512 were trained
    with pytest.raises(RequestError, match="impossible"):
        card_plan.room(1 << 30, 0, spec)
    with pytest.raises(BudgetError, match=r"10\.0 MB leave no room for weights: 512 tokens of context take"):
        card_plan.room(10_000_000, 512, spec)


@pytest.mark.parametrize("word", ["2.35bpw", "20GiB", "24GiB-32k", "1.5GB", "balanced"])
def test_installed_models_are_called_by_their_budget(word: str) -> None:
    assert library.installed_id("starter", word) == f"starter:{word}"
    folder = library.folder_for("starter", word)
    assert folder.parent == library.folder_for("starter", "t2").parent
    assert folder.name not in {library.folder_for("starter", other).name for other in ("t2", "2.3bpw", "20GB")}


def test_what_is_said_of_a_receipt() -> None:
    receipt: dict[str, Any] = {
        "formats": {"q2": {"matrices": 100}, "t2b3": {"matrices": 110}, "i8": {"matrices": 1}},
        "bits_per_weight": 2.349,
        "allocation": {"predicted_kl": 0.91, "note": "a remark"},
        "quality": {"kl_mean": 0.954},
    }
    assert convert.about(receipt) == [
        "formats    100 × q2, 110 × t2b3, 1 × i8",
        "bits       2.35 stored bits a weight in the projections",
        "divergence 0.910 nats a token predicted, 0.954 nats a token measured on held-out text "
        "(mean KL from the original)",
        "note       a remark",
        "note       above 0.2 nats answers suffer; --quality balanced, or high, stays nearer",
    ]
    assert len(convert.about(receipt | {"quality": {"kl_mean": 0.1}})) == 4
    assert convert.about({}) == []


def test_wrong_usage_of_the_program(tz: Tz) -> None:
    done = tz("convert", "starter", "--bits", "2", "--size", "3GB")
    assert (done.returncode, done.stdout) == (2, "")
    assert "not allowed with" in done.stderr
    done = tz("convert", "starter", "--context", "32k")
    assert (done.returncode, done.stdout) == (2, "")
    assert "give --vram as well" in done.stderr


def test_import_takes_the_same_arguments() -> None:
    args = parse(["import", "folder", "--bits", "2.5"])
    assert budget_arguments.chosen(args) == Budget("bits", 2.5, "2.5bpw")
    assert isinstance(args, argparse.Namespace)
