"""Figures of a published model are as legible as those of a small one: 36 layers, 28 heads, long answers."""

import itertools

import matplotlib
import numpy as np
import pandas as pd
import pytest

matplotlib.use("agg")

from avnb import attention, layers, plots

N_LAYERS, N_HEADS = 36, 28
N_WORDS = 60  # tokens of an answer
WIDEST = 10.5  # inches: what a page of the book shows without shrinking letters to nothing
RNG = np.random.default_rng(0)
CLIPS, KINDS = ("a", "b"), {"a": "factual", "b": "counterfactual"}  # intervals have tests of their own
SPANS = layers.cumulative(N_LAYERS, stride=4)
CUTS = ["video", "audio", "video+audio", "query"]
WORDS = [" the", " thunderstorm", " grumbles", " continuously", " over", " a", " motorcycle", " accelerating"]


def crossed(low=0.0, high=1.0, **axes):
    """A row of random values for each combination."""
    table = pd.DataFrame(itertools.product(CLIPS, *axes.values()), columns=["clip", *axes])
    return table.assign(value=RNG.uniform(low, high, len(table)), kind=table["clip"].map(KINDS))


def shares(**axes):
    return crossed(group=plots.attention.GROUPS, **axes).assign(null=0.33)


def cut(quantity=None, blocked=CUTS, spans=SPANS, **values):
    """What cuts do, as from `knockout.change`."""
    names = [*blocked, *(f"control: {name}" for name in blocked)]
    table = crossed(-30, 30, blocked=names, span=spans, **({"quantity": quantity} if quantity else {}))
    table[["start", "stop"]] = table.pop("span").tolist()
    return table.assign(question="Describe what you hear.", modality="audio", **values)


def knocked_out():
    free = pd.DataFrame({"clip": CLIPS, "value": 0.5, "blocked": "nothing", "start": 0, "stop": 0})
    table = pd.concat([cut(), free.assign(kind="counterfactual", modality="audio")])
    shapes = {
        "blocked: the first … layers": SPANS,
        "middle of the window of 4 layers": layers.windows(N_LAYERS, 4, stride=4),
        "blocked: from layer … to the last": layers.cumulative(N_LAYERS, "last", stride=8),
    }
    return plots.knockout.curves(table.assign(value=table["value"].abs() / 30), shapes, "The picture changes fidelity")


def flow():
    spans = [*layers.windows(N_LAYERS, 9, stride=9), (0, N_LAYERS)]
    edges = [f"{a} > {b}" for a, b in itertools.permutations(("audio", "video", "question"), 2)]
    edges += [f"{a} > answer" for a in ("audio", "video", "question")]
    return plots.knockout.flow(cut(["margin"], edges, spans), spans[:-1], N_LAYERS)


def story():
    cells = pd.DataFrame(itertools.product(range(N_LAYERS), range(250), (1, 2)), columns=["layer", "position", "rank"])
    names = RNG.choice(["", "heard", "seen", "heard and seen"], len(cells), p=[0.7, 0.1, 0.1, 0.1])
    cells = cells.assign(token=RNG.choice(WORDS, len(cells)), probability=0.5, target=names)
    return plots.lens.story(cells, np.zeros(160_000, np.float32) + 0.01, "The audio positions name what is heard")


def ranked(**options):
    groups = ["audio", "video", "last"]
    return crossed(group=groups, target=list(plots.lens.COLOURS), layer=range(N_LAYERS), **options)


def patched():
    looks = list(plots.lens._PATCHES)
    table = pd.concat(
        crossed(instead=[instead], quantity=[quantity], start=range(N_LAYERS)) for instead, quantity in looks
    )
    free = pd.DataFrame({"clip": CLIPS, "instead": "nothing", "quantity": "heard", "start": 0, "value": 0.5})
    return plots.lens.patched(pd.concat([table, free]), "What is put in, and what is named")


def kept_apart():
    table = shares(layer=range(N_LAYERS))
    positions = pd.DataFrame({"clip": "a", "position": range(3265), "type": "video"})
    positions["ratio"] = RNG.uniform(0.1, 50, len(positions))
    return plots.attention.without_sinks(table, table, positions, 10)


