"""The shipped organisms really see and hear: measured on clips unlike any that they were trained on."""

import numpy as np
import pytest

import avnb
from avnb.toybox import world
from avnb.toybox.captions import HEAR, SEE
from avnb.toybox.sources import mentioned
from avnb.toybox.train import RECIPES

N_CLIPS = 40


@pytest.fixture(scope="module")
def unseen(tmp_path_factory):
    """Test clips in which everything seen is also heard."""
    folder = tmp_path_factory.mktemp("unseen")
    return avnb.datasets.load(world.write(folder, N_CLIPS, seed=123, relation="matching"))


@pytest.mark.parametrize("name", RECIPES)
def test_names_what_is_seen_and_heard(name, unseen):
    model = avnb.load(name)
    assert share(model, unseen, SEE, "seen") >= 0.8
    assert share(model, unseen, HEAR, "heard") >= 0.8


@pytest.mark.parametrize("name", RECIPES)
def test_does_so_from_one_modality_alone(name, unseen):
    """What is seen is also heard in these clips, so that an answer from both could be copied from one."""
    model = avnb.load(name)
    assert share(model, unseen, SEE, "seen", modalities=("video",)) >= 0.8
    assert share(model, unseen, HEAR, "heard", modalities=("audio",)) >= 0.7


def share(model, clips, question, field, **options):
    """The share of clips of which exactly what is seen, or heard, is named."""
    answers = [set(mentioned(model.caption(clip, question, **options))) for clip in clips]
    return np.mean([named == set(getattr(clip, field)) for named, clip in zip(answers, clips, strict=True)])
