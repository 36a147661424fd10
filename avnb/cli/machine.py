"""What this machine can run, and what is missing: the facts behind `avnb doctor` and `avnb models`.

>>> sorted(examine())
['ffmpeg', 'hardware', 'missing', 'models', 'versions']
"""

import json
import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version

import av
import psutil

from avnb.files import cache_folder
from avnb.models import families

_GIB = 2**30
_OVERHEAD = 1.2  # memory of weights, activations and key-value cache over that of the weights alone
_TALKING = 0.137  # billions of parameters of an organism that can talk
_SMALLEST_DISK = 5  # GiB: a book, a set of clips, and one downloaded model of three billion parameters in 4 bit

# What the package needs at run time: the name on PyPI, and whether everything stops without it.
_PACKAGES = {
    "avnb": True,
    "torch": True,
    "torchvision": True,
    "transformers": True,
    "av": True,
    "datasets": True,
    "bitsandbytes": False,
    "jupyter-book": False,
}
_USED_FOR = {"bitsandbytes": 'models in "4bit" and "8bit"', "jupyter-book": "building the book"}


def models():
    """The models that can be named: list of dicts with name, parameters (billions), takes, status."""
    from avnb.models import CHECKPOINTS, base_of, shipped, smollm, talking

    rows = []
    for name in shipped():
        # float16 weights: two bytes a parameter
        parameters = sum(path.stat().st_size for path in (CHECKPOINTS / name).glob("*.safetensors")) / 2e9
        config = json.loads((CHECKPOINTS / name / "config.json").read_text())
        takes = "video, audio" if "audio_config" in config else "video"
        rows.append({"name": name, "parameters": round(parameters, 4), "takes": takes, "status": "ships"})
    status = "ships" if smollm.fetched() else "ships, but for its language model: avnb fetch smol"
    for name in talking():
        takes = "video" if base_of(name) == name else "video, audio"
        rows.append({"name": name, "parameters": _TALKING, "takes": takes, "status": status})
    for family in families.FAMILIES:
        known = {"takes": family.takes, "status": "not measured here"}
        rows += [{"name": one.name, "parameters": round(one.parameters, 1)} | known for one in family.checkpoints]
    return rows


def examine() -> dict:
    """Looks at this machine.

    Returns:
        dict: versions (by package, None if absent), hardware (sizes in GiB), ffmpeg (versions of PyAV's libraries, and
        whether the two codecs are there), models (name, fits: how each known model can be loaded here), missing (list
        of dicts: what, remedy, required).
    """
    hardware = _hardware()
    versions = {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}}
    ffmpeg = {name: ".".join(map(str, number)) for name, number in av.library_versions.items()}
    ffmpeg |= {codec: _can_encode(codec) for codec in ("libx264", "aac")}
    quantizes = hardware["gpu"] is not None and versions["bitsandbytes"] is not None
    published = [one for family in families.FAMILIES for one in family.checkpoints]
    fits = [{"name": one.name, "fits": how_it_fits(one.parameters, hardware, quantizes)} for one in published]
    missing = _missing(versions, hardware, ffmpeg)
    return {"versions": versions, "hardware": hardware, "ffmpeg": ffmpeg, "models": fits, "missing": missing}


def how_it_fits(parameters, hardware, quantizes):
    """In which precision a model fits: "bfloat16", "8bit", "4bit", "bfloat16 on the CPU (slow)" or "no".

    Args:
        parameters: billions.
        hardware: dict with gpu_memory (GiB of the largest GPU, None without one) and memory (GiB free now).
        quantizes: whether 8bit and 4bit can be had.

    Example:
        >>> how_it_fits(8.9, {"gpu_memory": 15.0, "memory": 12.0}, quantizes=True)
        '8bit'
    """
    for precision, n_bytes in {"bfloat16": 2, **({"8bit": 1, "4bit": 0.5} if quantizes else {})}.items():
        if (hardware["gpu_memory"] or 0) * _GIB > parameters * 1e9 * n_bytes * _OVERHEAD:
            return precision
    if hardware["memory"] * _GIB > parameters * 1e9 * 2 * _OVERHEAD:
        return "bfloat16 on the CPU (slow)"
    return "no"


def _hardware():
    import torch

    folder = cache_folder()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    gpus = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    largest = max(gpus, key=lambda gpu: gpu.total_memory, default=None)
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory": round(psutil.virtual_memory().available / _GIB, 1),
        "gpu": largest and largest.name,
        "gpu_memory": largest and round(largest.total_memory / _GIB, 1),
        "n_gpus": len(gpus),
        "disk": round(shutil.disk_usage(existing).free / _GIB, 1),
        "cache": str(folder),
    }


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _can_encode(codec):
    try:
        av.codec.Codec(codec, "w")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def _missing(versions, hardware, ffmpeg):
    missing = []

    def miss(what, remedy, required=False):
        missing.append({"what": what, "remedy": remedy, "required": required})

    for name, required in _PACKAGES.items():
        if versions[name] is None and (name != "bitsandbytes" or hardware["gpu"]):
            miss(f"{name} ({_USED_FOR.get(name, 'everything')})", f"pip install {name}", required)
    for codec in ("libx264", "aac"):
        if not ffmpeg[codec]:
            miss(f"the encoder {codec}", "pip install --force-reinstall --only-binary av av", required=True)
    if hardware["gpu"] is None:
        miss("a GPU (models of billions of parameters)", "use Colab or a cluster; the organisms run on the CPU")
    if hardware["disk"] < _SMALLEST_DISK:
        miss(f"disk space ({hardware['disk']} GiB free)", "free some, or set AVNB_CACHE and HF_HOME to another disk")
    if not any(row["status"] == "ships" for row in models()):
        miss("the organisms", "reinstall avnb, or make one: avnb train toy-omni --out DIR --work DIR", required=True)
    return missing
