"""The examination of a loaded model: it passes where all is well, and every check finds the fault it is there for."""

import copy

import numpy as np
import pytest
import torch

import avnb
from avnb import Condition, examination
from avnb.analyses import lens
from avnb.models.prompt import Segments
from tests.models import miniatures

PARTS = ["keys", "placeholders", "segments", "positions", "attention", "cut", "lens", "engine"]


@pytest.fixture(scope="module")
def loaded():
    return avnb.load("toy-omni")


@pytest.fixture
def model(loaded):
    """A copy that a test may spoil."""
    return copy.copy(loaded)


@pytest.fixture(scope="module")
def clip():
    return avnb.datasets.load("toybox", n=1)[0]


def statuses(model, clip):
    found = examination.examine(model, clip)
    return found.set_index("check")["status"], found.set_index("check")["found"]


def assert_found(model, clip, check, said):
    status, found = statuses(model, clip)
    assert status[check] == "failed" and said in found[check], found.to_dict()
    return status


@pytest.mark.parametrize("name", ["toy-omni", "toy-vl"])
def test_an_organism_passes(name, clip):
    status, found = statuses(avnb.load(name), clip)
    assert status.index.tolist() == [*PARTS, "golden values"]
    assert (status[PARTS] == "passed").all(), found.to_dict()
    assert status["golden values"] == "n/a"
    assert "missing" in found["keys"] and "video" in found["placeholders"]


@pytest.mark.parametrize("name", ["qwen2_5_vl", "qwen3_omni", "gemma4", "gemma3n", "phi4", "internvl", "videollama2"])
def test_every_family_passes(name, clip):
    status, found = statuses(getattr(miniatures, name)(), clip)
    inapplicable = {"keys", "golden values"} | ({"lens"} if name == "gemma3n" else set())
    assert set(status.index[status == "n/a"]) == inapplicable, found.to_dict()
    assert set(status) == {"passed", "n/a"}, found.to_dict()


def test_a_model_in_low_precision_passes(clip):
    status, found = statuses(avnb.load("toy-omni@bfloat16"), clip)
    assert (status[PARTS] == "passed").all(), found.to_dict()


def test_a_model_that_was_not_loaded_has_no_keys_to_check(random_organism, clip):
    status, _ = statuses(avnb.wrap(random_organism.hf, random_organism.processor), clip)
    assert status["keys"] == "n/a" and (status[PARTS[1:]] == "passed").all()


def test_a_weight_that_is_no_number_is_found(model, clip):
    model.hf = copy.deepcopy(model.hf)
    next(iter(model.hf.parameters())).data.flatten()[3] = torch.nan
    assert_found(model, clip, "keys", "holds no numbers")


def test_weights_without_a_place_are_told(model, clip):
    model.unused = ("speaker.weight",)
    status, found = statuses(model, clip)
    assert status["keys"] == "passed" and "1 in the checkpoint have no place, e.g. speaker.weight" in found["keys"]


def spoiled(model, monkeypatch, spoil):
    """The model whose prompts are spoiled by a function of a prompt, which returns another one."""
    prompt = model.prompt
    monkeypatch.setattr(model, "prompt", lambda *args, **kwargs: spoil(prompt(*args, **kwargs)), raising=False)
    return model


def changed(prompt, types=None, **inputs):
    segments = prompt.segments if types is None else Segments(types)
    return type(prompt)({**prompt.inputs, **inputs}, segments, prompt.token_ids, prompt.clip_id, prompt.question)


def test_media_that_do_not_arrive_are_found(model, clip, monkeypatch):
    def blind(prompt):
        video = prompt.segments.positions("video")
        embeds = prompt.embeds.clone()
        embeds[:, video] = model.decoder.get_input_embeddings()(torch.as_tensor(prompt.token_ids[video]))
        return changed(prompt, inputs_embeds=embeds)

    status = assert_found(
        spoiled(model, monkeypatch, blind), clip, "placeholders", "100% of the video positions hold the placeholder"
    )
    assert status["segments"] == "failed"


def test_a_shared_placeholder_is_found(model, clip, monkeypatch):
    def shared(prompt):
        ids = prompt.token_ids.copy()
        ids[prompt.segments.positions("audio")] = ids[prompt.segments.positions("video")[0]]
        return type(prompt)(prompt.inputs, prompt.segments, ids, prompt.clip_id, prompt.question)

    assert_found(spoiled(model, monkeypatch, shared), clip, "placeholders", "share the placeholder")


