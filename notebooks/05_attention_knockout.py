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
# # 5. What does an answer say if it may not look?
#
# **Attention shows where an answer looks; taking the look away, layer by layer, shows what it needs.**

# %% tags=["parameters", "hide-input"]
model = "toy-omni"
dataset = "toybox"
n = 400  # clips that are drawn, half of them conflicting
each = 100  # of each kind, so many are measured
seed = 77
source = (
    "last+generated"  # the rows that may not look; the published script has "generated"
)
n_draws = 1  # random controls for every cut
judge = None  # by whom answers are judged; None is by what is known of the clips
out = None  # folder for the tables; None is the cache folder

# %% tags=["hide-input"]
import avnb
import pandas as pd
from avnb import (
    Condition,
    datasets,
    fidelity,
    knockout,
    layers,
    paper,
    plots,
    show,
    stats,
    study,
)
from avnb import judge as judges
from avnb.analyses import blend
from avnb.engine import needs
from avnb.organisms import cards as organism_cards
from avnb.organisms import recipes
from avnb.questions import HEAR, SEE
from avnb.study import claims
from IPython.display import Markdown

plots.style()
avllm = avnb.load(model)
n_layers = len(avllm.decoder.layers)
whole = 0, n_layers

# Shown are other clips than those that are counted, drawn with another seed, and chosen by the rule of `example`.
examples = datasets.load(dataset, n=12, seed=seed + 1, fewer=True)
if not any(c.kind == "counterfactual" for c in examples):
    raise ValueError(
        f"dataset={dataset!r} has no counterfactual clips; this chapter compares factual with counterfactual clips and needs "
        "both (chapter 1 makes counterfactual ones)"
    )
judge = judge or judges.suited(examples)
clip, said_of_it = fidelity.example(avllm, examples, HEAR)

