"""VideoLLaMA 2.1: against the published code on the same weights, in the published layout, and through the adapter.

How the files in `videollama2/` were made is told in the README beside them.
"""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import avnb
from avnb import Condition
from avnb.engine.branches import run
from avnb.errors import AvnbError
from avnb.media.reading import middles, read_frames
from avnb.models.videollama2 import (
    VideoLlama2Config,
    VideoLlama2ForConditionalGeneration,
    VideoLlama2Processor,
    processing,
)
from avnb.organisms import omni
from avnb.questions import SEE
from tests import reference

HERE = Path(__file__).parent / "videollama2"
UPSTREAM = load_file(HERE / "upstream.safetensors")
OFFICIAL = load_file(HERE / "official.safetensors")
SAMPLING = json.loads((HERE / "sampling.json").read_text())
UNUSED = ("audio_tower.predictor.", "layers.1.self_attn.relative_attention_bias.")

# The published file: keys of one layer of each stack and of everything else, with their shapes.
TRUE_CONFIG = {
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "vocab_size": 152064,
    "rope_theta": 1e6,
    "rms_norm_eps": 1e-6,
    "max_position_embeddings": 32768,
    "sliding_window": 131072,
    "use_sliding_window": False,
}
TRUE_SHAPES = {
    "lm_head.weight": [152064, 3584],
    "model.embed_tokens.weight": [152064, 3584],
    "model.layers.27.self_attn.q_proj.bias": [3584],
    "model.layers.27.self_attn.k_proj.weight": [512, 3584],
    "model.layers.27.mlp.down_proj.weight": [3584, 18944],
    "model.vision_tower.vision_tower.embeddings.position_embedding.weight": [729, 1152],
    "model.vision_tower.vision_tower.encoder.layers.26.mlp.fc1.weight": [4304, 1152],
    "model.vision_tower.vision_tower.head.attention.in_proj_weight": [3456, 1152],
    "model.mm_projector.s1.b1.conv1.conv.weight": [3584, 1152, 1, 1],
    "model.mm_projector.s1.b1.conv2.conv.weight": [3584, 1, 3, 3],
    "model.mm_projector.s1.b1.se.fc1.weight": [288, 3584, 1, 1],
    "model.mm_projector.s1.b1.downsample.conv.weight": [3584, 1152, 1, 1],
    "model.mm_projector.s1.b2.se.fc1.weight": [896, 3584, 1, 1],
    "model.mm_projector.s2.b4.conv3.bn.weight": [3584],
    "model.mm_projector.sampler.0.weight": [3584, 3584, 2, 2, 2],
    "model.mm_projector.readout.2.weight": [3584, 3584],
    "model.audio_tower.patch_embedding.weight": [512, 1, 16, 16],
    "model.audio_tower.post_extract_proj.weight": [768, 512],
    "model.audio_tower.encoder.pos_conv.0.weight_g": [1, 1, 128],
    "model.audio_tower.encoder.pos_conv.0.weight_v": [768, 48, 128],
    "model.audio_tower.encoder.layers.0.self_attn.relative_attention_bias.weight": [320, 12],
    "model.audio_tower.encoder.layers.11.self_attn.grep_a": [1, 12, 1, 1],
    "model.audio_tower.encoder.layers.11.self_attn.grep_linear.weight": [8, 64],
    "model.audio_tower.encoder.layers.11.fc1.weight": [3072, 768],
    "model.mm_projector_a.0.weight": [3584, 768],
    "model.mm_projector_a.2.weight": [3584, 3584],
}


