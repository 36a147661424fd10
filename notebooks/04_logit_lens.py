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
# # 4. Does a model know the sound that it does not name?
#
# **The logit lens reads words off every layer, long before the answer; what it reads at the positions of the sound is
# known there, and need not be used.**

# %% tags=["parameters", "hide-input"]
model = "toy-omni"
dataset = "toybox"
n = 400  # clips that are drawn, half of them conflicting
each = 100  # of each kind, so many are measured
seed = 77
question = "Describe what you hear."
answer = "I hear"  # a begun answer; the next word is the one that matters
top_k = 3
depth = [0.75, 1.0]  # the part of the decoder that counts
match = "words"  # or a sentence embedder: which tokens name an event
judge = None  # by whom answers are judged; None is by what is known of the clips
n_taught = 240  # clips that probes are taught on
out = None  # folder for the tables; None is the cache folder

# %% tags=["hide-input"]
import avnb
import pandas as pd
from avnb import (
    datasets,
    fidelity,
    knockout,
    latent,
    lens,
    paper,
    plots,
    show,
    stats,
    study,
    vocabulary,
)
from avnb import judge as judges
from avnb.analyses import patches, probe
from avnb.engine import needs
from avnb.layers import depth_layers, ranges
from avnb.study import claims
from IPython.display import Markdown

plots.style()
avllm = avnb.load(model)
n_layers = len(avllm.decoder.layers)
whole = [0, n_layers]

# Shown are other clips than those that are counted, drawn with another seed, and chosen by the rule of `example`.
examples = datasets.load(dataset, n=12, seed=seed + 1, fewer=True)
judge = judge or judges.suited(examples)
if not lens.targets(examples, judge):
    raise ValueError(
        f"{dataset}: nothing is known to be heard in its clips, which the lens looks for; "
        f"{judges.named(judge).check(examples[0], 'audio')}"
    )
clip, said_of_it = fidelity.example(avllm, examples, question)
asked = {"dataset": dataset, "n": n, "seed": seed, "out": out, "judge": judge}
some = {"each": each, "kinds": ["counterfactual"]}
ranks = study.table(
    "lens.event_ranks",
    avllm,
    each=each,
    question=question,
    group="audio+video+last",
    answer=answer,
    match=match,
    **asked,
)
cut_off = study.table(
    "lens.event_ranks",
    avllm,
    question=question,
    match=match,
    cut=["audio", "video"],
    **some,
    **asked,
)
said = study.table("fidelity", avllm, questions=[question], inputs=["both"], **asked)
said = said[(said["modality"] == "audio") & said["clip"].isin(ranks["clip"])]
moved = study.table(
    "knockout",
    avllm,
    questions=[question],
    spans=[whole],
    source="audio",
    blocked=["video"],
    n_draws=0,
    **some,
    **asked,
)
patched = study.table("patching.measure", avllm, question=question, **some, **asked)
taught = None  # probes need clips of the same kind as those that they are tried on
if dataset == "toybox":
    taught = study.table(
        "probe.measure",
        avllm,
        each=each,
        question=question,
        taught_on=dataset,
        n_taught=n_taught,
        **asked,
    )
    taught = probe.recall(taught, top_k)
recalled = lens.from_ranks(ranks, top_k, depth)
without = lens.from_ranks(cut_off, top_k, depth)

# %% tags=["hide-input"]
left_out = recalled.loc[recalled["reason"] != "", "reason"].value_counts()
recalled = recalled[recalled["reason"] == ""]
by_clip = recalled.set_index("clip")
conflicting = by_clip[by_clip["kind"] == "counterfactual"]
told = {}
for kind, rows in by_clip.groupby("kind", sort=False):
    told[kind] = stats.verdict(
        rows["value"],
        rows["null"],
        clusters=datasets.sources(rows.index),
        what="what is decoded",
    )
