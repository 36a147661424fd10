"""Figures of where an answer looks, from the tables of `avnb.attention`."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.ticker import NullFormatter, ScalarFormatter

from avnb.layers import relative_depth
from avnb.paper import MODEL, attention_curve
from avnb.plots.style import INK, PALETTE, SHADE
from avnb.stats import interval, summarise

GROUPS = ("audio", "video", "text")
LONGEST = 40  # tokens of an answer that a figure has room for
DEPTH = "relative depth (0 input, 1 output)"
TYPES = {  # of positions, as readers know them
    "audio": "the sound", "video": "the picture", "image": "the picture", "query": "the question",
    "system": "the system message", "template": "the marks of the chat", "boundary": "the marks around the media",
    "last": "the last position before the answer", "generated": "the answer itself", "text": "text",
}  # fmt: skip
_COLOURS = {"audio": PALETTE["audio"], "video": PALETTE["video"], "image": PALETTE["video"]}
_PREFERENCE = sns.blend_palette([PALETTE["video"], "#F7F7F7", PALETTE["audio"]], as_cmap=True)


def curves(panels, published=False):
    """Attention to audio, video and text by layer, with intervals over clips and the share by chance.

    Args:
        panels: title -> table of `attention.shares`, drawn beside each other on one scale.
        published: add the curves of the study (Qwen2.5-Omni-3B, read off its plot) as the last panel.

    Returns:
        The figure.
    """
    n_panels = len(panels) + published
    fig, axes = _beside(n_panels, 3.0)
    for ax, (title, table) in zip(axes, panels.items(), strict=False):
        for group in GROUPS:
            rows = table[table["group"] == group]
            n = _curve(ax, rows, PALETTE[group], group)
            _by_chance(ax, rows, PALETTE[group])
        ax.set(title=f"{title} (n = {n})", xlabel=DEPTH)
    if published:
        for group, points in attention_curve().groupby("group", sort=False):
            axes[-1].plot(points["depth"], points["value"], "s:", color=PALETTE[group], markersize=4, linewidth=1)
        axes[-1].set(title=f"published: {MODEL},\nread off a plot", xlabel=DEPTH)
        axes[-1].axvspan(0, 1, color=SHADE, linewidth=0, zorder=0)
    axes[0].set(ylabel="share of attention to inputs", xlim=(0, 1), ylim=(0, 1))
    means = next(iter(panels.values())).groupby("group")[["value", "null"]].mean()
    times = ", ".join(f"{group} {row.value / row.null:.1f}" for group, row in means.iterrows() if row.null)
    fig.suptitle(f"Over all layers, {times} times the attention that their positions would get by chance")
    _legend(fig, axes[0], {"chance": "--"})
    return fig


def preferences(tables):
    """How much more a position of audio draws than one of video, by layer, with intervals over clips.

    Args:
        tables: label -> table of `attention.preference`; "ordinary clips", "conflicting clips", and a control (grey).

    Returns:
        The figure.
    """
    fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
    looks = {"ordinary clips": (PALETTE["other"], "-"), "conflicting clips": (PALETTE["other"], "--")}
    for label, table in tables.items():
        colour, line = looks.get(label, (PALETTE["control"], ":"))
        n = _curve(ax, table, colour, label, line)
        ax.lines[-1].set_label(f"{label} (n = {n})")
    ax.axhline(0, color=PALETTE["text"], linewidth=0.8)
    ax.set(xlabel=DEPTH, ylabel="preference\n(+1 audio, −1 video)", xlim=(0, 1))
    measured = pd.concat([table for label, table in tables.items() if label in looks])
    found = interval(measured.groupby("clip")["value"].mean())
    most = "audio" if found.low > 0 else "video" if found.high < 0 else "neither"
    words = {"audio": "sound draws more than the picture", "video": "the picture draws more than sound"}
    ax.set_title(f"Position for position, {words.get(most, 'neither draws more')} ({found.mean:+.2f}, n = {found.n})")
    _legend(fig, ax)
    return fig


def fine(table):
    """Attention to every type of position, mean over layers, a row each, beside its share by chance.

    Args:
        table: of `attention.shares` with `groups="fine"`.

    Returns:
        The figure.
    """
    per_clip = table.groupby(["clip", "group"], as_index=False)[["value", "null"]].mean()
    found = summarise(per_clip, "group").set_index("group")
    found["null"] = per_clip.groupby("group")["null"].mean()
    found = found.assign(times=found["mean"] / found["null"].where(found["null"] > 0)).sort_values("times")
    fig, ax = plt.subplots(figsize=(7, 1.1 + 0.33 * len(found)), layout="constrained")
    for y, (group, row) in enumerate(found.iterrows()):
        colour = _COLOURS.get(group, PALETTE["other"])
        ax.plot(row["null"], y, marker="|", color=PALETTE["text"], markersize=13, markeredgewidth=2)
        ax.hlines(y, row["low"], row["high"], color=colour, linewidth=1.5)
        ax.plot(row["mean"], y, "o", color=colour, markersize=6)
        times = "–" if np.isnan(row["times"]) else f"{row['times']:.1f} ×"
        ax.annotate(times, (1.02, y), xycoords=ax.get_yaxis_transform(), va="center", fontsize=9)
    ax.set_yticks(range(len(found)), found.index.map(TYPES))
    ax.set(xlabel="share of all attention, mean over layers (grey: chance; right: how many times that)", xlim=(0, None))
    most = TYPES[found["times"].idxmax()]
    ax.set_title(f"For the number of its positions, most attention goes to {most} (n = {found['n'].max():.0f})")
    return fig


def without_sinks(table, left, positions, factor):
    """How much each position draws, where sinks lie, and the curves with and without them.

    Args:
        table: of `attention.shares`.
        left: of `attention.shares`, without the sinks.
        positions: of `attention.sinks` with `factor=0`, all clips.
        factor: from how many times its share by chance on a position counts as a sink.

    Returns:
        The figure.
    """
    fig, (ax, beside) = plt.subplots(1, 2, figsize=(9, 3.3), layout="constrained", width_ratios=(1.4, 1))
    groups = positions["type"].replace({"image": "video"}).where(positions["type"].isin(_COLOURS), "text")
    for group in GROUPS:
        points = positions[groups == group]
        ax.scatter(points["position"], points["ratio"], s=7, alpha=0.5, linewidth=0, color=PALETTE[group])
    ax.axhline(factor, color="black", linestyle=":", linewidth=1)
    ax.text(0.01, factor, "a sink from here up", transform=ax.get_yaxis_transform(), va="bottom", fontsize=8)
    is_sink = positions["ratio"] >= factor
    n_with, n = positions.loc[is_sink, "clip"].nunique(), positions["clip"].nunique()
    ax.set(xlabel="prompt position", ylabel="attention / chance", yscale="log")
    ax.set_ylim(top=1.6 * max(factor, positions["ratio"].max()))
    ax.yaxis.set_major_formatter(ScalarFormatter())
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_title(f"{n_with} of {n} prompts have a sink")
    for group in GROUPS:
        _curve(beside, table[table["group"] == group], PALETTE[group], group)
        means = left[left["group"] == group].groupby("layer")["value"].mean()
        beside.plot(relative_depth(len(means)), means, linestyle=(0, (1, 1)), color=PALETTE[group], linewidth=2)
    beside.set(xlabel=DEPTH, ylabel="share of attention to inputs", xlim=(0, 1), ylim=(0, 1))
    beside.set_title(f"The curves without them (n = {n})")
    _legend(fig, beside, {"all positions": "-", "without sinks": ":"})
    return fig


def heads(found):
    """Heat map, layers by heads: what a head prefers.

    Args:
        found: of `attention.head_preferences`.

    Returns:
        The figure: a dot where the band for all heads leaves out zero.
    """
    mean = found.pivot(index="layer", columns="head", values="mean")
    n_layers, n_heads = mean.shape
    size = (min(9.5, max(5.5, 0.5 * n_heads + 2.5)), max(3, 0.17 * n_layers + 1.4))
    fig, ax = plt.subplots(figsize=size, layout="constrained")
    top = max(0.05, np.abs(mean.to_numpy()).max())
    label = {"label": "preference (+ audio, − video)"}
    gaps = 0.5 if n_heads <= 16 else 0.2
    sns.heatmap(mean, ax=ax, cmap=_PREFERENCE, vmin=-top, vmax=top, cbar_kws=label, linewidths=gaps)
    sure = found[found["stands"]]
    ax.scatter(sure["head"] + 0.5, sure["layer"] + 0.5, s=9 if n_layers <= 16 else 4, color=INK)
    n_audio, n_video = (sure["mean"] > 0).sum(), (sure["mean"] < 0).sum()
    ax.set_title(f"Of {len(found)} heads, {n_audio} prefer sound and {n_video} the picture (n = {found['n'].max()})")
    ax.invert_yaxis()
    ax.tick_params(rotation=0)
    return fig


def steps(table):
    """Attention for each word of one answer, layer by layer: heat maps of audio and video, 1 being chance.

    Args:
        table: of `attention.by_step`, one clip; of a long answer, the first `LONGEST` tokens are drawn.

    Returns:
        The figure.
    """
    table = table[table["step"] < LONGEST]
    words = table.drop_duplicates("step").sort_values("step")["token"]
    size = (min(9.8, max(6, 0.5 * len(words) + 2)), 5)
    fig, axes = plt.subplots(2, 1, figsize=size, layout="constrained", sharex=True, sharey=True)
    table = table.assign(ratio=table["value"] / table["null"])
    top = table.loc[table["group"].isin(("audio", "video")), "ratio"].max()
    for ax, group in zip(axes, ("audio", "video"), strict=True):
        ratio = table[table["group"] == group].pivot(index="layer", columns="step", values="ratio")
        colours = sns.light_palette(PALETTE[group], as_cmap=True)
        image = ax.imshow(ratio, aspect="auto", origin="lower", cmap=colours, vmin=0, vmax=max(2, top))
        fig.colorbar(image, ax=ax, label=f"{group} / chance", pad=0.01)
        ax.set(ylabel="layer", title=f"to {group}")
    most = table[table["group"] == "audio"].groupby("step")["ratio"].mean().idxmax()
    crowded = len(words) > 16
    turned = {"rotation": 90, "fontsize": 8} if crowded else {"rotation": 45, "ha": "right"}
    axes[1].set_xticks(range(len(words)), [_word(word) for word in words], **turned)
    fig.suptitle(f"Sound is looked at most for the word “{_word(words.iloc[most])}”")
    axes[1].set_xlabel("answer token that is being chosen")
    return fig


def over_steps(table):
    """Attention to audio, video and text by answer step, mean over layers, with intervals over clips.

    Args:
        table: of `attention.by_step`, many clips; a step that fewer than half of them reach is left out.

    Returns:
        The figure.
    """
    clips = table.groupby("step")["clip"].nunique()
    kept = clips[clips >= clips.max() / 2]
    table = table[table["step"].isin(kept.index)]
    fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
    for group in GROUPS:
        rows = summarise(table[table["group"] == group], "step").sort_values("step")
        ax.fill_between(rows["step"], rows["low"], rows["high"], color=PALETTE[group], alpha=0.2, linewidth=0)
        ax.plot(rows["step"], rows["mean"], color=PALETTE[group], label=group, marker="o", markersize=3)
        baseline = table[table["group"] == group].groupby("step")["null"].mean()
        ax.plot(baseline.index, baseline, "--", color=PALETTE[group], linewidth=1, alpha=0.7)
    ax.set(xlabel="answer token (0 = first)", ylabel="share of attention to inputs", ylim=(0, 1))
    ends = table[table["step"].isin((kept.index[0], kept.index[-1]))].groupby(["group", "step"])["value"].mean()
    told = ", ".join(f"{group} from {ends[group].iloc[0]:.0%} to {ends[group].iloc[-1]:.0%}" for group in GROUPS[:2])
    ax.set_title(f"From the first word to the last: {told} (n = {clips.max()}, at the end {kept.iloc[-1]})")
    _legend(fig, ax, {"chance": "--"})
    return fig


def places(attention, words):
    """Where single words look, as a table: word, time, row, column, value (the share of all attention).

    Args:
        attention, words: as in `over_frames`.
    """
    steps = ("word", "time", "row", "column")
    table = pd.DataFrame(np.ndindex(np.shape(attention)), columns=steps).assign(value=np.ravel(attention))
    return table.assign(word=table["word"].map(dict(enumerate(words))))


def over_frames(frames, attention, words, chance):
    """The attention of single words, laid over the frames of the clip.

    Args:
        frames: uint8 [T, H, W, 3], as the model got them.
        attention: [n_words, time, rows, columns], a sum of 1 being all attention.
        words: n_words texts.
        chance: what a position would get if attention were the same everywhere, 1 / number of positions.

    Returns:
        The figure: a column for each word, a row for each step in time, of which five at most, evenly spread.
    """
    ratio = np.asarray(attention) / chance
    n_words, n_times = ratio.shape[:2]
    per_step = -(-len(frames) // n_times)
    height, width = frames.shape[1:3]
    times = np.linspace(0, n_times - 1, min(n_times, 5)).round().astype(int)
    size = (1.7 * n_words + 1.1, 1.7 * height / width * len(times) + 0.4)
    fig, axes = plt.subplots(len(times), n_words, figsize=size, squeeze=False, layout="constrained")
    fig.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.02, hspace=0.02)
    place = {"extent": (0, width, height, 0)}
    for (row, i), ax in np.ndenumerate(axes):
        time = times[row]
        first, last = time * per_step, min((time + 1) * per_step, len(frames)) - 1
        grey = frames[min(first, len(frames) - 1)] @ np.array([0.299, 0.587, 0.114])
        ax.imshow(grey, cmap="gray", vmin=0, vmax=255, **place)
        alpha = 0.8 * ratio[i, time] / ratio.max()
        image = ax.imshow(ratio[i, time], cmap="inferno", vmin=0, vmax=ratio.max(), alpha=alpha, **place)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        if row == 0:
            ax.set_title(str(words[i]).strip(), fontsize=11)
        if i == 0:
            ax.set_ylabel(f"frames {first}–{last}" if last > first else f"frame {first}", fontsize=9)
    bar = fig.colorbar(image, ax=axes, shrink=0.9)
    bar.set_label("attention / chance", fontsize=9)
    bar.solids.set_alpha(1)
    shown = ratio[:, times].reshape(n_words, -1).max(1)
    word, top = str(words[shown.argmax()]).strip(), shown.max()
    fig.suptitle(
        f"Where it looks hardest, for “{word}”, a square of the picture draws {top:.1f} times its share by chance"
    )
    return fig


def _beside(n, size):
    fig, axes = plt.subplots(
        1, n, figsize=(size * n + 0.4, 3.3), sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    return fig, axes[0]


def _curve(ax, table, colour, label, line="-"):
    """Draws a mean by depth with its interval over clips; returns n."""
    rows = summarise(table, "layer").sort_values("layer")
    depth = relative_depth(len(rows))
    ax.fill_between(depth, rows["low"], rows["high"], color=colour, alpha=0.2, linewidth=0)
    ax.plot(depth, rows["mean"], line, color=colour, label=label, marker="o", markersize=3)
    return int(rows["n"].max())


def _word(token):
    """A token as a label: the marks of a chat template are the end of the answer, and long ones are cut."""
    text = "(end)" if str(token).startswith("<|") else str(token).strip()
    return text if len(text) <= 14 else f"{text[:13]}…"


def _by_chance(ax, table, colour):
    """Draws what attention would give that is the same everywhere."""
    ax.plot((0, 1), [table["null"].mean()] * 2, "--", color=colour, linewidth=1)


def _legend(fig, ax, lines=None):
    """A legend below the figure; `lines` names what line styles mean, whatever the colour."""
    handles, labels = ax.get_legend_handles_labels()
    handles += [plt.Line2D([], [], color="black", linestyle=line, linewidth=1) for line in (lines or {}).values()]
    labels += list(lines or {})
    fig.legend(handles, labels, loc="outside lower center", ncol=len(labels), frameon=False)
