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
# ---

# %% [markdown]
# # Where does the bias come from?
#
# **Train dozens of small models that differ in what they learnt first and in how much conflict they met, and measure which
# of them say what they hear.**
#
# {cite}`selvakumar2026avllm` trace the bias to training: these models begin as vision-language models, and are then tuned
# on clips whose sound goes with the picture. That is a correlation over a handful of large models, none of which can be
# trained again. Small ones can, and of these every training example is known. This chapter varies the **order** of
# training and the **dose** of conflicting clips in its last stage.

# %% tags=["parameters"]
model = "toy-omni"  # an organism, treated live at the end
dataset = "toybox"
seed = 0
steps = 30  # of the live training
out = None  # folder for the clips that are made here; None is the cache folder

# %%
from pathlib import Path

import avnb
import pandas as pd
from avnb import datasets, paper, plots, show, stats
from avnb.organisms import cards as organism_cards
from avnb.organisms import dose, recipes, response
from avnb.questions import HEAR, SEE
from IPython.display import Markdown

plots.style()
avllm = avnb.load(model)

# %% [markdown]
# ## One clip, several upbringings
#
# The same counterfactual clip, the same question, asked of the organisms that ship with this book. They share their
# architecture, their clips, and, weight for weight, their eyes and ears; only the training of the decoder differs.

# %%
clips = [
    c for c in datasets.load(dataset, n=8, seed=seed) if c.kind == "counterfactual"
]
clip = clips[0]
show.player(
    clip, caption=f"seen: {', '.join(clip.seen)}; heard: {', '.join(clip.heard)}"
)

# %%
hearing = [name for name in avnb.models.shipped() if recipes.RECIPES[name].hears]
answers = {name: avnb.load(name).caption(clip, HEAR) for name in hearing}
show.table(
    pd.DataFrame({"organism": answers.keys(), f"“{HEAR}”": answers.values()}),
    "One clip, one question, several upbringings",
)

# %% [markdown]
# One clip is an anecdote. The same on 200 clips of each kind, as `python -m avnb.organisms.cards` measured it for the cards of
# the organisms (mean fidelity with its 95 % interval over clips; `toy-vl` is the base without ears):

# %%
cards = organism_cards.results()
single = cards["question"].isin([HEAR, SEE]) & cards["given"].isin(
    ["both", "sound alone"]
)
about = cards["judged"] == cards["question"].map({HEAR: "audio", SEE: "video"})
base = cards["given"].eq("pictures alone") & cards["question"].eq(SEE)
show.table(cards[single & about | base], "What the shipped organisms do")

# %% [markdown]
# ## The design
#
# Every organism goes through the stages that real models go through:
#
# 1. **Encoders.** The eyes learn what is drawn where, the ears what is heard. Then they are frozen: what they make of a
#    clip is the same for all organisms. Whether a decoder can use it is another matter, and the control below.
# 2. **Order.** *Vision first*: the decoder learns to describe pictures, as a vision-language model (this is `toy-vl`).
#    *Audio first*: it learns to describe sounds, for as many steps. *From scratch*: nothing, so
#    that it has also been trained less.
# 3. **Dose.** Audio-visual training. A share $d$ of the clips are *conflicting*, the picture of one with the sound of
#    another; the other two-modality clips are *aligned*, everything heard is seen. Pictures alone and sounds alone keep
#    their share whatever the dose.
#
# $$\text{data}(d) = \underbrace{d}_{\text{conflicting}} + \underbrace{0.7 - d}_{\text{aligned}} +
# \underbrace{0.1}_{\text{sound alone}} + \underbrace{0.2}_{\text{pictures alone}}$$
#
# The learning curves of the organism of this page, from the encoders to the last stage:

# %%
history = pd.read_json(avnb.models.CHECKPOINTS / model / "training.jsonl", lines=True)
show.figure(
    plots.dose.learning(history, f"How {model} was trained"),
    "The loss of every training step, one panel for each stage.",
)

# %% [markdown]
# Doses, orders and seeds are fully crossed. Each organism then takes the same exam on clips of the test split:
# fidelity of what it says about sound and picture, and, without any judge, the *shortcut index* of the
# {doc}`swap design <02_caption_fidelity>`, $|E_V| / (|E_A| + |E_V|)$: 0 if the answer about the sound follows the sound
# alone, 1 if it follows the picture alone.

# %%
table = dose.results()
found, seeds = response.response(table), response.by_seed(table)
n_runs = len(table[["order", "dose", "seed"]].drop_duplicates())
Markdown(
    f"**{n_runs} organisms**: doses {', '.join(f'{100 * d:g} %' for d in sorted(table['dose'].unique()))}; "
    f"{table['seed'].nunique()} seeds; {table['clip'].nunique()} clips each. Trained beforehand by "
    f"`python -m avnb.organisms.dose --work WORK`, {table['steps'].iloc[0]} steps of the last stage each; the table comes with the package."
)

# %% [markdown]
# ## Dose and response

# %%
measures = {
    "audio fidelity, counterfactual": ("audio fidelity, counterfactual", (-0.03, 1.03)),
    "video fidelity, counterfactual": ("video fidelity, counterfactual", (-0.03, 1.03)),
    "modality preference": (
        "modality preference\n(−1 picture, 1 sound)",
        (-1.05, 1.05),
    ),
    "shortcut index": ("shortcut index\n(1 picture, 0 sound)", (-0.03, 1.03)),
}
show.figure(
    plots.dose.response(
        found, seeds, measures, "What conflict in training does to hearing"
    ),
    "Four measures of listening and looking against the share of conflicting clips, one line per order of training.",
)

