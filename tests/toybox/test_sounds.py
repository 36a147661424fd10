"""The synthesised sounds: clean, varied, told apart by a simple listener, and mixed as asked."""

import time

import numpy as np
import pytest

from avnb.toybox.sounds import MAX_SOURCES, mix, synthesise
from avnb.toybox.sources import SOURCES
from avnb.toybox.vary import N_SLICES, Variation

RATE = 16000
NAMES = list(SOURCES)
every_source = pytest.mark.parametrize("name", NAMES)


def spectrogram(sound, n_bands=40):
    """Log energy in bands that widen with frequency, every 16 ms [frames, bands]."""
    frames = np.lib.stride_tricks.sliding_window_view(sound, 512)[::256] * np.hanning(512)
    power = np.abs(np.fft.rfft(frames)) ** 2
    edges = np.unique(np.geomspace(2, 257, n_bands + 1).astype(int))
    return np.log10(np.add.reduceat(power[:, :256], edges[:-1], axis=1) + 1e-6)


def features(sound):
    bands = spectrogram(sound)
    steps = np.diff(bands, axis=0)
    return np.concatenate([bands.mean(0), bands.std(0), np.abs(steps).mean(0)])


def rms(sound):
    return float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))


@every_source
def test_sound_is_clean_and_complete(name):
    for seed in range(3):
        sound = synthesise(name, Variation("train", seed), seconds=3.0)
        assert sound.dtype == np.float32 and sound.shape == (3 * RATE,)
        assert np.isfinite(sound).all()
        assert np.abs(sound).max() <= 0.951
        assert abs(sound.mean()) < 0.01 * rms(sound)


