"""What MiniCPM-o 2.6 and MiniCPM-V 2.6 read: pictures cut to patches, sound as log-mel features, and the prompt.

A clip with sound is told second by second: a unit holds the picture at the end of a second, and that second's sound.
Source: the demonstrations and remote code of openbmb/MiniCPM-o-2_6.
"""

import math

import numpy as np
import torch
from PIL import Image
from transformers import BatchFeature, Qwen2Tokenizer, WhisperFeatureExtractor
from transformers.image_processing_base import ImageProcessingMixin
from transformers.processing_utils import ImagesKwargs, ProcessorMixin

VIDEO, AUDIO = "(<video>./</video>)", "(<audio>./</audio>)"  # where a template puts a clip's pictures and its sound
PICTURE, SOUND = "<unk>", "<reserved_53>"  # placeholders, one a token
HEARING = "You are a helpful assistant. You can accept video, audio and text input and output voice and text. "
SEEING = "You are a helpful assistant."
SPEAKING = "<|spk_bos|><|spk|><|spk_eos|><|tts_bos|>"


class MiniCPMVImageProcessor(ImageProcessingMixin):
    """Pictures as patches, in one piece or with slices of higher resolution.

    Args:
        max_slice_nums: slices that a picture may be cut into; videos are told with 1, that is none.
        scale_resolution: side in pixels of the square whose area a picture or a slice is scaled to.
        patch_size: side of a patch in pixels.
        image_feature_size: tokens of a picture or a slice.
        fps: frames of a video a second.
    """

    model_input_names = ["pixel_values", "grids"]
    valid_kwargs = ImagesKwargs

    def __init__(self, max_slice_nums=9, scale_resolution=448, patch_size=14, image_feature_size=64, fps=1.0, **kwargs):
        super().__init__(**kwargs)
        self.max_slice_nums = max_slice_nums
        self.scale_resolution = scale_resolution
        self.patch_size = patch_size
        self.image_feature_size = image_feature_size
        self.fps = fps

    def scaled(self, width, height, enlarge=False):
        """The size (width, height) in pixels, whole patches each, at which a picture is shown.

        Example:
            >>> MiniCPMVImageProcessor().scaled(640, 360, enlarge=True)
            (602, 336)
        """
        if enlarge or width * height > self.scale_resolution**2:
            ratio = width / height
            height = int(self.scale_resolution / math.sqrt(ratio))
            width = int(height * ratio)
        return _whole(width, self.patch_size), _whole(height, self.patch_size)

    def grid(self, width, height, max_slice_nums=None):
        """Columns and rows of slices for a picture of this size, None if it stays whole.

        Example:
            >>> MiniCPMVImageProcessor().grid(640, 360), MiniCPMVImageProcessor().grid(640, 360, 1)
            ((2, 1), None)
        """
        most = self.max_slice_nums if max_slice_nums is None else max_slice_nums
        wanted = min(math.ceil(width * height / self.scale_resolution**2), most)
        if wanted <= 1:
            return None
        numbers = [n for n in (wanted - 1, wanted, wanted + 1) if 1 < n <= most]
        grids = [(columns, n // columns) for n in numbers for columns in range(1, n + 1) if n % columns == 0]
        return min(grids, key=lambda grid: abs(math.log(width / height) - math.log(grid[0] / grid[1])))

    def slices(self, picture, max_slice_nums=None):
        """A picture (uint8 [H, W, 3]) as it is shown: the whole, then its slices row by row; and their grid or None."""
        picture = Image.fromarray(picture)
        grid = self.grid(*picture.size, max_slice_nums)
        whole = _resized(picture, self.scaled(*picture.size, enlarge=grid is None))
        if grid is None:
            return [whole], None
        sides = [_whole(length, n) / n for length, n in zip(picture.size, grid, strict=True)]
        width, height = self.scaled(*sides, enlarge=True)
        large = _resized(picture, (width * grid[0], height * grid[1]))
        corners = [(x * width, y * height) for y in range(grid[1]) for x in range(grid[0])]
        return [whole, *(large[y : y + height, x : x + width] for x, y in corners)], grid

    def patches(self, picture):
        """Patches float32 [n, 3 * 14 * 14] in [-1, 1] of a picture, and their rows and columns."""
        side = self.patch_size
        rows, columns = picture.shape[0] // side, picture.shape[1] // side
        values = (picture.astype(np.float32) / 255 - 0.5) / 0.5
        values = values.reshape(rows, side, columns, side, 3).transpose(0, 2, 4, 1, 3)
        return torch.from_numpy(values.reshape(rows * columns, -1)), (rows, columns)

    def __call__(self, pictures, max_slice_nums=None):
        """What the model takes of pictures, and the text that stands for each.

        Args:
            pictures: uint8 [H, W, 3] each.
            max_slice_nums: as above.

        Returns:
            (inputs, texts): `pixel_values` float32 [n, patches, 588] and `grids` int64 [n, 2]; one string a picture.
        """
        shown, texts = [], []
        for picture in pictures:
            pieces, grid = self.slices(picture, max_slice_nums)
            shown += [self.patches(piece) for piece in pieces]
            tokens = PICTURE * self.image_feature_size
            columns, rows = grid or (0, 0)
            texts.append(f"<image>{tokens}</image>" + "\n".join([f"<slice>{tokens}</slice>" * columns] * rows))
        values = torch.nn.utils.rnn.pad_sequence([patches for patches, _ in shown], batch_first=True)
        return {"pixel_values": values, "grids": torch.tensor([grid for _, grid in shown])}, texts


class MiniCPMVProcessor(ProcessorMixin):
    """Text and the frames of a video, for MiniCPM-V 2.6.

    Attributes:
        sample_frames: at which times frames are to be taken, `video_processor.fps` of them a second: "starts"
            (0, 1, 2 ... s) or "ends" (1, 2, 3 ... s; after the end of a video its last frame).
        video_token_id, audio_token_id: ids of the placeholders of pictures and of sound.
        stop_token_ids: ids that end an answer.
    """

    sample_frames = "starts"
    tokens = ("<image>", "</image>", "<slice>", "</slice>", PICTURE)
    stop_tokens = ("<|im_end|>", "<|endoftext|>")
    hears = False

    def __init__(self, image_processor, tokenizer):
        super().__init__(image_processor, tokenizer)
        self._look_up()

    def _look_up(self):
        vocabulary = self.tokenizer.get_vocab()
        if missing := [token for token in (*self.tokens, *self.stop_tokens) if token not in vocabulary]:
            raise ValueError(f"the tokenizer of {type(self).__name__} lacks {', '.join(missing)}")
        self.video_token_id = vocabulary[PICTURE]
        self.audio_token_id = vocabulary[SOUND] if self.hears else None
        self.stop_token_ids = [vocabulary[token] for token in self.stop_tokens]

    @classmethod
    def _get_arguments_from_pretrained(cls, path, processor_dict=None, **kwargs):
        # By class, not by Auto class: the official files point to code of their own, which is not to be run.
        classes = {
            "image_processor": MiniCPMVImageProcessor,
            "feature_extractor": WhisperFeatureExtractor,
            "tokenizer": Qwen2Tokenizer,
        }
        return [classes[name].from_pretrained(path, **kwargs) for name in cls.get_attributes()]

    @property
    def video_processor(self):
        """What makes pictures of a video's frames: the image processor."""
        return self.image_processor

    @staticmethod
    def default_system(sound):
        """The system message with which the model was trained: another one if a prompt has sound."""
        return HEARING if sound else SEEING

    def apply_chat_template(self, messages, add_generation_prompt=True, tokenize=False):
        """The text of a conversation, with a mark where the video and where the sound belongs.

        Args:
            messages: dictionaries of `role` and `content`, a list of parts: {"type": "text", "text": ...},
                {"type": "video"} or {"type": "audio"}; the sound of a video follows it.
            add_generation_prompt: ends in the header of the answer. With sound the answer is one that could be spoken:
                the last token is `<|tts_bos|>`, and the system message is one of the user.
            tokenize: must be False.
        """
        if tokenize:
            raise ValueError("tokenize=True is not supported; call the processor on the text")
        kinds = {part["type"] for message in messages for part in message["content"]}
        sound = "audio" in kinds
        text = ""
        for message in messages:
            parts = [{"video": VIDEO, "audio": AUDIO}.get(part["type"]) or part["text"] for part in message["content"]]
            role = "user" if sound and message["role"] == "system" else message["role"]
            text += f"<|im_start|>{role}\n{('' if kinds >= {'video', 'audio'} else chr(10)).join(parts)}<|im_end|>\n"
        return text + ("<|im_start|>assistant\n" + SPEAKING * sound) * add_generation_prompt

    def __call__(self, text, videos=None, audio=None, return_tensors="pt", max_slice_nums=1, **sampling):
        """The model's inputs for one prompt.

        Args:
            text: a list of one text, from `apply_chat_template`.
            videos: a list of one video: frames uint8 [T, H, W, 3], one a second, see `sample_frames`.
            audio: a list of one mono wave, float32 [n] at 16 kHz.
            return_tensors: "pt".
            max_slice_nums: slices that a frame may be cut into; the published recipe for videos without sound has 2.
            **sampling: how the frames were sampled; not needed.

        Returns:
            BatchFeature: input_ids, attention_mask, and what `pictures` and `sounds` of the model take.

        Raises:
            ValueError: several prompts, sound for a model that does not hear, or marks and media that do not match.
        """
        inputs, (text,) = {}, text
        frames, wave = (None if media is None else media[0] for media in (videos, audio))
        if wave is not None and not self.hears:
            raise ValueError(f"{type(self).__name__} takes no sound")
        rate = 16000
        seconds = [] if wave is None else [wave[i : i + rate] for i in range(0, len(wave), rate)]
        heard = [self._sound_text(len(second)) for second in seconds]
        if frames is not None:
            # The last frame stands for what the sound lasts longer.
            n_units = max(len(frames), len(seconds))
            pictures, seen = self.image_processor(
                [frames[min(i, len(frames) - 1)] for i in range(n_units)], max_slice_nums
            )
            inputs |= pictures
        if wave is not None:
            inputs |= self._sound_inputs(wave)
        if frames is not None and wave is not None:
            heard += [""] * (n_units - len(heard))
            text = _replaced(text, VIDEO + AUDIO, "".join(f"<unit>{a}{b}" for a, b in zip(seen, heard, strict=True)))
        elif frames is not None:
            text = _replaced(text, VIDEO, "\n".join(seen))
        elif wave is not None:
            text = _replaced(text, AUDIO, "".join(heard))
        return BatchFeature({**self.tokenizer([text], return_tensors=return_tensors), **inputs})


class MiniCPMOProcessor(MiniCPMVProcessor):
    """Text, the frames of a video and sound, for MiniCPM-o 2.6; see `MiniCPMVProcessor`."""

    sample_frames = "ends"
    longest_sound = None  # seconds: any length goes in, in pieces
    tokens = (*MiniCPMVProcessor.tokens, "<unit>", "<|audio_start|>", "<|audio_end|>", "<|spk|>", "<|tts_bos|>", SOUND)
    stop_tokens = (*MiniCPMVProcessor.stop_tokens, "<|tts_eos|>")
    hears = True

    def __init__(self, image_processor, feature_extractor, tokenizer):
        ProcessorMixin.__init__(self, image_processor, feature_extractor, tokenizer)
        self._look_up()

    def _sound_text(self, n_samples):
        n_frames = (math.ceil(n_samples / self.feature_extractor.hop_length) - 1) // 2 + 1
        n_tokens = n_frames // 2
        return f"<|audio_start|>{SOUND * n_tokens}<|audio_end|>" * (n_tokens > 0)

    def _sound_inputs(self, wave):
        # All seconds together, so that they share one floor of loudness; pieces of 30 s at most.
        most = self.feature_extractor.n_samples
        found = self.feature_extractor(
            [wave[i : i + most] for i in range(0, len(wave), most)],
            sampling_rate=self.feature_extractor.sampling_rate,
            padding="max_length",
            return_attention_mask=True,
            return_tensors="pt",
        )
        kept = found["attention_mask"]
        lengths = kept.sum(dim=1)
        features = (found["input_features"] * kept[:, None])[..., : int(lengths.max())]
        return {"input_features": features, "feature_lengths": lengths}


def _whole(length, unit):
    """The multiple of a unit that is nearest to a length, at least one unit."""
    return max(round(length / unit) * unit, unit)


def _resized(picture, size):
    return np.asarray(picture.resize(size, Image.Resampling.BICUBIC))


def _replaced(text, mark, by):
    if text.count(mark) != 1:
        raise ValueError(f"the text has {text.count(mark)} marks {mark} for one clip; make it by apply_chat_template")
    return text.replace(mark, by)
