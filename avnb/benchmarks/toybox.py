"""Each type of question, about toybox clips, in the words that an organism has.

The organisms say captions, neither yes nor letters. So a question is one of the study's, and each option a caption:
that of the thing asked about stands for yes, that of what is there instead (or, where the thing is there, of something
that is not) for no. Captions of one thing each have the same form, so that an option is not likelier by its length.
"""

from dataclasses import fields

import numpy as np

from avnb.benchmarks.question import LETTERS, YES_NO, AskedClip, Question
from avnb.files import digest
from avnb.media.clip import Clip
from avnb.questions import BOTH, HEAR, SEE
from avnb.toybox.captions import Writer
from avnb.toybox.sources import SOURCES

# Tasks, with the published sets that ask in this way.
HEARD = "is it heard?"  # AVHBench, video-driven audio hallucination; CMM, visual dominance
SEEN = "is it seen?"  # AVHBench, audio-driven video hallucination; CMM, audio dominance
MATCH = "do they match?"  # AVHBench, AV matching
WHICH = "which is heard?"  # WorldSense, Daily-Omni
PAIR = "which with which?"  # DAVE; Daily-Omni, AV event alignment
TASKS = (HEARD, SEEN, MATCH, WHICH, PAIR)


def asked(clip):
    """The clip with questions; one that has some, or whose picture or sound holds no toybox source, as it is.

    Args:
        clip: a clip.

    Example:
        >>> found = asked(Clip("0", "0.mp4", seen=("dog",), heard=("bell",)))
        >>> [(one.task, one.answer) for one in found.questions][:2], found.conflict
        ([('is it heard?', 'yes'), ('is it heard?', 'no')], True)
    """
    known = (*clip.events("video"), *clip.events("audio"))
    if isinstance(clip, AskedClip) or not (clip.seen and clip.events("audio") and set(known) <= set(SOURCES)):
        return clip
    conflict = not set(clip.seen) & set(clip.heard)
    about = {one.name: getattr(clip, one.name) for one in fields(Clip)}
    questions = tuple(_questions(clip, conflict))
    return AskedClip(**about, questions=questions, source="toybox", cluster=clip.id, conflict=conflict)


def _questions(clip, conflict):
    rng = np.random.default_rng(int(digest(clip.id), 16))
    there = {*clip.seen, *clip.heard}
    absent = [str(name) for name in rng.permutation([name for name in SOURCES if name not in there])]
    seen, heard = clip.seen[0], clip.heard[0]
    # What is only seen, or only heard, is what tempts; where both are the same, something that is not there.
    unheard, unseen = (seen, heard) if conflict else (absent[0], absent[0])
    write = Writer()

    def hears(name):
        return write.audio([name])

    def sees(name):
        return write.video([name])

    def binary(task, question, caption, thing, other, answer):
        n = f"{clip.id}-{TASKS.index(task)}-{answer}"
        return Question(n, question, YES_NO, answer, task, said=(caption(thing), caption(other)))

    yield binary(HEARD, HEAR, hears, heard, absent[1], "yes")
    yield binary(HEARD, HEAR, hears, unheard, heard, "no")
    yield binary(SEEN, SEE, sees, seen, absent[1], "yes")
    yield binary(SEEN, SEE, sees, unseen, seen, "no")
    # "Yes" says that the thing seen is heard, "no" that another one is.
    other = heard if conflict else absent[0]
    pair = (f"{sees(seen)} {hears(seen)}", f"{sees(seen)} {hears(other)}")
    yield Question(f"{clip.id}-2", BOTH, YES_NO, "no" if conflict else "yes", MATCH, said=pair)
    yield _choice(f"{clip.id}-3", HEAR, hears(heard), [hears(one) for one in (unheard, *absent[1:3])], WHICH, rng)
    right = f"{sees(seen)} {hears(heard)}"
    others = [(seen, unheard), (unseen, heard), (unseen, unheard)]
    yield _choice(f"{clip.id}-4", BOTH, right, [f"{sees(a)} {hears(b)}" for a, b in others], PAIR, rng)


def _choice(name, question, right, wrong, task, rng):
    order = rng.permutation(len(wrong) + 1)
    said = tuple([right, *wrong][i] for i in order)
    return Question(name, question, tuple(LETTERS[: len(said)]), LETTERS[order.tolist().index(0)], task, said=said)
