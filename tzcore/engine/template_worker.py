"""The child process that renders chat templates; run as a script, imports nothing of ours.

A chat template comes with a model and is code.  Jinja's sandbox keeps it from the file system
and from Python's internals, but not from looping for ever or filling the memory, and a thread
cannot be stopped inside ``'x' * 10**10``.  Here a C-level watchdog (``faulthandler``) ends the
process when its time is up, whatever the interpreter is doing and whether or not the parent
still lives, and a limit on address space bounds the memory where the system has one.

Protocol: one JSON object a line.  First ``{"templates": {name: source}, "seconds": s, "bytes":
b}``, answered once compiled; then ``{"name": n, "variables": {...}}`` each answered by
``{"text": ...}`` or ``{"error": ...}``.
"""

from __future__ import annotations

import datetime as dt
import faulthandler
import json
import os
import signal
import sys
from typing import Any

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.parser
import jinja2.sandbox

MAX_CHARACTERS = 64 << 20


class GenerationBlocks(jinja2.ext.Extension):
    """``{% generation %}…{% endgeneration %}`` marks the assistant's words for training; here it is ignored."""

    tags = {"generation"}  # noqa: RUF012 - declared so by the base class

    def parse(self, parser: jinja2.parser.Parser) -> list[jinja2.nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def environment() -> jinja2.sandbox.ImmutableSandboxedEnvironment:
    """The environment that the ecosystem's chat templates are written for."""
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationBlocks, "jinja2.ext.loopcontrols"]
    )

    def tojson(
        value: Any,
        ensure_ascii: bool = False,
        indent: int | None = None,
        separators: tuple[str, str] | None = None,
        sort_keys: bool = False,
    ) -> str:
        # Unlike Jinja's own, without escaping for HTML.
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def raise_exception(message: str) -> None:
        raise jinja2.exceptions.TemplateError(message)

    def strftime_now(form: str) -> str:
        return dt.datetime.now().strftime(form)

    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = strftime_now
    return env


def one_line(error: BaseException) -> str:
    """The error as one short line."""
    line = getattr(error, "lineno", None)
    text = " ".join(str(error).split())[:300] or type(error).__name__
    return f"line {line}: {text}" if line else text


def limit_memory(size: int) -> None:
    """Let the process take ``size`` more bytes of address space, where the system has such a limit."""
    try:
        import resource

        with open("/proc/self/statm") as statm:
            used = int(statm.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + size, used + size))
    except (ImportError, OSError, ValueError):
        pass  # the parent watches the memory as well


def main() -> None:
    """Answer requests until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is for the parent
    lines, answers = sys.stdin.buffer, sys.stdout.buffer
    null = open(os.devnull, "w")  # noqa: SIM115 - lives as long as the process
    env = environment()
    compiled: dict[str, jinja2.Template] = {}
    seconds = 5.0
    for line in lines:
        request = json.loads(line)
        answer: dict[str, str]
        if "templates" in request:
            limit_memory(request["bytes"])
            seconds = request["seconds"]
        faulthandler.dump_traceback_later(seconds, exit=True, file=null)
        try:
            if "templates" in request:
                compiled = {name: env.from_string(source) for name, source in request["templates"].items()}
                answer = {"text": ""}
            else:
                text = compiled[request["name"]].render(**request["variables"])
                answer = {"text": text} if len(text) <= MAX_CHARACTERS else {"error": "its output is far too long"}
        except MemoryError:
            answer = {"error": "it used too much memory"}
        except jinja2.TemplateSyntaxError as error:
            answer = {"error": f"it is malformed, {one_line(error)}"}
        except Exception as error:  # a template can raise anything
            answer = {"error": one_line(error)}
        faulthandler.cancel_dump_traceback_later()
        answers.write(json.dumps(answer).encode("ascii") + b"\n")
        answers.flush()


if __name__ == "__main__":
    main()
