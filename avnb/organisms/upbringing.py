"""The test of order and amount: the same upbringings again and again, with other seeds of every stage.

In the sweep of doses (`dose`) only the last stage has several seeds. Here a replica has a seed of its own for the
initial weights, the encoders and every stage in which the decoder learns. Within a replica the arms differ in what the
decoder met, in which order, and how much of it. The replica with seed 0 takes the encoders of the shipped organisms.

    python -m avnb.organisms.upbringing --work WORK --seeds 0 1 2     # everything from nothing; resumes

>>> sorted(ARMS)[:3]
['audio first', 'audio first, conflict', 'audio, then vision']
"""

import argparse
import json
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
_COLUMNS = ["arm", "seed", "quantity", "clip", "value"]
MUCH, LITTLE = 0.3, 0.02  # shares of sounds alone, about the usual 0.1

ARMS = {  # stages before the last one, and what the last one holds
    **{name: (stages, {}) for name, stages in ORDERS.items()},
    "vision first, conflict": (ORDERS["vision first"], {"conflict": CONFLICT}),
    "audio first, conflict": (ORDERS["audio first"], {"conflict": CONFLICT}),
    "vision first, few sounds": (ORDERS["vision first"], {"audio": LITTLE}),
    "vision first, many sounds": (ORDERS["vision first"], {"audio": MUCH}),
    "vision, then audio": ((ENCODERS, VISION_LANGUAGE, AUDIO_LANGUAGE), {}),
    "audio, then vision": ((ENCODERS, AUDIO_LANGUAGE, VISION_LANGUAGE), {}),
}


def results():
    """What the replicas found that come with the package; no rows as long as none was raised.

    Returns:
        DataFrame: arm (a key of `ARMS`), seed (of the replica), quantity, clip, value. Quantities as in
        `dose.results`, and "audio question followed, factual" and the like: 1 where the answer is about what was asked,
        whatever it names; "video fidelity, pictures alone".

    Example:
        >>> results().columns.tolist()
        ['arm', 'seed', 'quantity', 'clip', 'value']
    """
    return pd.read_parquet(FILE) if FILE.exists() else pd.DataFrame(columns=_COLUMNS)


def recipe(arm, seed):
    """How an organism of a replica is raised; first weights and all batches have the replica's seed."""
    before, last = ARMS[arm]
    return Recipe((*before, audio_visual(**last, steps=STEPS, learning_rate=LEARNING_RATE)), seed=seed)


def replicate(work, seeds, arms=tuple(ARMS)):
    """Raise and examine all organisms of these replicas, or go on where an earlier call was interrupted.

    Args:
        work: folder for clips, states and the results of every organism.
        seeds: of the replicas.
        arms: keys of `ARMS`.
    """
    work = Path(work)
    _take_encoders(work)
    for seed in seeds:
        exam = None
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
    table = table[_COLUMNS].astype({"value": "float32"})
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
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the replicas (default: 0 1 2)")
    arguments = parser.parse_args()
    replicate(arguments.work, arguments.seeds)
    gather(arguments.work)
