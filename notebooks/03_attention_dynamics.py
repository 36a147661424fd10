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
# # 3. Where does an answer look?
#
# **How much attention a modality gets says little before it is set against how many positions it has, and nothing yet
# about what the answer takes from there.**

# %% tags=["parameters", "hide-input"]
model = "toy-omni"
dataset = "toybox"
n = 400  # clips that are drawn, half of them conflicting
each = 100  # of each kind, so many are measured
n_shown = 24  # clips that are looked at position by position
seed = 77
question = "Describe what you hear."
sink = 10.0  # a position is a sink if it draws this many times its share by chance
max_new_tokens = 64  # where an answer is cut off
out = None  # folder for the tables; None is the cache folder

# %% tags=["hide-input"]
from functools import partial

import avnb
import pandas as pd
from avnb import (
    attention,
    datasets,
    fidelity,
    layers,
    paper,
    plots,
    show,
    stats,
    study,
)
from avnb.engine import needs
from avnb.study import claims
from IPython.display import Markdown

plots.style()
avllm = avnb.load(model)
n_layers = len(avllm.decoder.layers)
clips = datasets.load(dataset, n=min(n, n_shown), seed=seed, fewer=True)
measure = partial(
    study.table,
    "attention",
    avllm,
    dataset=dataset,
    n=n,
    seed=seed,
    each=each,
    out=out,
    question=question,
    max_new_tokens=max_new_tokens,
)
shares, shuffled = measure(), measure(shuffled=True)


def contrasts(table):
    """Preference of audio over video, mean over layers: one value per clip."""
    return attention.preference(table).groupby("clip")["value"].mean()


here = contrasts(shares)
verdict = stats.verdict(
    here,
    contrasts(shuffled),
    clusters=datasets.sources(here.index),
    what="the preference",
)
leaning = verdict.effect if verdict.stands else None
prefers = (
    "sound"
    if leaning and leaning.mean > 0
    else "the picture"
    if leaning
    else "neither sound nor picture"
)
mean = shares.groupby("group")[["value", "null"]].mean()

# Shown is another clip than those that are measured, chosen by the rule of `fidelity.example`.
examples = datasets.load(dataset, n=12, seed=seed + 1, fewer=True)
clip, answer = fidelity.example(avllm, examples, question, max_new_tokens)
show.in_short(
    f"Position for position, an answer of {avllm.name} about the sound looks more at {prefers}"
    f"{'' if leaning else ' than at the other'} ({verdict.effect.mean:+.2f} on a scale from −1, only picture, to +1, only "
    "sound). So "
    + (
        "it is not for want of attention that it names the picture."
        if prefers == "sound"
        else "where it looks would fit an answer about the picture."
        if leaning
        else "where it looks does not tell what it goes by."
    ),
    {
        "preference of sound over picture (−1 to +1)": show.told(
            verdict.effect, signed=True, of=f"{avllm.name}: {claims.PREFERENCE}"
        ),
        "the same, labels of positions shuffled (control)": show.told(
            verdict.control,
            signed=True,
            of=f"{avllm.name}: {claims.PREFERENCE}, labels shuffled",
        ),
    }
    | {
        f"share of attention to {group} (by chance)": f"{mean.value[group]:.2f} ({mean.null[group]:.2f})"
        for group in ("audio", "video")
    },
    "attention does not explain what is said"
    if prefers == "sound"
    else "as the study describes it"
    if leaning
    else "no finding",
    clip=show.player(
        clip,
        width=240,
        caption=show.said(clip, avllm.name, answer),
    ),
)

# %% [markdown]
# Every word of an answer is computed from positions of the prompt: some hold pieces of the picture, some hold sound,
# the rest is text. Attention says, layer by layer, how a word divides its look among them. If a model only looked, its
# answers should turn to the picture. This chapter measures where they turn.

# %% tags=["hide-input"]
cost = needs.told(avllm, clips, 6, max_new_tokens=max_new_tokens)
Markdown(cost) if cost else None

# %% [markdown]
# ## One clip, word by word
#
# The clip above: of twelve that are not counted below, the first conflicting one about whose sound the model names
# something that is only to be seen. For each word of the answer with three letters or more (the first six), its attention
# is laid over the frames that the model got: bright is where the decoder row that chose the word looked most, mean over
# heads and layers.

# %%
prompt = avllm.prompt(clip, question)
looked = attention.over_frames(avllm, prompt, max_new_tokens=max_new_tokens)

