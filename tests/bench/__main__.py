"""Times the engine beside the usual ways: `python -m tests.bench`; `--quick` for a short version.

Every cell of the table is a process of its own, and each measures one plain generate beside its method, so that ratios
hold on a busy machine. Finished cells are kept in the result file: a second call with the same settings, machine and
code goes on where the first stopped, any other one starts anew.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import psutil

from avnb.closure import code_hash
from tests.bench.cell import measure
from tests.bench.machine import machine

QUICK = {"tokens": [500, 2000], "conditions": [1, 28, 56], "new": [16], "layers": 28, "width": 256, "repeats": 1}
FULL = {"tokens": [500, 2000, 8000], "conditions": [1, 8, 28, 56], "new": [16, 48], "layers": 28, "width": 512}
FULL |= {"repeats": 3}
ALONE = ("generate", "attentions")
MANY = ("ours", "ours_capture", "hooks", "nnsight")


def cells(options):
    """Every measurement as a dict, the cheap ones first."""
    for tokens in options.tokens:
        for new in options.new:
            for method in ALONE:
                if method in options.methods:
                    yield {"method": method, "tokens": tokens, "conditions": 1, "new": new}
            for n in options.conditions:
                for method in MANY:
                    if method in options.methods:
                        yield {"method": method, "tokens": tokens, "conditions": n, "new": new}


def run_cell(cell, options):
    """One cell in a new process; a cell that dies (out of memory) says so in its result."""
    needed = 4 * cell["tokens"] ** 2 * options.layers * options.width // 64
    if cell["method"] == "attentions" and needed > psutil.virtual_memory().available / 2:
        return {**cell, "error": f"all attention weights take {needed / 2**30:.0f} GiB, which this machine lacks"}
    setup = {name: getattr(options, name) for name in ("layers", "width", "repeats", "measured", "clock")}
    command = [sys.executable, "-m", "tests.bench", "--cell", json.dumps({**cell, **setup})]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or [f"ended with code {done.returncode}"]
        return {**cell, "error": reason[0]}
    return {**cell, **json.loads(done.stdout.splitlines()[-1])}


def agree(results):
    """True if, prompt by prompt, the methods gave the same tokens for the conditions that several of them ran."""
    answers = {}
    for r in results:
        if r["method"] in MANY:
            for i, ids in enumerate(r.get("token_ids", ())):
                answers.setdefault((r["tokens"], r["new"], i), set()).add(tuple(ids))
    methods = {r["method"] for r in results if r["method"] in MANY and "token_ids" in r}
    return len(methods) > 1 and all(len(found) == 1 for found in answers.values())


def table(results):
    """Lines of text: seconds of one plain generate, every method as a multiple of it, and peak memory."""
    good = [r for r in results if "error" not in r]
    by = {(r["tokens"], r["new"], r["conditions"], r["method"]): r for r in good}
    columns = ("prompt", "new", "N", "generate", "ours", "vs N=1", "capture", "hooks", "nnsight", "gain")
    lines = ["".join(f"{c:>10}" for c in (*columns, "ours MiB", "hooks MiB"))]
    for tokens, new, n in sorted({key[:3] for key in by}):
        ours, capture, hooks, nnsight = (by.get((tokens, new, n, m)) for m in MANY)
        first = by.get((tokens, new, 1, "ours"))
        some = ours or capture or hooks or nnsight
        if some is None:
            continue
        cells = (
            *(some["prompt_tokens"], new, n, f"{some['generate_seconds']:.2f} s", _ratio(ours)),
            f"{ours['ratio'] / first['ratio']:.2f}" if ours and first else "-",
            f"{capture['ratio'] / ours['ratio']:.2f}" if ours and capture else "-",
            *(_ratio(hooks), _ratio(nnsight), f"{hooks['ratio'] / ours['ratio']:.1f}" if hooks and ours else "-"),
            *(f"{r['peak_mib']:.0f}" if r else "-" for r in (ours, hooks)),
        )
        lines.append("".join(f"{c:>10}" for c in cells))
    for r in good:
        if r["method"] in ALONE:
            what = f"{r['method']}, {r['prompt_tokens']} tokens, {r['new']} new"
            lines.append(f"{what}: {r['seconds']:.2f} s, peak {r['peak_mib']:.0f} MiB")
    lines += [
        f"{r['method']}, {r['tokens']} tokens, N = {r['conditions']}: {r['error']}" for r in results if "error" in r
    ]
    return [
        *lines,
        "generate, ours, hooks and nnsight: multiples of one plain generate in the same process;",
        "vs N=1: of ours with one condition; capture: of ours without; gain: hooks / ours; * scaled up from fewer",
        f"all methods gave the same tokens: {agree(results)}",
    ]


def _ratio(result):
    return f"{result['ratio']:.2f}{'*' if result['extrapolated'] else ''}" if result else "-"


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, about ten minutes")
    for name in ("tokens", "conditions", "new"):
        parser.add_argument(f"--{name}", type=int, nargs="+")
    for name in ("layers", "width", "repeats"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="cpu: on a machine that others use")
    parser.add_argument("--measured", type=int, default=2, help="conditions timed where each costs a full generate")
    parser.add_argument("--methods", nargs="+", choices=(*ALONE, *MANY), default=(*ALONE, *MANY))
    parser.add_argument("--out", type=Path, default=Path("build/bench.json"))
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cell:
        print(json.dumps(measure(**json.loads(options.cell))))
        return
    for name, value in (QUICK if options.quick else FULL).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    about = {"machine": machine(), "model": {"layers": options.layers, "width": options.width, "vocabulary": 152_064}}
    about["settings"] = {name: getattr(options, name) for name in ("clock", "repeats", "measured")}
    about["engine"] = code_hash("avnb.engine")[:12]  # cells of other code are not resumed
    known = json.loads(options.out.read_text()) if options.out.exists() else {}
    results = known.get("cells", []) if all(known.get(name) == value for name, value in about.items()) else []
    results = [r for r in results if "error" not in r]
    for cell in cells(options):
        if any(cell.items() <= r.items() for r in results):
            continue
        results.append(run_cell(cell, options))
        print(json.dumps({k: v for k, v in results[-1].items() if k != "token_ids"}), file=sys.stderr, flush=True)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        part = options.out.with_suffix(".part")
        part.write_text(json.dumps({**about, "agree": agree(results), "cells": results}, indent=1))
        part.replace(options.out)
    print("\n".join(table(results)))


if __name__ == "__main__":
    main()