freed, idle = None, None
before, after = (
    t.set_index("clip")["value"].dropna() for t in (conflicting.reset_index(), without)
)
common = before.index.intersection(after.index)
if len(common):
    freed = stats.difference(
        after[common], before[common], clusters=datasets.sources(common)
    )
    change = knockout.effect(knockout.change(moved), "video", whole, modality="audio")
    change = change.reindex(common)
    idle = stats.interval(change, signed=True, clusters=datasets.sources(common))
used = None if idle is None else idle.low > 0 or idle.high < 0
known = told.get("counterfactual") or next(iter(told.values()))
recall = stats.interval(conflicting["value"]) if len(conflicting) else None
read = "beyond chance" if known.stands else "no more often than those of other clips"
show.in_short(
    f"In {avllm.name}, the positions of the sound name it {read}"
    + (
        "."
        if freed is None
        else f"; cut off from the picture they name it {'far more' if freed.low > 0 else 'no more'} often, and the answer "
        + (
            "changes with it."
            if used
            else "does not change."
            + (" It is read there, and not used." if freed.low > 0 else "")
        )
    ),
    {
        label: show.told(one, signed=signed, of=f"{avllm.name}: {name}")
        for label, name, one, signed in (
            (
                "latent recall, conflicting clips (0 to 1)",
                "latent recall, counterfactual",
                recall,
                False,
            ),
            (
                "beyond chance, the sounds of other clips",
                claims.ABOVE,
                known.difference,
                True,
            ),
            (
                "change of recall, sound cut off from the picture",
                "latent recall, counterfactual, picture cut off from the sound - free",
                freed,
                True,
            ),
            (
                "change of the answer's fidelity by the same cut",
                claims.INSIDE,
                idle,
                True,
            ),
        )
        if one is not None
    },  # fmt: skip
    "as in the study: known inside"
    if known.stands
    else "not as in the study: not clearly known inside",
    clip=show.player(
        clip,
        width=240,
        caption=show.said(clip, avllm.name, said_of_it),
    ),
)

# %% [markdown]
# A model that names the wrong sound may not have heard the right one. Or it heard, and something else won on the way to
# the answer. {cite}`selvakumar2026avllm` find the second: the positions that hold the sound decode to what is heard far
# more often than the answer names it. This chapter reads the same positions, asks what the picture does there, and
# whether the answer has any use for it.

# %% tags=["hide-input"]
words = vocabulary.vocabulary(
    avllm, sorted({*ranks["event"]}), match, words_of=judges.named(judge).words_of
)
lines = [
    judges.told(judge, examples),
    f"The lens looks for {words['event'].nunique()} things that are heard or seen.",
    *(
        f"**Left out** are {count} clips: {reason}."
        for reason, count in left_out.items()
    ),
    needs.told(avllm, examples, 4),
]
Markdown("\n\n".join(lines))

# %% [markdown]
# ## One clip, read layer by layer
#
# The clip above is not among those that are counted. Of twelve others it is the first conflicting one about whose sound
# the model names something that is only to be seen, and nothing that sounds.

# %%
by_whom = judges.named(judge)
there = (*by_whom.holds(clip, "audio"), *by_whom.holds(clip, "video"))
names = [*there, *ranks["event"].unique()]
words = vocabulary.vocabulary(avllm, names, match, words_of=by_whom.words_of)
prompt = avllm.prompt(clip, question)
decoded = lens.mark(lens.decode(avllm, prompt, top_k=top_k), clip, words, judge)
apart = lens.decode(avllm, prompt, top_k=top_k, cut=("audio", "video"))
apart = lens.mark(apart, clip, words, judge)


def readings(table):
    """How many readings name what is heard, and what is seen."""
    named = table["target"].value_counts()
    return named.get("heard", 0), named.get("seen", 0)


heard, seen = readings(decoded)
columns = ["layer", "position", "rank", "token", "probability", "target"]
show.figure(
    plots.lens.story(
        decoded,
        clip.wave(),
        f"{heard} readings of the audio positions of {avllm.name} name what is heard, {seen} what is seen",
    ),
    "The spectrogram of the clip (n = 1); under it, for every layer and stretch of time, the word that the lens reads there: "
    "orange where it names what is heard, blue where it names what is seen. A raised number is its rank.",
    alt="A spectrogram, and under it a grid of words, layer by layer.",
    data=decoded[columns],
)

