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
# # 10. Do the benchmarks ask the question?
#
# **A question that the picture alone answers does not ask whether a model hears; only where sound and picture disagree
# do a model that listens and one that looks give different answers.**

# %% tags=["parameters", "hide-input"]
model = "toy-omni"
against = "toy-omni-balanced"  # a model to tell it from; None for none
benchmark = "toybox"  # or NAME:FOLDER, with your copy of avhbench, cmm, worldsense, dave or daily-omni
n = 400  # clips that are drawn, half of them conflicting; of a set of yours, how many are asked about
each = 100  # of each kind, so many are asked about; of a set of yours, all
seed = 77
suffix = None  # added to every question; None is the set's own
out = None  # folder for tables; None is the cache folder

# %% tags=["hide-input"]
import pandas as pd
from avnb import benchmarks, datasets, plots, show, stats, study
from avnb.analyses import questions
from avnb.benchmarks import rules, traps
from avnb.models import title_of
from IPython.display import Markdown

plots.style()
drawn = benchmark == "toybox"
# Of the drawn set, the clip that is shown is not among those that are counted.
clips = benchmarks.load(benchmark, n=min(n, 24) if drawn else n, seed=seed + drawn)
keep = {"dataset": benchmark, "seed": seed, "out": out, "suffix": suffix}
name = title_of(model)


def answered(model, **options):
    """What a model answers: the table that comes with the package, else measured or read."""
    if drawn:
        return study.table("questions", model, n=n, each=each, **keep, **options)
    return study.measure("questions", model, clips, **keep, **options)


table = answered(model)
asked = questions.asked(table)
held = benchmarks.counts(asked)
right = questions.accuracy(table)
margin = right[right["rule"] == questions.MARGIN]
kept = questions.without(table)
sound = kept[kept["taken"] == "sound"]
needless = sound[sound["low"] > sound["chance"]]

# A second model is asked the same questions with both modalities.
compared = [table[table["inputs"] == "both"]]
if against:
    compared.append(answered(against, inputs=["both"]))
compared = pd.concat(compared, ignore_index=True)
compared = compared[
    compared["task"].ne(benchmarks.toybox.SEEN) & compared["conflict"].notna()
]
compared["sound"] = compared["conflict"].map({True: "foreign", False: "own"})
gaps = {}
for kind, some in compared.groupby("sound", sort=False):
    wide = some.assign(right=(some["value"] > 0).astype(float)).pivot(
        index=["cluster", "clip", "item"], columns="model", values="right"
    )
    if against in wide:
        wide = wide.dropna()
        sources = datasets.sources(wide.index.get_level_values("clip"))
        gaps[kind] = stats.clustered(
            wide[against] - wide[table["model"].iloc[0]],
            wide.index.get_level_values("cluster") if sources is None else sources,
        )
sounds = {"own": "ordinary clips", "foreign": "conflicting clips"}


def points(share):
    """A difference of shares in words: "50 points higher"."""
    return f"{abs(100 * share):.0f} points {'higher' if share >= 0 else 'lower'}"


clip = next((clip for clip in clips if clip.conflict), clips[0])
show.in_short(
    f"{name} answers {len(needless)} of {len(sound)} types of question about a clip's sound without the sound"
    + (
        f"; of the questions about conflicting clips, the share that {against} answers is {points(gaps['foreign'].mean)}, and of "
        f"those about ordinary ones {points(gaps['own'].mean)}."
        if {"own", "foreign"} <= {*gaps}
        else "."
    )
    if len(sound)
    else f"No type of question asks {name} about the sound.",
    {
        f"{against} − {name}, share of questions answered, {sounds[kind]}": show.told(
            gap, signed=True, of=f"{against} - {name}: questions answered, {kind}"
        )
        for kind, gap in gaps.items()
    },
    ""
    if "foreign" not in gaps
    else "only conflict tells the two apart"
    if gaps["foreign"].low > 0 and not gaps.get("own", gaps["foreign"]).low > 0
    else "conflict does not tell them apart alone",
    clip=show.player(
        clip,
        width=240,
        caption=f"{show.about(clip)}. Asked: “{clip.questions[0].text}”",
    )
    if clip.video
    else None,
)

