"""Times a study on one worker and on two, one thread each: `python -m tests.bench.workers`; `--quick` for few clips.

Every study is measured from nothing: the clock starts when the workers are there, and they have yet to load what they
need. Beside them stand the same study in one process, and what `avnb estimate` said of it. Seconds depend on the
machine and on who else uses it, so the cells take turns, and only ratios within one call are worth comparing. Leaves
`build/workers.json`, of which the book shows the copy `avnb/workers.json`.
"""

import argparse
import json
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import torch

from avnb import datasets
from avnb.study import together, workers
from avnb.study.estimate import estimate
from tests.bench.__main__ import machine

ANALYSIS, MODEL = "fidelity", "toy-omni"


def seconds(measure, clips):
    """How long a study takes that finds nothing on disk."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        measure([ANALYSIS], MODEL, clips, dataset="bench", out=folder)
        return time.perf_counter() - start


def measured(clips, counts, repeats):
    """{cell: seconds of each run}, where cells are "estimate", "process" and numbers of workers."""
    torch.set_num_threads(1)  # as each worker has
    found = {cell: [] for cell in ("estimate", "process", *counts)}
    for _ in range(repeats):
        found["estimate"].append(estimate(ANALYSIS, MODEL, clips, n_timed=8).seconds)
        found["process"].append(seconds(together.measure, clips))
        for n in counts:
            with workers.connected(workers=n) as client:
                client.wait_for_workers(n)
                found[n].append(seconds(partial(workers.measure, client), clips))
    return found


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.bench.workers", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="20 clips, once")
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("build/workers.json"))
    options = parser.parse_args()
    if options.quick:
        options.clips, options.repeats = 20, 1
    clips = datasets.load("toybox", n=options.clips)
    found = measured(clips, options.workers, options.repeats)
    middle = {str(cell): statistics.median(some) for cell, some in found.items()}
    first = str(options.workers[0])
    record = {
        "machine": machine(),
        "study": {"analysis": ANALYSIS, "model": MODEL, "clips": options.clips, "repeats": options.repeats},
        "seconds": {str(cell): some for cell, some in found.items()},
        "faster": {str(n): middle[first] / middle[str(n)] for n in options.workers},
        "estimated": middle["estimate"] / middle["process"],
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(record, indent=1))
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
