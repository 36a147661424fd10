"""Every analysis on miniatures of the families, from a clip to its table."""

import pytest

import avnb
from avnb.analyses import ANALYSES
from tests.models import miniatures, test_videollama2
from tests.models.minicpm_o import miniature as minicpm

BUILT = {
    "Qwen2.5-Omni": miniatures.qwen2_5_omni,
    "Qwen3-Omni": miniatures.qwen3_omni,
    "VideoLLaMA 2.1-AV": test_videollama2.small,
    "Gemma 4 (E2B, E4B)": miniatures.gemma4,
    "Gemma 4 (12B, no encoders)": miniatures.gemma4_unified,
}


@pytest.fixture(scope="module", params=[*BUILT, "MiniCPM-o"])
def model(request, tmp_path_factory):
    if request.param in BUILT:
        return BUILT[request.param]()
    model = avnb.load(str(minicpm.write(tmp_path_factory.mktemp("official"))))
    model.tokenizer.add_tokens(["bell", "train"])  # its tokens are bytes, and the lens looks for words
    assert len(model.tokenizer) <= model.decoder.config.vocab_size
    return model


@pytest.mark.shows("analyses", *BUILT, "MiniCPM-o")
@pytest.mark.parametrize("analysis", ANALYSES)
def test_every_analysis_gives_its_table(model, toybox_clips, analysis):
    few = {"max_new_tokens": 2}
    options = {
        "fidelity": {"inputs": ["both"], **few},
        "swap": {},
        "lens": {"depth": (0.0, 1.0)},  # these decoders have no layer in the last quarter
        "tokens": {"base": model, **few},
    }
    table = avnb.measure(analysis, model, toybox_clips[:2], **options.get(analysis, few))
    assert len(table) and table["clip"].nunique() >= 1
