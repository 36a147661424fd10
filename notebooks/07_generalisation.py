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
# # One model, or all of them?
#
# **A number of one model is an anecdote. The same few numbers, taken the same way from models that differ only in how
# they were trained, show what can vary with training; beside those of other models, what they share.**
#
# {cite}`selvakumar2026avllm` find the same pattern in five models and trace it to how such models are made: a
# vision-language model first, sound later. With published checkpoints that stays a conjecture, because they differ in
# everything at once. The organisms of this book share architecture, encoders and data, and differ in the training that
# follows.

# %% tags=["parameters"]
tables = None  # folder with runs, as `avnb run --out` leaves it; None measures small tables here
models = None  # names; None is every model in `tables`, or without them every organism that hears
dataset = "toybox"
n = 16  # clips, half of them counterfactual
seed = 0
out = None  # folder for the tables that are measured here; None is the cache folder
judge = None  # by whom answers are judged; None is by what is known of the clips

# %%
import avnb
import pandas as pd
from avnb import datasets, plots, show
from avnb import judge as judges
from avnb.organisms import talk
from avnb.study import compare as generalisation
from IPython.display import Markdown

plots.style()
clips = datasets.load(dataset, n=n, seed=seed, fewer=True)
names = models or avnb.models.shipped(hearing=True)
judge = judge or judges.suited(clips)
Markdown(judges.told(judge, clips))

# %% [markdown]
# ## Measure, or read what was measured
#
# Tables and figures are two things: a table is measured once, on a machine that can, and drawn anywhere. Every number of
# this chapter comes from the tables of the chapters before.

# %%
if tables is None:
    found = generalisation.measure(names, dataset, n, seed, out, judge)
else:
    found = generalisation.collect(tables, models, dataset, seed)
numbers = generalisation.numbers(found, seed)
if (
    tables is None and models is None
):  # those that can talk, as measured for their cards
    numbers = pd.concat([numbers, talk.beside(seed)], ignore_index=True)
here = numbers[numbers["source"] == generalisation.HERE]

# %% [markdown]
# ## One clip, every model
#
# The sound of this clip is not that of its picture. Of all such clips it is the one about which the models differ most.

# %%
said = generalisation.answers(found)
clip = next((c for c in clips if c.id == said["clip"].iloc[0]), None)
show.player(clip, caption=show.about(clip)) if clip else Markdown(
    f"Clip {said['clip'].iloc[0]} is not among the clips of this run."
)

# %%
show.table(
    said[["model", "answer", "value"]].rename(columns={"value": "audio fidelity"}),
    "“Describe what you hear.”",
)

# %% [markdown]
# ## What is compared
#
# With $F$ and $C$ the mean audio fidelity of factual and of counterfactual clips, the **drop** is $F - C$: what is lost
# when the picture no longer gives the sound away. Three more numbers say where it is lost:
#
# - **Recovery**: how much of $C$ comes back when the answer may not look at the picture, in any layer. Control: as many
#   positions drawn at random.
# - **Latent recall**: the share of a clip's sounds that its audio positions name from inside. Control: the same for the
#   sounds of other clips.
# - **Shortcut index** $|E_\text{video}| / (|E_\text{audio}| + |E_\text{video}|)$: 0 if the answer follows the sound, 1 if
#   it follows the picture; it needs no judge.
#
# ## How much does hearing lean on seeing?
#
# Filled marks were measured here, on this book's clips, with 95 % intervals over clips. Hollow marks on grey are the
# study's published numbers, on its own clips and with its own judge: **those models were not run here**. Shapes may be
# compared between the two blocks, levels may not.

# %%
show.figure(
    plots.generalisation.fidelity(numbers),
    "Audio fidelity of factual and counterfactual clips and its drop, for the models measured here and, apart from them, "
    "as published for five others.",
)

# %% tags=["hide-input"]
drop = here[here["quantity"] == generalisation.DROP]
missing = sorted(set(models or ()) - set(here["model"]))
published = numbers.query(
    "source == @generalisation.PUBLISHED and quantity == @generalisation.DROP"
)
Markdown(
    "The drop: "
    + "; ".join(
        f"{row.model} **{row.mean:.2f}** ({row.low:.2f} to {row.high:.2f}), which "
        + (
            "is clear"
            if row.low > 0
            else "is the other way round"
            if row.high < 0
            else "may be none"
        )
        for row in drop.itertuples()
    )
    + f". Published, without intervals: {published['mean'].min():.2f} to {published['mean'].max():.2f} in "
    f"{len(published)} models."
    + (f" **No table of today's code: {', '.join(missing)}**." if missing else "")
)

