"""What a model is asked for by, wherever one can be named: NAME, or NAME@OPTION@OPTION.

>>> read("Qwen/Qwen2.5-Omni-7B@4bit@auto")
Asked(name='Qwen/Qwen2.5-Omni-7B', dtype=None, device_map='auto', quantize='4bit', revision=None)
"""

from pathlib import Path
from typing import NamedTuple

from avnb.errors import AvnbError

OPTIONS = {
    "dtype": ("float32", "bfloat16", "float16"),
    "device_map": ("auto", "cuda", "cpu"),
    "quantize": ("8bit", "4bit"),
}


class ModelError(AvnbError):
    """A model cannot be loaded: says which, why and what to do."""


class Asked(NamedTuple):
    """A name, and how the model is to be loaded; see `avnb.load`."""

    name: str  # an organism, a Hub id, or the path of a folder
    dtype: str | None = None
    device_map: str | None = None
    quantize: str | None = None
    revision: str | None = None

    @property
    def suffix(self):
        """The options, as they stand behind a name."""
        return "".join(f"@{value}" for value in self[1:] if value is not None)


def read(text) -> Asked:
    """The parts of a text: a name, and in any order a precision, a device and the revision of a Hub checkpoint.

    Raises:
        ModelError: an option is given twice.

    Example:
        >>> read("Qwen/Qwen2.5-Omni-3B@f75b40e").revision
        'f75b40e'
    """
    text = str(text)
    if folder(text):
        return Asked(text)
    name, *words = text.split("@")
    found = {}
    for word in words:
        kind = next((kind for kind, known in OPTIONS.items() if word in known), "revision")
        if kind in found or not word:
            raise ModelError(
                f"{text!r}: the {kind} is given as {found.get(kind)!r} and as {word!r}; give it once, e.g. {name}@4bit"
            )
        found[kind] = word
    return Asked(name, **found)


def folder(name):
    """The folder that a name means, None if it means none."""
    path = Path(name).expanduser()
    return path.resolve() if path.is_dir() else None


def looks_like_a_path(name):
    """Whether a name can only be a path: OWNER/NAME may be a Hub id, and NAME an organism."""
    return name.startswith(("~", ".", "/")) or name.count("/") > 1 or "\\" in name