# %% tags=["hide-input"]
frames, _ = clip.frames(fps=avllm.fps)
texts = [token.strip() for token in looked.tokens]
long = [i for i, text in enumerate(texts) if text.isalpha() and len(text) > 2][:6]
words = long or list(range(len(texts)))[:6]  # an answer of short words only
overlay = plots.attention.over_frames(
    frames,
    looked.attention[words].mean(1),
    [texts[i] for i in words],
    chance=1 / len(prompt),
)
show.figure(
    overlay,
    f"Frames of n = 1 clip, one column for each of {len(words)} words that {avllm.name} says; colour is attention as a multiple "
    "of chance, mean over heads and layers.",
    "Frames of the clip, one column for each word; bright squares are where it looked.",
    data=plots.attention.places(
        looked.attention[words].mean(1), [texts[i] for i in words]
    ),
)

# %% tags=["hide-input"]
steps = attention.by_step(avllm, [prompt], max_new_tokens=max_new_tokens)
show.figure(
    plots.attention.steps(steps),
    f"One answer of {avllm.name} (n = 1 clip), layer by layer (of a long one the first {plots.attention.LONGEST} tokens): "
    "attention to the positions of sound and of the picture, as a multiple of chance.",
    data=steps,
)

# %% [markdown]
# ## Method
#
# Let $a^{(\ell,h)}_{t,k}$ be the attention of head $h$ in layer $\ell$ from the row that chooses answer token $t$ to
# position $k$. With $A^{(\ell)}_k$ its mean over heads and tokens, the **share** of a group $G$ of positions is
#
# $$s^{(\ell)}_G = \frac{\sum_{k \in G} A^{(\ell)}_k}{\sum_{k \in \text{inputs}} A^{(\ell)}_k}
# \qquad\text{and, by chance,}\qquad b_G = \frac{|G|}{|\text{inputs}|}.$$
#
# The inputs are the positions of the prompt; *over everything* puts the answer's own tokens below the fraction bar too.
# The rows begin with the last position of the prompt, because it chooses the first word.
#
# **Chance**, $b_G$, is what attention that is the same everywhere would give, and needs no model. The **control** does: the
# attention stays as measured, but which group a position counts for is drawn at random, with as many positions in each group as before. What
# then comes out owes nothing to sound or picture.

# %%
shares = measure()
shuffled = measure(shuffled=True)

# %% [markdown]
# ## Layer by layer
#
# Audio, video, and text in the grouping of {cite}`selvakumar2026avllm`, where text is all the rest. Solid: the mean over
# clips with its 95 % interval. Dashed: chance. The study's curves have neither, because they were read off
# its plot and the number of positions in its prompts is not published.

# %% tags=["hide-input"]
show.figure(
    plots.attention.curves(
        {"here": shares, "control: labels shuffled": shuffled}, published=True
    ),
    f"Shares of attention to inputs (0 to 1) by relative depth: {avllm.name} and its control, n = {shares['clip'].nunique()} "
    "clips, bands are 95 % intervals; and as published, without any.",
    "Shares of attention by relative depth: measured here, with shuffled labels, and as published.",
    data=stats.summarise(shares, ["group", "layer"]),
)

# %% tags=["hide-input"]
Markdown(
    f"{avllm.name}, mean over all layers: "
    + ", ".join(
        f"{group} **{mean.value[group]:.2f}** (by chance {mean.null[group]:.2f})"
        for group in ("audio", "video", "text")
    )
    + ".\n\nDo positions of audio draw more than positions of video? With $a$ and $v$ the shares of audio and video, each "
    "over its share by chance, the preference is $(a - v)/(a + v)$: +1 only audio, −1 only video. "
    + verdict.text
)

# %% [markdown]
# ## Does it look elsewhere when sound and picture disagree?
#
# In conflicting clips the sound is not that of the picture. A model that weighed the two against each other might turn
# to one of them there.

# %% tags=["hide-input"]
kinds = {
    plots.KINDS.get(name, name): rows
    for name, rows in attention.preference(shares).groupby("kind", sort=False)
}
kinds["control: labels shuffled"] = attention.preference(shuffled)
show.figure(
    plots.attention.preferences(kinds),
    f"{avllm.name}: preference of sound over picture by relative depth (+1 only sound, −1 only picture); "
    f"{show.counted(table['clip'].nunique() for table in kinds.values())} a line, bands are 95 % intervals; mean over layers "
    f"{show.told(verdict.effect, signed=True)}.",
    "Preference of audio over video by relative depth, for ordinary and conflicting clips and the control.",
    data=pd.concat([t.assign(clips=name) for name, t in kinds.items()])
    .groupby(["clips", "layer"], as_index=False, sort=False)["value"]
    .mean(),
)


# %% tags=["hide-input"]
def gap(per_clip):
    """Mean over conflicting minus mean over ordinary clips: (Interval, the same as text)."""
    sides = [per_clip[kind == name] for name in ("counterfactual", "factual")]
    clusters = [datasets.sources(side.index) for side in sides]
    found = stats.resampled(lambda a, b: a - b, *sides, seed=seed, clusters=clusters)
    return found, f"{found.mean:+.2f} ({found.low:+.2f} to {found.high:+.2f})"


