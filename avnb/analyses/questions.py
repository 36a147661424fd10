"""Questions of benchmarks: by how much the right option is likelier than the others, with and without each modality.

Every question is asked five times: of the text alone, of the picture, of the sound, of the picture with a silent track,
and of both. Each time every option is scored by its log-probability, and the margin

    m = log p(right option) - max log p(other option)

needs no parser: it is positive where the model prefers the right option. Beside it stands what the published scorers
make of the words that the model says. What is left out of a prompt is not in it at all, unlike a knockout.

    >>> table = measure(avnb.load("toy-omni"), avnb.datasets.load("toybox", n=2), inputs=["both"])
    >>> table.groupby("task").size().tolist()
    [2, 4, 4, 2, 2]
"""

from functools import lru_cache

import numpy as np
import pandas as pd
import torch

from avnb.analyses.jobs import Job, each, over
from avnb.benchmarks import rules_of, toybox
from avnb.benchmarks.question import YES_NO
from avnb.engine import Capture, Condition, run
from avnb.media.clip import Clip, ClipError
from avnb.stats import Interval, clustered

INPUTS = ("text", "video", "audio", "silent", "both")
MARGIN = "margin"  # the rule that needs no words

# What is taken away, and the inputs that are left.
WITHOUT = {"sound": "video", "sound, silent track instead": "silent", "picture": "audio", "both": "text"}

_COLUMNS = [
    "clip", "kind", "source", "cluster", "conflict", "item", "task", "question", "inputs", "options", "said", "right",
    "chosen", "logprobs", "value", "answer",
]  # fmt: skip


def plan(clips):
    """A job for each clip; clips of the toybox are asked what the benchmarks ask."""
    return each(clip if isinstance(clip, Job) else toybox.asked(clip) for clip in clips)


def measure(model, clips, *, inputs=INPUTS, suffix=None, max_new_tokens=16) -> pd.DataFrame:
    """Asks a model the questions about every clip, and scores the options.

    Args:
        model: an AVLLM from `avnb.load`.
        clips: clips with questions from `avnb.benchmarks.load`, or clips of the toybox. One without questions, or with
            bad media, is reported and left out (`jobs.over`).
        inputs: what prompts hold, some of `INPUTS`: "both" is all that a clip has, "silent" the picture with a track of
            silence. Of a clip that has one modality, and by a model that does not hear, only "text" and "both" differ.
        suffix: what is added to every question, so that the answer takes the form of an option; None is the set's own.
        max_new_tokens: where the answer in words is cut off.

    Returns:
        DataFrame: clip, kind, source (the set), cluster (the video), conflict (whether the set tells that sound and
        picture differ; else None), item (id of the question), task, question (as asked), inputs, options (their names),
        said (their texts), right, chosen (names of options), logprobs (of the options, in nats), value (the margin in
        nats), answer (the model's own words).

    Raises:
        ValueError: unknown inputs.

    Example:
        >>> clips = avnb.benchmarks.load("toybox", n=2)
        >>> table = measure(avnb.load("toy-omni"), clips, inputs=["video", "both"])
        >>> bool(((table["value"] > 0) == (table["chosen"] == table["right"])).all())
        True
    """
    if unknown := [name for name in inputs if name not in INPUTS]:
        raise ValueError(f"inputs {unknown[0]!r} are unknown; use some of {', '.join(INPUTS)}")

    def of_clip(job):
        clip = job.clip
        if not getattr(clip, "questions", ()):
            raise ClipError("no question is known about it; load clips with avnb.benchmarks.load")
        by_text = {}
        for one in clip.questions:
            by_text.setdefault(one.asked(suffix), []).append(one)
        rows = []
        for name in inputs:
            shown = _shown(model, clip, name)
            for text, some in by_text.items() if shown else ():
                said = list(dict.fromkeys(said for one in some for said in one.said))
                answer, scores = _scored(model, model.prompt(shown[0], text, shown[1]), said, max_new_tokens)
                rows += [_row(clip, one, text, name, [scores[option] for option in one.said], answer) for one in some]
        return rows

    return over(plan(clips), of_clip, _COLUMNS)


def asked(table) -> pd.DataFrame:
    """The questions that a table is about, one a row, for `benchmarks.counts` and `traps.told`.

    Args:
        table: from `measure`.

    Returns:
        DataFrame: source, task, item, clip, cluster, conflict, question (as asked), options, said, answer (the right
        one).

    Example:
        >>> clips = avnb.benchmarks.load("toybox", n=2)
        >>> table = asked(measure(avnb.load("toy-omni"), clips, inputs=["both"]))
        >>> found, known = (avnb.benchmarks.counts(some).set_index("task")["answers"] for some in (table, clips))
        >>> found.to_dict() == known.to_dict()
        True
    """
    columns = ["source", "task", "item", "clip", "cluster", "conflict", "question", "options", "said"]
    rows = table.drop_duplicates(["clip", "item"])[[*columns, "right"]].rename(columns={"right": "answer"})
    lists = {name: rows[name].map(tuple) for name in ("options", "said")}  # as they are before they lie on disk
    return rows.assign(**lists).reset_index(drop=True)


