"""Attention knockout: what an answer becomes if it may not look at the picture, at the sound, at the question.

Rows of a source (by default the last prompt position and all answer tokens) lose the keys of a group in the layers of a
span, before the softmax, so that their attention goes to what is left. Beside each cut stands its **control**, as many
prompt positions drawn at random. The pool is the whole prompt: it is blind to modality, and the only one that always
holds enough positions (the text of a prompt is shorter than its media).

    >>> cumulative(4), windows(4, width=2)
    ([(0, 1), (0, 2), (0, 3), (0, 4)], [(0, 2), (1, 3), (2, 4)])

A span is (start, stop), stop exclusive: the last layer of a decoder of 36 is in (0, 36), not in (0, 35). All conditions
of a clip and a question share one prefill.
"""

from functools import cache, partial
from zlib import crc32

import pandas as pd

from avnb import judge
from avnb.engine import run
from avnb.engine.conditions import Condition, Random
from avnb.layers import cumulative
from avnb.media.clip import ClipError, for_each
from avnb.questions import HEAR, SEE, modalities_of
from avnb.toybox.captions import Writer
from avnb.toybox.sources import SOURCES

NOTHING = "nothing"  # what the baseline blocks
CONTROL = "control: "  # before the name of the group whose size the draw has
ANSWER = "last+generated"

# Where information can come from and go to; text before the media is seen, but holds nothing of them.
NODES = {"audio": "audio", "video": "video", "question": "query+template+boundary", "answer": ANSWER}
EDGES = (
    ("audio", "video"),
    ("video", "audio"),
    ("audio", "question"),
    ("video", "question"),
    ("question", "answer"),
    ("audio", "answer"),
    ("video", "answer"),
)

_SETTING = ["model", "clip", "kind", "question", "modality", "caption"]  # what is the same before and after a cut
_CUT = ["blocked", "start", "stop"]
_SCORED = ["clip", "kind", "question", *_CUT, "draw", "caption", "value"]


def sweep(
    model,
    clips,
    questions=(HEAR, SEE),
    spans=None,
    blocked=("video", "audio"),
    source=ANSWER,
    n_draws=3,
    max_new_tokens=32,
    seed=0,
):
    """Captions under every cut, judged (figures 6 and 11).

    Args:
        model: an AVLLM from `avnb.load`.
        clips: clips with known events; one with bad media is reported and left out (`clips.for_each`).
        questions: the prompts. What a question asks for is judged: "see" the picture, "hear" the sound.
        spans: pairs (start, stop) of layers, from `windows` and `cumulative`; None is `cumulative(n_layers)`, what the
            published script does by default.
        blocked: the groups that are cut, one at a time: "video", "audio", "video+audio", "query" ...
        source: who loses them. "last+generated" is every row that chooses a token of the answer; "generated", as in
            the published script, leaves the first token alone, which comes from the last prompt position.
        n_draws: random controls for every cut.
        max_new_tokens: the longest answer, in tokens.
        seed: of the draws, which differ from clip to clip.

    Returns:
        DataFrame: clip, kind, question, blocked ("nothing" is the baseline, "control: video" a draw of as many
        positions as the video has), start, stop, draw (its number), modality ("audio" or "video"), answer, value
        (fidelity in 0..1). Means over a clip's draws: `change`.

    Raises:
        JudgeError: the events of a clip are not known; before the first answer.
        PromptError: a prompt lacks a group that is blocked.
        ValueError: a question asks neither to see nor to hear, or a layer that the decoder lacks.

    Source: arXiv 2604.02605, attention knockout. The spans of the published sweep are not stated.

    Example:
        >>> model, clips = avnb.load("toy-omni"), avnb.datasets.load("toybox", n=2)
        >>> table = sweep(model, clips, ["Describe what you hear."], spans=[(0, 8)], blocked=["video"], n_draws=1)
        >>> table["blocked"].tolist()
        ['nothing', 'video', 'control: video', 'nothing', 'video', 'control: video']
    """
    clips = list(clips)
    wanted = {question: modalities_of(question) for question in questions}
    for clip in clips:
        for modality in {m for some in wanted.values() for m in some}:
            judge.events(clip, modality)
    rules = [(source, group, group) for group in blocked]

    def judged(clip):
        cuts = _cuts(model, spans, rules, clip, n_draws, seed)
        value = cache(lambda answer, modality: judge.score(answer, clip, modality).value)
        rows = []
        for question, modalities in wanted.items():
            runs = run(model, model.prompt(clip, question), cuts.values(), max_new_tokens)
            rows += [
                (clip.id, clip.kind, question, *label, modality, found.text, value(found.text, modality))
                for label, found in zip(cuts, runs, strict=True)
                for modality in modalities
            ]
        return rows

    columns = ["clip", "kind", "question", *_CUT, "draw", "modality", "answer", "value"]
    return _table(clips, judged, columns)


