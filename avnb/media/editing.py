"""Editing: media files are written, and videos given another sound. What comes out is read with `reading`.

The picture of an edited video is copied packet by packet, so that only the sound differs.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> grey = np.full((30, 48, 64, 3), 128, np.uint8)
    >>> quiet, loud = (write(folder / f"{level}.mp4", grey, 10, np.full(48000, level)) for level in (0.0, 0.5))
    >>> swapped = swap_audio(quiet, loud, folder / "swapped.mp4")
    >>> bool(np.abs(read_audio(quiet)).max() < 0.01), bool(np.abs(read_audio(swapped)).max() > 0.4)
    (True, True)
"""

import heapq
import itertools
import logging
import math
import warnings
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pyloudnorm
from scipy.ndimage import minimum_filter1d, uniform_filter1d

from avnb.files import whole
from avnb.media.reading import ClipError, blame, opened, read_audio, start_of, track

FITS = ("loop", "pad")
AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
EDIT_RATE = 48000  # Hz of every track that swap_audio and shift_audio write

_SAMPLES_PER_PACKET = 1024
_REACH = 240  # samples (5 ms) before and after a peak over which the limiter comes down to it
_LU = 0.05  # how near a loudness has to come to the one asked for

logger = logging.getLogger(__name__)


def write(path, frames, fps, wave=None, rate=16000) -> Path:
    """Writes an .mp4 file: H.264 (yuv420p) and, if there is a wave, AAC.

    H.264 in yuv420p needs even sizes, so the last column or row of an odd picture is doubled. The file appears under
    its name only when it is complete; missing folders are made.

    Args:
        path: where to; ends in .mp4.
        frames: uint8 [T, H, W, 3] RGB, an array or any iterable of [H, W, 3].
        fps: frames per second.
        wave: float [n] mono in [-1, 1] (what lies outside is clipped); None writes no audio track.
        rate: of the wave, Hz; one of `AAC_RATES`.

    Returns:
        The path.

    Raises:
        ClipError: the file cannot be written.
        ValueError: the suffix, a shape or the rate does not fit, or there are no frames.

    Example:
        >>> import tempfile
        >>> write(Path(tempfile.mkdtemp(), "black.mp4"), np.zeros((5, 32, 32, 3), np.uint8), fps=5).name
        'black.mp4'
    """
    if Path(path).suffix != ".mp4":
        raise ValueError(f"{Path(path).name} must end in .mp4")
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        raise ValueError(f"{Path(path).name} got no frames; give at least one")
    if first.ndim != 3 or first.shape[2] != 3 or first.dtype != np.uint8:
        raise ValueError(f"frames must be uint8 [T, H, W, 3]; got frames of {first.dtype} {list(first.shape)}")
    fps = Fraction(fps).limit_denominator(100_000)

    def encoded(container):
        height, width = (size + size % 2 for size in first.shape[:2])
        stream = container.add_stream("libx264", rate=fps, width=width, height=height, pix_fmt="yuv420p")
        # The same pictures give the same bytes: not with macroblock trees, nor with slices by the number of cores.
        stream.options = {"crf": "18", "preset": "veryfast", "x264-params": "no-mbtree=1:threads=1"}
        return _encoded_video(stream, itertools.chain([first], frames), fps)

    return _save(path, encoded, wave, rate)


def swap_audio(video, donor, out, fit="loop", match_loudness=False) -> Path:
    """Gives a video the sound of another file; the video's packets are copied untouched.

    The donor's sound is cut to the length of the video; a shorter one is filled up. It is written as mono
    AAC at 48 kHz. (Swapping a video with itself therefore makes the control: own sound, same encoding.)

    Args:
        video: the file that lends its picture.
        donor: the file that lends its sound; may be audio only.
        out: where to; the suffix names the container.
        fit: what fills up a short sound: "loop" (starts over) or "pad" (silence).
        match_loudness: bring the donor's sound to the integrated loudness (ITU-R BS.1770) of the video's own track, or
            of the file given here. Peaks that would clip are limited: turned down for some milliseconds each.

    Returns:
        The path of the new file.

    Raises:
        ClipError: a file cannot be read or written, or loudness is to be matched and one sound is silent or shorter
            than 0.4 s.
        ValueError: fit is unknown.
    """
    if fit not in FITS:
        raise ValueError(f"fit {fit!r} is unknown; use one of {', '.join(FITS)}")
    seconds = _video_seconds(video)
    wave = _fitted(read_audio(donor, EDIT_RATE, seconds), round(seconds * EDIT_RATE), fit)
    if match_loudness:
        own = video if match_loudness is True else match_loudness
        wanted = _loudness(read_audio(own, EDIT_RATE, seconds), own)
        wave = _levelled(wave, wanted, donor)
    return _remux(video, out, wave)


