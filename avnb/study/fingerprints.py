"""Fingerprints: what a table rests on, so that it is measured anew when that has changed."""

import hashlib
import platform
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch

from avnb.files import digest, file_hash

_PACKAGES = ("avnb", "torch", "transformers", "numpy", "pandas", "pyarrow", "av", "soxr")

_NOT_MEASURING = (
    "plots", "batch.py", "cli.py", "doctor.py", "generalisation.py", "paper.py", "show.py", "speed.py",
    "cards.py", "dose.py", "exam.py", "learner.py", "recipes.py", "response.py", "train.py",
)  # fmt: skip

_N_SAMPLED = 4096  # weights of a tensor that its fingerprint looks at


@cache
def code_fingerprint(everything=False):
    """A hash of the code of `avnb`; by default of what measurements rest on, which figures and the like do not."""
    package = Path(__file__).parent.parent
    files = sorted(path.relative_to(package) for path in [*package.rglob("*.py"), *package.glob("*.json")])
    if not everything:
        files = [path for path in files if path.suffix == ".py" and not {*path.parts} & {*_NOT_MEASURING}]
    return digest([(path.as_posix(), file_hash(package / path)) for path in files])


def model_fingerprint(model):
    """A hash of a model: its settings, those of its processor, and weights spread over all of its tensors."""
    total = hashlib.sha256()
    settings = model.hf.config.to_dict()
    ignored = ("_name_or_path", "transformers_version")  # neither changes an answer, both differ between machines
    total.update(digest({key: value for key, value in settings.items() if key not in ignored}).encode())
    total.update(digest([_processor_settings(model), sorted(model.stop_ids)]).encode())
    for name, weight in sorted(model.hf.state_dict().items()):
        total.update(f"{name} {list(weight.shape)} {weight.dtype}".encode())
        if weight.device.type != "meta" and weight.numel():
            some = weight.detach().flatten()[:: max(1, weight.numel() // _N_SAMPLED)]
            total.update(some.contiguous().cpu().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()[:16]


def _processor_settings(model):
    """What a model's processor makes of a clip and a question; empty without one."""
    to_dict = getattr(model.processor, "to_dict", dict)  # a tokenizer alone has none
    template = getattr(model.processor, "chat_template", None)
    return to_dict(), template, model.tokenizer.get_vocab() if hasattr(model.tokenizer, "get_vocab") else {}


def clips_fingerprint(clips):
    """A hash of all that clips are, in this order, with the content of their files."""

    def described(clip):
        files = {key: file_hash(value) for key in ("video", "audio") if (value := getattr(clip, key)) is not None}
        return asdict(clip) | files

    return digest([described(clip) for clip in clips])


def made_with(model):
    """The packages and the model behind a table, for readers; only fingerprints decide whether it holds."""
    config = model.hf.config
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
        "model": {
            "class": type(model.hf).__name__,
            "path": config.name_or_path,
            "revision": getattr(config, "_commit_hash", None),
            "dtype": str(model.hf.dtype),
            "device": str(model.device),
        },
    }
