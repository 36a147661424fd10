"""The sounds of the toybox world, synthesised: one short function for each source, built from `synthesis.py`.

    >>> from avnb.toybox.vary import Variation
    >>> sound = synthesise("bell", Variation("train", seed=0), seconds=2.0)
    >>> sound.dtype, sound.shape
    (dtype('float32'), (32000,))
    >>> mix(["rain", "dog"], Variation("test", seed=0)).shape
    (64000,)

Parameters that shape a sound (pitch, tempo, timbre, onset, loudness) come from `Variation.uniform`, so that those of
test clips were never drawn for training.
"""

from functools import cache

import numpy as np
from scipy.signal import lfilter, resample_poly

from avnb.toybox.synthesis import (
    RATE,
    burst,
    curve,
    equalise,
    fade,
    harmonics,
    narrow_noise,
    noise,
    place,
    repeat,
    reverb,
    ringing,
    scatter,
    times,
    tone,
    voice,
    wander,
)

MAX_SOURCES = 3
_PEAK = 0.95
_SHORTEST = 0.1  # seconds
_MAJOR = np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16])  # semitones of a major scale above its first note


def _semitones(n):
    return 2.0 ** (np.asarray(n) / 12)


def _size(scale, *vowels):
    """Vowels of a mouth `scale` times as short as that of a grown man: formants in Hz, scaled."""
    return [(position, [scale * hz for hz in formants]) for position, *formants in vowels]


def _dog(v, seconds):
    pitch, small, breath = v.uniform(220, 480), v.uniform(0.95, 1.35), v.uniform(0.3, 0.7)
    period, length = v.uniform(0.42, 0.75), v.uniform(0.15, 0.24)
    pairs = v.chance(0.4)  # "woof woof, ... woof woof" instead of an even row
    mouth = _size(small, (0, 350, 800, 2300, 3300), (0.3, 800, 1300, 2500, 3500), (1, 420, 850, 2300, 3300))

    def woof(i):
        if pairs and i % 3 == 2:
            return np.zeros(1)
        high, long = pitch * v.uniform(0.9, 1.1), length * v.uniform(0.85, 1.15)
        contour = high * curve(long, (0, 0.75), (0.2, 1.25), (0.45, 1.1), (1, 0.55))
        bark = voice(v, contour, *mouth, tilt=0.8, breath=breath, rough=0.05)
        return fade(bark * curve(long, (0, 0.4), (0.15, 1), (0.5, 0.7), (1, 0)), 0.012, 0.03)

    return reverb(v, repeat(v, seconds, period, woof), 0.06, 0.25)


def _cat(v, seconds):
    pitch, small, length = v.uniform(420, 720), v.uniform(1.15, 1.4), v.uniform(0.65, 1.05)
    period, arch = length + v.uniform(0.3, 0.7), v.uniform(1.25, 1.6)
    mouth = _size(
        small,
        (0, 300, 2200, 2900, 3800),
        (0.2, 350, 2200, 2900, 3800),
        (0.5, 900, 1500, 2700, 3700),
        (1, 380, 800, 2500, 3600),
    )

    def meow(i):
        long = length * v.uniform(0.85, 1.15)
        contour = pitch * v.uniform(0.94, 1.06) * curve(long, (0, 0.85), (0.3, arch), (0.6, arch * 0.92), (1, 0.75))
        return fade(voice(v, contour, *mouth, tilt=1.0, breath=0.04), 0.09, 0.25)

    return repeat(v, seconds, period, meow)


