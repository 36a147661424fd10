"""Figures of the token distribution shift: the coloured caption, the bins of base rank, the divergence."""

import html

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import HTML
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from avnb.plots.style import PALETTE

# One hue from light to dark: the order of the bins, for colour-blind readers and in print too.
BINS = {
    "unshifted": ("rank 1", "#E4E1F0", "#000000"),
    "marginal": ("rank 2 or 3", "#A9A1CF", "#000000"),
    "shifted": ("rank above 3", "#4A2A86", "#FFFFFF"),
}
LOOKS = {
    "base model": (PALETTE["other"], "D"),
    "without audio": (PALETTE["video"], "o"),  # what is left are the pictures
    "other audio": (PALETTE["audio"], "s"),
    "text only": (PALETTE["text"], "^"),
    "base, text only": (PALETTE["control"], "v"),
}
_KL = {"kl": "KL (model || baseline), nats", "kl_reverse": "KL (baseline || model), nats"}
_TOKEN = "background:{};color:{};border-radius:3px;padding:1px 2px;margin:0 1px"


def caption(table, clip, baselines=None):
    """The answer about a clip with every token coloured by its bin, once for each baseline (figure 7).

    Words that name audio events are bold, with a tick if the event is heard and a cross if it is not. Each token tells
    its rank and KL when pointed at; the same numbers unfold below as a table. It needs neither a kernel nor scripts.

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
        '<span style="flex:1 1 18em;white-space:pre-wrap;line-height:1.9">'
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
        f'<div style="overflow-x:auto">{numbers}</div></details></figure>'
    )


def bins(summary, groups=("audio events", "first of an event"), published=None):
    """How many tokens each baseline would have said too: bars of the bins, for groups of tokens and kinds of clips.

    Args:
        summary: DataFrame from `tokens.summary`.
        groups: the groups of tokens, a row of panels each.
        published: shares of the study, {"unshifted": ..., "within top 3": ...}, to be marked in the first row.

    Returns:
        The figure.
    """
    table = summary[summary["group"].isin(groups)]
    kinds = summary["kind"].unique()
    size = 4.1 * len(kinds), 1 + 1.9 * len(groups)
    fig, axes = plt.subplots(len(groups), len(kinds), figsize=size, sharex=True, squeeze=False, layout="constrained")
    for row, group in zip(axes, groups, strict=True):
        for ax, kind in zip(row, kinds, strict=True):
            here = table[(table["kind"] == kind) & (table["group"] == group)].set_index(["quantity", "against"])
            _stack(ax, here)
            n = here["n"].max() if len(here) else 0
            ax.set(title=f"{group}, {kind} (n = {n})", xlim=(0, 1))
            ax.label_outer()
    if published:
        for ax in axes[0]:
            ax.plot(list(published.values()), [-0.42] * len(published), "v", color="black", markersize=6, clip_on=False)
    for ax in axes[-1]:
        ax.set_xlabel("share of tokens")
    handles = [Patch(fc=colour, ec="#555555", label=f"{name} ({what})") for name, (what, colour, _) in BINS.items()]
    if published:
        handles.append(Line2D([], [], color="black", marker="v", linestyle="", label="the study: rank 1, top 3"))
    fig.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    said = table[(table["group"] == groups[-1]) & (table["quantity"] == "unshifted")]
    said = said[said["against"] == said["against"].iloc[0]] if len(said) else said
    found = ", ".join(f"{row.mean:.0%} ({row.kind})" for row in said.itertuples())
    fig.suptitle(f"{groups[-1].capitalize()}: the base would have said {found or 'none'}", fontsize="medium")
    return fig


def _stack(ax, shares):
    """Stacked bars of the bins, one for each baseline, with the intervals of where the first two bins end."""
    if shares.empty:
        return
    ends = {"unshifted": shares.loc["unshifted"], "marginal": shares.loc["within top 3"]}
    baselines, start = ends["unshifted"].index, 0.0
    for name, stop in {**{name: end["mean"] for name, end in ends.items()}, "shifted": 1.0}.items():
        ax.barh(baselines, stop - start, left=start, height=0.62, color=BINS[name][1], ec="#555555", linewidth=0.6)
        start = stop
    for offset, end in zip((-0.12, 0.12), ends.values(), strict=True):
        reach = [end["mean"] - end["low"], end["high"] - end["mean"]]
        at = [i + offset for i in range(len(baselines))]
        for colour, width in (("white", 3.6), ("black", 1.4)):  # the rim keeps it visible on dark bars
            looks = {"ecolor": colour, "elinewidth": width, "capthick": width, "capsize": 3}
            ax.errorbar(end["mean"], at, xerr=reach, fmt="none", **looks)
    ax.invert_yaxis()
    ax.tick_params(axis="y", length=0)


def divergence(summary, quantity="kl"):
    """KL divergence from each baseline for each group of tokens, for each kind of clip, with 95 % intervals.

    Args:
        summary: DataFrame from `tokens.summary`.
        quantity: "kl" (model || baseline) or "kl_reverse" (baseline || model).

    Returns:
        The figure.
    """
    table = summary[summary["quantity"] == quantity]
    kinds, groups, baselines = (table[name].unique() for name in ("kind", "group", "against"))
    fig, axes = plt.subplots(
        1, len(kinds), figsize=(4.6 * len(kinds), 4.4), sharex=True, squeeze=False, layout="constrained"
    )
    for ax, kind in zip(axes[0], kinds, strict=True):
        here = table[table["kind"] == kind].set_index(["against", "group"])
        for i, baseline in enumerate(baselines):
            if baseline not in here.index.get_level_values("against"):
                continue
            points = here.loc[baseline].reindex(groups)
            at = [row + 0.17 * (i - (len(baselines) - 1) / 2) for row in range(len(groups))]
            reach = [points["mean"] - points["low"], points["high"] - points["mean"]]
            colour, marker = LOOKS[baseline]
            ax.errorbar(
                points["mean"], at, xerr=reach, fmt=marker, color=colour, markersize=5, capsize=2, label=baseline
            )
        n = here.loc[baselines[0], "n"].reindex(groups).fillna(0).astype(int)
        ax.set(yticks=range(len(groups)), yticklabels=[f"{group} (n = {n[group]})" for group in groups], title=kind)
        ax.set(ylim=(len(groups) - 0.5, -0.5), xlabel=_KL[quantity])
        ax.grid(axis="x", color="#DDDDDD", linewidth=0.6)
        ax.tick_params(axis="y", length=0)
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(baselines), frameon=False)
    named = table[(table["group"] == "audio events") & (table["against"] == baselines[0])]
    found = ", ".join(f"{row.mean:.2f} nats ({row.kind})" for row in named.itertuples())
    fig.suptitle(f"KL of audio events from the {baselines[0]}: {found or 'none were named'}", fontsize="medium")
    return fig


def _token(row):
    says = f"rank {row['base_rank']}, KL {row['kl']:.2f} nats; most probable: {row['base_token'].strip() or 'a space'}"
    text, mark = html.escape(row["token"]), ""
    if row["is_audio"]:
        says += f"; names {row['event']}, which is {'heard' if row['right'] else 'not heard'}"
        text, mark = f"<b>{text}</b>", f"<sup>{'✓' if row['right'] else '✗'}</sup>"
    _, *colours = BINS[row["bin"]]
    return f'<span title="{html.escape(says, quote=True)}" style="{_TOKEN.format(*colours)}">{text}{mark}</span>'
