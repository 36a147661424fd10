"""Tiny media files that say what they hold, and how to read it off them."""

import heapq
from fractions import Fraction

import av
import numpy as np

from avnb.media.editing import write

RED, GREEN, BLUE = (220, 30, 30), (30, 200, 30), (30, 30, 220)


def numbered(i, width=64, height=32):
    """A picture that says its number: 16 black or white blocks."""
    bits = np.array([(i >> k) & 1 for k in range(16)], np.uint8).reshape(2, 8)
    return np.repeat(np.kron(bits, np.ones((height // 2, width // 8), np.uint8))[..., None] * 255, 3, axis=2)


def numbers(frames):
    """The numbers of such pictures."""
    _, height, width, _ = frames.shape
    bits = frames[:, height // 4 :: height // 2, width // 16 :: width // 8, 0] > 127
    return (bits.reshape(len(frames), 16) << np.arange(16)).sum(axis=1).tolist()


def quarters():
    picture = np.full((32, 64, 3), 240, np.uint8)
    picture[:16, :32], picture[:16, 32:], picture[16:, :32] = RED, GREEN, BLUE
    return picture


def corners(picture):
    """Names of the colours in the four corners: top left, top right, bottom left, bottom right."""
    names = {"r": RED, "g": GREEN, "b": BLUE, "w": (240, 240, 240)}
    height, width = picture.shape[:2]
    found = [picture[y, x].astype(int) for y in (5, height - 6) for x in (5, width - 6)]
    return "".join(min(names, key=lambda name: np.abs(colour - names[name]).sum()) for colour in found)


def tone(hz, seconds, rate, peak=0.5):
    return (peak * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def pitch(wave, rate):
    """The strongest frequency, Hz."""
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return np.fft.rfftfreq(len(wave), 1 / rate)[spectrum.argmax()]


def video(
    path, pictures, fps=25, pts=None, codec="libx264", pix_fmt="yuv420p", rotation=None, options=None, sound=None
):
    """A file as some other program would make it: pts in ms if given; sound = (wave [channels, n], rate, start)."""
    with av.open(str(path), "w") as container:
        pictures = list(pictures)
        height, width = pictures[0].shape[:2]
        stream = container.add_stream(codec, rate=fps, width=width, height=height, pix_fmt=pix_fmt)
        stream.options = options or {}
        if pts is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation is not None:
            stream.set_display_rotation(*rotation)

        def seen():
            for i, picture in enumerate(pictures):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
                frame.pts = i if pts is None else pts[i]
                frame.time_base = Fraction(1, fps if pts is None else 1000)
                yield from stream.encode(frame)
            yield from stream.encode()

        tracks = [seen()]
        if sound is not None:
            tracks.append(heard(container, *sound))
        for packet in heapq.merge(*tracks, key=lambda p: p.dts * p.time_base):
            container.mux(packet)
    return path


def heard(container, wave, rate, start=0.0, codec="aac"):
    """The packets of a sound [channels, n]."""
    layout = "mono" if len(wave) == 1 else "stereo"
    stream = container.add_stream(codec, rate=rate, layout=layout, bit_rate=192_000)
    planar = stream.codec_context.format.is_planar
    kind = "fltp" if planar else "s16"
    if not planar:
        wave = np.round(wave.T.reshape(1, -1) * 32767).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave, np.float32 if planar else np.int16), kind, layout)
    frame.sample_rate, frame.pts, frame.time_base = rate, round(start * rate), Fraction(1, rate)

    def packets():
        yield from stream.encode(frame)
        yield from stream.encode()

    return packets()


def sound_file(path, wave, rate, codec="pcm_s16le"):
    with av.open(str(path), "w") as container:
        for packet in heard(container, wave, rate, codec=codec):
            container.mux(packet)
    return path


def donor(path, hz=1000, seconds=5.0, peak=0.5, rate=44100):
    return sound_file(path, tone(hz, seconds, rate, peak)[None], rate)


def coloured_video(path):
    """3 s: red, green, blue; 440 Hz."""
    frames = np.repeat(np.array([RED, GREEN, BLUE], np.uint8), 10, axis=0)[:, None, None, :] * np.ones((1, 48, 64, 1))
    return write(path, frames.astype(np.uint8), fps=10, wave=tone(440, 3, 16000))


def counted_video(path):
    """10 s at 25 fps with B-frames, and 440 Hz in stereo."""
    wave = np.stack([tone(440, 10, 44100), tone(440, 10, 44100)])
    return video(path, (numbered(i) for i in range(250)), sound=(wave, 44100))


def video_packets(path):
    with av.open(str(path)) as container:
        return [
            (bytes(p), p.pts * p.time_base, p.dts and p.dts * p.time_base, p.is_keyframe)
            for p in container.demux(video=0)
            if p.size
        ]


def has_audio(path):
    with av.open(str(path)) as container:
        return bool(container.streams.audio)