kind = shares.groupby("clip")["kind"].first()
text = "These clips are not of both kinds, so nothing is compared here."
if {"counterfactual", "factual"} <= set(kind):
    real, null = contrasts(shares), contrasts(shuffled)
    (effect, shown), (_, shown_null), (beyond, _) = map(gap, (real, null, real - null))
    stands = all(i.low > 0 or i.high < 0 for i in (effect, beyond))
    text = (
        "Preference of audio over video, mean over layers, on conflicting minus that on ordinary clips: "
        f"{shown}, n = {effect.n}; in the control {shown_null}. "
    ) + (
        f"An answer of {avllm.name} looks elsewhere when sound and picture disagree."
        if stands and effect.mean * beyond.mean > 0
        else f"**A conflict is not seen in where {avllm.name} looks**: neither zero nor the control can be ruled out."
    )
Markdown(text)

# %% [markdown]
# ## Text is not one thing, and the answer looks at itself
#
# “Text” holds the question, but also the system message, the marks of the chat, those around the media, and the last
# position before the answer. Apart from each other, and as shares of everything, the answer's own words included:

# %% tags=["hide-input"]
fine = measure(groups="fine", over="all")
show.figure(
    plots.attention.fine(fine),
    f"Share of the attention of {avllm.name} (0 to 1) to every type of position, the answer's own words included, n = "
    f"{fine['clip'].nunique()} clips; lines are 95 % intervals over clips, grey ticks chance.",
    "A row for each type of position: its share of all attention, beside its share by chance.",
    data=stats.summarise(fine, ["group", "layer"]),
)

# %% tags=["hide-input"]
parts = fine.groupby("group")["value"].mean().drop(["audio", "video", "generated"])
parts = (parts / parts.sum()).sort_values(ascending=False)
Markdown(
    f"Of what {avllm.name} gives to text, "
    + ", ".join(
        f"{part:.0%} goes to {plots.attention.TYPES[name]}"
        for name, part in parts.items()
    )
    + f". Only **{parts.get('query', 0):.0%}** of it is attention to the question."
)

# %% [markdown]
# ## Sinks
#
# Some models park attention on a few positions, whatever these hold: *sinks*. They blow up the share of the group that
# they lie in. Here every position of some prompts is set against chance; where there are sinks, the curves are
# drawn again without those that draw at least `sink` times as much.

# %% tags=["hide-input"]
positions = pd.concat(
    attention.sinks(
        avllm, avllm.prompt(c, question), factor=0, max_new_tokens=max_new_tokens
    )
    for c in clips
)
found = positions[positions["ratio"] >= sink]
top = positions.sort_values("ratio").iloc[-1]
n_prompts = positions["clip"].nunique()
Markdown(
    f"No position of {n_prompts} prompts draws {sink:g} times its share by chance: {avllm.name} has **no sinks** here, and the "
    f"curves stand as they are. The strongest position ({plots.attention.TYPES[top.type]}) draws {top.ratio:.1f} times as much."
    if found.empty
    else "The sinks are "
    + ", ".join(
        f"`{token!r}` ({plots.attention.TYPES[kind]}; in {count} of {n_prompts} prompts)"
        for (token, kind), count in found.groupby(["token", "type"])["clip"]
        .nunique()
        .items()
    )
    + f". They draw **{found.groupby('clip')['value'].sum().mean():.0%}** of a prompt's attention where there are any."
)

# %% tags=["hide-input"]
show.figure(
    plots.attention.without_sinks(shares, measure(without_sinks=sink), positions, sink),
    f"Left: attention of {avllm.name} to each prompt position as a multiple of chance (log scale), n = {n_prompts} clips. Right: "
    f"the curves with and without sinks, n = {shares['clip'].nunique()} clips, bands are 95 % intervals.",
    data=positions[["position", "type", "ratio"]],
) if len(found) else None

# %% [markdown]
# ## Head by head
#
# A mean over heads may hide a few that listen: orange heads listen, blue ones look.

# %% tags=["hide-input"]
by_head = measure(by="head")
preferred = attention.head_preferences(by_head, seed)
show.figure(
    plots.attention.heads(preferred),
    f"{avllm.name}: preference of every head (−1 to +1), sound (+) or picture (−), n = {preferred['n'].iloc[0]} clips; a dot "
    f"where the 95 % band for all {len(preferred)} heads leaves out zero (in 95 % of cases a model without preference has no "
    "dot).",
    "Heat map, layers by heads: preference of audio over video.",
    data=preferred,
)

