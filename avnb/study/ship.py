"""Which tables come with the package (`shipped`), and the command that measures them.

python -m avnb.study.ship                 # all that is missing or was measured with other weights; resumes
python -m avnb.study.ship knockout swap   # of these alone
"""

import argparse
from typing import NamedTuple

from avnb import datasets, models, study
from avnb.files import cache_folder
from avnb.layers import cumulative, windows
from avnb.questions import HEAR, SEE
from avnb.study import shipped
from avnb.study.shipped import DATASET, EACH, N_CLIPS, SEED

HEARING = ("toy-omni", "toy-omni-balanced", "toy-omni-scratch")
_N_LAYERS = 8  # of all organisms that were trained from nothing
_WHOLE = (0, _N_LAYERS)
_GROUPS = ["video", "audio", "video+audio", "query"]
_CONFLICT = ["counterfactual"]
_HEAR = {"questions": [HEAR]}
_LATER = sorted({*windows(_N_LAYERS, 2), *cumulative(_N_LAYERS, "last", 2)} - {*cumulative(_N_LAYERS)})


class Table(NamedTuple):
    """A table that is measured.

    Attributes:
        analysis, options, kinds, each, n: as in `study.table`.
        models: names.
    """

    analysis: str
    options: dict
    models: tuple[str, ...] = ("toy-omni",)
    kinds: list | None = None
    each: int | None = EACH
    n: int = N_CLIPS


TABLES = {
    "fidelity": Table("fidelity", {}, ("toy-vl", *HEARING), each=None),
    "knockout": Table("knockout", {"spans": cumulative(_N_LAYERS), "blocked": _GROUPS, "n_draws": 1}),
    "ranks": Table("lens.event_ranks", {"group": "audio+video+last", "answer": "I hear"}),
    "ranks-cut": Table("lens.event_ranks", {"cut": ["audio", "video"]}, kinds=_CONFLICT),
    "instead": Table("instead.measure", {"n_draws": 1}, kinds=_CONFLICT),
    "patching": Table("patching.measure", {}, kinds=_CONFLICT),
    "probe": Table("probe.measure", {}),
    "knockout-whole": Table(
        "knockout", _HEAR | {"spans": [_WHOLE], "blocked": _GROUPS, "n_draws": 1}, HEARING, _CONFLICT
    ),
    "knockout-inside": Table(
        "knockout", _HEAR | {"spans": [_WHOLE], "source": "audio", "blocked": ["video"], "n_draws": 0}, kinds=_CONFLICT
    ),
    "lens": Table("lens", {}, HEARING),
    "swap": Table("swap", {}, HEARING, ["factual"]),
    "scores": Table("knockout.scores", {"spans": cumulative(_N_LAYERS), "n_draws": 1}, kinds=_CONFLICT),
    "flow": Table("knockout.flow", {"spans": [*windows(_N_LAYERS, 2, 2), _WHOLE], "n_draws": 1}, kinds=_CONFLICT),
    "tokens": Table("tokens", {}),
    "knockout-spans": Table("knockout", _HEAR | {"spans": _LATER, "blocked": _GROUPS, "n_draws": 1}, kinds=_CONFLICT),
    "knockout-generated": Table(
        "knockout", _HEAR | {"spans": [_WHOLE], "source": "generated", "n_draws": 1}, kinds=_CONFLICT
    ),
    "swap-see": Table("swap", {"question": SEE, "field": "video_captions"}, kinds=["factual"]),
    "lens-raw": Table("lens", {"normed": False}),
    "attention": Table("attention", {}),
    "attention-fine": Table("attention", {"groups": "fine", "over": "all"}),
    "attention-shuffled": Table("attention", {"shuffled": True}),
    "attention-steps": Table("attention", {"by": "step"}),
    "attention-heads": Table("attention", {"by": "head"}),
    "attention-without-sinks": Table("attention", {"without_sinks": 10.0}),
    "blend": Table("blend.words", {}, kinds=_CONFLICT, each=None, n=3 * N_CLIPS),  # few answers are one
    "questions": Table("questions", {}),
    "questions-both": Table("questions", {"inputs": ["both"]}, ("toy-omni-balanced",)),
}


def measure(names=None):
    """Measure what is missing or was measured with other weights.

    Args:
        names: keys of `TABLES`; None for all.
    """
    for name in names or TABLES:
        analysis, options, of, kinds, each, n = TABLES[name]
        for model in map(models.load, of):
            asked, others = study.asked(analysis, model, DATASET, n, SEED, each, kinds, options)
            if shipped.find(asked, [model, *others]) is None:
                folder = cache_folder() / "shipping"
                clips = asked.clips(datasets.load(DATASET, n=n, seed=SEED))
                table = study.measure(analysis, model, clips, dataset=DATASET, seed=SEED, out=folder, **options)
                shipped.keep(table, shipped.path_of(model.name, name), asked, [model, *others])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *TABLES], help="of tables; all if none is given")
    measure(parser.parse_args().names)
