"""The words that name an event, and the events that a text names."""

import re

import snowballstemmer

from avnb.toybox.sources import SOURCES

_STEMMER = snowballstemmer.stemmer("english")

_NAMES = {stem: source.name for source in SOURCES.values() for stem in _STEMMER.stemWords(source.words)}


def mentioned(text):
    """The sources that a text names, by their picture or by their sound, in the order of `SOURCES`.

    Example:
        >>> mentioned("There is a dog. I hear ringing.")
        ('dog', 'telephone')
    """
    stems = _STEMMER.stemWords(re.findall("[a-z]+", text.lower()))
    named = {_NAMES.get(stem) for stem in stems}
    return tuple(name for name in SOURCES if name in named)
