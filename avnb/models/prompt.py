"""What a decoder receives for one clip and question: keyword arguments, and what every position is.

>>> segments = Segments(["system", "template", "video", "video", "audio", "query", "last"])
>>> segments.positions("video")
array([2, 3])
>>> segments.positions("text")
array([0, 1, 5, 6])
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from avnb.errors import AvnbError

TYPES = ("system", "template", "boundary", "query", "audio", "video", "image", "last")
MEDIA = ("audio", "video", "image")
GROUPS = {
    "paper": {"audio": ("audio",), "video": ("video", "image"), "text": tuple(t for t in TYPES if t not in MEDIA)},
    "fine": {t: (t,) for t in TYPES},
}


class PromptError(AvnbError):
    """A prompt cannot be built, or lacks a group that was asked for."""


class Segments:
    """The type of every prompt position.

    Args:
        types: one of `TYPES` per position, in order.

    Raises:
        PromptError: a type is unknown.
    """

    def __init__(self, types):
        self.types = np.asarray(types, dtype=object)
        unknown = set(self.types) - set(TYPES)
        if unknown:
            raise PromptError(f"segment types {sorted(unknown)} are unknown; use {', '.join(TYPES)}")

    def __len__(self):
        return len(self.types)

    def positions(self, group):
        """Prompt positions of a segment type, or of "text" (everything that is not media), ascending, int64 [n].

        Raises:
            PromptError: the group's name is unknown. (A known group that this prompt lacks is an empty array.)
        """
        members = GROUPS["paper"]["text"] if group == "text" else (group,)
        if not set(members) <= set(TYPES):
            raise PromptError(f"group {group!r} is unknown; use one of {', '.join((*TYPES, 'text'))}")
        return np.flatnonzero(np.isin(self.types, members))

    def table(self):
        """DataFrame: start, stop (exclusive), type; one row per run of equal types."""
        change = np.flatnonzero(self.types[1:] != self.types[:-1]) + 1
        starts = np.concatenate([[0], change])
        stops = np.concatenate([change, [len(self)]])
        return pd.DataFrame({"start": starts, "stop": stops, "type": self.types[starts]})


@dataclass(frozen=True, eq=False)
class Prompt:
    """The decoder's input for one clip and question.

    Attributes:
        inputs: the keyword arguments of the decoder's call as the multimodal model made it: `inputs_embeds` [1, T, D],
            `position_ids` ([1, T], or [axes, 1, T] for multi-axis rotary positions), and whatever else it wants.
        segments: the type of each of the T positions.
        token_ids: int64 [T]; media positions hold the placeholder's id.
        clip_id, question: where it came from; None for `prompt_from_inputs`.
    """

    inputs: dict[str, Any] = field(repr=False)
    segments: Segments = field(repr=False)
    token_ids: np.ndarray = field(repr=False)
    clip_id: str | None = None
    question: str | None = None

    @property
    def embeds(self):
        """The embeddings of the prompt, [1, T, D]."""
        return self.inputs["inputs_embeds"]

    @property
    def position_ids(self):
        return self.inputs["position_ids"]

    def __len__(self):
        return self.embeds.shape[1]
