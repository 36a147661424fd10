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
# # 6. Would a model that cannot hear have said the same?
#
# **Words that a deaf model would say too need no ears. How many those are means something only beside the same model
# without the sound, with another sound, and with no clip at all.**

# %% tags=["parameters", "hide-input"]
model = "toy-omni"
base = None  # the model without ears; None for the one that belongs to `model`
dataset = "toybox"
n = 400  # clips that are drawn, half of them conflicting
each = 100  # of each kind, so many are measured
seed = 77
question = "Describe what you hear."
max_new_tokens = 64  # where an answer is cut off
judge = (
    None  # who finds the words that name sounds; None is by what is known of the clips
)
out = None  # folder for the table; None is the cache folder

# %% tags=["hide-input"]
import avnb
import pandas as pd
from avnb import datasets, fidelity, paper, plots, show, stats, study, tokens
from avnb import judge as judges
from avnb.engine import needs
from IPython.display import Markdown

plots.style()
avllm = avnb.load(model)
base = base or avnb.models.base_of(model)
of_base = avnb.models.title_of(base)
examples = datasets.load(dataset, n=min(n, 24), seed=seed + 1, fewer=True)
judge = judge or judges.suited(examples)
options = {
    "base": base,
    "judge": judge,
    "question": question,
    "max_new_tokens": max_new_tokens,
}
keep = {"dataset": dataset, "seed": seed, "out": out}
table = study.table("tokens", avllm, n=n, each=each, **keep, **options)


def per_clip(name, value, baseline, group="audio events"):
    """One value per clip of a kind: the mean over a group of its tokens."""
    rows = groups.query("kind == @name and against == @baseline and group == @group")
    return value[rows.index].astype(float).groupby(rows["clip"], sort=False).mean()


groups = tokens.by_group(table, seed)
unshifted = groups["base_rank"] == 1
kinds = list(groups.loc[groups["is_audio"], "kind"].unique())
verdicts, levels = {}, {}
for name in kinds:
    theirs, without = (
        per_clip(name, unshifted, b, "first of an event")
        for b in ("base model", "base, text only")
    )
    verdicts[name] = stats.verdict(
        theirs,
        without,
        clusters=datasets.sources(theirs.index),
        what="the share",
    )
    levels[name] = stats.interval(theirs), stats.interval(without)
told = verdicts.get("counterfactual")

# Shown are clips that are not counted: the first that the rule of `fidelity.example` chooses, and the first ordinary one.
clip, answer = fidelity.example(avllm, examples, question, max_new_tokens)
own = next((c for c in examples if c.kind == "factual"), examples[0])
shown = study.measure("tokens", avllm, [clip, own], **keep, **options)
show.in_short(
    f"Of the words with which {avllm.name} begins to name a sound in conflicting clips, {of_base}, which cannot hear, would have "
    f"said {show.percent(told.effect.mean)} too, and {show.percent(told.control.mean)} without the picture."
    if told
    else f"No word of {avllm.name} about conflicting clips was found to name a sound.",
    {
        f"{label}, {plots.KINDS.get(name, name)}": show.told(
            levels[name][part],
            of=f"{avllm.name}: first tokens of sounds that {said} too, {name}",
        )
        for part, (label, said) in enumerate(
            (
                (f"share that {of_base} would say too", "the base says"),
                (
                    "the same without the picture (control)",
                    "the base without the picture says",
                ),
            )
        )
        for name in kinds
    },
    ""
    if not told
    else "these nouns come with the picture, as the study says"
    if told.stands and told.effect.mean > told.control.mean
    else "no finding: not clearly more than without the picture",
    clip=show.player(
        clip,
        width=240,
        caption=show.said(clip, avllm.name, answer),
    ),
)

# %% [markdown]
# Audio-visual models are made from models that only see. If an answer about the sound comes from the picture, then the
# model from before the ears were added would say it too, word by word. So its answers are forced through that model.

# %% tags=["hide-input"]
cost = needs.told(avllm, examples, 5, max_new_tokens=max_new_tokens)
Markdown(f"{judges.told(judge, examples)}\n\n{cost}")

# %% [markdown]
# ## One clip, token by token
#
# The clip above is not among those that are counted; of 24 others it is the first conflicting one about whose sound the
# model names something that is only to be seen. Below is what it says it hears, once for each model that was made to say
# the same words. Light: that one would have said this token itself, as its most probable one. Dark: it would have said
# something else. Point at a token, touch it, come to the bold ones by the keyboard, or unfold the table, for the numbers.

# %% tags=["hide-input"]
plots.tokens.caption(shown, clip)

# %% [markdown]
# The same for a clip with its own sound, against the base alone:

# %% tags=["hide-input"]
plots.tokens.caption(shown, own, ["base model"])

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
# **Three more comparisons** are the model itself: *without audio* (the pictures alone), with *other audio* (the sound of a
# clip in which nothing is heard that this one shows or sounds like), and with *text only* (the question and no clip).
# The fifth is the **control** of the base: *base, text only* is the base without the pictures, so that the pictures
# alone make the difference.
#
# **Tokens that name audio events** are found by words: in the part of the answer that is about the sound, every word
# by whose stem the judge finds something named, with all tokens that such a word consists of. They are *right* if
# that is heard, else *hallucinated*. Of clips whose events are listed, these are the sources of the toybox world or the
# clip's own events; of clips with captions alone, every word that carries meaning, right if a reference holds it. Forcing
# also hands over the beginning of the answer, and after “a dog” the word “barking” is easy: the *first* token of each
# event is therefore shown by itself. The **control** for all groups of tokens is as many others of the same answers, drawn
# at random.

# %%
table = study.table("tokens", avllm, n=n, each=each, **keep, **options)

# %% tags=["hide-input"]
seeing = avnb.load(base)
common = tokens.common_tokens(avllm, seeing)
sizes = [m.decoder.config.vocab_size for m in (avllm, seeing)]
words = table[table["against"] == "base model"]
found = [f"“{t.strip()}”" for t in words.loc[words["is_audio"], "token"].unique()]
events = ", ".join(found[:40]) + (f" and {len(found) - 40} more" if found[40:] else "")
Markdown(
    f"`{avllm.name}` and `{of_base}` share **{len(common):,}** tokens (of {sizes[0]:,} and {sizes[1]:,}); distributions are over "
    f"these. The {words['clip'].nunique()} answers hold {len(words):,} tokens, of which **{words['is_audio'].sum():,}** name a "
    f"sound: {events or 'none'}."
)

# %% [markdown]
# ## How many words need no ears?
#
# In an ordinary clip the base may guess the sound from the picture; in a conflicting one the picture suggests something
# else, so that a base that agrees there goes along with what is seen, or with habits of words that need no clip at all.
# Only the first token of each event counts here. The lines are the study's shares for its base model
# {cite}`selvakumar2026avllm`, over all tokens of events and both kinds of clips together, without an interval.

# %% tags=["hide-input"]
summary = tokens.summary(table, seed)
stated = paper.quantities()
published = {
    name: stated[f"{name}, audio tokens"].value
    for name in ("unshifted", "within top 3")
}
show.figure(
    plots.tokens.bins(summary, published=published),
    f"First tokens of the sounds that {avllm.name} names: the share that each model would have said too, {of_base} being the base; "
    f"{show.counted(summary.loc[summary['group'] == 'first of an event', 'n'])} of each kind, lines are 95 % intervals over clips.",
    "A row for each model that is compared and a panel for each kind of clips: shares of rank 1 and of the first three.",
    data=summary,
) if words["is_audio"].any() else None

