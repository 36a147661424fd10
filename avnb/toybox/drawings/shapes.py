"""Brushes and paints shared by all drawings, so that every picture has one outline, one palette and one way to move.

A drawing is a function of a `Look` and a time in seconds; it returns an SVG fragment in a box of 100 x 100 units whose
ground is at y = 95. The decorator `drawing` names it and gives its colours, so a new one is only:

    @drawing("ball", ANY_COLOUR)
    def ball(look, t):
        return circle(50, 70 - 20 * abs(look.wave(t)), 25, look.colours[0])
"""

import colorsys
from collections.abc import Callable
from dataclasses import dataclass
from math import pi, sin

INK = "#2d2844"
WHITE = "#fffdf7"
RED = "#e5484d"
YELLOW = "#ffc53d"
PINK = "#f5a3ab"
GLASS = "#bfe6f5"
STEEL = "#b9c3cf"
RUBBER = "#45415c"
MOUTH = "#8c2f44"


@dataclass(frozen=True)
class Paint:
    """A range of colours: hue in degrees, saturation and lightness in 0 to 1, each as (low, high)."""

    hue: tuple[float, float]
    saturation: tuple[float, float]
    lightness: tuple[float, float]

    def mix(self, variation):
        """One colour of the range, as #rrggbb."""
        hue, saturation, lightness = (variation.uniform(*x) for x in (self.hue, self.saturation, self.lightness))
        rgb = colorsys.hls_to_rgb(hue % 360 / 360, lightness, saturation)
        return _hex([255 * x for x in rgb])


ANY_COLOUR = [Paint((0, 360), (0.55, 0.8), (0.48, 0.64))]
WARM = [Paint((-15, 55), (0.7, 0.9), (0.52, 0.64))]
GOLD = [Paint((38, 48), (0.75, 0.95), (0.54, 0.64))]
WOOD = [Paint((14, 34), (0.4, 0.65), (0.34, 0.55))]
FUR = [
    Paint((22, 36), (0.5, 0.75), (0.52, 0.7)),
    Paint((15, 28), (0.35, 0.5), (0.36, 0.5)),
    Paint((210, 250), (0.04, 0.14), (0.5, 0.72)),
]
SKIN = [
    Paint((18, 30), (0.7, 0.95), (0.78, 0.86)),
    Paint((20, 30), (0.5, 0.65), (0.6, 0.7)),
    Paint((16, 26), (0.38, 0.5), (0.36, 0.48)),
]
HAIR = [
    Paint((230, 280), (0.1, 0.25), (0.18, 0.28)),
    Paint((15, 32), (0.35, 0.6), (0.2, 0.36)),
    Paint((36, 46), (0.65, 0.85), (0.56, 0.68)),
    Paint((6, 20), (0.65, 0.8), (0.4, 0.5)),
]
LEAF = [Paint((80, 150), (0.38, 0.6), (0.42, 0.56))]


@dataclass(frozen=True)
class Look:
    """The drawn parameters of one object, constant through its clip."""

    colours: tuple[str, ...]
    pose: float  # -1 to 1: how it holds itself
    rate: float  # cycles per second of its main movement
    phase: float  # 0 to 1: where in its cycle the movement begins

    def turns(self, t, times=1.0):
        """Cycles made by `t` seconds, at `times` the object's own rate."""
        return self.rate * times * t + self.phase

    def wave(self, t, times=1.0, offset=0.0):
        """A movement between -1 and 1 that swings back and forth once per cycle."""
        return sin(2 * pi * (self.turns(t, times) + offset))

    def trail(self, t, count, times=1.0):
        """The ages in 0 to 1 of `count` things that leave one after the other, such as puffs of steam."""
        return [(self.turns(t, times) + i / count) % 1 for i in range(count)]


@dataclass(frozen=True)
class Drawing:
    """How one source is drawn: its function, the paints of each of its colours, and whether it hangs in the air."""

    draw: Callable[[Look, float], str]
    paints: tuple[list[Paint], ...]
    aloft: bool


DRAWINGS: dict[str, Drawing] = {}


def drawing(name, *paints, aloft=False):
    """Enters the decorated function in `DRAWINGS`; one list of paints to choose from for each of its colours."""

    def enter(draw):
        DRAWINGS[name] = Drawing(draw, paints, aloft)
        return draw

    return enter


