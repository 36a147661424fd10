"""A probe against the lens: what of sound and picture can be told from the positions of the sound, layer by layer.

The logit lens reads the residual stream with the model's own output layer, and so finds what a position would *say*. A
probe is taught to read it: a linear map from the mean of the stream over the positions of the sound to what is heard.
What the one misses and the other finds is held there in another code.

Probes are taught on pictures with the sounds of other clips, where what is heard does not tell what is seen: taught on
ordinary clips, a probe could name the sound by the picture.
"""

from dataclasses import replace
from functools import lru_cache
from itertools import groupby, islice
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from avnb import datasets, stats
from avnb.analyses import AnalysisError, jobs, latent
from avnb.analyses.lens import targets, with_null
from avnb.analyses.vocabulary import vocabulary
from avnb.engine import Capture, run
from avnb.judge import named
from avnb.judge.words import share
from avnb.layers import depth_layers
from avnb.models.shared import shared
from avnb.questions import HEAR
from avnb.text import key

_COLUMNS = ["clip", "kind", "question", "readout", "layer", "event", "rank", "heard", "seen"]

LENS, HEARD, SEEN, SHUFFLED = READOUTS = "lens", "heard", "seen", "shuffled"
STRENGTHS = tuple(10.0**power for power in range(-4, 3))  # of the ridge, relative to the spread of the states

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
        taught = _taught(model, question, taught_on, n_taught, times, judge)
        ranks = taught.ranks(_states(model, job.clip, question))
        axes = pd.MultiIndex.from_product([READOUTS, range(ranks.shape[1]), taught.events], names=_COLUMNS[3:6])
        found = axes.to_frame(index=False).assign(clip=job.clip.id, kind=job.clip.kind, question=question)
        there = {
            name: found["event"].isin(_held(taught.events, by_whom.holds(job.clip, modality)))
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
        stats.verdict(found, chance, seed, clusters=clusters),
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


def fitted(states, labels, new_states, new_labels):
    """A ridge regression from states to labels; its strength is that with the smallest squared error on new ones.

    Args:
        states: [n, width]; of a feature that is the same everywhere nothing is made.
        labels: [n, n_events].
        new_states, new_labels: likewise.

    Returns:
        weights [width, n_events], and a bias [n_events]: scores of states are `states @ weights + bias`.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> states = rng.normal(size=(64, 3))
        >>> weights, bias = fitted(states[:32], states[:32, :1] > 0, states[32:], states[32:, :1] > 0)
        >>> bool(weights[0, 0] > 5 * abs(weights[1, 0]))
        True
    """
    centre, spread, mean = states.mean(0), states.std(0), labels.mean(0)
    scale = np.divide(1, spread, out=np.zeros_like(spread), where=spread > 0)
    left, values, right = np.linalg.svd((states - centre) * scale, full_matrices=False)
    target = left.T @ (labels - mean)
    best = None
    for strength in STRENGTHS:
        weights = scale[:, None] * (right.T @ (target * (values / (values**2 + strength * len(states)))[:, None]))
        bias = mean - centre @ weights
        error = float(((new_states @ weights + bias - new_labels) ** 2).mean())
        if best is None or error < best[0]:
            best = error, weights, bias
    return best[1:]


class _Taught(NamedTuple):
    """Readouts of one model.

    Attributes:
        events: names.
        lens: takes states [n_layers, width], gives scores [n_layers, n_events].
        weights, biases: of the probes, [n_probes, n_layers, width, n_events] and [n_probes, n_layers, n_events].
    """

    events: tuple
    lens: object
    weights: np.ndarray
    biases: np.ndarray

    def ranks(self, states):
        """Ranks [n_readouts, n_layers, n_events] of the events, 1 = first, from states [n_layers, width]."""
        probed = np.einsum("lw,plwe->ple", states, self.weights) + self.biases
        scores = np.concatenate([self.lens(states)[None], probed])
        return 1 + (-scores).argsort(-1, kind="stable").argsort(-1)


def crossed(clips, times, seed=0) -> list:
    """Every picture with the sounds of some other clips, drawn among those that share nothing with it.

    Args:
        clips: clips that see and hear.
        times: sounds for each picture, at most.
        seed: of the draw.

    Returns:
        list of `Clip`, those with the same picture next to each other.

    Example:
        >>> clips = [avnb.Clip(name, "", seen=(name,), heard=(name,)) for name in ("dog", "bell", "car")]
        >>> [(clip.seen[0], clip.heard[0]) for clip in crossed(clips, 2)[:2]]
        [('dog', 'car'), ('dog', 'bell')]
    """
    clips, rng, found = [clip for clip in clips if clip.kind != "mute"], np.random.default_rng(seed), []
    for one in clips:
        others = (clips[i] for i in rng.permutation(len(clips)))
        for other in islice((other for other in others if not share(one, other)), times):
            sound = {"audio": other.sound, "heard": other.heard, "audio_captions": other.audio_captions}
            found.append(replace(one, id=f"{one.id}|{other.id}", kind="counterfactual", **sound))
    return found


@lru_cache(maxsize=4)
def _taught(model, question, taught_on, n_taught, times, judge):
    by_whom, samples = named(judge), []
    for split, n in (("train", n_taught), ("validation", n_taught // 3)):
        clips = crossed(datasets.load(taught_on, split, n=n, fewer=True), times)
        if not clips:
            raise AnalysisError(f"{taught_on}, split {split}: no sound of one clip differs from the picture of another")
        samples.append((clips, _all_states(model, clips, question)))
    named_by = vocabulary(model, targets(samples[0][0], judge), words_of=by_whom.words_of)
    spelled = named_by.groupby("event")["token_id"].agg(list)
    events = tuple(spelled.index)

    def labels(clips, modality):
        return np.array([np.isin(events, _held(events, by_whom.holds(clip, modality))) for clip in clips], dtype=float)

    rng, probes = np.random.default_rng(0), []
    for modality, shuffled in (("audio", False), ("video", False), ("audio", True)):
        wanted = [labels(clips, modality) for clips, _ in samples]
        wanted = [rng.permutation(some) if shuffled else some for some in wanted]
        (one, new), by_layer = (states for _, states in samples), range(samples[0][1].shape[1])
        probes.append([fitted(one[:, i], wanted[0], new[:, i], wanted[1]) for i in by_layer])
    weights, biases = (np.stack([[layer[i] for layer in probe] for probe in probes]) for i in (0, 1))
    return _Taught(events, _lens(model, [*spelled]), weights, biases)


def _lens(model, tokens):
    """A function from states [n_layers, width] to the logit of the best token of each event."""

    @torch.inference_mode()
    def scores(states):
        rows = torch.from_numpy(states).to(model.device, model.hf.dtype)
        logits = model.head(model.decoder.norm(rows)).float().cpu()
        return torch.stack([logits[:, ids].max(1).values for ids in tokens], 1).numpy()

    return scores


def _all_states(model, clips, question):
    """`_states` of clips, [n, n_layers, width]; a picture that comes several times in a row is encoded once."""
    found = []
    for _, some in groupby(clips, lambda clip: clip.video):
        with shared():
            found += [_states(model, clip, question) for clip in some]
    return np.stack(found)


def _states(model, clip, question):
    """The residual stream after every layer, the mean over the audio positions, [n_layers, width]."""
    found = run(model, model.prompt(clip, question), max_new_tokens=0, capture=Capture(hidden="audio"))[0]
    return found.hidden.float().mean(1).numpy()


def _held(events, names):
    """Those of the events that are among some names, by their stems."""
    keys = {key(name) for name in names}
    return [event for event in events if key(event) in keys]