def checkpoint(folder, weights, **changes):
    """A folder as the published ones are: a configuration, and weights by their published names."""
    folder.mkdir(exist_ok=True)
    config = json.loads((HERE / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v is not None}))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def load(folder):
    model, info = VideoLlama2ForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    return model.eval(), info


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The miniature in the published layout, loaded."""
    return load(checkpoint(tmp_path_factory.mktemp("published"), OFFICIAL))[0]


def small(sound="windows", hears=True, **changes):
    """A model with the special tokens, settings and parts of the true one, narrow, on short clips: 8 + 48 positions."""
    torch.manual_seed(0)
    tokenizer = omni.build_tokenizer()
    sizes = {"image_size": 70, "seconds": 1.0, "window": 0.12, "num_frames": 4, "sound": sound} | changes
    processor = VideoLlama2Processor(tokenizer, hears=hears, **sizes)
    config = json.loads((HERE / "config.json").read_text()) | {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "video_token_id": processor.video_token_id,
        "audio_token_id": processor.audio_token_id,
    }
    config["vision_config"]["image_size"] = processor.image_size
    config["mm_audio_tower"] = config["mm_audio_tower"] if hears else None
    hf = VideoLlama2ForConditionalGeneration(VideoLlama2Config(**config))
    with torch.no_grad():
        for name, weight in hf.named_parameters():
            if "norm" not in name and ".bn." not in name and "bias" not in name:
                weight.normal_(0, 0.15)
    return avnb.wrap(hf, processor)


@pytest.fixture(scope="module")
def model():
    return small()


def assert_upstream(name, value, atol=1e-5):
    torch.testing.assert_close(value.float(), UPSTREAM[name].float(), atol=atol, rtol=0)


# Against the published code.


@pytest.mark.shows("modules", "VideoLLaMA 2.1-AV", "VideoLLaMA 2.1")
@torch.inference_mode()
def test_each_module_equals_upstream(published):
    pictures = processing._squasher(70)(list(UPSTREAM["frames"].numpy()), return_tensors="pt")["pixel_values"]
    assert_upstream("pixel_values", pictures[:, :, ::5, ::5])
    assert_upstream("patches", published.model.vision_tower(pictures))
    assert_upstream("video", published.get_video_features(pictures[None])[0])
    sound = UPSTREAM["fbank"].float()[None]
    assert_upstream("beats", published.model.audio_tower(sound)[0])
    assert_upstream("audio", published.get_audio_features(sound)[0])


@pytest.mark.shows("modules", "VideoLLaMA 2.1-AV")
@pytest.mark.shows("positions", "VideoLLaMA 2.1-AV")
@torch.inference_mode()
def test_a_whole_prompt_equals_upstream(published):
    config = published.config
    pictures = processing._squasher(70)(list(UPSTREAM["frames"].numpy()), return_tensors="pt")["pixel_values"]
    ids = [3, 4, 5, *[config.video_token_id] * 8, *[config.audio_token_id] * 48, 6, 7, 8, 9]
    inputs = {"pixel_values_videos": pictures[None], "input_features": UPSTREAM["fbank"].float()[None]}
    received = []
    handle = published.get_decoder().register_forward_pre_hook(
        lambda module, args, kwargs: received.append(kwargs["inputs_embeds"][0]), with_kwargs=True
    )
    logits = published(torch.tensor([ids]), **inputs).logits[0]
    handle.remove()
    assert_upstream("embeds", received[0])
    assert_upstream("logits", logits)


@pytest.mark.shows("modules", "VideoLLaMA 2.1-AV")
def test_mel_energies_equal_kaldi():
    energies = torch.from_numpy(processing.fbank(UPSTREAM["wave"].numpy()))
    assert_upstream("fbank_exact", energies[::7], atol=2e-4)  # of a range of 44; Kaldi's are made in float32
    apart = energies.bfloat16() != UPSTREAM["fbank"]
    assert apart.float().mean() < 1e-3


def test_what_is_heard_of_a_clip_equals_upstream():
    rng = np.random.default_rng(1)
    tone = 0.2 * np.sin(2 * np.pi * np.cumsum(np.linspace(100, 6000, 84803)) / 16000)
    wave = (tone + 0.02 * rng.standard_normal(84803)).astype(np.float32)
    heard = processing.FeatureExtractor("windows", 30.0, 2.0)(wave)
    assert heard.shape == (2998, 128)
    assert_upstream("fbank_of_windows", heard[::60], atol=0.13)  # one step of bfloat16 at 16 to 32
    assert (heard[::60] != UPSTREAM["fbank_of_windows"].float()).float().mean() < 1e-3


@pytest.mark.parametrize("n_samples", SAMPLING["windows"])
def test_windows_equal_upstream(n_samples):
    assert [list(window) for window in processing.windows(int(n_samples))] == SAMPLING["windows"][n_samples]


@pytest.mark.parametrize("sizes", SAMPLING["frames"])
def test_frames_equal_upstream(sizes):
    assert middles(*map(int, sizes.split("/"))).tolist() == SAMPLING["frames"][sizes]


# The published files.


@pytest.mark.shows("keys", "VideoLLaMA 2.1-AV")
@pytest.mark.shows("values", "VideoLLaMA 2.1-AV")
def test_the_published_layout_loads_completely(tmp_path):
    model, info = load(checkpoint(tmp_path / "av", OFFICIAL))
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    ours = model.state_dict()
    used = {name.replace("vision_model.", ""): w for name, w in OFFICIAL.items() if not any(u in name for u in UNUSED)}
    assert ours.keys() == used.keys()
    assert all(torch.equal(ours[name], weight) for name, weight in used.items())


def test_one_table_of_distances_does_for_all_layers(tmp_path):
    once = {name: weight for name, weight in OFFICIAL.items() if not any(unused in name for unused in UNUSED)}
    expected = load(checkpoint(tmp_path / "copies", OFFICIAL))[0].state_dict()
    model, info = load(checkpoint(tmp_path / "once", once))
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert all(torch.equal(weight, expected[name]) for name, weight in model.state_dict().items())


@pytest.mark.shows("keys", "VideoLLaMA 2.1")
@pytest.mark.shows("values", "VideoLLaMA 2.1")
def test_the_visual_base_has_no_audio_branch(tmp_path):
    weights = {name: weight for name, weight in OFFICIAL.items() if "audio" not in name and "projector_a" not in name}
    model, info = load(checkpoint(tmp_path, weights, mm_audio_tower=None))
    assert not info["missing_keys"] and not info["unexpected_keys"]
    ours = model.state_dict()
    assert all(torch.equal(weight, ours[name.replace("vision_model.", "")]) for name, weight in weights.items())
    with pytest.raises(AvnbError, match="takes no sound"):
        model.get_audio_features(torch.zeros(1, 98, 128))


def test_saved_and_loaded_again(published, tmp_path):
    published.save_pretrained(tmp_path)
    again, info = load(tmp_path)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert all(
        torch.equal(a, b) for a, b in zip(published.state_dict().values(), again.state_dict().values(), strict=True)
    )
    assert "model.vision_tower.vision_tower.vision_model.post_layernorm.bias" in load_file(
        tmp_path / "model.safetensors"
    )


@pytest.mark.shows("keys", "VideoLLaMA 2.1-AV", "VideoLLaMA 2.1")
@pytest.mark.parametrize(
    ("path", "n_keys", "n_parameters"), [("/a/path", 1143, 8_526_647_888), (None, 900, 8_420_731_360)]
)
def test_true_sizes(path, n_keys, n_parameters):
    """The 1,156 published keys are these, a classifier's 2 (405,263 numbers), and 11 copies of a table (3,840 each)."""
    with torch.device("meta"):
        model = VideoLlama2ForConditionalGeneration(VideoLlama2Config(**TRUE_CONFIG, mm_audio_tower=path))
    shapes = {name: list(weight.shape) for name, weight in model.state_dict().items()}
    assert (len(shapes), sum(weight.numel() for weight in model.state_dict().values())) == (n_keys, n_parameters)
    expected = {
        name: s for name, s in TRUE_SHAPES.items() if path or ("audio" not in name and "projector_a" not in name)
    }
    assert {name: shapes.get(name) for name in expected} == expected


