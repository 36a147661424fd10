"""Logit lens: what each position would say if the decoder stopped after a layer.

    >>> model = avnb.load("toy-omni")
    >>> prompt = model.prompt(avnb.datasets.load("toybox", n=2)[0], "Describe what you hear.")
    >>> table = decode(model, prompt, top_k=1)
    >>> table.pivot(index="layer", columns="position", values="token").shape
    (8, 40)

Residual stream after a layer -> final norm -> unembedding -> softmax (`states`).
"""

from collections import Counter
from functools import cache

import numpy as np
import pandas as pd

from avnb.analyses import AnalysisError
from avnb.analyses.jobs import Job, over
from avnb.analyses.states import best_of, scan
from avnb.analyses.vocabulary import spelled, vocabulary
from avnb.judge import named
from avnb.layers import depth_layers
from avnb.media.clip import ClipError
from avnb.questions import HEAR
from avnb.text import key

MOST_TARGETS = 256  # of the lens, in one set

_SENSES = {"heard": "audio", "seen": "video"}

# What counts as latent recall, chosen on other clips than any chapter measures; see `latent_recall`.
TOP_K, DEPTH = 3, (0.75, 1.0)

_RANKS = ["clip", "kind", "question", "group", "layer", "event", "rank", "position", "heard", "seen"]
_RECALL = ["clip", "kind", "question", "value", "null", "value_seen", "found", "reason"]
_REASONS = ("nothing is known to be heard in it", "all other clips share a sound with it", "")


def decode(model, prompt, group="audio", *, top_k=5, normed=True, layers=None, answer="", cut=None) -> pd.DataFrame:
    """The most probable tokens at every position of a group after every layer (figure 5).

    Args:
        model: an AVLLM from `avnb.load`.
        prompt: a prompt.
        group: a segment type, "text", or several, such as "audio+video". "last" is the position that chooses the next
            token.
        top_k: how many tokens.
        normed: apply the decoder's final norm first, as the model itself does after its last layer. The paper's script
            does not.
        layers: after which layers (0 = first); None for all.
        answer: what the model has already begun to answer, e.g. "I hear"; "last" is then its last token.
        cut: (source, target): groups of which the first may not attend to the second, in any layer, e.g. ("audio",
            "video"); None cuts nothing.

    Returns:
        DataFrame: layer, position (in the prompt and the begun answer), rank (1 = most probable), token (its text; None
        if the model has no tokenizer), token_id, probability in [0, 1].

    Raises:
        PromptError: the group is unknown, or the prompt has none of it.
        ValueError: a layer that the decoder lacks, a `top_k` below 1 or above the vocabulary, or no final norm.

    Source: arXiv 2604.02605, logit lens.

    Example:
        >>> model = avnb.load("toy-omni")
        >>> prompt = model.prompt(avnb.datasets.load("toybox", n=2)[0], "Describe what you hear.")
        >>> table = decode(model, prompt, top_k=3, layers=[0, 7])
        >>> table["rank"].unique().tolist(), table["layer"].unique().tolist()
        ([1, 2, 3], [0, 7])
    """
    vocabulary_size = model.decoder.config.vocab_size
    if not 1 <= top_k <= vocabulary_size:
        raise ValueError(f"top_k={top_k}; use 1 to {vocabulary_size}, the size of the vocabulary")

    def most_probable(logits):
        values, ids = logits.topk(top_k)
        return ids, (values - logits.logsumexp(-1, keepdim=True)).exp()

    layers, positions, (ids, probabilities) = scan(model, prompt, group, normed, layers, most_probable, answer, cut)
    axes = pd.MultiIndex.from_product([layers, positions, range(1, top_k + 1)], names=["layer", "position", "rank"])
    text = _texts(model)
    tokens = [text(i) for i in ids.ravel().tolist()]
    columns = {"token": tokens, "token_id": ids.ravel(), "probability": probabilities.ravel()}
    return pd.DataFrame(columns, index=axes).reset_index()


