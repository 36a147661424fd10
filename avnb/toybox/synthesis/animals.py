"""Dog, cat, cow, rooster and frog."""

import numpy as np

from .building_blocks import (
    curve,
    equalise,
    fade,
    mouth_of,
    place,
    repeat,
    reverb,
    synthesiser,
    voice,
)


def _call(v, seconds, pitch, contour, mouth, fades, level=((0, 1), (1, 1)), **timbre):
    """One utterance: `contour` and `level` are the points of `curve` that its pitch and its loudness go through."""
    cry = voice(v, pitch * curve(seconds, *contour), *mouth, **timbre)
    return fade(cry * curve(seconds, *level), *fades)


@synthesiser("dog")
def dog(v, seconds):
    pitch, small, breath = v.uniform(220, 480), v.uniform(0.95, 1.35), v.uniform(0.3, 0.7)
    period, length = v.uniform(0.42, 0.75), v.uniform(0.15, 0.24)
    pairs = v.chance(0.4)  # "woof woof, ... woof woof" instead of an even row
    mouth = mouth_of(small, (0, 350, 800, 2300, 3300), (0.3, 800, 1300, 2500, 3500), (1, 420, 850, 2300, 3300))

    def woof(i):
        if pairs and i % 3 == 2:
            return np.zeros(1)
        high, long = pitch * v.uniform(0.9, 1.1), length * v.uniform(0.85, 1.15)
        contour = (0, 0.75), (0.2, 1.25), (0.45, 1.1), (1, 0.55)
        level = (0, 0.4), (0.15, 1), (0.5, 0.7), (1, 0)
        return _call(v, long, high, contour, mouth, (0.012, 0.03), level, tilt=0.8, breath=breath, rough=0.05)

    return reverb(v, repeat(v, seconds, period, woof), 0.06, 0.25)


@synthesiser("cat")
def cat(v, seconds):
    pitch, small, length = v.uniform(420, 720), v.uniform(1.15, 1.4), v.uniform(0.65, 1.05)
    period, arch = length + v.uniform(0.3, 0.7), v.uniform(1.25, 1.6)
    mouth = mouth_of(
        small,
        (0, 300, 2200, 2900, 3800),
        (0.2, 350, 2200, 2900, 3800),
        (0.5, 900, 1500, 2700, 3700),
        (1, 380, 800, 2500, 3600),
    )

    def meow(i):
        long, high = length * v.uniform(0.85, 1.15), pitch * v.uniform(0.94, 1.06)
        contour = (0, 0.85), (0.3, arch), (0.6, arch * 0.92), (1, 0.75)
        return _call(v, long, high, contour, mouth, (0.09, 0.25), tilt=1.0, breath=0.04)

    return repeat(v, seconds, period, meow)


@synthesiser("cow")
def cow(v, seconds):
    pitch, big, length = v.uniform(85, 150), v.uniform(0.7, 0.9), v.uniform(1.2, 1.7)
    period, arch = length + v.uniform(0.3, 0.7), v.uniform(1.25, 1.5)
    mouth = mouth_of(
        big,
        (0, 240, 900, 2100, 3000),
        (0.2, 260, 900, 2100, 3000),
        (0.45, 520, 950, 2200, 3200),
        (1, 400, 750, 2200, 3200),
    )

    def moo(i):
        long, high = length * v.uniform(0.9, 1.1), pitch * v.uniform(0.95, 1.05)
        contour = (0, 0.8), (0.35, arch), (0.75, arch), (1, 0.75)
        return _call(v, long, high, contour, mouth, (0.15, 0.3), tilt=0.7, breath=0.08, rough=0.025)

    return reverb(v, repeat(v, seconds, period, moo), 0.1, 0.2)


@synthesiser("rooster")
def rooster(v, seconds):
    pitch, small, tempo = v.uniform(480, 680), v.uniform(1.2, 1.5), v.uniform(0.85, 1.15)
    top, harsh = v.uniform(1.35, 1.6), v.uniform(0.04, 0.12)
    cock, doo = (700, 1500, 2700, 3600), (600, 1150, 2500, 3500)
    syllables = (  # "cock-a-doodle-doo": start and length in seconds, pitch at start, middle and end, vowel
        (0.00, 0.20, 0.75, 1.0, 0.85, cock),
        (0.24, 0.13, 1.0, 1.05, 1.0, cock),
        (0.40, 0.20, 1.1, 1.25, 1.15, doo),
        (0.62, 0.17, 1.2, 1.3, 1.2, doo),
        (0.82, 0.85, 1.15, top, 0.8, cock),
    )

    def crow(i):
        events = []
        for start, length, *relative, vowel in syllables:
            long = tempo * length * v.uniform(0.92, 1.08)
            contour, level = zip((0, 0.35, 1), relative, strict=True), ((0, 0.6), (0.4, 1), (1, 0.5))
            mouth = mouth_of(small, (0, *vowel), (1, *vowel))
            sung = _call(v, long, pitch, contour, mouth, (0.02, 0.06), level, tilt=0.6, breath=harsh, rough=0.02)
            events.append((tempo * start, sung))
        return place(tempo * 1.8, events)

    return reverb(v, repeat(v, seconds, tempo * v.uniform(1.85, 2.2), crow), 0.08, 0.25)


@synthesiser("frog")
def frog(v, seconds):
    rate, throat, period = v.uniform(38, 62), v.uniform(0.85, 1.2), v.uniform(0.55, 0.9)
    rib = mouth_of(throat, (0, 420, 1200, 2500), (1, 650, 1700, 2700))
    bit = mouth_of(throat, (0, 750, 1900, 2900), (1, 600, 1600, 2700))

    def ribbit(i):
        first, second = v.uniform(0.13, 0.17), v.uniform(0.14, 0.2)
        low = _call(v, first, rate, ((0, 0.9), (1, 1.1)), rib, (0.03, 0.02), tilt=0, breath=0.1, rough=0.03)
        high = _call(v, second, rate, ((0, 1.25), (1, 1.1)), bit, (0.01, 0.05), tilt=0, breath=0.1, rough=0.03)
        return place(0.45, [(0, 0.7 * low), (first + 0.03, high)])

    return equalise(repeat(v, seconds, period, ribbit), (120, -40), (400, 0), (3000, 0))