# %% tags=["hide-input"]
heard, seen = readings(apart)
show.figure(
    plots.lens.story(
        apart,
        clip.wave(),
        f"Cut off from the picture, {heard} readings of {avllm.name} name what is heard, {seen} what is seen",
    ),
    "The same clip (n = 1) and the same answer: only the positions of the sound may not look at those of the picture.",
    alt="The same grid of words, with the positions of the sound cut off from the picture.",
    data=apart[columns],
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
# probable tokens at any audio position $p$ after any layer in a part $L$ of the decoder; **chance** is the same share
# for the events of every other clip $d$ that shares nothing with $c$:
#
# $$D(c) = \{e : \min_{\ell \in L,\,p}\ \mathrm{rank}^{(\ell)}_p(V(e)) \le k\},$$
#
# $$\mathrm{recall}(c) = \frac{|E(c) \cap D(c)|}{|E(c)|}, \qquad
# \mathrm{chance}(c) = \operatorname*{mean}_{d}\frac{|E(d) \cap D(c)|}{|E(d)|}.$$
#
# The study reports one number and does not publish how it pools. Chance matters as much: a recall of 0.9 means nothing
# if any other caption reaches 0.9 too.

# %%
table = words.groupby("event")["token"].agg(lambda t: ", ".join(map(str.strip, t)))
here = [event for event in dict.fromkeys(there) if event in table.index]
show.table(
    table.loc[[*here, *table.index.difference(here)[:6]]].reset_index(),
    f"Tokens of {avllm.name} that name an event, for some events",
)

# %% [markdown]
# Here the words of an event and its tokens are matched by stem. A model that thinks in several languages needs more:
# `match="NAME"` takes any sentence embedder, and then the Chinese word for a bell counts as a bell too. Where no events
# are listed, the nouns and verbs of the captions stand for them, and chance is over those of other clips.
#
# ## Is the sound in there?

# %% tags=["hide-input"]
lines = [
    f"- **{plots.KINDS.get(kind, kind)}**: latent recall, with chance as the control. {one.text}"
    for kind, one in told.items()
]
swapped = conflicting[conflicting["value_seen"].notna()]
if len(swapped):
    verdict = stats.verdict(
        swapped["value_seen"],
        swapped["null"],
        clusters=datasets.sources(swapped.index),
        what="what is seen",
    )
    lines.append(
        f"- **conflicting clips, what is seen**: how often the *audio* positions name it, with chance as the control. {verdict.text}"
    )
Markdown("\n".join(lines))

# %% [markdown]
# ## Where does the picture take over?
#
# The same share after every single layer, at three places: the positions of the sound, those of the picture, and the one
# from which the answer goes on, after the words it was begun with (`answer`). A place with more positions names more of
# anything, so compare lines within a panel.

# %% tags=["hide-input"]
curves = latent.recall(ranks, top_k, by_layer=True)
gaps = latent.gaps(
    curves, seed=seed, clusters=datasets.sources(curves["clip"].unique())
)
conflict = gaps[gaps["kind"] == "counterfactual"]
at_sound = conflict[conflict["group"] == "audio"]
first = at_sound.loc[at_sound["low"] > 0, "layer"]
show.figure(
    plots.lens.recall_curves(
        curves,
        top_k,
        f"{avllm.name}, at the positions of the sound: the picture is named more often than the sound after {len(first)} of "
        f"{n_layers} layers",
    ),
    f"Share of events among the {top_k} most probable words, by layer; orange what is heard, blue what is seen, grey what "
    f"is heard in other clips (chance). {show.counted(curves.groupby('kind')['clip'].nunique())} of each kind; bands are 95 % intervals over clips, layer by layer.",
    alt="Curves over layers of the share of events named, at audio positions, video positions and where the answer goes on.",
    data=curves.groupby(["kind", "group", "layer", "target"])["value"]
    .mean()
    .reset_index(),
)

# %% tags=["hide-input"]
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
    latent.ahead(conflict)
    .drop(columns="kind")
    .replace({"group": places})
    .rename(columns=columns),
    f"{avllm.name}, conflicting clips: after which layers one is ahead. All {n_layers} layers of a place are judged at once: the band of "
    "their differences holds the whole curve in 95 % of samples",
)

