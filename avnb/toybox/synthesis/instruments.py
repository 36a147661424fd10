"""Piano, guitar, drum, trumpet and bell."""

from functools import cache

import numpy as np
from scipy.signal import lfilter

from .building_blocks import (
    MAJOR,
    RATE,
    burst,
    curve,
    equalise,
    fade,
    harmonics,
    noise,
    pitch_ratio,
    place,
    repeat,
    reverb,
    ringing,
    synthesiser,
    times,
    tone,
    wander,
)


def _piano_note(pitch, seconds):
    k = np.arange(1, 17)
    partials = pitch * k * np.sqrt(1 + 0.0005 * k**2)  # stiff strings are sharp
    decays = (1.6 / (1 + (pitch / 400))) / (1 + 0.28 * (k - 1))
    levels = k**-1.6 * (0.25 + np.abs(np.sin(np.pi * k / 7.5)))
    sustained = ringing(partials, decays, levels, seconds)
    prompt = ringing(partials * 1.0007, 0.2 * decays, 1.5 * levels, seconds)
    return fade(sustained + prompt, 0.002, 0.1)


@synthesiser("piano")
def piano(v, seconds):
    tonic, beat, soft = v.uniform(210, 400), v.uniform(0.24, 0.42), v.uniform(-10, 0)
    note, events = cache(lambda semitones: _piano_note(tonic * pitch_ratio(semitones), 1.6)), []
    degree = v.integer(0, 8)
    for i, start in enumerate(np.arange(v.uniform(-1, 0.5) * beat, seconds, beat)):
        degree = int(np.clip(degree + v.choice((-2, -1, 1, 2, 3)), 0, 9))
        events.append((start, v.uniform(0.7, 1.0) * note(int(MAJOR[degree]))))
        if i % 4 == 0:
            events.append((start, 0.7 * note(int(v.choice((-12, -7, -5))))))
        events.append((start, 0.3 * lfilter([0.1], [1, -0.9], burst(v, 0.04, 0.008))))
    melody = equalise(place(seconds, events), (60, -8), (200, 0), (1500, 0), (6000, soft))
    return reverb(v, melody, 0.12, 0.15)


@synthesiser("guitar")
def guitar(v, seconds):
    tuning, beat, roll = v.uniform(0.92, 1.12), v.uniform(0.4, 0.62), v.uniform(0.012, 0.028)
    pluck, damp = v.uniform(0.12, 0.24), v.uniform(0.14, 0.28)
    k = np.arange(1, 33)
    shapes = ((0, 7, 12, 16, 19, 24), (3, 7, 10, 15, 19, 27), (5, 12, 17, 21, 24, 29), (0, 7, 12, 15, 19, 24))

    @cache
    def strum(shape, upward):
        strings = []
        for order, semitones in enumerate(shape[::-1] if upward else shape):
            pitch = 82.4 * tuning * pitch_ratio(semitones)
            string = ringing(pitch * k, 0.6 / (1 + damp * k * (pitch / 150) ** 0.5), np.sin(np.pi * k * pluck) / k, 1.1)
            strings.append((order * roll, fade(string, 0.001, 0.3)))
        pick = fade(noise(v, 6 * roll, (500, -20), (3000, 0)), 0.01, 0.03)
        return place(1.25, [*strings, (0, 0.12 * pick)])

    chords = [v.choice(shapes) for _ in range(2)]
    rhythm = v.choice(((0, 1), (0, 0.5, 1, 1.5), (0, 1, 1.5)))

    def bar(i):
        strums = []
        for at, end in zip(rhythm, (*rhythm[1:], 2), strict=True):  # in beats; each strum stops the one before
            struck = strum(chords[i % 2], at % 1 > 0)[: round((beat * (end - at) + 0.05) * RATE)]
            strums.append((beat * at, v.uniform(0.7, 1.0) * fade(struck, 0.001, 0.06)))
        return place(2 * beat + 0.1, strums)

    body = ((60, -12), (100, 3), (160, 0), (220, 4), (400, 0), (2500, 2), (6000, -8))
    return equalise(repeat(v, seconds, 2 * beat, bar), *body)


