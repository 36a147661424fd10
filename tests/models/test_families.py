"""The rows of published families against their true configurations, built without memory for the weights."""

import pytest
import torch
import transformers

from avnb.models import families
from avnb.models.minicpm_o import MiniCPMOConfig, MiniCPMVConfig
from avnb.models.videollama2.modeling import VideoLlama2Config

SMALL = {"num_hidden_layers": 36, "hidden_size": 2048, "num_attention_heads": 16, "num_key_value_heads": 2}
SMALL |= {"intermediate_size": 11008, "vocab_size": 151936}
LARGE = {"num_hidden_layers": 28, "hidden_size": 3584, "num_attention_heads": 28, "num_key_value_heads": 4}
LARGE |= {"intermediate_size": 18944, "vocab_size": 152064}
MROPE = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]}}


def omni(text):
    width = text["hidden_size"]
    config = transformers.Qwen2_5OmniThinkerConfig(
        text_config={**text, **MROPE},
        vision_config={"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "out_hidden_size": width},
        audio_config={"encoder_layers": 32, "d_model": 1280, "encoder_ffn_dim": 5120, "output_dim": width},
    )
    return transformers.Qwen2_5OmniThinkerForConditionalGeneration(config)


def vision_language(text):
    vision = {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "out_hidden_size": text["hidden_size"]}
    tied = text is SMALL
    config = transformers.Qwen2_5_VLConfig(
        text_config={**text, **MROPE, "tie_word_embeddings": tied}, vision_config=vision, tie_word_embeddings=tied
    )
    return transformers.Qwen2_5_VLForConditionalGeneration(config)


TRUE = {
    "Qwen/Qwen2.5-Omni-3B": lambda: omni(SMALL),
    "Qwen/Qwen2.5-Omni-7B": lambda: omni(LARGE),
    "Qwen/Qwen2.5-VL-3B-Instruct": lambda: vision_language(SMALL),
    "Qwen/Qwen2.5-VL-7B-Instruct": lambda: vision_language(LARGE),
    "DAMO-NLP-SG/VideoLLaMA2.1-7B-AV": lambda: built(VideoLlama2Config(**LARGE, mm_audio_tower="a path")),
    "DAMO-NLP-SG/VideoLLaMA2.1-7B-16F": lambda: built(VideoLlama2Config(**LARGE, mm_audio_tower=None)),
    "openbmb/MiniCPM-o-2_6": lambda: built(MiniCPMOConfig()),
    "openbmb/MiniCPM-V-2_6": lambda: built(MiniCPMVConfig()),
}


def built(config):
    return transformers.AutoModelForMultimodalLM.from_config(config)


@pytest.mark.parametrize("name", TRUE)
def test_rows_are_those_of_the_true_configurations(name):
    row = next(one for one in families.family_of(name).checkpoints if one.name == name)
    with torch.device("meta"):
        model = TRUE[name]()
    text = model.config.get_text_config()
    width = text.hidden_size // text.num_attention_heads
    ends = (model.get_input_embeddings(), model.get_output_embeddings())
    embedded = sum({id(layer.weight): layer.weight.numel() for layer in ends}.values())
    assert model.num_parameters() / 1e9 == pytest.approx(row.parameters, abs=1e-3)
    assert row.layers == text.num_hidden_layers
    assert row.cache == 2 * 2 * row.layers * text.num_key_value_heads * width
    assert embedded / 1e9 == pytest.approx(row.kept, abs=1e-3)


def test_bases_are_families_too():
    bases = {one.base for family in families.FAMILIES for one in family.checkpoints if one.base}
    assert bases == {name for name in bases if not families.family_of(name).hears}


def test_the_family_of_a_model_that_is_loaded_in_another_way():
    assert families.family_of("Qwen/Qwen2.5-Omni-7B@4bit@auto") is families.family_of("Qwen/Qwen2.5-Omni-7B")
    assert families.family_of("owner/name@4bit") is None
