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
# # 0. One clip, two sounds
#
# **Give a model the same picture with another sound, and its answers tell whether it listened or only looked.**

# %% tags=["parameters", "hide-input"]
model = "toy-omni"  # or a model of your own: a folder, or an id on the Hugging Face Hub
dataset = "toybox"
n = 400  # clips to count over, half of them conflicting
seed = 77
out = None  # folder for the table and the clips that are made here; None is the cache folder

# %% tags=["hide-input"]
from pathlib import Path

import avnb
import pandas as pd
from avnb import curate, datasets, fidelity, show, stats, study
from avnb import judge as judges
from avnb.questions import HEAR, QUESTIONS, SEE
from IPython.display import Markdown

avllm = avnb.load(model)
# Shown are other clips than those that are counted, drawn with another seed.
examples = [
    clip
    for clip in datasets.load(dataset, n=24, seed=seed + 1, fewer=True)
    if clip.kind == "factual"
]
folder = Path(out or datasets.cache_folder() / "quickstart" / datasets.toybox_version())
swapped = curate.counterfactual(examples, folder / f"{Path(dataset).stem}-{seed}")
twin, answer = fidelity.example(avllm, swapped)
clip = next(one for one in examples if twin.id.startswith(f"{one.id}+"))

table = study.table(
    "fidelity",
    avllm,
    dataset=dataset,
    n=n,
    seed=seed,
    out=out,
    judge=judges.suited(examples),
    questions=[HEAR],
    inputs=["both"],
)
kinds = {"factual": "its own sound", "counterfactual": "another sound"}
heard = {kind: fidelity.by_clip(table, kind) for kind in kinds}
heard = {kind: values for kind, values in heard.items() if len(values)}
found = {kind: stats.interval(values) for kind, values in heard.items()}
# Answers that name something that is only to be seen, as if it sounded.
fooled = fidelity.confusions(table).query(
    "question == @HEAR and inputs == 'both' and kind == 'counterfactual'"
)
looks = stats.interval(fooled["value"]) if len(fooled) else None
conflict = found.get("counterfactual")
show.in_short(
    f"With another sound, what {avllm.name} says it hears scores {conflict.mean:.2f} of 1"
    + (
        f", against {found['factual'].mean:.2f} with the clip's own sound"
        if "factual" in found
        else ""
    )
    + (
        f"; {looks.mean:.0%} of its answers name something that is only to be seen."
        if looks
        else "."
    )
    if conflict
    else f"The sources of these clips are not known, so the answers of {avllm.name} are shown and not counted.",
    {
        f"fidelity of what is heard (0 to 1), {kinds[kind]}": show.told(
            one, of=f"{avllm.name}: audio fidelity, {kind}"
        )
        for kind, one in found.items()
    }
    | (
        {
            "names what is only seen, another sound (share of clips)": show.told(
                looks, of=f"{avllm.name}: names as heard what is only seen"
            )
        }
        if looks
        else {}
    ),
    ""
    if not (conflict and looks)
    else "asked what it hears, it mostly tells what it sees"
    if looks.mean > 0.5 and conflict.high < 0.5
    else "asked what it hears, it mostly tells what it hears"
    if conflict.low > 0.5
    else "asked what it hears, it tells now the one, now the other",
    clip=show.player(twin, width=240, caption=show.said(twin, avllm.name, answer)),
)

# %% [markdown]
# This chapter takes one clip, asks a small audio-visual language model about it, changes nothing but the sound, and asks
# again. It needs no graphics card and runs in half a minute. The model, `toy-omni`, is a *model organism*: 3 million
# parameters, raised for this book on a drawn world ({doc}`toybox_world`), first on pictures, then on clips with sound, as
# large models are.
#
# ## Watch it, hear it
#
# Left, the clip as it was recorded. Right, the same picture, packet by packet, with the sound of the clip whose caption
# is least like this one; {doc}`chapter 1 <01_data_curation>` shows how that one is chosen. It is not a hand-picked
# example, and not among the clips that are counted: of twelve others it is the first about which the model, asked what it
# hears, names something that is only to be seen, and nothing that sounds.

# %% tags=["hide-input"]
show.player(
    [clip, twin],
    caption=["as recorded", f"the same picture; heard: {show.heard(twin)}"],
)

# %% [markdown]
# ## What the model says
#
# Three questions, each answered greedily, that is, always with the most probable next word.

