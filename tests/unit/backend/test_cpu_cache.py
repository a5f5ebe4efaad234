"""Keys and values of the Rust library: formats against the reference, texts that share pages, pieces, windows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.tiny_models import tiny_folder
from tzcore.architecture.registry import spec_of
from tzcore.architecture.spec import ModelSpec
from tzcore.backend import native
from tzcore.backend.base import PIECE
from tzcore.backend.cpu import CpuBackend, CpuModel, CpuSequence
from tzcore.backend.cpu_memory import memory_bytes
from tzcore.backend.reference import ReferenceBackend
from tzcore.checkpoint import ModelFolder
from tzcore.errors import BackendError, ContextFullError
from tzcore.keyvalues import F16, FORMATS, KeyValueFormat

Floats = npt.NDArray[np.float32]
CODED = [stored for stored in FORMATS.values() if stored.quantised]


def folder_of(path: Path, family: str, fmt: str = "f16") -> tuple[ModelFolder, ModelSpec]:
    head = "f16" if fmt == "f16" else "i8"
    folder = ModelFolder.open(tiny_folder(path / f"{family}-{fmt}", family, format=fmt, head_format=head))
    return folder, spec_of(folder)


def ids_of(spec: ModelSpec, count: int, seed: int = 0) -> npt.NDArray[np.int32]:
    return np.random.default_rng(seed).integers(0, spec.vocabulary, count, dtype=np.int32)


def distance(a: Floats, b: Floats) -> float:
    return float(np.sqrt(((a - b) ** 2).mean() / (b**2).mean()))


@pytest.fixture(scope="module", params=["llama", "gemma2", "qwen3"])
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CpuModel]:
    folder, spec = folder_of(tmp_path_factory.mktemp("models"), request.param)
    model = CpuBackend().load(folder, spec, threads=2)
    yield model
    model.close()


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CpuModel]:
    folder, spec = folder_of(tmp_path_factory.mktemp("models"), "llama")
    model = CpuBackend().load(folder, spec, threads=2)
    yield model
    model.close()


@pytest.mark.parametrize("stored", CODED, ids=lambda stored: stored.name)
@pytest.mark.parametrize("family", ["llama", "gemma2", "phi3"])
def test_formats_are_the_reference_s(tmp_path: Path, family: str, stored: KeyValueFormat) -> None:
    """What the library's rounding of queries and weights to 8 bits costs is far below what codes of few bits do."""
    folder, spec = folder_of(tmp_path, family)
    ids = ids_of(spec, 400)
    reference = ReferenceBackend("float").load(folder, spec)
    exact = reference.forward(reference.new_sequence(400), ids, "all")
    expected = reference.forward(reference.new_sequence(400, stored), ids, "all")
    codes_cost = distance(expected, exact)
    for variant in native.variants():
        model = CpuBackend(variant).load(folder, spec, threads=2)
        found = model.forward(model.new_sequence(400, stored), ids, "all")
        assert distance(found, expected) < max(0.03, 0.4 * codes_cost), (variant, codes_cost)
        assert distance(found[:64], exact[:64]) < 1e-3, variant  # nothing of the first block is read as codes
        model.close()


@pytest.mark.parametrize("stored", FORMATS.values(), ids=lambda stored: stored.name)
def test_chunks_and_single_tokens_give_the_same_bits(opened: CpuModel, stored: KeyValueFormat) -> None:
    ids = ids_of(opened.spec, 420)
    whole = opened.forward(opened.new_sequence(420, stored), ids, "all")
    sequence = opened.new_sequence(420, stored)
    parts = ((0, 1), (1, 63), (63, 64), (64, 200), (200, 201), (201, 400))
    pieces = [opened.forward(sequence, ids[a:b], "all") for a, b in parts]
    pieces += [opened.forward(sequence, ids[i : i + 1]) for i in range(400, 420)]
    assert np.array_equal(np.concatenate(pieces), whole)


@pytest.mark.parametrize("stored", FORMATS.values(), ids=lambda stored: stored.name)
def test_many_segments_on_any_number_of_threads(tmp_path: Path, stored: KeyValueFormat) -> None:
    """A text of more than one segment gives the same bits from one thread and from three, and all at once."""
    folder, spec = folder_of(tmp_path, "llama", "t2")
    spec = replace(spec, max_context=8192)
    ids = ids_of(spec, 4200)
    rows = []
    for threads in (1, 3):
        model = CpuBackend().load(folder, spec, threads=threads)
        sequence = model.new_sequence(4300, stored)
        model.forward(sequence, ids[:4190], "none")
        rows.append(np.concatenate([model.forward(sequence, ids[i : i + 1]) for i in range(4190, 4200)]))
        sequence.truncate(4190)
        rows.append(model.forward(sequence, ids[4190:], "all"))
        model.close()
    assert all(np.array_equal(rows[0], other) for other in rows[1:])


