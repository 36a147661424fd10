"""Loading a checkpoint: whole or not at all, from files that run no code, and with every failure told in one line."""

from contextlib import contextmanager
from importlib.util import find_spec
from pickle import UnpicklingError

import torch
import transformers
from huggingface_hub import HfApi, constants, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError
from safetensors import SafetensorError
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_MULTIMODAL_LM_MAPPING

import avnb.models.minicpm_o
import avnb.models.videollama2  # noqa: F401 (registers its classes)
from avnb.models import families, grafted
from avnb.models.asked import OPTIONS, ModelError
from avnb.models.native import AVModel
from avnb.questions import SEE

_PATIENCE = 5  # seconds for the Hub to answer
_LONGEST = 300  # characters of a reason that somebody else wrote


def load(asked, folder, title):
    """The model in a folder, or on the Hub if there is none; the processor comes first, being small.

    Args:
        asked: an `Asked`, whose `dtype` and `device_map` may also be what transformers takes.
        folder: the path of a checkpoint, None for one on the Hub.
        title: what tables call the model.

    Raises:
        ModelError: the checkpoint is not there, is damaged or incomplete, or asks for what this machine lacks.
    """
    name = f"{asked.name}{asked.suffix}"
    device = _device(asked, name)
    with _told(name):
        source = {"pretrained_model_name_or_path": str(folder or asked.name)}
        source |= {} if folder else _on_hub(asked.name, asked.revision)
        config = _config(source, name)
        if config.model_type == "phi4_multimodal":
            raise ModelError(
                f"{name}: it sees and hears through adapters beside its weights, and without them every number would "
                "be of another model; load both with transformers (load_adapter), then avnb.wrap(model, processor)"
            )
        architecture = families.architecture_of(config.model_type)
        if architecture is None and type(config) not in MODEL_FOR_MULTIMODAL_LM_MAPPING:
            raise ModelError(f"{name}: a {config.model_type} model takes no pictures and no sound beside its text")
        processor = transformers.AutoProcessor.from_pretrained(**source, trust_remote_code=False)
        if not getattr(processor, "tokenizer", processor)(SEE)["input_ids"]:
            raise ModelError(f"{name} could not be loaded: its tokenizer knows no word; is tokenizer.json there?")
        options = {"dtype": _dtype(asked, config, device)}
        if device is not None:
            options["device_map"] = device
        if asked.quantize is not None:
            options["quantization_config"] = transformers.BitsAndBytesConfig(**{f"load_in_{asked.quantize}": True})
        cls = getattr(transformers, architecture or "AutoModelForMultimodalLM")
        hf, info = cls.from_pretrained(
            **source, **options, trust_remote_code=False, output_loading_info=True, ignore_mismatched_sizes=True
        )
    _complete(info, name)
    model = AVModel(hf, processor, title)
    model.unused = tuple(sorted(info["unexpected_keys"]))
    return model


def talking(asked, folder, title):
    """An organism that can talk: what was learnt here, put onto its language model.

    Raises:
        ModelError: it is asked for in 8 or 4 bit.
        LanguageModelError: the language model was not fetched.
    """
    if asked.quantize is not None:
        raise ModelError(f"{asked.name} is put together from weights in full precision; leave out {asked.quantize}")
    device = _device(asked, asked.name)
    on_gpu = torch.cuda.is_available() and device != "cpu"  # small enough for any one device
    dtype = asked.dtype or (torch.bfloat16 if on_gpu else torch.float32)
    dtype = getattr(torch, dtype) if isinstance(dtype, str) else dtype
    hf, processor = grafted.load(folder, dtype, "cuda" if on_gpu else "cpu")
    model = AVModel(hf, processor, title)
    model.unused = ()
    return model


def _device(asked, name):
    """Where the weights go: None for the CPU, as transformers has it."""
    if asked.quantize not in (None, *OPTIONS["quantize"]):
        raise ModelError(f"{name}: quantize={asked.quantize!r} is unknown; use {' or '.join(OPTIONS['quantize'])}")
    has_gpu = torch.cuda.is_available()
    device = asked.device_map or ("cuda" if has_gpu else None)
    if not has_gpu:
        if str(device).startswith("cuda"):
            raise ModelError(f"{name}: there is no GPU for {device!r} that torch can use; leave it out")
        if asked.quantize is not None:
            raise ModelError(f"{name}: {asked.quantize} needs a GPU that torch can use; leave it out")
    if asked.quantize is not None and find_spec("bitsandbytes") is None:
        raise ModelError(f'{name}: {asked.quantize} needs bitsandbytes; install it with: pip install "avnb[quantize]"')
    return device


