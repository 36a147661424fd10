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
# # 8. Where does the bias come from?
#
# **Raise dozens of small models that differ in what they learnt before and in how much conflict they met, and measure which
# of them say what they hear.**

# %% tags=["parameters", "hide-input"]
model = "toy-omni"  # an organism, treated live at the end
dataset = "toybox"
seed = 0
steps = 30  # of the live training
out = None  # folder for the clips that are made here; None is the cache folder

# %% tags=["hide-input"]
from pathlib import Path

import avnb
import pandas as pd
from avnb import datasets, paper, plots, show, stats
from avnb.organisms import cards as organism_cards
from avnb.organisms import contrasts, dose, half, recipes, response, upbringing
from avnb.questions import HEAR, SEE
from IPython.display import Markdown

plots.style()
avllm = avnb.load(model)
table, replicas = dose.results(), upbringing.results()
hearing = [name for name in avnb.models.shipped() if recipes.RECIPES[name].hears]
conflicting = [
    c for c in datasets.load(dataset, n=24, seed=seed) if c.kind == "counterfactual"
]
told = {
    c.id: {name: avnb.load(name).caption(c, HEAR) for name in hearing}
    for c in conflicting
}
# The clip to begin with, by a rule: the first one about which upbringings say three different things, else two.
clip = max(conflicting, key=lambda c: len(set(told[c.id].values())))
answers = told[clip.id]

followers = contrasts.following(table, contrasts.RUN)
sweep = followers[followers["quantity"] == "audio fidelity, counterfactual"]
hears = {
    (order, share): stats.interval(
        sweep.query("order == @order and dose == @share")
        .groupby("clip")["value"]
        .mean(),
        seed,
    )
    for order in ("vision first", "audio first")
    for share in (0.0, sweep["dose"].max())
}
highest = sweep["dose"].max()
show.in_short(
    "Organisms that were taught pictures alone before say what they see when sound and picture conflict, those that were "
    "taught sounds alone say what they hear; and conflicting clips in training work against the bias.",
    {
        f"says what is heard, {order}, {100 * share:g} % conflict (fidelity)": show.told(
            found, of=f"{order}, {share:g}: audio fidelity, counterfactual"
        )
        for (order, share), found in hears.items()
    },
    "that training can be the cause: yes, in these organisms",
    clip=show.player(clip, width=240, caption=show.about(clip)),
)

# %% [markdown]
# {cite}`selvakumar2026avllm` trace the bias to training: these models begin as vision-language models, and are then tuned
# on clips whose sound goes with the picture. That is a correlation over a handful of large models, none of which can be
# trained again. Small ones can, and of these every training example is known. This chapter varies what was learnt
# **before** and the **dose** of conflicting clips in the last stage, and then repeats **whole upbringings** from other
# seeds.
#
# ## One clip, several upbringings
#
# The clip above, the same question, asked of the organisms that ship with this book. They share their architecture, their
# clips, and, weight for weight, their eyes and ears; only the training of the decoder differs.

# %% tags=["hide-input"]
show.table(
    pd.DataFrame({"organism": answers.keys(), f"“{HEAR}”": answers.values()}),
    "One conflicting clip, one question, several upbringings",
)

# %% [markdown]
# One clip is an anecdote. The same on 200 clips of each kind, as `python -m avnb.organisms.cards` measured it for the cards of
# the organisms (mean fidelity with its 95 % interval over clips; `toy-vl` is the base without ears):

# %% tags=["hide-input"]
cards = organism_cards.results()
single = cards["question"].isin([HEAR, SEE]) & cards["given"].isin(
    ["both", "sound alone"]
)
about = cards["judged"] == cards["question"].map({HEAR: "audio", SEE: "video"})
base = cards["given"].eq("pictures alone") & cards["question"].eq(SEE)
clearer = {
    HEAR: "hear",
    SEE: "see",
    "factual": "ordinary",
    "counterfactual": "conflicting",
}
show.table(
    cards[single & about | base].replace(clearer).drop(columns="judged"),
    "What the shipped organisms do: fidelity of what they say to hear and to see",
)

