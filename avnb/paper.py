"""The published numbers of the study, each with how it is known, and tables that set them beside what was found here.

    >>> published()["audio_fidelity_x100"]["Qwen2.5-Omni-3B"]["counterfactual"]
    23.1

Source: arXiv 2604.02605; "stated" was printed by the authors, "digitised" read off their plots, "derived" computed from
stated values.
"""

import json
from functools import cache
from pathlib import Path

import pandas as pd

NOT_PUBLISHED = "not published"


@cache
def published():
    """All published numbers as a nested dict; every part names its provenance."""
    return json.loads((Path(__file__).parent / "paper.json").read_text(encoding="utf8"))


def dataset_table(clips):
    """The set of the study beside a set made here.

    Args:
        clips: factual and counterfactual clips.

    Returns:
        DataFrame: quantity, paper, here, provenance (of the published value).
    """
    study = published()["dataset"]
    kinds = [clip.kind for clip in clips]
    rows = [
        ("clips", study["samples"], len(kinds), "stated"),
        ("factual", study["factual"], kinds.count("factual"), "derived"),
        ("counterfactual", study["counterfactual"], kinds.count("counterfactual"), "derived"),
        ("source", study["source"], "the clips of this run", "stated"),
        ("caption embedding", NOT_PUBLISHED, "TF-IDF over word stems", ""),
        ("similarity allowed", NOT_PUBLISHED, "the smallest total, donors used once", ""),
    ]
    return pd.DataFrame(rows, columns=["quantity", "paper", "here", "provenance"])
