"""The engine: many interventions on one prompt from one prefill, exactly."""

from avnb.engine.branches import Request, Run, run, run_all
from avnb.engine.capture import Capture
from avnb.engine.conditions import GENERATED, Condition, Random
from avnb.engine.prefix import EngineError

__all__ = ["GENERATED", "Capture", "Condition", "EngineError", "Random", "Request", "Run", "run", "run_all"]
