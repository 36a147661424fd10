"""The published numbers of the study, each with how it is known, and tables that set them beside what was found here.

    >>> published()["audio_fidelity_x100"]["Qwen2.5-Omni-3B"]["counterfactual"]
    23.1

Source: arXiv 2604.02605; "stated" was printed by the authors, "digitised" read off their plots, "derived" computed from
stated values.
"""

import json
from functools import cache
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from avnb.layers import early_minus_late, relative_depth

MODEL = "Qwen2.5-Omni-3B"  # of the study, to which single numbers belong
NOT_PUBLISHED = "not published"
_BETWEEN = "derived from digitised points, straight in between"  # of means over layers, not all of which were read
_READ = 0.01  # how exactly plots could be read


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
    tokens = study["token_distribution"]
    named = tokens["audio_event_tokens"]
    attention = {group: _every_layer(points) for group, points in attention_curve().groupby("group", sort=False)}
    return {
        "audio fidelity, factual": Published(audio["factual"] / 100, "stated"),
        "audio fidelity, counterfactual": Published(audio["counterfactual"] / 100, "stated"),
        "audio fidelity, counterfactual - factual": _difference(audio["counterfactual"], audio["factual"], "derived"),
        "video fidelity, factual": Published(video["factual"] / 100, "digitised"),
        "video fidelity, counterfactual": Published(video["counterfactual"] / 100, "digitised"),
        "video fidelity, counterfactual - factual": _difference(video["counterfactual"], video["factual"], "digitised"),
        "latent recall": Published(latent / 100, "stated; its definition is not published"),
        "latent recall - counterfactual audio fidelity": _difference(latent, audio["counterfactual"], "derived"),
        **{f"attention to {g}, mean of all layers": Published(c.mean(), _BETWEEN) for g, c in attention.items()},
        "attention to audio, first sixth of the layers - the rest": Published(
            early_minus_late(attention["audio"], 1 / 6), _BETWEEN, effect=True
        ),
        "attention to video, first half of the layers - second half": Published(
            early_minus_late(attention["video"], 1 / 2), _BETWEEN, effect=True
        ),
        "KL to the base, audio tokens": Published(
            tokens["kl"], "stated, in nats; its direction, and whether for these tokens alone, is not known here"
        ),
        "unshifted, audio tokens": Published(named["unshifted_x100"] / 100, "stated"),
        "within top 3, audio tokens": Published(named["within_top3_x100"] / 100, "stated"),
        "marginal, audio tokens": Published(named["marginal_x100"] / 100, "derived"),
        "shifted, audio tokens": Published(named["shifted_x100"] / 100, "derived"),
        **{name: Published(value, "digitised", effect=True) for name, value in _after_knockout().items()},
    }


def attention_curve():
    """Attention to each group by layer as read off the study's plot (figure 4): DataFrame layer, depth, group, value.

    Only some layers were read; depth is that of `relative_depth`, value the share of the input groups in 0..1.

    Example:
        >>> attention_curve().query("layer == 0").set_index("group")["value"].to_dict()
        {'audio': 0.44, 'video': 0.07, 'text': 0.49}
    """
    part = published()["attention"]
    rows = [(int(i), g, x / 100) for g in ("audio", "video", "text") for i, x in part[f"{g}_x100"].items()]
    table = pd.DataFrame(rows, columns=["layer", "group", "value"])
    return table.assign(depth=relative_depth(part["layers"])[table["layer"]])[["layer", "depth", "group", "value"]]


def knockout_curves() -> pd.DataFrame:
    """What blocking attention did to fidelity, as read off the study's plots (figure 6).

    Returns:
        DataFrame: kind, modality, blocked, stop (end of the span that starts with layer 0, as their default rule has
        it; the window of the figure is not stated), depth (stop / layers), value (fidelity minus its baseline).

    Example:
        >>> curves = knockout_curves()
        >>> end = curves[curves["stop"] == 30].set_index(["kind", "modality", "blocked"])["value"].round(3)
        >>> float(end["counterfactual", "audio", "video"])
        0.138
    """
    study, rows = published()["knockout"], []
    n_layers = published()["attention"]["layers"]
    for kind, modality in product(("factual", "counterfactual"), ("audio", "video")):
        curve = study[f"{kind}_{modality}"]
        for blocked in ("video", "audio"):
            values = curve.get(f"block_{blocked}")
            if isinstance(values, list):  # the others are known in words only
                points = zip(study["layers"], values, strict=True)
                rows += [(kind, modality, blocked, i, i / n_layers, (x - curve["baseline"]) / 100) for i, x in points]
    return pd.DataFrame(rows, columns=["kind", "modality", "blocked", "stop", "depth", "value"])


def _after_knockout():
    """The last point of each curve, {quantity: change of fidelity}."""
    curves = knockout_curves()
    last = curves[curves["stop"] == curves["stop"].max()]
    return {f"{c.kind} {c.modality} fidelity, {c.blocked} blocked - baseline": c.value for c in last.itertuples()}


def _every_layer(points):
    """The curve [n_layers] through the layers that were read off a plot; straight in between."""
    return np.interp(range(published()["attention"]["layers"]), points["layer"], points["value"])


def compare(found) -> pd.DataFrame:
    """The study's numbers beside the ones found here.

    Args:
        found: name of a quantity (see `quantities`) -> `stats.Interval` of it, or None where it was not measured here.

    Returns:
        DataFrame: quantity, paper, here (mean with its 95 % interval and n), same direction?, provenance (of the
        published number). Effects have a direction: "yes" or "no" where the interval leaves out zero, "unclear" where
        it does not, or the published one lies within what a plot can be read to; other numbers have none, "–".

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
        direction = _direction(number, here) if number.effect else "–"
        rows.append((name, f"{number.value:.2f}", text, direction, number.provenance))
    return pd.DataFrame(rows, columns=["quantity", "paper", "here", "same direction?", "provenance"])


def _difference(a, b, provenance):
    return Published((a - b) / 100, provenance, effect=True)


def _direction(number, here):
    if here is None:
        return "–"
    if not (here.low > 0 or here.high < 0) or (number.provenance == "digitised" and abs(number.value) <= _READ):
        return "unclear"
    return "yes" if (here.mean > 0) == (number.value > 0) else "no"


def dataset_table(clips) -> pd.DataFrame:
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
