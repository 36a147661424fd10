"""Every case of reading media, on tiny files made here."""

import doctest
import logging
import struct
import tracemalloc

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import wavfile

from avnb.media import reading as clips
from avnb.media.clip import Clip, ClipError, for_each, read_audio, read_frames
from avnb.media.editing import mute, shift_audio, swap_audio, write
from tests.recordings import (
    BLUE,
    GREEN,
    RED,
    corners,
    donor,
    heard,
    numbered,
    numbers,
    pitch,
    quarters,
    sound_file,
    tone,
    video,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("media")


# Frames


def test_golden_20_frames(counted):
    frames, times = read_frames(counted, fps=2)
    assert frames.shape == (20, 32, 64, 3) and frames.dtype == np.uint8
    assert times.tolist() == [i / 2 for i in range(20)]
    assert numbers(frames) == [int(time * 25) for time in times]


def test_colours_at_their_times(second_colours):
    frames, times = read_frames(second_colours, fps=2)
    assert times.tolist() == [0, 0.5, 1, 1.5, 2, 2.5]
    for frame, colour in zip(frames, [RED, RED, GREEN, GREEN, BLUE, BLUE], strict=True):
        assert np.abs(frame.reshape(-1, 3).mean(axis=0) - colour).max() < 8


def test_max_frames_spread_over_the_full_length(counted):
    frames, times = read_frames(counted, fps=2, max_frames=4)
    assert times.tolist() == [0, 2.5, 5, 7.5]
    assert numbers(frames) == [0, 62, 125, 187]


def test_frames_of_equal_parts(counted):
    frames, times = read_frames(counted, sample="starts:32")
    assert times.tolist() == [i * 10 / 32 for i in range(32)]
    assert numbers(frames) == [i * 250 // 32 for i in range(32)]
    assert numbers(read_frames(counted, sample="midpoints:8")[0]) == [16, 47, 78, 109, 140, 171, 202, 233]


def test_fps_above_the_video_repeats_frames(second_colours):
    assert len(read_frames(second_colours, fps=25)[0]) == 75


@settings(max_examples=25, deadline=None)
@given(fps=st.floats(0.05, 40), max_frames=st.integers(1, 60))
def test_jumping_equals_decoding_everything(counted_short_gop, fps, max_frames):
    frames, times = read_frames(counted_short_gop, fps, max_frames)
    assert len(times) == max(1, min(max_frames, int(np.ceil(12 * fps - 1e-6))))
    shown = [int(round(time * 12800) / 12800 * 25 + 1e-9) for time in times]
    assert numbers(frames) == shown


@pytest.fixture(scope="module")
def counted_short_gop(folder):
    options = {"g": "12", "bf": "3", "b-pyramid": "normal"}
    return video(folder / "gop.mp4", (numbered(i) for i in range(300)), options=options)


@pytest.mark.parametrize("suffix", ["mkv", "ts", "avi", "mov"])
def test_jumping_in_other_containers(folder, suffix):
    codec, options = ("mpeg4", {"g": "12", "qscale": "2"}) if suffix == "avi" else ("libx264", {"g": "12"})
    path = video(folder / f"other.{suffix}", (numbered(i) for i in range(300)), codec=codec, options=options)
    frames, times = read_frames(path, fps=0.3)
    assert len(times) == 4
    assert numbers(frames) == pytest.approx(times * 25, abs=1)


def test_variable_frame_rate(folder):
    pts = [0, 40, 80, 1000, 1500, 1540, 2900]  # ms
    path = video(folder / "variable.mp4", (numbered(i) for i in range(7)), pts=pts)
    frames, times = read_frames(path, fps=4)
    shown = [sum(begin <= time * 1000 for begin in pts) - 1 for time in times]
    assert len(times) >= 12 and numbers(frames) == shown


def test_time_starts_at_the_first_frame(folder):
    path = video(folder / "late.mkv", (numbered(i) for i in range(25)), pts=[2000 + 40 * i for i in range(25)])
    frames, times = read_frames(path, fps=5)
    assert times.tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert numbers(frames) == [0, 5, 10, 15, 20]


@pytest.mark.parametrize(
    ("rotation", "size", "expected"),
    [
        ((0,), (32, 64), "rgbw"),
        ((90,), (64, 32), "gwrb"),  # counter-clockwise: the right edge comes to the top
        ((-90,), (64, 32), "brwg"),
        ((180,), (32, 64), "wbgr"),
        ((0, True), (32, 64), "grwb"),
        ((0, False, True), (32, 64), "bwrg"),
        ((90, True), (64, 32), "wgbr"),
    ],
)
def test_display_matrix(tmp_path, rotation, size, expected):
    path = video(tmp_path / "turned.mp4", [quarters()] * 3, rotation=rotation)
    frames, _ = read_frames(path, fps=5)
    assert frames.shape[1:3] == size and corners(frames[0]) == expected


def test_display_matrix_written_by_hand(tmp_path):
    path = video(tmp_path / "phone.mp4", [quarters()] * 3)
    data = bytearray(path.read_bytes())
    begin = data.index(b"tkhd") + 4 + 40  # version, flags, times, track, duration, layer, group, volume
    assert struct.unpack(">9i", data[begin : begin + 36])[0] == 1 << 16
    data[begin : begin + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 32 << 16, 0, 1 << 30)
    path.write_bytes(data)
    frames, _ = read_frames(path, fps=5)
    assert frames.shape[1:3] == (64, 32) and corners(frames[0]) == "brwg"  # clockwise: the left edge comes to the top


@pytest.mark.parametrize(("height", "width"), [(33, 47), (32, 47), (33, 48)])
def test_odd_sizes(tmp_path, height, width):
    picture = np.full((height, width, 3), BLUE, np.uint8)
    path = video(tmp_path / "odd.mkv", [picture] * 5, fps=5, codec="ffv1", pix_fmt="yuv444p")
    assert read_frames(path, fps=5)[0].shape == (5, height, width, 3)


def test_max_pixels(counted):
    frames, _ = read_frames(counted, fps=1, max_pixels=512)
    assert frames.shape == (10, 16, 32, 3) and numbers(frames) == list(range(0, 250, 25))


def test_a_jump_that_lands_late_goes_further_back(counted):
    """Some demuxers seek by decoding time, or not exactly."""
    with av.open(str(counted)) as container:
        stream = container.streams.video[0]
        second = round(1 / stream.time_base)

        class Late(Counting):
            def seek(self, target, stream):
                self.decoded = [target + 2 * second] if target > second else [0]

            def decode(self, stream):
                return (type("Frame", (), {"pts": pts}) for pts in self.decoded)

        _, first = clips._jump(Late(container), stream, 5 * second)
    assert first.pts <= 5 * second


class Counting:
    """A container that counts the frames it decodes."""

    def __init__(self, container):
        self.container, self.format, self.n_frames = container, container.format, 0

    def seek(self, *args, **kwargs):
        self.container.seek(*args, **kwargs)

    def decode(self, stream):
        for frame in self.container.decode(stream):
            self.n_frames += 1
            yield frame


@pytest.fixture(scope="module")
def two_hours(folder):
    return write(folder / "long.mp4", (numbered(i) for i in range(7200)), fps=1)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_two_hours_in_bounded_memory_and_time(two_hours, tmp_path, suffix, monkeypatch):
    path = mute(two_hours, tmp_path / f"long.{suffix}")
    counters, original = [], clips._frames_at

    def counting(container, *args):
        counters.append(Counting(container))
        return original(counters[0], *args)

    monkeypatch.setattr(clips, "_frames_at", counting)
    tracemalloc.start()
    frames, times = read_frames(path, max_frames=8)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert numbers(frames) == times.tolist() == [900 * i for i in range(8)]
    assert 0 < counters[0].n_frames < 8 * 260  # a keyframe comes every 250 frames
    assert peak < 5e6  # all frames would be 44 MB


# Sound


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_any_rate_mono_and_stereo(tmp_path, rate, n_channels):
    wave = np.stack([tone(440, 2, rate)] * n_channels)
    path = video(tmp_path / "tone.mp4", [quarters()] * 20, fps=10, sound=(wave, rate))
    heard_wave = read_audio(path)
    assert heard_wave.dtype == np.float32 and abs(len(heard_wave) - 32000) <= 1
    assert pitch(heard_wave, 16000) == pytest.approx(440, abs=1)
    middle = slice(4000, 28000)
    assert np.abs(heard_wave[middle] - tone(440, 2, 16000)[middle]).max() < 0.05


@pytest.mark.parametrize(("name", "codec"), [("x.wav", "pcm_s16le"), ("x.m4a", "aac")])
def test_stereo_is_averaged(tmp_path, name, codec):
    wave = tone(440, 1, 16000)
    path = sound_file(tmp_path / name, np.stack([wave, -0.5 * wave]), 16000, codec)
    assert np.allclose(read_audio(path)[1000:15000], 0.25 * wave[1000:15000], atol=0.06)


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s16le", "pcm_s32le", "pcm_f32le", "pcm_f64le"])
def test_any_sample_format(tmp_path, codec):
    path = tmp_path / "x.wav"
    wave = tone(440, 0.5, 16000)
    kind = {"pcm_u8": "u8", "pcm_s16le": "s16", "pcm_s32le": "s32", "pcm_f32le": "flt", "pcm_f64le": "dbl"}[codec]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(wave[None], format="flt", layout="mono")
        frame.sample_rate, frame.pts = 16000, 0
        for converted in av.AudioResampler(format=kind, layout="mono", rate=16000).resample(frame):
            container.mux(stream.encode(converted))
    assert np.allclose(read_audio(path), wave, atol=0.02)


def test_max_seconds(counted):
    assert len(read_audio(counted, max_seconds=1.5)) == 24000
    assert np.array_equal(read_audio(counted, max_seconds=1.5), read_audio(counted)[:24000])


def test_silence_stays_silence(tmp_path):
    wave = read_audio(write(tmp_path / "x.mp4", [quarters()] * 10, fps=10, wave=np.zeros(16000)))
    assert len(wave) == 16000 and not wave.any()


def test_late_sound_is_preceded_by_silence(tmp_path):
    sound = (tone(440, 1, 16000)[None], 16000, 0.5)
    wave = read_audio(video(tmp_path / "late.mkv", [quarters()] * 15, fps=10, sound=sound))
    assert np.abs(wave[:7900]).max() < 1e-3 < np.abs(wave[8100:8200]).max()
    assert pitch(wave[8100:23000], 16000) == pytest.approx(440, abs=1)


def test_sound_before_the_first_frame_is_cut_off(tmp_path):
    wave = np.concatenate([tone(1000, 1, 16000), tone(440, 1, 16000)])[None]
    pts = [1000 + 100 * i for i in range(10)]
    path = video(tmp_path / "early.mkv", [quarters()] * 10, fps=10, pts=pts, sound=(wave, 16000))
    heard_wave = read_audio(path)
    assert abs(len(heard_wave) - 16000) <= 1024 and pitch(heard_wave[500:15000], 16000) == pytest.approx(440, abs=1)


# Bad files


def everything_that_reads(path, out):
    return [
        lambda: read_frames(path),
        lambda: read_audio(path),
        lambda: mute(path, out / "out.mp4"),
        lambda: swap_audio(path, path, out / "out.mp4"),
        lambda: shift_audio(path, out / "out.mp4", 0.1),
    ]


def check_refused(path, message, out):
    out.mkdir()
    for call in everything_that_reads(path, out):
        with pytest.raises(ClipError, match=message) as error:
            call()
        assert path.name in str(error.value) and "\n" not in str(error.value)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9, 0.99])
