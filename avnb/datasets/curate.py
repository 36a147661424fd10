"""From captioned clips to sets that tell hearing from guessing: factual, counterfactual, mute and shifted.

A counterfactual clip keeps its picture and takes over the sound of the clip whose caption is least like its own, so
that nothing seen helps to name what is heard.

    >>> similarity(["A dog barks.", "Barking dogs.", "A piano melody."]).round(2).tolist()
    [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
"""

import logging
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from avnb.datasets.similarity import CurationError, count_table, embedded, products
from avnb.datasets.similarity import similarity as similarity  # a part of this module's face
from avnb.files import file_name
from avnb.media import editing
from avnb.media.clip import ClipError, for_each
from avnb.text import listed

_GAIN = 1e-3  # of similarity a clip, below which another round is not worth its time

logger = logging.getLogger(__name__)


def assign_donors(clips, embed=None, known_events=True, at_most=0.8, block=2000, seed=0) -> pd.DataFrame:
    """Finds for every clip the clip that will lend its sound: together, the audio captions are least alike.

    Every clip lends once, never to itself. Up to `block` clips the assignment is the best there is (Hungarian method).
    Of more clips, a block is drawn again and again whose donors are handed around anew in the best way, until a round
    over all clips gains next to nothing: memory grows with n and block squared, time with n times block.

    Args:
        clips: clips with an audio caption each, of which the first counts, or else with events that are heard; with
            different ids.
        embed: as in `similarity`.
        known_events: also rule out donors in which something is heard that the clip shows or sounds like, where the
            events of the clips (`seen`, `heard`) are known.
        at_most: rule out donors whose audio caption is more alike than this: nearly the same sound, in other words.
        block: among how many clips donors are handed around at once.
        seed: draws the blocks.

    Returns:
        DataFrame: clip, donor (ids; one row per clip, in order), similarity in [-1, 1] of their audio captions. Clips
        for which no donor is left are warned of and have no row.

    Raises:
        CurationError: a clip lacks an audio caption or sound, ids repeat, or no clip can lend to another one.
        AvnbError: there is no such embedder.

    Example:
        >>> barks = avnb.Clip("dog", "dog.mp4", audio_captions=("Barking.",), heard=("dog",))
        >>> rings = avnb.Clip("bell", "bell.mp4", audio_captions=("A bell rings.",), heard=("bell",))
        >>> assign_donors([barks, rings]).to_dict("list")
        {'clip': ['dog', 'bell'], 'donor': ['bell', 'dog'], 'similarity': [0.0, 0.0]}
    """
    clips = list(clips)
    _by_id(clips)
    for clip in clips:
        if not (clip.audio_captions or clip.heard) or clip.kind == "mute":
            raise CurationError(f"clip {clip.id} has no audio caption or no sound; leave it out or caption its sound")
    barred = 4.0 * block  # dearer than any assignment without it, so that as few clips as possible are left without
    cost = _costs(clips, embed, known_events, at_most, barred)
    donors = _handed_around(cost, len(clips), block, seed)
    alike = np.concatenate([[], *(cost(some, donors[some]).diagonal() for some in _blocks(np.arange(len(clips)), 500))])
    paired = alike < barred
    if not paired.any():
        remedy = f"add clips with other sounds{' or use known_events=False' * known_events}, or raise at_most={at_most}"
        raise CurationError(f"none of the {len(clips)} clips can lend its sound to another one; {remedy}")
    if not paired.all():
        left = [clip.id for clip, found in zip(clips, paired, strict=True) if not found]
        logger.warning("no donor is left for %d of the %d clips: %s", len(left), len(clips), listed(left))
    ids = np.array([clip.id for clip in clips], dtype=object)
    return pd.DataFrame({"clip": ids[paired], "donor": ids[donors[paired]], "similarity": alike[paired]})


