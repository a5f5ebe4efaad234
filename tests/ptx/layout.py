"""Where a kernel's own variables lie: shared memory, static before dynamic, and each thread's local memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.ptx.syntax import KernelText, Memory, Operand, Symbol, Variable


@dataclass
class Layout:
    """``symbols`` name → space, address; bytes of static shared memory, where dynamic begins, bytes of local memory."""

    symbols: dict[str, tuple[str, int]] = field(default_factory=dict)
    shared: int = 0
    dynamic: int = 0
    local: int = 0


def _names(operand: Operand) -> Iterator[str]:
    if isinstance(operand, Symbol):
        yield operand.name
    elif isinstance(operand, Memory):
        yield from _names(operand.base)


def layout(text: KernelText, shared: Sequence[Variable]) -> Layout:
    """``shared`` are the module's shared variables: a kernel has those that it names."""
    named = {name for ins in text.instructions for operand in ins.operands for name in _names(operand)}
    found = Layout()
    open_ended = []
    for variable in [*(each for each in shared if each.name in named), *text.variables]:
        if variable.space == "shared" and not variable.size:
            open_ended.append(variable)
            continue
        start = found.shared if variable.space == "shared" else found.local
        start = -(-start // variable.align) * variable.align
        found.symbols[variable.name] = (variable.space, start)
        if variable.space == "shared":
            found.shared = start + variable.size
        else:
            found.local = start + variable.size
    align = max([16, *(variable.align for variable in open_ended)])
    found.dynamic = -(-found.shared // align) * align
    found.symbols |= {variable.name: ("shared", found.dynamic) for variable in open_ended}
    return found
