"""Where an answer looks: the attention that its tokens give to each group of positions.

    >>> model = avnb.load("toy-omni")
    >>> prompt = model.prompt(avnb.datasets.load("toybox", n=2)[0], "Describe what you hear.")
    >>> table = shares(model, [prompt])
    >>> table.query("layer == 0")["group"].tolist()
    ['audio', 'video', 'text']

"The rows of an answer" are the decoder rows that chose its tokens (the stop token too): the last prompt position, then
every answer token but the last. Attention tells where these rows read, not what they take from there: what a position
holds may be small, and blocking it may change nothing (`knockout`).
"""

from typing import NamedTuple
from zlib import crc32

import numpy as np
import pandas as pd

from avnb import datasets, stats
from avnb.analyses import jobs
from avnb.engine import run
from avnb.engine.capture import Capture
from avnb.engine.conditions import GENERATED
from avnb.models.prompt import GROUPS, PromptError
from avnb.questions import HEAR, MAX_NEW_TOKENS

OVER = ("inputs", "all")
BY = ("layer", "head", "step")

plan = jobs.each


def measure(
    model,
    clips,
    question=HEAR,
    *,
    by="layer",
    groups="paper",
    over="inputs",
    without_sinks=None,
    shuffled=False,
    seed=0,
    max_new_tokens=MAX_NEW_TOKENS,
) -> pd.DataFrame:
    """Attention shares of the answers to one question about many clips.

    Args:
        model: an AVLLM from `avnb.load`.
        clips: clips; one with bad media is reported and left out (`jobs.over`).
        question: what is asked.
        by: "layer" (`shares`), "head" (`by_head`) or "step" (`by_step`).
        groups, over, max_new_tokens: as there.
        without_sinks: leave out the positions of each prompt that `sinks` finds with this factor; None keeps all.
        shuffled: True for the null: positions counted for a group drawn at random, see `shares`.
        seed: of that draw.

    Returns:
        DataFrame: clip, kind, question, then the columns of the function that `by` names.

    Raises:
        PromptError: as in `shares`.
        ValueError: as there; or `by` is unknown, or goes without `without_sinks` and `shuffled`.

    Example:
        >>> table = measure(avnb.load("toy-omni"), avnb.datasets.load("toybox", n=2))
        >>> table.groupby("kind")["layer"].nunique().to_dict()
        {'counterfactual': 8, 'factual': 8}
    """
    if by not in BY:
        raise ValueError(f"by={by!r} is unknown; use one of {', '.join(map(repr, BY))}")
    if by != "layer" and (shuffled or without_sinks is not None):
        raise ValueError(f'by={by!r} has neither without_sinks nor shuffled; use by="layer"')
    function = {"layer": shares, "head": by_head, "step": by_step}[by]
    options = {"groups": groups, "over": over, "max_new_tokens": max_new_tokens}
    if shuffled:
        options["shuffled"] = seed

    def of_clip(job):
        prompt = model.prompt(job.clip, question)
        if without_sinks is not None:
            dropped = sinks(model, prompt, factor=without_sinks, max_new_tokens=max_new_tokens)
            options["without"] = [dropped["position"]]
        return function(model, [prompt], **options).assign(kind=job.clip.kind, question=question)

    axes = function(model, [], **options).columns.drop("clip")
    return jobs.over(plan(clips), of_clip, ["clip", "kind", "question", *axes])


def shares(
    model, prompts, *, groups="paper", over="inputs", max_new_tokens=MAX_NEW_TOKENS, without=None, shuffled=None
) -> pd.DataFrame:
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
            the fraction bar, nor in the null; a group of which nothing is left is 0. Costs one more run per
            modality.
        shuffled: a seed: which group a prompt position counts for is drawn at random, groups keeping their sizes. A
            null: with `over="inputs"` its mean over draws (each clip is one) is that of `null`, whatever the attention.

    Returns:
        DataFrame: clip, layer (0 = first), group, value in [0, 1], and null: the value if attention were the same
        everywhere = tokens in the group / all tokens that count, the mean over answer tokens. Layers with a sliding
        window see less than the null supposes.

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
        attention = attention.mean((0, 2))
        members = _members(prompt, groups, names)
        kept = np.setdiff1d(np.arange(len(prompt)), np.asarray(dropped, dtype=np.int64))
        if shuffled is not None:
            members = np.random.default_rng([shuffled, crc32(str(prompt.clip_id).encode())]).permutation(members)
        if shuffled is not None or len(kept) < len(prompt):
            members = members[kept]
            attention[:, :-1] = _by_position(model, prompt, answer)[:, kept] @ members[:, :-1]
        baseline = _normalised(_uniform(members, len(answer)).mean(0), over)
        axes = {"layer": range(len(attention)), "group": names}
        tables.append(_table(prompt, axes, _normalised(attention, over), baseline))
    return _joined(tables, ["clip", "layer", "group", "value", "null"])


