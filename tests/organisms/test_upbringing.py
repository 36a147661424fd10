"""Replicas: every stage has the replica's seed, and contrasts find what is planted where questions are followed."""

import matplotlib
import numpy as np
import pandas as pd
import pytest

matplotlib.use("agg")

import torch

from avnb import models
from avnb.organisms import contrasts, recipes, upbringing
from avnb.plots import upbringing as plots
from avnb.toybox.captions import Writer, asked_about

KINDS = ("factual", "counterfactual")


def planted(preference, followed=1.0, seeds=(1, 2, 3), n=60):
    """A table in which every arm has the preference that `preference` gives it."""
    rng, rows = np.random.default_rng(0), []
    for seed in seeds:
        for arm in upbringing.ARMS:
            level = preference.get(arm, 0.0)
            for clip in range(n):
                value = np.clip(level + rng.normal(scale=0.2), -1, 1)
                rows += [(arm, seed, "modality preference", clip, value)]
                for modality in ("audio", "video"):
                    rows += [(arm, seed, f"{modality} fidelity, {kind}", clip, 0.5) for kind in KINDS]
                    share = followed.get((arm, seed), 1.0) if isinstance(followed, dict) else followed
                    rows += [(arm, seed, f"{modality} question followed, {kind}", clip, share) for kind in KINDS]
    return pd.DataFrame(rows, columns=["arm", "seed", "quantity", "clip", "value"])


def line(text, name):
    return next(line for line in text.splitlines() if line.lower().startswith(f"- **{name}"))


def test_an_arm_is_the_stages_of_its_order():
    assert [stage.name for stage in upbringing.recipe_of("vision, then audio", 3).stages] == [
        "encoders", "vision-language", "audio-language", "audio-visual"
    ]  # fmt: skip


def test_replicas_share_no_stage_and_the_arms_of_a_replica_share_their_encoders():
    raised = {(arm, seed): upbringing.recipe_of(arm, seed) for arm in upbringing.ARMS for seed in (0, 1, 2)}
    encoders = [{raised[arm, seed].key(1) for arm in upbringing.ARMS} for seed in (0, 1, 2)]
    assert [len(some) for some in encoders] == [1, 1, 1]
    assert len(set.union(*encoders)) == 3
    assert encoders[0] == {recipes.RECIPES["toy-omni"].key(1)}
    assert len({recipe.key(9) for recipe in raised.values()}) == len(raised)


def test_replica_0_is_the_organisms_that_ship(tmp_path):
    upbringing.take_shipped(tmp_path)
    recipe = recipes.RECIPES["toy-omni"]
    for name, n_stages, parts in (
        ("toy-omni", 1, (".visual.", ".audio_tower.")),
        ("toy-vl", 2, (".language_model.", "lm_head.")),
        ("toy-omni", 3, ("",)),
    ):
        state = torch.load(tmp_path / f"{recipe.key(n_stages)}.pt")
        shipped = models.load(name, dtype=torch.float32, device_map="cpu").hf.state_dict()
        trained = [name for name in shipped if any(part in name for part in parts)]
        assert trained and all(torch.equal(state["weights"][f"thinker.{name}"], shipped[name]) for name in trained)
        assert state["step"] == recipe.stages[n_stages - 1].steps
        assert len(state["log"]) == sum(stage.steps for stage in recipe.stages[:n_stages])
    assert upbringing.recipe_of("vision first", 0) == recipe
    assert len(list(tmp_path.glob("*.pt"))) == 5, "encoders, toy-vl, vision first, from scratch, with conflict"


def test_what_no_replica_has_is_said_to_be_not_measured():
    table = planted({}).query("arm != 'audio first'")
    assert "**not measured here**" in line(contrasts.sentences(contrasts.contrasts(table)), "what was learnt before")


def test_a_planted_difference_is_named_with_its_side():
    text = contrasts.sentences(contrasts.contrasts(planted({"audio first": 0.5, "audio, then vision": 0.4})))
    assert "towards the sound** in all 3" in line(text, "what was learnt before")
    assert "towards the picture** in all 3" in line(text, "order")


def test_nothing_planted_decides_nothing():
    text = contrasts.sentences(contrasts.contrasts(planted({})))
    assert text.count("not decided") == len(contrasts.CONTRASTS)


def test_replicas_that_disagree_decide_nothing():
    table = planted({"vision, then audio": 0.4}, seeds=(1, 2))
    other = planted({"audio, then vision": 0.4}, seeds=(3,))
    text = contrasts.sentences(contrasts.contrasts(pd.concat([table, other])))
    assert "not all leave out zero on one side" in line(text, "order")


def test_organisms_that_do_not_follow_their_questions_are_no_evidence():
    followed = {("audio first", seed): 0.2 for seed in (1, 2)}
    table = planted({"audio first": 0.8}, followed)
    found = contrasts.organisms(table).set_index(["arm", "seed"])["follows"]
    assert not found["audio first", 1] and found["audio first", 3] and found["vision first", 1]
    text = line(contrasts.sentences(contrasts.contrasts(table)), "what was learnt before")
    assert "not decided" in text and "1 of 3 replicas" in text and text.count("questions not followed") == 2


def test_a_replica_that_lacks_an_arm_is_left_out_of_its_contrast():
    table = planted({}).query("not (arm == 'audio first' and seed == 2)")
    assert contrasts.contrasts(table).query("contrast == 'what was learnt before'")["replica"].tolist() == [1, 3]


@pytest.mark.parametrize(("rng", "n"), [(np.random.default_rng(0), 30)])
def test_which_question_an_answer_is_about_is_told_for_every_caption_of_the_grammar(rng, n):
    writer = Writer(rng)
    for _ in range(n):
        assert asked_about(writer.audio(["dog"])) == asked_about(writer.audio([])) == "audio"
        assert asked_about(writer.video(["dog", "cow"])) == asked_about(writer.video([])) == "video"


def test_the_figure_shows_every_organism_and_hollows_those_that_do_not_follow():
    table = contrasts.organisms(planted({}, {("audio first", 1): 0.2}))
    fig = plots.replicas(table, "Upbringings")
    marks = [line for line in fig.axes[0].lines if len(line.get_xdata()) == 1]
    assert len(marks) == len(table)
    assert sum(mark.get_markerfacecolor() == "none" for mark in marks) == 1
    matplotlib.pyplot.close(fig)


def test_what_was_raised_is_gathered_in_the_order_of_the_arms_and_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr(upbringing, "FILE", tmp_path / "upbringing.parquet")
    organisms = [some for _, some in planted({}, seeds=(1, 2)).groupby(["arm", "seed"], sort=False)]
    (tmp_path / "upbringing").mkdir()
    for i, some in enumerate(organisms):
        some.to_parquet(tmp_path / "upbringing" / f"{i}.parquet")
    upbringing.gather(tmp_path, upbringing.FILE)
    found = upbringing.results()
    assert found[["arm", "seed"]].drop_duplicates().values.tolist() == [
        [arm, seed] for arm in upbringing.ARMS for seed in (1, 2)
    ]
    assert len(found) == sum(map(len, organisms))
