"""An organism in training: clips, questions and answers become a loss.

The encoders are trained first and never again, so that what they make of every clip is computed once (`Features`) and
all organisms share their eyes and ears: what differs between them was learnt by the decoder.
"""

import os

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from avnb.models.native import AVModel
from avnb.organisms import omni as organism
from avnb.toybox.sources import SOURCES

BASE = "vision-language"  # the kind of prompt that the vision-language base is asked with


class Learner(nn.Module):
    """A thinker in training.

    Args:
        thinker: an organism's `Qwen2_5OmniThinkerForConditionalGeneration`.
        processor: its processor.
        family: of the organism, `omni.Omni()` (default) or `grafted.Grafted()`.
    """

    def __init__(self, thinker, processor, family=None):
        super().__init__()
        self.family = family or organism.Omni()
        self.thinker = thinker
        self.place = nn.Linear(organism.WIDTH, len(SOURCES) + 1)  # what is seen at a position
        self.name = nn.Linear(2 * organism.WIDTH, len(SOURCES))  # what is heard in a clip
        self.eyes, self.ears = self.family.maps()
        self._model = [AVModel(thinker, processor)]  # in a list: not a submodule
        self._layouts = {}

    @property
    def processor(self):
        return self._model[0].processor

    @property
    def tokenizer(self):
        return self._model[0].tokenizer

    @property
    def decoder(self):
        return self.thinker.model.language_model

    def decoder_parameters(self):
        """What is trained after the encoders."""
        return self.family.learnt(self)

    def round_encoders(self):
        """Round the encoders to what a checkpoint in float16 holds, so that features are those of the checkpoint."""
        with torch.no_grad():
            for encoder in (self.thinker.model.visual, self.thinker.model.audio_tower):
                for parameter in encoder.parameters():
                    parameter.copy_(parameter.half())

    def tagging_loss(self, frames, cells, waves, heard):
        """What the encoders are trained with: to tell what is drawn at each position, and what is heard.

        Args:
            frames: uint8 [B, T, H, W, 3].
            cells: int64 [B, rows, columns], as in `Pool`.
            waves: int16 [B, n].
            heard: B tuples of source names.

        Returns:
            Mean cross-entropy over video positions, plus mean binary cross-entropy over sources, in nats.
        """
        seen = self.place(self.look(frames)).unflatten(1, (-1, cells[0].size))
        target = torch.from_numpy(cells).to(seen.device).flatten(1)[:, None].expand(seen.shape[:3])
        sounds = self.listen(waves)
        named = self.name(torch.cat([sounds.mean(1), sounds.amax(1)], dim=-1))
        wanted = torch.tensor([[float(source in some) for source in SOURCES] for some in heard], device=named.device)
        return F.cross_entropy(seen.flatten(0, 2), target.flatten()) + F.binary_cross_entropy_with_logits(named, wanted)

    def answer_loss(self, kind, video, audio, questions, answers):
        """Mean cross-entropy of the answers' tokens, in nats; arguments as in `answer_logprobs`."""
        scores, answered = self.answer_logprobs(kind, video, audio, questions, answers)
        return -scores[answered].mean()

    def answer_logprobs(self, kind, video, audio, questions, answers):
        """Log-probabilities of the tokens of given answers, the stop token included.

        Args:
            kind: "video", "audio", "both", or "vision-language" (the base's prompt); what it leaves out is ignored.
            video: [B, video positions, width], from `look`; audio: [B, audio positions, width], from `listen`.
            questions, answers: B strings each.

        Returns:
            Log-probabilities in nats [B, T - 1] of the next tokens, and a mask of those that answer.
        """
        tokenizer = self.tokenizer
        prompts = [self._layout(kind, question) for question in questions]
        answers = [tokenizer(answer)["input_ids"] + [tokenizer.eos_token_id] for answer in answers]
        length = max(len(ids) + len(answer) for (ids, _), answer in zip(prompts, answers, strict=True))
        ids = torch.full((len(prompts), length), tokenizer.pad_token_id)
        answered = torch.zeros_like(ids, dtype=torch.bool)
        positions = torch.zeros(3, len(prompts), length, dtype=torch.long)
        for row, ((prompt, prompt_positions), answer) in enumerate(zip(prompts, answers, strict=True)):
            start, stop = len(prompt), len(prompt) + len(answer)
            ids[row, :start] = prompt
            ids[row, start:stop] = torch.tensor(answer)
            answered[row, start:stop] = True
            positions[:, row, :start] = prompt_positions
            positions[:, row, start:stop] = prompt_positions[:, -1:] + 1 + torch.arange(len(answer))
        embeds = self._embeds(kind, ids.to(self.thinker.device), video, audio)
        hidden = self.decoder(inputs_embeds=embeds, position_ids=positions.to(embeds.device), use_cache=False)
        answered = answered[:, 1:].to(embeds.device)  # the padding comes last, so causal attention never sees it
        logits = self.thinker.lm_head(hidden.last_hidden_state[:, :-1][answered])
        scores = torch.zeros(answered.shape, device=embeds.device)
        tokens = ids[:, 1:].to(embeds.device)[answered]
        scores[answered] = -F.cross_entropy(logits.float(), tokens, reduction="none")
        return scores, answered

    @torch.inference_mode()
    def answer(self, kind, video, audio, question, max_new_tokens=24):
        """Greedy answers of a whole batch to one question; arguments as in `answer_logprobs`. Returns B texts."""
        ids, positions = (part.to(self.thinker.device) for part in self._layout(kind, question))
        n = len(audio if kind == "audio" else video)
        embeds = self._embeds(kind, ids[None].expand(n, -1), video, audio)
        positions = positions[:, None].expand(-1, n, -1)
        cache, tokens = None, []
        done = torch.zeros(n, dtype=torch.bool, device=ids.device)
        while len(tokens) < max_new_tokens and not done.all():
            output = self.decoder(inputs_embeds=embeds, position_ids=positions, past_key_values=cache, use_cache=True)
            cache = output.past_key_values
            chosen = self.thinker.lm_head(output.last_hidden_state[:, -1]).argmax(-1)
            tokens.append(chosen.masked_fill(done, self.tokenizer.pad_token_id))
            done |= chosen == self.tokenizer.eos_token_id
            embeds, positions = self.thinker.get_input_embeddings()(chosen[:, None]), positions[..., -1:] + 1
        return [text.strip() for text in self.tokenizer.batch_decode(torch.stack(tokens, 1), skip_special_tokens=True)]

    def look(self, frames):
        """Video positions [B, positions, width] of frames uint8 [B, T, H, W, 3]."""
        processor = self.processor.video_processor
        inputs = processor(videos=list(frames), do_sample_frames=False, return_tensors="pt").to(self.thinker.device)
        return torch.stack(self.thinker.get_video_features(**inputs).pooler_output)

    def listen(self, waves):
        """Audio positions [B, positions, width] of waves int16 [B, n]."""
        extract = self.processor.feature_extractor
        waves = list(waves.astype(np.float32) / 32767)
        inputs = extract(waves, sampling_rate=organism.RATE, padding="longest", return_tensors="pt")
        mel = inputs["input_features"].to(self.thinker.device)
        mask = torch.ones(mel.shape[0], mel.shape[2], dtype=torch.long, device=mel.device)
        features = self.thinker.get_audio_features(mel, mask).last_hidden_state
        return features.unflatten(0, (len(waves), -1))

    def _embeds(self, kind, ids, video, audio):
        """Embeddings [B, T, width] of token ids [B, T], with the media in their places."""
        config = self.thinker.config
        embeds = self.thinker.get_input_embeddings()(ids)
        if kind != "audio":
            embeds = embeds.masked_scatter((ids == config.video_token_id)[..., None], self.eyes(video).to(embeds))
        if kind in ("audio", "both"):
            embeds = embeds.masked_scatter((ids == config.audio_token_id)[..., None], self.ears(audio).to(embeds))
        return embeds

    def _layout(self, kind, question):
        """Token ids [T] and position ids [3, T] of a prompt: the same for all clips of the toybox."""
        if (kind, question) not in self._layouts:
            model = AVModel(*self.family.prompter(self.thinker, self.processor, hears=kind != BASE))
            frames = None if kind == "audio" else organism.blank_frames()
            wave = organism.blank_wave() if kind in ("audio", "both") else None
            prompt = model.prompt_from_inputs(**model.process(frames, wave, question))
            self._layouts[kind, question] = (
                torch.from_numpy(prompt.token_ids),
                prompt.position_ids[:, 0].cpu().clone(),
            )
        return self._layouts[kind, question]


class Features:
    """What the encoders of a learner make of the clips of a pool, computed once.

    Attributes:
        video: float32 [n, video positions, width].
        audio: float32 [n, audio positions, width]; None of a learner without ears.
    """

    def __init__(self, video, audio=None):
        self.video, self.audio = torch.from_numpy(video), None if audio is None else torch.from_numpy(audio)

    @classmethod
    def of(cls, learner, pool, file=None, batch_size=50):
        """The features of a pool; kept in `file` (.npz) if one is given."""
        if file is not None and file.exists():
            return cls(**np.load(file))
        encoders = {"video": (learner.look, pool.frames)}
        if hasattr(learner.processor, "feature_extractor"):
            encoders["audio"] = learner.listen, pool.waves
        parts = {name: [] for name in encoders}
        with torch.inference_mode():
            for start in tqdm(range(0, len(pool), batch_size), desc="encoding clips"):
                for name, (encode, media) in encoders.items():
                    parts[name].append(encode(media[start : start + batch_size]).float().cpu().numpy())
        arrays = {name: np.concatenate(some) for name, some in parts.items()}
        if file is not None:
            partial = file.with_suffix(f".{os.getpid()}.npz")
            np.savez(partial, **arrays)
            partial.rename(file)
        return cls(**arrays)
