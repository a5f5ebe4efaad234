"""How the model reads files that were given with a message: before what was written, each between fences.

::

    File "notes.md":
    ```
    …the file's text…
    ```

    What was written.

A fence is longer than any row of backticks in the file, as in Markdown, so that no file can end its own fence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.history.records import Attachment


def composed(text: str, attachments: Sequence[Attachment]) -> str:
    """What the model reads of a message."""
    return "\n\n".join([*map(delimited, attachments), *([text] if text else [])])


def delimited(attachment: Attachment) -> str:
    """One file: its name, and its text between fences."""
    longest = max((len(row) for row in re.findall(r"`+", attachment.text)), default=0)
    fence = "`" * max(3, longest + 1)
    name = " ".join(attachment.name.split()).replace('"', "'")
    return f'File "{name}":\n{fence}\n{attachment.text.rstrip()}\n{fence}'