def target_rank(model, prompt, words, group="audio", *, normed=True, layers=None, answer="") -> pd.DataFrame:
    """How close every position of a group is to saying a word, after every layer.

    Of the tokens that stand for the word (`vocabulary.spelled`), the best one counts.

    Args:
        model, prompt, group, normed, layers, answer: as in `decode`.
        words: the words, e.g. ["siren", "bell"]; one may be given as a string.

    Returns:
        DataFrame: layer, position, word, token (the best one's text), rank (1 = most probable; 1 + the number of tokens
        that are more probable).

    Raises:
        PromptError, ValueError: as in `decode`; or no words, a word that the tokenizer does not know, no tokenizer.

    Source: AudioLens, arXiv 2506.05140.

    Example:
        >>> model = avnb.load("toy-omni")
        >>> clip = avnb.datasets.load("toybox", n=2)[0]
        >>> table = target_rank(model, model.prompt(clip, "Describe what you hear."), "siren", layers=[7])
        >>> table.columns.tolist()
        ['layer', 'position', 'word', 'token', 'rank']
    """
    words = [words] if isinstance(words, str) else list(words)
    if not words:
        raise ValueError("words is empty; give at least one word")
    best = best_of([spelled(model, word) for word in words])
    layers, positions, (ranks, tokens) = scan(model, prompt, group, normed, layers, best, answer, None)
    axes = pd.MultiIndex.from_product([layers, positions, words], names=["layer", "position", "word"])
    text = _texts(model)
    columns = {"token": [text(i) for i in tokens.ravel().tolist()], "rank": ranks.ravel()}
    return pd.DataFrame(columns, index=axes).reset_index()


def mark(table, clip, vocabulary, judge="events") -> pd.DataFrame:
    """Which of the decoded tokens name something that is heard or seen in the clip.

    Args:
        table: from `decode`.
        clip: the clip.
        vocabulary: from `vocabulary.vocabulary`, with what the clip holds among the events it lists.
        judge: who says what the clip holds, as in `event_ranks`.

    Returns:
        The table with one more column, target: "heard", "seen", "heard and seen", or "" (names neither).

    Example:
        >>> table = pd.DataFrame({"token_id": [7, 8]})
        >>> words = pd.DataFrame({"event": ["dog"], "token_id": [8]})
        >>> mark(table, avnb.Clip("0", "0.mp4", heard=("dog",)), words)["target"].tolist()
        ['', 'heard']
    """
    names = vocabulary.assign(event=vocabulary["event"].map(key)).groupby("token_id")["event"].agg(set)
    there = {name: _keys(clip, modality, judge) for name, modality in _SENSES.items()}

    def target(i):
        return " and ".join(name for name, keys in there.items() if not keys.isdisjoint(names.get(i, set())))

    return table.assign(target=[target(i) for i in table["token_id"]])


def plan(clips, judge="events"):
    """A job for each clip, with the names of what is heard in any of them, the most frequent if they are too many."""
    clips = list(clips)
    if all(isinstance(clip, Job) for clip in clips):
        return clips
    if len({clip.id for clip in clips}) < len(clips):
        raise AnalysisError("some clips have the same id; give every clip its own")
    events = targets(clips, judge)
    return [Job(clip, events=events) for clip in clips]


def targets(clips, judge="events") -> tuple:
    """Names of what the lens looks for in every clip of a set: all that is heard in any.

    Args:
        clips: the clips.
        judge: a name of `avnb.judge`. "events" takes what the clips list; "words" the nouns and verbs of their captions
            of the sound, and a judge by model the one where it is listed, else the other.

    Returns:
        Names in order, those that are heard in most clips if there are more than `MOST_TARGETS`. Of names that differ
        by inflection alone, the first in the set.

    Example:
        >>> targets([avnb.Clip("0", "", audio_captions=("A dog barks loudly.",))], "words")
        ('barks', 'dog')
    """
    names, n_clips = {}, Counter()
    for clip in clips:
        for name in named(judge).holds(clip, "audio"):
            names.setdefault(key(name), name)
            n_clips[key(name)] += 1
    most = sorted(n_clips, key=lambda one: (-n_clips[one], one))[:MOST_TARGETS]
    return tuple(sorted(names[one] for one in most))


