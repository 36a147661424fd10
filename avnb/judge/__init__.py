"""How well an answer names what is in a clip: the judges."""

from avnb.judge.by_events import JudgeError, Score, about, events, score

__all__ = ["JudgeError", "Score", "about", "events", "score"]
