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
# # Does it say what it hears?
#
# **A model that names the sound of an ordinary clip may have heard it or guessed it from the picture; on clips with
# another sound, what was guessed is wrong.**
#
# {cite}`selvakumar2026avllm` ask models to describe clips, and judge how faithful the answer is to the sound and to the
# picture, each on its own. This chapter asks the same of a model here, in the same three wordings, and adds what tells
# hearing from guessing: chance, clips without sound, sounds out of step, and a test that needs no judge at all.

# %% tags=["parameters"]
model = "toy-omni"
dataset = "toybox"
n = 24  # clips, half of them counterfactual
seed = 0
max_new_tokens = 64  # where an answer is cut off
judge = None  # by whom answers are judged; None is by what is known of the clips
out = None  # folder for tables and edited clips; None is the cache folder

# %%
from pathlib import Path

import avnb
import pandas as pd
from avnb import (
    curate,
    datasets,
    fidelity,
    paper,
    plots,
    show,
    stats,
    study,
    swap,
)
from avnb import judge as judges
from avnb.engine import needs
from avnb.questions import BOTH, HEAR, SEE, modalities_of
from avnb.study import fingerprints
from IPython.display import Markdown

plots.style()
avllm = avnb.load(model)
clips = datasets.load(dataset, n=n, seed=seed, fewer=True)
if missing := {"factual", "counterfactual"} - {clip.kind for clip in clips}:
    raise ValueError(
        f"{dataset} holds no {' and no '.join(sorted(missing))} clips; this chapter needs both kinds: give more "
        "clips, or make counterfactual ones as in chapter 1 (avnb.curate)"
    )
factual = [clip for clip in clips if clip.kind == "factual"]
judge = judge or judges.suited(clips)
# Edited clips are kept under what they are made of: sets of the same name may hold other clips.
edited = Path(out or datasets.cache_folder()) / "fidelity"
edited = edited / fingerprints.clips_fingerprint(factual)

# %% tags=["hide-input"]
cost = needs.told(avllm, clips, 4 * 3, max_new_tokens=max_new_tokens)
Markdown(f"{judges.told(judge, clips)}\n\n{cost}")

# %% [markdown]
# ## One clip, three questions
#
# The first clip of the set whose picture and sound disagree, and what the model says about it.

# %%
clip = next(clip for clip in clips if clip.kind == "counterfactual")
show.player(clip, caption=show.about(clip))

# %%
one = fidelity.measure(
    avllm, [clip], inputs=["both"], judge=judge, max_new_tokens=max_new_tokens
)
lists = ["matched", "missed", "invented"]
columns = ["question", "answer", "modality", *lists, "value"]
show.table(
    one[columns].assign(**{name: one[name].map(", ".join) for name in lists}),
    "The answers, judged for one modality at a time",
)

# %% [markdown]
# ## How an answer is judged
#
# Let $E$ be the events that one modality of a clip holds, and $N$ the events that the answer names *in the part that is
# about this modality* (`avnb.judge.parts` says how they are told apart). The fidelity of the answer is
#
# $$
# F = \frac{|N \cap E|}{|N \cup E|} = \frac{\text{matched}}{\text{matched} + \text{missed} + \text{invented}},
# $$
#
# and 1 if nothing is there and nothing is named. So naming everything does not help, and a dog that is only seen is no
# dog that is heard. The judge of listed events is a table of words, not a language model: it works offline, gives the
# same value every time, and says which events it counted. Where no events are listed, $E$ and $N$ are content words, of
# the reference caption that fits best and of the answer (`judge="words"`); `judge="llm:MODEL@URL"` asks a language model.
#
# ## Measure
#
# Besides factual and counterfactual clips, the factual ones are also shown *without sound*, and with their own sound
# *1.5 s late*. Sound is asked for once more from the sound alone.

# %%
late = curate.shift(factual, edited / "late", seconds=1.5)
mute = curate.mute(factual, edited / "mute")
keep = {"dataset": dataset, "seed": seed, "out": out}
asked = keep | {"max_new_tokens": max_new_tokens, "judge": judge}
shown = study.measure(
    "fidelity", avllm, [*clips, *late, *mute], inputs=["both"], **asked
)
alone = study.measure(
    "fidelity", avllm, clips, questions=[HEAR], inputs=["audio"], **asked
)
table = pd.concat([shown, alone], ignore_index=True)

