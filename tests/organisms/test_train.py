"""Training: resumes bit for bit, learns from the very prompts that the model is asked with."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import avnb
from avnb.models.native import AVModel
from avnb.organisms import omni as organism
from avnb.organisms import pool as pools
from avnb.organisms import recipes
from avnb.organisms import train as training
from avnb.organisms.learner import BASE, Features, Learner
from avnb.organisms.pool import Pool
from avnb.questions import BOTH, HEAR, SEE

pytestmark = pytest.mark.organism

MINIATURE = recipes.RECIPES["toy-omni-balanced"].shortened(steps=3, n_clips=12, batch_size=2)


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return Pool(tmp_path_factory.mktemp("pool"), "train", n=12, workers=1)


@pytest.fixture
def drawn(monkeypatch, pool):
    """Every training takes the same clips, drawn once."""
    monkeypatch.setattr(training, "Pool", lambda *args: pool)


@pytest.fixture(scope="module")
def learner(random_organism):
    return Learner(random_organism.hf, random_organism.processor).eval()


@pytest.fixture(scope="module")
def features(learner, pool):
    return Features.of(learner, pool)


def weights(folder):
    return load_file(folder / "model.safetensors")


def assert_equal(a, b):
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_interrupted_training_ends_in_the_same_weights(tmp_path, monkeypatch, drawn):
    whole = training.train(MINIATURE, tmp_path / "whole", tmp_path / "work-whole", save_every=2)
    real, calls = training.loss_of, []

    def interrupted(*args):
        calls.append(args)
        if len(calls) in (3, 6):  # once past a saved state, once in a stage of which nothing is saved yet
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(training, "loss_of", interrupted)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            training.train(MINIATURE, tmp_path / "parts", tmp_path / "work-parts", save_every=2)
    parts = training.train(MINIATURE, tmp_path / "parts", tmp_path / "work-parts", save_every=2)
    assert_equal(weights(whole), weights(parts))
    logs = [(folder / training.LOG).read_text() for folder in (whole, parts)]
    assert logs[0] == logs[1]
    assert len(logs[0].splitlines()) == 3 * len(MINIATURE.stages)


def test_recipes_that_begin_alike_share_their_states(tmp_path, monkeypatch, drawn):
    training.train(MINIATURE, tmp_path / "first", tmp_path / "work")
    steps = []
    real = training.loss_of
    monkeypatch.setattr(training, "loss_of", lambda *args: steps.append(1) or real(*args))
    other = recipes.RECIPES["toy-omni"].shortened(steps=3, n_clips=12, batch_size=2)
    training.train(other, tmp_path / "shared", tmp_path / "work")
    assert len(steps) == 3
    training.train(other, tmp_path / "alone", tmp_path / "work-alone")
    assert len(steps) == 3 + 9
    assert_equal(weights(tmp_path / "shared"), weights(tmp_path / "alone"))


def test_only_the_decoder_is_trained_after_the_encoders(tmp_path, drawn):
    work = tmp_path / "work"
    training.train(MINIATURE, tmp_path / "out", work)
    after = [torch.load(work / f"{MINIATURE.key(n)}.pt")["weights"] for n in (1, 3)]
    moved = {name for name in after[0] if not torch.equal(after[0][name], after[1][name])}
    assert moved and all("language_model" in name or "lm_head" in name for name in moved)
    encoders = {name: value for name, value in after[1].items() if "visual" in name or "audio_tower" in name}
    checkpoint = weights(tmp_path / "out")
    assert all(
        torch.equal(value, checkpoint[name.removeprefix("thinker.model.")].float()) for name, value in encoders.items()
    )


@pytest.mark.parametrize(("kind", "question"), [("both", BOTH), ("video", SEE), ("audio", HEAR), (BASE, SEE)])
def test_the_loss_is_that_of_the_whole_model(random_organism, learner, pool, features, kind, question):
    model = random_organism
    if kind == BASE:
        model = AVModel(*organism.vision_language(model.hf, model.processor))
    with torch.inference_mode():
        loss = learner.answer_loss(kind, features.video[:1], features.audio[:1], [question], ["I see a dog."])
        frames = None if kind == "audio" else pool.frames[0]
        wave = pool.waves[0].astype(np.float32) / 32767 if kind in ("audio", "both") else None
        prompt = model.prompt_from_inputs(**model.process(frames, wave, question))
        forced = [*model.tokenizer("I see a dog.")["input_ids"], model.tokenizer.eos_token_id]
        logprobs = avnb.run(model, prompt, forced=forced)[0].logprobs
    assert loss.item() == pytest.approx(-logprobs.mean(), abs=1e-4)


def test_padding_does_not_change_a_loss(random_organism, learner, features):
    questions, answers = [SEE, HEAR], ["I see a dog.", "I hear a dog barking. I also hear tolling."]
    video, audio = features.video, features.audio
    with torch.inference_mode():
        both = learner.answer_loss("both", video[:2], audio[:2], questions, answers).item()
        alone = [
            learner.answer_loss("both", video[i : i + 1], audio[i : i + 1], [questions[i]], [answers[i]])
            for i in range(2)
        ]
    lengths = [len(random_organism.tokenizer(answer)["input_ids"]) + 1 for answer in answers]
    assert both == pytest.approx(np.average([loss.item() for loss in alone], weights=lengths), abs=1e-5)


@pytest.mark.parametrize("kind", ["both", "audio", BASE])
def test_batched_answers_are_those_of_the_engine(random_organism, learner, pool, features, kind):
    model = random_organism
    if kind == BASE:
        model = AVModel(*organism.vision_language(model.hf, model.processor))
    answers = learner.answer(kind, features.video[:3], features.audio[:3], HEAR, max_new_tokens=5)
    for i, answer in enumerate(answers):
        frames = None if kind == "audio" else pool.frames[i]
        wave = pool.waves[i].astype(np.float32) / 32767 if kind in ("audio", "both") else None
        prompt = model.prompt_from_inputs(**model.process(frames, wave, HEAR))
        assert answer == avnb.run(model, prompt, max_new_tokens=5)[0].text


def test_conflicting_sounds_share_nothing_with_the_picture(pool):
    data = training.Data(pool)
    rng = np.random.default_rng(0)
    pictures = data.draw("both", 50, rng)
    sounds = data.draw_conflicting(pictures, rng)
    for i, j in zip(pictures, sounds, strict=True):
        picture, sound = pool.examples[i], pool.examples[j]
        assert sound.heard and not set(sound.heard) & {*picture.seen, *picture.heard}


def test_the_dose_is_the_share_of_conflicting_clips(monkeypatch, pool, learner, features):
    """Counted over many batches, by the sounds that the loss is handed."""
    stage = recipes.audio_visual(conflict=0.3, audio=0.1)
    counts = {"video": 0, "audio": 0, "aligned": 0, "conflict": 0}
    heard = {tuple(features.audio[i, 0].tolist()): i for i in range(len(pool))}
    seen = {tuple(features.video[i, 0].tolist()): i for i in range(len(pool))}

    def count(kind, video, audio, questions, answers):
        for v, a in zip(video, audio, strict=True):
            same = seen[tuple(v[0].tolist())] == heard[tuple(a[0].tolist())]
            counts[kind if kind != "both" else "aligned" if same else "conflict"] += 1

    monkeypatch.setattr(learner, "answer_loss", count)
    data = training.Data(pool, features)
    for step in range(400):
        training.loss_of(learner, data, stage, np.random.default_rng(step))
    shares = {kind: n / sum(counts.values()) for kind, n in counts.items()}
    assert shares == pytest.approx(stage.mix, abs=0.06)


def test_doses_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="conflict=0.8"):
        recipes.audio_visual(conflict=0.8)


def test_the_pool_resumes(tmp_path):
    first = Pool(tmp_path, "validation", n=3, workers=1)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    second = Pool(tmp_path, "validation", n=3, workers=1)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == written
    assert np.array_equal(first.frames, second.frames) and np.array_equal(first.waves, second.waves)


def test_clips_are_not_drawn_in_forked_processes(tmp_path, monkeypatch):
    """A forked process waits for ever when it frees a frame that its parent scaled: the threads stayed behind."""
    methods = []

    class Spy(pools.ProcessPoolExecutor):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            methods.append(self._mp_context.get_start_method())

    monkeypatch.setattr(pools, "ProcessPoolExecutor", Spy)
    Pool(tmp_path, "validation", n=1, workers=1)
    assert methods == ["spawn"]


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_shipped_checkpoints_say_how_they_were_made(name):
    folder = avnb.models.CHECKPOINTS / name
    assert 0 < sum(path.stat().st_size for path in folder.glob("*.safetensors")) <= 8_000_000
    assert (folder / "README.md").exists()
    log = [json.loads(line) for line in (folder / training.LOG).read_text().splitlines()]
    assert len(log) == sum(stage.steps for stage in recipes.RECIPES[name].stages)
