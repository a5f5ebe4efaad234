from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.unit.engine.small_tokenizers import CHATML
from tzcore.engine.template import ChatTemplate
from tzcore.errors import CheckpointError, TemplateError

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def opened() -> Iterator[list[ChatTemplate]]:
    made: list[ChatTemplate] = []
    yield made
    for template in made:
        template.close()


def render(opened: list[ChatTemplate], source: str, seconds: float = 5.0, **variables: object) -> str:
    opened.append(ChatTemplate({"default": source}, {"bos_token": "<s>"}, seconds=seconds, memory=256 << 20))
    return opened[-1].render(HELLO, variables=variables)


def test_chatml(opened: list[ChatTemplate]) -> None:
    assert render(opened, CHATML) == "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
    assert opened[0].render(HELLO, add_generation_prompt=False).endswith("<|im_end|>\n")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ bos_token }}{{ messages[0].content }}", "<s>Hello"),
        ("{% if true %}\n  x\n{% endif %}", "  x\n"),  # trim_blocks, lstrip_blocks
        ("{% generation %}a{% endgeneration %}b", "ab"),
        ("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "01"),
        ("{{ {'a': '<é>'} | tojson }}", '{"a": "<é>"}'),
        ("{{ [1] | tojson(indent=2) }}", "[\n  1\n]"),
        ("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}", "1"),
        ("{{ tools is none }}{{ enable_thinking }}", "TrueFalse"),
        ("{{ messages[0]['content'].split('l')[0].strip() }}{{ missing }}", "He"),
    ],
)
def test_what_templates_use(opened: list[ChatTemplate], source: str, expected: str) -> None:
    assert render(opened, source, enable_thinking=False) == expected


def test_date(opened: list[ChatTemplate]) -> None:
    assert render(opened, "{{ strftime_now('%Y') }}") in (time.strftime("%Y"), str(int(time.strftime("%Y")) + 1))


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{{ 9 ** (9 ** 9) }}",  # one C call that no thread can be interrupted in
        "{{ 9 ** (9 ** 9) if messages else '' }}",
    ],
)
def test_a_template_that_loops_is_stopped(opened: list[ChatTemplate], source: str) -> None:
    began = time.monotonic()
    with pytest.raises(TemplateError, match="longer than 1 seconds") as caught:
        render(opened, source, seconds=1.0)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - began < 20
    with pytest.raises(TemplateError, match="longer than 1 seconds"):  # and again, in a new child
        opened[0].render(HELLO)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{{ 'a' * 10 ** 10 }}", "memory"),
        ("{{ [1] * 10 ** 9 }}", "memory"),
        ("{% set ns = namespace(a='ab') %}{% for i in range(99) %}{% set ns.a = ns.a + ns.a %}{% endfor %}", "memory"),
        ("{% for i in range(10 ** 9) %}{% endfor %}", "Range too big"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
        ("{{ raise_exception('System role\nnot supported') }}", "refused the conversation: System role not supported"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ messages.append(1) }}", "refused"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ messages[0].nothing.at_all }}", "refused"),
        ("{% for", "malformed, line 1"),
        ("x\n{% endfor %}", "malformed, line 2"),
    ],
)
def test_a_bad_template_is_one_clear_line(opened: list[ChatTemplate], source: str, reason: str) -> None:
    with pytest.raises(TemplateError, match=reason) as caught:
        render(opened, source)
    assert "\n" not in str(caught.value)
    with pytest.raises(TemplateError, match=reason):  # and again, whether or not the child still lives
        opened[0].render(HELLO)


def test_a_refusal_does_not_end_the_child(opened: list[ChatTemplate]) -> None:
    source = "{% if messages | length > 1 %}{{ raise_exception('too many') }}{% endif %}ok"
    assert render(opened, source) == "ok"
    with pytest.raises(TemplateError, match="too many"):
        opened[0].render(HELLO * 2)
    assert opened[0].render(HELLO) == "ok"


def test_a_killed_child_is_replaced(opened: list[ChatTemplate]) -> None:
    render(opened, CHATML)
    children = [c for c in psutil.Process().children() if any("template_worker" in a for a in c.cmdline())]
    child = max(children, key=lambda c: c.create_time())
    child.kill()
    child.wait(5)
    with pytest.raises(TemplateError, match="ended"):
        opened[0].render(HELLO)
    assert opened[0].render(HELLO).endswith("assistant\n")


def test_the_child_ends_with_its_parent_even_in_a_loop() -> None:
    script = (
        "import sys, threading, time\n"
        "from tzcore.engine.template import ChatTemplate\n"
        "t = ChatTemplate({'default': '{{ 9 ** (9 ** 9) if messages else 0 }}'}, seconds=2.0)\n"
        "print(t._worker._process.pid, flush=True)\n"
        "threading.Thread(target=t.render, args=([{'role': 'user', 'content': 'x'}],), daemon=True).start()\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent:
        child = psutil.Process(int(parent.stdout.readline()))
        time.sleep(0.7)  # it is in its loop
        parent.kill()
    psutil.wait_procs([child], timeout=15)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_large_conversations_are_quick(opened: list[ChatTemplate]) -> None:
    render(opened, CHATML)
    began = time.monotonic()
    for _ in range(200):
        opened[0].render(HELLO)
    assert time.monotonic() - began < 2.0  # measured: 0.03 s
    text = opened[0].render([{"role": "user", "content": "word " * 100_000}] * 10)
    assert len(text) > 5_000_000


def test_files(tmp_path: Path, opened: list[ChatTemplate]) -> None:
    def open_it() -> ChatTemplate:
        opened.append(ChatTemplate.open(tmp_path))
        return opened[-1]

    assert open_it().plain
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": "one"}))
    assert open_it().render(HELLO) == "one"
    many = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "two"}]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": many}))
    assert open_it().render(HELLO) == "two"
    (tmp_path / "chat_template.jinja").write_text("thrée", encoding="utf-8")
    assert open_it().render(HELLO) == "thrée"
    (tmp_path / "chat_template.jinja").write_bytes(b"\xff")
    with pytest.raises(CheckpointError, match=r"chat_template\.jinja"):
        open_it()


def test_plain_form(opened: list[ChatTemplate]) -> None:
    before = set(psutil.Process().children())  # of other tests' engines
    opened.append(ChatTemplate({}))
    assert opened[0].plain
    talk = [{"role": "system", "content": "Be brief. "}, *HELLO, {"role": "assistant", "content": " Hi"}, *HELLO]
    assert opened[0].render(talk) == "Be brief.\n\nUser: Hello\n\nAssistant: Hi\n\nUser: Hello\n\nAssistant:"
    started = set(psutil.Process().children()) - before
    assert all("template_worker" not in " ".join(c.cmdline()) for c in started)
