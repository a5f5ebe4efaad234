"""From a PTX text to instructions with resolved registers and labels."""

from __future__ import annotations

import re
import struct
from bisect import bisect_left
from dataclasses import replace
from functools import lru_cache, partial

from tests.ptx.scalars import SCALARS, PtxError, Scalar
from tests.ptx.syntax import (
    Immediate,
    Instruction,
    Inverted,
    KernelText,
    Memory,
    ModuleText,
    Operand,
    Pair,
    Parameter,
    Register,
    Sink,
    Special,
    Symbol,
    Variable,
    Vector,
)

_SPACE = re.compile(r"\s*")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.S)
_SKIPPED = re.compile(r"\.(?:(?:version|target|address_size|file|loc)\b[^\n]*|pragma\b[^;]*;)")
_ENTRY = re.compile(r"(?:\.(?:visible|weak|extern)\s+)*\.(entry|func)\b")
_BRACE = re.compile(r"[{};]")
_LABEL = re.compile(r"([\w$%]+)\s*:(?!:)")
_TABLE = re.compile(r"([\w$%]+)\s*:\s*\.branchtargets\s+([^;]*);")
_VARIABLE = re.compile(
    r"(?:\.(?:visible|weak|extern)\s+)*\.(global|const|shared|local)\s+(?:\.align\s+(\d+)\s+)?\.(\w+)\s+([\w$]+)"
    r"((?:\s*\[\s*\d*\s*\])*)\s*(?:=\s*(.*))?$",
    re.S,
)
_PARAMETER = re.compile(
    r"\.param\s+(?:\.align\s+(\d+)\s+)?\.(\w+)\s+(?:\.ptr\s+(?:\.\w+\s+)?(?:\.align\s+\d+\s+)?)?([\w$]+)\s*(?:\[\s*(\d+)\s*\])?"
)
_INSTRUCTION = re.compile(r"(?:@(!?)\s*([%\w$]+)\s+)?([\w.:]+)\s*(.*)$", re.S)
_INTEGER = re.compile(r"[+-]?(0[xX][0-9a-fA-F]+|0[bB][01]+|\d+)U?$")


@lru_cache(64)
def parse(text: str) -> ModuleText:
    """The module of ``text``; a kernel is read when it is asked for. PtxError names the line that cannot be read."""
    return _Parser(text).module()


def number(text: str) -> Immediate | None:
    """``text`` as an immediate, or None."""
    if re.match(r"0[fF][0-9a-fA-F]{8}$", text):
        return Immediate(struct.unpack(">f", bytes.fromhex(text[2:]))[0], real=True)
    if re.match(r"0[dD][0-9a-fA-F]{16}$", text):
        return Immediate(struct.unpack(">d", bytes.fromhex(text[2:]))[0], real=True)
    if _INTEGER.match(text):
        digits = text.rstrip("U")
        plain = digits.lstrip("+-")
        octal = len(plain) > 1 and plain[0] == "0" and plain.isdigit()
        value = int(plain, 8 if octal else 0)
        return Immediate(-value if digits[0] == "-" else value)
    if re.match(r"[+-]?\d+\.\d*([eE][+-]?\d+)?$", text):
        return Immediate(float(text), real=True)
    return None


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = _COMMENT.sub(lambda match: "\n" * match.group().count("\n"), text)
        self.at = 0
        self.ends = [match.start() for match in re.finditer("\n", self.text)]

    def line(self, at: int) -> int:
        return bisect_left(self.ends, at) + 1

    def skip(self) -> None:
        while True:
            space = _SPACE.match(self.text, self.at)
            self.at = space.end() if space else self.at
            match = _SKIPPED.match(self.text, self.at)
            if not match:
                return
            self.at = match.end()

    def until(self, stop: str) -> str:
        end = self.text.find(stop, self.at)
        if end < 0:
            raise PtxError(f"line {self.line(self.at)}: no {stop!r} to the end of the text")
        found = self.text[self.at : end].strip()
        self.at = end + len(stop)
        return found

    def module(self) -> ModuleText:
        module = ModuleText()
        if ".version" not in self.text:
            raise PtxError("no .version: this is no PTX")
        while True:
            self.skip()
            if self.at >= len(self.text):
                return module
            match = _ENTRY.match(self.text, self.at)
            if match and match[1] == "func":
                self.function()
            elif match:
                place = self.at
                name = re.compile(r"[^{]*?\.entry\s+([\w$]+)").match(self.text, place)
                if not name:
                    raise PtxError(f"line {self.line(place)}: an entry without a name")
                module.entries[name[1]] = partial(self.kernel, place)
                self.function()
            else:
                line = self.line(self.at)
                module.variables.append(_variable(self.until(";"), line))

    def function(self) -> None:
        """Steps over a function, or its declaration; a kernel that calls one is refused."""
        depth = 0
        for brace in _BRACE.finditer(self.text, self.at):
            depth += {"{": 1, "}": -1, ";": 0}[brace[0]]
            if not depth:
                self.at = brace.end()
                return
        raise PtxError(f"line {self.line(self.at)}: a function without an end")

    def kernel(self, place: int) -> KernelText:
        """The kernel whose text begins at ``place``."""
        self.at = place
        line = self.line(place)
        head = self.until("{")
        match = re.search(r"\.entry\s+([\w$]+)\s*(?:\((.*?)\))?(.*)$", head, re.S)
        if not match:
            raise PtxError(f"line {line}: not an entry: {head[:80]}")
        kernel = KernelText(match[1], _parameters(match[2] or "", line))
        if limit := re.search(r"\.(?:maxntid|reqntid)\s+(\d+)(?:\s*,\s*(\d+))?(?:\s*,\s*(\d+))?", match[3]):
            kernel.max_threads = int(limit[1]) * int(limit[2] or 1) * int(limit[3] or 1)
        _Body(self, kernel).read()
        return kernel