# %% [markdown]
# The share depends on where the line between “named” and “not named” is drawn. The rank itself, which
# {cite}`yang2025audiolens` follow through audio language models, does not: here is how close every layer is to saying
# what is heard, what is seen, and what is heard elsewhere.

# %% tags=["hide-input"]
logs = latent.log_ranks(ranks)
last = latent.last_ranks(logs[logs["kind"] == "counterfactual"], seed)
read = [
    f"what is {target} at rank {show.told(last[target])}"
    for target in ("seen", "heard")
    if target in last
]
show.figure(
    plots.lens.rank_curves(
        logs,
        f"{avllm.name}, conflicting clips, read after the last layer: {'; '.join(read) or 'there are none'}",
    ),
    "At the positions of the sound, in brackets 95 % intervals with clips of one source counted together. Rank of the best word for it, geometric mean over clips, the "
    "top is the best; colours and bands as above.",
    alt="Curves over layers of the rank of what is heard, what is seen, and what is heard in other clips.",
    data=logs.groupby(["kind", "group", "layer", "target"])["value"]
    .mean()
    .rename("log10 of the rank")
    .reset_index(),
)

# %% [markdown]
# ## Does the answer use what is read?
#
# Here the lens and the knockout of {doc}`05_attention_knockout` seem to contradict each other: the picture overwrites the
# sound where it is read, and still the sound comes back in full once the *answer* may not look at the picture. One cut
# decides: the positions of the sound may not look at those of the picture, in any layer; the answer may look wherever it
# likes. Below, what is then read at these positions, and what the answer then says, clip by clip.

# %% tags=["hide-input"]
rows = []
if len(common):
    change_seen = stats.difference(
        without.set_index("clip")["value_seen"].reindex(common).fillna(0),
        conflicting["value_seen"].reindex(common).fillna(0),
        seed,
        clusters=datasets.sources(common),
    )
    level = knockout.baseline(moved, modality="audio").reindex(common)
    rows = [
        ("what is heard, read at the sound", before[common].mean(), after[common].mean(), freed),
        ("what is seen, read at the sound", conflicting["value_seen"].reindex(common).mean(),
         without.set_index("clip")["value_seen"].reindex(common).mean(), change_seen),
        ("what is heard, said in the answer", level.mean(), (level + change).mean(), idle),
    ]  # fmt: skip
show.figure(
    plots.lens.cut_off(
        rows,
        f"In {avllm.name}, cut off from the picture, the sound can be read, and the answer stays as it was"
        if rows and freed.low > 0 and not used
        else f"What is read at the sound of {avllm.name}, and what it says, with the sound cut off from the picture",
    ),
    f"Share of what is heard or seen, without the cut (open) and with it (filled); conflicting clips, n = {len(common)}; "
    "lines are 95 % intervals of the change, clips that show the same source counted together.",
    alt="Pairs of dots: what is read and what is said, without and with the cut.",
    data=pd.DataFrame(
        [(*row, *change) for *row, change in rows],
        columns=["share", "without", "with the cut", "change", "low", "high", "n"],
    ),
) if rows else Markdown(
    "There are no conflicting clips here, so that nothing is decided."
)

