"""Several prompts of a clip as one tree: equal to one prompt after the other, and what is shared runs once."""

import numpy as np
import pytest
import torch

from avnb.engine.branches import DeferredError, Request, deferred, run, run_all
from avnb.engine.capture import Capture
from avnb.engine.conditions import Condition, Random
from avnb.models.prompt import MEDIA, Prompt, Segments
from avnb.models.shared import shared
from tests import reference
from tests.engine.test_engine import FAMILIES, SEES, build, media_inputs, mixed_conditions

STREAM = [family for family in FAMILIES if family != "several_streams"]  # those with one residual stream


def questions(model, family, n=3, seed=0):
    """Prompts of one clip: the same media, then questions of different length."""
    inputs, generator = media_inputs(family, seed), torch.Generator().manual_seed(7)
    ids = inputs["input_ids"]
    n_media = ids.shape[1] - 7 if family in SEES else ids.shape[1]
    prompts = []
    for i in range(n):
        question = torch.randint(0, 80, (1, 4 + 3 * i), generator=generator)
        own = inputs | {"input_ids": torch.cat([ids[:, :n_media], question], dim=1)}
        own["attention_mask"] = torch.ones_like(own["input_ids"])
        if "mm_token_type_ids" in own:
            own["mm_token_type_ids"] = torch.nn.functional.pad(inputs["mm_token_type_ids"][:, :n_media], (0, 4 + 3 * i))
        prompt = model.prompt_from_inputs(**own)
        types = prompt.segments.types.copy()
        if family not in SEES:  # a random split of the shared part stands for media
            types[:n_media] = np.resize(["system", "video", "video", "audio", "template"], n_media)
        types[0], types[n_media:] = "system", "query"
        types[-1] = "last"
        call = dict(prompt.inputs)
        if hasattr(model.decoder, "get_per_layer_inputs"):
            call["per_layer_inputs"] = model.decoder.get_per_layer_inputs(own["input_ids"])
        prompts.append(Prompt(call, Segments(types), prompt.token_ids))
    return prompts


@pytest.fixture
def counted(monkeypatch):
    """Counts the rows that pass through the first layer of a model, call by call."""

    def count(model):
        rows = []
        model.decoder.layers[0].mlp.register_forward_hook(
            lambda module, args, out: rows.append(args[0].shape[:-1].numel())
        )
        return rows

    return count


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tree_answers_as_each_prompt_alone(family):
    model = build(family)
    prompts, conditions = questions(model, family), mixed_conditions(family)
    asked = [Request(prompt, conditions[i:], 6) for i, prompt in enumerate(prompts)]
    for request, runs in zip(asked, run_all(model, asked), strict=True):
        for result, condition in zip(runs, request.conditions, strict=True):
            tokens, logprobs = reference.generate(model, request.prompt, condition, 6)
            assert result.token_ids.tolist() == tokens, str(condition)
            np.testing.assert_allclose(result.logprobs, logprobs, atol=1e-4, err_msg=str(condition))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tree_scores_and_records_as_each_prompt_alone(family):
    model = build(family, seed=3)
    prompts = questions(model, family)
    conditions = [Condition(), Condition.block("last+generated", "video"), Condition.block("query", "video", [2])]
    hidden = {"hidden": "video+last+generated"} if family in STREAM else {}
    capture = Capture(shares="fine", maps="video", logits=True, **hidden)
    answers = [[5, 60, 7, 7, 31], [8], [9, 8, 7, 6]]
    asked = [Request(prompt, conditions, forced=answers, capture=capture) for prompt in prompts]
    asked[1] = Request(prompts[1], conditions[:1], 0, capture=Capture(**hidden))
    for request, runs in zip(asked, run_all(model, asked), strict=True):
        alone = run(model, request.prompt, request.conditions, 0, forced=request.forced, capture=request.capture)
        for one, other in zip(runs, alone, strict=True):
            assert one.token_ids.tolist() == other.token_ids.tolist()
            for name in ("logprobs", "shares", "maps", "logits", "hidden"):
                if (value := getattr(other, name)) is not None:
                    np.testing.assert_allclose(getattr(one, name), value, rtol=1e-4, atol=2e-5, err_msg=name)


@pytest.mark.parametrize("family", SEES)
def test_the_media_run_once(family, counted):
    model = build(family)
    prompts = questions(model, family)
    n_media = int(np.flatnonzero(np.isin(prompts[0].segments.types, MEDIA))[-1]) + 1
    model.stop_ids, rows = set(), counted(model)
    runs = run_all(model, [Request(prompt, [Condition()] * 4, 3) for prompt in prompts])
    assert [len(one) for one in runs] == [4, 4, 4]
    if family != "omni_moe":  # whose experts take rows apart
        assert rows == [n_media, *(len(prompt) - n_media for prompt in prompts), 12, 12]


