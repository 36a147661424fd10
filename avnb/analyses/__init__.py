"""The analyses: their register, and the language of their tables."""

from typing import NamedTuple

from avnb.errors import AvnbError


class AnalysisError(AvnbError):
    """There is no such analysis."""


class Analysis(NamedTuple):
    """Where an analysis lives, and how its table is made and read."""

    module: str  # of avnb; imported when it is used
    function: str  # f(model, clips, ...) -> DataFrame
    by_clip: bool  # the table of many clips is the tables of single clips
    means_by: tuple[str, ...] = ()  # columns by which `means` averages; none if the module has a `summary`


ANALYSES = {
    "fidelity": Analysis("fidelity", "measure", True, ("kind", "inputs", "question", "modality")),
    "swap": Analysis("swap", "margins", False),
    "attention": Analysis("attention", "measure", True, ("kind", "layer", "head", "step", "group")),
    "lens": Analysis("lens", "latent_recall", False, ("kind", "quantity")),
    "knockout": Analysis("knockout", "sweep", True, ("kind", "question", "modality", "blocked", "start", "stop")),
    "tokens": Analysis("tokens", "shift", False),
}


def check_analysis(name):
    """The `Analysis` of a name; a AnalysisError lists those that there are."""
    if name not in ANALYSES:
        raise AnalysisError(f"there is no analysis {name!r}; use one of {', '.join(ANALYSES)}")
    return ANALYSES[name]
