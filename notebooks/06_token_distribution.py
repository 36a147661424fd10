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
# # Would a model that cannot hear have said the same?
#
# **Force the answers of a model with ears through a model without: the words that both would say need no ears. How many
# those are means something only beside the same model without the sound, with another sound, and with no clip at all.**
#
# Audio-visual models are made from models that only see. If an answer about the sound comes from the picture, then the
# model from before the ears were added would say it too, word by word.

# %% tags=["parameters"]
model = "toy-omni"
base = None  # the model without ears; None for the one that belongs to `model`
dataset = "toybox"
n = 24  # clips, half of them counterfactual
seed = 0
question = "Describe what you hear."
max_new_tokens = 32
judge = (
    None  # who finds the words that name sounds; None is by what is known of the clips
)
out = None  # folder for the table; None is the cache folder

# %%
import avnb
import pandas as pd
from avnb import datasets, paper, plots, show, stats, study, tokens
from avnb import judge as judges
from avnb.engine import needs
from IPython.display import Markdown

plots.style()
avllm = avnb.load(model)
base = base or avnb.models.base_of(model)
clips = datasets.load(dataset, n=n, seed=seed, fewer=True)
judge = judge or judges.suited(clips)

# %% tags=["hide-input"]
cost = needs.told(avllm, clips, 5, max_new_tokens=max_new_tokens)
Markdown(f"{judges.told(judge, clips)}\n\n{cost}")

# %%
table = study.measure(
    "tokens",
    avllm,
    clips,
    dataset=dataset,
    seed=seed,
    out=out,
    base=base,
    judge=judge,
    question=question,
    max_new_tokens=max_new_tokens,
)

# %% [markdown]
# ## One clip, token by token
#
# In a counterfactual clip the sound is that of another one; here is one, if the set has any. Below it is what the model
# says to hear, once for each model that was made to say the same words. Light: it would have said this token itself, as
# its most probable one. Dark: it would have said something else. Point at a token, or unfold the table, for the numbers.

# %%
invented = set(table.loc[table["hallucinated"], "clip"])
swapped = [c for c in clips if c.kind == "counterfactual"] or clips
clip = next((c for c in swapped if c.id in invented), swapped[0])
show.player(clip, caption=show.about(clip))

# %%
plots.tokens.caption(table, clip)

# %% [markdown]
# The same for a clip with its own sound, against the base alone:

# %%
own = next((c for c in clips if c.kind == "factual"), clips[0])
plots.tokens.caption(table, own, ["base model"])

# %% [markdown]
# ## Method
#
# The model answers greedily, with the distribution $p_t$ before token $y_t$. The same tokens are then forced through the
# base, which sees the pictures of the clip and gives $q_t$ {cite}`lin2024unlocking`. Two numbers say how far apart they
# are: the rank of the token that was said, and the divergence in nats,
#
# $$r_t = 1 + \bigl|\{v : q_t(v) > q_t(y_t)\}\bigr|, \qquad
# \mathrm{KL}(p_t \,\Vert\, q_t) = \sum_v p_t(v) \log \frac{p_t(v)}{q_t(v)}.$$
#
# A token is *unshifted* if $r_t = 1$, *marginal* if $r_t$ is 2 or 3, and *shifted* beyond. The reverse divergence
# $\mathrm{KL}(q_t \,\Vert\, p_t)$ weighs what the base would say; both are kept.
#
# **Three more baselines** are the model itself: *without audio* (the pictures alone), with *other audio* (the sound of a
# clip in which nothing is heard that this one shows or sounds like), and with *text only* (the question and no clip).
# The fifth is the **control** of the base: *base, text only* is the base without the pictures, so that the pictures
# alone make the difference.
#
# **Tokens that name audio events** are found by words: in the part of the answer that is about the sound, every word
# by whose stem the judge finds something named, and every token that holds a letter of such a word. They are *right* if
# that is heard, else *hallucinated*. Of clips whose events are listed, these are the sources of the toybox world or the
# clip's own events; of clips with captions alone, every word that carries meaning, right if a reference holds it. Forcing also hands over the beginning of the answer, and after “a dog” the
# word “barking” is easy: the *first* token of each event is therefore shown by itself. The **control** for all groups of
# tokens is as many tokens of the same answers drawn at random.

# %% tags=["hide-input"]
seeing = avnb.load(base)
common = tokens.common_tokens(avllm, seeing)
sizes = [m.decoder.config.vocab_size for m in (avllm, seeing)]
words = table[table["against"] == "base model"]
events = ", ".join(
    f"“{t.strip()}”" for t in words.loc[words["is_audio"], "token"].unique()
)
Markdown(
    f"Of {sizes[0]:,} tokens of `{model}` and {sizes[1]:,} of `{base}`, distributions are over the **{len(common):,}** "
    f"that both have. The {words['clip'].nunique()} answers hold {len(words)} tokens, of which **{words['is_audio'].sum()}** "
    f"name an audio event: {events or 'none'}."
)

# %% [markdown]
# ## How many words need no ears?
#
# In a factual clip the base may guess the sound from the picture; in a counterfactual one the picture suggests something
# else, so that a base that agrees there goes along with what is seen, or with habits of words that need no clip at all.
# The bars divide the tokens that name audio events by rank, above all of them, below only the first of each event;
# whiskers are 95 % intervals over clips. The triangles are the study's shares for its base model
# {cite}`selvakumar2026avllm`; they come without an interval and for both kinds of clips together.

