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
# # The toybox world
#
# **Twenty-four things that can be seen and heard, each independently of the other.**
#
# Large models cannot be opened up on a laptop, and nobody knows all they were trained on. So the book brings a world of
# its own: drawn pictures, synthesised sounds, and captions from a grammar. In it every fact is known: what is seen, what
# is heard, and what a model was ever shown. All pictures and sounds on this page were made by the code of this project.

# %% tags=["parameters"]
seed = 0
out = None  # folder for the clips; None is the cache folder

# %%
from pathlib import Path

import avnb
from avnb import datasets, plots, show
from avnb.toybox import world
from avnb.toybox.sources import FAMILIES, SOURCES
from IPython.display import Markdown, display

plots.style()
folder = (
    Path(out or datasets.cache_folder() / "contact-sheet") / datasets.toybox_version()
)

# %% [markdown]
# ## Every source, seen and heard
#
# Press play to hear a source. Below each family are the spectrograms of the same sounds: time runs to the right, pitch
# upwards, and bright is loud.


# %%
def clip_of(name):
    """A clip in which one source is seen and heard."""
    example = world.Example(
        f"{name}-{seed}",
        "test",
        "matching",
        (name,),
        (name,),
        (seed, list(SOURCES).index(name)),
    )
    return avnb.Clip(example.id, example.record(folder), seen=(name,), heard=(name,))


for family in FAMILIES:
    members = [source for source in SOURCES.values() if source.family == family]
    clips = [clip_of(source.name) for source in members]
    display(Markdown(f"### {family.capitalize()}"))
    display(show.player(clips, width=160, caption=[source.name for source in members]))
    figure = plots.sounds.spectrograms(
        [clip.wave() for clip in clips], [source.heard[0] for source in members]
    )
    display(
        show.figure(
            figure, f"Spectrograms: {', '.join(source.heard[0] for source in members)}."
        )
    )

# %% [markdown]
# ## What varies
#
# Colours, size, place, motion, background; pitch, tempo, loudness, background noise. Every continuous parameter has its
# range cut into 40 slices, and each slice belongs to one split: no test clip is drawn from a slice of the training clips.

# %%
same = [
    world.Example(
        f"varied-cat-{seed}-{i}",
        "test",
        "matching",
        ("cat",),
        ("cat",),
        (seed, 100 + i),
    )
    for i in range(4)
]
show.player(
    [avnb.Clip(e.id, e.record(folder)) for e in same],
    width=160,
    caption=["four cats", "", "", ""],
)

# %% [markdown]
# ## The sound does not follow from the picture
#
# In these clips a source may be heard but not seen, or seen but silent. Who only looks will be wrong.

# %%
several = [
    world.sample("test", seed, i, relation)
    for i, relation in enumerate(world.RELATIONS)
]
captions = [
    f"{e.relation}: seen {', '.join(e.seen) or 'nothing'}; heard {', '.join(e.heard) or 'nothing'}"
    for e in several
]
show.player(
    [avnb.Clip(e.id, e.record(folder)) for e in several],
    width=160,
    caption=captions,
)

# %% [markdown]
# ## Use it
#
# ```bash
# avnb data toybox --out my-clips --n 100 --seed 1     # .mp4 files and manifest.jsonl
# ```
#
# The manifest is JSON Lines: `avnb.datasets.load("my-clips")` reads it, and so does
# `datasets.load_dataset("json", data_files="my-clips/manifest.jsonl")`.
#
# ## What this is not
#
# A world of twenty-four flat drawings and synthetic sounds is far simpler than film. It serves to know causes, not to
# measure how well anything sees or hears real recordings.

# %% tags=["remove-input"]
show.provenance(seed=seed)
