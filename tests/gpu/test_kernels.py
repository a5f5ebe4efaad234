"""Every shipped kernel on the card, with the cases of the interpreter's tests and what they hold it against.

The tests are theirs, under the name of their file.  Left out are those that run a broken kernel (``…_is_caught``),
which a card would not survive, and those that read what only the interpreter counts.
"""

from __future__ import annotations

from importlib import import_module

from tests.ptx.device import InterpretedDevice

FILES = (
    "arrange", "attend", "choose", "embed", "gate_prepare", "logits_and_experts", "merge_prepare", "norm_prepare",
    "products", "qkv", "attend_stored", "qkv_stored",
)  # fmt: skip
OURS = ("device",)
"""Fixtures of theirs that stand for the interpreter."""


def _shared(name: str, value: object) -> bool:
    if name.startswith("test_"):
        # A test that makes an interpreter of its own is about that.
        return not name.endswith("_is_caught") and InterpretedDevice.__name__ not in value.__code__.co_names  # type: ignore[attr-defined]
    fixture = type(value).__name__ == "FixtureFunctionDefinition" or hasattr(value, "_pytestfixturefunction")
    return fixture and name not in OURS


for _file in FILES:
    for _name, _value in vars(import_module(f"tests.ptx.test_{_file}")).items():
        if _shared(_name, _value):
            globals()[f"test_{_file}_{_name.removeprefix('test_')}" if _name.startswith("test_") else _name] = _value