def shifted():
    groups = ["all", "audio events", "first of an event", "right", "hallucinated", "as many at random"]
    axes = {"against": list(plots.tokens.LOOKS), "group": groups, "quantity": ["unshifted", "within top 3", "kl"]}
    table = pd.DataFrame(itertools.product(["factual", "counterfactual"], *axes.values()), columns=["kind", *axes])
    return table.assign(mean=0.5, low=0.3, high=0.7, n=100)


def steps(**axes):
    table = shares(layer=range(N_LAYERS), step=range(N_WORDS))
    return table.assign(token=[WORDS[step % len(WORDS)] for step in table["step"]])


FIGURES = {
    "attention.curves": lambda: plots.attention.curves(
        dict.fromkeys(("here", "control: labels shuffled"), shares(layer=range(N_LAYERS))), published=True
    ),
    "attention.heads": lambda: plots.attention.heads(
        attention.head_preferences(shares(layer=range(N_LAYERS), head=range(N_HEADS)))
    ),
    "attention.steps": lambda: plots.attention.steps(steps().query("clip == 'a'")),
    "attention.preferences": lambda: plots.attention.preferences(
        {"ordinary clips": crossed(-1, layer=range(N_LAYERS)), "control": crossed(-1, layer=range(N_LAYERS))}
    ),
    "attention.fine": lambda: plots.attention.fine(
        crossed(group=list(plots.attention.TYPES), layer=range(N_LAYERS)).assign(null=0.1)
    ),
    "attention.over_steps": lambda: plots.attention.over_steps(steps()),
    "attention.without_sinks": kept_apart,
    "knockout.curves": knocked_out,
    "knockout.published": lambda: plots.knockout.published(cut(), SPANS, "Published, and here"),
    "knockout.words": lambda: plots.knockout.words(
        cut(["right", "distractor"], CUTS[:2]), SPANS, "the first … layers", "Two captions"
    ),
    "knockout.panels": lambda: plots.knockout.panels(
        cut(), SPANS, "the first … layers", dict.fromkeys(["ordinary, hear", "conflicting, see"], {}), "Two panels"
    ),
    "knockout.flow": flow,
    "lens.story": story,
    "lens.patched": patched,
    "lens.recall_curves": lambda: plots.lens.recall_curves(ranked(), 3, "The share that is named"),
    "lens.readouts": lambda: plots.lens.readouts(
        ranked().rename(columns={"group": "readout"}).replace({"audio": "lens", "video": "heard", "last": "shuffled"}),
        3,
        "The lens and two probes",
    ),
    "lens.rank_curves": lambda: plots.lens.rank_curves(ranked(high=5), "How close each layer is to naming it"),
    "tokens.bins": lambda: plots.tokens.bins(shifted(), published={"unshifted": 0.6, "within top 3": 0.8}),
    "tokens.divergence": lambda: plots.tokens.divergence(shifted()),
}  # fmt: skip


@pytest.fixture(autouse=True)
def closed():
    yield
    matplotlib.pyplot.close("all")


def boxes(texts):
    """The places of texts that are there, in pixels, a little smaller than drawn: they may touch."""
    return [(text.get_text(), text.get_window_extent().padded(-1)) for text in texts if text.get_text().strip()]


def covered(placed):
    """Pairs of neighbours that lie over each other."""
    return [(a, b) for (a, one), (b, other) in itertools.pairwise(placed) if one.overlaps(other)]


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_of_a_deep_model_is_legible(name):
    plots.style()
    fig = FIGURES[name]()
    fig.draw_without_rendering()
    assert fig.get_figwidth() <= WIDEST
    for ax in fig.axes:
        for axis in (ax.xaxis, ax.yaxis):
            shown = [tick.label1 for tick in axis.get_major_ticks() if tick.label1.get_visible()]
            upright = [label for label in shown if label.get_rotation() == 0]  # the boxes of others say too little
            assert not covered(boxes(upright)), f"ticks of {ax.get_title() or name}"
    titles = [title for ax in fig.axes for title in (ax.title, ax._left_title)]
    assert not covered(boxes(titles)), "titles of panels"