# %% [markdown]
# Benchmarks of audio-visual models are sets of questions with a closed set of answers: is a thing heard, which of four
# sounds is it, what is done while it sounds? Their score is read as hearing *and* seeing. This chapter asks every question
# again with the sound, the picture, or both taken away, and counts how often sound and picture disagree at all. Two
# organisms of which it is known who listens ({doc}`chapter 8 <08_origin_of_the_bias>`) then show which questions notice.
#
# ## One clip, and what is asked about it
#
# The first conflicting clip of another small draw of the set, not among those that are counted. The organisms say captions, not yes or no and no letters. So the toybox asks each
# type of question in their words: an option is the caption that it would be the answer of.

# %% tags=["hide-input"]
show.table(
    pd.DataFrame(
        [
            (
                q.task,
                q.text,
                "; ".join(map(": ".join, zip(q.options, q.said, strict=True))),
                q.answer,
            )
            for q in clip.questions
        ],
        columns=["task", "question", "options", "right"],
    ),
    "Every question about the clip above",
)

# %% [markdown]
# The published sets that ask in these ways: *is it heard?* is AVHBench's video-driven audio hallucination and CMM's visual
# dominance, *is it seen?* their counterparts for the picture, *do they match?* AVHBench's matching, *which is heard?* the
# form of WorldSense and Daily-Omni, and *which with which?* that of DAVE, where one modality says which options exist and
# the other which of them is meant.
#
# ## What gives answers away, before any model is asked
#
# `avnb.benchmarks.traps.told` finds questions that are asked twice, with both answers even, nouns for which one answer
# is usually right, "no" as the safe answer about sounds that are not the picture's, and video files that hold no sound, so that a harness which
# reads it from there gives the model none.

# %% tags=["hide-input"]
show.table(
    held.assign(
        conflict=held["conflict"]
        .map("{:.0%}".format, na_action="ignore")
        .fillna("not told")
    ),
    "What the set holds",
)

# %% tags=["hide-input"]
found = traps.told(asked, media=False) if drawn else traps.told(clips)
show.table(
    found,
    "Traps, with 95 % intervals clustered by video; chance is the share where the trap is not set",
)

# %% [markdown]
# Each question is left out of its own prior, so that of nouns which are asked as often with either answer *fewer* than half
# are right by text alone. On the toybox the text is the same whichever the answer, so that it tells nothing. The published AVHBench, counted
# with the same call: of its 5,302 questions 7 are asked twice, 2 of them with both answers; the noun alone is right for
# 70 % of the 2,290 questions about sound and 59 % of the 1,136 about the picture, where guessing is right for 50 %; and of
# the 722 questions about clips whose sound does not match, "no" is right for 98 %.
#
# ## Measure
#
# With $O$ the options and $r$ the right one, the **margin** $\log p(r) - \max_{o \in O \setminus r} \log p(o)$ is positive
# where the model prefers the right answer. It needs no parser. Each question is asked of the text alone, the picture, the
# sound, the picture with a silent track, and both.

# %%
table = answered(model)
right = questions.accuracy(table)
kept = questions.without(table)

# %% tags=["hide-input"]
show.figure(
    plots.benchmarks.answered(
        margin,
        f"{name} answers {len(needless)} of {len(sound)} types of question about the sound without it"
        if len(sound)
        else "What is answered",
    ),
    f"For each type of question, the share that {name} answers, {show.counted(margin['n'], 'questions')}: from both, from the picture (blue) or the sound (orange) alone, "
    "and from the text; lines are 95 % intervals clustered by video, dotted is chance.",
    data=margin,
)

# %% [markdown]
# ## How much is answered with a modality taken away
#
# *Kept* is the accuracy above chance that is left, as a share of what both modalities together give: 1 if what was taken is
# not needed, 0 if nothing is answered without it, below 0 if what is left misleads.

# %% tags=["hide-output"]
show.table(
    kept,
    "Accuracy with both, with what is left, and the share above chance that is kept",
)

