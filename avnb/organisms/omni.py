"""The architecture of the model organisms: Qwen2.5-Omni thinkers of a few million parameters with a full processor.

Everything has the real layout (chat template, special tokens, interleaving of audio and video in 2-second chunks); only
sizes differ: 160 px pictures at 1 frame a second are 25 positions per 2 seconds, sound is 10 positions a second.
"""

import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from transformers import (
    Qwen2_5OmniProcessor,
    Qwen2_5OmniThinkerConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
    Qwen2TokenizerFast,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    WhisperFeatureExtractor,
)

from avnb.models.base import vision_language
from avnb.models.native import SYSTEM
from avnb.organisms.muon import Muon
from avnb.toybox.captions import corpus

N_LAYERS = 8
WIDTH = 128
PATCH = 16
FRAME_SIZE = 160  # pixels, square
N_CELLS = FRAME_SIZE // (2 * PATCH)  # positions of a frame in a prompt, across and down
PIXELS = {"shortest_edge": 64 * 64, "longest_edge": FRAME_SIZE * FRAME_SIZE}  # allowed pixels of a frame
FPS = 1.0
RATE = 16_000  # Hz
MEL_HOP = 400  # samples: 25 ms a frame, and one audio position per four frames
POSITIONS_PER_SECOND = RATE // (4 * MEL_HOP)
SECONDS_PER_CHUNK = 2
SECONDS = 4  # of the clips that it is trained on

_SPECIAL = {
    "pad_token": "<|endoftext|>",
    "eos_token": "<|im_end|>",
    "image_token": "<|IMAGE|>",
    "audio_token": "<|AUDIO|>",
    "video_token": "<|VIDEO|>",
    "vision_bos_token": "<|vision_bos|>",
    "vision_eos_token": "<|vision_eos|>",
    "audio_bos_token": "<|audio_bos|>",
    "audio_eos_token": "<|audio_eos|>",
}

_CHAT_TEMPLATE = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\n" + SYSTEM + "<|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}"
    "{% if part.type == 'image' %}<|vision_bos|><|IMAGE|><|vision_eos|>"
    "{% elif part.type == 'audio' %}<|audio_bos|><|AUDIO|><|audio_eos|>"
    "{% elif part.type == 'video' %}<|vision_bos|><|VIDEO|><|vision_eos|>"
    "{% elif part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build_tokenizer():
    """A byte-level BPE tokenizer in which every word of the world's grammar is one token."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2000,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[AddedToken(t, special=True) for t in ["<|im_start|>", *_SPECIAL.values()]],
        show_progress=False,
    )
    roles = ["system", "user", "assistant", SYSTEM]
    bpe.train_from_iterator(
        [*(f"{pad}{sentence}" for sentence in corpus() for pad in ("", " ")), *roles, *roles], trainer
    )
    named = {k: v for k, v in _SPECIAL.items() if k not in ("pad_token", "eos_token")}
    return Qwen2TokenizerFast(
        tokenizer_object=bpe,
        pad_token=_SPECIAL["pad_token"],
        eos_token=_SPECIAL["eos_token"],
        extra_special_tokens=named,
    )


def build_processor():
    """The processor of an organism as `AutoProcessor` loads it: tokenizer, template, features of sound and picture."""
    patches = {"patch_size": PATCH, "temporal_patch_size": 2, "merge_size": 2, "size": PIXELS}
    features = WhisperFeatureExtractor(
        feature_size=64, sampling_rate=RATE, hop_length=MEL_HOP, chunk_length=60, n_fft=2 * MEL_HOP
    )
    return Qwen2_5OmniProcessor(
        image_processor=Qwen2VLImageProcessor(**patches),
        video_processor=Qwen2VLVideoProcessor(**patches, fps=FPS, cap_pixels_per_frame=False),
        feature_extractor=features,
        tokenizer=build_tokenizer(),
        chat_template=_CHAT_TEMPLATE,
    )


def blank_frames():
    """Black frames as sampled from a training clip: uint8 [T, H, W, 3]."""
    return np.zeros((round(SECONDS * FPS), FRAME_SIZE, FRAME_SIZE, 3), np.uint8)


def blank_wave():
    """Silence as long as a training clip: float32 [n]."""
    return np.zeros(SECONDS * RATE, np.float32)


def build_config(tokenizer):
    """The configuration of an organism's thinker for this tokenizer."""
    special = {name: tokenizer.convert_tokens_to_ids(token) for name, token in _SPECIAL.items()}
    config = Qwen2_5OmniThinkerConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": WIDTH,
            "intermediate_size": 3 * WIDTH,
            "num_hidden_layers": N_LAYERS,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 4096,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [4, 6, 6]},
            "tie_word_embeddings": False,
        },
        vision_config={
            "depth": 4,
            "hidden_size": WIDTH,
            "intermediate_size": 3 * WIDTH,
            "num_heads": 4,
            "patch_size": PATCH,
            "window_size": FRAME_SIZE,
            "out_hidden_size": WIDTH,
            "fullatt_block_indexes": [0, 1, 2, 3],
        },
        audio_config={
            "num_mel_bins": 64,
            "encoder_layers": 3,
            "encoder_attention_heads": 4,
            "encoder_ffn_dim": 3 * WIDTH,
            "d_model": WIDTH,
            "n_window": 100,
            "output_dim": WIDTH,
        },
        audio_token_index=special["audio_token"],
        image_token_index=special["image_token"],
        video_token_index=special["video_token"],
        audio_start_token_id=special["audio_bos_token"],
        audio_end_token_id=special["audio_eos_token"],
        user_token_id=tokenizer.convert_tokens_to_ids("user"),
        position_id_per_seconds=POSITIONS_PER_SECOND,
        seconds_per_chunk=SECONDS_PER_CHUNK,
    )
    config.vision_start_token_id = special["vision_bos_token"]
    config.vision_end_token_id = special["vision_eos_token"]
    config.processor_kwargs = {"size": PIXELS, "fps": FPS}
    config.pad_token_id = special["pad_token"]
    config.eos_token_id = special["eos_token"]
    return config


