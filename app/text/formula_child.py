"""A child process that draws formulas: a JSON line for each, ``[number, latex, display]``, answered by a line
``[number, svg]``; the SVG is empty where the formula cannot be drawn.

Drawing is pure Python and takes milliseconds to seconds; hostile input may take for ever, or all the memory there is.
In a process of its own it takes nothing from the window, and can be ended.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
from importlib import import_module

SIZE = 20.0
"""Pixels of the letters; whoever shows the picture scales it."""
MEMORY = 1 << 30
"""Bytes of address space, where the system knows such a limit."""

_UNKNOWN = re.compile(r">\s*\\[A-Za-z]+\s*<")


def draw(latex: str, display: bool) -> str:
    """The formula as SVG; a command that is not known is an error, not its name in italics."""
    from latex2mathml.converter import convert

    ziamath, ziafont = import_module("ziamath"), import_module("ziafont")
    ziamath.config.svg2 = ziafont.config.svg2 = False  # Qt draws the first version of SVG alone
    latex = re.sub(r"\\tag\*?\{([^{}]*)\}", r"\\qquad(\1)", latex)
    if _UNKNOWN.search(convert(latex)):
        raise ValueError(latex)
    return str(ziamath.Latex(latex, size=SIZE, inline=not display).svg())


def main() -> None:
    """Answer lines until there are no more."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for line in sys.stdin:
        number, latex, display = json.loads(line)
        svg = ""
        with contextlib.suppress(Exception):  # whatever it is that the two libraries raise, the source is shown
            svg = draw(latex, display)
        sys.stdout.write(json.dumps([number, svg]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
