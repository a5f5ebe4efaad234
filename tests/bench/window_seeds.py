"""Conversations and jobs for pictures of the window: what people really keep, short and long, in several scripts."""

from __future__ import annotations

import shutil
import sqlite3
import time
from pathlib import Path

from app.history.history import History
from app.jobs.jobs import Jobs

MODEL = "starter:t2"
RICH = '''\
A **binary search** halves the range at every step, so that a million entries take about twenty comparisons.

## How it goes

1. Look at the middle of the range.
2. Go on in the half that can hold the value:
   - the left one, if the middle is too large,
   - the right one, if it is too small.
3. Stop when the range is empty.

```python
def find(values: list[int], wanted: int) -> int | None:
    """The place of ``wanted`` in ascending ``values``, or None."""
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) // 2
        if values[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low if low < len(values) and values[low] == wanted else None
```

| entries | comparisons | as a list |
|--------:|------------:|----------:|
| 1 000 | 10 | 500 |
| 1 000 000 | 20 | 500 000 |
| 1 000 000 000 | 30 | 500 000 000 |

> The work grows with the logarithm: $T(n) = T(n/2) + 1$, hence $T(n) \\in O(\\log n)$.

$$\\sum_{k=0}^{\\lfloor \\log_2 n \\rfloor} 1 = \\lfloor \\log_2 n \\rfloor + 1$$

- [x] The list is sorted
- [ ] Equal entries are told apart

See <https://en.wikipedia.org/wiki/Binary_search> for its history, and `bisect` for Python's own.
'''
THOUGHT = "<think>\nThe user wants an explanation with code. Keep it short, show a table.\n</think>\n\n"
TITLES = (
    "Lemon cake without eggs", "Pointers and references", "A walk through the harbour of Genoa in the year 1340",
    "Übungen zur Bruchrechnung", "قصة قصيرة عن البحر", "Why is the sky blue?", "Letter to the landlord",
    "SQL: last row of each group", "短歌を五つ", "Names for a small boat",
)


def seed(home: Path, starter: Path | None) -> dict[str, int]:
    """Fill an empty home folder; ``starter`` is a home where the starter model is installed.  The ids by name."""
    home.mkdir(parents=True, exist_ok=True)
    if starter is not None and not (home / "models").exists():
        shutil.copytree(starter / "models", home / "models")
    ids: dict[str, int] = {}
    history = History(home / "history.sqlite")
    for title in reversed(TITLES):  # the newest last: that is the order of the list
        ids[title] = conversation = history.create(MODEL, title)
        asked = history.append(conversation, None, "user", f"{title}?").id
        history.append(
            conversation, asked, "assistant", "It depends, but mostly yes.", model=MODEL,
            timings={"tokens_per_second": 251.0},
        )
    ids["rich"] = conversation = history.create(MODEL, "Binary search, explained")
    asked = history.append(conversation, None, "user", "Explain binary search, with code and numbers.").id
    timings = {"tokens_per_second": 247.0, "first_token_seconds": 0.12, "completion_tokens": 402, "prompt_tokens": 31}
    history.append(conversation, asked, "assistant", "It halves.", model=MODEL, timings=timings)
    answer = history.append(conversation, asked, "assistant", THOUGHT + RICH, model=MODEL, timings=timings).id
    asked = history.append(conversation, answer, "user", "And what if an entry occurs several times?").id
    history.append(
        conversation, asked, "assistant",
        "Then it finds the **first** of them, because the right end moves to the middle as long as the middle is",
        model=MODEL, state="stopped", timings=timings,
    )
    gone = history.create(MODEL, "Draft that went into the trash")
    history.append(gone, None, "user", "Never mind.")
    history.delete(gone)
    folder = history.create_folder("Work")
    history.move(ids["Letter to the landlord"], folder)
    history.move(ids["SQL: last row of each group"], folder)
    history.create_folder("Cooking")
    history.pin(ids["Why is the sky blue?"], True)
    history.close()
    with sqlite3.connect(home / "history.sqlite") as database:
        for number, title in enumerate(TITLES):
            age = 86_400 * (0, 0, 1, 1, 3, 5, 12, 20, 40, 70)[number]
            moment = time.time() - age - 300 * number
            database.execute("UPDATE conversation SET updated = ? WHERE id = ?", (moment, ids[title]))
    database.close()
    return ids


def seed_jobs(home: Path) -> None:
    """A queue in which something of everything stands; nothing in it runs."""
    jobs = Jobs(home / "jobs.sqlite", command=("nothing-is-started",))
    jobs.shutdown()
    now = time.time()
    rows = [
        ("1", "Qwen/Qwen3-1.7B", "t2", "paused", "convert", 9, 28, "blocks", "", ""),
        ("2", "HuggingFaceTB/SmolLM3-3B", "t1", "queued", "", 0, 0, "", "", ""),
        ("3", "google/gemma-3-1b-it", "t2", "failed", "download", 300_000_000, 2_000_000_000, "bytes",
         "The model is gated: accept its licence on its page, then put a token into the settings.", ""),
        ("4", "starter", "t2", "done", "evaluate", 1, 1, "blocks", "", MODEL),
    ]
    with sqlite3.connect(home / "jobs.sqlite") as database:
        for number, (key, source, encoding, state, phase, done, total, unit, message, model) in enumerate(rows):
            database.execute(
                "INSERT INTO job (id, source, encoding, packing, state, phase, done, total, unit, detail, message, "
                "model_id, created, child_pid, child_started) VALUES (?, ?, ?, NULL, ?, ?, ?, ?, ?, '', ?, ?, ?, 0, 0)",
                (key, source, encoding, state, phase, done, total, unit, message, model, now - 600 * (4 - number)),
            )
    database.close()
