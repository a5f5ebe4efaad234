"""What a PTX text is made of: operands, instructions, variables, kernels, modules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tests.ptx.scalars import SCALARS, PtxError, Scalar


@dataclass(frozen=True)
class Register:
    """Row ``index`` of the registers of ``bits`` bits."""

    name: str
    bits: int
    index: int


@dataclass(frozen=True)
class Special:
    """``%tid.x`` and its like, without the per cent sign."""

    name: str


@dataclass(frozen=True)
class Immediate:
    """An integer, or a float written as such (``0f``, ``0d`` or decimal; ``real`` is true then)."""

    value: int | float
    real: bool = False


@dataclass(frozen=True)
class Symbol:
    """A variable's address plus ``offset``, or a label."""

    name: str
    offset: int = 0


@dataclass(frozen=True)
class Memory:
    """``[base + offset]``."""

    base: Register | Symbol | Immediate
    offset: int = 0


@dataclass(frozen=True)
class Vector:
    parts: tuple[Operand, ...]


@dataclass(frozen=True)
class Pair:
    """``a|b``: a result and its predicate, or two predicates."""

    first: Operand
    second: Operand


@dataclass(frozen=True)
class Inverted:
    """``!%p``."""

    register: Register


@dataclass(frozen=True)
class Sink:
    """``_``."""


Operand = Register | Special | Immediate | Symbol | Memory | Vector | Pair | Inverted | Sink


@dataclass(frozen=True)
class Instruction:
    """``@guard opcode.part.part operands;`` at ``line`` of the text."""

    opcode: str
    parts: tuple[str, ...]
    operands: tuple[Operand, ...]
    line: int
    text: str
    guard: Register | None = None
    inverted: bool = False
    targets: tuple[int, ...] = ()

    def has(self, part: str) -> bool:
        return part in self.parts

    @cached_property
    def scalars(self) -> list[Scalar]:
        """The types among the parts, in order."""
        return [SCALARS[part] for part in self.parts if part in SCALARS]

    @property
    def scalar(self) -> Scalar:
        if not self.scalars:
            raise self.error("names no type")
        return self.scalars[-1]

    @cached_property
    def label(self) -> str:
        """Opcode with the space of its memory or else the type it ends with: ``ld.shared``, ``fma.f32``, ``bra``."""
        space = self.pick("global", "shared", "const", "param", "local")
        if not space and self.scalars:
            space = self.scalars[-1].name
        return f"{self.opcode}.{space}" if space else self.opcode

    def pick(self, *parts: str) -> str:
        """The one of ``parts`` that the instruction has, or an empty string."""
        return next((part for part in parts if part in self.parts), "")

    def error(self, reason: str) -> PtxError:
        return PtxError(f"line {self.line}: {self.text}: {reason}")


@dataclass(frozen=True)
class Variable:
    """``space`` .global, .const, .shared or .local; ``size`` in bytes, 0 where the launch gives it (extern)."""

    name: str
    space: str
    align: int
    size: int
    data: bytes | None = None


@dataclass(frozen=True)
class Parameter:
    """``offset`` and ``size`` in bytes; ``type`` None for a structure passed by value."""

    name: str
    scalar: Scalar | None
    offset: int
    size: int


@dataclass
class KernelText:
    """One entry: its parameters, its variables, how many registers of each width, its instructions."""

    name: str
    parameters: list[Parameter]
    instructions: list[Instruction] = field(default_factory=list)
    variables: list[Variable] = field(default_factory=list)
    registers: dict[int, int] = field(default_factory=lambda: {1: 0, 16: 0, 32: 0, 64: 0})
    max_threads: int = 1024
    programs: dict[Any, Any] = field(default_factory=dict)  # decoded, by where the module's variables lie

    def new_register(self, name: str, bits: int) -> Register:
        bits = max(bits, 16) if bits > 1 else 1
        index = self.registers[bits]
        self.registers[bits] += 1
        return Register(name, bits, index)


@dataclass
class ModuleText:
    """``entries`` read a kernel, once."""

    entries: dict[str, Callable[[], KernelText]] = field(default_factory=dict)
    variables: list[Variable] = field(default_factory=list)
    kernels: dict[str, KernelText] = field(default_factory=dict)

    def kernel(self, name: str) -> KernelText:
        if name not in self.kernels:
            if name not in self.entries:
                raise PtxError(f"no kernel {name}; there are {', '.join(self.entries) or 'none'}")
            self.kernels[name] = self.entries[name]()
        return self.kernels[name]
