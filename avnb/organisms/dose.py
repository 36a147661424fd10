"""The test that large models do not allow: train many of them that differ in order and dose, and measure the bias.

The last stage of training is run with every dose of conflicting clips, after every order of the stages before, with
several seeds. The rest of that stage is the same for all: the encoders, the clips, the number of steps. Each of the
resulting organisms takes the same exam on clips of the test split.

    python -m avnb.organisms.dose --work WORK       # everything from nothing; resumes

>>> table = results()
>>> sorted(table["order"].unique())
['audio first', 'from scratch', 'vision first']
"""

import argparse
from copy import deepcopy
from itertools import product
from pathlib import Path

import pandas as pd
from transformers import Qwen2_5OmniThinkerForConditionalGeneration

from avnb.organisms import upbringing
from avnb.organisms.exam import Exam
from avnb.organisms.learner import Features, Learner
from avnb.organisms.pool import Pool
from avnb.organisms.raising import gathered, raised
from avnb.organisms.recipes import ORDERS, Recipe, audio_visual
from avnb.organisms.train import Data, tune

FILE = Path(__file__).parent / "dose.parquet"
DOSES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4)  # share of conflicting clips in the data of the last stage
SEEDS = (0, 1, 2)
STEPS = 400  # of the last stage: half of those of the shipped organisms, at the same learning rate
_STEEP = 1e-3  # learning rate of a treatment, which has few steps


def results():
    """What the sweep found, as shipped with the package.

    Returns:
        DataFrame: order, dose (share of conflicting clips), seed, quantity, clip, value. Quantities in 0..1: "audio
        fidelity" and "video fidelity" with ", factual" or ", counterfactual", "audio fidelity, sound alone", "video
        fidelity, pictures alone", and "audio question followed, factual" and the like: 1 where the answer is about what
        was asked, whatever it names. From -1 to 1: "modality preference", fidelity of the answer about the sound to
        what is heard minus to what is seen. In nats, one per pair of clips: "effect of the sound", "effect of the
        picture" (`swap.effects`). Also steps, of the last stage.
    """
    return pd.read_parquet(FILE)


def sweep(work, out=FILE, shard=(0, 1)):
    """Train and examine every organism of the sweep, or go on where an earlier call was interrupted.

    Args:
        work: folder for clips, states and the results of every run; shared with `train.train`.
        out: the Parquet file that is written when every run is there.
        shard: (number, count): do only every count-th run, so that several processes share the work. Start the others
            when the first one has trained the stages before the last, or they train them too.

    Returns:
        The table, as `results` describes it, or None while other shards are not finished.
    """
    upbringing.take_shipped(Path(work))
    runs = {}
    for seed, dose, order in product(SEEDS, DOSES, ORDERS):
        stage = audio_visual(dose, steps=STEPS, seed=seed)
        recipe = Recipe((*ORDERS[order], stage))
        file = Path(work) / "dose" / f"{recipe.key(len(recipe.stages))}.parquet"
        runs[file] = recipe, {"order": order, "dose": dose, "seed": seed}
    raised(dict(list(runs.items())[shard[0] :: shard[1]]), work)
    if not all(file.exists() for file in runs):
        return None
    columns = ["order", "dose", "seed", "quantity", "clip", "value"]
    return gathered(runs, columns, out, steps=STEPS)


def treat(model, work, doses=(0.0, 0.4), steps=30, n_clips=150, n_exam=24):
    """Train an organism a little further, once with each dose of conflicting clips, and examine it before and after.

    Args:
        model: an organism that hears; stays as it is.
        work: folder for the few clips that are drawn for this.
        doses: shares of conflicting clips, as in `recipes.audio_visual`; 0 is the control, the same training without.
        steps: of training.
        n_clips, n_exam: clips to train on and to be asked about.

    Returns:
        DataFrame: treatment ("none", or the dose, as "40 %"), quantity, clip, value; quantities as in `results`.

    Raises:
        ValueError: the model is no organism that hears.
    """
    if not isinstance(model.hf, Qwen2_5OmniThinkerForConditionalGeneration) or not model.hears:
        raise ValueError(f"{model.name} is no organism that hears; use one of those that `avnb train` makes")
    pool = Pool(Path(work) / "pool", "train", n_clips)
    test_pool = Pool(Path(work) / "pool", "test", 4 * n_exam)
    learner = Learner(deepcopy(model.hf).float(), model.processor).eval()
    data = Data(pool, Features.of(learner, pool))
    exam = Exam(learner, test_pool, n_exam)
    tables = [exam.take(learner).assign(treatment="none")]
    for dose in doses:
        learner = Learner(deepcopy(model.hf).float(), model.processor)
        tune(learner, data, audio_visual(dose, steps=steps, learning_rate=_STEEP))
        tables.append(exam.take(learner).assign(treatment=f"{100 * dose:g} %"))
    return pd.concat(tables, ignore_index=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True, help="folder for clips, states and results of single runs")
    parser.add_argument("--shard", default="0/1", help="NUMBER/COUNT: only this part of the runs (default: all)")
    arguments = parser.parse_args()
    try:
        number, count = map(int, arguments.shard.split("/"))
    except ValueError:
        number, count = 1, 0
    if not 0 <= number < count:
        parser.error(f"--shard {arguments.shard} is no part: use 0/2 and 1/2 for two processes")
    sweep(arguments.work, shard=(number, count))