def _dtype(asked, config, device):
    """bfloat16 on a GPU, and on the CPU for what was published in it; else float32."""
    if asked.dtype is not None:
        return getattr(torch, asked.dtype) if isinstance(asked.dtype, str) else asked.dtype
    parts = (config, getattr(config, "thinker_config", config), config.get_text_config())
    on_gpu = torch.cuda.is_available() and device != "cpu"
    return torch.bfloat16 if on_gpu or any(part.dtype == torch.bfloat16 for part in parts) else torch.float32


def _on_hub(name, revision):
    """How a checkpoint on the Hub is named to transformers: by its commit, or from the cache if the Hub is away."""
    if not constants.HF_HUB_OFFLINE:
        try:
            return {"revision": HfApi().model_info(name, revision=revision, timeout=_PATIENCE).sha}
        except RepositoryNotFoundError:
            raise ModelError(
                f"{name!r} is no folder here and no model on the Hub that you may see; check the name, or log in: "
                "hf auth login"
            ) from None
        except RevisionNotFoundError:
            known = ", ".join(word for words in OPTIONS.values() for word in words)
            raise ModelError(f"{name!r} has no revision {revision!r} (and the options are {known})") from None
        except HfHubHTTPError as error:
            if error.response.status_code < 500:
                raise
        except Exception:  # no network: which error it is depends on the version of the Hub's library
            pass
    if not isinstance(try_to_load_from_cache(name, "config.json", revision=revision), str):
        raise ModelError(
            f"{name!r} is no folder here, not in the cache ({constants.HF_HUB_CACHE}), and the Hub cannot be reached; "
            "connect to it, or set HF_HOME to a cache that holds the model"
        )
    return {"revision": revision or "main", "local_files_only": True}


def _config(source, name):
    settings, _ = transformers.PreTrainedConfig.get_config_dict(**source)
    if (kind := settings.get("model_type")) not in CONFIG_MAPPING:
        own_code = "; it brings code of its own, which is never run" if "auto_map" in settings else ""
        raise ModelError(
            f"{name} could not be loaded: its config.json says model_type {kind!r}, which "
            f"transformers {transformers.__version__} does not know{own_code}"
        )
    return transformers.AutoConfig.from_pretrained(**source, trust_remote_code=False)


def _complete(info, name):
    """What a file lacks would stay random, and every number that follows would be of a random model."""
    wrong = {
        "lacks": sorted(info["missing_keys"]),
        "has in another size": sorted(name for name, *_ in info["mismatched_keys"]),
    }
    unused = sorted(info["unexpected_keys"])
    instead = f" (and holds {len(unused)} that have no place, e.g. {unused[0]})" if unused else ""
    for what, names in wrong.items():
        if names:
            raise ModelError(
                f"{name}: the checkpoint {what} {len(names)} of the model's weights, which would stay random, e.g. "
                f"{names[0]}{instead}; get its files again, or another version of it"
            )


@contextmanager
def _told(name):
    """Any failure as one line; transformers' own report, of many lines, is not shown."""
    logs = transformers.utils.logging
    before = logs.get_verbosity()
    logs.set_verbosity(logs.CRITICAL)
    try:
        yield
    except ModelError:
        raise
    except SafetensorError as error:
        raise ModelError(f"{name}: a file of weights is damaged or cut off ({error}); get it again") from error
    except UnpicklingError as error:
        raise ModelError(
            f"{name}: its weights are a pickle that holds more than tensors, and was not opened; use a checkpoint in "
            "safetensors"
        ) from error
    except torch.OutOfMemoryError as error:
        raise ModelError(f"{name} does not fit into the GPU; what would is told by: avnb doctor {name}") from error
    except Exception as error:  # a damaged checkpoint can raise anything
        reason = " ".join(str(error).split())
        reason = reason if len(reason) <= _LONGEST else f"{reason[:_LONGEST]} ..."
        raise ModelError(f"{name} could not be loaded: {type(error).__name__}: {reason}") from error
    finally:
        logs.set_verbosity(before)
