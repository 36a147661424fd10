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
# # 2. Does it say what it hears?
#
# **A model that names the sound of an ordinary clip may have heard it or guessed it from the picture; on clips with
# another sound, what was guessed is wrong.**

# %% tags=["parameters", "hide-input"]
model = "toy-omni"
dataset = "toybox"
n = 400  # clips, half of them conflicting
each = 100  # of each kind, for the test without a judge
n_edited = 48  # of these, so many are looked at for the controls that take edited clips
seed = 77
max_new_tokens = 64  # where an answer is cut off
judge = None  # by whom answers are judged; None is by what is known of the clips
out = None  # folder for tables and edited clips; None is the cache folder

# %% tags=["hide-input"]
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
from avnb.study import claims, fingerprints
from IPython.display import Markdown

plots.style()
avllm = avnb.load(model)
clips = datasets.load(dataset, n=min(n, n_edited), seed=seed, fewer=True)
if missing := {"factual", "counterfactual"} - {clip.kind for clip in clips}:
    raise ValueError(
        f"{dataset} holds no {' and no '.join(sorted(missing))} clips; this chapter needs both kinds: give more "
        "clips, or make counterfactual ones as in chapter 1 (avnb.curate)"
    )
factual = [clip for clip in clips if clip.kind == "factual"]
judge = judge or judges.suited(clips)
keep = {"dataset": dataset, "seed": seed, "out": out}
asked = keep | {"max_new_tokens": max_new_tokens, "judge": judge}
answers = study.table("fidelity", avllm, n=n, **asked)

# Shown are other clips than those that are counted, drawn with another seed, and chosen by the rule of `example`.
examples = datasets.load(dataset, n=12, seed=seed + 1, fewer=True)
clip, answer = fidelity.example(avllm, examples, HEAR, max_new_tokens)
here = fidelity.as_published(answers)
own, other = (
    here.get(f"audio fidelity, {kind}") for kind in ("factual", "counterfactual")
)
by_inputs = pd.DataFrame(
    {
        inputs: fidelity.by_clip(answers, "counterfactual", inputs)
        for inputs in ("audio", "both")
    }
).dropna()
alone = stats.interval(by_inputs["audio"]) if len(by_inputs) else None
change = here.get("audio fidelity, counterfactual - factual")
show.in_short(
    f"{avllm.name} scores {own.mean:.2f} of 1 for what it says it hears in ordinary clips, and {other.mean:.2f} when picture "
    "and sound disagree"
    + (f"; from that sound alone it scores {alone.mean:.2f}." if alone else ".")
    if own
    else f"What {avllm.name} says it hears could not be judged on these clips.",
    {
        label: show.told(one, of=f"{avllm.name}: audio fidelity, {name}")
        for label, name, one in (
            ("fidelity of what is heard (0 to 1), ordinary clips", "factual", own),
            ("the same, conflicting clips", "counterfactual", other),
            (
                "the same, conflicting clips, sound alone",
                "counterfactual, sound alone",
                alone,
            ),
        )
        if one
    },
    "not judged"
    if not own
    else "the study's drop is found here, "
    f"{'larger' if change.mean < paper.quantities()['audio fidelity, counterfactual - factual'].value else 'smaller'}"
    if change.high < 0
    else "no clear drop on conflicting clips",
    clip=show.player(
        clip,
        width=240,
        caption=show.said(clip, avllm.name, answer),
    ),
)

# %% [markdown]
# {cite}`selvakumar2026avllm` ask models to describe clips, and judge how faithful the answer is to the sound and to the
# picture, each on its own. This chapter asks the same of a model here, in the same three wordings, and adds what tells
# hearing from guessing: chance, clips without sound, sounds out of step, and a test that needs no judge at all.

# %% tags=["hide-input"]
cost = needs.told(avllm, clips, 4 * 3, max_new_tokens=max_new_tokens)
Markdown(f"{judges.told(judge, clips)}\n\n{cost}")

# %% [markdown]
# ## One clip, three questions
#
# The clip above is not among those that are counted. Of twelve others it is the first conflicting one about whose sound
# the model names something that is only to be seen, and nothing that sounds. What it says to all three questions:

