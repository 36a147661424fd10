"""Figures of the token distribution shift: the coloured caption, the bins of base rank, the divergence."""

import html

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import HTML
from matplotlib.lines import Line2D

from avnb.plots.style import KINDS, PALETTE, SHADE

# One hue from light to dark: the order of the bins, for colour-blind readers and in print too.
BINS = {
    "unshifted": ("rank 1", "#E4E1F0", "#000000"),
    "marginal": ("rank 2 or 3", "#A9A1CF", "#000000"),
    "shifted": ("rank above 3", "#4A2A86", "#FFFFFF"),
}
LOOKS = {  # black with a clip, grey without any; blue and orange are about what is named, not about what is taken away
    "base model": (PALETTE["other"], "D"),
    "without audio": (PALETTE["other"], "o"),
    "other audio": (PALETTE["other"], "s"),
    "text only": (PALETTE["text"], "^"),
    "base, text only": (PALETTE["text"], "v"),
}
FEWEST = 10  # clips that a row of a figure needs
_KL = {"kl": "KL (model || the other), nats", "kl_reverse": "KL (the other || model), nats"}
# What a token says, at the foot of the screen, for those who come to it by the keyboard or with a finger.
_FOCUS = (
    ".avnb-token:focus{outline:2px solid currentColor}.avnb-token:focus::after{content:attr(data-says);position:fixed;"
    "left:1rem;right:1rem;bottom:1rem;z-index:9;padding:.5rem .8rem;border-radius:6px;background:#111;color:#fff;"
    "border:1px solid #fff;white-space:normal;font-size:1rem}"
)
_TOKEN = "background:{};color:{};border-radius:3px;padding:1px 2px;margin:0 1px"


def caption(table, clip, baselines=None):
    """The answer about a clip with every token coloured by its bin, once for each baseline (figure 7).

    Words that name audio events are bold, with a tick if the event is heard and a cross if it is not. Each token tells
    its rank and KL when pointed at or touched, and those that name events when the keyboard comes to them; the same
    numbers unfold below as a table. It needs neither a kernel nor scripts.

    Args:
        table: DataFrame from `tokens.shift`.
        clip: a `Clip` or its id.
        baselines: which, in this order; default all that the table has.

    Returns:
        IPython.display.HTML; show it by ending a cell with it.

    Raises:
        ValueError: the table has no tokens of this clip, or no such baseline.

    Example:
        >>> row = {"token": " a dog", "base_rank": 1, "kl": 0.1, "base_token": " a dog", "bin": "unshifted"}
        >>> row |= {"event": "dog", "is_audio": True, "right": True, "clip": "0", "against": "base model", "step": 0}
        >>> "rank 1, KL 0.10 nats" in caption(pd.DataFrame([row]), "0").data
        True
    """
    name = getattr(clip, "id", clip)
    rows = table[table["clip"] == name]
    if rows.empty:
        raise ValueError(f"the table has no tokens of clip {name!r}; it has clips such as {table['clip'].iloc[0]!r}")
    if baselines is None:
        baselines = rows["against"].unique()
    if unknown := [one for one in baselines if one not in set(rows["against"])]:
        raise ValueError(f"the table has no baseline {unknown[0]!r}; use some of {', '.join(rows['against'].unique())}")
    lines = {one: rows[rows["against"] == one].sort_values("step") for one in baselines}
    shown = "".join(
        '<div style="display:flex;flex-wrap:wrap;gap:0 0.75rem;margin:0.4rem 0">'
        f'<span style="flex:0 0 8.5em;opacity:0.8">{html.escape(name)}</span>'
        '<span style="flex:1 1 18em;min-width:0;white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.9">'
        f"{''.join(map(_token, rows.to_dict('records')))}</span></div>"
        for name, rows in lines.items()
    )
    names = {"token": "token", "base_rank": "rank", "kl": "KL (nats)", "base_token": "most probable"}
    numbers = pd.concat([rows.assign(against=name) for name, rows in lines.items()])[["against", *names]]
    numbers = numbers.rename(columns=names).to_html(index=False, border=0, float_format="{:.2f}".format)
    keys = "".join(
        f'<span style="{_TOKEN.format(*colours)};margin-right:0.6em">{name}: {what}</span>'
        for name, (what, *colours) in BINS.items()
    )
    return HTML(
        f'<figure style="margin:0.5rem 0">{shown}<figcaption style="font-size:0.9em;margin-top:0.5rem;line-height:1.9">'
        f"{keys}<b>bold</b>: names an audio event, ✓ heard, ✗ not heard</figcaption>"
        '<details style="font-size:0.9em"><summary>Rank and KL of every token</summary>'
        f'<div style="overflow-x:auto">{numbers}</div></details><style>{_FOCUS}</style></figure>'
    )


