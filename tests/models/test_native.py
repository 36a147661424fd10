"""The adapter: prompts, segments and position ids, against what the model itself does."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import (
    AutoProcessor,
    Qwen2_5OmniProcessor,
    Qwen2_5OmniThinkerConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    WhisperFeatureExtractor,
)

import avnb
from avnb.media.editing import write
from avnb.models import processing
from avnb.models.native import AVModel
from avnb.models.prompt import PromptError
from avnb.organisms import omni as organism
from avnb.questions import HEAR, SEE

RATE = 16_000


@pytest.fixture(scope="module")
def media():
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (4, 160, 160, 3), dtype=np.uint8)
    return frames, (0.1 * rng.standard_normal(4 * RATE)).astype(np.float32)


@pytest.fixture(scope="module")
def full_size():
    """The sizes of the real Qwen2.5-Omni's processor, on a thinker of two narrow layers."""
    patches = {"patch_size": 14, "temporal_patch_size": 2, "merge_size": 2}
    processor = Qwen2_5OmniProcessor(
        image_processor=Qwen2VLImageProcessor(**patches),
        video_processor=Qwen2VLVideoProcessor(**patches, cap_pixels_per_frame=False),
        feature_extractor=WhisperFeatureExtractor(feature_size=128),
        tokenizer=organism.build_tokenizer(),
        chat_template=organism.build_processor().chat_template,
    )
    small = organism.build_config(processor.tokenizer).to_dict()
    small["text_config"] |= {"num_hidden_layers": 2, "layer_types": ["full_attention"] * 2}
    small["vision_config"] |= {"depth": 1, "patch_size": 14, "window_size": 112, "fullatt_block_indexes": [0]}
    small["audio_config"] |= {"num_mel_bins": 128, "encoder_layers": 1}
    config = Qwen2_5OmniThinkerConfig(**{**small, "position_id_per_seconds": 25, "processor_kwargs": {}})
    return avnb.wrap(Qwen2_5OmniThinkerForConditionalGeneration(config), processor)


def runs(prompt, kind):
    """Lengths of the runs of one segment type."""
    table = prompt.segments.table().query("type == @kind")
    return (table["stop"] - table["start"]).tolist()


@pytest.mark.shows("segments", "Qwen2.5-Omni")
@pytest.mark.shows("positions", "Qwen2.5-Omni")
@pytest.mark.parametrize(("seconds", "n_audio"), [(9.91, 248), (10.0, 250)])
def test_golden_counts_of_a_real_clip(full_size, seconds, n_audio):
    frames = np.zeros((20, 360, 640, 3), np.uint8)  # 10 s at 2 fps
    wave = np.zeros(round(seconds * RATE), np.float32)
    inputs = full_size.process(frames, wave, "Describe what you see and hear.")
    prompt = full_size.prompt_from_inputs(**inputs, question="Describe what you see and hear.")
    assert inputs["video_grid_thw"].tolist() == [[10, 26, 46]]
    assert runs(prompt, "video") == [598] * 5
    assert runs(prompt, "audio") == [50, 50, 50, 50, n_audio - 200]
    assert runs(prompt, "boundary") == [2, 2]
    table = prompt.segments.table()
    assert (table["stop"] - table["start"]).sum() == len(prompt)
    assert table["start"].tolist() == [0, *table["stop"].tolist()[:-1]]
    # Golden position ids: both modalities count 25 a second from the first media position on.
    first = prompt.segments.positions("video")[0]
    start = int(prompt.position_ids[0, 0, first])
    time = (prompt.position_ids[0, 0] - start).numpy()
    audio, video = prompt.segments.positions("audio"), prompt.segments.positions("video")
    assert time[audio].tolist() == list(range(n_audio))
    assert time[video].tolist() == np.repeat(np.arange(10) * 25, 13 * 23).tolist()
    assert (prompt.position_ids[1, 0, video] - start).max() == 12
    assert (prompt.position_ids[2, 0, video] - start).max() == 22


@pytest.mark.shows("positions", "Qwen2.5-Omni")
def test_golden_position_ids_of_an_organism(random_organism, media):
    prompt = random_organism.prompt_from_inputs(**random_organism.process(*media, HEAR), question=HEAR)
    assert prompt.segments.table()["type"].tolist() == [
        *("template", "boundary", "video", "audio", "video", "audio", "boundary", "query", "template", "last")
    ]
    times = prompt.position_ids[0, 0].tolist()
    before, after = 14, len(times) - 14 - 2 - 90 - 2
    expected = [*range(before), 14, 14]  # the two begin tokens share one position, as do the two end tokens
    expected += [15] * 25 + list(range(15, 35)) + [35] * 25 + list(range(35, 55))
    expected += [55, 55, *range(56, 56 + after)]
    assert times == expected


