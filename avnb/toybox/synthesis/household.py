"""Telephone, alarm clock, kettle and vacuum cleaner."""

import numpy as np

from .building_blocks import (
    burst,
    curve,
    narrow_noise,
    noise,
    place,
    reverb,
    ringing,
    scatter,
    synthesiser,
    times,
    tone,
    wander,
)


@synthesiser("telephone")
def telephone(v, seconds):
    pitch, interval, clapper = v.uniform(1150, 1650), v.uniform(1.16, 1.28), v.uniform(18, 24)
    burst, gap, pause = v.uniform(0.35, 0.5), v.uniform(0.15, 0.25), v.uniform(0.5, 0.9)
    strikes, start = [], v.uniform(-0.6, 0.3)
    while start < seconds:
        for _ in range(2):
            strikes.extend(start + np.arange(0, burst, 0.5 / clapper))
            start += burst + gap
        start += pause
    strikes = np.array(strikes) + 0.001 * v.rng.standard_normal(len(strikes))
    modes, decays = np.array([1, 2.32, 2.9, 3.9]), np.array([0.12, 0.08, 0.05, 0.03])
    gongs = np.stack([ringing(pitch * g * modes, decays, [1, 0.7, 0.4, 0.4], 0.35) for g in (1, interval)])
    force = 0.8 + 0.1 * v.rng.standard_normal(len(strikes))
    return scatter(seconds, strikes, gongs[np.arange(len(strikes)) % 2] * force[:, None])


@synthesiser("clock")
def clock(v, seconds):
    pitch, period, wood = v.uniform(2300, 3800), v.uniform(0.25, 0.5), v.uniform(350, 700)
    lower = v.uniform(0.7, 0.85)
    modes, start = np.array([1, 1.47, 1.93, 0.61]), v.uniform(0, 1) * period

    def click(scale):
        case = ringing([wood * scale, 2.3 * wood * scale], [0.014, 0.008], [0.5, 0.3], 0.12)
        gears = ringing(pitch * scale * modes, [0.006, 0.004, 0.003, 0.008], [1, 0.7, 0.5, 0.6], 0.12)
        catch = burst(v, 0.12, 0.0015)
        return place(0.16, [(0, 0.5 * gears + 0.4 * catch), (0.012, gears + case + 0.5 * catch)])

    tick, tock = click(1.0), click(lower)
    beats = np.arange(start - period, seconds, period) + 0.002 * v.rng.standard_normal()
    ticking = place(seconds, [(at, v.uniform(0.85, 1.0) * (tick, tock)[i % 2]) for i, at in enumerate(beats)])
    return reverb(v, ticking, 0.03, 0.1)


@synthesiser("kettle")
def kettle(v, seconds):
    top, onset, boil = v.uniform(2300, 3300), v.uniform(0.1, 0.45), v.uniform(0.15, 0.35)
    rising = curve(seconds, (0, 0.0), (onset, 0.05), (min(onset + 0.3, 0.95), 1), (1, 1))
    glide = top * (0.75 + 0.25 * rising) * (1 + 0.004 * wander(v, seconds, 12))
    whistle = tone(glide, [1, 0.25, 0.1]) + 0.35 * narrow_noise(v, glide, 120)
    hiss = noise(v, seconds, (200, -30), (1500, -12), (3500, 0), (7500, 0))
    bubbles = noise(v, seconds, (80, -20), (250, 0), (700, -15)) * np.abs(wander(v, seconds, 14))
    return 0.6 * hiss * (0.7 + 0.3 * rising) + 0.9 * rising**1.5 * whistle + boil * bubbles


@synthesiser("vacuum")
def vacuum(v, seconds):
    motor, whine, bright = v.uniform(95, 150), v.uniform(4.6, 6.4), v.uniform(-8, 0)
    stroke = 1 + 0.08 * np.sin(2 * np.pi * (v.uniform(0.3, 0.6) * times(seconds) + v.uniform(0, 1)))
    speed = motor * (0.98 + 0.02 * stroke) * (1 + 0.002 * wander(v, seconds, 6))
    hum = tone(speed, [1, 0.8, 0.3, 0.4, 0.15, 0.2, 0.1, 0.1]) + 0.5 * tone(speed * whine, [1, 0.5, 0.25, 0.2, 0.1])
    air = noise(v, seconds, (100, -14), (500, 0), (1200, 2), (3000, -4), (7500, -14 + bright))
    return stroke * (0.9 * hum + 0.8 * air)
