"""Words: their stems, and which of them carry meaning.

>>> sorted(content("A dog is barking, and bells ring."))
['bark', 'bell', 'dog', 'ring']
"""

import re

import snowballstemmer

_STEMMER = snowballstemmer.stemmer("english")
_WORD = re.compile(r"[^\W\d_]+")

# Words that say nothing about what is seen or heard.
_FUNCTION_WORDS = frozenset(
    "a an and are as at be been being but by for from has have i in into is it its of on or so some that the their "  # noqa: SIM905
    "then there these they this to was we were while which with you".split()
)


def stems(text):
    """The stems of all words of a text, in order; English inflections fall together.

    Example:
        >>> stems("Barking dogs")
        ['bark', 'dog']
    """
    return _STEMMER.stemWords(_WORD.findall(text.lower()))


def key(name):
    """What the spellings of a name have in common: its stems, joined.

    Example:
        >>> key("Barking dogs") == key("barks, dog")
        True
    """
    return " ".join(stems(name))


def content(text):
    """The stems of the words of a text that carry meaning, in order."""
    return _STEMMER.stemWords([word for word in _WORD.findall(text.lower()) if word not in _FUNCTION_WORDS])


def listed(names, n=5):
    """The first of many names, and how many more there are.

    Example:
        >>> listed("abcdefgh")
        'a, b, c, d, e and 3 more'
    """
    names = list(names)
    return ", ".join(map(str, names[:n])) + (f" and {len(names) - n} more" if len(names) > n else "")
