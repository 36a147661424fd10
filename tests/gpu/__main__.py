"""Times the engine on a GPU, on thinkers of true size with random weights: `python -m tests.gpu`.

Writes build/gpu.json; copied to avnb/gpu.json, the book shows it with the card's name. Every cell is a process of its
own; what does not fit says so in its result, and a second call on the same card goes on where the first stopped. Needs
30 GB of disk under build/gpu; bitsandbytes and flash-attn are measured where they are installed.
"""

import argparse
import json
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path

import torch

from tests.gpu import world
from tests.gpu.cell import measure


def cells(sizes, tokens, conditions):
    """Every measurement as a dict: the engine in three settings, with attention recorded, and hooks."""
    settings = (("ours", "sdpa", None), ("ours", "flash_attention_2", None), ("ours", "sdpa", "4bit"))
    settings += (("ours_capture", "sdpa", None), ("hooks", "sdpa", None))
    for size, n_tokens, n, (method, attention, quantize) in product(sizes, tokens, conditions, settings):
        cell = {"size": size, "method": method, "attention": attention, "quantize": quantize}
        yield cell | {"tokens": n_tokens, "conditions": n}


def machine():
    """The card, and with what it was used."""
    on_gpu = torch.cuda.is_available()
    packages = ("torch", "transformers", "bitsandbytes", "flash-attn")
    return {
        "card": torch.cuda.get_device_name() if on_gpu else f"no GPU ({platform.machine()})",
        "memory_gb": torch.cuda.get_device_properties(0).total_memory / 1e9 if on_gpu else None,
        "cuda": torch.version.cuda,
        "versions": {name: _version(name) for name in packages},
    }


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def run_cell(cell, options):
    """One cell in a new process; one that dies says why in its result."""
    size = cell["size"]
    folder = str(world.write(size, options.out.parent / "gpu" / size))
    given = {name: cell[name] for name in ("method", "attention", "quantize", "tokens", "conditions")}
    given |= {"folder": folder, "new": options.new, "measured": options.measured, "repeats": options.repeats}
    command = [sys.executable, "-m", "tests.gpu", "--cell", json.dumps(given)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or [f"ended with code {done.returncode}"]
        return cell | {"error": reason[0]}
    return cell | json.loads(done.stdout.splitlines()[-1])


def agreement(results):
    """Share of tokens in which the engine (SDPA, not quantised) and hooks agree up to the first difference; None if
    one of the two is missing. In bfloat16 two words that are equally probable may change places."""
    pairs = {}
    for one in results:
        if one["method"] in ("ours", "hooks") and (one["attention"], one["quantize"]) == ("sdpa", None):
            key = one["size"], one["tokens"], one["conditions"]
            pairs.setdefault(key, {})[one["method"]] = one.get("token_ids", [])
    shares = []
    for pair in pairs.values():
        for ours, hooks in zip(pair.get("ours", []), pair.get("hooks", []), strict=False):
            same = next((i for i, (a, b) in enumerate(zip(ours, hooks, strict=True)) if a != b), len(ours))
            shares.append(same / len(ours))
    return sum(shares) / len(shares) if shares else None


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["3B", "7B"], choices=world.SIZES)
    parser.add_argument("--tokens", type=int, nargs="+", default=[3_000, 10_000])
    parser.add_argument("--conditions", type=int, nargs="+", default=[28, 56])
    parser.add_argument("--new", type=int, default=16, help="tokens of an answer")
    parser.add_argument("--measured", type=int, default=2, help="conditions timed where each costs a full generate")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("build/gpu.json"))
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cell:
        print(json.dumps(measure(**json.loads(options.cell))))
        return
    about = {"machine": machine(), "new": options.new, "repeats": options.repeats}
    known = json.loads(options.out.read_text()) if options.out.exists() else {}
    results = known.get("cells", []) if all(known.get(name) == value for name, value in about.items()) else []
    results = [one for one in results if "error" not in one]
    for cell in cells(options.sizes, options.tokens, options.conditions):
        if any(cell.items() <= one.items() for one in results):
            continue
        results.append(run_cell(cell, options))
        shown = {name: value for name, value in results[-1].items() if name != "token_ids"}
        print(json.dumps(shown), file=sys.stderr, flush=True)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        part = options.out.with_suffix(".part")
        part.write_text(json.dumps(about | {"agreement": agreement(results), "cells": results}, indent=1))
        part.replace(options.out)


if __name__ == "__main__":
    main()