def scores(model, clips, question=HEAR, spans=None, blocked=("video", "audio"), source=ANSWER, n_draws=3, seed=0):
    """How probable the right caption and the distractor's are under every cut: no judge, no decoding.

    Right is what is heard (of a question to hear), said as heard; the distractor is what is seen, said as heard too,
    where the two have nothing in common. A question to see has them the other way round. Of clips without known events
    the first reference caption is right, and there is no distractor.

    Args:
        model, clips, spans, blocked, source, n_draws, seed: as in `sweep`.
        question: a prompt that asks to see or to hear, not both.

    Returns:
        DataFrame: clip, kind, question, blocked, start, stop, draw, caption ("right", "distractor", or "margin", the
        difference of the two), value (log-probability of the whole caption in nats).

    Raises:
        ClipError: a clip has neither known events nor a caption of what is asked for; before the first answer.
        PromptError, ValueError: as in `sweep`.

    Example:
        >>> model, clips = avnb.load("toy-omni"), avnb.datasets.load("toybox", n=2)
        >>> table = scores(model, clips[1:], spans=[(0, 8)], blocked=["audio"], n_draws=0)
        >>> table.groupby("caption")["value"].count().to_dict()
        {'distractor': 2, 'margin': 2, 'right': 2}
    """
    clips = _with_captions(clips, question)
    rules = [(source, group, group) for group in blocked]

    def scored(clip):
        return _scored(model, model.prompt(clip, question), _cuts(model, spans, rules, clip, n_draws, seed), clip)

    return _table(clips, scored, _SCORED)


def flow(model, clips, question=HEAR, spans=None, edges=EDGES, n_draws=3, seed=0):
    """Which way information goes: every edge of the prompt cut, one at a time.

    An edge (sender, receiver) is cut by keeping the receiver's positions from attending to the sender's. Nodes are
    "audio", "video", "question" (with it the chat template and the marks around the media: all text but the system
    message and the last position) and "answer" (the last position and all answer tokens). An edge against the order of
    a prompt carries nothing and is left out, as is one of a node that the prompt lacks.

    Only edges into the answer have a control. The answer sees the whole prompt, so that a draw of as many positions
    takes as much from it as the cut. A receiver inside the prompt sees only what precedes it: much of a draw would take
    nothing from it, and what precedes the sound is so full of pictures that a draw as large would be the pictures.

    Args:
        model, clips, question, spans, seed: as in `scores`.
        edges: pairs of nodes.
        n_draws: random controls for every edge into the answer.

    Returns:
        DataFrame: clip, kind, question, blocked ("audio > answer", "control: audio > answer": the answer loses as many
        positions drawn at random), start, stop, draw, caption, value, as in `scores`.

    Raises:
        ClipError, PromptError: as in `scores`.
        ValueError: a node that is none of these, or as in `scores`.

    Source: the groups of arXiv 2606.10147.

    Example:
        >>> model, clips = avnb.load("toy-omni"), avnb.datasets.load("toybox", n=2)
        >>> table = flow(model, clips[1:], spans=[(0, 8)], edges=[("video", "question")], n_draws=0)
        >>> table["blocked"].unique().tolist()
        ['nothing', 'video > question']
    """
    for sender, receiver in edges:
        if not {sender, receiver} <= set(NODES):
            raise ValueError(f"edge {sender!r} > {receiver!r} is unknown; nodes are {', '.join(NODES)}")
    clips = _with_captions(clips, question)

    def scored(clip):
        prompt = model.prompt(clip, question)
        there = [edge for edge in edges if _can_see(prompt, *edge)]
        rules = [(NODES[receiver], NODES[sender], f"{sender} > {receiver}") for sender, receiver in there]
        inner, outer = ([rule for rule in rules if (rule[0] == ANSWER) == wanted] for wanted in (False, True))
        cuts = _cuts(model, spans, inner, clip, 0, seed) | _cuts(model, spans, outer, clip, n_draws, seed)
        return _scored(model, prompt, cuts, clip)

    return _table(clips, scored, _SCORED)


