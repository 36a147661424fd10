"""The machine that a benchmark ran on."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch


def machine():
    """Where and with what this was measured."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    versions = {name: _version(name) for name in ("torch", "transformers", "nnsight", "numpy")}
    return {"cpu": names[0] if names else platform.processor(), "cores": os.cpu_count(), "device": "cpu"} | {
        "threads": torch.get_num_threads(),
        "dtype": "float32",
        "python": platform.python_version(),
        "versions": versions,
    }


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None
