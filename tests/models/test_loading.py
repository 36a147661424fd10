"""Loading: a checkpoint comes whole or not at all, as it was asked for, and every failure is one clear line."""

import json
import os
import pickle
import shutil
import socket
import time

import pytest
import torch
import transformers
from huggingface_hub import HfApi
from safetensors.torch import load_file, save_file

import avnb
from avnb import models
from avnb.models import asked, loading
from avnb.models.asked import Asked
from tests.models import test_videollama2

GONE, IN_FILE = "model.language_model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight"


@pytest.fixture
def folder(organism_folder, tmp_path):
    """A copy of a good checkpoint, to be damaged."""
    return shutil.copytree(organism_folder, tmp_path / "copy")


def weights(folder, change):
    """Writes the weights anew after a change."""
    found = load_file(folder / "model.safetensors")
    change(found)
    save_file(found, folder / "model.safetensors", metadata={"format": "pt"})


def settings(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def cut_off(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:200_000])


class Pickled:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def pickled(folder):
    (folder / "model.safetensors").unlink()
    torch.save({"weight": Pickled()}, folder / "pytorch_model.bin")


DAMAGES = {
    "a weight is missing": (
        lambda folder: weights(folder, lambda found: found.pop(IN_FILE)),
        f"the checkpoint lacks 1 of the model's weights, which would stay random, e.g. {GONE}",
    ),
    "a weight of another size": (
        lambda folder: weights(folder, lambda found: found.update({IN_FILE: found[IN_FILE][:3].clone()})),
        f"has in another size 1 of the model's weights, which would stay random, e.g. {GONE}",
    ),
    "a file that is cut off": (cut_off, "a file of weights is damaged or cut off"),
    "a pickle with code": (pickled, "its weights are a pickle that holds more than tensors, and was not opened"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "no file named model.safetensors"),
    "another kind of model": (
        lambda folder: settings(folder, model_type="llama"),
        "a llama model takes no pictures and no sound beside its text",
    ),
    "an unknown kind": (lambda folder: settings(folder, model_type="strange"), "model_type 'strange', which"),
    "code of its own": (
        lambda folder: settings(folder, model_type="strange", auto_map={"AutoConfig": "code.Config"}),
        "does not know; it brings code of its own, which is never run",
    ),
    "no JSON": (lambda folder: (folder / "config.json").write_text("{"), "is not a valid JSON file"),
    "no configuration": (lambda folder: (folder / "config.json").unlink(), "config.json"),
    "no tokenizer": (
        lambda folder: (folder / "tokenizer.json").unlink(),
        "its tokenizer knows no word; is tokenizer.json there?",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_refused_in_one_line(folder, damage, capfd, monkeypatch):
    act, said = DAMAGES[damage]
    act(folder)
    monkeypatch.chdir(folder)
    with pytest.raises(models.ModelError) as error:
        avnb.load(folder)
    text = str(error.value)
    assert said in text and text.startswith(str(folder)) and "\n" not in text and len(text) < 500 + len(str(folder))
    assert not (folder / "executed").exists()
    assert "LOAD REPORT" not in capfd.readouterr().err


def test_the_pickle_would_have_been_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(Pickled()))
    assert (tmp_path / "executed").exists()


def test_the_processor_is_looked_for_before_the_weights(folder, monkeypatch):
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    monkeypatch.setattr(transformers.PreTrainedModel, "from_pretrained", lambda *_, **__: pytest.fail("weights"))
    with pytest.raises(models.ModelError, match="could not be loaded"):
        avnb.load(folder)


def test_weights_without_a_place_are_kept_by_name(folder):
    weights(folder, lambda found: found.update({"speaker.weight": torch.ones(2)}))
    assert avnb.load(folder).unused == ("speaker.weight",)
    assert avnb.load("toy-omni").unused == ()


@pytest.mark.parametrize("renamed", [None, "parametrizations.weight.original"])
def test_the_weight_norm_of_videollama_is_never_random(tmp_path, renamed):
    """Lost, or under the names that torch gives such weights today: refused, not left as they were initialised."""
    model = test_videollama2.small()
    model.hf.save_pretrained(tmp_path)
    model.processor.save_pretrained(tmp_path)
    assert avnb.load(tmp_path).unused == ()

    def lose(found):
        for name in [name for name in found if name.endswith(("weight_g", "weight_v"))]:
            weight = found.pop(name)
            if renamed is not None:
                found[f"{name.removesuffix(name[-8:])}{renamed}{'gv'.index(name[-1])}"] = weight

    weights(tmp_path, lose)
    said = "lacks 2 of the model's weights, which would stay random, e.g. .*pos_conv.0.weight_g"
    with pytest.raises(models.ModelError, match=said + (r" \(and holds 2 that have no place" if renamed else ";")):
        avnb.load(tmp_path)


# How a model is named.


def test_a_name_says_how_the_model_is_loaded():
    assert asked.read("toy-omni") == Asked("toy-omni")
    assert asked.read("a/b@bfloat16@4bit@auto@main") == Asked("a/b", "bfloat16", "auto", "4bit", "main")
    assert asked.read("a/b@cpu@float16").suffix == "@float16@cpu"
    with pytest.raises(models.ModelError, match="quantize is given as '4bit' and as '8bit'"):
        asked.read("a/b@4bit@8bit")
    with pytest.raises(models.ModelError, match="revision is given"):
        asked.read("a/b@")


def test_a_folder_may_hold_the_sign_of_options(tmp_path):
    (tmp_path / "a@4bit").mkdir()
    assert asked.read(tmp_path / "a@4bit") == Asked(str(tmp_path / "a@4bit"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("toy-omny", "'toy-omny' is no organism (toy-omni,"),
        ("~/no-such-model", "'~/no-such-model' is no folder; check the path"),
        ("./model", "is no folder"),
        ("/no/such", "is no folder"),
        ("runs/a/checkpoint", "is no folder"),
        ("toy-omni@main", "an organism has no revision 'main'; the options are float32,"),
        ("a b/c", "is no organism"),
    ],
)
def test_what_can_be_no_model_is_refused(name, said):
    with pytest.raises(models.ModelError) as error:
        models.check(name)
    assert said in str(error.value)


def test_the_home_folder_is_found(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    model = avnb.load("~/copy@bfloat16")
    assert model.name == "copy@bfloat16" and model.hf.dtype == torch.bfloat16


def test_tables_call_a_folder_by_its_own_name(organism_folder, monkeypatch):
    assert avnb.load(organism_folder).name == models.title_of(organism_folder) == organism_folder.name
    monkeypatch.chdir(organism_folder)
    assert models.title_of(".") == organism_folder.name
    assert models.title_of("toy-omni@4bit") == "toy-omni@4bit"
    assert models.title_of("owner/name@abc") == "owner/name@abc"


def test_a_base_is_loaded_as_its_model_is():
    assert models.base_of("Qwen/Qwen2.5-Omni-7B@4bit@abc") == "Qwen/Qwen2.5-VL-7B-Instruct@4bit"
    assert models.base_of("toy-omni@bfloat16") == "toy-vl@bfloat16"
    with pytest.raises(avnb.errors.InapplicableError, match="no vision-language base is known for 'owner/name'"):
        models.base_of("owner/name")


# How it is loaded.


def test_precision_on_the_cpu(folder):
    assert avnb.load(folder).hf.dtype == torch.float32
    assert avnb.load(folder, dtype=torch.bfloat16).hf.dtype == torch.bfloat16
    avnb.load(folder, dtype="bfloat16").hf.save_pretrained(folder)
    assert avnb.load(folder).hf.dtype == torch.bfloat16, "as it was published: what doctor promises"
    assert avnb.load(f"{folder}@float32").hf.dtype == torch.float32


@pytest.mark.parametrize("option", ["cuda", "4bit", "8bit"])
def test_what_needs_a_gpu_is_refused_without_one(option, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(models.ModelError, match=rf"toy-omni@{option}: .* GPU .*that torch can use; leave it out"):
        avnb.load(f"toy-omni@{option}")


def test_options_reach_transformers(folder, monkeypatch):
    """With a GPU; the weights are not loaded here."""
    seen = {}

    def from_pretrained(cls, **options):
        seen.update(options)
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(loading, "find_spec", lambda name: name)
    monkeypatch.setattr(transformers.BitsAndBytesConfig, "post_init", lambda self: None)
    monkeypatch.setattr(transformers.PreTrainedModel, "from_pretrained", classmethod(from_pretrained))
    with pytest.raises(models.ModelError, match="does not fit into the GPU; .*: avnb doctor .*copy@4bit"):
        avnb.load(f"{folder}@4bit")
    assert seen["dtype"] == torch.bfloat16 and seen["device_map"] == "cuda"
    assert seen["quantization_config"].load_in_4bit and seen["trust_remote_code"] is False
    with pytest.raises(models.ModelError):
        avnb.load(f"{folder}@cpu")
    assert seen["dtype"] == torch.float32 and seen["device_map"] == "cpu"


# The Hub.


def test_without_a_network_a_model_of_the_hub_fails_within_seconds(tmp_path, monkeypatch):
    monkeypatch.setattr(loading.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: _unreachable())
    start = time.perf_counter()
    with pytest.raises(models.ModelError, match="not in the cache .* and the Hub cannot be reached; connect to it"):
        avnb.load("Qwen/Qwen2.5-Omni-3B")
    assert time.perf_counter() - start < 5


def _unreachable():
    raise OSError("Name or service not known")


def test_a_model_of_the_hub_is_loaded_by_its_commit_and_from_the_cache_when_the_hub_is_away(folder, monkeypatch):
    commit = "0123456789abcdef0123456789abcdef01234567"
    asked_for = []

    def info(self, name, revision, timeout):
        asked_for.append((name, revision))
        return type("Info", (), {"sha": commit})

    monkeypatch.setattr(loading.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(HfApi, "model_info", info)
    assert loading._on_hub("owner/name", "v1") == {"revision": commit} and asked_for == [("owner/name", "v1")]
    monkeypatch.setattr(HfApi, "model_info", lambda *_, **__: _unreachable())
    monkeypatch.setattr(loading, "try_to_load_from_cache", lambda *_, **__: str(folder / "config.json"))
    assert loading._on_hub("owner/name", None) == {"revision": "main", "local_files_only": True}