# %%
drop = fidelity.drop(table)
hear = drop.query("inputs == 'both' and question == @HEAR").set_index("drop")
sees = drop.query("question == @SEE and drop == 'absolute'")
title = "What is heard could not be judged"
if len(hear):
    fall = hear.loc["absolute"]
    verb = (
        "falls"
        if fall["low"] > 0
        else "rises"
        if fall["high"] < 0
        else "does not clearly change"
    )
    title = (
        f"With a foreign sound, fidelity of what is heard {verb} ({-fall['mean']:+.2f})"
    )
# The names that a model of language finds are its own words: they tell no chance, and are not those of other clips.
by_names = table.iloc[:0] if judge.startswith("llm:") else table
chance = fidelity.chance(by_names)
show.figure(
    plots.fidelity.bars(fidelity.judged(table), chance, title),
    "Bars of fidelity for every question, about the picture and about the sound, by kind of clip, with intervals; "
    "dotted lines are what the same answers score against other clips.",
)

# %% tags=["hide-input"]
lines = []
if len(hear):
    relative = hear.loc["relative"]
    lines.append(
        f"Asked what it hears, the model scores **{fall['factual']:.2f}** on factual clips and "
        f"**{fall['counterfactual']:.2f}** on counterfactual ones: a drop of **{fall['mean']:+.2f}** "
        f"[{fall['low']:+.2f}, {fall['high']:+.2f}], or **{relative['mean']:+.0%}** of the first (n = {fall['n']})."
    )
lines += [
    f"What it sees loses {row.mean:+.2f} [{row.low:+.2f}, {row.high:+.2f}]: the picture is its own in both kinds of clips."
    for row in sees.itertuples()
]
unscored = table[table["value"].isna()]
if len(unscored):
    lines.append(f"Of {len(table)} answers, {len(unscored)} have no score:")
    lines += [
        f"\n- {why} ({n})" for why, n in unscored["reason"].value_counts().items()
    ]
Markdown("\n".join(lines))

# %%
show.table(
    drop,
    "The drop from factual to counterfactual clips, absolute and relative, with 95 % intervals",
)

# %% [markdown]
# ## Controls: is it the foreign sound?
#
# A counterfactual clip differs from a factual one in more than what sounds. Its sound was encoded once more, and it is
# out of step with the picture. Each is tried alone, on the same clips: the own sound written anew, exactly as a foreign
# one is, and the own sound 1.5 s late. And the foreign sounds might be the harder ones: without a picture, then, the
# same clips should differ as well.

# %%
ids = [clip.id for clip in factual]
themselves = pd.DataFrame({"clip": ids, "donor": ids})
anew = curate.counterfactual(factual, edited / "anew", themselves)
rewritten = study.measure(
    "fidelity", avllm, anew, questions=[HEAR], inputs=["both"], **asked
)
effects = fidelity.controls(table, rewritten)
effects = effects[effects["n"] > 0]
beyond = effects.set_index("label").loc["another sound, against own sound, late"]
claim = "costs more" if beyond["high"] < 0 else "does not clearly cost more"
show.figure(
    plots.fidelity.changes(effects, f"Another sound {claim} than the own one, late"),
    "Changes of audio fidelity with their intervals, for another sound and for each control.",
)

# %% [markdown]
# ## What is only seen, and said to be heard
#
# A wrong answer can be any wrong answer. If the model guesses from the picture, it names what is seen there. Of the
# clips that show something that does not sound, in how many does the answer name it as a sound? For chance, the same
# answers are held against what other clips show.

# %%
confused = fidelity.confusions(by_names)
conflict = confused.query(
    "question == @HEAR and kind == 'counterfactual' and inputs == 'both'"
).set_index("clip")
without = Markdown(
    "**Not measured**: nothing is known of what is only seen in these clips, by events or by captions of the picture, or "
    "no answer about them has a score, or the judge is a language model, of which the column `leakage` tells it."
)
show.figure(
    plots.fidelity.bars(
        confused,
        confused,
        f"{conflict['value'].mean():.0%} of answers hear something that is only seen",
        ylabel="share of answers",
    ),
    "Share of answers that name something only the other modality holds, by question and kind of clip, and by chance.",
) if len(conflict) else without

