"""Caption fidelity: does an answer name what is seen, and what is heard (figures 2 and 3)?

A model is asked about every clip; its greedy answers are judged for one modality at a time by `judge.score`. Factual
clips against counterfactual ones show how much of what seems to be heard is guessed from the picture.

    >>> clips = avnb.datasets.load("toybox", n=4)
    >>> table = measure(avnb.load("toy-omni"), clips, ["Describe what you hear."], inputs=["both"])
    >>> table.groupby(["kind", "inputs", "modality"]).size().to_dict()
    {('counterfactual', 'both', 'audio'): 2, ('factual', 'both', 'audio'): 2}
"""

import numpy as np
import pandas as pd

from avnb import judge as judges
from avnb.analyses.jobs import each, over
from avnb.datasets import sources
from avnb.judge.words import mentioned, world_of
from avnb.questions import HEAR, MAX_NEW_TOKENS, MODALITIES, OTHER, QUESTIONS, SEE, modalities_of
from avnb.stats import Interval, difference, interval, resampled
from avnb.text import key

INPUTS = {"both": ("video", "audio"), "video": ("video",), "audio": ("audio",)}
CELL = ["inputs", "question", "modality"]  # what a number of this module is about, next to the kind of the clips

_COLUMNS = ["clip", "kind", *CELL, "answer", "value", "matched", "missed", "invented", "leakage", "elsewhere"]
_COLUMNS += ["reason", "truncated"]


plan = each


def measure(
    model, clips, questions=QUESTIONS, *, inputs=tuple(INPUTS), judge="events", max_new_tokens=MAX_NEW_TOKENS
) -> pd.DataFrame:
    """Asks a model about every clip and scores its greedy answers.

    Args:
        model: an AVLLM from `avnb.load`.
        clips: clips; one with bad media is reported and left out (`jobs.over`).
        questions: the prompts. What a question asks for is judged: "see" the picture, "hear" the sound.
        inputs: what the prompts hold, some of "both", "video", "audio". A mute clip has no prompt of audio alone. A
            model that does not hear is asked only what it sees, from the video.
        judge: by whom answers are judged, a name of `avnb.judge`.
        max_new_tokens: where an answer is cut off. What would have come after it counts as missed; `truncated` tells
            which answers that may concern.

    Returns:
        DataFrame: clip, kind, inputs, question, modality ("audio" or "video"), answer, value (fidelity in 0..1, NaN if
        it could not be judged), matched, missed, invented (tuples of names), leakage (how much of what only the other
        modality holds is told of this one, in 0..1; NaN unless the judge tells), elsewhere (what the judge knows that
        only the other modality holds: events, or words of its captions), reason (why there is no value, else empty),
        truncated (whether the answer had not ended after `max_new_tokens`).

    Raises:
        JudgeError: there is no such judge.
        ValueError: a question asks neither to see nor to hear, unknown inputs, or nothing that a deaf model can be
            asked.

    Source: arXiv 2604.02605, caption fidelity (there judged by a language model).

    Example:
        >>> model, clips = avnb.load("toy-omni"), avnb.datasets.load("toybox", n=2)
        >>> table = measure(model, clips, ["Describe what you see and hear."], inputs=["both", "audio"])
        >>> len(table)
        8
    """
    asked = _asked(model, questions, inputs)
    judges.named(judge)  # before the model is asked

    def scored(job):
        clip, answers = job.clip, []
        here = [(source, question) for source, question in asked if clip.kind != "mute" or source != "audio"]
        said = _said(model, clip, here, max_new_tokens)
        for (source, question), answer in zip(here, said, strict=True):
            answers += [(source, question, modality, *answer) for modality in modalities_of(question)]
        found = judges.scores([(answer, clip, modality) for _, _, modality, answer, _ in answers], judge)
        only = {modality: _elsewhere(judges.named(judge), clip, modality) for modality in MODALITIES}
        rows = []
        for (*cell, truncated), s in zip(answers, found, strict=True):
            names = s.matched, s.missed, s.invented
            rows.append((clip.id, clip.kind, *cell, s.value, *names, s.leakage, only[cell[2]], s.reason, truncated))
        return rows

    return over(plan(clips), scored, _COLUMNS)


