"""Captions of the toybox world: what is seen and what is heard, each in its own sentences.

>>> Writer().audio(["dog"])
'I hear a dog barking.'
"""

import numpy as np

from avnb.questions import BOTH, HEAR, QUESTIONS, SEE
from avnb.toybox.sources import SOURCES

_SEEN = ("I see {}.", "There is {}.", "The video shows {}.")
_SEEN_MORE = ("There is also {}.", "I also see {}.")
_NOTHING_SEEN = ("I see nothing special.", "The scene is empty.")
_HEARD = ("I hear {}.", "There is the sound of {}.", "The audio contains {}.")
_HEARD_MORE = ("There is also {}.", "I also hear {}.")
_NOTHING_HEARD = ("I hear nothing special.", "It is quiet.")


class Writer:
    """Phrases captions; the first paraphrase of a list is the most common one.

    Args:
        rng: a NumPy generator, or None for the most common phrasing every time.
    """

    def __init__(self, rng=None):
        self.rng = rng

    def video(self, seen):
        """A caption of the picture that shows these sources (names from `SOURCES`, in this order)."""
        return self._sentences([SOURCES[name].seen for name in seen], _SEEN, _SEEN_MORE, _NOTHING_SEEN)

    def audio(self, heard):
        """A caption of the sound in which these sources are heard."""
        return self._sentences([SOURCES[name].heard for name in heard], _HEARD, _HEARD_MORE, _NOTHING_HEARD)

    def answer(self, question, seen, heard):
        """The caption that answers one of the three `QUESTIONS`."""
        parts = {SEE: [self.video(seen)], HEAR: [self.audio(heard)], BOTH: [self.video(seen), self.audio(heard)]}
        return " ".join(parts[question])

    def _sentences(self, phrases, first, more, nothing):
        if not phrases:
            return self._pick(nothing)
        templates = [first] + [more] * (len(phrases) - 1)
        return " ".join(self._pick(t).format(self._pick(p)) for t, p in zip(templates, phrases, strict=True))

    def _pick(self, options):
        if self.rng is None:
            return options[0]
        weights = np.array([2.0] + [1.0] * (len(options) - 1))
        return options[self.rng.choice(len(options), p=weights / weights.sum())]


def asked_about(answer):
    """Which question an answer of this grammar answers, whatever it names: "video", "audio", or None if neither.

    Told from the first words, so that an organism that answers every question about the sound is not taken for one
    that hears what it sees.

    >>> asked_about("There is the sound of a dog barking."), asked_about("There is a dog."), asked_about("A dog.")
    ('audio', 'video', None)
    """
    begins = {t.split("{")[0].strip(): "video" for t in _SEEN + _NOTHING_SEEN}
    begins |= {t.split("{")[0].strip(): "audio" for t in _HEARD + _NOTHING_HEARD}
    for begin in sorted(begins, key=len, reverse=True):
        if answer.startswith(begin):
            return begins[begin]
    return None


def corpus():
    """Every sentence the grammar can say, and the three questions: what the tokenizer is trained on."""
    sentences = [*QUESTIONS, *_NOTHING_SEEN, *_NOTHING_HEARD]
    for source in SOURCES.values():
        sentences += [t.format(p) for t in _SEEN + _SEEN_MORE for p in source.seen]
        sentences += [t.format(p) for t in _HEARD + _HEARD_MORE for p in source.heard]
    return sentences