# %% tags=["hide-input"]
lines = [
    f"*{row.task}* (n = {row.n}, {row.videos} videos): without the sound **{row.left:.0%}** ({row.low:.0%} to "
    f"{row.high:.0%}) instead of {row.both:.0%} are answered, by chance {row.chance:.0%}: "
    + (
        "**it is answered without the sound**"
        if row.low > row.chance
        else "without the sound it is answered worse than by chance"
        if row.high < row.chance
        else "without the sound it cannot be told from chance"
    )
    + (
        ", nor can it with both."
        if row.kept != row.kept and row.low <= row.chance <= row.high
        else "."
        if row.kept != row.kept
        else f"; kept {row.kept:.2f} ({row.kept_low:.2f} to {row.kept_high:.2f})."
        if row.kept_low == row.kept_low
        else f"; kept {row.kept:.2f}, of which too few clips give an interval."
    )
    for row in sound.itertuples()
]
Markdown("\n".join(f"- {line}" for line in lines))

# %% [markdown]
# ## How often sound and picture conflict at all
#
# Where a set says that a clip's sound is another one's, this is counted (*told*). It can also be asked of the model: does
# it prefer another option from the picture alone than from the sound alone (*measured*)? Only there can be seen which of the
# two it follows.

# %% tags=["hide-output"]
odds = questions.conflicts(table)
show.table(odds, "Conflicts, and what is followed, with 95 % intervals")

# %% tags=["hide-input"]
whole = questions.conflicts(table, by=["source"]).set_index("quantity")
text = [
    f"Picture and sound prefer different options in **{whole.loc['measured', 'mean']:.0%}** "
    f"({whole.loc['measured', 'low']:.0%} to {whole.loc['measured', 'high']:.0%}) of {whole.loc['measured', 'n']} questions."
    if "measured" in whole.index
    else "No question could be asked of both modalities apart.",
    f"The set itself says so of {whole.loc['told', 'mean']:.0%}."
    if "told" in whole.index
    else "The set does not say which clips are in conflict.",
]
if "picture followed" in whole.index:
    picture, heard = (whole.loc[f"{name} followed"] for name in ("picture", "sound"))
    side = (
        "**the picture decides**"
        if picture["low"] > heard["high"]
        else "**the sound decides**"
        if heard["low"] > picture["high"]
        else "neither clearly decides"
    )
    text.append(
        f"In those {side}: it is followed in {picture['mean']:.0%} ({picture['low']:.0%} to {picture['high']:.0%}), the sound "
        f"in {heard['mean']:.0%} ({heard['low']:.0%} to {heard['high']:.0%}; n = {picture['n']:.0f})."
    )
Markdown(" ".join(text))

# %% [markdown]
# ## Would the set tell who listens?
#
# A second model is asked the same questions with both modalities. On clips without conflict a model that only looks can be
# as good as one that listens; the more conflict a set holds, the further they are apart.

# %% tags=["hide-input"]
by_sound = questions.accuracy(compared, by=["model", "sound"])
by_sound = by_sound[by_sound["rule"] == questions.MARGIN]
show.table(
    by_sound.replace({"sound": sounds}),
    "Share of questions answered, without those about the picture alone; 95 % intervals clustered by video",
) if len(by_sound) else Markdown("The set does not say which clips are in conflict.")

# %% tags=["hide-input"]
foreign = compared.drop_duplicates(["clip", "item"])["sound"].eq("foreign").mean()
show.figure(
    plots.benchmarks.apart(
        by_sound,
        {"this set": foreign},
        f"{against} against {name}: "
        + ", ".join(
            f"{points(gap.mean)} on {sounds[kind]}" for kind, gap in gaps.items()
        ),
    ),
    f"Share of questions answered in sets with any share of conflicting clips, drawn between the two measured ends, where "
    f"{against} differs from {name} by (with 95 % intervals) "
    f"{', '.join(f'{show.told(gap, signed=True)} ({sounds[kind]})' for kind, gap in gaps.items())}; dotted, the share in this set "
    f"({foreign:.0%}).",
    data=by_sound,
) if set(gaps) == {"own", "foreign"} else Markdown(
    "This set does not tell both kinds of clips apart, so nothing is drawn."
)

# %% tags=["hide-input"]
Markdown(
    "\n".join(
        f"- {sounds[kind].capitalize()}: the share that {against} answers is **{points(gap.mean)}** than that of {name} "
        f"({100 * gap.low:+.0f} to {100 * gap.high:+.0f} points, n = {gap.n} questions): "
        + (
            "these questions tell them apart."
            if gap.low > 0
            else "here it is the worse one."
            if gap.high < 0
            else "**they do not tell them apart**."
        )
        for kind, gap in gaps.items()
    )
    or "No second model was measured."
)

