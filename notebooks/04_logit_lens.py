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
# # Does a model know the sound that it does not name?
#
# **The logit lens reads words off every layer, long before the answer; a null tells what is read from the sound and what
# would be read from any sound.**
#
# A model that names the wrong sound may not have heard the right one. Or it heard, and something else won on the way to
# the answer. {cite}`selvakumar2026avllm` find the second: the positions that hold the sound decode to what is heard far
# more often than the answer names it. This chapter reads the same positions, and asks what the picture does there.

# %% tags=["parameters"]
model = "toy-omni"
dataset = "toybox"
n = 40  # clips, half of them counterfactual
seed = 0
question = "Describe what you hear."
answer = "I hear"  # a begun answer; the next word is the one that matters
top_k = 3
depth = [0.75, 1.0]  # the part of the decoder that counts
match = "words"  # or a sentence embedder: which tokens name an event
judge = None  # by whom answers are judged; None is by what is known of the clips
out = None  # folder for the tables; None is the cache folder

# %%
import avnb
import pandas as pd
from avnb import datasets, latent, lens, paper, plots, show, stats, study, vocabulary
from avnb import judge as judges
from avnb.engine import needs
from IPython.display import Markdown

plots.style()
avllm = avnb.load(model)
n_layers = len(avllm.decoder.layers)
clips = datasets.load(dataset, n=n, seed=seed, fewer=True)
judge = judge or judges.suited(clips)

# %% tags=["hide-input"]
names = lens.targets(clips, judge)
if not names:
    raise ValueError(
        f"{dataset}: nothing is known to be heard in any clip, which the lens looks for; {judges.named(judge).check(clips[0], 'audio')}"
    )
words = vocabulary.vocabulary(
    avllm, names, match, words_of=judges.named(judge).words_of
)
lines = [judges.told(judge, clips)]
if unnamed := sorted({*names} - {*words["event"]}):
    lines.append(
        f"The lens looks for {words['event'].nunique()} things that are heard. For {len(unnamed)} more the tokenizer has "
        f"no word, nor a piece long enough to tell: {', '.join(unnamed)}."
    )
lines.append(needs.told(avllm, clips, 4))
Markdown("\n\n".join(lines))

# %% [markdown]
# ## Measure
#
# Two tables, clip by clip: what the answers name, and what the audio positions decode to. What counts as decoded is said
# below.

# %%
measured = {"dataset": dataset, "seed": seed, "out": out, "judge": judge}
said = study.measure(
    "fidelity", avllm, clips, questions=[question], inputs=["both"], **measured
).query("modality == 'audio'")
by = {"top_k": top_k, "depth": depth, "match": match}
recalled = study.measure("lens", avllm, clips, question=question, **by, **measured)

# %% [markdown]
# ## One clip, read layer by layer
#
# The first counterfactual clip, if there is one, whose sound *and* picture both show up at the audio positions.

# %%
order = recalled.assign(both=recalled[["value", "value_seen"]].min(axis=1) > 0)
order = order.sort_values(["kind", "both"], ascending=[True, False], kind="stable")
clip = next(c for c in clips if c.id == order["clip"].iloc[0])
answers = said.set_index("clip")["answer"]
show.player(
    clip,
    caption=f"{show.about(clip)}; the model says: “{answers[clip.id]}”",
)

# %%
by_whom = judges.named(judge)
there = (*by_whom.holds(clip, "audio"), *by_whom.holds(clip, "video"))
words = vocabulary.vocabulary(avllm, [*there, *names], match, words_of=by_whom.words_of)
prompt = avllm.prompt(clip, question)
decoded = lens.decode(avllm, prompt, "audio", top_k=top_k)
decoded = lens.mark(decoded, clip, words, judge)
named = decoded.loc[decoded["target"] != "", "target"].value_counts()
show.figure(
    plots.lens.story(
        decoded,
        clip.wave(),
        f"{named.get('heard', 0)} readings of the audio positions name what is heard, "
        f"{named.get('seen', 0)} what is seen",
    ),
    "The spectrogram of the clip; under it, for every layer and stretch of time, the word that the lens reads there, in "
    "orange where it names what is heard and in blue where it names what is seen.",
)