# %% tags=["hide-input"]
one = fidelity.measure(
    avllm, [clip], inputs=["both"], judge=judge, max_new_tokens=max_new_tokens
)
lists = ["matched", "missed", "invented"]
columns = ["question", "answer", "modality", *lists, "value"]
show.table(
    one[columns]
    .assign(**{name: one[name].map(", ".join) for name in lists})
    .rename(columns={"modality": "judged for", "value": "fidelity"})
    .replace({"judged for": {"audio": "the sound", "video": "the picture"}}),
    f"Answers of {avllm.name}, judged for one modality at a time",
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
# Every clip is asked about with all three questions, from picture and sound, from the picture alone and from the sound
# alone. Besides, some ordinary clips are edited: *without sound*, and with their own sound *1.5 s late*.

# %%
answers = study.table("fidelity", avllm, n=n, **asked)

# Edited clips are kept under what they are made of: sets of the same name may hold other clips.
edited = Path(out or datasets.cache_folder()) / "fidelity"
edited = edited / fingerprints.clips_fingerprint(factual)
late = curate.shift(factual, edited / "late", seconds=1.5)
mute = curate.mute(factual, edited / "mute")
changed = study.measure(
    "fidelity", avllm, [*late, *mute], questions=[HEAR], inputs=["both"], **asked
)
table = pd.concat([answers, changed], ignore_index=True)

# %% tags=["hide-input"]
drop = fidelity.drop(table)
hear = drop.query("inputs == 'both' and question == @HEAR").set_index("drop")
sees = drop.query("inputs == 'both' and question == @SEE and drop == 'absolute'")
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
        f"On conflicting clips, fidelity of what {avllm.name} says it hears {verb}, from {fall['factual']:.2f} to "
        f"{fall['counterfactual']:.2f}"
    )
# The names that a model of language finds are its own words: they tell no chance, and are not those of other clips.
by_names = table.iloc[:0] if judge.startswith("llm:") else table
chance = fidelity.chance(by_names)
by_how_much = (
    f", conflicting minus ordinary {-fall['mean']:+.2f} ({-fall['high']:+.2f} to {-fall['low']:+.2f})"
    if len(hear)
    else ""
)
cells = stats.summarise(
    fidelity.judged(answers), ["kind", "question", "inputs", "modality"]
)
show.figure(
    plots.fidelity.cells(fidelity.judged(answers), chance, title),
    f"Fidelity (0 to 1){by_how_much}. Rows are questions and what the answer is judged for: orange the sound, blue the picture. "
    f"Means over {show.counted(cells['n'])}, thin lines are 95 % intervals; grey ticks are what the same answers score against other clips (chance).",
    data=cells,
)

# %% tags=["hide-input"]
lines = []
if len(hear):
    relative = hear.loc["relative"]
    lines.append(
        f"Asked what it hears, {avllm.name} scores **{fall['factual']:.2f}** on ordinary clips and "
        f"**{fall['counterfactual']:.2f}** on conflicting ones. The difference is {-fall['mean']:.2f} "
        f"({-fall['high']:.2f} to {-fall['low']:.2f}; n = {fall['n']})"
        + (
            "."
            if pd.isna(relative["mean"])
            else f", or {-relative['mean']:.0%} of the first."
        )
    )
lines += [
    f"Asked what it sees, it scores {row.factual:.2f} and {row.counterfactual:.2f}, a difference of {-row.mean:.2f} "
    f"({-row.high:.2f} to {-row.low:.2f}): the picture is its own in both kinds of clips."
    for row in sees.itertuples()
]
silent = fidelity.judged(table).query("kind == 'mute'")["value"]
if len(silent):
    quiet = stats.interval(silent)
    lines.append(
        f"Shown {quiet.n} clips without any sound and asked what it hears, it stays silent about sounds in "
        f"{quiet.mean:.0%} ({quiet.low:.0%} to {quiet.high:.0%}); in all others it invents some."
    )
if n_truncated := table["truncated"].sum():
    lines.append(
        f"Cut off after {max_new_tokens} tokens, before they had ended: {n_truncated} of {len(table)} answers. What would have "
        "come counts as missed; a higher `max_new_tokens` lets them end."
    )
