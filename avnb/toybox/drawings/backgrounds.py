"""Places behind the sources: soft, without outlines, so that what stands before them stands out.

Each background is a function of (tones, horizon, t): four colours, the height of the ground's far edge in a scene of
160 x 160 units, and a time in seconds.
"""

from math import pi, sin

from .shapes import WHITE, Paint, circle, dots, ellipse, line, path, rect, shade

_SKY = Paint((180, 225), (0.5, 0.8), (0.78, 0.9))
_GRASS = Paint((70, 140), (0.35, 0.55), (0.6, 0.74))
_PASTEL = Paint((0, 360), (0.35, 0.6), (0.78, 0.9))
_SOFT = Paint((0, 360), (0.25, 0.45), (0.66, 0.8))
_BOARDS = Paint((20, 40), (0.35, 0.5), (0.62, 0.76))
_SUN = Paint((35, 56), (0.85, 1.0), (0.72, 0.82))


def _fill(colour, top=0, bottom=160):
    return rect(0, top, 160, bottom - top, colour, shape_rendering="crispEdges")


def _scatter(count, top, bottom):
    """Places spread evenly between two heights."""
    return [((0.382 * i + 0.07) % 1 * 160, top + (0.755 * i + 0.4) % 1 * (bottom - top)) for i in range(count)]


def _meadow(tones, horizon, t):
    sky, grass, flower, sun = tones
    spots = _scatter(9, horizon + 8, 156)
    return "".join(
        [
            _fill(sky),
            circle(132, 24 + sin(t / 4), 13, sun),
            path(
                f"M0 {horizon}Q30 {horizon - 24} 76 {horizon - 4}Q120 {horizon - 26} 160 {horizon - 6}V160H0Z",
                shade(grass, 0.3),
            ),
            _fill(grass, horizon),
            path(dots(spots, 2), flower),
        ]
    )


def _street(tones, horizon, t):
    sky, wall, other, road = tones
    houses = "".join(f"M{x} {horizon}V{horizon - h}H{x + 26}V{horizon}Z" for x, h in ((-4, 46), (50, 58), (108, 50)))
    more = "".join(f"M{x} {horizon}V{horizon - h}H{x + 28}V{horizon}Z" for x, h in ((22, 34), (78, 40), (136, 34)))
    panes = "".join(f"M{x} {y:.1f}h6v7h-6z" for x in (3, 14, 55, 66, 113, 124) for y in (horizon - 38, horizon - 22))
    lane = horizon + 0.55 * (160 - horizon)
    return "".join(
        [
            _fill(sky),
            path(houses, wall),
            path(more, other),
            path(panes, shade(wall, 0.6)),
            _fill(shade(road, 0.45), horizon),
            _fill(road, horizon + 9),
            line(f"M6 {lane}H160", WHITE, 3, stroke_dasharray="16 14"),
        ]
    )


def _room(tones, horizon, t):
    wall, floor, rug, frame = tones
    stripes = "".join(f"M{x} 0V{horizon}" for x in range(8, 160, 24))
    return "".join(
        [
            _fill(wall),
            line(stripes, shade(wall, 0.3), 8, stroke_linecap="butt"),
            _fill(floor, horizon),
            _fill(shade(wall, 0.7), horizon - 4, horizon),
            rect(14, horizon - 56, 28, 24, shade(frame, -0.2)),
            rect(17, horizon - 53, 22, 18, shade(frame, 0.6)),
            ellipse(80, 0.4 * horizon + 92, 68, 0.25 * (160 - horizon), rug),
        ]
    )


def _night(tones, horizon, t):
    sky, hill, _, moon = tones
    dark = shade(sky, -0.55)
    stars = _scatter(14, 5, horizon - 14)
    twinkle = 0.8 + 0.25 * sin(pi * t)
    return "".join(
        [
            _fill(dark),
            path(dots(stars[::2], 1.1), WHITE),
            path(dots(stars[1::2], round(twinkle, 2)), WHITE),
            path("M128 12a14 14 0 1 0 14 22a12 12 0 0 1 -14 -22z", moon),
            path(
                f"M0 {horizon}Q40 {horizon - 18} 90 {horizon}Q130 {horizon - 14} 160 {horizon - 3}V160H0Z",
                shade(hill, -0.4),
            ),
        ]
    )