def _parameters(text: str, line: int) -> list[Parameter]:
    found, offset = [], 0
    for piece in filter(None, (piece.strip() for piece in text.split(","))):
        match = _PARAMETER.match(piece)
        if not match or match[2] not in SCALARS:
            raise PtxError(f"line {line}: parameter {piece!r}")
        scalar = SCALARS[match[2]]
        size = scalar.size * int(match[4] or 1)
        align = int(match[1] or scalar.size)
        offset = -(-offset // align) * align
        found.append(Parameter(match[3], None if match[4] else scalar, offset, size))
        offset += size
    return found


def _variable(text: str, line: int) -> Variable:
    match = _VARIABLE.match(text)
    if not match or match[3] not in SCALARS:
        raise PtxError(f"line {line}: declaration {text[:80]!r}")
    space, align, scalar, name, dimensions, values = match.groups()
    element = SCALARS[scalar]
    sizes = re.findall(r"\[\s*(\d*)\s*\]", dimensions)
    count = 1
    for size in sizes:
        count *= int(size or 0)
    data = None
    if values is not None:
        given = [number(value.strip()) for value in values.replace("{", "").replace("}", "").split(",")]
        if None in given:
            raise PtxError(f"line {line}: initial value of {name} is no number")
        data = b"".join(_bytes(value.value, element) for value in given if value is not None)
        count = max(count, len(given))
        data = data.ljust(count * element.size, b"\0")
    return Variable(name, space, int(align or element.size), count * element.size, data)


def _bytes(value: int | float, element: Scalar) -> bytes:
    if element.kind == "f":
        return struct.pack({16: "<e", 32: "<f", 64: "<d"}[element.bits], value)
    return (int(value) & (1 << element.bits) - 1).to_bytes(element.size, "little")


class _Body:
    """Reads the instructions of one kernel, scope by scope."""

    def __init__(self, source: _Parser, kernel: KernelText) -> None:
        self.source, self.kernel = source, kernel
        self.registers: list[dict[str, Register]] = [{}]
        self.labels: list[dict[str, int]] = [{}]
        self.branches: list[tuple[int, str, list[dict[str, int]]]] = []
        self.tables: dict[str, list[str]] = {}  # of brx.idx
        self.known: dict[str, Operand] = {}  # operands read before, in the scope that is open

    def read(self) -> None:
        source = self.source
        while True:
            source.skip()
            if source.at >= len(source.text):
                raise PtxError(f"{self.kernel.name}: no closing brace")
            start = source.text[source.at]
            if start == "{":
                self.registers.append({})
                self.labels.append({})
                self.known.clear()
                source.at += 1
            elif start == "}":
                source.at += 1
                self.registers.pop()
                self.labels.pop()
                self.known.clear()
                if not self.registers:
                    break
            elif start == ";":
                source.at += 1
            elif table := _TABLE.match(source.text, source.at):
                self.tables[table[1]] = [name.strip() for name in table[2].split(",")]
                source.at = table.end()
            elif label := _LABEL.match(source.text, source.at):
                self.labels[-1][label[1]] = len(self.kernel.instructions)
                source.at = label.end()
            else:
                line = source.line(source.at)
                self.statement(" ".join(source.until(";").split()), line)
        self.resolve()

    def resolve(self) -> None:
        instructions = self.kernel.instructions
        for place, label, scopes in self.branches:
            found = []
            for name in self.tables.get(label, [label]):
                target = next((scope[name] for scope in reversed(scopes) if name in scope), None)
                if target is None:
                    raise instructions[place].error("no such label")
                found.append(target)
            instructions[place] = replace(instructions[place], targets=tuple(found))

    def statement(self, text: str, line: int) -> None:
        if text.startswith(".reg"):
            self.declare(text, line)
        elif re.match(r"(\.extern\s+)?\.(shared|local)\b", text):
            self.kernel.variables.append(_variable(text, line))
        elif text.startswith((".param", ".callprototype")):
            pass  # arguments of a call, which is refused
        elif text.startswith("."):
            raise PtxError(f"line {line}: unknown directive {text[:60]!r}")
        else:
            self.instruction(text, line)

    def declare(self, text: str, line: int) -> None:
        match = re.match(r"\.reg\s+(?:\.v\d\s+)?\.(\w+)\s+(.*)$", text)
        if not match or match[1] not in SCALARS or ".v" in text:
            raise PtxError(f"line {line}: declaration {text!r}")
        self.known.clear()
        bits = SCALARS[match[1]].bits
        for name in (piece.strip() for piece in match[2].split(",")):
            if spread := re.match(r"(.*?)\s*<\s*(\d+)\s*>$", name):
                names = [f"{spread[1]}{i}" for i in range(int(spread[2]))]
            else:
                names = [name]
            for each in names:
                self.registers[-1][each] = self.kernel.new_register(each, bits)

    def instruction(self, text: str, line: int) -> None:
        match = _INSTRUCTION.match(text)
        if not match:
            raise PtxError(f"line {line}: {text!r}")
        opcode, *parts = match[3].replace("::", "__").split(".")
        guard = self.register(match[2], line) if match[2] else None
        operands = () if opcode == "call" else tuple(self.operand(piece, line) for piece in _split(match[4]))
        made = Instruction(opcode, tuple(parts), operands, line, text, guard, match[1] == "!")
        if opcode == "bra":
            if len(operands) != 1 or not isinstance(operands[0], Symbol):
                raise made.error("not a branch to a label")
            self.branches.append((len(self.kernel.instructions), operands[0].name, list(self.labels)))
        elif opcode == "brx":
            if len(operands) != 2 or not isinstance(operands[1], Symbol):
                raise made.error("not a branch to a table")
            self.branches.append((len(self.kernel.instructions), operands[1].name, list(self.labels)))
        self.kernel.instructions.append(made)

    def register(self, name: str, line: int) -> Register:
        for scope in reversed(self.registers):
            if name in scope:
                return scope[name]
        raise PtxError(f"line {line}: register {name} is not declared")

    def operand(self, text: str, line: int) -> Operand:
        text = text.strip()
        if text not in self.known:
            self.known[text] = self._operand(text, line)
        return self.known[text]

    def _operand(self, text: str, line: int) -> Operand:
        if text == "_":
            return Sink()
        if text[0] == "{" and text[-1] == "}":
            return Vector(tuple(self.operand(piece, line) for piece in _split(text[1:-1])))
        if text[0] == "[" and text[-1] == "]":
            return self.memory(text[1:-1].strip(), line)
        if "|" in text:
            first, second = text.split("|")
            return Pair(self.operand(first, line), self.operand(second, line))
        if text[0] == "!":
            return Inverted(self.register(text[1:].strip(), line))
        for scope in reversed(self.registers):
            if text in scope:
                return scope[text]
        if text[0] == "%":
            return Special(text[1:])
        if text == "WARP_SZ":
            return Immediate(32)
        if (value := number(text)) is not None:
            return value
        if match := re.match(r"([A-Za-z_$][\w$]*)\s*(?:\+\s*(-?\w+))?$", text):
            return Symbol(match[1], int(match[2], 0) if match[2] else 0)
        raise PtxError(f"line {line}: operand {text!r}")

    def memory(self, text: str, line: int) -> Memory:
        match = re.match(r"([^\s+]+)\s*(?:\+\s*(-?\w+))?$", text)
        if not match:
            raise PtxError(f"line {line}: address [{text}]")
        base = self.operand(match[1], line)
        if not isinstance(base, Register | Symbol | Immediate):
            raise PtxError(f"line {line}: address [{text}]")
        return Memory(base, int(match[2], 0) if match[2] else 0)


def _split(text: str) -> list[str]:
    """``text`` cut at its outermost commas."""
    if not any(bracket in text for bracket in "{[("):
        return text.split(",") if text else []
    pieces, depth, start = [], 0, 0
    for i, letter in enumerate(text):
        depth += (letter in "{[(") - (letter in "}])")
        if letter == "," and not depth:
            pieces.append(text[start:i])
            start = i + 1
    pieces.append(text[start:])
    return [piece for piece in pieces if piece.strip()]
