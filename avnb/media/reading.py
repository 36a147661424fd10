"""How media files are read: pictures on a grid of times, sound on the same clock. All media go through PyAV.

Pictures and sound share one clock, which starts at the first video frame; `editing` writes files.
"""

import math
import re
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import soxr

from avnb.errors import AvnbError

# Containers that state their duration in the header, so that a missing end can be noticed.
_STATES_DURATION = ("mov", "matroska", "avi", "flv", "asf")

_TEXT_AND_PICTURES = ("tty", "image2", "_pipe")  # what FFmpeg would otherwise show as a film

_LATE = 0.5  # seconds; how far a complete file may end before the duration in its header

_GAP = 0.1  # seconds; a longer hole inside an audio track is filled with silence

# What to do about a file without sound, or without pictures.
_WITHOUT = {
    "audio": 'ask about its pictures alone (--only video; in Python kind="mute")',
    "video": 'ask about its sound alone (--only audio; in Python modalities=("audio",))',
}

_ABSURD = 1e3  # times full scale: no sound is that loud
_WORTH_A_SEEK = 1.0  # seconds that must be skipped before a jump is cheaper than decoding on


class ClipError(AvnbError):
    """A media file cannot be used; says which file, what is wrong and what to do."""


class UnreachableError(ClipError):
    """A media file cannot be had now, whatever it holds: it is not there, or the system does not give it."""


def read_frames(path, fps=2.0, max_frames=768, max_pixels=None, sample="starts") -> tuple:
    """Samples a video on a uniform grid of times: at each time the frame that a player would show.

    Presentation times count, so a variable frame rate is sampled right; turned and mirrored phone video comes upright.
    Where the grid is sparse, the reader jumps between keyframes instead of decoding everything. Memory: the result
    (T * H * W * 3 bytes) and a few frames; `max_pixels` bounds it for large pictures. Pixels are taken as square.

    Args:
        path: a video file.
        fps: grid points per second, at 0, 1/fps, 2/fps ... up to the end of the video, exclusive.
        max_frames: if the grid has more points, this many are spread uniformly over the full length instead.
        max_pixels: frames with more pixels are scaled down to at most this many, in proportion.
        sample: which times: "starts", the grid above; "ends", the grid one step later, whose last point shows the last
            frame; "starts:N", where N equal parts of the video begin; "midpoints:N", of its frames 0..M-1 the ones
            nearest to the middles of N equal parts, round((i + 0.5) * (M - 1) / N). The last two ignore `fps`.

    Returns:
        (frames, times): uint8 [T, H, W, 3] RGB and float64 [T], the grid in seconds from the first frame. A 10 s video
        at fps=2 gives T = 20.

    Raises:
        ClipError: the file is missing, empty, cut off, damaged, or has no video track.
        ValueError: fps, max_frames or max_pixels is not positive, or `sample` is unknown.

    Example:
        >>> import tempfile
        >>> from avnb.media.editing import write
        >>> red = np.full((30, 32, 32, 3), (200, 0, 0), np.uint8)
        >>> path = write(tempfile.mkdtemp() + "/red.mp4", red, fps=10)
        >>> frames, times = read_frames(path, fps=1)
        >>> frames.shape, times.tolist()
        ((3, 32, 32, 3), [0.0, 1.0, 2.0])
    """
    if fps <= 0 or max_frames < 1 or (max_pixels is not None and max_pixels < 1):
        raise ValueError(f"fps={fps}, max_frames={max_frames} and max_pixels={max_pixels} must be positive")
    if not re.fullmatch("starts|ends|(starts|midpoints):[1-9][0-9]*", sample):
        raise ValueError(f'sample={sample!r} is unknown; use "starts", "ends", "starts:N" or "midpoints:N"')
    kind, _, n_parts = sample.partition(":")
    with opened(path) as (container, ends):
        stream = track(container, "video", path)
        stream.thread_type = "AUTO"
        start = start_of(stream)
        length = ends[stream.index] - start
        within = 0.0
        if kind == "midpoints":
            n_frames = stream.frames or round(length * float(stream.average_rate))
            times = middles(n_frames, int(n_parts)) * length / n_frames
            within = length / n_frames / 4  # so that rounding does not take the frame before
        elif n_parts:
            times = np.arange(int(n_parts)) * length / int(n_parts)
        else:
            n_points = max(1, math.ceil(length * fps - 1e-6))
            step = 1 / fps if n_points <= max_frames else length / max_frames
            times = (np.arange(min(n_points, max_frames)) + (kind == "ends")) * step
        ticks = [round((start + time + within) / float(stream.time_base)) for time in times]
        frames = size = None
        for i, frame in enumerate(_frames_at(container, stream, ticks, path)):
            size = size or _size_within(frame, max_pixels)
            picture = _upright(frame.reformat(*size, format="rgb24").to_ndarray(), frame)
            if frames is None:
                frames = np.empty((len(ticks), *picture.shape), np.uint8)
            frames[i] = picture
    return frames, times


