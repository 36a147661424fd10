"""Readouts of the residual stream at the positions of the sound: the logit lens, and linear probes that are taught."""

from dataclasses import replace
from functools import lru_cache
from itertools import groupby, islice
from typing import NamedTuple

import numpy as np
import torch

from avnb import datasets
from avnb.analyses import AnalysisError
from avnb.analyses.lens import targets
from avnb.analyses.vocabulary import vocabulary
from avnb.engine import Capture, run
from avnb.judge import named
from avnb.judge.words import share
from avnb.models.shared import shared
from avnb.text import key

LENS, HEARD, SEEN, SHUFFLED = READOUTS = "lens", "heard", "seen", "shuffled"  # the first, and what probes are taught
STRENGTHS = tuple(10.0**power for power in range(-4, 3))  # of the ridge, relative to the spread of the states


class Readouts(NamedTuple):
    """The lens of one model, and the probes that were taught on it, in the order of `READOUTS`.

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


@lru_cache(maxsize=4)
def taught(model, question, taught_on, n_taught, times, judge) -> Readouts:
    """The readouts of a model; remembered, since every clip is read by the same.

    Args:
        model, question, taught_on, n_taught, times, judge: as in `probe.measure`.

    Raises:
        AnalysisError: in the set no sound differs from a picture.
    """
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
        return np.array([np.isin(events, held(events, by_whom.holds(clip, modality))) for clip in clips], dtype=float)

    rng, probes = np.random.default_rng(0), []
    for modality, shuffled in (("audio", False), ("video", False), ("audio", True)):
        wanted = [labels(clips, modality) for clips, _ in samples]
        wanted = [rng.permutation(some) if shuffled else some for some in wanted]
        (one, new), by_layer = (states for _, states in samples), range(samples[0][1].shape[1])
        probes.append([fitted(one[:, i], wanted[0], new[:, i], wanted[1]) for i in by_layer])
    weights, biases = (np.stack([[layer[i] for layer in probe] for probe in probes]) for i in (0, 1))
    return Readouts(events, _lens(model, [*spelled]), weights, biases)


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


def states_of(model, clip, question):
    """The residual stream after every layer, the mean over the audio positions, [n_layers, width]."""
    found = run(model, model.prompt(clip, question), max_new_tokens=0, capture=Capture(hidden="audio"))[0]
    return found.hidden.float().mean(1).numpy()


def held(events, names):
    """Those of the events that are among some names, by their stems."""
    keys = {key(name) for name in names}
    return [event for event in events if key(event) in keys]


def _all_states(model, clips, question):
    """`states_of` clips, [n, n_layers, width]; a picture that comes several times in a row is encoded once."""
    found = []
    for _, some in groupby(clips, lambda clip: clip.video):
        with shared():
            found += [states_of(model, clip, question) for clip in some]
    return np.stack(found)


def _lens(model, tokens):
    """A function from states [n_layers, width] to the logit of the best token of each event."""

    @torch.inference_mode()
    def scores(states):
        rows = torch.from_numpy(states).to(model.device, model.hf.dtype)
        logits = model.head(model.decoder.norm(rows)).float().cpu()
        return torch.stack([logits[:, ids].max(1).values for ids in tokens], 1).numpy()

    return scores