# %% tags=["hide-input"]
text = "**Not decided**: no conflicting clip was measured."
if rows:
    seen_by = stats.detectable(idle)
    text = (
        f"What is read in {avllm.name} at the positions of the sound: {show.told(freed, signed=True)}. What the answer says: "
        f"{show.told(idle, signed=True)}. "
    )
    if freed.low > 0 and not used:
        text += (
            "**Read, but not used**: the sound becomes legible where it was overwritten, and the answer makes nothing of it. "
            f"(A change of {seen_by:.2f} would have been seen in four of five such samples.) So what the lens reads at these "
            "positions does not decide the answer; what the answer takes from the positions of the picture does."
        )
    elif used:
        text += (
            "The answer changes with the cut, so that what is read there is used, too."
        )
    else:
        text += "The cut does not clearly change what is read, so that nothing is decided here."
Markdown(text)

# %% [markdown]
# ## Is the sound gone where the lens reads the picture?
#
# The lens knows the code of the output alone. A **probe** {cite}`alain2016probes` is taught to read: for every layer, a
# linear map (a ridge regression) from the mean of the residual stream over the positions of the sound to what is heard. It is taught on
# pictures of the training split with the sounds of other clips, so that it cannot go by the picture; its strength is set on
# the validation split; what it finds is counted on the clips of this chapter. Beside it are the lens, which here reads the
# same means and ranks the same events, a probe that was taught what is *seen*, and, as a control {cite}`hewitt2019control`, one that was taught shuffled sounds.

# %% tags=["hide-input"]
known_by = None
if taught is not None and "counterfactual" in set(taught["kind"]):
    ordinary = taught[taught["kind"] != "counterfactual"]
    taught = taught[taught["kind"] == "counterfactual"]
    last_part = f"layers {ranges(depth_layers(n_layers, depth))}"
    known_by = probe.verdict(
        taught, depth, clusters=datasets.sources(taught["clip"].unique())
    )
show.figure(
    plots.lens.readouts(
        taught,
        top_k,
        f"In {last_part} of {avllm.name} a probe names {known_by.probe.effect.mean:.0%} of what is heard, the lens {known_by.lens.mean:.0%}",
    ),
    f"Share of events among the first {top_k}, by layer, read from the mean over the positions of the sound; colours as above. "
    f"Conflicting clips, n = {known_by.probe.effect.n}; bands are 95 % intervals over clips, layer by layer.",
    alt="Curves over layers for the lens and three probes: the share of what is heard, seen, and heard in other clips.",
    data=taught.groupby(["readout", "layer", "target"])["value"].mean().reset_index(),
) if known_by else Markdown(
    "**Not measured here**: a probe is taught on clips of the same kind, and of this set there are none to spare."
)

# %% tags=["hide-input"]
text = ""
if known_by:
    text = (
        f"In {last_part} of {avllm.name}, a part that was fixed beforehand, the probe of what is heard against that of shuffled sounds: "
        f"{known_by.probe.text} Against the lens on the same states: {show.told(known_by.apart, signed=True)}; against the "
        f"probes of the first half of the layers: {show.told(known_by.lost, signed=True)}. "
    )
    same = probe.over_depth(ordinary, "heard", "heard", depth) if len(ordinary) else ()
    if len(same):  # few clips may hold nothing that the probe was taught
        text += f"On ordinary clips the same probe names {show.told(stats.interval(same, seed))}. "
    if known_by.probe.stands and known_by.apart.low > 0:
        text += (
            "**The sound is not overwritten, only outvoted**: where the lens reads the picture, the sound can still be told from "
            "the same numbers."
            if not known_by.lost.high < 0
            else "**The sound fades, and is not gone**: less of it can be told than in the first half of the layers, and more than "
            "the lens reads."
        )
    elif known_by.probe.stands:
        text += "**The lens misses nothing**: the probe finds no more of the sound than it does."
    else:
        text += "**The sound was not found** where the lens reads the picture."
Markdown(text)

# %% [markdown]
# ## From which positions does the answer take its word?
#
# What can be told from a position need not be used. So the positions themselves are changed, and nothing else: **patching**
# {cite}`meng2022locating` puts in what they hold in another run, after a layer and all later ones, so that nothing can be
# written over it. The positions of the sound get what they hold if cut off from the picture, or without any picture: does
# the answer then name the sound? They get the sound of another clip; and those of the picture get another picture. Whether
# such a patch carries a sound at all, an answer shows that cannot look at the picture.

