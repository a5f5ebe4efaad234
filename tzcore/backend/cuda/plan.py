"""What a model will take of a card, to the byte, from its shape and formats alone.

The items are the regions of the arena that loading allocates: what the plan says is what is taken.  The
embedding stays in pinned main memory, from where kernels fetch a token's row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tzcore import trits
from tzcore.architecture.spec import ModelSpec
from tzcore.backend.cuda import arena
from tzcore.backend.cuda.arena import aligned
from tzcore.backend.cuda.layout import device_bytes
from tzcore.backend.cuda.pages import CHUNK, PAGE, context_bytes, longest, padded_head
from tzcore.backend.cuda.workspace import Items, Matrices, workspace_items
from tzcore.errors import BackendError
from tzcore.hardware import in_words
from tzcore.keyvalues import F16, FORMATS, KeyValueFormat

RESERVE = 512 << 20
"""Bytes that the driver takes of a card for its context, the kernels and their graphs.  An estimate."""

LARGEST_TRANSFORM = 4096
"""Columns of a transform's block, at most."""
MOST_EXPERTS = 1024
"""Experts of a layer, at most."""

WEIGHTS, HEAD, TABLES, CONTEXT, WORKSPACE = "weights", "head", "norms and tables", "keys and values", "workspace"


@dataclass(frozen=True)
class DevicePlan:
    """``memory`` of the card for ``context`` tokens; ``longest_context`` is what would fit, capped by the model.

    ``host`` is the pinned main memory that the embedding takes, ``chunk`` the most tokens of a call, ``kv`` how keys
    and values are stored.
    """

    memory: arena.Plan
    context: int
    longest_context: int
    host: int
    chunk: int = CHUNK
    kv: KeyValueFormat = F16

    @property
    def fits(self) -> bool:
        return self.memory.fits

    def sentence(self) -> str:
        """The sum, for a person."""
        return f"{self.memory.sentence()}; the embedding takes {in_words(self.host)} of main memory"

    def require(self) -> None:
        """Raise DoesNotFitError, with the sum and what would help, where the plan does not fit."""
        self.memory.require()


def check(spec: ModelSpec, matrices: Matrices) -> None:
    """BackendError for a model that the kernels cannot run, with what is in the way."""
    reason = next(_obstacles(spec, matrices), None)
    if reason:
        raise BackendError(f"the CUDA kernels cannot run this model ({reason}): use the processor (--backend cpu)")


def _obstacles(spec: ModelSpec, matrices: Matrices) -> Iterator[str]:
    padded_head(spec.head_dim)
    widths = {"hidden size": spec.hidden, "intermediate size": spec.intermediate, "head size": spec.head_dim}
    yield from (f"its {name} of {size} is no multiple of 4" for name, size in widths.items() if size % 4)
    blocks = [entry.transform.block for name in spec.matrices() if (entry := matrices[name]).transform]
    if max(blocks, default=0) > LARGEST_TRANSFORM:
        yield f"an input is transformed in blocks of {max(blocks)}, more than {LARGEST_TRANSFORM}"
    for layer in spec.layers:
        if layer.router is None:
            continue
        if len(layer.experts) > MOST_EXPERTS:
            yield f"a layer has {len(layer.experts)} experts, more than {MOST_EXPERTS}"
        if any(expert.gate_bias or expert.up_bias or expert.down_bias for expert in layer.experts):
            yield "its experts have biases"
        if any(matrices[ref.name].format.packing == "half" for e in layer.experts for ref in (e.gate, e.up, e.down)):
            yield "its experts are in half precision"


def weight_items(spec: ModelSpec, matrices: Matrices) -> Items:
    """Every matrix that is on the device, by what it is there, with its bytes: those of the layers, in order."""
    items: Items = []
    for number, layer in enumerate(spec.layers):
        refs = [ref for stage in layer.stages() for ref in stage]
        refs += [layer.router.matrix] if layer.router else []
        for ref in refs:
            entry = matrices[ref.name]
            size = device_bytes(entry.format, ref.rows, ref.cols, entry.group)
            items.append((f"layer {number}: {ref.name}[{ref.start}:{ref.start + ref.rows}]", size))
    return items


