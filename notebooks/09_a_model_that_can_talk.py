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
# # 9. A model that can talk
#
# **Give a pretrained language model the same eyes and ears, teach it to see, then to hear, and ask what only a language
# model can answer.**

# %% tags=["parameters", "hide-input"]
seed = 0
top_k = 3  # what counts as decoded
live = True  # ask one clip now; needs the language model: avnb fetch smol

# %% tags=["hide-input"]
import avnb
import numpy as np
import pandas as pd
from avnb import datasets, fidelity, paper, plots, show, stats, tokens
from avnb.analyses import latent
from avnb.models import smollm
from avnb.organisms import language, talk
from avnb.plots.style import PALETTE
from avnb.questions import HEAR, SEE
from avnb.toybox.captions import corpus
from avnb.toybox.sources import SOURCES
from IPython.display import Markdown

plots.style()
model = "smol-omni"  # of which the tables were measured
live = live and smollm.fetched()
missing = (
    "Nothing is asked live here: the language model is missing (`avnb fetch smol` fetches it, 93 MB), or `live` is False. "
    "All tables below come with the package."
)
exam = talk.summary().query("model in @talk.NAMES")


def measured(name, quantity):
    """The `Interval` of one number of an organism."""
    (row,) = exam[(exam["model"] == name) & (exam["quantity"] == quantity)].itertuples()
    return stats.Interval(row.mean, row.low, row.high, row.n)


own, conflict = (
    measured(model, f"audio fidelity, {kind}") for kind in ("factual", "counterfactual")
)
raised = measured(f"{model}-balanced", "audio fidelity, counterfactual")
alone = measured(model, "audio fidelity, sound alone")

# Of conflicting clips: the first by the rule of `fidelity.example`, asked of toy-omni, which needs no fetched weights.
clip, _ = fidelity.example(
    avnb.load("toy-omni"), datasets.load("toybox", n=8, seed=seed)
)
show.in_short(
    f"With a language model that has read books, it is the same: {model} scores {own.mean:.2f} for what it says it hears in "
    f"ordinary clips, {conflict.mean:.2f} in conflicting ones and {alone.mean:.2f} from the sound alone; raised with conflict, "
    f"{raised.mean:.2f}.",
    {
        f"{name}: fidelity of what is heard (0 to 1), {clips}": show.told(
            found, of=f"{name}: audio fidelity, {what}"
        )
        for name, clips, what, found in (
            (model, "ordinary clips", "factual", own),
            (model, "conflicting clips", "counterfactual", conflict),
            (model, "sound alone", "sound alone", alone),
            (f"{model}-balanced", "conflicting clips", "counterfactual", raised),
        )
    },
    "the bias is no matter of a small grammar"
    if conflict.high < min(own.low, alone.low)
    else "not clearly the same as in the toy organisms",
    clip=show.player(clip, width=240, caption=show.about(clip)),
)

# %% [markdown]
# The toy organisms speak a few hundred words of one grammar. Whatever is found in them could be a matter of that. So the
# same experiment is done once more with a language model that has read books: SmolLM2-135M-Instruct, with 30 layers
# and 49,152 tokens, becomes the decoder of a Qwen2.5-Omni thinker. The encoders of `toy-omni` and the language model stay
# as they are. What is learnt is a linear map from each encoder into the language model, and adapters of rank 8.
#
# `smol-vl` has learnt to describe pictures. `smol-omni` was then tuned on clips whose sounds are all seen;
# `smol-omni-balanced`, from the same beginning, on clips of which half are in conflict.
#
# ## One clip, three upbringings
#
# The clip above: of a handful that is not counted, the first conflicting one about whose sound `toy-omni` names something
# that is only to be seen.

# %% tags=["hide-input"]
answers = []
if live:
    for name in talk.NAMES:
        avllm = avnb.load(name)
        answers += [(name, q, avllm.caption(clip, q)) for q in (SEE, HEAR)]
show.table(
    pd.DataFrame(answers, columns=["organism", "question", "answer"]),
    f"One clip, asked now; {show.about(clip)}",
) if answers else Markdown(missing)

# %% [markdown]
# ## Could it see and hear, and what does it say in conflict?
#
# 200 clips of each kind, of the test split; `python -m avnb.organisms.talk` prints this table. A first, shorter training
# missed half of the aims on these same clips and was made longer for that, so that they had a part in choosing its length.
# The clips are others than those of chapters 2 to 8, and so are the numbers of `toy-omni` on them.

