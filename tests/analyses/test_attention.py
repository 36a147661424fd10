"""Attention shares against eager attention matrices of the same answer, reduced by hand."""

import numpy as np
import pandas as pd
import pytest

import avnb
from avnb import attention
from avnb.engine.branches import run
from avnb.engine.conditions import Condition
from avnb.models.prompt import GROUPS, Prompt, PromptError, Segments
from tests import reference
from tests.engine.test_engine import build, build_prompt

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
    table = attention.shares(model, prompts, groups=groups, over=over, max_new_tokens=N_TOKENS, without=left_out)
    assert table.columns.tolist() == ["clip", "layer", "group", "value", "null"]
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
                assert row["null"] == pytest.approx(baseline, abs=1e-9)
                n_rows += 1
    assert n_rows == len(table)
    np.testing.assert_allclose(table.groupby(["clip", "layer"]).sum(), 1, atol=1e-9)


def test_baseline_over_inputs_is_the_share_of_tokens(model, prompts):
    table = attention.shares(model, prompts[:1], max_new_tokens=N_TOKENS).query("layer == 2").set_index("group")
    for group in ("audio", "video", "text"):
        share = len(prompts[0].segments.positions(group)) / len(prompts[0])
        assert table.loc[group, "null"] == pytest.approx(share)


@pytest.mark.parametrize("over", ["inputs", "all"])
def test_every_head(model, prompts, over):
    table = attention.by_head(model, prompts, over=over, max_new_tokens=N_TOKENS)
    assert table.columns.tolist() == ["clip", "layer", "head", "group", "value", "null"]
    baseline = attention.shares(model, prompts, over=over, max_new_tokens=N_TOKENS).set_index(["clip", "group"])["null"]
    assert table.set_index(["clip", "group"])["null"].to_dict() == baseline.to_dict()
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
    table = attention.sinks(model, prompt, factor=factor, max_new_tokens=N_TOKENS)
    assert table["position"].tolist() == np.argsort(-ratio)[:4].tolist()
    np.testing.assert_allclose(table["ratio"], np.sort(ratio)[::-1][:4], atol=1e-3)
    np.testing.assert_allclose(table["value"] * len(prompt), table["ratio"])
    assert table["type"].tolist() == prompt.segments.types[table["position"]].tolist()
    everything = attention.sinks(model, prompt, factor=0, max_new_tokens=N_TOKENS)
    assert sorted(everything["position"]) == list(range(len(prompt)))
    assert everything["value"].sum() == pytest.approx(1)
    assert attention.sinks(model, prompt, factor=len(prompt) + 1).empty


def test_curves_without_sinks(model, prompts):
    found = attention.sinks(model, prompts[0], factor=1.2, max_new_tokens=N_TOKENS)
    assert 0 < len(found) < len(prompts[0]) / 2
    before = attention.shares(model, prompts[:1], groups="fine", max_new_tokens=N_TOKENS)
    after = attention.shares(model, prompts[:1], groups="fine", max_new_tokens=N_TOKENS, without=[found["position"]])
    assert not np.allclose(before["value"], after["value"], atol=0.01)
    assert before["group"].tolist() == after["group"].tolist()
    np.testing.assert_allclose(after.groupby("layer")[["value", "null"]].sum(), 1)


@pytest.mark.parametrize("over", ["inputs", "all"])
@pytest.mark.parametrize("groups", ["paper", "fine"])
def test_every_step(model, prompts, groups, over):
    table = attention.by_step(model, prompts, groups=groups, over=over, max_new_tokens=N_TOKENS)
    assert table.columns.tolist() == ["clip", "step", "token", "layer", "group", "value", "null"]
    table = table.set_index(["clip", "step", "layer", "group"])
    for i, prompt in enumerate(prompts):
        weights, all_masks = matrices(model, prompt).mean(2), masks(prompt, groups)
        for name, mask in all_masks.items():
            if over == "inputs" and name == "generated":
                continue
            value = expected(weights, mask, all_masks, over)
            counted = [m for n, m in all_masks.items() if over == "all" or n != "generated"]
            for step in range(N_TOKENS):
                rows = table.loc[f"clip-{i}", step].xs(name, level="group")
                np.testing.assert_allclose(rows["value"], value[step], atol=1e-5)
                seen = np.arange(len(mask)) < len(prompt) + step
                baseline = (mask & seen).sum() / (np.any(counted, axis=0) & seen).sum()
                np.testing.assert_allclose(rows["null"], baseline)


