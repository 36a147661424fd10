"""Patches: the engine against plain hooks, token for token, and what cannot be patched."""

import numpy as np
import pytest
import torch

from avnb.engine import Capture, Condition, EngineError, Request, run, run_all
from avnb.models.prompt import PromptError
from avnb.models.shared import shared
from tests import reference
from tests.engine.test_engine import FAMILIES, assert_equal_answers, build, build_prompt

PATCHED = [family for family in FAMILIES if family != "several_streams"]


def states_of(model, prompt, group="video", condition=None):
    """The residual stream [n_layers, n, width] at a group."""
    return run(model, prompt, [condition or Condition()], 0, capture=Capture(hidden=group))[0].hidden


def conditions_of(model, family):
    """A prompt, and patches of every kind: one layer, several, two at once, with a cut, and at single positions."""
    prompt, other = (build_prompt(model, family, seed) for seed in (0, 1))
    patch, video, query = Condition.patch, states_of(model, other), states_of(model, other, "query")
    return prompt, [
        Condition(),
        patch("video", video, [0]),
        patch("video", video, [1, 2]),
        patch("video", video, range(3)) + patch("query", query, [2]),
        patch("video+query", states_of(model, other, "video+query"), [1]) + Condition.block("generated", "video"),
        patch((2, 5), video[:, :2], [2]) + Condition.block("query", "video", layers=[1]),
    ]


@pytest.mark.parametrize("family", PATCHED)
def test_patches_are_those_of_plain_hooks(family):
    model = build(family)
    prompt, conditions = conditions_of(model, family)
    runs = assert_equal_answers(model, prompt, conditions, 5)
    bites = [np.abs(r.logprobs[:2] - runs[0].logprobs[:2]).max() > 1e-4 for r in runs[1:]]
    assert all(bites) or family == "shared_keys"  # whose late layers read the keys of early ones


@pytest.mark.parametrize("conditions_per_pass", [1, 3])
def test_passes_and_what_is_remembered_of_a_clip_change_nothing(conditions_per_pass):
    model = build("omni")
    prompt, conditions = conditions_of(model, "omni")
    expected = run(model, prompt, conditions, 4)
    with shared():
        run_all(model, [Request(prompt, max_new_tokens=4)])
        again = run(model, prompt, conditions, 4, conditions_per_pass=conditions_per_pass)
    for a, b in zip(expected, again, strict=True):
        assert a.token_ids.tolist() == b.token_ids.tolist()
        np.testing.assert_allclose(a.logprobs, b.logprobs, atol=1e-4)


def test_what_was_there_anyway_changes_nothing_and_the_states_of_a_cut_do_what_the_cut_does():
    model = build("omni")
    prompt = build_prompt(model, "omni")
    cut = Condition.block("audio", "video")
    own, without = (states_of(model, prompt, "audio", condition) for condition in (Condition(), cut))
    free, same = run(model, prompt, [Condition(), Condition.patch("audio", own, range(3))], 5)
    np.testing.assert_allclose(same.logprobs, free.logprobs, atol=1e-5)
    # After the cut of layer 0 alone the positions are as the patch makes them, and nothing else was touched before.
    early = Condition.block("audio", "video", layers=[0])
    (expected,) = run(model, prompt, [early], 5)
    state = states_of(model, prompt, "audio", early)
    (found,) = run(model, prompt, [Condition.patch("audio", state, range(3))], 5)
    np.testing.assert_allclose(found.logprobs, expected.logprobs, atol=1e-5)
    assert np.abs(found.logprobs - free.logprobs).max() > 1e-4
    assert without.shape == own.shape


def test_a_recording_tells_what_the_layers_gave():
    model = build("omni")
    prompt, conditions = conditions_of(model, "omni")
    patched = run(model, prompt, conditions, 2, capture=Capture(hidden="video+query"))[2]
    _, hidden, _ = reference.forward(model, prompt, conditions[2], [])
    for layer, states in enumerate(patched.hidden):
        np.testing.assert_allclose(states, hidden[layer][patched.hidden_positions], atol=1e-4)


@pytest.mark.parametrize(
    ("condition", "error", "advice"),
    [
        (lambda s: Condition.patch("image", s, [1]), PromptError, "image patched after layer 1, and the prompt has no"),
        (lambda s: Condition.patch("video", s, [3]), ValueError, "use layers 0 to 2, which have one behind them"),
        (lambda s: Condition.patch("video", s[:, :1], [1]), ValueError, r"states \[4, 1, 64\] must have the shape"),
        (lambda s: Condition.patch((5, 2), s[:, :2], [1]), ValueError, "ascending"),
        (lambda s: Condition.patch("video", s, []), ValueError, "name at least one"),
    ],
)
def test_what_cannot_be_patched_is_told(condition, error, advice):
    model = build("omni")
    prompt = build_prompt(model, "omni")
    states = states_of(model, prompt)
    with pytest.raises(error, match=advice):
        run(model, prompt, [condition(states)], 4)


def test_a_stream_of_several_tracks_is_refused():
    model = build("several_streams")
    prompt = build_prompt(model, "several_streams")
    states = torch.zeros(4, len(prompt.segments.positions("video")), 64)
    with pytest.raises(EngineError, match="runs on 2 tracks"):
        run(model, prompt, [Condition.patch("video", states, [1])], 2)
