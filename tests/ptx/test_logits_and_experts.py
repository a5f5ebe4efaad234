"""Logits from parts, the choice of experts and the sum of what they make, against NumPy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from tests.ptx.device import KernelFault
from tests.ptx.launching import poisoned, ptx_of, run
from tzcore.architecture.spec import MatrixRef, Router
from tzcore.backend.reference import choose_experts

Floats = npt.NDArray[np.float32]


def added(parts: Floats) -> Floats:
    whole = parts[0]
    for part in parts[1:]:
        whole = whole + part
    return whole


# --- finish_logits ----------------------------------------------------------------------------


def finish(parts: Floats, multiplier: float, softcap: float, ptx: str | None = None) -> Floats:
    S, T, V = parts.shape
    logits = poisoned((T, V), np.float32)
    run("finish_logits", (-(-V // 256), T, 1), 256, parts, S, T, V, multiplier, softcap, logits, ptx=ptx)
    return logits


@pytest.mark.parametrize(("S", "T", "V"), [(1, 1, 256), (5, 3, 1001), (2, 8, 77)])
def test_logits(S: int, T: int, V: int) -> None:
    parts = (np.random.default_rng(V).standard_normal((S, T, V)) * 40).astype(np.float32)
    plain = added(parts) * np.float32(0.125)
    assert np.array_equal(finish(parts, 0.125, 0.0), plain)
    capped = finish(parts, 0.125, 30.0)
    np.testing.assert_allclose(capped, np.tanh(plain / np.float32(30)) * np.float32(30), rtol=1e-6)
    assert np.array_equal(finish(np.ascontiguousarray(parts[:, -1:]), 0.125, 30.0), capped[-1:])


def test_the_softcap_over_its_range() -> None:
    x = np.concatenate([np.linspace(-200, 200, 401), [1e-6, -1e-6, 3e38, -3e38, 0]]).astype(np.float32)
    capped = finish(x[None, None], 1.0, 15.0)[0]
    np.testing.assert_allclose(capped, np.tanh(x.astype(np.float64) / 15) * 15, rtol=5e-7)
    assert (np.diff(capped[:401]) >= 0).all()


# --- route ------------------------------------------------------------------------------------


def route(parts: Floats, active: int, normalise: bool, ptx: str | None = None) -> tuple[npt.NDArray[np.int32], Floats]:
    S, T, E = parts.shape
    chosen, shares = poisoned((T, active), np.int32), poisoned((T, active), np.float32)
    run("route", (T, 1, 1), 128, parts, S, T, E, active, int(normalise), chosen, shares, ptx=ptx)
    return chosen, shares


def expected_route(parts: Floats, active: int, normalise: bool) -> tuple[npt.NDArray[np.intp], Floats]:
    return choose_experts(added(parts), Router(MatrixRef("router", 0, parts.shape[2], 64), active, normalise))


@pytest.mark.parametrize(("S", "T", "E", "active"), [(1, 1, 8, 2), (3, 3, 128, 8), (2, 8, 60, 4), (1, 2, 300, 7)])
@pytest.mark.parametrize("normalise", [False, True])
def test_experts(S: int, T: int, E: int, active: int, normalise: bool) -> None:
    parts = (np.random.default_rng(E).standard_normal((S, T, E)) * 2).astype(np.float32)
    chosen, shares = route(parts, active, normalise)
    expected, weights = expected_route(parts, active, normalise)
    assert np.array_equal(chosen, expected)
    np.testing.assert_allclose(shares, weights, rtol=2e-6)
    alone = route(np.ascontiguousarray(parts[:, -1:]), active, normalise)
    assert np.array_equal(alone[0], chosen[-1:])
    assert np.array_equal(alone[1], shares[-1:])


def test_the_first_of_equal_experts() -> None:
    logits = np.array([[[1, 3, 2, 3, 3, 1, 1, 2], [0] * 8]], np.float32)
    assert route(logits, 4, False)[0].tolist() == [[1, 3, 4, 2], [0, 1, 2, 3]]


def test_experts_of_what_is_no_number() -> None:
    """Numbers of experts that exist, and shares that carry the damage on."""
    logits = np.zeros((1, 1, 8), np.float32)
    logits[0, 0, 5] = np.nan
    chosen, shares = route(logits, 3, True)
    assert chosen.tolist() == [[0, 1, 2]]
    assert np.isnan(shares).all()


# --- mix --------------------------------------------------------------------------------------


def mix(parts: Floats, shares: Floats, ptx: str | None = None) -> Floats:
    S, T, active, H = parts.shape
    out = poisoned((T, H), np.float32)
    run("mix", (-(-H // 256), T, 1), 256, parts, S, T, active, H, shares, out, ptx=ptx)
    return out


@pytest.mark.parametrize(("S", "T", "active", "H"), [(1, 1, 2, 192), (4, 3, 8, 577), (2, 8, 3, 64)])
def test_mixture(S: int, T: int, active: int, H: int) -> None:
    rng = np.random.default_rng(H)
    parts, shares = rng.standard_normal((S, T, active, H)).astype(np.float32), rng.random((T, active), np.float32)
    expected = np.zeros((T, H), np.float32)
    for rank in range(active):
        expected += added(parts)[:, rank] * shares[:, rank, None]
    out = mix(parts, shares)
    assert np.array_equal(out, expected)
    assert np.array_equal(mix(np.ascontiguousarray(parts[:, -1:]), shares[-1:]), out[-1:])


# --- wrong kernels ----------------------------------------------------------------------------


PARTS = np.random.default_rng(0).standard_normal((2, 2, 130)).astype(np.float32)


def test_a_wrong_finish_is_caught() -> None:
    wrong = ptx_of("finish_logits").replace("setp.ge.s32", "setp.gt.s32")  # one id too many
    with pytest.raises(KernelFault):
        finish(PARTS, 1.0, 0.0, wrong)


def test_a_wrong_route_is_caught() -> None:
    wrong = ptx_of("route").replace("setp.gt.u32", "setp.ge.u32")
    with pytest.raises((AssertionError, KernelFault)):
        assert np.array_equal(route(PARTS, 4, True, wrong)[0], expected_route(PARTS, 4, True)[0])


def test_a_wrong_mix_is_caught() -> None:
    shares, wrong = np.full((2, 1), 0.5, np.float32), ptx_of("mix").replace("mul.rn.f32", "add.rn.f32")
    with pytest.raises((AssertionError, KernelFault)):
        assert np.array_equal(mix(PARTS[:, :, None], shares, wrong), added(PARTS) * np.float32(0.5))
