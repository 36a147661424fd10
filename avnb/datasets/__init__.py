"""Sets of clips by name: the embedded toybox, published sets, and anyone's own files.

    >>> [clip.kind for clip in load("toybox", n=2)]
    ['factual', 'counterfactual']

A set on disk is a manifest: JSON Lines, one clip a line, with file paths relative to the manifest.
"""

from collections import defaultdict
from pathlib import Path

import numpy as np

from avnb.datasets.audiocaps import audiocaps
from avnb.datasets.drawn import toybox
from avnb.datasets.hub import COUNTERFACTUAL_AV_EVAL, counterfactual_av_eval, from_table
from avnb.datasets.manifest import DatasetError, from_path, save
from avnb.files import cache_folder

__all__ = ["NAMES", "DatasetError", "cache_folder", "from_table", "load", "save"]

NAMES = ("toybox", "counterfactual-av-eval", "audiocaps")


def load(name, split="test", n=None, seed=0, root=None) -> list:
    """Clips of a set.

    Args:
        name: "toybox" (drawn on first use: half factual with everything seen also heard, half counterfactual),
            "counterfactual-av-eval" (from the Hugging Face Hub), "audiocaps" (your own copy), or the path of a
            manifest, of a folder with a `manifest.jsonl`, or of a folder of videos.
        split: of a named set: "train", "validation" or "test". A path is taken as a whole.
        n: number of clips, as evenly over the kinds as they allow; default all (toybox: 40).
        seed: of the toybox: other seeds are other clips. Elsewhere: which `n` are drawn.
        root: toybox: where to keep the files, default `cache_folder()`. counterfactual-av-eval: a folder with a
            downloaded copy. audiocaps: the folder with your copy.

    Returns:
        list of `Clip`, factual ones first where the set tells the kinds apart.

    Raises:
        DatasetError: the set is unknown, incomplete, or cannot be understood.

    Example:
        >>> clip = load("toybox", n=2)[1]
        >>> set(clip.seen) & set(clip.heard)
        set()
    """
    if n is not None and n < 1:
        raise DatasetError(f"n={n} clips were asked for; use 1 or more, or None for all")
    if name == "toybox":
        return toybox(split, 40 if n is None else n, seed, root)
    if name in ("counterfactual-av-eval", COUNTERFACTUAL_AV_EVAL):
        clips = counterfactual_av_eval(split, root)
    elif name == "audiocaps":
        clips = audiocaps(split, root)
    elif Path(name).exists():
        clips = from_path(Path(name))
    else:
        raise DatasetError(f"{str(name)!r} is no known set ({', '.join(NAMES)}) and no file or folder; check the name")
    return clips if n is None else _subset(clips, n, seed, name)


def _subset(clips, n, seed, name):
    """Draws n clips, the same number of every kind as far as possible; their order stays."""
    if n > len(clips):
        raise DatasetError(f"{name} holds {len(clips)} clips, n={n} were asked for; use fewer or None for all")
    by_kind = defaultdict(list)
    for i in np.random.default_rng(seed).permutation(len(clips)):
        by_kind[clips[i].kind].append(int(i))
    turns = sorted((turn, kind, i) for kind, some in by_kind.items() for turn, i in enumerate(some))
    return [clips[i] for i in sorted(i for *_, i in turns[:n])]