def by_head(model, prompts, *, groups="paper", over="inputs", max_new_tokens=MAX_NEW_TOKENS) -> pd.DataFrame:
    """The shares of every attention head: for a heat map of which heads listen and which look.

    Args:
        model, prompts, groups, over, max_new_tokens: as in `shares`.

    Returns:
        DataFrame: clip, layer, head, group, value in [0, 1]: attention to the group / attention to all groups that
        count, each the mean over answer tokens; null as in `shares`. With `over="inputs"` every head counts alike
        here, so that the mean over heads need not be what `shares` gives.

    Raises:
        PromptError, ValueError: as in `shares`.

    Example:
        >>> model = avnb.load("toy-omni")
        >>> prompt = model.prompt(avnb.datasets.load("toybox", n=2)[0], "Describe what you hear.")
        >>> by_head(model, [prompt]).pivot_table("value", "layer", ["head", "group"]).shape
        (8, 12)
    """
    _check(over, max_new_tokens)
    tables = []
    for prompt in prompts:
        names, attention, answer = _record(model, prompt, groups, max_new_tokens)
        baseline = _normalised(_uniform(_members(prompt, groups, names), len(answer)).mean(0), over)
        axes = {"layer": range(attention.shape[1]), "head": range(attention.shape[2]), "group": names}
        tables.append(_table(prompt, axes, _normalised(attention.mean(0), over), baseline))
    return _joined(tables, ["clip", "layer", "head", "group", "value", "null"])


def by_step(model, prompts, *, groups="paper", over="inputs", max_new_tokens=MAX_NEW_TOKENS) -> pd.DataFrame:
    """The shares of every answer token: what is looked at for which word.

    Args:
        model, prompts, groups, over, max_new_tokens: as in `shares`.

    Returns:
        DataFrame: clip, step (0 = first answer token), token (its text), layer, group, value in [0, 1], mean over
        heads, of the decoder row that chose the token; null: the value if this row looked everywhere alike.

    Raises:
        PromptError, ValueError: as in `shares`.

    Example:
        >>> model = avnb.load("toy-omni")
        >>> prompt = model.prompt(avnb.datasets.load("toybox", n=2)[0], "Describe what you hear.")
        >>> table = by_step(model, [prompt], over="all", max_new_tokens=4)
        >>> np.allclose(table.groupby("layer")["value"].sum(), table["step"].nunique())
        True
    """
    _check(over, max_new_tokens)
    tables = []
    for prompt in prompts:
        names, attention, answer = _record(model, prompt, groups, max_new_tokens)
        baseline = _normalised(_uniform(_members(prompt, groups, names), len(answer)), over)
        axes = {"step": range(len(answer)), "layer": range(attention.shape[1]), "group": names}
        table = _table(prompt, axes, _normalised(attention.mean(2), over), baseline[:, None])
        tables.append(table.assign(token=np.asarray(_texts(model, answer), dtype=object)[table["step"]]))
    return _joined(tables, ["clip", "step", "token", "layer", "group", "value", "null"])