# %% [markdown]
# ## Is the sound lost, or only not said?

# %%
show.figure(
    plots.generalisation.inside(numbers),
    "Recovery by knockout, latent recall and shortcut index, each with its control, for the models measured here and the "
    "two published numbers.",
)

# %% tags=["hide-input"]
beyond = here[here["quantity"] == generalisation.RECOVERY_BEYOND]
means = here.pivot(index="model", columns="quantity", values="mean")
lines = [
    f"{row.model}: looking away changes audio fidelity by {means.loc[row.model, generalisation.RECOVERY]:+.2f}, and by "
    f"**{row.mean:+.2f}** ({row.low:+.2f} to {row.high:+.2f}) more than the control does"
    + (
        ": the sound clearly comes back."
        if row.stands
        else "; **the control did clearly better**."
        if row.high < 0
        else "; **no finding**: more than the control, but looking away does not clearly raise it."
        if row.low > 0
        else "; **no finding**: it cannot be told from its control."
    )
    for row in beyond.itertuples()
]
if generalisation.RECALL in means:
    lines += [
        f"{model}: its audio positions name **{row[generalisation.RECALL]:.0%}** of the sounds, and "
        f"{row[generalisation.RECALL_NULL]:.0%} of those of other clips; its answers score "
        f"{row[generalisation.COUNTERFACTUAL]:.2f}."
        for model, row in means.dropna(subset=generalisation.RECALL).iterrows()
    ]
Markdown("\n".join(f"- {line}" for line in lines))

# %% [markdown]
# ## The control: the same model, raised otherwise
#
# Models that differ in training alone, asked about the same clips, are compared clip by clip: audio fidelity of
# counterfactual clips, minus that of the first model. Each organism is a single training run of its recipe, and
# `toy-omni-scratch`, which skips the vision-language stage, also had fewer steps in its decoder. So this tells whether
# these checkpoints differ; whether their recipes do takes several seeds, which
# {doc}`chapter 8 <08_origin_of_the_bias>` has.

# %%
first = here["model"].iloc[0]
difference = generalisation.against(found, first, seed)
show.table(
    difference.rename(columns={"mean": f"better than {first} by"}),
    "Audio fidelity of counterfactual clips, paired differences with 95 % intervals",
) if len(difference) else Markdown(
    "Only one model was measured on these clips, so nothing can be said about its training."
)

# %% tags=["hide-input"]
clear = difference[(difference["low"] > 0) | (difference["high"] < 0)]
same = set(clear["model"]) | {first} <= set(avnb.models.shipped(hearing=True))
Markdown(
    f"Against {first}, "
    + (
        "no other model differs beyond its interval. "
        if clear.empty
        else "; ".join(
            f"{row.model} differs by **{row.mean:+.2f}**" for row in clear.itertuples()
        )
        + (
            ". These checkpoints differ; with one training run per recipe, this names no cause."
            if same
            else ". These models differ in more than their training, so no cause is named."
        )
    )
    if len(difference)
    else ""
)

# %% [markdown]
# ## Paper and here

# %%
show.table(
    generalisation.overview(numbers),
    "Every number of this chapter; in round brackets 95 % intervals, in square ones how a published number is known",
)

# %% [markdown]
# ## What this does not show
#
# - The published models were **not run here**: their marks are on other clips (AudioCaps), by another judge (a language
#   model), and without intervals. Only their pattern can be set beside ours.
# - The organisms are small and their world is drawn, and each is one training run. Where they differ, models of their
#   kind can; that says nothing yet of why, or of a model of seven billion parameters.
# - Few clips give wide intervals; `avnb run --set n=400` narrows them.
# - Recovery in all layers is a coarse cut. Where in the decoder it happens is the matter of the knockout chapter. The
#   published point is another cut: up to layer 30 of 36, in a window that is not published, and read off a plot.
#
# ## Try it yourself
#
# Choose a clip and compare what the models say.

# %% tags=["skip-execution"]
from ipywidgets import interact


@interact(clip=sorted(set(found["fidelity"]["clip"])))
def compare(clip):
    """Every model's answer about one clip."""
    return show.table(generalisation.answers(found, clip).drop(columns="clip"), clip)


# %% tags=["remove-input"]
show.provenance(
    models=", ".join(here["model"].unique()),
    tables=tables,
    dataset=dataset,
    n=n,
    seed=seed,
)
