"""A probe against the lens: what of sound and picture can be told from the positions of the sound, layer by layer.

The logit lens reads the residual stream with the model's own output layer, and so finds what a position would *say*. A
probe is taught to read it: a linear map from the mean of the stream over the positions of the sound to what is heard.
What the one misses and the other finds is held there in another code.

Probes are taught on pictures with the sounds of other clips, where what is heard does not tell what is seen: taught on
ordinary clips, a probe could name the sound by the picture.
"""

from typing import NamedTuple

import pandas as pd

from avnb import stats
from avnb.analyses import jobs, latent, readouts
from avnb.analyses.lens import with_null
from avnb.analyses.readouts import HEARD, LENS, READOUTS, SHUFFLED
from avnb.judge import named
from avnb.layers import depth_layers
from avnb.questions import HEAR

_COLUMNS = ["clip", "kind", "question", "readout", "layer", "event", "rank", "heard", "seen"]

plan = jobs.each


def measure(model, clips, question=HEAR, *, taught_on="toybox", n_taught=240, times=4, judge="events") -> pd.DataFrame:
    """How four readouts rank the events of a set, from the mean over the audio positions after every layer.

    The first is the logit lens (final norm, unembedding, the best token that names the event). The others are linear
    probes, one per layer: taught what is heard, what is seen, and what is heard in another clip, drawn at random, which
    tells what a probe finds where there is nothing to be found. Each is a ridge regression, whose strength is that with
    the smallest squared error on clips of the validation split.

    Args:
        model: an AVLLM from `avnb.load`.
        clips: clips; one with bad media is reported and left out (`jobs.over`).
        question: what the prompts ask.
        taught_on: the set that probes are taught on, a name for `datasets.load`.
        n_taught: clips of its training split; a third as many are taken of its validation split.
        times: with how many sounds of other clips each of their pictures is put together.
        judge: who says what is heard and seen, a name of `avnb.judge`.

    Returns:
        DataFrame: clip, kind, question, readout ("lens", or what a probe was taught: "heard", "seen", "shuffled"),
        layer, event (each that is heard in a clip of the training split, and that some token names), rank (1 = first of
        these events), heard, seen (whether it is in this clip), null (`lens.with_null`).

    Raises:
        AnalysisError: in the set no sound differs from a picture.
    """
    by_whom = named(judge)

    def rows(job):
        taught = readouts.taught(model, question, taught_on, n_taught, times, judge)
        ranks = taught.ranks(readouts.states_of(model, job.clip, question))
        axes = pd.MultiIndex.from_product([READOUTS, range(ranks.shape[1]), taught.events], names=_COLUMNS[3:6])
        found = axes.to_frame(index=False).assign(clip=job.clip.id, kind=job.clip.kind, question=question)
        there = {
            name: found["event"].isin(readouts.held(taught.events, by_whom.holds(job.clip, modality)))
            for name, modality in (("heard", "audio"), ("seen", "video"))
        }
        return found.assign(rank=ranks.ravel(), **there)[_COLUMNS]

    return with_null(jobs.over(plan(clips), rows, _COLUMNS))


relate_measure = with_null  # of jobs that were measured one by one


def recall(table, top_k) -> pd.DataFrame:
    """The share of what is heard, seen, and heard in other clips that each readout ranks first, layer by layer.

    Args:
        table: from `measure`.
        top_k: how many events of each list count.

    Returns:
        DataFrame: clip, kind, readout, layer, target and value as in `latent.recall`.

    Example:
        >>> rows = [("a", "factual", "lens", 0, "dog", 1, True, True, 0.0)]
        >>> columns = ["clip", "kind", "readout", "layer", "event", "rank", "heard", "seen", "null"]
        >>> recall(pd.DataFrame(rows, columns=columns), 1)[["readout", "target", "value"]].values.tolist()
        [['lens', 'heard', 1.0], ['lens', 'seen', 1.0]]
    """
    return latent.recall(table.rename(columns={"readout": "group"}), top_k, by_layer=True).rename(
        columns={"group": "readout"}
    )


class Verdict(NamedTuple):
    """What can be told from the positions of the sound, in a part of the decoder.

    Attributes:
        probe: `stats.Verdict`: the share of what is heard that the probe names, beyond the probe of shuffled labels.
        lens: `stats.Interval` of what the lens names of it, from the same states among the same events.
        apart: of probe - lens, paired over clips.
        lost: of the probe here minus the probe in the first half of the decoder.
    """

    probe: stats.Verdict
    lens: stats.Interval
    apart: stats.Interval
    lost: stats.Interval


def verdict(table, depth, seed=0, clusters=None) -> Verdict:
    """Whether the sound can still be told where the lens reads the picture.

    Args:
        table: from `recall`, of one kind of clips.
        depth: which layers count, as in `layers.depth_layers`: a part that was fixed beforehand.
        seed: of the resampling.
        clusters: which clips count together (a Series by clip), as in `stats.interval`.
    """
    found, chance, lens = (over_depth(table, readout, "heard", depth) for readout in (HEARD, SHUFFLED, LENS))
    clusters = None if clusters is None else clusters.reindex(found.index)
    early = over_depth(table, HEARD, "heard", (0.0, 0.5))
    return Verdict(
        stats.verdict(found, chance, seed, clusters=clusters, what="what it names"),
        stats.interval(lens, seed, clusters=clusters),
        stats.difference(found, lens, seed, clusters=clusters),
        stats.difference(found, early, seed, clusters=clusters),
    )


def over_depth(table, readout, target, depth) -> pd.Series:
    """One value per clip, for `stats.verdict`: what a readout finds of a target in a part of the decoder.

    Args:
        table: from `recall`, of one kind of clips.
        readout, target: of that table.
        depth: which layers count, as in `layers.depth_layers`; the mean over them.
    """
    layers = depth_layers(table["layer"].max() + 1, depth)
    some = table[(table["readout"] == readout) & (table["target"] == target) & table["layer"].isin(layers)]
    return some.groupby("clip", sort=False)["value"].mean()
