"""Attention knockout: what an answer becomes if it may not look at the picture, at the sound, at the question.

Rows of a source (by default the last prompt position and all answer tokens) lose the keys of a group in the layers of a
span, before the softmax, so that their attention goes to what is left. Beside each cut stands its **control**, as many
prompt positions drawn at random. The pool is the whole prompt: it is blind to modality, and the only one that always
holds enough positions (the text of a prompt is shorter than its media).

    >>> model, clips = avnb.load("toy-omni"), avnb.datasets.load("toybox", n=2)
    >>> table = sweep(model, clips, ["Describe what you hear."], spans=[(0, 8)], blocked=["video"], n_draws=0)
    >>> change(table)["blocked"].tolist()
    ['video', 'video']

A span is (start, stop), stop exclusive: the last layer of a decoder of 36 is in (0, 36), not in (0, 35). All conditions
of a clip and a question share one prefill.
"""

from functools import partial
from zlib import crc32

from avnb import judge as judges
from avnb.analyses.changes import ANSWER, CONTROL, NOTHING, baseline, change, effect, recovered
from avnb.analyses.jobs import each, over
from avnb.engine import Request, run, run_all
from avnb.engine.conditions import Condition, Random
from avnb.judge.references import references
from avnb.layers import cumulative
from avnb.questions import HEAR, MAX_NEW_TOKENS, SEE, modalities_of

__all__ = [
    "ANSWER",
    "CONTROL",
    "NOTHING",
    "baseline",
    "change",
    "conditions",
    "effect",
    "flow",
    "recovered",
    "scores",
    "sweep",
]

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

_CUT = ["blocked", "start", "stop"]
_JUDGED = ["clip", "kind", "question", *_CUT, "draw", "modality", "answer", "value", "reason"]
_SCORED = ["clip", "kind", "question", *_CUT, "draw", "quantity", "value"]

plan = each


def sweep(
    model,
    clips,
    questions=(HEAR, SEE),
    *,
    spans=None,
    blocked=("video", "audio"),
    source=ANSWER,
    n_draws=3,
    judge="events",
    max_new_tokens=MAX_NEW_TOKENS,
    seed=0,
):
    """Captions under every cut, judged (figures 6 and 11).

    Args:
        model: an AVLLM from `avnb.load`.
        clips: clips; one with bad media is reported and left out (`jobs.over`).
        questions: the prompts. What a question asks for is judged: "see" the picture, "hear" the sound.
        spans: pairs (start, stop) of layers, from `windows` and `cumulative`; None is `cumulative(n_layers)`, what the
            published script does by default.
        blocked: the groups that are cut, one at a time: "video", "audio", "video+audio", "query" ...
        source: who loses them. "last+generated" is every row that chooses a token of the answer; "generated", as in
            the published script, leaves the first token alone, which comes from the last prompt position.
        n_draws: random controls for every cut.
        judge: by whom answers are judged, a name of `avnb.judge`.
        max_new_tokens: the longest answer, in tokens.
        seed: of the draws, which differ from clip to clip.

    Returns:
        DataFrame: clip, kind, question, blocked ("nothing" is the baseline, "control: video" a draw of as many
        positions as the video has), start, stop, draw (its number), modality ("audio" or "video"), answer, value
        (fidelity in 0..1; NaN with a reason if it could not be judged), reason. Means over a clip's draws: `change`.

    Raises:
        JudgeError: there is no such judge.
        PromptError: a prompt lacks a group that is blocked.
        ValueError: a question asks neither to see nor to hear, or a layer that the decoder lacks.

    Source: arXiv 2604.02605, attention knockout. The spans of the published sweep are not stated.

    Example:
        >>> model, clips = avnb.load("toy-omni"), avnb.datasets.load("toybox", n=2)
        >>> table = sweep(model, clips, ["Describe what you hear."], spans=[(0, 8)], blocked=["video"], n_draws=1)
        >>> table["blocked"].tolist()
        ['nothing', 'video', 'control: video', 'nothing', 'video', 'control: video']
    """
    wanted = {question: modalities_of(question) for question in questions}
    judges.named(judge)  # before the model is asked
    rules = [(source, group, group) for group in blocked]

    def rows(job):
        clip, answers = job.clip, []
        cuts = conditions(model, spans, rules, clip, n_draws, seed)
        prompts = [model.prompt(clip, question) for question in wanted]
        asked = [Request(prompt, cuts.values(), max_new_tokens) for prompt in prompts]
        for (question, modalities), runs in zip(wanted.items(), run_all(model, asked), strict=True):
            for label, found in zip(cuts, runs, strict=True):
                answers += [(question, *label, modality, found.text) for modality in modalities]
        cases = list(dict.fromkeys((answer, modality) for *_, modality, answer in answers))  # many cuts change nothing
        found = judges.scores([(answer, clip, modality) for answer, modality in cases], judge)
        score = dict(zip(cases, found, strict=True))
        return [(clip.id, clip.kind, *row, (s := score[row[-1], row[-2]]).value, s.reason) for row in answers]

    return over(plan(clips), rows, _JUDGED)


