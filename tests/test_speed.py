"""The bench's record, as the book shows it."""

import json

import pytest

from avnb import speed


def test_tables_hold_what_was_measured():
    cell = next(c for c in speed.measured()["cells"] if c["method"] == "hooks" and c.get("extrapolated"))
    row = (
        speed.costs()
        .set_index(["prompt", "new", "conditions"])
        .loc[(cell["prompt_tokens"], cell["new"], cell["conditions"])]
    )
    assert row["hooks + generate"] == f"{cell['ratio']:.2f}*"
    assert not row["avnb"].endswith("*")


def test_memory_compares_the_same_prompt():
    table = speed.memory().dropna()
    assert len(table)
    assert (table["transformers"] / table["avnb"]).tolist() == pytest.approx(table["times"].tolist(), rel=0.05)


def test_what_did_not_run_is_said():
    errors = [c for c in speed.measured()["cells"] if "error" in c]
    assert len(speed.not_run()) == len(errors)
    assert "layers" in speed.about()


def test_workers_are_compared_with_one(tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "WORKERS", tmp_path / "workers.json")
    assert speed.workers().empty and "Not measured" in speed.about_workers()
    record = {
        "machine": {"cpu": "a processor", "cores": 2, "device": "cpu"},
        "study": {"analysis": "fidelity", "model": "toy-omni", "clips": 100, "repeats": 3},
        "seconds": {"estimate": [9, 11, 10], "process": [10, 12, 9], "1": [12, 12, 13], "2": [6, 7, 6]},
        "faster": {"1": 1.0, "2": 2.0},
    }
    speed.WORKERS.write_text(json.dumps(record))
    found = speed.workers().set_index("measured")
    assert found["seconds"].to_dict() == {
        "1 worker": 12, "2 workers": 6, "in one process, without workers": 10,
        "the same, as `avnb estimate` foretold it": 10,
    }  # fmt: skip
    assert found["faster"].dropna().tolist() == [1, 2]
    assert found.index[1].startswith("the same"), "the estimate stands below what it foretold"
    assert "with 2, single runs were 1.71 to 2.17 times" in speed.about_workers()
    assert "100 clips, 3 runs" in speed.about_workers() and "a processor" in speed.about_workers()


def test_together_costs_less_than_one_after_the_other():
    table = speed.together().set_index("measured")
    *alone, apart, together = (table.iloc[i, 0] for i in range(1, len(table)))
    assert apart == pytest.approx(sum(alone)) and together < apart / 2
    assert "`fidelity` and `knockout` gave the same tokens in one pass" in speed.about_together()


def test_the_goal_of_one_pass_is_named_with_what_came_of_it(tmp_path, monkeypatch):
    cells = [
        {"vocabulary": size, "ratio": {"together": ratio}, "ratio_to_caption": {"together": ratio + 1}}
        for size, ratio in ((21723, 2.5), (152064, 2.504))
    ]
    monkeypatch.setattr(speed, "TOGETHER", tmp_path / "together.json")
    speed.TOGETHER.write_text(json.dumps({"settings": {"repeats": 1}, "cells": cells}))
    told = speed.goal_together()
    assert "at most **2.5 times** one plain generate" in told and "the one run that was timed" in told
    assert told.endswith("in units of one that projects the last alone, the pass costs 3.50 and 3.50.")
    assert "met with a vocabulary of 21,723 (**2.50**), and missed with a vocabulary of 152,064 (**2.50**)" in told
