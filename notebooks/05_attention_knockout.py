# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,-all
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   avnb:
#     batch: true
# ---

# %% [markdown]
# # What does an answer say if it may not look?
#
# **Attention shows where an answer looks; taking the look away, layer by layer, shows what it needs.**
#
# If a model names the sound of what it sees, although something else is to be heard, then either the sound never
# arrived, or the picture outshouts it. The two can be told apart: keep the answer from attending to the picture. If the
# sound then comes out, it was there all along.

# %% tags=["parameters"]
model = "toy-omni"
dataset = "toybox"
n = 24  # clips, half of them counterfactual
seed = 0
source = (
    "last+generated"  # the rows that may not look; the published script has "generated"
)
n_draws = 2  # random controls for every cut
max_new_tokens = 24
judge = None  # by whom answers are judged; None is by what is known of the clips
out = None  # folder for the tables; None is the cache folder

# %%
import avnb
import pandas as pd
from avnb import Condition, datasets, knockout, layers, paper, plots, show, stats, study
from avnb import judge as judges
from avnb.engine import needs
from avnb.questions import HEAR, SEE
from IPython.display import Markdown

plots.style()
avllm = avnb.load(model)
n_layers = len(avllm.decoder.layers)
whole = 0, n_layers
clips = datasets.load(dataset, n=n, seed=seed, fewer=True)
conflicting = [c for c in clips if c.kind == "counterfactual"]
if not conflicting or not any(c.kind == "factual" for c in clips):
    raise ValueError(
        f"dataset={dataset!r}, n={n} has {len(clips)} clips, {len(conflicting)} of them counterfactual; this chapter "
        "compares factual with counterfactual clips and needs both (chapter 1 makes counterfactual ones)"
    )

judge = judge or judges.suited(clips)
if all(judges.named(judge).check(c, "audio") for c in conflicting):
    raise ValueError(
        f"dataset={dataset!r}: judge {judge!r} cannot judge the sound of any counterfactual clip, which this chapter is "
        f"about: {judges.named(judge).check(conflicting[0], 'audio')}"
    )
