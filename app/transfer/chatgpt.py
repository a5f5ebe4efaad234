"""ChatGPT's export: ``conversations.json``, a list of conversations with a ``mapping`` of nodes.

A node has ``id``, ``message`` (or null), ``parent`` and ``children``.  Nodes that nobody saw (the empty root, hidden
system messages, the model's calls of tools without text) are passed over; what they lead to stays.  Pictures, audio
and files are named in their place, code and what tools said is kept as text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from app.transfer.conversation import Said, Talk, UnreadableError, show_way_to
from app.transfer.fields import in_order, mapping, moment, text

HIDDEN_TYPES = ("model_editable_context", "user_editable_context")
THOUGHTS = ("thoughts", "reasoning_recap")
NAMES = {
    "image_asset_pointer": "picture", "audio_asset_pointer": "audio", "audio_transcription": "",
    "real_time_user_audio_video_asset_pointer": "audio and video", "video_container_asset_pointer": "video",
}


def recognises(document: object) -> bool:
    """A list whose first element has a mapping."""
    return isinstance(document, list) and any(isinstance(one, dict) and "mapping" in one for one in document[:20])


def read(one: Mapping[str, Any]) -> Talk:
    """One conversation.  UnreadableError says what is wrong with it."""
    nodes = mapping(one.get("mapping"), "mapping")
    created = moment(one.get("create_time"))
    talk = Talk(
        source="chatgpt:" + text(one.get("conversation_id") or one.get("id")), title=text(one.get("title")),
        model=text(one.get("default_model_slug")), created=created, updated=moment(one.get("update_time"), created),
        pinned=one.get("is_starred") is True,
    )
    if talk.source == "chatgpt:":
        talk.source = f"chatgpt:{created!r}:{talk.title}"
    seen: dict[str, Said | None] = {}
    for key, node in nodes.items():
        if isinstance(node, dict):
            seen[key] = _said(key, node.get("message"), talk, created)
    kept = []
    for key, said in seen.items():
        if said is not None:
            said.parent = _visible(nodes, seen, nodes[key].get("parent"))
            kept.append(said)
    # Siblings in the order in which their parent lists them, as ChatGPT shows them.
    order = {child: number for node in nodes.values() if isinstance(node, dict)
             for number, child in enumerate(node.get("children") or []) if isinstance(child, str)}
    talk.messages = in_order(sorted(kept, key=lambda said: order.get(said.key, 0)))
    if not talk.messages:
        raise UnreadableError("empty")
    current = one.get("current_node")
    shown = _visible(nodes, seen, current) if isinstance(current, str) else None
    show_way_to(talk, shown if shown is not None else talk.messages[-1].key)
    return talk


def _visible(nodes: Mapping[str, Any], seen: Mapping[str, Said | None], key: object) -> str | None:
    """The nearest node on the way up that is kept, this one included."""
    passed = set()
    while isinstance(key, str) and key in seen:
        if key in passed:
            raise UnreadableError("circle")
        passed.add(key)
        if seen[key] is not None:
            return key
        key = nodes[key].get("parent")
    return None


def _said(key: str, message: object, talk: Talk, created: float) -> Said | None:
    if not isinstance(message, dict):
        return None
    author = message.get("author")
    role = author.get("role") if isinstance(author, dict) else None
    metadata = message.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    content = message.get("content")
    if not isinstance(content, dict) or metadata.get("is_visually_hidden_from_conversation") is True:
        return None
    if content.get("content_type") in HIDDEN_TYPES:
        return None
    said = _content(content, talk)
    names = [text(file.get("name")) for file in metadata.get("attachments") or [] if isinstance(file, dict)]
    files = [f"[file: {name}]" for name in names if name]
    talk.replaced += len(files)
    said = "\n\n".join(part for part in (*files, said) if part)
    if not said.strip():
        return None
    if role == "tool":
        name = text(author.get("name")) if isinstance(author, dict) else ""
        role = "assistant"
        if content.get("content_type") == "execution_output":
            said = f"```\n{said}\n```"
        said = f"[{name}]\n\n{said}" if name else said
    if role not in ("system", "user", "assistant"):
        return None
    status = message.get("status")
    return Said(
        key, None, role, said, text(metadata.get("model_slug")) if role == "assistant" else "",
        moment(message.get("create_time"), created), "stopped" if status == "in_progress" else "done",
    )


def _content(content: Mapping[str, Any], talk: Talk) -> str:
    kind = content.get("content_type")
    if kind == "code":
        language = text(content.get("language"))
        return f"```{'' if language == 'unknown' else language}\n{text(content.get('text'))}\n```"
    if kind in ("execution_output", "tether_quote", "system_error"):
        return text(content.get("text"))
    if kind in THOUGHTS:
        thoughts = [text(one.get("content")) for one in content.get("thoughts") or [] if isinstance(one, dict)]
        inner = "\n\n".join(part for part in thoughts if part)
        return f"<think>\n{inner}\n</think>" if inner else ""
    parts = content.get("parts")
    if isinstance(parts, list):
        return "\n\n".join(part for part in (_part(one, talk) for one in parts) if part)
    return text(content.get("text") or content.get("result"))


def _part(part: object, talk: Talk) -> str:
    if isinstance(part, str):
        return text(part)
    if not isinstance(part, dict):
        return ""
    kind = text(part.get("content_type"))
    if kind == "audio_transcription" or (not kind and isinstance(part.get("text"), str)):
        return text(part.get("text"))
    talk.replaced += 1
    name = NAMES.get(kind) or kind or json.dumps(part)[:80]
    metadata = part.get("metadata")
    prompt = ""
    if isinstance(metadata, dict) and isinstance(metadata.get("dalle"), dict):
        prompt = text(metadata["dalle"].get("prompt"))
    return f"[{name}: {prompt}]" if prompt else f"[{name}]"
