"""How well judges agree with ratings: measured against answers whose ratings are known."""

import json
from math import isnan

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau, pearsonr, spearmanr
from typer.testing import CliRunner

from avnb import AvnbError, cli, judge
from avnb.endpoint import Endpoint
from avnb.judge import Score, validate


class Judge:
    """Gives an answer the score that a function tells; none if that is None."""

    def __init__(self, function, monkeypatch):
        self.name, self.function, self.asked = "mine", function, []
        monkeypatch.setattr(judge, "named", lambda name: self)
        monkeypatch.setattr(validate, "named", lambda name: self)

    def score(self, answer, clip, modality):
        self.asked.append((answer, clip, modality))
        value = self.function(answer)
        return Score.unscored("down: for today") if value is None else Score(value, leakage=1 - value)


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(validate, "_N_RESAMPLES", 99)


@pytest.fixture
def ratings():
    """40 answers of 1 to 40 words, whose ratings are drawn."""
    rng = np.random.default_rng(0)
    answers = [f"I hear {'so ' * i}much." for i in range(40)]
    table = pd.DataFrame({"modality": "audio", "answer": answers, "reference": "A dog | Rain", "other": "A cat"})
    return table.assign(rating=rng.normal(size=40), leakage=rng.normal(size=40))


def measured(found, of="fidelity"):
    return found[found["of"] == of].set_index("measure")


def test_correlations_are_those_of_scipy_and_lie_in_their_intervals(ratings, monkeypatch):
    noise = dict(zip(ratings["answer"], np.random.default_rng(1).normal(size=40), strict=True))
    value = {row.answer: row.rating + noise[row.answer] for row in ratings.itertuples()}
    found = validate.agreement(ratings, Judge(value.get, monkeypatch).name)
    for of, truth, sign in (("fidelity", "rating", 1), ("leakage", "leakage", -1)):
        for name, measure in (("Spearman", spearmanr), ("Kendall", kendalltau), ("Pearson", pearsonr)):
            row = measured(found, of).loc[name]
            assert row["mean"] == pytest.approx(measure(ratings[truth], sign * ratings["answer"].map(value)).statistic)
            assert row["low"] < row["mean"] < row["high"] and row["n"] == 40
    row = measured(found).loc["Pearson"]
    fisher = np.tanh(np.arctanh(row["mean"]) + np.array([-1.96, 1.96]) / np.sqrt(40 - 3))
    assert row[["low", "high"]].tolist() == pytest.approx(fisher, abs=0.12), "as the formula for normal samples has it"


def test_the_same_seed_gives_the_same_intervals(ratings, monkeypatch):
    name = Judge(len, monkeypatch).name
    first, second, other = (validate.agreement(ratings, name, seed) for seed in (0, 0, 1))
    assert first.equals(second) and not first["low"].equals(other["low"])


def test_a_judge_that_likes_long_answers_is_found_out(ratings, monkeypatch):
    assert measured(validate.agreement(ratings, Judge(len, monkeypatch).name)).loc["length", "low"] > 0.3
    fair = dict(zip(ratings["answer"], ratings["rating"], strict=True))
    assert isnan(measured(validate.agreement(ratings, Judge(fair.get, monkeypatch).name)).loc["length", "mean"])


def test_a_judge_that_likes_what_comes_first_is_found_out(monkeypatch):
    table = pd.DataFrame({"modality": "audio", "reference": "A dog", "rating": [1.0, 2.0, 3.0]})
    table["answer"] = ["I see a cat. I hear a dog.", "I hear rain. I see a bell.", "I hear a drum."]
    mine = Judge(lambda answer: float(answer.startswith(("audio", "I hear"))), monkeypatch)
    row = measured(validate.agreement(table, mine.name)).loc["sound first"]
    assert (row["mean"], row["n"]) == (1, 2), "the third answer tells of the sound alone"
    orders = [answer for answer, *_ in mine.asked if ":" in answer]
    assert orders[:2] == ["video: i see a cat. audio: i hear a dog.", "audio: i hear a dog. video: i see a cat."]


def test_a_clip_is_made_of_its_captions(ratings, monkeypatch):
    mine = Judge(len, monkeypatch)
    validate.agreement(ratings[:2], mine.name)
    answer, clip, modality = mine.asked[0]
    assert (answer, modality) == ("I hear much.", "audio")
    assert (clip.audio_captions, clip.video_captions) == (("A dog", "Rain"), ("A cat",))


