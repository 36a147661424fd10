"""Every analysis on miniatures of the families, from a clip to its table."""

import numpy as np
import pandas as pd
import pytest
import torch

import avnb
from avnb import Condition, Random, study
from avnb.analyses import ANALYSES
from avnb.engine.branches import Request, run, run_all
from avnb.questions import HEAR, SEE
from avnb.study import together
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


@pytest.mark.parametrize("seed", [0, 1])
def test_a_tree_answers_as_each_prompt_alone(model, toybox_clips, seed):
    """Three questions of a clip, each under several conditions: as alone, and as `generate` without any."""
    clip, block = toybox_clips[seed], Condition.block
    prompts = [model.prompt(clip, question) for question in (HEAR, SEE, "What is it?")]
    conditions = [
        Condition(),
        block("last+generated", "video"),
        block("last+generated", Random("audio", seed=seed, among="everywhere"), layers=[1]),
        block("audio", "video", layers=[0, 1]),
        block("query", "audio", layers=[1]),
    ]
    asked = [Request(prompt, conditions[: 5 - i], 5) for i, prompt in enumerate(prompts)]
    for request, runs in zip(asked, run_all(model, asked), strict=True):
        inputs = model._inputs(clip, request.prompt.question, ("video", "audio"))
        with torch.inference_mode():
            plain = model.hf.generate(**inputs, max_new_tokens=5, do_sample=False, eos_token_id=sorted(model.stop_ids))
        assert runs[0].token_ids.tolist() == plain[0, len(request.prompt) :].tolist()
        alone = run(model, request.prompt, request.conditions, 5)
        for one, other in zip(runs, alone, strict=True):
            assert one.token_ids.tolist() == other.token_ids.tolist(), str(one.condition)
            np.testing.assert_allclose(one.logprobs, other.logprobs, atol=1e-4, err_msg=str(one.condition))
        assert not np.allclose(runs[1].logprobs[0], runs[0].logprobs[0], atol=1e-4), "the rule does nothing"


def test_several_analyses_in_one_pass_give_the_tables_of_separate_calls(model, toybox_clips, tmp_path):
    names = ["fidelity", "attention", "lens", "knockout"]
    options = {"max_new_tokens": 4, "spans": [[0, 1], [0, 2]], "n_draws": 1, "depth": [0.0, 1.0]}
    asked = {"dataset": "toybox", **options}
    found, failed = together.measure(names, model, toybox_clips[:2], out=tmp_path / "together", **asked)
    assert failed == {} and list(found) == names
    for name, table in found.items():
        own = {key: value for key, value in options.items() if key in together.options_of(name)}
        alone = study.measure(name, model, toybox_clips[:2], dataset="toybox", out=tmp_path / "alone", **own)
        pd.testing.assert_frame_equal(table, alone, rtol=1e-4, atol=2e-5)
