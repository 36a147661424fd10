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
n = 12  # clips to count over
seed = 0
out = None  # folder for the clips that are made here; None is the cache folder

# %% tags=["hide-input"]
from pathlib import Path

import avnb
import pandas as pd
from avnb import curate, datasets, show, stats
from avnb.judge.words import mentioned
from avnb.questions import HEAR, QUESTIONS, SEE
from IPython.display import Markdown

avllm = avnb.load(model)
clips = [
    clip
    for clip in datasets.load(dataset, n=2 * n, seed=seed)
    if clip.kind == "factual"
]
folder = Path(out or datasets.cache_folder() / "quickstart" / datasets.toybox_version())
swapped = curate.counterfactual(clips, folder / f"{Path(dataset).stem}-{seed}")
said = {clip.id: avllm.caption(clip, HEAR) for clip in clips + swapped}


def counted(clip):
    """Whether the answer names all that is heard, and whether something that is seen but silent."""
    named = set(mentioned(said[clip.id]))
    return {
        "sound": "its own" if clip.kind == "factual" else "another",
        "heard": float(set(clip.heard) <= named),
        "seen": float(bool(named & set(clip.seen) - set(clip.heard))),
    }


known = {clip.id: counted(clip) for clip in clips + swapped if clip.heard}
count = pd.DataFrame(known.values(), columns=["sound", "heard", "seen"])
another = count[count["sound"] == "another"]
# The opening clip, by a rule: the first one about whose swapped sound the model tells what is only seen.
fooled = [one for one in swapped if known.get(one.id, {"seen": 0})["seen"]]
twin = (fooled or swapped)[0]
clip = next(one for one in clips if twin.id.startswith(f"{one.id}+"))

looks = another["seen"].sum() > another["heard"].sum()
show.in_short(
    f"With another sound, {avllm.name} names what sounds in {another['heard'].sum():.0f} of {len(another)} clips, and "
    f"something that is only to be seen in {another['seen'].sum():.0f}."
    if len(another)
    else f"The sources of these clips are not known, so the answers of {avllm.name} are shown and not counted.",
    {
        f"names all that sounds, {sound} sound (share of clips)": stats.interval(
            count.loc[count["sound"] == sound, "heard"], seed
        )
        for sound in count["sound"].unique()
    },
    ""
    if another.empty
    else "asked what it hears, it mostly tells what it sees"
    if looks
    else "asked what it hears, it mostly tells what it hears",
    clip=show.player(
        twin,
        width=240,
        caption=show.said(twin, avllm.name, said[twin.id]),
    ),
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
# example: of all clips counted below it is the first about which the model, asked what it hears, names something that is
# only to be seen.

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
# One clip is an anecdote. Counted are the answers to *“Describe what you hear.”* that name everything that sounds, and
# those that name something that is only to be seen; one answer can do both.

# %% tags=["hide-input"]
table = count.groupby("sound", sort=False).agg(
    clips=("heard", "size"), heard=("heard", "sum"), seen=("seen", "sum")
)
table.columns = ["clips", "names all that sounds", "names what is only seen"]
show.table(
    table.astype(int).reset_index(), f"“Describe what you hear.”, asked of {avllm.name}"
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
# - Counting names is a coarse measure: it ignores wrong extra words and needs clips whose sources are known. Chapter 2
#   judges answers more strictly, on more clips: with a dozen, one more or less is eight points.
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
