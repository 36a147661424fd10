"""The same few numbers of several models, beside the published ones of models that were not run here.

    >>> tables = measure(["toy-omni"], "toybox", n=400, seed=77, each=100)
    >>> found = numbers(tables)
    >>> sorted(found["source"].unique())
    ['measured here', 'published']

Every number is about sound: is it named, does naming it fail where the picture says something else, does it come back
when the answer may not look at the picture, is it there inside, and does the sound or the picture decide.
"""

import pandas as pd

from avnb import datasets, models, paper, stats, study
from avnb.analyses import changes, fidelity
from avnb.questions import HEAR

HERE, PUBLISHED = "measured here", "published"
FACTUAL, COUNTERFACTUAL = "audio fidelity, factual", "audio fidelity, counterfactual"
DROP = "drop"  # factual - counterfactual
RECOVERY, RECOVERY_CONTROL = "knockout recovery", "knockout recovery, random positions"
RECOVERY_BEYOND = "knockout recovery beyond its control"
RECALL, RECALL_NULL = "latent recall", "latent recall, events of another clip"
SHORTCUT = "shortcut index"

_BLOCKED = "video"
# Parameters in which models that stand side by side may not differ; the others only say which rows there are.
_ALIKE = {
    "fidelity": ("max_new_tokens", "judge"),
    "knockout": ("n_draws", "max_new_tokens", "judge"),
    "lens": ("top_k", "depth", "normed", "match", "threshold", "judge"),
    "swap": ("field",),
}
_COLUMNS = ["model", "source", "provenance", "quantity", *stats.Interval._fields, "stands"]


def measure(names, dataset, n, seed=0, each=None, out=None, judge="events") -> dict:
    """The tables that the numbers come from: those that come with the package, else measured or read.

    Args:
        names: of models that hear.
        dataset, n, seed, each, out: as in `study.table`; of fidelity, all clips are taken.
        judge: by whom answers are judged, a name of `avnb.judge`.

    Returns:
        dict: name of an analysis -> its table of all models.

    Raises:
        StudyError, and what the analyses raise.
    """
    tables = {"fidelity": [], "knockout": [], "lens": [], "swap": []}
    for name in names:
        model = models.load(name)
        options = {
            "fidelity": {"questions": [HEAR], "inputs": ["both"], "judge": judge},
            "knockout": {
                "questions": [HEAR], "blocked": [_BLOCKED], "spans": [[0, len(model.decoder.layers)]], "n_draws": 1,
                "judge": judge, "kinds": ["counterfactual"],
            },
            "lens": {"judge": judge},
            "swap": {"kinds": ["factual"]},
        }  # fmt: skip
        for analysis, some in tables.items():
            first = None if analysis == "fidelity" else each
            set_ = {"dataset": dataset, "n": n, "seed": seed, "each": first}
            found = study.table(analysis, model, out=out, **set_, **options[analysis])
            some.append(found)
    return {analysis: pd.concat(some, ignore_index=True) for analysis, some in tables.items()}


def collect(folder, names=None, dataset=None, seed=None):
    """The same tables from a folder of runs; analyses that were not run are left out, as are tables of older code.

    Args:
        folder: that `avnb run` wrote to.
        names: of the models; None takes all that are there.
        dataset, seed: with which they were run; None takes any.

    Raises:
        StudyError: the folder does not exist, or holds no such table of fidelity about what is heard in factual and in
            counterfactual clips.
    """
    holds = {
        "fidelity": lambda table, about: {"factual", "counterfactual"} <= set(_about_sound(table)["kind"]),
        "knockout": lambda table, about: about["parameters"]["source"] == changes.ANSWER and len(_full_cut(table)) > 0,
        "lens": lambda table, about: about["parameters"]["question"] == HEAR,
        "swap": lambda table, about: about["parameters"]["question"] == HEAR,
    }
    same = {"names": names, "dataset": dataset, "seed": seed}
    found = {name: study.collect(folder, name, **same, alike=_ALIKE[name], holds=holds[name]) for name in holds}
    found = {name: table for name, table in found.items() if len(table)}
    if "fidelity" not in found:
        asked = ", ".join(f"{key}={value!r}" for key, value in same.items() if value is not None)
        raise study.StudyError(
            f"{folder} holds no table of fidelity of factual and counterfactual clips, measured by today's code"
            f"{asked and f', for {asked}'}; run the chapters first, `avnb run --out {folder}`"
        )
    return found


