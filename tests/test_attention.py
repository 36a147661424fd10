"""Attention shares against eager attention matrices of the same answer, reduced by hand."""

import numpy as np
import pytest

from avnb import attention
from avnb.engine import run
from avnb.models.prompt import GROUPS, Prompt, PromptError, Segments
from avnb.rules import Condition
from tests import reference
from tests.test_engine import build, build_prompt

N_TOKENS = 5


@pytest.fixture(scope="module")
def model():
    model = build("omni", seed=3)
    model.stop_ids = set()
    return model


@pytest.fixture(scope="module")
def prompts(model):
    """Two prompts of different length."""
    made = [build_prompt(model, "omni", seed, n_text=4 + 3 * seed) for seed in range(2)]
    return [Prompt(p.inputs, p.segments, p.token_ids, f"clip-{i}") for i, p in enumerate(made)]


def matrices(model, prompt):
    """Attention [steps, layers, heads, T + n - 1] of an eager model that is fed its own answer."""
    answer = run(model, prompt, max_new_tokens=N_TOKENS)[0].token_ids.tolist()
    assert len(answer) == N_TOKENS
    weights = reference.forward(model, prompt, Condition(), answer[:-1])[2]
    return np.stack([w[:, len(prompt) - 1 :].numpy() for w in weights]).transpose(2, 0, 1, 3).astype(np.float64)


def masks(prompt, groups, left_out=()):
    """bool [T + n - 1] of every group that the prompt has, without the positions left out."""
    types = np.asarray([*prompt.segments.types, *["generated"] * (N_TOKENS - 1)], dtype=object)
    kept = ~np.isin(np.arange(len(types)), left_out)
    found = {name: np.isin(types, kinds) for name, kinds in GROUPS[groups].items()}
    found = {name: mask & kept for name, mask in found.items() if mask.any()}
    return found | {"generated": types == "generated"}


def expected(weights, mask, all_masks, over):
    """One group's attention over that of all that count, of [layers, keys] or [layers, heads, keys]."""
    counted = [m for name, m in all_masks.items() if over == "all" or name != "generated"]
    return weights[..., mask].sum(-1) / weights[..., np.any(counted, axis=0)].sum(-1)


@pytest.mark.parametrize("over", ["inputs", "all"])
@pytest.mark.parametrize("groups", ["paper", "fine"])
@pytest.mark.parametrize("left_out", [None, [[0, 7], [3]]])
def test_shares_are_reduced_attention_matrices(model, prompts, groups, over, left_out):
    table = attention.shares(model, prompts, groups, over, N_TOKENS, left_out)
    assert table.columns.tolist() == ["clip", "layer", "group", "value", "baseline"]
    table = table.set_index(["clip", "layer", "group"])
    n_rows = 0
    for i, prompt in enumerate(prompts):
        weights = matrices(model, prompt)
        n_steps, n_layers, _, n_keys = weights.shape
        uniform = np.zeros((n_steps, 1, 1, n_keys))
        for step in range(n_steps):
            uniform[step, ..., : len(prompt) + step] = 1
        gone = left_out[i] if left_out else []
        uniform[..., gone] = 0
        uniform /= uniform.sum(-1, keepdims=True)
        all_masks = masks(prompt, groups, gone)
        for name, mask in all_masks.items():
            if over == "inputs" and name == "generated":
                continue
            value = expected(weights.mean((0, 2)), mask, all_masks, over)
            baseline = expected(uniform.mean((0, 2)), mask, all_masks, over)[0]
            for layer in range(n_layers):
                row = table.loc[(f"clip-{i}", layer, name)]
                assert row["value"] == pytest.approx(value[layer], abs=1e-5)
                assert row["baseline"] == pytest.approx(baseline, abs=1e-9)
                n_rows += 1
    assert n_rows == len(table)
    np.testing.assert_allclose(table.groupby(["clip", "layer"]).sum(), 1, atol=1e-9)


