"""A plan in whole sentences: what a quality means, what disk and time it takes, what it was measured by."""

from __future__ import annotations

from app import wording
from app.library.plan import Option, Outcome, Plan, Quality
from app.translation import mark, tr

LEVELS: dict[str, tuple[str, str]] = {
    "same": (mark("Hardly distinguishable from the original"), mark("its answers are practically the same")),
    "close": (mark("Nearly as good as the original"), mark("differences are rarely noticed")),
    "sensible": (mark("Close to the original"), mark("answers stay sensible, details differ")),
    "weaker": (mark("Noticeably weaker than the original"), mark("check what it says")),
    "poor": (mark("Far from the original"), mark("expect mistakes; a larger one stays nearer")),
}
"""What each level of divergence means; receipts (:mod:`app.jobs.receipt`) say the same of what was measured."""

ITEMS = {
    "weights": mark("Weights"),
    "context": mark("Context"),
    "workspace": mark("Workspace"),
    "others": mark("Desktop and other programs"),
    "loaded": mark("Models loaded now"),
    "reserve": mark("Kept free"),
    "free": mark("Free"),
}
"""The parts of the memory."""


def option_name(option: Option) -> str:
    """``"Balanced (t2)"``, ``"2.4 bits a weight"``, ``"Its own weights"``."""
    if option.native:
        return tr("Its own ternary weights")
    if option.bits is not None:
        return tr("Mixed formats, {bits} bits a weight").format(bits=f"{option.bits:g}")
    return wording.encoding(option.encoding)


def quality_title(option: Option) -> str:
    """What the choice means for the answers, in a few words."""
    if option.native:
        return tr("The model's own quality")
    return tr(LEVELS[option.quality.level][0]) if option.quality else tr("Quality not known")


def quality_sentence(option: Option) -> str:
    """The same with the number and how sure it is."""
    if option.native:
        return tr("It was trained with ternary weights, which are taken over as they are: nothing is lost.")
    if option.quality is None:
        return tr("How close it stays is measured when it is converted.")
    return f"{sentence(tr(LEVELS[option.quality.level][1]))} {divergence(option.quality)}"


def divergence(quality: Quality) -> str:
    """The divergence, measured or expected within bounds."""
    if quality.measured:
        return tr("Measured divergence: {kl} nats a token.").format(kl=number(quality.kl))
    text = tr("Expected divergence: {kl} nats a token, between {low} and {high}, from what smaller models lost.")
    return text.format(kl=number(quality.kl), low=number(quality.low), high=number(quality.high))


def number(kl: float) -> str:
    """Two digits that count."""
    return wording.decimal(kl, 2) if kl >= 0.1 else wording.decimal(kl, 3) if kl >= 0.001 else "0"


def to_fetch(plan: Plan) -> tuple[str, str]:
    """What has to be downloaded, and what is here already."""
    if plan.download is None:
        return tr("Not known"), ""
    if not plan.download:
        return tr("Nothing"), tr("all of it is on this machine")
    here = plan.here
    note = tr("{size} are here already").format(size=wording.size(here)) if here else ""
    return wording.size(plan.download), note


def disk(option: Option, discard: bool) -> tuple[str, str]:
    """What it takes of the disk at most at once, and in the end."""
    most = option.discard_disk if discard and option.discard_disk is not None else option.peak_disk
    if option.folder is None:
        return tr("Not known"), ""
    kept = tr("{size} in the end").format(size=wording.size(option.folder))
    return (wording.size(most), kept) if most is not None else (wording.size(option.folder), "")


def conversion(plan: Plan, option: Option) -> tuple[str, str]:
    """How long it takes, and how that is known."""
    if option.conversion_seconds is None:
        return (tr("Not known"), "") if plan.final else ("…", tr("measuring this machine"))
    where = str(plan.machine.get("conversion_device") or "")
    note = tr("by a probe of {device} just now").format(device=where) if where else ""
    return tr("About {duration}").format(duration=wording.duration(rounded(option.conversion_seconds))), note


def rounded(seconds: float) -> float:
    """No more digits than a forecast has."""
    step = 1 if seconds < 60 else 60 if seconds < 7200 else 1800
    return max(1.0, round(seconds / step) * step)


