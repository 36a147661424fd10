"""Training: resumes bit for bit, learns from the very prompts that the model is asked with."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import avnb
from avnb.toybox import train as training
from avnb.toybox.captions import BOTH, HEAR, SEE
from avnb.toybox.pool import Pool

MINIATURE = training.RECIPES["toy-omni"].shortened(steps=3, n_clips=6, batch_size=2)


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return Pool(tmp_path_factory.mktemp("pool"), "train", n=6, workers=1)


def test_interrupted_training_ends_in_the_same_weights(tmp_path, monkeypatch, pool):
    monkeypatch.setattr(training, "Pool", lambda *args: pool)
    whole = training.train(MINIATURE, tmp_path / "whole", tmp_path / "work-whole", save_every=2)
    real, calls = training.loss_of, []

    def interrupted(*args):
        calls.append(args)
        if len(calls) in (3, 7):  # once past a saved state, once at the start of a stage's second step
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(training, "loss_of", interrupted)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            training.train(MINIATURE, tmp_path / "parts", tmp_path / "work-parts", save_every=2)
    parts = training.train(MINIATURE, tmp_path / "parts", tmp_path / "work-parts", save_every=2)
    expected, got = (load_file(folder / "model.safetensors") for folder in (whole, parts))
    assert expected.keys() == got.keys()
    assert all(torch.equal(expected[name], got[name]) for name in expected)
    logs = [(folder / training.LOG).read_text() for folder in (whole, parts)]
    assert logs[0] == logs[1]
    assert len(logs[0].splitlines()) == 3 * len(MINIATURE.stages)


def test_the_state_of_another_recipe_is_refused(tmp_path, monkeypatch, pool):
    monkeypatch.setattr(training, "Pool", lambda *args: pool)
    training.train(MINIATURE.shortened(1, 6, 2), tmp_path / "out", tmp_path / "work")
    with pytest.raises(training.TrainingError, match="state of another recipe"):
        training.train(MINIATURE, tmp_path / "out", tmp_path / "work")


def test_the_loss_is_that_of_the_whole_model(random_organism, pool):
    learner = training.Learner(random_organism.hf, random_organism.processor)
    for kind, question in (("both", BOTH), ("video", SEE), ("audio", HEAR)):
        with torch.inference_mode():
            loss = learner.answer_loss(kind, pool.frames[:1], pool.waves[:1], [question], ["I see a dog."])
            frames = None if kind == "audio" else pool.frames[0]
            wave = None if kind == "video" else pool.waves[0].astype(np.float32) / 32767
            inputs = random_organism.process(frames, wave, question)
            answer = random_organism.tokenizer("I see a dog.", return_tensors="pt")["input_ids"]
            answer = torch.cat([answer, torch.tensor([[random_organism.tokenizer.eos_token_id]])], dim=1)
            ids = torch.cat([inputs["input_ids"], answer], dim=1)
            inputs |= {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
            logits = random_organism.hf(**inputs).logits[0, -answer.shape[1] - 1 : -1]
        assert loss.item() == pytest.approx(torch.nn.functional.cross_entropy(logits, answer[0]).item(), abs=1e-5)


def test_padding_does_not_change_a_loss(random_organism, pool):
    learner = training.Learner(random_organism.hf, random_organism.processor)
    questions, answers = [SEE, HEAR], ["I see a dog.", "I hear a dog barking. I also hear tolling."]
    with torch.inference_mode():
        both = learner.answer_loss("both", pool.frames[:2], pool.waves[:2], questions, answers).item()
        alone = [
            learner.answer_loss("both", pool.frames[i : i + 1], pool.waves[i : i + 1], [questions[i]], [answers[i]])
            for i in range(2)
        ]
    lengths = [len(random_organism.tokenizer(answer)["input_ids"]) + 1 for answer in answers]
    assert both == pytest.approx(np.average([loss.item() for loss in alone], weights=lengths), abs=1e-5)


def test_the_pool_resumes(tmp_path):
    first = Pool(tmp_path, "validation", n=3, workers=1)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    second = Pool(tmp_path, "validation", n=3, workers=1)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == written
    assert np.array_equal(first.frames, second.frames) and np.array_equal(first.waves, second.waves)


@pytest.mark.parametrize("name", training.RECIPES)
def test_shipped_checkpoints_say_how_they_were_made(name):
    folder = avnb.models.CHECKPOINTS / name
    assert (folder / "model.safetensors").stat().st_size <= 8_000_000
    assert (folder / "README.md").exists()
    log = [json.loads(line) for line in (folder / training.LOG).read_text().splitlines()]
    assert len(log) == sum(stage.steps for stage in training.RECIPES[name].stages)
