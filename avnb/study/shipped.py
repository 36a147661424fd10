"""Tables that come with the package: measured once over all test clips of the cards, read wherever they are asked for.

A shipped table holds while the weights and settings of its model, the name of its set of clips and its options are
those that are asked for. It does not rest on the code: a test measures some of its clips again, and compares. `ship`
makes them.
"""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from avnb.analyses.changes import CONTROL, NOTHING
from avnb.files import safe_name
from avnb.study.fingerprints import model_fingerprint
from avnb.study.tables import read, read_about, write

FOLDER = Path(__file__).parent / "shipped"
DATASET, N_CLIPS, SEED = "toybox", 400, 77  # the test clips of the cards
EACH = 100  # of them, of each kind, where measuring is slow

_LISTS = {  # options that only say which rows there are -> whether each row is one of those that are wanted
    "questions": lambda table, wanted: table["question"].isin(wanted),
    "inputs": lambda table, wanted: table["inputs"].isin(wanted),
    "blocked": lambda table, wanted: table["blocked"].str.removeprefix(CONTROL).isin([NOTHING, *wanted]),
    "spans": lambda table, wanted: (table["blocked"] == NOTHING) | _spans(table).isin([*map(tuple, wanted)]),
}


def _spans(table):
    return pd.Series([*zip(table["start"], table["stop"], strict=True)], table.index, dtype=object)


class Asked(NamedTuple):
    """What a table is of.

    Attributes:
        analysis, model, dataset, seed: names, and a number, as in `study.measure`.
        n: clips that the set is loaded with.
        each: how many of each kind count, the first ones; None for all.
        kinds: of the clips that count; None for all.
        parameters: all options of the analysis, defaults included.
    """

    analysis: str
    model: str
    dataset: str
    n: int
    seed: int
    each: int | None
    kinds: list | None
    parameters: dict

    def is_within(self, about):
        """Whether a table that is about this has all of the rows."""
        had = Asked(**{name: about[name] for name in Asked._fields})
        return (
            self[:6] == had[:6]
            and (had.kinds is None or (self.kinds is not None and set(self.kinds) <= set(had.kinds)))
            and self.parameters.keys() == had.parameters.keys()
            and all(_is_within(name, wanted, had.parameters[name]) for name, wanted in self.parameters.items())
        )

    def clips(self, clips):
        """Those of the set's clips that count."""
        n_before, kept = Counter(), []
        for clip in clips:
            n_before[clip.kind] += 1
            if (self.kinds is None or clip.kind in self.kinds) and n_before[clip.kind] <= (self.each or len(clips)):
                kept.append(clip)
        return kept

    def rows(self, table, kinds=None):
        """The rows of a table that holds more, and is of clips of these kinds."""
        kept = pd.Series(True, table.index)
        if self.kinds != kinds:  # else rows may be of other kinds than the clips: a swap makes conflicting ones
            kept &= table["kind"].isin(self.kinds)
        for name in _LISTS.keys() & self.parameters.keys():
            if self.parameters[name] is not None:
                kept &= _LISTS[name](table, self.parameters[name])
        if "n_draws" in self.parameters:
            kept &= table["draw"] < max(self.parameters["n_draws"], 1)
        return table[kept].reset_index(drop=True)


def _is_within(name, wanted, had):
    if name in _LISTS and wanted is not None and had is not None:
        return all(one in had for one in wanted)
    return wanted == had or (name == "n_draws" and 0 < wanted < had)


def find(asked, models):
    """The shipped table that holds what is asked for, cut to that; None if there is none.

    Args:
        asked: an `Asked`.
        models: the model, and what the analysis compares it with: their weights have to be those of today.
    """
    for path in sorted(FOLDER.glob(f"{safe_name(asked.model)}--*.parquet")):
        about = read_about(path)
        if asked.is_within(about) and about["weights"] == [model_fingerprint(model) for model in models]:
            return asked.rows(read(path), about["kinds"])
    return None


def path_of(model, name):
    """The file of a shipped table: `name` is its key in `ship.TABLES`."""
    return FOLDER / f"{safe_name(model)}--{name}.parquet"


def keep(table, path, asked, models):
    """Ships a table."""
    write(table, path, asked._asdict() | {"weights": [model_fingerprint(model) for model in models]})