def bins(summary, group="first of an event", published=None):
    """How many tokens of a group each baseline would have said too, for each kind of clips, with 95 % intervals.

    Args:
        summary: DataFrame from `tokens.summary`.
        group: the group of tokens.
        published: shares of the study, {"unshifted": ..., "within top 3": ...}, to be marked.

    Returns:
        The figure.
    """
    table = summary[summary["group"] == group]
    kinds, baselines = table["kind"].unique(), list(table["against"].unique())
    size = (3.2 * max(len(kinds), 1) + 1.4, 1.7 + 0.4 * len(baselines))
    fig, axes = plt.subplots(1, max(len(kinds), 1), figsize=size, sharey=True, squeeze=False, layout="constrained")
    for ax, kind in zip(axes[0], kinds, strict=False):
        for quantity, shift, face in (("unshifted", -0.13, PALETTE["other"]), ("within top 3", 0.13, "white")):
            rows = table[(table["kind"] == kind) & (table["quantity"] == quantity)]
            at = [baselines.index(name) + shift for name in rows["against"]]
            ax.hlines(at, rows["low"], rows["high"], color=PALETTE["other"], linewidth=1.2)
            ax.plot(rows["mean"], at, "o", color=PALETTE["other"], markerfacecolor=face, markersize=6)
            if published:
                ax.axvline(
                    published[quantity], color=PALETTE["text"], linestyle=":" if shift > 0 else "--", linewidth=1
                )
        n = int(table.loc[table["kind"] == kind, "n"].max())
        ax.set(title=f"{KINDS.get(kind, kind)} (n = {n})", xlim=(-0.02, 1.02), xlabel="share of tokens")
        ax.tick_params(axis="y", length=0)
    axes[0, 0].set_yticks(range(len(baselines)), baselines)
    axes[0, 0].set_ylim(len(baselines) - 0.5, -0.5)
    point = {"marker": "o", "linestyle": "", "color": PALETTE["other"]}
    handles = [
        Line2D([], [], **point, label="most probable there too (rank 1)"),
        Line2D([], [], **point, markerfacecolor="white", label="among the first three"),
    ]
    if published:
        handles.append(Line2D([], [], color=PALETTE["text"], linestyle="--", label="the study: rank 1 (dotted: top 3)"))
    fig.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, handletextpad=0.4, columnspacing=1)
    said = table[(table["quantity"] == "unshifted") & (table["against"] == (baselines or [""])[0])]
    found = ", ".join(f"{round(row.mean, 2):.0%} in {KINDS.get(row.kind, row.kind)}" for row in said.itertuples())
    fig.suptitle(f"A deaf base would have said the same: {found or 'no token was found'}")
    return fig


def divergence(summary, quantity="kl"):
    """KL divergence from each baseline for each group of tokens, for each kind of clip, with 95 % intervals.

    Args:
        summary: DataFrame from `tokens.summary`.
        quantity: "kl" (model || baseline) or "kl_reverse" (baseline || model).

    Returns:
        The figure.
    """
    table = summary[summary["quantity"] == quantity]
    kinds, baselines = table["kind"].unique(), table["against"].unique()
    enough = table.groupby("group", sort=False)["n"].max() >= min(FEWEST, table["n"].max())
    groups = enough.index[enough]
    size = (3.9 * len(kinds) + 0.6, 1.6 + 0.55 * len(groups))
    fig, axes = plt.subplots(1, len(kinds), figsize=size, sharex=True, squeeze=False, layout="constrained")
    for ax, kind in zip(axes[0], kinds, strict=True):
        here = table[table["kind"] == kind].set_index(["against", "group"])
        for i, baseline in enumerate(baselines):
            if baseline not in here.index.get_level_values("against"):
                continue
            points = here.loc[baseline].reindex(groups)
            at = [row + 0.17 * (i - (len(baselines) - 1) / 2) for row in range(len(groups))]
            reach = [points["mean"] - points["low"], points["high"] - points["mean"]]
            colour, marker = LOOKS[baseline]
            face = {"markerfacecolor": colour if "base" in baseline else "white"}
            looks = {"fmt": marker, "color": colour, "markersize": 5, "linewidth": 1.1, "label": baseline}
            ax.errorbar(points["mean"], at, xerr=reach, **looks, **face)
        n = here.loc[baselines[0], "n"].reindex(groups).fillna(0).astype(int)
        ax.set(yticks=range(len(groups)), title=KINDS.get(kind, kind))
        ax.set_yticklabels([f"{group} (n = {n[group]})" for group in groups], fontsize=8.5)
        ax.set(ylim=(len(groups) - 0.5, -0.5), xlabel=_KL[quantity])
        ax.grid(axis="x", color=SHADE, linewidth=0.6)
        ax.tick_params(axis="y", length=0)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=len(baselines), frameon=False, columnspacing=1)
    named = table[(table["group"] == "audio events") & (table["against"] == baselines[0])]
    found = ", ".join(f"{row.mean:.1f} nats in {KINDS.get(row.kind, row.kind)}" for row in named.itertuples())
    fig.suptitle(f"Words that name sounds are far from the {baselines[0]}: {found or 'none were named'}")
    return fig


def _token(row):
    says = f"rank {row['base_rank']}, KL {row['kl']:.2f} nats; most probable: {row['base_token'].strip() or 'a space'}"
    text, mark = html.escape(row["token"].replace("\n", "⏎").replace("\ufffd", "·") or "·"), ""
    if row["is_audio"]:
        says += f"; names {row['event']}, which is {'heard' if row['right'] else 'not heard'}"
        text, mark = f"<b>{text}</b>", f"<sup>{'✓' if row['right'] else '✗'}</sup>"
    _, *colours = BINS[row["bin"]]
    says = html.escape(says, quote=True)
    name = html.escape(row["token"].strip() or "a space", quote=True)
    return (
        f'<span class="avnb-token" tabindex="{0 if row["is_audio"] else -1}" role="note" aria-label="{name}: {says}" '
        f'title="{says}" data-says="{name}: {says}" style="{_TOKEN.format(*colours)}">{text}{mark}</span>'
    )