@every_source
def test_same_seed_same_sound_and_other_seed_another(name):
    first, again, other = (synthesise(name, Variation("train", seed), seconds=2.0) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(spectrogram(first) - spectrogram(other)).mean() > 0.1


@every_source
def test_every_two_seconds_hold_some_of_it(name):
    for seed in range(3):
        sound = synthesise(name, Variation("test", seed))
        level = np.sqrt((sound.reshape(-1, 800).astype(float) ** 2).mean(1))  # in blocks of 50 ms
        windows = [level[i : i + 40].max() for i in range(41)]
        assert min(windows) > 0.1 * level.max()


def test_every_source_is_audible_above_the_loudest_background():
    backgrounds = [spectrogram(mix([], Variation("train", seed), seconds=2.0)) for seed in range(60)]
    loudest = np.max([bands.mean(0) for bands in backgrounds], axis=0)
    for name in NAMES:
        for seed in range(3):
            bands = spectrogram(synthesise(name, Variation("test", seed), seconds=2.0))
            assert (np.quantile(bands, 0.98, axis=0) > loudest + 1).any(), f"{name}, seed {seed}"


def test_sources_are_about_equally_loud():
    def weighted(sound):  # A-weighting (IEC 61672), in the louder half of blocks of 50 ms
        f = np.fft.rfftfreq(len(sound), 1 / RATE) ** 2
        weight = 12194**2 * f**2 / ((f + 20.6**2) * (f + 12194**2) * np.sqrt((f + 107.7**2) * (f + 737.9**2)))
        heard = np.fft.irfft(np.fft.rfft(sound) * weight)
        power = np.sort((heard.reshape(-1, 800) ** 2).mean(1))
        return 10 * np.log10(power[len(power) // 2 :].mean())

    levels = {n: np.mean([weighted(synthesise(n, Variation("train", [7, s]))) for s in range(6)]) for n in NAMES}
    assert max(levels.values()) - min(levels.values()) < 12, levels


def test_a_simple_listener_tells_the_sources_apart():
    def heard(split, n):
        return np.array([[features(synthesise(k, Variation(split, s), seconds=3.0)) for s in range(n)] for k in NAMES])

    train, test = heard("train", 8), heard("test", 3)
    scale = train.std((0, 1))
    distance = (((test[:, :, None] - train.mean(1)) / scale) ** 2).sum(-1)
    named = distance.argmin(-1)
    confused = [(NAMES[i], NAMES[j]) for i, row in enumerate(named) for j in row if i != j]
    assert len(confused) <= 0.08 * named.size, confused


def test_a_mix_holds_every_source():
    for seed in range(4):
        siren = synthesise("ambulance", Variation("test", seed))
        both = mix(["ambulance", "drum"], Variation("test", seed))  # draws the siren first, hence the same one
        drum = both - siren
        low = np.s_[: 400 * 4]  # below 400 Hz
        assert np.dot(both, siren) / np.dot(siren, siren) > 0.8
        assert np.linalg.norm(np.fft.rfft(drum)[low]) > 5 * np.linalg.norm(np.fft.rfft(siren)[low])


def test_background_alone_is_quiet_and_varied():
    levels = [20 * np.log10(rms(mix([], Variation("train", seed)))) for seed in range(30)]
    assert max(levels) < -40 and min(levels) < -70
    assert np.std(levels) > 5


def test_mixes_never_clip():
    for seed in range(20):
        names = np.random.default_rng(seed).choice(["thunder", "clock", "drum", "frog", "bell"], 3, replace=False)
        assert np.abs(mix(list(names), Variation("train", seed), seconds=2.0)).max() <= 0.951


def test_duration_and_rate():
    at_16 = synthesise("trumpet", Variation("train", 0), seconds=1.5)
    at_44 = synthesise("trumpet", Variation("train", 0), seconds=1.5, rate=44100)
    assert at_44.shape == (66150,)
    assert rms(at_44) == pytest.approx(rms(at_16), rel=0.02)
    assert mix(["rain", "cat"], Variation("train", 0), seconds=0.5, rate=8000).shape == (4000,)


@every_source
def test_parameters_are_drawn_from_the_slices_of_the_split(name):
    class Spy(Variation):
        def uniform(self, low, high):
            value = super().uniform(low, high)
            slices.append(int((value - low) / (high - low) * N_SLICES + 1e-9) % 5)
            return value

    for split, owned in (("train", {0, 2, 4}), ("test", {3})):
        slices = []
        synthesise(name, Spy(split, 0))
        assert len(slices) >= 4 and set(slices) <= owned


def test_loudness_pitch_and_tempo_come_only_from_uniform():
    class Fixed(Variation):
        def uniform(self, low, high):
            return (low + high) / 2

    for name in ("rain", "vacuum", "ambulance", "clock"):
        one, two = (synthesise(name, Fixed("train", seed)) for seed in (0, 1))
        assert 20 * abs(np.log10(rms(one) / rms(two))) < 1
        assert np.abs(spectrogram(one).mean(0) - spectrogram(two).mean(0)).max() < 0.35


def test_errors_name_what_was_given_and_what_is_possible():
    variation = Variation("train", 0)
    with pytest.raises(ValueError, match="'unicorn'.*dog, cat"):
        synthesise("unicorn", variation)
    with pytest.raises(ValueError, match="'unicorn'"):
        mix(["dog", "unicorn"], variation)
    with pytest.raises(ValueError, match=f"at most {MAX_SOURCES}"):
        mix(["dog", "cat", "cow", "frog"], variation)
    with pytest.raises(ValueError, match=r"\['dog', 'dog'\].*once"):
        mix(["dog", "dog"], variation)
    with pytest.raises(ValueError, match="seconds=0"):
        synthesise("dog", variation, seconds=0)
    with pytest.raises(ValueError, match="rate=-1"):
        mix([], variation, rate=-1)


def test_fast_enough_to_train_on():
    started = time.process_time()
    for name in NAMES:
        synthesise(name, Variation("train", 3))
    assert (time.process_time() - started) / len(NAMES) < 0.05  # seconds; about 0.008 on one core
