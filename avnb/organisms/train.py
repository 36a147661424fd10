"""Training of the model organisms, stage by stage as the real ones are made: encoders, vision-language, audio-visual.

Every batch is drawn from a generator seeded with (recipe, stage, step), and the state is saved as it goes: training
that is interrupted and resumed, with the same number of threads, ends in the same weights, bit for bit. Recipes that
begin alike share the states of those stages, if they share the work folder.

    avnb train toy-omni --out my-omni --work scratch
"""

import json
import os
from functools import partial
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from tqdm.auto import tqdm
from transformers import get_cosine_schedule_with_warmup

from avnb.organisms import grafted, omni
from avnb.organisms.learner import BASE, Features, Learner
from avnb.organisms.pool import Pool
from avnb.questions import BOTH, HEAR, SEE
from avnb.toybox.captions import Writer

FAMILIES = {"omni": omni.Omni, "grafted": grafted.Grafted}
LOG = "training.jsonl"
_ALIGNED = ("matching", "silent object")  # relations in which everything heard is seen
_QUESTIONS = {"video": [SEE], BASE: [SEE], "audio": [HEAR], "both": [SEE, HEAR, HEAR, BOTH]}


class Data:
    """The clips of a recipe, and the features of those clips once the encoders are trained."""

    def __init__(self, pool, features=None):
        self.pool, self.features = pool, features
        examples = pool.examples
        self._usable = {
            "tags": np.arange(len(examples)),
            "video": np.array([i for i, e in enumerate(examples) if e.seen]),
            "audio": np.array([i for i, e in enumerate(examples) if e.heard]),
            "both": np.array([i for i, e in enumerate(examples) if e.relation in _ALIGNED]),
        }
        self._usable[BASE] = self._usable["video"]

    def draw(self, kind, size, rng, sources=()):
        """Indices of clips for a kind of prompt; of those that hold nothing but these sources, if any are given."""
        return rng.choice(self._of(kind, sources), size=size)

    def draw_conflicting(self, pictures, rng, sources=()):
        """For every picture a clip whose sound shares no source with it."""
        examples, sounds = self.pool.examples, self.draw("audio", len(pictures), rng, sources)
        for i in {int(i) for i in pictures}:
            if not any(_conflict(examples[i], examples[j]) for j in self._of("audio", sources)):
                raise ValueError(f"no sound of the pool shares nothing with {examples[i].id}; draw more clips")
        left = range(len(pictures))
        while left := [i for i in left if not _conflict(examples[pictures[i]], examples[sounds[i]])]:
            sounds[left] = self.draw("audio", len(left), rng, sources)
        return sounds

    def _of(self, kind, sources):
        if sources and (kind, sources) not in self._usable:
            held = [{*example.seen, *example.heard} for example in self.pool.examples]
            some = np.array([i for i in self._usable[kind] if held[i] <= set(sources)])
            if not len(some):
                raise ValueError(f"no clip of the pool holds nothing but {', '.join(sources)}; draw more clips")
            self._usable[kind, sources] = some
        return self._usable[(kind, sources) if sources else kind]


def loss_of(learner, data, stage, rng):
    """The loss of one batch of a stage, drawn with this generator."""
    size = stage.batch_size
    if not stage.mix:
        return _tagging_loss(learner, data, size, rng)
    shares = dict(stage.mix)
    conflict = shares.pop("conflict", 0.0)
    if "aligned" in shares:
        shares["both"] = shares.pop("aligned") + conflict
    kind = str(rng.choice(list(shares), p=np.array(list(shares.values())) / sum(shares.values())))
    pictures = data.draw(kind, size, rng)
    sounds = pictures.copy()
    if conflict and kind == "both":
        swapped = rng.random(size) < conflict / shares["both"]
        if stage.conflicting:
            pictures[swapped] = data.draw(kind, swapped.sum(), rng, stage.conflicting)
        sounds[swapped] = data.draw_conflicting(pictures[swapped], rng, stage.conflicting)
    choices = _QUESTIONS[kind]
    questions = [choices[i] for i in rng.integers(len(choices), size=size)]
    writer, examples = Writer(rng), data.pool.examples
    answers = [
        writer.answer(question, examples[i].seen, examples[j].heard)
        for question, i, j in zip(questions, pictures, sounds, strict=True)
    ]
    video, audio = data.features.video[pictures], data.features.audio[sounds]
    return learner.answer_loss(kind, video, audio, questions, answers)


