"""Open WebUI's export: a list of chats, each with ``chat.history.messages`` as a tree and ``currentId``.

Older exports have only ``chat.messages``, a plain list.  Answers of several models side by side are siblings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.transfer.conversation import Said, Talk, UnreadableError, show_way_to
from app.transfer.fields import in_order, mapping, moment, sequence, text


def recognises(document: object) -> bool:
    """A list of objects with a ``chat`` that has messages."""
    return isinstance(document, list) and any(
        isinstance(one, dict) and isinstance(one.get("chat"), dict)
        and ("history" in one["chat"] or "messages" in one["chat"])
        for one in document[:20]
    )


def read(one: Mapping[str, Any]) -> Talk:
    """One conversation.  UnreadableError says what is wrong with it."""
    chat = mapping(one.get("chat"), "chat")
    created = moment(one.get("created_at"), moment(chat.get("timestamp")))
    models = chat.get("models")
    model = text(models[0]) if isinstance(models, list) and models else ""
    title = text(one.get("title") or chat.get("title"))
    name = text(one.get("id") or chat.get("id")) or f"{created!r}:{title}"
    talk = Talk(
        source=f"open-webui:{name}", title=title, model=model, created=created,
        updated=moment(one.get("updated_at"), created), pinned=one.get("pinned") is True,
    )
    history = chat.get("history")
    nodes: list[Any]
    current: object = None
    if isinstance(history, dict) and isinstance(history.get("messages"), dict) and history["messages"]:
        nodes = [{"id": key, **node} for key, node in history["messages"].items() if isinstance(node, dict)]
        current = history.get("currentId")
    else:
        nodes = _chain(sequence(chat.get("messages"), "messages"))
        current = nodes[-1]["id"] if nodes else None
    system = text(chat.get("system")) or _system(chat.get("params"))
    if system:
        nodes = [{"id": " system", "role": "system", "content": system}, *(
            {**node, "parentId": node.get("parentId") or " system"} for node in nodes
        )]
    found: dict[str, Said] = {}
    for node in nodes:
        said = _said(node, talk, created)
        if said.key in found:
            raise UnreadableError("wrong", "two messages with one id")
        found[said.key] = said
    talk.messages = in_order(found.values())
    if not any(said.role != "system" for said in talk.messages):
        raise UnreadableError("empty")
    show_way_to(talk, current if isinstance(current, str) and current in found else talk.messages[-1].key)
    return talk


def _said(node: Mapping[str, Any], talk: Talk, created: float) -> Said:
    role = node.get("role")
    key, parent = node.get("id"), node.get("parentId")
    content = node.get("content")
    said = _parts(content, talk) if isinstance(content, list) else text(content)
    for file in node.get("files") or []:
        if isinstance(file, dict):
            talk.replaced += 1
            inner = file.get("file")
            inner = inner if isinstance(inner, dict) else {}
            kind = "picture" if file.get("type") == "image" else "file"
            name = text(file.get("name") or inner.get("filename"))
            said = f"[{kind}: {name}]\n\n{said}" if name else f"[{kind}]\n\n{said}"
    if not isinstance(key, str):
        raise UnreadableError("wrong", "a message without id")
    if role not in ("system", "user", "assistant"):
        said, role = f"[{text(role) or 'tool'}]\n\n{said}", "assistant"
    error = node.get("error")
    if error and not said.strip():
        said = text(error.get("content")) if isinstance(error, dict) else text(error)
    state = "failed" if error else "stopped" if role == "assistant" and node.get("done") is False else "done"
    return Said(
        key, parent if isinstance(parent, str) else None, role, said,
        text(node.get("model")) if role == "assistant" else "", moment(node.get("timestamp"), created), state,
    )


def _parts(content: list[Any], talk: Talk) -> str:
    parts = []
    for part in content:
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            parts.append(text(part["text"]))
        elif isinstance(part, dict):
            talk.replaced += 1
            parts.append(f"[{'picture' if 'image' in text(part.get('type')) else 'file'}]")
    return "\n\n".join(parts)


def _chain(messages: list[Any]) -> list[dict[str, Any]]:
    chain: list[dict[str, Any]] = []
    for number, node in enumerate(messages):
        if isinstance(node, dict):
            before = chain[-1]["id"] if chain else None
            chain.append({**node, "id": str(number), "parentId": before})
    return chain


def _system(params: object) -> str:
    return text(params.get("system")) if isinstance(params, dict) else ""