# %% tags=["hide-input"]
named = words[words["is_audio"]].assign(said=lambda rows: rows["base_rank"] == 1)
place = named["first"].map({True: "first", False: "following"})
share = stats.summarise(
    named.assign(place=place, value=named["said"].astype(float)), ["place", "kind"]
)
lines = [
    f"{row.place}, {plots.KINDS.get(row.kind, row.kind)}: **{show.percent(row.mean)}** ({show.percent(row.low)} to {show.percent(row.high)}, n = {row.n})"
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
lines = [
    f"- {plots.KINDS.get(name, name)}: {one.text}" for name, one in verdicts.items()
]
Markdown(
    f"Is it the picture that makes {of_base} agree with {avllm.name}? A question alone makes some words probable, too. Share of first tokens "
    "that the base would say, with that of the same base without the pictures as the control:\n\n"
    + "\n".join(lines)
) if lines else None

# %% [markdown]
# ## How far apart, in nats
#
# A rank does not say how much less probable a word is; the divergence does. Diamonds: the base. Circles: the model itself
# made deaf. Squares: the model with the sound of another clip. Grey: no clip at all, model and base.

# %% tags=["hide-input"]
fewest = min(plots.tokens.FEWEST, summary["n"].max())
show.figure(
    plots.tokens.divergence(summary),
    f"KL divergence (nats) of {avllm.name} from each model that it is compared with, by group of tokens; "
    f"{show.counted(summary.loc[summary['n'] >= fewest, 'n'])}, lines are 95 % intervals over clips. Groups that fewer than "
    f"{fewest} clips have are left out.",
    "KL divergence from five models for groups of tokens, for both kinds of clips, with intervals.",
    data=summary,
)

# %% tags=["hide-input"]
lines = []
for name in kinds:
    pair = pd.DataFrame(
        {
            group: per_clip(name, groups["kl"], "without audio", group)
            for group in ("audio events", "as many others")
        }
    ).dropna()
    if len(pair):
        needed = stats.verdict(
            pair["audio events"],
            pair["as many others"],
            clusters=datasets.sources(pair.index),
            what="their divergence",
        )
        lines.append(f"- {plots.KINDS.get(name, name)}: {needed.text}")
Markdown(
    f"Do the words of {avllm.name} that name sounds need the sound more than other words do? KL (nats) to the model without audio on them, "
    "with as many others of the same answers as the control:\n\n" + "\n".join(lines)
) if lines else None

# %% [markdown]
# ## Right and hallucinated words
#
# A word for something that is not heard came from somewhere. If it came from the picture, the base should go along with
# it more than with right words.

# %% tags=["hide-input"]
right = summary[
    (summary["against"] == "base model")
    & summary["group"].isin(["right", "hallucinated", "first of an event"])
]
right = right[right["n"] >= plots.tokens.FEWEST]
show.table(
    right.drop(columns="against")
    .replace({"kind": plots.KINDS})
    .replace({"quantity": {"kl": "KL, nats", "kl_reverse": "reverse KL, nats"}}),
    f"{avllm.name} against {of_base}: means with 95 % intervals over the n clips that have such tokens; groups of fewer than "
    f"{plots.tokens.FEWEST} clips are left out",
) if len(right) else Markdown(
    f"**Not measured**: fewer than {plots.tokens.FEWEST} clips have such words."
)

# %% [markdown]
# ## Paper and here

# %% tags=["hide-input"]
show.table(
    paper.compare(tokens.headline(table, seed)),
    f"Qwen2.5-Omni against Qwen2.5-VL in the study; {avllm.name} against {of_base} here, both kinds of clips together",
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
    else "The study's models are **not measured here**, and their vocabulary is 250 times as large: levels cannot be compared. "
    f"{of_base} has read of what things look like and never of how they sound, so that words of sounding are strange to it, "
    "whatever it sees: hence a divergence far above the study's. Chapter 9 repeats this with a "
    "base that has read such words."
    if base == "toy-vl"
    else "The study's models are **not measured here**: only the direction can be compared."
)

# %% [markdown]
# ## What this shows

# %% tags=["hide-input"]
Markdown(
    "\n".join(
        f"- In {plots.KINDS.get(name, name)}, {of_base} would have said {show.percent(one.effect.mean)} of the words with which {avllm.name} begins to name a sound, "
        + (
            f"clearly more than without the picture ({show.percent(one.control.mean)}): the noun comes with what is seen."
            if one.stands and one.effect.mean > 0
            else f"not clearly more than without the picture ({show.percent(one.control.mean)})."
        )
        for name, one in verdicts.items()
    )
    or "- Nothing: no word of these answers was found to name a sound."
)

# %% [markdown]
# ## What this does not show
#
# - **Agreement is not origin.** Two models can say the same word for different reasons, one because it sees the dog, one
#   because it hears it. In ordinary clips they must agree if both are good; only conflicting clips part the two, and
#   only an intervention such as attention knockout tests where a word comes from.
# - Forcing shows the base words that it might never have come to. The first token of an event is the fairest of them.
# - A base that was never asked what it hears may begin its answer otherwise. Such shifts of form are in *all* tokens, not
#   in those that name events.
# - A base knows only the words that it was trained on. Shares over *all* tokens of audio events therefore cannot be
#   compared between `toy-vl` and a base that has read everything; shares over first ones can, with care.
# - The words of the toybox world are known; in free captions a list of words misses what it does not hold.
# - In which direction the study takes its divergence is not published.
#
# ## Try it yourself
#
# **Task.** Find a clip in whose answer the noun is light and the verb dark under *base model*. Which of the two came from
# the picture? Needs Python: open this page on Colab or on your machine.
#
# <details><summary>What to expect</summary>
#
# Most clips of `toy-omni` are like that: `toy-vl` agrees with “a train” and would never have said “whistle blowing”. It
# does not show that the verb was heard: under *without audio*, the model itself often says the same.
#
# </details>

# %% tags=["skip-execution"]
from ipywidgets import SelectMultiple, interact

choice = SelectMultiple(options=tokens.BASELINES, value=tokens.BASELINES[:2])


@interact(
    name=[(show.about(one), one.id) for one in (clip, own)],
    baselines=choice,
)
def colour(name, baselines):
    """The coloured answer about one clip."""
    return plots.tokens.caption(shown, name, baselines or tokens.BASELINES)


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
