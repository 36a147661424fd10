"""The test that large models do not allow: turn the knob that is blamed for the bias, and measure the bias.

The last stage of training is run with every dose of conflicting clips, after every order of the stages before, with
several seeds. Everything else is the same: the encoders, the clips, the number of steps. Each of the resulting
organisms takes the same exam on clips of the test split.

    python -m avnb.toybox.dose --work WORK       # everything from nothing; resumes

>>> table = results()
>>> sorted(table["order"].unique())
['audio first', 'from scratch', 'vision first']
"""

import argparse
from copy import deepcopy
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from avnb import judge, stats, swap
from avnb.clips import Clip
from avnb.toybox.captions import HEAR, SEE, Writer
from avnb.toybox.learner import Features, Learner
from avnb.toybox.pool import Pool
from avnb.toybox.recipes import ORDERS, Recipe, audio_visual
from avnb.toybox.train import Data, learn, tune

FILE = Path(__file__).parent / "dose.parquet"
DOSES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4)  # share of conflicting clips in the data of the last stage
SEEDS = (0, 1, 2)
STEPS, LEARNING_RATE = 200, 1e-3  # of the last stage: shorter and steeper than that of the shipped organisms
N_CLIPS = 80
EFFECTS = ("effect of the sound", "effect of the picture")  # of a changed sound or picture on the answer's margin


def results():
    """What the sweep found, as shipped with the package.

    Returns:
        DataFrame: order, dose (share of conflicting clips), seed, measure, clip, value. Measures in 0..1: "audio
        fidelity" and "video fidelity" with ", factual" or ", counterfactual", and "audio fidelity, sound alone". From
        -1 to 1: "modality preference", fidelity of the answer about the sound to what is heard minus to what is seen.
        In nats, one per pair of clips: "effect of the sound", "effect of the picture" (`swap.effects`).
    """
    return pd.read_parquet(FILE)


def response(table, seed=0):
    """The dose-response of every order: means over clips and seeds, with bootstrap 95 % intervals over clips.

    Args:
        table: of `results`.
        seed: of the resampling.

    Returns:
        DataFrame: order, measure, dose, mean, low, high, n (clips). The measure "shortcut index" is that of the mean
        effects (`swap.shortcut_index`).

    Example:
        >>> sorted(set(response(results())["measure"]) - set(results()["measure"]))
        ['shortcut index']
    """
    means = stats.summarise(table, ["order", "measure", "dose"], seed=seed)
    rows = []
    for (order, dose), some in table.groupby(["order", "dose"], sort=False):
        effects = some[some["measure"].isin(EFFECTS)].pivot_table(index="clip", columns="measure", values="value")
        found = stats.resampled(swap.shortcut_index, effects[list(EFFECTS)].to_numpy(), seed=seed)
        rows.append((order, "shortcut index", dose, *found))
    return pd.concat([means, pd.DataFrame(rows, columns=means.columns)], ignore_index=True)


def by_seed(table):
    """The same means for every single organism. Returns DataFrame: order, measure, dose, seed, value."""
    keys = ["order", "measure", "dose", "seed"]
    means = table.groupby(keys, sort=False)["value"].mean().reset_index()
    wide = means[means["measure"].isin(EFFECTS)].pivot(
        index=["order", "dose", "seed"], columns="measure", values="value"
    )
    index = swap.shortcut_index(wide[list(EFFECTS)].to_numpy()[:, None]).tolist()
    rows = wide.reset_index()[["order", "dose", "seed"]].assign(measure="shortcut index", value=index)
    return pd.concat([means, rows[[*keys, "value"]]], ignore_index=True)


