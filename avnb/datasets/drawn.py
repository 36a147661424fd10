"""Sets of toybox clips, drawn when they are first asked for."""

import re
from pathlib import Path

import pandas as pd

from avnb.closure import code_hash
from avnb.datasets import curate
from avnb.datasets.manifest import DatasetError
from avnb.datasets.tables import from_path
from avnb.files import cache_folder

MAKERS = ("avnb.toybox.world", "avnb.datasets.curate")  # modules that make a clip
_ID = re.compile(
    r"(train|validation|test)-(\d+)-(\d{5})-([a-z-]+)"
)  # of a drawn clip, at the head of what is made of it
_FEWEST_SOURCES = 12  # toybox clips among which donors are looked for, so that a small set finds some


def toybox_version():
    """A name for the code that makes toybox clips, so that clips of older code are never taken for new ones."""
    return code_hash(*MAKERS)


def sources(ids):
    """Which source the picture of each toybox clip shows, the first if it shows two: clips that share it.

    Clips of one source are no independent witnesses of what its picture does. An effect that should hold for other
    sources too is resampled with these as `clusters` (`stats.interval`).

    Args:
        ids: of clips, or of what was made of them (swapped, muted, paired: the picture of the first counts).

    Returns:
        Series indexed by `ids`; None if some are no clips of the toybox.

    Example:
        >>> sources(["test-77-00200-matching+test-77-00202-matching"]).tolist(), sources(["my-film"])
        (['rooster'], None)
    """
    from avnb.toybox import world

    ids, relations = list(ids), {name.replace(" ", "-"): name for name in world.RELATIONS}
    found = [_ID.match(str(name)) for name in ids]
    if not all(one and one[4] in relations for one in found):
        return None
    drawn = [world.sample(one[1], int(one[2]), int(one[3]), relations[one[4]]) for one in found]
    return pd.Series([(*example.seen, "nothing")[0] for example in drawn], ids, dtype=object)


def toybox(split, n, seed, root):
    from avnb.toybox import vary, world

    if split not in vary.SPLITS:
        raise DatasetError(f"the toybox has no split {split!r}; use one of {', '.join(vary.SPLITS)}")
    folder = Path(root or cache_folder()) / f"toybox-{toybox_version()}" / f"{split}-{seed}-{n}"
    n_swapped = n // 2
    n_factual = n - n_swapped
    n_sources = max(n_swapped, _FEWEST_SOURCES) if n_swapped else 0
    clips = from_path(world.write(folder, n_factual + n_sources, seed, split, "matching"))
    sources = clips[n_factual:]
    donors = curate.assign_donors(sources).head(n_swapped) if n_swapped else None
    swapped = curate.counterfactual(sources, folder / "swapped", donors) if n_swapped else []
    if len(swapped) < n_swapped:
        raise DatasetError(f"{folder} holds damaged clips; delete the folder and load again")
    return clips[:n_factual] + swapped
