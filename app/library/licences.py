"""Licences of models in one sentence each: what somebody may do.  No legal advice, and the text itself decides."""

from __future__ import annotations

from app.translation import mark, tr

FREE = mark("You may use, change and share it for any purpose, also for business; keep its notices.")
NO_BUSINESS = mark("For research and private use only: no commercial use.")
SENTENCES = {
    "apache-2.0": FREE,
    "mit": FREE,
    "bsd-3-clause": FREE,
    "cc0-1.0": mark("It is in the public domain: no conditions."),
    "cc-by-4.0": mark("You may use and change it for any purpose if you name its authors."),
    "cc-by-sa-4.0": mark(
        "You may use and change it for any purpose if you name its authors and share changes under the same licence."
    ),
    "cc-by-nc-4.0": NO_BUSINESS,
    "cc-by-nc-sa-4.0": NO_BUSINESS,
    "cc-by-nc-nd-4.0": mark("For private use only, unchanged: a ternary version of it must not be passed on."),
    "gemma": mark(
        "You may use and share it, also for business, within Google's list of prohibited uses, which you pass on."
    ),
    "llama": mark(
        "You may use and share it, also for business, within Meta's list of prohibited uses; products with more than "
        "700 million users a month need Meta's permission."
    ),
    "falcon-llm-license": mark(
        "You may use and share it, also for business, within TII's list of prohibited uses, and name its origin."
    ),
    "openrail": mark("You may use and share it within its list of prohibited uses, which you pass on."),
    "unknown": mark("Its authors name no licence: ask them before you do more than try it."),
    "other": mark("It has a licence of its own: read it on the model's page before you do more than try it."),
}
"""By the hub's name of the licence; :func:`explained` knows families of them."""


def explained(licence: str) -> str:
    """What the licence allows, in one sentence."""
    key = licence.strip().lower()
    if key in SENTENCES:
        return tr(SENTENCES[key])
    for family in ("llama", "gemma", "falcon", "openrail"):
        if family in key:
            return tr(SENTENCES["falcon-llm-license" if family == "falcon" else family])
    if not key or key == "none":
        return tr(SENTENCES["unknown"])
    if "-nc" in key or "non-commercial" in key or "research" in key:
        return tr(NO_BUSINESS)
    return tr(SENTENCES["other"])