def example(model, clips, question=HEAR, max_new_tokens=MAX_NEW_TOKENS):
    """The clip to open with, by a rule: the first conflicting one about whose sound the model tells what is only seen.

    Args:
        model: an AVLLM from `avnb.load`.
        clips: clips in their order; the model is asked until one is found.
        question: that is asked.
        max_new_tokens: where an answer is cut off.

    Returns:
        (clip, answer). Where no answer names something only seen, or no events are listed: the first conflicting clip,
        or without any the first clip.

    Example:
        >>> clip, answer = example(avnb.load("toy-omni"), avnb.datasets.load("toybox", n=8))
        >>> clip.kind, bool(set(mentioned(answer)) & set(clip.seen))
        ('counterfactual', True)
    """
    conflicting = [clip for clip in clips if clip.kind == "counterfactual"] or list(clips)
    first = None
    for clip in conflicting:
        answer = model.caption(clip, question, max_new_tokens)
        first = first or (clip, answer)
        named = set(mentioned(answer, world_of(clip)))
        if named & ({*clip.seen} - {*clip.heard}) and not named & {*clip.heard}:
            return clip, answer
    return first


def judged(table):
    """The rows of a table that could be judged; the others have a reason and no value."""
    return table[table["value"].notna()]


def by_clip(table, kind, inputs="both", modality="audio") -> pd.Series:
    """How well a model names what it was asked for, one value per clip.

    Args:
        table: from `measure`.
        kind: of the clips.
        inputs: what the prompts held.
        modality: "audio" for what is said to be heard, "video" for what is said to be seen.

    Returns:
        Series indexed by clip, in the order of the table; answers without a score are left out.

    Example:
        >>> table = measure(avnb.load("toy-omni"), avnb.datasets.load("toybox", n=4), inputs=["both"])
        >>> by_clip(table, "factual").between(0, 1).tolist()
        [True, True]
    """
    cell = [inputs, {"audio": HEAR, "video": SEE}[modality], modality, kind]
    return judged(table[(table[[*CELL, "kind"]] == cell).all(axis=1)]).set_index("clip")["value"]


def drop(table, seed=0) -> pd.DataFrame:
    """How far fidelity falls from factual to counterfactual clips.

    The two kinds are different clips, so each is resampled on its own, clips of one source together. With F the mean
    over factual clips and C the mean over counterfactual ones, the absolute drop is F - C, the relative drop
    (F - C) / F.

    Args:
        table: from `measure`, of clips of both kinds; other kinds are left out.
        seed: of the resampling.

    Returns:
        DataFrame: inputs, question, modality, factual, counterfactual (the means), drop ("absolute" or "relative"),
        mean, low, high (positive where fidelity falls), n (clips of both kinds). Bounds are NaN where the interval is
        not known: a single clip, or a relative drop when F may be 0.

    Source: arXiv 2604.02605, figures 2 and 3.

    Example:
        >>> kinds = ["factual", "factual", "counterfactual", "counterfactual"]
        >>> table = pd.DataFrame({"clip": range(4), "kind": kinds, "value": [1.0, 1.0, 0.5, 0.0]})
        >>> table = table.assign(inputs="both", question="Describe what you hear.", modality="audio")
        >>> drop(table)[["drop", "mean", "n"]].values.tolist()
        [['absolute', 0.75, 4], ['relative', 0.75, 4]]
    """
    statistics = {
        "absolute": lambda f, c: f - c,
        "relative": lambda f, c: 1 - c / f,
    }
    rows = []
    for cell, group in judged(table).groupby(CELL, sort=False):
        f, c = (group[group["kind"] == kind] for kind in ("factual", "counterfactual"))
        if len(f) and len(c):
            for name, statistic in statistics.items():
                found = resampled(statistic, f["value"], c["value"], seed=seed, clusters=_sources(f, c))
                rows.append((*cell, f["value"].mean(), c["value"].mean(), name, *found))
    return pd.DataFrame(rows, columns=[*CELL, "factual", "counterfactual", "drop", *Interval._fields])