# %% [markdown]
# A cell shows the best of the few most probable words that names something heard or seen, with its rank if it is not the
# first; where none does, the most probable word. The positions of the sound were never asked to speak, and the lens only
# borrows the output layer: a word that has nothing to do with the clip is no mistake of the model.
#
# ## Method
#
# Let $h^{(\ell)}_p$ be the residual stream after layer $\ell$ at position $p$. The logit lens
# {cite}`nostalgebraist2020logitlens` lets the model speak from there:
#
# $$\mathrm{logits}^{(\ell)}_p = W_U\,\mathrm{norm}\bigl(h^{(\ell)}_p\bigr).$$
#
# After the last layer that is the model's own output. The *raw* lens of the study leaves the norm out.
#
# An event $e$, such as a bell, is named by the tokens $V(e)$ of the vocabulary, and its rank at a position is that of the
# best of them. **Latent recall** of a clip $c$ is the share of the events $E(c)$ heard in it that are among the $k$ most
# probable tokens at any audio position $p$ after any layer in a part $L$ of the decoder; its **null** is the same share
# for the events of every other clip $d$ that shares nothing with $c$:
#
# $$D(c) = \{e : \min_{\ell \in L,\,p}\ \mathrm{rank}^{(\ell)}_p(V(e)) \le k\}, \qquad
# \mathrm{recall}(c) = \frac{|E(c) \cap D(c)|}{|E(c)|}, \qquad
# \mathrm{null}(c) = \operatorname*{mean}_{d}\frac{|E(d) \cap D(c)|}{|E(d)|}.$$
#
# The study reports one number and does not publish how it pools. The null matters as much: a recall of 0.9 means nothing
# if any other caption reaches 0.9 too.

# %%
table = words.groupby("event")["token"].agg(lambda t: ", ".join(map(str.strip, t)))
here = [event for event in dict.fromkeys(there) if event in table.index]
show.table(
    table.loc[[*here, *table.index.difference(here)[:6]]].reset_index(),
    "Tokens that name an event, for some events",
)

# %% [markdown]
# Here the words of an event and its tokens are matched by stem. A model that thinks in several languages needs more:
# `match="NAME"` takes any sentence embedder, and then the Chinese word for a bell counts as a bell too. Where no events
# are listed, the nouns and verbs of the captions stand for them, and the null is over those of other clips.
#
# ## Is the sound in there?

# %% tags=["hide-input"]
lines = []
for reason, some in recalled[recalled["reason"] != ""].groupby("reason"):
    lines.append(f"- **Left out**: {len(some)} clips, of which {reason}.")
recalled = recalled[recalled["reason"] == ""]
by_clip = recalled.set_index("clip")
for kind, some in by_clip.groupby("kind", sort=False):
    verdict = stats.verdict(some["value"], some["null"], seed)
    lines.append(f"- **{kind}**: latent recall against its null. {verdict.text}")
swapped = by_clip[(by_clip["kind"] == "counterfactual") & by_clip["value_seen"].notna()]
if len(swapped):
    verdict = stats.verdict(swapped["value_seen"], swapped["null"], seed)
    lines.append(
        f"- **counterfactual, what is seen**: how often the *audio* positions name it. {verdict.text}"
    )
Markdown("\n".join(lines))

# %% [markdown]
# ## Where does the picture take over?
#
# The same share after every single layer, at three places: the positions of the sound, those of the picture, and the one
# from which the answer goes on, after the words it was begun with (`answer`). Orange is what is heard, blue what is seen,
# grey what is heard in other clips. A place with more positions names more of anything, so compare lines within a panel.

# %%
ranks = lens.event_ranks(
    avllm,
    clips,
    question,
    group="audio+video+last",
    answer=answer,
    match=match,
    judge=judge,
)
ranks = ranks[ranks["clip"].isin(recalled["clip"])]
curves = latent.recall(ranks, top_k, by_layer=True)
gaps = latent.gaps(curves, seed=seed).query("kind == 'counterfactual'")
n_seen = (gaps.loc[gaps["group"] == "audio", "low"] > 0).sum()
show.figure(
    plots.lens.recall_curves(
        curves,
        top_k,
        f"Where sound and picture disagree, audio positions name the picture more\n"
        f"in {n_seen} of {n_layers} layers (intervals over clips)",
    ),
    "Curves over layers of the share of events named at audio positions, video positions and where the answer goes on.",
)