def middles(n_frames, n):
    """Which of 0..n_frames-1 are nearest to the middles of n equal parts, int64 [n].

    Example:
        >>> middles(250, 8).tolist()
        [16, 47, 78, 109, 140, 171, 202, 233]
    """
    return np.round((np.arange(n) + 0.5) * (n_frames - 1) / n + 1e-6).astype(int)


def read_audio(path, rate=16000, max_seconds=None):
    """Reads the first audio track as mono, on the clock of the video.

    Channels are averaged. Sound that starts after the first video frame is preceded by silence, sound before it is cut
    off, and a hole inside the track is silence. A file without video starts with its first sample.

    Args:
        path: a video or audio file.
        rate: sampling rate of the result, Hz.
        max_seconds: reads no further than this.

    Returns:
        float32 [n], nominally in [-1, 1].

    Raises:
        ClipError: the file is missing, empty, cut off, damaged, or has no audio track.
        ValueError: rate or max_seconds is not positive.

    Example:
        >>> import tempfile
        >>> from avnb.media.editing import write
        >>> grey = np.full((10, 32, 32, 3), 128, np.uint8)
        >>> path = write(tempfile.mkdtemp() + "/grey.mp4", grey, fps=10, wave=np.zeros(8000), rate=8000)
        >>> read_audio(path, rate=16000).shape
        (16000,)
    """
    if rate <= 0 or (max_seconds is not None and max_seconds <= 0):
        raise ValueError(f"rate={rate} and max_seconds={max_seconds} must be positive")
    with opened(path) as (container, _):
        stream = track(container, "audio", path)
        resampler = soxr.ResampleStream(stream.codec_context.sample_rate, rate, 1, dtype="float32")
        n_wanted = math.inf if max_seconds is None else round(max_seconds * rate)
        chunks, n_samples = [], 0
        for chunk in _mono_chunks(container, stream, path):
            chunks.append(resampler.resample_chunk(chunk))
            n_samples += len(chunks[-1])
            if n_samples >= n_wanted:
                break
        chunks.append(resampler.resample_chunk(np.zeros(0, np.float32), last=True))
    wave = np.concatenate(chunks)
    if not len(wave):
        raise ClipError(f"{Path(path).name} has an audio track without sound; {_WITHOUT['audio']}")
    if not np.abs(wave).max() < _ABSURD:  # also where it is not a number
        raise ClipError(f"{Path(path).name} holds sound that is no number or far out of range; make it again")
    return wave if max_seconds is None else wave[:n_wanted]


@contextmanager
def blame(path, doing):
    """Turns errors of FFmpeg and of the file system into a ClipError: cannot be `doing` ("read" or "written")."""
    try:
        yield
    except av.error.InvalidDataError as error:
        advice = "it is cut off, damaged or not a media file; fetch or make it again"
        raise ClipError(f"{Path(path).name} cannot be {doing}: {advice}") from error
    except (av.error.FFmpegError, OSError) as error:
        reason = (error.strerror or str(error)).lower()
        kind = UnreachableError if isinstance(error, OSError) else ClipError
        raise kind(f"{path} cannot be {doing}: {reason}; check path and rights") from error