def event_ranks(
    model,
    clips,
    question=HEAR,
    *,
    group="audio",
    answer="",
    normed=True,
    match="words",
    threshold=0.8,
    judge="events",
    cut=None,
) -> pd.DataFrame:
    """How close a model is to naming every event of a set, clip by clip, layer by layer.

    The rank of an event at a position is that of the best token that names it (`vocabulary.vocabulary`); at a group it
    is the best one over its positions. A group with more positions therefore ranks every event better: compare events
    within a group, the heard ones with `null`, not groups with each other.

    Args:
        model: an AVLLM from `avnb.load`.
        clips: clips with known events (`heard`), or with captions (see `judge`). One with bad media, or if nothing is
            known to be heard in any clip, is reported and left out (`jobs.over`).
        question: what the prompts ask.
        group, answer, normed: as in `decode`; every part of a group such as "audio+video+last" is ranked apart.
        match, threshold: which tokens name an event, as in `vocabulary.vocabulary`.
        judge: who says what is heard and seen, as in `targets`: "words" takes words of captions for events.
        cut: as in `decode`: what the positions would say if one group could not look at another.

    Returns:
        DataFrame: clip, kind, question, group, layer, event (each that is heard in any of the clips, or seen in this
        one, and that some token names), rank (1 = most probable), position (where), heard, seen (whether it is in this
        clip), null (`with_null`).

    Raises:
        PromptError, ValueError: as in `decode` and `vocabulary.vocabulary`.

    Example:
        >>> model = avnb.load("toy-omni")
        >>> table = event_ranks(model, avnb.datasets.load("toybox", n=4), group="audio+last", answer="I hear")
        >>> table.groupby(["clip", "group", "layer"])["null"].sum().round(6).unique().tolist()
        [1.0]
    """
    options = {"group": group, "answer": answer, "normed": normed, "match": match, "threshold": threshold}
    return with_null(_ranks(model, plan(clips, judge), question, judge=judge, cut=cut, **options))


def with_null(table) -> pd.DataFrame:
    """How much every event counts in the null of every clip, from which events are heard and seen in them.

    Args:
        table: clip, event, heard, seen; further columns stay.

    Returns:
        The table with null: the mean of `[e in E(d)] / |E(d)|` over the other clips d, where E(d) is what is heard in
        d; only those count in which nothing is heard that is heard or seen in this clip. It sums to 1 over the events
        of a clip, and is NaN for a clip that shares something with all others.

    Example:
        >>> rows = [("a", "dog", True, False), ("a", "bell", False, False), ("b", "bell", True, True)]
        >>> with_null(pd.DataFrame(rows, columns=["clip", "event", "heard", "seen"]))["null"].tolist()
        [0.0, 1.0, 0.0]
    """
    there = table[table["heard"] | table["seen"]].groupby("clip", sort=False)["event"].agg(frozenset)
    heard = table[table["heard"]].groupby("clip", sort=False)["event"].agg(frozenset)
    weights = {}
    for clip in dict.fromkeys(table["clip"]):
        others = [events for events in heard if there.get(clip, frozenset()).isdisjoint(events)]
        for event in set().union(*others):
            weights[clip, event] = sum((event in events) / len(events) for events in others) / len(others)
        weights[clip] = 0.0 if others else np.nan
    keys = zip(table["clip"], table["event"], strict=True)
    return table.assign(null=[weights.get(key, weights[key[0]]) for key in keys])


relate_event_ranks = with_null  # of jobs that were measured one by one