# %%
answers = {
    "question": QUESTIONS,
    "its own sound": [avllm.caption(clip, question) for question in QUESTIONS],
    "another sound": [avllm.caption(twin, question) for question in QUESTIONS],
}
show.table(pd.DataFrame(answers), f"What {avllm.name} says: one picture, two sounds")

# %% tags=["hide-input"]
same = {q: avllm.caption(clip, q) == avllm.caption(twin, q) for q in (SEE, HEAR)}
Markdown(
    "The answer to *“Describe what you see.”* should not change between the two columns: it "
    f"{'does not' if same[SEE] else 'does'}. The answer to *“Describe what you hear.”* should: it "
    f"{'does not' if same[HEAR] else 'does'}"
    + ("." if same[HEAR] else ", but a changed answer need not be a right one.")
)

# %% [markdown]
# ## More than one clip
#
# One clip is an anecdote. Below are the answers to *“Describe what you hear.”* about many test clips, half of them with
# the sound of another. Their *fidelity* is the number of events that are named and there, divided by all that are named or
# there ({doc}`chapter 2 <02_caption_fidelity>`): 1 is perfect. Chapters 2 to 7, 10 and 11 measure on clips of this
# set too, so that the same question has the same number on every page.

# %% tags=["hide-input"]
columns = ["clips", "n", "fidelity of what is heard", "95 % interval", "names all", "names none"]  # fmt: skip
rows = [
    (
        kinds[kind],
        one.n,
        show.marked(f"{one.mean:.2f}", one, f"{avllm.name}: audio fidelity, {kind}"),
        f"{one.low:.2f} to {one.high:.2f}",
        f"{(heard[kind] == 1).mean():.0%}",
        f"{(heard[kind] == 0).mean():.0%}",
    )
    for kind, one in found.items()
]
show.table(
    pd.DataFrame(rows, columns=columns, dtype=object),
    f"“Describe what you hear.”, asked of {avllm.name}; names all: all that sounds, and nothing else",
)

# %% tags=["hide-input"]
Markdown(
    f"Of {looks.n} clips that show something silent, the answer names it as a sound in **{looks.mean:.0%}** "
    f"({looks.low:.0%} to {looks.high:.0%})."
    if looks
    else "What is only seen in these clips is not known."
)

# %% [markdown]
# ## Swap the sound
#
# Six pictures, six sounds, and three models: `toy-omni`, the same raised without pictures first, and the same with half of
# its clips in conflict. *Before you try: on how many of the thirty swapped pairs will `toy-omni` name what is heard, and
# will it be the same sounds that the others miss?*

# %% tags=["hide-input"]
from avnb.organisms import crossed
from avnb.show import explore

grid = crossed.sources(c for c in datasets.load("toybox", n=24) if c.kind == "factual")
said = crossed.ask(
    ["toy-omni", "toy-omni-scratch", "toy-omni-balanced"],
    grid,
    datasets.cache_folder() / "crossed" / datasets.toybox_version(),
)
explore.swap_the_sound(grid, said)

# %% [markdown]
# ## The question of the book
#
# If an answer follows the picture where it should follow the sound, there are two explanations. Perhaps the model does
# not *hear*: the sound is lost on its way through the layers. Or it hears, and does not *say* so: what was heard is
# there, and vision wins. {cite}`selvakumar2026avllm` argue for the second. Answers alone cannot tell the two apart; that
# takes a look inside. **Do audio-visual language models really see and hear?**
#
# ## What this shows
#
# - A change of the sound alone can leave the answer about the sound as it was. A test of ordinary clips alone does not
#   notice.
#
# ## What this does not show
#
# - The model here is a small organism in a drawn world. To measure a large one, put it into the parameter `model`.
# - A score of 0 says that nothing was named rightly, not why. Chapter 2 sets it beside what a guess would get, and asks
#   about the sound alone.
#
# ## Try it yourself
#
# **Task.** Ask about the clip with the swapped sound once more, without its picture. Before you run the cell: will the
# model name the sound? The cell has run once here; for a clip of your own, open this page on Colab or install the package
# (without Python running behind it, the page can only be read).

# %%
my_clip = twin  # for instance avnb.Clip("mine", "holiday.mp4")
avllm.caption(my_clip, HEAR, modalities=("audio",))

# %% [markdown]
# <details><summary>What to expect, and why</summary>
#
# With its eyes closed, `toy-omni` names the sound of most clips: it can hear. So what is missing above is not hearing but
# saying. {doc}`02_caption_fidelity` counts this over many clips, and the chapters after it look for the sound inside.
#
# </details>

# %% tags=["remove-input"]
show.provenance(model=model, dataset=dataset, n=n, seed=seed)
