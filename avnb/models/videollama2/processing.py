"""What VideoLLaMA 2.1 makes of frames, sound and a question.

Pictures are squashed to a square. Of the sound of a clip the published model hears eight windows of two seconds that
begin at k * (D - 2) / 8, one after the other: the middle of a 10 s clip is heard twice, its last second never. Sound
without pictures is treated alike here, so that a control differs in nothing else; with sound="whole" all of a clip (up
to 30 s) is heard, which is what the published code does for sound alone.

>>> [start / 16000 for start, stop in windows(160_000)]
[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
"""

import functools
import warnings

import numpy as np
import torch
from transformers import AutoConfig, BatchFeature, ProcessorMixin
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.utils import logging

from avnb.errors import AvnbError
from avnb.models.processing import SYSTEM

RATE, N_MELS, N_WINDOWS, PATCH = 16_000, 128, 8, 14
SOUNDS = ("windows", "whole")
VIDEO, AUDIO = "<video>", "<audio>"

# ChatML as in the published tokenizer, for contents that are lists. Pictures and sound share one line before the text.
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] if part['type'] != 'text' %}<{{ part['type'] }}>"
    "{{ '\n' if loop.last }}{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %}"
    "{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

logger = logging.get_logger(__name__)


class VideoLlama2Processor(ProcessorMixin):
    """Prompts of VideoLLaMA 2.1: `processor(text=[...], videos=[frames], audio=[wave], return_tensors="pt")`.

    Args:
        tokenizer: that of the checkpoint; placeholders are added to it where it has none.
        chat_template: default `TEMPLATE`.
        num_frames: that the model was trained on.
        hears: False for the visual base.
        sound: "windows" (what the published model hears with a video) or "whole".
        image_size: side of the square picture, pixels.
        seconds: the length that sound is padded to with silence.
        window: seconds of a window.

    Attributes:
        sample_frames: how a clip's frames are to be chosen: "midpoints:8" cuts the frames 0..N-1 into 8 equal parts and
            takes the one nearest to the middle of each, round((i + 0.5) * (N - 1) / 8).
    """

    def __init__(
        self,
        tokenizer=None,
        chat_template=None,
        num_frames=8,
        hears=True,
        sound="windows",
        image_size=384,
        seconds=30.0,
        window=2.0,
    ):
        super().__init__(tokenizer, chat_template=chat_template or TEMPLATE)
        self.num_frames, self.hears, self.sound = num_frames, hears, sound
        self.image_size, self.seconds, self.window = image_size, seconds, window
        tokenizer.add_tokens([VIDEO, AUDIO], special_tokens=True)
        self.video_token_id, self.audio_token_id = tokenizer.convert_tokens_to_ids([VIDEO, AUDIO])

    @classmethod
    def get_processor_dict(cls, pretrained_model_name_or_path, **kwargs):
        """The published checkpoints have no settings of a processor: theirs are in the model's configuration."""
        settings, kwargs = super().get_processor_dict(pretrained_model_name_or_path, **kwargs)
        if "num_frames" not in settings:
            config = AutoConfig.from_pretrained(pretrained_model_name_or_path, revision=kwargs.get("revision"))
            settings |= {"num_frames": config.num_frames, "hears": config.mm_audio_tower is not None}
        return settings, kwargs

    @staticmethod
    def default_system(sound):
        """The system message with which the model was trained."""
        return SYSTEM

    @property
    def sample_frames(self):
        return f"midpoints:{self.num_frames}"

    @property
    def video_processor(self):
        """What makes a square picture in [-1, 1] of a frame."""
        return _squasher(self.image_size)

    @property
    def feature_extractor(self):
        """What makes log mel energies of a wave; None for the visual base."""
        return FeatureExtractor(self.sound, self.seconds, self.window) if self.hears else None

    def __call__(self, text, videos=None, audio=None, return_tensors="pt", **ignored):
        """The model's arguments for one prompt.

        Args:
            text: [prompt], from `apply_chat_template`.
            videos: [frames uint8 [T, H, W, 3]], T even.
            audio: [wave float32 [n] at 16 kHz].
            return_tensors: "pt", the only one.

        Returns:
            input_ids and attention_mask [1, N], pixel_values_videos [1, T, 3, side, side], input_features
            [1, frames, 128].

        Raises:
            AvnbError: several prompts, an odd number of frames, or sound that is too long.
        """
        if len(text) != 1 or len(videos or [0]) != 1 or len(audio or [0]) != 1:
            raise AvnbError("VideoLLaMA 2 takes one prompt with one clip at a time")
        (prompt,), inputs = text, {}
        if videos:
            frames = np.asarray(videos[0])
            if len(frames) % 2:
                raise AvnbError(f"VideoLLaMA 2 joins frames by pairs, {len(frames)} were given; use an even number")
            pictures = self.video_processor(list(frames), return_tensors="pt")["pixel_values"]
            inputs["pixel_values_videos"] = pictures[None]
            n_tokens = len(frames) // 2 * (self.image_size // PATCH // 2) ** 2
            prompt = prompt.replace(VIDEO, VIDEO * n_tokens)
        if audio:
            features = self.feature_extractor(audio[0])
            inputs["input_features"] = features[None]
            n_tokens = (features.shape[0] // 16) * (features.shape[1] // 16)
            prompt = prompt.replace(AUDIO, AUDIO * n_tokens)
        return BatchFeature({**self.tokenizer([prompt], return_tensors=return_tensors), **inputs})


class FeatureExtractor:
    """Log mel energies of what the model hears of a wave.

    Attributes:
        sampling_rate: Hz.
        chunk_length: the longest sound that is taken, seconds; None for any length.
    """

    sampling_rate = RATE

    def __init__(self, sound, seconds, window):
        if sound not in SOUNDS:
            raise AvnbError(f"sound={sound!r} is unknown; use one of {', '.join(SOUNDS)}")
        self.sound, self.seconds, self.window = sound, seconds, window
        self.chunk_length = seconds if sound == "whole" else None

    def heard(self, wave):
        """The part of a wave float32 [n] that reaches the model, in the order in which it does."""
        if self.sound == "whole":
            return wave
        logger.warning_once(
            "VideoLLaMA 2 hears eight overlapping windows of a clip, as published, and never the end of it; "
            'set processor.sound = "whole" to let it hear all of up to 30 s'
        )
        return np.concatenate([wave[start:stop] for start, stop in windows(len(wave), self.window)])

    def __call__(self, wave):
        """float32 [frames, 128] of a wave float32 [n] at 16 kHz; rounded to bfloat16, as in training."""
        heard = self.heard(np.asarray(wave, np.float32))
        padded = np.zeros(round(self.seconds * RATE), np.float32)
        if len(heard) > len(padded):
            raise AvnbError(f"VideoLLaMA 2 takes {self.seconds:g} s of sound, {len(heard) / RATE:.1f} s were given")
        padded[: len(heard)] = heard
        return torch.from_numpy(fbank(padded)).bfloat16().float()


def windows(n_samples, seconds=2.0):
    """(start, stop) of the eight windows of a wave, in samples at 16 kHz; a shorter wave is heard eight times."""
    length = round(seconds * RATE)
    spare = max(n_samples - length, 0)
    starts = [spare * k // N_WINDOWS for k in range(N_WINDOWS)]
    return [(start, min(start + length, n_samples)) for start in starts]


def fbank(wave):
    """Log mel energies float32 [frames, 128] as Kaldi computes them: 25 ms every 10 ms, of a wave in [-1, 1]."""
    energies = spectrogram(
        wave * 2**15,
        window_function(400, "povey", periodic=False),
        frame_length=400,
        hop_length=160,
        fft_length=512,
        power=2.0,
        center=False,
        preemphasis=0.97,
        remove_dc_offset=True,
        mel_filters=_mel_filters(),
        mel_floor=float(np.finfo(np.float32).eps),
        log_mel="log",
    )
    return np.ascontiguousarray(energies.T, np.float32)


@functools.cache
def _mel_filters():
    with warnings.catch_warnings(action="ignore"):  # the lowest filters are empty, as in Kaldi
        return mel_filter_bank(
            num_frequency_bins=257,
            num_mel_filters=N_MELS,
            min_frequency=20.0,
            max_frequency=RATE / 2,
            sampling_rate=RATE,
            mel_scale="kaldi",
            triangularize_in_mel_space=True,
        )


@functools.cache
def _squasher(side):
    half = [0.5] * 3
    return SiglipImageProcessorPil(size={"height": side, "width": side}, image_mean=half, image_std=half)