def _beach(tones, horizon, t):
    sky, sea, sand, sun = tones
    shore = horizon + 5
    roll = 4 * sin(1.5 * t)
    waves = "".join(
        f"M{x + roll:.2f} {y:.1f}q5 3 10 0q5 3 10 0"
        for x, y in ((12, horizon - 14), (66, horizon - 9), (118, horizon - 15))
    )
    return "".join(
        [
            _fill(sky),
            circle(30, horizon - 34, 14, sun),
            _fill(sea, horizon - 24),
            line(waves, WHITE, 1.8),
            path(
                f"M0 {shore + roll / 3:.2f}Q40 {shore - 9} 80 {shore - 2 + roll / 3:.2f}T160 {shore - 4}V160H0Z", sand
            ),
        ]
    )


def _plain(tones, horizon, t):
    paper, _, spot, _ = tones
    drift = 5 * sin(t / 3)
    return _fill(paper) + circle(round(80 + drift, 2), 80, 66, shade(spot, 0.45))


def _stage(tones, horizon, t):
    wall, floor, curtain, light = tones
    sway = 2 * sin(t)
    left = f"M0 0H34Q{30 + sway:.2f} {horizon / 2} 18 {horizon + 4}H0Z"
    right = f"M160 0H126Q{130 + sway:.2f} {horizon / 2} 142 {horizon + 4}H160Z"
    return "".join(
        [
            _fill(wall),
            path(f"M70 0H90L130 {horizon}H30Z", shade(light, 0.4), fill_opacity=0.5),
            _fill(floor, horizon),
            line(f"M0 {horizon + 12}H160M0 {horizon + 28}H160M0 {horizon + 48}H160", shade(floor, -0.12), 1.5),
            path(left + right, curtain),
        ]
    )


def _mountains(tones, horizon, t):
    sky, field, rock, _ = tones
    drift = 6 * sin(t / 4)
    peaks = ((30, 62, 48), (92, 78, 52), (142, 56, 40))
    hills = "".join(f"M{x - w} {horizon}L{x} {horizon - h}L{x + w} {horizon}Z" for x, h, w in peaks)
    caps = "".join(
        f"M{x} {horizon - h}l{-w / 3:.1f} {h / 3:.1f}l{w / 6:.1f} -4l{w / 6:.1f} 5l{w / 6:.1f} -5l{w / 6:.1f} 4z"
        for x, h, w in peaks
    )
    return "".join(
        [
            _fill(sky),
            ellipse(round(120 + drift, 2), 18, 18, 4, WHITE, fill_opacity=0.7),
            path(hills, rock),
            path(caps, WHITE),
            _fill(field, horizon),
        ]
    )


BACKGROUNDS = {
    "meadow": (_meadow, (_SKY, _GRASS, _PASTEL, _SUN)),
    "street": (_street, (_SKY, _SOFT, _SOFT, Paint((210, 270), (0.06, 0.14), (0.62, 0.72)))),
    "room": (_room, (_PASTEL, _BOARDS, _SOFT, _SOFT)),
    "night": (
        _night,
        (Paint((205, 280), (0.35, 0.55), (0.38, 0.5)), Paint((90, 260), (0.2, 0.4), (0.45, 0.55)), _SOFT, _SUN),
    ),
    "beach": (
        _beach,
        (_SKY, Paint((185, 210), (0.45, 0.65), (0.6, 0.7)), Paint((36, 48), (0.5, 0.75), (0.76, 0.85)), _SUN),
    ),
    "plain": (_plain, (_PASTEL, _PASTEL, _PASTEL, _PASTEL)),
    "stage": (_stage, (_SOFT, _BOARDS, Paint((0, 360), (0.4, 0.6), (0.5, 0.62)), _SUN)),
    "mountains": (_mountains, (_SKY, _GRASS, Paint((200, 290), (0.12, 0.25), (0.66, 0.76)), _SUN)),
}
"""Kinds of places: for each the function that draws it and the paints of its four tones."""
