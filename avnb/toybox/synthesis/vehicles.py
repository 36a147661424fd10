"""Ambulance, train, car and helicopter."""

import numpy as np

from .building_blocks import (
    RATE,
    curve,
    equalise,
    fade,
    harmonics,
    narrow_noise,
    noise,
    pitch_ratio,
    place,
    repeat,
    reverb,
    synthesiser,
    times,
    tone,
    wander,
)


@synthesiser("ambulance")
def ambulance(v, seconds):
    low, high, period = v.uniform(480, 680), v.uniform(1150, 1600), v.uniform(1.3, 2.6)
    turn, bright = v.uniform(0.4, 0.6), v.uniform(0.6, 1.1)
    phase = (times(seconds) / period + v.uniform(0, 1)) % 1
    sweep = np.interp(phase, [0, turn, 1], [0, 1, 0])
    siren = tone(low * (high / low) ** np.sin(np.pi / 2 * sweep), harmonics(bright))
    siren = equalise(siren, (200, -12), (700, 0), (3000, 2), (6000, -12))
    road = 0.08 * noise(v, seconds, (60, 0), (200, -6), (3000, -30))
    return reverb(v, siren, 0.15, 0.3) + road


@synthesiser("train")
def train(v, seconds):
    pitch, chuff, length = v.uniform(290, 420), v.uniform(3.2, 5.5), v.uniform(0.8, 1.3)
    steam = noise(v, seconds, (80, -8), (200, 0), (900, 0), (2500, -6), (7000, -16))
    chime = v.choice(((0, 3, 6, 9), (0, 4, 7, 9), (0, 4, 7, 10)))
    stroke, beat = np.divmod(times(seconds) * chuff + v.uniform(0, 4), 1)
    chuffs = steam * (0.06 + np.where(stroke % 4 == 0, 1.0, 0.7) * np.exp(-4.5 * beat) * np.minimum(beat / 0.08, 1))

    def whistle(i):
        long = length * (1.0, 0.5)[i % 2] * v.uniform(0.9, 1.15)
        glide = pitch * curve(long, (0, 0.93), (0.12, 1), (0.85, 1), (1, 0.92))
        chord = sum(tone(glide * pitch_ratio(note), [1, 0.5, 0.25, 0.15, 0.08]) for note in chime)
        air = narrow_noise(v, glide * 3, 600) + 0.5 * narrow_noise(v, glide * 6, 900)
        return fade(chord / 4 + 0.12 * air, 0.08, 0.15)

    return reverb(v, repeat(v, seconds, length + v.uniform(0.3, 0.6), whistle), 0.25, 0.35) + 0.9 * chuffs


@synthesiser("car")
def car(v, seconds):
    pitch, interval, bright = v.uniform(330, 450), v.uniform(3.6, 4.4), v.uniform(0.25, 0.6)
    short, gap, idle = v.uniform(0.14, 0.25), v.uniform(0.1, 0.22), v.uniform(24, 34)
    rhythm = v.choice(((1, 1, 4), (1, 4), (1, 1), (3, 3)))
    lower, upper = (
        tone(np.full(round(seconds * RATE), pitch * pitch_ratio(i)), harmonics(bright)) for i in (0, interval)
    )
    vibrating = equalise(lower + upper, (200, -10), (800, 0), (2500, 6), (4000, 0), (7500, -15))
    pressed, start = [], v.uniform(-0.3, 0.2)
    while start < seconds:
        for beats in rhythm:
            pressed.append((start, fade(np.ones(round(short * beats * RATE)), 0.01, 0.02)))
            start += short * beats + gap
        start += v.uniform(0.2, 0.5)
    engine = tone(np.full(len(vibrating), idle), harmonics(0.5, 12)) * (1 + 0.2 * wander(v, seconds, 12))
    return reverb(v, vibrating * place(seconds, pressed), 0.05, 0.2) + 0.05 * engine


@synthesiser("helicopter")
def helicopter(v, seconds):
    rotor, depth, turbine = v.uniform(10, 17), v.uniform(2.5, 5), v.uniform(1700, 2900)
    swell = curve(seconds, (0, v.uniform(0.5, 1)), (v.uniform(0.3, 0.7), 1), (1, v.uniform(0.5, 1)))
    phase = 2 * np.pi * np.cumsum(rotor * (1 + 0.01 * wander(v, seconds, 3))) / RATE
    slap = (0.5 + 0.5 * np.cos(phase)) ** depth
    air = noise(v, seconds, (40, -6), (120, 0), (600, -4), (2000, -12), (7000, -24))
    thump = np.sin(6 * phase) + 0.6 * np.sin(9 * phase)  # the blades' own low harmonics, in step with the slap
    whine = tone(turbine * (1 + 0.004 * wander(v, seconds, 2)), [1, 0.4])
    return swell * (slap * (air + 0.7 * thump) + 0.12 * air + 0.04 * whine)
