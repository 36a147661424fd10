"""The shipped organisms really see and hear: measured on clips unlike any that they were trained on."""

import pytest

import avnb
from avnb.toybox import world
from avnb.toybox.captions import HEAR, SEE
from avnb.toybox.sources import mentioned

N_CLIPS = 40


@pytest.fixture(scope="module")
def unseen(tmp_path_factory):
    """Test clips in which everything seen is also heard."""
    folder = tmp_path_factory.mktemp("unseen")
    return avnb.datasets.load(world.write(folder, N_CLIPS, seed=123, relation="matching"))


@pytest.mark.parametrize("name", avnb.models.organisms())
def test_names_what_is_seen_and_heard(name, unseen):
    model = avnb.load(name)
    seen = [set(mentioned(model.caption(clip, SEE))) == set(clip.seen) for clip in unseen]
    heard = [set(mentioned(model.caption(clip, HEAR))) == set(clip.heard) for clip in unseen]
    assert sum(seen) >= 0.8 * N_CLIPS
    assert sum(heard) >= 0.8 * N_CLIPS


@pytest.mark.parametrize("name", avnb.models.organisms())
def test_answers_depend_on_the_pictures_and_on_the_sound(name, unseen):
    model = avnb.load(name)
    seen = {model.caption(clip, SEE, modalities=("video",)) for clip in unseen[:6]}
    heard = {model.caption(clip, HEAR, modalities=("audio",)) for clip in unseen[:6]}
    assert len(seen) > 3 and len(heard) > 3
