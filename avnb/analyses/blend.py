"""Answers that blend: the noun of what is seen with the verb of what is heard, in one sentence.

>>> row = {"clip": "a", "answer": "I hear a helicopter mooing.", "elsewhere": ["helicopter"], "matched": ["cow"]}
>>> blends(pd.DataFrame([row]))["value"].tolist()
[1.0]
"""

import pandas as pd

from avnb.analyses.changes import CONTROL, NOTHING
from avnb.judge.words import mentioned

_COLUMNS = ["word of the blend", "blocked", "change (nats)", "n"]


def blends(table) -> pd.DataFrame:
    """Whether a sentence of an answer names something that is only seen together with something that is heard.

    Args:
        table: from `fidelity.measure`, the rows of one question about the sound and of clips whose events are known.

    Returns:
        DataFrame: clip, answer, seen, heard (the two events; None without a blend), value (1 for a blend, else 0).
    """
    rows = []
    for row in table.itertuples():
        found = next(filter(all, (_both(part, row) for part in row.answer.split("."))), (None, None))
        rows.append((row.clip, row.answer, *found, float(all(found))))
    return pd.DataFrame(rows, columns=["clip", "answer", "seen", "heard", "value"])


def mixes(text) -> bool:
    """Whether a sentence of an answer names two things at once, whichever they are: a blend without a clip.

    Example:
        >>> mixes("I hear a helicopter mooing."), mixes("I hear a cow mooing. There is also a helicopter.")
        (True, False)
    """
    return any(len(mentioned(part)) > 1 for part in text.split("."))


def by_word(tokens, blended) -> pd.DataFrame:
    """What each cut costs the word of what is seen and the word of what is heard.

    Args:
        tokens: from `knockout.by_token`.
        blended: from `blends`.

    Returns:
        DataFrame: word of the blend ("of what is seen" or "of what is heard"), blocked, change (nats) (of the word's
        log-probability, the mean over blends), n (blends); empty if none is among the clips of `tokens`.
    """
    rows = []
    for row in blended[blended["value"] == 1].itertuples():
        some = tokens[tokens["clip"] == row.clip]
        free = some[some["blocked"] == NOTHING].set_index("step")
        for whose in ("seen", "heard"):
            steps = [step for step, token in free["token"].items() if getattr(row, whose) in mentioned(token)]
            for blocked, cut in some[some["blocked"] != NOTHING].groupby("blocked", sort=False):
                if steps and not blocked.startswith(CONTROL):
                    change = cut.set_index("step")["value"][steps[0]] - free["value"][steps[0]]
                    rows.append((f"of what is {whose}", blocked, change))
    found = pd.DataFrame(rows, columns=_COLUMNS[:3]).groupby(_COLUMNS[:2], sort=False)[_COLUMNS[2]]
    return found.agg(["mean", "size"]).reset_index().set_axis(_COLUMNS, axis=1)


def _both(sentence, row):
    """(what is only seen, what is heard) that a sentence names; None for what it does not."""
    named = mentioned(sentence)
    return tuple(next((one for one in named if one in some), None) for some in (list(row.elsewhere), list(row.matched)))