def numbers(tables, seed=0) -> pd.DataFrame:
    """What the tables say, model by model, and what is published.

    Args:
        tables: from `measure` or `collect`.
        seed: of the resampling.

    Returns:
        DataFrame: model, source ("measured here" or "published"), provenance ("measured", or how a published number is
        known), quantity, mean, low, high, n, stands. All quantities lie in 0..1 but the drop and the recovery, which
        are differences. Published numbers have no interval. `stands` is known for the recovery beyond its control
        only: whether the sound comes back at all, and more than in the control. A harmful control is not enough.
    """
    rows = []
    for quantity, model, interval, *stands in _measured(tables, seed):
        rows.append((model, HERE, "measured", quantity, *interval, *(stands or [None])))
    for quantity, model, value, provenance in _published():
        rows.append((model, PUBLISHED, provenance, quantity, value, None, None, None, None))
    types = dict.fromkeys(stats.Interval._fields, float) | {"stands": "boolean"}
    return pd.DataFrame(rows, columns=_COLUMNS).astype(types)


def overview(numbers) -> pd.DataFrame:
    """Every number in its own cell, for reading.

    Args:
        numbers: from `numbers`.

    Returns:
        DataFrame of texts: model, source, then a column for each quantity, with its interval or, if published,
        its provenance; measured models first.
    """
    texts = [
        f"{row.mean:.2f}"
        + (f" [{row.provenance}]" if pd.isna(row.n) else f" ({row.low:.2f} to {row.high:.2f}, n = {row.n:.0f})")
        for row in numbers.itertuples()
    ]
    order = {name: list(dict.fromkeys(numbers[name])) for name in ("model", "quantity")}
    table = numbers.assign(text=texts).pivot(index=["source", "model"], columns="quantity", values="text")
    table = table[order["quantity"]].fillna("–").reset_index().rename_axis(columns=None)
    place = table["model"].map(order["model"].index)
    table = table.loc[place.sort_values(kind="stable").index].sort_values("source", kind="stable")
    return table[["model", "source", *order["quantity"]]].reset_index(drop=True)


def parts(overview, width=3) -> list:
    """An overview as several tables that a page has room for.

    Args:
        overview: from `overview`.
        width: how many quantities each has, at most.

    Returns:
        list of DataFrames: model, source, and some of the quantities; models of which none is known are left out.

    Example:
        >>> table = pd.DataFrame({"model": ["a", "b"], "source": HERE, "drop": ["0.5", "0.2"], "recall": ["0.9", "–"]})
        >>> [part["model"].tolist() for part in parts(table, width=1)]
        [['a', 'b'], ['a']]
    """
    quantities = [name for name in overview if name not in ("model", "source")]
    groups = [quantities[start : start + width] for start in range(0, len(quantities), width)]
    return [overview.loc[(overview[group] != "–").any(axis=1), ["model", "source", *group]] for group in groups]


def against(tables, first, seed=0) -> pd.DataFrame:
    """How much better every other model names the sound of counterfactual clips than the first, paired over clips.

    Args:
        tables: from `measure` or `collect`.
        first: name of a model.
        seed: of the resampling.

    Returns:
        DataFrame: model, mean, low, high, n; only models that were asked about the same clips.
    """
    values = {
        model: rows[rows["kind"] == "counterfactual"].set_index("clip")["value"]
        for model, rows in fidelity.judged(_about_sound(tables["fidelity"])).groupby("model", sort=False)
    }
    rows = [
        (model, *stats.difference(some, values[first], seed, clusters=datasets.sources(some.index)))
        for model, some in values.items()
        if model != first and set(some.index) == set(values[first].index)
    ]
    return pd.DataFrame(rows, columns=["model", *stats.Interval._fields])


def answers(tables, clip=None) -> pd.DataFrame:
    """What every model says about one clip.

    Args:
        tables: from `measure` or `collect`.
        clip: its id; None takes the counterfactual clip about which the models differ most.

    Returns:
        DataFrame: clip, model, answer, value (audio fidelity).
    """
    rows = _about_sound(tables["fidelity"])
    if clip is None:
        some = rows[rows["kind"] == "counterfactual"] if (rows["kind"] == "counterfactual").any() else rows
        spread = some.groupby("clip", sort=False)["value"].agg(lambda value: value.max() - value.min())
        clip = spread.idxmax()
    return rows.loc[rows["clip"] == clip, ["clip", "model", "answer", "value"]].reset_index(drop=True)


