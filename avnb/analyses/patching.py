"""Patching: at the positions of the sound, what they hold in another run of the model; does the answer follow?

The lens reads what a position would say, and a probe what can be told from it; whether the answer uses any of it, only
an intervention decides. Here the residual stream at the positions of the sound goes on as it was in another run: where
these could not look at the picture, or where there was none. All other positions are computed anew.

    >>> model, clips = avnb.load("toy-omni"), avnb.datasets.load("toybox", n=4)
    >>> table = measure(model, clips[2:], spans=[(0, 7)])
    >>> table["instead"].unique().tolist()[:3]
    ['nothing', 'own sound, cut off from the picture', 'own sound alone']
"""

import numpy as np

from avnb import judge as judges
from avnb.analyses.changes import ANSWER, NOTHING
from avnb.analyses.jobs import over, with_strangers
from avnb.analyses.patches import ALONE, CUT_OFF, FREE, HEARD, LENT, OTHER, PICTURE, SEEN
from avnb.engine import Capture, Condition, run
from avnb.layers import cumulative
from avnb.questions import HEAR, MAX_NEW_TOKENS
from avnb.text import key

_COLUMNS = ["clip", "kind", "question", "instead", "start", "stop", "quantity", "answer", "value", "reason"]

MOST_STARTS = 8


def plan(clips):
    """A job for each clip, with the clip that lends its sound or its picture: the next one that shares nothing."""
    return with_strangers(clips)


def measure(model, clips, question=HEAR, *, spans=None, judge="events", max_new_tokens=MAX_NEW_TOKENS):
    """What a model answers if the positions of the sound, or of the picture, hold what they held in another run.

    Put in at the positions of the sound are the states of the same clip with the sound cut off from the picture in all
    layers, of the same sound alone, and of the sound alone of another clip; at those of the picture, of the picture
    alone of the other clip. Its sound is put in once more with the answer cut off from the picture.

    Args:
        model: an AVLLM from `avnb.load`.
        clips: clips; one with bad media is reported and left out (`jobs.over`).
        question: what the prompts ask, about the sound.
        spans: after which layers, (start, stop) each; None for those from every layer on (of deep decoders, from some
            on, evenly spread), so that nothing can be written over what was put in.
        judge: by whom answers are judged, a name of `avnb.judge`.
        max_new_tokens: the longest answer, in tokens.

    Returns:
        DataFrame: clip, kind, question, instead (whose states; "nothing" is the clip as it is), start, stop, quantity
        (`HEARD`, `SEEN`, or `LENT`: what of the other clip was put in), answer, value (fidelity to what is heard, and
        the share of what is seen, or lent, that the answer says is heard, in 0..1), reason. Of another clip there are
        no rows where none shares nothing with this one, or where its sound or picture has another number of positions.

    Raises:
        JudgeError: there is no such judge.
        ValueError: a span that goes beyond the last layer but one.
    """
    holds = judges.named(judge).holds
    if spans is None:
        n_before = len(model.decoder.layers) - 1  # the last layer has none behind it that could look
        spans = cumulative(n_before, "last", max(1, n_before // MOST_STARTS))

    def rows(job):
        prompt = model.prompt(job.clip, question)
        conditions = {(NOTHING, 0, 0): Condition()}
        for name, group, states in _states(model, job, prompt, question):
            more = Condition.block(ANSWER, "video") if name == FREE else Condition()
            if states.shape[1] == len(prompt.segments.positions(group)):
                conditions |= {(name, *s): Condition.patch(group, states, range(*s)) + more for s in spans}
        runs = run(model, prompt, conditions.values(), max_new_tokens)
        scored = judges.scores([(one.text, job.clip, "audio") for one in runs], judge)
        found = []
        for label, one, score in zip(conditions, runs, scored, strict=True):
            values = {HEARD: score.value, SEEN: named(score, holds(job.clip, "video"))}
            if label[0] in (OTHER, FREE, PICTURE):
                values[LENT] = named(score, holds(job.other, "video" if label[0] == PICTURE else "audio"))
            about = job.clip.id, job.clip.kind, question, *label
            found += [(*about, quantity, one.text, value, score.reason) for quantity, value in values.items()]
        return found

    return over(plan(clips), rows, _COLUMNS)


def named(score, events):
    """The share of some events that an answer names, rightly or not, from its `judge.Score`; NaN if there are none.

    Example:
        >>> named(judges.Score(0.5, matched=("bell",), invented=("dog",)), ["dog", "cat"])
        0.5
    """
    said = {key(name) for name in (*score.matched, *score.invented)}
    return float(np.mean([key(name) in said for name in events])) if events else np.nan


def _states(model, job, prompt, question):
    """What is put in: a name, the group of positions, and the residual stream [n_layers, n_positions, width]."""

    def after(prompt, group, condition=None):
        capture = Capture(hidden=group)
        return run(model, prompt, [condition or Condition()], 0, capture=capture)[0].hidden

    yield CUT_OFF, "audio", after(prompt, "audio", Condition.block("audio", "video"))
    yield ALONE, "audio", after(model.prompt(job.clip, question, modalities=("audio",)), "audio")
    if job.other is not None:
        sound = after(model.prompt(job.other, question, modalities=("audio",)), "audio")
        yield OTHER, "audio", sound
        yield FREE, "audio", sound
        yield PICTURE, "video", after(model.prompt(job.other, question, modalities=("video",)), "video")
