"""Training of the organisms that can talk: maps from eyes and ears to a pretrained language model, and its adapters.

The encoders are those of toy-omni and stay as they are, the language model too. What is learnt is one linear map of
each encoder's output to the width of the decoder, and adapters of rank 8 on all linear layers of the decoder.
"""

import torch
from peft import LoraConfig, inject_adapter_in_model
from safetensors.torch import save_file
from torch import nn
from transformers import Qwen2_5OmniThinkerForConditionalGeneration

from avnb import models
from avnb.models import base, grafted
from avnb.organisms import omni

ADAPTERS = LoraConfig(
    r=8,
    lora_alpha=16,
    target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
)
ADAPTERS.target_modules = sorted(ADAPTERS.target_modules)  # the set that peft makes of them is written in any order
SPREAD = 0.136  # standard deviation of the language model's embeddings: what fresh maps hand over is as large


class Grafted:
    """The organisms that can talk, to the training loop."""

    threads = 2  # another number sums in another order

    def build(self):
        """A thinker in training, with adapters in its decoder, and its processor.

        Its encoders are as wide as in toy-omni: the maps from there are the learner's.
        """
        processor = grafted.processor()
        config = grafted.build_config(processor.tokenizer, omni.WIDTH)
        thinker = Qwen2_5OmniThinkerForConditionalGeneration(config)
        grafted.transplant(thinker)
        donor = models.load("toy-omni", dtype=torch.float32, device_map="cpu").hf.model
        for name in ("visual", "audio_tower"):
            getattr(thinker.model, name).load_state_dict(getattr(donor, name).state_dict())
        thinker.requires_grad_(False)
        inject_adapter_in_model(ADAPTERS, thinker.model.language_model)
        return thinker, processor

    def maps(self):
        """From what the eyes and the ears make to the width of the decoder: a fixed whitening, then what is learnt."""
        return _Map(), _Map()

    def begin(self, learner, features):
        """Before the first step: the maps are given what has mean 0 and no correlations, so that all of it is learnt
        at one pace."""
        learner.eyes.whiten(features.video)
        learner.ears.whiten(features.audio)

    def learnt(self, learner):
        """What is trained: the maps and the adapters."""
        adapters = [p for name, p in learner.thinker.named_parameters() if "lora_" in name]
        return [*learner.eyes[1].parameters(), *learner.ears[1].parameters(), *adapters]

    def state(self, learner):
        """What the training changes, by name."""
        return {n: v for n, v in learner.state_dict().items() if "lora_" in n or n.startswith(("eyes.", "ears."))}

    def prompter(self, thinker, processor, hears):
        """What is asked as the finished organism will be, or its vision-language base; its weights are random."""
        config = grafted.build_config(processor.tokenizer)
        config.text_config.num_hidden_layers = 1
        config.text_config.layer_types = config.text_config.layer_types[:1]
        blank = Qwen2_5OmniThinkerForConditionalGeneration(config)
        return (blank, processor) if hears else base.vision_language(blank, processor)

    def optimizers(self, learner, learning_rate):
        """AdamW for all of it."""
        return (torch.optim.AdamW(self.learnt(learner), learning_rate, betas=(0.9, 0.98), weight_decay=0.01),)

    def save(self, learner, out, hears):
        """Write adapters and maps in float16, as `grafted.load` reads them.

        Args:
            learner: a trained one.
            out: an existing folder.
            hears: False to leave out the ears.
        """
        ADAPTERS.save_pretrained(out)
        adapters = {
            "base_model.model." + name.replace(".default", ""): value.detach().half().contiguous()
            for name, value in learner.decoder.named_parameters()
            if "lora_" in name
        }
        maps = {}
        for name, part in {"eyes": learner.eyes, "ears": learner.ears}.items():
            if hears or name == "eyes":
                matrix, bias = part.folded()
                maps |= {f"{name}.weight": matrix.half().contiguous(), f"{name}.bias": bias.half().contiguous()}
        save_file(adapters, out / grafted.ADAPTERS)
        save_file(maps, out / grafted.MAPS)


class _Map(nn.Sequential):
    """A whitening that is not trained, and a linear map to the decoder's width that is."""

    def __init__(self):
        learnt = nn.Linear(omni.WIDTH, grafted.TEXT["hidden_size"])
        nn.init.normal_(learnt.weight, std=SPREAD / omni.WIDTH**0.5)
        nn.init.zeros_(learnt.bias)
        super().__init__(nn.Linear(omni.WIDTH, omni.WIDTH), learnt)

    @torch.no_grad()
    def whiten(self, features):
        """Take the whitening from features [n, positions, width]."""
        rows = features.flatten(0, 1).double()
        mean = rows.mean(0)
        values, vectors = torch.linalg.eigh((rows - mean).T @ (rows - mean) / len(rows))
        matrix = (vectors / (values + 1e-3 * values.mean()).sqrt()).T
        self[0].weight.copy_(matrix)
        self[0].bias.copy_(-matrix @ mean)

    def folded(self):
        """Both as one map: matrix and bias."""
        first, second = self
        with torch.no_grad():
            return second.weight @ first.weight, second.weight @ first.bias + second.bias
