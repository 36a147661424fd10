"""Rain, thunder and wind."""

import numpy as np

from .building_blocks import (
    burst,
    fade,
    narrow_noise,
    noise,
    pitch_ratio,
    place,
    repeat,
    reverb,
    scatter,
    synthesiser,
    times,
    wander,
)


@synthesiser("rain")
def rain(v, seconds):
    density, wet, body = v.uniform(100, 280), v.uniform(0.35, 0.7), v.uniform(-12, -4)
    pitch, dull = v.uniform(1400, 2600), v.uniform(-8, 0)
    steady = noise(v, seconds, (100, -25), (600, body), (2500, -2), (6000, 0), (7800, dull))
    n, t = int(density * seconds), times(0.03)
    drop = pitch * np.exp(0.45 * v.rng.standard_normal(n))[:, None]
    level = v.rng.exponential(1, n)[:, None]
    grains = level * np.exp(-t / 0.004) * np.sin(2 * np.pi * drop * t * (1 + 6 * t))  # a bubble's pitch rises
    splash = scatter(seconds, v.rng.uniform(0, seconds, n), grains)
    return wet * steady * (1 + 0.08 * wander(v, seconds, 2)) + splash


@synthesiser("thunder")
def thunder(v, seconds):
    length, crackle, deep = v.uniform(1.4, 2.2), v.uniform(0.5, 1.0), v.uniform(45, 90)

    def clap(i):
        strength, long = v.uniform(0.75, 1.0), 1.6 * length
        rolling = burst(v, long, 0.45 * length, (25, -10), (deep, 0), (2.2 * deep, -8), (600, -30), (3000, -60))
        rolling = rolling * np.exp(0.55 * wander(v, long, 7))
        tearing = burst(v, 0.6, 0.1, (80, -6), (300, 0), (1500, -10), (6000, -26)) * np.exp(0.8 * wander(v, 0.6, 40))
        return strength * place(long, [(0, fade(rolling, 0.06, 0.3)), (0.02, crackle * fade(tearing, 0.004, 0.1))])

    return reverb(v, repeat(v, seconds, length, clap), 0.35, 0.3)


@synthesiser("wind")
def wind(v, seconds):
    centre, speed, width = v.uniform(380, 700), v.uniform(0.7, 1.5), v.uniform(70, 140)
    gust = np.tanh(wander(v, seconds, speed))
    glide = centre * pitch_ratio(6 * gust + 0.6 * wander(v, seconds, 6))
    howl = narrow_noise(v, glide, width) + 0.5 * narrow_noise(v, glide * v.uniform(1.5, 1.9), 2 * width)
    rush = noise(v, seconds, (40, -8), (150, 0), (500, -4), (1500, -14), (6000, -34))
    return np.exp(0.7 * gust) * (howl + v.uniform(0.4, 0.9) * rush)