def decoded(
    model, clips, question=HEAR, *, top_k=TOP_K, depth=DEPTH, normed=True, match="words", threshold=0.8, judge="events"
) -> pd.DataFrame:
    """Which events of a set the audio positions of each clip decode to, somewhere in a part of the decoder.

    Args:
        As in `latent_recall`.

    Returns:
        DataFrame: clip, kind, question, event (as in `event_ranks`), heard, seen (whether it is in this clip), value: 1
        if it is decoded, else 0.
    """
    layers = depth_layers(len(model.decoder.layers), depth)
    options = {"normed": normed, "match": match, "threshold": threshold, "judge": judge}
    return _decoded(_ranks(model, plan(clips, judge), question, layers=layers, most=top_k, **options), top_k)


def from_ranks(ranks, top_k=TOP_K, depth=DEPTH) -> pd.DataFrame:
    """The table of `latent_recall`, from the ranks after every layer.

    Args:
        ranks: from `event_ranks`; its audio positions count.
        top_k, depth: as in `latent_recall`.

    Returns:
        DataFrame, as `latent_recall` gives it.

    Example:
        >>> model, clips = avnb.load("toy-omni"), avnb.datasets.load("toybox", n=4)
        >>> from_ranks(event_ranks(model, clips)).equals(latent_recall(model, clips))
        True
    """
    layers = depth_layers(ranks["layer"].max() + 1, depth)
    some = ranks[(ranks["group"] == "audio") & ranks["layer"].isin(layers)]
    return relate(_decoded(some.drop(columns="null"), top_k))


def _decoded(best, top_k):
    """Which events are among the `top_k` at any of the positions, after any of the layers."""
    if best.empty:
        return best.drop(columns=["group", "layer", "rank", "position"]).assign(value=[])
    keys = ["clip", "kind", "question", "event", "heard", "seen"]
    found = best.groupby(keys, sort=False, as_index=False)["rank"].min()
    found = found.assign(value=(found.pop("rank") <= top_k).astype(float))
    found.attrs = best.attrs
    return found


def relate(table) -> pd.DataFrame:
    """Latent recall of every clip, with its null, from what each one decodes to.

    Args:
        table: from `decoded`.

    Returns:
        DataFrame, as `latent_recall` gives it.
    """
    table, rows = with_null(table) if len(table) else table, []
    for (clip, kind, question), some in table.groupby(["clip", "kind", "question"], sort=False):
        values = [_mean(some["value"], some[weight]) for weight in ("heard", "null", "seen")]
        found = tuple(some.loc[some["heard"] & (some["value"] > 0), "event"])
        reasons = [why for value, why in zip(values, _REASONS, strict=True) if np.isnan(value)]
        rows.append((clip, kind, question, *values, found, reasons[0] if reasons else ""))
    result = pd.DataFrame(rows, columns=_RECALL)
    result.attrs = table.attrs
    return result


def latent_recall(
    model, clips, question=HEAR, *, top_k=TOP_K, depth=DEPTH, normed=True, match="words", threshold=0.8, judge="events"
) -> pd.DataFrame:
    """Share of the events heard in a clip that its audio positions decode to, somewhere.

    An event e is decoded in clip c if, at any audio position after any of the layers L, one of the tokens V(e) that
    name it is among the `top_k` most probable ones of the whole vocabulary. With E(c) the events heard in c, and D(c)
    the decoded ones::

        value(c) = |E(c) & D(c)| / |E(c)|        null(c) = mean over d of |E(d) & D(c)| / |E(d)|

    where d runs over all clips in which nothing is heard that is heard or seen in c: what a caption of another sound
    would get. It is the mean over all shuffled captions, so that nothing is drawn at random. L is the part `depth` of
    the decoder, by default its last quarter; V(e) are the tokens with the stem of a word of e, or those that a sentence
    embedder finds alike (`vocabulary.vocabulary`).

    More layers, a larger `top_k` and longer sounds raise value and null, so that only their difference says what is
    known. It says what the positions hold in the code of the output; what they hold in another code, the lens misses.

    Args:
        model: an AVLLM from `avnb.load`.
        clips: clips whose heard events are known, or that have captions (see `judge`); of one without, value is NaN.
        question: what the prompts ask.
        top_k, depth: as in `recall`.
        normed: as in `decode`.
        match, threshold: as in `vocabulary.vocabulary`.
        judge: who says what is heard and seen, as in `event_ranks`.

    Returns:
        DataFrame: clip, kind, question, value, null, value_seen (the same share of the events seen in the clip; NaN if
        none is known), all in [0, 1], found (the events heard that are decoded, a tuple; `event_ranks` tells where),
        reason (why value or null is NaN, else empty).

    Raises:
        PromptError, ValueError: as in `event_ranks` and `recall`.

    Source: arXiv 2604.02605, latent audio understanding, whose pooling is not published; this one is ours.

    Example:
        >>> model = avnb.load("toy-omni")
        >>> table = latent_recall(model, avnb.datasets.load("toybox", n=4))
        >>> table.columns.tolist(), len(table)
        (['clip', 'kind', 'question', 'value', 'null', 'value_seen', 'found', 'reason'], 4)
    """
    options = {"top_k": top_k, "depth": depth, "normed": normed, "match": match, "threshold": threshold, "judge": judge}
    return relate(decoded(model, clips, question, **options))


