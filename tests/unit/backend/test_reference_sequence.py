"""Texts that share a memory, go to disk and back, and see their past in the formats of keys and values."""

from __future__ import annotations

import numpy as np
import pytest

from tests.parity import distance
from tests.tiny_models import tiny_folder
from tzcore import keyvalues
from tzcore.architecture.registry import spec_of
from tzcore.backend.base import PIECE
from tzcore.backend.reference import ReferenceBackend, ReferenceModel
from tzcore.backend.reference_sequence import PAGE, ReferenceSequence
from tzcore.checkpoint.reader import ModelFolder
from tzcore.errors import BackendError, ContextFullError
from tzcore.keyvalues import F16, FORMATS, SINK

IDS = np.random.default_rng(5).integers(0, 500, 700).astype(np.int32)
QUANTISED = [name for name, fmt in FORMATS.items() if fmt.quantised]


@pytest.fixture(scope="module", params=["llama", "mistral"])  # the second with windows
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ReferenceModel:
    folder = ModelFolder.open(tiny_folder(tmp_path_factory.mktemp("m") / "m", request.param))
    return ReferenceBackend().load(folder, spec_of(folder))


def text(model: ReferenceModel, length: int, name: str = "f16", capacity: int = 512) -> ReferenceSequence:
    made = model.new_sequence(capacity, FORMATS[name])
    if length:
        model.forward(made, IDS[:length], "none")
    return made


def test_formats_come_nearer_with_their_bits(model: ReferenceModel) -> None:
    wanted = model.forward(model.new_sequence(400), IDS[:400], "all")
    kl = {}
    for name in QUANTISED:
        found = model.forward(model.new_sequence(400, FORMATS[name]), IDS[:400], "all")
        assert distance(found[:128], wanted[:128]).difference < 0.02, "tokens that see nothing but half precision"
        kl[name] = distance(found[192:], wanted[192:]).kl
    if model.spec.layers[0].window is None:
        assert 0 < kl["k8v8"] < kl["k6v5"] < kl["k4v4"] < kl["k4v2"]


@pytest.mark.parametrize("name", QUANTISED)
def test_what_a_token_sees_depends_on_its_place_alone(model: ReferenceModel, name: str) -> None:
    whole = model.forward(text(model, 0, name), IDS[:330], "all")
    sequence, at, rows = text(model, 0, name), 0, []
    for size in (1, 63, 2, 100, 1, 150, 13):
        rows.append(model.forward(sequence, IDS[at : at + size], "all"))
        at += size
    assert at == 330
    np.testing.assert_allclose(np.concatenate(rows), whole, atol=2e-3)
    for block, exact in ((0, 330), (1, 330), (2, SINK), (4, SINK)):
        seen = sequence.seen(0, block, 330)
        begin = max(block - 1, 0) * 64
        np.testing.assert_array_equal(seen[:, begin:], sequence.exact[0][:, begin:330])
        np.testing.assert_array_equal(seen[:, :SINK], sequence.exact[0][:, :SINK])
        np.testing.assert_array_equal(seen[:, exact:begin], sequence.coded[0][:, exact:begin])
    bits = (FORMATS[name].key_bits, FORMATS[name].value_bits)
    for part, width in enumerate(bits):  # the sixteen-bit copy says what was coded, but for its rounding
        again = keyvalues.stored(sequence.exact[0][part, :330].astype(np.float32), width)
        assert np.abs(again - sequence.coded[0][part, :330]).mean() < 0.01 * np.abs(again).mean()


@pytest.mark.parametrize("name", ["f16", "k4v4"])
def test_a_fork_goes_on_as_a_text_of_its_own(model: ReferenceModel, name: str) -> None:
    whole = text(model, 200, name)
    expected = model.forward(text(model, 150, name), IDS[300:320])
    fork = whole.fork(150)
    assert (fork.length, whole.length) == (150, 200)
    np.testing.assert_allclose(model.forward(fork, IDS[300:320]), expected, atol=1e-3)
    after = model.forward(whole, IDS[200:210])
    fork.close()
    np.testing.assert_allclose(after, model.forward(text(model, 200, name), IDS[200:210]), atol=1e-3)
    with pytest.raises(BackendError, match="closed"):
        fork.fork(3)
    for wrong in (-1, 211):
        with pytest.raises(BackendError, match="cannot fork"):
            whole.fork(wrong)