def preference(table) -> pd.DataFrame:
    """Whether audio or video positions are looked at more, position for position.

    With a = value / null of audio and v the same of video (1 = as much as any position would get if attention were
    the same everywhere), the preference is (a - v) / (a + v): 1 only audio, 0 both alike, -1 only video. The nulls
    take out that a prompt may hold ten times as many video as audio positions.

    Args:
        table: from `shares`, `by_head`, `by_step` or `measure`; either grouping, either `over`.

    Returns:
        DataFrame: the columns of the table but group and null, with value in [-1, 1] (NaN where neither is looked
        at).

    Raises:
        ValueError: the table has no audio or no video rows.

    Example:
        >>> rows = [("x", 0, "audio", 0.3, 0.1), ("x", 0, "video", 0.6, 0.6), ("x", 0, "text", 0.1, 0.3)]
        >>> table = pd.DataFrame(rows, columns=["clip", "layer", "group", "value", "null"])
        >>> preference(table)["value"].round(3).tolist()
        [0.5]
    """
    if lacking := {"audio", "video"} - set(table["group"]):
        raise ValueError(f"the table has no {' and no '.join(sorted(lacking))} rows to compare")
    index = [name for name in table.columns if name not in ("group", "value", "null")]
    density = table.assign(value=table["value"] / table["null"])
    wide = density.pivot(index=index, columns="group", values="value")
    return ((wide["audio"] - wide["video"]) / (wide["audio"] + wide["video"])).rename("value").reset_index()


def head_preferences(table, seed=0) -> pd.DataFrame:
    """What each head prefers, with one band for all heads, so that the most extreme one was allowed for.

    In 95 % of cases a model without preference has no head that stands (`stats.curve`). Clips that show the same source
    are resampled together.

    Args:
        table: from `by_head`, of one question; heads that look at neither modality in some clip are left out.
        seed: of the resampling.

    Returns:
        DataFrame: layer, head, mean, low, high (of the band), n, stands.

    Raises:
        ValueError: as in `preference`, or several rows for a head and clip, or no head is left.

    Example:
        >>> shares = {0: (0.3, 0.1), 1: (0.1, 0.3)}  # of audio and video, for two heads
        >>> cells = [(h, *cell) for h in shares for cell in zip(("audio", "video"), shares[h])]
        >>> rows = [(clip, 0, *cell) for clip in "abcd" for cell in cells]
        >>> table = pd.DataFrame(rows, columns=["clip", "layer", "head", "group", "value"]).assign(null=0.2)
        >>> head_preferences(table)["mean"].round(2).tolist()
        [0.5, -0.5]
    """
    wide = preference(table).pivot(index="clip", columns=["layer", "head"], values="value").dropna(axis=1)
    if wide.empty:
        raise ValueError("no head looks at audio or video in every clip")
    return stats.curve(wide, seed, clusters=datasets.sources(wide.index)).reset_index()


class OverFrames(NamedTuple):
    """Attention over a video: its answer's tokens (texts), and float32 [n_tokens, n_layers, time, rows, columns]."""

    tokens: list
    attention: np.ndarray


def over_frames(model, prompt, *, max_new_tokens=MAX_NEW_TOKENS) -> OverFrames:
    """Attention that every answer token gives to every place of the video at every time.

    Args:
        model: an AVLLM from `avnb.load`.
        prompt: a prompt with one video.
        max_new_tokens: the longest answer, in tokens.

    Returns:
        `OverFrames`. Of all attention, mean over heads; summed over the video it is the share of `by_step` with
        `over="all"`. A step of the time axis covers as many frames as the model merges into one (two in Qwen2.5-Omni).

    Raises:
        PromptError: as in `frame_grid`.
        ValueError: no answer token is allowed.

    Example:
        >>> model = avnb.load("toy-omni")
        >>> found = over_frames(model, model.prompt(avnb.datasets.load("toybox", n=2)[0], "Describe what you hear."))
        >>> found.attention.shape[2:]
        (2, 5, 5)
    """
    _check("inputs", max_new_tokens)
    grid = frame_grid(prompt)
    result = run(model, prompt, max_new_tokens=max_new_tokens, capture=Capture(maps="video"))[0]
    maps = result.maps
    return OverFrames(_texts(model, result.token_ids), maps.reshape(*maps.shape[:2], *grid))