def test_steps_average_to_shares(model, prompts):
    steps = attention.by_step(model, prompts, groups="fine", over="all", max_new_tokens=N_TOKENS)
    shares = attention.shares(model, prompts, groups="fine", over="all", max_new_tokens=N_TOKENS).set_index(
        ["clip", "layer", "group"]
    )
    mean = steps.groupby(["clip", "layer", "group"])[["value", "null"]].mean()
    pd.testing.assert_frame_equal(mean, shares, check_like=True, atol=1e-6)


def test_shuffled_labels_average_to_the_baseline(model, prompts):
    """Whatever the attention, positions drawn at random get what their number says; single draws scatter."""
    draws = [attention.shares(model, prompts[:1], max_new_tokens=2, shuffled=seed) for seed in range(60)]
    table = pd.concat(draws).query("layer == 1").groupby("group")
    assert (table["value"].std() > 0.01).all()
    standard_error = table["value"].std() / np.sqrt(len(draws))
    assert ((table["value"].mean() - table["null"].mean()).abs() < 4 * standard_error).all()
    real = attention.shares(model, prompts[:1], max_new_tokens=2).query("layer == 1").set_index("group")
    assert real["null"].to_dict() == pytest.approx(table["null"].mean().to_dict())
    again = attention.shares(model, prompts[:1], max_new_tokens=2, shuffled=0)
    pd.testing.assert_frame_equal(draws[0], again)


def test_two_clips_are_shuffled_differently(model, prompts):
    twins = [Prompt(prompts[0].inputs, prompts[0].segments, prompts[0].token_ids, name) for name in ("a", "b")]
    table = attention.shares(model, twins, max_new_tokens=2, shuffled=0).set_index(["clip", "layer", "group"])["value"]
    assert not np.allclose(table["a"], table["b"], atol=1e-3)


def test_preference_is_zero_where_attention_is_uniform(model, prompts):
    table = attention.by_head(model, prompts, max_new_tokens=N_TOKENS)
    found = attention.preference(table)
    assert found.columns.tolist() == ["clip", "layer", "head", "value"] and found["value"].between(-1, 1).all()
    row = table.query("clip == 'clip-1' and layer == 2 and head == 3").set_index("group")["value"]
    n = {group: len(prompts[1].segments.positions(group)) for group in ("audio", "video")}
    audio, video = (row[group] / n[group] for group in ("audio", "video"))
    value = found.query("clip == 'clip-1' and layer == 2 and head == 3")["value"].item()
    assert value == pytest.approx((audio - video) / (audio + video))
    np.testing.assert_allclose(attention.preference(table.assign(value=table["null"]))["value"], 0, atol=1e-12)
    with pytest.raises(ValueError, match="no audio and no video rows"):
        attention.preference(table[table["group"] == "text"])


def test_attention_over_frames_sums_to_the_video_share(model, prompts):
    for prompt in prompts:
        over = attention.over_frames(model, prompt, max_new_tokens=N_TOKENS)
        assert over.attention.shape[:2] == (N_TOKENS, 4) and len(over.tokens) == N_TOKENS
        steps = attention.by_step(model, [prompt], over="all", max_new_tokens=N_TOKENS).query("group == 'video'")
        summed = steps.pivot(index="step", columns="layer", values="value")
        np.testing.assert_allclose(over.attention.sum((2, 3, 4)), summed, atol=1e-6)
        weights = matrices(model, prompt).mean(2)[..., prompt.segments.positions("video")]
        np.testing.assert_allclose(over.attention.reshape(weights.shape), weights, atol=1e-5)


@pytest.fixture(scope="module")
def grey():
    """Six grey frames, high and narrow, of an organism's size: two across and four down, three in time."""
    return np.full((6, 128, 64, 3), 128, dtype=np.uint8)


@pytest.mark.parametrize("sound", [True, False])
def test_a_changed_patch_moves_its_own_place_of_the_grid_most(random_organism, grey, sound):
    """The place of a position is known from the outside: only frames of one time are changed, in one patch."""
    wave = np.zeros(6 * 16_000, np.float32) if sound else None

    def embeds(frames):
        prompt = random_organism.prompt_from_inputs(**random_organism.process(frames, wave, "Describe what you see."))
        grid = attention.frame_grid(prompt)
        assert grid == (3, 4, 2)
        return prompt.embeds[0, prompt.segments.positions("video")].reshape(*grid, -1)

    before = embeds(grey)
    for time, row, column in np.ndindex(3, 4, 2):
        frames = grey.copy()
        frames[2 * time : 2 * time + 2, 32 * row : 32 * row + 32, 32 * column : 32 * column + 32] = (255, 0, 0)
        change = (embeds(frames) - before).norm(dim=-1)
        assert np.unravel_index(int(change.argmax()), change.shape) == (time, row, column)
        assert all(change[other].max() < 1e-5 for other in range(3) if other != time)


