"""Characters that would act instead of being read: control codes, and marks that reorder the text around them.

What is shown is made harmless here; what is kept, copied and sent stays as it was written.
"""

from __future__ import annotations

import re

_CONTROLS = {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\n\t"} | {0x7F: "\u2421"}
_C1 = {code: f"[U+{code:04X}]" for code in range(0x80, 0xA0) if code != 0x85}
_OVERRIDES = {code: f"[U+{code:04X}]" for code in (0x202A, 0x202B, 0x202C, 0x202D, 0x202E)}
_HIDDEN = {
    code: f"[U+{code:04X}]"
    for code in (0x00AD, 0x061C, 0x180E, 0x200B, 0x200E, 0x200F, 0x2060, 0x2066, 0x2067, 0x2068, 0x2069, 0xFEFF)
}
_LINES = {0x0D: None, 0x85: "\n", 0x2028: "\n", 0x2029: "\n"}

_PROSE = {**_CONTROLS, **_C1, **_OVERRIDES, **_LINES}
_CODE = {**_PROSE, **_HIDDEN}
_LINK = dict.fromkeys((*_OVERRIDES, *_HIDDEN, *_C1, *_CONTROLS, 8204, 8205))
_SUSPECT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]"
)


def prose(text: str) -> str:
    """Control codes and overrides of the writing direction as signs that can be seen.

    Marks and isolates that right-to-left text has a use for stay: they reach no further than their paragraph.
    """
    return text.translate(_PROSE) if _SUSPECT.search(text) else text


def code(text: str) -> str:
    """Nothing in code is hidden or moved: whatever could is shown by its number."""
    return text.translate(_CODE) if _SUSPECT.search(text) else text


def link(text: str) -> str:
    """The words of a link, without anything that could make them look like another address."""
    return text.translate(_LINK)