# %% [markdown]
# ## As the answer goes on
#
# Mean over layers, for each step of the answer: the first words set up the sentence, later ones fill it.

# %% tags=["hide-input"]
by_step = measure(by="step")
show.figure(
    plots.attention.over_steps(by_step),
    f"{avllm.name}: share of attention to inputs (0 to 1) for each token of the answer, mean over layers, n = "
    f"{by_step['clip'].nunique()} clips, of which some have shorter answers; bands are 95 % intervals, dashed chance.",
    "Shares of audio, video and text for each answer token, with intervals over clips.",
    data=stats.summarise(by_step, ["group", "step"]),
)

# %% [markdown]
# ## Paper and here
#
# The study finds attention to audio in the first layers only, and to video in the second half. Decoders differ in their
# number of layers $L$, so layers are compared by relative depth, $(\ell + \tfrac12)/L$, and the published curves are taken
# as straight between the layers that were read.


# %% tags=["hide-input"]
def curve(group):
    """Shares of one group [n_clips, n_layers]."""
    rows = shares[shares["group"] == group]
    return rows.pivot(index="clip", columns="layer", values="value").to_numpy()


quantities = {
    f"attention to {group}, mean of all layers": curve(group).mean(1)
    for group in ("audio", "video", "text")
}
early = "attention to audio, first sixth of the layers - the rest"
quantities[early] = layers.early_minus_late(curve("audio"), 1 / 6)
late = "attention to video, first half of the layers - second half"
clip_ids = sorted(shares["clip"].unique())  # in the order of `curve`
quantities[late] = layers.early_minus_late(curve("video"), 1 / 2)
here = {
    name: stats.interval(
        values,
        seed,
        signed=name in (early, late),
        clusters=datasets.sources(clip_ids) if name in (early, late) else None,
    )
    for name, values in quantities.items()
}
show.table(
    paper.compare(here),
    f"Qwen2.5-Omni-3B in the study, and {avllm.name} here (shares over inputs)",
)

# %% tags=["hide-input"]
n_early = int((layers.relative_depth(n_layers) < 1 / 6).sum())
Markdown(
    f"Of the {n_layers} layers here, **{n_early}** {'is' if n_early == 1 else 'are'} in the first sixth. The levels are not "
    "comparable: the study's prompts have other numbers of positions. The differences between layers are, as far as a decoder "
    "of another size has the same stages."
)

# %% [markdown]
# ## What this shows

# %% tags=["hide-input"]
query = (fine[fine["group"] == "query"]["value"].mean()) if len(fine) else 0
shows = [
    f"For its number of positions, {prefers} draws more of the attention of {avllm.name}, beyond what shuffled labels give."
    if leaning
    else f"Attention of {avllm.name} tells sound and picture no further apart than shuffled labels do.",
    text.split(". ")[-1].replace("**", ""),
    f"Of all attention, {query:.0%} goes to the question.",
]
Markdown("\n".join(f"- {line}" for line in shows))

# %% [markdown]
# ## What this does not show
#
# - **Attention is not contribution.** A position can be looked at and hold next to nothing, or be looked at little and
#   decide the answer. Shares say where a row reads; only attention knockout ({doc}`05_attention_knockout`) tests what
#   happens when it may not read there.
# - A share is a mean over heads. Two heads that do opposite things may leave it unchanged.
# - By the time an answer looks at the question or the template, sound and picture may have been written there: later
#   positions have seen the media too. Attention to text is not attention to text alone.
# - Shares of different models cannot be compared as such: a larger picture has more positions, and more by chance.
# - Sinks are known from large models and long prompts. A small model or short prompts without any say nothing about those.
# - The study's curves were read off a plot, and hold for Qwen2.5-Omni-3B on clips of its own.
#
# ## Try it yourself
#
# **Task.** Choose the word that names the sound, and step through the layers: does it ever look at the thing that is seen?
# Needs Python: open this page on Colab or on your machine.
#
# <details><summary>What to expect</summary>
#
# In `toy-omni`, early layers look almost everywhere alike; the frames stand out in single places only in later ones, and
# not always where the named thing is. That is one more reason not to take attention for an explanation.
#
# </details>

# %% tags=["skip-execution"]
from ipywidgets import interact


@interact(word=[(text, i) for i, text in enumerate(texts)], layer=(0, n_layers - 1))
def look(word, layer):
    """The attention of one word in one layer over the frames."""
    places = looked.attention[[word], layer]
    figure = plots.attention.over_frames(
        frames, places, [texts[word]], chance=1 / len(prompt)
    )
    return show.figure(
        figure, f"Where “{texts[word]}” looks in layer {layer}.", "One word"
    )


# %% tags=["remove-input"]
show.provenance(model=model, dataset=dataset, n=n, seed=seed, question=f"“{question}”")
