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
from scipy.optimize import linear_sum_assignment

from avnb.capture import Capture
from avnb.clips import ClipError
from avnb.engine import run
from avnb.models.prompt import PromptError
from avnb.toybox.sources import SOURCES, mentioned

MAX_LOGITS = 2**24  # in one chunk


def decode(model, prompt, group="audio", top_k=5, normed=True, layers=None):
    """The most probable tokens at every position of a group after every layer (figure 5).

    Args:
        model: an AVLLM from `avnb.load`.
        prompt: a prompt.
        group: a segment type, or "text".
        top_k: how many tokens.
        normed: apply the decoder's final norm first, as the model itself does after its last layer. The paper's script
            does not.
        layers: after which layers (0 = first); None for all.

    Returns:
        DataFrame: layer, position (in the prompt), rank (1 = most probable), token (its text; None if the model has no
        tokenizer), token_id, probability in [0, 1].

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
    layers, positions, ids, probabilities = _top(model, prompt, group, top_k, normed, layers)
    axes = pd.MultiIndex.from_product([layers, positions, range(1, top_k + 1)], names=["layer", "position", "rank"])
    text = _texts(model)
    tokens = [text(i) for i in ids.ravel().tolist()]
    columns = {"token": tokens, "token_id": ids.ravel(), "probability": probabilities.ravel()}
    return pd.DataFrame(columns, index=axes).reset_index()


def target_rank(model, prompt, words, group="audio", normed=True, layers=None):
    """How close every position of a group is to saying a word, after every layer.

    A word stands in the vocabulary with and without a leading space, and with a small or capital letter: the tokens
    that hold one of these spellings whole are the word's tokens, and the best of them counts. If no token holds the
    whole word, the longest first piece of a spelling stands for it.

    Args:
        model, prompt, group, normed, layers: as in `decode`.
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
    spelled = [_tokens_of(model, word) for word in words]

    def best(logits):
        ranks, tokens = [], []
        for ids in spelled:
            ids = torch.tensor(ids, device=logits.device)
            value, which = logits[:, ids].max(1)
            ranks.append(1 + (logits > value[:, None]).sum(1))
            tokens.append(ids[which])
        return torch.stack(ranks, 1), torch.stack(tokens, 1)

    layers, positions, (ranks, tokens) = _scan(model, prompt, group, normed, layers, best)
    axes = pd.MultiIndex.from_product([layers, positions, words], names=["layer", "position", "word"])
    text = _texts(model)
    columns = {"token": [text(i) for i in tokens.ravel().tolist()], "rank": ranks.ravel()}
    return pd.DataFrame(columns, index=axes).reset_index()


def latent_recall(model, clips, question="Describe what you hear.", top_k=5, layers=None, normed=True, seed=0):
    """Share of the events heard in a clip that its audio positions decode to, somewhere.

    With E(c) the events heard in clip c, and D(c) the events named (`sources.mentioned`) by any of the `top_k` tokens
    of any audio position after any of the `layers`:

        value(c) = |E(c) & D(c)| / |E(c)|        null(c) = |E(d(c)) & D(c)| / |E(d(c))|

    where d gives every clip the events of another clip, each clip's once, none of them heard or seen in c. More layers,
    a larger `top_k` and longer sounds raise both, so that only their difference says what is known. An event counts if
    one token names it: events whose words the tokenizer splits into pieces are missed.

    Args:
        model: an AVLLM from `avnb.load`.
        clips: clips whose heard events are known, at least two.
        question: what the prompts ask.
        top_k, layers, normed: as in `decode`.
        seed: which d is drawn among those possible.

    Returns:
        DataFrame: clip, value, null, both in [0, 1].

    Raises:
        ClipError: what is heard in a clip is not known, or cannot be matched; or a clip cannot be read.
        PromptError: a prompt has no audio positions.
        ValueError: there is no d: too few clips, or an event in too many of them; or as in `decode`.

    Source: arXiv 2604.02605, latent audio understanding, whose pooling is not published; this one is ours.

    Example:
        >>> model = avnb.load("toy-omni")
        >>> table = latent_recall(model, avnb.datasets.load("toybox", n=4))
        >>> table.columns.tolist(), len(table)
        (['clip', 'value', 'null'], 4)
    """
    clips = list(clips)
    for clip in clips:
        if not clip.heard or not set(clip.heard) <= set(SOURCES):
            raise ClipError(
                f"{clip.id}: heard={clip.heard!r}; latent recall needs at least one event, all of {', '.join(SOURCES)}"
            )
    rows = []
    named, text = cache(mentioned), _texts(model)
    for clip, donor in zip(clips, _donors(clips, seed), strict=True):
        prompt = model.prompt(clip, question)
        ids = np.unique(_top(model, prompt, "audio", top_k, normed, layers)[2])
        decoded = {event for i in ids.tolist() for event in named(text(i))}
        rows.append((clip.id, _recall(clip.heard, decoded), _recall(clips[donor].heard, decoded)))
    return pd.DataFrame(rows, columns=["clip", "value", "null"])