def test_what_is_known_is_not_run_again(counted):
    model = build("omni", seed=1)
    (prompt,) = questions(model, "omni", 1)
    conditions = [Condition(), Condition.block("last+generated", "video"), Condition.block("audio", "video", [2])]
    capture = Capture(shares="paper", hidden="audio+generated", logits=True)
    alone = run(model, prompt, conditions, 5, capture=capture)
    rows = counted(model)
    with shared():
        first = run(model, prompt, conditions, 5)
        n_first = len(rows)
        assert [a is b for a, b in zip(run(model, prompt, conditions, 5), first, strict=True)] == [True] * 3
        assert len(rows) == n_first
        again = run(model, prompt, conditions, 5, capture=capture)
        longer = run(model, prompt, conditions[:1], 6)[0]
    assert longer.token_ids[:5].tolist() == first[0].token_ids.tolist()
    assert len(longer.token_ids) == 6 or longer.stopped
    for one, other in zip(again, alone, strict=True):
        assert one.token_ids.tolist() == other.token_ids.tolist()
        assert (one.stopped, one.text) == (other.stopped, other.text)
        for name in ("logprobs", "shares", "logits", "hidden"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-4, atol=2e-5, err_msg=name)


def test_requests_that_are_put_off_are_answered_as_one(counted):
    model = build("omni", seed=1)
    prompts = questions(model, "omni")
    n_media = int(np.flatnonzero(np.isin(prompts[0].segments.types, MEDIA))[-1]) + 1
    model.stop_ids = set()
    control = Condition.block("last+generated", Random("video", among="everywhere"))
    capture = Capture(hidden="audio")
    alone = [run(model, prompt, [Condition(), control], 4) for prompt in prompts]
    hidden = run(model, prompts[0], max_new_tokens=0, capture=capture)[0].hidden
    rows = counted(model)
    with shared():
        with deferred():
            for prompt in prompts:
                with pytest.raises(DeferredError):
                    run(model, prompt, [Condition(), control], 4)
            with pytest.raises(DeferredError):
                run_all(model, [Request(prompts[0], max_new_tokens=0, capture=capture), Request(prompts[1])])
        n = len(rows)
        together = [run(model, prompt, [Condition(), control], 4) for prompt in prompts]
        assert len(rows) == n
        found = run(model, prompts[0], max_new_tokens=0, capture=capture)[0].hidden
        assert rows[n:] == [len(prompts[0]) - n_media]  # the streams of the media were kept
    torch.testing.assert_close(found, hidden, rtol=1e-4, atol=2e-5)
    for runs, others in zip(together, alone, strict=True):
        assert [one.token_ids.tolist() for one in runs] == [one.token_ids.tolist() for one in others]


def test_other_media_have_another_trunk():
    model = build("omni")
    (one,), (other,) = questions(model, "omni", 1), questions(model, "omni", 1, seed=5)
    alone = [run(model, prompt, max_new_tokens=4)[0].logprobs for prompt in (one, other)]
    together = run_all(model, [Request(prompt, max_new_tokens=4) for prompt in (one, other)])
    for runs, expected in zip(together, alone, strict=True):
        np.testing.assert_allclose(runs[0].logprobs, expected, atol=1e-5)
    assert not np.allclose(*alone)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_passes_do_not_change_a_tree(n):
    model = build("sliding", seed=4)
    prompts = questions(model, "sliding")
    conditions = mixed_conditions("sliding")
    asked = [Request(prompt, conditions, 4) for prompt in prompts]
    for runs, others in zip(run_all(model, asked), run_all(model, asked, conditions_per_pass=n), strict=True):
        assert [one.token_ids.tolist() for one in runs] == [one.token_ids.tolist() for one in others]


def test_encoders_run_once_for_the_same_pictures_and_sound():
    model = build("omni")
    inputs, calls = media_inputs("omni"), []
    eyes, ears = model.hf.model.visual, model.hf.model.audio_tower
    for layer in (eyes.blocks[0], ears.layers[0]):
        layer.register_forward_hook(lambda module, args, out: calls.append(module))
    before = model.prompt_from_inputs(**inputs)
    assert len(calls) == 2
    with shared():
        prompts = [model.prompt_from_inputs(**inputs) for _ in range(3)]
        assert len(calls) == 4
        louder = model.prompt_from_inputs(**inputs | {"input_features": 2 * inputs["input_features"]})
    assert calls[4:] == [ears.layers[0]]
    assert all(torch.equal(prompt.embeds, before.embeds) for prompt in prompts)
    assert not torch.equal(louder.embeds, before.embeds)
    assert "forward" not in eyes.__dict__