# %% tags=["hide-input"]
Markdown(
    response.describe(table)
    + "\n\nAnd what is said about the picture of the same clips:\n\n"
    + response.describe(table, "video fidelity, counterfactual")
)

# %% [markdown]
# ## Raise one yourself
#
# Every organism is a dot: how well it says what it sees, and what it hears, on clips whose two sources differ. *Before you
# move anything: does more conflict pull a model up, or up and to the left? And do three runs of one recipe land together?*

# %% tags=["hide-input"]
from avnb.show import explore

explore.raise_one(table)

# %% [markdown]
# ## Control: could they hear, and can they still see?
#
# A low answer about the sound means bias only if the organism can hear, and one about the picture only if it can see.
# The same organisms, asked from sound alone, and about both modalities of clips as recorded.

# %%
controls = {
    "audio fidelity, sound alone": ("audio fidelity, sound alone", (-0.03, 1.03)),
    "audio fidelity, factual": ("audio fidelity, factual", (-0.03, 1.03)),
    "video fidelity, factual": ("video fidelity, factual", (-0.03, 1.03)),
}
show.figure(
    plots.dose.response(found, seeds, controls, "What they can do"),
    "Three controls against the share of conflicting clips in training: sound alone, and both modalities of factual clips.",
)

# %% [markdown]
# ## What it says about the claim
#
# The claim has two halves: that models begin with vision, and that their tuning gives no reason to listen. Both are read
# off modality preference, which is above zero where the answer about the sound names what is heard rather than what is
# seen.

# %% tags=["hide-input"]
Markdown(response.conclusion(table))

# %% [markdown]
# The study also speaks of tuning with *more pictures than sounds*. The shares of pictures alone and sounds alone are the
# same in all runs here, so that this is **not tested**.
#
# ## Paper and here
#
# The paper's counterfactual drop, beside that of the organism that was trained like the paper's models: vision first, no
# conflict.

# %%
biased = table.query("order == 'vision first' and dose == 0")
by_clip = biased.pivot_table(index="clip", columns="quantity", values="value")
drops = {
    f"{modality} fidelity, counterfactual - factual": stats.difference(
        by_clip[f"{modality} fidelity, counterfactual"],
        by_clip[f"{modality} fidelity, factual"],
    )
    for modality in ("audio", "video")
}
show.table(
    paper.compare(drops),
    "The drop from factual to counterfactual clips: Qwen2.5-Omni-3B, and vision first without conflict",
)

# %% [markdown]
# ## Treat one, live
#
# If conflict in the data works against the bias, it should do so in a model that has it already. The organism of this page
# is trained a little further on few clips, its decoder alone. As a control, the same training without conflict.

# %%
work = Path(out or datasets.cache_folder()) / "treatment"
exams = dose.treat(avllm, work, steps=steps)
summary = stats.summarise(exams, ["quantity", "treatment"])
shown = [
    "audio fidelity, counterfactual",
    "video fidelity, counterfactual",
    "audio fidelity, factual",
]
show.figure(
    plots.dose.treatments(summary, shown, f"{model}, {steps} steps later"),
    "Fidelity of an organism untreated, and after a short training without and with conflicting clips.",
)

# %% tags=["hide-input"]
lines = []
for quantity in shown[:2]:
    wide = exams[exams["quantity"] == quantity].pivot(
        index="clip", columns="treatment", values="value"
    )
    untreated, control, treated = (wide[name] for name in exams["treatment"].unique())
    judged = stats.verdict(treated - untreated, control - untreated)
    lines.append(f"- {quantity}, change by training with conflict: {judged.text}")
Markdown("\n".join(lines))

# %% [markdown]
# ## What this does not show
#
# - **Scale.** A few million parameters, 24 sources, a small grammar. That a cause works here shows that it is enough
#   *here*; that it is the cause in a model of billions of parameters is not shown. What carries over is the design.
# - **Few upbringings.** One run of the encoders and of each first stage, several of the last. The intervals say how much
#   the answers hang on the clips asked about; how much they hang on the training run, the small marks show.
# - **Short.** The last stage of the sweep is shorter and steeper than that of the shipped organisms. Where an organism does
#   not hear well even from sound alone (the control), a low answer says less about bias.
# - *Conflict* here is drawn at random: any sound with any picture. Real conflict (dubbed films, music over pictures) has
#   its own regularities, which a model could learn to see through.
#
# ## Try it yourself
#
# Another dose, more steps: what is the least that helps?

# %% tags=["skip-execution"]
import ipywidgets as widgets


def try_dose(conflict, steps):
    """Treat the organism with this dose and show what came of it."""
    exams = dose.treat(avllm, work, doses=[conflict], steps=steps)
    return stats.summarise(exams, ["quantity", "treatment"]).query("quantity in @shown")


widgets.interactive(
    try_dose,
    {"manual": True},
    conflict=widgets.FloatSlider(0.2, min=0, max=0.7, step=0.05),
    steps=widgets.IntSlider(20, min=10, max=200, step=10),
)

# %% tags=["remove-input"]
show.provenance(model=model, dataset=dataset, seed=seed, steps=steps)
