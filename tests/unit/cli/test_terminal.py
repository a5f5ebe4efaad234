from __future__ import annotations

import io

from tzcore.cli.terminal import Answer, harmless


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_model_cannot_drive_the_terminal() -> None:
    assert harmless("a\x1b[2Jb\x07\x9bc\r\x00") == "a[2Jbc"
    assert harmless("tab\tline\nπ 東京 é") == "tab\tline\nπ 東京 é"


def test_to_a_terminal_without_escapes_to_a_file_as_it_is() -> None:
    for stream, expected in ((Terminal(), "red[31m\n"), (io.StringIO(), "red\x1b[31m\n")):
        answer = Answer(stream)
        answer.write("red\x1b")
        answer.write("[31m")
        answer.end()
        assert stream.getvalue() == expected


def test_the_line_is_ended_once() -> None:
    stream = io.StringIO()
    answer = Answer(stream)
    answer.write("done\n")
    answer.end()
    assert stream.getvalue() == "done\n"
