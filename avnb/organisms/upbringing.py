"""The test of order and amount: the same upbringings again and again, with other seeds of every stage of the decoder.

In the sweep of doses (`dose`) only the last stage has several seeds. Here a replica has a seed of its own for every
stage in which the decoder learns. The encoders, the initial weights and the clips are those of the shipped organisms,
for all replicas: arms and replicas differ in what the decoder met, in which order, and how much of it.

    python -m avnb.organisms.upbringing --work WORK --seeds 1 2 3     # everything from nothing; resumes

>>> sorted(ARMS)[:3]
['audio first', 'audio first, conflict', 'audio, then vision']
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch

from avnb import models
from avnb.files import whole
from avnb.organisms.dose import LEARNING_RATE, STEPS
from avnb.organisms.exam import Exam
from avnb.organisms.learner import Learner
from avnb.organisms.omni import Omni
from avnb.organisms.pool import Pool
from avnb.organisms.recipes import AUDIO_LANGUAGE, ENCODERS, ORDERS, VISION_LANGUAGE, Recipe, audio_visual
from avnb.organisms.train import LOG, learn

FILE = Path(__file__).parent / "upbringing.parquet"
CONFLICT = 0.4  # share of conflicting clips in the arms that have any
MUCH, LITTLE = 0.3, 0.02  # shares of sounds alone, about the usual 0.1

_BEFORE = {
    **ORDERS,
    "vision, then audio": (ENCODERS, VISION_LANGUAGE, AUDIO_LANGUAGE),
    "audio, then vision": (ENCODERS, AUDIO_LANGUAGE, VISION_LANGUAGE),
}
ARMS = {  # stages before the last one, and what the last one holds
    **{name: (stages, {}) for name, stages in _BEFORE.items()},
    "vision first, conflict": (ORDERS["vision first"], {"conflict": CONFLICT}),
    "audio first, conflict": (ORDERS["audio first"], {"conflict": CONFLICT}),
    "vision first, few sounds": (ORDERS["vision first"], {"audio": LITTLE}),
    "vision first, many sounds": (ORDERS["vision first"], {"audio": MUCH}),
}


def results():
    """What the replicas found, as shipped with the package.

    Returns:
        DataFrame: arm (a key of `ARMS`), seed (of the replica), quantity, clip, value. Quantities as in
        `dose.results`, and "audio question followed, factual" and the like: 1 where the answer is about what was asked,
        whatever it names; "video fidelity, pictures alone".

    Example:
        >>> "vision first" in set(results()["arm"])
        True
    """
    return pd.read_parquet(FILE)


def recipe(arm, seed):
    """How an organism of a replica is raised; every stage after the encoders has the replica's seed."""
    (encoders, *before), last = ARMS[arm]
    stages = (*before, audio_visual(**last, steps=STEPS, learning_rate=LEARNING_RATE))
    return Recipe((encoders, *(replace(stage, seed=seed) for stage in stages)))


def replicate(work, seeds, arms=tuple(ARMS)):
    """Raise and examine all organisms of these replicas, or go on where an earlier call was interrupted.

    Args:
        work: folder for clips, states and the results of every organism.
        seeds: of the replicas.
        arms: keys of `ARMS`.
    """
    work, exam = Path(work), None
    _take_encoders(work)
    for seed in seeds:
        for arm in arms:
            raised = recipe(arm, seed)
            file = _file(work, arm, seed)
            if file.exists():
                continue
            learner, _ = learn(raised, work, save_every=STEPS)
            if exam is None:
                pool = Pool(work / "pool", "test", 500)
                exam = Exam(learner, pool, file=work / f"{raised.key(1)}-test-features.npz")
            with whole(file) as partial:
                exam.take(learner).assign(arm=arm, seed=seed).to_parquet(partial)


def gather(work, out=FILE):
    """Put the results of all organisms that are there into one table, and write it."""
    files = sorted((Path(work) / "upbringing").glob("*.parquet"))
    table = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
    table = table[["arm", "seed", "quantity", "clip", "value"]].astype({"value": "float32"})
    table.to_parquet(out, compression="zstd")
    return table


def _take_encoders(work):
    """Leave the state after the first stage as training leaves it, with the shipped encoders: they take longest."""
    work.mkdir(parents=True, exist_ok=True)
    file = work / f"{Recipe((ENCODERS,)).key(1)}.pt"
    if file.exists():
        return
    torch.manual_seed(Recipe.seed)
    learner = Learner(*Omni().build())
    donor = models.load("toy-omni", dtype=torch.float32, device_map="cpu").hf.model
    for name in ("visual", "audio_tower"):
        getattr(learner.thinker.model, name).load_state_dict(getattr(donor, name).state_dict())
    log = [json.loads(line) for line in (models.CHECKPOINTS / "toy-omni" / LOG).read_text().splitlines()]
    state = {"weights": learner.state_dict(), "parts": [], "log": [row for row in log if row["stage"] == ENCODERS.name]}
    with whole(file) as partial:
        torch.save({"step": ENCODERS.steps, **state}, partial)


def _file(work, arm, seed):
    folder = work / "upbringing"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{seed}-{recipe(arm, seed).key(9)}.parquet"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True, help="folder for clips, states and results")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="of the replicas (default: 1 2 3)")
    arguments = parser.parse_args()
    replicate(arguments.work, arguments.seeds)
    gather(arguments.work)