def _scan(model, prompt, group, normed, layers, reduce):
    """What `reduce` keeps of the logits [rows, vocabulary] of a chunk, for all layers and positions of a group.

    Returns (layers, positions, arrays [n_layers, n_positions, ...]).
    """
    positions = prompt.segments.positions(group)
    if len(positions) == 0:
        raise PromptError(f"{prompt.clip_id or 'prompt'}: the lens needs {group} positions, and the prompt has none")
    n_layers = len(model.decoder.layers)
    layers = sorted(set(range(n_layers) if layers is None else map(int, layers)))
    if not layers:
        raise ValueError(f"layers is empty; the decoder has layers 0 to {n_layers - 1}")
    norm = getattr(model.decoder, "norm", None) if normed else torch.nn.Identity()
    if norm is None:
        raise ValueError(f"{type(model.decoder).__name__} has no final norm called `norm`; use normed=False")
    capture = Capture(hidden=positions, hidden_layers=layers)
    hidden = run(model, prompt, max_new_tokens=0, capture=capture)[0].hidden
    n_rows = max(1, MAX_LOGITS // model.decoder.config.vocab_size)
    with torch.inference_mode():
        # The norm works row by row, so a chunk may span layers.
        chunks = hidden.flatten(0, 1).split(n_rows)
        kept = [reduce(model.head(norm(rows.to(prompt.embeds.device))).float()) for rows in chunks]
    shape = len(layers), len(positions)
    return layers, positions, [torch.cat(parts).cpu().numpy().reshape(*shape, -1) for parts in zip(*kept, strict=True)]


def _top(model, prompt, group, top_k, normed, layers):
    """(layers, positions, token ids and probabilities [n_layers, n_positions, top_k])"""
    vocabulary = model.decoder.config.vocab_size
    if not 1 <= top_k <= vocabulary:
        raise ValueError(f"top_k={top_k}; use 1 to {vocabulary}, the size of the vocabulary")

    def most_probable(logits):
        values, ids = logits.topk(top_k)
        return ids, (values - logits.logsumexp(-1, keepdim=True)).exp()

    layers, positions, (ids, probabilities) = _scan(model, prompt, group, normed, layers, most_probable)
    return layers, positions, ids, probabilities


def _texts(model):
    """A function from token id to text that remembers what it was asked."""
    return cache(lambda i: None if model.tokenizer is None else model.tokenizer.decode([i]))


def _tokens_of(model, word):
    """The token ids that stand for a word; see `target_rank`."""
    if model.tokenizer is None:
        raise ValueError(f"{model.name} has no tokenizer, so the tokens of {word!r} are not known")
    word = word.strip()
    forms = (word, word[:1].lower() + word[1:], word[:1].upper() + word[1:])
    spellings = [space + form for form in forms for space in ("", " ")]
    spelled = [model.tokenizer(spelling, add_special_tokens=False)["input_ids"] for spelling in spellings if word]
    spelled = [ids for ids in spelled if model.tokenizer.unk_token_id not in ids]
    # Some tokenizers put the space into a token of its own.
    pieces = [[i for i in ids if model.tokenizer.decode([i]).strip()] for ids in spelled]
    if not any(pieces):
        raise ValueError(f"the tokenizer of {model.name} does not know the word {word!r}")
    whole = sorted({p[0] for p in pieces if len(p) == 1})
    return whole or [max((p[0] for p in pieces if p), key=lambda i: len(model.tokenizer.decode([i]).strip()))]


def _donors(clips, seed):
    """For every clip the index of another clip, each once, none of whose events is heard or seen in it."""
    rng = np.random.default_rng(seed)
    cost = rng.random((len(clips), len(clips)))
    for i, clip in enumerate(clips):
        for j, donor in enumerate(clips):
            # More than all other costs together, so that a permutation without it is found if there is one.
            cost[i, j] += len(clips) * bool(set(donor.heard) & {*clip.heard, *clip.seen})
    rows, donors = linear_sum_assignment(cost)
    stuck = [clips[i].id for i in rows[cost[rows, donors] >= len(clips)]]
    if stuck:
        raise ValueError(
            f"the null of latent recall gives every clip the events of another, none of them heard or seen in it; "
            f"no such clip is left for {', '.join(stuck[:5])}: add clips with other events"
        )
    return donors


def _recall(events, decoded):
    return len(set(events) & decoded) / len(set(events))
