"""The bench's record, as the book shows it."""

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
    assert (table["output_attentions"] / table["avnb"]).tolist() == pytest.approx(table["times"].tolist(), rel=0.05)


def test_what_did_not_run_is_said():
    errors = [c for c in speed.measured()["cells"] if "error" in c]
    assert len(speed.not_run()) == len(errors)
    assert "layers" in speed.about()
