"""What this machine can run, and what is missing: the facts behind `avnb doctor` and `avnb models`.

>>> sorted(examine())
['ffmpeg', 'hardware', 'missing', 'models', 'quantizes', 'versions']
"""

import json
import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version

import av
import psutil

from avnb.files import cache_folder
from avnb.models import asked, families, memory

_GIB = 2**30
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
        for one in family.checkpoints:
            row = {"name": one.name, "parameters": one.parameters, "takes": family.takes}
            rows += [row | {"status": "not measured here"}]
    return rows


def examine() -> dict:
    """Looks at this machine.

    Returns:
        dict: versions (by package, None if absent), hardware (sizes in GiB), quantizes (whether 8bit and 4bit can be
        had), ffmpeg (versions of PyAV's libraries, and whether the two codecs are there), models (name, fits: how each
        known model can be loaded here), missing (list of dicts: what, remedy, required).
    """
    hardware = _hardware()
    versions = {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}}
    ffmpeg = {name: ".".join(map(str, number)) for name, number in av.library_versions.items()}
    ffmpeg |= {codec: _can_encode(codec) for codec in ("libx264", "aac")}
    quantizes = hardware["gpu"] is not None and versions["bitsandbytes"] is not None
    published = [one for family in families.FAMILIES for one in family.checkpoints]
    fits = [{"name": one.name, "fits": how_it_fits(one, hardware, quantizes)} for one in published]
    missing = _missing(versions, hardware, ffmpeg)
    return {
        "versions": versions,
        "hardware": hardware,
        "quantizes": quantizes,
        "ffmpeg": ffmpeg,
        "models": fits,
        "missing": missing,
    }


def how_it_fits(size, hardware, quantizes):
    """In which precision a model fits: "bfloat16", "8bit", "4bit", "bfloat16 on the CPU (slow)" or "no".

    Args:
        size: a `Checkpoint`.
        hardware: dict with gpu_memory (GiB of the largest GPU, None without one) and memory (GiB free now).
        quantizes: whether 8bit and 4bit can be had.

    Example:
        >>> how_it_fits(memory.size_of("Qwen/Qwen2.5-Omni-7B"), {"gpu_memory": 15.0, "memory": 12.0}, quantizes=True)
        '8bit'
    """
    for precision in memory.BYTES if quantizes else ["bfloat16"]:
        if _gpu(hardware) > memory.gigabytes(size, precision):
            return precision
    if hardware["memory"] * _GIB / 1e9 > memory.gigabytes(size, "bfloat16"):
        return "bfloat16 on the CPU (slow)"
    return "no"


def advice(name, found):
    """Whether one model fits this machine, and what to do.

    Args:
        name: of a model.
        found: from `examine`.

    Returns:
        dict: name, fits (as in `how_it_fits`), needs (gigabytes by precision, for a clip of ten seconds), cache
        (megabytes that a clip of ten seconds takes), remedy (text).

    Raises:
        ModelError: nothing is known of its size.
    """
    size, hardware = memory.size_of(name), found["hardware"]
    plain = asked.read(name).name
    fits = how_it_fits(size, hardware, found["quantizes"])
    free = hardware["memory"] * _GIB / 1e9 if fits.endswith("(slow)") else _gpu(hardware)
    needs = {precision: round(memory.gigabytes(size, precision), 1) for precision in memory.BYTES}
    all_gpus = _gpu(hardware) * hardware["n_gpus"]
    if fits == "no" and hardware["n_gpus"] > 1 and all_gpus > needs["bfloat16"]:
        fits, remedy = "bfloat16 on several GPUs", f"{plain}@auto"
    elif fits == "no":
        remedy = _instead(size, found, needs)
    else:
        seconds = memory.longest_clip(size, fits.split()[0], free)
        named = f"{plain}@{fits}" if fits in ("8bit", "4bit") else plain
        remedy = f"{named}; clips of up to about {seconds} s, or fewer frames of longer ones"
    cache = round(1000 * memory.cache(size))
    return {"name": plain, "fits": fits, "needs": needs, "cache": cache, "remedy": remedy}


def _instead(size, found, needs):
    """What to do about a model that does not fit."""
    if found["hardware"]["gpu"] and not found["quantizes"] and _gpu(found["hardware"]) > needs["4bit"]:
        return f'{size.name}@4bit, after: pip install "avnb[quantize]"'
    smaller = [row["name"] for row in found["models"] if row["fits"] != "no" and row["name"] != size.name]
    other = f"take {smaller[0]}" if smaller else "take an organism, which runs anywhere: avnb models"
    return (
        f"a GPU of {needs['bfloat16']} GB, or of {needs['4bit']} GB for 4bit; fewer frames do not help; here: {other}"
    )


def _gpu(hardware):
    """Gigabytes of the largest GPU; 0 without one."""
    return (hardware["gpu_memory"] or 0) * _GIB / 1e9


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
