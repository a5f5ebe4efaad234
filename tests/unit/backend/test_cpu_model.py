"""Whole networks: every family against the reference, and the same bits however a text is fed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.tiny_models import tiny_folder
from tzcore.architecture.registry import SUPPORTED, spec_of
from tzcore.architecture.spec import ModelSpec
from tzcore.backend import native
from tzcore.backend.cpu import CpuBackend, CpuModel
from tzcore.backend.reference import ReferenceBackend
from tzcore.backend.select import select
from tzcore.checkpoint import ModelFolder
from tzcore.errors import BackendError

LENGTH = 90
Floats = npt.NDArray[np.float32]


def make(path: Path, family: str, fmt: str, head: str) -> tuple[ModelFolder, ModelSpec]:
    folder = ModelFolder.open(tiny_folder(path / f"{family}-{fmt}", family, format=fmt, head_format=head))
    return folder, spec_of(folder)


def token_ids(spec: ModelSpec, count: int = LENGTH) -> npt.NDArray[np.int32]:
    return np.random.default_rng(0).integers(0, spec.vocabulary, count, dtype=np.int32)


def distance(a: Floats, b: Floats) -> float:
    return float(np.sqrt(((a - b) ** 2).mean() / (b**2).mean()))


@pytest.mark.parametrize("family", SUPPORTED)
@pytest.mark.parametrize(("fmt", "head", "limit"), [("f16", "f16", 5e-4), ("i8", "i8", 0.02), ("t2b3", "i4", 0.04)])
def test_parity_with_the_reference(tmp_path: Path, family: str, fmt: str, head: str, limit: float) -> None:
    """int8 inputs make near ties fall either way, so quantised folders agree less closely than f16.

    A router's near tie gives some tokens another expert: there most tokens must agree.
    """
    folder, spec = make(tmp_path, family, fmt, head)
    ids = token_ids(spec)
    reference = ReferenceBackend("int8", cache="f16").load(folder, spec)
    expected = reference.forward(reference.new_sequence(LENGTH), ids, "all")
    for variant in native.variants():
        model = CpuBackend(variant).load(folder, spec, threads=2)
        found = model.forward(model.new_sequence(LENGTH), ids, "all")
        if spec.routers() and fmt != "f16":
            tokens = [distance(*rows) for rows in zip(found, expected, strict=True)]
            assert np.quantile(tokens, 0.75) < limit, variant
        else:
            assert distance(found, expected) < limit, variant
        model.close()


@pytest.fixture(scope="module", params=["qwen3", "gemma2", "qwen3_moe", "bitnet"])
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CpuModel]:
    folder, spec = make(tmp_path_factory.mktemp("models"), request.param, "t2", "i8")
    model = CpuBackend().load(folder, spec, threads=2)
    yield model
    model.close()


def test_chunks_and_single_tokens_give_the_same_bits(opened: CpuModel) -> None:
    ids = token_ids(opened.spec, 300)  # more than one chunk of the library
    whole = opened.forward(opened.new_sequence(300), ids, "all")
    sequence = opened.new_sequence(300)
    singles = [opened.forward(sequence, ids[i : i + 1]) for i in range(40)]
    assert np.array_equal(np.concatenate(singles), whole[:40])
    rest = [opened.forward(sequence, ids[a:b], "all") for a, b in ((40, 57), (57, 290), (290, 300))]
    assert np.array_equal(np.concatenate(rest), whole[40:])
    assert sequence.length == 300


@pytest.mark.parametrize("family", SUPPORTED)
@pytest.mark.parametrize(("fmt", "head"), [("t2", "i8"), ("t1b3", "i4"), ("t2b3", "f16"), ("f16", "f16")])
def test_steps_of_a_few_tokens_give_the_same_bits(tmp_path: Path, family: str, fmt: str, head: str) -> None:
    """As ``exact_chunks`` says: steps that check drafts rely on it, with every set of kernels."""
    folder, spec = make(tmp_path, family, fmt, head)
    ids = token_ids(spec)
    rng = np.random.default_rng(1)
    for variant in native.variants():
        model = CpuBackend(variant).load(folder, spec, threads=2)
        assert model.exact_chunks
        sequence = model.new_sequence(LENGTH + 8)
        singles = np.concatenate([model.forward(sequence, ids[i : i + 1]) for i in range(LENGTH)])
        sequence.truncate(0)
        while (place := sequence.length) < LENGTH:
            kept = int(rng.integers(1, 9))
            wrong = rng.integers(0, spec.vocabulary, 9 - kept, dtype=np.int32)  # cut off again, as wrong drafts are
            rows = model.forward(sequence, np.concatenate([ids[place : place + kept], wrong])[:8], "all")
            kept = min(kept, LENGTH - place)
            assert np.array_equal(rows[:kept], singles[place : place + kept]), variant
            sequence.truncate(place + kept)
        model.close()


def test_last_is_the_last_of_all_and_none_is_none(opened: CpuModel) -> None:
    ids = token_ids(opened.spec, 257)
    whole = opened.forward(opened.new_sequence(257), ids, "all")
    assert np.array_equal(opened.forward(opened.new_sequence(257), ids), whole[-1:])
    sequence = opened.new_sequence(257)
    assert opened.forward(sequence, ids[:-1], "none").shape == (0, opened.spec.vocabulary)
    assert np.array_equal(opened.forward(sequence, ids[-1:]), whole[-1:])


def test_truncate_and_run_again(opened: CpuModel) -> None:
    ids = token_ids(opened.spec)
    sequence = opened.new_sequence(LENGTH)
    first = opened.forward(sequence, ids, "all")
    for keep in (50, 33, 1):
        sequence.truncate(keep)
        opened.forward(sequence, ids[::-1][: LENGTH - keep], "none")  # other tokens in between
        sequence.truncate(keep)
        assert sequence.length == keep
        assert np.array_equal(opened.forward(sequence, ids[keep:], "all"), first[keep:])


@pytest.mark.parametrize("family", ["llama", "mixtral"])
def test_threads_do_not_change_a_bit(tmp_path: Path, family: str) -> None:
    folder, spec = make(tmp_path, family, "t1b3", "i8")
    ids = token_ids(spec)
    results = []
    for threads in (1, 2, 3, 5):
        model = CpuBackend().load(folder, spec, threads)
        assert model.threads == threads
        sequence = model.new_sequence(LENGTH)
        prompt = model.forward(sequence, ids[:-2], "all")
        results.append(np.concatenate([prompt, model.forward(sequence, ids[-2:-1]), model.forward(sequence, ids[-1:])]))
        model.close()
    for other in results[1:]:
        assert np.array_equal(results[0], other)


def test_two_sequences_do_not_meet(opened: CpuModel) -> None:
    ids = token_ids(opened.spec, 20)
    alone = opened.forward(opened.new_sequence(20), ids, "all")
    a, b = opened.new_sequence(20), opened.new_sequence(20)
    rows = []
    for i in range(20):
        rows.append(opened.forward(a, ids[i : i + 1]))
        opened.forward(b, ids[19 - i : 20 - i])
    assert np.array_equal(np.concatenate(rows), alone)


def test_calls_from_several_threads_wait_for_each_other(opened: CpuModel) -> None:
    ids = token_ids(opened.spec, 60)
    expected = opened.forward(opened.new_sequence(60), ids, "all")

    def one(_: int) -> bool:
        sequence = opened.new_sequence(60)
        parts = [opened.forward(sequence, ids[a : a + 12], "all") for a in range(0, 60, 12)]
        return np.array_equal(np.concatenate(parts), expected)

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(one, range(12)))


def test_weight_bytes_count_what_a_token_reads(tmp_path: Path) -> None:
    folder, spec = make(tmp_path, "llama", "t2", "i8")
    model = CpuBackend().load(folder, spec, threads=1)
    total = sum(t.codes.nbytes + t.scales.nbytes for t in map(folder.matrix, folder.quantization.matrices))
    if not spec.tied:
        embedding = folder.matrix(spec.embedding.name)
        total -= embedding.codes.nbytes + embedding.scales.nbytes
    assert model.weight_bytes_per_token() == total


def test_of_experts_only_those_active_count(tmp_path: Path) -> None:
    folder, spec = make(tmp_path, "mixtral", "t2", "i8")
    model = CpuBackend().load(folder, spec, threads=1)
    sizes = {
        name: sum(part.nbytes for part in (stored.codes, stored.scales) if part is not None)
        for name in folder.quantization.matrices
        for stored in [folder.matrix(name)]
    }
    experts = sum(size for name, size in sizes.items() if ".experts." in name)
    assert experts > sum(sizes.values()) / 3
    others = sum(size for name, size in sizes.items() if ".experts." not in name) - sizes[spec.embedding.name]
    assert model.weight_bytes_per_token() == others + experts * 2 // 5
    assert ReferenceBackend().load(folder, spec).weight_bytes_per_token() == model.weight_bytes_per_token()


def test_selection_says_why() -> None:
    backend, reason = select()
    assert backend.name == "cpu"
    assert reason
    assert select("reference")[0].name == "reference"
    with pytest.raises(BackendError, match="auto"):
        select("cuda9")