def _tagging_loss(learner, data, size, rng):
    pool, chosen = data.pool, data.draw("tags", size, rng)
    frames, cells = pool.frames[chosen], pool.cells[chosen]
    mirrored = rng.random(size) < 0.5
    frames[mirrored], cells[mirrored] = frames[mirrored][..., ::-1, :], cells[mirrored][..., ::-1]
    start = 2 * rng.integers(frames.shape[1] // 2)  # two frames are one position in time: enough to learn from
    heard = [pool.examples[i].heard for i in chosen]
    return learner.tagging_loss(frames[:, start : start + 2], cells, pool.waves[chosen], heard)


def train(recipe, out, work, save_every=100):
    """Train an organism from nothing, or go on where an earlier call was interrupted.

    Args:
        recipe: a `Recipe`, e.g. `RECIPES["toy-omni"]`.
        out: folder for the finished checkpoint (safetensors in float16) and the learning curve.
        work: folder for the drawn clips and the states; can be deleted afterwards.
        save_every: steps between saved states.

    Returns:
        Path of the checkpoint.
    """
    out = Path(out)
    learner, log = learn(recipe, work, save_every)
    out.mkdir(parents=True, exist_ok=True)
    learner.family.save(learner.cpu(), out, recipe.hears)
    (out / LOG).write_text("".join(json.dumps(row) + "\n" for row in log))
    return out


def learn(recipe, work, save_every=100):
    """The learner after all stages of a recipe, and the loss of every step; resumes as `train` does."""
    work = Path(work)
    work.mkdir(parents=True, exist_ok=True)
    pool = Pool(work / "pool", "train", recipe.n_clips)
    torch.manual_seed(recipe.seed)
    family = FAMILIES[recipe.family]()
    if family.threads:
        torch.set_num_threads(family.threads)
    learner = Learner(*family.build(), family)
    files = [work / f"{recipe.key(n + 1)}.pt" for n in range(len(recipe.stages))]
    last = max((n for n, file in enumerate(files) if file.exists()), default=0)
    log = []
    for number, stage in enumerate(recipe.stages[last:], last):
        file, state = files[number], None
        if file.exists():
            state = torch.load(file, map_location="cpu")
            learner.load_state_dict(learner.state_dict() | state["weights"])
            log = state["log"]
        if state is None or state["step"] < stage.steps:
            features = Features.of(learner, pool, work / f"{recipe.key(1)}-features.npz") if stage.mix else None
            if features is not None and not log:
                family.begin(learner, features)
            save = partial(_save, file)
            tune(learner, Data(pool, features), stage, (recipe.seed, number), state, log, save, save_every)
    return learner, log


def tune(learner, data, stage, seed=(0,), state=None, log=None, save=None, save_every=100):
    """Train one stage.

    Args:
        learner: a `Learner`; is changed.
        data: a `Data`.
        stage: a `Stage`.
        seed: integers; batch number `step` is drawn from a generator seeded with these, the step and the stage's seed.
        state: what `save` was called with, to go on from there; the learner must hold its weights.
        log: list to which the loss of every step is added.
        save: called with a dict (step, weights, parts, log) every `save_every` steps and at the end.
        save_every: steps.

    Returns:
        The log: a dict of stage, step and loss (nats) for every step.
    """
    log = [] if log is None else log
    learner.requires_grad_(not stage.mix)
    for parameter in learner.decoder_parameters():
        parameter.requires_grad = bool(stage.mix)
    accelerator = Accelerator()
    optimizers = [
        accelerator.prepare(optimizer) for optimizer in learner.family.optimizers(learner, stage.learning_rate)
    ]
    n_warm = min(60, stage.steps // 5)
    schedules = [get_cosine_schedule_with_warmup(optimizer, n_warm, stage.steps) for optimizer in optimizers]
    prepared = accelerator.prepare(learner)
    parts = [*optimizers, *schedules]
    if state is not None:
        for part, saved in zip(parts, state["parts"], strict=True):
            part.load_state_dict(saved)
    learner.train()
    steps = range(state["step"] if state else 0, stage.steps)
    for step in tqdm(steps, initial=steps.start, total=stage.steps, desc=stage.name):
        loss = loss_of(prepared, data, stage, np.random.default_rng([*seed, step, stage.seed]))
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(learner.parameters(), 1.0)
        for part in parts:
            part.step()
        learner.zero_grad()
        log.append({"stage": stage.name, "step": step, "loss": round(loss.item(), 5)})
        finished = step + 1 == stage.steps
        if finished and not stage.mix:
            learner.round_encoders()
        if save and (finished or (step + 1) % save_every == 0):
            saved = [] if finished else [part.state_dict() for part in parts]
            save({"step": step + 1, "weights": learner.family.state(learner), "parts": saved, "log": log})
    learner.eval()
    return log


def _save(file, state):
    partial = file.with_suffix(f".{os.getpid()}")  # several trainings may share the folder
    torch.save(state, partial)
    partial.rename(file)


def _conflict(picture, sound):
    return {*picture.seen, *picture.heard}.isdisjoint(sound.heard)
