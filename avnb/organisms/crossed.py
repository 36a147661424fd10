"""Every picture with every sound: a small grid of clips, asked of several organisms.

>>> clips = avnb.datasets.load("toybox", n=24)
>>> list(sources(clips, 2))
['thunder', 'ambulance']
"""

from itertools import product
from pathlib import Path

import pandas as pd

from avnb.datasets import curate
from avnb.judge.words import mentioned
from avnb.models import load
from avnb.questions import HEAR


def sources(clips, n=6) -> dict:
    """The first n clips that show and sound like one source each, no source twice. Returns {source: clip}.

    Args:
        clips: any, with known events.
        n: how many; fewer if there are not as many.
    """
    found = {}
    for clip in clips:
        if len(clip.seen) == 1 and clip.seen == clip.heard:
            found.setdefault(clip.seen[0], clip)
    return dict(list(found.items())[:n])


def ask(names, clips, folder, question=HEAR) -> pd.DataFrame:
    """What organisms say about every picture with every sound.

    Args:
        names: of organisms.
        clips: {source: clip}, as from `sources`.
        folder: for the clips that are made; those that exist are kept.
        question: the prompt.

    Returns:
        DataFrame: model, picture, sound (sources), answer, named (tuple of sources).

    Example:
        >>> clips = sources(avnb.datasets.load("toybox", n=24), 2)
        >>> len(ask(["toy-omni"], clips, avnb.datasets.cache_folder() / "crossed"))
        4
    """
    of = {clip.id: source for source, clip in clips.items()}
    asked = {(source, source): clip for source, clip in clips.items()}
    for shift in range(1, len(clips)):  # every clip lends once in each round
        ids = list(of)
        donors = pd.DataFrame({"clip": ids, "donor": [*ids[shift:], *ids[:shift]]})
        made = curate.counterfactual(clips.values(), Path(folder), donors)
        asked |= {(one.seen[0], one.heard[0]): one for one in made}
    rows = []
    for name in names:
        model = load(name)
        for pair in product(clips, clips):
            answer = model.caption(asked[pair], question)
            rows.append((name, *pair, answer, mentioned(answer)))
    return pd.DataFrame(rows, columns=["model", "picture", "sound", "answer", "named"])
