"""avnb: do audio-visual language models really see and hear?

>>> model = avnb.load("toy-omni")
>>> clip = avnb.datasets.load("toybox", n=2)[0]
>>> answer = model.caption(clip, "Describe what you hear.")
"""

from importlib import import_module

__version__ = "0.1.0"

_HOME = {
    "Clip": "clips",
    "ClipError": "clips",
    "load": "models",
    "wrap": "models",
    "run": "engine",
    "Condition": "rules",
    "Random": "rules",
    "Capture": "capture",
    "PromptError": "models.prompt",
    "EngineError": "shared",
}


def __dir__():
    return sorted([*globals(), *_HOME, "datasets", "curate", "models", "show"])


def __getattr__(name):
    """Names and modules are imported when first used: `import avnb` alone does not import torch."""
    if name in _HOME:
        return getattr(import_module(f"avnb.{_HOME[name]}"), name)
    try:
        return import_module(f"avnb.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"avnb.{name}":
            raise
        raise AttributeError(f"module 'avnb' has no attribute {name!r}") from None