# %% [markdown]
# ## The same answers, several numbers
#
# Published scorers read the words of the answer, each in its own way. Beside the margin, those of this set:

# %% tags=["hide-output"]
show.table(
    right[right["inputs"] == "both"],
    "Accuracy by the margin and by every rule, from both modalities",
)

# %% tags=["hide-input"]
leaning = questions.leaning(table)
show.table(
    leaning[leaning["inputs"] == "both"],
    "Of yes-or-no questions: how often yes is preferred, and accuracy where yes (CMM: perception accuracy) and where no "
    "(hallucination resistance) is right; on the toybox “yes” is the caption that stands for it, not the word",
)

# %% [markdown]
# The organisms' captions are scored by their words (`rules.words`), since the published rules find neither yes nor letter in
# them. What those make of answers that larger models give, right being "no" or "B":

# %% tags=["hide-input"]
binary = ["No.", "I know it is.", "No, yes, it is.", "It is not heard."]
letters = ["B", "b.", "Answer: B", "(B)", "It is (C), not (B)", "no idea"]
scored = [
    (said, name, rule(said, ("yes", "no"), ("Yes", "No"), "no"))
    for said in binary
    for name, rule in {"AVCD": rules.avcd, "MAD": rules.mad, "CMM": rules.cmm}.items()
]
scored += [
    (said, name, rule(said, tuple("ABCD"), tuple("ABCD"), "B"))
    for said in letters
    for key in ("worldsense", "dave", "daily-omni")
    for name, rule in benchmarks.rules_of(key).items()
]
spread = pd.DataFrame(scored, columns=["answer", "rule", "right"])
spread = spread.pivot(index="answer", columns="rule", values="right").loc[
    binary + letters
]
show.table(
    spread.map({True: "right", False: "wrong"}.get, na_action="ignore")
    .fillna("")
    .reset_index(),
    "Answers that were written for this table, by every rule",
)

# %% [markdown]
# ## What this shows

# %% tags=["hide-input"]
lines = [
    f"{name} answers {len(needless)} of {len(sound)} types of question about the sound without it: "
    f"{', '.join(f'“{task}”' for task in needless['task']) or 'none'}."
]
lines += [
    f"Questions about {sounds[kind]} {'tell' if gap.low > 0 else 'do not tell'} {against} from {name} "
    f"({show.told(gap, signed=True)} questions)."
    for kind, gap in gaps.items()
]
Markdown("\n".join(f"- {line}" for line in lines))

# %% [markdown]
# ## What this does not show
#
# - On the toybox the questions are imitations of a form, in the words of a drawn world. How much of a *published* set is
#   answered without sound follows from that set's own clips: `benchmark="avhbench:/data/AVHBench"`. **Not measured here**: the
#   sets are not shipped, and neither are models that could answer them.
# - Taken away is not masked: a prompt without the picture is shorter, and a model may never have met one. For the sound, the
#   silent track is the control; for the picture there is none here.
# - A margin compares the texts of the options. Where they differ in length or commonness, the text alone prefers one: that
#   is the row *text alone*.
# - *Kept* says what this model answers without the sound, not what anyone could.
# - Shares of one model are of this set: its intervals are over videos. What tells two models apart should hold for other
#   sources as well; there, questions about clips that show the same source are resampled together.
#
# ## Try it yourself
#
# **Task.** Find a question that is answered right from the picture alone and wrong from both. What does that say about the
# sound? Needs Python: open this page on Colab or on your machine.
#
# <details><summary>What to expect</summary>
#
# There are few. More often it is the other way round: right from the sound alone, wrong from both, in conflicting clips.
# The sound was heard, and the picture outvoted it.
#
# </details>

# %% tags=["skip-execution"]
from ipywidgets import interact


@interact(
    item=[
        (f"{number}: {row.question}", row.item)
        for number, row in enumerate(table.drop_duplicates("item").itertuples(), 1)
    ]
)
def ask(item):
    """What is preferred with each of the inputs, and by how much."""
    rows = table[table["item"] == item]
    return show.table(
        rows[["inputs", "chosen", "right", "value", "answer"]],
        "One question, with each of the inputs",
    )


# %% tags=["remove-input"]
show.provenance(
    model=model, against=against, benchmark=benchmark, n=n, each=each, seed=seed
)
