"""Where an answer looks: the attention that its tokens give to each group of positions.

    >>> model = avnb.load("toy-omni")
    >>> prompt = model.prompt(avnb.datasets.load("toybox", n=2)[0], "Describe what you hear.")
    >>> table = shares(model, [prompt])
    >>> table.query("layer == 0")["group"].tolist()
    ['audio', 'video', 'text']

"The rows of an answer" are the decoder rows that chose its tokens (the stop token too): the last prompt position, then
every answer token but the last.
"""

import numpy as np
import pandas as pd

from avnb.capture import Capture
from avnb.engine import run
from avnb.models.prompt import GROUPS, PromptError
from avnb.rules import GENERATED

OVER = ("inputs", "all")


def shares(model, prompts, groups="paper", over="inputs", max_new_tokens=32, without=None):
    """Attention that answer tokens give to each group of input tokens, layer by layer (figure 4).

    value = attention to the group / attention to all groups that count, each the mean over heads and answer tokens.
    The mean comes first: a head or token that hardly looks at the inputs hardly counts among `over="inputs"`.

    Args:
        model: an AVLLM from `avnb.load`.
        prompts: prompts of any length; one clip and question each.
        groups: "paper" (audio, video, text = the rest) or "fine" (every segment type present).
        over: "inputs" (input groups alone sum to 1) or "all" (so does attention to the answer itself, "generated").
        max_new_tokens: the longest answer, in tokens.
        without: prompt positions to leave out, a list per prompt (see `sinks`); they count neither above nor below
            the fraction bar, nor in the baseline; a group of which nothing is left is 0. Costs one more run per
            modality.

    Returns:
        DataFrame: clip, layer (0 = first), group, value in [0, 1], and baseline: the value if attention were the same
        everywhere = tokens in the group / all tokens that count, the mean over answer tokens. Layers with a sliding
        window see less than the baseline supposes.

    Raises:
        PromptError: a group of "paper" is empty in a prompt; names the clip and the group.
        ValueError: `groups` or `over` is unknown, or no answer token is allowed.

    Source: arXiv 2604.02605, attention dynamics.

    Example:
        >>> model = avnb.load("toy-omni")
        >>> clip = avnb.datasets.load("toybox", n=2)[0]
        >>> table = shares(model, [model.prompt(clip, "Describe what you hear.")])
        >>> bool(np.allclose(table.groupby(["clip", "layer"])["value"].sum(), 1))
        True
    """
    _check(over, max_new_tokens)
    prompts = list(prompts)
    tables = []
    for prompt, dropped in zip(prompts, [()] * len(prompts) if without is None else without, strict=True):
        names, attention, answer = _record(model, prompt, groups, max_new_tokens)
        members = _members(prompt, groups, names)
        attention = attention.mean(1)
        dropped = np.unique(np.asarray(dropped, dtype=np.int64))
        if len(dropped):
            attention = attention - _by_position(model, prompt, answer)[:, dropped] @ members[dropped]
            members = np.delete(members, dropped, axis=0)
        value = _normalised(attention, over)
        index = pd.MultiIndex.from_product([range(len(value)), names[: value.shape[1]]], names=["layer", "group"])
        baseline = _normalised(_uniform(members, len(answer)), over)
        table = pd.DataFrame({"value": value.ravel(), "baseline": np.tile(baseline, len(value))}, index=index)
        tables.append(table.reset_index().assign(clip=prompt.clip_id))
    columns = ["clip", "layer", "group", "value", "baseline"]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def by_head(model, prompts, groups="paper", over="inputs", max_new_tokens=32):
    """The shares of every attention head: for a heat map of which heads listen and which look.

    Args:
        model, prompts, groups, over, max_new_tokens: as in `shares`.

    Returns:
        DataFrame: clip, layer, head, group, value in [0, 1]: attention to the group / attention to all groups that
        count, each the mean over answer tokens. With `over="inputs"` every head counts alike here, so that the mean
        over heads need not be what `shares` gives.

    Raises:
        PromptError, ValueError: as in `shares`.

    Example:
        >>> model = avnb.load("toy-omni")
        >>> prompt = model.prompt(avnb.datasets.load("toybox", n=2)[0], "Describe what you hear.")
        >>> by_head(model, [prompt]).pivot_table("value", "layer", ["head", "group"]).shape
        (8, 12)
    """
    _check(over, max_new_tokens)
    columns, tables = ["clip", "layer", "head", "group", "value"], []
    for prompt in prompts:
        names, attention, _ = _record(model, prompt, groups, max_new_tokens)
        value = _normalised(attention, over)
        axes = [range(value.shape[0]), range(value.shape[1]), names[: value.shape[2]]]
        table = pd.DataFrame({"value": value.ravel()}, index=pd.MultiIndex.from_product(axes, names=columns[1:4]))
        tables.append(table.reset_index().assign(clip=prompt.clip_id))
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def sinks(model, prompt, factor=10.0, max_new_tokens=32):
    """Prompt positions that draw far more attention than their like, whatever they hold.

    A position is a sink if the attention that the answer's rows give to it, as a share of what they give to the whole
    prompt (means over heads and answer tokens), is at least `factor` times the uniform share 1 / T in the mean over
    layers.

    Args:
        model: an AVLLM from `avnb.load`.
        prompt: a prompt of T positions.
        factor: how many times the uniform share; with `factor=0` all positions are listed. A prompt of no more than
            `factor` positions cannot have a sink.
        max_new_tokens: the longest answer, in tokens.

    Returns:
        DataFrame, the strongest first: clip, position, type (of its segment), token (its text), value (its share in
        [0, 1], mean over layers), ratio (value * T).

    Raises:
        ValueError: no answer token is allowed.

    Example:
        >>> model = avnb.load("toy-omni")
        >>> prompt = model.prompt(avnb.datasets.load("toybox", n=2)[0], "Describe what you hear.")
        >>> found = sinks(model, prompt, factor=3)
        >>> table = shares(model, [prompt], groups="fine", without=[found["position"]])
    """
    _check("inputs", max_new_tokens)
    answer = run(model, prompt, max_new_tokens=max_new_tokens)[0].token_ids
    attention = _by_position(model, prompt, answer)
    value = (attention / attention.sum(1, keepdims=True)).mean(0)
    order = np.argsort(-value, kind="stable")
    found = order[value[order] * len(prompt) >= factor]
    texts = [None if model.tokenizer is None else model.tokenizer.decode([i]) for i in prompt.token_ids[found]]
    types = prompt.segments.types[found]
    columns = {"clip": prompt.clip_id, "position": found, "type": types, "token": texts}
    return pd.DataFrame(columns | {"value": value[found], "ratio": value[found] * len(prompt)})