# %% tags=["hide-input"]
pair = (
    table.query("kind == 'counterfactual' and question == @HEAR")
    .pivot(index="clip", columns="inputs", values="value")
    .reindex(columns=["audio", "both"])
    .dropna()
)
gain = stats.difference(pair["audio"], pair["both"]) if len(pair) else None
if gain is None:
    heard = "**Not measured** is what the picture hides: no answer about the sound has a score"
elif gain.low > 0:
    heard = "**It can hear and does not say**: without the picture it names more of the sound"
elif gain.high < 0:
    heard = "The picture does not hide the sound: without it, less is named"
else:
    heard = "Taking the picture away does not clearly change what it says it hears"
lines = []
if len(conflict):
    verdict = stats.verdict(conflict["value"], conflict["null"])
    lines.append(f"Of {verdict.effect.n} counterfactual clips: {verdict.text}")
lines.append(
    f"{heard}."
    if gain is None
    else f"{heard} ({pair['audio'].mean():.2f} from the sound alone, {pair['both'].mean():.2f} with the picture of something else; "
    f"difference {gain.mean:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}], n = {gain.n})."
)
Markdown("\n\n".join(lines))

# %% [markdown]
# ## Answers to check
#
# The lowest scores, and under them some of the highest. Whoever doubts a number can read what it was made of.

# %%
order = table.query(
    "inputs == 'both' and modality == 'audio' and kind == 'counterfactual'"
)
order = order.sort_values("value", kind="stable")
some = pd.concat([order.head(6), order.iloc[6:].tail(3)])
named = {name: some[name].map(", ".join) for name in lists}
columns = ["clip", "question", "answer", *lists, "value"]
show.table(
    some.assign(**named)[columns],
    "What counterfactual clips were said to sound like, judged for the sound",
)

# %%
known = {clip.id: clip for clip in clips}
worst = [known[name] for name in some["clip"].unique()[:3]]
show.player(
    worst,
    width=200,
    caption=[f"{c.id}: one hears {show.heard(c)}" for c in worst],
)

# %% [markdown]
# ## Paper and here
#
# The study's numbers are of a model of three billion parameters on 500 real clips, judged by a language model; these here
# are of the model and the clips named at the foot of the page. Only the direction can be compared. "Audio" is what is
# said when asked to hear, "video" when asked to see.

# %%
here = fidelity.as_published(table)
show.table(paper.compare(here), "The study's Qwen2.5-Omni-3B, and this run")

# %%
ends = [f"audio fidelity, {kind}" for kind in ("factual", "counterfactual")]
measured = {avllm.name: [here[name] for name in ends]} if {*ends} <= {*here} else {}
show.figure(
    plots.fidelity.drops(measured),
    "Audio fidelity on factual and counterfactual clips: five published models in grey, the model of this run in colour.",
)

# %% [markdown]
# ## Without a judge: two pictures, two sounds
#
# Take two clips $a$ and $b$ that share nothing, and show the picture of either with the sound of either. In each of the
# four, let the model score two captions, $A$ of the sound of $a$ and $B$ of the sound of $b$, and take the margin
#
# $$m(v, s) = \log p(A \mid \text{picture } v, \text{sound } s) - \log p(B \mid \text{picture } v, \text{sound } s).$$
#
# Changing only the sound, or only the picture, moves the margin by
#
# $$
# E_\text{audio} = \tfrac12 \sum_{v} m(v, a) - m(v, b), \qquad E_\text{video} = \tfrac12 \sum_{s} m(a, s) - m(b, s),
# $$
#
# and the *shortcut index* $|E_\text{video}| / (|E_\text{audio}| + |E_\text{video}|)$ is 0 if the sound alone decides
# what is said to be heard, 1 if the picture alone does. How long or how likely a caption is cancels out. As a control,
# the same with captions of the picture, asked what it sees: there the picture ought to decide.