def _costs(clips, embed, known_events, at_most, barred):
    """A function from indices of clips and of donors to what each pair costs: their similarity, or `barred`."""
    vectors = embedded([(*clip.audio_captions, ". ".join(clip.heard))[0] for clip in clips], embed)
    sounds = np.unique([str(clip.sound) for clip in clips], return_inverse=True)[1]
    names = {name: i for i, name in enumerate(dict.fromkeys(name for c in clips for name in (*c.seen, *c.heard)))}
    own = count_table([Counter({*clip.seen, *clip.heard}) for clip in clips], names)
    heard = count_table([Counter({*clip.heard}) for clip in clips], names)

    def cost(some, donors):
        alike = products(vectors[some], vectors[donors])
        ruled_out = (alike > at_most) | (sounds[some][:, None] == sounds[donors])
        if known_events:
            ruled_out |= products(own[some], heard[donors]) > 0
        return np.where(ruled_out, barred, alike)

    return cost


def _handed_around(cost, n, block, seed):
    """The donor of each clip: int64 [n], every index once."""
    if n <= block:
        everyone = np.arange(n)
        return linear_sum_assignment(cost(everyone, everyone))[1]
    rng = np.random.default_rng(seed)
    donors, before = rng.permutation(n), np.inf
    while True:
        total = 0.0
        for some in _blocks(rng.permutation(n), block):
            costs = cost(some, donors[some])
            rows, columns = linear_sum_assignment(costs)
            donors[some] = donors[some][columns]
            total += costs[rows, columns].sum()
        if before - total < _GAIN * n:
            return donors
        before = total