@contextmanager
def opened(path):
    """Opens a media file to read it, and makes sure that it is complete.

    Args:
        path: a video or audio file.

    Yields:
        (container, ends): the PyAV container, and when each stream ends: seconds by stream index.

    Raises:
        ClipError: the file is empty, cut off or not a media file.
        UnreachableError: it is missing, or reading it fails within the block.
    """
    path = Path(path)
    with blame(path, "read"):
        if not path.exists():
            raise UnreachableError(f"{path} does not exist; check the path")
        if path.is_dir():
            raise ClipError(f"{path} is a folder; give a media file")
        if not path.stat().st_size:
            raise ClipError(f"{path.name} is empty (0 bytes); fetch or make it again")
        url = f"file:{path}"  # so that a colon in the name starts no protocol
        with av.open(url) as container:
            if any(name in container.format.name for name in _TEXT_AND_PICTURES):
                raise ClipError(f"{path.name} is a text or a picture; give a video or audio file")
            ends = _ends(container, path)
        # Opened afresh, because the look at the ends costs the first packets some of their times.
        with av.open(url) as container:
            yield container, ends


def _ends(container, path):
    """When each stream ends, seconds by stream index; raises if the header promises more than the file holds.

    Measured on the last packets: the duration in an .mp4 header is too short for some variable frame rates.
    """
    streams = [s for s in container.streams if s.type == "audio" or (s.type == "video" and not _is_cover(s))]
    is_cut_off = _points_beyond(streams, path)
    if not is_cut_off:
        ends = {stream.index: _end(container, stream) for stream in streams}
        is_cut_off = _points_beyond(streams, path)  # looking completed the index if it is spread over the file
        if container.duration is not None and container.format.name.startswith(_STATES_DURATION):
            is_cut_off |= max(ends.values(), default=math.inf) < container.duration / av.time_base - _LATE
    if is_cut_off:
        raise ClipError(f"{path.name} is cut off: data at its end are missing; fetch or make it again")
    return ends


def _points_beyond(streams, path):
    """Whether the index lists packets behind the end of the file."""
    last = [s.index_entries[len(s.index_entries) - 1] for s in streams if len(s.index_entries)]
    return any(entry.pos + entry.size > path.stat().st_size for entry in last)


def _end(container, stream):
    """When the stream's last packet ends, seconds."""
    last = None
    if container.duration is not None:
        late = ((container.start_time or 0) + container.duration) / av.time_base
        container.seek(round(late / stream.time_base), stream=stream)
        last = _last_tick(container, stream)
    if last is None:
        container.seek(container.start_time or 0)
        last = _last_tick(container, stream)
    return float((last or 0) * stream.time_base)


def _last_tick(container, stream):
    """The latest end of the packets from here on, in units of the stream's time base; None without packets."""
    times = ((p.dts if p.pts is None else p.pts, p.duration or 0) for p in container.demux(stream))
    return max((begin + duration for begin, duration in times if begin is not None), default=None)


def track(container, kind, path):
    """The container's main stream of a kind, "video" (no album cover) or "audio"; a ClipError if there is none."""
    stream = _find(container, kind)
    if stream is None:
        raise ClipError(f"{Path(path).name} has no {kind} track; {_WITHOUT[kind]}")
    return stream


def _find(container, kind):
    stream = container.streams.best(kind)
    return None if stream is None or _is_cover(stream) else stream


