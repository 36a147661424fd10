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
# # 7. One model, or all of them?
#
# **A number of one model is an anecdote. The same few numbers, taken the same way from models that differ only in how
# they were trained, show what can vary with training.**

# %% tags=["parameters", "hide-input"]
tables = None  # folder with runs, as `avnb run --out` leaves it; None takes the tables that come with the package
models = None  # names; None is every model in `tables`, or without them every organism that hears
dataset = "toybox"
n = 400  # clips, half of them conflicting
each = 100  # of each kind, for all that looks inside
seed = 77
out = None  # folder for tables that have to be measured; None is the cache folder
judge = None  # by whom answers are judged; None is by what is known of the clips

# %% tags=["hide-input"]
import avnb
import pandas as pd
from avnb import datasets, fidelity, plots, show
from avnb import judge as judges
from avnb.organisms import recipes, talk
from avnb.questions import HEAR
from avnb.study import compare as generalisation
from IPython.display import Markdown

plots.style()
names = models or avnb.models.shipped(hearing=True)
examples = datasets.load(dataset, n=min(n, 12), seed=seed + 1, fewer=True)
judge = judge or judges.suited(examples)
if tables is None:
    found = generalisation.measure(names, dataset, n, seed, each, out, judge)
else:
    found = generalisation.collect(tables, models, dataset, seed)
numbers = generalisation.numbers(found)
if (
    tables is None and models is None
):  # those that can talk, as measured for their cards
    numbers = pd.concat([numbers, talk.beside()], ignore_index=True)
here = numbers[numbers["source"] == generalisation.HERE]
drop = here[here["quantity"] == generalisation.DROP]
beyond = here[here["quantity"] == generalisation.RECOVERY_BEYOND]


def interval(model, quantity):
    """One number with its interval, as text."""
    (row,) = here[
        (here["model"] == model) & (here["quantity"] == quantity)
    ].itertuples()
    return show.told(
        (row.mean, row.low, row.high, int(row.n)), of=f"{model}: {quantity}"
    )


asked = [
    name
    for name in dict.fromkeys(here["model"])
    if name in avnb.models.shipped(hearing=True)
]
conflicting = [c for c in examples if c.kind == "counterfactual"] or examples
clip = fidelity.example(avnb.load(asked[0]), examples)[0] if asked else conflicting[0]
show.in_short(
    f"{(drop['low'] > 0).sum()} of {len(drop)} models ({', '.join(drop.loc[drop['low'] > 0, 'model']) or 'none'}) clearly name "
    "the sound of conflicting clips less well than that of ordinary ones"
    + (
        f"; in {beyond['stands'].sum()} of {len(beyond)} the sound comes back when the answer cannot look at the picture."
        if len(beyond)
        else "."
    ),
    {
        f"{model}: fidelity of what is heard (0 to 1), conflicting clips": interval(
            model, generalisation.COUNTERFACTUAL
        )
        for model in drop["model"]
    },
    "some models show it, others do not"
    if 0 < (drop["low"] > 0).sum() < len(drop)
    or drop["mean"].max() > 0.2 + drop["mean"].min()
    else "the models are alike",
    clip=show.player(clip, width=240, caption=show.about(clip)),
)

# %% [markdown]
# {cite}`selvakumar2026avllm` find the same pattern in five models and trace it to how such models are made: a
# vision-language model first, sound later. With published checkpoints that stays a conjecture, because they differ in
# everything at once. The organisms of this book share architecture, encoders and data, and differ in the training that
# follows.

# %% tags=["hide-input"]
Markdown(judges.told(judge, examples))

# %% [markdown]
# ## Measure, or read what was measured
#
# Tables and figures are two things: a table is measured once, on a machine that can, and drawn anywhere. Every number of
# this chapter comes from the tables of the chapters before; `avnb run` leaves such tables for any model.

# %%
if tables is None:
    found = generalisation.measure(names, dataset, n, seed, each, out, judge)
else:
    found = generalisation.collect(tables, models, dataset, seed)

