"""Logit lens: what each position would say if the decoder stopped after a layer.

    >>> model = avnb.load("toy-omni")
    >>> prompt = model.prompt(avnb.datasets.load("toybox", n=2)[0], "Describe what you hear.")
    >>> table = decode(model, prompt, top_k=1)
    >>> table.pivot(index="layer", columns="position", values="token").shape
    (8, 40)

Residual stream after a layer -> final norm -> unembedding -> softmax. Logits exist for a chunk of rows at a time, so
that next to the hidden states (layers x positions x width) only layers x positions x top_k numbers are held.
"""

from functools import cache

import numpy as np
import pandas as pd
import torch

from avnb.analyses.latent import recall
from avnb.analyses.vocabulary import spelled, vocabulary
from avnb.engine import run
from avnb.engine.capture import Capture
from avnb.layers import depth_layers
from avnb.media.clip import ClipError, for_each
from avnb.models.prompt import PromptError

MAX_LOGITS = 2**24  # in one chunk

# What counts as latent recall, chosen on other clips than any chapter measures; see `latent_recall`.
TOP_K, DEPTH = 3, (0.75, 1.0)


def decode(model, prompt, group="audio", top_k=5, normed=True, layers=None, answer=""):
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

    layers, positions, (ids, probabilities) = _scan(model, prompt, group, normed, layers, most_probable, answer)
    axes = pd.MultiIndex.from_product([layers, positions, range(1, top_k + 1)], names=["layer", "position", "rank"])
    text = _texts(model)
    tokens = [text(i) for i in ids.ravel().tolist()]
    columns = {"token": tokens, "token_id": ids.ravel(), "probability": probabilities.ravel()}
    return pd.DataFrame(columns, index=axes).reset_index()


def target_rank(model, prompt, words, group="audio", normed=True, layers=None, answer=""):
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
    best = _best_of([spelled(model, word) for word in words])
    layers, positions, (ranks, tokens) = _scan(model, prompt, group, normed, layers, best, answer)
    axes = pd.MultiIndex.from_product([layers, positions, words], names=["layer", "position", "word"])
    text = _texts(model)
    columns = {"token": [text(i) for i in tokens.ravel().tolist()], "rank": ranks.ravel()}
    return pd.DataFrame(columns, index=axes).reset_index()


def mark(table, clip, vocabulary):
    """Which of the decoded tokens name something that is heard or seen in the clip.

    Args:
        table: from `decode`.
        clip: the clip.
        vocabulary: from `vocabulary.vocabulary`, with the clip's events among those it lists.

    Returns:
        The table with one more column, target: "heard", "seen", "heard and seen", or "" (names neither).

    Example:
        >>> table = pd.DataFrame({"token_id": [7, 8]})
        >>> words = pd.DataFrame({"event": ["dog"], "token_id": [8]})
        >>> mark(table, avnb.Clip("0", "0.mp4", heard=("dog",)), words)["target"].tolist()
        ['', 'heard']
    """
    names = vocabulary.groupby("token_id")["event"].agg(set)

    def target(i):
        events = names.get(i, set())
        there = [name for name in ("heard", "seen") if not events.isdisjoint(getattr(clip, name))]
        return " and ".join(there)

    return table.assign(target=[target(i) for i in table["token_id"]])