def mute(video, out) -> Path:
    """Removes the audio; the video's packets are copied untouched.

    Args:
        video: the file that lends its picture.
        out: where to; the suffix names the container.

    Returns:
        The path of the new file.

    Raises:
        ClipError: a file cannot be read or written.
    """
    return _remux(video, out, None)


def shift_audio(video, out, seconds, sound=None) -> Path:
    """Moves the sound against the picture; the video's packets are copied untouched.

    What moves out at one end is cut, and silence fills the other: the length stays that of the video. Written as mono
    AAC at 48 kHz.

    Args:
        video: a file with video, and with audio unless `sound` is given.
        out: where to; the suffix names the container.
        seconds: how much later the sound comes; negative is earlier.
        sound: the file with the sound, if that is another one.

    Returns:
        The path of the new file.

    Raises:
        ClipError: a file cannot be read or written, or the shift leaves nothing of the sound.
    """
    length = _video_seconds(video)
    wave = _fitted(read_audio(sound or video, EDIT_RATE, length), round(length * EDIT_RATE), "pad")
    shift = round(seconds * EDIT_RATE)
    if abs(shift) >= len(wave):
        raise ClipError(f"{Path(video).name} lasts {length:.2f} s; a shift of {seconds} s leaves no sound, use less")
    shifted = np.zeros_like(wave)
    shifted[max(shift, 0) : len(wave) + min(shift, 0)] = wave[max(-shift, 0) : len(wave) - max(shift, 0)]
    return _remux(video, out, shifted)


def _video_seconds(path):
    """The length of the video track."""
    with opened(path) as (container, ends):
        stream = track(container, "video", path)
        return ends[stream.index] - start_of(stream)


def _fitted(wave, n_samples, fit):
    """Cuts a wave to a length, or fills it up to it."""
    if len(wave) >= n_samples or fit == "pad":
        return np.pad(wave[:n_samples], (0, max(n_samples - len(wave), 0)))
    return np.resize(wave, n_samples)


def _loudness(wave, path):
    """Integrated loudness, LUFS."""
    meter = pyloudnorm.Meter(EDIT_RATE)
    loudness = -math.inf
    if len(wave) > meter.block_size * EDIT_RATE:
        with warnings.catch_warnings(action="ignore"):
            loudness = meter.integrated_loudness(wave.astype(np.float64))
    if not math.isfinite(loudness):
        raise ClipError(f"{Path(path).name} is silent or too short to measure loudness; use match_loudness=False")
    return loudness


def _levelled(wave, wanted, path):
    """The wave at a loudness (LUFS): amplified, and limited to full scale where it has to be.

    What the limiter takes from the peaks is lacking in the loudness, so it is asked for again until it is there.
    """
    gain = wanted - _loudness(wave, path)
    levelled = _limited(wave, gain)
    for _ in range(30):
        lacking = wanted - _loudness(levelled, path)
        if abs(lacking) < _LU:
            return levelled
        gain += lacking
        levelled = _limited(wave, gain)
    logger.warning("%s is %.1f LU away from the loudness asked for: it is almost all peaks", Path(path).name, lacking)
    return levelled


