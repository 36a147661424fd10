"""MiniCPM-o 2.6 and MiniCPM-V 2.6: official files, prompts with golden numbers, and the engine."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForMultimodalLM, AutoProcessor

import avnb
from avnb import Condition, Random
from avnb.engine.capture import Capture
from avnb.models.minicpm_o import (
    MiniCPMOConfig,
    MiniCPMOForConditionalGeneration,
    MiniCPMVConfig,
    MiniCPMVForConditionalGeneration,
)
from tests import reference
from tests.models.minicpm_o import miniature

ASK = "What do you hear?"
TRUE_TEXT = {
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
}
TRUE_VISION = {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27}
TRUE_AUDIO = {"d_model": 1024, "encoder_layers": 24, "encoder_ffn_dim": 4096}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {name: miniature.write(tmp_path_factory.mktemp(name), name == "o") for name in "ov"}


@pytest.fixture(scope="module")
def models(folders):
    return {name: avnb.load(str(folder)) for name, folder in folders.items()}


@pytest.fixture
def hears(models):
    return models["o"]


def runs(prompt, kind):
    """Lengths of the runs of one segment type."""
    table = prompt.segments.table().query("type == @kind")
    return (table["stop"] - table["start"]).tolist()


# Official files.


@pytest.mark.shows("keys", "MiniCPM-o", "MiniCPM-V")
@pytest.mark.shows("values", "MiniCPM-o", "MiniCPM-V")
@pytest.mark.parametrize("name", "ov")
def test_official_files_load_with_nothing_missing_nothing_unexpected_and_equal_values(folders, name):
    model, report = AutoModelForMultimodalLM.from_pretrained(folders[name], output_loading_info=True)
    assert not any(report.values())
    written, loaded = load_file(folders[name] / "model.safetensors"), model.state_dict()
    assert {key for key in written if key not in loaded} == {key for key in written if key.startswith("tts.")}
    assert set(loaded) <= set(written)
    assert all(torch.equal(loaded[key], written[key]) for key in loaded)
    assert bool(written.keys() - loaded) == (name == "o")


def test_a_key_that_is_not_speech_is_unexpected_and_a_lost_one_is_missing(folders, tmp_path):
    folder = shutil.copytree(folders["o"], tmp_path / "changed")
    tensors = load_file(folder / "model.safetensors")
    tensors["resampler.other"] = tensors.pop("resampler.query")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    _, report = AutoModelForMultimodalLM.from_pretrained(folder, output_loading_info=True)
    assert report["missing_keys"] == {"resampler.query"}
    assert report["unexpected_keys"] == {"resampler.other"}


@pytest.mark.shows("keys", "MiniCPM-o", "MiniCPM-V")
@pytest.mark.parametrize(
    ("model", "config", "audio", "vocabulary", "n_keys", "n_parameters"),
    [
        (MiniCPMOForConditionalGeneration, MiniCPMOConfig, TRUE_AUDIO, 151700, 1160, 8_423_157_488),
        (MiniCPMVForConditionalGeneration, MiniCPMVConfig, None, 151666, 789, 8_099_175_152),
    ],
)
def test_names_and_shapes_of_the_true_size(model, config, audio, vocabulary, n_keys, n_parameters):
    with torch.device("meta"):
        ours = model(config())
    expected = miniature.keys(TRUE_TEXT | {"vocab_size": vocabulary}, TRUE_VISION, audio)
    assert {name: tuple(value.shape) for name, value in ours.state_dict().items()} == expected
    assert len(expected) == n_keys
    assert ours.num_parameters() == n_parameters


def test_the_official_configuration_is_read(folders):
    config = MiniCPMOConfig.from_pretrained(folders["o"])
    text = config.get_text_config()
    assert (text.model_type, text.hidden_size, text.vocab_size, text.eos_token_id) == ("qwen2", 256, 280, 259)
    assert text.rope_parameters == {"rope_type": "default", "rope_theta": 1e6}
    assert (config.vision_config.image_size, config.audio_config.d_model) == (980, 32)
    assert not hasattr(config, "tts_config")
    full = MiniCPMOConfig().get_text_config()
    assert (full.rope_parameters["rope_theta"], full.rms_norm_eps, full.use_sliding_window) == (1e6, 1e-6, False)


@pytest.mark.parametrize("change", [{"version": 4.5}, {"version": "2.0"}, {"drop_vision_last_layer": True}])
def test_other_versions_are_refused(folders, tmp_path, change):
    config = json.loads((folders["v"] / "config.json").read_text()) | change
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(avnb.models.ModelError, match="only MiniCPM-o 2.6 and MiniCPM-V 2.6 are known"):
        avnb.load(str(tmp_path))


@pytest.mark.parametrize("name", "ov")
def test_what_is_saved_comes_back(models, toybox_clips, tmp_path, name):
    models[name].hf.save_pretrained(tmp_path)
    models[name].processor.save_pretrained(tmp_path)
    again = avnb.load(str(tmp_path))
    before, after = (model.prompt(toybox_clips[0], ASK) for model in (models[name], again))
    assert torch.equal(before.embeds, after.embeds)
    assert again.stop_ids == models[name].stop_ids
    assert isinstance(AutoProcessor.from_pretrained(tmp_path), type(models[name].processor))


# Prompts.


@pytest.mark.shows("segments", "MiniCPM-o")
@pytest.mark.shows("positions", "MiniCPM-o")
@pytest.mark.parametrize(
    ("n_samples", "last"), [(16000, 25), (14560, 23), (480, 1), (321, 1), (320, 0), (160, 0), (0, None)]
)
def test_golden_units_of_a_ten_second_clip(hears, n_samples, last):
    frames = np.zeros((10, 360, 640, 3), np.uint8)
    wave = np.zeros(9 * 16000 + n_samples, np.float32)
    inputs = hears.process(frames, wave, ASK)
    prompt = hears.prompt_from_inputs(**inputs, question=ASK)
    assert runs(prompt, "video") == [64] * 10
    assert runs(prompt, "audio") == [25] * 9 + [last] * bool(last)
    assert inputs["grids"].tolist() == [[24, 43]] * 10
    first, stop = prompt.segments.positions("boundary")[[0, -1]]
    # <unit> <image> 64 </image> <|audio_start|> 25 <|audio_end|>: 94 positions a second.
    assert stop + 1 - first == 94 * 9 + 67 + (last + 2 if last else 0)
    if last == 25:
        assert stop + 1 - first == 940
    assert prompt.position_ids.tolist() == [list(range(len(prompt)))]


@pytest.mark.shows("template", "MiniCPM-o")
def test_golden_text_of_a_clip_with_sound(hears):
    inputs = hears.process(*miniature.media(2, 1.5), ASK)
    text = hears.tokenizer.decode(inputs["input_ids"][0])
    picture = "<image>" + "<unk>" * 64 + "</image>"
    sound = "<|audio_start|>{}<|audio_end|>"
    assert text == (
        "<|im_start|>user\nYou are a helpful assistant. You can accept video, audio and text input and output voice "
        "and text. <|im_end|>\n<|im_start|>user\n"
        f"<unit>{picture}{sound.format('<reserved_53>' * 25)}<unit>{picture}{sound.format('<reserved_53>' * 12)}{ASK}"
        "<|im_end|>\n<|im_start|>assistant\n<|spk_bos|><|spk|><|spk_eos|><|tts_bos|>"
    )


@pytest.mark.shows("template", "MiniCPM-o", "MiniCPM-V")
@pytest.mark.shows("segments", "MiniCPM-V")
def test_golden_texts_of_pictures_of_sound_and_of_a_question_alone(models, hears):
    frames, wave = miniature.media(2, 2.0)
    system = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
    picture = "<image>" + "<unk>" * 64 + "</image>\n"
    for model in models.values():
        seen, asked = (model.process(video, None, ASK)["input_ids"][0] for video in (frames, None))
        assert model.tokenizer.decode(seen) == f"{system}{picture * 2}{ASK}<|im_end|>\n<|im_start|>assistant\n"
        assert model.tokenizer.decode(asked) == f"{system}{ASK}<|im_end|>\n<|im_start|>assistant\n"
        prompt = model.prompt_from_inputs(**model.process(frames, None, ASK), question=ASK)
        assert runs(prompt, "video") == [64] * 2
        assert model.decode(prompt.token_ids[prompt.segments.positions("query")]) == ASK
    heard = hears.tokenizer.decode(hears.process(None, wave, ASK)["input_ids"][0])
    second = "<|audio_start|>" + "<reserved_53>" * 25 + "<|audio_end|>"
    assert heard.split("<|im_start|>user\n")[-1] == (
        f"{second * 2}\n{ASK}<|im_end|>\n<|im_start|>assistant\n<|spk_bos|><|spk|><|spk_eos|><|tts_bos|>"
    )


@pytest.mark.shows("segments", "MiniCPM-o")
def test_every_position_of_a_clip_has_its_type(hears, toybox_clips):
    prompt = hears.prompt(toybox_clips[0], ASK)
    n_units = len(runs(prompt, "video"))
    between = ["boundary", "video", "boundary", "audio"] * n_units
    table = prompt.segments.table()["type"].tolist()
    assert table == ["template", "system", "template", *between, "boundary", "query", "template", "last"]
    assert hears.tokenizer.decode(prompt.token_ids[prompt.segments.positions("system")]).startswith("You are a helpful")
    assert hears.decode(prompt.token_ids[prompt.segments.positions("query")]) == ASK
    assert hears.tokenizer.decode(prompt.token_ids[-1:]) == "<|tts_bos|>"
    assert len(prompt.segments.positions("image")) == 0


def test_frames_are_those_at_the_ends_of_the_seconds(models, second_colours):
    """The video shows another colour every second: at the end of a second that of the next, at the end the last."""
    clip = avnb.Clip("colours", second_colours, kind="mute")
    starts, times = clip.frames(fps=1)
    ends, later = clip.frames(fps=1, sample="ends")
    assert later.tolist() == [time + 1 for time in times]
    assert np.array_equal(ends[:-1], starts[1:])
    assert np.array_equal(ends[-1], starts[-1])
    assert not np.array_equal(ends[0], starts[0])
    for name, frames in (("o", ends), ("v", starts)):
        expected = models[name].process(frames, None, ASK)["pixel_values"]
        assert torch.equal(models[name]._inputs(clip, ASK, ("video",))["pixel_values"], expected)
    with pytest.raises(ValueError, match="sample='middles' is unknown"):
        clip.frames(sample="middles")


def test_sound_that_outlasts_the_pictures_is_heard_beside_the_last_one(hears):
    frames, wave = miniature.media(2, 3.5)
    prompt = hears.prompt_from_inputs(**hears.process(frames, wave, ASK), question=ASK)
    assert (runs(prompt, "video"), runs(prompt, "audio")) == ([64] * 4, [25, 25, 25, 12])
    last = prompt.embeds[0, prompt.segments.positions("video")].unflatten(0, (4, 64))[1:]
    assert torch.allclose(last[0], last[1], atol=1e-6)
    assert torch.allclose(last[0], last[2], atol=1e-6)


@torch.inference_mode()
def test_a_second_hears_itself_and_the_past_alone(hears):
    inputs = hears.process(None, miniature.media(1, 3.0)[1], ASK)
    features, lengths = inputs["input_features"], inputs["feature_lengths"]
    other = features.clone()
    other[..., 201:] += 1  # an encoder frame of the first two seconds is made of the features before these
    change = (hears.hf.sounds(features, lengths) - hears.hf.sounds(other, lengths)).abs().amax(dim=1)
    assert len(change) == 75
    assert change[:50].max() < 1e-6
    assert change[50:].min() > 1e-4


def test_answers_end_and_are_read_as_those_that_could_be_spoken(hears, models):
    ids = hears.tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>", "<|tts_eos|>"])
    assert hears.stop_ids == set(ids)
    assert models["v"].stop_ids == set(ids[:2])
    assert hears.decode(hears.tokenizer("A dog.<|tts_eos|><|im_end|>")["input_ids"]) == "A dog."


def test_slices_of_higher_resolution(models):
    frames = np.zeros((1, 720, 1280, 3), np.uint8)
    processor = models["v"].processor
    text = processor.apply_chat_template([{"role": "user", "content": [{"type": "video"}]}])
    inputs = processor(text=[text], videos=[frames], max_slice_nums=2)
    assert inputs["grids"].tolist() == [[24, 43], [34, 30], [34, 30]]
    assert (inputs["input_ids"] == processor.video_token_id).sum() == 3 * 64
    assert models["v"].hf(**inputs).logits.shape[1] == inputs["input_ids"].shape[1]


def test_what_does_not_fit_is_refused(models, hears, folders, tmp_path):
    frames, wave = miniature.media(1, 1.0)
    with pytest.raises(avnb.PromptError, match="takes no sound"):
        models["v"].process(frames, wave, ASK)
    with pytest.raises(ValueError, match="0 marks"):
        hears.processor(text=["no mark"], videos=[frames])
    inputs = hears.process(frames, wave, ASK)
    short = {**inputs, "input_ids": inputs["input_ids"][:, :60], "attention_mask": inputs["attention_mask"][:, :60]}
    with pytest.raises(ValueError, match="picture placeholders for 64 picture tokens"):
        hears.hf(**short)
    folder = shutil.copytree(folders["v"], tmp_path / "poor")
    rich = (folder / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(rich.replace("<slice>", "<other>"))
    extra = json.loads((folder / "tokenizer_config.json").read_text()) | {"additional_special_tokens": []}
    (folder / "tokenizer_config.json").write_text(json.dumps(extra))
    with pytest.raises(avnb.models.ModelError, match="lacks <slice>"):
        avnb.load(str(folder))


# The engine.


@pytest.mark.shows("positions", "MiniCPM-o", "MiniCPM-V")
@pytest.mark.parametrize("name", "ov")
@pytest.mark.parametrize("modalities", [("video", "audio"), ("video",), ("audio",), ()])
def test_prompt_reproduces_the_model(models, toybox_clips, name, modalities):
    model = models[name]
    if name == "v" and modalities == ("audio",):
        with pytest.raises(avnb.models.prompt.PromptError, match="no modality is left"):
            model.prompt(toybox_clips[0], ASK, modalities)
        return
    inputs = model._inputs(toybox_clips[0], ASK, modalities)
    prompt = model.prompt(toybox_clips[0], ASK, modalities)
    with torch.inference_mode():
        ours = model.head(model.decoder(**prompt.inputs).last_hidden_state)
        assert torch.equal(model.hf(**inputs).logits, ours)
    for kind in ("video", "audio"):
        assert bool(len(prompt.segments.positions(kind))) == (kind in modalities and (kind == "video" or name == "o"))


@pytest.mark.shows("engine", "MiniCPM-o", "MiniCPM-V")
@pytest.mark.parametrize("name", "ov")
def test_the_engine_answers_as_generate_does(models, toybox_clips, name):
    model = models[name]
    inputs = model._inputs(toybox_clips[0], ASK, ("video", "audio"))
    options = {"max_new_tokens": 8, "do_sample": False, "eos_token_id": sorted(model.stop_ids)}
    for use_cache in (True, False):
        output = model.hf.generate(**inputs, **options, use_cache=use_cache)[0, inputs["input_ids"].shape[1] :]
        assert (
            avnb.run(model, model.prompt(toybox_clips[0], ASK), max_new_tokens=8)[0].token_ids.tolist()
            == output.tolist()
        )
    assert model.caption(toybox_clips[0], ASK, max_new_tokens=8) == model.decode(output)


@pytest.mark.shows("engine", "MiniCPM-o", "MiniCPM-V")
@pytest.mark.parametrize("name", "ov")
def test_knockouts_are_those_of_the_slow_way(models, toybox_clips, name):
    model = models[name]
    prompt = model.prompt(toybox_clips[1], ASK)
    block = Condition.block
    conditions = [
        Condition(),
        block("last+generated", "video"),
        block("query", "video", layers=[0], heads=[0, 3]),
        block("last+generated", Random("video", seed=3, among="everywhere")),
        block("audio" if name == "o" else "query", "text"),
    ]
    forced = [70, 71, 72]
    results = avnb.run(model, prompt, conditions, forced=forced, capture=Capture(shares="paper"))
    for result, condition in zip(results, conditions, strict=True):
        logits, _, attentions = reference.forward(model, prompt, condition, forced[:-1])
        expected = logits.log_softmax(-1)[torch.arange(3), torch.tensor(forced)]
        np.testing.assert_allclose(result.logprobs, expected, atol=1e-4, err_msg=str(condition))
        kinds = [avnb.models.prompt.GROUPS["paper"][group] for group in result.groups[:-1]]
        np.testing.assert_allclose(result.shares, reference.shares(prompt, attentions, kinds), atol=1e-5)
    bites = [np.abs(result.logprobs - results[0].logprobs).max() for result in results[1:]]
    assert min(bites) > 1e-4
