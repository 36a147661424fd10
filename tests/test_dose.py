"""The dose-response sweep: runs once each, resumes, and its exam finds planted behaviour."""

import numpy as np
import pandas as pd
import pytest
import torch

from avnb.toybox import dose, recipes
from avnb.toybox import train as training
from avnb.toybox.captions import HEAR, Writer
from avnb.toybox.learner import Learner
from avnb.toybox.pool import Pool


@pytest.fixture(scope="module")
def pools(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pools")
    return {split: Pool(folder, split, n, workers=1) for split, n in (("train", 12), ("test", 30))}


@pytest.fixture(scope="module")
def learner(random_organism):
    return Learner(random_organism.hf, random_organism.processor).eval()


@pytest.fixture(scope="module")
def exam(learner, pools):
    return dose.Exam(learner, pools["test"], n=8)


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
    means = exam.take(Parrot(exam, follows)).groupby("measure")["value"].mean()
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
    monkeypatch.setattr(dose, "N_CLIPS", 4)
    short = {order: recipes.Recipe(stages).shortened(2, 12, 2).stages for order, stages in recipes.ORDERS.items()}
    monkeypatch.setattr(dose, "ORDERS", short)
    for module in (training, dose):
        monkeypatch.setattr(module, "Pool", lambda folder, split, *args: pools[split])
    taken = []
    real = dose.Exam.take
    monkeypatch.setattr(dose.Exam, "take", lambda self, learner: taken.append(1) or real(self, learner))
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
    assert (table.groupby(["order", "dose", "seed", "measure"])["clip"].nunique() == dose.N_CLIPS).all()
    assert np.isfinite(table["value"]).all()


def test_response_averages_clips_and_seeds():
    rows = [
        ("vision first", 0.0, seed, measure, clip, value + seed)
        for seed in (0, 1)
        for clip, value in (("a", 1.0), ("b", 3.0))
        for measure in ("x", *dose.EFFECTS)
    ]
    table = pd.DataFrame(rows, columns=["order", "dose", "seed", "measure", "clip", "value"])
    found = dose.response(table).set_index("measure")
    assert found.loc["x", "mean"] == 2.5 and found.loc["x", "n"] == 2
    assert found.loc["shortcut index", "mean"] == 0.5
    assert dose.by_seed(table).query("measure == 'x'")["value"].tolist() == [2.0, 3.0]


def test_treatment_leaves_the_model_as_it_was(tmp_path, random_organism):
    before = {name: value.clone() for name, value in random_organism.hf.state_dict().items()}
    table, log = dose.treat(random_organism, tmp_path, steps=2, n_clips=6, n_exam=4)
    assert len(log) == 2 and set(table["when"]) == {"before", "after"}
    assert all(bool((before[name] == value).all()) for name, value in random_organism.hf.state_dict().items())
    assert not random_organism.hf.training