@pytest.mark.shows("positions", "Qwen2.5-Omni")
@pytest.mark.parametrize("modalities", [("video", "audio"), ("video",), ("audio",), ()])
def test_prompt_reproduces_the_model(random_organism, media, modalities):
    frames, wave = (m if name in modalities else None for m, name in zip(media, ("video", "audio"), strict=True))
    inputs = random_organism.process(frames, wave, SEE)
    prompt = random_organism.prompt_from_inputs(**inputs, question=SEE)
    with torch.inference_mode():
        logits = random_organism.hf(**inputs).logits
        ours = random_organism.head(random_organism.decoder(**prompt.inputs).last_hidden_state)
    assert torch.equal(logits, ours)
    for name in ("video", "audio"):
        assert bool(len(prompt.segments.positions(name))) == (name in modalities)
    query = prompt.token_ids[prompt.segments.positions("query")]
    assert random_organism.decode(query) == SEE


def test_the_flag_reaches_the_model(random_organism, media):
    inputs = random_organism.process(*media, HEAR)
    right = random_organism.prompt_from_inputs(**inputs).position_ids
    inputs.pop("use_audio_in_video")
    with torch.inference_mode():
        inputs = {**inputs, "use_audio_in_video": False}
        wrong = random_organism.prompt_from_inputs(**inputs).position_ids
    assert (right != wrong).any(0).float().mean() > 0.5


def test_system_message_is_found(random_organism, media):
    prompt = random_organism.prompt_from_inputs(
        **random_organism.process(*media, HEAR), question=HEAR, system=organism.SYSTEM
    )
    text = random_organism.decode(prompt.token_ids[prompt.segments.positions("system")])
    assert text == organism.SYSTEM


def test_caption_is_greedy_generate(random_organism, toybox_clips):
    clip = toybox_clips[0]
    inputs = random_organism.process(clip.frames(fps=1.0)[0], clip.wave(), SEE)
    ids = inputs["input_ids"]
    for _ in range(5):
        with torch.inference_mode():
            step = random_organism.hf(**{**inputs, "input_ids": ids, "attention_mask": torch.ones_like(ids)})
        ids = torch.cat([ids, step.logits[:, -1:].argmax(-1)], dim=1)
    expected = random_organism.decode(ids[0, -5:])
    assert random_organism.caption(clip, SEE, max_new_tokens=5) == expected


def test_vision_language_model_without_sound(random_organism, toybox_clips):
    model = avnb.wrap(*organism.vision_language(random_organism.hf, random_organism.processor))
    prompt = model.prompt(toybox_clips[0], SEE)
    assert not model.hears
    assert len(prompt.segments.positions("video")) == 50
    assert len(prompt.segments.positions("audio")) == 0


@pytest.mark.parametrize("fps", [1.0, 4.0])
def test_both_architectures_are_told_the_frame_rate(random_organism, media, fps):
    base = avnb.wrap(*organism.vision_language(random_organism.hf, random_organism.processor))
    inputs = [model.process(media[0], None, SEE, fps=fps) for model in (random_organism, base)]
    assert float(inputs[0]["video_second_per_grid"][0]) == float(inputs[1]["second_per_grid_ts"][0]) == 2 / fps


def test_bad_prompts_are_refused(random_organism, media):
    inputs = random_organism.process(*media, HEAR)
    with pytest.raises(PromptError, match="'Who is it\\?' is not in the prompt"):
        random_organism.prompt_from_inputs(**inputs, question="Who is it?")
    with pytest.raises(PromptError, match="one row, 2 were given"):
        random_organism.prompt_from_inputs(**{**inputs, "input_ids": inputs["input_ids"].repeat(2, 1)})
    mask = inputs["attention_mask"].clone()
    mask[0, 0] = 0
    with pytest.raises(PromptError, match="padded"):
        random_organism.prompt_from_inputs(**{**inputs, "attention_mask": mask})


def test_a_mute_clip_has_no_audio_positions(random_organism, toybox_clips):
    mute = avnb.Clip("mute", toybox_clips[0].video, kind="mute")
    prompt = random_organism.prompt(mute, SEE)
    assert len(prompt.segments.positions("audio")) == 0
    with pytest.raises(PromptError, match="no modality is left"):
        random_organism.prompt(mute, HEAR, modalities=("audio",))


@pytest.mark.shows("template", "Qwen2.5-Omni")
def test_a_question_without_a_clip_is_text_alone(random_organism, toybox_clips):
    prompt = random_organism.prompt(toybox_clips[0], HEAR, modalities=())
    assert set(prompt.segments.types) == {"system", "template", "query", "last"}
    messages = [
        {"role": role, "content": [{"type": "text", "text": text}]}
        for role, text in (("system", organism.SYSTEM), ("user", HEAR))
    ]
    text = random_organism.processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    assert prompt.token_ids.tolist() == random_organism.tokenizer(text)["input_ids"]
    assert (prompt.position_ids == torch.arange(len(prompt))).all()


