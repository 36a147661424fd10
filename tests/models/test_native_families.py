"""Every family on a miniature of its true class, with its true processor: prompts, answers, and rules against hooks."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers

import avnb
from avnb import Condition
from avnb.engine.branches import run
from tests import reference
from tests.models import miniatures

ASK = "What do you hear?"
SHOWN = {  # family: its miniature
    "Qwen2.5-Omni": "qwen2_5_omni",
    "Qwen3-Omni": "qwen3_omni",
    "Gemma 4 (E2B, E4B)": "gemma4",
    "Gemma 4 (12B, no encoders)": "gemma4_unified",
    "Gemma 3n": "gemma3n",
    "Phi-4-multimodal": "phi4",
    "Qwen2.5-VL": "qwen2_5_vl",
}
LOADED = (  # by name; Phi-4 is not
    *("Qwen2.5-Omni", "Qwen3-Omni", "Qwen2.5-VL"),
    *("Gemma 4 (E2B, E4B)", "Gemma 4 (12B, no encoders)", "Gemma 3n"),
)
DEAF = ("qwen2_5_vl", "internvl")
FAMILIES = (*SHOWN.values(), "internvl")
MODALITIES = (("video", "audio"), ("video",), ("audio",))
CASES = [(name, kinds) for name in FAMILIES for kinds in MODALITIES if name not in DEAF or kinds == ("video",)]


@pytest.fixture(scope="module")
def models():
    """By name, each built when it is first asked for."""

    class Models(dict):
        def __missing__(self, name):
            self[name] = getattr(miniatures, name)()
            return self[name]

    return Models()


def layout(prompt):
    """Segment types and their lengths, text without media boundaries in one word."""
    return [(row.type, row.stop - row.start) for row in prompt.segments.table().itertuples()]


@pytest.mark.shows("engine", *SHOWN)
@pytest.mark.shows("positions", *SHOWN)
@pytest.mark.shows("segments", *SHOWN)
@pytest.mark.parametrize(("name", "kinds"), CASES)
def test_prompts_are_those_of_the_model_and_the_engine_answers_as_generate_does(models, toybox_clips, name, kinds):
    model, clip = models[name], toybox_clips[0]
    inputs, prompt = model._inputs(clip, ASK, kinds), model.prompt(clip, ASK, modalities=kinds)
    with torch.inference_mode():
        logits = model.hf(**inputs).logits
        ours = model.head(model.decoder(**prompt.inputs).last_hidden_state)
        answer = model.hf.generate(**inputs, max_new_tokens=5, do_sample=False, eos_token_id=sorted(model.stop_ids))
    torch.testing.assert_close(ours, logits, rtol=0, atol=1e-5)
    assert run(model, prompt, max_new_tokens=5)[0].token_ids.tolist() == answer[0, len(prompt) :].tolist()
    assert {kind for kind in ("video", "audio", "image") if len(prompt.segments.positions(kind))} == set(kinds)
    assert model.tokenizer.decode(prompt.token_ids[prompt.segments.positions("query")]).strip() == ASK


@pytest.mark.shows("engine", *SHOWN)
@pytest.mark.parametrize("name", FAMILIES)
def test_knockouts_equal_the_slow_way(toybox_clips, name):
    model = getattr(miniatures, name)()  # not the shared one: transformers leaves hooks behind where it shows attention
    prompt = model.prompt(toybox_clips[0], ASK)
    pairs = [("last+generated", "video"), ("query", "video")]
    pairs += [("last+generated", "audio"), ("audio", "video")] if model.hears else []
    conditions = [Condition.block(source, target, layers=(1, 2)) for source, target in pairs]
    slow, n_tokens = prompt_for_hooks(prompt)
    runs = run(model, prompt, [Condition(), *conditions], max_new_tokens=n_tokens)
    for condition, result in zip(conditions, runs[1:], strict=True):
        expected = reference.score(model, slow, condition, result.token_ids.tolist())
        np.testing.assert_allclose(result.logprobs, expected, atol=2e-4, err_msg=str(condition))
    assert not np.allclose(runs[1].logprobs[0], runs[0].logprobs[0], atol=1e-4)


def prompt_for_hooks(prompt):
    """The prompt with masks that can be added to, and how many tokens of an answer these cover."""
    masks = prompt.inputs.get("attention_mask") or {}
    plain = {key: value for key, value in prompt.inputs.items() if key != "attention_mask"}
    if any(mask is not None and bool(mask[0, 0].triu(1).any()) for mask in masks.values()):  # pictures see themselves
        lowest = torch.finfo(torch.float32).min
        plain["attention_mask"] = {key: (~mask).float() * lowest for key, mask in masks.items()}
    return replace(prompt, inputs=plain), 1 if "attention_mask" in plain else 2


@pytest.mark.shows(
    "segments", "Qwen3-Omni", "Gemma 4 (E2B, E4B)", "Gemma 4 (12B, no encoders)", "Gemma 3n", "Phi-4-multimodal"
)
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("qwen3_omni", ["video", 9, "audio", 26, "video", 9, "audio", 26]),
        ("gemma4", [*["video", 64] * 2, "audio", 100]),
        ("gemma4_unified", [*["video", 64] * 2, "audio", 100]),
        ("gemma3n", [*["video", 4] * 4, "audio", 188]),
        ("phi4", ["video", 545, "audio", 50]),
        ("internvl", ["video", 4] * 4),
    ],
)
def test_the_order_of_media_in_a_prompt(models, toybox_clips, name, expected):
    found = [part for part in layout(models[name].prompt(toybox_clips[0], ASK)) if part[0] in ("video", "audio")]
    assert [item for part in found for item in part] == expected


@pytest.mark.shows("positions", "Qwen3-Omni")
def test_qwen3_omni_counts_thirteen_positions_a_second(models, toybox_clips):
    model = models["qwen3_omni"]
    inputs, prompt = model._inputs(toybox_clips[0], ASK, ("video", "audio")), model.prompt(toybox_clips[0], ASK)
    first = prompt.segments.positions("video")[0]
    times = (prompt.position_ids[0, 0] - prompt.position_ids[0, 0, first]).numpy()
    assert times[prompt.segments.positions("video")].tolist() == [0] * 9 + [26] * 9
    assert times[prompt.segments.positions("audio")].tolist() == list(range(52))
    lengths = inputs["feature_attention_mask"].sum(-1)
    own, _ = model.hf.get_rope_index(
        inputs["input_ids"],
        video_grid_thw=inputs["video_grid_thw"],
        attention_mask=inputs["attention_mask"],
        use_audio_in_video=True,
        audio_seqlens=lengths,
        second_per_grids=inputs["video_second_per_grid"],
    )
    assert torch.equal(prompt.position_ids, own.to(prompt.position_ids))


def test_pictures_see_all_of_themselves_where_the_model_lets_them(models, toybox_clips):
    prompt = models["gemma4_unified"].prompt(toybox_clips[0], ASK)
    first = prompt.segments.positions("video")[0]
    for mask in prompt.inputs["attention_mask"].values():
        assert bool(mask[0, 0, first, first + 63]) and not bool(mask[0, 0, first, first + 64])
    assert prompt.inputs["attention_mask"].keys() == {"full_attention", "sliding_attention"}


# What a model takes.


@pytest.mark.parametrize(
    ("name", "seconds"), [("gemma4", 30), ("gemma4_unified", 30), ("gemma3n", 30), ("qwen3_omni", 60)]
)
def test_sound_that_would_be_cut_in_silence_is_refused(models, name, seconds):
    model = models[name]
    fits = model.process(None, np.zeros(seconds * 16000, np.float32), ASK)
    assert fits["input_features"].shape[0] == 1
    with pytest.raises(avnb.ClipError, match=f"{seconds}.1 s of sound are more than the {seconds} s that .*Processor"):
        model.process(None, np.zeros(seconds * 16000 + 1600, np.float32), ASK)


def test_a_clip_that_is_too_long_is_named(models, tmp_path):
    from avnb.media.editing import write

    grey = np.full((32, 32, 32, 3), 128, np.uint8)
    path = write(tmp_path / "long.mp4", grey, fps=1, wave=np.zeros(32 * 16000), rate=16000)
    with pytest.raises(avnb.ClipError, match="long: 31.0 s of sound are more than the 30 s that Gemma4Processor takes"):
        models["gemma4"].prompt(avnb.Clip("long", path), ASK)


def test_frames_are_chosen_as_the_model_wants_them(models, counted):
    from tests.recordings import numbers

    clip = avnb.Clip("counted", counted)
    chosen = {name: models[name]._frames(clip) for name in ("gemma4", "internvl", "gemma3n", "qwen2_5_vl")}
    assert numbers(chosen["gemma4"][0]) == [0, 125] and chosen["gemma4"][1] == 0.2
    assert numbers(chosen["internvl"][0]) == [31, 93, 156, 218]
    assert numbers(chosen["gemma3n"][0]) == numbers(chosen["qwen2_5_vl"][0]) == list(range(0, 250, 25))


def test_frames_of_another_model(models, counted):
    """A model and its base are compared on the same pictures."""
    clip = avnb.Clip("counted", counted)
    own, like = (models["gemma4"].prompt(clip, ASK, like=other) for other in (None, models["qwen2_5_vl"]))
    n = len(own.segments.positions("video")) // 2
    assert [len(p.segments.positions("video")) for p in (own, like)] == [2 * n, 10 * n]


def test_a_model_without_ears_is_shown_pictures_alone(models, toybox_clips):
    from unittest.mock import patch

    model = models["gemma4"]
    with patch.object(model.hf.config, "audio_config", None):
        assert not model.hears
        prompt = model.prompt(toybox_clips[0], ASK)
    assert len(prompt.segments.positions("audio")) == 0 and len(prompt.segments.positions("video")) == 128


def test_only_a_template_with_a_system_message_gets_one(models, toybox_clips):
    assert len(models["qwen2_5_omni"].prompt(toybox_clips[0], ASK).segments.positions("system")) == 6
    assert len(models["gemma4"].prompt(toybox_clips[0], ASK).segments.positions("system")) == 0
    asked = models["gemma4"].prompt(toybox_clips[0], ASK, system="You are a helpful assistant.")
    assert len(asked.segments.positions("system")) == 6


def test_tokens_that_are_special_by_a_flag_alone_are_boundaries(models, toybox_clips):
    """Gemma 4's token of the end of a picture is no named token of this tokenizer."""
    model = models["internvl"]
    assert model.tokenizer.convert_tokens_to_ids("<img>") in model.tokenizer.all_special_ids
    named = [i for i in model.tokenizer.all_special_ids if i != model.tokenizer.convert_tokens_to_ids("<img>")]
    from unittest.mock import PropertyMock, patch

    before = layout(model.prompt(toybox_clips[0], ASK))
    with patch.object(type(model.tokenizer), "all_special_ids", PropertyMock(return_value=named)):
        assert layout(model.prompt(toybox_clips[0], ASK)) == before


