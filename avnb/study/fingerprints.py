"""Fingerprints: what a table rests on, so that it is measured anew when that has changed, and only then."""

import hashlib
import os
import platform
from dataclasses import asdict
from importlib.metadata import version
from weakref import WeakKeyDictionary

from avnb.closure import code_hash
from avnb.files import digest, file_hash

_PACKAGES = ("avnb", "torch", "transformers", "numpy", "pandas", "pyarrow", "av", "soxr")
_unchanging = WeakKeyDictionary()  # model: its fingerprint


def code_fingerprint(analysis):
    """A hash of the code that an analysis rests on: its module and all that this imports, and the adapter of models.

    Prose does not count, nor does the code of figures, of other analyses and of the like.
    """
    return code_hash(f"avnb.analyses.{analysis.partition('.')[0]}", "avnb.models.native")


def model_fingerprint(model):
    """A hash of a model: its settings, those of its processor, all of its weights, and its code if it is ours."""
    import torch

    if model in _unchanging:
        return _unchanging[model]
    total = hashlib.sha256()
    settings = model.hf.config.to_dict()
    ignored = ("_name_or_path", "transformers_version")  # neither changes an answer, both differ between machines
    total.update(digest({key: value for key, value in settings.items() if key not in ignored}).encode())
    total.update(digest([_processor_settings(model), sorted(model.stop_ids)]).encode())
    for name, weight in sorted(model.hf.state_dict().items()):
        total.update(f"{name} {list(weight.shape)} {weight.dtype}".encode())
        if weight.device.type != "meta" and weight.numel():
            total.update(weight.detach().flatten().contiguous().cpu().view(torch.uint8).numpy())
    ours = sorted({type(one).__module__ for one in (model.hf, model.processor)})
    total.update("".join(code_hash(module) for module in ours if module.startswith("avnb.")).encode())
    return total.hexdigest()[:16]


def unchanging(model):
    """Takes the fingerprint of a model once, which is to say that nobody will change it any more; gives the model."""
    _unchanging[model] = model_fingerprint(model)
    return model


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


def job_fingerprint(job):
    """A hash of a job: its clips, and the names that it looks for."""
    clips = [clip for clip in (job.clip, job.other, *job.among) if clip is not None]
    return digest([clips_fingerprint(clips), job.events])


def files_state(job):
    """Size and time of the files of a job's clips: what changes when one of them is written."""
    state = []
    for clip in (job.clip, job.other, *job.among):
        for path in () if clip is None else filter(None, (clip.video, clip.audio)):
            try:
                about = os.stat(path)
            except OSError:
                continue
            state.append((str(path), about.st_size, about.st_mtime_ns))
    return state


def made_with(model):
    """The packages and the model behind a table, for readers; only fingerprints decide whether it holds."""
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
        "model": {
            "class": type(model.hf).__name__,
            "revision": getattr(model.hf.config, "_commit_hash", None),
            "dtype": str(model.hf.dtype),
            "device": str(model.device),
        },
    }
