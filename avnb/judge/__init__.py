"""Judges: how well an answer names what is in a clip.

A judge is a value with a name, so that a study stays plain JSON: wherever an analysis judges, `judge="events"` says by
whom. What cannot be judged gets NaN with its reason, never 0, and never ends a measurement.

    >>> clip = avnb.Clip("0", "0.mp4", seen=("dog",), heard=("bell", "rain"))
    >>> found = score("I see a dog. I hear a bell and a drum.", clip, "audio")
    >>> round(found.value, 2), found.matched, found.missed, found.invented
    (0.33, ('bell',), ('rain',), ('drum',))
    >>> score("I hear a bell.", avnb.Clip("1", "1.mp4"), "audio").reason
    'no audio events are known of it; set heard=(...)'
"""

import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from functools import cache
from typing import Protocol

from tqdm import tqdm

from avnb.errors import AvnbError
from avnb.judge.by_events import Events
from avnb.judge.scored import Score
from avnb.questions import MODALITIES

__all__ = ["Judge", "JudgeError", "Score", "again", "foretell", "named", "score", "scores", "suited", "told"]

_LONG = 20  # requests that are worth an estimate beforehand

_PART = {"audio": "sound", "video": "picture"}

_MANNER = {
    "events": "the events that are listed of each clip, of which an answer names some",
    "words": "words: no events are listed, so that content words of the reference captions stand for events. Captions "
    "differ in words more than in meaning: compare these values with each other, not with another judge's",
    "llm": "a language model, which compares them with what is known of each clip",
}


class JudgeError(AvnbError):
    """There is no such judge."""


class Judge(Protocol):
    """What every judge has."""

    name: str

    def check(self, clip, modality) -> str:
        """Why answers about this clip cannot be judged for a modality; "" if they can."""

    def holds(self, clip, modality) -> tuple:
        """Names of what the judge knows to be seen or heard in a clip; empty if it knows nothing."""

    def words_of(self, name) -> tuple:
        """The words that name something, in any inflection."""

    def score(self, answer, clip, modality) -> Score:
        """The score of an answer for one modality."""


@cache  # so that all who ask a model share its limit of requests at once
def named(name) -> Judge:
    """The judge of a name.

    Args:
        name: "events"; "words", or "words:EMBEDDER" with a sentence embedder (see `judge.by_words`);
            "llm:MODEL@URL", or "llm:URL" for the study's (see `judge.by_model`).

    Raises:
        JudgeError: there is none of this name.

    Example:
        >>> named("llm:http://localhost:8000/v1").model
        'Qwen/Qwen3-32B'
    """
    kind, _, more = str(name).partition(":")
    if name == "events":
        return Events()
    if name == "words" or (kind == "words" and more):
        from avnb.judge.by_words import Words

        return Words(more or None)
    if kind == "llm":
        from avnb.judge import by_model

        if judge := by_model.parsed(name):
            return judge
        raise JudgeError(  # without the name, in which there may be a key
            "a judge by model is called llm:MODEL@URL or llm:URL, the URL starting with http, without a user, a key or"
            f" a query; keys are read from {by_model.KEY}"
        )
    raise JudgeError(f"there is no judge {name!r}; use one of 'events', 'words', 'llm:MODEL@URL'")


def suited(clips) -> str:
    """The name of the offline judge that can judge most of some clips.

    Args:
        clips: clips with lists of events, or with captions.

    Returns:
        "events", unless "words" can judge more.

    Example:
        >>> suited([avnb.Clip("0", "", audio_captions=("A dog barks at a passing car.",))])
        'words'
    """
    cases = [(clip, modality) for clip in clips for modality in MODALITIES]
    return max(("events", "words"), key=lambda name: sum(not named(name).check(*case) for case in cases))


def told(judge, clips) -> str:
    """By whom clips are judged, and what of them cannot be judged and why, in Markdown.

    Args:
        judge: the judge's name.
        clips: the clips.

    Example:
        >>> told("words", [avnb.Clip("0", "", audio_captions=("A bell.",))]).splitlines()[-1]
        '- the picture of 1 of 1 clips: it has no video caption; set video_captions=(...)'
    """
    one, clips = named(judge), list(clips)
    lines = [f"Answers are judged by {_MANNER[judge.partition(':')[0]]} (`{one.name}`)."]
    reasons = Counter((modality, why) for modality in MODALITIES for c in clips if (why := one.check(c, modality)))
    if reasons:
        lines[0] += " **Not measured** is what answers say of:\n"
    for (modality, why), n in reasons.items():
        lines.append(f"- the {_PART[modality]} of {n} of {len(clips)} clips: {why}")
    return "\n".join(lines)


