from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Tz
from tzcore.cli.chat import stoppable

SHORT = ("--temperature", "0", "--max-tokens", "6")


def answers(done: subprocess.CompletedProcess[str]) -> list[dict[str, object]]:
    assert done.returncode == 0, done.stderr
    return [event for event in map(json.loads, done.stdout.splitlines()) if event["event"] == "answer"]


def test_each_line_is_a_turn_and_the_conversation_grows(tz: Tz, tiny_model: Path) -> None:
    first, second = answers(tz("chat", tiny_model, *SHORT, "--json", stdin="A river begins\n\nAnd then?\n"))
    assert isinstance(first["prompt_tokens"], int)
    assert isinstance(second["prompt_tokens"], int)
    assert second["prompt_tokens"] > first["prompt_tokens"]
    assert isinstance(second["cached_tokens"], int)
    assert second["cached_tokens"] > 0  # what was said before is not read again


def test_reset_forgets(tz: Tz, tiny_model: Path) -> None:
    first, again = answers(tz("chat", tiny_model, *SHORT, "--json", stdin="A river\n/reset\nA river\n"))
    assert again["prompt_tokens"] == first["prompt_tokens"]
    assert again["text"] == first["text"]


def test_an_answer_that_was_cut_goes_on(tz: Tz, tiny_model: Path) -> None:
    [whole] = answers(tz("chat", tiny_model, "--temperature", "0", "--max-tokens", "12", "--json", stdin="A river\n"))
    begun, more = answers(tz("chat", tiny_model, *SHORT, "--json", stdin="A river\n/continue\n"))
    assert str(begun["text"]) + str(more["text"]) == whole["text"]
    assert isinstance(more["cached_tokens"], int)
    assert isinstance(more["prompt_tokens"], int)
    assert more["cached_tokens"] == more["prompt_tokens"] - 1
    assert "no answer" in tz("chat", tiny_model, *SHORT, stdin="/continue\n").stderr


def test_a_system_message_is_part_of_what_is_read(tz: Tz, tiny_model: Path) -> None:
    turns = "A river\n/reset\n/system Be brief.\nA river\n"
    without, given = answers(tz("chat", tiny_model, *SHORT, "--json", stdin=turns))
    (from_start,) = answers(tz("chat", tiny_model, *SHORT, "--json", "--system", "Be brief.", stdin="A river\n"))
    assert given["prompt_tokens"] == from_start["prompt_tokens"] != without["prompt_tokens"]


def test_exit_leaves_and_only_answers_are_on_stdout(tz: Tz, tiny_model: Path) -> None:
    done = tz("chat", tiny_model, *SHORT, stdin="/help\n/exit\nA river\n")
    assert (done.returncode, done.stdout) == (0, "")
    assert "/reset" in done.stderr


def test_a_script_stops_with_one_when_the_context_is_full(tz: Tz, tiny_model: Path) -> None:
    done = tz("chat", tiny_model, *SHORT, "--context", "64", stdin="river " * 300 + "\nA river\n")
    assert done.returncode == 1
    assert "context" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_interrupting_stops_the_answer_and_a_second_time_the_program() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stoppable() as event:
        signal.raise_signal(signal.SIGINT)
        assert event.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c_while_it_answers_leaves_the_chat_running(tiny_model: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "tzcore.cli", "chat", str(tiny_model), "--json", "--temperature", "1.5"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    watchdog = threading.Timer(60, child.kill)
    watchdog.start()
    try:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write("A river begins\n")
        child.stdin.flush()
        reasons: list[str] = []
        for line in child.stdout:
            event = json.loads(line)
            if event["event"] == "delta" and not reasons:
                child.send_signal(signal.SIGINT)
                reasons.append("sent")
            if event["event"] == "answer":
                reasons.append(event["finish_reason"])
                break
        child.stdin.write("/exit\n")
        child.stdin.close()
        child.stdin = None
        out, _ = child.communicate(timeout=30)
        assert reasons == ["sent", "cancelled"]
        assert child.returncode == 0
        assert json.loads(out.splitlines()[-1])["event"] == "done"
    finally:
        watchdog.cancel()
        child.kill()
        child.wait()


def test_a_full_context_slides_where_it_may_and_says_so(tz: Tz, tiny_model: Path) -> None:
    turns = "".join(f"river {number} flows and flows on\n" for number in range(12))
    slide = ("--context", "256", "--context-overflow", "slide")
    done = tz("chat", tiny_model, *SHORT, *slide, "--json", stdin=turns)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers(done)) == 12
    changes = [event for event in said if event["event"] == "context_changed"]
    assert changes
    assert all(change["messages_left_out"] and change["tokens_kept"] <= 240 for change in changes)
    plain = tz("chat", tiny_model, *SHORT, *slide, stdin=turns)
    assert plain.stderr.count("oldest messages") in range(1, 6), "each change is said once"