def test_grids_that_are_not_known_are_refused(model, prompts):
    prompt = prompts[0]
    flat = Prompt(prompt.inputs | {"position_ids": prompt.position_ids[0]}, prompt.segments, prompt.token_ids, "clip-8")
    with pytest.raises(PromptError, match="clip-8: the prompt has no positions of height and width"):
        attention.over_frames(model, flat)
    types = prompt.segments.types.copy()
    types[prompt.segments.positions("video")[-1]] = "query"
    ragged = Prompt(prompt.inputs, Segments(types), prompt.token_ids, "clip-7")
    with pytest.raises(PromptError, match="clip-7: the .* video positions are not one grid"):
        attention.frame_grid(ragged)
    types[types == "video"] = "query"
    with pytest.raises(PromptError, match="clip-6: the prompt has no video"):
        attention.frame_grid(Prompt(prompt.inputs, Segments(types), prompt.token_ids, "clip-6"))


@pytest.mark.parametrize("by", ["layer", "head", "step"])
def test_measure_is_the_function_over_clips(random_organism, toybox_clips, by):
    clips = [*toybox_clips[:2], avnb.Clip("lost", "lost.mp4")]
    question = "Describe what you see."
    table = attention.measure(random_organism, clips, question, by=by, over="all", max_new_tokens=3)
    prompts = [random_organism.prompt(clip, question) for clip in clips[:2]]
    function = {"layer": attention.shares, "head": attention.by_head, "step": attention.by_step}[by]
    pd.testing.assert_frame_equal(
        table.drop(columns=["kind", "question"]), function(random_organism, prompts, over="all", max_new_tokens=3)
    )
    assert table["kind"].tolist() == ["factual"] * len(table) and table.columns[1] == "kind"
    assert attention.measure(random_organism, [], by=by).columns.tolist() == table.columns.tolist()


def test_measure_without_sinks_and_shuffled(random_organism, toybox_clips):
    clip, question = toybox_clips[0], "Describe what you hear."
    prompt = random_organism.prompt(clip, question)
    found = attention.sinks(random_organism, prompt, factor=1.0, max_new_tokens=3)
    assert 0 < len(found) < len(prompt)
    table = attention.measure(random_organism, [clip], without_sinks=1.0, max_new_tokens=3)
    direct = attention.shares(random_organism, [prompt], max_new_tokens=3, without=[found["position"]])
    pd.testing.assert_frame_equal(table.drop(columns=["kind", "question"]), direct)
    shuffled = attention.measure(random_organism, [clip], shuffled=True, seed=5, max_new_tokens=3)
    direct = attention.shares(random_organism, [prompt], max_new_tokens=3, shuffled=5)
    pd.testing.assert_frame_equal(shuffled.drop(columns=["kind", "question"]), direct)
    with pytest.raises(ValueError, match="by='word' is unknown"):
        attention.measure(random_organism, [clip], by="word")
    for option in ({"shuffled": True}, {"without_sinks": 10.0}):
        with pytest.raises(ValueError, match="by='head' has neither"):
            attention.measure(random_organism, [clip], by="head", **option)


def test_bad_input_is_named(model, prompts):
    kinds = prompts[0].segments.types.copy()
    kinds[kinds == "audio"] = "video"
    deaf = Prompt(prompts[0].inputs, Segments(kinds), prompts[0].token_ids, "clip-9")
    for measure in (attention.shares, attention.by_head, attention.by_step):
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


def of_heads(preferences):
    """Shares of every head whose preference for sound is that [n_clips, n_heads]; NaN looks at neither."""
    rows = [
        (f"test-5-{i:05d}-matching", 0, head, group, 0.0 if np.isnan(p) else (1 + side * p) / 2, 0.5)
        for i, row in enumerate(preferences)
        for head, p in enumerate(row)
        for group, side in (("audio", 1), ("video", -1))
    ]
    return pd.DataFrame(rows, columns=["clip", "layer", "head", "group", "value", "null"])


def test_a_head_stands_among_all_and_over_sources():
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (40, 8))
    assert not attention.head_preferences(of_heads(noise))["stands"].any()
    planted = noise.copy()
    planted[:, 3] = np.abs(planted[:, 3]) + 0.1
    planted[5, 6] = np.nan
    found = attention.head_preferences(of_heads(planted)).set_index("head")
    assert found.index[found["stands"]].tolist() == [3] and 6 not in found.index
    with pytest.raises(ValueError, match="no head looks at audio or video"):
        attention.head_preferences(of_heads(noise * np.nan))