# Prompts.


@pytest.mark.shows("template", "VideoLLaMA 2.1-AV")
def test_the_prompt_of_true_size_settings(tmp_path):
    model = small(image_size=384, seconds=30.0, window=2.0, num_frames=8)
    inputs = model.process(np.zeros((8, 36, 64, 3), np.uint8), np.zeros(160_000, np.float32), SEE)
    assert inputs["pixel_values_videos"].shape == (1, 8, 3, 384, 384)
    assert inputs["input_features"].shape == (1, 2998, 128)
    ids = inputs["input_ids"][0]
    assert int((ids == model.processor.video_token_id).sum()) == 676
    assert int((ids == model.processor.audio_token_id).sum()) == 1496
    text = model.tokenizer.decode(ids[(ids != model.media_ids["video"]) & (ids != model.media_ids["audio"])])
    system = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    assert text == f"{system}<|im_start|>user\n\n{SEE}<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.shows("segments", "VideoLLaMA 2.1-AV")
@pytest.mark.shows("positions", "VideoLLaMA 2.1-AV")
def test_video_and_sound_are_told_apart(model, toybox_clips):
    prompt = model.prompt(toybox_clips[0], SEE)
    table = prompt.segments.table().query("type in ('video', 'audio')")
    assert table["type"].tolist() == ["video", "audio"]
    assert (table["stop"] - table["start"]).tolist() == [8, 48]
    assert table["stop"].iloc[0] == table["start"].iloc[1]
    assert model.tokenizer.decode(prompt.token_ids[prompt.segments.positions("query")]).strip() == SEE
    assert torch.equal(prompt.position_ids, torch.arange(len(prompt))[None])


def test_sound_alone_is_the_same_sound(model, toybox_clips):
    both = model.prompt(toybox_clips[0], SEE)
    alone = model.prompt(toybox_clips[0], SEE, modalities=("audio",))
    sounds = [prompt.embeds[0, prompt.segments.positions("audio")] for prompt in (both, alone)]
    assert torch.equal(*sounds)


def test_the_whole_clip_can_be_heard():
    wave = np.arange(160_000, dtype=np.float32)
    processor = VideoLlama2Processor(omni.build_tokenizer())
    heard = processor.feature_extractor.heard(wave)
    assert (len(heard), heard.max()) == (256_000, 143_999)
    processor.sound = "whole"
    assert np.array_equal(processor.feature_extractor.heard(wave), wave)
    assert processor.feature_extractor.chunk_length == 30.0
    assert VideoLlama2Processor(omni.build_tokenizer(), hears=False).feature_extractor is None