# %% tags=["hide-input"]
exam["fidelity"] = [
    f"{r.mean:.2f} ({r.low:.2f} to {r.high:.2f}, n = {r.n})" for r in exam.itertuples()
]
followed = exam["quantity"].str.contains("followed")
show.table(
    exam[~followed]
    .pivot(index="quantity", columns="model", values="fidelity")
    .reindex(columns=talk.NAMES)
    .fillna("–")
    .reset_index(),
    "Fidelity of the answers (0 to 1), by the event judge, and which of the two they name in conflict (modality preference, "
    "from −1, the picture, to 1, the sound); with 95 % intervals, for the preference with clips of one source counted together",
)

# %% tags=["hide-input"]
aimed = exam[exam["met"].notna()]
missed = aimed[~aimed["met"].astype(bool)]
n_answers = exam.loc[followed, "n"].sum()
n_followed = round((exam.loc[followed, "n"] * exam.loc[followed, "mean"]).sum())
Markdown(
    f"Of {len(aimed)} aims that were fixed before training, {len(aimed) - len(missed)} are met"
    + ". "
    + "".join(
        f"Missed: {show.worded(r.quantity)} of `{r.model}`, {r.fidelity}, where {r.aim} was aimed at. "
        for r in missed.itertuples()
    )
    + f"Of {n_answers:,} answers {n_followed:,} are about what was asked, whatever they name."
)

# %% [markdown]
# ## What was forgotten
#
# Adapters that learn a small grammar can cost the language. Perplexity on twelve paragraphs of our own, which have nothing
# to do with sounds or pictures, before and after:

# %% tags=["hide-input"]
surprise = talk.table("language")
kept = stats.summarise(surprise, ["model"], seed=seed)
wide = surprise.pivot(index="paragraph", columns="model", values="value")
lines = []
for row in kept.itertuples():
    change = ""
    if row.model != talk.BASE:
        rise = stats.difference(wide[row.model], wide[talk.BASE], seed)
        change = f"; {np.exp(rise.mean):.2f} times as high as before ({np.exp(rise.low):.2f} to {np.exp(rise.high):.2f})"
    lines.append(
        f"- `{row.model}`: perplexity **{np.exp(row.mean):.1f}** ({np.exp(row.low):.1f} to {np.exp(row.high):.1f}, "
        f"n = {row.n} paragraphs){change}"
    )
Markdown("\n".join(lines))

# %% [markdown]
# ## Questions it was never asked
#
# Three questions were ever asked in training: what is seen, what is heard, and both. A language model has read others.
# Yes-or-no questions about something that is there, and about something that is not: the answer is scored by
# $\log p(\text{yes}) - \log p(\text{no})$ of its first token, so that it counts even where the model says neither.

# %% tags=["hide-input"]
asked = talk.table("asked")
lines = []
for (name, modality), rows in asked.groupby(["model", "modality"], sort=False):
    by_clip = rows.pivot(index="clip", columns="present", values="margin")
    gap = stats.difference(
        by_clip[True], by_clip[False], clusters=datasets.sources(by_clip.index)
    )
    begins = rows["answer"].str.lower().str.match(r"(yes|no)\b")
    yes = rows["answer"].str.lower().str.startswith("yes")
    lines.append(
        f"- `{name}`, about the {'picture' if modality == 'video' else 'sound'}: {begins.mean():.0%} of {len(rows)} answers begin "
        f"with yes or no; yes to what is there {yes[rows['present']].mean():.0%}, to what is not "
        f"{yes[~rows['present']].mean():.0%}; margin, there minus not there: **{gap.mean:+.2f}** nats "
        f"({gap.low:+.2f} to {gap.high:+.2f}, n = {gap.n} clips)"
    )
Markdown("\n".join(lines))

# %% [markdown]
# A margin above zero means that picture or sound reach the answer to a question that no one taught; an interval that
# holds zero, that they do not. What is said in full to open questions, of two clips:

# %% tags=["hide-input"]
free = talk.table("free").query("model == @model")
shown = free[
    free["clip"].isin(
        [
            *free.query("kind == 'factual'")["clip"].head(1),
            *free.query("kind != 'factual'")["clip"].head(1),
        ]
    )
]
show.table(
    shown[["kind", "question", "answer"]].replace(
        {"kind": {"factual": "ordinary clip", "counterfactual": "conflicting clip"}}
    ),
    f"{model}, asked what it was never asked",
)