# %% tags=["hide-input"]
taken = patches.verdict(patched, clusters=datasets.sources(patched["clip"].unique()))
titles = {
    "picture": "names the picture that is put in, and seldom the sound",
    "both": "names the undisturbed sound that is put in",
    "sound": "names the sound that is put in, and not the picture",
    "neither": "names neither what is put in as sound nor as picture more often",
    "": "and states of another run: what is named of them",
}
show.figure(
    plots.lens.patched(patched, f"{avllm.name} {titles[taken.claim]}"),
    f"Share of what was put in that the answer names as heard. Conflicting clips, n = {taken.own.n}; bands are 95 % intervals "
    "over clips, layer by layer.",
    alt="Curves over layers: the share of answers that name what was put in at the positions of the sound or of the picture.",
    data=patched.groupby(["instead", "start", "quantity"], sort=False)["value"]
    .mean()
    .reset_index(),
) if taken else Markdown(
    "There are no conflicting clips here that share nothing, so that nothing is decided."
)

# %% tags=["hide-input"]
decided = {
    "picture": "**The answer takes its word from the positions of the picture.** Those of the sound hold the sound, in a form "
    "that an answer can read; with the picture in sight it seldom does.",
    "both": "**The answer takes its word from the positions of the sound, too**: undisturbed, they bring it back.",
    "sound": "**The answer takes its word from the positions of the sound.**",
    "neither": "**Not decided**: neither place is clearly the one that is read.",
    "": "**Not decided**: a sound that is put in is not named by an answer without the picture either, so that the patch carries "
    "none.",
}
Markdown(
    f"From the first layer on, which was fixed beforehand: the own sound, undisturbed by the picture, changes the fidelity of "
    f"the answer of {avllm.name} by {show.told(taken.own, signed=True)} (a change of {stats.detectable(taken.own):.2f} would have been seen in "
    f"four of five such samples). Of another clip's sound the answer names {show.told(taken.sound)}; of another clip's picture, "
    f"{show.told(taken.picture)}; the difference is {show.told(taken.apart, signed=True, of=f'{avllm.name}: {claims.TAKEN}')}. Without a view of the picture it "
    f"names {show.told(taken.carried)} of the sound that was put in.\n\n{decided[taken.claim]}"
) if taken else None

# %% [markdown]
# ## Heard inside, and said?
#
# If recall read the sound, and the answer drew on it, then what is decoded should be what is said. Each event heard falls
# into one of four cells; the dotted lines are what the cells would hold if inside and said had nothing to do with each
# other.

# %% tags=["hide-input"]
said = said[said["value"].notna() & said["clip"].isin(recalled["clip"])]
both = recalled[recalled["clip"].isin(said["clip"])]
cells = latent.inside_and_said(both, said)
unsaid = cells.query("inside and not said").groupby("kind")["value"].mean()
shares = ", ".join(
    f"{share:.0%} in {plots.KINDS.get(kind, kind)}" for kind, share in unsaid.items()
)
show.figure(
    plots.lens.inside_and_said(
        cells, f"{avllm.name}, heard inside and not said: {shares}"
    ),
    "Share of the events that are heard, by whether they are decoded inside and named in the answer; "
    f"{show.counted(cells.groupby('kind')['clip'].nunique())} of each kind, 95 % intervals over clips.",
    alt="Bars for each kind of clip: the shares of heard events that are decoded and said, only decoded, only said, neither.",
    data=cells.groupby(["kind", "inside", "said"])[["value", "null"]]
    .mean()
    .reset_index(),
)

# %% tags=["hide-input"]
lines = []
for found in latent.tie(cells, seed).itertuples():
    tied = found.low > 0 or found.high < 0
    lines.append(
        f"- **{plots.KINDS.get(found.kind, found.kind)}**: inside *and* said is "
        f"{show.told(stats.Interval(found.mean, found.low, found.high, found.n), signed=True)}, from what independence gives; "
        + ("the two are tied." if tied else "**no tie between the two was seen.**")
    )