step = max(1, n_layers // 8)
width = max(2, step)
from_first = layers.cumulative(n_layers, stride=step)
to_last = layers.cumulative(n_layers, "last", stride=2 * step)
sliding = layers.windows(n_layers, width, stride=step)
groups = ["video", "audio", "video+audio", "query"]
asked = {"dataset": dataset, "n": n, "seed": seed, "out": out, "each": each}
judged = asked | {"n_draws": n_draws, "judge": judge, "source": source}
conflict = {"kinds": ["counterfactual"]}
table = study.table("knockout", avllm, spans=from_first, blocked=groups, **judged)
later = study.table(
    "knockout",
    avllm,
    questions=[HEAR],
    spans=sorted({*to_last, *sliding} - {*from_first}),
    blocked=groups,
    **conflict,
    **judged,
)
changes = knockout.change(table)
scored = {*changes[["kind", "modality"]].itertuples(index=False, name=None)}
hear = table[(table["kind"] == "counterfactual") & (table["question"] == HEAR)]
if hear["value"].isna().all():
    raise ValueError(
        f"dataset={dataset!r}: judge {judge!r} cannot judge the sound of any counterfactual clip, which this chapter is about"
    )
names = plots.knockout.LABELS
answers = study.table(
    "fidelity",
    avllm,
    questions=[HEAR],
    inputs=["both", "audio"],
    judge=judge,
    **asked | {"each": None},
)
ordinary = answers.query("kind == 'factual' and inputs == 'both'")
answers = answers[answers["kind"] == "counterfactual"]
unseen, answers = (answers[answers["inputs"] == given] for given in ("audio", "both"))


def by_cut(table, *columns):
    """The means behind a figure, for every cut."""
    rows = table.dropna(subset="value")
    return stats.summarise(rows, [*columns, "blocked", "start", "stop"])


def verdict(
    blocked, kind="counterfactual", modality="audio", changes=changes, table=table
):
    """How a cut in all layers compares with its control."""
    where = {"kind": kind, "modality": modality}
    cut, control = (
        knockout.effect(changes, name, whole, **where)
        for name in (blocked, knockout.CONTROL + blocked)
    )
    level = knockout.baseline(table, **where).reindex(cut.index)
    return stats.verdict(
        cut,
        control,
        clusters=datasets.sources(cut.index),
        baseline=level,
        what="the change",
    )


sight = verdict("video")
level = knockout.baseline(hear, modality="audio")
show.in_short(
    f"If its answers may not look at the picture, {avllm.name} "
    + (
        f"names the sound of conflicting clips: fidelity {level.mean() + sight.effect.mean:.2f} instead of {level.mean():.2f}."
        if sight.stands and sight.effect.mean > 0
        else "does not clearly name the sound of conflicting clips more often."
    ),
    {
        f"fidelity of what is heard, the first {len(level)} conflicting clips (0 to 1)": show.told(
            stats.interval(level),
            of=f"{avllm.name}: audio fidelity, counterfactual, of the clips that are cut",
        ),
        "change, picture out of sight": show.told(
            sight.effect, signed=True, of=f"{avllm.name}: {claims.RECOVERY}"
        ),
        "control: as many positions drawn at random": show.told(
            sight.control,
            signed=True,
            of=f"{avllm.name}: {claims.RECOVERY}, random positions",
        ),
    },
    "as in the study, and far stronger"
    if sight.stands
    and sight.effect.low
    > paper.quantities()[
        "counterfactual audio fidelity, video blocked - baseline"
    ].value
    else "as in the study"
    if sight.stands and sight.effect.mean > 0
    else "not as in the study",
    clip=show.player(
        clip,
        width=240,
        caption=show.said(clip, avllm.name, said_of_it),
    ),
)

# %% [markdown]
# If a model names the sound of what it sees, although something else is to be heard, then either the sound never
# arrived, or the picture outshouts it. The two can be told apart: keep the answer from attending to the picture. If the
# sound then comes out, it was there all along.
#
# A cut is one more answer, and there are many: they are measured on the first clips of each kind of the set (`each`). What
# these score without a cut differs a little from the fidelity of all of them, which {doc}`chapter 2
# <02_caption_fidelity>` has.

# %% tags=["hide-input"]
n_conditions = 1 + len(from_first) * len(groups) * (1 + n_draws)
cost = needs.told(avllm, examples, 2, n_conditions)
Markdown(f"{judges.told(judge, examples)}\n\n{cost}")

# %% [markdown]
# ## One clip, five answers
#
# The clip above is not among those that are counted. Of twelve others it is the first conflicting one about whose sound
# the model names something that is only to be seen, and nothing that sounds.

# %%
targets = ["video", "audio", "video+audio", avnb.Random("video", among="everywhere")]
cuts = [Condition(), *(Condition.block(source, target) for target in targets)]
runs = avnb.run(avllm, avllm.prompt(clip, HEAR), cuts)
rows = ["nothing", "the picture", "the sound", "both"]
rows.append("as many positions as the picture, drawn at random")
show.table(
    pd.DataFrame({"blocked": rows, f"“{HEAR}”": [found.text for found in runs]}),
    f"What {avllm.name} says of the same clip under five conditions, from one prefill",
)

# %% [markdown]
# ## Method
#
# Attention of a row $q$ to keys $k$ is $\mathrm{softmax}_k(q \cdot k / \sqrt d)$. A **knockout** sets the scores of a group
# $G$ of keys to $-\infty$ before the softmax, for chosen rows and in the layers of a span $[a, b)$, so that what they
# would have got goes to the other keys {cite}`geva2023dissecting`. Its effect on clip $c$ is paired:
#
# $$\Delta_c(G, a, b) = \text{fidelity}_c(G \text{ blocked in } [a, b)) - \text{fidelity}_c(\text{nothing blocked}).$$
#
# Spans are *windows* of equal width, or *cumulative*: from the first layer up to some layer, or from some layer to the
# last. Four choices decide what such a sweep means, and each is easily made by accident:
#
# - **Which rows?** The first word of an answer is chosen by the last position of the prompt, which belongs to no word of
#   the answer. Rows here are that position and all words of the answer (`last+generated`); below, without it.
# - **Which layers?** A span ends before its last number: of 36 layers, `[0, 35)` leaves one open, through which everything
#   may pass. The last span here holds all layers.
# - **Is anything blocked?** Where a model gets no mask, a script that edits the mask does nothing, and says nothing. Here
#   the engine owns the mask, and a rule that cannot block anything is an error.
# - **Against what?** Blocking many keys disturbs any model. The **control** blocks as many prompt positions, drawn at random
#   for every clip. It draws from the whole prompt, blind to what a position holds: text alone has too few positions, and
#   a draw from text and the other modality would mostly be a knockout of the other modality.

# ## Layer by layer
#
# Conflicting clips, “what do you hear”: does the right sound come back when the picture is out of sight?

# %% tags=["hide-input"]
shapes = {
    "blocked: the first … layers": from_first,
    f"middle of the window of {width} layers": sliding,
    "blocked: from layer … to the last": to_last,
}
free = later["blocked"] == knockout.NOTHING
show.figure(
    plots.knockout.curves(
        pd.concat([hear, later[~free]], ignore_index=True),
        shapes,
        f"{avllm.name}: blocking the picture in all layers changes audio fidelity by {sight.effect.mean:+.2f}",
    ),
    f"Audio fidelity (0 to 1) of conflicting clips by the blocked layers, n = {hear['clip'].nunique()}; bands are 95 % "
    "intervals over clips, the line across is nothing blocked. One span is judged below, all layers, fixed beforehand.",
    alt="Audio fidelity against the blocked layers, in three panels: cumulative from the first layer, windows, cumulative "
    "to the last layer; lines for picture, sound, both and question blocked, and for controls.",
    data=by_cut(pd.concat([hear, later[~free]])),
)


# %% tags=["hide-input"]
def in_words(blocked, kind="counterfactual", modality="audio"):
    """The same as a sentence."""
    if (kind, modality) not in scored:
        return "**not measured**, as no answer about it has a score."
    return verdict(blocked, kind, modality).text


Markdown(
    f"{avllm.name}, blocked in all layers: the change of **audio fidelity on conflicting clips** (clips that show the same "
    "source count together).\n\n"
    + "\n".join(f"- {name}: {in_words(group)}" for group, name in names.items())
)

# %% [markdown]
# ## Other clips, the other question
#
# The same cuts where sound and picture agree, and where the question is about the picture. Blocking the sound should
# matter for what is heard, blocking the picture for what is seen; if sound and picture agree, each can stand in for the
# other.

# %% tags=["hide-input"]
columns = {
    "ordinary, hear": {"kind": "factual", "question": HEAR},
    "conflicting, see": {"kind": "counterfactual", "question": SEE},
    "ordinary, see": {"kind": "factual", "question": SEE},
}
without_sight = [
    f"what it {'sees' if modality == 'video' else 'hears'} in {clips} by "
    f"{verdict('video', kind, modality).effect.mean:+.2f} (control {verdict('video', kind, modality).control.mean:+.2f})"
    for clips, kind, modality in (
        ("conflicting clips", "counterfactual", "video"),
        ("ordinary ones", "factual", "audio"),
    )
    if (kind, modality) in scored
]
show.figure(
    plots.knockout.panels(
        changes,
        from_first,
        "blocked: the first … layers",
        columns,
        f"With the picture blocked in all layers, what {avllm.name} says changes: "
        f"{', '.join(without_sight) or 'not measured'}",
    ),
    "Change of fidelity (−1 to 1) by the blocked layers, cumulative from the first; "
    f"{show.counted(changes.groupby(['kind', 'modality'])['clip'].nunique())} in a panel, bands are 95 % intervals over clips.",
    alt="Change of fidelity against the blocked layers, for three pairs of clips and question.",
    data=by_cut(changes, "kind", "modality"),
)

# %% tags=["hide-input"]
cells = [("factual", "audio"), ("counterfactual", "video"), ("factual", "video")]


def of_other_question(blocked):
    """The share of answers to “what do you see” that tell what is heard, in all layers."""
    rows = table[(table["question"] == SEE) & (table["blocked"] == blocked)]
    rows = rows[rows["stop"].isin([0, n_layers])]
    return (
        rows["answer"].str.contains(r"\bhear\b|\bsound\b|\baudio\b", case=False).mean()
    )


lost, drawn = (
    of_other_question(name) for name in ("query", knockout.CONTROL + "video")
)
Markdown(
    f"{avllm.name}, the picture blocked in all layers:\n\n"
    + "\n".join(
        f"- {modality} fidelity, {plots.KINDS[kind]}: {in_words('video', kind, modality)}"
        for kind, modality in cells
    )
    + f"\n\nWithout the question, {lost:.0%} of the answers to “{SEE}” tell what is *heard* (with it, "
    f"{of_other_question(knockout.NOTHING):.0%}): they answer another question, and a fidelity of nothing is no blindness. Of "
    f"the controls, which draw positions of the question, too, {drawn:.0%} do."
)

# %% [markdown]
# ## Controls: something else instead of the picture
#
# A cut takes positions, and attention that then goes elsewhere. So as many positions of the picture as the sound has were
# cut, as many others as the picture has, and others that were given as much attention. And the picture was not cut but
# exchanged: for a black one, for the mean over clips, for that of another clip. None of these is “no picture”: black is a
# picture, too.

# %% tags=["hide-input"]
instead = study.table(
    "instead.measure", avllm, n_draws=n_draws, judge=judge, **conflict, **asked
)
rows = []
for name, some in instead.groupby("instead", sort=False):
    per_clip = some.groupby("clip")[["value", "shown"]].mean()
    names_picture = per_clip["shown"].dropna()
    rows.append(
        (
            "the clip as it is" if name == "nothing" else name,
            show.told(stats.interval(per_clip["value"].dropna(), seed)),
            show.told(stats.interval(names_picture, seed))
            if len(names_picture)
            else "–",
        )
    )
columns = ["instead", "fidelity of what is heard", "names what the picture shows"]
show.table(
    pd.DataFrame(rows, columns=columns),
    f"{avllm.name} on conflicting clips, asked what is heard: means with 95 % intervals over clips",
)

# %% tags=["hide-input"]
means = instead.groupby("instead")[["value", "shown"]].mean()
hears = instead.pivot_table(index="clip", columns="instead", values="value").dropna()
alike = datasets.sources(hears.index)
others = [name for name in hears if name.startswith("others")]
lines, told = [], "whether it is what the picture says was not measured"
if {"mean picture", "black picture"} <= {*hears}:
    own, black = (
        stats.difference(hears["mean picture"], hears[name], seed, clusters=alike)
        for name in ("nothing", "black picture")
    )
    told = (
        "it is what the picture says that drowns the sound, not that there is one"
        if own.low > 0 and black.low > 0
        else "that it is what the picture says is not seen"
    )
    lines.append(
        f"With the mean picture, the fidelity of {avllm.name} differs by {show.told(own, signed=True)} from that with the clip's "
        f"own, and by {show.told(black, signed=True)} from that with a black one: {told}"
        + ("; and black is not nothing." if black.low > 0 else ".")
    )
if others and sight.stands and sight.effect.mean > 0:
    short = stats.curve(
        -hears[others].sub(hears["video cut"], axis=0), seed, clusters=alike
    )
    least = short.loc[short["mean"].idxmin()]
    lines.append(
        "No cut of other positions brings as much of the sound back as that of the picture"
        if (short["low"] > 0).all()
        else "Some cut of other positions may bring as much of the sound back"
    )
    lines.append(
        f"(the nearest one {least['mean']:.2f} less, {least['low']:.2f} to {least['high']:.2f}; one band for all)."
    )
Markdown(" ".join(lines))

# %% [markdown]
# ## Does the first word matter?
#
# The same cut without the last prompt position, as in the published script: the first word may then look wherever it
# likes, and the words after it can read what it says.

# %% tags=["hide-input"]
without_last = study.table(
    "knockout",
    avllm,
    questions=[HEAR],
    spans=[whole],
    **conflict,
    **judged | {"source": "generated"},
)
cut_rows = {
    "last+generated": "last position and all words",
    "generated": "all words but the first",
}
rows = []
for rows_cut, (some, of) in {
    source: (changes, table),
    "generated": (knockout.change(without_last), without_last),
}.items():
    for blocked in ("video", "audio"):
        result = verdict(blocked, changes=some, table=of)
        rows.append(
            (
                cut_rows.get(rows_cut, rows_cut),
                names[blocked],
                *result.effect[:3],
                result.control.mean,
                result.effect.n,
            )
        )
columns = ["rows that are cut", "blocked", "change", "low", "high", "control", "n"]
with_first, without_first = (
    knockout.effect(some, "video", whole, kind="counterfactual", modality="audio")
    for some in (changes, knockout.change(without_last))
)
alone = stats.difference(
    without_first, with_first, seed, clusters=datasets.sources(with_first.index)
)
show.table(
    pd.DataFrame(rows, columns=columns),
    f"{avllm.name}: change of audio fidelity on conflicting clips, all layers, 95 % interval over clips. "
    + (
        "The first word matters"
        if alone.low > 0 or alone.high < 0
        else "That the first word matters is not seen"
    )
    + f": left free to look, it moves the change by {show.told(alone, signed=True)}",
)

# %% [markdown]
# ## Before the words change
#
# A caption changes only once another word wins. The probabilities move earlier: here of two fixed captions, the **right**
# one (what is heard) and the **distractor** (what is seen, said as if it were heard; of clips with captions alone, the
# caption of the sound that the picture came with). Dotted: the controls.

# %% tags=["hide-input"]
probabilities = study.table(
    "knockout.scores",
    avllm,
    spans=from_first,
    source=source,
    n_draws=n_draws,
    **conflict,
    **asked,
)
moved = knockout.change(probabilities)
captions = [name for name in ("right", "distractor") if name in {*moved["quantity"]}]
gained = {
    caption: knockout.effect(moved, "video", whole, quantity=caption)
    for caption in captions
}
show.figure(
    plots.knockout.words(
        moved,
        from_first,
        "blocked: the first … layers",
        f"With the picture blocked in all layers, {avllm.name} moves "
        + ", ".join(
            f"the {caption} caption by {value.mean():+.1f} nats"
            for caption, value in gained.items()
        ),
    ),
    "Change of the log-probability of two captions, in nats, conflicting clips, "
    f"{show.counted(len(value) for value in gained.values())}; bands are 95 % intervals over clips.",
    alt="Change of log-probability of the right caption and of the distractor, with picture or sound blocked.",
    data=by_cut(moved, "quantity"),
)

# %% tags=["hide-input"]
lines = []
for blocked in ("video", "audio"):
    for caption in captions:
        cut, control = (
            knockout.effect(moved, name, whole, quantity=caption)
            for name in (blocked, knockout.CONTROL + blocked)
        )
        text = stats.verdict(
            cut,
            control,
            seed,
            clusters=datasets.sources(cut.index),
            what="the change",
        ).text
        lines.append(f"- {names[blocked]} blocked, {caption} caption: {text}")
n_margins = moved.loc[moved["quantity"] == "distractor", "clip"].nunique()
if n_margins < moved["clip"].nunique():
    lines.append(
        f"- **Not measured** is the distractor of {moved['clip'].nunique() - n_margins} clips: it is not known which sound "
        "their picture came with (`replaced_captions` in a manifest)."
    )
Markdown(
    f"{avllm.name}, in all layers, change of log-probability in nats:\n\n"
    + "\n".join(lines)
)

# %% [markdown]
# ## Which way does it go?
#
# What the answer takes from the sound may come straight from the positions of the sound, or by way of the question, which
# has seen sound and picture too {cite}`suharitdamrong2026senses`. So every edge of the prompt is cut, one at a time. The
# margin is the log-probability of the right caption minus that of the distractor: below zero, the edge carried what
# favours the right one; above zero, what favours the distractor. Where no clip has a distractor, it is the right caption
# alone.

# %% tags=["hide-input"]
quarter = max(1, n_layers // 4)
apart = layers.windows(n_layers, quarter, stride=quarter)
edges = study.table(
    "knockout.flow", avllm, spans=[*apart, whole], n_draws=1, **conflict, **asked
)
carried = knockout.change(edges)
carried = carried[carried["quantity"] == ("margin" if n_margins else "right")]
show.figure(
    plots.knockout.flow(
        carried, apart, n_layers, datasets.sources(carried["clip"].unique())
    ),
    f"What cutting each edge of the prompt does to the answers of {avllm.name}, in nats, means over n = "
    f"{carried['clip'].nunique()} conflicting clips; arrows have the width of the change and the colour of their sender. What "
    "stands out is told by one 95 % band for all cells.",
    alt="Information-flow map: arrows between sound, picture, question and answer, and a heat map of edges by layers.",
    data=by_cut(carried),
)

# %% tags=["hide-input"]
has_control = carried["blocked"].str.startswith(knockout.CONTROL)
n_judged = len(carried[has_control].drop_duplicates(["blocked", "start", "stop"]))
Markdown(
    f"""Edges into the answer have a control, in which the answer loses as many positions drawn at random; grey ones do not
stand out from it. Dashed edges have none: a receiver inside the prompt sees only what precedes it, so that a draw of as
many positions would take less from it than the cut does. Their numbers are described, not judged. The edge from the
question to the answer is a gate rather than a carrier: without it the answer is about something else (above), in models
that hear as in models that do not.

The {n_judged} cells that are judged share one band (maximum statistic): of a model without such edges, 95 % of maps have no
dot."""
)

# %% [markdown]
# ## Noun from the eye, verb from the ear
#
# Some answers mix the two: of a helicopter that is seen and a cow that is heard, “I hear a helicopter mooing.” People do so
# when lips and voice disagree (the McGurk effect). An answer counts as a blend if one of its sentences names something
# that is only seen together with something that is heard. Its control is a sentence that names any two things: from the
# sound alone, and of ordinary clips. Where its two words come from, cuts can tell: of more clips, what a cut takes from the
# log-probability of either word.

# %% tags=["hide-input"]
blended = blend.blends(answers)
share = stats.interval(blended["value"])
mixed = {
    where: rows.drop_duplicates("clip").set_index("clip")["answer"].map(blend.mixes)
    for where, rows in (("both", answers), ("alone", unseen), ("ordinary", ordinary))
}
more = stats.difference(
    mixed["both"].astype(float),
    mixed["alone"].astype(float),
    clusters=datasets.sources(mixed["both"].index),
)
shipped = {
    name: organism_cards.answers(name).query(
        "kind == 'counterfactual' and question == @HEAR and inputs == 'both' and modality == 'audio'"
    )
    for name in organism_cards.TOYS
    if recipes.RECIPES[name].hears
}
of_shipped = "; ".join(
    f"{name} {blend.blends(rows)['value'].sum():.0f} of {len(rows)}"
    for name, rows in shipped.items()
)
examples_told = blended.loc[blended["value"] == 1, "answer"].drop_duplicates().head(5)
Markdown(
    f"{avllm.name} blends {blended['value'].sum():.0f} of {len(blended)} conflicting clips: {show.told(share)}. "
    + " ".join(f"“{text}”" for text in examples_told)
    + f"\n\nControl: {mixed['both'].sum()} of these {len(mixed['both'])} answers name two things in one sentence, of the same sounds "
    f"alone {mixed['alone'].sum()}, of {len(mixed['ordinary'])} ordinary clips {mixed['ordinary'].sum()}. The difference "
    f"to the sound alone is {show.told(more, signed=True)}: "
    + (
        "it is picture and sound together that mix the words."
        if more.low > 0
        else "whether it takes picture and sound together, so few sources cannot tell."
    )
    + f"\n\nThe organisms that ship blend, among their test clips: {of_shipped}."
)

# %% tags=["hide-input"]
n_more = 3 * n if dataset == "toybox" else n  # few answers are a blend
words = study.table(
    "blend.words",
    avllm,
    source=source,
    **conflict,
    **asked | {"n": n_more, "each": None},
)
origin = blend.origin(words)
of_these = f"{origin.n} of {words['clip'].nunique()} conflicting clips{' of a larger draw' if n_more > n else ''} are answered with a blend"
Markdown(
    f"{of_these}: too few to tell where its words come from."
    if origin.apart is None
    else f"{of_these}. In nats of its log-probability, cutting off the picture rather than the sound changes the word of what is "
    f"seen by {show.told(origin.apart[blend.SEEN], signed=True)}; cutting off the sound rather than the picture, the word of what "
    f"is heard by {show.told(origin.apart[blend.HEARD], signed=True)}. {origin.text}"
)

# %% tags=["hide-input"]
show.table(
    pd.DataFrame(
        [
            (
                word,
                names[cut],
                *(
                    show.told(origin.changes[word, one], signed=True)
                    for one in (cut, knockout.CONTROL + cut)
                ),
            )
            for word in (blend.SEEN, blend.HEARD)
            for cut in ("video", "audio")
        ],
        columns=["log-probability of", "cut off", "change (nats)", "control"],
    ),
    f"What becomes of the two words of a blend in {avllm.name}: cuts in all layers, and as many positions at random",
) if origin.apart else None

# %% [markdown]
# ## Look away yourself
#
# A few clips, and spans of layers from anywhere to anywhere. *Before you move the sliders: from which layer on is it too late to look away? And
# what will it say if it may not read the question?*

# %% tags=["hide-input"]
from itertools import combinations

from avnb.judge.words import mentioned
from avnb.show import explore

plain = [
    c
    for c in examples
    if c.kind == "counterfactual" and len(c.seen) == len(c.heard) == 1
][:4]
every = list(combinations([*range(0, n_layers, step), n_layers], 2))
every_cut = {"spans": every, "blocked": ["video", "audio", "query"], "source": source}
said = knockout.sweep(avllm, plain, [HEAR], n_draws=1, **every_cut)
said = said[said["blocked"].isin(["nothing", *every_cut["blocked"], "control: video"])]
scored_cuts = knockout.scores(avllm, plain, HEAR, n_draws=1, **every_cut)
explore.look_away(
    plain, said.assign(named=said["answer"].map(mentioned)), scored_cuts
) if plain else Markdown("No clip here has one known thing seen and another heard.")

# %% [markdown]
# ## Answers before and after
#
# Conflicting clips whose answer gains or loses most when the picture is blocked in all layers. They are picked by their
# change, so they show what it looks like, not how often it happens.

# %% tags=["hide-input"]
pairs = knockout.recovered(hear, "video", whole)
heard = answers.drop_duplicates("clip").set_index("clip")
heard = (heard["matched"].map(list) + heard["missed"].map(list)).map(", ".join)
pairs.insert(0, "heard", pairs["clip"].map(heard))
show.table(
    pairs[["heard", "before", "after", "change"]],
    f"{avllm.name}, “{HEAR}”: the answer, and the answer without the picture (the largest changes of {hear['clip'].nunique()} "
    "clips)",
)

# %% [markdown]
# ## Paper and here
#
# {cite}`selvakumar2026avllm` report a sweep of Qwen2.5-Omni-3B whose spans are not stated; their script blocks, by default,
# from the first layer up to some layer. Their last point is layer 30 of 36; beside it stands the span that ends at about
# the same depth.

# %% tags=["hide-input"]
last = paper.knockout_curves()["depth"].max()
span = min(from_first, key=lambda s: abs(s[1] / n_layers - last))
here = {}
for kind, modality, blocked in (
    ("counterfactual", "audio", "video"),
    ("counterfactual", "audio", "audio"),
    ("counterfactual", "video", "video"),
    ("factual", "audio", "video"),
    ("factual", "video", "video"),
):
    if (kind, modality) not in scored:
        continue
    name = f"{kind} {modality} fidelity, {blocked} blocked - baseline"
    found = knockout.effect(changes, blocked, span, kind=kind, modality=modality)
    here[name] = stats.interval(
        found, seed, signed=True, clusters=datasets.sources(found.index)
    )
back = "counterfactual audio fidelity, video blocked - baseline"
show.figure(
    plots.knockout.published(
        changes,
        from_first,
        f"Without the picture, fidelity of what is heard in conflicting clips changes by {here[back].mean:+.2f} in {avllm.name}, "
        f"by {paper.quantities()[back].value:+.2f} in {paper.MODEL}",
    ),
    f"Change of fidelity (−1 to 1) by relative depth: the published curves (squares, read off a plot, without n or intervals) and "
    f"those of {avllm.name} (dots), {show.counted(changes.groupby(['kind', 'modality'])['clip'].nunique())} in a panel; bands "
    f"are 95 % intervals over clips. In the title layers {span[0]} to {span[1] - 1} of {n_layers}, "
    f"{show.told(here[back], signed=True)}, and the study's last point.",
    alt="Published curves and those measured here, for both kinds of clips and both modalities.",
    data=by_cut(changes, "kind", "modality"),
)

# %% tags=["hide-input"]
show.table(
    paper.compare(here),
    f"Qwen2.5-Omni-3B in the study, and {avllm.name} here (layers {span[0]} to {span[1] - 1} of {n_layers})",
)

# %% [markdown]
# ## What this shows

# %% tags=["hide-input"]
lines = [
    f"- {name[0].upper()}{name[1:]} out of reach: {in_words(group)}"
    for group, name in names.items()
    if group != "query"
]
lines.append(f"- Something else in its place: {told}.")
if origin.apart:
    lines.append(f"- Answers that blend both (n = {origin.n}): {origin.text}")
Markdown(
    f"Conflicting clips, of which {avllm.name} is asked what it hears, and all layers:\n\n"
    + "\n".join(lines)
)

# %% tags=["hide-input"]
segments = avllm.prompt(clip, HEAR).segments
shares = {
    name: len(segments.positions(name)) / len(segments) for name in ("video", "audio")
}
Markdown(
    f"Of a prompt like these, the picture is {shares['video']:.0%} and the sound {shares['audio']:.0%} of all positions."
)

# %% [markdown]
# ## What this does not show
#
# - **Blocked is not absent.** The rows that are cut still read positions which have seen the picture: the question, the
#   template, the sound itself. What is left after a cut may have come that way; the flow map looks at one edge at a time, and
#   two edges that carry the same hide each other. What the picture writes over the sound, {doc}`04_logit_lens` reads, and
#   finds idle.
# - Removed attention goes to other keys, so that a cut also *adds* weight elsewhere. The controls say what that alone may
#   do, as far as they go: a random draw as large as the picture holds the same share of every group, of the one that is
#   tested too. Where one modality fills nearly the whole prompt, its control is nearly a knockout of everything, and the
#   other modality is the better comparison.
# - A caption that becomes right need not be understood: with less to go by, a model may fall back on a frequent sound.
# - The study's curves were read off plots, about 0.01 either way, and hold for Qwen2.5-Omni-3B on clips of its own; with any
#   other `model`, that one is **not measured here**.
#
# ## Try it yourself
#
# **Task.** Find the smallest span of layers in which the picture has to be blocked before the clip above is heard. Needs
# Python: open this page on Colab or on your machine.
#
# <details><summary>What to expect</summary>
#
# In `toy-omni` one layer is enough, any one from layer 3 on. Of the first three none is enough by itself, and layers 1 and 2
# together are.
#
# </details>

# %% tags=["skip-execution"]
from ipywidgets import IntRangeSlider, interact

prompt = avllm.prompt(clip, HEAR)


@interact(
    blocked=["video", "audio", "video+audio", "query"],
    layers=IntRangeSlider(value=(0, n_layers), min=0, max=n_layers),
)
def say(blocked, layers):
    """The answer with a group blocked from the first number of layers up to, not including, the second."""
    if layers[0] == layers[1]:
        return "choose at least one layer"
    cut = Condition.block(source, blocked, layers=range(*layers))
    return avnb.run(avllm, prompt, [cut])[0].text


# %% tags=["remove-input"]
show.provenance(
    model=model,
    dataset=dataset,
    n=n,
    seed=seed,
    source=source,
    n_draws=n_draws,
    judge=judge,
)