# %% tags=["hide-input"]
said_before = {sentence.rstrip(".") for sentence in corpus()}
parts = free["answer"].str.split(r"(?<=[.!?])\s+")
known = parts.map(lambda some: all(one.rstrip(".") in said_before for one in some))
Markdown(
    f"Of {len(free)} such answers **{known.mean():.0%}** hold nothing but sentences of the grammar that it was tuned on: "
    "so far has the way of answering been taken over by the tuning, whatever is asked."
)

# %% [markdown]
# ## What the sound decodes to, in 30 layers and 49,152 tokens
#
# The most probable token at every position that holds sound, layer by layer ({doc}`04_logit_lens`). Which of these tokens
# are words that the captions of the training hold, and which are not?

# %% tags=["hide-input"]
decoded = talk.table("decoded")
letters = decoded["token"].str.strip().str.fullmatch(r"[^\W\d_]{3,}").fillna(False)
in_captions = {
    word.strip(".,?") for sentence in corpus() for word in sentence.lower().split()
}
word = decoded["token"].str.strip().str.lower()
decoded["what"] = np.select(
    [letters & word.isin(in_captions), letters],
    ["words of the captions", "other words"],
    "fragments, signs",
)
n_layers = decoded["layer"].max() + 1
shares = decoded.pivot_table(
    index="layer", columns="what", values="count", aggfunc="sum", fill_value=0
)
shares = shares.div(shares.sum(axis=1), axis=0)
last = shares.loc[n_layers - 1, "words of the captions"]
ax = shares.plot.area(
    figsize=(7.5, 3.4),
    lw=0,
    xlabel="after layer",
    ylabel="share of positions",
    ylim=(0, 1),
    color=[PALETTE["control"], PALETTE["text"], PALETTE["other"]],
    legend=False,
)
ax.figure.legend(loc="upper center", ncol=3, frameon=False, bbox_to_anchor=(0.5, -0.02))
ax.set_title(
    f"After the last layer of {model}, {last:.0%} of the positions of sound say a word of the captions"
)
show.figure(
    ax.figure,
    "Share of audio positions (0 to 1) whose most probable token is a word of the captions, another word, or a fragment, by "
    f"layer; n = {decoded.loc[decoded['layer'] == 0, 'count'].sum():,} positions, pooled over clips, so that there is no interval.",
    data=shares.reset_index(),
)

# %% tags=["hide-input"]
rows = []
for layer in np.linspace(0, n_layers - 1, 7).round().astype(int):
    some = decoded[decoded["layer"] == layer].sort_values("count", ascending=False)
    rows.append(
        {
            "layer": layer,
            **{
                what: ", ".join(some[some["what"] == what]["token"].str.strip().head(6))
                for what in ("words of the captions", "other words", "fragments, signs")
            },
        }
    )
show.table(pd.DataFrame(rows), f"{model}: the most frequent tokens at audio positions")

# %% [markdown]
# ### Latent recall and chance
#
# Share of the events heard in a clip that are among the 3 most probable tokens at any audio position in the last quarter
# of the layers; chance is what the sounds of other clips would get. Among 595 tokens of one grammar much
# is among the first by chance; among 49,152 little is.

# %% tags=["hide-input"]
ranks = talk.table("ranks").query("model == @model")
recalled = latent.recall(ranks, top_k, (0.75, 1.0))
lines = []
for kind, some in recalled.groupby("kind", sort=False):
    values = some.pivot(index="clip", columns="target", values="value")
    found = {name: stats.interval(values[name].dropna(), seed) for name in values}
    gap = stats.difference(
        values["heard"], values["other clips"], clusters=datasets.sources(values.index)
    )
    lines.append(
        f"- {'ordinary' if kind == 'factual' else 'conflicting'} clips: **{show.told(found['heard'])}**, by chance "
        f"{found['other clips'].mean:.2f}; above chance {show.told(gap, signed=True)}"
    )
published = paper.published()["logit_lens"]["latent_audio_understanding_x100"] / 100
Markdown(
    "\n".join(lines)
    + f"\n\nThe study reports {published:.2f} for Qwen2.5-Omni-3B, with a rule that is not published."
)

# %% [markdown]
# ### By relative depth
#
# The rank of the best token for what is heard, for what is seen, and for what is heard in other clips. Depth is the layer
# divided by the number of layers, so that 8, 30 and 36 layers can be laid over each other.


