"""Building blocks of synthetic sounds: oscillators, voices, ringing bodies, shaped noise, and their placement in time.

A sound is a float array at `RATE` samples a second. Durations are in seconds, pitches in Hz, levels linear unless a
name says dB. Whatever is random comes from a `Variation`.

    >>> note = ringing([440.0, 880.0], decays=[0.5, 0.25], levels=[1.0, 0.5], seconds=0.5)
    >>> place(1.0, [(0.1, note), (0.6, note)]).shape
    (16000,)

The sound of a source is a function of a `Variation` and a duration in seconds. The decorator `synthesiser` names it,
so a new one is only:

    @synthesiser("ball")
    def ball(v, seconds):
        return repeat(v, seconds, v.uniform(0.5, 0.8), lambda i: burst(v, 0.1, 0.02))
"""

from collections.abc import Callable

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq
from scipy.signal import lfilter, oaconvolve

RATE = 16000  # Hz
MAJOR = np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16])  # semitones of a major scale above its first note
_TABLE = 16384  # samples of one period in the wavetable of `tone`
_BLOCK = 128  # samples: `ringing` factors time into blocks, `vocal_tract` holds its filter for two of them

SYNTHESISERS: dict[str, Callable] = {}


def synthesiser(name):
    """Enters the decorated function in `SYNTHESISERS`."""

    def enter(synthesise):
        SYNTHESISERS[name] = synthesise
        return synthesise

    return enter


def pitch_ratio(semitones):
    """What to multiply a pitch by to raise it by this many semitones."""
    return 2.0 ** (np.asarray(semitones) / 12)


def times(seconds):
    """Time of each sample, in seconds [n]."""
    return np.arange(round(seconds * RATE)) / RATE


def curve(seconds, *points):
    """A line through (position in 0..1, value) points, over the whole duration [n]."""
    positions, values = zip(*points, strict=True)
    return np.interp(np.linspace(0, 1, round(seconds * RATE)), positions, values)


def wander(variation, seconds, hz):
    """A random curve of zero mean and unit variance at its knots, of which there are `hz` a second [n]."""
    knots = variation.rng.standard_normal(int(seconds * hz) + 3)
    return np.interp(times(seconds) * hz, np.arange(len(knots)), knots)


def fade(sound, attack, release):
    """The sound with a raised-cosine fade-in of `attack` and fade-out of `release` seconds."""
    rise, fall = (min(round(s * RATE), len(sound)) for s in (attack, release))
    sound = sound.copy()
    sound[:rise] *= 0.5 - 0.5 * np.cos(np.pi * np.arange(rise) / max(rise, 1))
    sound[len(sound) - fall :] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(1, fall + 1) / max(fall, 1))
    return sound


