"""Organisms that are raised to be examined: what the sweep of doses and the replicas of upbringings have in common."""

import argparse
from pathlib import Path

import pandas as pd

from avnb.files import whole
from avnb.organisms.exam import N_CLIPS, Exam
from avnb.organisms.pool import Pool
from avnb.organisms.train import learn

N_TEST = 500  # clips of the test split that are drawn for the exam


def raised(runs, work, take=Exam.take, n=N_CLIPS, n_test=N_TEST):
    """Raise the organisms of some recipes and examine them, except those that an earlier call did.

    Args:
        runs: file of the result -> (a `Recipe`, columns beside those of the exam).
        work: folder for clips and states.
        take: (`Exam`, learner) -> the table of one organism.
        n, n_test: clips of the exam, and of the test split that are drawn for it.
    """
    for file, (recipe, columns) in runs.items():
        if not file.exists():
            learner, _ = learn(recipe, work)
            features = Path(work) / f"{recipe.key(1)}-test-{n_test}-features.npz"
            exam = Exam(learner, Pool(Path(work) / "pool", "test", n_test), n, features)
            with whole(file) as partial:
                take(exam, learner).assign(**columns).to_parquet(partial)


def by_arm(folder, arms):
    """The files of `raised` whose columns are arm and seed, in the order of these arms."""

    def place(file):
        first = pd.read_parquet(file, columns=["arm", "seed"]).iloc[0]
        return list(arms).index(first["arm"]), first["seed"]

    return sorted(folder.glob("*.parquet"), key=place)


def gathered(files, columns, out, **more):
    """Write the results of several organisms as one table of these columns and of `more`, the same for all; give it."""
    table = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
    table = table[columns].astype({"value": "float32"}).assign(**more)
    with whole(out) as partial:
        table.to_parquet(partial, compression="zstd")
    return table


def command(about, replicate, gather):
    """The command line of a module that raises replicas and gathers their results."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True, help="folder for clips, states and results")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the replicas (default: 0 1 2)")
    arguments = parser.parse_args()
    replicate(arguments.work, arguments.seeds)
    gather(arguments.work)
