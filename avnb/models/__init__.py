"""Models by name: the embedded organisms, and whatever transformers loads.

>>> model = load("toy-omni")
"""

from pathlib import Path

import torch
import transformers

from avnb.models.native import AVModel

CHECKPOINTS = Path(__file__).parent.parent / "toybox" / "checkpoints"

# Model families whose text side alone is measured: the class that loads it, by the checkpoint's model type.
_CLASSES = {
    "qwen2_5_omni": "Qwen2_5OmniThinkerForConditionalGeneration",
    "qwen2_5_omni_thinker": "Qwen2_5OmniThinkerForConditionalGeneration",
    "qwen3_omni_moe": "Qwen3OmniMoeThinkerForConditionalGeneration",
}


class ModelError(ValueError):
    """A model cannot be loaded: says which, why and what to do."""


def organisms():
    """Names of the organisms that ship with the package, sorted."""
    return sorted(path.parent.name for path in CHECKPOINTS.glob("*/config.json"))


def load(name, dtype=None, device_map=None, quantize=None, revision=None):
    """A model ready to be measured.

    Args:
        name: an organism ("toy-omni"), a Hub id ("Qwen/Qwen2.5-Omni-3B") or a folder made by `save_pretrained`.
        dtype: a torch dtype; default float32 on CPU, bfloat16 on a GPU.
        device_map: as in transformers, e.g. "auto"; default the GPU if there is one.
        quantize: None, "8bit" or "4bit" (needs bitsandbytes and a GPU).
        revision: of a Hub checkpoint.

    Raises:
        ModelError: unknown name or an unreadable checkpoint.

    Example:
        >>> load("toy-omni").name
        'toy-omni'
    """
    name = str(name)
    path = str(CHECKPOINTS / name) if name in organisms() else name
    if "/" not in path and not Path(path).is_dir():
        raise ModelError(f"{name!r} is no organism ({', '.join(organisms())}), no folder and no Hub id (OWNER/NAME)")
    on_gpu = torch.cuda.is_available()
    options = {"dtype": dtype or (torch.bfloat16 if on_gpu else torch.float32), "revision": revision or "main"}
    if device_map or on_gpu:
        options["device_map"] = device_map or "cuda"
    if quantize is not None:
        if quantize not in ("8bit", "4bit"):
            raise ModelError(f"quantize={quantize!r} is unknown; use None, '8bit' or '4bit'")
        options["quantization_config"] = transformers.BitsAndBytesConfig(**{f"load_in_{quantize}": True})
    try:
        config = transformers.AutoConfig.from_pretrained(path, revision=options["revision"])
        cls = getattr(transformers, _CLASSES.get(config.model_type, "AutoModelForMultimodalLM"))
        hf = cls.from_pretrained(path, **options)
        processor = transformers.AutoProcessor.from_pretrained(path, revision=options["revision"])
    except (OSError, ValueError, ImportError) as error:
        raise ModelError(f"{name!r} could not be loaded from a folder or the Hub: {error}") from error
    return AVModel(hf, processor, name)


def wrap(hf, processor=None):
    """A transformers model that is already in memory, ready to be measured."""
    return AVModel(hf, processor)
