"""Conversations in a model's own chat format, for calibration; a child process renders them.

A chat template comes with the model and is code.  Jinja's sandbox keeps it from files and from
Python's internals; the child can be stopped where a template never ends.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SECONDS = 20.0
"""After which a template counts as one that does not end."""


class TemplateFailed(Exception):
    """The template could not render the conversations; the message says why."""


def template_of(files: Mapping[str, Path]) -> tuple[str, dict[str, str]] | None:
    """The model's default chat template and its special tokens; None where it has no template."""
    settings = _json(files.get("tokenizer_config.json"))
    template = settings.get("chat_template")
    if "chat_template.jinja" in files:
        template = files["chat_template.jinja"].read_text(encoding="utf-8")
    if isinstance(template, list):
        named = {t.get("name"): t.get("template") for t in template if isinstance(t, dict)}
        template = named.get("default")
    if not isinstance(template, str):
        return None
    tokens = {}
    for name in ("bos_token", "eos_token", "pad_token", "unk_token"):
        value = settings.get(name)
        value = value.get("content") if isinstance(value, dict) else value
        if isinstance(value, str):
            tokens[name] = value
    return template, tokens


def _json(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def render(template: str, tokens: Mapping[str, str], conversations: list[list[dict[str, str]]]) -> list[str]:
    """Each conversation as the model would see it.  :class:`TemplateFailed` after twenty seconds."""
    order = json.dumps({"template": template, "tokens": dict(tokens), "conversations": conversations})
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__], input=order.encode(), capture_output=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise TemplateFailed("the chat template does not come to an end") from None
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise TemplateFailed(lines[-1] if lines else "the chat template failed")
    texts: list[str] = json.loads(done.stdout)
    return texts


def plain(conversation: list[dict[str, str]]) -> str:
    """A conversation for a model without a template."""
    return "\n\n".join(f"{message['role'].capitalize()}: {message['content']}" for message in conversation) + "\n\n"


def without_system(conversation: list[dict[str, str]]) -> list[dict[str, str]]:
    """The same conversation with its system prompt at the head of the first question."""
    prompt, question, *rest = conversation
    return [{**question, "content": f"{prompt['content']}\n\n{question['content']}"}, *rest]


def _main() -> None:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        raise ValueError(message)

    order = json.loads(sys.stdin.buffer.read())
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    # What transformers gives templates (chat_template_utils): some call these unconditionally.
    environment.globals.update(raise_exception=refuse, strftime_now=lambda form: "1 January 2026")
    environment.filters["tojson"] = lambda value, **_: json.dumps(value, ensure_ascii=False)
    template = environment.from_string(order["template"])

    def written(messages: list[dict[str, str]]) -> str:
        try:
            return template.render(messages=messages, **order["tokens"])
        except ValueError:  # some models' templates refuse system prompts
            if messages[0]["role"] != "system":
                raise
            return template.render(messages=without_system(messages), **order["tokens"])

    texts = [written(messages) for messages in order["conversations"]]
    sys.stdout.buffer.write(json.dumps(texts).encode())


if __name__ == "__main__":
    _main()
