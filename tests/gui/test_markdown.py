"""Markdown as blocks: what a model writes is shown, never interpreted as HTML; streaming equals parsing."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.text.markdown import Block, Code, Prose, Quote, Rule, Table, parse
from app.text.stream import Stream, join
from app.text.thinking import split_thinking

DOCUMENT = """# Title

Some *emphasis*, some **strong**, some `code < here`, and a [link](https://example.org/?a=1&b=2).

1. one
2. two
   - nested

| a | b |
|:--|--:|
| 1 | **2** |

```python
def f():

    return "<b>"
```

> quoted
> text

---

The end.
"""


def one(text: str) -> Block:
    (block,) = parse(text)
    return block


def html(text: str) -> str:
    block = one(text)
    assert isinstance(block, Prose)
    return block.html


def test_blocks_in_order() -> None:
    kinds = [type(block) for block in parse(DOCUMENT)]
    assert kinds == [Prose, Table, Code, Quote, Rule, Prose]


def test_table_keeps_alignment_and_inline_marks() -> None:
    assert parse(DOCUMENT)[1] == Table(("a", "b"), (("1", "<b>2</b>"),), ("left", "right"))


def test_code_is_verbatim() -> None:
    assert parse(DOCUMENT)[2] == Code('def f():\n\n    return "<b>"', "python")


@pytest.mark.parametrize(
    "attack",
    [
        "<script>alert(1)</script>",
        '<img src="https://evil.example/x.png" onerror="x()">',
        "text <iframe src=x></iframe> text",
        "<style>body{display:none}</style>",
        "a\n\n<div>\nblock\n</div>",
        '| <img src="x"> |\n|---|\n| <b>x</b> |',
        "> <object data=x>",
    ],
)
def test_raw_html_is_shown_not_interpreted(attack: str) -> None:
    def all_html(blocks: tuple[Block, ...]) -> str:
        out = ""
        for block in blocks:
            if isinstance(block, Prose):
                out += block.html
            elif isinstance(block, Table):
                out += "".join(block.header) + "".join(cell for row in block.rows for cell in row)
            elif isinstance(block, Quote):
                out += all_html(block.blocks)
        return out

    tags = set(re.findall(r"<\s*/?\s*([a-zA-Z0-9]+)", all_html(parse(attack))))
    assert tags <= {"p", "br", "a"}
    assert "&lt;" in all_html(parse(attack))


@given(st.text(alphabet="<>&\"'`*_[]()!|#- \nabhtps:/.=1", max_size=120))
@settings(max_examples=300, deadline=None)
def test_only_known_tags_ever_come_out(text: str) -> None:
    allowed = {"p", "br", "b", "i", "s", "code", "a", "ul", "ol", "li", "h1", "h2", "h3", "h4", "h5", "h6"}

    def check(blocks: tuple[Block, ...]) -> None:
        for block in blocks:
            if isinstance(block, Prose):
                assert set(re.findall(r"<\s*/?\s*([a-zA-Z0-9]+)", block.html)) <= allowed
                assert set(re.findall(r'href="([a-z]+):', block.html)) <= {"http", "https", "mailto"}
                assert "src=" not in re.sub(r">[^<]*<", "><", block.html)
            elif isinstance(block, Quote):
                check(block.blocks)

    check(parse(text))


def test_images_become_links_and_are_never_loaded() -> None:
    shown = html("![a cat](https://example.org/cat.png)")
    assert "<img" not in shown
    assert '<a href="https://example.org/cat.png"' in shown
    assert "[Image from example.org: a cat — show]" in shown


@pytest.mark.parametrize("target", ["javascript:alert(1)", "file:///etc/passwd", "data:text/html,x", "vbscript:x"])
def test_dangerous_links_are_not_links(target: str) -> None:
    assert "href" not in html(f"[press me]({target})")


def test_bare_addresses_are_linked_without_their_full_stop() -> None:
    assert '<a href="https://example.org/x" title="https://example.org/x">https://example.org/x</a>.' in html(
        "See https://example.org/x."
    )
    assert "href" not in html("`https://example.org`")


def test_code_in_a_list_keeps_the_numbers() -> None:
    blocks = parse("1. first\n   ```sh\n   ls\n   ```\n   more\n2. second\n")
    assert blocks[1] == Code("ls", "sh", depth=1)
    assert isinstance(blocks[2], Prose)
    assert 'margin-left' in blocks[2].html
    assert '<ol start="2"><li>second</li></ol>' in blocks[2].html


def test_every_tag_is_closed() -> None:
    nested = "1. a\n\n   b\n\n   > q\n\n   c\n"
    for text in (DOCUMENT, "- a\n  - b\n    ```\n    x\n    ```\n    c\n  - d\n- e", nested):
        for block in parse(text):
            if isinstance(block, Prose):
                for tag in ("ul", "ol", "li", "p"):
                    opened = len(re.findall(rf"<{tag}[ >]", block.html))
                    assert opened == block.html.count(f"</{tag}>"), block.html


def test_line_breaks_in_cells_and_task_lists() -> None:
    assert parse("| a |\n|---|\n| x<br>y |")[0] == Table(("a",), (("x<br/>y",),), ("left",))
    assert "☑ done" in html("- [x] done")


def test_an_open_fence_is_marked() -> None:
    assert parse("```py\nx = 1")[0] == Code("x = 1", "py", closed=False)
    assert parse("```py\nx = 1\n```")[0] == Code("x = 1", "py", closed=True)
    assert parse("~~~\n```\n~~~")[0] == Code("```", "", closed=True)


@pytest.mark.parametrize(
    ("raw", "thinking", "text", "still"),
    [
        ("plain", "", "plain", False),
        ("<think>hm</think>\n\nanswer", "hm", "answer", False),
        ("<think>hm", "hm", "", True),
        ("<think>hm</thi", "hm", "", True),
        ("<thi", "", "", True),
        ("hm\n</think>\nanswer", "hm", "answer", False),
        ("write `</think>`? ```\n</think>", "write `", "`? ```\n</think>", False),
        ("use ```\n</think>\n```", "", "use ```\n</think>\n```", False),
        ("a < b", "", "a < b", False),
    ],
)
def test_thinking_is_split_off(raw: str, thinking: str, text: str, still: bool) -> None:
    answer = split_thinking(raw)
    assert (answer.thinking, answer.text, answer.thinking_open) == (thinking, text, still)


def flat(blocks: tuple[Block, ...] | list[Block]) -> list[Block]:
    """Blocks with neighbouring prose joined, as the window does at the end of an answer."""
    out: list[Block] = []
    for block in blocks:
        if out and isinstance(out[-1], Prose) and isinstance(block, Prose):
            out[-1] = join(out[-1], block)
        else:
            out.append(block)
    return out


@pytest.mark.parametrize("size", [1, 3, 17, 1000])
def test_a_stream_ends_where_parsing_ends(size: int) -> None:
    stream = Stream()
    blocks: tuple[Block, ...] = ()
    for at in range(0, len(DOCUMENT), size):
        before = blocks[: stream.frozen]
        frozen = stream.frozen
        blocks = stream.feed(DOCUMENT[at : at + size])
        assert blocks[:frozen] == before  # what is frozen never changes
    assert flat(list(blocks)) == list(parse(DOCUMENT))


def test_a_loose_list_is_one_list_again() -> None:
    text = "1. a\n\n2. b\n\n3. c\n\nend\n"
    stream = Stream()
    blocks = stream.feed(text)
    assert len(blocks) > 1
    joined = flat(list(blocks))
    assert isinstance(joined[0], Prose)
    assert joined[0].html == '<ol start="1"><li>a</li><li>b</li><li>c</li></ol><p>end</p>'


def test_blank_lines_inside_a_fence_freeze_nothing() -> None:
    stream = Stream()
    stream.feed("```\na\n\nb\n\nc\n")
    assert (stream.frozen, stream.tail_start) == (0, 0)
    stream.feed("```\n\nnext\n")
    assert stream.frozen == 1


def test_the_tail_stays_short_in_a_long_answer() -> None:
    stream = Stream()
    for number in range(200):
        stream.feed(f"Paragraph {number} with a few words.\n\n")
        assert len(stream.text) - stream.tail_start < 120