# %%
places = {
    "audio": "positions of the sound",
    "video": "positions of the picture",
    "last": "where the answer goes on",
}
columns = {
    "group": "place",
    "a ahead": "what is seen is ahead",
    "b ahead": "what is heard is ahead",
}
show.table(
    latent.ahead(gaps)
    .drop(columns="kind")
    .replace({"group": places})
    .rename(columns=columns),
    "Counterfactual clips: after which layers one is ahead (the 95 % interval of the difference leaves out zero)",
)

# %% [markdown]
# The share depends on where the line between “named” and “not named” is drawn. The rank itself, which
# {cite}`yang2025audiolens` follow through audio language models, does not: here is how close every layer is to saying
# what is heard, what is seen, and what is heard elsewhere.

# %%
show.figure(
    plots.lens.rank_curves(
        latent.log_ranks(ranks), "How close is each layer to naming it?"
    ),
    "Curves over layers of the rank of what is heard, what is seen, and what is heard in other clips.",
)

# %% [markdown]
# ## Heard inside, and said?
#
# If recall read the sound, and the answer drew on it, then what is decoded should be what is said. Each event heard falls
# into one of four cells; the dotted lines are what the cells would hold if inside and said had nothing to do with each
# other.

# %%
said = said[said["value"].notna() & said["clip"].isin(recalled["clip"])]
both = recalled[recalled["clip"].isin(said["clip"])]
cells = latent.inside_and_said(both, said)
unsaid = cells.query("inside and not said").groupby("kind")["value"].mean()
title = ", ".join(f"{kind} {share:.0%}" for kind, share in unsaid.items())
show.figure(
    plots.lens.inside_and_said(cells, f"Heard inside and not said: {title}"),
    "Bars for each kind of clip: the shares of heard events that are decoded and said, only decoded, only said, neither.",
)

# %% tags=["hide-input"]
lines = []
for found in latent.tie(cells, seed).itertuples():
    tied = found.low > 0 or found.high < 0
    lines.append(
        f"- **{found.kind}**: inside *and* said is {found.mean:+.2f} [{found.low:+.2f}, {found.high:+.2f}] from what "
        f"independence gives (n = {found.n}); "
        + ("the two are tied." if tied else "**no tie between the two was seen.**")
    )
Markdown("\n".join(lines))

# %% [markdown]
# ## Control: other definitions, and the raw lens
#
# The defaults, top 3 in the last quarter of the decoder, were chosen for `toy-omni`, on clips of the toybox's validation
# split, which no chapter measures, by recall minus null on factual clips; for any other model they are a convention. Here
# is the same grid for the model and the clips of this run. A finding that held in one cell only would be none.

# %%
audio = ranks[ranks["group"] == "audio"]
kind = "factual" if "factual" in set(audio["kind"]) else audio["kind"].iloc[0]
grid = latent.choices(audio).query("kind == @kind")
show.figure(
    plots.lens.choices(
        grid, f"Latent recall above its null, {kind} clips (n = {grid['n'].iloc[0]})"
    ),
    "A grid of recall minus null: parts of the decoder by top k.",
)

# %%
raw = lens.latent_recall(avllm, clips, question, normed=False, judge=judge, **by)
raw = raw[raw["reason"] == ""]
rows = []
for name, some in (("normed", recalled), ("raw", raw)):
    for kind, group in some.groupby("kind", sort=False):
        gap = stats.difference(group["value"], group["null"], seed)
        rows.append((name, kind, group["value"].mean(), group["null"].mean(), *gap))
columns = ["lens", "kind", "recall", "null", "recall - null", "low", "high", "n"]
show.table(
    pd.DataFrame(rows, columns=columns),
    "With the final norm (as the model speaks) and without (as in the study)",
)

# %% [markdown]
# ## Read its mind
#
# Three clips whose sound is not that of their picture. *Before you close its eyes: at which layer will the words of the
# picture take over at the positions of the sound, and will they be gone without it?*

# %% tags=["hide-input"]
from avnb.judge.words import mentioned
from avnb.show import explore

