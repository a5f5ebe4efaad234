"""How other programs are set up to use the server, with the real address and token filled in."""

from __future__ import annotations

from dataclasses import dataclass

from app.translation import mark

NO_TOKEN = "not-needed"
"""Many programs insist on a key; without a token the server takes any."""


@dataclass(frozen=True)
class Example:
    """``text`` holds ``<url>`` (with ``/v1``), ``<token>`` and ``<model>``."""

    name: str
    help: str
    text: str

    def filled(self, url: str, token: str, model: str) -> str:
        """Ready to be copied."""
        values = (("<url>", f"{url}/v1"), ("<token>", token or NO_TOKEN), ("<model>", model))
        text = self.text
        for place, value in values:
            text = text.replace(place, value)
        return text


EXAMPLES: tuple[Example, ...] = (
    Example(
        "curl", mark("In a terminal."),
        """curl <url>/chat/completions \\
  -H "Authorization: Bearer <token>" \\
  -H "Content-Type: application/json" \\
  -d '{"model": "<model>", "messages": [{"role": "user", "content": "Hello!"}]}'
""",
    ),
    Example(
        "Python", mark("With the package openai (pip install openai)."),
        """from openai import OpenAI

client = OpenAI(base_url="<url>", api_key="<token>")
stream = client.chat.completions.create(
    model="<model>",
    messages=[{"role": "user", "content": "Hello!"}],
    stream=True,
)
for chunk in stream:
    print(chunk.choices[0].delta.content or "", end="", flush=True)
""",
    ),
    Example(
        "JavaScript", mark("With the package openai (npm install openai), in Node."),
        """import OpenAI from "openai";

const client = new OpenAI({ baseURL: "<url>", apiKey: "<token>" });
const answer = await client.chat.completions.create({
  model: "<model>",
  messages: [{ role: "user", content: "Hello!" }],
});
console.log(answer.choices[0].message.content);
""",
    ),
    Example(
        "Open WebUI", mark("Started on this machine; in its settings the same goes under Connections, OpenAI API."),
        """OPENAI_API_BASE_URL="<url>" \\
OPENAI_API_KEY="<token>" \\
open-webui serve
""",
    ),
    Example(
        "Continue", mark("In the file ~/.continue/config.yaml."),
        """name: Local
version: 1.0.0
schema: v1
models:
  - name: Ternary-Zero
    provider: openai
    model: <model>
    apiBase: <url>
    apiKey: <token>
    roles: [chat, edit, apply]
""",
    ),
)