def chance(table) -> pd.DataFrame:
    """Fidelity by chance: every answer scored against what all other clips of its kind hold.

    Names are compared by their stems: events, or words of the captions. A judge by model puts its names in its own
    words, of which hardly any two clips share one, so that it tells no chance.

    Args:
        table: from `measure`.

    Returns:
        DataFrame: clip, kind, inputs, question, modality, value (as measured), null (the mean score of the clip's
        answer against what each other clip of this kind holds). Left out are groups in which all clips hold the same,
        such as the sound of mute clips: there another clip is no other.

    Example:
        >>> model, clips = avnb.load("toy-omni"), avnb.datasets.load("toybox", n=4)
        >>> table = chance(measure(model, clips, ["Describe what you hear."], inputs=["both"]))
        >>> table.columns.tolist(), len(table)
        (['clip', 'kind', 'inputs', 'question', 'modality', 'value', 'null'], 4)
    """
    table = judged(table)
    held = [_keys(row.matched, row.missed) for row in table.itertuples()]
    said = [_keys(row.matched, row.invented) for row in table.itertuples()]
    cells = table.assign(held=held).groupby(["kind", *CELL])["held"]
    return _with_null(table, held, said, _jaccard)[cells.transform("nunique").gt(1)]


def confusions(table) -> pd.DataFrame:
    """Whether answers about one modality name something that only the other one holds: seen, and said to be heard.

    Args:
        table: from `measure`.

    Returns:
        DataFrame: clip, kind, inputs, question, modality (that the answer is about), value (1 if it names an event that
        only the other modality of the clip holds, else 0), null (the share of the other clips of this kind for which it
        would). Clips without such an event are left out, as most factual ones are.

    Source: arXiv 2604.02605, which finds that sounds are hallucinated from what is seen.

    Example:
        >>> model, clips = avnb.load("toy-omni"), avnb.datasets.load("toybox", n=4)
        >>> table = confusions(measure(model, clips, ["Describe what you hear."], inputs=["both"]))
        >>> table["kind"].tolist(), set(table["value"]) <= {0, 1}
        (['counterfactual', 'counterfactual'], True)
    """
    table = judged(table)
    table = table[[len(events) > 0 for events in table["elsewhere"]]]
    held = [_keys(names) for names in table["elsewhere"]]
    # All that is named: what is matched here is elsewhere in other clips.
    said = [_keys(row.matched, row.invented) for row in table.itertuples()]
    return _with_null(table, held, said, lambda a, b: float(not a.isdisjoint(b)))


def controls(table, rewritten, question=HEAR, seed=0) -> pd.DataFrame:
    """What another sound does to audio fidelity, beside all else that differs between the kinds of clips.

    Args:
        table: from `measure`, of factual, counterfactual and shifted clips with inputs "both", and of factual and
            counterfactual ones with inputs "audio".
        rewritten: from `measure`, of the factual clips with their own sound written anew (id "CLIP+SUFFIX").
        question: whose answers count.
        seed: of the resampling.

    Returns:
        DataFrame: label, mean, low, high, n. In order: another sound (counterfactual - factual); the own sound late
        (paired by clip); another sound against the own one late; the own sound written anew (paired); another sound
        when there is no picture. The last two and the second are controls, and named so.

    Raises:
        ValueError: the table lacks one of these; names it.
    """
    tables = (judged(t) for t in (table, rewritten))
    table, rewritten = (t[(t["question"] == question) & (t["modality"] == "audio")] for t in tables)

    def rows(kind, inputs="both"):
        some = table[(table["inputs"] == inputs) & (table["kind"] == kind)]
        if some.empty:
            raise ValueError(f"the table holds no {kind} clips with inputs {inputs!r} asked {question!r}; measure them")
        return some

    factual, other, late = rows("factual"), rows("counterfactual"), rows("shifted")
    found = {
        "another sound": _gap(other, factual, seed),
        "control: its own sound, late": _paired(factual, late, seed),
        "another sound, beyond its own one late": _gap(other, late, seed),
        "control: its own sound, encoded once more": _paired(factual, rewritten, seed),
        "control: another sound, no picture": _gap(rows("counterfactual", "audio"), rows("factual", "audio"), seed),
    }
    return pd.DataFrame([(label, *one) for label, one in found.items()], columns=["label", *Interval._fields])