# %% [markdown]
# ## The design
#
# Every organism goes through the stages that real models go through:
#
# 1. **Encoders.** The eyes learn what is drawn where, the ears what is heard. Then they are frozen: what they make of a
#    clip is the same for all organisms. Whether a decoder can use it is another matter, and the control below.
# 2. **Before.** *Vision first*: the decoder learns to describe pictures, as a vision-language model (this is `toy-vl`).
#    *Audio first*: it learns to describe sounds, for as many steps. *From scratch*: nothing, so that it has also been
#    trained less.
# 3. **Dose.** Audio-visual training. A share $d$ of the clips are *conflicting*, the picture of one with the sound of
#    another; the other two-modality clips are *aligned*, everything heard is seen. Pictures alone and sounds alone keep
#    their share whatever the dose.
#
# $$\text{data}(d) = \underbrace{d}_{\text{conflicting}} + \underbrace{0.7 - d}_{\text{aligned}} +
# \underbrace{0.1}_{\text{sound alone}} + \underbrace{0.2}_{\text{pictures alone}}$$
#
# The learning curves of the organism of this page, from the encoders to the last stage:

# %% tags=["hide-input"]
history = pd.read_json(avnb.models.CHECKPOINTS / model / "training.jsonl", lines=True)
show.figure(
    plots.dose.learning(history, f"{model} has learnt in every stage"),
    "The loss of every training step in nats and, black, its running mean over 20 steps; one panel for each stage. One training "
    "run (n = 1), so that there is no interval.",
    data=history[["stage", "step", "loss"]],
)

# %% [markdown]
# Doses, upbringings and seeds of the last stage are fully crossed. Each organism then takes the same exam on clips of the
# test split: fidelity of what it says about sound and picture, and, without any judge, the *shortcut index* of the
# {doc}`swap design <02_caption_fidelity>`, $|E_V| / (|E_A| + |E_V|)$: 0 if the answer about the sound follows the sound
# alone, 1 if it follows the picture alone.

# %%
found, seeds = response.response(table), response.by_seed(table)
n_runs = len(table[["order", "dose", "seed"]].drop_duplicates())
Markdown(
    f"**{n_runs} organisms**: doses {', '.join(f'{100 * d:g} %' for d in sorted(table['dose'].unique()))}; "
    f"{table['seed'].nunique()} seeds of the last stage; {table['clip'].nunique()} clips each. Trained beforehand by "
    f"`python -m avnb.organisms.dose --work WORK`, {table['steps'].iloc[0]} steps of the last stage each; the table comes "
    "with the package."
)

# %% [markdown]
# ## Dose and response

# %% tags=["hide-input"]
measures = {
    "audio fidelity, counterfactual": (
        "says what is heard\n(fidelity, conflicting clips)",
        (-0.03, 1.03),
    ),
    "video fidelity, counterfactual": (
        "says what is seen\n(fidelity, conflicting clips)",
        (-0.03, 1.03),
    ),
    "modality preference": (
        "modality preference\n(−1 picture, 1 sound)",
        (-1.05, 1.05),
    ),
    "shortcut index": ("shortcut index\n(1 picture, 0 sound)", (-0.03, 1.03)),
}
dosed = [hears["vision first", share].mean for share in (0.0, highest)]
show.figure(
    plots.dose.response(
        found,
        seeds,
        measures,
        f"Vision first says what is heard with a fidelity of {dosed[0]:.2f} without conflict in training, of {dosed[1]:.2f} with "
        f"{100 * highest:g} %",
    ),
    "Lines: means over runs and clips; bands: 95 % intervals, runs and clips resampled together; small marks: single runs.",
    alt="Four measures of listening and looking against the share of conflicting clips, one line per upbringing.",
    data=found[found["quantity"].isin(measures)],
)

