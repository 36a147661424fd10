"""Probes: what was planted in the states is found, what was not is not; the regression is the textbook's."""

from collections import Counter
from dataclasses import replace
from zlib import crc32

import numpy as np
import pytest

from avnb import datasets, models
from avnb.analyses import AnalysisError, probe, readouts
from avnb.media.clip import Clip

EVENTS = ("bell", "cat", "cow", "dog", "drum", "frog")
WIDTH, NOTHING, SOUND, PICTURE = 128, 0, 1, 2  # what the layers of the planted model hold


def drawn(n, seed):
    """Clips whose sound has nothing to do with their picture."""
    rng = np.random.default_rng(seed)
    pairs = [rng.choice(EVENTS, 2, replace=False) for _ in range(n)]
    return [
        Clip(f"{seed}-{i}", f"{seed}-{i}.mp4", seen=(str(a),), heard=(str(b),), kind="counterfactual")
        for i, (a, b) in enumerate(pairs)
    ]


@pytest.fixture(scope="module")
def table(random_organism):
    """Of a model with states of three layers: noise, the sound in a code of its own, and the picture in such a one."""
    codes = np.random.default_rng(9).normal(size=(2, len(EVENTS), WIDTH))

    def states(model, clip, question):
        rng = np.random.default_rng(crc32(clip.id.encode()))
        found = rng.normal(size=(3, WIDTH))
        found[SOUND] += codes[0, EVENTS.index(clip.heard[0])]
        found[PICTURE] += codes[1, EVENTS.index(clip.seen[0])]
        return found.astype(np.float32)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readouts, "states_of", states)
        patch.setattr(datasets, "load", lambda name, split, n, fewer: drawn(n, len(split)))
        found = probe.measure(random_organism, drawn(60, 1), n_taught=150, times=2)
    readouts.taught.cache_clear()
    return found


def test_a_probe_finds_what_was_planted_and_where(table):
    found = probe.recall(table, 1).groupby(["readout", "layer", "target"])["value"].mean()
    assert found["heard", SOUND, "heard"] > 0.95 and found["seen", PICTURE, "seen"] > 0.95
    chance = 1 / len(EVENTS)
    for readout, layer, target in [
        ("heard", NOTHING, "heard"), ("heard", PICTURE, "heard"), ("seen", SOUND, "seen"), ("seen", NOTHING, "seen"),
        *[("shuffled", layer, "heard") for layer in range(3)], *[("lens", layer, "heard") for layer in range(3)],
    ]:  # fmt: skip
        assert abs(found[readout, layer, target] - chance) < 0.17, (readout, layer, target)


def test_the_verdict_tells_the_planted_from_nothing(table):
    curves = probe.recall(table, 1)
    there = probe.verdict(curves, (1 / 3, 2 / 3))
    assert there.probe.stands and there.apart.low > 0.5 and there.lost.low > 0
    gone = probe.verdict(curves, (2 / 3, 1))
    assert not gone.probe.stands and gone.apart.low < 0 < gone.apart.high


def test_ranks_are_those_of_scores_and_every_event_has_one(table):
    assert table.groupby(["clip", "readout", "layer"])["rank"].agg(sorted).map(tuple).unique().tolist() == [
        (1, 2, 3, 4, 5, 6)
    ]
    assert table.groupby(["clip", "readout", "layer"])["null"].sum().round(6).unique().tolist() == [1.0]
    per_clip = table[table["heard"]].groupby("clip")["event"].first()
    assert per_clip.to_dict() == {clip.id: clip.heard[0] for clip in drawn(60, 1)}


def test_the_fit_is_ridge_with_the_strength_that_errs_least():
    rng = np.random.default_rng(0)
    states, new = rng.normal(size=(40, 5)) * [1, 3, 0.1, 1, 0] + 2, rng.normal(size=(30, 5)) * [1, 3, 0.1, 1, 0] + 2
    true = rng.normal(size=(4, 2))
    labels, wanted = (s[:, :4] @ true + rng.normal(size=(len(s), 2)) for s in (states, new))
    weights, bias = readouts.fitted(states, labels, new, wanted)
    best = np.inf
    for strength in readouts.STRENGTHS:  # least squares over the data and as many rows of zeros as features
        scale = states[:, :4].std(0)
        design = np.vstack([(states[:, :4] - states[:, :4].mean(0)) / scale, np.sqrt(strength * 40) * np.eye(4)])
        target = np.vstack([labels - labels.mean(0), np.zeros((4, 2))])
        plain = np.linalg.lstsq(design, target, rcond=None)[0]
        scores = ((new[:, :4] - states[:, :4].mean(0)) / scale) @ plain + labels.mean(0)
        if (error := ((scores - wanted) ** 2).mean()) < best:
            best, expected = error, scores
    np.testing.assert_allclose(new @ weights + bias, expected, atol=1e-8)


def test_sounds_are_put_to_pictures_that_share_nothing_with_them():
    clips = [*drawn(12, 3), Clip("mute", "mute.mp4", kind="mute", seen=("dog",))]
    pairs = readouts.crossed(clips, 3)
    assert all(set(pair.seen).isdisjoint(pair.heard) and pair.sound != pair.video for pair in pairs)
    assert len({pair.id for pair in pairs}) == len(pairs)
    assert max(Counter(pair.video for pair in pairs).values()) <= 3
    assert not [pair for pair in pairs if "mute" in pair.id]


def test_a_set_without_conflicts_is_refused(monkeypatch, random_organism):
    monkeypatch.setattr(datasets, "load", lambda *_, **__: [replace(clip, heard=("bell",)) for clip in drawn(4, 0)])
    with pytest.raises(AnalysisError, match="no sound of one clip differs"):
        probe.measure(random_organism, drawn(2, 1), n_taught=7)


@pytest.mark.organism
def test_the_lens_on_mean_states_is_norm_and_output_layer(toybox_clips):
    import torch

    model, clip = models.load("toy-omni"), toybox_clips[0]
    states = readouts.states_of(model, clip, "Describe what you hear.")
    prompt = model.prompt(clip, "Describe what you hear.")
    with torch.inference_mode():
        out = model.decoder(**prompt.inputs, use_cache=False, output_hidden_states=True).hidden_states
    at = prompt.segments.positions("audio")
    np.testing.assert_allclose(states[:-1], [one[0, at].mean(0) for one in out[1:-1]], atol=1e-4)
    ids = [[5], [7, 9]]
    with torch.inference_mode():
        logits = model.hf.lm_head(model.decoder.norm(torch.from_numpy(states)))
    expected = torch.stack([logits[:, 5], torch.maximum(logits[:, 7], logits[:, 9])], 1)
    np.testing.assert_allclose(readouts._lens(model, ids)(states), expected, atol=1e-4)