plain = [
    c for c in clips if c.kind == "counterfactual" and len(c.seen) == len(c.heard) == 1
][:3]
given = {"open": ("video", "audio"), "closed": ("audio",)}
read = [
    lens.decode(
        avllm, avllm.prompt(c, question, modalities), top_k=5, answer=answer
    ).assign(clip=c.id, eyes=eyes)
    for c in plain
    for eyes, modalities in given.items()
]
explore.read_its_mind(
    plain,
    pd.concat(read).assign(named=lambda rows: rows["token"].map(mentioned)),
) if plain else Markdown("No clip here has one known thing seen and another heard.")

# %% [markdown]
# ## Paper and here
#
# The study's number is for Qwen2.5-Omni-3B, its own pooling, and without a null. Fidelity also counts what an answer
# invents, recall does not, so that part of the difference is in the definitions.

# %%
counterfactual = both[both["kind"] == "counterfactual"].set_index("clip")["value"]
fidelity = said.set_index("clip")["value"].reindex(counterfactual.index)
some = len(counterfactual) > 0
show.table(
    paper.compare(
        {
            "latent recall": stats.interval(counterfactual, seed) if some else None,
            "latent recall - counterfactual audio fidelity": stats.difference(
                counterfactual, fidelity, seed
            )
            if some
            else None,
        }
    ),
    "Latent recall of what is heard in counterfactual clips, the study and here",
)

# %% [markdown]
# The larger $k$, the larger the recall, while the fidelity stays as it is: by itself, the sign of their difference says
# nothing until it holds for every $k$ that one could have chosen.

# %%
conflicting = said[said["kind"] == "counterfactual"]
every_k = sorted({*latent.TOP_KS, top_k})
scored = ranks[ranks["clip"].isin(said["clip"])]
signs = latent.less_said(scored, conflicting, every_k, depth, seed)
show.table(
    signs.drop(columns="kind").rename(columns={"mean": "recall - fidelity"}),
    "Counterfactual clips: latent recall and audio fidelity by top k, 95 % interval over clips of the difference",
)


# %% tags=["hide-input"]
def those(rows):
    """The top k of some rows, as words."""
    return f"k = {', '.join(map(str, rows['top_k']))}" if len(rows) else "no k"


above, below = signs[signs["low"] > 0], signs[signs["high"] < 0]
one_sided = len(signs) and max(len(above), len(below)) == len(signs)
if len(above) and len(below):
    depends = "**The direction depends on $k$**, so that it is no finding"
elif one_sided:
    depends = "The direction is the same for every $k$ tried"
else:
    depends = "**Not every $k$ shows a direction**"
Markdown(
    f"Recall lies above fidelity for {those(above)}, and below it for {those(below)} (the interval leaves out zero). "
    f"{depends}."
)

# %% [markdown]
# ## What this does not show
#
# - That a word can be read at a position does not show that the answer uses it; only an intervention can (see the
#   knockouts).
# - What a position holds in another code than that of the output, the lens misses. A low recall does not show deafness,
#   least of all in early layers.
# - Recall rises with everything that is looked at: layers, positions, $k$. Only what stands above the null counts, and
#   numbers of models with other vocabularies or longer sounds cannot be compared without it.
# - An event counts as its words are listed. Words that a tokenizer splits are matched by a first piece.
# - What is inside is set against what is said by the names that the judge finds. A language model names things in its own
#   words, which are seldom those of the captions: with such a judge, that section counts too little as said.
#
# ## Try it yourself
#
# Read any group of positions of any clip.

# %% tags=["skip-execution"]
from ipywidgets import interact


@interact(
    clip=[(f"{c.kind} {c.id}", c) for c in clips],
    group=["audio", "video", "query", "last"],
    layer=(0, n_layers - 1),
    normed=True,
)
def read(clip, group, layer, normed):
    """The most probable token at every position of a group after a layer."""
    prompt = avllm.prompt(clip, question)
    table = lens.decode(
        avllm, prompt, group, top_k=1, normed=normed, layers=[layer], answer=answer
    )
    return table[["position", "token", "probability"]]


# %% tags=["remove-input"]
show.provenance(
    model=model,
    dataset=dataset,
    n=n,
    seed=seed,
    top_k=top_k,
    depth=depth,
    judge=judge,
)
