"""The same questions to several models, answers side by side; greedy, so that they can be made again.

python tests/bench/sample_answers.py starter:t2 starter:2.7bpw starter:t1 [--question TEXT ...]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import textwrap

QUESTIONS = (
    "What is the capital of France?",
    "Explain in two sentences why the sky is blue.",
    "Write a short poem about the sea.",
    "Write a Python function that adds two numbers.",
)


def answer(model: str, question: str, tokens: int) -> str:
    """What ``tz run`` says."""
    options = ["--temperature", "0", "--max-tokens", str(tokens)]
    command = [sys.executable, "-m", "tzcore.cli", "run", model, question, *options]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def main() -> None:
    """Print every question with the answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--question", action="append", help="instead of those above; may be repeated")
    parser.add_argument("--tokens", type=int, default=60)
    args = parser.parse_args()
    for question in args.question or QUESTIONS:
        print(f"## {question}")
        for model in args.models:
            said = " ".join(answer(model, question, args.tokens).split())
            print(textwrap.fill(f"{model:16} {said}", 118, subsequent_indent=" " * 17))
        print()


if __name__ == "__main__":
    main()
