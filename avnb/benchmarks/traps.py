"""What is wrong with a set, or gives its answers away, before any model is asked.

>>> from avnb.benchmarks.question import AskedClip, yes_no
>>> twice = tuple(yes_no(str(i), "Is the car heard?", label, "hearing") for i, label in enumerate(("Yes", "No")))
>>> repeated([AskedClip("0", "0.mp4", questions=twice)])[["clip", "n", "contradict"]].values.tolist()
[['0', 2, True]]
"""

import numpy as np
import pandas as pd

from avnb.benchmarks.question import YES_NO, table
from avnb.media.reading import ClipError, read_audio
from avnb.stats import Interval, clustered

_SILENT = 1e-4  # of full scale: no louder than the noise of 14 bits


def repeated(clips) -> pd.DataFrame:
    """Questions that are asked twice or more about the same clip, with the same words to choose from.

    Args:
        clips: as in `benchmarks.table`.

    Returns:
        DataFrame: clip, task, question, n (how often), contradict (whether their answers differ).
    """
    asked = table(clips).groupby(["clip", "task", "question", "said"], sort=False)["answer"]
    found = asked.agg(["size", "nunique"]).query("size > 1").reset_index().drop(columns="said")
    return found.rename(columns={"size": "n"}).assign(contradict=found["nunique"] > 1).drop(columns="nunique")


def prior(clips) -> pd.DataFrame:
    """How often the text alone gives the answer away: guessing what is right most often where else it is asked.

    A question that names another thing is another text, so that this is the prior of the noun. Each question is left
    out of its own prior, so that nouns which are asked as often with either answer lie below guessing. Of options that
    are right equally often, and where a text stands alone, or is that of the whole task, one is drawn.

    Args:
        clips: as in `benchmarks.table`.

    Returns:
        DataFrame: task, item, cluster, value (the probability that this guess is right), null (that any guess is).
    """
    rows, questions = [], table(clips)
    n_texts = questions.groupby("task")["question"].nunique()
    for (task, _, options), some in questions.groupby(["task", "question", "options"], sort=False):
        right = np.array([[answer == option for option in options] for answer in some["answer"]], dtype=float)
        others = right.sum(0) - right  # [n, n_options]
        best = others == others.max(1, keepdims=True)
        value = (right * best).sum(1) / best.sum(1)
        null = 1 / len(options)
        value = value if n_texts[task] > 1 else np.full(len(some), null)
        rows += [(task, *row, null) for row in zip(some["item"], some["cluster"], value, strict=True)]
    return pd.DataFrame(rows, columns=["task", "item", "cluster", "value", "null"])


def silent(clips) -> pd.DataFrame:
    """Video files without sound, of clips that have one: a harness that reads it from the video gives the model none.

    Args:
        clips: clips; mute ones, and those without a video, are not looked at.

    Returns:
        DataFrame: clip, found ("no track", "silence", or why the track cannot be read), elsewhere (whether the clip has
        its sound in a file of its own).
    """
    rows = []
    for clip in clips:
        if clip.kind != "mute" and clip.video is not None:
            try:
                wave = read_audio(clip.video)
                found = "" if np.abs(wave).max() > _SILENT else "silence"
            except ClipError as error:
                found = "no track" if "no audio track" in str(error) else str(error)
            if found:
                rows.append((clip.id, found, clip.audio is not None))
    return pd.DataFrame(rows, columns=["clip", "found", "elsewhere"])


def told(clips, media=True, seed=0) -> pd.DataFrame:
    """Every trap of a set with its size.

    Args:
        clips: as in `benchmarks.table`.
        media: also look into the video files, which takes a moment for each; needs the clips themselves.
        seed: of the resampling.

    Returns:
        DataFrame: trap, task (the part of the set that it is about, or "all"), share, low, high (95 % interval,
        clustered by video, where it is a sample), n, null (the share without the trap, where there is one).

        The traps: "asked twice"; "asked twice, with both answers"; "right by text alone" (`prior`); "no, where sound
        and picture do not belong together" (the share of yes-or-no questions about such clips whose answer is no, that
        of matching itself apart); "video file without sound" (`silent`).
    """
    questions = table(clips)
    n, twice = len(questions), repeated(clips)
    rows = [
        ("asked twice", "all", (twice["n"] - 1).sum() / n, np.nan, np.nan, n, 0.0),
        ("asked twice, with both answers", "all", twice["contradict"].sum() / n, np.nan, np.nan, n, 0.0),
    ]
    for task, some in prior(clips).groupby("task", sort=False):
        found = clustered(some["value"], some["cluster"], seed=seed)
        rows.append(("right by text alone", task, *found, some["null"].mean()))
    binary = questions[[options == YES_NO for options in questions["options"]]]
    foreign = binary[binary["conflict"].eq(True) & ~binary["task"].str.contains("match", case=False)]
    for task, some in foreign.groupby("task", sort=False):
        own = binary[(binary["task"] == task) & binary["conflict"].eq(False)]
        elsewhere = own["answer"].eq("no").mean()
        found = clustered(some["answer"] == "no", some["cluster"], seed=seed)
        rows.append(("no, where sound and picture do not belong together", task, *found, elsewhere))
    if media:
        sounding = [clip for clip in clips if clip.kind != "mute" and clip.video is not None]
        if sounding:
            share = silent(sounding)["found"].isin(["no track", "silence"]).sum() / len(sounding)
            rows.append(("video file without sound", "all", share, np.nan, np.nan, len(sounding), 0.0))
    _, *bounds = Interval._fields
    return pd.DataFrame(rows, columns=["trap", "task", "share", *bounds, "null"])