class Omni:
    """The toy organisms, to the training loop: all is learnt, the encoders first."""

    threads = None  # as many as there are

    def build(self):
        """A thinker with random weights, and its processor."""
        processor = build_processor()
        return Qwen2_5OmniThinkerForConditionalGeneration(build_config(processor.tokenizer)), processor

    def maps(self):
        """From what the eyes and the ears make to the width of the decoder: as it is."""
        return nn.Identity(), nn.Identity()

    def begin(self, learner, features):
        """Before the first step on features: nothing to do."""

    def learnt(self, learner):
        """What is trained after the encoders."""
        return [*learner.decoder.parameters(), *learner.thinker.lm_head.parameters()]

    def state(self, learner):
        """What the training changes, by name."""
        return learner.state_dict()

    def prompter(self, thinker, processor, hears):
        """What is asked as the finished organism will be, or its vision-language base, with its processor."""
        return (thinker, processor) if hears else vision_language(thinker, processor)

    def optimizers(self, learner, learning_rate):
        """Muon for the matrices inside the layers, so that the encoders learn from far fewer clips; AdamW otherwise."""
        trained = {name: p for name, p in learner.named_parameters() if p.requires_grad}
        tables = ("embed_tokens", "lm_head", "audio_bos_eos_token")
        matrices = {n: p for n, p in trained.items() if p.ndim == 2 and not any(table in n for table in tables)}
        rest = [p for name, p in trained.items() if name not in matrices]
        return (
            Muon(matrices.values(), 2.5 * learning_rate, weight_decay=0.01),
            torch.optim.AdamW(rest, learning_rate, betas=(0.9, 0.98), weight_decay=0.01),
        )

    def save(self, learner, out, hears):
        """Write a checkpoint in float16, as transformers reads it.

        Args:
            learner: a trained one.
            out: an existing folder.
            hears: False for the vision-language base.
        """
        hf, processor = self.prompter(learner.thinker, learner.processor, hears)
        hf.half().save_pretrained(out)
        processor.save_pretrained(out)