def _is_cover(stream):
    """Whether the stream is the cover of an album, which is no video."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def start_of(stream):
    """When a stream begins, seconds: of the video, time 0 of the clock that pictures and sound share."""
    return float((stream.start_time or 0) * stream.time_base)


def _frames_at(container, stream, ticks, path):
    """Yields the frame that is shown at each of the ascending ticks (units of the stream's time base)."""
    if container.format.name.startswith("matroska"):
        container.seek(stream.start_time or 0, stream=stream)  # reads the index, which stands at the file's end
    decoded = container.decode(stream)
    shown = coming = next(decoded, None)
    if shown is None:
        raise ClipError(f"{Path(path).name} has a video track without frames; fetch or make it again")
    for tick in ticks:
        if coming is not None and _keyframe_before(stream, tick) - coming.pts > _WORTH_A_SEEK / stream.time_base:
            decoded, coming = _jump(container, stream, tick)
            shown = coming or shown
        while coming is not None and coming.pts <= tick:
            shown, coming = coming, next(decoded, None)
        yield shown


def _keyframe_before(stream, tick):
    """The last keyframe at or before a tick, as far as the container's index knows; else minus infinity."""
    i = stream.index_entries.search_timestamp(tick)
    return stream.index_entries[i].timestamp if i >= 0 else -math.inf


def _jump(container, stream, tick):
    """Continues decoding at a keyframe that is presented at or before the tick: (frame iterator, its first frame)."""
    back, start = 0, stream.start_time or 0
    while True:
        container.seek(max(tick - back, start), stream=stream)
        decoded = container.decode(stream)
        first = next(decoded, None)
        # The index sorts by decoding time, so the nearest keyframe may be presented too late.
        if tick - back <= start or (first is not None and first.pts <= tick):
            return decoded, first
        back = 2 * back or round(1 / stream.time_base)


def _size_within(frame, max_pixels):
    """(width, height) of the frame, scaled down in proportion to hold at most max_pixels."""
    scale = min(1.0, math.sqrt((max_pixels or math.inf) / (frame.width * frame.height)))
    return max(1, int(frame.width * scale)), max(1, int(frame.height * scale))


def _upright(picture, frame):
    """Applies the display matrix: quarter turns and mirrors. Stored (x, y) is shown at (a x + c y, b x + d y)."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return picture
    (a, b, _), (c, d, _), _ = np.frombuffer(matrix, np.int32).reshape(3, 3)
    if abs(b) > abs(a):
        picture, a, d = picture.swapaxes(0, 1), c, b
    return picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


def _mono_chunks(container, stream, path):
    """Yields float32 [n] pieces at the stream's own rate, gapless from time 0 of the video."""
    rate = stream.codec_context.sample_rate
    origin = start_of(_find(container, "video") or stream)
    n_most = math.inf
    if stream.duration is not None and 0 < stream.frames == len(stream.index_entries):
        # The last AAC packet is filled up to full length; an .mp4 header knows where the sound really ends.
        n_most = round((start_of(stream) + float(stream.duration * stream.time_base) - origin) * rate)
    n_done = 0
    for frame in container.decode(stream):
        if frame.sample_rate != rate:
            raise ClipError(f"{Path(path).name} changes its sampling rate on the way; convert it to one rate first")
        samples = _mono(frame)
        begin = n_done if frame.pts is None else round((frame.time - origin) * rate)
        samples, begin = samples[max(-begin, 0) :], max(begin, 0)
        if len(samples) and begin - n_done > (_GAP * rate if n_done else 0):
            samples = np.concatenate([np.zeros(begin - n_done, np.float32), samples])
        samples = samples[: max(n_most - n_done, 0)] if n_done + len(samples) > n_most else samples
        n_done += len(samples)
        if len(samples):
            yield samples


def _mono(frame):
    """The average of a frame's channels as float32 [n] in [-1, 1], from any sample format."""
    samples = frame.to_ndarray()
    if frame.format.is_packed:
        samples = samples.reshape(-1, len(frame.layout.channels)).T
    if samples.dtype.kind == "f":
        return samples.mean(axis=0, dtype=np.float32)
    middle = 128 if samples.dtype == np.uint8 else 0
    full_scale = 2.0 ** (8 * samples.dtype.itemsize - 1)
    return ((samples.mean(axis=0, dtype=np.float64) - middle) / full_scale).astype(np.float32)
