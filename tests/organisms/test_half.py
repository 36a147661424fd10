"""Conflict of half the things: training holds no other, and what an exam asks about is told apart."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from avnb.organisms import contrasts, exam, half, recipes, train
from avnb.toybox import world


@pytest.fixture(scope="module")
def data():
    """Clips whose features are their numbers."""
    examples = [world.sample("train", 0, i) for i in range(300)]
    numbers = torch.arange(len(examples))
    return train.Data(SimpleNamespace(examples=examples), SimpleNamespace(video=numbers, audio=numbers))


def conflicts(data, stage, n=60):
    """What is in the conflicting clips of some batches, as sets of sources, and their share of the clips with both."""
    found, asked = [], []
    learner = SimpleNamespace(
        answer_loss=lambda kind, pictures, sounds, *_: asked.append((kind, pictures.tolist(), sounds.tolist()))
    )
    for step in range(n):
        train.loss_of(learner, data, stage, np.random.default_rng(step))
    pairs = [pair for kind, *both in asked if kind == "both" for pair in zip(*both, strict=True)]
    examples = data.pool.examples
    found = [{*examples[i].seen, *examples[i].heard, *examples[j].heard} for i, j in pairs if i != j]
    return found, len(found) / len(pairs)


def stage_of(arm):
    return half.recipe_of(arm, 0).stages[-1]


def test_conflicting_clips_hold_only_the_named_things_and_keep_their_dose(data):
    taught = {*half.CONFLICTED}
    some, share = conflicts(data, stage_of("conflict of half the things"))
    others, dose = conflicts(data, stage_of("conflict of all things"))
    assert len(some) > 100 and all(sources <= taught for sources in some)
    assert any(not sources <= taught for sources in others)
    assert abs(share - 0.5 / 0.7) < 0.08 and abs(dose - 0.5 / 0.7) < 0.08
    assert conflicts(data, stage_of("no conflict")) == ([], 0)


def test_things_that_no_clip_holds_alone_are_named(data):
    stage = recipes.audio_visual(0.5, conflicting=("dog",))
    few = train.Data(SimpleNamespace(examples=[e for e in data.pool.examples if "dog" not in e.seen]), data.features)
    with pytest.raises(ValueError, match="nothing but dog; draw more clips"):
        conflicts(few, stage)


def test_the_ends_are_organisms_of_the_upbringings():
    assert half.recipe_of("no conflict", 0) == recipes.RECIPES["toy-omni"]
    assert half.recipe_of("conflict of all things", 0) == recipes.RECIPES["toy-omni-balanced"]


def test_what_is_asked_about_is_told_apart():
    never = next(name for name in half.SOURCES if name not in half.CONFLICTED)
    pairs = {"a": half.CONFLICTED[:2], "b": (half.CONFLICTED[0], never), "c": (never, never)}
    clips = [SimpleNamespace(id=name, seen=[one], heard=[other]) for name, (one, other) in pairs.items()]
    answered = pd.DataFrame({"quantity": "x", "clip": [*pairs], "value": 1.0})
    asked = SimpleNamespace(conflicting=lambda: clips, fidelity=lambda learner: answered)
    assert half._take(asked, None)["things"].tolist() == [half.ALWAYS, half.MIXED, half.NEVER]


@pytest.mark.parametrize(
    ("preference", "carries", "whole"),
    [
        ((-0.6, 0.6, 0.6), "towards the sound", "not decided"),
        ((-0.6, -0.6, 0.6), "not decided", "towards the sound"),
        ((-0.6, 0.0, 0.6), "towards the sound", "towards the sound"),
    ],
)
def test_what_is_planted_is_named(preference, carries, whole):
    rng, rows = np.random.default_rng(0), []
    for (arm, level), seed, clip in (
        (a, s, c) for a in zip(half.ARMS, preference, strict=True) for s in (0, 1) for c in range(60)
    ):
        rows.append((arm, seed, contrasts.PREFERENCE, clip, level + rng.normal(scale=0.2)))
        rows += [(arm, seed, f"{of} fidelity, counterfactual", clip, 0.5) for of in ("audio", "video")]
        rows.append((arm, seed, "audio question followed, counterfactual", clip, 1.0))
    table = pd.DataFrame(rows, columns=["arm", "seed", "quantity", "clip", "value"])
    contrary = table["value"].where(table["quantity"] != contrasts.PREFERENCE, -table["value"])
    asked = pd.concat([table.assign(things=half.NEVER), table.assign(value=contrary, things=half.ALWAYS)])
    lines = contrasts.sentences(half.carried(asked), half.CONTRASTS).splitlines()
    assert [part in line for part, line in zip((carries, whole), lines, strict=True)] == [True, True]


def test_what_was_raised_again_is_held_against_the_first_time():
    def exam(arm, level, seed, n=40):
        named = [(contrasts.PREFERENCE, level), ("audio question followed, counterfactual", 1.0)]
        named += [(f"{of} fidelity, counterfactual", 0.5) for of in ("audio", "video")]
        return [(arm, seed, quantity, f"test-0-{clip}", value) for quantity, value in named for clip in range(n)]

    columns = ["arm", "seed", "quantity", "clip", "value"]
    first = [row for seed in (0, 2) for row in exam("vision first", -0.4, seed)]
    here = [row for seed in (0, 2) for row in exam("no conflict", 0.1, seed, n=90)]
    found = half.again(*(pd.DataFrame(rows, columns=columns) for rows in (here, first)))
    assert found[["contrast", "replica", "n"]].values.tolist() == [["vision first", 2, 40]]
    assert found["mean"].item() == pytest.approx(0.5)


def test_the_exam_has_clips_of_every_kind():
    examples = [world.sample("test", 0, i) for i in range(half.N_TEST)]
    matching = [e for e in examples if e.relation == "matching"][: half.N_EXAM]
    assert len(matching) == half.N_EXAM
    donors = exam._donors(matching)
    kinds = [half._things({*e.seen, *matching[d].heard}) for e, d in zip(matching, donors, strict=True)]
    assert min(map(kinds.count, (half.ALWAYS, half.NEVER, half.MIXED))) >= 30, "too few to say anything about"