@pytest.mark.parametrize("stored", FORMATS.values(), ids=lambda stored: stored.name)
def test_the_plan_is_what_is_allocated(opened: CpuModel, stored: KeyValueFormat) -> None:
    for capacity in (1, 64, 65, 1000, 5000):
        sequence = opened.new_sequence(capacity, stored)
        opened.forward(sequence, ids_of(opened.spec, 1))
        assert sequence.memory_bytes() == memory_bytes(opened.spec, capacity, stored)
        sequence.close()


@pytest.mark.parametrize("stored", [F16, CODED[0], CODED[2]], ids=lambda stored: stored.name)
def test_forks_go_their_own_ways(opened: CpuModel, stored: KeyValueFormat) -> None:
    """Both branches are what they would be alone, to the bit, whoever goes first; shared pages never change."""
    ids, other = ids_of(opened.spec, 200), ids_of(opened.spec, 200, 1)
    expected = opened.forward(opened.new_sequence(200, stored), ids, "all")[150:]
    text = opened.new_sequence(600, stored)
    opened.forward(text, ids[:150], "none")
    branch = text.fork(140)
    opened.forward(branch, other[:50], "none")
    again = opened.new_sequence(200, stored)
    opened.forward(again, np.concatenate([ids[:140], other[:50]]), "none")
    assert np.array_equal(opened.forward(branch, ids[:1]), opened.forward(again, ids[:1]))
    assert branch.resumable(150) == 150
    rows = np.concatenate([opened.forward(text, ids[i : i + 1]) for i in range(150, 200)])
    if stored.quantised:  # the branch had taken the latest halves, and the text takes the next
        assert branch.resumable(150) == 64
        assert distance(rows, expected) < 0.5
    else:
        assert np.array_equal(rows, expected)


def test_room_is_what_other_texts_leave(llama: CpuModel) -> None:
    ids = ids_of(llama.spec, 300)
    text = llama.new_sequence(320)
    assert text.room == 320
    llama.forward(text, ids[:130], "none")
    assert text.room == 190
    branch = text.fork(130)  # shares three pages, of which the last must be copied by who writes first
    assert text.room == branch.room == 62 + 64
    llama.forward(branch, ids[:60], "none")
    assert (text.room, branch.room) == (62 + 64, 2 + 64)
    with pytest.raises(ContextFullError, match="left"):
        llama.forward(text, ids[:150], "none")
    assert text.length == 130
    branch.close()
    assert text.room == 190
    llama.forward(text, ids[:190], "none")
    assert text.room == 0
    text.truncate(0)
    assert text.room == 320