# %% [markdown]
# ## One clip, every model
#
# The clip above: of twelve that are not counted, the first conflicting one about whose sound the first model names
# something that is only to be seen. Organisms that come with the package are asked about it now; of other models, the
# answers in their tables are shown.

# %% tags=["hide-input"]
said = [(name, avnb.load(name).caption(clip, HEAR)) for name in asked]
if not said:
    rows = generalisation.answers(found)
    said = list(zip(rows["model"], rows["answer"], strict=True))
show.table(
    pd.DataFrame(said, columns=["model", "“Describe what you hear.”"]),
    f"What every model says of one clip; {show.about(clip)}",
)

# %% [markdown]
# ## What is compared
#
# With $F$ and $C$ the mean audio fidelity of ordinary and of conflicting clips, the **drop** is $F - C$: what is lost
# when the picture no longer gives the sound away. Three more numbers say where it is lost:
#
# - **Recovery**: how much of $C$ comes back when the answer may not look at the picture, in any layer. Control: as many
#   positions drawn at random.
# - **Latent recall**: the share of a clip's sounds that its audio positions name from inside. Chance: the same for the
#   sounds of other clips.
# - **Shortcut index** $|E_\text{video}| / (|E_\text{audio}| + |E_\text{video}|)$: 0 if the answer follows the sound, 1 if
#   it follows the picture; it needs no judge.
#
# ## How much does hearing lean on seeing?
#
# Filled marks were measured here, with 95 % intervals over clips. The organisms that can talk were asked about the
# clips of their cards, each of them with its own sound and with another one's, so that their drop is paired over clips; that
# of the others is between clips. Hollow marks on grey are the
# study's published numbers, on its own clips and with its own judge: **those models were not run here**. Shapes may be
# compared between the two blocks, levels may not.

# %% tags=["hide-input"]
show.figure(
    plots.generalisation.fidelity(numbers),
    f"Audio fidelity (0 to 1), n = {int(drop['n'].min())} clips or more a model, lines are 95 % intervals. Hollow: five published "
    "models, on other clips, by another judge, without intervals.",
    "Audio fidelity of ordinary and conflicting clips and its drop, for the models measured here and, apart from them, "
    "as published for five others.",
    data=numbers,
)

# %% tags=["hide-input"]
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

# %% tags=["hide-input"]
basis = numbers.query("source == @generalisation.PUBLISHED").dropna(subset="provenance")
basis = basis[basis["quantity"].isin([generalisation.RECOVERY, generalisation.RECALL])]
inside = (generalisation.RECOVERY, generalisation.RECALL, generalisation.SHORTCUT)
drawn_n = here.loc[here["quantity"].isin(inside), "n"]
show.figure(
    plots.generalisation.inside(numbers),
    f"Conflicting clips, {show.counted(drawn_n)} or pairs of clips (shortcut index) for each model; lines are 95 % intervals over "
    "them. Published, hollow: "
    + "; ".join(f"{row.quantity} is {row.provenance}" for row in basis.itertuples())
    + ".",
    "Recovery by knockout, latent recall and shortcut index, each with its control, for the models measured here and the "
    "two published numbers.",
    data=numbers,
)

# %% tags=["hide-input"]
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
        f"{model}: its audio positions name **{show.percent(row[generalisation.RECALL])}** of the sounds, and "
        f"{show.percent(row[generalisation.RECALL_NULL])} of those of other clips; its answers score "
        f"{row[generalisation.COUNTERFACTUAL]:.2f}."
        for model, row in means.dropna(subset=generalisation.RECALL).iterrows()
    ]
Markdown("\n".join(f"- {line}" for line in lines))

# %% [markdown]
# ## The control: the same model, raised otherwise
#
# Models that differ in training alone, asked about the same clips, are compared clip by clip: audio fidelity of
# conflicting clips, minus that of the first model. Each organism is a single training run of its recipe, and
# `toy-omni-scratch`, which skips the vision-language stage, also had fewer steps in its decoder. So this tells whether
# these checkpoints differ; whether their recipes do takes several seeds, which
# {doc}`chapter 8 <08_origin_of_the_bias>` has.

