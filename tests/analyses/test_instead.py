"""What stands in for the picture or the sound: who is shown, what is cut, and the words of the real organism."""

from dataclasses import replace

import pandas as pd
import pytest

from avnb import models
from avnb.analyses import instead
from avnb.media.clip import Clip


def test_the_clip_that_lends_its_picture_has_nothing_in_common():
    clips = [
        Clip(name, "", seen=(name,), heard=(other,))
        for name, other in (("dog", "bell"), ("bell", "car"), ("cat", "cow"))
    ]
    jobs = instead.plan(clips)
    assert [job.other.id for job in jobs] == ["cat", "cat", "dog"] and instead.plan(jobs) == jobs
    assert all(job.among == tuple(clips) for job in jobs)


def test_as_much_attention_is_cut():
    rows = [("video", 0.2), ("video", 0.1), *(("query", 0.05),) * 10]
    sinks = pd.DataFrame(rows, columns=["type", "value"]).assign(position=range(12))
    drawn = instead._as_attended(sinks, seed=1)
    assert len(drawn) in (6, 7) and min(drawn) >= 2  # six times 0.05 is what the video got, but for rounding


@pytest.mark.organism
def test_every_stand_in_is_answered(toybox_clips):
    one, two = (replace(c, kind="counterfactual") for c in toybox_clips[:2])
    table = instead.measure(models.load("toy-omni"), [one, two], n_draws=1)
    answers = table.set_index(["clip", "instead"])["answer"]
    assert {*instead.CUTS, instead.ATTENDED, "nothing", "black picture", "mean picture", "sound alone"} <= {
        *table["instead"]
    }
    free = models.load("toy-omni").caption(one, "Describe what you hear.")
    assert answers[one.id, "nothing"] == free
    alone = models.load("toy-omni").caption(one, "Describe what you hear.", modalities=("audio",))
    assert answers[one.id, "sound alone"] == alone
