"""Benchmarks: published sets of questions about clips, read into one table, with their rules and their traps.

    >>> clips = load("toybox", n=4)
    >>> counts(clips)["questions"].tolist()
    [8, 8, 4, 4, 4]

The sets are not shipped: give the folder of your copy, as `load("cmm", root="/data/CMM")` or `load("cmm:/data/CMM")`.
The analysis that asks the questions is `avnb.analyses.questions`.
"""

import logging
from collections.abc import Callable
from itertools import compress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from avnb import datasets
from avnb.benchmarks import avhbench, cmm, daily_omni, dave, rules, toybox, worldsense
from avnb.benchmarks.question import AskedClip, Question, choice, counts, table, yes_no
from avnb.datasets.manifest import DatasetError, checked_ids

__all__ = ["SETS", "AskedClip", "Question", "choice", "counts", "load", "read", "rules_of", "table", "yes_no"]

logger = logging.getLogger(__name__)


class Set(NamedTuple):
    """A published set.

    Attributes:
        about: what it asks, in a line.
        layout: the files that are needed.
        read: takes their folder, gives clips with questions.
        rules: how answers are scored by those who published it, or by those who use it; name -> function.
    """

    about: str
    layout: str
    read: Callable
    rules: dict[str, Callable]


SETS = {
    "avhbench": Set(
        "is a thing heard, is it seen, do they match?", avhbench.LAYOUT, avhbench.read,
        {"AVCD": rules.avcd, "MAD": rules.mad},
    ),
    "cmm": Set("did you see it, did you hear it?", cmm.LAYOUT, cmm.read, {"CMM": rules.cmm}),
    "worldsense": Set(
        "three or four options about everyday videos", worldsense.LAYOUT, worldsense.read,
        {"VLMEvalKit": rules.vlmevalkit, "lmms-eval": rules.lmms},
    ),
    "dave": Set("what is done while a sound is heard?", dave.LAYOUT, dave.read, {"DAVE": rules.dave}),
    "daily-omni": Set(
        "four options about what is seen and heard, and when", daily_omni.LAYOUT, daily_omni.read,
        {"Daily-Omni": rules.daily_omni},
    ),
}  # fmt: skip


def rules_of(source):
    """The rules of a set by name, in whose words its answers are scored.

    Example:
        >>> list(rules_of("avhbench")), list(rules_of("toybox"))
        (['AVCD', 'MAD'], ['words'])
    """
    return SETS[source].rules if source in SETS else {"words": rules.words}


def read(name, root) -> list:
    """All clips of a published set with their questions, whether their media are there or not.

    Args:
        name: of `SETS`.
        root: the folder with your copy, or the published file in it.

    Returns:
        list of `AskedClip`.

    Raises:
        DatasetError: the set is unknown, its file is not there or cannot be understood.
    """
    if name not in SETS:
        raise DatasetError(f"{name!r} is no known set of questions; use one of toybox, {', '.join(SETS)}")
    if root is None:
        raise DatasetError(f"{name} cannot be shipped; pass root=FOLDER with your copy: {SETS[name].layout}")
    return checked_ids(SETS[name].read(root), name)


def load(name, n=None, seed=0, root=None) -> list:
    """Clips with their questions; clips whose media are not there are counted and left out.

    Args:
        name: "toybox", a name of `SETS`, or "NAME:FOLDER".
        n: number of clips, drawn at random in the order of the set; None takes all (toybox: 40).
        seed: of the drawing.
        root: the folder with your copy.

    Returns:
        list of `AskedClip`.

    Raises:
        DatasetError: as in `read`; or none of the media are there, or fewer than n.
    """
    if name == "toybox":
        return [toybox.asked(clip) for clip in datasets.load(name, n=n, seed=seed, root=root)]
    name, _, folder = str(name).partition(":")
    clips = read(name, folder or root)
    is_there = [all(Path(path).is_file() for path in (clip.video, clip.audio) if path) for clip in clips]
    there = list(compress(clips, is_there))
    lost = [clip.id for clip, found in zip(clips, is_there, strict=True) if not found]
    if not there:
        raise DatasetError(f"none of the {len(clips)} clips of {name} are there; needed are {SETS[name].layout}")
    if lost:
        some = ", ".join(lost[:5]) + (" ..." if len(lost) > 5 else "")
        logger.warning(
            "%s: the media of %d of %d clips are not there and left out: %s", name, len(lost), len(clips), some
        )
    if n is not None and not 1 <= n <= len(there):
        raise DatasetError(f"{name} has {len(there)} clips here, n={n} were asked for; use 1 to {len(there)}")
    drawn = np.sort(np.random.default_rng(seed).permutation(len(there))[:n])
    return [there[i] for i in drawn]
