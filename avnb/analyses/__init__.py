"""The analyses: their register, their contract, and the language of their tables.

A module of this room that is registered here has `plan(clips)`, a function that measures jobs (`jobs.py`), and, where
clips are set against each other, `relate(table)`. The command line, the batch and the book take their lists from here.

Columns mean the same in every table: model, clip, kind (of the clip), question, modality ("audio" or "video"), inputs
(what a prompt held), layer, or start and stop (a span of layers, stop exclusive), head, group (of positions or of
tokens), position, step and token (of an answer), blocked, instead and draw (an intervention: what is cut, what stands
in), readout (what reads a state), against (a second model), event, rank, quantity, value and null (a comparison),
answer (text), truncated (whether it was cut off), reason (why a value is missing). Of questions with options: source
(the set), item (the question), task, options, right and chosen (two of them), cluster (a video). Shares, fidelities and
recall lie in 0..1, log-probabilities, margins and divergences are in nats.
"""

from importlib import import_module
from typing import NamedTuple

from avnb.errors import AvnbError


class AnalysisError(AvnbError):
    """There is no such analysis, or it cannot be carried out on these clips."""


class Analysis(NamedTuple):
    """How an analysis is found and summarised.

    Attributes:
        about: what it measures, in a line.
        function: of its module, the one that measures jobs.
        means_by: columns by which `study.means` averages; none if the module has a `summary`.
        clips: the room whose `load` gives its clips.
        plain: whether it asks for plain answers, few for a clip, so that several clips had better be answered at once.
    """

    about: str
    function: str = "measure"
    means_by: tuple[str, ...] = ()
    clips: str = "avnb.datasets"
    plain: bool = False


ANALYSES = {
    "fidelity": Analysis(
        "do answers name what is seen, and what is heard?",
        means_by=("kind", "inputs", "question", "modality"),
        plain=True,
    ),
    "swap": Analysis("how much an answer owes to the sound, how much to the picture", "margins"),
    "attention": Analysis(
        "where answers look: audio, video or text", means_by=("kind", "layer", "head", "step", "group")
    ),
    "lens": Analysis("what audio positions would say, layer by layer", "decoded", ("kind", "quantity")),
    "knockout": Analysis(
        "what becomes of answers that may not look at picture or sound",
        "sweep",
        ("kind", "question", "modality", "blocked", "start", "stop"),
    ),
    "tokens": Analysis("would a model that cannot hear have said the same words?", "shift"),
    "questions": Analysis("are benchmarks answered, and with which modality taken away?", clips="avnb.benchmarks"),
}


def find(name):
    """The `Analysis` of a name, and its module.

    Args:
        name: of `ANALYSES`; or "MODULE.FUNCTION" for another function of this room that takes a model and clips, e.g.
            "knockout.scores".

    Raises:
        AnalysisError: there is none; lists those that there are.

    Example:
        >>> find("knockout.scores")[0].function
        'scores'
    """
    module, _, function = name.partition(".")
    if not function and name not in ANALYSES:
        raise AnalysisError(f"there is no analysis {name!r}; use one of {', '.join(ANALYSES)}")
    try:
        module = import_module(f"avnb.analyses.{module}")
        if function:
            getattr(module, function)
    except (ImportError, AttributeError) as error:
        raise AnalysisError(f"there is no analysis {name!r} ({error}); use MODULE.FUNCTION of avnb.analyses") from error
    return Analysis("", function) if function else ANALYSES[name], module


def related(known, module, table):
    """A table of all rows, with its clips set against each other, as far as its analysis does."""
    function = "relate" if known in ANALYSES.values() else f"relate_{known.function}"
    return getattr(module, function)(table) if hasattr(module, function) and len(table) else table


def measure(analysis, model, clips, **options):
    """One analysis of a model: its whole table, kept nowhere (`study.measure` keeps it).

    Args:
        analysis: a name of `ANALYSES`.
        model: an AVLLM from `avnb.load`.
        clips: the clips.
        **options: of the analysis.

    Returns:
        DataFrame, as the analysis describes it.

    Raises:
        AnalysisError: there is no such analysis.

    Example:
        >>> table = measure("fidelity", avnb.load("toy-omni"), avnb.datasets.load("toybox", n=2), inputs=["both"])
        >>> table.groupby("modality").size().to_dict()
        {'audio': 4, 'video': 4}
    """
    known, module = find(analysis)
    return related(known, module, getattr(module, known.function)(model, clips, **options))
