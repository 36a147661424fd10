"""The two-by-two swap design: how much an answer owes to the sound, how much to the picture (needs no judge).

Two clips a and b give four: the picture of either with the sound of either. In each of the four the model scores two
given answers, A that is true of clip a and B that is true of clip b. Their difference is the margin

    m(v, s) = log p(A | picture v, sound s) - log p(B | picture v, sound s),

in nats, and its main effects are what changing only the sound, or only the picture, does to it::

    E_audio = mean over v of m(v, a) - m(v, b)        E_video = mean over s of m(a, s) - m(b, s)

The **shortcut index** `|E_video| / (|E_audio| + |E_video|)` of a question about the sound is 0 if the answer follows
the sound alone and 1 if it follows the picture alone.

>>> effects(np.array([[[4.0, -4.0], [4.0, -4.0]]]))
array([[8., 0.]])
"""

import os
from contextlib import suppress
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from avnb.analyses.jobs import Job, blaming, over
from avnb.engine import Condition, Request, run_all
from avnb.files import cache_folder, digest, file_hash, file_name
from avnb.judge.words import share
from avnb.media.clip import Clip, ClipError
from avnb.media.editing import swap_audio
from avnb.questions import HEAR
from avnb.stats import resampled

_AXES = ["video", "audio"]  # whose picture, whose sound


def pairs(clips) -> list:
    """Clips two by two, of which nothing that is heard or seen in one is heard or seen in the other.

    Args:
        clips: factual clips with their own sound; their events, or their captions, say what they hold.

    Returns:
        list of (Clip, Clip); every clip is in at most one pair. Empty if no two clips differ.

    Example:
        >>> dog, bell = (Clip(name, f"{name}.mp4", heard=(name,), seen=(name,)) for name in ("dog", "bell"))
        >>> [(a.id, b.id) for a, b in pairs([dog, bell])]
        [('dog', 'bell')]
    """
    left = [clip for clip in clips if clip.seen or clip.heard or (clip.video_captions and clip.audio_captions)]
    found = []
    while left:
        first = left.pop(0)
        other = next((clip for clip in left if not share(first, clip)), None)
        if other is not None:
            left.remove(other)
            found.append((first, other))
    return found


def plan(clips):
    """A job for each pair of factual clips; a clip without a partner stands alone, to be left out with its reason."""
    clips = list(clips)
    if all(isinstance(clip, Job) for clip in clips):
        return clips
    clips = [clip for clip in clips if clip.kind == "factual"]
    found = pairs(clips)
    paired = {clip.id for pair in found for clip in pair}
    return [*(Job(a, b, both=True) for a, b in found), *(Job(clip) for clip in clips if clip.id not in paired)]


def margins(model, clips, question=HEAR, *, out=None, field="audio_captions") -> pd.DataFrame:
    """The margins of every pair in all four combinations of picture and sound.

    Args:
        model: an AVLLM from `avnb.load`.
        clips: clips with captions. Only factual ones that find a partner (see `pairs`) are used; a clip with bad media
            is reported and left out (`jobs.over`), and so is its partner.
        question: what is asked.
        out: folder for the swapped clips, where existing files are kept; None is one in the cache folder.
        field: whose first caption is the answer that is scored: "audio_captions" or "video_captions".

    Returns:
        DataFrame: clip ("A|B", the pair), kind (of the combination), question, video, audio ("a" or "b": whose picture,
        whose sound), value (the margin in nats).

    Example:
        >>> table = margins(avnb.load("toy-omni"), avnb.datasets.load("toybox", n=4))
        >>> table.columns.tolist()
        ['clip', 'kind', 'question', 'video', 'audio', 'value']
    """
    folder = cache_folder() / "swapped" if out is None else Path(out)

    def of_pair(job):
        if job.other is None:
            raise ClipError("no clip is left that is known to differ from it in all that is seen and heard")
        pair, answers, shown = {"a": job.clip, "b": job.other}, [], {}
        for clip in pair.values():
            with blaming(clip):
                answers.append(_answer(clip, field))
        for v, s in ("aa", "bb", "ab", "ba"):  # own sounds first: they tell which of the two cannot be used
            with blaming(pair[v]):
                clip = _combined(pair[v], pair[s], folder)
                shown[v, s] = clip.kind, model.prompt(clip, question)
        ways = list(product("ab", repeat=2))
        both = [Condition()] * 2  # nothing is blocked, for either answer
        asked = [Request(shown[way][1], both, forced=answers) for way in ways]
        rows = []
        for way, runs in zip(ways, run_all(model, asked), strict=True):
            a, b = (found.logprobs.sum() for found in runs)
            rows.append((job.id, shown[way][0], question, *way, float(a - b)))
        return rows

    return over(plan(clips), of_pair, ["clip", "kind", "question", *_AXES, "value"])