def event_ranks(
    model,
    clips,
    question="Describe what you hear.",
    group="audio",
    answer="",
    normed=True,
    match="words",
    threshold=0.8,
):
    """How close a model is to naming every event of a set, clip by clip, layer by layer.

    The rank of an event at a position is that of the best token that names it (`vocabulary.vocabulary`); at a group it
    is the best one over its positions. A group with more positions therefore ranks every event better: compare events
    within a group, the heard ones with `null`, not groups with each other.

    Args:
        model: an AVLLM from `avnb.load`.
        clips: clips with known events (`heard`), at least two that have none in common. One with bad media is reported
            and left out (`clips.for_each`), but its events count in the null of the others.
        question: what the prompts ask.
        group, answer, normed: as in `decode`; every part of a group such as "audio+video+last" is ranked apart.
        match, threshold: which tokens name an event, as in `vocabulary.vocabulary`.

    Returns:
        DataFrame: clip, kind, group, layer, event (each that is heard in any of the clips, or seen in this one), rank
        (1 = most probable), position (where), heard, seen (whether it is in this clip), null: how much the event counts
        in the null of this clip, the mean of [e in E(d)] / |E(d)| over the other clips d, where E(d) is what is heard
        in d; only those count in which nothing is heard that is heard or seen in this clip. It sums to 1 over events.

    Raises:
        ClipError: no event of a clip is known, all others share some with it, ids repeat, or no clip can be read.
        PromptError, ValueError: as in `decode` and `vocabulary.vocabulary`.

    Example:
        >>> model = avnb.load("toy-omni")
        >>> table = event_ranks(model, avnb.datasets.load("toybox", n=4), group="audio+last", answer="I hear")
        >>> table.groupby(["clip", "group", "layer"])["null"].sum().round(6).unique().tolist()
        [1.0]
    """
    clips = list(clips)
    weights = null_weights(clips)
    parts = group.split("+")
    heard = {event for clip in clips for event in clip.heard}
    names = sorted(heard.union(*(clip.seen for clip in clips)))
    spelling = vocabulary(model, names, match, threshold).groupby("event")["token_id"].agg(list)

    def measured(clip):
        prompt = model.prompt(clip, question)
        events = [name for name in names if name in heard or name in clip.seen]
        best = _best_of([spelling[event] for event in events])
        layers, positions, (ranks, _) = _scan(model, prompt, group, normed, None, best, answer)
        rows = pd.MultiIndex.from_product([layers, events], names=["layer", "event"]).to_frame(index=False)
        event = rows["event"]
        rows = rows.assign(clip=clip.id, kind=clip.kind, heard=event.isin(clip.heard), seen=event.isin(clip.seen))
        rows["null"] = event.map(weights[clip.id]).fillna(0.0)
        tables = []
        for part, where in _split(prompt, parts, positions).items():
            at = ranks[:, where].argmin(1)
            lowest = {"rank": ranks[:, where].min(1).ravel(), "position": positions[where][at].ravel()}
            tables.append(rows.assign(group=part, **lowest))
        return pd.concat(tables)

    columns = ["clip", "kind", "group", "layer", "event", "rank", "position", "heard", "seen", "null"]
    tables, _ = for_each(clips, measured)
    if not tables:
        raise ClipError(f"none of the {len(clips)} clips could be read; see the warnings")
    return pd.concat([table for _, table in tables], ignore_index=True)[columns]


def latent_recall(
    model,
    clips,
    question="Describe what you hear.",
    top_k=TOP_K,
    depth=DEPTH,
    normed=True,
    match="words",
    threshold=0.8,
):
    """Share of the events heard in a clip that its audio positions decode to, somewhere.

    An event e is decoded in clip c if, at any audio position after any of the layers L, one of the tokens V(e) that
    name it is among the `top_k` most probable ones of the whole vocabulary. With E(c) the events heard in c, and D(c)
    the decoded ones:

        value(c) = |E(c) & D(c)| / |E(c)|        null(c) = mean over d of |E(d) & D(c)| / |E(d)|

    where d runs over all clips in which nothing is heard that is heard or seen in c: what a caption of another sound
    would get. It is the mean over all shuffled captions, so that nothing is drawn at random. L is the part `depth` of
    the decoder, by default its last quarter; V(e) are the tokens with the stem of a word of e, or those that a sentence
    embedder finds alike (`vocabulary.vocabulary`).

    More layers, a larger `top_k` and longer sounds raise value and null, so that only their difference says what is
    known. It says what the positions hold in the code of the output; what they hold in another code, the lens misses.

    Args:
        model: an AVLLM from `avnb.load`.
        clips: clips whose heard events are known, at least two that have none in common.
        question: what the prompts ask.
        top_k, depth: as in `recall`.
        normed: as in `decode`.
        match, threshold: as in `vocabulary.vocabulary`.

    Returns:
        DataFrame: clip, kind, value, null, seen (the same share of the events seen in the clip; NaN if none is known),
        all in [0, 1], and found (the events heard that are decoded, a tuple). `event_ranks` tells where.

    Raises:
        ClipError, PromptError, ValueError: as in `event_ranks` and `recall`.

    Source: arXiv 2604.02605, latent audio understanding, whose pooling is not published; this one is ours.

    Example:
        >>> model = avnb.load("toy-omni")
        >>> table = latent_recall(model, avnb.datasets.load("toybox", n=4))
        >>> table.columns.tolist(), len(table)
        (['clip', 'kind', 'value', 'null', 'seen', 'found'], 4)
    """
    clips, layers = list(clips), depth_layers(len(model.decoder.layers), depth)
    ranks = event_ranks(model, clips, question, "audio", "", normed, match, threshold)
    shares = recall(ranks, top_k, depth).pivot(index="clip", columns="target", values="value")
    inside = ranks["layer"].isin(layers) & (ranks["rank"] <= top_k)
    found = ranks[inside & ranks["heard"]].groupby("clip")["event"].agg(set)
    rows = []
    for clip in (clip for clip in clips if clip.id in shares.index):
        values = (shares.loc[clip.id].get(target, np.nan) for target in ("heard", "other clips", "seen"))
        events = tuple(dict.fromkeys(event for event in clip.heard if event in found.get(clip.id, ())))
        rows.append((clip.id, clip.kind, *values, events))
    return pd.DataFrame(rows, columns=["clip", "kind", "value", "null", "seen", "found"])