unscored = table[table["value"].isna()]
if len(unscored):
    lines.append(f"Of {len(table)} answers, {len(unscored)} have no score:")
    lines += [
        f"\n- {why} ({n})" for why, n in unscored["reason"].value_counts().items()
    ]
Markdown("\n".join(lines))

# %% tags=["hide-input"]
lower = drop.query("inputs == 'both'").assign(
    told=lambda rows: [
        show.told(stats.Interval(row.mean, row.low, row.high, row.n))
        for row in rows.itertuples()
    ]
)
lower = lower.pivot(
    index=["question", "modality", "factual", "counterfactual"],
    columns="drop",
    values="told",
)
show.table(
    lower.reset_index()
    .replace({"modality": {"audio": "the sound", "video": "the picture"}})
    .rename(
        columns={
            "modality": "judged for",
            "factual": "ordinary",
            "counterfactual": "conflicting",
            "absolute": "lower by",
            "relative": "lower by, of that on ordinary ones",
        }
    ),
    f"{avllm.name}: how much lower fidelity (0 to 1) is on conflicting clips, with 95 % intervals",
)

# %% [markdown]
# ## Controls: is it the other sound?
#
# A conflicting clip differs from an ordinary one in more than what sounds. Its sound was encoded once more, and it is
# out of step with the picture. Each is tried alone, on clips with their own sound. And the other sounds might be the
# harder ones: then the same clips should also differ without a picture.

# %% tags=["hide-input"]
ids = [clip.id for clip in factual]
themselves = pd.DataFrame({"clip": ids, "donor": ids})
anew = curate.counterfactual(factual, edited / "anew", themselves)
rewritten = study.measure(
    "fidelity", avllm, anew, questions=[HEAR], inputs=["both"], **asked
)
effects = fidelity.controls(table, rewritten)
effects = effects[effects["n"] > 0]
beyond = effects.set_index("label").loc["another sound, beyond its own one late"]
claim = "costs more" if beyond["high"] < 0 else "does not clearly cost more"
show.figure(
    plots.fidelity.changes(
        effects,
        f"Another sound {claim} than its own sound that comes late ({beyond['mean']:+.2f})",
    ),
    f"Changes of the fidelity of what {avllm.name} says it hears (0 to 1), against ordinary clips; {show.counted(effects['n'])}, lines "
    f"are 95 % intervals, that of the difference above {beyond['low']:+.2f} to {beyond['high']:+.2f}. "
    "Grey: what a conflicting clip also changes, without a conflict.",
    data=effects,
)

# %% [markdown]
# ## Seen, and said to be heard
#
# A wrong answer can be any wrong answer. If the model guesses from the picture, it names what is seen there. Of the
# clips that show something that does not sound, in how many does the answer name it as a sound? For chance, the same
# answers are held against what other clips show.

# %% tags=["hide-input"]
confused = fidelity.confusions(by_names)
mistaken = stats.summarise(
    confused.query("kind in ('factual', 'counterfactual')"),
    ["kind", "question", "inputs", "modality"],
)
conflict = confused.query(
    "question == @HEAR and kind == 'counterfactual' and inputs == 'both'"
).set_index("clip")
without = Markdown(
    "**Not measured**: nothing is known of what is only seen in these clips, by events or by captions of the picture, or "
    "no answer about them has a score, or the judge is a language model, of which the column `leakage` tells it."
)
show.figure(
    plots.fidelity.cells(
        confused,
        confused,
        f"{conflict['value'].mean():.0%} of what {avllm.name} says it hears in conflicting clips names something only seen",
        xlabel="share of answers",
    ),
    f"Share of answers of {avllm.name} that name, for one modality, something that only the other one holds, {show.counted(mistaken['n'])}; "
    f"lines are 95 % intervals, of the share above {show.told(stats.interval(conflict['value']))}; grey ticks what the same answers "
    "score against other clips (chance).",
    data=mistaken,
) if len(conflict) else without

# %% tags=["hide-input"]
gain = (
    stats.difference(
        by_inputs["audio"],
        by_inputs["both"],
        clusters=datasets.sources(by_inputs.index),
    )
    if len(by_inputs)
    else None
)
if gain is None:
    heard = "**Not measured** is what the picture hides: no answer about the sound has a score"
elif gain.low > 0:
    heard = f"**{avllm.name} can hear and does not say**: without the picture it names more of the sound"