def describe(table, measure="audio fidelity, counterfactual", seed=0):
    """What the sweep says about dose and order, in sentences of markdown with the numbers.

    Args:
        table: of `results`.
        measure: which one is talked about.
        seed: of the resampling.

    Example:
        >>> describe(results()).startswith("- **Without conflict**")
        True
    """
    rows = table[table["measure"] == measure]
    lowest, highest = rows["dose"].min(), rows["dose"].max()
    value = rows.pivot_table(index="clip", columns=["order", "dose"], values="value")
    orders = [order for order in ORDERS if order in value]

    def levels(dose):
        return "; ".join(f"{order} **{_text(stats.interval(value[order, dose], seed))}**" for order in orders)

    lines = [
        f"**Without conflict**, {measure} is: {levels(lowest)}. With {100 * highest:g} % conflicting clips: "
        f"{levels(highest)} (means over clips, 95 % intervals, n = {len(value)})."
    ]
    for order in orders:
        gain = stats.difference(value[order, highest], value[order, lowest], seed)
        lines.append(f"**Dose, {order}:** from none to {100 * highest:g} % it {_changes(gain)}.")
    for order in orders[1:]:
        gap = stats.difference(value[order, lowest], value[orders[0], lowest], seed)
        differs = "differs" if gap.low > 0 or gap.high < 0 else "cannot be told apart"
        lines.append(f"**Order, without conflict:** {order} {differs} from {orders[0]}, by {_text(gap, '+')}.")
    return "\n".join(f"- {line}" for line in lines)


class Exam:
    """Clips of the test split that every organism is asked about, as features of the shared encoders.

    Args:
        learner: any learner with the shared encoders.
        pool: a pool of the test split.
        n: clips; the first in which everything seen is heard and that find a donor.
        file: where the features of the pool are kept; None to compute them.
    """

    def __init__(self, learner, pool, n=N_CLIPS, file=None):
        found = [i for i, example in enumerate(pool.examples) if example.relation == "matching"][:n]
        examples = [pool.examples[i] for i in found]
        self.clips = [Clip(e.id, f"{e.id}.mp4", seen=e.seen, heard=e.heard) for e in examples]
        self.donors = _donors(self.clips)
        features = Features.of(learner, pool, file)
        self.video, self.audio = features.video[found], features.audio[found]

    def take(self, learner):
        """The exam of one organism. Returns DataFrame: measure, clip, value; see `results`."""
        donors, clips, rows = self.donors, self.clips, []
        swapped = [Clip(c.id, c.video, seen=c.seen, heard=clips[d].heard) for c, d in zip(clips, donors, strict=True)]
        for kind, sounds, shown in (("factual", np.arange(len(clips)), clips), ("counterfactual", donors, swapped)):
            for question, modality in ((SEE, "video"), (HEAR, "audio")):
                answers = learner.answer("both", self.video, self.audio[sounds], question)
                rows += _scores(f"{modality} fidelity, {kind}", answers, shown, modality)
        as_seen = _scores("", answers, [Clip(c.id, c.video, seen=c.seen, heard=c.seen) for c in swapped], "audio")
        as_heard = rows[-len(clips) :]
        rows += [
            ("modality preference", clip, heard - seen)
            for (_, clip, heard), (_, _, seen) in zip(as_heard, as_seen, strict=True)
        ]
        alone = learner.answer("audio", self.video, self.audio, HEAR)
        rows += _scores("audio fidelity, sound alone", alone, clips, "audio")
        effects = swap.effects(self._margins(learner))
        for column, name in enumerate(EFFECTS):
            rows += [(name, clip.id, effect) for clip, effect in zip(clips, effects[:, column], strict=True)]
        return pd.DataFrame(rows, columns=["measure", "clip", "value"])

    def _margins(self, learner):
        """Margins [n, 2, 2] of every clip and its donor; see `swap`."""
        own = np.arange(len(self.clips))
        names = [Writer().audio(clip.heard) for clip in self.clips]
        margins = np.empty((len(own), 2, 2))
        for (v, pictures), (s, sounds) in product(enumerate((own, self.donors)), repeat=2):
            scores = []
            for answers in (names, [names[i] for i in self.donors]):
                video, audio = self.video[pictures], self.audio[sounds]
                scores.append(_sum_logprobs(learner, video, audio, answers))
            margins[:, v, s] = scores[0] - scores[1]
        return margins


