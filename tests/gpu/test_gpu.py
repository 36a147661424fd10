"""The kit for a GPU: its sizes, its record, and on a machine with a GPU one measurement of the true size."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import Qwen2_5OmniThinkerForConditionalGeneration

from avnb import speed
from tests.gpu import __main__ as kit
from tests.gpu import world
from tests.gpu.__main__ import agreement, cells
from tests.gpu.cell import measure

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("size", "n_parameters"), [("3B", 4_703_464_448), ("7B", 8_931_813_888)])
def test_the_sizes_are_true(size, n_parameters):
    with torch.device("meta"):
        hf = Qwen2_5OmniThinkerForConditionalGeneration._from_config(world.config(size))
    assert sum(weight.numel() for weight in hf.parameters()) == n_parameters


def test_the_kit_measures_what_it_says():
    asked = list(cells(["3B", "7B"], [3_000, 10_000], [28, 56]))
    assert len(asked) == 2 * 2 * 2 * 5
    assert {cell["attention"] for cell in asked} == {"sdpa", "flash_attention_2"}
    assert {cell["quantize"] for cell in asked} == {None, "4bit"}


def in_this_process(command, **_):
    """What a cell's own process would give."""
    try:
        return SimpleNamespace(returncode=0, stdout=json.dumps(measure(**json.loads(command[-1]))), stderr="")
    except Exception as error:
        return SimpleNamespace(returncode=1, stdout="", stderr=str(error))
    finally:
        torch.set_grad_enabled(True)


def test_the_script_runs_and_the_book_shows_its_record(tmp_path, monkeypatch):
    """On the miniature, anywhere; without a GPU the quantised cell says why it did not run."""
    out = tmp_path / "gpu.json"
    monkeypatch.setattr(kit.subprocess, "run", in_this_process)
    arguments = ["--sizes", "miniature", "--tokens", "100", "--conditions", "3", "--new", "3", "--repeats", "1"]
    monkeypatch.setattr(sys, "argv", ["gpu", *arguments, "--out", str(out)])
    kit.main()
    record = json.loads(out.read_text())
    good = {cell["method"]: cell for cell in record["cells"] if "error" not in cell and cell["attention"] == "sdpa"}
    assert set(good) == {"ours", "ours_capture", "hooks"}
    assert good["hooks"]["extrapolated"] and not good["ours"]["extrapolated"]
    assert record["agreement"] == agreement(record["cells"]) and 0 <= record["agreement"] <= 1
    if not torch.cuda.is_available():
        (quantised,) = [cell for cell in record["cells"] if cell["quantize"] == "4bit"]
        assert "4bit needs a GPU" in quantised["error"]
    monkeypatch.setattr(speed, "GPU", out)
    table = speed.on_gpu()
    assert table.loc[table["method"] == "avnb, sdpa", "ratio"].item() == pytest.approx(good["ours"]["ratio"], abs=0.01)
    assert record["machine"]["card"] in speed.about_gpu()


def test_agreement_counts_up_to_the_first_difference():
    cell = {"size": "3B", "tokens": 1, "conditions": 2, "attention": "sdpa", "quantize": None}
    ours = cell | {"method": "ours", "token_ids": [[1, 2, 3, 4], [5, 6, 7, 8]]}
    hooks = cell | {"method": "hooks", "token_ids": [[1, 2, 9, 4], [5, 6, 7, 8]]}
    assert agreement([ours, hooks]) == 0.75 and agreement([ours]) is None


def test_a_page_without_a_record_says_that_nothing_was_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "GPU", tmp_path / "none.json")
    assert speed.on_gpu().empty and "not measured" in speed.about_gpu()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_engine_answers_as_hooks_do_at_true_size(tmp_path):
    out = tmp_path / "gpu.json"
    command = [sys.executable, "-m", "tests.gpu", "--sizes", "3B", "--tokens", "3000", "--conditions", "28"]
    subprocess.run([*command, "--repeats", "1", "--out", str(out)], cwd=ROOT, check=True)
    record = json.loads(out.read_text())
    assert record["agreement"] > 0.5
    assert next(cell for cell in record["cells"] if cell["method"] == "ours")["ratio"] < 28
