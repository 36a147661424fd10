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
# # 1. From captions to conflicting clips
#
# **A set of ordinary captioned clips becomes a test of listening when each clip gets the sound of the clip whose
# caption is least like its own.**

# %% tags=["parameters", "hide-input"]
dataset = (
    "toybox"  # or a set on the Hub ("avcaps"), a folder, a manifest or another table
)
n = 24  # clips to start from
seed = 0
out = None  # folder for the clips that are made here; None is the cache folder

# %% tags=["hide-input"]
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pyloudnorm
from avnb import curate, datasets, paper, plots, show, stats
from avnb.media import clip as media
from avnb.media.clip import Clip
from avnb.study.fingerprints import clips_fingerprint
from IPython.display import Markdown

plots.style()
clips = [
    clip
    for clip in datasets.load(dataset, n=2 * n, seed=seed, fewer=True)
    if clip.kind == "factual"
][:n]
clips = [clip for clip in clips if clip.audio_captions]
folder = Path(out or datasets.cache_folder() / "curation" / datasets.toybox_version())
folder = folder / f"{Path(dataset).stem}-{seed}-{n}-{clips_fingerprint(clips)}"

similarity = curate.similarity([clip.audio_captions[0] for clip in clips])
donors = curate.assign_donors(clips)
swapped = curate.counterfactual(clips, folder / "swapped", donors)
index = {clip.id: i for i, clip in enumerate(clips)}
which = donors["clip"].map(index).to_numpy()  # of clips for which there is a donor
chosen = donors["donor"].map(index).to_numpy()
shift = np.random.default_rng(seed).integers(1, len(clips), size=len(clips))
by_chance = ((np.arange(len(clips)) + shift) % len(clips))[which]


def clashes(donors):
    """For each clip with a donor, whether something sounds there that the clip shows or sounds like: 0 or 1."""
    pairs = [(clips[i], clips[j]) for i, j in zip(which, donors, strict=True)]
    return [float(bool({*a.seen, *a.heard} & {*b.heard})) for a, b in pairs]


alike = {
    name: stats.interval(similarity[which, donor])
    for name, donor in {
        "chosen sound": chosen,
        "random sound (control)": by_chance,
    }.items()
}
show.in_short(
    f"Of {len(clips)} ordinary clips, {len(swapped)} become conflicting ones; none gets a sound of what it shows"
    f"{f', which {sum(clashes(by_chance)):.0f} would with a random sound' if any(c.heard for c in clips) else ''}.",
    {
        f"similarity of the two captions, {name} (0 to 1)": show.told(
            one, of=f"{dataset}: similarity of captions, {name}"
        )
        for name, one in alike.items()
    },
    clip=show.player(swapped[0], width=240, caption=show.about(swapped[0])),
)

# %% [markdown]
# In an ordinary clip the picture gives the sound away: whoever sees a dog can guess the barking. Such clips cannot tell a
# model that hears from one that guesses. This chapter makes clips that can. The study calls ordinary clips *factual* and
# conflicting ones *counterfactual*; the code keeps these words.
#
# ## A clip and its captions
#
# Every clip carries captions of its picture and, separately, captions of its sound.

# %% tags=["hide-input"]
columns = {
    "what is seen": "video_captions",
    "what is heard": "audio_captions",
}
first = pd.DataFrame(
    {
        name: [getattr(clip, field) for clip in clips[:6]]
        for name, field in columns.items()
    }
)
show.table(
    first.map(lambda value: value if isinstance(value, str) else "".join(value[:1])),
    "The first clips and their captions",
)

# %% [markdown]
# ## Choosing a donor
#
# Each caption $c$ becomes a vector $e(c)$, and two captions are as alike as the angle between their vectors says:
#
# $$s_{ij} = \frac{e(c_i) \cdot e(c_j)}{\lVert e(c_i)\rVert\,\lVert e(c_j)\rVert}.$$
#
# Of all ways to hand the sounds around, so that every clip lends its sound once and none keeps its own, take the one with
# the smallest total similarity:
#
# $$\pi^\star = \arg\min_{\pi}\sum_i s_{i\pi(i)}, \qquad \pi(i) \neq i.$$
#
# Here $e$ counts word stems, rare ones more than common ones (TF-IDF), which needs no model; `embed="NAME"` takes any
# model of sentence-transformers instead. Where the sources of a clip are known, a donor must also share none of them,
# and in no case may its caption be nearly the same. As a control, a donor is drawn at random.

