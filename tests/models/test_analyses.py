"""Every analysis on miniatures of families that are not Qwen-Omni's."""

import pytest

import avnb
from avnb.analyses import ANALYSES
from tests.models import miniatures, test_videollama2
from tests.models.minicpm_o import miniature as minicpm

BUILT = {"videollama2": test_videollama2.small, "gemma4": miniatures.gemma4}


@pytest.fixture(scope="module", params=[*BUILT, "minicpm_o"])
def model(request, tmp_path_factory):
    name = request.param
    return BUILT[name]() if name in BUILT else avnb.load(str(minicpm.write(tmp_path_factory.mktemp("official"))))


@pytest.mark.parametrize("analysis", ANALYSES)
def test_every_analysis_gives_its_table(model, toybox_clips, analysis):
    few = {"max_new_tokens": 3}
    options = {
        "fidelity": {"inputs": ["both"], **few},
        "swap": {},
        "lens": {"depth": (0.0, 1.0)},  # these decoders have no layer in the last quarter
        "tokens": {"base": model, **few},
    }
    table = avnb.measure(analysis, model, toybox_clips[:2], **options.get(analysis, few))
    assert len(table) and table["clip"].nunique() >= 1
