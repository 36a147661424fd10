"""What cuts do: tables of `knockout` read clip by clip, the change against the baseline."""

import pandas as pd

NOTHING = "nothing"  # what the baseline blocks

CONTROL = "control: "  # before the name of the group whose size the draw has

ANSWER = "last+generated"

_SETTING = ["model", "clip", "kind", "question", "modality", "quantity"]  # what is the same before and after a cut

_CUT = ["blocked", "start", "stop"]


def change(table) -> pd.DataFrame:
    """What every cut did, clip by clip: the value under it minus the baseline's, the mean over draws.

    Args:
        table: from `sweep`, `scores` or `flow`.

    Returns:
        DataFrame: the columns that say what was measured (clip, kind, question ...), blocked, start, stop, value.

    Example:
        >>> cuts = [("nothing", 0, 0, 0.25), ("video", 0, 8, 0.75)]
        >>> change(pd.DataFrame([("a", *cut) for cut in cuts], columns=["clip", "blocked", "start", "stop", "value"]))
          clip blocked  start  stop  value
        0    a   video      0     8    0.5
    """
    table, setting = table[table["value"].notna()], [name for name in _SETTING if name in table]
    is_baseline = table["blocked"] == NOTHING
    baseline = table[is_baseline].set_index(setting)["value"].rename("baseline")
    cuts = table[~is_baseline].groupby([*setting, *_CUT], sort=False)["value"].mean().reset_index()
    cuts = cuts.join(baseline, on=setting)
    return cuts.assign(value=cuts["value"] - cuts["baseline"]).drop(columns="baseline")


def baseline(table, **where) -> pd.Series:
    """The values without any cut, one per clip: what there was to lose or to gain (`stats.verdict`).

    Args:
        table: from `sweep`, `scores` or `flow`.
        **where: as in `effect`.

    Example:
        >>> table = pd.DataFrame({"clip": ["a"], "blocked": ["nothing"], "value": [0.5]})
        >>> baseline(table).to_dict()
        {'a': 0.5}
    """
    free = table[(table["blocked"] == NOTHING) & table["value"].notna()]
    return free[(free[list(where)] == list(where.values())).all(axis=1)].groupby("clip", sort=False)["value"].first()


def effect(changes, blocked, span, **where) -> pd.Series:
    """One value per clip, for `stats.interval` and `stats.verdict`.

    Args:
        changes: from `change`.
        blocked: which cut.
        span: in which layers, (start, stop).
        **where: columns and the value they must have, e.g. kind="counterfactual", modality="audio".

    Returns:
        Series indexed by clip.

    Raises:
        ValueError: nothing in the table is like that, or more than one value per clip.

    Example:
        >>> table = pd.DataFrame({"clip": ["a"], "blocked": ["video"], "start": [0], "stop": [8], "value": [0.5]})
        >>> effect(table, "video", (0, 8)).to_dict()
        {'a': 0.5}
    """
    wanted = {"blocked": blocked, "start": span[0], "stop": span[1], **where}
    found = changes[(changes[list(wanted)] == list(wanted.values())).all(axis=1)].set_index("clip")["value"]
    if found.empty or not found.index.is_unique:
        trouble = "nothing in the table has" if found.empty else "there are several values per clip with"
        raise ValueError(f"{trouble} {', '.join(f'{name}={value!r}' for name, value in wanted.items())}")
    return found


def recovered(table, blocked, span, n=5) -> pd.DataFrame:
    """The answers that a cut changes most, before and after: what is best read to see what it does.

    Args:
        table: from `sweep`.
        blocked, span: which cut, in which layers.
        n: how many answers.

    Returns:
        DataFrame: clip, kind, question, modality, before, after, change (of fidelity), the largest gain first. Answers
        that stay as good as they were are left out.

    Example:
        >>> row = {"clip": "a", "kind": "factual", "question": "?", "modality": "audio", "start": 0}
        >>> cuts = [("nothing", 0, "a bell", 0.0), ("video", 8, "a dog", 1.0)]
        >>> table = pd.DataFrame([row | dict(zip(["blocked", "stop", "answer", "value"], cut)) for cut in cuts])
        >>> recovered(table, "video", (0, 8))[["before", "after", "change"]].values.tolist()
        [['a bell', 'a dog', 1.0]]
    """
    setting = [name for name in _SETTING if name in table]
    before = table[table["blocked"] == NOTHING].set_index(setting)
    is_cut = (table["blocked"] == blocked) & (table["start"] == span[0]) & (table["stop"] == span[1])
    after = table[is_cut].set_index(setting)
    both = ["answer", "value"]
    pairs = before[both].join(after[both].add_suffix("_after"), how="inner").reset_index()
    pairs["change"] = pairs["value_after"] - pairs["value"]
    pairs = pairs[pairs["change"] != 0].sort_values("change", key=abs, ascending=False, kind="stable").head(n)
    pairs = pairs.sort_values("change", ascending=False, kind="stable").reset_index(drop=True)
    columns = {"answer": "before", "answer_after": "after"}
    return pairs.rename(columns=columns)[[*setting, "before", "after", "change"]]
