"""Models by name: the embedded organisms, and whatever transformers loads.

>>> model = load("toy-omni")
"""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from avnb.models import asked, families
from avnb.models.asked import ModelError

if TYPE_CHECKING:
    from avnb.models.native import AVModel

__all__ = [
    "CHECKPOINTS", "ModelError", "base_of", "check", "load", "organisms", "shipped", "talking", "title_of",
    "wrap",
]  # fmt: skip

_PRACTICE = 4.0  # seconds of the clips that organisms are trained on

CHECKPOINTS = Path(__file__).parent.parent / "organisms" / "checkpoints"


def shipped(hearing=False):
    """Names of the organisms that ship with the package, sorted; with hearing=True only those that take sound.

    Example:
        >>> "toy-vl" in shipped(), "toy-vl" in shipped(hearing=True)
        (True, False)
    """
    names = sorted(path.parent.name for path in CHECKPOINTS.glob("*/config.json"))
    return [name for name in names if not hearing or "audio_config" in _config(name)]


def talking():
    """Names of the organisms that can talk, sorted: their language model is fetched once, `avnb fetch smol`.

    Example:
        >>> talking()
        ['smol-omni', 'smol-omni-balanced', 'smol-vl']
    """
    return sorted(path.parent.name for path in CHECKPOINTS.glob("*/adapter_model.safetensors"))


def organisms():
    """Names of all organisms: those that ship whole, then those that can talk."""
    return [*shipped(), *talking()]


def check(name):
    """A ModelError if no model can have this name; nothing is loaded.

    Example:
        >>> check("toy-omny")
        Traceback (most recent call last):
        ...
        avnb.models.asked.ModelError: 'toy-omny' is no organism (toy-omni, toy-omni-balanced, toy-omni-scratch, toy-vl,
        smol-omni, smol-omni-balanced, smol-vl), no folder and no Hub id (OWNER/NAME)
    """
    wanted = asked.read(name)
    if asked.folder(wanted.name):
        return
    if asked.looks_like_a_path(wanted.name):
        raise ModelError(f"{wanted.name!r} is no folder; check the path")
    if wanted.name in organisms():
        if wanted.revision:
            known = ", ".join(word for words in asked.OPTIONS.values() for word in words)
            raise ModelError(f"{str(name)!r}: an organism has no revision {wanted.revision!r}; the options are {known}")
    elif not re.fullmatch(r"[\w.-]+/[\w.-]+", wanted.name):
        raise ModelError(
            f"{wanted.name!r} is no organism ({', '.join(organisms())}), no folder and no Hub id (OWNER/NAME)"
        )


def title_of(name):
    """What tables, figures and folders call the model of a name: a folder's own name without the path to it.

    Example:
        >>> title_of("Qwen/Qwen2.5-Omni-7B@4bit"), title_of(str(CHECKPOINTS / "toy-vl"))
        ('Qwen/Qwen2.5-Omni-7B@4bit', 'toy-vl')
    """
    wanted = asked.read(name)
    folder = wanted.name not in organisms() and asked.folder(wanted.name)
    return f"{folder.name if folder else wanted.name}{wanted.suffix}"


def base_of(name):
    """The name of the vision-language base that belongs to a model, to be loaded as the model is.

    Raises:
        InapplicableError: it is not known here.

    Example:
        >>> base_of("toy-omni"), base_of("Qwen/Qwen2.5-Omni-3B@4bit")
        ('toy-vl', 'Qwen/Qwen2.5-VL-3B-Instruct@4bit')
    """
    wanted = asked.read(name)
    ours = dict.fromkeys(shipped(), "toy-vl") | dict.fromkeys(talking(), "smol-vl")
    base = ours.get(wanted.name) or families.base_of(wanted.name)
    return base + wanted._replace(revision=None).suffix


def load(name, dtype=None, device_map=None, quantize=None, revision=None) -> "AVModel":
    """A model ready to be measured.

    Args:
        name: an organism ("toy-omni"), a Hub id ("Qwen/Qwen2.5-Omni-3B") or a folder made by `save_pretrained`. The
            other arguments can stand in it, so that they can be given wherever a model is named: "NAME@4bit@auto".
        dtype: a torch dtype or its name; default bfloat16 on a GPU and for what was published in it, else float32.
        device_map: as in transformers, e.g. "auto"; default the GPU if there is one.
        quantize: None, "8bit" or "4bit" (needs bitsandbytes and a GPU).
        revision: of a Hub checkpoint.

    Raises:
        ModelError: unknown name, or a checkpoint that is unreadable, incomplete or too much for this machine.
        LanguageModelError: an organism that can talk, without its language model.

    Example:
        >>> load("toy-omni").name, str(load("toy-omni@bfloat16").hf.dtype)
        ('toy-omni', 'torch.bfloat16')
    """
    check(name)
    given = {"dtype": dtype, "device_map": device_map, "quantize": quantize, "revision": revision}
    given = {key: value for key, value in given.items() if value is not None}
    wanted = asked.read(name)._replace(**given)
    from avnb.models import loading

    if wanted.name in talking():
        model = loading.talking(wanted, CHECKPOINTS / wanted.name, title_of(name))
    else:
        folder = CHECKPOINTS / wanted.name if wanted.name in shipped() else asked.folder(wanted.name)
        model = loading.load(wanted, folder, title_of(name))
    model.source = None if given else str(name)
    model.practice = _PRACTICE if wanted.name in organisms() else None
    return model


def wrap(hf, processor=None) -> "AVModel":
    """A transformers model that is already in memory, ready to be measured."""
    from avnb.models.native import AVModel

    return AVModel(hf, processor)


def _config(name):
    return json.loads((CHECKPOINTS / name / "config.json").read_text(encoding="utf8"))