# %% tags=["hide-input"]
def by_depth(name, note=""):
    """The figure of one organism's ranks, under what its last layer reads in conflict."""
    logs = latent.log_ranks(talk.table("ranks").query("model == @name"))
    last = latent.last_ranks(logs[logs["kind"] == "counterfactual"], seed)
    title = (
        f"{name}, conflicting clips, read after the last layer: what is seen at rank {show.told(last['seen'])}; what is heard "
        f"at rank {show.told(last['heard'])}"
    )
    drawn = logs.groupby(["kind", "layer", "target"])["value"].mean()
    return show.figure(
        plots.lens.rank_curves(logs, title),
        "At the positions of the sound, in brackets 95 % intervals with clips of one source counted together. Rank of what is heard, seen, and heard in other clips."
        + note,
        data=drawn.rename("log10 of the rank").reset_index(),
    )


by_depth(model)

# %% tags=["hide-input"]
by_depth("toy-omni", " The scale differs from that of the figure before.")

# %% [markdown]
# ## Would a model that cannot hear have said the same?
#
# `toy-vl` had never read a word of sound, so that its agreement meant little. `smol-vl` has: its language model knows that
# dogs bark. Answers of `smol-omni` are forced through it ({doc}`06_token_distribution`).

# %% tags=["hide-input"]
shift = talk.table("shift").query("model == @model")
headline = tokens.headline(shift, seed)
show.table(
    paper.compare(headline),
    "Qwen2.5-Omni against Qwen2.5-VL in the study; smol-omni against smol-vl here, both kinds of clips together",
)

# %% tags=["hide-input"]
named = shift[(shift["against"] == "base model") & shift["hallucinated"]]
lines = []
for name, some in {
    "all": named,
    "the first token of each event": named[named["first"]],
}.items():
    if len(some):
        share = stats.interval(
            (some["base_rank"] == 1).astype(float).groupby(some["clip"]).mean(), seed
        )
        lines.append(
            f"- {name}: **{share.mean:.0%}** ({share.low:.0%} to {share.high:.0%}, n = {share.n} clips with such a word)"
        )
Markdown(
    "Of the tokens of *hallucinated* sounds, the base would have said too:\n\n"
    + "\n".join(lines)
)

# %% tags=["hide-input"]
counter = next(
    c
    for c in datasets.load("toybox", n=talk.N_CLIPS)
    if c.kind == "counterfactual" and c.id in set(named["clip"])
)
plots.tokens.caption(shift, counter)

# %% [markdown]
# ## Where the invented sound comes from
#
# In conflict `smol-omni` names sounds that are not there. Perhaps they are what language expects: who reads *I see a drum*
# expects *I hear drumming*. The language model alone, without any clip and before any tuning, is asked exactly that:
# after “I see a drum.”, which of 24 sounds makes “I hear …” most probable? If inventions come from there, they agree with
# this expectation of the thing seen more often than with that of things seen in other clips, which is the chance level.
#
# The rival is simpler: the name of the seen thing. Tuning has shown only clips in which what is heard is also seen.

# %% tags=["hide-input"]
expected = talk.table("expected")
said = talk.table("said").query("model == @model")
pairs = [
    (row.invented[0], tuple(row.seen)) for row in said.itertuples() if len(row.invented)
]
invented, seen = [p[0] for p in pairs], [p[1] for p in pairs]
hopes = {
    f"language alone, {'most probable' if k == 'logprob' else 'most raised by “I see …”'}": dict(
        zip(t["seen"], t["heard"], strict=True)
    )
    for k, t in (
        (k, expected.loc[expected.groupby("seen")[k].idxmax()])
        for k in ("logprob", "raised")
    )
}
hopes["the seen thing's own sound"] = {name: name for name in SOURCES}
lines = []
for name, hope in hopes.items():
    own, chance = language.agreement(invented, seen, hope)
    found, by_chance = stats.interval(own, seed), stats.interval(chance, seed)
    above = stats.difference(own, chance, seed)
    lines.append(
        f"- {name}: **{found.mean:.0%}** ({found.low:.0%} to {found.high:.0%}) of the inventions, by chance {by_chance.mean:.0%}; "
        f"above chance by {show.told(above, signed=True)}"
    )
own_sound = sum(k == v for k, v in hopes["language alone, most probable"].items())
Markdown(
    f"Of {len(said)} conflicting clips, {len(pairs)} have an invented sound.\n\n"
    + "\n".join(lines)
    + f"\n\nThe language model alone expects the own sound of {own_sound} of {len(SOURCES)} things."
)