def _blocks(indices, size):
    return np.array_split(indices, -(-len(indices) // size)) if len(indices) else []


def counterfactual(clips, out, donors=None, fit="loop", match_loudness=True) -> list:
    """Writes clips that keep their picture and sound like another clip.

    A clip that cannot be read is reported and left out (`for_each`). Files that exist are kept, so that an interrupted
    call goes on where it stopped; use another folder for other options.

    Args:
        clips: the clips, donors included.
        out: folder for the new files, `CLIP+DONOR.mp4`.
        donors: DataFrame with the columns clip and donor, one row for each clip that is wanted; default
            `assign_donors(clips)`.
        fit, match_loudness: as in `editing.swap_audio`.

    Returns:
        list of `Clip` of kind "counterfactual": captions and events of the picture from the clip, of the sound from
        its donor.

    Raises:
        CurationError: `donors` names a clip that is not in `clips`, or ids repeat.
    """
    clips = list(clips)
    known = _by_id(clips)
    donors = assign_donors(clips) if donors is None else donors
    pairs = dict(zip(donors["clip"], donors["donor"], strict=True))
    if unknown := [name for name in [*pairs, *pairs.values()] if name not in known]:
        raise CurationError(f"donors names {unknown[0]!r}, which is not among the {len(clips)} clips; hand over both")

    def swapped(clip):
        donor = known[pairs[clip.id]]
        name = f"{clip.id}+{donor.id}"
        path = Path(out) / f"{file_name(name)}.mp4"
        if not path.exists():
            if donor.kind == "mute":
                raise ClipError(f"clip {donor.id} is mute and cannot lend a sound; choose another donor")
            own = match_loudness and _own_sound(clip)
            editing.swap_audio(clip.video, donor.sound, path, fit=fit, match_loudness=own)
        return replace(
            clip,
            id=name,
            video=path,
            audio=None,
            kind="counterfactual",
            audio_captions=donor.audio_captions,
            heard=donor.heard,
            replaced_captions=() if donor is clip else clip.audio_captions,
        )

    return _made([known[name] for name in pairs], swapped)


def mute(clips, out) -> list:
    """Writes clips without sound, `CLIP+mute.mp4`; unreadable clips are reported and left out, existing files kept.

    Returns:
        list of `Clip` of kind "mute", without audio captions and heard events.
    """

    def muted(clip):
        name = f"{clip.id}+mute"
        path = Path(out) / f"{file_name(name)}.mp4"
        if not path.exists():
            editing.mute(clip.video, path)
        return replace(clip, id=name, video=path, audio=None, kind="mute", audio_captions=(), heard=())

    return _made(clips, muted)


def shift(clips, out, seconds) -> list:
    """Writes clips whose own sound comes later, `CLIP+shift1.5.mp4`; bad clips are left out, existing files kept.

    Args:
        clips: clips with sound.
        out: folder for the new files.
        seconds: how much later the sound comes; negative is earlier.

    Returns:
        list of `Clip` of kind "shifted".
    """

    def shifted(clip):
        name = f"{clip.id}+shift{seconds:g}"
        path = Path(out) / f"{file_name(name)}.mp4"
        if not path.exists():
            editing.shift_audio(clip.video, path, seconds, sound=_own_sound(clip))
        return replace(clip, id=name, video=path, audio=None, kind="shifted")

    return _made(clips, shifted)


def split_half(clips, seed=0) -> tuple:
    """Draws half of the clips (rounded up) to stay factual; the rest is to be given other sounds.

    Returns:
        (factual, rest): lists in the order of `clips`.

    Example:
        >>> [len(half) for half in split_half(range(5))]
        [3, 2]
    """
    clips = list(clips)
    stay = set(np.random.default_rng(seed).permutation(len(clips))[: (len(clips) + 1) // 2].tolist())
    return [c for i, c in enumerate(clips) if i in stay], [c for i, c in enumerate(clips) if i not in stay]


def agreement(clips, embed=None) -> pd.DataFrame:
    """How alike the captions of picture and sound are, clip by clip: what a listener could guess from the picture.

    Args:
        clips: clips; those without a video or an audio caption are left out.
        embed: as in `similarity`.

    Returns:
        DataFrame: clip, kind, similarity in [-1, 1] of the first video caption and the first audio caption.

    Example:
        >>> guessable = avnb.Clip("0", "0.mp4", video_captions=("A dog.",), audio_captions=("A dog barking.",))
        >>> agreement([guessable])["similarity"].round(2).tolist()
        [0.58]
    """
    both = [clip for clip in clips if clip.video_captions and clip.audio_captions]
    captions = [clip.video_captions[0] for clip in both] + [clip.audio_captions[0] for clip in both]
    vectors = embedded(captions, embed)
    alike = [products(vectors[[i]], vectors[[i + len(both)]])[0, 0] for i in range(len(both))]
    return pd.DataFrame({"clip": [c.id for c in both], "kind": [c.kind for c in both], "similarity": alike})


def summary(clips, embed=None) -> pd.DataFrame:
    """What a set holds.

    Returns:
        DataFrame: kind (in order of appearance), n (clips), similarity (mean of `agreement` over the clips of that
        kind; NaN where captions are missing).

    Example:
        >>> clips = [avnb.Clip("0", "0.mp4"), avnb.Clip("1", "1.mp4", kind="mute")]
        >>> summary(clips)[["kind", "n"]].to_dict("list")
        {'kind': ['factual', 'mute'], 'n': [1, 1]}
    """
    clips = list(clips)
    n = pd.Series([clip.kind for clip in clips], dtype=object).value_counts(sort=False)
    means = agreement(clips, embed).groupby("kind")["similarity"].mean()
    return pd.DataFrame({"kind": n.index, "n": n.to_numpy(), "similarity": means.reindex(n.index).to_numpy(float)})


def _by_id(clips):
    """The clips by their ids."""
    known = {clip.id: clip for clip in clips}
    if len(known) < len(clips):
        [(name, n)] = Counter(clip.id for clip in clips).most_common(1)
        raise CurationError(f"{n} clips have the id {name!r}; give every clip its own")
    return known


def _made(clips, function):
    return [made for _, made in for_each(clips, function)[0]]


def _own_sound(clip):
    """The file that holds the clip's sound."""
    if clip.kind == "mute":
        raise ClipError(f"clip {clip.id} is mute; give it a sound, or use match_loudness=False")
    return clip.sound
