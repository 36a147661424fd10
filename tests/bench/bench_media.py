"""How long the media path takes for one clip of ten seconds: `make bench`."""

import statistics
import time

import numpy as np
import pytest

from avnb.media import clip as clips
from avnb.media import editing

SECONDS, FPS, HEIGHT, WIDTH = 10, 25, 360, 640


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    rng = np.random.default_rng(0)
    still = rng.integers(0, 256, (HEIGHT // 8, WIDTH // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    frames = (np.roll(still, 4 * i, axis=1) for i in range(SECONDS * FPS))
    wave = 0.3 * np.sin(np.arange(SECONDS * 48000) * 0.05)
    path = editing.write(tmp_path_factory.mktemp("clips") / "ten_seconds.mp4", frames, FPS, wave, 48000)
    return clips.Clip("ten seconds", path)


def timed(what, call, repeats=7):
    """Print the median and the range of a few calls, after one that does not count."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - start))
    print(f"\n{what:44} {statistics.median(times):8.1f} ms   ({min(times):.1f} to {max(times):.1f}, n = {repeats})")


def test_media_frames(clip):
    timed(f"20 frames of {WIDTH}x{HEIGHT} out of {SECONDS * FPS}", lambda: clip.frames(fps=2))


def test_media_wave(clip):
    timed("10 s of sound as mono 16 kHz", clip.wave)


def test_media_swap(clip, tmp_path):
    timed("swap the audio track", lambda: editing.swap_audio(clip.video, clip.video, tmp_path / "swapped.mp4"))


def test_media_swap_matching_loudness(clip, tmp_path):
    timed(
        "swap the audio track, matching loudness",
        lambda: editing.swap_audio(clip.video, clip.video, tmp_path / "swapped.mp4", match_loudness=True),
    )