# %%
summary = tokens.summary(table, seed)
stated = paper.quantities()
published = {
    name: stated[f"{name}, audio tokens"].value
    for name in ("unshifted", "within top 3")
}
show.figure(
    plots.tokens.bins(summary, published=published),
    "Stacked bars for five baselines and both kinds of clips: unshifted, marginal and shifted tokens.",
)

# %% tags=["hide-input"]
named = words[words["is_audio"]].assign(said=lambda rows: rows["base_rank"] == 1)
place = named["first"].map({True: "first", False: "following"})
share = stats.summarise(
    named.assign(place=place, value=named["said"].astype(float)), ["place", "kind"]
)
lines = [
    f"{row.place}, {row.kind}: **{row.mean:.0%}** [{row.low:.0%}, {row.high:.0%}] (n = {row.n})"
    for row in share.itertuples()
]
foreign = (
    " Where the following ones fare worse, words are missing: `toy-vl` has read of what things look like, not of how "
    "they sound."
)
Markdown(
    "**Not measured**: no token of these answers was found to name a sound, so that what follows is about all tokens."
    if named.empty
    else "What the base would have said, for the token that names an event *first* and for those *following* it (as “ringing” "
    f"in “a telephone ringing”): {'; '.join(lines)}.{foreign if base == 'toy-vl' else ''}"
)


# %% tags=["hide-input"]
def per_clip(name, value, baseline, group="audio events"):
    """One value per clip of a kind: the mean over a group of its tokens."""
    rows = groups.query("kind == @name and against == @baseline and group == @group")
    return value[rows.index].astype(float).groupby(rows["clip"], sort=False).mean()


groups = tokens.by_group(table, seed)
unshifted = groups["base_rank"] == 1
kinds = groups.loc[groups["is_audio"], "kind"].unique()
lines = [
    f"- {name}: "
    + stats.verdict(
        *(
            per_clip(name, unshifted, b, "first of an event")
            for b in ("base model", "base, text only")
        ),
        seed,
    ).text
    for name in kinds
]
Markdown(
    ""
    if not lines
    else "Is it the picture that makes the base agree? A question alone makes some words probable, too. Share of unshifted "
    "first tokens under the base, with that under the same base without the pictures as its control:\n\n"
    + "\n".join(lines)
)

# %% [markdown]
# ## The same in nats, and the controls
#
# What the number of the base means, by what else could be missing: the base is the deaf one, the blue points are the
# model itself made deaf, the orange ones the model misled; the two greys have no clip, model and base.

# %%
show.figure(
    plots.tokens.divergence(summary),
    "KL divergence from five baselines for six groups of tokens, for both kinds of clips, with intervals.",
)

# %% tags=["hide-input"]
lines = [
    f"- {name}: "
    + stats.verdict(
        *(
            per_clip(name, groups["kl"], "without audio", g)
            for g in ("audio events", "as many at random")
        ),
        seed,
    ).text
    for name in kinds
]
Markdown(
    ""
    if not lines
    else "Do the words that name sounds need the sound more than other words do? KL to the model without audio on them, with "
    "as many tokens drawn at random as the control:\n\n" + "\n".join(lines)
)

# %% [markdown]
# ## Right and hallucinated words
#
# A word for something that is not heard came from somewhere. If it came from the picture, the base should go along with
# it more than with right words.

# %%
shown = summary[
    (summary["against"] == "base model")
    & summary["group"].isin(["right", "hallucinated", "first of an event"])
]
show.table(
    shown.drop(columns="against"),
    "Against the base model: means with 95 % intervals over the n clips that have such tokens",
)

# %% [markdown]
# ## Paper and here

# %%
show.table(
    paper.compare(tokens.headline(table, seed)),
    f"Qwen2.5-Omni against Qwen2.5-VL in the study; {model} against {base} here, both kinds of clips together",
)

# %% tags=["hide-input"]
same = (
    avnb.models.families.family_of(model) is not None
    and avnb.models.base_of(model) == base
)
Markdown(
    "These are models of the study, on other clips and with another way to find the words that name sounds: "
    "the numbers need not be the same."
    if same
    else "The study's models are **not measured here**: only the direction can be compared."
)

# %% [markdown]
# ## What this does not show
#
# - **Agreement is not origin.** Two models can say the same word for different reasons, one because it sees the dog, one
#   because it hears it. In factual clips they must agree if both are good; only counterfactual clips part the two, and
#   only an intervention such as attention knockout tests where a word comes from.
# - Forcing shows the base words that it might never have come to. The first token of an event is the fairest of them.
# - A base that was never asked what it hears may begin its answer otherwise. Such shifts of form are in *all* tokens, not
#   in those that name events.
# - A base knows only the words that it was trained on. `toy-vl` has read captions of pictures, so that words of sounding
#   are strange to it, whatever it sees; a real base has read them all. Shares over *all* tokens of audio events are
#   therefore not comparable between the two, those over first ones rather are.
# - The words of the toybox world are known; in free captions a list of words misses what it does not hold.
# - Nothing that could be found says in which direction the study's divergence is taken.
#
# ## Try it yourself
#
# Any clip of this run, against any of the baselines.

# %% tags=["skip-execution"]
from ipywidgets import SelectMultiple, interact

choice = SelectMultiple(options=tokens.BASELINES, value=tokens.BASELINES[:2])


@interact(name=list(pd.unique(table["clip"])), baselines=choice)
def colour(name, baselines):
    """The coloured answer about one clip."""
    return plots.tokens.caption(table, name, baselines or tokens.BASELINES)


# %% tags=["remove-input"]
show.provenance(
    model=model,
    base=base,
    dataset=dataset,
    n=n,
    seed=seed,
    question=question,
    judge=judge,
)