# %%
margin = study.measure("swap", avllm, factual, question=HEAR, **keep)
seen = study.measure(
    "swap", avllm, factual, question=SEE, field="video_captions", **keep
)
found = {question: one for question, one in ((HEAR, margin), (SEE, seen)) if len(one)}
indices = {
    question: swap.summary(one)["shortcut index"] for question, one in found.items()
}
main = [swap.by_pair(one).assign(question=question) for question, one in found.items()]
without = Markdown(
    "**Not measured**: "
    + "; ".join(sorted(set(margin.attrs["left_out"].values())))
    + ". Two factual clips make a pair if no event, or else no word of their captions, is about both."
)
show.figure(
    plots.fidelity.swap(
        margin,
        pd.concat(main),
        f"Shortcut index of what it hears: {indices[HEAR].mean:.2f}",
    ),
    "Left: the mean margin for both pictures and both sounds. Right: main effects of sound and picture, pair by pair.",
) if HEAR in found else without

# %% tags=["hide-input"]
lines = []
if HEAR in found:
    index = indices[HEAR]
    if index.n == 1:
        decides = "one pair says nothing about others"
    elif index.low > 0.5:
        decides = "the picture decides more than the sound does"
    elif index.high < 0.5:
        decides = "the sound decides more than the picture does"
    else:
        decides = "neither clearly decides more than the other"
    lines.append(
        f"Asked what it hears, **{decides}**: shortcut index **{index.mean:.2f}** [{index.low:.2f}, {index.high:.2f}] "
        f"(pairs: {index.n})."
    )
if SEE in found:
    control = indices[SEE]
    lines.append(
        f"Asked what it sees, the control, it is {control.mean:.2f} [{control.low:.2f}, {control.high:.2f}]."
    )
else:
    reasons = sorted(set(seen.attrs["left_out"].values()))
    lines.append(f"**The control was not measured**: {'; '.join(reasons)}.")
Markdown(" ".join(lines))

# %% [markdown]
# ## How many clips until you believe it?
#
# Twenty readers each draw a few of the 200 swapped clips that the shipped organisms were asked about, and compute a mean
# with its interval. *Before you move the slider: with 8 clips each, how far apart will their means be?*

# %% tags=["hide-input"]
from avnb.organisms import cards
from avnb.show import explore

swapped = "question == @HEAR and kind == 'counterfactual' and inputs == 'both'"
names = ["toy-omni", "toy-omni-scratch", "toy-omni-balanced"]
explore.how_many_clips(
    {name: cards.answers(name).query(swapped)["value"] for name in names},
    "all 200 clips",
)

# %% [markdown]
# ## What this does not show
#
# - Fidelity is about what is *said*. Whether the sound is known inside and lost on the way, the logit lens and the
#   knockouts have to tell.
# - The judge of listed events knows the words of this world and no negation, one by words knows no meaning. In the study
#   a language model judges, and agrees with people at a rank correlation of 0.82 for sound and 0.73 for pictures; how
#   well this judge agrees with people was not measured. The table of answers above is there to be read.
# - A sound that comes late loses its end, and with it perhaps an event that only sounds there: the *shifted* clips are a
#   strict control.
# - The two kinds of clips are different clips. An interval covers which clips were drawn, not how they were made.
# - A low score can also mean that the model heard something else. The confusions separate that from guessing, and the
#   swap design does without words altogether.
#
# ## Try it yourself
#
# Ask anything about any clip, with or without its sound or picture, and see how the answer is judged.

# %% tags=["skip-execution"]
from ipywidgets import interact


@interact(
    clip=[(f"{c.kind} {c.id}", c) for c in [*clips, *mute]],
    question=[HEAR, SEE, BOTH],
    inputs=["both", "video", "audio"],
)
def ask(clip, question, inputs):
    """The answer about one clip, and its score."""
    answer = avllm.caption(clip, question, max_new_tokens, fidelity.INPUTS[inputs])
    modalities = modalities_of(question)
    return answer, *(judges.score(answer, clip, m, judge) for m in modalities)


# %% tags=["remove-input"]
show.provenance(model=model, dataset=dataset, n=n, seed=seed, judge=judge)