# %%
donors = curate.assign_donors(clips)
swapped = curate.counterfactual(clips, folder / "swapped", donors)

# %% tags=["hide-input"]
show.figure(
    plots.curation.similarity_heatmap(similarity[which], chosen, by_chance),
    "Each row is a clip, each column a clip whose sound it could take; dark is unlike. Means over clips of the cosine "
    "similarity of the two audio captions (0 to 1), with 95 % intervals: "
    f"{'; '.join(f'{name} {show.told(one)}' for name, one in alike.items())}.",
    data=donors.drop(columns=["clip", "donor"]),
)

# %% tags=["hide-input"]
Markdown(
    f"Of {len(which)} random donors, **{sum(clashes(by_chance)):.0f}** would have brought a sound of something that the clip "
    f"shows or already sounds like; of the chosen ones **{sum(clashes(chosen)):.0f}** do."
)

# %% [markdown]
# ## Many clips
#
# The best assignment needs the similarity of every two captions: for 50,000 clips 20 GB, and days. From 2,000 clips on,
# `assign_donors` therefore works in blocks. Every clip starts with some donor; then, again and again, a block of clips is
# drawn at random, and the donors of these clips are handed around among them in the best way. No step can make the total
# worse, and a clip meets other candidates in every round. Here is what that loses, on captions of this chapter's world.
# Counted stems make it too easy, since most captions share none; eight numbers a caption, the leading components of these
# counts, stand in for a sentence embedder, in which everything is a little like everything:

# %% tags=["hide-input"]
from avnb.toybox import world
from avnb.toybox.captions import Writer


def captioned(index):
    """A clip of the toybox as far as its captions go."""
    example = world.sample("test", seed, index, "matching")
    caption = Writer(np.random.default_rng([seed, index])).audio(example.heard)
    events = {"seen": example.seen, "heard": example.heard}
    return Clip(example.id, example.id, audio_captions=(caption,), **events)


def components(captions):
    """The leading components of the counts of stems, [n, 8]."""
    values, vectors = np.linalg.eigh(curate.similarity(captions))
    return vectors[:, -8:] * np.sqrt(values[-8:])


many = [captioned(index) for index in range(300)]
assignments = {
    f"blocks of {size}": curate.assign_donors(many, components, block=size)
    for size in (25, 75)
}
assignments["all at once: the best there is"] = curate.assign_donors(many, components)
again = curate.assign_donors(many, components, block=25)
events = {clip.id: {*clip.seen, *clip.heard} for clip in many}
heard = {clip.id: {*clip.heard} for clip in many}
shared = sum(
    not events[clip].isdisjoint(heard[donor])
    for table in assignments.values()
    for clip, donor in zip(table["clip"], table["donor"], strict=True)
)
show.table(
    pd.DataFrame(
        {
            "assignment": list(assignments),
            "similarity": [
                f"{table['similarity'].mean():.3f}" for table in assignments.values()
            ],
            "clips with a donor": [len(table) for table in assignments.values()],
        }
    ),
    "300 clips: mean similarity of a clip's caption and its donor's",
)

# %% tags=["hide-input"]
Markdown(
    f"Pairs that share an event: **{shared}**. The same curation again gives "
    f"**{'the same' if again.equals(assignments['blocks of 25']) else 'other'}** pairs."
)

# %% [markdown]
# On 50,000 captions of a richer grammar (91 sources; `python -m tests.bench.curation`, on two cores that others used
# too), with TF-IDF: 34 seconds, 0.4 GiB, and a total similarity of 0, which is the best there is. With
# `all-MiniLM-L6-v2` (`--embed FOLDER`): 11 minutes, embedding included, 1.4 GiB, and a mean similarity of 0.046; no
# assignment can come below -0.066, the mean over clips of their least similarity to any other. On 2,000 of these
# captions, blocks of 500, 250 and 80 end 0.006, 0.011 and 0.023 above the best assignment (0.058).

# %% [markdown]
# ## Four kinds of clips
#
# The picture is copied packet by packet, never encoded again. The new sound is cut or repeated to the length of the
# picture and brought to the loudness of the old one, so that length gives nothing away and loudness little; peaks that
# would then pass full scale are turned down for some milliseconds.

# %%
silent = curate.mute(clips[:1], folder / "mute")
late = curate.shift(clips[:1], folder / "shift", seconds=1.5)
names = [
    "ordinary (factual)",
    f"conflicting (counterfactual): {swapped[0].audio_captions[0]}",
    "mute",
    "shifted: its own sound, 1.5 s late",
]
show.player([clips[0], swapped[0], *silent, *late], width=180, caption=names)

