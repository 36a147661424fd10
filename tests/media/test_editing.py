"""Every case of writing media and of giving a video another sound, on tiny files made here."""

import doctest
import os

import av
import numpy as np
import pyloudnorm
import pytest

from avnb.media import editing
from avnb.media.clip import ClipError, read_audio, read_frames
from avnb.media.editing import mute, shift_audio, swap_audio, write
from tests.recordings import (
    BLUE,
    corners,
    donor,
    has_audio,
    numbered,
    numbers,
    pitch,
    quarters,
    sound_file,
    tone,
    video,
    video_packets,
)

# Writing


def test_write_is_atomic_and_makes_folders(tmp_path):
    path = tmp_path / "new" / "folder" / "x.mp4"

    def breaking():
        yield from [quarters()] * 100  # more than the encoder holds back
        raise RuntimeError("no more pictures")

    with pytest.raises(RuntimeError):
        write(path, breaking(), fps=5)
    assert list(path.parent.iterdir()) == []
    write(path, [quarters()], fps=5)
    before = path.read_bytes()
    with pytest.raises(RuntimeError):
        write(path, breaking(), fps=5)
    assert list(path.parent.iterdir()) == [path] and path.read_bytes() == before


def test_write_keeps_length_and_fps(tmp_path):
    path = write(tmp_path / "x.mp4", [quarters()] * 30, fps=29.97, wave=tone(440, 1, 22050), rate=22050)
    assert len(read_frames(path, fps=29.97)[0]) == 30
    assert len(read_audio(path, rate=22050)) == 22050


@pytest.mark.parametrize(("height", "width"), [(33, 47), (32, 47), (33, 48)])
def test_odd_sizes_are_made_even(tmp_path, height, width):
    picture = np.full((height, width, 3), BLUE, np.uint8)
    frames, _ = read_frames(write(tmp_path / "even.mp4", [picture] * 5, fps=5), fps=5)
    assert frames.shape == (5, height + height % 2, width + width % 2, 3)
    assert np.abs(frames[0, -1, -1].astype(int) - BLUE).max() < 12


def test_loud_waves_are_clipped(tmp_path):
    wave = read_audio(write(tmp_path / "x.mp4", [quarters()] * 10, fps=10, wave=tone(440, 1, 16000, peak=4)))
    assert np.abs(wave).max() < 1.3


@pytest.mark.parametrize(
    ("name", "frames", "wave", "rate", "message"),
    [
        ("x.avi", [quarters()], None, 16000, "must end in .mp4"),
        ("x.mp4", [], None, 16000, "no frames"),
        ("x.mp4", [np.zeros((4, 4))], None, 16000, "uint8"),
        ("x.mp4", [quarters()], np.zeros((2, 100)), 16000, "mono"),
        ("x.mp4", [quarters()], np.zeros(100), 12345, "12345 Hz"),
    ],
)
def test_write_refuses(tmp_path, name, frames, wave, rate, message):
    with pytest.raises(ValueError, match=message):
        write(tmp_path / name, frames, fps=5, wave=wave, rate=rate)
    assert list(tmp_path.iterdir()) == []


def test_write_where_nothing_can_be_written(second_colours):
    with pytest.raises(ClipError, match="x.mp4 cannot be written"):
        write(second_colours / "x.mp4", [quarters()], fps=5)


# Another sound for the same picture


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("source", ["counted", "variable", "turned"])
def test_packets_are_bit_identical(tmp_path, source, suffix, counted):
    path = {
        "counted": lambda: counted,
        "variable": lambda: video(
            tmp_path / "v.mp4",
            (numbered(i) for i in range(6)),
            pts=[0, 40, 80, 1000, 1500, 1600],
            sound=(np.zeros((1, 16000)), 16000),
        ),
        "turned": lambda: video(
            tmp_path / "t.mp4", [quarters()] * 9, rotation=(90,), sound=(np.zeros((1, 16000)), 16000)
        ),
    }[source]()
    before = video_packets(path)
    made = [
        swap_audio(path, donor(tmp_path / "d.wav"), tmp_path / f"swap.{suffix}"),
        mute(path, tmp_path / f"mute.{suffix}"),
        shift_audio(path, tmp_path / f"shift.{suffix}", 0.3),
    ]
    for out in made:
        after = video_packets(out)
        assert [packet[0] for packet in after] == [packet[0] for packet in before]
        if suffix == "mp4":  # Matroska counts in ms and its demuxer guesses decoding times
            assert after == before
        assert np.array_equal(read_frames(out, fps=5)[0], read_frames(path, fps=5)[0])


