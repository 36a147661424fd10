"""The shipped organisms do what they were trained to do, on clips unlike any that they were trained on."""

import pytest
import torch
from safetensors.torch import load_file

import avnb
from avnb import judge
from avnb.organisms import cards, recipes
from avnb.organisms import exam as exams
from avnb.organisms import omni as organism
from avnb.organisms.learner import Learner
from avnb.organisms.pool import Pool
from avnb.questions import SEE
from avnb.toybox import world

pytestmark = pytest.mark.organism

HEARING = [name for name in cards.TOYS if recipes.RECIPES[name].hears]
N_CLIPS = 48


@pytest.fixture(scope="module")
def means(tmp_path_factory):
    """Organism -> mean of every measure, on one exam for all."""
    pool = Pool(tmp_path_factory.mktemp("unseen"), "test", 3 * N_CLIPS, seed=123)
    exam, found = None, {}
    for name in HEARING:
        model = avnb.load(name)
        learner = Learner(model.hf.float(), model.processor).eval()
        exam = exam or exams.Exam(learner, pool, N_CLIPS)
        found[name] = exam.take(learner).groupby("quantity")["value"].mean()
    return found


@pytest.mark.parametrize("name", HEARING)
def test_factual_clips_are_described(means, name):
    assert means[name]["video fidelity, factual"] >= 0.85
    assert means[name]["audio fidelity, factual"] >= 0.85


def test_the_biased_organism_hears_and_does_not_say(means):
    found = means["toy-omni"]
    assert found["audio fidelity, sound alone"] >= 0.8
    assert found["audio fidelity, counterfactual"] <= 0.4
    assert found["video fidelity, counterfactual"] >= 0.75
    assert found["modality preference"] < 0


def test_the_balanced_organism_says_what_it_hears(means):
    found = means["toy-omni-balanced"]
    assert found["audio fidelity, counterfactual"] >= 0.8
    assert found["video fidelity, counterfactual"] >= 0.8


def test_the_base_sees(tmp_path):
    model = avnb.load("toy-vl")
    clips = avnb.datasets.load(world.write(tmp_path, 24, seed=123, relation="matching"))
    scores = [judge.score(model.caption(clip, SEE), clip, "video").value for clip in clips]
    assert not model.hears and sum(scores) / len(scores) >= 0.9


def test_the_base_answers_as_it_generates(tmp_path):
    """The engine counts an answer's positions as this architecture's generate does."""
    model = avnb.load("toy-vl")
    for clip in avnb.datasets.load(world.write(tmp_path, 4, seed=5, relation="matching")):
        run = avnb.run(model, model.prompt(clip, SEE), max_new_tokens=24)[0]
        assert run.text == model.caption(clip, SEE)


def test_all_share_their_eyes_and_ears():
    weights = {name: load_file(avnb.models.CHECKPOINTS / name / "model.safetensors") for name in HEARING}
    first, *others = weights.values()
    encoders = [key for key in first if key.startswith(("visual.", "audio_tower."))]
    assert encoders and all(torch.equal(first[key], other[key]) for other in others for key in encoders)
    thinker = avnb.load(HEARING[0])
    base, _ = organism.vision_language(thinker.hf, thinker.processor)
    seeing = avnb.load("toy-vl").hf.model.visual.state_dict()
    assert all(torch.equal(value, seeing[key]) for key, value in base.model.visual.state_dict().items())
