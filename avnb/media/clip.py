"""Clips: one video with one audio track, and what is known of them.

>>> import tempfile
>>> import numpy as np
>>> from avnb.media.editing import write
>>> tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(32000) / 16000)
>>> video = write(tempfile.mkdtemp() + "/grey.mp4", np.full((50, 48, 64, 3), 128, np.uint8), fps=25, wave=tone)
>>> frames, times = Clip("grey", video).frames(fps=2)
>>> frames.shape, times.tolist(), len(Clip("grey", video).wave())
((4, 48, 64, 3), [0.0, 0.5, 1.0, 1.5], 32000)
"""

import logging
from dataclasses import dataclass
from pathlib import Path

from avnb.media.reading import ClipError, read_audio, read_frames

MANIFEST = "manifest.jsonl"  # the file in a folder that lists its clips
KINDS = ("factual", "counterfactual", "mute", "shifted")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Clip:
    """One video with one audio track.

    A clip of kind "mute" has no sound: its wave is None, whatever tracks the file holds.

    Attributes:
        id: the name in tables.
        video: a file with a video track.
        audio: a file with an audio track; None stands for the video's own track.
        kind: "factual", "counterfactual" (swapped audio), "mute" or "shifted".
        video_captions, audio_captions: reference captions of what is seen, of what is heard.
        seen, heard: names of the known sources or events in the picture, in the sound.
        replaced_captions: of a clip with another sound, reference captions of the one that its picture came with.

    Raises:
        ValueError: the kind is unknown, or a mute clip has `audio`.
    """

    id: str
    video: Path
    audio: Path | None = None
    kind: str = "factual"
    video_captions: tuple[str, ...] = ()
    audio_captions: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    heard: tuple[str, ...] = ()
    replaced_captions: tuple[str, ...] = ()

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"clip {self.id}: kind {self.kind!r} is unknown; use one of {', '.join(KINDS)}")
        if self.kind == "mute" and self.audio is not None:
            raise ValueError(f"clip {self.id} is mute but has audio={str(self.audio)!r}; drop one of the two")

    def events(self, modality):
        """Names of the known events of "audio" (heard) or "video" (seen), each once; a mute clip holds no sound."""
        if modality == "audio":
            return () if self.kind == "mute" else tuple(dict.fromkeys(self.heard))
        return tuple(dict.fromkeys(self.seen))

    def captions(self, modality):
        """The reference captions of one modality, "audio" or "video"."""
        return self.audio_captions if modality == "audio" else self.video_captions

    @property
    def sound(self):
        """The file that holds the sound: that of `audio`, else the video itself."""
        return self.audio or self.video

    def frames(self, fps=2.0, max_frames=768, max_pixels=None, sample="starts"):
        """Frames uint8 [T, H, W, 3] and their times [T] in seconds; see `read_frames`."""
        return read_frames(self.video, fps, max_frames, max_pixels, sample)

    def wave(self, rate=16000, max_seconds=None):
        """The sound, float32 [n] at `rate` Hz (see `read_audio`), or None for a mute clip."""
        if self.kind == "mute":
            return None
        return read_audio(self.sound, rate, max_seconds)


def for_each(clips, function) -> tuple:
    """Calls a function on each clip; a clip whose media are bad is reported and skipped.

    Args:
        clips: any iterable of clips.
        function: takes a clip. Only `ClipError` is caught; every other exception stops the batch.

    Returns:
        (results, errors): lists of (clip, what the function returned) and of (clip, ClipError), in order.

    Example:
        >>> results, errors = for_each([Clip("lost", Path("lost.mp4"))], Clip.wave)
        >>> results, str(errors[0][1])
        ([], 'lost.mp4 does not exist; check the path')
    """
    results, errors = [], []
    for clip in clips:
        try:
            results.append((clip, function(clip)))
        except ClipError as error:
            logger.warning("skipped clip %s: %s", clip.id, error)
            errors.append((clip, error))
    return results, errors