def scores(model, clips, question=HEAR, *, spans=None, blocked=("video", "audio"), source=ANSWER, n_draws=3, seed=0):
    """How probable the right caption and the distractor's are under every cut: no judge, no decoding.

    What is right, and what the distractor is, says `judge.references`; a clip without either is left out.

    Args:
        model, clips, spans, blocked, source, n_draws, seed: as in `sweep`.
        question: a prompt that asks to see or to hear, not both.

    Returns:
        DataFrame: clip, kind, question, blocked, start, stop, draw, quantity ("right", "distractor", or "margin", the
        difference of the two), value (log-probability of the whole caption in nats).

    Raises:
        PromptError, ValueError: as in `sweep`.

    Example:
        >>> model, clips = avnb.load("toy-omni"), avnb.datasets.load("toybox", n=2)
        >>> table = scores(model, clips[1:], spans=[(0, 8)], blocked=["audio"], n_draws=0)
        >>> table.groupby("quantity")["value"].count().to_dict()
        {'distractor': 2, 'margin': 2, 'right': 2}
    """
    rules = [(source, group, group) for group in blocked]

    def scored(job):
        captions = references(job.clip, question)
        cuts = conditions(model, spans, rules, job.clip, n_draws, seed)
        return _scored(model, model.prompt(job.clip, question), cuts, job.clip, captions)

    return over(plan(clips), scored, _SCORED)


def flow(model, clips, question=HEAR, *, spans=None, edges=EDGES, n_draws=3, seed=0):
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
        positions drawn at random), start, stop, draw, quantity, value, as in `scores`.

    Raises:
        PromptError: as in `scores`.
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

    def scored(job):
        clip, captions = job.clip, references(job.clip, question)
        prompt = model.prompt(clip, question)
        there = [edge for edge in edges if _can_see(prompt, *edge)]
        rules = [(NODES[receiver], NODES[sender], f"{sender} > {receiver}") for sender, receiver in there]
        inner, outer = ([rule for rule in rules if (rule[0] == ANSWER) == wanted] for wanted in (False, True))
        cuts = conditions(model, spans, inner, clip, 0, seed) | conditions(model, spans, outer, clip, n_draws, seed)
        return _scored(model, prompt, cuts, clip, captions)

    return over(plan(clips), scored, _SCORED)


def conditions(model, spans, rules, clip, n_draws, seed) -> dict:
    """What is cut, by how the tables name it: the baseline, then every rule in every span, with its controls.

    Args:
        model: an AVLLM from `avnb.load`.
        spans: (start, stop) each; None for those from the first layer on.
        rules: (source, target, name) each.
        clip: every clip draws anew, or the same few positions would be drawn in all prompts of one length.
        n_draws, seed: of the controls.

    Returns:
        dict: (blocked, start, stop, draw) -> `Condition`.

    Raises:
        ValueError: a span that goes beyond the layers.

    Example:
        >>> model, clip = avnb.load("toy-omni"), avnb.Clip("0", "0.mp4")
        >>> list(conditions(model, [(0, 8)], [(ANSWER, "video", "video")], clip, 1, 0))
        [('nothing', 0, 0, 0), ('video', 0, 8, 0), ('control: video', 0, 8, 0)]
    """
    n_layers = len(model.decoder.layers)
    cuts = {(NOTHING, 0, 0, 0): Condition()}
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


def _scored(model, prompt, cuts, clip, captions):
    """Rows of `scores` for one clip."""
    values = {name: _log_probabilities(model, prompt, cuts.values(), text) for name, text in captions.items()}
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


def _can_see(prompt, sender, receiver):
    """Whether some position of the receiver comes after one of the sender; the question is where its words are."""
    first, last = (prompt.segments.positions(NODES[node].split("+")[0]) for node in (sender, receiver))
    return len(first) > 0 and len(last) > 0 and first[0] < last[-1]
