"""Something else instead of the picture, or of the sound: the controls of the attention knockout.

A cut takes more from an answer than what the picture says: positions, and attention that then goes elsewhere. So other
positions are cut, as many or as much attended; and the picture is not cut but exchanged, for a black one, for the mean
over the clips, for that of another clip. None of these is "no picture": a black screen is a picture, too.

    >>> model, clips = avnb.load("toy-omni"), avnb.datasets.load("toybox", n=4)
    >>> table = measure(model, clips[2:], n_draws=1)
    >>> table["instead"].unique().tolist()[:3]
    ['nothing', 'video cut', 'audio cut']
"""

from dataclasses import replace
from functools import lru_cache
from zlib import crc32

import numpy as np
import torch

from avnb import judge as judges
from avnb.analyses import attention
from avnb.analyses.changes import ANSWER, NOTHING
from avnb.analyses.jobs import over, with_strangers
from avnb.engine import run
from avnb.engine.conditions import Condition, Random
from avnb.files import cache_folder, digest
from avnb.media import editing
from avnb.questions import HEAR, MAX_NEW_TOKENS, modalities_of
from avnb.text import key

_COLUMNS = ["clip", "kind", "question", "instead", "draw", "modality", "answer", "value", "shown", "reason"]

CUTS = {  # what is cut -> its target, given the seed of a draw
    "video cut": lambda seed: "video",
    "audio cut": lambda seed: "audio",
    "of the video, as many as of the audio": lambda seed: Random("audio", seed, among="video"),
    "others, as many as of the video": lambda seed: Random("video", seed),
}
ATTENDED = "others, as much attended as the video"
N_MEAN = 24  # clips whose pictures are averaged


def plan(clips):
    """A job for each clip, with the clip whose picture stands in: the next one that differs in all seen and heard."""
    clips = list(clips)
    return with_strangers(clips, among=tuple(clips[:N_MEAN]))


def measure(model, clips, question=HEAR, *, n_draws=3, judge="events", max_new_tokens=MAX_NEW_TOKENS, seed=0):
    """What a model answers if something else stands in for the picture or for the sound.

    The mean picture is the mean over the embeddings of some clips of the set, position by position.

    Args:
        model: an AVLLM from `avnb.load`.
        clips: clips; one with bad media is reported and left out (`jobs.over`).
        question: about one modality, the one that is judged.
        n_draws: draws of those positions that are drawn.
        judge: by whom answers are judged, a name of `avnb.judge`.
        max_new_tokens: the longest answer, in tokens.
        seed: of the draws.

    Returns:
        DataFrame: clip, kind, question, instead ("nothing" is the clip as it is), draw, modality, answer, value
        (fidelity in 0..1), shown (1 if the answer names something that only the picture in front of the model holds,
        else 0; NaN where there is no such thing), reason. "mean picture" is missing where prompts have not the same
        layout, "picture of another clip" where no clip differs in all that is seen and heard.

    Raises:
        JudgeError: there is no such judge.
        ValueError: a question about both modalities, or about none.
    """
    (modality,) = modalities_of(question)
    by_whom = judges.named(judge)

    def rows(job):
        clip, found = job.clip, []
        prompt = model.prompt(clip, question)
        draws = [crc32(f"{clip.id} {seed} {draw}".encode()) for draw in range(n_draws)]
        cuts = {(NOTHING, 0): Condition()}
        for name, target in CUTS.items():
            drawn = isinstance(target(0), Random)
            cuts |= {(name, i): Condition.block(ANSWER, target(s)) for i, s in enumerate(draws if drawn else [0])}
        table = attention.sinks(model, prompt, factor=0, max_new_tokens=max_new_tokens)
        cuts |= {(ATTENDED, i): Condition.block(ANSWER, _as_attended(table, s)) for i, s in enumerate(draws)}
        for label, one in zip(cuts, run(model, prompt, cuts.values(), max_new_tokens), strict=True):
            found.append((*label, one.text, clip))
        blank = _blank(clip)
        prompts = {
            "black picture": (model.prompt(replace(clip, video=blank, audio=clip.sound), question), None),
            "mean picture": (_with_mean(prompt, _mean(model, question, job.among)), None),
            "silent sound": (model.prompt(replace(clip, audio=blank), question), clip),
            "sound alone": (model.prompt(clip, question, modalities=("audio",)), None),
        }
        if job.other is not None:
            shown = replace(clip, video=job.other.video, audio=clip.sound)
            prompts["picture of another clip"] = model.prompt(shown, question), job.other
        for name, (made, picture) in prompts.items():
            if made is not None:
                found.append((name, 0, run(model, made, max_new_tokens=max_new_tokens)[0].text, picture))
        scored = judges.scores([(answer, clip, modality) for *_, answer, _ in found], judge)
        about = clip.id, clip.kind, question
        return [
            (*about, name, draw, modality, answer, s.value, _shown(by_whom, s, clip, picture), s.reason)
            for (name, draw, answer, picture), s in zip(found, scored, strict=True)
        ]

    return over(plan(clips), rows, _COLUMNS)


@lru_cache(maxsize=4)
def _mean(model, question, clips):
    """The mean embeddings at the positions of the picture, and the layout of the prompts; None if they differ in it."""
    prompts = [model.prompt(clip, question) for clip in clips]
    layouts = {tuple(prompt.segments.types) for prompt in prompts}
    if len(layouts) != 1:
        return None
    pictures = [prompt.embeds[:, torch.from_numpy(prompt.segments.positions("video"))] for prompt in prompts]
    return sum(pictures) / len(pictures), *layouts


def _with_mean(prompt, mean):
    """The prompt with the mean picture; None where there is none, or none of its layout."""
    if mean is None or mean[1] != tuple(prompt.segments.types):
        return None
    embeds = prompt.embeds.clone()
    embeds[:, torch.from_numpy(prompt.segments.positions("video"))] = mean[0]
    return replace(prompt, inputs=prompt.inputs | {"inputs_embeds": embeds})


def _as_attended(sinks, seed):
    """Positions outside the video, drawn until the answer gave them as much attention as it gave the video."""
    video = sinks["type"] == "video"
    others = sinks[~video].sample(frac=1, random_state=seed)
    n = int(np.searchsorted(others["value"].cumsum().to_numpy(), sinks.loc[video, "value"].sum())) + 1
    return tuple(int(position) for position in others["position"].iloc[:n])


def _shown(judge, score, clip, picture):
    """Whether an answer names something that is seen in a picture and neither heard in the clip."""
    if picture is None:
        return np.nan
    heard = {key(name) for name in judge.holds(clip, "audio")}
    only = {key(name) for name in judge.holds(picture, "video")} - heard
    return float(not only.isdisjoint(key(name) for name in score.invented)) if only else np.nan


def _blank(clip):
    """A file as long as the clip, black and silent."""
    frames, times = clip.frames(fps=2.0)
    wave = clip.wave()
    path = cache_folder() / "blank" / f"{digest([frames.shape, len(wave)])}.mp4"
    return path if path.exists() else editing.write(path, np.zeros_like(frames), 2.0, np.zeros_like(wave))
