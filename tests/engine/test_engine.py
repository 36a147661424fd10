"""The engine against the slow way: token for token, and what it captures number for number."""

from concurrent.futures import ThreadPoolExecutor

import accelerate
import numpy as np
import pytest
import torch
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from avnb.engine import prefix as shared
from avnb.engine.branches import run
from avnb.engine.capture import Capture
from avnb.engine.choose import Chooser
from avnb.engine.conditions import Condition, Random
from avnb.models.native import AVModel
from avnb.models.prompt import GROUPS, Prompt, PromptError, Segments
from tests import reference

VOCABULARY, AUDIO, IMAGE, VIDEO, VISION_START, VISION_END, AUDIO_START, AUDIO_END = 96, 90, 91, 92, 93, 94, 88, 89
TEXT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "tie_word_embeddings": False,
    "initializer_range": 0.15,
}
MROPE = {"rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [2, 3, 3]}}
IDS = {"audio_token_id": AUDIO, "image_token_id": IMAGE, "video_token_id": VIDEO}
IDS |= {"vision_start_token_id": VISION_START, "vision_end_token_id": VISION_END}
AUDIO_IDS = {"audio_start_token_id": AUDIO_START, "audio_end_token_id": AUDIO_END}
VISION = {"hidden_size": 32, "intermediate_size": 32, "num_heads": 2, "patch_size": 4, "out_hidden_size": 64}
SOUND = {"num_mel_bins": 16, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 32, "d_model": 32}
PER_LAYER = {"sliding_window": 7, "layer_types": ["sliding_attention", "full_attention"] * 2}
PER_LAYER |= {"num_kv_shared_layers": 2, "hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": VOCABULARY}
SOUND |= {"output_dim": 64, "n_window": 20}


def omni(**text):
    config = transformers.Qwen2_5OmniThinkerConfig(
        text_config={**TEXT, **MROPE, **text},
        vision_config={**VISION, "depth": 1, "window_size": 16, "fullatt_block_indexes": [0]},
        audio_config=SOUND,
        **IDS,
        **AUDIO_IDS,
    )
    return transformers.Qwen2_5OmniThinkerForConditionalGeneration(config)


def omni_moe(**text):
    config = transformers.Qwen3OmniMoeThinkerConfig(
        text_config={
            **TEXT,
            **{"rope_parameters": {**MROPE["rope_parameters"], "mrope_interleaved": True}},
            **{"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32},
            **text,
        },
        vision_config={**VISION, "depth": 3, "deepstack_visual_indexes": [0, 1], "num_position_embeddings": 16},
        audio_config={**SOUND, "n_window": 50, "downsample_hidden_size": 8},
        **IDS,
        **AUDIO_IDS,
    )
    return transformers.Qwen3OmniMoeThinkerForConditionalGeneration(config)


def vision_language(**text):
    config = transformers.Qwen2_5_VLConfig(
        text_config={**TEXT, **MROPE, **text},
        vision_config={**VISION, "depth": 1, "window_size": 16, "fullatt_block_indexes": [0]},
        **IDS,
    )
    return transformers.Qwen2_5_VLForConditionalGeneration(config)


def plain(**text):
    return transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**{**TEXT, **text}))


def sliding(**text):
    layers = ["sliding_attention", "full_attention"] * 8
    n = text.get("num_hidden_layers", TEXT["num_hidden_layers"])
    window = {"use_sliding_window": True, "sliding_window": 7, "layer_types": layers[:n]}
    return plain(**window, **text)


def soft_capped(**text):
    """Soft caps in attention and head, a query scale of its own, scaled embeddings, and alternating windows."""
    config = {**TEXT, "head_dim": 16, "sliding_window": 7, "attn_logit_softcapping": 5.0, **text}
    return transformers.Gemma2ForCausalLM(transformers.Gemma2Config(**config))


def shared_keys(**text):
    """Layers that reuse the keys of others, wider heads in full layers, and inputs per layer."""
    config = {**TEXT, "head_dim": 16, "global_head_dim": 32, **PER_LAYER, **text}
    return transformers.Gemma4ForCausalLM(transformers.Gemma4TextConfig(**config))


def several_streams(**text):
    """The same, with a residual stream of two parallel tracks."""
    config = {**TEXT, "head_dim": 16, "intermediate_size": [96] * 4, "activation_sparsity_pattern": [0.0] * 4}
    config |= {**PER_LAYER, "altup_num_inputs": 2, "laurel_rank": 4, **text}
    return transformers.Gemma3nForCausalLM(transformers.Gemma3nTextConfig(**config))