def as_published(table, audio=HEAR, video=SEE, seed=0) -> dict:
    """The numbers that the study prints, for `paper.compare`.

    Args:
        table: from `measure`, with prompts of both modalities.
        audio, video: the questions whose answers count for the sound, for the picture.
        seed: of the resampling.

    Returns:
        dict: "audio fidelity, factual" and the like -> `stats.Interval`; empty for what was not measured.

    Example:
        >>> table = measure(avnb.load("toy-omni"), avnb.datasets.load("toybox", n=4), inputs=["both"])
        >>> list(as_published(table))[2]
        'audio fidelity, counterfactual - factual'
    """
    table, found = judged(table), {}
    for modality, question in (("audio", audio), ("video", video)):
        rows = table[(table[CELL] == ["both", question, modality]).all(axis=1)]
        f, c = (rows[rows["kind"] == kind] for kind in ("factual", "counterfactual"))
        if len(f) and len(c):
            found[f"{modality} fidelity, factual"] = interval(f["value"], seed)
            found[f"{modality} fidelity, counterfactual"] = interval(c["value"], seed)
            found[f"{modality} fidelity, counterfactual - factual"] = _gap(c, f, seed)
    return found


def _with_null(table, held, said, compare):
    """The clips' own comparison of what they hold and what was said (value), and the mean over the others (null)."""
    found = table[["clip", "kind", *CELL]].assign(value=0.0, null=np.nan).reset_index(drop=True)
    for rows in found.groupby(["kind", *CELL]).indices.values():
        scores = np.array([[compare(held[j], said[i]) for j in rows] for i in rows])
        found.loc[rows, "value"] = scores.diagonal()
        if len(rows) > 1:
            found.loc[rows, "null"] = (scores.sum(1) - scores.diagonal()) / (len(rows) - 1)
    return found.set_axis(table.index)


def _gap(table, other, seed):
    """The mean of one table above that of another one, of other clips."""
    clusters = _sources(table, other)
    return resampled(lambda a, b: a - b, table["value"], other["value"], seed=seed, clusters=clusters)


def _sources(*tables):
    """What is resampled together in each table: clips whose picture shows the same source, where that is known."""
    return [sources(table["clip"]) for table in tables]


def _paired(table, changed, seed):
    """What becomes of clips when they are changed: the mean difference to versions called "CLIP+SUFFIX"."""
    before, after = table.set_index("clip")["value"], changed.set_index("clip")["value"]
    after.index = after.index.str.rsplit("+", n=1).str[0]
    common = before.index.intersection(after.index)
    return difference(after[common], before[common], seed, clusters=sources(common))


def _jaccard(a, b):
    return len(a & b) / len(a | b) if a or b else 1.0


def _asked(model, questions, inputs):
    """The (inputs, question) that are put to the model about every clip."""
    questions, inputs = list(questions), list(inputs)
    if unknown := [source for source in inputs if source not in INPUTS]:
        raise ValueError(f"inputs {unknown[0]!r} are unknown; use some of {', '.join(INPUTS)}")
    wanted = {question: modalities_of(question) for question in questions}
    if not model.hears:
        questions = [question for question in questions if wanted[question] == ("video",)]
        inputs = ["video"] if {"both", "video"} & set(inputs) else []
        if not questions or not inputs:
            raise ValueError(f"{model.name} does not hear; ask it what it sees, from the video")
    return [(source, question) for source in inputs for question in questions]


def _said(model, clip, asked, max_new_tokens):
    """The greedy answer to every (inputs, question), and whether it was cut off before its end."""
    from avnb.engine import EngineError, Request, run_all  # with torch, which figures of this module do without

    prompts = [model.prompt(clip, question, INPUTS[source]) for source, question in asked]
    try:
        runs = run_all(model, [Request(prompt, max_new_tokens=max_new_tokens) for prompt in prompts])
    except EngineError:  # a decoder that no condition can be put to answers as it is
        said = [model.caption(clip, question, max_new_tokens, INPUTS[source]) for source, question in asked]
        lengths = [len(model.tokenizer(answer, add_special_tokens=False)["input_ids"]) for answer in said]
        return [(answer, length >= max_new_tokens) for answer, length in zip(said, lengths, strict=True)]
    return [(answer.text, int(answer.token_ids[-1]) not in model.stop_ids) for (answer,) in runs]


def _elsewhere(judge, clip, modality):
    """What the judge knows that the other modality of a clip holds, and this one does not."""
    here = _keys(judge.holds(clip, modality))
    return tuple(name for name in judge.holds(clip, OTHER[modality]) if key(name) not in here)


def _keys(*names):
    return frozenset(key(name) for some in names for name in some)
