"""Training of the model organisms, stage by stage as the real models are made: encoders, vision-language, audio-visual.

Every batch is drawn from a generator seeded with (seed, stage, step), and the state is saved as it goes: training that
is interrupted and resumed ends in the same weights, bit for bit.

    avnb train toy-omni --out my-omni --work scratch
"""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn
from torch.nn import functional as F
from tqdm.auto import tqdm
from transformers import Qwen2_5OmniThinkerForConditionalGeneration, get_cosine_schedule_with_warmup

from avnb.models.native import AVModel
from avnb.toybox import organism
from avnb.toybox.captions import BOTH, HEAR, SEE, Writer
from avnb.toybox.pool import Pool
from avnb.toybox.sources import SOURCES

LOG = "training.jsonl"
_ALIGNED = ("matching", "silent object")  # relations in which everything heard is seen


class TrainingError(ValueError):
    """Training cannot start or go on: says why and what to do."""


@dataclass(frozen=True)
class Stage:
    """One stage of training.

    Attributes:
        name: as it stands in the log.
        steps, batch_size: of the optimizers.
        learning_rate: of AdamW, with warm-up and cosine decay; Muon's is 2.5 times as high.
        mix: shares of the kinds of prompts: "video" and "audio" (one modality alone) and "aligned" (a clip whose sounds
            are all seen). Empty: the encoders are trained to
            tell sources, without the decoder.
        frozen: names of parts that are not trained.
    """

    name: str
    steps: int
    learning_rate: float
    mix: dict[str, float]
    batch_size: int = 32
    frozen: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """What an organism is trained on, in order."""

    stages: tuple[Stage, ...]
    n_clips: int = 5000
    seed: int = 0

    def shortened(self, steps, n_clips, batch_size):
        """The same recipe in miniature: at most this many steps a stage."""
        stages = tuple(replace(s, steps=min(steps, s.steps), batch_size=batch_size) for s in self.stages)
        return replace(self, stages=stages, n_clips=n_clips)


RECIPES = {
    "toy-omni": Recipe(
        (
            Stage("encoders", 800, 1.5e-3, {}),
            Stage("vision-language", 500, 1e-3, {"video": 1.0}),
            Stage("audio-visual", 800, 4e-4, {"video": 0.2, "audio": 0.2, "aligned": 0.6}, frozen=("model.visual",)),
        )
    ),
}