@pytest.mark.parametrize("stored", FORMATS.values(), ids=lambda stored: stored.name)
def test_pieces_bring_a_text_back(opened: CpuModel, stored: KeyValueFormat) -> None:
    ids = ids_of(opened.spec, 700)
    text = opened.new_sequence(2000, stored)
    opened.forward(text, ids[:600], "none")
    pieces = [text.save(number) for number in range(-(-600 // PIECE))]
    back = opened.new_sequence(2000, stored)
    back.load(iter(pieces), 600)
    assert back.length == 600
    if all(layer.window is None for layer in opened.spec.layers):
        assert [back.save(number) for number in range(len(pieces))] == pieces
    again = back.resumable(600)
    assert again == (600 if not stored.quantised else 512)  # blocks 8 and 9 are there as codes alone
    if stored.quantised:
        back.truncate(again)
        opened.forward(back, ids[again:600], "none")
    found, expected = (opened.forward(one, ids[600:601]) for one in (back, text))
    if stored.quantised:  # blocks 8 and 9 were read from codes of block 7 where they saw it exact before
        assert distance(found, expected) < 0.35
    else:
        assert np.array_equal(found, expected)


def test_a_shorter_text_of_the_same_pieces(llama: CpuModel) -> None:
    ids = ids_of(llama.spec, 700)
    text = llama.new_sequence(2000)
    llama.forward(text, ids[:600], "none")
    pieces = [text.save(number) for number in range(3)]
    for length in (1, 64, 255, 256, 257, 512, 600):
        back = llama.new_sequence(2000)
        back.load(pieces, length)
        fresh = llama.new_sequence(2000)
        llama.forward(fresh, ids[:length], "none")
        assert np.array_equal(llama.forward(back, ids[:1]), llama.forward(fresh, ids[:1])), length


def spoilt(piece: bytes, form: str) -> bytes:
    match form:
        case "empty":
            return b""
        case "cut":
            return piece[:-1]
        case "longer":
            return piece + b"\0"
        case "mark":
            return b"\xff" + piece[1:]
        case "blocks":
            return piece[:4] + b"\x09\0\0\0" + piece[8:]
        case _:
            return piece[:8] + b"\xff\xff\xff\xff" + piece[12:]


@pytest.mark.parametrize("form", ["empty", "cut", "longer", "mark", "blocks", "mask"])
def test_damaged_pieces_are_refused(llama: CpuModel, form: str) -> None:
    text = llama.new_sequence(600, FORMATS["k4v4"])
    llama.forward(text, ids_of(llama.spec, 300), "none")
    pieces = [text.save(0), text.save(1)]
    back = llama.new_sequence(600, FORMATS["k4v4"])
    for number in (0, 1):
        wrong = [spoilt(piece, form) if i == number else piece for i, piece in enumerate(pieces)]
        with pytest.raises(BackendError, match="damaged"):
            back.load(wrong, 300)
        assert (back.length, back.room) == (0, 600)
    with pytest.raises(BackendError, match="ends after 256 of 300"):
        back.load(pieces[:1], 300)
    with pytest.raises(BackendError, match="does not fit"):
        llama.new_sequence(200, FORMATS["k4v4"]).load(pieces, 300)
    other = llama.new_sequence(600, FORMATS["k8v8"])
    with pytest.raises(BackendError, match="damaged"):
        other.load(pieces, 300)
    back.load(pieces, 300)
    assert back.length == 300
    with pytest.raises(BackendError, match="cannot take"):
        back.load(pieces, 300)


@pytest.fixture(scope="module")
def windowed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CpuModel]:
    folder, spec = folder_of(tmp_path_factory.mktemp("models"), "gemma2")
    assert {layer.window for layer in spec.layers} == {None, 24}
    model = CpuBackend().load(folder, replace(spec, max_context=8192), threads=2)
    yield model
    model.close()


@pytest.mark.parametrize("stored", [F16, FORMATS["k4v4"]], ids=lambda stored: stored.name)
def test_windows_keep_only_what_they_see(windowed: CpuModel, stored: KeyValueFormat) -> None:
    """A long text gives the bits that it gives where nothing is let go of, in less memory."""
    ids = ids_of(windowed.spec, 3000)
    layers = tuple(replace(layer, window=None) for layer in windowed.spec.layers)
    everything = memory_bytes(replace(windowed.spec, layers=layers), 6000, stored)
    text = windowed.new_sequence(6000, stored)
    assert text.memory_bytes() < 0.9 * everything
    rows = [windowed.forward(text, ids[at : at + 300], "last") for at in range(0, 3000, 300)]
    whole = windowed.new_sequence(3000, stored)
    assert np.array_equal(windowed.forward(whole, ids, "last"), rows[-1])
    assert text.resumable(2999) in (2999, 2944 - 64)
    assert text.resumable(1000) == 0
    for refused in (text.truncate, text.fork):
        with pytest.raises(BackendError, match="not kept"):
            refused(1000)
    kept = text.fork(3000)
    text.truncate(2995)
    text.truncate(0)
    windowed.forward(text, ids[:500], "none")
    assert (text.length, kept.length) == (500, 3000)


def test_a_windowed_text_comes_back(windowed: CpuModel) -> None:
    ids = ids_of(windowed.spec, 1500)
    text = windowed.new_sequence(3000)
    pieces: list[bytes] = []
    for at in range(0, 1400, 200):  # saved as it goes on: the windows of the first pieces are gone later
        windowed.forward(text, ids[at : at + 200], "none")
        pieces[at // PIECE :] = [text.save(number) for number in range(at // PIECE, -(-(at + 200) // PIECE))]
    back = windowed.new_sequence(3000)
    back.load(pieces, 1400)
    assert np.array_equal(windowed.forward(back, ids[1400:1401]), windowed.forward(text, ids[1400:1401]))
    late = [text.save(number) for number in range(len(pieces))]
    early = windowed.new_sequence(3000)
    with pytest.raises(BackendError, match="window"):
        early.load(late, 700)
    assert (early.length, early.room) == (0, 3000)


def test_drafts_can_always_be_taken_back(windowed: CpuModel) -> None:
    ids = ids_of(windowed.spec, 600)
    for stored in (F16, FORMATS["k8v8"]):
        expected = windowed.forward(windowed.new_sequence(700, stored), ids, "all")
        text = windowed.new_sequence(700, stored)
        windowed.forward(text, ids[:300], "none")
        for at in range(300, 560):
            windowed.forward(text, ids_of(windowed.spec, 17, at), "all")
            assert text.resumable(at) == at
            text.truncate(at)
            assert np.array_equal(windowed.forward(text, ids[at : at + 1])[0], expected[at])


def test_wide_heads_have_no_codes(tmp_path: Path) -> None:
    sequence: CpuSequence | None = None
    folder, spec = folder_of(tmp_path, "llama")
    model = CpuBackend().load(folder, spec, threads=1)
    with pytest.raises(BackendError, match="keys of 5"):
        sequence = model.new_sequence(64, KeyValueFormat("odd", 5, 5))
    assert sequence is None
    model.close()
