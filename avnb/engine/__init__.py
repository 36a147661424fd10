"""The engine: many interventions on one prompt from one prefill, exactly."""

from avnb.engine.branches import Run, run
from avnb.engine.capture import Capture
from avnb.engine.conditions import GENERATED, Condition, Random
from avnb.engine.prefix import EngineError

__all__ = ["GENERATED", "Capture", "Condition", "EngineError", "Random", "Run", "run"]