def _measured(tables, seed):
    """(quantity, model, interval), for the recovery beyond its control also whether it stands"""
    about_sound = fidelity.judged(_about_sound(tables["fidelity"]))
    for model, rows in about_sound.groupby("model", sort=False):
        for quantity, kind in ((FACTUAL, "factual"), (COUNTERFACTUAL, "counterfactual")):
            if (rows["kind"] == kind).any():
                yield quantity, model, stats.interval(rows.loc[rows["kind"] == kind, "value"], seed)
        for row in fidelity.drop(rows, seed).query("drop == 'absolute'").itertuples():
            yield DROP, model, stats.Interval(row.mean, row.low, row.high, row.n)
    for model, rows in _of_models(tables, "knockout"):
        moved = changes.change(_full_cut(rows)).query("kind == 'counterfactual'")
        by_cut = {blocked: some.set_index("clip")["value"] for blocked, some in moved.groupby("blocked")}
        effect, control = by_cut.get(_BLOCKED), by_cut.get(changes.CONTROL + _BLOCKED)
        for quantity, values in ((RECOVERY, effect), (RECOVERY_CONTROL, control)):
            if values is not None:
                clusters = datasets.sources(values.index)
                yield quantity, model, stats.interval(values, seed, signed=True, clusters=clusters)
        if effect is not None and control is not None:
            found = stats.verdict(effect, control, seed, clusters=datasets.sources(effect.index))
            yield RECOVERY_BEYOND, model, found.difference, found.stands and found.effect.mean > 0
    for model, rows in _of_models(tables, "lens"):
        rows = rows[rows["kind"] == "counterfactual"] if (rows["kind"] == "counterfactual").any() else rows
        for quantity, values in ((RECALL, rows["value"].dropna()), (RECALL_NULL, rows["null"].dropna())):
            if len(values):
                yield quantity, model, stats.interval(values, seed)
    from avnb.analyses import swap  # loads torch, which a figure of these numbers does without

    for model, rows in _of_models(tables, "swap"):
        yield SHORTCUT, model, swap.summary(rows, seed)[SHORTCUT]


def _published():
    """(quantity, model, value, provenance)"""
    study_, known = paper.published(), paper.quantities()
    stated = study_["audio_fidelity_x100"]
    for model, value in stated.items():
        if model != "provenance":
            yield FACTUAL, model, value["factual"] / 100, stated["provenance"]
            yield COUNTERFACTUAL, model, value["counterfactual"] / 100, stated["provenance"]
            yield DROP, model, (value["factual"] - value["counterfactual"]) / 100, "derived"
    model, last = study_["knockout"]["model"], study_["knockout"]["layers"][-1]
    recovery = known["counterfactual audio fidelity, video blocked - baseline"]
    # Ours blocks every layer, theirs does not: nobody may take the two for the same cut.
    cut = f"blocked up to layer {last} of {study_['attention']['layers']}; window not published"
    yield RECOVERY, model, recovery.value, f"{recovery.provenance}; {cut}"
    yield RECALL, paper.MODEL, known["latent recall"].value, known["latent recall"].provenance


def _of_models(tables, analysis):
    return tables[analysis].groupby("model", sort=False) if analysis in tables else ()


def _about_sound(table):
    """Rows of fidelity in which the sound was asked for, and picture and sound were given."""
    return table[(table["question"] == HEAR) & (table["inputs"] == "both") & (table["modality"] == "audio")]


def _full_cut(table):
    """Rows of a knockout sweep about the sound: the baselines, and the cut of the picture in all layers there are."""
    table = table[(table["question"] == HEAR) & (table["modality"] == "audio")]
    is_baseline = table["blocked"] == changes.NOTHING
    is_cut = table["blocked"].isin([_BLOCKED, changes.CONTROL + _BLOCKED]) & (table["start"] == 0)
    cut = table[is_cut & (table["stop"] == table["stop"].max())]
    return table[is_baseline | table.index.isin(cut.index)] if len(cut) else cut
