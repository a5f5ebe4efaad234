"""The stand-in for pytest does what pytest does with the tests that it runs."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace

import pytest

from tests.gpu import small_pytest


def test_a_module_of_every_kind() -> None:
    said: list[str] = []
    order: list[object] = []
    fixture, parametrize = small_pytest._fixture, small_pytest._parametrize

    @fixture(scope="session")
    def device():  # type: ignore[no-untyped-def]
        order.append("open")
        yield 7
        order.append("closed")

    @fixture(autouse=True)
    def around(device):  # type: ignore[no-untyped-def]
        yield
        order.append("after")

    @parametrize("a", [1, 2])
    @parametrize(("b", "c"), [(3, 4), (5, 6)])
    def test_product(a, b, c, device):  # type: ignore[no-untyped-def]
        order.append((a, b, c, device))

    def test_fails() -> None:
        with small_pytest._raises(ValueError, match="nothing"):
            raise ValueError("something")

    def test_skips() -> None:
        small_pytest._skip("no reason")

    def test_patches(monkeypatch, tmp_path):  # type: ignore[no-untyped-def]
        monkeypatch.setattr(target, "value", 2)
        assert target.value == 2
        assert tmp_path.is_dir()

    target = SimpleNamespace(value=1)
    shared, module = ModuleType("conftest"), ModuleType("tests")
    vars(shared).update(device=device, around=around)
    for test in (test_product, test_fails, test_skips, test_patches):
        setattr(module, test.__name__, test)
    run = small_pytest.Run(shared, said.append)
    run.module(module)
    run.close()
    assert (run.passed, run.failed, run.skipped) == (5, 1, 1)
    rows = sorted(row for row in order if isinstance(row, tuple))
    assert rows == [(1, 3, 4, 7), (1, 5, 6, 7), (2, 3, 4, 7), (2, 5, 6, 7)]
    assert order[0] == "open"
    assert order[-1] == "closed"
    assert target.value == 1
    assert any("something" in text for text in said)


def test_what_was_not_raised_is_a_failure() -> None:
    with pytest.raises(AssertionError, match="there was None"), small_pytest._raises(ValueError):
        pass


def test_another_error_passes_through() -> None:
    with pytest.raises(KeyError), small_pytest._raises(ValueError):
        raise KeyError
