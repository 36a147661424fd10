"""How well a judge agrees with people, or on the toybox with the truth.

>>> found = agreement(toybox(n=20), "words")
>>> found["measure"].unique().tolist()
['Spearman', 'Kendall', 'Pearson', 'length', 'sound first']

Ratings are a table: modality ("audio" or "video"), answer, rating (of any scale, higher is better), reference and, if
known, other (what the other modality holds; of both, several captions with " | " between them), clip (its id) and
leakage (a rating of that, too). Rows that differ in nothing but the rating are of several people: their mean counts.
"""

import warnings
from math import nan

import numpy as np
import pandas as pd
from scipy.stats import bootstrap, kendalltau, pearsonr, spearmanr

from avnb.errors import AvnbError
from avnb.judge import named, score, scores
from avnb.judge.parts import about as said_of
from avnb.media.clip import Clip
from avnb.questions import BOTH, MODALITIES, OTHER
from avnb.stats import Interval, interval
from avnb.toybox.captions import Writer
from avnb.toybox.sources import SOURCES

_NEEDED = ("modality", "answer", "reference", "rating")
_N_RESAMPLES = 999
BETWEEN = " | "  # captions of one cell


def read(path) -> pd.DataFrame:
    """Ratings from a CSV file.

    Raises:
        AvnbError: a column or a value is missing, or not what it should be; names the line.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except ValueError as error:  # empty, ragged, or in another encoding
        raise AvnbError(f"{path} cannot be read ({error}); give a CSV in UTF-8 with {', '.join(_NEEDED)}") from error
    if lacking := [name for name in _NEEDED if name not in table]:
        raise AvnbError(f"{path} has no column {lacking[0]!r}; it needs {', '.join(_NEEDED)}")
    if table.empty:
        raise AvnbError(f"{path} holds no rating; give a row for each")
    for name in {"rating", "leakage"} & {*table}:
        numbers = pd.to_numeric(table[name], errors="coerce")
        _refuse(path, table[name], ~np.isfinite(numbers), f"{name} must be a number")
        table[name] = numbers
    _refuse(path, table["modality"], ~table["modality"].isin(MODALITIES), f"modality must be {' or '.join(MODALITIES)}")
    _refuse(path, table["reference"], table["reference"].str.strip() == "", "reference must hold a caption")
    return table


def toybox(n=200, seed=0) -> pd.DataFrame:
    """Ratings by the truth: answers about clips of the toybox, of which a judge is told the captions alone.

    Answers are drawn: what is there is named or forgotten, what the other modality holds or nothing holds is put in, in
    random words. The rating is that of the event judge, which knows the events; leakage is the share named of what only
    the other modality holds (NaN where it holds nothing of its own).

    Args:
        n: number of clips; each is rated for sound and for picture.
        seed: the same seed gives the same clips and answers.
    """
    rng, names, rows = np.random.default_rng(seed), list(SOURCES), []

    def some(events, share):
        return [event for event in events if rng.random() < share]

    for i in range(n):
        seen, heard = (tuple(map(str, rng.choice(names, rng.integers(1, 4), replace=False))) for _ in range(2))
        writer, clip = Writer(rng), Clip(str(i), "", seen=seen, heard=heard)
        anything = map(str, rng.choice(names, 2))
        picture = tuple(dict.fromkeys(some(seen, 0.6) + some(heard, 0.25) + some([next(anything)], 0.25)))
        sound = tuple(dict.fromkeys(some(heard, 0.6) + some(seen, 0.25) + some([next(anything)], 0.25)))
        answer = writer.answer(BOTH, picture, sound)
        captions = writer.video(seen), writer.audio(heard)
        for modality, said, own, other in (("video", picture, seen, heard), ("audio", sound, heard, seen)):
            only_there = {*other} - {*own}
            leakage = len(only_there & {*said}) / len(only_there) if only_there else nan
            told = captions if modality == "video" else captions[::-1]
            rows.append((clip.id, modality, answer, *told, score(answer, clip, modality).value, leakage))
    return pd.DataFrame(rows, columns=["clip", "modality", "answer", "reference", "other", "rating", "leakage"])


def agreement(ratings, judge, seed=0, progress=False) -> pd.DataFrame:
    """How well a judge agrees with ratings, with bootstrap 95 % intervals over answers.

    Args:
        ratings: a table as described above, from `read` or `toybox`.
        judge: the judge's name.
        seed: of the resampling.
        progress: whether to show how far the judge is.

    Returns:
        DataFrame: judge, modality, of ("fidelity", or "leakage" where ratings of it are given), measure, mean (the
        value), low, high, n (answers with a score), unscored (without), reasons ({reason up to its first colon: how
        often}). Measures are Spearman's rho, Kendall's tau b and Pearson's r with the ratings, and two biases, which
        are 0 in a good judge: "length", Spearman's rho of an answer's length in words and how much higher the judge
        ranks it than the ratings do; "sound first", how much higher the score of an answer is if what it tells of
        the sound comes before what it tells of the picture. NaN stands for what so few or so equal scores do not tell.

    Raises:
        AvnbError: there is no such judge.
    """
    about = [name for name in ("clip", "modality", "answer", "reference", "other") if name in ratings]
    rated = [name for name in ("rating", "leakage") if name in ratings]
    table = ratings.groupby(about, sort=False)[rated].mean().reset_index()
    asked = cases(table)
    judged, ordered = (found := scores(asked, judge, progress))[: len(table)], iter(found[len(table) :])
    table["judged"] = [one.value for one in judged]
    table["leaked"] = [one.leakage for one in judged]
    table["reason"] = [one.reason.partition(":")[0] for one in judged]
    table["change"] = [-next(ordered).value + next(ordered).value if _orders(text) else nan for text in table["answer"]]
    parts = [_of(part, seed) for _, part in table.groupby("modality", sort=False)]
    return pd.concat(parts, ignore_index=True).assign(judge=named(judge).name)[_COLUMNS]


def cases(ratings):
    """What a judge is asked about ratings: (answer, clip, modality) of each, then of each order of the parts."""
    given = [(row["answer"], _clip(row), row["modality"]) for row in ratings.to_dict("records")]
    return given + [(order, *rest) for answer, *rest in given for order in _orders(answer)]


_COLUMNS = ["judge", "modality", "of", "measure", *Interval._fields, "unscored", "reasons"]


def _of(part, seed):
    """The measures of one modality."""
    rows = []
    for of, rating, judged in (("fidelity", "rating", "judged"), ("leakage", "leakage", "leaked")):
        if rating not in part or (of == "leakage" and part[judged].isna().all()):  # most judges do not tell
            continue
        known = part.dropna(subset=[rating, judged])
        measured = {name: _correlated(one, known[[rating, judged]], seed) for name, one in _MEASURES.items()}
        if of == "fidelity":
            n_words = known["answer"].str.split().str.len()
            higher = known[judged].rank() - known[rating].rank()
            measured["length"] = _correlated(spearmanr, pd.DataFrame({"words": n_words, "higher": higher}), seed)
            changed = part["change"].dropna()
            measured["sound first"] = interval(changed, seed) if len(changed) else Interval(*[nan] * 3, 0)
        rows += [(of, name, *one) for name, one in measured.items()]
    table = pd.DataFrame(rows, columns=["of", "measure", *Interval._fields])
    unscored = part.loc[part["judged"].isna(), "reason"]
    return table.assign(
        modality=part["modality"].iloc[0],
        unscored=len(unscored),
        reasons=[unscored.value_counts().to_dict()] * len(table),
    )


def _correlated(measure, pairs, seed):
    """A correlation of two columns with its interval; NaN where it is not defined."""
    if len(pairs) < 2:
        return Interval(nan, nan, nan, len(pairs))
    with warnings.catch_warnings():  # of equal values, in the sample or in a resample: NaN says so
        warnings.simplefilter("ignore")
        drawn = bootstrap(
            tuple(pairs.to_numpy(float).T),
            lambda x, y: measure(x, y).statistic,
            paired=True,
            vectorized=False,
            n_resamples=_N_RESAMPLES,
            method="percentile",
            random_state=np.random.default_rng(seed),
        )
        value = measure(*pairs.to_numpy(float).T).statistic
    return Interval(float(value), *map(float, drawn.confidence_interval), len(pairs))


_MEASURES = {"Spearman": spearmanr, "Kendall": kendalltau, "Pearson": pearsonr}


def _clip(row):
    """What a row tells of its clip."""
    captions = {row["modality"]: row["reference"], OTHER[row["modality"]]: row.get("other", "")}
    texts = {f"{name}_captions": tuple(filter(None, text.split(BETWEEN))) for name, text in captions.items()}
    return Clip(row.get("clip", ""), "", **texts)


def _orders(answer):
    """An answer with what it says of the picture first, and of the sound first; nothing if it tells of one only."""
    picture, sound = said_of(answer, "video"), said_of(answer, "audio")
    if not (picture and sound) or picture == sound:
        return []
    return [f"video: {picture}. audio: {sound}.", f"audio: {sound}. video: {picture}."]


def _refuse(path, column, bad, rule):
    if bad.any():
        line = int(np.flatnonzero(bad)[0])
        raise AvnbError(f"{path}, line {line + 2}: {rule}, not {column.iloc[line]!r}")
