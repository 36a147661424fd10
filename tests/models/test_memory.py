"""Memory of models: numbers of the register against their configurations, and what fits."""

import json

import pytest
import torch
from safetensors.torch import save_file
from transformers import Qwen2Config

from avnb.models import families, memory
from avnb.models.asked import ModelError

TEXT = {  # of the published configurations: layers, key-value heads, width of a head, vocabulary, hidden size, tied
    "Qwen/Qwen2.5-Omni-3B": (36, 2, 128, 151_936, 2048, 2),
    "Qwen/Qwen2.5-Omni-7B": (28, 4, 128, 152_064, 3584, 2),
    "Qwen/Qwen3-Omni-30B-A3B-Instruct": (48, 4, 128, 152_064, 2048, 2),
    "Qwen/Qwen2.5-VL-3B-Instruct": (36, 2, 128, 151_936, 2048, 1),
    "Qwen/Qwen2.5-VL-7B-Instruct": (28, 4, 128, 152_064, 3584, 2),
    "DAMO-NLP-SG/VideoLLaMA2.1-7B-AV": (28, 4, 128, 152_064, 3584, 2),
    "DAMO-NLP-SG/VideoLLaMA2.1-7B-16F": (28, 4, 128, 152_064, 3584, 2),
    "openbmb/MiniCPM-o-2_6": (28, 4, 128, 151_700, 3584, 2),
    "openbmb/MiniCPM-V-2_6": (28, 4, 128, 151_666, 3584, 2),
}
EXPERTS = {"Qwen/Qwen3-Omni-30B-A3B-Instruct": 48 * 128 * 3 * 768 * 2048}  # fused, which bitsandbytes leaves alone


@pytest.mark.parametrize("name", TEXT)
def test_the_register_holds_the_true_configuration(name):
    layers, heads, width, vocabulary, hidden, n_tables = TEXT[name]
    size = memory.size_of(name)
    assert size.layers == layers and size.cache == 2 * 2 * layers * heads * width
    assert size.kept == pytest.approx((n_tables * vocabulary * hidden + EXPERTS.get(name, 0)) / 1e9, abs=0.006)


def test_quantising_spares_the_embeddings_and_a_longer_clip_takes_more():
    size = families.Checkpoint("a/b", 10.0, 28, 2.0, 50_000, 1_000)
    plain = {precision: memory.gigabytes(size, precision, 0) for precision in memory.BYTES}
    assert plain == pytest.approx({"bfloat16": 24.0, "8bit": 14.4, "4bit": 1.2 * (4.5 + 4)})
    assert memory.gigabytes(size, "bfloat16", 20) - plain["bfloat16"] == pytest.approx(2_000 * 50_000 / 1e9)
    assert memory.longest_clip(size, "bfloat16", 24.05) == 10 and memory.longest_clip(size, "bfloat16", 20) == 0


def test_a_folder_tells_its_size(organism_folder, random_organism, tmp_path):
    size, config = memory.size_of(organism_folder), random_organism.decoder.config
    assert size.parameters * 1e9 == pytest.approx(sum(p.numel() for p in random_organism.hf.parameters()), rel=0.02)
    assert size.layers == config.num_hidden_layers
    assert size.cache == 2 * 2 * config.num_hidden_layers * config.num_key_value_heads * 32
    Qwen2Config(num_hidden_layers=3).save_pretrained(tmp_path)
    whole = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({"thinker_config": {"text_config": whole}}))
    weights = {"thinker.a": torch.zeros(3, 4), "thinker.b": torch.zeros(5), "talker.a": torch.zeros(100)}
    save_file(weights, tmp_path / "model.safetensors")
    size = memory.size_of(tmp_path)
    assert size.layers == 3 and size.parameters * 1e9 == 17, "of a full Omni checkpoint the thinker counts"
    with pytest.raises(ModelError, match="the size of 'owner/name' is not known"):
        memory.size_of("owner/name")