def test_of_several_people_the_mean_counts(ratings, monkeypatch):
    twice = pd.concat([ratings.assign(rater="a"), ratings.assign(rater="b", rating=-ratings["rating"] * 3)])
    found = measured(validate.agreement(twice, Judge(len, monkeypatch).name))
    assert found.loc["Pearson", "n"] == 40
    assert found.loc["Pearson", "mean"] == pytest.approx(
        pearsonr(-ratings["rating"], ratings["answer"].str.len()).statistic
    )


def test_answers_without_a_score_are_counted_and_left_out(ratings, monkeypatch):
    found = validate.agreement(ratings, Judge(lambda text: len(text) if len(text) > 40 else None, monkeypatch).name)
    n = int((ratings["answer"].str.len() > 40).sum())
    assert (measured(found)["n"].iloc[:4] == n).all()
    assert found["unscored"].iloc[0] == 40 - n and found["reasons"].iloc[0] == {"down": 40 - n}
    none = measured(validate.agreement(ratings, Judge(lambda text: None, monkeypatch).name))
    assert none["mean"].isna().all() and (none["n"] == 0).all() and (none["unscored"] == 40).all()


def test_the_toybox_rates_by_its_events_and_hides_them():
    table = validate.toybox(n=60)
    assert table.equals(validate.toybox(n=60)) and not table.equals(validate.toybox(n=60, seed=1))
    assert set(table["modality"]) == {"audio", "video"} and table["rating"].between(0, 1).all()
    assert {0, 1} < set(table["rating"]) and table["leakage"].max() == 1
    assert not {"seen", "heard"} & {*table}
    same = table[table["answer"] == table["reference"]]
    assert (same["rating"] == 1).all()


def test_words_agree_with_the_events_of_the_toybox():
    found = validate.agreement(validate.toybox(n=60), "words").set_index(["modality", "measure"])
    for modality in ("audio", "video"):
        assert found.loc[(modality, "Spearman"), "low"] > 0.6
        assert found.loc[(modality, "sound first"), "mean"] == 0
    assert set(found["of"]) == {"fidelity"}, "it tells nothing of leakage"


GOOD = "modality,answer,reference,rating\naudio,A dog.,A dog barks,5\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("rating", "stars"), "has no column 'rating'; it needs modality, answer, reference, rating"),
        (GOOD + "audio,A cat.,A cat,good\n", "line 3: rating must be a number, not 'good'"),
        (GOOD + "audio,A cat.,A cat,inf\n", "line 3: rating must be a number, not 'inf'"),
        (GOOD + "sound,A cat.,A cat,3\n", "line 3: modality must be audio or video, not 'sound'"),
        (GOOD + "audio,A cat.,,3\n", "line 3: reference must hold a caption"),
        ("", "cannot be read"),
        (GOOD.splitlines()[0] + "\n", "holds no rating"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_its_line(tmp_path, text, said):
    path = tmp_path / "ratings.csv"
    path.write_text(text)
    with pytest.raises(AvnbError, match=said):
        validate.read(path)


def test_an_empty_answer_and_nan_as_a_word_are_answers(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(GOOD + "audio,,A dog barks,0\naudio,NA,A dog barks,0\n")
    assert validate.read(path)["answer"].tolist() == ["A dog.", "", "NA"]


def test_the_command_line_sets_the_paper_beside_and_counts_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(Endpoint.__init__.__kwdefaults__, "attempts", 1)
    path = tmp_path / "ratings.csv"
    rows = "".join(f"audio,I hear a {what}.,A dog barks,{i}\n" for i, what in enumerate(["cat", "dog", "dog bark"]))
    path.write_text(GOOD.splitlines()[0] + "\n" + rows)
    ran = CliRunner().invoke(cli.app, ["judge", "validate", str(path), "--json"])
    assert ran.exit_code == 0
    found = {row["measure"]: row for row in json.loads(ran.stdout)}
    assert (found["Spearman"]["paper"], found["Kendall"]["paper"]) == (0.816, None)
    assert found["Spearman"]["mean"] == pytest.approx(1)
    ran = CliRunner().invoke(cli.app, ["judge", "validate", str(path), "--judges", "words, llm:http://127.0.0.1:9/v1"])
    assert ran.exit_code == 1
    assert "3 answers have no score: unreachable" in ran.stderr
    assert "Spearman" in ran.stdout
    for bad in (["--judges", "oracle"], [str(tmp_path / "lost.csv")]):
        ran = CliRunner().invoke(cli.app, ["judge", "validate", "--n", "2", *bad])
        assert ran.exit_code == 1 and ran.stderr.startswith("avnb: ") and ran.stderr.count("\n") == 1
