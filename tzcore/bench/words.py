"""Rows of measurements as lines for a person: one line a row, told apart by what it measures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Row = dict[str, Any]


def line(row: Row) -> str:
    """The row in words; of a kind that is not known, as it is."""
    return _LINES.get(row["what"], str)(row)


def lines(rows: list[Row]) -> str:
    """All of them, with a heading where the kind changes."""
    out: list[str] = []
    before = ""
    for row in rows:
        if row["what"] != before:
            before = row["what"]
            out += ["", *filter(None, [_HEADS.get(before, "")])]
        out.append(line(row))
    return "\n".join(out[1:])


def rate(bytes_per_second: float) -> str:
    """Bytes of memory a second."""
    return f"{bytes_per_second / 1e9:,.0f} GB/s"


def tera(operations: float) -> str:
    """Operations a second: two for a weight and a token."""
    return f"{operations / 1e12:,.1f} TOPS"


def micro(seconds: float | None) -> str:
    """Microseconds; empty for what is not known."""
    return "" if seconds is None else f"{seconds * 1e6:,.1f}"


def gib(count: float) -> str:
    """Bytes of a card's memory."""
    return f"{count / 2**30:.2f} GiB"


def _ceilings(row: Row) -> str:
    bus = f", {rate(row['host_bandwidth'])} from pinned main memory" if "host_bandwidth" in row else ""
    return f"memory      {rate(row['copy_bandwidth'])} read and written by copies within the card{bus}"


def _shape(row: Row) -> str:
    return f"{row['rows']:>6} x {row['cols']:<6}"


def _few(row: Row) -> str:
    gain = f"  {row['times_slots']:.2f}x slots" if "times_slots" in row else ""
    return (
        f"{_shape(row)} {row['format']:<5} {row['tokens']:>2} {micro(row['seconds']):>9} "
        f"{rate(row['bytes_per_second']):>11} {row['share_of_copy']:>6.0%} {row['share_of_ceiling']:>7.0%} "
        f"{row['times_one_token']:>6.2f} {micro(row['predicted_memory']):>9} {micro(row['predicted_issue']):>9}{gain}"
    )


def _many(row: Row) -> str:
    share = f" {row['share_of_peak']:>5.0%} of int8 peak" if "share_of_peak" in row else ""
    return (
        f"{_shape(row)} {row['format']:<5} {row['tokens']:>5} {micro(row['seconds']):>11} "
        f"{tera(row['operations_per_second']):>13}{share}"
    )


def _peak(row: Row) -> str:
    peer = "not there" if row["cublas"] is None else tera(row["cublas"])
    own = f"our product {tera(row['own'])}, cuBLAS through torch {peer}"
    return f"int8 peak   {_shape(row)} {row['tokens']:>5} tokens: {own}"


def _attention(row: Row) -> str:
    return (
        f"{row['tokens']:>2} {row['depth']:>8} {row['layers']:>6} {micro(row['seconds']):>11} "
        f"{rate(row['bytes_per_second']):>11} {row['share_of_ceiling']:>6.0%} {micro(row['predicted_memory']):>11}"
    )


def _half(row: Row) -> str:
    return (
        f"{_shape(row)} {row['tokens']:>5} {micro(row['seconds']):>11} {rate(row['bytes_per_second']):>11} "
        f"{tera(row['operations_per_second']):>13}"
    )


def _compile(row: Row) -> str:
    return f"kernels     {row['files']} files compiled by the driver, or found in its cache, in {row['seconds']:.1f} s"


def _load(row: Row) -> str:
    return (
        f"load        {row['seconds']:.2f} s for {gib(row['bytes'])}: {rate(row['bytes_per_second'])}, "
        f"{row['share_of_bus']:.0%} of the bus; first token {row['first_token_seconds']:.2f} s after it, "
        f"the second {row['second_token_seconds']:.2f} s after that"
    )


def _prefill(row: Row) -> str:
    share = f", {row['share_of_peak']:.0%} of the int8 peak" if "share_of_peak" in row else ""
    return (
        f"prefill     {row['tokens']} tokens in {row['seconds']:.3f} s: {row['tokens_per_second']:,.0f} tokens/s, "
        f"{tera(row['operations_per_second'])}{share}"
    )


def _decode(row: Row) -> str:
    return (
        f"{row['depth']:>7} {row['tokens_a_step']:>2} {row['tokens_per_second']:>10.1f} {row['seconds'] * 1e3:>9.2f} "
        f"{row['step_seconds'] * 1e3:>9.2f} {row['predicted_seconds'] * 1e3:>9.2f} {gib(row['weight_bytes']):>10} "
        f"{gib(row['kv_bytes']):>10} {row['share_of_copy']:>7.0%} {row['step_share_of_copy']:>7.0%}"
    )


def _memory(row: Row) -> str:
    items = ", ".join(f"{name} {gib(size)}" for name, size in row["items"].items())
    return (
        f"memory      {gib(row['taken'])} taken, {gib(row['planned'])} planned ({items}) "
        f"and {gib(row['reserve'])} kept for the driver and the kernels"
    )


def _kinds(row: Row) -> str:
    total = sum(kind["seconds"] for kind in row["kernels"]) or 1.0
    return "\n".join(
        [f"where the time goes: {row['tokens']} tokens a step at depth {row['depth']}, {total * 1e3:.2f} ms in kernels"]
        + [f"  {kind['kernel']:<34} {kind['launches']:>5} {micro(kind['seconds']):>11} {kind['seconds'] / total:>6.1%}"
           for kind in row["kernels"]]
    )  # fmt: skip


_LINES: dict[str, Callable[[Row], str]] = {
    "ceilings": _ceilings, "few": _few, "many": _many, "int8 peak": _peak, "attention": _attention,
    "cublas fp16": _half, "compile": _compile, "load": _load, "prefill": _prefill, "decode": _decode,
    "memory": _memory, "kinds": _kinds,
}  # fmt: skip
_SHAPE = f"{'rows':>6} x {'columns':<7}"
_HEADS = {
    "few": "products of few tokens (T): beside copies of as many bytes in turns, the memory's rate, and one token\n"
    f"{_SHAPE}{'':5} {'T':>2} {'µs':>9} {'rate':>11} {'copies':>6} {'memory':>7} {'T / 1':>6} {'µs bytes':>9} "
    f"{'µs issue':>9}",
    "many": f"products of many tokens\n{_SHAPE}{'':5} {'T':>5} {'µs':>11} {'rate':>13}",
    "attention": "attention of T tokens, beside the memory's rate\n"
    f"{'T':>2} {'keys':>8} {'layers':>6} {'µs':>11} {'rate':>11} {'memory':>6} {'µs bytes':>11}",
    "cublas fp16": f"cuBLAS, halves\n{_SHAPE}{'T':>5} {'µs':>11} {'rate':>11} {'rate':>13}",
    "decode": "decoding, T tokens a step: all of it, and the step on the card alone, beside the memory's rate\n"
    f"{'depth':>7} {'T':>2} {'tokens/s':>10} {'ms':>9} {'card ms':>9} {'ms bytes':>9} {'weights':>10} {'KV':>10} "
    f"{'memory':>7} {'card':>7}",
}
"""Lines above the first row of a kind."""
