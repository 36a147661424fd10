"""Baby, singer and audience."""

import numpy as np

from .building_blocks import (
    MAJOR,
    curve,
    equalise,
    fade,
    mouth_of,
    noise,
    pitch_ratio,
    place,
    repeat,
    reverb,
    scatter,
    synthesiser,
    times,
    voice,
    wander,
)


@synthesiser("baby")
def baby(v, seconds):
    pitch, small, length = v.uniform(370, 520), v.uniform(1.35, 1.6), v.uniform(0.6, 0.95)
    tremble, rough = v.uniform(6, 10), v.uniform(0.01, 0.03)
    mouth = mouth_of(
        small,
        (0, 450, 1700, 2600, 3600),
        (0.25, 800, 1350, 2600, 3600),
        (0.8, 750, 1400, 2600, 3600),
        (1, 500, 1600, 2600, 3600),
    )

    def waah(i):
        long = length * v.uniform(0.85, 1.15)
        sob = 1 + 0.02 * np.sin(2 * np.pi * tremble * times(long))
        contour = pitch * v.uniform(0.95, 1.08) * curve(long, (0, 0.8), (0.2, 1.12), (0.6, 1.05), (1, 0.75)) * sob
        cry = fade(voice(v, contour, *mouth, tilt=0.6, breath=0.12, rough=rough), 0.06, 0.12)
        gasp = fade(noise(v, 0.18, (400, -20), (1200, 0), (3000, 0), (7000, -10)), 0.08, 0.06)
        return place(long + 0.3, [(0, cry), (long + 0.06, 0.02 * gasp)])

    return reverb(v, repeat(v, seconds, length + v.uniform(0.25, 0.35), waah), 0.08, 0.15)


@synthesiser("singer")
def singer(v, seconds):
    tonic, beat, small = v.uniform(250, 370), v.uniform(0.38, 0.62), v.uniform(1.1, 1.22)
    vibrato, depth = v.uniform(5.0, 6.2), v.uniform(0.02, 0.034)
    vowels = ((750, 1150, 2500, 2900), (400, 800, 2400, 2850), (450, 1850, 2500, 3000), (600, 1000, 2450, 2900))
    n, degree = int(seconds / beat) + 2, v.integer(1, 7)
    notes, path = [], []
    for i in range(n):
        degree = int(np.clip(degree + v.choice((-2, -1, -1, 1, 1, 2)), 0, 8))
        notes += [((i + 0.08) / n, float(MAJOR[degree])), ((i + 0.92) / n, float(MAJOR[degree]))]
        vowel = v.choice(vowels)
        path += [((i + 0.15) / n, *vowel), ((i + 0.85) / n, *vowel)]
    long = n * beat
    swing = 1 + depth * np.sin(2 * np.pi * vibrato * times(long) + 0.5 * wander(v, long, 3))
    melody = voice(
        v, tonic * pitch_ratio(curve(long, *notes)) * swing, *mouth_of(small, *path), tilt=1.0, breath=0.02, rough=0.003
    )
    phrase = 0.75 + 0.25 * np.cos(2 * np.pi * times(long) / beat)  # every note swells and gives way to the next
    sung = equalise(melody * phrase, (150, -6), (500, 0), (2600, 6), (4000, 4), (7000, -6))
    return reverb(v, place(seconds, [(-v.uniform(0, 1) * beat, sung)]), 0.25, 0.3)


@synthesiser("audience")
def audience(v, seconds):
    people, tempo = int(v.uniform(35, 75)), v.uniform(3.2, 5.0)
    bright, hall = v.uniform(0.85, 1.2), v.uniform(0.15, 0.3)
    rates = tempo * (1 + 0.15 * v.rng.standard_normal(people))
    beats = np.arange(-1, int(seconds * tempo * 2))
    starts = (beats + v.rng.uniform(0, 1, (people, 1)) + 0.08 * v.rng.standard_normal((people, len(beats)))) / rates[
        :, None
    ]
    person, beat = np.nonzero(starts < seconds)
    hollow = bright * 1100 * np.exp(0.35 * v.rng.standard_normal(people))[person, None]
    near = (0.4 + np.minimum(v.rng.exponential(0.6, people), 2))[person, None]
    t = times(0.015)
    hands = np.sin(2 * np.pi * hollow * t) + 0.8 * v.rng.standard_normal((len(person), len(t)), dtype=np.float32)
    claps = scatter(seconds, starts[person, beat], near * np.exp(-t / 0.004) * hands)
    return reverb(v, equalise(claps, (100, -20), (600, 0), (2500, 0), (6000, -10)), hall, 0.5)