def _check(over, max_new_tokens):
    if over not in OVER:
        raise ValueError(f"over={over!r} is unknown; use one of {', '.join(map(repr, OVER))}")
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens={max_new_tokens}: attention is measured on answer tokens; allow 1 or more")


def _record(model, prompt, groups, max_new_tokens):
    """(group names, "generated" last; attention [n_layers, n_heads, n_groups], mean over answer tokens; answer ids)"""
    capture = Capture(shares=groups)
    if groups == "paper":
        for name, kinds in GROUPS[groups].items():
            if not np.isin(prompt.segments.types, kinds).any():
                raise PromptError(
                    f"{prompt.clip_id or 'prompt'}: the prompt has no {name} positions, so their share says nothing; "
                    'leave it out or use groups="fine"'
                )
    result = run(model, prompt, max_new_tokens=max_new_tokens, capture=capture)[0]
    return result.groups, result.shares.mean(0, dtype=np.float64), result.token_ids


def _members(prompt, groups, names):
    """Which group every prompt position is in: one-hot [T, n_groups]; none is in "generated"."""
    kinds = [() if name == GENERATED else GROUPS[groups][name] for name in names]
    return np.stack([np.isin(prompt.segments.types, k) for k in kinds], axis=1).astype(np.float64)


def _normalised(attention, over):
    """Shares of the groups that count, along the last axis, of which "generated" is the last."""
    attention = attention[..., :-1] if over == "inputs" else attention
    return attention / attention.sum(-1, keepdims=True)


def _uniform(members, n_tokens):
    """The attention [n_groups] of rows that see all keys alike; the row of step t sees t answer tokens."""
    generated = np.arange(n_tokens)
    n_keys = len(members) + generated
    return np.append(members.sum(0)[:-1] * (1 / n_keys).mean(), (generated / n_keys).mean())


def _by_position(model, prompt, answer):
    """Attention [n_layers, T] of an answer's rows to every prompt position, mean over heads and answer tokens."""
    attention = np.zeros((len(model.decoder.layers), len(prompt)))
    for group in GROUPS["paper"]["audio"] + GROUPS["paper"]["video"] + ("text",):
        if len(prompt.segments.positions(group)):
            result = run(model, prompt, capture=Capture(maps=group), forced=answer)[0]
            attention[:, result.map_positions] = result.maps.mean(0, dtype=np.float64)
    return attention