elif gain.high < 0:
    heard = f"The picture does not hide the sound from {avllm.name}: without it, less is named"
else:
    heard = f"Taking the picture away does not clearly change what {avllm.name} says it hears"
lines = []
if len(conflict):
    verdict = stats.verdict(
        conflict["value"],
        conflict["null"],
        clusters=datasets.sources(conflict.index),
        what="this share",
    )
    lines.append(
        f"Share of {verdict.effect.n} conflicting clips in which {avllm.name} names something only seen as a sound, with the share "
        f"by chance as the control. {verdict.text}"
    )
lines.append(
    f"{heard}."
    if gain is None
    else f"{heard} ({by_inputs['audio'].mean():.2f} from the sound alone, {by_inputs['both'].mean():.2f} with the picture of "
    f"something else; difference {show.told(gain, signed=True, of=f'{avllm.name}: {claims.GAIN}')})."
)
Markdown("\n\n".join(lines))

# %% [markdown]
# ## Answers to check
#
# The lowest scores, and under them some of the highest: a reader who doubts a number can see what it was made of.

# %% tags=["hide-input"]
order = answers.query(
    "inputs == 'both' and modality == 'audio' and kind == 'counterfactual'"
)
order = order.sort_values("value", kind="stable")
some = pd.concat([order.head(6), order.iloc[6:].tail(3)])
named = {name: some[name].map(", ".join) for name in [*lists, "elsewhere"]}
columns = ["elsewhere", "question", "answer", *lists, "value"]
show.table(
    some.assign(**named)[columns].rename(
        columns={"elsewhere": "only seen", "value": "fidelity"}
    ),
    f"Answers of {avllm.name} about conflicting clips, judged for the sound: matched and missed are what sounds",
)

# %% [markdown]
# ## Paper and here
#
# The study's numbers are of models of three billion parameters and more, on 500 real clips, judged by a language model;
# these here are of the model and the clips named at the foot of the page. Only the direction can be compared. "Audio" is
# what is said when asked to hear, "video" when asked to see. *Stated* numbers are printed by the authors, *digitised*
# ones were read off their plots, *derived* ones follow from these.

# %% tags=["hide-input"]
show.table(
    paper.compare(here), f"The study's Qwen2.5-Omni-3B, and {avllm.name} in this run"
)

# %% tags=["hide-input"]
drawn = [
    (name, kind, value / 100, None, None, None)
    for name, one in paper.published()["audio_fidelity_x100"].items()
    if isinstance(one, dict)
    for kind, value in one.items()
]
if own:
    drawn += [(avllm.name, "factual", *own), (avllm.name, "counterfactual", *other)]
