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

from typing import Protocol

from avnb.errors import AvnbError
from avnb.judge.by_events import Events
from avnb.judge.scores import Score
from avnb.questions import MODALITIES

__all__ = ["Judge", "JudgeError", "Score", "named", "score"]


class JudgeError(AvnbError):
    """There is no such judge."""


class Judge(Protocol):
    """What every judge has."""

    name: str

    def check(self, clip, modality) -> str:
        """Why answers about this clip cannot be judged for a modality; "" if they can."""

    def score(self, answer, clip, modality) -> Score:
        """The score of an answer for one modality."""


_JUDGES = {judge.name: judge for judge in (Events(),)}


def named(name) -> Judge:
    """The judge of a name.

    Raises:
        JudgeError: there is none of this name.
    """
    if name not in _JUDGES:
        raise JudgeError(f"there is no judge {name!r}; use one of {', '.join(map(repr, _JUDGES))}")
    return _JUDGES[name]


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
