"""Which tokens of a model's vocabulary name an event: what counts as "the model thinks of a bell".

    >>> model = avnb.load("toy-omni")
    >>> vocabulary(model, ["bell"])["token"].str.strip().tolist()
    ['bell', 'tolling']

An event of the toybox has its words (`Source.words`: bell, toll), any other event the words of its name. A token names
an event if one of its words has the stem of one of these. With a sentence embedder, a token also names the events that
it means the same as, in whatever language.
"""

from collections import defaultdict
from contextlib import suppress
from functools import lru_cache

import numpy as np
import pandas as pd

from avnb.embedders import unit_vectors
from avnb.judge.words import words_of
from avnb.text import stems as stems_of

_SHORTEST = 3  # letters of a piece of a word that still names it


def vocabulary(model, events, match="words", threshold=0.8, words_of=words_of) -> pd.DataFrame:
    """The tokens that name each event.

    An event whose words the tokenizer has only in pieces is named by the longest first piece of each (see `spelled`).
    A piece of one or two letters begins too many words to name one; an event that only these begin has no row.

    Args:
        model: an AVLLM from `avnb.load`.
        events: names, e.g. of `toybox.sources.SOURCES`, or tags or words of your own.
        match: "words" (equal word stems). Or a sentence embedder, whose matches are added: a function from a list of
            strings to an array [n, width], or a model's name for the package sentence-transformers, such as
            "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2".
        threshold: the cosine similarity to one of the event's words from which on an embedded token names it. Look at
            the table that comes back: a threshold is too low if it holds tokens that you would not count.
        words_of: gives the words of an event, as a judge's `words_of` does.

    Returns:
        DataFrame: event, token_id, token (its text).

    Raises:
        ValueError: the model has no tokenizer.
        AvnbError: there is no embedder `match`, or it gives no array [n, width].

    Example:
        >>> model = avnb.load("toy-omni")
        >>> def length(texts):
        ...     return [[len(text), 1] for text in texts]
        >>> len(vocabulary(model, ["dog"], match=length)) > len(vocabulary(model, ["dog"]))
        True
    """
    events = list(dict.fromkeys(events))
    words = {event: words_of(event) for event in events}
    if model.tokenizer is None:
        raise ValueError(f"{model.name} has no tokenizer, so its tokens cannot be read")
    texts, with_stem = _read(model.tokenizer, model.decoder.config.vocab_size)
    named = {e: {i for s in stems_of(" ".join(words[e])) for i in with_stem.get(s, ())} for e in events}
    if match != "words":
        tokens = _embedded(model.tokenizer, model.decoder.config.vocab_size, match)
        alike = _alike(*tokens, match, words, threshold)
        named = {event: named[event] | {*np.flatnonzero(column)} for event, column in zip(events, alike.T, strict=True)}
    named = {event: some or _pieces(model, words[event]) for event, some in named.items()}
    rows = [(event, i, texts[i]) for event, some in named.items() for i in sorted(map(int, some))]
    return pd.DataFrame(rows, columns=["event", "token_id", "token"])


def spelled(model, word):
    """The token ids that stand for a word.

    A word stands in the vocabulary with and without a leading space, and with a small or capital letter: the tokens
    that hold one of these spellings whole. If no token does, the longest first piece of a spelling.

    Raises:
        ValueError: no tokenizer, or it does not know the word.

    Example:
        >>> model = avnb.load("toy-omni")
        >>> [model.tokenizer.decode([i]) for i in spelled(model, "sirens")]
        [' siren']
    """
    if model.tokenizer is None:
        raise ValueError(f"{model.name} has no tokenizer, so the tokens of {word!r} are not known")
    word = word.strip()
    forms = (word, word[:1].lower() + word[1:], word[:1].upper() + word[1:])
    spellings = [space + form for form in forms for space in ("", " ")]
    found = [model.tokenizer(spelling, add_special_tokens=False)["input_ids"] for spelling in spellings if word]
    found = [ids for ids in found if model.tokenizer.unk_token_id not in ids]
    # Some tokenizers put the space into a token of its own.
    pieces = [[i for i in ids if model.tokenizer.decode([i]).strip()] for ids in found]
    if not any(pieces):
        raise ValueError(f"the tokenizer of {model.name} does not know the word {word!r}")
    whole = sorted({p[0] for p in pieces if len(p) == 1})
    return whole or [max((p[0] for p in pieces if p), key=lambda i: len(model.tokenizer.decode([i]).strip()))]


def _pieces(model, words):
    """First pieces of the words of an event, of those that the tokenizer knows, where they are long enough to tell."""
    pieces = set()
    for word in words:
        with suppress(ValueError):
            pieces |= {i for i in spelled(model, word) if len(model.tokenizer.decode([i]).strip()) >= _SHORTEST}
    return pieces


@lru_cache(maxsize=2)
def _read(tokenizer, size):
    """The texts of all tokens, and the tokens in which each stem occurs."""
    texts, with_stem = [tokenizer.decode([i]) for i in range(size)], defaultdict(list)
    for i, text in enumerate(texts):
        for stem in dict.fromkeys(stems_of(text)):
            with_stem[stem].append(i)
    return texts, with_stem


@lru_cache(maxsize=2)
def _embedded(tokenizer, size, embed):
    """Which tokens have a letter in them (bool), and the unit vectors of their texts, float32 [n_readable, width]."""
    texts, _ = _read(tokenizer, size)
    readable = np.array([any(map(str.isalpha, text)) for text in texts])
    stripped = [text.strip() for text, good in zip(texts, readable, strict=True) if good]
    different = list(dict.fromkeys(stripped))
    row = {text: i for i, text in enumerate(different)}
    return readable, unit_vectors(different, embed)[[row[text] for text in stripped]]


def _alike(readable, tokens, embed, words, threshold):
    """bool [n_tokens, n_events]: whether a token with a letter in it is as near to a word of the event as asked."""
    alike = np.zeros((len(readable), len(words)), dtype=bool)
    for column, some in enumerate(words.values()):
        alike[readable, column] = (tokens @ unit_vectors(some, embed).T).max(1) >= threshold
    return alike