@pytest.mark.parametrize("how", ["exchanged", "one too many", "question", "last"])
def test_wrong_segments_are_found(model, clip, monkeypatch, how):
    def wrong(prompt):
        types = prompt.segments.types.copy()
        if how == "exchanged":
            video, audio = types == "video", types == "audio"
            types[video], types[audio] = "audio", "video"
        elif how == "one too many":
            types[prompt.segments.positions("audio")[-1]] = "video"
        elif how == "question":
            types[prompt.segments.positions("query")[:2]] = "template"
        else:
            types[-2] = "last"
        return changed(prompt, types)

    said = {
        "exchanged": "positions that are not",
        "one too many": "other audio changes 1 positions that are not audio",
        "question": "the positions of the question spell",
        "last": "the last position is not typed so",
    }
    assert_found(spoiled(model, monkeypatch, wrong), clip, "segments", said[how])


def test_wrong_positions_are_found(model, clip, monkeypatch):
    def shifted(prompt):
        return changed(prompt, position_ids=prompt.position_ids + (torch.arange(len(prompt)) > 20))

    assert_found(spoiled(model, monkeypatch, shifted), clip, "positions", "gives its decoder other position ids")


def test_pictures_and_sound_that_were_not_put_together_are_found(model, clip, monkeypatch):
    """The flag is lost on the way to prompts and to `generate` alike, so that both agree on the wrong positions."""
    process = model.process
    lost = lambda *args, **kwargs: process(*args, **kwargs) | {"use_audio_in_video": False}  # noqa: E731
    monkeypatch.setattr(model, "process", lost, raising=False)
    assert_found(model, clip, "positions", "the model was not told that they belong together")


def test_attention_that_does_not_sum_to_one_is_found(model, clip, monkeypatch):
    def lossy(*args, **kwargs):
        runs = avnb.run(*args, **kwargs)
        for one in runs:
            one.shares[1, 2] *= 0.9
        return runs

    monkeypatch.setattr(examination, "run", lossy)
    assert_found(model, clip, "attention", "a row sums to 1.1 or 0.9")


def test_a_cut_that_does_not_cut_is_found(model, clip, monkeypatch):
    monkeypatch.setattr(Condition, "block", lambda source, target: Condition())
    assert_found(model, clip, "cut", "whose attention to video is blocked gives")


def test_another_norm_in_the_lens_is_found(model, clip, monkeypatch):
    decode = lens.decode
    monkeypatch.setattr(lens, "decode", lambda *args, **kwargs: decode(*args, **kwargs, normed=False))
    assert_found(model, clip, "lens", "the lens reads")


def test_an_engine_that_answers_otherwise_is_found(model, clip, monkeypatch):
    head = model.head
    monkeypatch.setattr(model, "head", lambda hidden: -head(hidden), raising=False)
    assert_found(model, clip, "engine", "token 0 differs from that of `generate`, which is")


def test_known_values_are_compared_in_order_of_magnitude(model, clip, monkeypatch):
    monkeypatch.setattr(examination, "_GOLDEN_SECONDS", 4)
    monkeypatch.setattr(examination, "GOLDEN", {"toy-omni": {"attention to generated": 1e-9}})
    assert_found(model, clip, "golden values", "attention to generated is 0.")
    value = float(examination.examine(model, clip)["found"].iloc[-1].split(" is ")[1].split(",")[0])
    near = {"attention to generated": 5 * value, "distinct words of the lens": 0.3}
    monkeypatch.setattr(examination, "GOLDEN", {"toy-omni": near})
    status, found = statuses(model, clip)
    assert status["golden values"] == "passed" and found["golden values"] == "2 numbers within a factor of 10"


def test_the_known_values_are_of_a_published_model():
    assert set(examination.GOLDEN) <= {one.name for f in avnb.models.families.FAMILIES for one in f.checkpoints}
    known = examination.GOLDEN["Qwen/Qwen2.5-Omni-3B"]
    assert sum(value for name, value in known.items() if name.startswith("attention")) == pytest.approx(1.0, abs=0.01)


def test_what_a_check_runs_into_is_what_it_finds(model, clip, monkeypatch):
    def broken(*args, **kwargs):
        raise RuntimeError("a kernel\nfailed")

    monkeypatch.setattr(model, "caption", broken, raising=False)
    status = assert_found(model, clip, "engine", "RuntimeError: a kernel failed")
    assert np.array_equal(status.index[status == "failed"], ["positions", "engine"])
