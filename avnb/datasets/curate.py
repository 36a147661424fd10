"""From captioned clips to sets that tell hearing from guessing: factual, counterfactual, mute and shifted.

A counterfactual clip keeps its picture and takes over the sound of the clip whose caption is least like its own, so
that nothing seen helps to name what is heard.

    >>> similarity(["A dog barks.", "Barking dogs.", "A piano melody."]).round(2).tolist()
    [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from avnb.datasets.similarity import CurationError, similarity
from avnb.files import file_name
from avnb.media import editing
from avnb.media.clip import ClipError, for_each


def assign_donors(clips, embed=None, known_events=True) -> pd.DataFrame:
    """Finds for every clip the clip that will lend its sound: together, the audio captions are least alike.

    The assignment is optimal over all clips at once (Hungarian method): every clip lends once, never to itself. Memory
    grows with n squared and time faster still: some thousand clips at most.

    Args:
        clips: clips with an audio caption each, of which the first counts, and with different ids.
        embed: as in `similarity`.
        known_events: also rule out donors in which something is heard that the clip shows or sounds like, where the
            events of the clips (`seen`, `heard`) are known.

    Returns:
        DataFrame: clip, donor (ids; one row per clip, in order), similarity in [-1, 1] of their audio captions.

    Raises:
        CurationError: a clip lacks an audio caption or sound, ids repeat, or no assignment is possible.

    Example:
        >>> barks = avnb.Clip("dog", "dog.mp4", audio_captions=("Barking.",), heard=("dog",))
        >>> rings = avnb.Clip("bell", "bell.mp4", audio_captions=("A bell rings.",), heard=("bell",))
        >>> assign_donors([barks, rings]).to_dict("list")
        {'clip': ['dog', 'bell'], 'donor': ['bell', 'dog'], 'similarity': [0.0, 0.0]}
    """
    clips = list(clips)
    _by_id(clips)
    for clip in clips:
        if not clip.audio_captions or clip.kind == "mute":
            raise CurationError(f"clip {clip.id} has no audio caption or no sound; leave it out or caption its sound")
    alike = similarity([clip.audio_captions[0] for clip in clips], embed)
    cost = alike.copy()
    np.fill_diagonal(cost, np.inf)
    if known_events:
        for i, clip in enumerate(clips):
            events = {*clip.seen, *clip.heard}
            cost[i, [not events.isdisjoint(donor.heard) for donor in clips]] = np.inf
    try:
        rows, donors = linear_sum_assignment(cost)
    except ValueError as error:
        remedy = "add clips with other sounds" + (" or use known_events=False" if known_events else "")
        raise CurationError(f"the {len(clips)} clips cannot all lend a sound to another one; {remedy}") from error
    ids = [clip.id for clip in clips]
    return pd.DataFrame({"clip": ids, "donor": [ids[i] for i in donors], "similarity": alike[rows, donors]})


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
            source = _own_sound(clip) if match_loudness else clip.video
            editing.swap_audio(source, donor.sound, path, fit=fit, match_loudness=match_loudness)
        return replace(
            clip,
            id=name,
            video=path,
            audio=None,
            kind="counterfactual",
            audio_captions=donor.audio_captions,
            heard=donor.heard,
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
        clips: clips with their sound in the video file.
        out: folder for the new files.
        seconds: how much later the sound comes; negative is earlier.

    Returns:
        list of `Clip` of kind "shifted".
    """

    def shifted(clip):
        name = f"{clip.id}+shift{seconds:g}"
        path = Path(out) / f"{file_name(name)}.mp4"
        if not path.exists():
            editing.shift_audio(_own_sound(clip), path, seconds)
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
    alike = similarity(captions, embed).diagonal(len(both)) if both else []
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
    """The clip's video file, which must also hold its sound."""
    if clip.kind == "mute" or clip.audio is not None:
        state = "is mute" if clip.kind == "mute" else f"has its sound in {Path(clip.audio).name}"
        raise ClipError(f"clip {clip.id} {state}; its video file must hold its sound: see editing.swap_audio")
    return clip.video
