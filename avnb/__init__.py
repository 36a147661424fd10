"""avnb: do audio-visual language models really see and hear?

import avnb
model = avnb.load("toy-omni")
clips = avnb.datasets.load("toybox", n=4)
model.caption(clips[0], "Describe what you hear.")
"""

from importlib import import_module

__version__ = "0.1.0"

_HOME = {
    "Clip": "clips",
    "ClipError": "clips",
    "load": "models",
    "wrap": "models",
    "run": "engine",
    "Condition": "engine",
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