def tone(pitch, weights):
    """A harmonic tone.

    Args:
        pitch: fundamental in Hz, one value a sample [n].
        weights: amplitudes of harmonics 1, 2, ...; those that would pass half the sample rate are left out.
    """
    weights = np.asarray(weights)[: max(int(0.49 * RATE / np.max(pitch)), 1)]
    spectrum = np.zeros(_TABLE // 2 + 1, complex)
    spectrum[1 : len(weights) + 1] = -0.5j * _TABLE * weights
    phase = np.cumsum(pitch) * (_TABLE / RATE)
    return irfft(spectrum)[phase.astype(np.int64) % _TABLE]


def harmonics(tilt, n=200):
    """Amplitudes 1, 2**-tilt, 3**-tilt, ... of n harmonics; tilt 1 is a sawtooth, 0 a click train."""
    return np.arange(1, n + 1) ** -float(tilt)


def vocal_tract(sound, *vowels):
    """The sound as resonated by a mouth that glides through vowels (a cascade of formants).

    Args:
        sound: the excitation [n].
        vowels: (position in 0..1, formant frequencies in Hz); all with the same number of formants.
    """
    positions, formants = zip(*vowels, strict=True)
    step = 2 * _BLOCK
    at = np.linspace(0, 1, -(-len(sound) // step))
    tracks = np.stack([np.interp(at, positions, track) for track in zip(*formants, strict=True)], 1)
    radius = np.exp(-np.pi * (60 + 0.08 * tracks) / RATE)  # a formant is wider the higher it lies
    sections = np.stack(
        [np.ones_like(tracks), -2 * radius * np.cos(2 * np.pi * np.minimum(tracks / RATE, 0.48)), radius**2], -1
    )
    state, out = np.zeros(2 * tracks.shape[1]), np.empty(len(sound))
    for i, cascade in enumerate(sections):
        poles = cascade[0]
        for section in cascade[1:]:
            poles = np.convolve(poles, section)
        block = slice(i * step, (i + 1) * step)
        out[block], state = lfilter([poles.sum()], poles, sound[block], zi=state)
    return out


def mouth_of(scale, *vowels):
    """Vowels, as (position, formants in Hz ...), of a mouth `scale` times as short as that of a grown man."""
    return [(position, [scale * hz for hz in formants]) for position, *formants in vowels]


def voice(variation, pitch, *vowels, tilt=1.0, breath=0.05, rough=0.01):
    """A throat and a mouth: harmonics and breath through formants.

    Args:
        pitch: Hz, one value a sample [n].
        vowels: as in `vocal_tract`.
        tilt: fall of the harmonics, see `harmonics`.
        breath: noise added to the harmonics, relative to the fundamental.
        rough: standard deviation of the random wander of the pitch, relative.
    """
    seconds = len(pitch) / RATE
    throat = tone(pitch * (1 + rough * wander(variation, seconds, 60)), harmonics(tilt))
    return vocal_tract(throat + breath * noise(variation, seconds), *vowels)


def ringing(frequencies, decays, levels, seconds):
    """A struck body: partials that start together and decay each at its own pace.

    Args:
        frequencies: Hz [k]; those above half the sample rate are left out.
        decays: seconds until a partial has fallen to 1/e [k].
        levels: amplitudes at the start [k].
        seconds: duration of the result.
    """
    frequencies, decays, levels = np.broadcast_arrays(frequencies, decays, levels)
    heard = frequencies < 0.49 * RATE
    poles = (2j * np.pi * frequencies[heard] - 1 / decays[heard]) / RATE
    n = round(seconds * RATE)
    # exp(p (b B + i)) = exp(p b B) exp(p i): a matrix product over partials instead of an exponential a sample
    coarse = levels[heard] * np.exp(np.outer(np.arange(0, n, _BLOCK), poles))
    fine = np.exp(np.outer(poles, np.arange(_BLOCK)))
    return (coarse @ fine).imag.ravel()[:n]


def equalise(sound, *points):
    """The sound with its spectrum weighted by a line through (Hz, dB) points, straight over log frequency."""
    size = next_fast_len(len(sound), real=True)
    hz, db = zip(*points, strict=True)
    gains = np.interp(np.log(np.maximum(rfftfreq(size, 1 / RATE), 1.0)), np.log(hz), db)
    return irfft(rfft(sound, size) * 10 ** (gains / 20), size)[: len(sound)]


def noise(variation, seconds, *points):
    """Gaussian noise [n], white or with a spectrum through (Hz, dB) points; unit variance."""
    white = variation.rng.standard_normal(round(seconds * RATE), dtype=np.float32)
    if not points:
        return white
    coloured = equalise(white, *points)
    return coloured / max(coloured.std(), 1e-9)


def burst(variation, seconds, decay, *points):
    """Noise, as `noise` draws it, that starts at once and falls to 1/e within `decay` seconds."""
    return noise(variation, seconds, *points) * np.exp(-times(seconds) / decay)


def narrow_noise(variation, pitch, width):
    """Noise of unit variance in a band `width` Hz wide around a moving pitch in Hz [n]: a breathy whistle."""
    slow = [wander(variation, len(pitch) / RATE, width) for _ in range(2)]
    phase = np.cumsum(pitch) * (2 * np.pi / RATE)
    return slow[0] * np.cos(phase) + slow[1] * np.sin(phase)


def reverb(variation, sound, decay, wet):
    """The sound plus its echo in a room whose echo falls to 1/e within `decay` seconds."""
    tail = burst(variation, 4 * decay, decay)
    return sound + wet * oaconvolve(sound, tail / np.linalg.norm(tail))[: len(sound)]


def place(seconds, events):
    """A sound of this duration with (start in seconds, sound) events added; what lies outside is cut off."""
    out = np.zeros(round(seconds * RATE))
    for start, sound in events:
        first = round(start * RATE)
        if first < 0:  # begins before: faded in, because a step would click
            sound, first = sound[-first:], 0
            sound = fade(sound, 0.02, 0)
        sound = sound[: max(len(out) - first, 0)]
        out[first : first + len(sound)] += sound
    return out


def repeat(variation, seconds, period, event):
    """`event(i)`, for i = 0, 1, ..., every `period` seconds, with a little human unevenness."""
    starts = np.arange(variation.uniform(-0.25, 0.3) * period, seconds - 0.05, period)
    starts += 0.02 * period * variation.rng.standard_normal(len(starts))
    return place(seconds, [(start, event(i)) for i, start in enumerate(starts)])


def scatter(seconds, starts, grains):
    """Many short grains [m, k], each added at its start in seconds [m]; what lies outside is cut off."""
    n = round(seconds * RATE)
    index = np.round(starts * RATE).astype(int)[:, None] + np.arange(grains.shape[1])
    inside = (index >= 0) & (index < n)
    return np.bincount(index[inside], grains[inside], minlength=n)
