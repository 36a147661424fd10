"""The dose-response sweep: runs once each, resumes, and its exam finds planted behaviour."""

from functools import partial

import matplotlib
import numpy as np
import pandas as pd
import pytest
import torch

matplotlib.use("agg")

from avnb import plots, stats
from avnb.organisms import contrasts, dose, raising, recipes, response
from avnb.organisms import exam as exams
from avnb.organisms import train as training
from avnb.organisms.learner import Learner
from avnb.organisms.pool import Pool
from avnb.questions import HEAR
from avnb.toybox.captions import Writer

pytestmark = pytest.mark.organism


@pytest.fixture(scope="module")
def pools(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pools")
    return {split: Pool(folder, split, n, workers=1) for split, n in (("train", 12), ("test", 30))}


@pytest.fixture(scope="module")
def learner(random_organism):
    return Learner(random_organism.hf, random_organism.processor).eval()


@pytest.fixture(scope="module")
def exam(learner, pools):
    return exams.Exam(learner, pools["test"], n=8)


class Parrot:
    """Answers from the truth about what it sees, or hears; knows clips by their features."""

    def __init__(self, exam, follows):
        self.follows, self.clips = follows, exam.clips
        self.known = {
            "video": {tuple(x[0].tolist()): i for i, x in enumerate(exam.video)},
            "audio": {tuple(x[0].tolist()): i for i, x in enumerate(exam.audio)},
        }

    def _truth(self, kind, video, audio, field):
        name, features = ("audio", audio) if kind == "audio" or self.follows == "audio" else ("video", video)
        return [getattr(self.clips[self.known[name][tuple(x[0].tolist())]], field) for x in features]

    def answer(self, kind, video, audio, question):
        if question == HEAR:
            return [Writer().audio(some) for some in self._truth(kind, video, audio, "heard")]
        indices = [self.known["video"][tuple(x[0].tolist())] for x in video]
        return [Writer().video(self.clips[i].seen) for i in indices]

    def answer_logprobs(self, kind, video, audio, questions, answers):
        truth = [Writer().audio(some) for some in self._truth(kind, video, audio, "heard")]
        return torch.tensor([[0.0 if a == b else -5.0] for a, b in zip(truth, answers, strict=True)]), None


@pytest.mark.parametrize(
    ("follows", "heard", "preference", "effects"), [("audio", 1, 1, (10, 0)), ("video", 0, -1, (0, 10))]
)
def test_planted_behaviour_is_found(exam, follows, heard, preference, effects):
    means = exam.take(Parrot(exam, follows)).groupby("quantity")["value"].mean()
    assert means["audio fidelity, counterfactual"] == heard
    assert means["modality preference"] == preference
    assert means["audio fidelity, factual"] == means["video fidelity, counterfactual"] == 1
    assert means["audio fidelity, sound alone"] == 1
    assert (means["effect of the sound"], means["effect of the picture"]) == effects


def test_donors_share_nothing(exam):
    for clip, donor in zip(exam.clips, exam.donors, strict=True):
        assert not {*clip.seen, *clip.heard} & set(exam.clips[donor].heard)


def test_the_sweep_resumes_and_shards_add_up(tmp_path, monkeypatch, pools):
    monkeypatch.setattr(dose, "DOSES", (0.0, 0.4))
    monkeypatch.setattr(dose, "SEEDS", (0,))
    monkeypatch.setattr(dose, "STEPS", 2)
    short = {order: recipes.Recipe(stages).shortened(2, 12, 2).stages for order, stages in recipes.ORDERS.items()}
    monkeypatch.setattr(dose, "ORDERS", short)
    for module in (training, raising):
        monkeypatch.setattr(module, "Pool", lambda folder, split, *args: pools[split])
    taken = []

    def take(exam, learner):
        taken.append(1)
        return exam.take(learner)

    monkeypatch.setattr(dose, "raised", partial(raising.raised, take=take, n=4))
    out = tmp_path / "dose.parquet"
    assert dose.sweep(tmp_path / "work", out, shard=(0, 2)) is None and not out.exists()
    table = dose.sweep(tmp_path / "work", out, shard=(1, 2))
    assert len(taken) == 6
    assert len(table[["order", "dose", "seed"]].drop_duplicates()) == 6
    pd.testing.assert_frame_equal(dose.sweep(tmp_path / "work", out), pd.read_parquet(out))
    assert len(taken) == 6


def test_the_shipped_table_is_complete():
    table = dose.results()
    runs = table[["order", "dose", "seed"]].drop_duplicates()
    assert len(runs) == len(dose.DOSES) * len(dose.SEEDS) * len(recipes.ORDERS)
    n_clips = table.groupby(["order", "dose", "seed", "quantity"])["clip"].nunique()
    assert (n_clips == exams.N_CLIPS).all() and len(n_clips) == len(runs) * table["quantity"].nunique()
    assert np.isfinite(table["value"]).all()


def followed(table, share=lambda order, dose, seed: 1.0):
    """The table with answers to one question in one kind of clips, of which this share is about what was asked."""
    clips = table["clip"].unique()
    rows = [
        (*run, "audio question followed, factual", clip, float(i < share(*run) * len(clips)))
        for run in table[contrasts.RUN].drop_duplicates().itertuples(index=False)
        for i, clip in enumerate(clips)
    ]
    return pd.concat([table, pd.DataFrame(rows, columns=[*contrasts.RUN, "quantity", "clip", "value"])])


def test_response_averages_clips_and_seeds():
    sound, picture = exams.EFFECTS
    rows = [
        ("vision first", 0.0, seed, measure, clip, scale * (value + seed))
        for seed in (0, 1)
        for clip, value in (("a", 1.0), ("b", 3.0))
        for measure, scale in (("x", 1), (sound, 3), (picture, 1))
    ]
    table = pd.DataFrame(rows, columns=["order", "dose", "seed", "quantity", "clip", "value"])
    found = response.response(followed(table)).set_index("quantity")
    assert found.loc["x", "mean"] == 2.5 and found.loc["x", "n"] == 2
    assert found.loc["shortcut index", "mean"] == 0.25
    by_seed = response.by_seed(followed(table))
    assert by_seed.query("quantity == 'x'")["value"].tolist() == [2.0, 3.0]
    assert by_seed.query("quantity == 'shortcut index'")["value"].tolist() == [0.25, 0.25]


def test_treatment_leaves_the_model_as_it_was(tmp_path, random_organism):
    before = {name: value.clone() for name, value in random_organism.hf.state_dict().items()}
    table = dose.treat(random_organism, tmp_path, steps=2, n_clips=12, n_exam=4)
    assert table["treatment"].unique().tolist() == ["none", "0 %", "40 %"]
    assert all(bool((before[name] == value).all()) for name, value in random_organism.hf.state_dict().items())
    assert not random_organism.hf.training


@pytest.fixture
def planted():
    """Vision first: the dose heals; audio first: nothing to heal."""
    rng = np.random.default_rng(0)
    rows = [
        (order, d, seed, "audio fidelity, counterfactual", f"clip {clip}", level + 0.01 * rng.standard_normal())
        for order, levels in {"vision first": (0.1, 0.9), "audio first": (0.8, 0.8)}.items()
        for d, level in zip((0.0, 0.4), levels, strict=True)
        for seed in (0, 1)
        for clip in range(20)
    ]
    return pd.DataFrame(rows, columns=["order", "dose", "seed", "quantity", "clip", "value"])


def test_the_description_follows_the_numbers(planted):
    text = response.describe(followed(planted))
    assert "**Dose, vision first:** from none to 40 % it rises, +0.8" in text
    assert "**Dose, audio first:** from none to 40 % it does not clearly change" in text
    assert "audio first is above vision first, +0.7" in text
    assert "from scratch" not in text


def test_runs_that_disagree_make_no_difference(planted):
    turned = planted.copy()
    swapped = (turned["order"] == "vision first") & (turned["seed"] == 1)
    turned.loc[swapped, "value"] = 0.5 - (turned.loc[swapped, "value"] - 0.5) * 0.2
    assert "**Dose, vision first:** from none to 40 % it does not clearly change, +0.3" in response.describe(
        followed(turned)
    )


@pytest.mark.parametrize(("sign", "word"), [(1, "supported"), (-1, "contradicted"), (0, "left open")])
def test_the_conclusion_follows_the_numbers(planted, sign, word):
    levels = {"vision first": {0.0: -0.5, 0.4: 0.5}, "audio first": {0.0: 0.5, 0.4: 0.5}}
    noise = np.random.default_rng(0).standard_normal(len(planted))
    value = [sign * levels[order][d] for order, d in zip(planted["order"], planted["dose"], strict=True)]
    table = planted.assign(quantity="modality preference", value=np.array(value) + 0.05 * noise)
    assert response.conclusion(followed(table)).count(f"**{word}**") == 3


def test_a_claim_is_left_open_where_one_run_says_otherwise(planted):
    levels = {"vision first": {0.0: -0.5, 0.4: 0.5}, "audio first": {0.0: 0.5, 0.4: 0.5}}
    value = pd.Series([levels[order][d] for order, d in zip(planted["order"], planted["dose"], strict=True)])
    odd = (planted["order"] == "vision first") & (planted["dose"] == 0) & (planted["seed"] == 1)
    table = planted.assign(quantity="modality preference", value=value.mask(odd, 0.1))
    text = response.conclusion(followed(table))
    assert "alone before is **supported**" in text, "-0.4 is on the same side"
    assert "leave the bias in place is **left open**" in text and "work against it is **supported**" in text
    torn = followed(table.assign(value=value.mask(odd, 0.6)))
    assert response.conclusion(torn).count("**left open**") == 3


def test_organisms_that_answer_something_else_are_named_and_left_out(planted):
    """A third run of everything names the sound whatever it is asked."""
    astray = planted[planted["seed"] == 1].assign(seed=2, value=1.0)
    preference = pd.concat([planted.assign(value=-planted["value"]), astray]).assign(quantity="modality preference")
    table = pd.concat([planted, astray, preference])
    found = followed(table, lambda order, dose, seed: 0.85 if seed == 2 else 1.0)
    clean = followed(table[table["seed"] < 2])
    assert response.describe(found) == response.describe(clean)
    assert response.conclusion(found) == response.conclusion(clean)
    told = response.questions_followed(found)
    assert told.startswith("**Questions followed.** 8 of 12 organisms answer what they are asked. Of the others")
    assert "vision first, 40 %, seed 2: **0.85**" in told and "seed 1" not in told
    assert response.questions_followed(clean) == (
        "**Questions followed.** 8 of 8 organisms answer what they are asked "
        "(at least **1.00** of the answers of each, to each question, are about what was asked)."
    )


def test_an_order_that_no_organism_follows_is_left_open(planted):
    table = planted.assign(quantity="modality preference")
    found = followed(table, lambda order, dose, seed: float((order, dose) != ("audio first", 0.0)))
    assert response.conclusion(found) == "**Left open**: of audio first, 0 % no organism answers what it is asked."
    assert "audio first" not in response.describe(found, "modality preference")


def test_one_run_makes_no_difference(planted):
    alone = followed(planted, lambda order, dose, seed: float(seed == 0))
    assert "**Dose, vision first:** from none to 40 % it does not clearly change, +0.8" in response.describe(alone)


def test_the_figure_shows_every_order_and_every_seed(planted):
    found = stats.summarise(planted, ["order", "quantity", "dose"])
    seeds = planted.groupby(["order", "quantity", "dose", "seed"])["value"].mean().reset_index()
    seeds["follows"] = seeds["seed"] == 0
    measure = "audio fidelity, counterfactual"
    fig = plots.dose.response(found, seeds, {measure: (measure, (0, 1))}, "Title")
    (ax,) = fig.axes
    lines = {line.get_label(): line.get_ydata() for line in ax.lines}
    assert lines["vision first"] == pytest.approx([0.1, 0.9], abs=0.02)
    assert lines["audio first"] == pytest.approx([0.8, 0.8], abs=0.02)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0", "40"]
    marks = [dots for dots in ax.collections if dots.get_offsets().shape[0] == 4]
    assert len(marks) == 2 and all((dots.get_facecolor()[:, 3] > 0).tolist() == [True, False] * 2 for dots in marks)
    assert "n = 20 clips, 2 seeds" in fig.get_suptitle()
    matplotlib.pyplot.close(fig)


def test_learning_curves_keep_the_stages_apart():
    log = [{"stage": stage, "step": i, "loss": 2.0 - i} for stage in ("encoders", "audio-visual") for i in range(2)]
    fig = plots.dose.learning(log, "Title")
    assert [ax.get_title() for ax in fig.axes] == ["encoders", "audio-visual"]
    assert fig.axes[0].lines[0].get_ydata().tolist() == [2.0, 1.0]
    matplotlib.pyplot.close(fig)
