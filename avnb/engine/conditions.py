"""Conditions of a run: which positions may not attend to which keys, and where states of another run are put in.

    >>> sweep = [Condition()] + [Condition.block("generated", "video", layers=[layer]) for layer in range(28)]
    >>> print(sweep[5])
    generated -/> video in layer 4
    >>> print(Condition.block("last+generated", Random("video", seed=1)) + Condition.block("query", "audio", range(4)))
    last+generated -/> random(video, seed 1, among others); query -/> audio in layers 0-3

A position always keeps its own key: a rule whose source and target overlap cuts every key of the target but that one.

    >>> states = torch.zeros(28, 50, 64)
    >>> print(Condition.patch("audio", states, range(4, 27)) + Condition.block("generated", "video"))
    generated -/> video; audio patched after layers 4-26
"""

from dataclasses import dataclass, field

import torch

from avnb.layers import ranges
from avnb.models.prompt import TYPES

GENERATED = "generated"


@dataclass(frozen=True)
class Random:
    """A control target: as many prompt positions as a group has, drawn without replacement.

    The pool holds the other modality too, and positions that come after a source position, which it could not see
    anyway: set the effect of a rule beside several draws.

    Args:
        like: the group whose size is matched.
        seed: of the draw; the same seed draws the same positions in every rule and layer.
        among: "others" (positions outside the group), "everywhere" (any prompt position), or a group such as "video".
    """

    like: str
    seed: int = 0
    among: str = "others"

    def __post_init__(self):
        if self.among not in ("others", "everywhere", "text", *TYPES):
            raise ValueError(f"among={self.among!r} is unknown; use 'others', 'everywhere', or a group of positions")

    def __str__(self):
        return f"random({self.like}, seed {self.seed}, among {self.among})"


@dataclass(frozen=True)
class Rule:
    """Positions of `source` may not attend to positions of `target`.

    Attributes:
        source: a segment type, "text", "generated", or several joined by "+" ("last+generated"). The first answer token
            comes from the `last` prompt position, which "generated" does not include.
        target: likewise, or `Random`, or a tuple of prompt positions.
        layers: decoder layers, 0 = first; None for all.
        heads: query heads; None for all.
    """

    source: str
    target: str | Random | tuple[int, ...]
    layers: tuple[int, ...] | None = None
    heads: tuple[int, ...] | None = None

    def __post_init__(self):
        for name in ("layers", "heads"):
            if getattr(self, name) == ():
                raise ValueError(
                    f"{self.source} -/> {self.target}: {name} is empty, so nothing would be blocked; None means all"
                )

    def __str__(self):
        layers = "" if self.layers is None else f" in layer{'s' * (len(self.layers) != 1)} {ranges(self.layers)}"
        heads = "" if self.heads is None else f", head{'s' * (len(self.heads) != 1)} {ranges(self.heads)}"
        target = f"{len(self.target)} positions" if isinstance(self.target, tuple) else self.target
        return f"{self.source} -/> {target}{layers}{heads}"


@dataclass(frozen=True, eq=False)
class Patch:
    """At some positions the residual stream goes on as it was in another run (activation patching).

    Attributes:
        target: a segment type, "text", or several joined by "+"; or a tuple of prompt positions, ascending.
        states: a tensor [n_layers, n_positions, width]: the residual stream after every layer, as `Run.hidden` is.
        layers: after which layers, 0 = first. After the last one there is nothing left to look at these positions.
    """

    target: str | tuple[int, ...]
    states: torch.Tensor = field(repr=False)
    layers: tuple[int, ...]

    def __str__(self):
        target = f"{len(self.target)} positions" if isinstance(self.target, tuple) else self.target
        return f"{target} patched after layer{'s' * (len(self.layers) != 1)} {ranges(self.layers)}"


@dataclass(frozen=True)
class Condition:
    """Rules and patches that hold together; without any, the baseline. Conditions add up with `+`."""

    rules: tuple[Rule, ...] = ()
    patches: tuple[Patch, ...] = ()

    @classmethod
    def block(cls, source, target, layers=None, heads=None):
        """The condition of one rule; see `Rule`.

        Raises:
            ValueError: `layers` or `heads` is empty, which would block nothing.
        """
        chosen = {}
        for name, indices in (("layers", layers), ("heads", heads)):
            indices = None if indices is None else tuple(sorted({int(i) for i in indices}))
            chosen[name] = indices
        return cls((Rule(source, target, **chosen),))

    @classmethod
    def patch(cls, target, states, layers):
        """The condition of one patch; see `Patch`.

        Raises:
            ValueError: `layers` is empty, which would put nothing anywhere.
        """
        layers = tuple(sorted({int(i) for i in layers}))
        if not layers:
            raise ValueError(f"{target}: layers is empty, so nothing would be patched; name at least one")
        return cls(patches=(Patch(target, states, layers),))

    def __add__(self, other):
        return Condition(self.rules + other.rules, self.patches + other.patches)

    def __str__(self):
        return "; ".join(map(str, self.rules + self.patches)) or "baseline"
