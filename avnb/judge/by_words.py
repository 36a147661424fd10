"""The word judge: which content words of the reference captions an answer says, for one modality.

Offline, deterministic, for clips with plain captions and no list of events. It reads only what the answer says about
the modality (`parts.about`), and takes from it, and from every reference, the words that carry meaning, by their stems.
A word of the answer that no reference holds is invented; of several references that one counts which the answer fits
best: value = matched / (all words of that reference + invented), for a single reference the Jaccard index.

Captions differ in words more than in meaning, so its values lie below those of a judge that understands: they compare
models and conditions on the same clips, and are no shares of what is right. With a sentence embedder (`words:NAME`, any
model of sentence-transformers, by its name on the hub or its folder) two words also match if their cosine similarity
is at least 0.7, so that "automobile" is a car. Negations are not understood.
"""

import re

import numpy as np

from avnb.embedders import embedder
from avnb.judge.parts import about, says_nothing
from avnb.judge.scored import Score
from avnb.text import content

_ALIKE = 0.7  # the cosine similarity from which on two words count as one: with all-MiniLM-L6-v2 synonyms mostly are,
# and other things of a kind (dog and cat, rain and wind) mostly not

# Stems that tell of hearing, seeing and telling, not of what is heard or seen.
_TELLING = frozenset(
    content(
        "also audible audio background can clip contain could foreground front hear heard image listen noise nothing "
        "picture quiet recording scene see seen show silence silent someone something sound special video visible"
    )
)

# Stems that tell how, where and how many, not what: a lens does not look for them.
_MANNER = frozenset(
    content(
        "again all another away back before after big briefly bright close constant continuous dark deep different "
        "distance distant down during each end faint far fast few first follow four front gentle heavy high into large "
        "light like long loud low many more moving multiple near nearby next no not occasional off old once one other "
        "out over past quick quiet rapid repeat same several sharp short slow small soft some someone start "
        "steady stop then three through time together towards twice two under until up various very while white young"
    )
)
_ADVERB = re.compile(r"[^\W\d_]+ly")  # loudly, slowly


class Words:
    """Judges clips that have captions.

    Args:
        embedder: a model of sentence-transformers that tells synonyms; None for none.
    """

    def __init__(self, embedder=None):
        self.embedder = embedder
        self._vectors = {}

    @property
    def name(self):
        return f"words:{self.embedder}" if self.embedder else "words"

    def check(self, clip, modality):
        """Why an answer about this clip cannot be judged; "" if it can."""
        if clip.captions(modality) or (modality == "audio" and clip.kind == "mute"):
            return ""
        return f"it has no {modality} caption; set {modality}_captions=(...)"

    def holds(self, clip, modality):
        """The words of a clip's captions that name things and what they do, each stem once, in order."""
        found = {}
        for caption in _captions(clip, modality):
            for stem, word in _words(caption, modality).items():
                if stem not in _MANNER and not _ADVERB.fullmatch(word):
                    found.setdefault(stem, word)
        return tuple(found.values())

    def words_of(self, name):
        """A word names itself."""
        return (name,)

    def score(self, answer, clip, modality):
        """The `Score` of an answer for one modality: words of the reference, and invented ones of the answer."""
        if reason := self.check(clip, modality):
            return Score.unscored(reason)
        said = _words(about(answer, modality), modality)
        references = [_words(caption, modality) for caption in _captions(clip, modality)]
        found = [self._found(said, reference) for reference in references]
        invented = tuple(word for stem, word in said.items() if not any(stem in pairs for pairs in found))

        def value(reference, pairs):
            n_words = len(reference) + len(invented)
            return len(set(pairs.values())) / n_words if n_words else 1.0

        reference, pairs = max(
            zip(references, found, strict=True), key=lambda both: value(*both)
        )  # the first of equals
        there = set(pairs.values())
        matched = tuple(word for stem, word in reference.items() if stem in there)
        missed = tuple(word for stem, word in reference.items() if stem not in there)
        return Score(value(reference, pairs), matched, missed, invented)

    def _found(self, said, reference):
        """Which words said are in a reference, and as which of its words: {stem: stem}."""
        pairs = {stem: stem for stem in said if stem in reference}
        left = [stem for stem in said if stem not in reference]
        if self.embedder and left and reference:
            stems = list(reference)
            alike = self._embedded(said[s] for s in left) @ self._embedded(reference.values()).T
            best = alike.argmax(1)
            pairs |= {s: stems[j] for s, j, row in zip(left, best, alike, strict=True) if row[j] >= _ALIKE}
        return pairs

    def _embedded(self, words):
        """Unit vectors [n_words, width] of words; each is embedded once."""
        words = list(words)
        if new := [word for word in dict.fromkeys(words) if word not in self._vectors]:
            self._vectors |= zip(new, embedder(self.embedder)(new), strict=True)
        return np.stack([self._vectors[word] for word in words])


def _captions(clip, modality):
    return [""] if modality == "audio" and clip.kind == "mute" else clip.captions(modality)


def _words(text, modality):
    """The words of a text that carry meaning, {stem: word}; none if all it says is that there is nothing."""
    if says_nothing(text.lower(), modality):
        return {}
    words = {stem: word for word in re.findall(r"[^\W\d_]+", text.lower()) for stem in content(word)}
    return {stem: word for stem, word in words.items() if stem not in _TELLING}
