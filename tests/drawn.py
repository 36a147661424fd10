"""Clips of a large toybox set, each without the others."""

import re

import pandas as pd

from avnb import Clip
from avnb.datasets import curate
from avnb.toybox import world


def alone(name, folder):
    """The test clip of that id, matching or swapped, as `datasets.load` draws it among hundreds."""
    numbers = [map(int, found) for found in re.findall(r"test-(\d+)-(\d+)-matching", name)]
    drawn = [world.sample("test", seed, number, "matching") for seed, number in numbers]
    clips = [Clip(d.id, d.record(folder / "clips"), seen=d.seen, heard=d.heard, kind="factual") for d in drawn]
    if len(clips) == 1:
        return clips[0]
    donors = pd.DataFrame({"clip": [clips[0].id], "donor": [clips[1].id]})
    return curate.counterfactual(clips, folder / "swapped", donors)[0]
