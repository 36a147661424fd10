"""The published models that fit the measurements, one row a family.

`avnb models`, `avnb doctor`, the loading of checkpoints and the tables of the book are made from them.

>>> family_of("Qwen/Qwen2.5-Omni-3B").hears, base_of("Qwen/Qwen2.5-Omni-3B")
(True, 'Qwen/Qwen2.5-VL-3B-Instruct')
"""

from typing import NamedTuple

from avnb.errors import InapplicableError
from avnb.models import asked


class Checkpoint(NamedTuple):
    """Published weights, by their true configuration; sizes are of what is measured."""

    name: str  # on the Hugging Face Hub
    parameters: float  # billions
    layers: int  # of the decoder
    kept: float  # billions of the parameters that 8 and 4 bit leave as they are: embeddings, head, fused experts
    cache: int  # bytes that a token takes in the cache, in bfloat16
    positions: int  # of a 10 s clip of 640 x 360 pixels with sound
    base: str | None = None  # the vision-language model that it was made from


class Family(NamedTuple):
    """Models of one architecture; without checkpoints where their true configuration is not known here."""

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
_MINIATURE = "miniature of the true class: prompts, answers as by generate, knockouts as by hooks"
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
            Checkpoint("Qwen/Qwen2.5-Omni-3B", 4.703, 36, 0.622, 36_864, 3_240, "Qwen/Qwen2.5-VL-3B-Instruct"),
            Checkpoint("Qwen/Qwen2.5-Omni-7B", 8.932, 28, 1.090, 57_344, 3_240, "Qwen/Qwen2.5-VL-7B-Instruct"),
        ),
        _SAME_PATH,
    ),
    Family(
        "Qwen3-Omni",
        ("qwen3_omni_moe", "qwen3_omni_moe_thinker"),
        "Qwen3OmniMoeThinkerForConditionalGeneration",
        True,
        "Apache 2.0",
        (Checkpoint("Qwen/Qwen3-Omni-30B-A3B-Instruct", 31.719, 48, 29.614, 98_304, 2_330),),
        f"{_MINIATURE}; positions equal to the model's own, 13 a second",
    ),
    Family(
        "Qwen2.5-VL",
        ("qwen2_5_vl",),
        "Qwen2_5_VLForConditionalGeneration",
        False,
        "Apache 2.0 (7B), Qwen Research (3B)",
        (
            Checkpoint("Qwen/Qwen2.5-VL-3B-Instruct", 3.755, 36, 0.311, 36_864, 2_990),
            Checkpoint("Qwen/Qwen2.5-VL-7B-Instruct", 8.292, 28, 1.090, 57_344, 2_990),
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
                "DAMO-NLP-SG/VideoLLaMA2.1-7B-AV", 8.527, 28, 1.090, 57_344, 2_172, "DAMO-NLP-SG/VideoLLaMA2.1-7B-16F"
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
        (Checkpoint("DAMO-NLP-SG/VideoLLaMA2.1-7B-16F", 8.421, 28, 1.090, 57_344, 1_352),),
        _PORTED,
    ),
    Family(
        "MiniCPM-o",
        ("minicpmo",),
        "AutoModelForMultimodalLM",
        True,
        "MiniCPM Model License (research free, commercial use after registration)",
        (Checkpoint("openbmb/MiniCPM-o-2_6", 8.423, 28, 1.087, 57_344, 940, "openbmb/MiniCPM-V-2_6"),),
        _BESIDE_UPSTREAM,
    ),
    Family(
        "MiniCPM-V",
        ("minicpmv",),
        "AutoModelForMultimodalLM",
        False,
        "MiniCPM Model License (research free, commercial use after registration)",
        (Checkpoint("openbmb/MiniCPM-V-2_6", 8.099, 28, 1.087, 57_344, 660),),
        _BESIDE_UPSTREAM,
    ),
    Family(
        "Gemma 4 (E2B, E4B)",
        ("gemma4",),
        "Gemma4ForConditionalGeneration",
        True,
        "see the model card",
        (),
        f"{_MINIATURE}; at most 30 s of sound",
    ),
    Family(
        "Gemma 4 (12B, no encoders)",
        ("gemma4_unified",),
        "Gemma4UnifiedForConditionalGeneration",
        True,
        "see the model card",
        (),
        f"{_MINIATURE}; at most 30 s of sound",
    ),
    Family(
        "Gemma 3n",
        ("gemma3n",),
        "Gemma3nForConditionalGeneration",
        True,
        "Gemma terms",
        (),
        f"{_MINIATURE}; frames as pictures, at most 30 s of sound, no logit lens; needs timm",
    ),
    Family(
        "Phi-4-multimodal",
        ("phi4_multimodal",),
        "Phi4MultimodalForCausalLM",
        True,
        "see the model card",
        (),
        f"{_MINIATURE}; frames as pictures; load its adapters with transformers first, then `avnb.wrap`",
    ),
)


def family_of(name):
    """The `Family` of a published checkpoint, however it is loaded ("NAME@4bit"); None if it is not listed."""
    name = asked.read(name).name
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
        raise InapplicableError(f"no vision-language base is known for {name!r}; name it: base=...")
    return bases[name]
