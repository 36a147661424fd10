"""Sets of clips by name: the embedded toybox, published sets, and anyone's own files.

    >>> [clip.kind for clip in load("toybox", n=2)]
    ['factual', 'counterfactual']

A set on disk is a manifest: JSON Lines, one clip a line, with file paths relative to the manifest.
"""

import re
from collections import defaultdict
from pathlib import Path

import numpy as np

from avnb.datasets.captioning import caption_videos
from avnb.datasets.drawn import sources, toybox, toybox_version
from avnb.datasets.hub import from_hub, from_table
from avnb.datasets.manifest import DatasetError, save
from avnb.datasets.published import LAYOUTS, published
from avnb.datasets.tables import from_path
from avnb.files import cache_folder

__all__ = [
    "NAMES", "DatasetError", "cache_folder", "caption_videos", "from_table", "load", "save", "sources",
    "toybox_version",
]  # fmt: skip

COUNTERFACTUAL = "counterfactual-av-eval"  # the study's own set

NAMES = ("toybox", COUNTERFACTUAL, *LAYOUTS)

_ADDRESSES = {layout.address: name for name, layout in LAYOUTS.items() if layout.address}
_ADDRESSES[f"gamma-lab-umd/{COUNTERFACTUAL}"] = COUNTERFACTUAL


def load(name, split="test", n=None, seed=0, root=None, fewer=False) -> list:
    """Clips of a set.

    Args:
        name: "toybox" (drawn on first use: half factual with everything seen also heard, half counterfactual);
            "counterfactual-av-eval" (the study's), "avcaps", "avscapbench" or "avhallubench", from the Hugging Face
            Hub or your own copy; "audiocaps", your own copy; the address of any other set on the Hub with a column of
            videos, such as "mteb/AudioCaps_AV"; or a path: of a manifest, of another table (.jsonl, .json, .csv, .tsv,
            .parquet; see `datasets.tables`), of a folder with a `manifest.jsonl`, or of a folder of videos.
        split: of a named set: "train", "validation" or "test". A path is taken as a whole.
        n: number of clips, as evenly over the kinds as they allow; default all (toybox: 40).
        seed: of the toybox: other seeds are other clips. Elsewhere: which `n` are drawn.
        root: toybox: where to keep the files, default `cache_folder()`. Other named sets: the folder with your copy, in
            the layout in which it is published.
        fewer: take a set that holds fewer than n clips as a whole, instead of refusing it.

    Returns:
        list of `Clip`, factual ones first where the set tells the kinds apart. Clips whose files are missing are left
        out: the log says how many and which.

    Raises:
        DatasetError: the set is unknown, has none of its files, or cannot be understood.

    Example:
        >>> clip = load("toybox", n=2)[1]
        >>> set(clip.seen) & set(clip.heard)
        set()
    """
    if n is not None and n < 1:
        raise DatasetError(f"n={n} clips were asked for; use 1 or more, or None for all")
    known = _ADDRESSES.get(name, str(name).lower())
    if known == "toybox":
        return toybox(split, 40 if n is None else n, seed, root)
    if known in LAYOUTS:
        clips = published(known, split, root)
    elif known == COUNTERFACTUAL:
        clips = _counterfactual(split, root)
    elif str(name).strip() and Path(name).exists():
        clips = from_path(Path(name))
    elif re.fullmatch(r"[\w.-]+/[\w.-]+", str(name)):
        clips = from_hub(name, split, root)
    else:
        raise DatasetError(f"{str(name)!r} is no known set ({', '.join(NAMES)}) and no file or folder; check the name")
    return clips if n is None or (fewer and n > len(clips)) else _subset(clips, n, seed, name)


def _counterfactual(split, root):
    try:
        return from_hub(f"gamma-lab-umd/{COUNTERFACTUAL}", split, root, needed=("video", "kind"))
    except DatasetError as error:
        advice = "a set of your own comes from avnb.curate, e.g. over the clips of load('avcaps'): see chapter 1"
        raise DatasetError(f"{error}. If that cannot be had, {advice}") from error


def _subset(clips, n, seed, name):
    """Draws n clips, the same number of every kind as far as possible; their order stays."""
    if n > len(clips):
        raise DatasetError(f"{name} holds {len(clips)} clips, n={n} were asked for; use fewer or None for all")
    by_kind = defaultdict(list)
    for i in np.random.default_rng(seed).permutation(len(clips)):
        by_kind[clips[i].kind].append(int(i))
    turns = sorted((turn, kind, i) for kind, some in by_kind.items() for turn, i in enumerate(some))
    return [clips[i] for i in sorted(i for *_, i in turns[:n])]
