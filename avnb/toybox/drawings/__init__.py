"""The pictures of the toybox: one short drawing function for each source, and the backgrounds behind them."""

from . import animals, household, instruments, people, vehicles, weather  # noqa: F401 (they fill DRAWINGS)
from .backgrounds import BACKGROUNDS
from .shapes import DRAWINGS, Look

__all__ = ["BACKGROUNDS", "DRAWINGS", "Look"]