def _cow(v, seconds):
    pitch, big, length = v.uniform(85, 150), v.uniform(0.7, 0.9), v.uniform(1.2, 1.7)
    period, arch = length + v.uniform(0.3, 0.7), v.uniform(1.25, 1.5)
    mouth = _size(
        big,
        (0, 240, 900, 2100, 3000),
        (0.2, 260, 900, 2100, 3000),
        (0.45, 520, 950, 2200, 3200),
        (1, 400, 750, 2200, 3200),
    )

    def moo(i):
        long = length * v.uniform(0.9, 1.1)
        contour = pitch * v.uniform(0.95, 1.05) * curve(long, (0, 0.8), (0.35, arch), (0.75, arch), (1, 0.75))
        return fade(voice(v, contour, *mouth, tilt=0.7, breath=0.08, rough=0.025), 0.15, 0.3)

    return reverb(v, repeat(v, seconds, period, moo), 0.1, 0.2)


def _rooster(v, seconds):
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
            contour = pitch * curve(long, *zip((0, 0.35, 1), relative, strict=True))
            sung = voice(v, contour, *_size(small, (0, *vowel), (1, *vowel)), tilt=0.6, breath=harsh, rough=0.02)
            events.append((tempo * start, fade(sung * curve(long, (0, 0.6), (0.4, 1), (1, 0.5)), 0.02, 0.06)))
        return place(tempo * 1.8, events)

    return reverb(v, repeat(v, seconds, tempo * v.uniform(1.85, 2.2), crow), 0.08, 0.25)


def _frog(v, seconds):
    rate, throat, period = v.uniform(38, 62), v.uniform(0.85, 1.2), v.uniform(0.55, 0.9)
    rib = _size(throat, (0, 420, 1200, 2500), (1, 650, 1700, 2700))
    bit = _size(throat, (0, 750, 1900, 2900), (1, 600, 1600, 2700))

    def ribbit(i):
        first, second = v.uniform(0.13, 0.17), v.uniform(0.14, 0.2)
        low = voice(v, rate * curve(first, (0, 0.9), (1, 1.1)), *rib, tilt=0, breath=0.1, rough=0.03)
        high = voice(v, rate * curve(second, (0, 1.25), (1, 1.1)), *bit, tilt=0, breath=0.1, rough=0.03)
        return place(0.45, [(0, 0.7 * fade(low, 0.03, 0.02)), (first + 0.03, fade(high, 0.01, 0.05))])

    return equalise(repeat(v, seconds, period, ribbit), (120, -40), (400, 0), (3000, 0))


def _ambulance(v, seconds):
    low, high, period = v.uniform(480, 680), v.uniform(1150, 1600), v.uniform(1.3, 2.6)
    turn, bright = v.uniform(0.4, 0.6), v.uniform(0.6, 1.1)
    phase = (times(seconds) / period + v.uniform(0, 1)) % 1
    sweep = np.interp(phase, [0, turn, 1], [0, 1, 0])
    siren = tone(low * (high / low) ** np.sin(np.pi / 2 * sweep), harmonics(bright))
    siren = equalise(siren, (200, -12), (700, 0), (3000, 2), (6000, -12))
    road = 0.08 * noise(v, seconds, (60, 0), (200, -6), (3000, -30))
    return reverb(v, siren, 0.15, 0.3) + road


def _train(v, seconds):
    pitch, chuff, length = v.uniform(290, 420), v.uniform(3.2, 5.5), v.uniform(0.8, 1.3)
    steam = noise(v, seconds, (80, -8), (200, 0), (900, 0), (2500, -6), (7000, -16))
    chime = v.choice(((0, 3, 6, 9), (0, 4, 7, 9), (0, 4, 7, 10)))
    stroke, beat = np.divmod(times(seconds) * chuff + v.uniform(0, 4), 1)
    chuffs = steam * (0.06 + np.where(stroke % 4 == 0, 1.0, 0.7) * np.exp(-4.5 * beat) * np.minimum(beat / 0.08, 1))

    def whistle(i):
        long = length * (1.0, 0.5)[i % 2] * v.uniform(0.9, 1.15)
        glide = pitch * curve(long, (0, 0.93), (0.12, 1), (0.85, 1), (1, 0.92))
        chord = sum(tone(glide * _semitones(note), [1, 0.5, 0.25, 0.15, 0.08]) for note in chime)
        air = narrow_noise(v, glide * 3, 600) + 0.5 * narrow_noise(v, glide * 6, 900)
        return fade(chord / 4 + 0.12 * air, 0.08, 0.15)

    return reverb(v, repeat(v, seconds, length + v.uniform(0.3, 0.6), whistle), 0.25, 0.35) + 0.9 * chuffs