# %% [markdown]
# A difference is called one only if its interval over clips leaves out zero *and* all runs agree on its sign. Lines, bands and
# sentences are of organisms that answer what they are asked (the control below).

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
# The same organisms, asked from sound alone, and about both modalities of ordinary clips. And an organism that answers about
# the sound whatever it is asked does not prefer the sound, it does not listen to the question: whether answers are about
# what was *asked* is measured apart from what they name.

# %% tags=["hide-input"]
controls = {
    "audio fidelity, sound alone": ("says what is heard,\nsound alone", (-0.03, 1.03)),
    "audio fidelity, factual": ("says what is heard,\nordinary clips", (-0.03, 1.03)),
    "video fidelity, factual": ("says what is seen,\nordinary clips", (-0.03, 1.03)),
}
lowest = seeds[seeds["quantity"].str.endswith("fidelity, factual")]["value"].min()
show.figure(
    plots.dose.response(
        found,
        seeds,
        controls,
        f"On ordinary clips the lowest fidelity of {n_runs} organisms is {lowest:.2f}",
    ),
    "Fidelity (0 to 1); lines, bands (95 % intervals) and marks as before.",
    alt="Three controls against the share of conflicting clips: sound alone, and both modalities of ordinary clips.",
    data=found[found["quantity"].isin(controls)],
)

# %% tags=["hide-input"]
Markdown(response.questions_followed(table))

# %% [markdown]
# ## What the sweep says about the claim
#
# The claim has two halves: that models begin with vision, and that their tuning gives no reason to listen. Both are read
# off modality preference, which is above zero where the answer about the sound names what is heard rather than what is
# seen.

# %% tags=["hide-input"]
Markdown(response.conclusion(table))

# %% [markdown]
# ## Replicas of the whole upbringing
#
# The runs of the sweep share their first stages, so that one lucky or unlucky run of those would be in all of them. So whole
# upbringings are repeated, with other first weights and other seeds of every stage, eyes and ears too, on the same training
# clips, and with a last stage as long as that of the organisms that ship (they are replica 0), twice that of the sweep. All
# are asked about the same clips, fewer than on the cards and not the same ones, so that the levels of replica 0 differ a
# little from those of other pages.
#
# Some upbringings differ in what came before the last stage (sounds alone, pictures alone, nothing, or both, in either
# order), others in what the last stage holds: half of its clips in conflict, or few or many sounds alone, which the study
# calls vision-heavy data. Differences in modality preference are taken within a replica, with their 95 % intervals over
# clips. One is decided only if at least two replicas follow their questions in both arms, and all of those leave out zero
# on the same side. Signs can be held against those of the sweep, sizes cannot: here the last stage is longer, and more of
# it is in conflict.

# %% tags=["hide-input"]
raised = contrasts.organisms(replicas)
compared = contrasts.contrasts(replicas, seed)
arms, n_arms = list(dict.fromkeys(raised["arm"])), len(upbringing.ARMS)
show.figure(
    plots.upbringing.replicas(
        raised,
        f"Every one of {len(raised)} organisms answers what it is asked"
        if raised["follows"].all()
        else f"Not every one of {len(raised)} organisms answers what it is asked",
    ),
    f"One mark for each organism, n = {replicas['clip'].nunique()} clips each. Hollow: fewer than "
    f"{contrasts.FOLLOWS:g} of the answers are about what was asked. Fidelity and shares from 0 to 1; intervals are those of the "
    "differences, below.",
    alt="For every upbringing and replica: fidelity to sound and picture of conflicting clips, and the share of "
    "answers that are about what was asked.",
    data=raised,
)

# %% tags=["hide-input"]
missing = [arm for arm in upbringing.ARMS if arm not in arms]
Markdown(
    contrasts.sentences(compared)
    + (
        f"\n\nNot raised here: *{'*; *'.join(missing)}* ({len(missing)} of {n_arms} upbringings), and so nothing is said "
        "about what they would tell."
        if missing
        else ""
    )
    + "\n\n`python -m avnb.organisms.upbringing --work WORK` raises the replicas, some three hours for each on one idle "
    "core; their table comes with the package."
)