def speed(plan: Plan, outcome: Outcome) -> tuple[str, str]:
    """Tokens a second, and whether answers here have corrected the estimate."""
    if outcome.tokens_per_second is None:
        return (tr("Not known"), "") if plan.final else ("…", tr("measuring this machine"))
    pace = outcome.tokens_per_second
    text = tr("{number} tokens/s").format(number=f"{pace:.0f}" if pace >= 10 else wording.decimal(pace))
    answers = int(plan.machine.get("answers") or 0)
    note = tr("estimated, with {count} answers measured here").format(count=answers) if answers else tr("estimated")
    if plan.machine.get("card"):
        note = tr("{note}; on the processor, a card is faster").format(note=note)
    return text, note


def first_token(plan: Plan, outcome: Outcome) -> tuple[str, str]:
    """Seconds to the first word."""
    if outcome.first_token_seconds is None:
        return (tr("Not known"), "") if plan.final else ("…", tr("measuring this machine"))
    seconds = outcome.first_token_seconds
    text = f"{wording.decimal(seconds)} s" if seconds < 10 else wording.duration(seconds)
    return text, tr("to a question of 512 tokens")


def verdict(plan: Plan, outcome: Outcome, freed: int) -> str:
    """Whether it fits, in a sentence with the numbers."""
    if outcome.need is None:
        return tr("How much memory it takes is known when its shape is read.")
    sizes = {"need": wording.size(outcome.need), "free": wording.size(outcome.free)}
    total = wording.size(int(plan.machine["memory_total"]))
    if outcome.fits and outcome.need <= plan.free:
        return tr("It fits: {need} of the {free} that are free.").format(**sizes)
    if outcome.fits:
        text = tr("It fits when the models loaded now are unloaded ({freed}): it takes {need}.")
        return text.format(need=sizes["need"], freed=wording.size(freed))
    if outcome.need <= int(plan.machine["memory_total"]) - int(plan.machine["reserve_bytes"]):
        text = tr("It fits when other programs are closed: it takes {need}, {free} of {total} are free.")
        return text.format(**sizes, total=total)
    text = tr("It does not fit: it takes {need}, this machine has {total}. Choose a smaller one.")
    return text.format(need=sizes["need"], total=total)


def on_card(plan: Plan, option: Option) -> str:
    """What it takes of the graphics card, and who holds memory there; ``""`` without one."""
    card, here = option.card, plan.machine.get("card")
    if not card or not here:
        return ""
    words = {
        "name": card["name"], "need": wording.size(int(card["total_bytes"]) + int(card["reserve_bytes"])),
        "budget": wording.size(int(card["budget_bytes"])), "context": wording.count(int(card["context"])),
        "longest": wording.count(int(card["longest_context"])),
    }
    if card["fits"]:
        text = tr(
            "It fits on {name}: with {context} tokens of context it takes {need} of {budget}, and up to {longest} "
            "tokens fit."
        ).format(**words)
    else:
        text = tr("It does not fit on {name}: it takes {need} of {budget}, so that it runs on the processor.").format(
            **words)
    held = [
        tr("{program} {size}").format(program=one["name"], size=wording.size(int(one["bytes"])))
        for one in here.get("programs", ()) if one.get("bytes")
    ]
    return f"{text} {tr('Other programs hold there: {list}.').format(list=', '.join(held[:4]))}" if held else text


def context_note(plan: Plan, outcome: Outcome) -> str:
    """The precision that the context gets, and the longest that fits."""
    if not plan.contexts:
        return ""
    parts = []
    if outcome.precision:
        parts.append(tr("kept in {bits}").format(bits=wording.precision(outcome.precision)))
    if not outcome.longest:
        parts.append(tr("no length fits beside the weights"))
    elif outcome.longest >= plan.model_context:
        parts.append(tr("the longest it was made for, {count} tokens, fits").format(
            count=wording.count(plan.model_context)))
    else:
        parts.append(tr("at most about {count} tokens fit").format(count=wording.count(outcome.longest)))
    return sentence("; ".join(parts))


def sentence(text: str) -> str:
    """With a capital letter and a full stop."""
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