def scores(table) -> pd.DataFrame:
    """Whether each answer is right: by its margin, and by each published rule.

    Args:
        table: from `measure`.

    Returns:
        DataFrame: the table's rows once for each rule, with rule ("margin", or whose it is) and value (1 right, 0
        wrong). Answers that a rule leaves out of its count have no row.
    """
    kept = table.drop(columns=["logprobs", "value"])
    found = [kept.assign(rule=MARGIN, value=(table["value"] > 0).astype(float))]
    for source, some in kept.groupby("source", sort=False):
        for name, rule in rules_of(source).items():
            each_row = zip(some["answer"], some["options"], some["said"], some["right"], strict=True)
            values = [rule(*row) for row in each_row]
            found.append(some.assign(rule=name, value=pd.array(values, dtype="boolean")).dropna(subset="value"))
    return pd.concat([one.assign(value=one["value"].astype(float)) for one in found], ignore_index=True)


def accuracy(table, by=("source", "task", "inputs"), seed=0) -> pd.DataFrame:
    """The share of right answers by every rule, with chance; intervals clustered by video.

    Args:
        table: from `measure`.
        by: columns.
        seed: of the resampling.

    Returns:
        DataFrame: the columns of `by`, rule, mean, low, high, n (questions), videos, chance.
    """
    rows = []
    for key, some in scores(table).groupby([*by, "rule"], sort=False):
        chance = (1 / some["options"].map(len)).mean()
        rows.append((*key, *clustered(some["value"], some["cluster"], seed=seed), some["cluster"].nunique(), chance))
    return pd.DataFrame(rows, columns=[*by, "rule", *Interval._fields, "videos", "chance"])


def leaning(table, by=("source", "task", "inputs"), seed=0) -> pd.DataFrame:
    """Of yes-or-no questions: how often yes is preferred, and accuracy where yes, and where no, is right.

    Args:
        table: from `measure`.
        by: columns.
        seed: of the resampling.

    Returns:
        DataFrame: the columns of `by`, quantity ("yes rate", "right where yes is", "right where no is"; CMM calls the
        last two perception accuracy and hallucination resistance), mean, low, high, n. By the margin.
    """
    binary = table[[tuple(options) == YES_NO for options in table["options"]]]
    rows = []
    for key, some in binary.groupby(list(by), sort=False):
        parts = {"yes rate": (some, some["chosen"] == "yes")}
        for name in YES_NO:
            part = some[some["right"] == name]
            parts[f"right where {name} is"] = (part, part["value"] > 0)
        for quantity, (part, values) in parts.items():
            if len(part):
                rows.append((*key, quantity, *clustered(values, part["cluster"], seed=seed)))
    return pd.DataFrame(rows, columns=[*by, "quantity", *Interval._fields])


def without(table, by=("source", "task"), seed=0) -> pd.DataFrame:
    """How much of a set is answered with a modality taken away.

    What is kept is the accuracy above chance that is left, as a share of that with both: 1 if the modality is not
    needed, 0 if nothing is answered without it, below 0 if what is left misleads.

    Args:
        table: from `measure`, of all inputs; questions that were not asked with all of them are left out.
        by: columns.
        seed: of the resampling.

    Returns:
        DataFrame: the columns of `by`, taken (a key of `WITHOUT`), both (accuracy by the margin), left (with what is
        left), low, high (95 % interval of `left`, clustered by video), chance, kept, kept_low, kept_high (NaN where the
        accuracy with both cannot be told from chance), n, videos.
    """
    rows = []
    for key, some in table.groupby(list(by), sort=False):
        wide = _wide(some, (some["value"] > 0).astype(float))
        if wide.empty:
            continue
        guess = 1 / wide["options"].map(len)
        above = clustered(wide["both"] - guess, wide["cluster"], seed=seed)
        for taken, name in WITHOUT.items():
            left = clustered(wide[name], wide["cluster"], seed=seed)
            pairs = np.stack([wide[name] - guess, wide["both"] - guess], axis=1)
            kept = clustered(pairs, wide["cluster"], lambda means: means[:, 0] / means[:, 1], seed)[:3]
            kept = kept if above.low > 0 else (np.nan,) * 3
            about = (guess.mean(), *kept, left.n, wide["cluster"].nunique())
            rows.append((*key, taken, wide["both"].mean(), *left[:3], *about))
    columns = [*by, "taken", "both", "left", "low", "high", "chance", "kept", "kept_low", "kept_high", "n", "videos"]
    return pd.DataFrame(rows, columns=columns)


