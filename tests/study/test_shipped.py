"""Tables that come with the package: what they hold, what they answer for, and that today they would be the same."""

import pandas as pd
import pytest

from avnb import datasets, models, study
from avnb.analyses.changes import CONTROL, NOTHING
from avnb.questions import HEAR, SEE
from avnb.study import ship, shipped
from avnb.study.shipped import Asked
from tests.drawn import alone

CUTS = {
    "questions": [HEAR, SEE],
    "blocked": ["video", "audio"],
    "spans": [[0, 2], [0, 4]],
    "n_draws": 2,
    "judge": "events",
}
SHIPPED = [(name, model) for name, table in ship.TABLES.items() for model in table.models]


def asked(kinds=None, n=4, **parameters):
    return Asked("knockout", "a", "toybox", n, 0, None, kinds, CUTS | parameters)


@pytest.mark.parametrize(
    ("wanted", "within"),
    [
        (asked(), True),
        (asked(questions=[HEAR], spans=[[0, 4]], n_draws=1), True),
        (asked(kinds=["counterfactual"]), True),
        (asked(judge="words"), False),
        (asked(spans=[[0, 3]]), False),
        (asked(n_draws=3), False),
        (asked(n_draws=0), False),
        (asked(n=6), False),
        (asked()._replace(each=2), False),
    ],
)
def test_a_larger_table_answers_for_a_smaller_one_and_for_no_other(wanted, within):
    assert wanted.is_within(asked()._asdict()) == within
    assert wanted.is_within(wanted._asdict()), "what is asked for again is there, also without any control"


def test_only_what_is_asked_for_is_cut_out():
    rows = [
        (kind, question, blocked, 0, stop, draw)
        for kind in ("factual", "counterfactual")
        for question in (HEAR, SEE)
        for blocked, stop, draw in [
            (NOTHING, 0, 0),
            *((name, stop, draw) for name in ("video", "audio") for stop in (2, 4) for draw in (0,)),
            *((CONTROL + name, stop, draw) for name in ("video", "audio") for stop in (2, 4) for draw in (0, 1)),
        ]
    ]
    table = pd.DataFrame(rows, columns=["kind", "question", "blocked", "start", "stop", "draw"])
    found = asked(["factual"], questions=[HEAR], blocked=["video"], spans=[[0, 4]], n_draws=1).rows(table)
    assert found[["blocked", "stop", "draw"]].values.tolist() == [
        [NOTHING, 0, 0],
        ["video", 4, 0],
        [CONTROL + "video", 4, 0],
    ]
    assert set(found["kind"]) == {"factual"} and set(found["question"]) == {HEAR}
    assert len(asked().rows(table)) == len(table)
    assert len(asked(["factual"]).rows(table, ["factual"])) == len(table), "rows may be of other kinds than their clips"


def test_the_first_clips_of_each_kind_count(toybox_clips):
    assert [c.id for c in asked()._replace(each=2).clips(toybox_clips)] == [c.id for c in toybox_clips[:2]]
    assert asked(["counterfactual"]).clips(toybox_clips) == []


@pytest.mark.organism
@pytest.mark.parametrize(("name", "model"), [pair for pair in SHIPPED if shipped.path_of(*pair[::-1]).exists()])
def test_what_was_measured_is_what_is_measured_today(name, model, tmp_path):
    analysis, options, _, kinds, each, n = ship.TABLES[name]
    organism = models.load(model)
    wanted, others = study.asked(analysis, organism, shipped.DATASET, n, shipped.SEED, each, kinds, options)
    kept = shipped.find(wanted, [organism, *others])
    assert kept is not None, f"measured with other weights or options; measure it: python -m avnb.study.ship {name}"
    if analysis in ("fidelity", "knockout"):  # the others set clips against each other, or take minutes
        there = kept[kept["clip"] == kept["clip"].iloc[0]].reset_index(drop=True)
        clip = alone(there["clip"].iloc[0], tmp_path)
        today = study.measure(analysis, organism, [clip], dataset="again", seed=shipped.SEED, out=tmp_path, **options)
        assert there["answer"].tolist() == today["answer"].tolist()
        assert there["value"].tolist() == pytest.approx(today["value"].tolist(), nan_ok=True)


def test_without_a_shipped_table_the_clips_are_measured(random_organism, tmp_path, monkeypatch, toybox_clips):
    monkeypatch.setattr(datasets, "load", lambda *_, **__: toybox_clips)
    found = study.table(
        "fidelity", random_organism, dataset="toybox", n=400, seed=77, each=1, out=tmp_path, inputs=["both"]
    )
    assert found["clip"].unique().tolist() == [toybox_clips[0].id]
