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
# # One clip, two sounds
#
# **Give a model the same picture with another sound, and its answers tell whether it listened or only looked.**
#
# This chapter takes one clip, asks a small audio-visual language model about it, changes nothing but the sound, and asks
# again. It needs no graphics card and runs in half a minute.

# %% tags=["parameters"]
model = "toy-omni"  # or a model of your own: a folder, or an id on the Hugging Face Hub
dataset = "toybox"
n = 12  # clips to count over at the end
seed = 0
out = None  # folder for the clips that are made here; None is the cache folder

# %%
from pathlib import Path

import avnb
import pandas as pd
from avnb import curate, datasets, show
from avnb.judge.words import mentioned
from avnb.questions import QUESTIONS
from IPython.display import Markdown

avllm = avnb.load(model)
clips = [
    clip
    for clip in datasets.load(dataset, n=2 * n, seed=seed)
    if clip.kind == "factual"
]
clip = clips[0]

# %% [markdown]
# ## Watch it, hear it
#
# The clip is an ordinary video file with one sound track. It was drawn and synthesised by this project, and the model
# was never trained on it: every parameter of a test clip, from colour and place to pitch, was drawn from slices of its
# range that no training clip was drawn from.

# %%
show.player(clip, caption=f"Clip {clip.id}: press play, with sound")

# %% [markdown]
# ## What the model says
#
# Three questions, each answered greedily, that is, always with the most probable next word.

# %%
answers = pd.DataFrame(
    {
        "question": QUESTIONS,
        "own sound": [avllm.caption(clip, question) for question in QUESTIONS],
    }
)
show.table(answers, "What the model says about the clip as it was recorded")

# %% [markdown]
# ## The same picture with another sound
#
# Now the picture stays as it is, packet by packet, and the sound track is replaced by that of another clip. The donor is
# the clip whose caption is least like this one; the {doc}`next chapter <01_data_curation>` shows how it is chosen.

# %%
folder = Path(out or datasets.cache_folder() / "quickstart" / datasets.toybox_version())
swapped = curate.counterfactual(clips, folder / f"{Path(dataset).stem}-{seed}")
twin = next(one for one in swapped if one.id.startswith(f"{clip.id}+"))
show.player(
    [clip, twin],
    caption=[
        "as recorded",
        f"the same picture, the sound of clip {twin.id.split('+')[1]}",
    ],
)

# %%
answers["another sound"] = [avllm.caption(twin, question) for question in QUESTIONS]
show.table(answers, "The same picture, two sounds")

# %% [markdown]
# The answer to *"Describe what you see."* should not change between the two columns, and the answer to *"Describe what
# you hear."* should. Whether it does is what this book is about.
#
# ## More than one clip
#
# One clip is an anecdote. For clips whose sources are known, count the answers to *"Describe what you hear."* that name
# every source that is heard, and those that name something that is only seen.

# %%
question = "Describe what you hear."


def heard_right(clip):
    """Whether the answer names everything heard, and whether it names something that is seen but silent."""
    named = set(mentioned(avllm.caption(clip, question)))
    return {
        "kind": clip.kind,
        "heard": set(clip.heard) <= named,
        "seen": bool(named & set(clip.seen) - set(clip.heard)),
    }


known = [c for c in clips + swapped if c.heard]
count = pd.DataFrame([heard_right(c) for c in known], columns=["kind", "heard", "seen"])
table = count.groupby("kind", sort=False).agg(
    clips=("heard", "size"), heard=("heard", "sum"), seen=("seen", "sum")
)
table.columns = ["clips", "names all that is heard", "names what is only seen"]
show.table(table.reset_index(), "Answers to “Describe what you hear.”")

# %% tags=["hide-input"]
Markdown(
    " ".join(
        f"On {row.clips} {kind} clips, the model named everything it was given to hear in **{row.heard}**, and in "
        f"**{row.seen}** it named something that was only to be seen."
        for kind, row in table.set_axis(["clips", "heard", "seen"], axis=1).iterrows()
    )
    or "The sources of these clips are not known, so nothing is counted here."
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
# ## What this does not show
#
# - The model here is a small organism, in a drawn world. Large models are **not measured here**; put one into the
#   parameter `model` and run the notebook to measure it.
# - Counting names is a coarse measure: it ignores wrong extra words and needs clips whose sources are known.
# - A handful of clips gives a wide interval: of 12 clips, one more or less is 8 points.
#
# ## Try it yourself
#
# Take a clip of your own and ask your own question. Any video file will do.

# %%
my_clip = clips[-1]  # for instance avnb.Clip("mine", "holiday.mp4")
my_question = "Describe what you see and hear."
avllm.caption(my_clip, my_question)

# %% tags=["remove-input"]
show.provenance(model=model, dataset=dataset, n=n, seed=seed)