def score(answer, clip, modality, judge="events") -> Score:
    """What an answer gets for one modality of a clip.

    Args:
        answer: any text; what it says about the other modality is ignored.
        clip: a clip; a mute one holds no sound, whatever it lists.
        modality: "audio" or "video".
        judge: the judge's name.

    Returns:
        `Score`; its value is NaN, with a reason, if the answer cannot be judged.

    Raises:
        JudgeError: there is no such judge.
        ValueError: another modality.

    Source: arXiv 2604.02605, caption fidelity (there judged by a language model).

    Example:
        >>> dog = avnb.Clip("0", "0.mp4", seen=("dog",), heard=("dog",))
        >>> score("The video shows a bell. There is the sound of a puppy.", dog, "audio").value
        1.0
    """
    if modality not in MODALITIES:
        raise ValueError(f"modality {modality!r} is unknown; use one of {', '.join(MODALITIES)}")
    return named(judge).score(answer, clip, modality)


def scores(cases, judge="events", progress=False) -> list:
    """The scores of many answers, as many at once as the judge allows.

    Args:
        cases: (answer, clip, modality) each.
        judge: the judge's name.
        progress: whether to show how far it is.

    Returns:
        list of `Score`, in order.

    Raises:
        JudgeError: there is no such judge.
    """
    judge, cases = named(judge), list(cases)
    with ThreadPoolExecutor(getattr(judge, "at_once", 1)) as pool:
        if progress and hasattr(judge, "estimate") and len(left := judge.left(cases)) > _LONG:
            list(pool.map(lambda case: judge.score(*case), left[: judge.at_once]))
            foretell(judge.name, len(left) - judge.at_once)
        found = pool.map(lambda case: judge.score(*case), cases)
        return list(tqdm(found, judge.name, total=len(cases), unit="answer", disable=None if progress else True))


def foretell(judge, n):
    """Prints what `n` requests to a judge by model would take, by those it has answered, if they are many.

    Args:
        judge: the judge's name; a judge that asks nobody is not spoken of.
        n: number of requests.
    """
    judge = named(judge)
    if n > _LONG and getattr(judge, "taken", ()):
        needs = judge.estimate(n)
        tokens = f"{needs['tokens_in'] / 1e3:,.0f} thousand tokens in and {needs['tokens_out'] / 1e3:,.0f} thousand out"
        took = f"{needs['seconds'] / 60:.1f} min by the first {len(judge.taken)}"
        tqdm.write(f"{judge.name}: {n} requests, about {tokens}, {took}", file=sys.stderr)


def again(table, clips, judge="events", progress=False):
    """A table of answers, judged anew: by another judge, or by the same where it had no answer.

    What a model of language has said is on disk, so that only what failed is asked again.

    Args:
        table: with the columns clip, modality and answer, and those that a score goes to (value, matched, missed,
            invented, leakage, reason), e.g. from `fidelity.measure`.
        clips: the clips that it is about.
        judge: the judge's name.
        progress: whether to show how far it is.

    Returns:
        DataFrame: a copy, with new scores.

    Raises:
        JudgeError: there is no such judge.
        KeyError: a clip of the table is not among the clips.

    Example:
        >>> clips = avnb.datasets.load("toybox", n=2)
        >>> table = avnb.fidelity.measure(avnb.load("toy-omni"), clips, ["Describe what you hear."], inputs=["both"])
        >>> again(table, clips, "words")["answer"].equals(table["answer"])
        True
    """
    known = {clip.id: clip for clip in clips}
    cases = [(row.answer, known[row.clip], row.modality) for row in table.itertuples()]
    found = scores(cases, judge, progress)
    names = [field.name for field in fields(Score) if field.name in table]
    return table.assign(**{name: [getattr(one, name) for one in found] for name in names})
