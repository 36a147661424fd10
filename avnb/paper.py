"""The published numbers of the study, each with how it is known, and tables that set them beside what was found here.

    >>> published()["audio_fidelity_x100"]["Qwen2.5-Omni-3B"]["counterfactual"]
    23.1

Source: arXiv 2604.02605; "stated" was printed by the authors, "digitised" read off their plots, "derived" computed from
stated values.
"""

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pandas as pd

MODEL = "Qwen2.5-Omni-3B"  # of the study, to which single numbers belong
NOT_PUBLISHED = "not published"


@cache
def published():
    """All published numbers as a nested dict; every part names its provenance."""
    return json.loads((Path(__file__).parent / "paper.json").read_text(encoding="utf8"))


class Published(NamedTuple):
    """A published number: its value, how it is known, and whether its sign is a direction (an effect, a difference)."""

    value: float
    provenance: str
    effect: bool = False


@cache
def quantities():
    """The numbers that a chapter can set its own beside: name -> `Published`, shares and fidelities in 0..1."""
    study = published()
    audio, video = study["audio_fidelity_x100"][MODEL], study["video_fidelity_x100"][MODEL]
    latent = study["logit_lens"]["latent_audio_understanding_x100"]
    return {
        "audio fidelity, factual": Published(audio["factual"] / 100, "stated"),
        "audio fidelity, counterfactual": Published(audio["counterfactual"] / 100, "stated"),
        "audio fidelity, counterfactual - factual": _difference(audio["counterfactual"], audio["factual"], "derived"),
        "video fidelity, factual": Published(video["factual"] / 100, "digitised"),
        "video fidelity, counterfactual": Published(video["counterfactual"] / 100, "digitised"),
        "video fidelity, counterfactual - factual": _difference(video["counterfactual"], video["factual"], "digitised"),
        "latent recall": Published(latent / 100, "stated; its definition is not published"),
        "latent recall - counterfactual audio fidelity": _difference(latent, audio["counterfactual"], "derived"),
    }


def compare(found):
    """The study's numbers beside the ones found here.

    Args:
        found: name of a quantity (see `quantities`) -> `stats.Interval` of it, or None where it was not measured here.

    Returns:
        DataFrame: quantity, paper, here (mean with its 95 % interval and n), same direction?, provenance (of the
        published number). Effects have a direction: "yes" or "no" where the interval leaves out zero, "unclear" where
        it does not; other numbers have none, "–".

    Raises:
        ValueError: no published number has this name; lists those that there are.

    Example:
        >>> from avnb.stats import Interval
        >>> table = compare({"audio fidelity, counterfactual - factual": Interval(-0.5, -0.6, -0.4, 100)})
        >>> table[["paper", "here", "same direction?"]].values.tolist()
        [['-0.30', '-0.50 (-0.60 to -0.40, n = 100)', 'yes']]
    """
    rows = []
    for name, here in found.items():
        if name not in quantities():
            raise ValueError(f"no published number is called {name!r}; there are {'; '.join(quantities())}")
        number = quantities()[name]
        text = "not measured here"
        if here is not None:
            text = f"{here.mean:.2f} ({here.low:.2f} to {here.high:.2f}, n = {here.n})"
        direction = _direction(number.value, here) if number.effect else "–"
        rows.append((name, f"{number.value:.2f}", text, direction, number.provenance))
    return pd.DataFrame(rows, columns=["quantity", "paper", "here", "same direction?", "provenance"])


def _difference(a, b, provenance):
    return Published((a - b) / 100, provenance, effect=True)


def _direction(published_value, here):
    if here is None:
        return "–"
    if not (here.low > 0 or here.high < 0):
        return "unclear"
    return "yes" if (here.mean > 0) == (published_value > 0) else "no"


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
