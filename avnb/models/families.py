"""The published models that fit the measurements, one row a family.

`avnb models`, `avnb doctor`, the loading of checkpoints and the tables of the book are made from them.

>>> family_of("Qwen/Qwen2.5-Omni-3B").hears, base_of("Qwen/Qwen2.5-Omni-3B")
(True, 'Qwen/Qwen2.5-VL-3B-Instruct')
"""

from typing import NamedTuple

from avnb.errors import InapplicableError


class Checkpoint(NamedTuple):
    """Published weights: their name on the Hugging Face Hub, the size of what is measured, and their base."""

    name: str
    parameters: float  # billions, of the part that is measured
    base: str | None = None  # the vision-language model that it was made from
    layers: int = 0  # of the decoder
    embedding: float = 0.0  # billions of parameters of embeddings and head, which are not quantised
    cache: int = 0  # bytes of keys and values that a token takes in bfloat16
    tokens: int = 3_300  # of a prompt about ten seconds of 640 by 360 pixels, with sound


class Family(NamedTuple):
    """Models of one architecture."""

    name: str
    model_types: tuple[str, ...]  # in the configuration of a checkpoint
    architecture: str  # the class that loads the part that is measured
    hears: bool
    licence: str
    checkpoints: tuple[Checkpoint, ...]
    verified: str  # what was shown of this code path without the weights

    @property
    def takes(self):
        """What it takes, in words."""
        return "video, audio" if self.hears else "video"


_SAME_PATH = "same code path as the organisms; full-size processor settings"
_PORTED = "every module and a whole prompt equal to the published code, on random weights of a small size"
_BESIDE_UPSTREAM = "beside upstream's own code on random weights: modules, preprocessing, whole prompts"

FAMILIES = (
    Family(
        "Qwen2.5-Omni",
        ("qwen2_5_omni", "qwen2_5_omni_thinker"),
        "Qwen2_5OmniThinkerForConditionalGeneration",
        True,
        "Apache 2.0 (7B), Qwen Research (3B)",
        (
            Checkpoint("Qwen/Qwen2.5-Omni-3B", 4.70, "Qwen/Qwen2.5-VL-3B-Instruct", 36, 0.62, 36_864),
            Checkpoint("Qwen/Qwen2.5-Omni-7B", 8.93, "Qwen/Qwen2.5-VL-7B-Instruct", 28, 1.09, 57_344),
        ),
        _SAME_PATH,
    ),
    Family(
        "Qwen3-Omni",
        ("qwen3_omni_moe", "qwen3_omni_moe_thinker"),
        "Qwen3OmniMoeThinkerForConditionalGeneration",
        True,
        "Apache 2.0",
        (Checkpoint("Qwen/Qwen3-Omni-30B-A3B-Instruct", 31.72, None, 48, 0.62, 98_304, 2_400),),
        "engine parity on random weights of a small size",
    ),
    Family(
        "Qwen2.5-VL",
        ("qwen2_5_vl",),
        "Qwen2_5_VLForConditionalGeneration",
        False,
        "Apache 2.0 (7B), Qwen Research (3B)",
        (
            Checkpoint("Qwen/Qwen2.5-VL-3B-Instruct", 3.75, None, 36, 0.31, 36_864, 3_000),
            Checkpoint("Qwen/Qwen2.5-VL-7B-Instruct", 8.29, None, 28, 1.09, 57_344, 3_000),
        ),
        _SAME_PATH,
    ),
    Family(
        "VideoLLaMA 2.1-AV",
        ("videollama2_qwen2",),
        "AutoModelForMultimodalLM",
        True,
        "Apache 2.0; its README adds: non-commercial use only",
        (
            Checkpoint(
                "DAMO-NLP-SG/VideoLLaMA2.1-7B-AV", 8.53, "DAMO-NLP-SG/VideoLLaMA2.1-7B-16F", 28, 1.09, 57_344, 2_200
            ),
        ),
        _PORTED,
    ),
    Family(
        "VideoLLaMA 2.1",
        ("videollama2_qwen2",),
        "AutoModelForMultimodalLM",
        False,
        "Apache 2.0; its README adds: non-commercial use only",
        (Checkpoint("DAMO-NLP-SG/VideoLLaMA2.1-7B-16F", 8.42, None, 28, 1.09, 57_344, 1_400),),
        _PORTED,
    ),
    Family(
        "MiniCPM-o",
        ("minicpmo",),
        "AutoModelForMultimodalLM",
        True,
        "MiniCPM Model License (research free, commercial use after registration)",
        (Checkpoint("openbmb/MiniCPM-o-2_6", 8.42, "openbmb/MiniCPM-V-2_6", 28, 1.09, 57_344, 1_000),),
        _BESIDE_UPSTREAM,
    ),
    Family(
        "MiniCPM-V",
        ("minicpmv",),
        "AutoModelForMultimodalLM",
        False,
        "MiniCPM Model License (research free, commercial use after registration)",
        (Checkpoint("openbmb/MiniCPM-V-2_6", 8.10, None, 28, 1.09, 57_344, 700),),
        _BESIDE_UPSTREAM,
    ),
)


def family_of(name):
    """The `Family` of a published checkpoint, None if it is not listed."""
    return next((family for family in FAMILIES if any(one.name == name for one in family.checkpoints)), None)


def architecture_of(model_type):
    """The transformers class that loads a checkpoint of this model type; None leaves the choice to transformers.

    Example:
        >>> architecture_of("qwen2_5_omni")
        'Qwen2_5OmniThinkerForConditionalGeneration'
    """
    return next((family.architecture for family in FAMILIES if model_type in family.model_types), None)


def base_of(name):
    """The name of the vision-language base that a published model was made from.

    Raises:
        InapplicableError: it is not known here.
    """
    bases = {one.name: one.base for family in FAMILIES for one in family.checkpoints}
    if bases.get(name) is None:
        raise InapplicableError(
            f"no vision-language base is known for {name!r} to compare it with; name one: base=OWNER/NAME"
        )
    return bases[name]