# %% [markdown]
# The two explanations part where language expects another sound than the thing's own. There:

# %% tags=["hide-input"]
prior = hopes["language alone, most probable"]
apart = [(i, s) for i, s in pairs if all(prior[one] not in s for one in s)]
if len(apart) >= 10:
    by_language = stats.interval(
        [float(i in {prior[one] for one in s}) for i, s in apart], seed
    )
    by_picture = stats.interval([float(i in s) for i, s in apart], seed)
    text = (
        f"In {by_language.n} clips language expects something else than any thing seen. The invention is what language expects in "
        f"**{by_language.mean:.0%}** ({by_language.low:.0%} to {by_language.high:.0%}) and the seen thing's own sound in "
        f"**{by_picture.mean:.0%}** ({by_picture.low:.0%} to {by_picture.high:.0%}). "
    )
    text += (
        "**The invention follows the picture and what tuning taught about it, not what language expects.**"
        if by_picture.low > by_language.high
        else "**The invention follows what language expects.**"
        if by_language.low > by_picture.high
        else "**The two cannot be told apart here.**"
    )
else:
    text = "There are too few such clips to tell the two apart."
Markdown(text)

# %% [markdown]
# ## What carries over from the toy organisms
#
# The same measurements of `toy-omni` and of the organism of this page, on the same clips. An effect carries over if it
# points the same way in both and both intervals leave out zero.

# %% tags=["hide-input"]
toy, smol = (talk.effects(name, seed) for name in ("toy-omni", "smol-omni"))
rows = []
for name, a in toy.items():
    b = smol[name]
    clear = all(one.low > 0 or one.high < 0 for one in (a, b))
    verdict = "unclear" if not clear else "yes" if a.mean * b.mean > 0 else "no"
    shown = [
        f"{one.mean:+.2f} ({one.low:+.2f} to {one.high:+.2f}, n = {one.n})"
        for one in (a, b)
    ]
    rows.append((name, *shown, verdict))
show.table(
    pd.DataFrame(rows, columns=["effect", "toy-omni", "smol-omni", "carries over?"]),
    "From 8 layers of one grammar to 30 layers of a language model",
)

# %% [markdown]
# ## What this shows

# %% tags=["hide-input"]
n_over = sum(row[-1] == "yes" for row in rows)
Markdown(
    f"- Of {len(rows)} effects found in `toy-omni`, {n_over} carry over to {model}: same direction, both intervals clear of "
    f"zero.\n- {text.split('**')[-2] if text.count('**') >= 2 else text}"
)

# %% [markdown]
# ## What this does not show
#
# - Every organism was given some hundred minutes of two cores to learn in. Another training, with more pictures first and
#   larger shares of pictures and sounds alone after them, was tried and asked about clips of the validation split alone, and
#   then continued on more clips whose sounds are all seen. In the end it met the aims that are missed above, what `smol-vl`
#   sees and what `smol-omni` hears of sounds alone; but in conflict `smol-omni` named the sound more often than was aimed at,
#   and after the further steps more often than the picture, though no clip of the training was in conflict. So these aims
#   pull apart, and the bias shown here is that of a model tuned for so long: whether it stays in a longer training is open.
#   Neither was taken, nor judged on the test clips.
# - One language model of 135 million parameters, one training run of each organism, 24 drawn things.
# - The eyes and ears were trained on the same world; real encoders know far more, and less surely.
# - The expectation of language is read off one phrasing, before tuning; another phrasing may expect another sound.
# - The adapters change the language model itself, so that *the language model alone* and the one inside are not the same.

# %% [markdown]
# ## Try it yourself
#
# **Task.** Ask `smol-omni` about the clip above something that is no question about seeing or hearing, say “What is two and
# two?”. What will a model say that was tuned on captions alone? Needs Python, and `avnb fetch smol` once: open this page on
# Colab or on your machine.
#
# <details><summary>What to expect</summary>
#
# A caption, most of the time: the tuning has taken over the way of answering, whatever is asked (see above). The language
# model before tuning (`avnb fetch smol` brings it) answers otherwise.
#
# </details>

# %% tags=["skip-execution"]
avnb.load("smol-omni").caption(clip, "What is two and two?")

# %% tags=["remove-input"]
show.provenance(model=model, seed=seed, top_k=top_k)
