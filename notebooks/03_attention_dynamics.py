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
# # Where does an answer look?
#
# **How much attention a modality gets says little before it is set against how many positions it has, and nothing yet
# about what the answer takes from there.**
#
# Every word of an answer is computed from positions of the prompt: some hold pieces of the picture, some hold sound,
# the rest is text. Attention says, layer by layer, how a word divides its look among them. If a model only looked, its
# answers should turn to the picture. This chapter measures where they turn.

# %% tags=["parameters"]
model = "toy-omni"
dataset = "toybox"
n = 24  # clips, half of them counterfactual
seed = 0
question = "Describe what you hear."
sink = 10.0  # a position is a sink if it draws this many times the uniform share
max_new_tokens = 32
out = None  # folder for the tables; None is the cache folder

# %%
from functools import partial

import avnb
import pandas as pd
from avnb import attention, datasets, layers, paper, plots, show, stats, study
from avnb.engine import needs
from IPython.display import Markdown

plots.style()
avllm = avnb.load(model)
n_layers = len(avllm.decoder.layers)
clips = datasets.load(dataset, n=n, seed=seed, fewer=True)

# %% tags=["hide-input"]
Markdown(needs.told(avllm, clips, 6, max_new_tokens=max_new_tokens))

# %% [markdown]
# ## One clip, word by word
#
# A counterfactual clip, if the set has one: its sound is that of another clip. For each word of the answer with three
# letters or more (the first six), its attention is laid over the frames that the model got: bright is where the decoder
# row that chose the word looked most, mean over heads and layers.

# %%
clip = next((c for c in clips if c.kind == "counterfactual"), clips[0])
prompt = avllm.prompt(clip, question)
looked = attention.over_frames(avllm, prompt, max_new_tokens=max_new_tokens)
answer = avllm.caption(clip, question, max_new_tokens)
show.player(clip, caption=f"heard: {show.heard(clip)} – “{question}” – “{answer}”")

# %%
frames, _ = clip.frames(fps=avllm.fps)
texts = [token.strip() for token in looked.tokens]
long = [i for i, text in enumerate(texts) if text.isalpha() and len(text) > 2][:6]
words = long or list(range(len(texts)))[:6]  # an answer of short words only
overlay = plots.attention.over_frames(
    frames,
    looked.attention[words].mean(1),
    [texts[i] for i in words],
    uniform=1 / len(prompt),
)
show.figure(
    overlay,
    "Frames of the clip, one column for each word; bright squares are where it looked.",
)

# %%
steps = attention.by_step(avllm, [prompt], max_new_tokens=max_new_tokens)
show.figure(
    plots.attention.steps(steps),
    "Two heat maps, layers by answer tokens: attention to audio and to video over the uniform share.",
)

# %% [markdown]
# ## Method
#
# Let $a^{(\ell,h)}_{t,k}$ be the attention of head $h$ in layer $\ell$ from the row that chooses answer token $t$ to
# position $k$. With $A^{(\ell)}_k$ its mean over heads and tokens, the **share** of a group $G$ of positions is
#
# $$s^{(\ell)}_G = \frac{\sum_{k \in G} A^{(\ell)}_k}{\sum_{k \in \text{inputs}} A^{(\ell)}_k}
# \qquad\text{and, were attention the same everywhere,}\qquad b_G = \frac{|G|}{|\text{inputs}|}.$$
#
# The inputs are the positions of the prompt; *over everything* puts the answer's own tokens below the fraction bar too.
# The rows begin with the last position of the prompt, because it chooses the first word.
#
# The **uniform baseline** $b_G$ needs no model. The **null** does: the attention stays as measured, but which group a
# position counts for is drawn at random, with as many positions in each group as before. What then comes out owes nothing
# to sound or picture, and its mean over clips is the baseline.

# %%
measure = partial(
    study.measure,
    "attention",
    avllm,
    clips,
    dataset=dataset,
    seed=seed,
    out=out,
    question=question,
    max_new_tokens=max_new_tokens,
)
shares = measure()
shuffled = measure(shuffled=True)

# %% [markdown]
# ## Layer by layer
#
# Audio, video, and text in the grouping of {cite}`selvakumar2026avllm`, where text is all the rest. Solid: the mean over
# clips with its 95 % interval. Dashed: the uniform baseline. The study's curves have neither, because they were read off
# its plot and the number of positions in its prompts is not published.

