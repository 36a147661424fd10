"""What an analysis measures one at a time: a clip, with what it needs of other clips.

Every analysis is three functions. `plan(clips)` says what is to be measured: jobs, one for each clip or pair. Measuring
gives rows for each job, which depend on no other one, so that jobs can be lost, resumed and shared out. Whatever sets
clips against each other afterwards (nulls, chance, verdicts) is a function of the table of all rows.
"""

import logging
from contextlib import contextmanager
from typing import NamedTuple

import pandas as pd

from avnb.judge.words import share
from avnb.media.clip import Clip, ClipError
from avnb.media.reading import UnreachableError
from avnb.models.prompt import PromptError
from avnb.models.shared import shared

logger = logging.getLogger(__name__)


class Job(NamedTuple):
    """What is measured at once.

    Attributes:
        clip: the clip.
        other: its donor or partner.
        events: names that are looked for in every clip of the set.
        among: clips of the set that all jobs look at together.
        both: whether the other one has no job but this one.
    """

    clip: Clip
    other: Clip | None = None
    events: tuple[str, ...] = ()
    among: tuple[Clip, ...] = ()
    both: bool = False

    @property
    def id(self):
        return self.clip.id if self.other is None else f"{self.clip.id}|{self.other.id}"

    @property
    def clips(self):
        """The clips that are left out if this is not done."""
        return (self.clip, self.other) if self.both else (self.clip,)


def each(clips):
    """A job for each clip; jobs stay what they are, so that a measurement takes clips or jobs.

    Example:
        >>> [job.id for job in each(each([Clip("a", "a.mp4")]))]
        ['a']
    """
    return [clip if isinstance(clip, Job) else Job(clip) for clip in clips]


def with_strangers(clips, among=()):
    """A job for each clip, its other one the next clip that differs from it in all that is seen and heard, if any does.

    Args:
        clips: clips, or jobs, which stay what they are.
        among: of every job.

    Example:
        >>> clips = [Clip(name, "", heard=(name,)) for name in ("dog", "bell")]
        >>> [job.id for job in with_strangers(clips)]
        ['dog|bell', 'bell|dog']
    """
    clips = list(clips)
    if all(isinstance(clip, Job) for clip in clips):
        return clips
    others = [[*clips[i + 1 :], *clips[:i]] for i in range(len(clips))]
    found = [
        next((one for one in some if not share(one, clip)), None) for clip, some in zip(clips, others, strict=True)
    ]
    return [Job(clip, other, among=among) for clip, other in zip(clips, found, strict=True)]


@contextmanager
def blaming(clip):
    """Within the block what fails is the fault of this one of a job's clips."""
    try:
        yield
    except Exception as error:
        error.clip = clip
        raise


def over(jobs, rows_of, columns) -> pd.DataFrame:
    """The rows of all jobs as one table; jobs whose clips cannot be used are reported and left out.

    So are mute clips where sound is needed, and clips that are too much for the memory.

    Args:
        jobs: the jobs.
        rows_of: takes a job, gives its rows: a DataFrame, or a list of tuples.
        columns: of the table.

    Returns:
        DataFrame. `attrs["left_out"]` tells which clips have no rows, and why: {id of the clip: reason};
        `attrs["passing"]` lists those whose reason may pass by itself.
    """
    from torch import OutOfMemoryError

    passes = UnreachableError, MemoryError, OutOfMemoryError
    parts, left_out, passing = [], {}, []
    for job in jobs:
        try:
            with shared():  # the media of a clip are run once for all that is asked of them
                rows = rows_of(job)
        except (ClipError, PromptError, *passes) as error:
            if isinstance(error, PromptError) and job.clip.kind != "mute":
                raise  # it is about the model
            bad = getattr(error, "clip", None)
            for clip in job.clips:
                alone = f"its partner {bad.id} cannot be used: " if bad not in (None, clip) else ""
                left_out[clip.id] = f"{alone}{error}"
                logger.warning("left out clip %s: %s", clip.id, left_out[clip.id])
                passing += [clip.id] if isinstance(error, passes) else []
        else:
            parts.append(rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows, columns=columns))
    filled = [part for part in parts if len(part)]
    table = pd.concat(filled, ignore_index=True)[columns] if filled else pd.DataFrame(columns=columns)
    table.attrs |= {"left_out": left_out, "passing": passing}
    return table
