"""An engine in a process of its own that saves a text: ``python snapshot_process.py FOLDER ROOT SEED COUNT STAGE``.

It stands still, and says so, in the middle of writing its third piece: at STAGE ``half`` of the file is there, it is
``whole`` but not yet in its place, or just ``renamed``.  STAGE ``none`` goes on to the end.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))


def main() -> None:
    from tests.unit.engine.scripted_model import ScriptedModel, engine
    from tests.unit.engine.test_texts import GREEDY, tokens
    from tzcore import atomic
    from tzcore.engine import piece_tree
    from tzcore.engine.request import Request
    from tzcore.engine.snapshots import Snapshots

    folder, root, seed, count, stage = sys.argv[1:]
    written = 0

    def stand_still(reached: str) -> None:
        if stage == reached and written == 3:
            print("standing", flush=True)
            time.sleep(60)

    def in_halves(*args: Any, whole: Any = piece_tree.written) -> Iterator[bytes]:
        nonlocal written
        written += 1
        content = b"".join(whole(*args))
        yield content[: len(content) // 2]
        stand_still("half")
        yield content[len(content) // 2 :]

    def replace(source: Path, target: Path, plain: Any = atomic.os.replace) -> None:
        stand_still("whole")
        plain(source, target)
        stand_still("renamed")

    def put(self: Any, parent: str, held: list[int], payload: bytes) -> None:
        name = piece_tree.PieceName.of(parent, held)
        temporary = self.path / f"{name}.{piece_tree.os.getpid()}.tmp"
        atomic.write(self.path / str(name), in_halves(self._key, name, held, payload), temporary)

    piece_tree.PieceTree.put = put  # type: ignore[method-assign, assignment]
    atomic.os.replace = replace  # type: ignore[assignment]
    model = ScriptedModel()
    model.padding = 1000
    one = engine(Path(folder), model, 2048, speculation=False, snapshots=Snapshots(root=Path(root)))
    list(one.generate(Request(prompt=tokens(int(seed), int(count)), sampling=GREEDY, max_tokens=2)))
    one.close()


if __name__ == "__main__":
    main()
