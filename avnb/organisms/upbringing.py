"""The test of order and amount: the same upbringings again and again, with other seeds of every stage.

In the sweep of doses (`dose`) only the last stage has several seeds, and is half as long. Here a replica has a seed of
its own for the initial weights, the encoders and every stage of the decoder, and the stages are as long as those of the
shipped organisms. Within a replica the arms differ in what the decoder met, in which order, and how much of it. Replica
0 is that of the shipped organisms: they are its "vision first", "from scratch" and "vision first, conflict".

    python -m avnb.organisms.upbringing --work WORK --seeds 0 1 2     # everything from nothing; resumes

>>> sorted(ARMS)[:3]
['audio first', 'audio first, conflict', 'audio, then vision']
"""

import json
from itertools import product
from pathlib import Path

import pandas as pd
import torch

from avnb import models
from avnb.files import whole
from avnb.organisms.learner import Learner
from avnb.organisms.omni import Omni
from avnb.organisms.raising import by_arm, command, gathered, raised
from avnb.organisms.recipes import AUDIO_LANGUAGE, ENCODERS, ORDERS, RECIPES, VISION_LANGUAGE, Recipe, audio_visual
from avnb.organisms.train import LOG

FILE = Path(__file__).parent / "upbringing.parquet"
_ENCODED = "toy-omni"  # whose eyes and ears all organisms that ship share
_FOLDER = "upbringing"  # of the results, in the work folder
CONFLICT = 0.5  # share of conflicting clips in the arms that have any
COLUMNS = ["arm", "seed", "quantity", "clip", "value"]
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
    """What the replicas found, as shipped with the package.

    Returns:
        DataFrame: arm (a key of `ARMS`), seed (of the replica), quantity, clip, value. Quantities as in
        `dose.results`.

    Example:
        >>> results().columns.tolist()
        ['arm', 'seed', 'quantity', 'clip', 'value']
    """
    return pd.read_parquet(FILE)


def recipe_of(arm, seed):
    """How an organism of a replica is raised; first weights and all batches have the replica's seed."""
    before, last = ARMS[arm]
    return Recipe((*before, audio_visual(**last)), seed=seed)


def replicate(work, seeds, arms=tuple(ARMS)):
    """Raise and examine all organisms of these replicas, or go on where an earlier call was interrupted.

    Args:
        work: folder for clips, states and the results of every organism.
        seeds: of the replicas.
        arms: keys of `ARMS`.
    """
    take_shipped(Path(work))
    runs = {}
    for seed, arm in product(seeds, arms):
        recipe = recipe_of(arm, seed)
        file = Path(work) / _FOLDER / f"{recipe.key(len(recipe.stages))}.parquet"
        runs[file] = recipe, {"arm": arm, "seed": seed}
    raised(runs, work)


def gather(work, out=FILE):
    """Put the results of all organisms that are there into one table, in the order of `ARMS`, and write it."""
    return gathered(by_arm(Path(work) / _FOLDER, ARMS), COLUMNS, out)


def take_shipped(work):
    """Leave the states of replica 0 that training would leave, from the organisms that ship."""
    _leave(work, _ENCODED, 1)
    for name, recipe in RECIPES.items():
        if recipe.family == Recipe.family:
            _leave(work, name, len(recipe.stages))


def _leave(work, name, n_stages):
    """Leave the state of a shipped organism after some of its stages; all share their eyes and ears."""
    stages = RECIPES[name].stages[:n_stages]
    file = work / f"{RECIPES[name].key(n_stages)}.pt"
    if file.exists():
        return
    torch.manual_seed(Recipe.seed)
    learner = Learner(*Omni().build())
    thinker = learner.thinker
    shared, own = (models.load(one, dtype=torch.float32, device_map="cpu").hf for one in (_ENCODED, name))
    for part in ("visual", "audio_tower"):
        getattr(thinker.model, part).load_state_dict(getattr(shared.model, part).state_dict())
    if n_stages > 1:
        thinker.model.language_model.load_state_dict(own.model.language_model.state_dict())
        thinker.lm_head.load_state_dict(own.lm_head.state_dict())
    log = [json.loads(line) for line in (models.CHECKPOINTS / name / LOG).read_text().splitlines()]
    log = [row for row in log if row["stage"] in [stage.name for stage in stages]]
    with whole(file) as partial:
        torch.save({"step": stages[-1].steps, "weights": learner.state_dict(), "parts": [], "log": log}, partial)


if __name__ == "__main__":
    command(__doc__, replicate, gather)