def sweep(work, out=FILE, shard=(0, 1)):
    """Train and examine every organism of the sweep, or go on where an earlier call was interrupted.

    Args:
        work: folder for clips, states and the results of every run; shared with `train.train`.
        out: the Parquet file that is written when every run is there.
        shard: (number, count): do only every count-th run, so that several processes share the work.

    Returns:
        The table, as `results` describes it, or None while other shards are not finished.
    """
    work, out = Path(work), Path(out)
    folder, exam = work / "dose", None
    folder.mkdir(parents=True, exist_ok=True)
    runs = list(product(SEEDS, DOSES, ORDERS))
    files = [folder / f"{order.replace(' ', '-')}-{dose}-{seed}.parquet" for seed, dose, order in runs]
    for (seed, dose, order), file in list(zip(runs, files, strict=True))[shard[0] :: shard[1]]:
        if file.exists():
            continue
        recipe = Recipe((*ORDERS[order], audio_visual(dose, steps=STEPS, learning_rate=LEARNING_RATE, seed=seed)))
        learner, _ = learn(recipe, work, save_every=STEPS)
        if exam is None:
            pool = Pool(work / "pool", "test", 500)
            exam = Exam(learner, pool, file=work / f"{recipe.key(1)}-test-features.npz")
        table = exam.take(learner).assign(order=order, dose=dose, seed=seed)
        table.to_parquet(file.with_suffix(".part"))
        file.with_suffix(".part").rename(file)
    if not all(file.exists() for file in files):
        return None
    table = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
    table = table[["order", "dose", "seed", "measure", "clip", "value"]].astype({"value": "float32"})
    table.to_parquet(out, compression="zstd")
    return table


def treat(model, work, conflict=0.4, steps=30, n_clips=150, n_exam=24):
    """Train an organism a little further on a dose of conflicting clips, and examine it before and after.

    Args:
        model: an organism that hears; stays as it is.
        work: folder for the few clips that are drawn for this.
        conflict: their share, as in `recipes.audio_visual`.
        steps: of training.
        n_clips, n_exam: clips to train on and to be asked about.

    Returns:
        DataFrame as of `results`, with the column `when` ("before", "after") for order, dose and seed; and the log of
        the training.
    """
    learner = Learner(deepcopy(model.hf), model.processor).eval()
    pool = Pool(Path(work) / "pool", "train", n_clips)
    exam = Exam(learner, Pool(Path(work) / "pool", "test", 3 * n_exam), n_exam)
    before = exam.take(learner)
    data = Data(pool, Features.of(learner, pool))
    log = tune(learner, data, audio_visual(conflict, steps=steps, learning_rate=LEARNING_RATE))
    return pd.concat([before.assign(when="before"), exam.take(learner).assign(when="after")]), log


def _text(found, sign=""):
    return f"{found.mean:{sign}.2f} ({found.low:{sign}.2f} to {found.high:{sign}.2f})"


def _changes(gain):
    if gain.low > 0:
        return f"rises by {_text(gain)}"
    return f"falls, {_text(gain, '+')}" if gain.high < 0 else f"does not change measurably, {_text(gain, '+')}"


def _scores(measure, answers, clips, modality):
    return [
        (measure, clip.id, judge.score(text, clip, modality).value) for text, clip in zip(answers, clips, strict=True)
    ]


def _sum_logprobs(learner, video, audio, answers):
    with torch.inference_mode():
        scores, _ = learner.answer_logprobs("both", video, audio, [HEAR] * len(answers), answers)
    return scores.sum(1).double().numpy()


def _donors(clips):
    """For every clip the next one, in turn, that shares no source with it."""
    n = len(clips)
    events = [{*clip.seen, *clip.heard} for clip in clips]
    return np.array([next(j % n for j in range(i + 1, i + n) if events[i].isdisjoint(events[j % n])) for i in range(n)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True, help="folder for clips, states and results of single runs")
    parser.add_argument("--shard", default="0/1", help="NUMBER/COUNT: only this part of the runs (default: all)")
    arguments = parser.parse_args()
    number, count = map(int, arguments.shard.split("/"))
    sweep(arguments.work, shard=(number, count))