def change(table):
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
    setting = [name for name in _SETTING if name in table]
    is_baseline = table["blocked"] == NOTHING
    baseline = table[is_baseline].set_index(setting)["value"].rename("baseline")
    cuts = table[~is_baseline].groupby([*setting, *_CUT], sort=False)["value"].mean().reset_index()
    cuts = cuts.join(baseline, on=setting)
    return cuts.assign(value=cuts["value"] - cuts["baseline"]).drop(columns="baseline")


def effect(changes, blocked, span, **where):
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
    found = changes[(changes[list(wanted)] == pd.Series(wanted)).all(axis=1)].set_index("clip")["value"]
    if found.empty or not found.index.is_unique:
        trouble = "nothing in the table has" if found.empty else "there are several values per clip with"
        raise ValueError(f"{trouble} {', '.join(f'{name}={value!r}' for name, value in wanted.items())}")
    return found


def recovered(table, blocked, span, n=5):
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


def _cuts(model, spans, rules, clip, n_draws, seed):
    """{(blocked, start, stop, draw): condition}: the baseline, then every rule (source, target, name) in every span."""
    n_layers = len(model.decoder.layers)
    cuts = {(NOTHING, 0, 0, 0): Condition()}
    # Every clip draws anew, or the same few positions would be drawn in all prompts of one length.
    seeds = [crc32(f"{clip.id} {seed} {draw}".encode()) for draw in range(n_draws)]
    for start, stop in cumulative(n_layers) if spans is None else spans:
        if not 0 <= start < stop <= n_layers:
            raise ValueError(f"span ({start}, {stop}): use 0 <= start < stop <= {n_layers}, the layers of {model.name}")
        for source, target, name in rules:
            block = partial(Condition.block, source, layers=range(start, stop))
            cuts[name, start, stop, 0] = block(target)
            for draw, number in enumerate(seeds):
                cuts[CONTROL + name, start, stop, draw] = block(Random(target, number, among="everywhere"))
    return cuts


def _scored(model, prompt, cuts, clip):
    """Rows of `scores` for one clip."""
    values = {
        name: _log_probabilities(model, prompt, cuts.values(), text)
        for name, text in _captions(clip, prompt.question).items()
    }
    if "distractor" in values:
        values["margin"] = [a - b for a, b in zip(values["right"], values["distractor"], strict=True)]
    return [
        (clip.id, clip.kind, prompt.question, *label, name, some[i])
        for i, label in enumerate(cuts)
        for name, some in values.items()
    ]


def _log_probabilities(model, prompt, conditions, text):
    """Of a given answer under every condition, in nats."""
    by_source = {}
    for i, condition in enumerate(conditions):
        by_source.setdefault(condition.rules[0].source if condition.rules else ANSWER, []).append((i, condition))
    values = [0.0] * len(conditions)
    # Conditions that run together branch off where the first of them does, so that late sources are better alone.
    for some in by_source.values():
        runs = run(model, prompt, [condition for _, condition in some], forced=text)
        for (i, _), found in zip(some, runs, strict=True):
            values[i] = float(found.logprobs.sum())
    return values


def _captions(clip, question):
    """{"right": caption, "distractor": caption if there is one} for a question about one modality."""
    modality, *more = modalities_of(question)
    if more:
        raise ValueError(f"question {question!r} asks to see and to hear; ask for one, whose captions are compared")
    own, other = (clip.heard, clip.seen) if modality == "audio" else (clip.seen, clip.heard)
    if own and {*own, *other} <= set(SOURCES):
        write = getattr(Writer(), modality)
        found = {"right": write(own)}
        return found | {"distractor": write(other)} if other and not {*own} & {*other} else found
    captions = clip.audio_captions if modality == "audio" else clip.video_captions
    if not captions:
        raise ClipError(f"{clip.id}: it has no known {modality} events and no {modality} caption; leave it out")
    return {"right": captions[0]}


def _with_captions(clips, question):
    """The clips as a list, once all have a caption to score: the loop over them skips over a `ClipError`."""
    clips = list(clips)
    for clip in clips:
        _captions(clip, question)
    return clips


def _can_see(prompt, sender, receiver):
    """Whether some position of the receiver comes after one of the sender; the question is where its words are."""
    first, last = (prompt.segments.positions(NODES[node].split("+")[0]) for node in (sender, receiver))
    return len(first) > 0 and len(last) > 0 and first[0] < last[-1]


def _table(clips, measured, columns):
    """The rows that a function gives for every clip, as a table."""
    found, _ = for_each(clips, measured)
    return pd.DataFrame([row for _, rows in found for row in rows], columns=columns)
