"""What an answer gets."""

from dataclasses import dataclass
from math import nan


@dataclass(frozen=True)
class Score:
    """What an answer gets for one modality, with what explains it.

    Attributes:
        value: fidelity in 0..1; NaN if it could not be judged.
        matched: named and there.
        missed: there, not named.
        invented: named, not there.
        leakage: how much of what only the other modality holds the answer tells of this one, in 0..1; NaN if the judge
            does not say.
        reason: why it could not be judged, else empty.
    """

    value: float
    matched: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    invented: tuple[str, ...] = ()
    reason: str = ""
    leakage: float = nan

    @classmethod
    def unscored(cls, reason):
        """The score of what cannot be judged."""
        return cls(nan, reason=reason)
