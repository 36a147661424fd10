"""The published numbers: complete, and never mixed with ours."""

from pathlib import Path

from avnb import Clip, paper


def test_every_part_names_its_provenance():
    parts = {k: v for k, v in paper.published().items() if k not in ("paper", "provenance")}
    assert parts
    assert all("provenance" in part for part in parts.values())


def test_dataset_table_counts_the_clips_of_this_run():
    clips = [Clip("a", Path("a.mp4")), Clip("b", Path("b.mp4")), Clip("a+b", Path("ab.mp4"), kind="counterfactual")]
    table = paper.dataset_table(clips).set_index("quantity")
    assert table.loc["clips", ["paper", "here"]].tolist() == [500, 3]
    assert table.loc["factual", ["paper", "here"]].tolist() == [250, 2]
    assert table.loc["counterfactual", ["paper", "here"]].tolist() == [250, 1]