def test_matroska_without_first_decoding_times_is_copied_whole(tmp_path, counted):
    path = mute(counted, tmp_path / "x.mkv")
    assert any(packet[2] is None for packet in video_packets(path))
    after = video_packets(mute(path, tmp_path / "y.mp4"))
    before = video_packets(counted)
    assert [packet[0] for packet in after] == [packet[0] for packet in before]
    for i in (1, 2):  # presentation and decoding times
        assert [float(packet[i]) for packet in after] == pytest.approx(
            [float(packet[i]) for packet in before], abs=1e-3
        )


def test_rotation_survives_a_swap(tmp_path):
    path = video(tmp_path / "turned.mp4", [quarters()] * 5, rotation=(90,))
    assert corners(read_frames(mute(path, tmp_path / "mute.mp4"), fps=5)[0][0]) == "gwrb"


def test_swap_cuts_a_longer_donor(tmp_path, second_colours):
    wave = read_audio(swap_audio(second_colours, donor(tmp_path / "d.wav", seconds=5), tmp_path / "x.mp4"))
    assert len(wave) == 48000 and pitch(wave, 16000) == pytest.approx(1000, abs=1)


@pytest.mark.parametrize("fit", ["loop", "pad"])
def test_swap_fills_a_shorter_donor(tmp_path, second_colours, fit):
    out = swap_audio(second_colours, donor(tmp_path / "d.wav", seconds=1), tmp_path / "x.mp4", fit=fit)
    wave = read_audio(out)
    assert len(wave) == 48000
    assert pitch(wave[1000:15000], 16000) == pytest.approx(1000, abs=2)
    rest = wave[17000:]
    assert pitch(rest, 16000) == pytest.approx(1000, abs=2) if fit == "loop" else np.abs(rest).max() < 1e-3


def test_swap_with_another_video_and_in_place(tmp_path, counted, second_colours):
    path = tmp_path / "x.mp4"
    path.write_bytes(second_colours.read_bytes())
    assert swap_audio(path, counted, path) == path
    assert pitch(read_audio(path), 16000) == pytest.approx(440, abs=1)
    assert read_frames(path, fps=1)[0].shape[0] == 3


@pytest.mark.parametrize("peak", [0.02, 0.9])
def test_loudness_matches_within_1_lu(tmp_path, second_colours, peak):
    quiet_or_loud = donor(tmp_path / "d.wav", peak=peak)
    meter = pyloudnorm.Meter(16000)
    wanted = meter.integrated_loudness(read_audio(second_colours))
    for match, within in ((True, 1), (False, None)):
        out = swap_audio(second_colours, quiet_or_loud, tmp_path / "x.mp4", match_loudness=match)
        distance = abs(meter.integrated_loudness(read_audio(out)) - wanted)
        assert distance < within if match else distance > 3


def test_loudness_that_would_clip_is_reached_by_turning_down_the_peaks(tmp_path, second_colours):
    """A quiet tone with clicks: to be loud enough, the clicks would have to be ten times full scale."""
    wave = tone(1000, 2, 48000, peak=0.02)
    wave[12000::24000] = 0.9
    path = sound_file(tmp_path / "d.wav", wave[None], 48000)
    swapped = read_audio(swap_audio(second_colours, path, tmp_path / "x.mp4", match_loudness=True), 48000)
    meter = pyloudnorm.Meter(48000)
    wanted = meter.integrated_loudness(read_audio(second_colours, 48000))
    assert meter.integrated_loudness(swapped) == pytest.approx(wanted, abs=0.1)
    assert np.abs(swapped).max() < 1.2  # but for what AAC adds, within full scale
    level = np.abs(swapped[5000:10000]).max()
    assert level > 0.1 and np.abs(swapped[15000:30000]).max() == pytest.approx(
        level, rel=0.02
    )  # the tone keeps its level


def test_the_limiter_keeps_what_fits_and_never_passes_full_scale():
    rng = np.random.default_rng(0)
    wave = rng.laplace(size=48000).astype(np.float32) * 0.1
    assert np.array_equal(editing._limited(wave, -20), wave * np.float32(0.1))
    loud = editing._limited(wave, 12)
    assert 0.9 < np.abs(loud).max() <= 1 and np.corrcoef(loud, wave)[0, 1] > 0.9
    gain = loud / wave.astype(np.float64)
    assert gain.min() > 0 and np.abs(np.diff(gain)).max() < 0.02 * gain.max()  # smooth: no crackling


def test_loudness_can_be_that_of_another_file(tmp_path, second_colours, counted):
    loud = sound_file(tmp_path / "loud.wav", tone(500, 3, 48000, peak=0.7)[None], 48000)
    quiet = donor(tmp_path / "d.wav", peak=0.02)
    out = swap_audio(second_colours, quiet, tmp_path / "x.mp4", match_loudness=loud)
    meter = pyloudnorm.Meter(16000)
    assert meter.integrated_loudness(read_audio(out)) == pytest.approx(
        meter.integrated_loudness(read_audio(loud)), abs=1
    )