Markdown("\n".join(lines))

# %% [markdown]
# ## Control: other definitions, and the raw lens
#
# The defaults, top 3 in the last quarter of the decoder, were chosen for `toy-omni`, on clips of the toybox's validation
# split, which no chapter measures, by recall beyond chance on ordinary clips; for any other model they are a convention. Here
# is the same grid for the model and the clips of this run. Whoever looks at all of them may pick the best, so that they
# share one band.

# %% tags=["hide-input"]
audio = ranks[ranks["group"] == "audio"]
kind = "factual" if "factual" in set(audio["kind"]) else audio["kind"].iloc[0]
every = latent.choices(audio, seed=seed).assign(
    above=lambda some: some["stands"] & (some["mean"] > 0)
)
grid = every[every["kind"] == kind]
clear = grid["above"].sum()
show.figure(
    plots.lens.choices(
        grid,
        f"Recall of {avllm.name} lies above chance for {clear} of {len(grid)} definitions",
    ),
    f"Latent recall beyond chance (0 to 1) for every part of the decoder and top k; {plots.KINDS.get(kind, kind)}, n = "
    f"{grid['n'].iloc[0]} clips; in brackets the 95 % band for all {len(grid)} definitions at once.",
    alt="A grid of recall beyond chance: parts of the decoder by top k.",
    data=every.drop(columns="above"),
)

# %% tags=["hide-input"]
above = every.groupby("kind", sort=False)["above"].sum()
Markdown(
    "With all definitions in view, recall stands above chance for "
    + " and ".join(
        f"**{n} of {len(grid)}** on {plots.KINDS.get(name, name)}"
        for name, n in above.items()
    )
    + (
        ". What is said of conflicting clips on this page rests on the one definition that was fixed before they were "
        "looked at; among the others it would be no finding."
        if above.get("counterfactual", 1) == 0
        else "."
    )
)

# %% tags=["hide-input"]
raw = study.table(
    "lens",
    avllm,
    each=each,
    question=question,
    top_k=top_k,
    depth=depth,
    match=match,
    normed=False,
    **asked,
)
rows = []
for name, table in (("normed", recalled), ("raw", raw[raw["reason"] == ""])):
    for kind, group in table.set_index("clip").groupby("kind", sort=False):
        gap = stats.difference(
            group["value"], group["null"], clusters=datasets.sources(group.index)
        )
        means = group["value"].mean(), group["null"].mean()
        rows.append((name, plots.KINDS.get(kind, kind), *means, *gap))