def conflicts(table, by=("source", "task"), seed=0) -> pd.DataFrame:
    """How often sound and picture conflict at all, and which of them is followed then.

    Args:
        table: from `measure`, of all inputs; questions that were not asked with all of them are left out.
        by: columns.
        seed: of the resampling.

    Returns:
        DataFrame: the columns of `by`, quantity, mean, low, high, n. "told": the share of questions about clips whose
        sound is told not to belong to the picture, of those of which the set tells. "measured": the share in which the
        picture alone and the sound alone prefer different options. "picture followed", "sound followed": of these, what
        is preferred with both is what the one, or the other, prefers alone (else it is a third option).
    """
    rows = []
    for key, some in table.groupby(list(by), sort=False):
        wide = _wide(some, some["chosen"])
        at_odds = wide["video"] != wide["audio"]
        parts = {
            "told": (wide["conflict"].notna(), wide["conflict"].eq(True)),
            "measured": (at_odds | True, at_odds),
            "picture followed": (at_odds, wide["both"] == wide["video"]),
            "sound followed": (at_odds, wide["both"] == wide["audio"]),
        }
        for quantity, (kept, values) in parts.items():
            if kept.any():
                rows.append((*key, quantity, *clustered(values[kept], wide.loc[kept, "cluster"], seed=seed)))
    return pd.DataFrame(rows, columns=[*by, "quantity", *Interval._fields])


def summary(table, seed=0) -> pd.DataFrame:
    """Accuracy by every rule, what remains without a modality, and how often the modalities conflict.

    Args:
        table: from `measure`.
        seed: of the resampling.

    Returns:
        DataFrame: source, task, inputs (or what is taken away), quantity, mean, low, high, n.
    """
    right = accuracy(table, seed=seed)
    right["quantity"] = "accuracy by " + right["rule"]
    kept = without(table, seed=seed)
    kept = kept.assign(quantity="kept of what is above chance", inputs="without " + kept["taken"])
    kept[["mean", "low", "high"]] = kept[["kept", "kept_low", "kept_high"]]
    told = conflicts(table, seed=seed)
    told = told.assign(quantity="conflict, " + told["quantity"], inputs="all")
    found = [one for one in (right, leaning(table, seed=seed), kept, told) if len(one)]
    columns = ["source", "task", "inputs", "quantity", *Interval._fields]
    return pd.concat([one[columns] for one in found], ignore_index=True)


def _row(clip, question, text, inputs, scores, answer):
    right = question.options.index(question.answer)
    margin = scores[right] - max(np.delete(scores, right))
    chosen = question.options[int(np.argmax(scores))]
    about = (clip.id, clip.kind, clip.source, clip.cluster or clip.id, clip.conflict, question.id, question.task)
    return (*about, text, inputs, question.options, question.said, question.answer, chosen, scores, margin, answer)


def _scored(model, prompt, texts, max_new_tokens):
    """The model's own answer in words, and text -> its log-probability as the beginning of the answer, in nats."""
    own = run(model, prompt, max_new_tokens=max_new_tokens, capture=Capture(logits=True))[0]
    ids = [model.tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    if all(len(one) == 1 for one in ids):  # letters, say: they stand in the first step of the answer
        first = torch.from_numpy(own.logits[0]).float().log_softmax(-1)
        return own.text, dict(zip(texts, first[[one[0] for one in ids]].tolist(), strict=True))
    forced = run(model, prompt, [Condition()] * len(ids), forced=ids)
    return own.text, {text: float(one.logprobs.sum()) for text, one in zip(texts, forced, strict=True)}


def _shown(model, clip, inputs):
    """(clip, modalities) of a prompt, None where these inputs do not exist or are no others."""
    has = tuple(name for name, there in (("video", clip.video), ("audio", clip.kind != "mute")) if there)
    if inputs in ("text", "both"):
        return _Shown(clip.id, clip.video, clip.audio, clip.kind), () if inputs == "text" else has
    if len(has) < 2 or not model.hears:
        return None
    if inputs == "silent":
        return _Silent(clip.id, clip.video, clip.audio, clip.kind), has
    return _Shown(clip.id, clip.video, clip.audio, clip.kind), (inputs,)


class _Shown(Clip):
    """A clip whose media are read once for all questions."""

    frames = lru_cache(maxsize=1)(Clip.frames)
    wave = lru_cache(maxsize=1)(Clip.wave)


class _Silent(_Shown):
    """A clip whose track is silent, and as long as it was."""

    def wave(self, rate=16000, max_seconds=None):
        return np.zeros_like(super().wave(rate, max_seconds))


def _wide(table, values):
    """Questions asked with all inputs: cluster, conflict, options, and their values, a column for each input."""
    index = [table["clip"], table["item"]]
    wide = values.groupby([*index, table["inputs"]]).first().unstack().reindex(columns=list(INPUTS)).dropna()
    known = table.groupby(index)[["cluster", "conflict", "options"]].agg(lambda some: some.iloc[0])
    return known.join(wide, how="inner")
