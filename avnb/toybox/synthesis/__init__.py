"""The synthesised sounds of the toybox: one short function for each source, and what they are built from."""

from . import animals, household, instruments, people, vehicles, weather  # noqa: F401 (they fill SYNTHESISERS)
from .building_blocks import RATE, SYNTHESISERS, noise

__all__ = ["RATE", "SYNTHESISERS", "noise"]