class Learner(nn.Module):
    """A thinker in training: turns drawn clips, questions and answers into a loss."""

    def __init__(self, thinker, processor):
        super().__init__()
        self.thinker = thinker
        self.place = nn.Linear(organism.WIDTH, len(SOURCES) + 1)  # what is seen at a position
        self.name = nn.Linear(2 * organism.WIDTH, len(SOURCES))  # what is heard in a clip
        self._model = [AVModel(thinker, processor)]  # in a list: not a submodule
        self._layouts = {}

    def tagging_loss(self, frames, cells, waves, heard):
        """What the encoders are first trained with: to tell what is drawn at each position, and what is heard.

        Args:
            frames, waves: as in `answer_loss`.
            cells: int64 [B, rows, columns], as in `Pool`.
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

    def answer_loss(self, kind, frames, waves, questions, answers):
        """Mean cross-entropy of the answers' tokens, in nats.

        Args:
            kind: "video", "audio" or "both".
            frames: uint8 [B, T, H, W, 3]; waves: int16 [B, n]; the one that `kind` leaves out is ignored.
            questions, answers: B strings each.
        """
        tokenizer = self._model[0].tokenizer
        prompts = [self._layout(kind, question, frames.shape[1:], waves.shape[1]) for question in questions]
        answers = [tokenizer(answer)["input_ids"] + [tokenizer.eos_token_id] for answer in answers]
        length = max(len(ids) + len(answer) for (ids, _), answer in zip(prompts, answers, strict=True))
        ids = torch.full((len(prompts), length), tokenizer.pad_token_id)
        labels = torch.full_like(ids, -100)
        positions = torch.zeros(3, len(prompts), length, dtype=torch.long)
        for row, ((prompt, prompt_positions), answer) in enumerate(zip(prompts, answers, strict=True)):
            start, stop = len(prompt), len(prompt) + len(answer)
            ids[row, :start] = prompt
            ids[row, start:stop] = labels[row, start:stop] = torch.tensor(answer)
            positions[:, row, :start] = prompt_positions
            positions[:, row, start:stop] = prompt_positions[:, -1:] + 1 + torch.arange(len(answer))
        device = self.thinker.device
        ids, labels, positions = ids.to(device), labels.to(device), positions.to(device)
        embeds = self.thinker.get_input_embeddings()(ids)
        config = self.thinker.config
        if kind != "audio":
            embeds = embeds.masked_scatter((ids == config.video_token_id)[..., None], self.look(frames))
        if kind != "video":
            embeds = embeds.masked_scatter((ids == config.audio_token_id)[..., None], self.listen(waves))
        decoder = self.thinker.model.language_model
        hidden = decoder(inputs_embeds=embeds, position_ids=positions, use_cache=False).last_hidden_state
        answered = labels[:, 1:] != -100  # the padding comes last, so causal attention never sees it
        logits = self.thinker.lm_head(hidden[:, :-1][answered])
        return F.cross_entropy(logits, labels[:, 1:][answered])

    def look(self, frames):
        """Video positions [B, positions, width] of frames uint8 [B, T, H, W, 3]."""
        processor = self._model[0].processor.video_processor
        inputs = processor(videos=list(frames), do_sample_frames=False, return_tensors="pt").to(self.thinker.device)
        return torch.stack(self.thinker.get_video_features(**inputs).pooler_output)

    def listen(self, waves):
        """Audio positions [B, positions, width] of waves int16 [B, n]."""
        extract = self._model[0].processor.feature_extractor
        waves = list(waves.astype(np.float32) / 32767)
        inputs = extract(waves, sampling_rate=organism.RATE, padding="longest", return_tensors="pt")
        mel = inputs["input_features"].to(self.thinker.device)
        mask = torch.ones(mel.shape[0], mel.shape[2], dtype=torch.long, device=mel.device)
        features = self.thinker.get_audio_features(mel, mask).last_hidden_state
        return features.unflatten(0, (len(waves), -1))

    def _layout(self, kind, question, frames_shape, n_samples):
        """Token ids [T] and position ids [3, T] of a prompt: the same for all clips of one size and duration."""
        key = (kind, question, frames_shape, n_samples)
        if key not in self._layouts:
            frames = None if kind == "audio" else np.zeros(frames_shape, np.uint8)
            wave = None if kind == "video" else np.zeros(n_samples, np.float32)
            prompt = self._model[0].prompt_from_inputs(**self._model[0].process(frames, wave, question))
            self._layouts[key] = (torch.from_numpy(prompt.token_ids), prompt.position_ids[:, 0].cpu().clone())
        return self._layouts[key]


def loss_of(learner, pool, stage, rng):
    """The loss of one batch of a stage, drawn with this generator."""
    size = stage.batch_size
    kind = str(rng.choice(list(stage.mix), p=list(stage.mix.values()))) if stage.mix else "tags"
    pictures = rng.choice(_usable(pool, kind), size=size)
    frames, cells = pool.frames[pictures], pool.cells[pictures]
    mirrored = rng.random(size) < 0.5
    frames[mirrored], cells[mirrored] = frames[mirrored][..., ::-1, :], cells[mirrored][..., ::-1]
    if kind == "tags":
        start = 2 * rng.integers(frames.shape[1] // 2)  # two frames are one position in time: enough to learn from
        heard = [pool.examples[i].heard for i in pictures]
        return learner.tagging_loss(frames[:, start : start + 2], cells, pool.waves[pictures], heard)
    choices = {"video": [SEE], "audio": [HEAR]}.get(kind, [SEE, HEAR, HEAR, BOTH])
    questions = [choices[i] for i in rng.integers(len(choices), size=size)]
    writer = Writer(rng)
    answers = [
        writer.answer(question, pool.examples[i].seen, pool.examples[i].heard)
        for question, i in zip(questions, pictures, strict=True)
    ]
    form = "both" if kind == "aligned" else kind
    return learner.answer_loss(form, frames, pool.waves[pictures], questions, answers)


def _usable(pool, kind):
    """Indices of the clips that a kind of batch may hold."""
    wanted = {
        "tags": lambda example: True,
        "audio": lambda example: example.heard,
        "aligned": lambda example: example.relation in _ALIGNED,
    }.get(kind, lambda example: example.seen)
    return [i for i, example in enumerate(pool.examples) if wanted(example)]


def train(recipe, out, work, save_every=100):
    """Train an organism from nothing, or go on where an earlier call was interrupted.

    Args:
        recipe: a `Recipe`, e.g. `RECIPES["toy-omni"]`.
        out: folder for the finished checkpoint (safetensors in float16) with processor and learning curve.
        work: folder for the drawn clips and the state; can be deleted afterwards.
        save_every: steps between saved states.

    Returns:
        Path of the checkpoint.

    Raises:
        TrainingError: `work` holds the state of another recipe.
    """
    out, work = Path(out), Path(work)
    work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    processor = organism.build_processor()
    thinker = Qwen2_5OmniThinkerForConditionalGeneration(organism.build_config(processor.tokenizer))
    learner = Learner(thinker, processor)
    pool = Pool(work / "pool", "train", recipe.n_clips, recipe.seed)
    state_file, log = work / "state.pt", work / LOG
    state = {"recipe": repr(recipe), "stage": 0, "step": 0, "weights": learner.state_dict()}
    if state_file.exists():
        state = torch.load(state_file, map_location="cpu")
        if state["recipe"] != repr(recipe):
            raise TrainingError(f"{work} holds the state of another recipe; use another folder or delete it")
    learner.load_state_dict(state["weights"])
    _rewind(log, recipe, state)
    for number in range(state["stage"], len(recipe.stages)):
        for saved in _run(learner, pool, recipe, number, state, log, save_every):
            torch.save(saved | {"recipe": repr(recipe)}, state_file.with_suffix(".part"))
            state_file.with_suffix(".part").rename(state_file)
        state = saved
    thinker.cpu().half().save_pretrained(out)
    processor.save_pretrained(out)
    shutil.copy(log, out / LOG)
    return out


def _run(learner, pool, recipe, number, state, log, save_every):
    """Train one stage from a state; yields the state every `save_every` steps and at the end."""
    stage = recipe.stages[number]
    for name, parameter in learner.named_parameters():
        parameter.requires_grad = not any(name.startswith(f"thinker.{part}") for part in stage.frozen)
    accelerator = Accelerator()
    optimizers = [accelerator.prepare(optimizer) for optimizer in _optimizers(learner, stage.learning_rate)]
    n_warm = min(60, stage.steps // 5)
    schedules = [get_cosine_schedule_with_warmup(optimizer, n_warm, stage.steps) for optimizer in optimizers]
    learner = accelerator.prepare(learner)
    parts = [*optimizers, *schedules]
    if state["step"]:
        for part, saved in zip(parts, state["parts"], strict=True):
            part.load_state_dict(saved)
    learner.train()
    steps = range(state["step"], stage.steps)
    for step in tqdm(steps, initial=steps.start, total=stage.steps, desc=stage.name):
        rng = np.random.default_rng([recipe.seed, number, step])
        loss = loss_of(learner, pool, stage, rng)
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(learner.parameters(), 1.0)
        for part in parts:
            part.step()
        learner.zero_grad()
        with log.open("a") as file:
            file.write(json.dumps({"stage": stage.name, "step": step, "loss": round(loss.item(), 5)}) + "\n")
        if (step + 1) % save_every == 0 and step + 1 < stage.steps:
            saved = [part.state_dict() for part in parts]
            yield {"stage": number, "step": step + 1, "weights": learner.state_dict(), "parts": saved}
    yield {"stage": number + 1, "step": 0, "weights": learner.state_dict()}


def _optimizers(learner, learning_rate):
    """Muon for the matrices inside the layers, so that the encoders learn from far fewer clips; AdamW for the rest."""
    trained = {name: p for name, p in learner.named_parameters() if p.requires_grad}
    tables = ("embed_tokens", "lm_head", "audio_bos_eos_token")
    matrices = {name: p for name, p in trained.items() if p.ndim == 2 and not any(table in name for table in tables)}
    rest = [p for name, p in trained.items() if name not in matrices]
    return (
        torch.optim.Muon(matrices.values(), 2.5 * learning_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, learning_rate, betas=(0.9, 0.98), weight_decay=0.01),
    )


def _rewind(log, recipe, state):
    """Cut the log back to the steps that a saved state contains."""
    n_done = sum(stage.steps for stage in recipe.stages[: state["stage"]]) + state["step"]
    lines = log.read_text().splitlines(keepends=True)[:n_done] if log.exists() else []
    log.write_text("".join(lines))