show.figure(
    plots.fidelity.drops({avllm.name: [own, other]} if own else {}),
    "Audio fidelity (0 to 1) on ordinary and conflicting clips: five published models in grey, without intervals, on other "
    f"clips and by another judge; {avllm.name} in orange"
    + (f", n = {own.n} and {other.n} clips, with 95 % intervals." if own else "."),
    data=pd.DataFrame(drawn, columns=["model", "kind", "mean", "low", "high", "n"]),
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
pairs = keep | {"n": n, "each": each, "kinds": ["factual"]}
margin = study.table("swap", avllm, question=HEAR, **pairs)
seen = study.table("swap", avllm, question=SEE, field="video_captions", **pairs)

# %% tags=["hide-input"]
found = {question: one for question, one in ((HEAR, margin), (SEE, seen)) if len(one)}
indices = {
    question: swap.summary(one)["shortcut index"] for question, one in found.items()
}
main = [swap.by_pair(one).assign(question=question) for question, one in found.items()]
without = Markdown(
    "**Not measured**: "
    + "; ".join(sorted(set(margin.attrs["left_out"].values())))
    + ". Two ordinary clips make a pair if no event, or else no word of their captions, is about both."
)
show.figure(
    plots.fidelity.swap(
        margin,
        pd.concat(main),
        f"Shortcut index of what {avllm.name} says it hears: {indices[HEAR].mean:.2f} (n = {indices[HEAR].n} pairs)",
    ),
    f"Left: the mean margin of {avllm.name} for both pictures and both sounds, with 95 % intervals. Right: how far the margin "
    "moves when only the sound, or only the picture, is changed; a dot is a pair, a diamond the mean, a line its 95 % interval. "
    f"The index is {show.told(indices[HEAR])}: 0 the sound decides, 1 the picture.",
    data=pd.concat(main),
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
        f"{avllm.name}, asked what it hears: **{decides}**; shortcut index **{index.mean:.2f}** ({index.low:.2f} to {index.high:.2f}; "
        f"n = {index.n} pairs)."
    )
if SEE in found:
    control = indices[SEE]
    lines.append(
        f"Asked what it sees, the control, it is {control.mean:.2f} ({control.low:.2f} to {control.high:.2f})."
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
# ### What clips share
#
# Clips are no strangers to each other: sounds are lent in turn, and two clips may show the same source. So the same
# values are resampled in groups. What widens an interval, tells what it can speak of.

# %% tags=["hide-input"]
conflicting = fidelity.by_clip(answers, "counterfactual")
groups = {
    "clips whose sounds were exchanged": conflicting.index.map(
        lambda name: tuple(sorted(name.split("+")))
    ),
    "clips whose picture shows the same source": datasets.sources(conflicting.index),
}
alike = {"every clip on its own": stats.interval(conflicting)} | {
    name: stats.interval(conflicting, clusters=of)
    for name, of in groups.items()
    if of is not None
}
widths = {name: one.high - one.low for name, one in alike.items()}
narrow = widths["every clip on its own"]
show.table(
    pd.DataFrame(
        [
            (name, one.mean, one.low, one.high, widths[name] / narrow)
            for name, one in alike.items()
        ],
        columns=["resampled together", "mean", "low", "high", "times as wide"],
    ),
    f"Fidelity of what {avllm.name} says it hears in conflicting clips, n = {len(conflicting)}",
)

# %% [markdown]
# So this book uses two intervals:
#
# - A **level**, such as a fidelity, is about this world with its two dozen sources; its interval is over clips.
# - An **effect** on which a verdict rests (a difference, a change, what lies beyond a control) should hold for other sources
#   too. There, clips whose picture shows the same source are resampled together.

# %% [markdown]
# ## What this shows

# %% tags=["hide-input"]
shows = [
    heard.replace("**", "") + ".",
    title + ".",
    f"For {avllm.name}, the drop is {'more' if beyond['high'] < 0 else 'not clearly more'} than what a late sound costs"
    + (
        f", and {conflict['value'].mean():.0%} of the answers name something only seen."
        if len(conflict)
        else "."
    ),
]
Markdown("\n".join(f"- {line}" for line in shows))

# %% [markdown]
# ## What this does not show
#
# - Fidelity is about what is *said*. Whether the sound is known inside and lost on the way, the logit lens and the
#   knockouts have to tell.
# - The judge of listed events knows the words of this world alone: in "There is no bell" it finds a bell, in "A woman
#   speaks" a singer, in "raindrops" nothing. One by words knows no meaning. In the study a language model judges, and
#   agrees with people at a rank correlation of 0.82 for sound and 0.73 for pictures; how well this judge agrees with
#   people was not measured. The table of answers above is there to be read.
# - A sound that comes late loses its end, and with it perhaps an event that only sounds there: the *shifted* clips are a
#   strict control.
# - The two kinds of clips are different clips. An interval covers which clips were drawn, not how they were made.
# - A low score can also mean that the model heard something else. The share of what is only seen separates that from
#   guessing, and the swap design does without words altogether.
#
# ## Try it yourself
#
# **Task.** Take an ordinary clip and its version without sound (*mute*), and ask what is heard in either. What should an
# honest model say about the second, and what does this one say? Needs Python: open this page on Colab or on your machine; the page alone shows the cell, not its controls.
#
# <details><summary>What to expect</summary>
#
# An honest model would hear nothing. `toy-omni` usually names the sound of what is seen, since in its training what was
# seen was also heard; the share is under the first figure. Ask the same of `toy-omni-balanced` (set `model`), half of
# whose clips were in conflict.
#
# </details>

# %% tags=["skip-execution"]
from ipywidgets import interact


@interact(
    clip=[(f"{c.kind}; {show.about(c)}", c) for c in [*mute, *clips]],
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
