"""What patches do: tables of `patching` read clip by clip, and from which positions an answer takes its words."""

from typing import NamedTuple

import pandas as pd

from avnb import stats
from avnb.analyses.changes import NOTHING

# Whose states are put in, and what of it an answer can name.
CUT_OFF, ALONE, OTHER = "own sound, cut off from the picture", "own sound alone", "sound of another clip"
FREE = f"{OTHER}, answer cut off from the picture"  # what a patch carries is found by an answer that needs it
PICTURE = "picture of another clip"
HEARD, SEEN, LENT = "what is heard", "what is seen", "what the other clip lends"


class Verdict(NamedTuple):
    """What patches at all layers from one on do to the answers.

    Attributes:
        own: `stats.Interval` of the change of fidelity by the own sound alone, at the positions of the sound.
        sound, picture: of the share of what another clip lends that is named: its sound put in at the positions of the
            sound, its picture at those of the picture.
        apart: of picture - sound, paired over clips.
        carried: of the same share for the sound, if the answer cannot look at the picture.
        claim: in words; "" if a patch carries no sound, so that nothing is decided.
    """

    own: stats.Interval
    sound: stats.Interval
    picture: stats.Interval
    apart: stats.Interval
    carried: stats.Interval
    claim: str


def verdict(table, start=0, seed=0, clusters=None) -> Verdict:
    """From which positions the answer takes what it says is heard: those of the sound, or those of the picture?

    It takes it from the picture alone if a picture that is put in is named more often than a sound that is put in, and
    the own sound, undisturbed, brings nothing back; from the sound, too, if that raises fidelity. Both count only if an
    answer that cannot look at the picture names the sound that was put in.

    Args:
        table: from `measure`, of one kind of clips.
        start: after which layer patches begin; fixed beforehand, since the best of many would be found by chance.
        seed: of the resampling.
        clusters: which clips count together (a Series by clip), as in `stats.interval`.

    Returns:
        `Verdict`; None where no clip was lent anything.
    """

    def of(instead, quantity):
        return per_clip(table, instead, quantity, start)

    before, own = of(NOTHING, HEARD), of(ALONE, HEARD)
    lent = [of(name, LENT) for name in (OTHER, PICTURE, FREE)]
    common = before.index.intersection(own.index)
    for one in lent:
        common = common.intersection(one.index)
    if common.empty:
        return None
    clusters = None if clusters is None else clusters.reindex(common)
    moved = stats.difference(own[common], before[common], seed, clusters=clusters)
    sound, picture, carried = (stats.interval(one[common], seed, clusters=clusters) for one in lent)
    apart = stats.difference(lent[1][common], lent[0][common], seed, clusters=clusters)
    claim = ""
    if carried.low > 0.5:
        claim = "both" if moved.low > 0 else "picture" if apart.low > 0 else "sound" if apart.high < 0 else "neither"
    return Verdict(moved, sound, picture, apart, carried, claim)


def per_clip(table, instead, quantity, start=0) -> pd.Series:
    """One value per clip: what is named with some states put in after a layer and all later ones.

    Args:
        table: from `measure`.
        instead, quantity, start: of that table; start is of no account for "nothing".

    Example:
        >>> row = {"clip": "a", "instead": ALONE, "start": 3, "stop": 7, "quantity": HEARD, "value": 1.0}
        >>> per_clip(pd.DataFrame([row]), ALONE, HEARD, 3).to_dict()
        {'a': 1.0}
    """
    is_there = (table["instead"] == instead) & (table["quantity"] == quantity) & table["value"].notna()
    if instead != NOTHING:
        is_there &= (table["start"] == start) & (table["stop"] == table["stop"].max())
    return table[is_there].set_index("clip")["value"]