FAMILIES = {
    "omni": omni,
    "omni_moe": omni_moe,
    "vision_language": vision_language,
    "plain": plain,
    "sliding": sliding,
    "soft_capped": soft_capped,
    "shared_keys": shared_keys,
    "several_streams": several_streams,
}
HEARS = ("omni", "omni_moe")
SEES = (*HEARS, "vision_language")


def build(family, seed=0, **text):
    """A random model, evaluated in float32 with SDPA."""
    torch.manual_seed(seed)
    model = AVModel(FAMILIES[family](**text).eval())
    with torch.no_grad():
        for name, weight in model.decoder.named_parameters():
            if "norm" not in name:
                weight.normal_(0, 0.15)
        model.hf.get_output_embeddings().weight.normal_(0, 0.15)
    return model


def media_inputs(family, seed=0, n_frames=4, n_text=4, n_mels=80):
    """What a processor would hand to the model: text, a video of 2 x 3 patches per step, sound, text."""
    generator = torch.Generator().manual_seed(seed)

    def words(n):
        return torch.randint(0, 80, (n,), generator=generator).tolist()

    ids, inputs = words(n_text), {}
    if family in SEES:
        grid = (n_frames // 2, 4, 6)
        n_video = grid[0] * grid[1] * grid[2] // 4
        pixels = torch.randn(grid[0] * grid[1] * grid[2], 3 * 2 * 4 * 4, generator=generator)
        ids += [VISION_START, *[VIDEO] * n_video, VISION_END, *words(2)]
        inputs |= {"pixel_values_videos": pixels, "video_grid_thw": torch.tensor([grid])}
        if family in HEARS:
            inputs["video_second_per_grid"] = torch.tensor([1.0])
        else:
            inputs["second_per_grid_ts"] = torch.tensor([1.0])
    if family in HEARS:
        n_audio = int(_n_audio(family, n_mels))
        ids += [AUDIO_START, *[AUDIO] * n_audio, AUDIO_END]
        inputs |= {
            "input_features": torch.randn(1, 16, n_mels, generator=generator),
            "feature_attention_mask": torch.ones(1, n_mels, dtype=torch.long),
        }
    ids = torch.tensor([ids + words(n_text + 3)])
    if family == "vision_language":
        inputs["mm_token_type_ids"] = torch.where(ids == VIDEO, 2, 0)
    return inputs | {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def _n_audio(family, n_mels):
    if family == "omni_moe":
        from transformers.models.qwen3_omni_moe.modeling_qwen3_omni_moe import _get_feat_extract_output_lengths

        return _get_feat_extract_output_lengths(torch.tensor(n_mels))
    return ((n_mels - 1) // 2 + 1 - 2) // 2 + 1


def build_prompt(model, family, seed=0, **sizes):
    """The prompt of those inputs; models without media get a random split of their positions into all groups."""
    inputs = media_inputs(family, seed, **sizes)
    prompt = model.prompt_from_inputs(**inputs)
    types = prompt.segments.types.copy()
    if family in SEES:
        types[0] = "system"
        types[-4:-1] = "query"
    else:
        n = len(types)
        types[:] = np.resize(["system", "video", "video", "audio", "query"], n)
        types[np.arange(n) % 11 == 10] = "audio"
        types[-1] = "last"
    inputs = dict(prompt.inputs)
    if hasattr(model.decoder, "get_per_layer_inputs"):
        inputs["per_layer_inputs"] = model.decoder.get_per_layer_inputs(
            media_inputs(family, seed, **sizes)["input_ids"]
        )
    return Prompt(inputs, Segments(types), prompt.token_ids)


def assert_equal_answers(model, prompt, conditions, max_new_tokens, **options):
    runs = run(model, prompt, conditions, max_new_tokens, **options)
    for result, condition in zip(runs, conditions, strict=True):
        tokens, logprobs = reference.generate(model, prompt, condition, max_new_tokens)
        assert result.condition is condition
        assert result.token_ids.tolist() == tokens, str(condition)
        np.testing.assert_allclose(result.logprobs, logprobs, atol=1e-4, err_msg=str(condition))
    return runs


def mixed_conditions(family):
    """Rules of every kind: answer, last, query and media sources, windows, heads, controls, several at once."""
    block = Condition.block
    hearing = family not in ("vision_language",)
    other = "audio" if hearing else "query"
    return [
        Condition(),
        block("generated", "video"),
        block("generated", "video", layers=range(1, 3)),
        block("last+generated", "video"),
        block("last+generated", Random("video", seed=3, among="everywhere"), layers=range(2)),
        block("last+generated", (2, 5, 6)),
        block("query", "video", layers=range(1, 4)),
        block(other, "video", layers=[2]),
        block("query", "text"),
        block("generated", "generated+system", layers=[0, 3]),
        block("generated", "video", heads=[1]) + block("query", "video", layers=[3], heads=[0, 2]),
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_kind_of_rule(family):
    model = build(family)
    prompt = build_prompt(model, family)
    runs = assert_equal_answers(model, prompt, mixed_conditions(family), 6)
    # The rules bite: a knockout that changes nothing would pass any comparison.
    bites = [np.abs(r.logprobs[:2] - runs[0].logprobs[:2]).max() > 1e-4 for r in runs[1:]]
    # Where late layers reuse the keys of early ones, nobody reads what those prompt positions compute there.
    assert all(bites) if family not in ("shared_keys", "several_streams") else sum(bites) == 8


GROUPS_OF_PROMPTS = ("system", "video", "query", "last", "text")


@st.composite
def experiments(draw):
    """A model of any family and shape, prompt sizes, a handful of conditions, and how to run them."""
    family = draw(st.sampled_from(["omni", "omni_moe", "vision_language", "plain", "sliding"]))
    n_layers, n_heads = draw(st.integers(1, 5)), draw(st.sampled_from([2, 4]))
    shape = {
        "num_hidden_layers": n_layers,
        "num_attention_heads": n_heads,
        "num_key_value_heads": draw(st.sampled_from([1, 2, n_heads])),
        "head_dim": 16,
        "hidden_size": 64,  # what the encoders give
        "tie_word_embeddings": draw(st.booleans()),
    }
    if family in ("omni", "vision_language"):
        shape["num_attention_heads"] = 4
        shape["num_key_value_heads"] = draw(st.sampled_from([1, 2, 4]))
        shape.pop("head_dim")
    names = GROUPS_OF_PROMPTS + (() if family == "vision_language" else ("audio",))
    sources = st.sampled_from([*names, "generated", "last+generated", "query+generated"])
    targets = st.one_of(
        st.sampled_from([*names, "generated", "video+system"]),
        st.builds(Random, st.sampled_from(["system", "query", "video"]), st.integers(0, 9), st.just("everywhere")),
    )
    layers = st.none() | st.sets(st.integers(0, n_layers - 1), min_size=1)
    heads = st.none() | st.sets(st.integers(0, shape["num_attention_heads"] - 1), min_size=1)
    rules = st.builds(Condition.block, sources, targets, layers, heads)
    conditions = st.lists(st.builds(sum, st.lists(rules, max_size=2), st.just(Condition())), min_size=1, max_size=5)
    sizes = {"n_frames": draw(st.sampled_from([2, 4])), "n_text": draw(st.integers(2, 6))}
    how = {"conditions_per_pass": draw(st.none() | st.integers(1, 3)), "max_new_tokens": draw(st.integers(1, 4))}
    return family, shape, draw(st.integers(0, 99)), sizes, draw(conditions), how


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(experiments())
def test_any_architecture_and_rules(experiment):
    family, shape, seed, sizes, conditions, how = experiment
    model = build(family, seed, **shape)
    prompt = build_prompt(model, family, seed, **sizes)
    try:
        assert_equal_answers(model, prompt, conditions, **how)
    except PromptError:
        rules = [rule for c in conditions for rule in c.rules if "generated" not in rule.source]
        assert any(not reference.blocked(prompt, rule, len(prompt)).tril().any() for rule in rules)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_rules_is_plain_generate(family):
    model = build(family, seed=1)
    inputs = media_inputs(family, seed=1)
    n_prompt = inputs["input_ids"].shape[1]
    with torch.inference_mode():
        stop_ids = sorted(model.stop_ids) or None
        output = model.hf.generate(**inputs, max_new_tokens=12, do_sample=False, eos_token_id=stop_ids)
    result = run(model, build_prompt(model, family, seed=1), max_new_tokens=12)[0]
    assert str(result.condition) == "baseline"
    assert result.token_ids.tolist() == output[0, n_prompt:].tolist()


@pytest.mark.parametrize("family", FAMILIES)
def test_forced_answers_are_scored(family):
    model = build(family, seed=2)
    prompt = build_prompt(model, family, seed=2)
    conditions, answer = mixed_conditions(family), [5, 60, 7, 7, 31]
    for result, condition in zip(run(model, prompt, conditions, forced=answer), conditions, strict=True):
        expected = reference.score(model, prompt, condition, answer)
        np.testing.assert_allclose(result.logprobs, expected, atol=1e-4, err_msg=str(condition))
        assert result.token_ids.tolist() == answer
    early = next(c for c in conditions if c.rules and all("last" in rule.source for rule in c.rules))
    one_token = run(model, prompt, [early], forced=answer[:1])[0]
    np.testing.assert_allclose(one_token.logprobs, reference.score(model, prompt, early, answer[:1]), atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_condition_may_have_an_answer_of_its_own(family):
    model = build(family, seed=2)
    prompt = build_prompt(model, family, seed=2)
    hidden = None if family == "several_streams" else "last+generated"
    capture = Capture(shares="paper", hidden=hidden, logits=True)
    answers = [[5, 60, 7, 7, 31], [8], [5, 61], [9, 8, 7, 6]]
    conditions = [Condition(), Condition(), Condition(), Condition.block("last+generated", "query")]
    together = run(model, prompt, conditions, forced=answers, capture=capture, conditions_per_pass=3)
    for result, condition, answer in zip(together, conditions, answers, strict=True):
        alone = run(model, prompt, [condition], forced=answer, capture=capture)[0]
        assert result.token_ids.tolist() == answer
        np.testing.assert_allclose(result.logprobs, reference.score(model, prompt, condition, answer), atol=1e-4)
        for name in ("shares", "logits", *["hidden"] * (hidden is not None)):
            np.testing.assert_allclose(getattr(result, name), getattr(alone, name), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("family", "scale"), [("Cohere", {"logit_scale": 0.25}), ("Granite", {"logits_scaling": 8.0})])
def test_heads_with_a_scale(family, scale):
    torch.manual_seed(0)
    sizes = {"vocab_size": 99, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2}
    sizes |= {"num_attention_heads": 2, "num_key_value_heads": 1, "pad_token_id": 0, "eos_token_id": None}
    config = getattr(transformers, f"{family}Config")(**sizes, **scale)
    hf = getattr(transformers, f"{family}ForCausalLM")(config).eval()
    ids = torch.arange(5, 14)[None]
    model = AVModel(hf)
    got = run(model, model.prompt_from_inputs(input_ids=ids), forced=[40, 41])[0].logprobs
    with torch.inference_mode():
        logits = hf(torch.cat([ids, torch.tensor([[40]])], dim=1)).logits[0, -2:]
    np.testing.assert_allclose(got, logits.log_softmax(-1)[[0, 1], [40, 41]], atol=1e-5)


def test_threads_take_turns_on_a_model():
    model = build("omni")
    prompt, conditions = build_prompt(model, "omni"), mixed_conditions("omni")
    expected = [r.logprobs for r in run(model, prompt, conditions, 4)]
    with ThreadPoolExecutor(3) as threads:
        results = list(threads.map(lambda _: run(model, prompt, conditions, 4), range(3)))
    for result in results:
        for got, wanted in zip(result, expected, strict=True):
            np.testing.assert_allclose(got.logprobs, wanted, atol=1e-5)
    assert model.decoder.config._attn_implementation == "sdpa"


def test_a_flash_base_does_not_lose_sliding_windows(monkeypatch):
    """Flash attention hands out no mask for a window; a decoder that has one is served by SDPA."""
    model = build("sliding")
    monkeypatch.setattr(model.decoder.config, "_attn_implementation_internal", "flash_attention_2")
    prompt, capture = build_prompt(model, "sliding"), Capture(shares="fine")
    flash = run(model, prompt, max_new_tokens=3, capture=capture)[0]
    monkeypatch.undo()
    plain = run(model, prompt, max_new_tokens=3, capture=capture)[0]
    np.testing.assert_allclose(flash.shares, plain.shares, atol=1e-5)
    np.testing.assert_allclose(flash.logprobs, plain.logprobs, atol=1e-5)


@pytest.mark.parametrize(
    ("condition", "n_tokens"),
    [(Condition.block("generated", "video"), 1), (Condition.block("generated", "generated"), 2)],
)
def test_answers_too_short_to_block_anything_are_refused(condition, n_tokens):
    model = build("omni")
    prompt = build_prompt(model, "omni")
    with pytest.raises(ValueError, match=f"an answer of {n_tokens} tokens has no generated position"):
        run(model, prompt, [condition], n_tokens)
    assert len(run(model, prompt, [condition], n_tokens + 1)[0].token_ids) == n_tokens + 1


def test_a_missing_mask_among_several_is_no_obstacle():
    """Some decoders get a dict of masks, in which None is a plain causal one."""
    model = build("sliding")
    prompt = build_prompt(model, "sliding")
    rule = Condition.block("query", "video")
    expected = run(model, prompt, [rule], 3)[0].logprobs
    window = model.decoder.config.sliding_window
    rows, keys = torch.arange(len(prompt))[:, None], torch.arange(len(prompt))
    masks = {"full_attention": None, "sliding_attention": ((keys <= rows) & (keys > rows - window))[None, None]}
    with_masks = Prompt({**prompt.inputs, "attention_mask": masks}, prompt.segments, prompt.token_ids)
    np.testing.assert_allclose(run(model, with_masks, [rule], 3)[0].logprobs, expected, atol=1e-4)


@pytest.mark.parametrize("conditions_per_pass", [1, 3, 7])
@pytest.mark.parametrize("forced", [None, [5, 6, 7]])
def test_passes_do_not_change_results(conditions_per_pass, forced):
    model = build("omni")
    prompt, conditions = build_prompt(model, "omni"), mixed_conditions("omni")
    capture = Capture(shares="fine", maps="video", hidden="audio+generated", logits=True)
    options = {"capture": capture, "forced": forced, "temperature": 1.5, "seed": 4}
    whole = run(model, prompt, conditions, 5, **options)
    split = run(model, prompt, conditions, 5, conditions_per_pass=conditions_per_pass, **options)
    for a, b in zip(whole, split, strict=True):
        assert a.condition is b.condition and a.token_ids.tolist() == b.token_ids.tolist()
        for name in ("logprobs", "shares", "maps", "hidden", "logits"):
            np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=1e-4, err_msg=name)


def test_stopped_answers_leave_the_batch():
    model = build("omni", seed=5)
    prompt, conditions = build_prompt(model, "omni", seed=5), mixed_conditions("omni")
    free = run(model, prompt, conditions, 8)
    model.stop_ids = {int(free[0].token_ids[4]), int(free[2].token_ids[3])}
    rows = []
    handle = model.decoder.layers[0].mlp.register_forward_hook(lambda module, args, out: rows.append(args[0].shape[:2]))
    stopped = run(model, prompt, conditions, 8)
    handle.remove()
    assert_equal_answers(model, prompt, conditions, 8)
    lengths = [len(r.token_ids) for r in stopped]
    assert len(set(lengths)) > 2
    assert [r.stopped for r in stopped] == [int(r.token_ids[-1]) in model.stop_ids for r in stopped]
    decoded = [n for n, n_rows in rows if n_rows == 1]
    assert decoded == [sum(length > step + 1 for length in lengths) for step in range(max(lengths) - 1)]


def test_sampling_is_seeded_and_shared():
    model = build("plain", seed=6)
    prompt = build_prompt(model, "plain", seed=6)
    conditions = [Condition(), Condition.block("generated", "video"), Condition()]
    model.stop_ids = set()
    one, two, other = (run(model, prompt, conditions, 8, temperature=1.0, seed=seed) for seed in (0, 0, 1))
    assert [r.token_ids.tolist() for r in one] == [r.token_ids.tolist() for r in two]
    assert one[0].token_ids.tolist() == one[2].token_ids.tolist() != other[0].token_ids.tolist()
    np.testing.assert_allclose(
        one[1].logprobs, reference.score(model, prompt, conditions[1], one[1].token_ids.tolist()), atol=1e-4
    )
    cold = run(model, prompt, conditions, 8, temperature=1e-4)
    assert [r.token_ids.tolist() for r in cold] == [r.token_ids.tolist() for r in run(model, prompt, conditions, 8)]


def test_sampling_follows_the_distribution():
    probabilities = torch.tensor([0.5, 0.3, 0.15, 0.05])
    logits = probabilities.log()[None]

    def frequencies(**options):
        choose = Chooser(**{"temperature": 1.0, **options})
        return torch.bincount(torch.cat([choose(logits) for _ in range(4000)]), minlength=4) / 4000

    torch.testing.assert_close(frequencies(), probabilities, atol=0.03, rtol=0)
    hot = (logits[0] / 2).softmax(-1)
    torch.testing.assert_close(frequencies(temperature=2.0), hot, atol=0.03, rtol=0)
    torch.testing.assert_close(frequencies(top_p=0.79), torch.tensor([0.625, 0.375, 0, 0]), atol=0.03, rtol=0)


@pytest.mark.parametrize("groups", ["paper", "fine"])
@pytest.mark.parametrize("forced", [False, True])
@pytest.mark.parametrize("family", [f for f in FAMILIES if f != "several_streams"])
def test_capture_is_what_eager_attention_gives(family, forced, groups):
    model = build(family, seed=7)
    prompt, conditions = build_prompt(model, family, seed=7), mixed_conditions(family)
    layers = [0, 2, 3]
    capture = Capture(shares=groups, maps="video", hidden="video+query+generated", layers=layers, logits=True)
    answer = [9, 8, 7, 6] if forced else None
    for result in run(model, prompt, conditions, 4, capture=capture, forced=answer):
        tokens = result.token_ids.tolist()
        logits, hidden, attentions = reference.forward(model, prompt, result.condition, tokens[:-1])
        kinds = [GROUPS[groups][g] for g in result.groups[:-1]]
        expected = reference.shares(prompt, attentions, kinds)
        assert result.shares.shape == (len(tokens), 4, 4, len(kinds) + 1)
        np.testing.assert_allclose(result.shares, expected, atol=1e-5, err_msg=str(result.condition))
        np.testing.assert_allclose(result.shares.sum(-1), 1, atol=1e-5)
        video = prompt.segments.positions("video")
        assert result.map_positions.tolist() == video.tolist()
        maps = torch.stack(attentions)[:, :, len(prompt) - 1 :, video].mean(1).transpose(0, 1)
        np.testing.assert_allclose(result.maps, maps, atol=1e-5)
        query = prompt.segments.positions("query")
        positions = sorted([*video, *query]) + [len(prompt) + i for i in range(len(tokens) - 1)]
        assert result.hidden_positions.tolist() == positions
        states = torch.stack([hidden[i][positions] for i in layers])
        torch.testing.assert_close(result.hidden, states, atol=1e-4, rtol=1e-4)
        np.testing.assert_allclose(result.logits, logits, atol=1e-4)


def test_hidden_states_of_single_positions():
    model = build("omni")
    prompt = build_prompt(model, "omni")
    result = run(model, prompt, max_new_tokens=0, capture=Capture(hidden=[3, 0]))[0]
    assert result.hidden_positions.tolist() == [0, 3] and len(result.token_ids) == 0
    hidden = torch.stack(reference.forward(model, prompt, Condition(), [])[1])
    torch.testing.assert_close(result.hidden, hidden[:, [0, 3]], atol=1e-4, rtol=1e-4)


def test_several_streams_have_no_single_residual_stream():
    model = build("several_streams")
    with pytest.raises(shared.EngineError, match="runs on 2 tracks"):
        run(model, build_prompt(model, "several_streams"), capture=Capture(hidden="query"))


class Sizes(torch.utils._python_dispatch.TorchDispatchMode):
    """Notes the size of the largest tensor that any operation makes."""

    largest = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else [out]:
            if isinstance(tensor, torch.Tensor) and not function.is_view:
                self.largest = max(self.largest, tensor.numel())
        return out


def test_no_tensor_is_prompt_by_prompt(monkeypatch):
    monkeypatch.setattr(shared, "MAX_SCORES", 2**17)
    model = build("plain", max_position_embeddings=2048)
    ids = torch.randint(0, 80, (1, 900))
    types = np.asarray(["video", "audio"] * 445 + ["query"] * 9 + ["last"], dtype=object)
    inputs = {"inputs_embeds": model.decoder.embed_tokens(ids).detach(), "position_ids": torch.arange(900)[None]}
    prompt = Prompt(inputs, Segments(types), ids[0].numpy())
    capture = Capture(shares="paper", maps="video", hidden="query+last+generated")
    conditions = [Condition(), Condition.block("generated", "video"), Condition.block("audio", "video", [2])]
    with Sizes() as sizes:
        run(model, prompt, conditions, 3, capture=capture)
    assert 900 < sizes.largest < 900 * 900 / 4


def test_long_row_ranges_are_computed_in_pieces(monkeypatch):
    model = build("omni")
    prompt, conditions = build_prompt(model, "omni"), mixed_conditions("omni")
    whole = run(model, prompt, conditions, 4, capture=Capture(shares="paper"))
    monkeypatch.setattr(shared, "MAX_SCORES", 1000)
    for a, b in zip(whole, run(model, prompt, conditions, 4, capture=Capture(shares="paper")), strict=True):
        np.testing.assert_allclose(a.logprobs, b.logprobs, atol=1e-5)
        np.testing.assert_allclose(a.shares, b.shares, atol=1e-5)


def test_work_is_shared(monkeypatch):
    """Rows per layer: the prompt once, then what differs; keys and values of the shared prefix once."""
    model = build("omni")
    prompt = build_prompt(model, "omni")
    n_query = len(prompt) - prompt.segments.positions("query")[0]
    conditions = [Condition()] + [Condition.block("query", "video", [layer]) for layer in (1, 3, 3)]
    conditions += [Condition.block("generated", "video", [layer]) for layer in range(4)]
    rows = {i: [] for i in range(4)}
    for i, layer in enumerate(model.decoder.layers):
        layer.mlp.register_forward_hook(lambda module, args, out, i=i: rows[i].append(args[0].shape[:2].numel()))
    own = []
    close = shared.BranchCache.close
    monkeypatch.setattr(
        shared.BranchCache, "close", lambda cache: (own.append(cache.own_keys[0].shape), close(cache))[1]
    )
    model.stop_ids = set()
    run(model, prompt, conditions, 3)
    first = {0: [], 1: [n_query], 2: [n_query], 3: [3 * n_query]}
    assert rows == {i: [len(prompt), *first[i], 8, 8] for i in range(4)}
    assert [shape[2] for shape in own] == [n_query + 2]


def test_pictures_that_look_ahead():
    """A mask that lets positions see later ones moves the branch point up to the first position that does."""
    model = build("plain", seed=8)
    prompt = build_prompt(model, "plain", seed=8, n_text=8)
    n = len(prompt)
    visible = torch.ones(n, n).tril().bool()
    visible[2:7, 2:7] = True
    mask = torch.zeros(1, 1, n, n).masked_fill(~visible, torch.finfo(torch.float32).min)
    with_mask = Prompt({**prompt.inputs, "attention_mask": mask}, prompt.segments, prompt.token_ids)
    conditions = [Condition(), Condition.block("query", "video", [1, 2])]
    assert prompt.segments.types[4] == "query"
    answer = [3, 4]
    for result in run(model, with_mask, conditions, forced=answer):
        whole = torch.zeros(1, 1, n + 1, n + 1)
        whole[..., :n, n:] = torch.finfo(torch.float32).min
        whole[..., :n, :n] = mask
        longer = Prompt({**prompt.inputs, "attention_mask": whole}, prompt.segments, prompt.token_ids)
        expected = reference.score(model, longer, result.condition, answer)
        np.testing.assert_allclose(result.logprobs, expected, atol=1e-4)


@pytest.mark.parametrize("family", ["omni", "omni_moe", "shared_keys"])
def test_layers_that_live_elsewhere(family):
    """With accelerate's hooks around every layer, as `device_map` puts them there."""
    model = build(family)
    prompt, conditions = build_prompt(model, family), mixed_conditions(family)
    capture = Capture(shares="paper", hidden="video+generated")
    here = run(model, prompt, conditions, 4, capture=capture)
    accelerate.cpu_offload(model.hf, execution_device=torch.device("cpu"))
    for layer in model.decoder.layers:
        hook = accelerate.hooks.AlignDevicesHook(execution_device="cpu", io_same_device=True)
        accelerate.hooks.add_hook_to_module(layer, hook, append=True)
    forwards = [layer.__dict__["forward"] for layer in model.decoder.layers]
    for a, b in zip(here, run(model, prompt, conditions, 4, capture=capture), strict=True):
        assert a.token_ids.tolist() == b.token_ids.tolist()
        np.testing.assert_allclose(a.shares, b.shares, atol=1e-5)
        torch.testing.assert_close(a.hidden, b.hidden)
    assert forwards == [layer.__dict__["forward"] for layer in model.decoder.layers]


def test_low_precision():
    model = build("omni", seed=9)
    prompt, answer = build_prompt(model, "omni", seed=9), [4, 5, 6]
    conditions = mixed_conditions("omni")
    exact = run(model, prompt, conditions, forced=answer, capture=Capture(shares="paper"))
    model.hf.bfloat16()
    inputs = {**prompt.inputs, "inputs_embeds": prompt.embeds.bfloat16()}
    low = Prompt(inputs, prompt.segments, prompt.token_ids)
    for a, b in zip(exact, run(model, low, conditions, forced=answer, capture=Capture(shares="paper")), strict=True):
        np.testing.assert_allclose(a.logprobs, b.logprobs, atol=0.3)
        np.testing.assert_allclose(a.shares, b.shares, atol=0.1)


def snapshot(model):
    """Everything about a model that a run could leave behind."""
    modules = list(model.hf.modules())
    return (
        [sorted(m.__dict__) for m in modules],
        [m.__dict__.get("forward") for m in modules],
        [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in modules],
        [getattr(getattr(m, "config", None), "_attn_implementation", None) for m in modules],
        [p.clone() for p in model.hf.parameters()],
    )


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("calls", [2, 7, 12])
def test_the_model_is_as_before(error, implementation, calls):
    model = build("omni")
    model.hf.set_attn_implementation(implementation)
    prompt, conditions = build_prompt(model, "omni"), mixed_conditions("omni")
    before, inputs = snapshot(model), media_inputs("omni")
    with torch.inference_mode():
        logits = model.hf(**inputs).logits
    countdown = iter(range(calls))

    def fail(module, args):
        if error is not None and next(countdown, None) is None:
            raise error("stop here")

    handle = model.decoder.layers[1].mlp.register_forward_pre_hook(fail)
    capture = Capture(hidden="audio")
    if error is None:
        run(model, prompt, conditions, 4, capture=capture)
    else:
        with pytest.raises(error, match="stop here"):  # noqa: PT012 (at whichever of them)
            for _ in range(3):
                run(model, prompt, conditions, 4, capture=capture)
    handle.remove()
    after = snapshot(model)
    assert after[:4] == before[:4]
    assert all(torch.equal(a, b) for a, b in zip(after[4], before[4], strict=True))
    with torch.inference_mode():
        assert torch.equal(model.hf(**inputs).logits, logits)


def test_a_decoder_that_bypasses_the_interface_is_refused(monkeypatch):
    model = build("plain")
    prompt = build_prompt(model, "plain")

    def own_attention(hidden_states, **kwargs):
        return hidden_states, None

    monkeypatch.setattr(model.decoder.layers[2].self_attn, "forward", own_attention)
    with pytest.raises(shared.EngineError, match=r"layers \[2\] does not go through"):
        run(model, prompt)
    assert model.decoder.config._attn_implementation == "sdpa"


def test_training_mode_and_foreign_decoders_are_refused():
    model = build("plain")
    prompt = build_prompt(model, "plain")
    model.decoder.train()
    with pytest.raises(shared.EngineError, match="training mode"):
        run(model, prompt)
    model.decoder = torch.nn.Linear(2, 2)
    with pytest.raises(shared.EngineError, match="Linear cannot be served"):
        run(model, prompt)


@pytest.mark.parametrize(
    ("condition", "error", "message"),
    [
        (Condition.block("generated", "image"), PromptError, "needs image positions, and the prompt has none"),
        (Condition.block("speech", "video"), PromptError, "'speech' is unknown"),
        (Condition.block("system", "query"), PromptError, "blocks nothing"),
        (Condition.block("generated", "video", range(2, 35)), ValueError, r"4 layers \(0 to 3\), no layer 4"),
        (Condition.block("generated", "video", heads=[9]), ValueError, "no head 9"),
        (Condition.block("generated", Random("text+audio")), PromptError, "use among='everywhere'"),
        (Condition.block("last+generated", Random("generated")), PromptError, "generated has, which is none"),
    ],
)
def test_rules_that_would_do_nothing_or_something_else(condition, error, message):
    model = build("omni")
    with pytest.raises(error, match=message):
        run(model, build_prompt(model, "omni", n_text=30), [Condition(), condition])


def test_empty_choices_are_refused():
    with pytest.raises(ValueError, match="layers is empty"):
        Condition.block("generated", "video", layers=range(3, 3))
    with pytest.raises(ValueError, match="among"):
        Random("video", among="nowhere")
    model = build("plain")
    prompt = build_prompt(model, "plain")
    with pytest.raises(ValueError, match="forced"):
        run(model, prompt, forced=[])
    with pytest.raises(ValueError, match="2 answers for 1 conditions"):
        run(model, prompt, forced=[[5], [6]])
    with pytest.raises(ValueError, match="temperature"):
        run(model, prompt, temperature=-1)
    with pytest.raises(ValueError, match="conditions"):
        run(model, prompt, [])


def test_conditions_are_named():
    both = Condition.block("last+generated", Random("video", seed=1)) + Condition.block("query", "audio", [0, 1, 2, 5])
    expected = "last+generated -/> random(video, seed 1, among others); query -/> audio in layers 0-2,5"
    assert str(both) == expected
    assert str(Condition()) == "baseline"
    assert Condition.block("generated", "video", range(2)) == Condition.block("generated", "video", [1, 0])
    assert Condition.block("generated", "video") != Condition.block("last+generated", "video")


def test_random_controls():
    model = build("omni")
    prompt = build_prompt(model, "omni", n_text=12)
    video = set(prompt.segments.positions("video").tolist())

    def drawn(**options):
        from avnb.engine.masks import resolve

        keys = resolve(Condition.block("generated", Random("video", **options)), prompt, 4, 4)[0].keys
        return set(torch.nonzero(keys)[:, 0].tolist())

    assert len(drawn()) == len(drawn(among="everywhere")) == len(video)
    assert not drawn() & video
    assert drawn(among="everywhere") & video
    assert drawn(seed=1) == drawn(seed=1) != drawn(seed=2)
    assert drawn(among="text") <= set(prompt.segments.positions("text").tolist())
    with pytest.raises(ValueError, match="among='elsewhere' is unknown"):
        Random("video", among="elsewhere")
    with pytest.raises(PromptError, match="needs some of the positions 0 to"):
        run(model, prompt, [Condition.block("last+generated", (len(prompt),))])