# What is refused.


@pytest.mark.parametrize(
    ("name", "kind", "features"),
    [
        ("qwen2_5_omni", "audio", "input_features"),
        ("phi4", "audio", "audio_input_features"),
        ("internvl", "video", "pixel_values"),
    ],
)
def test_media_that_do_not_reach_the_decoder_are_refused(models, toybox_clips, name, kind, features):
    model = models[name]
    inputs = model._inputs(toybox_clips[0], ASK, ("video", "audio"))
    inputs = {key: value for key, value in inputs.items() if key != features}
    with pytest.raises(avnb.PromptError, match=f"{kind} does not reach the decoder.*the embedding of the placeholder"):
        model.prompt_from_inputs(**inputs, pictures="video")


@pytest.mark.parametrize("name", ["qwen2_5_omni", "qwen3_omni", "gemma4"])
def test_the_head_is_asked_for_one_row_at_a_time(models, toybox_clips, name):
    model, rows = models[name], []
    head = model.hf.get_output_embeddings()
    handle = head.register_forward_hook(lambda module, args, output: rows.append(output.shape[1]))
    model.caption(toybox_clips[0], ASK, max_new_tokens=3)
    handle.remove()
    assert set(rows) == {1}


@pytest.mark.parametrize("family", ["nemotron", "qwen3_5"])
def test_hybrids_are_refused_in_one_line(family):
    """Layers without attention carry what a knockout would cut."""
    text = {**miniatures.TEXT, "num_hidden_layers": 4, "vocab_size": 96, "head_dim": 8}
    if family == "nemotron":
        mamba = {"mamba_num_heads": 4, "mamba_head_dim": 8, "ssm_state_size": 8, "n_groups": 1}
        kinds = {"layers_block_type": ["mamba", "moe", "attention", "moe"], "n_routed_experts": 4}
        experts = {"num_experts_per_tok": 2, "moe_intermediate_size": 16, "moe_shared_expert_intermediate_size": 16}
        hf = transformers.NemotronHForCausalLM(transformers.NemotronHConfig(**text, **mamba, **kinds, **experts))
    else:
        linear = {f"linear_{name}": n for name, n in (("num_key_heads", 2), ("num_value_heads", 2))}
        linear |= {"linear_key_head_dim": 8, "linear_value_head_dim": 8}
        hf = transformers.Qwen3_5ForCausalLM(transformers.Qwen3_5TextConfig(**text, **linear))
    model = avnb.wrap(hf)
    prompt = model.prompt_from_inputs(input_ids=torch.tensor([[1, 2, 3]]))
    with pytest.raises(avnb.EngineError, match="linear_attention.*a knockout would cut only the part of the path") as e:
        avnb.run(model, prompt)
    assert "\n" not in str(e.value)


@pytest.mark.shows("keys", *LOADED)
@pytest.mark.shows("values", *LOADED)
@pytest.mark.parametrize("family", LOADED)
def test_a_saved_checkpoint_is_loaded_whole(models, family, tmp_path):
    name = SHOWN[family]
    models[name].hf.save_pretrained(tmp_path)
    models[name].processor.save_pretrained(tmp_path)
    again, saved = avnb.load(tmp_path), models[name].hf.state_dict()
    assert type(again.hf) is type(models[name].hf) and again.unused == ()
    assert again.hf.state_dict().keys() == saved.keys()
    assert all(torch.equal(weight, saved[key]) for key, weight in again.hf.state_dict().items())


def test_adapters_that_a_name_would_not_load_are_asked_for(models, tmp_path):
    models["phi4"].hf.save_pretrained(tmp_path)
    with pytest.raises(avnb.models.ModelError, match="through adapters beside its weights.*avnb.wrap") as error:
        avnb.load(tmp_path)
    assert "\n" not in str(error.value)


def test_miniatures_are_of_the_classes_of_their_families(models):
    for family in (family for family in avnb.models.families.FAMILIES if family.name in SHOWN):
        assert type(models[SHOWN[family.name]].hf).__name__ == family.architecture, family.name