def _car(v, seconds):
    pitch, interval, bright = v.uniform(330, 450), v.uniform(3.6, 4.4), v.uniform(0.25, 0.6)
    short, gap, idle = v.uniform(0.14, 0.25), v.uniform(0.1, 0.22), v.uniform(24, 34)
    rhythm = v.choice(((1, 1, 4), (1, 4), (1, 1), (3, 3)))
    lower, upper = (
        tone(np.full(round(seconds * RATE), pitch * _semitones(i)), harmonics(bright)) for i in (0, interval)
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


def _helicopter(v, seconds):
    rotor, depth, turbine = v.uniform(10, 17), v.uniform(2.5, 5), v.uniform(1700, 2900)
    swell = curve(seconds, (0, v.uniform(0.5, 1)), (v.uniform(0.3, 0.7), 1), (1, v.uniform(0.5, 1)))
    phase = 2 * np.pi * np.cumsum(rotor * (1 + 0.01 * wander(v, seconds, 3))) / RATE
    slap = (0.5 + 0.5 * np.cos(phase)) ** depth
    air = noise(v, seconds, (40, -6), (120, 0), (600, -4), (2000, -12), (7000, -24))
    thump = np.sin(6 * phase) + 0.6 * np.sin(9 * phase)  # the blades' own low harmonics, in step with the slap
    whine = tone(turbine * (1 + 0.004 * wander(v, seconds, 2)), [1, 0.4])
    return swell * (slap * (air + 0.7 * thump) + 0.12 * air + 0.04 * whine)


def _piano_note(pitch, seconds):
    k = np.arange(1, 17)
    partials = pitch * k * np.sqrt(1 + 0.0005 * k**2)  # stiff strings are sharp
    decays = (1.6 / (1 + (pitch / 400))) / (1 + 0.28 * (k - 1))
    levels = k**-1.6 * (0.25 + np.abs(np.sin(np.pi * k / 7.5)))
    sustained = ringing(partials, decays, levels, seconds)
    prompt = ringing(partials * 1.0007, 0.2 * decays, 1.5 * levels, seconds)
    return fade(sustained + prompt, 0.002, 0.1)


def _piano(v, seconds):
    tonic, beat, soft = v.uniform(210, 400), v.uniform(0.24, 0.42), v.uniform(-10, 0)
    note, events = cache(lambda semitones: _piano_note(tonic * _semitones(semitones), 1.6)), []
    degree = v.integer(0, 8)
    for i, start in enumerate(np.arange(v.uniform(-1, 0.5) * beat, seconds, beat)):
        degree = int(np.clip(degree + v.choice((-2, -1, 1, 2, 3)), 0, 9))
        events.append((start, v.uniform(0.7, 1.0) * note(int(_MAJOR[degree]))))
        if i % 4 == 0:
            events.append((start, 0.7 * note(int(v.choice((-12, -7, -5))))))
        events.append((start, 0.3 * lfilter([0.1], [1, -0.9], burst(v, 0.04, 0.008))))
    melody = equalise(place(seconds, events), (60, -8), (200, 0), (1500, 0), (6000, soft))
    return reverb(v, melody, 0.12, 0.15)


def _guitar(v, seconds):
    tuning, beat, roll = v.uniform(0.92, 1.12), v.uniform(0.4, 0.62), v.uniform(0.012, 0.028)
    pluck, damp = v.uniform(0.12, 0.24), v.uniform(0.14, 0.28)
    k = np.arange(1, 33)
    shapes = ((0, 7, 12, 16, 19, 24), (3, 7, 10, 15, 19, 27), (5, 12, 17, 21, 24, 29), (0, 7, 12, 15, 19, 24))

    @cache
    def strum(shape, upward):
        strings = []
        for order, semitones in enumerate(shape[::-1] if upward else shape):
            pitch = 82.4 * tuning * _semitones(semitones)
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


def _drum(v, seconds):
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


def _trumpet(v, seconds):
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
            events.append((start, note(tonic * _semitones(semitones), 0.92 * long)))
            start += long
        start += beat
    brass = equalise(place(seconds, events), (150, -12), (500, -2), (1300, 4), (2500, 0), (7000, -12))
    return reverb(v, brass, 0.15, 0.2)


def _bell(v, seconds):
    prime, long, clang = v.uniform(210, 480), v.uniform(0.8, 1.3), v.uniform(0.6, 1.2)
    ratios = np.array([0.5, 1, 1.2, 1.5, 2, 2.5, 2.67, 3.01, 4.17, 5.43, 6.8]) * v.uniform(0.995, 1.005)
    decays = long * np.array([2.0, 1.2, 1.0, 0.5, 0.7, 0.3, 0.3, 0.3, 0.18, 0.12, 0.08])
    levels = np.array([0.5, 0.7, 0.8, 0.3, 1.0, 0.4, 0.4, 0.6, 0.5, 0.4, 0.3]) * np.r_[np.ones(5), np.full(6, clang)]
    doublets = np.r_[ratios, ratios * 1.002]  # no cast bell is quite round: its partials beat
    toll = fade(ringing(prime * doublets, np.tile(decays, 2), np.r_[levels, 0.6 * levels], 3.0), 0.002, 0.5)
    return reverb(v, repeat(v, seconds, v.uniform(1.2, 1.8), lambda i: v.uniform(0.8, 1.0) * toll), 0.2, 0.15)


def _telephone(v, seconds):
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


def _clock(v, seconds):
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


def _kettle(v, seconds):
    top, onset, boil = v.uniform(2300, 3300), v.uniform(0.1, 0.45), v.uniform(0.15, 0.35)
    rising = curve(seconds, (0, 0.0), (onset, 0.05), (min(onset + 0.3, 0.95), 1), (1, 1))
    glide = top * (0.75 + 0.25 * rising) * (1 + 0.004 * wander(v, seconds, 12))
    whistle = tone(glide, [1, 0.25, 0.1]) + 0.35 * narrow_noise(v, glide, 120)
    hiss = noise(v, seconds, (200, -30), (1500, -12), (3500, 0), (7500, 0))
    bubbles = noise(v, seconds, (80, -20), (250, 0), (700, -15)) * np.abs(wander(v, seconds, 14))
    return 0.6 * hiss * (0.7 + 0.3 * rising) + 0.9 * rising**1.5 * whistle + boil * bubbles


def _vacuum(v, seconds):
    motor, whine, bright = v.uniform(95, 150), v.uniform(4.6, 6.4), v.uniform(-8, 0)
    stroke = 1 + 0.08 * np.sin(2 * np.pi * (v.uniform(0.3, 0.6) * times(seconds) + v.uniform(0, 1)))
    speed = motor * (0.98 + 0.02 * stroke) * (1 + 0.002 * wander(v, seconds, 6))
    hum = tone(speed, [1, 0.8, 0.3, 0.4, 0.15, 0.2, 0.1, 0.1]) + 0.5 * tone(speed * whine, [1, 0.5, 0.25, 0.2, 0.1])
    air = noise(v, seconds, (100, -14), (500, 0), (1200, 2), (3000, -4), (7500, -14 + bright))
    return stroke * (0.9 * hum + 0.8 * air)


def _rain(v, seconds):
    density, wet, body = v.uniform(100, 280), v.uniform(0.35, 0.7), v.uniform(-12, -4)
    pitch, dull = v.uniform(1400, 2600), v.uniform(-8, 0)
    steady = noise(v, seconds, (100, -25), (600, body), (2500, -2), (6000, 0), (7800, dull))
    n, t = int(density * seconds), times(0.03)
    drop = pitch * np.exp(0.45 * v.rng.standard_normal(n))[:, None]
    level = v.rng.exponential(1, n)[:, None]
    grains = level * np.exp(-t / 0.004) * np.sin(2 * np.pi * drop * t * (1 + 6 * t))  # a bubble's pitch rises
    splash = scatter(seconds, v.rng.uniform(0, seconds, n), grains)
    return wet * steady * (1 + 0.08 * wander(v, seconds, 2)) + splash


def _thunder(v, seconds):
    length, crackle, deep = v.uniform(1.4, 2.2), v.uniform(0.5, 1.0), v.uniform(45, 90)

    def clap(i):
        strength, long = v.uniform(0.75, 1.0), 1.6 * length
        rolling = burst(v, long, 0.45 * length, (25, -10), (deep, 0), (2.2 * deep, -8), (600, -30), (3000, -60))
        rolling = rolling * np.exp(0.55 * wander(v, long, 7))
        tearing = burst(v, 0.6, 0.1, (80, -6), (300, 0), (1500, -10), (6000, -26)) * np.exp(0.8 * wander(v, 0.6, 40))
        return strength * place(long, [(0, fade(rolling, 0.06, 0.3)), (0.02, crackle * fade(tearing, 0.004, 0.1))])

    return reverb(v, repeat(v, seconds, length, clap), 0.35, 0.3)


def _wind(v, seconds):
    centre, speed, width = v.uniform(380, 700), v.uniform(0.7, 1.5), v.uniform(70, 140)
    gust = np.tanh(wander(v, seconds, speed))
    glide = centre * _semitones(6 * gust + 0.6 * wander(v, seconds, 6))
    howl = narrow_noise(v, glide, width) + 0.5 * narrow_noise(v, glide * v.uniform(1.5, 1.9), 2 * width)
    rush = noise(v, seconds, (40, -8), (150, 0), (500, -4), (1500, -14), (6000, -34))
    return np.exp(0.7 * gust) * (howl + v.uniform(0.4, 0.9) * rush)


def _baby(v, seconds):
    pitch, small, length = v.uniform(370, 520), v.uniform(1.35, 1.6), v.uniform(0.6, 0.95)
    tremble, rough = v.uniform(6, 10), v.uniform(0.01, 0.03)
    mouth = _size(
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


def _singer(v, seconds):
    tonic, beat, small = v.uniform(250, 370), v.uniform(0.38, 0.62), v.uniform(1.1, 1.22)
    vibrato, depth = v.uniform(5.0, 6.2), v.uniform(0.02, 0.034)
    vowels = ((750, 1150, 2500, 2900), (400, 800, 2400, 2850), (450, 1850, 2500, 3000), (600, 1000, 2450, 2900))
    n, degree = int(seconds / beat) + 2, v.integer(1, 7)
    notes, path = [], []
    for i in range(n):
        degree = int(np.clip(degree + v.choice((-2, -1, -1, 1, 1, 2)), 0, 8))
        notes += [((i + 0.08) / n, float(_MAJOR[degree])), ((i + 0.92) / n, float(_MAJOR[degree]))]
        vowel = v.choice(vowels)
        path += [((i + 0.15) / n, *vowel), ((i + 0.85) / n, *vowel)]
    long = n * beat
    swing = 1 + depth * np.sin(2 * np.pi * vibrato * times(long) + 0.5 * wander(v, long, 3))
    melody = voice(
        v, tonic * _semitones(curve(long, *notes)) * swing, *_size(small, *path), tilt=1.0, breath=0.02, rough=0.003
    )
    phrase = 0.75 + 0.25 * np.cos(2 * np.pi * times(long) / beat)  # every note swells and gives way to the next
    sung = equalise(melody * phrase, (150, -6), (500, 0), (2600, 6), (4000, 4), (7000, -6))
    return reverb(v, place(seconds, [(-v.uniform(0, 1) * beat, sung)]), 0.25, 0.3)


def _audience(v, seconds):
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


_SYNTHESISERS = {
    function.__name__[1:]: function
    for function in (
        *(_dog, _cat, _cow, _rooster, _frog),
        *(_ambulance, _train, _car, _helicopter),
        *(_piano, _guitar, _drum, _trumpet, _bell),
        *(_telephone, _clock, _kettle, _vacuum),
        *(_rain, _thunder, _wind),
        *(_baby, _singer, _audience),
    )
}


def _loudness(sound):
    """Loudness of the louder half of a sound: RMS amplitude with the low end weakened, as the ear does."""
    heard = lfilter([1, -1], [1, -0.85], sound)  # a first-order high-pass at about 400 Hz
    blocks = np.array_split(heard, max(len(heard) // 800, 1))
    power = np.sort([np.mean(block**2) for block in blocks])
    return np.sqrt(power[len(power) // 2 :].mean())


def _levelled(name, variation, seconds):
    """One source without DC, its loudness drawn."""
    sound = lfilter([1, -1], [1, -0.99], _SYNTHESISERS[name](variation, seconds))
    return sound * (10 ** (variation.uniform(-32, -22) / 20) / max(_loudness(sound), 1e-9))


def _background(variation, seconds):
    """Noise whose colour goes from white to brown and whose level goes from that of a quiet street to near silence."""
    slope = variation.uniform(-6, 0)  # dB an octave
    air = noise(variation, seconds, (50, 0), (8000, slope * np.log2(8000 / 50)))
    return air * 10 ** (variation.uniform(-80, -42) / 20)


def _check(names, seconds, rate):
    unknown = [name for name in names if name not in _SYNTHESISERS]
    if unknown:
        raise ValueError(f"no sound is called {unknown[0]!r}; the sources are {', '.join(_SYNTHESISERS)}")
    if len(names) > MAX_SOURCES or len(set(names)) < len(names):
        raise ValueError(f"cannot mix {list(names)}; give at most {MAX_SOURCES} sources, each once")
    if not (seconds >= _SHORTEST and rate > 0):
        raise ValueError(f"seconds={seconds!r} must be {_SHORTEST} or more, and rate={rate!r} positive")


def _finish(sound, seconds, rate):
    """float32 of this duration at this rate, turned down where it would clip."""
    if rate != RATE:
        sound = resample_poly(sound, rate, RATE)
        sound = np.pad(sound, (0, rate))[: round(seconds * rate)]
    return (sound * min(1, _PEAK / max(np.abs(sound).max(), 1e-9))).astype(np.float32)


def synthesise(name, variation, seconds=4.0, rate=RATE):
    """The sound of one source, alone.

    Args:
        name: a key of `SOURCES`.
        variation: a `Variation`, which draws everything that differs from clip to clip.
        seconds: duration.
        rate: samples a second, an integer; the sound has nothing above 8000 Hz at any rate.

    Returns:
        float32 [seconds * rate], mono, within -1 to 1.

    Raises:
        ValueError: no source has this name, or seconds < 0.1, or rate is not positive.
    """
    _check([name], seconds, rate)
    return _finish(_levelled(name, variation, seconds), seconds, rate)


def mix(names, variation, seconds=4.0, rate=RATE):
    """The sound track of a clip: these sources at once, over a background noise of varied level and colour.

    Args:
        names: up to `MAX_SOURCES` different keys of `SOURCES`; none leaves only the background.
        variation: a `Variation`, which draws everything that differs from clip to clip.
        seconds: duration.
        rate: samples a second, an integer; the sound has nothing above 8000 Hz at any rate.

    Returns:
        float32 [seconds * rate], mono, within -1 to 1.

    Raises:
        ValueError: a name is unknown or given twice, there are too many, or seconds < 0.1, or rate is not positive.
    """
    _check(names, seconds, rate)
    sources = [_levelled(name, variation, seconds) for name in names]
    return _finish(sum(sources, _background(variation, seconds)), seconds, rate)