def _ranks(
    model,
    jobs,
    question,
    group="audio",
    answer="",
    *,
    normed,
    match,
    threshold,
    judge,
    cut=None,
    layers=None,
    most=None,
):
    """The table of `event_ranks` without its null: what every job has by itself; of some layers, ranks up to `most`."""
    parts = group.split("+")
    words_of = named(judge).words_of

    @cache
    def spellings(names):
        table = vocabulary(model, names, match, threshold, words_of)
        return table.groupby("event")["token_id"].agg(list)

    def ranked(job):
        clip = job.clip
        if not job.events:
            raise ClipError(f"{clip.id}: nothing is known to be heard, here and in all other clips; see `judge`")
        known = {key(event) for event in job.events}
        seen = [event for event in named(judge).holds(clip, "video") if key(event) not in known]
        spelling = spellings(tuple(sorted({*job.events, *seen})))
        if spelling.empty:
            raise ClipError(f"{clip.id}: the tokenizer of {model.name} has no word of what is heard, here or elsewhere")
        events = list(spelling.index)
        prompt = model.prompt(clip, question)
        after, positions, (ranks, _) = scan(model, prompt, group, normed, layers, best_of(spelling, most), answer, cut)
        rows = pd.MultiIndex.from_product([after, events], names=["layer", "event"]).to_frame(index=False)
        keys = rows["event"].map(key)
        is_there = {name: keys.isin(_keys(clip, modality, judge)) for name, modality in _SENSES.items()}
        rows = rows.assign(clip=clip.id, kind=clip.kind, question=question, **is_there)
        tables = []
        for part, where in _split(prompt, parts, positions).items():
            at = ranks[:, where].argmin(1)
            lowest = {"rank": ranks[:, where].min(1).ravel(), "position": positions[where][at].ravel()}
            tables.append(rows.assign(group=part, **lowest))
        return pd.concat(tables)

    return over(jobs, ranked, _RANKS)


def _split(prompt, parts, positions):
    """Which of the positions belong to each part of a group, as masks."""
    last = positions == positions.max()
    masks = {part: np.isin(positions, prompt.segments.positions(part)) for part in parts}
    return masks | ({"last": last} if "last" in parts else {})


def _texts(model):
    """A function from token id to text that remembers what it was asked."""
    return cache(lambda i: None if model.tokenizer is None else model.tokenizer.decode([i]))


def _keys(clip, modality, judge):
    """What a judge knows that a clip holds, by its stems."""
    return {key(name) for name in named(judge).holds(clip, modality)}


def _mean(values, weights):
    """The weighted mean; NaN without weight."""
    weights = weights.astype(float)
    return float((values * weights).sum() / weights.sum()) if weights.sum() > 0 else np.nan
