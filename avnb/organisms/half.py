"""Does conflict in training teach to listen, or to listen to the things that were in conflict?

Organisms are raised vision first. In the last stage half of the clips conflict, but only clips of every other thing:
the rest never sounded otherwise than they looked. Asked about clips of that rest in conflict, an organism that has
learnt to listen hears them; one that has learnt about single things does not. The same without any conflict and with
conflict of all things, those of `upbringing`, are the two ends.

    python -m avnb.organisms.half --work WORK --seeds 0 1 2     # everything from nothing; resumes

>>> len(CONFLICTED), "dog" in CONFLICTED
(12, True)
"""

from itertools import product
from pathlib import Path

import pandas as pd

from avnb.organisms import contrasts, upbringing
from avnb.organisms.raising import by_arm, command, gathered, raised
from avnb.organisms.recipes import ORDERS, Recipe, audio_visual
from avnb.toybox.sources import SOURCES

FILE = Path(__file__).parent / "half.parquet"
_FOLDER = "half"  # of the results, in the work folder
CONFLICTED = tuple(SOURCES)[::2]
N_TEST, N_EXAM = 1500, 400  # more clips than elsewhere: few of them hold nothing but things that never conflicted
NEVER, ALWAYS, MIXED = "never in conflict", "in conflict", "one of each"

ARMS = {
    "no conflict": {},
    "conflict of half the things": {"conflict": upbringing.CONFLICT, "conflicting": CONFLICTED},
    "conflict of all things": {"conflict": upbringing.CONFLICT},
}
CONTRASTS = {  # as in `contrasts`, of clips of things that never were in conflict
    "conflict of other things": (
        "conflict of half the things",
        "no conflict",
        "asked of things that never were in conflict: with conflict of other things, minus without",
    ),
    "conflict of these things too": (
        "conflict of all things",
        "conflict of half the things",
        "asked of the same things: with conflict of all things, minus of others",
    ),
}
_SAME = {"no conflict": "vision first", "conflict of all things": "vision first, conflict"}  # of `upbringing`


def results():
    """What the replicas found, as shipped with the package.

    Returns:
        DataFrame: arm (a key of `ARMS`), seed (of the replica), quantity, clip, value, as in `upbringing.results`, and
        things: what is seen and heard in the conflicting clip was "in conflict" in training, "never in conflict", or
        "one of each".

    Example:
        >>> sorted(results()["things"].unique())
        ['in conflict', 'never in conflict', 'one of each']
    """
    return pd.read_parquet(FILE)


def recipe_of(arm, seed):
    """How an organism of a replica is raised; first weights and all batches have the replica's seed."""
    return Recipe((*ORDERS["vision first"], audio_visual(**ARMS[arm])), seed=seed)


def replicate(work, seeds):
    """Raise and examine all organisms of these replicas, or go on where an earlier call was interrupted.

    Args:
        work: folder for clips, states and results; may be that of `upbringing`.
        seeds: of the replicas.
    """
    upbringing.take_shipped(Path(work))
    runs = {}
    for seed, arm in product(seeds, ARMS):
        recipe = recipe_of(arm, seed)
        file = Path(work) / _FOLDER / f"{recipe.key(len(recipe.stages))}.parquet"
        runs[file] = recipe, {"arm": arm, "seed": seed}
    raised(runs, work, _take, N_EXAM, N_TEST)


def carried(table, seed=0):
    """The contrasts of `CONTRASTS`, as `contrasts.contrasts` gives them.

    Args:
        table: of `results`.
        seed: of the resampling.

    Example:
        >>> carried(results())["contrast"].unique().tolist()
        ['conflict of other things', 'conflict of these things too']
    """
    return contrasts.contrasts(table[table["things"] == NEVER], seed, CONTRASTS)


def again(table, replicas, seed=0):
    """Same recipes and seeds, raised once more: in modality preference, these minus those of `upbringing`.

    Replica 0 is in both tables the organism that ships, and left out. Others differ if they were raised on processors
    that sum in another order, and then show how far a training run moves by itself.

    Args:
        table: of `results`.
        replicas: of `upbringing.results`.
        seed: of the resampling.

    Example:
        >>> again(results(), upbringing.results())["contrast"].unique().tolist()
        ['vision first', 'vision first, conflict']
    """
    both = pd.concat([table[table["arm"].isin(_SAME)], replicas[replicas["arm"].isin(_SAME.values())]])
    both = both[both["clip"].isin({*table["clip"]} & {*replicas["clip"]})]
    found = contrasts.contrasts(both, seed, {there: (here, there, "raised again") for here, there in _SAME.items()})
    return found[found["replica"] > Recipe.seed]


def gather(work, out=FILE):
    """Put the results of all organisms that are there into one table, in the order of `ARMS`, and write it."""
    return gathered(by_arm(Path(work) / _FOLDER, ARMS), [*upbringing.COLUMNS, "things"], out)


def _take(exam, learner):
    """What is asked in words; of every clip, what its things were to training."""
    things = {clip.id: _things({*clip.seen, *clip.heard}) for clip in exam.conflicting()}
    table = exam.fidelity(learner)
    return table.assign(things=table["clip"].map(things))


def _things(sources):
    return ALWAYS if sources <= {*CONFLICTED} else NEVER if sources.isdisjoint(CONFLICTED) else MIXED


if __name__ == "__main__":
    command(__doc__, replicate, gather)