def effects(margin):
    """Main effects [n, 2] of sound and picture, in nats, from margins [n, 2 (picture a, b), 2 (sound a, b)]."""
    margin = np.asarray(margin, dtype=float)
    audio = (margin[:, :, 0] - margin[:, :, 1]).mean(1)
    video = (margin[:, 0] - margin[:, 1]).mean(1)
    return np.stack([audio, video], axis=1)


def shortcut_index(effect):
    """`|mean E_video| / (|mean E_audio| + |mean E_video|)` of effects [..., n, 2]; 0: the sound decides."""
    return index_of_means(np.asarray(effect, dtype=float).mean(-2))


def index_of_means(effects):
    """The same of mean effects [..., 2] of sound and picture."""
    audio, video = np.abs(np.moveaxis(effects, -1, 0))
    return video / (audio + video)


def by_pair(table) -> pd.DataFrame:
    """The main effects of every pair, long.

    Args:
        table: from `margins`.

    Returns:
        DataFrame: clip (the pair), modality ("audio": effect of the sound, "video": of the picture), value in nats.

    Example:
        >>> rows = [("x", v, s, m) for (v, s), m in zip(["aa", "ab", "ba", "bb"], [4.0, -2.0, 2.0, -4.0])]
        >>> by_pair(pd.DataFrame(rows, columns=["clip", "video", "audio", "value"]))["value"].tolist()
        [6.0, 2.0]
    """
    wide = _wide(table)
    found = pd.DataFrame(effects(wide.to_numpy().reshape(-1, 2, 2)), wide.index, ["audio", "video"])
    return found.melt(var_name="modality", ignore_index=False).reset_index()


def summary(table, seed=0) -> dict:
    """Main effects and shortcut index of margins, with bootstrap 95 % intervals over pairs.

    Pairs are resampled as if independent, although sources recur among them: a pair has two, so that no clusters fit.
    The intervals may be too narrow for other sources.

    Args:
        table: from `margins`.
        seed: of the resampling.

    Returns:
        dict: "sound" and "picture" (main effects in nats) and "shortcut index" (0..1), each a `stats.Interval`.

    Example:
        >>> cells = [(v, s, m) for v, row in zip("ab", [[4, -2], [2, -4]]) for s, m in zip("ab", row)]
        >>> rows = [(clip, *cell) for clip in "xyz" for cell in cells]
        >>> table = pd.DataFrame(rows, columns=["clip", "video", "audio", "value"])
        >>> summary(table)["shortcut index"].mean
        0.25
    """
    effect = effects(_wide(table).to_numpy().reshape(-1, 2, 2))
    found = {"sound": lambda e: e[..., 0], "picture": lambda e: e[..., 1], "shortcut index": index_of_means}
    return {name: resampled(statistic, effect, seed=seed) for name, statistic in found.items()}


def _wide(table):
    """One row a pair; columns (picture, sound): aa, ab, ba, bb."""
    return table.pivot(index="clip", columns=_AXES, values="value").sort_index(axis=1)


def _answer(clip, field):
    captions = getattr(clip, field)
    if not captions:
        raise ClipError(f"clip {clip.id} has no {field}, of which the first would be scored")
    return captions[0]


def _combined(picture, sound, out):
    """The picture of one clip with the sound of one, written anew for its own sound too: the encoding tells nothing."""
    made_of = digest([file_hash(file) for file in (picture.video, sound.sound)])  # ids may repeat between sets
    path = out / made_of / f"{file_name(f'{picture.id}+{sound.id}')}.mp4"
    with suppress(OSError):
        os.utime(path.parent)  # it is in use: see `study.parts.sweep_made`
    if not path.exists():
        swap_audio(picture.video, sound.sound, path, fit="loop")
    return Clip(f"{picture.id}+{sound.id}", path, kind="factual" if picture is sound else "counterfactual")