def head_bytes(spec: ModelSpec, matrices: Matrices) -> int:
    """Bytes of the last matrix on the device, where it is even if it is the embedding as well."""
    entry = matrices[spec.head.name]
    return device_bytes(entry.format, spec.head.rows, spec.head.cols, entry.group)


def table_items(spec: ModelSpec, matrices: Matrices) -> Items:
    """Norms and biases in float32, signs of transforms, frequencies of rotary embeddings."""
    signs = {
        entry.transform.signs: entry.cols
        for entry in (matrices[name] for name in spec.matrices())
        if entry.transform is not None
    }
    items = [(name, 4 * length) for name, length in spec.vectors().items()]
    items += signs.items()
    items += [(f"rope {number}", 4 * len(rope.inverse_frequencies)) for number, rope in enumerate(spec.ropes)]
    items += [(f"layer {number}: experts", size) for number, size in _expert_tables(spec, matrices)]
    return [*items, ("places of the embedding", 4 * spec.embedding.cols)]


def _expert_tables(spec: ModelSpec, matrices: Matrices) -> Iterator[tuple[int, int]]:
    """Layer and bytes of each table of where its experts' matrices lie: one for each format that they have."""
    for number, layer in enumerate(spec.layers):
        if layer.router is None:
            continue
        for refs in zip(*((expert.gate, expert.up, expert.down) for expert in layer.experts), strict=True):
            entries = [matrices[ref.name] for ref in refs]
            kinds = {(entry.format, entry.group, entry.transform) for entry in entries}
            yield from ((number, 24 * len(entries)) for _ in kinds)


def embedding_bytes(spec: ModelSpec, matrices: Matrices) -> int:
    """Bytes of the embedding in main memory, as the model folder holds it."""
    entry = matrices[spec.embedding.name]
    tile = trits.tile_bytes(entry.format, entry.cols)
    if entry.format.packing != "half":
        tile += 2 * trits.LANES * trits.groups(entry.cols, entry.group)
    return trits.tiles(entry.rows) * tile


def plan(
    spec: ModelSpec,
    matrices: Matrices,
    context: int,
    budget: int,
    place: str = "the card",
    chunk: int = CHUNK,
    least: int = PAGE,
    kv: KeyValueFormat = F16,
) -> DevicePlan:
    """The plan for ``context`` tokens in ``budget`` bytes, prompts being read ``chunk`` tokens at a time.

    Keys and values are stored as ``kv``, each matrix as ``matrices`` says.  BackendError for a model that the kernels
    cannot run.
    The advice, should it not fit, names a shorter context from ``least`` tokens on.
    """
    check(spec, matrices)
    items = (
        (WEIGHTS, _sum(weight_items(spec, matrices))),
        (HEAD, aligned(head_bytes(spec, matrices))),
        (TABLES, _sum(table_items(spec, matrices))),
        (CONTEXT, context_bytes(spec, kv, context, chunk)),
        (WORKSPACE, _sum(workspace_items(spec, chunk, matrices, context))),
    )
    memory = arena.Plan(items, budget, RESERVE, place)
    most = min(spec.max_context, longest(spec, kv, _left(memory), chunk))
    if most >= least:
        memory = replace(memory, advice=f"a context of {most:,} tokens would fit (--context {most})")
    return DevicePlan(memory, context, most, embedding_bytes(spec, matrices), chunk, kv)


def longest_contexts(spec: ModelSpec, memory: arena.Plan, chunk: int = CHUNK) -> Iterator[tuple[KeyValueFormat, int]]:
    """For each format of keys and values, the tokens that fit beside everything else, even if the model was made for
    fewer."""
    for kv in FORMATS.values():
        yield kv, longest(spec, kv, _left(memory), chunk)


def _left(memory: arena.Plan) -> int:
    """Bytes for keys and values beside everything else."""
    return max(0, memory.budget - memory.reserve - memory.total + memory.size(CONTEXT))


def _sum(items: Items) -> int:
    return sum(aligned(size) for _, size in items)