# %%
show.figure(
    plots.attention.curves(
        {"here": shares, "control: labels shuffled": shuffled}, published=True
    ),
    "Shares of attention by relative depth: measured here, under the null, and as published.",
)


# %% tags=["hide-input"]
def contrasts(table):
    """Preference of audio over video, mean over layers: one value per clip."""
    return attention.preference(table).groupby("clip")["value"].mean()


mean = shares.groupby("group")[["value", "null"]].mean()
Markdown(
    "Mean over all layers: "
    + ", ".join(
        f"{group} **{mean.value[group]:.2f}** (uniform {mean.null[group]:.2f})"
        for group in ("audio", "video", "text")
    )
    + ".\n\nDo positions of audio draw more than positions of video? With $a$ and $v$ the shares of audio and video, each "
    "over its baseline, the preference is $(a - v)/(a + v)$: +1 only audio, −1 only video. "
    + stats.verdict(contrasts(shares), contrasts(shuffled), seed).text
)

# %% [markdown]
# ## Does it look elsewhere when sound and picture disagree?
#
# In counterfactual clips the sound is not that of the picture. A model that weighed the two against each other might turn
# to one of them there.

# %%
kinds = dict(list(attention.preference(shares).groupby("kind", sort=False)))
kinds["control: labels shuffled"] = attention.preference(shuffled)
show.figure(
    plots.attention.preferences(kinds),
    "Preference of audio over video by relative depth, for factual and counterfactual clips and under the null.",
)


# %% tags=["hide-input"]
def gap(per_clip):
    """Mean over counterfactual minus mean over factual clips: (Interval, the same as text)."""
    sides = [per_clip[kind == name] for name in ("counterfactual", "factual")]
    found = stats.resampled(lambda a, b: a - b, *sides, seed=seed)
    return found, f"{found.mean:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


kind = shares.groupby("clip")["kind"].first()
text = "These clips are not of both kinds, so nothing is compared here."
if {"counterfactual", "factual"} <= set(kind):
    real, null = contrasts(shares), contrasts(shuffled)
    (effect, shown), (_, shown_null), (beyond, _) = map(gap, (real, null, real - null))
    stands = all(i.low > 0 or i.high < 0 for i in (effect, beyond))
    text = (
        "Preference of audio over video, mean over layers, on counterfactual minus that on factual clips: "
        f"{shown} (n = {effect.n}), under the null {shown_null}. "
    ) + (
        "The answer looks elsewhere when sound and picture disagree."
        if stands and effect.mean * beyond.mean > 0
        else "**A conflict is not seen in where the answer looks**: zero or the null cannot be ruled out."
    )
Markdown(text)

# %% [markdown]
# ## Text is not one thing, and the answer looks at itself
#
# “Text” holds the question, but also the system message, the chat template and the marks around the media. Apart from
# each other, and as shares of everything, the answer's own tokens included:

# %%
fine = measure(groups="fine", over="all")
show.figure(
    plots.attention.fine(fine),
    "A small panel for each type of position: its share of all attention by depth, with the uniform baseline.",
)

# %%
both = {"inputs": shares, "everything": measure(over="all")}
rows = []
for over, table in both.items():
    for row in stats.summarise(table, "group", seed=seed).itertuples():
        uniform = table.loc[table["group"] == row.group, "null"].mean()
        rows.append((over, row.group, row.mean, row.low, row.high, row.n, uniform))
columns = ["over", "group", "share", "low", "high", "n", "uniform"]
show.table(
    pd.DataFrame(rows, columns=columns),
    "Shares over the inputs and over everything, mean over layers, 95 % interval over clips",
)

# %% tags=["hide-input"]
parts = fine.groupby("group")["value"].mean().drop(["audio", "video", "generated"])
parts = (parts / parts.sum()).sort_values(ascending=False)
Markdown(
    "Of what counts as text, "
    + ", ".join(f"{part:.0%} goes to {name}" for name, part in parts.items())
    + f". Only **{parts.get('query', 0):.0%}** of it is attention to the question."
)

# %% [markdown]
# ## Sinks
#
# Some models park attention on a few positions, whatever these hold: *sinks*. They blow up the share of the group that
# they lie in. Here every position of every prompt is set against the uniform share, and the curves are drawn again
# without those that draw at least `sink` times as much.

# %%
positions = pd.concat(
    attention.sinks(
        avllm, avllm.prompt(c, question), factor=0, max_new_tokens=max_new_tokens
    )
    for c in clips
)
left = measure(without_sinks=sink)
show.figure(
    plots.attention.without_sinks(shares, left, positions, sink),
    "Attention to each prompt position over the uniform share, and the curves with and without sinks.",
)

