"""Every figure of the book, drawn from tidy tables or from a clip: one module per chapter, one palette, one style.

>>> PALETTE["audio"], PALETTE["video"]
('#D55E00', '#0072B2')
"""

from avnb.plots import (
    attention,
    benchmarks,
    curation,
    dose,
    fidelity,
    generalisation,
    knockout,
    lens,
    sounds,
    speed,
    tokens,
    upbringing,
)
from avnb.plots.style import KINDS, PALETTE, style

__all__ = [
    "KINDS", "PALETTE", "style", "attention", "benchmarks", "curation", "dose", "fidelity", "generalisation",
    "knockout", "lens", "sounds", "speed", "tokens", "upbringing",
]  # fmt: skip