step = max(1, n_layers // 8)
width = max(2, step)
from_first = layers.cumulative(n_layers, stride=step)
to_last = layers.cumulative(n_layers, "last", stride=2 * step)
sliding = layers.windows(n_layers, width, stride=step)
spans = sorted({*from_first, *to_last, *sliding})
groups = ["video", "audio", "video+audio", "query"]

# %% tags=["hide-input"]
n_conditions = 1 + len(spans) * len(groups) * (1 + n_draws)
cost = needs.told(avllm, clips, 2, n_conditions, max_new_tokens)
Markdown(f"{judges.told(judge, clips)}\n\n{cost}")

# %% [markdown]
# ## One clip, five answers
#
# The sound of this clip is that of another one. It is the first of the set whose answer changes when its rows may not
# attend to the video, in any layer; if no answer changes, it is the first of all.

# %%
targets = ["video", "audio", "video+audio", avnb.Random("video", among="everywhere")]
cuts = [Condition(), *(Condition.block(source, target) for target in targets)]


def answers(clip):
    """What the model says it hears, free and under each cut."""
    runs = avnb.run(avllm, avllm.prompt(clip, HEAR), cuts, max_new_tokens)
    return [found.text for found in runs]


first = None
for clip in conflicting:
    texts = answers(clip)
    first = first or (clip, texts)
    if texts[0] != texts[1]:
        break
else:
    clip, texts = first
show.player(clip, caption=show.about(clip))

# %%
rows = [
    "nothing",
    "video",
    "audio",
    "both",
    "as many positions as the video, drawn at random",
]
show.table(
    pd.DataFrame({"blocked": rows, f"“{HEAR}”": texts}),
    "The same clip under five conditions, from one prefill",
)

# %% [markdown]
# ## Method
#
# Attention of a row $q$ to keys $k$ is $\mathrm{softmax}_k(q \cdot k / \sqrt d)$. A **knockout** sets the scores of a group
# $G$ of keys to $-\infty$ before the softmax, for chosen rows and in the layers of a span $[a, b)$, so that what they
# would have got goes to the other keys {cite}`geva2023dissecting`. Its effect on clip $c$ is paired:
#
# $$\Delta_c(G, a, b) = \text{fidelity}_c(G \text{ blocked in } [a, b)) - \text{fidelity}_c(\text{nothing blocked}).$$
#
# Spans are *windows* of equal width, or *cumulative*: from the first layer up to some layer, or from some layer to the
# last. Four choices decide what such a sweep means, and each is easily made by accident:
#
# - **Which rows?** The first word of an answer is chosen by the last position of the prompt, which belongs to no word of
#   the answer. Rows here are that position and all words of the answer (`last+generated`); below, without it.
# - **Which layers?** A span ends before its last number: of 36 layers, `[0, 35)` leaves one open, through which everything
#   may pass. The last span here holds all layers.
# - **Is anything blocked?** Where a model gets no mask, a script that edits the mask does nothing, and says nothing. Here
#   the engine owns the mask, and a rule that cannot block anything is an error.
# - **Against what?** Blocking many keys disturbs any model. The **control** blocks as many prompt positions, drawn at random
#   for every clip. It draws from the whole prompt, blind to what a position holds: text alone has too few positions, and
#   a draw from text and the other modality would mostly be a knockout of the other modality.

# %%
table = study.measure(
    "knockout",
    avllm,
    clips,
    dataset=dataset,
    seed=seed,
    out=out,
    spans=spans,
    blocked=groups,
    source=source,
    n_draws=n_draws,
    judge=judge,
    max_new_tokens=max_new_tokens,
)
changes = knockout.change(table)
scored = {*changes[["kind", "modality"]].itertuples(index=False, name=None)}

# %% [markdown]
# ## Layer by layer
#
# Counterfactual clips, “what do you hear”: does the right sound come back when the picture is out of sight?

# %%
shapes = {
    "blocked: the first … layers": from_first,
    f"middle of the window of {width} layers": sliding,
    "blocked: from layer … to the last": to_last,
}
hear = table[(table["kind"] == "counterfactual") & (table["question"] == HEAR)]
sight = knockout.effect(
    changes, "video", whole, kind="counterfactual", modality="audio"
)
show.figure(
    plots.knockout.curves(
        hear,
        shapes,
        f"Blocking the video in all layers changes audio fidelity by {sight.mean():+.2f}",
    ),
    "Audio fidelity against the blocked layers, in three panels: cumulative from the first layer, windows, cumulative "
    "to the last layer; lines for video, audio, both and query blocked, and for controls.",
)


# %% tags=["hide-input"]
def verdict(blocked, kind="counterfactual", modality="audio", changes=changes):
    """How a cut in all layers compares with its control."""
    where = {"kind": kind, "modality": modality}
    cut, control = (
        knockout.effect(changes, name, whole, **where)
        for name in (blocked, knockout.CONTROL + blocked)
    )
    return stats.verdict(cut, control, seed)


def in_words(blocked, kind="counterfactual", modality="audio"):
    """The same as a sentence."""
    if (kind, modality) not in scored:
        return "**not measured**, as no answer about it has a score."
    return verdict(blocked, kind, modality).text


Markdown(
    "Blocked in all layers, the change of **audio fidelity on counterfactual clips**:\n\n"
    + "\n".join(
        f"- {name}: {in_words(group)}"
        for group, name in {
            "video": "the video",
            "audio": "the audio",
            "video+audio": "both",
            "query": "the question",
        }.items()
    )
)

# %% [markdown]
# ## Other clips, the other question
#
# The same cuts where sound and picture agree, and where the question is about the picture. Blocking the audio should
# matter for what is heard, blocking the video for what is seen; if sound and picture agree, each can stand in for the
# other.

# %%
columns = {
    "factual, hear": {"kind": "factual", "question": HEAR},
    "counterfactual, see": {"kind": "counterfactual", "question": SEE},
    "factual, see": {"kind": "factual", "question": SEE},
}
show.figure(
    plots.knockout.panels(changes, from_first, "blocked: the first … layers", columns),
    "Change of fidelity against the blocked layers, cumulative from the first, for three pairs of clips and question.",
)

# %% tags=["hide-input"]
cells = [("factual", "audio"), ("counterfactual", "video"), ("factual", "video")]
Markdown(
    "The video blocked in all layers:\n\n"
    + "\n".join(
        f"- {modality} fidelity, {kind} clips: {in_words('video', kind, modality)}"
        for kind, modality in cells
    )
)

# %% [markdown]
# ## Does the first word matter?
#
# The same cut without the last prompt position, as in the published script: the first word may then look wherever it
# likes, and the words after it can read what it says.

# %%
without_last = study.measure(
    "knockout",
    avllm,
    conflicting,
    dataset=dataset,
    seed=seed,
    out=out,
    questions=[HEAR],
    spans=[whole],
    source="generated",
    n_draws=n_draws,
    judge=judge,
    max_new_tokens=max_new_tokens,
)
rows = []
for rows_cut, found in {
    source: changes,
    "generated": knockout.change(without_last),
}.items():
    for blocked in ("video", "audio"):
        result = verdict(blocked, changes=found)
        mean, low, high, size = result.effect
        control = result.control.mean
        rows.append((rows_cut, blocked, mean, low, high, control, size))
columns = ["rows that are cut", "blocked", "change", "low", "high", "control", "n"]
show.table(
    pd.DataFrame(rows, columns=columns),
    "Change of audio fidelity on counterfactual clips, all layers, 95 % interval over clips",
)

# %% [markdown]
# ## Before the words change
#
# A caption changes only once another word wins. The probabilities move earlier: here of two fixed captions, the **right**
# one (what is heard) and the **distractor** (what is seen, said as if it were heard; of clips with captions alone, the
# caption of the sound that the picture came with). Dotted: the controls.

# %%
probabilities = knockout.scores(
    avllm,
    conflicting,
    HEAR,
    spans=from_first,
    source=source,
    n_draws=n_draws,
    seed=seed,
)
moved = knockout.change(probabilities)
captions = [name for name in ("right", "distractor") if name in {*moved["quantity"]}]
show.figure(
    plots.knockout.words(moved, from_first, "blocked: the first … layers"),
    "Change of log-probability of the right caption and of the distractor, with video or audio blocked.",
)

# %% tags=["hide-input"]
rows = {}
for blocked in ("video", "audio"):
    for caption in captions:
        cut, control = (
            knockout.effect(moved, name, whole, quantity=caption)
            for name in (blocked, knockout.CONTROL + blocked)
        )
        rows[blocked, caption] = stats.verdict(cut, control, seed).text
lines = [
    f"- {blocked} blocked, {name} caption: {rows[blocked, name]}"
    for blocked, name in rows
]
n_margins = moved.loc[moved["quantity"] == "distractor", "clip"].nunique()
if n_margins < moved["clip"].nunique():
    lines.append(
        f"- **Not measured** is the distractor of {moved['clip'].nunique() - n_margins} clips: it is not known which sound "
        "their picture came with (`replaced_captions` in a manifest)."
    )
Markdown("In all layers, change of log-probability in nats:\n\n" + "\n".join(lines))

# %% [markdown]
# ## Which way does it go?
#
# What the answer takes from the sound may come straight from the positions of the sound, or by way of the question, which
# has seen sound and picture too {cite}`suharitdamrong2026senses`. So every edge of the prompt is cut, one at a time. The
# margin is the log-probability of the right caption minus that of the distractor: below zero, the edge carried what
# favours the right one; above zero, what favours the distractor. Where no clip has a distractor, it is the right caption
# alone.

# %%
quarter = max(1, n_layers // 4)
apart = layers.windows(n_layers, quarter, stride=quarter)
edges = knockout.flow(
    avllm, conflicting, HEAR, spans=[*apart, whole], n_draws=1, seed=seed
)
carried = knockout.change(edges)
carried = carried[carried["quantity"] == ("margin" if n_margins else "right")]
show.figure(
    plots.knockout.flow(carried, apart, n_layers),
    "Information-flow map: arrows between audio, video, question and answer, and a heat map of edges by layers.",
)

# %% tags=["hide-input"]
has_control = carried["blocked"].str.startswith(knockout.CONTROL)
n_judged = len(carried[has_control].drop_duplicates(["blocked", "start", "stop"]))
Markdown(
    f"""Arrows have the width of the change and the colour of their sender. Edges into the answer have a control, in which
the answer loses as many positions drawn at random; grey ones do not stand out from it. Dashed edges have none: a receiver
inside the prompt sees only what precedes it, so that a draw of as many positions would take less from it than the cut
does. Their numbers are described, not judged.

Of {n_judged} cells that are judged, chance alone would mark up to {0.05 * n_judged:.1f} (5 %). A single dot is a hint."""
)

# %% [markdown]
# ## Look away yourself
#
# Four clips, and every span of layers. *Before you move the sliders: from which layer on is it too late to look away? And
# what will it say if it may not read the question?*

# %% tags=["hide-input"]
from itertools import combinations

from avnb.judge.words import mentioned
from avnb.show import explore

plain = [c for c in conflicting if len(c.seen) == len(c.heard) == 1][:4]
every = list(combinations([*range(0, n_layers, step), n_layers], 2))
every_cut = {"spans": every, "blocked": ["video", "audio", "query"], "source": source}
said = knockout.sweep(
    avllm, plain, [HEAR], n_draws=1, max_new_tokens=max_new_tokens, **every_cut
)
said = said[said["blocked"].isin(["nothing", *every_cut["blocked"], "control: video"])]
scored_cuts = knockout.scores(avllm, plain, HEAR, n_draws=1, **every_cut)
explore.look_away(
    plain, said.assign(named=said["answer"].map(mentioned)), scored_cuts
) if plain else Markdown("No clip here has one known thing seen and another heard.")

# %% [markdown]
# ## Answers before and after
#
# Counterfactual clips whose answer gains or loses most when the video is blocked in all layers. They are picked by their
# change, so they show what it looks like, not how often it happens.

# %%
pairs = knockout.recovered(hear, "video", whole)
heard = {c.id: show.heard(c) for c in clips}
pairs.insert(0, "heard", pairs["clip"].map(heard))
show.table(
    pairs[["heard", "before", "after", "change"]],
    f"“{HEAR}”: the answer, and the answer without the video (the largest changes of {len(conflicting)} clips)",
)

# %% [markdown]
# ## Paper and here
#
# {cite}`selvakumar2026avllm` report a sweep of Qwen2.5-Omni-3B whose spans are not stated; their script blocks, by default,
# from the first layer up to some layer. Their last point is layer 30 of 36; beside it stands the span that ends at about
# the same depth.

# %%
show.figure(
    plots.knockout.published(changes, from_first),
    "Published curves and those measured here against relative depth, for both kinds of clips and both modalities.",
)

# %%
last = paper.knockout_curves()["depth"].max()
span = min(from_first, key=lambda s: abs(s[1] / n_layers - last))
here = {}
for kind, modality, blocked in (
    ("counterfactual", "audio", "video"),
    ("counterfactual", "audio", "audio"),
    ("counterfactual", "video", "video"),
    ("factual", "audio", "video"),
    ("factual", "video", "video"),
):
    if (kind, modality) not in scored:
        continue
    name = f"{kind} {modality} fidelity, {blocked} blocked - baseline"
    found = knockout.effect(changes, blocked, span, kind=kind, modality=modality)
    here[name] = stats.interval(found, seed)
show.table(
    paper.compare(here),
    f"Qwen2.5-Omni-3B in the study, and {model} here (layers {span[0]} to {span[1] - 1} of {n_layers})",
)

# %% tags=["hide-input"]
segments = avllm.prompt(clip, HEAR).segments
shares = {
    name: len(segments.positions(name)) / len(segments) for name in ("video", "audio")
}
Markdown(
    f"""## What this does not show

- **Blocked is not absent.** The rows that are cut still read positions which have seen the picture: the question, the
  template, the sound itself. What is left after a cut may have come that way; the flow map looks at one edge at a time, and
  two edges that carry the same hide each other.
- Removed attention goes to other keys, so that a cut also *adds* weight elsewhere. The control says what that alone may
  do, as far as it goes: of a prompt like these, video is {shares["video"]:.0%} and audio {shares["audio"]:.0%}, and a draw of
  that size holds the same share of every group, of the one that is tested too. Where one modality fills nearly the whole
  prompt, its control is nearly a knockout of everything, and the other modality is the better comparison.
- Many spans are looked at; the sentences above judge one that was fixed beforehand, all layers.
- A caption that becomes right need not be understood: with less to go by, a model may fall back on a frequent sound.
- The study's curves were read off plots, about 0.01 either way, and hold for Qwen2.5-Omni-3B on clips of its own; with any
  other `model`, that one is **not measured here**.

## Try it yourself

Block what you like, where you like, on the clip above."""
)

# %% tags=["skip-execution"]
from ipywidgets import IntRangeSlider, interact

prompt = avllm.prompt(clip, HEAR)


@interact(
    blocked=["video", "audio", "video+audio", "query"],
    layers=IntRangeSlider(value=(0, n_layers), min=0, max=n_layers),
)
def say(blocked, layers):
    """The answer with a group blocked from the first number of layers up to, not including, the second."""
    if layers[0] == layers[1]:
        return "choose at least one layer"
    cut = Condition.block(source, blocked, layers=range(*layers))
    return avnb.run(avllm, prompt, [cut], max_new_tokens)[0].text


# %% tags=["remove-input"]
show.provenance(
    model=model,
    dataset=dataset,
    n=n,
    seed=seed,
    source=source,
    n_draws=n_draws,
    judge=judge,
)
