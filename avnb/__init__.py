"""avnb: do audio-visual language models really see and hear?

>>> model = avnb.load("toy-omni")
>>> clip = avnb.datasets.load("toybox", n=2)[0]
>>> answer = model.caption(clip, "Describe what you hear.")
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from avnb import (
        benchmarks,
        datasets,
        engine,
        judge,
        media,
        models,
        organisms,
        paper,
        plots,
        show,
        speed,
        stats,
        study,
        toybox,
    )
    from avnb.analyses import attention, fidelity, knockout, latent, lens, measure, swap, tokens, vocabulary
    from avnb.datasets import curate
    from avnb.engine import Capture, Condition, EngineError, Random, run
    from avnb.errors import AvnbError
    from avnb.media.clip import Clip, ClipError
    from avnb.models import load, wrap
    from avnb.models.prompt import PromptError

__version__ = "0.1.0"

# Where each public name lives: imported when first used, so that `import avnb` alone does not import torch.
_HOME = {
    **dict.fromkeys(("attention", "fidelity", "knockout", "latent", "lens", "measure", "swap", "tokens"), "analyses"),
    "vocabulary": "analyses",
    "curate": "datasets",
    **dict.fromkeys(("Capture", "Condition", "EngineError", "Random", "run"), "engine"),
    "AvnbError": "errors",
    **dict.fromkeys(("Clip", "ClipError"), "media.clip"),
    **dict.fromkeys(("load", "wrap"), "models"),
    "PromptError": "models.prompt",
}
_ROOMS = (
    *("analyses", "benchmarks", "datasets", "engine", "judge", "media", "models", "organisms", "plots", "show"),
    *("study", "toybox", "files", "layers", "paper", "questions", "speed", "stats"),
)


def __dir__():
    return sorted([*globals(), *_HOME, *_ROOMS])


def __getattr__(name):
    if name in _ROOMS:
        return import_module(f"avnb.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'avnb' has no attribute {name!r}")
    home = import_module(f"avnb.{_HOME[name]}")
    return getattr(home, name) if hasattr(home, name) else import_module(f"{home.__name__}.{name}")
