"""Answers that blend: the noun of what is seen with the verb of what is heard, in one sentence.

>>> row = {"clip": "a", "answer": "I hear a helicopter mooing.", "elsewhere": ["helicopter"], "matched": ["cow"]}
>>> blends(pd.DataFrame([row]))["value"].tolist()
[1.0]
"""

import math
from typing import NamedTuple

import pandas as pd

from avnb import datasets, stats
from avnb.analyses import tokens
from avnb.analyses.changes import ANSWER, NOTHING, change
from avnb.analyses.jobs import each, over
from avnb.analyses.knockout import conditions
from avnb.engine import run
from avnb.judge.words import mentioned
from avnb.questions import HEAR, MAX_NEW_TOKENS

SEEN, HEARD = "the word of what is seen", "the word of what is heard"
_COLUMNS = ["clip", "kind", "question", "answer", "quantity", "blocked", "start", "stop", "draw", "value"]

FEWEST = 10  # blends, of which anything is told

plan = each


class Origin(NamedTuple):
    """Where the words of blends come from.

    Attributes:
        n: blends.
        changes: (`SEEN` or `HEARD`, what is cut) -> `stats.Interval` of the change of the word's log-probability, in
            nats.
        apart: `SEEN` or `HEARD` -> `stats.Interval`: how much more the cut of its own modality changes it than that of
            the other one. Like `changes`, None of fewer than `FEWEST` blends.
        text: what follows, as markdown.
    """

    n: int
    changes: dict | None = None
    apart: dict | None = None
    text: str = ""


def blends(table) -> pd.DataFrame:
    """Whether a sentence of an answer names something that is only seen together with something that is heard.

    Args:
        table: from `fidelity.measure`, the rows of one question about the sound and of clips whose events are known.

    Returns:
        DataFrame: clip, answer, seen, heard (the two events; None without a blend), value (1 for a blend, else 0).
    """
    rows = []
    for row in table.itertuples():
        _, *found = _blend(row.answer, list(row.elsewhere), list(row.matched))
        rows.append((row.clip, row.answer, *found, float(all(found))))
    return pd.DataFrame(rows, columns=["clip", "answer", "seen", "heard", "value"])


def mixes(text) -> bool:
    """Whether a sentence of an answer names two things at once, whichever they are: a blend without a clip.

    Example:
        >>> mixes("I hear a helicopter mooing."), mixes("I hear a cow mooing. There is also a helicopter.")
        (True, False)
    """
    return any(len(mentioned(part)) > 1 for part in text.split("."))


def words(
    model,
    clips,
    question=HEAR,
    *,
    blocked=("video", "audio"),
    source=ANSWER,
    n_draws=1,
    max_new_tokens=MAX_NEW_TOKENS,
    seed=0,
):
    """Where the two words of a blend come from: how probable each stays under every cut, in all layers.

    The answer is given under every cut as it was chosen without, so that a word is judged after the same words. Of a
    word of several tokens the first one counts.

    Args:
        model: an AVLLM from `avnb.load`.
        clips: clips whose events are known; one with bad media is reported and left out (`jobs.over`).
        question: about the sound.
        blocked, source, n_draws, max_new_tokens, seed: as in `knockout.sweep`.

    Returns:
        DataFrame: clip, kind, question, answer, quantity (`SEEN` or `HEARD`: which word), blocked, start, stop, draw,
        value (its log-probability in nats). An answer that is no blend has one row, without quantity and value.

    Raises:
        PromptError: as in `knockout.sweep`.

    Example:
        >>> model, clips = avnb.load("toy-omni"), avnb.datasets.load("toybox", n=2)
        >>> words(model, clips)[["quantity", "blocked"]].values.tolist()
        [['', 'nothing'], ['', 'nothing']]
    """
    spans = [(0, len(model.decoder.layers))]
    rules = [(source, group, group) for group in blocked]

    def rows(job):
        clip, prompt = job.clip, model.prompt(job.clip, question)
        answer = run(model, prompt, max_new_tokens=max_new_tokens)[0]
        about = clip.id, clip.kind, question, answer.text
        sentence, *found = _blend(answer.text, [one for one in clip.seen if one not in clip.heard], list(clip.heard))
        steps = []
        if all(found):
            labels = tokens.label(model.tokenizer, answer.token_ids, clip)
            within = labels[labels["token"].str.count(r"\.").cumsum().shift(fill_value=0) == sentence]
            steps = [within.loc[within["event"] == event, "step"] for event in found]
        if not steps or not all(map(len, steps)):  # no blend, or in a sentence that is not about the sound
            return [(*about, "", NOTHING, 0, 0, 0, math.nan)]
        cuts = conditions(model, spans, rules, clip, n_draws, seed)
        runs = run(model, prompt, cuts.values(), forced=answer.token_ids)
        return [
            (*about, name, *label, float(one.logprobs[step.iloc[0]]))
            for label, one in zip(cuts, runs, strict=True)
            for name, step in zip((SEEN, HEARD), steps, strict=True)
        ]

    return over(plan(clips), rows, _COLUMNS)


def origin(table, seed=0) -> Origin:
    """Whether either word of a blend comes from its own modality: cutting that off costs it more than the other one.

    Args:
        table: from `words`, with the cuts of "video" and of "audio".
        seed: of the resampling, in which clips whose picture shows the same source stay together.
    """
    halves = table[table["quantity"] != ""]
    if (n := halves["clip"].nunique()) < FEWEST:
        return Origin(n)
    costs = change(halves).pivot(index="clip", columns=["quantity", "blocked"], values="value")
    clusters = datasets.sources(costs.index)
    changes = {cell: stats.interval(costs[cell], seed, signed=True, clusters=clusters) for cell in costs}
    apart = {
        word: stats.difference(costs[word, own], costs[word, other], seed, clusters=clusters)
        for word, own, other in ((SEEN, "video", "audio"), (HEARD, "audio", "video"))
    }
    found = [word for word, one in apart.items() if one.high < 0]
    text = "Either word comes from its own modality"
    if len(found) < 2:
        text = (
            f"Only {found[0]} clearly comes from its own modality"
            if found
            else "Where the words come from is not clear"
        )
    return Origin(n, changes, apart, f"**{text}.**")


def _blend(answer, seen, heard):
    """(number of a sentence, what is only seen, what is heard) of the first one that names both, else of none."""
    for number, sentence in enumerate(answer.split(".")):
        named = mentioned(sentence)
        found = [next((one for one in named if one in some), None) for some in (seen, heard)]
        if all(found):
            return number, *found
    return None, None, None