# %% [markdown]
# ### Listening, or listening to these things?
#
# Conflict works against the bias. It may teach to listen whatever is seen, or only that *these* things can sound otherwise
# than they look; a repair of a real model would be worth little if it were the second. So in some replicas the conflicting
# clips of the last stage hold every other thing alone, and all organisms are asked about conflicting clips of three
# kinds: of things that were in conflict, of things that never were, and of one of each.

# %% tags=["hide-input"]
halves = half.results()
parts = {
    things: contrasts.organisms(some)
    for things, some in halves.groupby("things", sort=False)
}
by_things = pd.concat(
    parts[things].assign(arm=parts[things]["arm"] + f": asked of those {things}")
    for things in (half.NEVER, half.ALWAYS)
)
carried = half.carried(halves, seed)
ns = halves.groupby("things")["clip"].nunique()
raised_by_half = halves[["arm", "seed"]].drop_duplicates()
show.figure(
    plots.upbringing.replicas(
        by_things,
        f"{len(raised_by_half)} organisms, asked of things that were in conflict and of others",
    ),
    f"One mark for each organism; of the things that were in conflict where only half of them were, n = {ns[half.ALWAYS]} clips, "
    f"of the others n = {ns[half.NEVER]} (one of each: {ns[half.MIXED]}, not drawn). Marks as before; intervals are those of the "
    "differences, below.",
    alt="For organisms raised without conflict, with conflict of half the things, and of all things: fidelity to sound and "
    "picture of conflicting clips, of things that were in conflict and of things that never were.",
    data=by_things,
)

# %% tags=["hide-input"]
Markdown(
    contrasts.sentences(carried, half.CONTRASTS)
    + "\n\n`python -m avnb.organisms.half --work WORK` raises these; their table comes with the package."
)

# %% [markdown]
# The two ends of this comparison were raised once before, among the replicas above, with the same recipe and the same
# seeds, but on another processor (those of replica 0 ship and were not raised again: there the two processors stand beside
# each other). Sums that differ in their last bits are enough to make another organism. How far that moves one, on the clips
# that both exams ask about, is what a difference between two organisms is to be held against:

# %% tags=["hide-input"]
Markdown(
    "\n".join(
        f"- *{row.contrast}*, replica {row.replica}: raised again, modality preference differs by "
        f"**{show.told((row.mean, row.low, row.high, row.n), signed=True)}**."
        for row in half.again(halves, replicas, seed).itertuples()
    )
)

# %% [markdown]
# ## Paper and here
#
# The paper's drop from ordinary to conflicting clips, beside that of the organism that was trained like the paper's models:
# vision first, no conflict.

# %% tags=["hide-input"]
biased = followers.query("order == 'vision first' and dose == 0")
by_clip = biased.pivot_table(index="clip", columns="quantity", values="value")
drops = {
    f"{modality} fidelity, counterfactual - factual": stats.difference(
        by_clip[f"{modality} fidelity, counterfactual"],
        by_clip[f"{modality} fidelity, factual"],
        clusters=datasets.sources(by_clip.index),
    )
    for modality in ("audio", "video")
}
show.table(
    paper.compare(drops),
    "The drop from ordinary to conflicting clips: Qwen2.5-Omni-3B, and vision first without conflict",
)

# %% [markdown]
# ## Treat one, live
#
# If conflict in the data works against the bias, it should do so in a model that has it already. The organism of this page
# is trained a little further on few clips, its decoder alone. As a control, the same training without conflict.

# %%
work = Path(out or datasets.cache_folder()) / "treatment"
exams = dose.treat(avllm, work, steps=steps)

