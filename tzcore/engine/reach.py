"""What is to be expected of contexts beyond those that a model was made for."""

from __future__ import annotations

from tzcore.architecture.spec import ModelSpec

_SCALINGS = {
    "default": "Its rotary positions are not scaled: the slow ones reach angles that it has never seen",
    "linear": "Its rotary scaling (linear) spreads the positions it learned over that length and no further",
    "dynamic": "Its rotary scaling (dynamic) is stretched on to the whole context, so that the sense fades slowly, "
    "and short texts lose a little too",
    "yarn": "Its rotary scaling (YaRN) slows the positions for that length and no further",
    "llama3": "Its rotary scaling (Llama 3) slows the positions for that length and no further",
    "longrope": "Its rotary scaling (LongRoPE) has factors for that length and none for longer ones",
}
"""By :attr:`tzcore.architecture.spec.Rope.kind`: how it ends."""
_UNTURNED = "Its layers without positions and those with a window stay as they are"


def beyond(spec: ModelSpec, context: int) -> str | None:
    """What ``context`` tokens will do to the model that ``spec`` describes; None within what it was made for."""
    if context <= spec.max_context:
        return None
    full = [layer for layer in spec.layers if layer.window is None]
    kinds = dict.fromkeys(spec.ropes[layer.rope].kind for layer in full if layer.rope is not None)
    parts = [_SCALINGS.get(kind, _SCALINGS["default"]) for kind in kinds] or [_UNTURNED]
    return (
        f"The model was made for {spec.max_context:,} tokens; beyond that its positions were never trained: answers "
        f"will lose sense as the text grows. {'. '.join(parts)}."
    )
