"""Figures of attention knockout, from the tables of `avnb.knockout`."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.patches import FancyArrowPatch

from avnb.analyses.changes import CONTROL, NOTHING, effect
from avnb.paper import MODEL, knockout_curves
from avnb.plots.style import INK, KINDS, PALETTE
from avnb.stats import standing, summarise

LABELS = {"video": "the picture", "audio": "the sound", "video+audio": "both", "query": "the question"}
CHANGE = sns.blend_palette(["#762A83", "#F7F7F7", "#1B7837"], as_cmap=True)  # no modality's colour

# Below: what is compared with, without bands; above: what is asked about.
_LOOKS = {
    CONTROL + "video": (PALETTE["control"], "--", "o"),
    CONTROL + "audio": (PALETTE["control"], ":", "s"),
    "query": (PALETTE["text"], ":", "v"),
    "video+audio": (PALETTE["other"], "-", "^"),
    "audio": (PALETTE["audio"], "-", "s"),
    "video": (PALETTE["video"], "-", "o"),
}
_PLACES = {"audio": (0, 1), "video": (0, 0), "question": (0.9, 0.5), "answer": (1.9, 0.5)}
_CURVED = {("audio", "video"): -0.25, ("video", "audio"): -0.25, ("audio", "answer"): -0.25, ("video", "answer"): 0.25}
_SCORES = {
    "margin": "the margin",
    "right": "the log-probability of the right caption",
    "distractor": "that of the distractor",
}


def curves(table, shapes, title):
    """Fidelity under every cut by where it lies, with intervals over clips, no cut, and the controls (means).

    Args:
        table: of `knockout.sweep`, for one kind of clips, one question and one modality.
        shapes: label of an axis -> the spans on it, of `layers.windows` or `layers.cumulative`.
        title: of the figure; n is added.

    Returns:
        The figure.
    """
    fig, axes = _beside(len(shapes))
    baseline = summarise(table[table["blocked"] == NOTHING], "blocked").iloc[0]
    for ax, (label, spans) in zip(axes, shapes.items(), strict=True):
        ax.axhspan(baseline["low"], baseline["high"], color="black", alpha=0.06, linewidth=0)
        ax.axhline(baseline["mean"], color="black", linewidth=1, label="nothing blocked")
        for blocked, look in _LOOKS.items():
            _curve(ax, table[table["blocked"] == blocked], spans, look, _name(blocked), band=look[1] == "-")
        ax.set(xlabel=label)
    axes[0].set(ylabel=f"{table['modality'].iloc[0]} fidelity", ylim=(-0.03, 1.03))
    fig.suptitle(f"{title} (n = {baseline['n']})")
    return _legend(fig, axes[0])


def panels(changes, spans, xlabel, columns, title):
    """Change of fidelity under every cut, one panel for each kind of clips and question.

    Args:
        changes: of `knockout.change`.
        spans: the spans along the horizontal axis.
        xlabel: what that axis is.
        columns: title -> the columns and values of its panel, e.g. {"kind": "factual", "modality": "audio"}.
        title: of the figure.

    Returns:
        The figure.
    """
    fig, axes = _beside(len(columns))
    for ax, (panel, where) in zip(axes, columns.items(), strict=True):
        rows = changes[(changes[list(where)] == pd.Series(where)).all(axis=1)]
        ax.axhline(0, color="black", linewidth=1)
        for blocked, look in _LOOKS.items():
            _curve(ax, rows[rows["blocked"] == blocked], spans, look, _name(blocked), band=look[1] == "-")
        ax.set(xlabel=xlabel, title=f"{panel} (n = {rows['clip'].nunique()})")
    axes[0].set(ylabel="change of fidelity", ylim=(-1.05, 1.05))
    fig.suptitle(title)
    return _legend(fig, axes[0])


def published(changes, spans, title):
    """The curves of the study (squares, read off its plots) and those measured here, by relative depth.

    Args:
        changes: of `knockout.change`, with one question for each modality.
        spans: the spans that start with the first layer.
        title: of the figure.

    Returns:
        The figure.
    """
    theirs = knockout_curves()
    cells = [(kind, modality) for kind in ("counterfactual", "factual") for modality in ("audio", "video")]
    n_layers = max(stop for _, stop in spans)
    fig, axes = _beside(len(cells), 2.5)
    for ax, (kind, modality) in zip(axes, cells, strict=True):
        ax.axhline(0, color="black", linewidth=1)
        for blocked in ("video", "audio"):
            here = changes[(changes["kind"] == kind) & (changes["modality"] == modality)]
            here = here[here["blocked"] == blocked]
            colour, line, _ = _LOOKS[blocked]
            _curve(ax, here, spans, (colour, line, "o"), f"{LABELS[blocked]} blocked, here", n_layers)
            points = theirs[
                (theirs["kind"] == kind) & (theirs["modality"] == modality) & (theirs["blocked"] == blocked)
            ]
            ax.plot(
                points["depth"], points["value"], ":s", color=colour, markersize=3.5, linewidth=1, alpha=0.8,
                label=f"{LABELS[blocked]} blocked, {MODEL}",
            )  # fmt: skip
        ax.set(title=f"{KINDS[kind]},\n{modality}", xlim=(0, 1.02), xlabel="end of the span / layers")
    axes[0].set(ylabel="change of fidelity", ylim=(-1.05, 1.05))
    fig.suptitle(title)
    return _legend(fig, axes[0], columns=2)


def words(changes, spans, xlabel, title):
    """Change of the log-probability of the right caption and of the distractor's, one panel for each cut.

    Args:
        changes: of `knockout.change`, from `knockout.scores` for one kind of clips.
        spans, xlabel, title: as in `panels`.

    Returns:
        The figure.
    """
    is_sound = changes["question"].str.contains("hear").iloc[0]
    right, other = (PALETTE["audio"], PALETTE["video"]) if is_sound else (PALETTE["video"], PALETTE["audio"])
    looks = {"right": (right, "o"), "distractor": (other, "s")}
    cuts = [name for name in dict.fromkeys(changes["blocked"]) if not name.startswith(CONTROL)]
    fig, axes = _beside(len(cuts))
    for ax, blocked in zip(axes, cuts, strict=True):
        ax.axhline(0, color="black", linewidth=1)
        for name, (colour, marker) in looks.items():
            rows = changes[changes["quantity"] == name]
            _curve(ax, rows[rows["blocked"] == blocked], spans, (colour, "-", marker), f"{name} caption")
            control = rows[rows["blocked"] == CONTROL + blocked]
            _curve(ax, control, spans, (colour, ":", None), f"{name} caption, control", band=False)
        ax.set(xlabel=xlabel, title=f"{_name(blocked)} blocked (n = {changes['clip'].nunique()})")
    axes[0].set(ylabel="change of log-probability (nats)")
    fig.suptitle(title)
    return _legend(fig, axes[0])


def flow(changes, spans, n_layers, clusters=None):
    """The information-flow map: what each edge carries in all layers, and where.

    Args:
        changes: of `knockout.change`, from `knockout.flow`, one of its quantities ("margin", or "right" for clips
            without a distractor) and one kind of clips.
        spans: the windows along the horizontal axis; all layers at once are added.
        n_layers: of the decoder.
        clusters: as in `stats.interval`, a Series indexed by clip.

    Returns:
        The figure: arrows as wide as the change that cutting them makes, grey where it does not stand out from the
        control (`stats.standing`, all cells at once), dashed for edges that have none; and a heat map of edges by
        layers, a dot where the change stands out. The title names the largest of those that do, in all layers.
    """
    whole = (0, n_layers)
    spans = [*spans, whole]
    of = _SCORES[changes["quantity"].iloc[0]]
    edges = [name for name in dict.fromkeys(changes["blocked"]) if not name.startswith(CONTROL)]
    cells = {(edge, span): effect(changes, edge, span) for edge in edges for span in spans}
    controlled = [edge for edge in edges if (changes["blocked"] == CONTROL + edge).any()]
    judged = [(edge, span) for edge in controlled for span in spans]
    effects = pd.DataFrame({i: cells[cell] for i, cell in enumerate(judged)})
    controls = pd.DataFrame({i: effect(changes, CONTROL + edge, span) for i, (edge, span) in enumerate(judged)})
    stands = dict(zip(judged, standing(effects, controls, clusters=clusters) if judged else [], strict=True))
    means = pd.DataFrame({span: {edge: cells[edge, span].mean() for edge in edges} for span in spans})
    fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), width_ratios=(1.15, 1), layout="constrained")
    _arrows(left, {edge: (means[whole][edge], stands.get((edge, whole))) for edge in edges})
    top = max(means.abs().to_numpy().max(), 1e-6)
    labels = [*(f"{a}–{z - 1}" if z - a > 1 else f"{a}" for a, z in spans[:-1]), "all"]
    sns.heatmap(
        means, ax=right, cmap=CHANGE, vmin=-top, vmax=top, annot=True, fmt="+.1f", annot_kws={"size": 8},
        linewidths=0.5, xticklabels=labels, yticklabels=[edge.replace(">", "→") for edge in edges],
        cbar_kws={"label": f"change of {of} (nats)"},
    )  # fmt: skip
    at = [(x + 0.5, y + 0.88) for y, e in enumerate(edges) for x, span in enumerate(spans) if stands.get((e, span))]
    right.scatter(*zip(*at, strict=True) if at else ([], []), s=7, color=INK)
    right.set(xlabel="layers in which the edge is cut", ylabel="")
    right.tick_params(rotation=0)
    title = "Cut in all layers, no edge stands out from its control"
    if clear := [edge for edge in controlled if stands[edge, whole]]:
        most = max(clear, key=lambda edge: abs(means[whole][edge]))
        title = f"Of the edges with a control, {most.replace('>', '→')} carries most: {means[whole][most]:+.1f} nats"
    fig.suptitle(title)
    n = len(cells[edges[0], whole])
    left.set_title(f"cut in all layers: change of {of} (nats)", fontsize=10)
    right.set_title(f"dot: stands out from its control (n = {n})", fontsize=10)
    return fig


def _arrows(ax, found):
    top = max(abs(mean) for mean, _ in found.values()) or 1
    for edge, (mean, stands) in found.items():
        sender, receiver = edge.split(" > ")
        start, end = _PLACES[sender], _PLACES[receiver]
        bend = _CURVED.get((sender, receiver), 0)
        colour = PALETTE["control"] if stands is False else PALETTE.get(sender, PALETTE["text"])
        size = abs(mean) / top
        ax.add_patch(
            FancyArrowPatch(
                start, end, connectionstyle=f"arc3,rad={bend}", arrowstyle="-|>", mutation_scale=10 + 8 * size,
                linewidth=0.8 + 7 * size, color=colour, shrinkA=30, shrinkB=30, zorder=1, alpha=0.85,
                linestyle=(0, (1.2, 0.8)) if stands is None else "-", capstyle="butt",
            )
        )  # fmt: skip
        (x0, y0), (x1, y1) = start, end
        middle = (x0 + x1) / 2 + bend * (y1 - y0) / 2, (y0 + y1) / 2 - bend * (x1 - x0) / 2
        box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.9}
        ax.text(*middle, f"{mean:+.1f}", ha="center", va="center", fontsize=9, bbox=box, zorder=3)
    for name, place in _PLACES.items():
        colour = PALETTE.get(name, PALETTE["text"])
        box = {"boxstyle": "round,pad=0.45", "facecolor": "white", "edgecolor": colour, "linewidth": 2}
        ax.text(*place, name, ha="center", va="center", bbox=box, zorder=4)
    ax.set(xlim=(-0.45, 2.3), ylim=(-0.35, 1.35))
    ax.axis("off")


def _curve(ax, rows, spans, look, label, n_layers=None, band=True):
    """The mean of rows by span, with its interval; nothing if the rows hold none of the spans."""
    colour, line, marker = look
    spans = list(spans)
    rows = rows[pd.MultiIndex.from_frame(rows[["start", "stop"]]).isin(spans)]
    if rows.empty:
        return
    found = summarise(rows, ["start", "stop"])
    x = _along(found, spans)
    order = x.argsort()
    found, x = found.iloc[order], x.iloc[order] / (n_layers or 1)
    if band:
        ax.fill_between(x, found["low"], found["high"], color=colour, alpha=0.15, linewidth=0)
    ax.plot(x, found["mean"], line, color=colour, marker=marker, markersize=4, label=label)


def _along(found, spans):
    """Where spans lie: the end that moves, or the middle if both do."""
    starts, stops = (set(some) for some in zip(*spans, strict=True))
    if len(starts) == 1:
        return found["stop"]
    return found["start"] if len(stops) == 1 else (found["start"] + found["stop"]) / 2


def _beside(n, width=3.1):
    fig, axes = plt.subplots(1, n, figsize=(width * n, 3.1), sharey=True, squeeze=False, layout="constrained")
    return fig, axes[0]


def _legend(fig, ax, columns=4):
    handles, labels = ax.get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncol=min(columns, len(labels)), frameon=False, fontsize=9)
    return fig


def _name(blocked):
    control = blocked.startswith(CONTROL)
    group = blocked.removeprefix(CONTROL)
    return (f"control: as many as {LABELS.get(group, group)}") if control else LABELS.get(group, group)