@synthesiser("drum")
def drum(v, seconds):
    step, kick, snare = v.uniform(0.115, 0.18), v.uniform(52, 80), v.uniform(160, 230)
    tom, rattle = v.uniform(85, 140), v.uniform(0.5, 1.0)
    modes = np.array([1, 1.59, 2.14, 2.30, 2.65, 2.92])  # of an ideal circular membrane

    boom = tone(kick * (1 + 1.2 * np.exp(-times(0.4) / 0.03)), [1]) * np.exp(-times(0.4) / 0.13)
    skin = ringing(snare * modes, 0.05 / modes**0.5, modes**-0.7, 0.25)
    wires = burst(v, 0.25, 0.06, (500, -15), (2000, 0), (7000, -2))
    click = burst(v, 0.02, 0.003)
    low, high = (ringing(tom * ratio * modes, 0.2 / modes, modes**-1.2, 0.5) for ratio in (1, 1.4))
    kit = {
        "k": place(0.4, [(0, fade(boom, 0.002, 0.1)), (0, 0.3 * click)]),
        "s": 0.7 * skin + 0.35 * rattle * wires,
        "t": place(0.5, [(0, low), (0, 0.2 * click)]),
        "u": place(0.5, [(0, high), (0, 0.2 * click)]),
        "-": np.zeros(1),
    }
    pattern = v.choice(("k-s-kks-", "k-sskts-", "k-s-k-su", "kttuksut", "ksskskuu", "k-sukks-"))
    starts = np.arange(v.uniform(-4, 1) * step, seconds, step)
    hits = [(at, v.uniform(0.7, 1.0) * kit[pattern[i % 8]]) for i, at in enumerate(starts)]
    return reverb(v, place(seconds, hits), 0.05, 0.15)


@synthesiser("trumpet")
def trumpet(v, seconds):
    tonic, beat, blare = v.uniform(290, 440), v.uniform(0.15, 0.24), v.uniform(0.5, 0.75)
    vibrato, depth = v.uniform(4.5, 6), v.uniform(0.004, 0.009)
    fanfares = (  # (semitones, beats)
        ((0, 1), (0, 1), (0, 1), (5, 3), (0, 1), (5, 1), (9, 4)),
        ((0, 2), (4, 1), (7, 1), (12, 4), (7, 1), (12, 4)),
        ((7, 1), (7, 1), (7, 1), (12, 4), (9, 1), (7, 1), (12, 4)),
    )

    def note(pitch, long):
        attack = 0.97 + 0.03 * np.minimum(times(long) / 0.04, 1)
        swing = depth * np.sin(2 * np.pi * vibrato * times(long)) * np.minimum(times(long) / 0.4, 1)
        contour = pitch * attack * (1 + swing + 0.002 * wander(v, long, 40))
        level = curve(long, (0, 0), (min(0.03 / long, 0.4), 1), (min(0.12 / long, 0.6), 0.8), (0.85, 0.85), (1, 0))
        bright, dull = tone(contour, harmonics(blare)), tone(contour, harmonics(2.2))
        return fade(level * (level**2 * bright + (1 - level**2) * dull), 0.005, 0.03)

    events, start = [], v.uniform(-0.3, 0.2)
    while start < seconds:
        for semitones, beats in v.choice(fanfares):
            long = beats * beat
            events.append((start, note(tonic * pitch_ratio(semitones), 0.92 * long)))
            start += long
        start += beat
    brass = equalise(place(seconds, events), (150, -12), (500, -2), (1300, 4), (2500, 0), (7000, -12))
    return reverb(v, brass, 0.15, 0.2)


@synthesiser("bell")
def bell(v, seconds):
    prime, long, clang = v.uniform(210, 480), v.uniform(0.8, 1.3), v.uniform(0.6, 1.2)
    ratios = np.array([0.5, 1, 1.2, 1.5, 2, 2.5, 2.67, 3.01, 4.17, 5.43, 6.8]) * v.uniform(0.995, 1.005)
    decays = long * np.array([2.0, 1.2, 1.0, 0.5, 0.7, 0.3, 0.3, 0.3, 0.18, 0.12, 0.08])
    levels = np.array([0.5, 0.7, 0.8, 0.3, 1.0, 0.4, 0.4, 0.6, 0.5, 0.4, 0.3]) * np.r_[np.ones(5), np.full(6, clang)]
    doublets = np.r_[ratios, ratios * 1.002]  # no cast bell is quite round: its partials beat
    toll = fade(ringing(prime * doublets, np.tile(decays, 2), np.r_[levels, 0.6 * levels], 3.0), 0.002, 0.5)
    return reverb(v, repeat(v, seconds, v.uniform(1.2, 1.8), lambda i: v.uniform(0.8, 1.0) * toll), 0.2, 0.15)
