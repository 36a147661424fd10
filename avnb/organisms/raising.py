"""Organisms that are raised to be examined: what the sweep of doses and the replicas of upbringings have in common."""

from pathlib import Path

import pandas as pd

from avnb.files import whole
from avnb.organisms.exam import Exam
from avnb.organisms.pool import Pool
from avnb.organisms.train import learn

N_TEST = 500  # clips of the test split that are drawn for the exam


def raised(runs, work):
    """Raise the organisms of some recipes and examine them, except those that an earlier call did.

    Args:
        runs: file of the result -> (a `Recipe`, columns beside those of `Exam.take`).
        work: folder for clips and states.
    """
    for file, (recipe, columns) in runs.items():
        if not file.exists():
            learner, _ = learn(recipe, work)
            features = Path(work) / f"{recipe.key(1)}-test-features.npz"
            exam = Exam(learner, Pool(Path(work) / "pool", "test", N_TEST), file=features)
            with whole(file) as partial:
                exam.take(learner).assign(**columns).to_parquet(partial)


def gathered(files, columns, out, **more):
    """Write the results of several organisms as one table of these columns and of `more`, the same for all; give it."""
    table = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
    table = table[columns].astype({"value": "float32"}).assign(**more)
    with whole(out) as partial:
        table.to_parquet(partial, compression="zstd")
    return table
