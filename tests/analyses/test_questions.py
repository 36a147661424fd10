"""Questions with options: planted models and planted sets, and margins against a full forward pass."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

import avnb
from avnb import benchmarks
from avnb.analyses import questions
from avnb.benchmarks import traps
from avnb.benchmarks.question import AskedClip, choice, yes_no
from avnb.engine import run

N = 24


class Planted:
    """A model that scores options by what its prompt holds: `score(inputs, clip id, text, option)`."""

    hears, name = True, "planted"

    def __init__(self, monkeypatch, score):
        self.score, self.asked = score, []
        monkeypatch.setattr(questions, "run", self.run)

    def tokenizer(self, text, add_special_tokens):
        return {"input_ids": [text, "."]}  # two tokens, so that every option is forced

    def prompt(self, clip, text, modalities):
        inputs = {(): "text", ("video",): "video", ("audio",): "audio", ("video", "audio"): "both"}[modalities]
        inputs = "silent" if isinstance(clip, questions._Silent) else inputs
        self.asked.append((inputs, clip.id, text))
        return inputs, clip.id, text

    def run(self, model, prompt, conditions=(), *, forced=(), **_):
        if not forced:
            return [SimpleNamespace(text="Yes", logits=np.zeros((1, 2), np.float32))]
        return [SimpleNamespace(logprobs=np.array([self.score(*prompt, ids[0]), 0.0])) for ids in forced]


def clips(asked, **more):
    return [
        AskedClip(str(i), f"{i}.mp4", questions=asked(i), source="avhbench", cluster=f"v{i // 2}", **more)
        for i in range(N)
    ]


def binary(i):
    return tuple(yes_no(f"{i}-{label}", f"Is it {label}?", label, "t") for label in ("yes", "no"))


def test_a_model_that_always_says_yes(monkeypatch):
    model = Planted(monkeypatch, lambda inputs, clip, text, option: -1.0 * (option == "No"))
    table = questions.measure(model, clips(binary))
    assert len(table) == N * 2 * len(questions.INPUTS) and set(table["chosen"]) == {"yes"}
    found = questions.leaning(table).query("inputs == 'both'").set_index("quantity")
    assert found["mean"].to_dict() == {"yes rate": 1, "right where yes is": 1, "right where no is": 0}
    assert found["n"].to_dict() == {"yes rate": 2 * N, "right where yes is": N, "right where no is": N}
    right = questions.accuracy(table).query("inputs == 'both'").set_index("rule")
    assert right["mean"].to_dict() == {"margin": 0.5, "AVCD": 0.5, "MAD": 0.5}
    assert right.loc["margin", ["n", "videos", "chance"]].tolist() == [2 * N, N // 2, 0.5]
    kept = questions.without(table)
    assert kept["kept"].isna().all() and (kept["left"] == 0.5).all(), "of nothing above chance no share is kept"
    assert (table.set_index("item")["value"].groupby("item").first().abs() == 1).all()


def test_a_set_that_its_text_gives_away(monkeypatch):
    def score(inputs, clip, text, option):
        return float(option.lower() in text)

    kept = questions.without(questions.measure(Planted(monkeypatch, score), clips(binary), suffix=""))
    assert kept["taken"].tolist() == list(questions.WITHOUT) and (kept["kept"] == 1).all() and (kept["low"] > 0.7).all()


def four(i):
    return (choice(f"{i}", f"Which is {i}?", list("wxyz"), i % 4, "t"),)


def knows(inputs, clip, right, other):
    return {"video": right, "silent": right, "both": right, "audio": other, "text": other}[inputs]


def test_a_set_that_its_picture_gives_away(monkeypatch):
    def score(inputs, clip, text, option):
        right = "ABCD"[int(clip) % 4]
        return float(option == knows(inputs, clip, right, "A"))  # from the rest the model guesses A

    table = questions.measure(Planted(monkeypatch, score), clips(four))
    kept = questions.without(table).set_index("taken")
    assert kept.loc["sound", ["both", "left", "chance", "kept"]].tolist() == [1, 1, 0.25, 1]
    assert kept.loc["sound, silent track instead", "kept"] == 1
    assert kept.loc["picture", ["left", "kept"]].tolist() == [0.25, 0] and kept.loc["both", "kept"] == 0
    assert kept.loc["picture", "low"] < 0.25 < kept.loc["picture", "high"] and (kept["n"] == N).all()
    found = questions.conflicts(table).set_index("quantity")
    assert found["mean"].to_dict() == {"measured": 0.75, "picture followed": 1, "sound followed": 0}
    assert found["n"].to_dict() == {"measured": N, "picture followed": 18, "sound followed": 18}
    told = [
        replace(clip, conflict=flag)
        for clip, flag in zip(clips(four), [True] * 6 + [False] * 2 + [None] * 16, strict=True)
    ]
    told = questions.conflicts(questions.measure(Planted(monkeypatch, score), told)).set_index("quantity")
    assert told.loc["told", ["mean", "n"]].tolist() == [0.75, 8]


def test_what_is_left_has_an_interval_over_videos(monkeypatch):
    rng = np.random.default_rng(0)
    known = {name: rng.random(N) < share for name, share in {"both": 0.9, "video": 0.6}.items()}

    def score(inputs, clip, text, option):
        i = int(clip)
        right = "ABCD"[i % 4]
        is_right = known[inputs][i] if inputs in known else False
        return float(option == (right if is_right else "ABCD"[(i + 1) % 4]))

    table = questions.measure(Planted(monkeypatch, score), clips(four))
    found = questions.without(table).set_index("taken").loc["sound"]
    both, left = known["both"].mean(), known["video"].mean()
    assert found["kept"] == pytest.approx((left - 0.25) / (both - 0.25)) and found["left"] == left
    pairs = rng.integers(N // 2, size=(4000, N // 2))
    drawn = known["video"][np.concatenate([2 * pairs, 2 * pairs + 1], axis=1)].mean(1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert found["low"] < found["kept"] < found["high"]
    assert found[["low", "high"]].tolist() == pytest.approx([low, high], abs=0.25 * (high - low))


def test_prompts_hold_what_a_clip_and_a_model_have(monkeypatch):
    model = Planted(monkeypatch, lambda *_: 0.0)
    some = clips(four)
    sound = replace(some[0], video=None, audio="a.wav")
    assert set(questions.measure(model, [sound], inputs=["text", "video", "audio", "silent"])["inputs"]) == {"text"}
    model.prompt = lambda clip, text, modalities: ("both", clip.id, modalities)
    mute = replace(some[1], kind="mute")
    assert questions.measure(model, [mute])["inputs"].tolist() == ["text", "both"]
    model.hears = False
    assert questions.measure(model, some[:1])["inputs"].tolist() == ["text", "both"]
    with pytest.raises(ValueError, match="'smell' are unknown"):
        questions.measure(model, some, inputs=["smell"])


def test_a_suffix_is_added_and_a_text_is_asked_once(monkeypatch):
    model = Planted(monkeypatch, lambda *_: 0.0)
    table = questions.measure(model, clips(binary)[:1], inputs=["both"], suffix="Say it.")
    assert table["question"].tolist() == ["Is it yes? Say it.", "Is it no? Say it."]
    same = [replace(clips(binary)[0], questions=tuple(yes_no(str(i), "Is it?", "yes", "t") for i in range(3)))]
    model.asked.clear()
    assert len(questions.measure(model, same, inputs=["both"])) == 3 and len(model.asked) == 1


def test_a_rule_may_leave_an_answer_out_of_its_count(monkeypatch):
    table = questions.measure(Planted(monkeypatch, lambda *_: 0.0), clips(four)[:4], inputs=["both"])
    table = table.assign(source="daily-omni", answer=["A", "", "C", "C, of course"])
    found = questions.accuracy(table).set_index("rule")
    assert found.loc["Daily-Omni", ["mean", "n"]].tolist() == [pytest.approx(2 / 3), 3]
    assert found.loc["margin", "n"] == 4 and found.loc["margin", "mean"] == 0, "a tie is not right"


@pytest.fixture(scope="module")
def few():
    return benchmarks.load("toybox", n=4)


def test_margins_are_log_probabilities_of_a_full_pass(random_organism, few):
    table = questions.measure(random_organism, few[-1:], inputs=["text", "silent", "both"])
    for row in table.groupby("inputs").head(2).itertuples():
        clip = few[-1]
        modalities = () if row.inputs == "text" else ("video", "audio")
        shown = questions._Silent(clip.id, clip.video) if row.inputs == "silent" else clip
        expected = [scored(random_organism, shown, row.question, said, modalities) for said in row.said]
        assert row.logprobs == pytest.approx(expected, abs=2e-3)
        right = row.options.index(row.right)
        assert row.value == pytest.approx(expected[right] - max(np.delete(expected, right)), abs=4e-3)
    assert table["answer"].iloc[-1] == random_organism.caption(few[-1], table["question"].iloc[-1], 16)


def test_letters_are_read_from_the_first_step(random_organism, few, monkeypatch):
    runs = []
    monkeypatch.setattr(questions, "run", lambda *args, **options: runs.append(options) or run(*args, **options))
    words = ["I", "T", "s"]
    assert all(len(random_organism.tokenizer(one)["input_ids"]) == 1 for one in words)
    asked = replace(choice("0", "x", words, 0, "t"), text="Describe what you hear.", suffix="", said=tuple(words))
    clip = replace(few[0], questions=(asked,))
    found = questions.measure(random_organism, [clip], inputs=["both"])["logprobs"].item()
    assert len(runs) == 1 and "forced" not in runs[0]
    assert found == pytest.approx(
        [scored(random_organism, clip, asked.text, word, ("video", "audio")) for word in words], abs=2e-3
    )


@torch.inference_mode()
def scored(model, clip, question, answer, modalities):
    """log p(answer | clip) in one forward pass of the whole model, answer included."""
    inputs = model._inputs(clip, question, modalities, model._system("audio" in modalities))
    answer = model.tokenizer(answer, add_special_tokens=False, return_tensors="pt")["input_ids"]
    n = inputs["input_ids"].shape[1]
    inputs["input_ids"] = torch.cat([inputs["input_ids"], answer], 1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    logprobs = model.hf(**inputs).logits[0, n - 1 : -1].float().log_softmax(-1)
    return float(logprobs.gather(1, answer[0, :, None]).sum())


def test_a_table_on_disk_says_the_same(few, tmp_path):
    """Tuples have become lists there, and None may have become NaN."""
    options = {"inputs": list(questions.INPUTS), "max_new_tokens": 4}
    fresh = questions.measure(avnb.load("toy-omni"), few[1:3], **options)
    kept = avnb.study.measure("questions", "toy-omni", few[1:3], dataset="toybox", out=tmp_path, **options)
    pd.testing.assert_frame_equal(questions.summary(kept), questions.summary(fresh), rtol=1e-4)
    means = avnb.study.means("questions", kept)
    assert set(means["model"]) == {"toy-omni"} and {"accuracy by margin", "accuracy by words"} <= set(means["quantity"])


def test_a_clip_without_questions_is_left_out(random_organism, few):
    plain = avnb.Clip("plain", few[0].video)
    table = questions.measure(random_organism, [plain])
    assert table.empty and "no question is known" in table.attrs["left_out"]["plain"]


def test_what_was_asked_is_counted_as_what_would_be(monkeypatch, tmp_path):
    model = Planted(monkeypatch, lambda inputs, clip, text, option: float(option == "Yes"))
    some = clips(binary, conflict=True)
    table = questions.measure(model, some, inputs=["text", "both"])
    table.to_parquet(tmp_path / "table.parquet")  # on disk, tuples become lists
    asked = questions.asked(pd.read_parquet(tmp_path / "table.parquet"))
    pd.testing.assert_frame_equal(benchmarks.counts(asked), benchmarks.counts(some))
    told, known = (traps.told(one, media=False) for one in (asked, some))
    pd.testing.assert_frame_equal(told, known)