@pytest.mark.parametrize("name", ["f16", "k6v5"])
@pytest.mark.parametrize("length", [600, PIECE, PIECE + 1, 300, 7])
def test_saved_pieces_are_the_text(model: ReferenceModel, name: str, length: int) -> None:
    whole = text(model, 600, name, capacity=1024)
    pieces = [whole.save(piece) for piece in range(3)]
    for wrong in (-1, 3):
        with pytest.raises(BackendError, match="has no piece"):
            whole.save(wrong)
    loaded = text(model, 0, name, capacity=1024)
    loaded.load(iter(pieces), length)
    assert loaded.length == loaded.exact_from == length
    cut = whole.fork(length)
    cut.exact_from = length
    expected, found = model.forward(cut, IDS[600:640], "all"), model.forward(loaded, IDS[600:640], "all")
    np.testing.assert_array_equal(found, expected)
    if name == "k6v5" and length == 600:  # what lies before is read as codes, which is another text's answer
        exact = model.forward(whole, IDS[600:640], "all")
        assert not np.array_equal(exact, found)
        assert distance(found, exact).kl < 0.02


def test_pieces_that_are_not_of_this_form_leave_the_text_empty(model: ReferenceModel) -> None:
    whole = text(model, 400)
    pieces = [whole.save(0), whole.save(1)]
    empty = text(model, 0)
    for wrong in ([], [b""], [pieces[0]], [pieces[1], pieces[0]], [pieces[0][:-1]], [pieces[0] + b"x", pieces[1]]):
        with pytest.raises(BackendError):
            empty.load(wrong, 400)
        assert (empty.length, empty.room) == (0, 512)
    with pytest.raises(BackendError, match="do not fit"):
        text(model, 0, capacity=399).load(pieces, 400)
    with pytest.raises(BackendError, match="only an empty"):
        whole.load(pieces, 400)
    empty.load(pieces, 400)
    assert empty.length == 400


def test_what_texts_share_is_counted_once(model: ReferenceModel) -> None:
    first = text(model, 200, capacity=512)
    assert first.room == 312
    branch = first.fork(150)  # two whole pages, and the third's beginning
    assert branch.room == 4 * PAGE - 150 % PAGE
    model.forward(branch, IDS[:1], "none")  # its third page is its own now
    assert first.room == 3 * PAGE + 56
    assert branch.room == 3 * PAGE + 64 - 23
    with pytest.raises(ContextFullError, match="other texts share"):
        model.forward(branch, IDS[: branch.room + 1], "none")
    assert branch.length == 151
    first.close()
    assert branch.room == 512 - 151
    model.forward(branch, IDS[: 512 - 151], "none")
    assert branch.room == 0
    branch.truncate(100)
    assert branch.room == 412
    branch.close()
    branch.close()
    with pytest.raises(BackendError, match="closed"):
        assert branch.room


def test_any_order_of_texts_leaves_all_memory_free(model: ReferenceModel) -> None:
    rng = np.random.default_rng(0)
    root = model.new_sequence(1000)
    texts = [root.fork(0)]
    for _ in range(300):
        one = texts[rng.integers(len(texts))]
        action = rng.integers(4)
        if action == 0 and len(texts) < 8:
            texts.append(one.fork(int(rng.integers(one.length + 1))))
        elif action == 1:
            one.truncate(int(rng.integers(one.length + 1)))
        elif action == 2 and one.room:
            one.grow(int(rng.integers(1, min(one.room, 300) + 1)))
        elif action == 3 and len(texts) > 1:
            texts.remove(one)
            one.close()
        assert all(0 <= t.room <= 1000 - t.length for t in texts)
    for one in texts:
        one.close()
    assert root.room == 1000


def test_forms_are_told_apart(model: ReferenceModel) -> None:
    assert len({model.cache_form(fmt) for fmt in FORMATS.values()}) == len(FORMATS)
    assert model.cache_form(F16) == model.cache_form(F16)
