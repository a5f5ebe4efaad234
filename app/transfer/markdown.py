"""Markdown: the branch that is shown, to be read by people; and such a file read again.

Headings of the second level say who speaks; the model's name stands for the model.
"""

from __future__ import annotations

import re

from app.history.history import History
from app.history.records import ENDED_EARLY, Message
from app.transfer.conversation import Said, Talk, UnreadableError, show_way_to
from app.translation import tr
from app.wording import size

NOTE = "> *"


def to_markdown(history: History, conversation_id: int) -> str:
    """The branch that is shown: attachments are named, and where the model did not read on is marked."""
    summary = history.conversation(conversation_id)
    parts = [f"# {summary.title or tr('Conversation')}"]
    for message in history.messages(conversation_id):
        parts += _notes(message)
        name = {"system": tr("System"), "user": tr("You")}.get(message.role) or message.model or summary.model
        ended = f" ({tr(ENDED_EARLY[message.state])})" if message.state in ENDED_EARLY else ""
        parts.append(f"## {name}{ended}")
        for one in message.attachments:
            parts.append(NOTE + tr("Attached: {name} ({size})").format(name=one.name, size=size(one.bytes)) + "*")
        if message.text.strip():
            parts.append(message.text.strip())
    return "\n\n".join(parts) + "\n"


def from_markdown(document: str, created: float) -> Talk:
    """A file that :func:`to_markdown` wrote, in English or the user's language.  UnreadableError for any other."""
    title = ""
    said: list[Said] = []
    fence = ""
    lines: list[str] = []

    def end() -> None:
        if said:
            text = re.sub(r"\A(?:> \*[^\n]*\*\n*)+|(?:\n*> \*[^\n]*\*)+\Z", "", "\n".join(lines).strip())
            said[-1].text = text.strip()
        lines.clear()

    for line in document.splitlines():
        mark = re.match(r"\s*(`{3,}|~{3,})", line)
        if mark:  # a heading within code is none
            if not fence:
                fence = mark[1]
            elif mark[1][0] == fence[0] and len(mark[1]) >= len(fence):
                fence = ""
        if not fence and not said and line.startswith("# ") and not title:
            title = line[2:].strip()
        elif not fence and line.startswith("## "):
            end()
            said.append(_speaker(line[3:].strip(), len(said), created))
        else:
            lines.append(line)
    end()
    if not any(one.role == "user" for one in said):
        raise UnreadableError("unknown")
    talk = Talk(source=f"markdown:{title}:{len(document)}", title=title, created=created, updated=created)
    talk.messages = said
    talk.model = next((one.model for one in said if one.model), "")
    show_way_to(talk, said[-1].key)
    return talk


def _speaker(heading: str, number: int, created: float) -> Said:
    state = "done"
    for name, word in ENDED_EARLY.items():
        for ending in (f" ({word})", f" ({tr(word)})"):
            if heading.endswith(ending):
                heading, state = heading.removesuffix(ending), name
    role = "assistant"
    if heading in ("You", tr("You"), "User"):
        role = "user"
    elif heading in ("System", tr("System")):
        role = "system"
    model = heading if role == "assistant" else ""
    return Said(str(number), str(number - 1) if number else None, role, "", model, created, state)


def _notes(message: Message) -> list[str]:
    """What the model did not read any more from here on."""
    notes = []
    for change in message.context_changes:
        if change.get("summary"):
            text = tr("From here on the model reads a summary of what came before: {summary}")
            notes.append(text.format(summary=" ".join(str(change["summary"]).split())))
        elif change.get("messages_left_out"):
            number = int(change["messages_left_out"])
            notes.append(tr("From here on the model does not read the first %n message(s) any more.", "", number))
        else:
            notes.append(tr("From here on the model does not read all of the text before any more."))
    return [f"{NOTE}{note}*" for note in notes]