# %% tags=["hide-input"]
found = positions[positions["ratio"] >= sink]
top = positions.sort_values("ratio").iloc[-1]
Markdown(
    f"No position draws {sink:g} times the uniform share: this model has **no sinks** in these prompts, so the two sets of "
    f"curves are the same. The strongest position, `{top.token}` ({top.type}), draws {top.ratio:.1f} times as much."
    if found.empty
    else "The sinks are "
    + ", ".join(
        f"`{token!r}` ({kind}; in {count} of {positions['clip'].nunique()} prompts)"
        for (token, kind), count in found.groupby(["token", "type"])["clip"]
        .nunique()
        .items()
    )
    + f". They draw **{found.groupby('clip')['value'].sum().mean():.0%}** of a prompt's attention where there are any."
)

# %% [markdown]
# ## Head by head
#
# A mean over heads may hide a few that listen. Left: the preference of each head; orange listens, blue looks. Right: how
# much a head looks at either, because a preference means little where that is pale.

# %%
by_head = measure(by="head")
preference = attention.preference(by_head)
show.figure(
    plots.attention.heads(preference, by_head),
    "Two heat maps, layers by heads: preference of audio over video, and the share of both together.",
)

# %% tags=["hide-input"]
n_heads = by_head.groupby(["layer", "head"]).ngroups
Markdown(
    "A 95 % interval leaves out zero by chance in one of twenty cases: a model without preference would show a dot in about "
    f"{0.05 * n_heads:.0f} of its {n_heads} heads."
)

# %% [markdown]
# ## As the answer goes on
#
# Mean over layers, for each step of the answer: the first words set up the sentence, later ones fill it.

# %%
by_step = measure(by="step")
show.figure(
    plots.attention.over_steps(by_step),
    "Shares of audio, video and text for each answer token, with intervals over clips.",
)

# %% [markdown]
# ## Paper and here
#
# The study finds attention to audio in the first layers only, and to video in the second half. Decoders differ in their
# number of layers $L$, so layers are compared by relative depth, $(\ell + \tfrac12)/L$, and the published curves are taken
# as straight between the layers that were read.


# %%
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
quantities[late] = layers.early_minus_late(curve("video"), 1 / 2)
here = {name: stats.interval(values, seed) for name, values in quantities.items()}
show.table(
    paper.compare(here),
    f"Qwen2.5-Omni-3B in the study, and {model} here (shares over inputs)",
)

# %% tags=["hide-input"]
n_early = int((layers.relative_depth(n_layers) < 1 / 6).sum())
Markdown(
    f"Of the {n_layers} layers here, **{n_early}** {'is' if n_early == 1 else 'are'} in the first sixth. The levels are not "
    "comparable: the study's prompts have other numbers of positions. The differences between layers are, as far as a decoder "
    "of another size has the same stages."
)

# %% [markdown]
# ## What this does not show
#
# - **Attention is not contribution.** A position can be looked at and hold next to nothing, or be looked at little and
#   decide the answer. Shares say where a row reads; what happens when it may not read there is the matter of attention
#   knockout, and only that tests a cause.
# - A share is a mean over heads. Two heads that do opposite things may leave it unchanged.
# - By the time an answer looks at the question or the template, sound and picture may have been written there: later
#   positions have seen the media too. Attention to text is not attention to text alone.
# - Shares of different models cannot be compared as such: a larger picture has more positions, and a higher baseline.
# - Sinks are known from large models and long prompts. A small model or short prompts without any say nothing about those.
# - The study's curves were read off a plot, and hold for Qwen2.5-Omni-3B on clips of its own; with any other `model`, that
#   one is **not measured here**.
#
# ## Try it yourself
#
# Choose a word and a layer, and see where the word looks on the frames.

# %% tags=["skip-execution"]
from ipywidgets import interact


@interact(word=[(text, i) for i, text in enumerate(texts)], layer=(0, n_layers - 1))
def look(word, layer):
    """The attention of one word in one layer over the frames."""
    places = looked.attention[[word], layer]
    figure = plots.attention.over_frames(
        frames, places, [texts[word]], uniform=1 / len(prompt)
    )
    return show.figure(figure, f"Where “{texts[word]}” looks in layer {layer}.")


# %% tags=["remove-input"]
show.provenance(model=model, dataset=dataset, n=n, seed=seed, question=f"“{question}”")