def frame_grid(prompt):
    """(time, rows, columns) of a prompt's video positions, which come time by time, row by row.

    Read off the rotary positions of time, height and width, so that it holds for any processor and with sound in
    between.

    Raises:
        PromptError: the prompt holds no video, its positions do not tell height and width, or they are no single grid.

    Example:
        >>> frame_grid(avnb.load("toy-omni").prompt(avnb.datasets.load("toybox", n=2)[0], "Describe what you hear."))
        (2, 5, 5)
    """
    name, video = prompt.clip_id or "prompt", prompt.segments.positions("video")
    axes = prompt.position_ids
    if len(video) == 0 or axes.ndim < 3:
        lack = "no video" if len(video) == 0 else "no positions of height and width"
        raise PromptError(f"{name}: the prompt has {lack}, so nothing can be laid over frames")
    time, row, column = axes[-3:, 0].cpu().numpy()[:, video]
    first = time == time[0]
    n_rows, n_columns = int(np.ptp(row[first])) + 1, int(np.ptp(column[first])) + 1
    raster = np.indices((len(video) // (n_rows * n_columns), n_rows, n_columns)).reshape(3, -1)
    places = np.stack([row - row[0], column - column[0]])
    if raster.shape[1] != len(video) or not (places == raster[1:]).all():
        raise PromptError(f"{name}: the {len(video)} video positions are not one grid of {n_rows} by {n_columns}")
    return len(video) // (n_rows * n_columns), n_rows, n_columns


def sinks(model, prompt, *, factor=10.0, max_new_tokens=MAX_NEW_TOKENS) -> pd.DataFrame:
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
    types = prompt.segments.types[found]
    columns = {
        "clip": prompt.clip_id,
        "position": found,
        "type": types,
        "token": _texts(model, prompt.token_ids[found]),
    }
    return pd.DataFrame(columns | {"value": value[found], "ratio": value[found] * len(prompt)})


def _check(over, max_new_tokens):
    if over not in OVER:
        raise ValueError(f"over={over!r} is unknown; use one of {', '.join(map(repr, OVER))}")
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens={max_new_tokens}: attention is measured on answer tokens; allow 1 or more")


def _record(model, prompt, groups, max_new_tokens):
    """(group names, "generated" last; attention [n_tokens, n_layers, n_heads, n_groups]; answer ids)"""
    capture = Capture(shares=groups)
    if groups == "paper":
        for name, kinds in GROUPS[groups].items():
            if not np.isin(prompt.segments.types, kinds).any():
                raise PromptError(
                    f"{prompt.clip_id or 'prompt'}: the prompt has no {name} positions, so their share says nothing; "
                    'leave it out or use groups="fine"'
                )
    result = run(model, prompt, max_new_tokens=max_new_tokens, capture=capture)[0]
    return result.groups, result.shares.astype(np.float64), result.token_ids


def _members(prompt, groups, names):
    """Which group every prompt position is in: one-hot [T, n_groups]; none is in "generated"."""
    kinds = [() if name == GENERATED else GROUPS[groups][name] for name in names]
    return np.stack([np.isin(prompt.segments.types, k) for k in kinds], axis=1).astype(np.float64)


def _normalised(attention, over):
    """Shares of the groups that count, along the last axis, of which "generated" is the last."""
    attention = attention[..., :-1] if over == "inputs" else attention
    return attention / attention.sum(-1, keepdims=True)


def _uniform(members, n_tokens):
    """The attention [n_tokens, n_groups] of rows that see all keys alike; the row of step t sees t answer tokens."""
    counts = np.tile(members.sum(0), (n_tokens, 1))
    counts[:, -1] = np.arange(n_tokens)
    return counts / (len(members) + counts[:, -1:])


def _table(prompt, axes, value, null):
    """The tidy table of values [..., n_groups]; of the groups along the last axis, as many as count."""
    axes = axes | {"group": axes["group"][: value.shape[-1]]}
    index = pd.MultiIndex.from_product(axes.values(), names=axes)
    columns = {"value": value.ravel(), "null": np.broadcast_to(null, value.shape).ravel()}
    return pd.DataFrame(columns, index=index).reset_index().assign(clip=prompt.clip_id)


def _joined(tables, columns):
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def _texts(model, token_ids):
    return [None if model.tokenizer is None else model.tokenizer.decode([i]) for i in token_ids]


def _by_position(model, prompt, answer):
    """Attention [n_layers, T] of an answer's rows to every prompt position, mean over heads and answer tokens."""
    attention = np.zeros((len(model.decoder.layers), len(prompt)))
    for group in GROUPS["paper"]["audio"] + GROUPS["paper"]["video"] + ("text",):
        if len(prompt.segments.positions(group)):
            result = run(model, prompt, capture=Capture(maps=group), forced=answer)[0]
            attention[:, result.map_positions] = result.maps.mean(0, dtype=np.float64)
    return attention