def test_baseline_over_inputs_is_the_share_of_tokens(model, prompts):
    table = attention.shares(model, prompts[:1], max_new_tokens=N_TOKENS).query("layer == 2").set_index("group")
    for group in ("audio", "video", "text"):
        share = len(prompts[0].segments.positions(group)) / len(prompts[0])
        assert table.loc[group, "baseline"] == pytest.approx(share)


@pytest.mark.parametrize("over", ["inputs", "all"])
def test_every_head(model, prompts, over):
    table = attention.by_head(model, prompts, over=over, max_new_tokens=N_TOKENS)
    assert table.columns.tolist() == ["clip", "layer", "head", "group", "value"]
    for i, prompt in enumerate(prompts):
        weights, all_masks = matrices(model, prompt).mean(0), masks(prompt, "paper")
        for group in ("audio", "video", "text"):
            rows = table[(table["clip"] == f"clip-{i}") & (table["group"] == group)]
            value = rows.pivot(index="layer", columns="head", values="value")
            np.testing.assert_allclose(value, expected(weights, all_masks[group], all_masks, over), atol=1e-5)
    assert set(table["group"]) == {"audio", "video", "text"} | ({"generated"} if over == "all" else set())


def test_sinks_are_the_positions_that_draw_most(model, prompts):
    prompt = prompts[0]
    weights = matrices(model, prompt).mean((0, 2))[:, : len(prompt)]
    ratio = (weights / weights.sum(-1, keepdims=True)).mean(0) * len(prompt)
    factor = np.sort(ratio)[-4] - 1e-3
    table = attention.sinks(model, prompt, factor, N_TOKENS)
    assert table["position"].tolist() == np.argsort(-ratio)[:4].tolist()
    np.testing.assert_allclose(table["ratio"], np.sort(ratio)[::-1][:4], atol=1e-3)
    np.testing.assert_allclose(table["value"] * len(prompt), table["ratio"])
    assert table["type"].tolist() == prompt.segments.types[table["position"]].tolist()
    everything = attention.sinks(model, prompt, 0, N_TOKENS)
    assert sorted(everything["position"]) == list(range(len(prompt)))
    assert everything["value"].sum() == pytest.approx(1)
    assert attention.sinks(model, prompt, factor=len(prompt) + 1).empty


def test_curves_without_sinks(model, prompts):
    found = attention.sinks(model, prompts[0], 1.2, N_TOKENS)
    assert 0 < len(found) < len(prompts[0]) / 2
    before = attention.shares(model, prompts[:1], "fine", max_new_tokens=N_TOKENS)
    after = attention.shares(model, prompts[:1], "fine", max_new_tokens=N_TOKENS, without=[found["position"]])
    assert not np.allclose(before["value"], after["value"], atol=0.01)
    assert before["group"].tolist() == after["group"].tolist()
    np.testing.assert_allclose(after.groupby("layer")[["value", "baseline"]].sum(), 1)


def test_bad_input_is_named(model, prompts):
    kinds = prompts[0].segments.types.copy()
    kinds[kinds == "audio"] = "video"
    deaf = Prompt(prompts[0].inputs, Segments(kinds), prompts[0].token_ids, "clip-9")
    for measure in (attention.shares, attention.by_head):
        with pytest.raises(PromptError, match="clip-9: the prompt has no audio positions"):
            measure(model, [prompts[0], deaf])
        with pytest.raises(ValueError, match="over='inputs only' is unknown"):
            measure(model, prompts, over="inputs only")
        with pytest.raises(ValueError, match="shares='coarse' is unknown"):
            measure(model, prompts, groups="coarse")
        with pytest.raises(ValueError, match="max_new_tokens=0"):
            measure(model, prompts, max_new_tokens=0)
        assert measure(model, []).empty
    fine = attention.shares(model, [deaf], groups="fine", max_new_tokens=2)
    assert "audio" not in set(fine["group"])
    with pytest.raises(ValueError, match="zip"):
        attention.shares(model, prompts, without=[[0]])