def _limited(wave, gain):
    """The wave amplified by a gain in LU (= dB), each peak beyond full scale turned down, smoothly and in time.

    The least gain within reach of a sample, averaged over that reach, is never more than the sample itself can bear.
    """
    wave = wave * np.float32(10 ** (gain / 20))
    size = np.abs(wave)
    if size.max() <= 1:
        return wave
    bearable = 1 / np.maximum(size, 1).astype(np.float64)
    window = 2 * _REACH + 1
    return (wave * uniform_filter1d(minimum_filter1d(bearable, window), window)).astype(np.float32)


def _remux(video, out, wave):
    """Copies a video's packets to a new file with this wave as its only sound: the core of swap, mute and shift.

    The packets keep their times. The wave starts with the first frame, wherever in the file that is.
    """
    with opened(video) as (source, _):
        stream = track(source, "video", video)

        def copied(container):
            try:
                target = container.add_stream_from_template(stream)
            except ValueError as error:
                advice = f"{Path(out).suffix} cannot hold its {stream.codec_context.name} video; use .mkv"
                raise ClipError(f"{Path(video).name} cannot be copied: {advice}") from error
            return _copied_video(source, stream, target, video)

        return _save(out, copied, wave, EDIT_RATE, start_of(stream))


def _save(path, add_video, wave, rate, start=0.0):
    """Writes a file under a temporary name, then renames it.

    Args:
        path: where to.
        add_video: takes the output container, adds a video stream, returns an iterator over its packets.
        wave: float [n] or None.
        rate: of the wave, Hz.
        start: when the wave starts, seconds on the clock of the video's packets.
    """
    path = Path(path)
    if wave is not None and rate not in AAC_RATES:
        raise ValueError(f"AAC cannot hold {rate} Hz; resample to one of {', '.join(map(str, AAC_RATES))}")
    if wave is not None and (np.ndim(wave) != 1 or not len(wave)):
        raise ValueError(f"wave must be mono [n] and not empty; got the shape {list(np.shape(wave))}")
    options = {}
    if path.suffix in (".mp4", ".mov"):
        # Tracks start at multiples of the movie's tick; one of a sample keeps late sound in step with its picture.
        options = {"movflags": "faststart", "movie_timescale": str(EDIT_RATE)}
    with (
        blame(path, "written"),
        whole(path) as partial,
        av.open(f"file:{partial}", "w", container_options=options) as container,
    ):
        tracks = [add_video(container)]
        if wave is not None:
            stream = container.add_stream("aac", rate=rate, layout="mono", bit_rate=192_000)
            tracks.append(_encoded_audio(stream, np.clip(wave, -1, 1).astype(np.float32), rate, start))
        for packet in heapq.merge(*tracks, key=lambda packet: packet.dts * packet.time_base):
            container.mux(packet)
    return path


def _copied_video(source, stream, target, path):
    """Yields the packets of a stream, addressed to another."""
    untimed = []
    with blame(path, "read"):
        for packet in source.demux(stream):
            if not packet.size and packet.dts is None:  # marks the end
                continue
            packet.stream = target
            untimed.append(packet)
            if packet.dts is None:  # Matroska leaves out decoding times; FFmpeg infers all but the first
                continue
            for i, early in enumerate(reversed(untimed)):
                early.dts = packet.dts - i * (packet.duration or 1)
            yield from untimed
            untimed = []
    if untimed:
        raise ClipError(f"{Path(path).name} holds packets without decoding times; convert it to .mp4 first")


def _encoded_video(stream, frames, fps):
    """Yields the packets of RGB pictures."""
    for i, picture in enumerate(frames):
        padding = [(0, stream.height - picture.shape[0]), (0, stream.width - picture.shape[1]), (0, 0)]
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.pad(picture, padding, mode="edge")), format="rgb24")
        frame.pts, frame.duration, frame.time_base = i, 1, 1 / fps
        yield from stream.encode(frame)
    yield from stream.encode()


def _encoded_audio(stream, wave, rate, start):
    """Yields the packets of a mono wave that starts at a time in seconds."""
    first = round(start * rate)
    for begin in range(0, len(wave), _SAMPLES_PER_PACKET):
        samples = np.ascontiguousarray(wave[None, begin : begin + _SAMPLES_PER_PACKET])
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, first + begin, Fraction(1, rate)
        yield from stream.encode(frame)
    yield from stream.encode()
