"""Models by name: the embedded organisms, and whatever transformers loads.

>>> model = load("toy-omni")
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from avnb.errors import AvnbError
from avnb.models import families

if TYPE_CHECKING:
    from avnb.models.native import AVModel

CHECKPOINTS = Path(__file__).parent.parent / "organisms" / "checkpoints"


class ModelError(AvnbError):
    """A model cannot be loaded: says which, why and what to do."""


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


def check(name):
    """A ModelError if no model can have this name; nothing is loaded."""
    organisms = [*shipped(), *talking()]
    if str(name) not in organisms and "/" not in str(name) and not Path(name).is_dir():
        raise ModelError(f"{str(name)!r} is no organism ({', '.join(organisms)}), no folder and no Hub id (OWNER/NAME)")


def base_of(name):
    """The name of the vision-language base that belongs to a model.

    Raises:
        AvnbError: it is not known here.

    Example:
        >>> base_of("toy-omni"), base_of("Qwen/Qwen2.5-Omni-3B")
        ('toy-vl', 'Qwen/Qwen2.5-VL-3B-Instruct')
    """
    if name in talking():
        return "smol-vl"
    return "toy-vl" if name in shipped() else families.base_of(name)


def load(name, dtype=None, device_map=None, quantize=None, revision=None) -> "AVModel":
    """A model ready to be measured.

    Args:
        name: an organism ("toy-omni"), a Hub id ("Qwen/Qwen2.5-Omni-3B") or a folder made by `save_pretrained`.
        dtype: a torch dtype; default float32 on CPU, bfloat16 on a GPU.
        device_map: as in transformers, e.g. "auto"; default the GPU if there is one.
        quantize: None, "8bit" or "4bit" (needs bitsandbytes and a GPU).
        revision: of a Hub checkpoint.

    Raises:
        ModelError: unknown name or an unreadable checkpoint.
        LanguageModelError: an organism that can talk, without its language model.

    Example:
        >>> load("toy-omni").name
        'toy-omni'
    """
    import torch
    import transformers

    import avnb.models.minicpm_o
    import avnb.models.videollama2  # noqa: F401 (registers its classes)
    from avnb.models.native import AVModel

    name = str(name)
    check(name)
    path = str(CHECKPOINTS / name) if name in shipped() else name
    on_gpu = torch.cuda.is_available()
    options = {"dtype": dtype or (torch.bfloat16 if on_gpu else torch.float32), "revision": revision or "main"}
    if device_map or on_gpu:
        options["device_map"] = device_map or "cuda"
    if quantize is not None:
        if quantize not in ("8bit", "4bit"):
            raise ModelError(f"quantize={quantize!r} is unknown; use None, '8bit' or '4bit'")
        options["quantization_config"] = transformers.BitsAndBytesConfig(**{f"load_in_{quantize}": True})
    if name in talking():
        from avnb.models import grafted

        if quantize is not None:
            raise ModelError(f"{name} is put together from weights in full precision; leave out quantize={quantize!r}")
        device = "cuda" if on_gpu else "cpu"  # small enough for any one device
        hf, processor = grafted.load(CHECKPOINTS / name, options["dtype"], device)
        return AVModel(hf, processor, name)
    try:
        config = transformers.AutoConfig.from_pretrained(path, revision=options["revision"])
        cls = getattr(transformers, families.architecture_of(config.model_type) or "AutoModelForMultimodalLM")
        hf = cls.from_pretrained(path, **options)
        processor = transformers.AutoProcessor.from_pretrained(path, revision=options["revision"])
    except (OSError, ValueError, ImportError) as error:
        raise ModelError(f"{name!r} could not be loaded from a folder or the Hub: {error}") from error
    return AVModel(hf, processor, name)


def wrap(hf, processor=None) -> "AVModel":
    """A transformers model that is already in memory, ready to be measured."""
    from avnb.models.native import AVModel

    return AVModel(hf, processor)


def _config(name):
    return json.loads((CHECKPOINTS / name / "config.json").read_text(encoding="utf8"))