# %% tags=["hide-input"]
show.figure(
    plots.sounds.spectrograms(
        [clips[0].wave(), swapped[0].wave(), late[0].wave()],
        ["ordinary", "conflicting", "shifted"],
    ),
    "Spectrograms of one clip: its own sound, the donor's sound, and its own sound 1.5 seconds later.",
)

# %% [markdown]
# ## Checks
#
# Is the picture really untouched, and is the loudness really that of the original, at the rate at which models hear?


# %% tags=["hide-input"]
def packets(clip):
    """The compressed video packets of a clip."""
    with av.open(str(clip.video)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def loudness(wave):
    """Integrated loudness in LUFS (ITU-R BS.1770), a scale of one decibel a unit."""
    return pyloudnorm.Meter(16_000).integrated_loudness(wave)


originals = {clip.id: clip for clip in clips}
pairs = [(originals[one.id.split("+")[0]], one) for one in swapped]
same_picture = sum(packets(a) == packets(b) for a, b in pairs)
waves = [(media.read_audio(a.video), media.read_audio(b.video)) for a, b in pairs]
gap = np.array([loudness(new) - loudness(old) for old, new in waves])
peak = np.array([np.abs(new).max() for _, new in waves])
told = np.isfinite(gap)
off = told & (np.abs(gap) > 1)
Markdown(
    f"In **{same_picture} of {len(pairs)}** conflicting clips every video packet is the original's, bit for bit. Their "
    f"loudness differs from the original's by **{np.median(np.abs(gap[told])):.2f} dB** in the median (LUFS). In {off.sum()} clips "
    f"it differs by more than 1 dB, at most by {np.abs(gap[told]).max():.1f} dB"
    + (
        f"; {(off & (gap < 0) & (peak > 0.9)).sum()} of these are too quiet, and their peaks are at full scale: a sound of short "
        "knocks cannot be made as loud as an engine without clipping. There loudness could give a swap away, and a strict "
        "test leaves these clips out."
        if off.any()
        else "."
    )
)

# %% tags=["hide-input"]
show.table(
    curate.summary(clips + swapped),
    "Kinds of clips, and how alike the captions of picture and sound are (mean)",
)

# %% [markdown]
# ## Paper and here
#
# {cite}`selvakumar2026avllm` publish the sizes of their set; the embedding model and the threshold are not published.

# %% tags=["hide-input"]
show.table(
    paper.dataset_table(clips + swapped), "The study's set and the one made here"
)

# %% [markdown]
# ## What this shows
#
# - Swapping sounds by their captions gives clips whose picture does not help to guess the sound, without one packet of the
#   picture changed. A random swap does not guarantee that.
#
# ## What this does not show
#
# - An unlike caption is not yet an unlike sound: two recordings may be described in other words and sound the same. In
#   the toybox the sources are known, so this is ruled out there, and only there.
# - A new sound track has been encoded once more than the old one. A model that notices such traces could tell a swap. The
#   control is a clip whose own sound was written anew, `editing.swap_audio(clip.video, clip.video, out)`.
# - A swapped sound is also out of step with the picture. The *shifted* clips separate that: own sound, wrong time.
# - TF-IDF knows no synonyms. With a sentence embedder the assignment is stricter on free captions.
# - Where events are not listed, only the captions keep a donor's sound apart from what the picture shows.
#
# ## Try it yourself
#
# **Task.** Write the set to disk and load it again. How many of its clips are conflicting? The cell has run once here; on
# Colab or on your machine it leaves files that any chapter takes (`dataset = ".../set.jsonl"`).
#
# <details><summary>What to expect, and how to go on</summary>
#
# Half: every ordinary clip has become one conflicting clip, unless no donor was left for it. For real clips, start from
# `dataset = "avcaps"`: people described its pictures and its sounds apart. Where a set says nothing of its pictures,
# `datasets.caption_videos(clips, "llm:MODEL@URL")` asks any vision-language model behind an OpenAI-compatible endpoint.
#
# </details>

# %%
manifest = datasets.save(clips + swapped, folder / "set.jsonl")
[clip.kind for clip in datasets.load(manifest)].count("counterfactual")

# %% tags=["remove-input"]
show.provenance(dataset=dataset, n=n, seed=seed)