def _scan(model, prompt, group, normed, layers, reduce, answer):
    """What `reduce` keeps of the logits [rows, vocabulary] of a chunk, for all layers and positions of a group.

    Returns (layers, positions int64 [n_positions], arrays [n_layers, n_positions, ...]).
    """
    n_layers = len(model.decoder.layers)
    layers = sorted(set(range(n_layers) if layers is None else map(int, layers)))
    if not layers:
        raise ValueError(f"layers is empty; the decoder has layers 0 to {n_layers - 1}")
    norm = getattr(model.decoder, "norm", None) if normed else torch.nn.Identity()
    if norm is None:
        raise ValueError(f"{type(model.decoder).__name__} has no final norm called `norm`; use normed=False")
    positions, hidden = _hidden(model, prompt, group, layers, answer)
    n_rows = max(1, MAX_LOGITS // model.decoder.config.vocab_size)
    with torch.inference_mode():
        # The norm works row by row, so a chunk may span layers.
        chunks = hidden.flatten(0, 1).split(n_rows)
        kept = [reduce(model.head(norm(rows.to(prompt.embeds.device))).float()) for rows in chunks]
    shape = len(layers), len(positions)
    return layers, positions, [torch.cat(parts).cpu().numpy().reshape(*shape, -1) for parts in zip(*kept, strict=True)]


def _hidden(model, prompt, group, layers, answer):
    """Positions int64 [n] of a group, ascending, and the residual stream [n_layers, n, width] there."""
    parts = group.split("+")
    for part in parts:
        if len(prompt.segments.positions(part)) == 0:
            raise PromptError(f"{prompt.clip_id or 'prompt'}: the lens needs {part} positions, and the prompt has none")
    if not answer or "last" not in parts:
        capture = Capture(hidden=group, hidden_layers=layers)
        out = run(model, prompt, max_new_tokens=0, capture=capture)[0]
        return out.hidden_positions, out.hidden
    capture = Capture(hidden="+".join(["generated", *(part for part in parts if part != "last")]), hidden_layers=layers)
    # The last token of a forced answer is never fed, so one follows whose choice is of no account.
    tokens = [*model.tokenizer(answer, add_special_tokens=False)["input_ids"], min(model.stop_ids, default=0)]
    out = run(model, prompt, forced=tokens, capture=capture)[0]
    positions = out.hidden_positions
    kept = (positions < len(prompt)) | (positions == positions.max())
    return positions[kept], out.hidden[:, kept]


def _best_of(spellings):
    """For `_scan`: of each list of token ids, the rank of the best one and which it is."""

    def best(logits):
        ranks, tokens = [], []
        for ids in spellings:
            ids = torch.as_tensor(ids, device=logits.device)
            value, which = logits[:, ids].max(1)
            ranks.append(1 + (logits > value[:, None]).sum(1))
            tokens.append(ids[which])
        return torch.stack(ranks, 1), torch.stack(tokens, 1)

    return best


def _split(prompt, parts, positions):
    """Which of the positions belong to each part of a group, as masks."""
    last = positions == positions.max()
    masks = {part: np.isin(positions, prompt.segments.positions(part)) for part in parts}
    return masks | ({"last": last} if "last" in parts else {})


def _texts(model):
    """A function from token id to text that remembers what it was asked."""
    return cache(lambda i: None if model.tokenizer is None else model.tokenizer.decode([i]))


def null_weights(clips):
    """How much each event counts in the null of each clip: {clip id: {event: weight}}; see `lens.event_ranks`.

    Raises:
        ClipError: nothing is known to be heard in a clip, every other clip shares some of its events, or ids repeat.

    Example:
        >>> dog, bell = (avnb.Clip(name, "", heard=(name,)) for name in ("dog", "bell"))
        >>> null_weights([dog, bell])
        {'dog': {'bell': 1.0}, 'bell': {'dog': 1.0}}
    """
    if len({clip.id for clip in clips}) < len(clips):
        raise ClipError("some clips have the same id; give every clip its own")
    unknown = [clip for clip in clips if not clip.heard]
    if unknown:
        raise ClipError(f"{unknown[0].id}: heard is empty; latent recall needs at least one known event")
    weights = {}
    for clip in clips:
        here = {*clip.heard, *clip.seen}
        others = [set(other.heard) for other in clips if here.isdisjoint(other.heard)]
        if not others:
            raise ClipError(
                f"{clip.id}: every other clip holds a sound of something that this clip shows or sounds like, so that "
                "none can serve as its null; add clips with other events"
            )
        weights[clip.id] = {e: sum((e in o) / len(o) for o in others) / len(others) for e in set().union(*others)}
    return weights