def test_unknown_model_is_named():
    with pytest.raises(avnb.models.ModelError, match="'no-such-model' is no organism"):
        avnb.load("no-such-model")
    with pytest.raises(avnb.models.ModelError, match="quantize='3bit' is unknown"):
        avnb.load("owner/name", quantize="3bit")


def test_processor_comes_back_from_its_folder(organism_folder):
    processor = AutoProcessor.from_pretrained(organism_folder)
    assert isinstance(processor, Qwen2_5OmniProcessor)
    assert processor.video_processor.patch_size == organism.PATCH
    assert processor.feature_extractor.hop_length == organism.MEL_HOP


def test_pictures_are_read_no_larger_than_it_makes_sense(random_organism, tmp_path, monkeypatch):
    frames = np.random.default_rng(0).integers(0, 256, (8, 1080, 1920, 3), np.uint8)
    clip = avnb.Clip("large", write(tmp_path / "large.mp4", frames, fps=4), kind="mute")
    asked, real = [], AVModel.process
    monkeypatch.setattr(
        AVModel, "process", lambda self, video, *a, **k: asked.append(video) or real(self, video, *a, **k)
    )
    prompt = random_organism.prompt(clip, "Describe what you see.")
    (video,) = asked
    kept = random_organism.processor.video_processor.size.longest_edge
    assert 3 * kept < video[0, ..., 0].size <= 4 * kept
    monkeypatch.setattr(processing, "most_pixels", lambda processor: None)
    assert len(random_organism.prompt(clip, "Describe what you see.")) == len(prompt)
    assert processing.most_pixels(SimpleNamespace(video_processor=SimpleNamespace(size={"longest_edge": 384}))) is None


def test_what_is_longer_than_the_context_is_refused_before_anything_runs(random_organism, toybox_clips, monkeypatch):
    """Media and question by themselves, and with the answer: generated, given, or of `caption`."""
    model, clip = random_organism, toybox_clips[0]
    prompt, n_new = model.prompt(clip, HEAR), 5
    assert model.context == 4096
    text = model.hf.config.get_text_config()
    monkeypatch.setattr(text, "max_position_embeddings", len(prompt) + n_new)
    assert len(avnb.run(model, prompt, max_new_tokens=n_new)) == 1  # the last place is taken
    model.caption(clip, HEAR, max_new_tokens=n_new)
    for part in (model.hf.model.visual, model.hf.model.audio_tower, model.decoder):
        monkeypatch.setattr(type(part), "forward", lambda *a, **k: pytest.fail("the model ran"))
    n = len(prompt)
    more = f"{clip.id}: {n} tokens and {n_new + 1} for the answer are more than the {n + n_new} that the decoder of"
    for asked in (
        lambda: avnb.run(model, prompt, max_new_tokens=n_new + 1),
        lambda: avnb.run(model, prompt, forced=[5] * (n_new + 1)),
        lambda: model.caption(clip, HEAR, max_new_tokens=n_new + 1),
    ):
        with pytest.raises(avnb.ClipError, match=f"{more} {model.name} takes; cut the clip"):
            asked()
    monkeypatch.setattr(text, "max_position_embeddings", n - 1)
    with pytest.raises(avnb.ClipError, match=f"{clip.id}: {n} tokens are more than the {n - 1} that"):
        model.prompt(clip, HEAR)
    with pytest.raises(ValueError, match="answers of 5,000 tokens"):
        model.check_context(n, 5000)


@pytest.mark.parametrize(
    ("rope", "context"),
    [
        ({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4096}, 16384),
        ({"rope_type": "yarn", "factor": 4.0}, 16384),
        ({"rope_type": "llama3", "factor": 32.0, "original_max_position_embeddings": 1024}, 4096),  # counted already
        ({"full_attention": {"rope_type": "yarn", "factor": 4.0}}, 4096),
        (None, 4096),
    ],
)
def test_only_yarn_adds_to_what_a_configuration_calls_its_context(random_organism, monkeypatch, rope, context):
    monkeypatch.setattr(random_organism.hf.config.get_text_config(), "rope_parameters", rope)
    assert random_organism.context == context


def test_an_organism_says_which_clips_are_beyond_it(tmp_path, toybox_clips, caplog):
    frames = np.full((40, 64, 64, 3), 128, np.uint8)
    clip, model = avnb.Clip("long", write(tmp_path / "long.mp4", frames, fps=1), kind="mute"), avnb.load("toy-vl")
    assert model.practice == organism.SECONDS
    for one in (clip, clip, toybox_clips[0]):
        model.caption(one, "Describe what you see.", max_new_tokens=1)
    assert caplog.messages == ["long is 40 s long, and toy-vl was trained on clips of 4 s: its answers mean little"]
