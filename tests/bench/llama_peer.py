"""One llama.cpp measurement, as a JSON line; run by ``paired_decode.py`` with the peer's interpreter.

    python llama_peer.py quantise IN.gguf OUT.gguf TQ2_0
    python llama_peer.py bench MODEL.gguf --threads 2 --prompt 512 --tokens 128

The peer is ``llama-cpp-python``, built from its source distribution in an environment of its own;
it is no dependency of this project.  Greedy decoding, flash attention at its default, no logits but the last.
"""

from __future__ import annotations

import argparse
import json
import time

import llama_cpp


def quantise(source: str, target: str, kind: str) -> None:
    """Requantise ``source`` as ``LLAMA_FTYPE_MOSTLY_<kind>``."""
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{kind}")
    params.allow_requantize = True
    if llama_cpp.llama_model_quantize(source.encode(), target.encode(), params):
        raise SystemExit(f"cannot quantise {source} as {kind}")


def bench(model: str, threads: int, prompt: int, tokens: int) -> dict[str, float]:
    """Tokens a second of prefill and of decoding after a prompt of ``prompt`` tokens."""
    llm = llama_cpp.Llama(
        model, n_ctx=prompt + tokens + 8, n_threads=threads, n_threads_batch=threads, n_batch=prompt, verbose=False
    )
    text = [1 + i % 1000 for i in range(prompt)]
    llm.eval(text[:16])  # pages in, threads up
    llm.reset()
    start = time.perf_counter()
    llm.eval(text)
    prefill = time.perf_counter() - start
    start = time.perf_counter()
    for _ in range(tokens):
        llm.eval([llm.sample(temp=0.0)])
    return {"prefill_tps": prompt / prefill, "decode_tps": tokens / (time.perf_counter() - start)}


def main() -> None:
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(dest="verb", required=True)
    make = verbs.add_parser("quantise")
    make.add_argument("source")
    make.add_argument("target")
    make.add_argument("kind")
    run = verbs.add_parser("bench")
    run.add_argument("model")
    run.add_argument("--threads", type=int, default=2)
    run.add_argument("--prompt", type=int, default=512)
    run.add_argument("--tokens", type=int, default=128)
    args = parser.parse_args()
    if args.verb == "quantise":
        quantise(args.source, args.target, args.kind)
    else:
        print(json.dumps(bench(args.model, args.threads, args.prompt, args.tokens)))


if __name__ == "__main__":
    main()