def test_loudness_of_silence_cannot_be_matched(tmp_path, second_colours):
    silent = sound_file(tmp_path / "d.wav", np.zeros((1, 48000)), 48000)
    with pytest.raises(ClipError, match="d.wav is silent.*match_loudness=False"):
        swap_audio(second_colours, silent, tmp_path / "x.mp4", match_loudness=True)


def test_swap_onto_a_video_without_sound(tmp_path, second_colours):
    silent = mute(second_colours, tmp_path / "mute.mp4")
    assert not has_audio(silent) and has_audio(second_colours)
    assert len(read_audio(swap_audio(silent, second_colours, tmp_path / "x.mp4"))) == 48000
    with pytest.raises(ClipError, match="mute.mp4 has no audio track"):
        shift_audio(silent, tmp_path / "x.mp4", 1)


@pytest.mark.parametrize("seconds", [1.0, -1.0, 0.0])
def test_shift(tmp_path, seconds):
    """The second second of three holds a tone."""
    wave = np.concatenate([np.zeros(16000), tone(440, 1, 16000), np.zeros(16000)])
    path = write(tmp_path / "x.mp4", [quarters()] * 30, fps=10, wave=wave)
    shifted = read_audio(shift_audio(path, tmp_path / "y.mp4", seconds))
    loud = [np.abs(shifted[16000 * i + 2000 : 16000 * i + 14000]).max() > 0.1 for i in range(3)]
    assert len(shifted) == 48000 and loud == [i == 1 + seconds for i in range(3)]


def test_shift_that_leaves_nothing(tmp_path, second_colours):
    with pytest.raises(ClipError, match="lasts 3.00 s; a shift of -3 s"):
        shift_audio(second_colours, tmp_path / "x.mp4", -3)


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
@pytest.mark.parametrize("source", ["mkv", "mp4", "ts"])
@pytest.mark.parametrize("start", [0.01, 2])
def test_sound_starts_with_a_picture_that_starts_late(tmp_path, start, source, suffix):
    """The second second of three holds a tone."""
    wave = np.concatenate([np.zeros(48000), tone(440, 1, 48000), np.zeros(48000)])[None]
    pts = [round(1000 * start) + 100 * i for i in range(30)]
    path = video(tmp_path / f"late.{source}", map(numbered, range(30)), fps=10, pts=pts, sound=(wave, 48000, start))
    with av.open(str(path)) as container:
        begin = float(container.streams.video[0].start_time * container.streams.video[0].time_base)
    assert begin >= start
    swapped = swap_audio(path, sound_file(tmp_path / "d.wav", wave, 48000), tmp_path / f"swap.{suffix}")
    for out, later in ((swapped, 0), (shift_audio(path, tmp_path / f"shift.{suffix}", 0.5), 0.5)):
        with av.open(str(out)) as container:
            heard_at = [frame.time for frame in container.decode(audio=0) if np.abs(frame.to_ndarray()).max() > 0.1]
        assert heard_at[0] - begin == pytest.approx(1 + later, abs=0.022)  # 1024 samples share a time
        times = np.flatnonzero(np.abs(read_audio(out, 48000)) > 0.1) / 48000
        assert [times[0], times[-1]] == pytest.approx([1 + later, 2 + later], abs=2e-3)
        assert numbers(read_frames(out, fps=10)[0])[:29] == list(range(29))
        after, before = video_packets(out), video_packets(path)
        assert [float(pts) for _, pts, *_ in after] == pytest.approx([float(pts) for _, pts, *_ in before], abs=1e-3)
        if source != "ts":  # whose H.264 is packed in another way
            assert [packet[0] for packet in after] == [packet[0] for packet in before]


@pytest.mark.parametrize("start", [0.01, 2])
def test_late_sound_is_as_long_as_its_picture(tmp_path, start):
    pts = [round(1000 * start) + 100 * i for i in range(30)]
    path = video(tmp_path / "late.mkv", [quarters()] * 30, fps=10, pts=pts)
    wave = read_audio(swap_audio(path, donor(tmp_path / "d.wav"), tmp_path / "x.mp4"))
    assert len(wave) == 48000 and pitch(wave, 16000) == pytest.approx(1000, abs=1)


def test_unknown_fit(tmp_path, second_colours):
    with pytest.raises(ValueError, match="loop, pad"):
        swap_audio(second_colours, second_colours, tmp_path / "x.mp4", fit="stretch")


def test_a_container_that_cannot_hold_the_video(tmp_path):
    path = video(tmp_path / "x.webm", [quarters()] * 5, codec="libvpx")
    with pytest.raises(ClipError, match="x.webm cannot be copied: .mp4 cannot hold its vp8 video; use .mkv"):
        mute(path, tmp_path / "y.mp4")
    assert os.listdir(tmp_path) == ["x.webm"]


def test_examples_in_docstrings():
    result = doctest.testmod(editing)
    assert result.attempted > 5 and not result.failed
