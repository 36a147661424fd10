"""Sets of toybox clips, drawn when they are first asked for."""

from pathlib import Path

from avnb.closure import code_hash
from avnb.datasets import curate
from avnb.datasets.manifest import DatasetError
from avnb.datasets.tables import from_path
from avnb.files import cache_folder

MAKERS = ("avnb.toybox.world", "avnb.datasets.curate")  # modules that make a clip
_FEWEST_SOURCES = 12  # toybox clips among which donors are looked for, so that a small set finds some


def toybox_version():
    """A name for the code that makes toybox clips, so that clips of older code are never taken for new ones."""
    return code_hash(*MAKERS)


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