columns = ["lens", "clips", "recall", "chance", "beyond chance", "low", "high", "n"]
show.table(
    pd.DataFrame(rows, columns=columns),
    f"{avllm.name}, with the final norm (as the model speaks) and without (as in the study)",
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
    c
    for c in examples
    if c.kind == "counterfactual" and len(c.seen) == len(c.heard) == 1
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
# The study's number is for Qwen2.5-Omni-3B, its own pooling, and without chance. Fidelity also counts what an answer
# invents, recall does not, so that part of the difference is in the definitions.

# %% tags=["hide-input"]
inside = both[both["kind"] == "counterfactual"].set_index("clip")["value"]
named = said.set_index("clip")["value"].reindex(inside.index)
show.table(
    paper.compare(
        {
            "latent recall": stats.interval(inside, seed) if len(inside) else None,
            "latent recall - counterfactual audio fidelity": stats.difference(
                inside, named, seed, clusters=datasets.sources(inside.index)
            )
            if len(inside)
            else None,
        }
    ),
    f"Latent recall of what is heard in conflicting clips, the study and {avllm.name} here",
)

# %% [markdown]
# The larger $k$, the larger the recall, while the fidelity stays as it is: by itself, the sign of their difference says
# nothing until it holds for every $k$ that one could have chosen.

# %% tags=["hide-input"]
every_k = sorted({*latent.TOP_KS, top_k})
scored = ranks[ranks["clip"].isin(said["clip"])]
signs = latent.less_said(
    scored, said[said["kind"] == "counterfactual"], every_k, depth, seed
)
show.table(
    signs.drop(columns="kind").rename(columns={"mean": "recall - fidelity"}),
    f"{avllm.name}, conflicting clips: latent recall and audio fidelity by top k, 95 % interval over clips of the difference",
)


# %% tags=["hide-input"]
def those(rows):
    """The top k of some rows, as words."""
    return f"k = {', '.join(map(str, rows['top_k']))}" if len(rows) else "no k"


above, below = signs[signs["low"] > 0], signs[signs["high"] < 0]
one_sided = len(signs) and max(len(above), len(below)) == len(signs)
if len(above) and len(below):
    depends = "**The direction depends on k**, so that it is no finding"
elif one_sided:
    depends = "The direction is the same for every k tried"
else:
    depends = "**Not every k shows a direction**"
Markdown(
    f"Recall lies above fidelity for {those(above)}, and below it for {those(below)} (the interval leaves out zero). "
    f"{depends}."
)

# %% [markdown]
# ## What this shows

# %% tags=["hide-input"]
lines = [
    f"- {avllm.name}, {plots.KINDS.get(kind, kind)}, latent recall: {one.text}"
    for kind, one in told.items()
]
if len(first):
    lines.append(
        f"- In {avllm.name}, where sound and picture disagree, the picture is written over the sound at its own positions, from layer "
        f"{first.min()} on."
    )
if freed is not None and freed.low > 0 and not used:
    lines.append(
        f"- What is read there is not what the answer of {avllm.name} uses: the cut changes recall by {show.told(freed, signed=True)}, and the "
        f"answer by {show.told(idle, signed=True)}."
    )
if known_by and known_by.probe.stands and known_by.apart.low > 0:
    lines.append(
        f"- In {avllm.name} the picture is written over what the lens reads, not over all that is there: in {last_part} a probe names "
        f"{show.told(known_by.probe.effect, of=f'{avllm.name}: {claims.PROBED}')} of what is heard at the same positions, the lens {show.told(known_by.lens)}."
    )
if taken and taken.claim == "picture":
    lines.append(
        f"- {avllm.name} takes its word from the positions of the picture: it names {taken.picture.mean:.0%} of a picture that is "
        f"put in there, and {taken.sound.mean:.0%} of a sound that is put in at those of the sound (difference "
        f"{show.told(taken.apart, signed=True)})."
    )
Markdown("\n".join(lines))

# %% [markdown]
# ## What this does not show
#
# - That a word can be read at a position does not show that the answer uses it. Above, one intervention was made, on one
#   edge; {doc}`05_attention_knockout` makes the others.
# - What a position holds in another code than that of the output, the lens misses. A low recall does not show deafness,
#   least of all in early layers.
# - A probe shows what can be told from a state, not that the model does tell it; another map might tell more, so that what
#   it finds is a lower bound.
# - States that are put in come from another run, in which other positions held other things: together they are a state
#   that the model is never in by itself.
# - Recall rises with everything that is looked at: layers, positions, $k$. Only what stands above chance counts, and
#   numbers of models with other vocabularies or longer sounds cannot be compared without it.
# - An event counts as its words are listed. Words that a tokenizer splits are matched by a first piece.
# - What is inside is set against what is said by the names that the judge finds. A language model names things in its own
#   words, which are seldom those of the captions: with such a judge, that section counts too little as said.
#
# ## Try it yourself
#
# **Task.** Find a clip of which the picture names the sound, at positions of the picture, before the answer begins. Needs
# Python: open this page on Colab or on your machine.
#
# <details><summary>What to expect</summary>
#
# The middle column of the figure of recall by layer has the answer for all clips: orange is what is heard, read at the
# positions of the picture. Set `group` to `video` and go up the layers.
#
# </details>

# %% tags=["skip-execution"]
from ipywidgets import interact


@interact(
    clip=[(show.about(c), c) for c in examples],
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