def shade(colour, amount):
    """The colour mixed with white (amount 0 to 1) or with ink (amount 0 to -1)."""
    other = WHITE if amount > 0 else INK
    mixed = [
        (1 - abs(amount)) * int(colour[i : i + 2], 16) + abs(amount) * int(other[i : i + 2], 16) for i in (1, 3, 5)
    ]
    return _hex(mixed)


def path(d, fill="none", **attributes):
    """A filled shape from SVG path data; `outline=False` leaves the ink away."""
    return _shape("path", fill, d=d, **attributes)


def ellipse(x, y, rx, ry, fill, **attributes):
    """An ellipse around (x, y)."""
    return _shape("ellipse", fill, cx=x, cy=y, rx=rx, ry=ry, **attributes)


def circle(x, y, r, fill, **attributes):
    """A circle around (x, y)."""
    return _shape("circle", fill, cx=x, cy=y, r=r, **attributes)


def rect(x, y, width, height, fill, rx=0, **attributes):
    """A rectangle with corners rounded by rx."""
    return _shape("rect", fill, x=x, y=y, width=width, height=height, rx=rx, **attributes)


def line(d, colour=INK, width=2.0, **attributes):
    """A stroke along SVG path data."""
    return path(d, stroke=colour, stroke_width=width, **attributes)


def limb(d, colour, width):
    """A thick stroke with an outline: a leg, a tail, a hose."""
    return line(d, INK, width + 4) + line(d, colour, width)


def group(parts, transform):
    """The parts under an SVG transform."""
    return f'<g transform="{transform}">{"".join(parts)}</g>'


def turn(parts, degrees, x, y):
    """The parts turned clockwise about (x, y)."""
    return group(parts, f"rotate({degrees:.2f} {x} {y})")


def shift(parts, x, y):
    """The parts moved by (x, y)."""
    return group(parts, f"translate({x:.2f} {y:.2f})")


def stretch(parts, x_scale, y_scale, x, y):
    """The parts scaled about (x, y)."""
    return group(parts, f"translate({x} {y}) scale({x_scale:.3f} {y_scale:.3f}) translate({-x} {-y})")


def dots(places, r):
    """Path data of small circles at several places: one shape instead of many."""
    return "".join(f"M{x - r:.1f} {y:.1f}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0" for x, y in places)


def eyes(look, t, places, r=2.8, iris=None):
    """Round eyes with a glint, and a ring of colour around the pupil if `iris` is given; they blink once in a while."""
    if look.turns(t, 0.45) % 1 < 0.07:
        return line("".join(f"M{x - 1.3 * r:.1f} {y}q{1.3 * r:.1f} {r} {2.6 * r:.1f} 0" for x, y in places))
    glints = [(x + 0.3 * r, y - 0.35 * r) for x, y in places]
    ring = path(dots(places, 1.75 * r), iris) if iris else ""
    return ring + path(dots(places, r), INK, outline=False) + path(dots(glints, 0.38 * r), WHITE, outline=False)


def wheel(x, y, r, turns, hub=STEEL, spokes=True):
    """A wheel with a dark tyre, turned by a number of turns."""
    parts = circle(x, y, r, RUBBER) + circle(x, y, 0.55 * r, hub)
    if not spokes:
        return parts
    reach = 0.5 * r
    cross = line(f"M{x - reach} {y}h{2 * reach}M{x} {y - reach}v{2 * reach}", width=1.4)
    return parts + turn([cross], 360 * (turns % 1), x, y)


def puffs(ages, x, y, dx, dy):
    """Round clouds of steam or smoke that leave (x, y), drift by (dx, dy), grow and fade."""
    return "".join(
        circle(
            *(round(v, 2) for v in (x + (dx + 6 * (i % 2) - 3) * age, y + dy * age, 3 + 6 * age)),
            WHITE,
            fill_opacity=round(1 - 0.7 * age, 2),
            stroke_width=1.4,
            stroke_opacity=round(0.8 - 0.8 * age, 2),
        )
        for i, age in enumerate(ages)
    )


def _shape(kind, fill, outline=True, **attributes):
    if not outline:
        attributes["stroke"] = "none"
    text = " ".join(f'{name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f'<{kind} fill="{fill}" {text}/>'


def _hex(rgb):
    return "#" + "".join(f"{min(255, max(0, round(x))):02x}" for x in rgb)