# %% tags=["hide-input"]
summary = stats.summarise(exams, ["quantity", "treatment"])
shown = {
    "audio fidelity, counterfactual": "says what is heard, conflicting clips",
    "video fidelity, counterfactual": "says what is seen, conflicting clips",
    "audio fidelity, factual": "says what is heard, ordinary clips",
}
changes = {}
for quantity in list(shown)[:2]:
    wide = exams[exams["quantity"] == quantity].pivot(
        index="clip", columns="treatment", values="value"
    )
    untreated, control, treated = (wide[name] for name in exams["treatment"].unique())
    changes[quantity] = stats.verdict(
        treated - untreated,
        control - untreated,
        clusters=datasets.sources(wide.index),
        what="the change",
    )
gained, lost = (changes[quantity].effect for quantity in changes)
named = summary.assign(quantity=summary["quantity"].replace(shown))
show.figure(
    plots.dose.treatments(
        named,
        list(shown.values()),
        f"{steps} steps of conflict: hearing {gained.mean:+.2f}, seeing {lost.mean:+.2f} in {model}",
    ),
    f"Fidelity untreated, and after {steps} further steps without and with conflicting clips; 95 % intervals over clips. "
    "The sweep has fidelity of the same kind after a whole last stage; these are other clips, and fewer.",
    alt="Fidelity of an organism untreated, and after a short training without and with conflicting clips.",
    data=summary,
)

# %% tags=["hide-input"]
trade = (
    "So the short treatment trades one deafness for another: what is gained in hearing is lost in seeing."
    if gained.low > 0 and lost.high < 0
    else ""
)
Markdown(
    "\n".join(f"- {shown[name]}: {judged.text}" for name, judged in changes.items())
    + f"\n\n{trade} `toy-omni-balanced`, which met as much conflict for a whole stage, does both (the table above)."
)

# %% [markdown]
# ## What this shows

# %% tags=["hide-input"]
conflict = compared[compared["contrast"] == "conflict, vision first"]
over, rest = (
    contrasts.verdict(carried[carried["contrast"] == name]) for name in half.CONTRASTS
)
Markdown(
    "- In organisms whose every training example is known, training is **enough** to make a model that hears and does not "
    "say so: within the sweep, and within a replica, eyes and ears are the same.\n"
    f"- The dose of conflict moves it, over {table['dose'].nunique()} doses and {table['order'].nunique()} upbringings. With "
    "half of the clips in conflict, replicas of "
    f"which no stage is shared move {contrasts.verdict(conflict)}.\n"
    "- What conflict teaches, asked of things that never were in conflict: with conflict of other things, against none, "
    f"{over}; with conflict of all things, against that of others, {rest}."
)

# %% [markdown]
# ## What this does not show
#
# - **Scale.** A few million parameters, 24 sources, a small grammar. That a cause works here shows that it is enough
#   *here*; that it is the cause in a model of billions of parameters is not shown. What carries over is the design.
# - **Few upbringings.** Organisms of the sweep share one run of the encoders and one of each first stage, and the replicas
#   are few. The intervals say how much the answers hang on the clips asked about; how much they hang on the training run, the marks
#   show, and the organisms that were raised twice.
# - **Short.** The last stage of the sweep is half as long as that of the shipped organisms and of the replicas. Its length was
#   found by failing, on the clips of the exam: with half of these steps, and steeper ones, many organisms answered about the
#   sound whatever they were asked; and even at this length some do that are raised from another run of the stage before than
#   `toy-vl`. Where an organism does not hear well even from sound alone (the control), a low answer says less about bias.
# - *Conflict* here is drawn at random: any sound with any picture. Real conflict (dubbed films, music over pictures) has
#   its own regularities, which a model could learn to see through.
#
# ## Try it yourself
#
# What is the smallest dose that gives hearing back without costing sight? Begin with 20 steps at 10 %. This needs a kernel:
# open the page on Colab, or run it on your machine.
#
# <details><summary>What to expect</summary>
#
# Thirty steps at 40 % bring back much of the hearing and cost much of the seeing. Fewer steps, or a smaller dose, move along
# the same trade. Only a longer training that also holds clips without conflict, like that of `toy-omni-balanced`, has both.
# </details>

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
