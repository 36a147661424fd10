"""The exam that organisms take: what they say about sound and picture, and which of the two decides it.

Clips are of the test split, as features of the encoders that all organisms share, and asked about in batches.
"""

from itertools import product

import numpy as np
import pandas as pd
import torch

from avnb import judge
from avnb.analyses import swap
from avnb.media.clip import Clip
from avnb.organisms.learner import BASE, Features
from avnb.questions import HEAR, SEE
from avnb.toybox.captions import Writer, asked_about

N_CLIPS = 80
EFFECTS = ("effect of the sound", "effect of the picture")  # of a changed sound or picture on the answer's margin


class Exam:
    """Clips of the test split that every organism is asked about, as features of the shared encoders.

    Args:
        learner: any learner with the shared encoders.
        pool: a pool of the test split.
        n: clips; the first in which everything seen is heard.
        file: where the features of the pool are kept; None to compute them.

    Raises:
        ValueError: the pool holds too few such clips, or one whose sources are in all others.
    """

    def __init__(self, learner, pool, n=N_CLIPS, file=None):
        found = [i for i, example in enumerate(pool.examples) if example.relation == "matching"][:n]
        if len(found) < n:
            raise ValueError(f"the pool has {len(found)} clips in which everything seen is heard, not {n}; draw more")
        examples = [pool.examples[i] for i in found]
        self.clips = [Clip(e.id, f"{e.id}.mp4", seen=e.seen, heard=e.heard) for e in examples]
        self.donors = _donors(self.clips)
        features = Features.of(learner, pool, file)
        self.video = features.video[found]
        self.audio = None if features.audio is None else features.audio[found]

    def take(self, learner):
        """The exam of one organism. Returns DataFrame: quantity, clip, value; see `results`."""
        rows, effects = self._fidelity(learner), swap.effects(self._margins(learner))
        for column, name in enumerate(EFFECTS):
            rows += [(name, clip.id, effect) for clip, effect in zip(self.clips, effects[:, column], strict=True)]
        return pd.DataFrame(rows, columns=["quantity", "clip", "value"])

    def fidelity(self, learner):
        """The part of the exam that is answered in words. Returns DataFrame: quantity, clip, value."""
        return pd.DataFrame(self._fidelity(learner), columns=["quantity", "clip", "value"])

    def pictures(self, learner):
        """The part that a vision-language base can answer. Returns DataFrame: quantity, clip, value."""
        answers = learner.answer(BASE, self.video, None, SEE)
        rows = _scores("video fidelity, pictures alone", answers, self.clips, "video")
        return pd.DataFrame(rows, columns=["quantity", "clip", "value"])

    def said(self, learner):
        """What is said to be heard where the sound is that of the donor.

        Returns:
            DataFrame: clip, seen, heard (names of sources), answer, invented (names of what is said and not heard).
        """
        answers = learner.answer("both", self.video, self.audio[self.donors], HEAR)
        rows = [
            (clip.id, clip.seen, clip.heard, answer, judge.score(answer, clip, "audio").invented)
            for clip, answer in zip(self.conflicting(), answers, strict=True)
        ]
        return pd.DataFrame(rows, columns=["clip", "seen", "heard", "answer", "invented"])

    def conflicting(self):
        """The clips with the sounds of their donors."""
        pairs = zip(self.clips, self.donors, strict=True)
        return [Clip(c.id, c.video, seen=c.seen, heard=self.clips[d].heard) for c, d in pairs]

    def _fidelity(self, learner):
        donors, clips, swapped, rows = self.donors, self.clips, self.conflicting(), []
        followed = []
        for kind, sounds, shown in (("factual", np.arange(len(clips)), clips), ("counterfactual", donors, swapped)):
            for question, modality in ((SEE, "video"), (HEAR, "audio")):
                answers = learner.answer("both", self.video, self.audio[sounds], question)
                followed += _followed(f"{modality} question followed, {kind}", answers, shown, modality)
                rows += _scores(f"{modality} fidelity, {kind}", answers, shown, modality)
        as_seen = _scores("", answers, [Clip(c.id, c.video, seen=c.seen, heard=c.seen) for c in swapped], "audio")
        as_heard = rows[-len(clips) :]
        rows += [
            ("modality preference", clip, heard - seen)
            for (_, clip, heard), (_, _, seen) in zip(as_heard, as_seen, strict=True)
        ]
        alone = learner.answer("audio", self.video, self.audio, HEAR)
        rows += _scores("audio fidelity, sound alone", alone, clips, "audio")
        alone = learner.answer("video", self.video, None, SEE)
        return rows + _scores("video fidelity, pictures alone", alone, clips, "video") + followed

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


def _scores(measure, answers, clips, modality):
    return [
        (measure, clip.id, judge.score(text, clip, modality).value) for text, clip in zip(answers, clips, strict=True)
    ]


def _followed(measure, answers, clips, modality):
    return [(measure, c.id, float(asked_about(text) == modality)) for text, c in zip(answers, clips, strict=True)]


def _sum_logprobs(learner, video, audio, answers):
    with torch.inference_mode():
        scores, _ = learner.answer_logprobs("both", video, audio, [HEAR] * len(answers), answers)
    return scores.sum(1).double().cpu().numpy()


def _donors(clips):
    """For every clip the next one, in turn, that shares no source with it."""
    events = [{*clip.seen, *clip.heard} for clip in clips]
    donors = []
    for i, clip in enumerate(clips):
        others = [*range(i + 1, len(clips)), *range(i)]
        donors.append(next((j for j in others if events[i].isdisjoint(events[j])), None))
        if donors[-1] is None:
            raise ValueError(f"every other clip shares a source with {clip.id}; use more clips")
    return np.array(donors)
