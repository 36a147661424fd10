"""Pictures of the toybox: sources placed on a background, moving over time.

Every parameter is drawn once, when the scene is composed; after that a frame depends on the time only. How a thing
moves never depends on whether it can be heard.

    >>> from avnb.toybox.vary import Variation
    >>> scene = compose(["dog", "rain"], Variation("train", seed=1))
    >>> scene.frames([0.0, 0.5]).shape
    (2, 160, 160, 3)
"""

import io
from dataclasses import dataclass
from math import pi, sin

import numpy as np
import resvg_py
from PIL import Image

from .drawings import BACKGROUNDS, DRAWINGS, Look
from .drawings.shapes import INK
from .sources import SOURCES

UNITS = 160  # the scene's own coordinates, whatever the size in pixels
MAX_SOURCES = 3
_BOX, _GROUND = 100, 95  # a drawing's own coordinates

_SLOTS = {  # (centre x, centre y, size) of each place, upper places first; several arrangements for each count
    0: ((),),
    1: (((80, 82, 116),),),
    2: (
        ((42, 76, 80), (118, 90, 80)),
        ((118, 76, 80), (42, 90, 80)),
        ((48, 48, 82), (112, 112, 82)),
        ((112, 48, 82), (48, 112, 82)),
    ),
    3: (
        ((80, 42, 72), (42, 116, 74), (118, 116, 74)),
        ((42, 42, 72), (118, 44, 72), (80, 116, 78)),
    ),
}
_JITTER = {1: (14, 12), 2: (4, 7), 3: (5, 5)}  # units by which a place moves to either side, across and down


@dataclass(frozen=True)
class _Item:
    """One source at its place."""

    name: str
    look: Look
    x: float  # of the box's centre
    y: float
    size: float
    stretch: float  # width over height
    mirrored: bool
    drift: float  # reach of its slow movement across, in units
    bob: float  # and up and down
    tempo: float  # cycles per second of both
    phase: float

    @property
    def ground(self):
        """Where its ground lies in the scene."""
        return self.y + self.size * (_GROUND / _BOX - 0.5)

    def covers(self, x, y):
        """Whether the point lies on it, but for its thin margins."""
        return max(abs(x - self.x), abs(y - self.y)) < 0.45 * self.size

    def svg(self, t):
        drawing = DRAWINGS[self.name]
        cycle = 2 * pi * (self.tempo * t + self.phase)
        x = self.x + self.drift * sin(cycle)
        y = self.y + self.bob * sin(2 * cycle)
        across, down = self.size / _BOX * self.stretch, self.size / _BOX
        if self.mirrored:
            across = -across
        shadow = (
            ""
            if drawing.aloft
            else (
                f'<ellipse cx="{x:.2f}" cy="{self.ground:.2f}" rx="{0.46 * self.size:.2f}" ry="{0.05 * self.size:.2f}" '
                'fill-opacity="0.16"/>'
            )
        )
        return (
            f'{shadow}<g transform="translate({x:.2f} {y:.2f}) scale({across:.4f} {down:.4f}) translate(-50 -50)" '
            f'stroke="{INK}" stroke-width="2.2" stroke-linejoin="round" stroke-linecap="round">'
            f"{drawing.draw(self.look, t)}</g>"
        )


@dataclass(frozen=True)
class Scene:
    """A composed picture: the names of its sources, and how it looks at any time."""

    names: tuple[str, ...]
    background: str
    tones: tuple[str, ...]
    horizon: float  # height of the ground's far edge, in units from the top
    items: tuple[_Item, ...]

    def svg(self, t, size=160):
        """The picture at `t` seconds as SVG text, `size` pixels wide and high."""
        draw, _ = BACKGROUNDS[self.background]
        content = draw(self.tones, self.horizon, t) + "".join(item.svg(t) for item in self.items)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {UNITS} {UNITS}" width="{size}" height="{size}">'
            f"{content}</svg>"
        )

    def cells(self, n):
        """Which source is drawn in each cell of an n x n grid over the picture.

        Returns:
            n lists of n names, rows from the top; None where no source covers the middle of the cell.
        """
        middles = [(i + 0.5) * UNITS / n for i in range(n)]
        return [
            [next((item.name for item in self.items[::-1] if item.covers(x, y)), None) for x in middles]
            for y in middles
        ]

    def frames(self, times, size=160):
        """The picture at several times in seconds, as uint8 [n_times, size, size, 3]."""
        frames = np.empty((len(times), size, size, 3), dtype=np.uint8)
        for frame, t in zip(frames, times, strict=True):
            png = resvg_py.svg_to_bytes(svg_string=self.svg(t, size), skip_system_fonts=True)
            frame[:] = np.asarray(Image.open(io.BytesIO(png)))[..., :3]
        return frames


def compose(names, variation):
    """Places sources on a background, with little overlap.

    Args:
        names: 0 to 3 different names from `SOURCES`; their order says nothing about their places.
        variation: a `Variation`, from which every parameter is drawn.

    Returns:
        A `Scene`; the same names and the same variation seed give identical frames.

    Raises:
        ValueError: a name is unknown or repeated, there are more than three, or a text was given instead of a list.
    """
    _check(names)
    names = tuple(names)
    background = variation.choice(sorted(BACKGROUNDS))
    tones = tuple(paint.mix(variation) for paint in BACKGROUNDS[background][1])
    slots = variation.choice(_SLOTS[len(names)])
    placed = sorted(names, key=lambda name: (not DRAWINGS[name].aloft, variation.uniform(0, 1)))
    items = tuple(_item(name, slot, _JITTER[len(names)], variation) for name, slot in zip(placed, slots, strict=True))
    standing = [item.ground for item in items if not DRAWINGS[item.name].aloft]
    horizon = min(max(min(standing, default=125) - variation.uniform(4, 22), 44), 128)
    return Scene(names, background, tones, round(horizon, 2), items)


def _item(name, slot, jitter, variation):
    x, y, size = slot
    look = Look(
        colours=tuple(variation.choice(paints).mix(variation) for paints in DRAWINGS[name].paints),
        pose=variation.uniform(-1, 1),
        rate=variation.uniform(0.7, 1.4),
        phase=variation.uniform(0, 1),
    )
    return _Item(
        name,
        look,
        x=x + variation.uniform(-1, 1) * jitter[0],
        y=y + variation.uniform(-1, 1) * jitter[1],
        size=size * variation.uniform(0.84, 1.08),
        stretch=variation.uniform(0.92, 1.06),
        mirrored=variation.chance(0.5),
        drift=variation.uniform(1, 5),
        bob=variation.uniform(0.3, 1.5),
        tempo=variation.uniform(0.15, 0.5),
        phase=variation.uniform(0, 1),
    )


def _check(names):
    if isinstance(names, str):
        raise ValueError(f"names must be a list of names, such as [{names!r}], not the text {names!r}")
    if unknown := [name for name in names if name not in SOURCES]:
        raise ValueError(f"unknown source {', '.join(map(repr, unknown))}; use names from {', '.join(SOURCES)}")
    if len(names) > MAX_SOURCES or len(set(names)) < len(names):
        raise ValueError(f"a scene holds 0 to {MAX_SOURCES} different sources, not {len(names)}: {', '.join(names)}")
