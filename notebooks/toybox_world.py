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
# **Things that can be seen and heard, each independently of the other: a world in which every fact is known.**

# %% tags=["parameters", "hide-input"]
seed = 0
out = None  # folder for the clips; None is the cache folder

# %% tags=["hide-input"]
from pathlib import Path

import avnb
from avnb import datasets, plots, show
from avnb.toybox import world
from avnb.toybox.sources import FAMILIES, SOURCES
from IPython.display import HTML, display

plots.style()
folder = (
    Path(out or datasets.cache_folder() / "contact-sheet") / datasets.toybox_version()
)


def clip_of(example):
    """An example of the world as a clip, drawn and synthesised."""
    return avnb.Clip(
        example.id, example.record(folder), seen=example.seen, heard=example.heard
    )


apart = clip_of(world.sample("test", seed, 0, "off-screen"))
show.in_short(
    f"{len(SOURCES)} things can be seen and heard here, and what is heard need not be what is seen.",
    {
        "things, each drawn and each synthesised": str(len(SOURCES)),
        "families": ", ".join(FAMILIES),
        "ways in which picture and sound belong together, or do not": ", ".join(
            world.RELATIONS
        ),
    },
    clip=show.player(apart, width=240, caption=show.about(apart)),
)

# %% [markdown]
# Large models cannot be opened up on a laptop, and nobody knows all they were trained on. So the book brings a world of
# its own: drawn pictures, synthesised sounds, and captions from a grammar. What is seen, what is heard, and what a model
# was ever shown are known. All pictures and sounds on this page were made by the code of this project.
#
# ## The sound does not follow from the picture
#
# In these clips a thing may be heard but not seen, or seen but silent. A model that only looks is wrong about them.

# %% tags=["hide-input"]
several = [
    clip_of(world.sample("test", seed, i, relation))
    for i, relation in enumerate(world.RELATIONS)
]
captions = [
    f"{relation}: seen {', '.join(clip.seen) or 'nothing'}; heard {', '.join(clip.heard) or 'nothing'}"
    for relation, clip in zip(world.RELATIONS, several, strict=True)
]
show.player(several, width=140, caption=captions)

# %% [markdown]
# ## What varies
#
# Colours, size, place, motion, background; pitch, tempo, loudness, background noise. Every continuous parameter has its
# range cut into 40 slices, and each slice belongs to one split: no test clip is drawn from a slice of the training clips.
# Four cats:

# %% tags=["hide-input"]
cats = [
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
    [clip_of(cat) for cat in cats],
    width=140,
    caption=[f"cat {i}" for i in range(1, 5)],
)

# %% [markdown]
# ## Everything, seen and heard
#
# Press play to hear a thing. Below each family are the spectrograms of the same sounds: time runs to the right, pitch
# upwards, and bright is loud.

# %% tags=["hide-input"]
for family in FAMILIES:
    members = [source for source in SOURCES.values() if source.family == family]
    clips = [
        clip_of(
            world.Example(
                f"{source.name}-{seed}",
                "test",
                "matching",
                (source.name,),
                (source.name,),
                (seed, list(SOURCES).index(source.name)),
            )
        )
        for source in members
    ]
    sounds = [source.heard[0] for source in members]
    display(HTML(f"<h3>{family.capitalize()}</h3>"))
    display(show.player(clips, width=140, caption=[source.name for source in members]))
    figure = plots.sounds.spectrograms([clip.wave() for clip in clips], sounds)
    text = f"Spectrograms of the sounds above: {', '.join(sounds)}. One clip each; power in dB below its loudest moment."
    display(show.figure(figure, text))

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
# ## What this shows
#
# - A clip here can say anything with its picture and anything else with its sound, and it is known which. That allows
#   to ask what a model goes by, and to raise one on any mixture of the two.
#
# ## What this does not show
#
# - A world of flat drawings and synthetic sounds is far simpler than film. It serves to know causes, not to measure how
#   well anything sees or hears real recordings.
#
# ## Try it yourself
#
# **Task.** Play two clips of one family with the picture hidden, and tell from the spectrogram alone which is which. This
# needs no Python: it is all on this page.
#
# <details><summary>What to expect</summary>
#
# Most people tell the families apart at once: animals rise and fall, bells and strings begin sharply and fade, engines
# and rain go on evenly. Within a family it takes a second listening. The model organisms have learnt to tell all of them
# apart from the sound alone in most clips ({doc}`02_caption_fidelity`).
#
# </details>

# %% tags=["remove-input"]
show.provenance(seed=seed)