# %% tags=["hide-input"]
first = here["model"].iloc[0]
difference = generalisation.against(found, first)
show.table(
    difference.rename(columns={"mean": f"better than {first} by"}),
    "Audio fidelity of conflicting clips, paired differences with 95 % intervals",
) if len(difference) else Markdown(
    "Only one model was measured on these clips, so nothing can be said about its training."
)

# %% tags=["hide-input"]
clear = difference[(difference["low"] > 0) | (difference["high"] < 0)]
compared = [first, *difference["model"]]
raised = [recipes.RECIPES[name].family for name in compared if name in recipes.RECIPES]
same = len(raised) == len(compared) and len(set(raised)) == 1
Markdown(
    f"Against {first}, "
    + (
        "no other model differs beyond its interval. "
        if clear.empty
        else "; ".join(
            f"{row.model} differs by **{row.mean:+.2f}**" for row in clear.itertuples()
        )
        + (
            ". These checkpoints differ; with one training run per recipe, no cause can be named."
            if same
            else ". These models differ in more than their training, so no cause is named."
        )
    )
) if len(difference) else None

# %% [markdown]
# ## Paper and here

# %% tags=["hide-input"]
from IPython.display import display

brackets = (
    "in round brackets 95 % intervals, in square ones how a published number is known"
)
parts = generalisation.parts(generalisation.overview(numbers))
for i, part in enumerate(parts, start=1):
    title = f"Every number of this chapter, {i} of {len(parts)}; {brackets}"
    display(show.table(part.drop(columns="source"), title))

# %% [markdown]
# ## What this shows

# %% tags=["hide-input"]
spread = here[here["quantity"] == generalisation.COUNTERFACTUAL]
spread = spread[spread["model"].isin(compared)].sort_values("mean")
low, high = spread.iloc[0], spread.iloc[-1]
Markdown(
    f"- What is said of the sound of conflicting clips lies anywhere between {low['mean']:.2f} ({low['model']}) and "
    f"{high['mean']:.2f} ({high['model']}) for models asked about the same clips. "
    + (
        "Only one was.\n"
        if len(compared) == 1
        else "They differ in more than their training.\n"
        if not same
        else "No two clearly differ.\n"
        if clear.empty
        else "Their architecture is one, so the pattern is not built in.\n"
    )
    + f"- Where the answer may not look at the picture, the sound comes back in {beyond['stands'].sum()} of {len(beyond)} models "
    "in which that was measured, beyond the control."
)

# %% [markdown]
# ## What this does not show
#
# - The published models were **not run here**: their marks are on other clips (AudioCaps), by another judge (a language
#   model), and without intervals. Only their pattern can be set beside ours.
# - The organisms are small and their world is drawn, and each is one training run. Where they differ, models of their
#   kind can; that says nothing yet of why, or of a model of seven billion parameters.
# - Recovery in all layers is a coarse cut; {doc}`05_attention_knockout` asks where in the decoder it happens. The
#   published point is another cut: up to layer 30 of 36, in a window that is not published, and read off a plot.
#
# ## Try it yourself
#
# **Task.** Of the answers to one clip, guess which model gave which, before you look at the names. Needs Python: open this
# page on Colab or on your machine.
#
# <details><summary>What to expect</summary>
#
# On conflicting clips it is easy: the answer that names what is seen is `toy-omni`'s or `toy-omni-scratch`'s, the one that
# names what sounds `toy-omni-balanced`'s. On ordinary clips nobody can tell, which is why such clips do not measure
# hearing.
#
# </details>

# %% tags=["skip-execution"]
from ipywidgets import interact


@interact(clip=(0, found["fidelity"]["clip"].nunique() - 1))
def compare(clip):
    """Every model's answer about one clip."""
    name = found["fidelity"]["clip"].unique()[clip]
    return show.table(
        generalisation.answers(found, name).drop(columns="clip"), f"Clip number {clip}"
    )


# %% tags=["remove-input"]
show.provenance(
    models=", ".join(here["model"].unique()),
    tables=tables,
    dataset=dataset,
    n=n,
    seed=seed,
)
