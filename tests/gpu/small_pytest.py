"""The little of pytest that the tests on a card use, for machines that have none.

:func:`stand_in` puts a module of that name where the tests find it; :func:`run` runs the tests of a module.
What pytest does beside (fixtures of other scopes than a test's and a run's, plugins, marks) is not there.
"""

from __future__ import annotations

import inspect
import re
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any


class Skipped(Exception):
    """The test cannot run here."""


class FixtureFunctionDefinition:
    """A fixture: its function, and how long its value lasts."""

    def __init__(self, function: Callable[..., Any], scope: str, autouse: bool) -> None:
        self.function, self.scope, self.autouse = function, scope, autouse


class MonkeyPatch:
    def __init__(self) -> None:
        self._undo: list[tuple[Any, str, Any]] = []

    def setattr(self, target: Any, name: str, value: Any) -> None:
        self._undo.append((target, name, getattr(target, name)))
        setattr(target, name, value)

    def undo(self) -> None:
        for target, name, value in reversed(self._undo):
            setattr(target, name, value)


def stand_in() -> None:
    """Make ``import pytest`` give what is here."""
    module = ModuleType("pytest")
    mark = SimpleNamespace(parametrize=_parametrize)
    vars(module).update(mark=mark, fixture=_fixture, raises=_raises, skip=_skip, MonkeyPatch=MonkeyPatch)
    sys.modules["pytest"] = module


def _parametrize(names: str | tuple[str, ...], values: Any, ids: Any = None) -> Callable[[Any], Any]:
    split = tuple(names.replace(" ", "").split(",")) if isinstance(names, str) else tuple(names)
    rows = [value if len(split) > 1 else (value,) for value in values]

    def mark(function: Any) -> Any:
        function.rows = [[dict(zip(split, row, strict=True)) for row in rows], *getattr(function, "rows", [])]
        return function

    return mark


def _fixture(function: Any = None, scope: str = "function", autouse: bool = False) -> Any:
    if function is None:
        return lambda made: FixtureFunctionDefinition(made, scope, autouse)
    return FixtureFunctionDefinition(function, scope, autouse)


@contextmanager
def _raises(kinds: Any, match: str = "") -> Iterator[SimpleNamespace]:
    found = SimpleNamespace(value=None)
    try:
        yield found
    except kinds as error:
        found.value = error
    if found.value is None or not re.search(match, str(found.value)):
        raise AssertionError(f"{kinds} matching {match!r} were to be raised, and there was {found.value!r}")


def _skip(reason: str) -> None:
    raise Skipped(reason)


class Run:
    """Tests of several modules with the same fixtures; counts of what came of them."""

    def __init__(self, shared: ModuleType, say: Callable[[str], None]) -> None:
        self._shared, self._say = _fixtures(shared), say
        self._kept: dict[str, Any] = {}
        self._end = ExitStack()
        self.passed, self.failed, self.skipped = 0, 0, 0

    def module(self, module: ModuleType, wanted: str = "") -> None:
        """Run the tests whose name has ``wanted`` in it."""
        fixtures = self._shared | _fixtures(module)
        for name, test in vars(module).items():
            if not name.startswith("test_") or not callable(test) or wanted not in name:
                continue
            for rows in product(*getattr(test, "rows", [])):
                arguments: dict[str, Any] = {key: value for row in rows for key, value in row.items()}
                self._one(f"{module.__name__}.{name}", arguments, test, fixtures)

    def close(self) -> None:
        self._end.close()

    def _one(self, name: str, arguments: dict[str, Any], test: Any, fixtures: dict[str, Any]) -> None:
        began = time.perf_counter()
        try:
            with ExitStack() as end:
                values = dict(arguments)
                for own, fixture in fixtures.items():
                    if fixture.autouse:
                        self._value(own, fixtures, values, end)
                wanted = inspect.signature(test).parameters
                test(**{key: self._value(key, fixtures, values, end) for key in wanted})
            self.passed += 1
        except Skipped as why:
            self.skipped += 1
            self._say(f"skipped {name}: {why}")
        except Exception:
            self.failed += 1
            self._say(f"FAILED {name} {arguments}\n{traceback.format_exc()}")
        if (took := time.perf_counter() - began) > 5:
            self._say(f"{took:.1f} s {name}")

    def _value(self, name: str, fixtures: dict[str, Any], values: dict[str, Any], end: ExitStack) -> Any:
        if name in values:
            return values[name]
        if name in self._kept:
            return self._kept[name]
        lasts = name in fixtures and fixtures[name].scope != "function"
        stack = self._end if lasts else end
        if name == "monkeypatch":
            made: Any = MonkeyPatch()
            stack.callback(made.undo)
        elif name == "tmp_path":
            made = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        else:
            function = fixtures[name].function
            needed = inspect.signature(function).parameters
            made = function(**{key: self._value(key, fixtures, values, stack) for key in needed})
            if inspect.isgenerator(made):
                made = stack.enter_context(contextmanager(lambda: made)())
        (self._kept if lasts else values)[name] = made
        return made


def _fixtures(module: ModuleType) -> dict[str, FixtureFunctionDefinition]:
    return {name: value for name, value in vars(module).items() if isinstance(value, FixtureFunctionDefinition)}
