"""Against upstream's own modules on the same weights and inputs; upstream.md says how their outputs were made."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForMultimodalLM, AutoProcessor

from avnb.models.minicpm_o import modeling
from avnb.models.minicpm_o.processing import MiniCPMVImageProcessor
from tests.models.minicpm_o import miniature

QUESTION = "What do you hear?"
UPSTREAM = load_file(Path(__file__).parent / "upstream.safetensors")
# Height, width, and the slices that a picture may be cut into.
PICTURES = {
    "wide": (36, 64, 1),
    "vga": (360, 640, 1),
    "odd": (131, 77, 1),
    "hd": (720, 1280, 2),
    "tall": (900, 500, 9),
    "large": (700, 900, 9),
    "strip": (200, 3000, 9),
}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    folder = miniature.write(tmp_path_factory.mktemp("official"))
    return AutoModelForMultimodalLM.from_pretrained(folder).eval(), AutoProcessor.from_pretrained(folder)


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(0)
    patches = torch.from_numpy(rng.standard_normal((2, 24, 588))).float()
    features = torch.from_numpy(rng.standard_normal((2, 80, 310))).float()
    patches[0, 15:], features[1, :, 170:] = 0, 0
    return patches, torch.tensor([[3, 5], [4, 6]]), features, torch.tensor([310, 170])


def close(ours, name, tolerance=1e-5):
    torch.testing.assert_close(ours, UPSTREAM[name], rtol=tolerance, atol=tolerance)


# The logarithm of a mel band that is nearly silent: processors differ in the last bits of its Fourier transform.
SILENCE = 1e-4


def test_a_row_of_any_number_of_patches_gets_the_same_positions():
    ours = torch.cat([modeling.places(1, n, 70) for n in range(1, 71)])
    assert torch.equal(ours, UPSTREAM["buckets"].long())


@pytest.mark.shows("modules", "MiniCPM-o", "MiniCPM-V")
@torch.inference_mode()
def test_vision_tower_and_resampler_on_pictures_of_two_shapes(loaded, inputs):
    model, (patches, grids, _, _) = loaded[0], inputs
    seen = model.vpm(patches, grids)
    close(torch.cat([seen[0, :15], seen[1]]), "tower")
    close(model.resampler(seen, grids)[:, ::4], "resampled")


@pytest.mark.shows("modules", "MiniCPM-o")
@torch.inference_mode()
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_audio_encoder_projection_and_pooling_on_two_lengths(loaded, inputs, attention):
    model = loaded[0]
    model.set_attn_implementation(attention)
    close(model.sounds(*inputs[2:])[:, ::4], "sounds")
    model.set_attn_implementation("sdpa")


@pytest.mark.shows("modules", "MiniCPM-o", "MiniCPM-V")
@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_scaled_cut_and_told_alike(loaded, name):
    height, width, slices = PICTURES[name]
    y, x = np.mgrid[:height, :width]
    picture = (np.stack([x, 2 * y + x, 3 * x + y], axis=-1) % 256).astype(np.uint8)
    inputs, texts = MiniCPMVImageProcessor()([picture], slices)
    assert torch.equal(inputs["grids"], UPSTREAM[f"grids.{name}"].long())
    ours = [values[: rows * columns][::67, ::29] for values, (rows, columns) in zip(*inputs.values(), strict=True)]
    torch.testing.assert_close(torch.cat(ours), UPSTREAM[f"pixels.{name}"], rtol=0, atol=1e-6)
    assert loaded[1].tokenizer(texts[0])["input_ids"] == UPSTREAM[f"text.{name}"].tolist()


def ask(processor, frames, wave):
    content = [{"type": "video"}] * (frames is not None) + [{"type": "audio"}] * (wave is not None)
    messages = [
        {"role": "system", "content": [{"type": "text", "text": processor.default_system(wave is not None)}]},
        {"role": "user", "content": [*content, {"type": "text", "text": QUESTION}]},
    ]
    media = {"videos": None if frames is None else [frames], "audio": None if wave is None else [wave]}
    return processor(text=[processor.apply_chat_template(messages)], **media)


@pytest.mark.shows("template", "MiniCPM-o")
@pytest.mark.shows("modules", "MiniCPM-o")
@torch.inference_mode()
@pytest.mark.parametrize("name", ["omni", "short", "heard", "seen"])
def test_whole_prompts_and_what_the_model_says_next(loaded, name):
    model, processor = loaded
    # "short": the third second holds 15 ms, too little for a token; its picture stays.
    frames, wave = miniature.media(2, 2.015) if name == "short" else miniature.media()
    inputs = ask(processor, None if name == "heard" else frames, None if name == "seen" else wave)
    ids = inputs["input_ids"][0]
    one_placeholder = torch.where(ids == processor.audio_token_id, processor.video_token_id, ids)
    assert torch.equal(one_placeholder, UPSTREAM[f"{name}.ids"].long())
    if name != "seen":
        close(inputs["input_features"][:, ::8, ::7], f"{name}.features", SILENCE)
    caught = []
    handle = model.llm.model.register_forward_pre_hook(
        lambda module, args, kwargs: caught.append(kwargs), with_kwargs=True
    )
    logits = model(**inputs).logits[0, -1]
    handle.remove()
    close(caught[0]["inputs_embeds"][0, :, ::16], f"{name}.embeds")
    close(logits, f"{name}.logits")


@pytest.mark.shows("modules", "MiniCPM-o")
@torch.inference_mode()
def test_sound_of_more_than_thirty_seconds_goes_in_pieces(loaded):
    model, processor = loaded
    inputs = ask(processor, *miniature.media(1, 32.4))
    assert inputs["feature_lengths"].tolist() == [3000, 240]
    close(inputs["input_features"][:, ::16, ::61], "long.features", SILENCE)
    close(model.sounds(inputs["input_features"], inputs["feature_lengths"])[::5, ::16], "long.sounds")
    assert len(inputs["grids"]) == 33