def test_cut_off_in_the_middle(tmp_path, second_colours, share):
    data = second_colours.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    path = tmp_path / "cut.mp4"
    path.write_bytes(data[: int(len(data) * share)])
    check_refused(path, "cut off", tmp_path / "out")


@pytest.mark.parametrize("suffix", ["mkv", "flv", "avi", "mp4"])
def test_cut_off_in_containers_without_a_complete_index(tmp_path, suffix):
    codec = "mpeg4" if suffix == "avi" else "libx264"
    noise = np.random.default_rng(0).integers(0, 255, (50, 32, 64, 3), np.uint8)
    whole = video(tmp_path / f"whole.{suffix}", noise, fps=10, codec=codec, sound=(tone(440, 5, 44100)[None], 44100))
    assert len(read_frames(whole, fps=2)[0]) in (10, 11)
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    check_refused(path, "cut off", tmp_path / "out")


def test_damaged_in_the_middle(tmp_path, counted):
    data = bytearray(counted.read_bytes())
    middle = len(data) // 2
    data[middle : middle + len(data) // 10] = bytes(len(data) // 10)
    path = tmp_path / "hole.mp4"
    path.write_bytes(data)
    with pytest.raises(ClipError, match="hole.mp4"):
        read_frames(path, fps=25)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.mp4", b"", r"empty \(0 bytes\)"),
        ("text.mp4", b"hello world\n" * 100, "not a media file"),
        ("text.txt", b"hello world\n" * 100, "text or a picture"),
        ("noise.mkv", bytes(range(256)) * 20, "not a media file"),
    ],
)
def test_no_media(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    check_refused(tmp_path / name, message, tmp_path / "out")


def test_missing_and_folder(tmp_path):
    check_refused(tmp_path / "lost.mp4", "does not exist", tmp_path / "out")
    (tmp_path / "folder.mp4").mkdir()
    check_refused(tmp_path / "folder.mp4", "is a folder", tmp_path / "out2")


def test_not_allowed(tmp_path, second_colours, monkeypatch):
    def refuse(*args, **kwargs):
        raise av.error.PermissionError(13, "Permission denied")

    monkeypatch.setattr(clips.av, "open", refuse)
    with pytest.raises(ClipError, match="colours.mp4 cannot be read: permission denied; check path and rights"):
        read_frames(second_colours)


def test_no_video_track(tmp_path):
    path = donor(tmp_path / "sound.wav")
    for call in (lambda: read_frames(path), lambda: mute(path, tmp_path / "x.mp4")):
        with pytest.raises(ClipError, match="sound.wav has no video track"):
            call()


def test_the_cover_of_an_album_is_no_video(tmp_path):
    path = tmp_path / "album.flac"
    with av.open(str(path), "w") as container:
        sound = heard(container, tone(440, 1, 16000)[None], 16000, codec="flac")
        cover = container.add_stream("mjpeg", rate=1, width=64, height=32, pix_fmt="yuvj420p")
        cover.disposition = av.stream.Disposition.attached_pic
        frame = av.VideoFrame.from_ndarray(quarters(), format="rgb24")
        container.mux([*cover.encode(frame), *cover.encode()])
        for packet in sound:
            container.mux(packet)
    assert len(read_audio(path)) == 16000
    with pytest.raises(ClipError, match="album.flac has no video track"):
        read_frames(path)


def test_no_audio_track(tmp_path):
    path = write(tmp_path / "still.mp4", [quarters()] * 5, fps=5)
    with pytest.raises(ClipError, match="still.mp4 has no audio track; ask about its pictures alone .--only video"):
        read_audio(path)


@pytest.mark.parametrize("arguments", [{"fps": 0}, {"max_frames": 0}, {"max_pixels": 0}])
def test_bad_arguments(second_colours, arguments):
    with pytest.raises(ValueError, match="positive"):
        read_frames(second_colours, **arguments)


@pytest.mark.parametrize("sample", ["middles", "starts:", "starts:0", "ends:8", "midpoints", "midpoints:-1", "8"])
def test_unknown_ways_of_sampling(second_colours, sample):
    with pytest.raises(ValueError, match=f"sample='{sample}' is unknown; use \"starts\""):
        read_frames(second_colours, sample=sample)


# Clips


def test_clip(tmp_path, second_colours):
    clip = Clip("a", second_colours)
    assert clip.kind == "factual" and clip.frames(fps=1)[0].shape == (3, 48, 64, 3)
    assert pitch(clip.wave(), 16000) == pytest.approx(440, abs=1)
    swapped = Clip("b", second_colours, donor(tmp_path / "d.wav"), "counterfactual")
    assert pitch(swapped.wave(max_seconds=1), 16000) == pytest.approx(1000, abs=1)
    assert Clip("c", second_colours, kind="mute").wave() is None


def test_clip_refuses(second_colours):
    with pytest.raises(ValueError, match="kind 'silent' is unknown"):
        Clip("a", second_colours, kind="silent")
    with pytest.raises(ValueError, match="mute but has audio"):
        Clip("a", second_colours, second_colours, kind="mute")


def test_for_each_skips_bad_clips_and_goes_on(tmp_path, second_colours, caplog):
    (tmp_path / "empty.mp4").touch()
    batch = [Clip("a", second_colours), Clip("bad", tmp_path / "empty.mp4"), Clip("b", second_colours)]
    with caplog.at_level(logging.WARNING):
        results, errors = for_each(batch, lambda clip: len(clip.wave()))
    assert [(clip.id, value) for clip, value in results] == [("a", 48000), ("b", 48000)]
    assert [clip.id for clip, _ in errors] == ["bad"] and isinstance(errors[0][1], ClipError)
    assert "skipped clip bad: empty.mp4 is empty" in caplog.text


def test_for_each_stops_at_other_errors(second_colours):
    with pytest.raises(ZeroDivisionError):
        for_each([Clip("a", second_colours)], lambda clip: 1 / 0)


def test_examples_in_docstrings():
    result = doctest.testmod(clips)
    assert result.attempted > 10 and not result.failed


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30])
def test_sound_that_is_no_sound_is_a_bad_clip(tmp_path, bad):
    wave = np.zeros(16_000, np.float32)
    wave[5_000:5_010] = bad
    wavfile.write(tmp_path / "odd.wav", 16_000, wave)
    with pytest.raises(ClipError, match="odd.wav holds sound that is no number or far out of range"):
        read_audio(tmp_path / "odd.wav")
