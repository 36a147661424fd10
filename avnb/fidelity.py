"""Caption fidelity: does an answer name what is seen, and what is heard (figures 2 and 3)?

A model is asked about every clip; its greedy answers are judged for one modality at a time by `judge.score`. Factual
clips against counterfactual ones show how much of what seems to be heard is guessed from the picture.

    >>> clips = avnb.datasets.load("toybox", n=4)
    >>> table = measure(avnb.load("toy-omni"), clips, questions=["Describe what you hear."])
    >>> table[["kind", "inputs", "modality"]].value_counts().to_dict()
    {('counterfactual', 'both', 'audio'): 2, ('factual', 'both', 'audio'): 2}
"""

import re

import pandas as pd

from avnb import clips as media
from avnb import judge
from avnb.toybox.captions import QUESTIONS

INPUTS = {"both": ("video", "audio"), "video": ("video",), "audio": ("audio",)}
CELL = ["inputs", "question", "modality"]  # what a number of this module is about, next to the kind of the clips

_EVENTS = ["matched", "missed", "invented", "elsewhere"]
_ASKS = {"video": re.compile(r"\bsee\b", re.IGNORECASE), "audio": re.compile(r"\bhear\b", re.IGNORECASE)}


def measure(model, clips, questions=QUESTIONS, inputs=("both",)):
    """Asks a model about every clip and scores its greedy answers.

    Args:
        model: an AVLLM from `avnb.load`.
        clips: clips with known events; one with bad media is reported and left out (`clips.for_each`).
        questions: the prompts. What a question asks for is judged: "see" the picture, "hear" the sound.
        inputs: what the prompts hold, some of "both", "video", "audio". A mute clip has no prompt of audio alone. A
            model that does not hear is asked only what it sees, from the video.

    Returns:
        DataFrame: clip, kind, inputs, question, modality ("audio" or "video"), answer, value (fidelity in 0..1),
        matched, missed, invented (tuples of event names), elsewhere (events that only the other modality holds).

    Raises:
        JudgeError: the events of a clip are not known; before the first answer.
        ValueError: a question asks neither to see nor to hear, unknown inputs, or nothing that a deaf model can be
            asked.

    Source: arXiv 2604.02605, caption fidelity (there judged by a language model).

    Example:
        >>> model, clips = avnb.load("toy-omni"), avnb.datasets.load("toybox", n=2)
        >>> table = measure(model, clips, ["Describe what you see and hear."], inputs=["both", "audio"])
        >>> len(table)
        8
    """
    clips = list(clips)
    asked = _asked(model, questions, inputs)
    modalities = {modality for _, question in asked for modality in modalities_of(question)}
    for clip in clips:
        for modality in modalities:
            judge.events(clip, modality)

    def answers(clip):
        shown = [(source, question) for source, question in asked if clip.kind != "mute" or source != "audio"]
        return [(*one, model.caption(clip, one[1], modalities=INPUTS[one[0]])) for one in shown]

    rows = [
        (clip.id, clip.kind, source, question, modality, answer, *_judged(answer, clip, modality))
        for clip, some in media.for_each(clips, answers)[0]
        for source, question, answer in some
        for modality in modalities_of(question)
    ]
    return pd.DataFrame(rows, columns=["clip", "kind", *CELL, "answer", "value", *_EVENTS])


def modalities_of(question):
    """What a question asks for: "video" if it says "see", "audio" if it says "hear", as a tuple.

    Raises:
        ValueError: it says neither.

    Example:
        >>> modalities_of("Describe what you see and hear.")
        ('video', 'audio')
    """
    asked = tuple(modality for modality, word in _ASKS.items() if word.search(question))
    if not asked:
        raise ValueError(f'question {question!r} asks neither to see nor to hear; say "see", "hear" or both')
    return asked


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


def _judged(answer, clip, modality):
    score = judge.score(answer, clip, modality)
    other = "audio" if modality == "video" else "video"
    there = clip.seen if other == "video" else () if clip.kind == "mute" else clip.heard
    elsewhere = tuple(event for event in there if event not in (*score.matched, *score.missed))
    return score.value, score.matched, score.missed, score.invented, elsewhere
