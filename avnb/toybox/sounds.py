"""The sounds of the toybox world: each source of `synthesis/` at a drawn loudness, alone or mixed.

    >>> from avnb.toybox.vary import Variation
    >>> sound = synthesise("bell", Variation("train", seed=0), seconds=2.0)
    >>> sound.dtype, sound.shape
    (dtype('float32'), (32000,))
    >>> mix(["rain", "dog"], Variation("test", seed=0)).shape
    (64000,)

Parameters that shape a sound (pitch, tempo, timbre, onset, loudness) come from `Variation.uniform`, so that those of
test clips were never drawn for training.
"""

import numpy as np
from scipy.signal import lfilter, resample_poly

from avnb.toybox.sources import SOURCES
from avnb.toybox.synthesis import RATE, SYNTHESISERS, noise

MAX_SOURCES = 3
_PEAK = 0.95
_SHORTEST = 0.1  # seconds


def _loudness(sound):
    """Loudness of the louder half of a sound: RMS amplitude with the low end weakened, as the ear does."""
    heard = lfilter([1, -1], [1, -0.85], sound)  # a first-order high-pass at about 400 Hz
    blocks = np.array_split(heard, max(len(heard) // 800, 1))
    power = np.sort([np.mean(block**2) for block in blocks])
    return np.sqrt(power[len(power) // 2 :].mean())


def _levelled(name, variation, seconds):
    """One source without DC, its loudness drawn."""
    sound = lfilter([1, -1], [1, -0.99], SYNTHESISERS[name](variation, seconds))
    return sound * (10 ** (variation.uniform(-32, -22) / 20) / max(_loudness(sound), 1e-9))


def _background(variation, seconds):
    """Noise whose colour goes from white to brown and whose level goes from that of a quiet street to near silence."""
    slope = variation.uniform(-6, 0)  # dB an octave
    air = noise(variation, seconds, (50, 0), (8000, slope * np.log2(8000 / 50)))
    return air * 10 ** (variation.uniform(-80, -42) / 20)


def _check(names, seconds, rate):
    unknown = [name for name in names if name not in SOURCES]
    if unknown:
        raise ValueError(f"no sound is called {unknown[0]!r}; the sources are {', '.join(SOURCES)}")
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