def test_frames_come_from_the_middles(counted):
    everything, _ = read_frames(counted, fps=1000, max_frames=100_000)
    distinct = [everything[0], *(b for a, b in pairwise(everything) if not np.array_equal(a, b))]
    frames, times = read_frames(counted, sample="midpoints:8")
    assert len(frames) == len(times) == 8
    assert all(np.array_equal(frame, distinct[i]) for frame, i in zip(frames, middles(len(distinct), 8), strict=True))


@pytest.mark.parametrize(("n_frames", "message"), [(3, "even number"), (5, "even number")])
def test_an_odd_number_of_frames_is_refused(model, n_frames, message):
    with pytest.raises(AvnbError, match=message):
        model.processor(text=["<video>"], videos=[np.zeros((n_frames, 8, 8, 3), np.uint8)])


def test_a_published_checkpoint_loads_by_its_folder(tmp_path):
    """Without any settings of a processor; their numbers are those of the model's configuration."""
    tokenizer = omni.build_tokenizer()
    n = len(tokenizer)
    weights = dict(OFFICIAL)
    for name in ("lm_head.weight", "model.embed_tokens.weight"):
        weights[name] = torch.zeros(n + 2, 16)
    ids = {
        "vocab_size": n + 2,
        "video_token_id": n,
        "audio_token_id": n + 1,
        "bos_token_id": None,
        "eos_token_id": None,
    }
    tokenizer.save_pretrained(checkpoint(tmp_path, weights, **ids))
    model = avnb.load(str(tmp_path))
    assert isinstance(model.hf, VideoLlama2ForConditionalGeneration)
    assert isinstance(model.processor, VideoLlama2Processor)
    assert (model.processor.sample_frames, model.hears) == ("midpoints:4", True)
    assert model.media_ids == {"video": n, "audio": n + 1, "image": None}
    model.processor.sound = "whole"
    model.processor.save_pretrained(tmp_path)
    assert avnb.load(str(tmp_path)).processor.sound == "whole"


# Through the adapter.


@pytest.mark.shows("engine", "VideoLLaMA 2.1-AV")
def test_engine_equals_generate(model, toybox_clips):
    prompt = model.prompt(toybox_clips[0], SEE)
    result = run(model, prompt, max_new_tokens=6)[0]
    inputs = model._inputs(toybox_clips[0], SEE, ("video", "audio"))
    output = model.hf.generate(**inputs, max_new_tokens=6, do_sample=False, eos_token_id=sorted(model.stop_ids))
    assert result.token_ids.tolist() == output[0, inputs["input_ids"].shape[1] :].tolist()


@pytest.mark.shows("engine", "VideoLLaMA 2.1-AV")
@pytest.mark.parametrize("target", ["video", "audio", "video+audio"])
def test_knockouts_equal_the_slow_way(model, toybox_clips, target):
    prompt = model.prompt(toybox_clips[0], SEE)
    condition = Condition.block("last+generated", target, layers=(1, 2))
    result = run(model, prompt, [condition], max_new_tokens=3)[0]
    tokens, logprobs = reference.generate(model, prompt, condition, 3)
    assert result.token_ids.tolist() == tokens
    np.testing.assert_allclose(result.logprobs, logprobs, atol=1e-4)


@pytest.mark.shows("template", "VideoLLaMA 2.1")
@pytest.mark.shows("segments", "VideoLLaMA 2.1")
@pytest.mark.shows("positions", "VideoLLaMA 2.1")
@pytest.mark.shows("engine", "VideoLLaMA 2.1")
def test_the_visual_base_is_measured_alike(toybox_clips):
    base = small(hears=False)
    prompt = base.prompt(toybox_clips[0], SEE)
    assert [len(prompt.segments.positions(kind)) for kind in ("video", "audio")] == [8, 0]
    text = base.tokenizer.decode(np.delete(prompt.token_ids, prompt.segments.positions("video")))
    system = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    assert text == f"{system}<|im_start|>user\n\n{SEE}<|im_end|>\n<|im_start|>assistant\n"
    assert torch.equal(prompt.position_ids, torch.arange(len(prompt))[None])
    inputs = base._inputs(toybox_clips[0], SEE, ("video",))
    output = base.hf.generate(**inputs, max_new_tokens=6, do_sample=False, eos_token_id=sorted(base.stop_ids))
    condition = Condition.block("last+generated", "video")
    free, blocked = run(base, prompt, [Condition(), condition], max_new_tokens=6)
    assert free.token_ids.tolist() == output[0, len(prompt) :].tolist()
    tokens, logprobs = reference.generate(base, prompt, condition, 6)
    assert blocked.token_ids.tolist() == tokens
    np.testing.assert_allclose(blocked.logprobs, logprobs, atol=1e-4)
