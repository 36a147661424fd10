"""Fidelity over clips, prompts and inputs, with models whose answers are known beforehand."""

from dataclasses import replace
from itertools import permutations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import avnb
from avnb import engine, fidelity, paper, plots
from avnb.engine import EngineError
from avnb.judge import score
from avnb.media.clip import Clip, ClipError
from avnb.questions import BOTH, HEAR, SEE, modalities_of
from avnb.toybox.captions import Writer
from avnb.toybox.sources import SOURCES

COLUMNS = ["clip", "kind", "inputs", "question", "modality", "answer", "value"]
COLUMNS += ["matched", "missed", "invented", "leakage", "elsewhere", "reason", "truncated"]
NAMES = list(SOURCES)


def clip_of(name, seen, heard, **more):
    return Clip(name, f"{name}.mp4", seen=tuple(seen), heard=tuple(heard), **more)


def many(n, seed=0):
    """n factual clips of which everything is seen and heard, then n counterfactual ones."""
    rng = np.random.default_rng(seed)
    clips = []
    for i in range(2 * n):
        first, second, third = map(str, rng.choice(NAMES, 3, replace=False))
        heard = (first, second) if i < n else (third,)
        clips.append(clip_of(str(i), (first, second), heard, kind="factual" if i < n else "counterfactual"))
    return clips


class Planted:
    """Answers a question from what it is shown: "listens", "looks", or a function of the clip."""

    name, hears = "planted", True

    def __init__(self, way="listens", hears=True):
        self.way, self.hears, self.calls = way, hears, []

    def caption(self, clip, question, max_new_tokens, modalities):
        self.calls.append((clip.id, question, modalities))
        if clip.id == "bad":
            raise ClipError("bad.mp4 does not exist; check the path")
        heard = {"listens": clip.heard, "looks": clip.seen}.get(self.way)
        answer = Writer().answer(question, clip.seen, self.way(clip) if heard is None else heard)
        return " ".join(answer.split()[:max_new_tokens])


@pytest.fixture(autouse=True)
def planted_answers(monkeypatch):
    """Planted models have no decoder that could be asked."""
    real = fidelity._said

    def said(model, clip, asked, n):
        if not isinstance(model, Planted):
            return real(model, clip, asked, n)
        return [(model.caption(clip, question, n, fidelity.INPUTS[source]), False) for source, question in asked]

    monkeypatch.setattr(fidelity, "_said", said)


def test_answers_are_those_of_generate(random_organism, toybox_clips, monkeypatch):
    asked = {"questions": [HEAR, BOTH], "max_new_tokens": 6}
    table = fidelity.measure(random_organism, toybox_clips[:2], **asked)
    for row in table.itertuples():
        clip = next(clip for clip in toybox_clips if clip.id == row.clip)
        assert row.answer == random_organism.caption(clip, row.question, 6, fidelity.INPUTS[row.inputs])

    def refuse(*arguments, **options):
        raise EngineError("cannot be served")

    monkeypatch.setattr(engine, "run_all", refuse)
    pd.testing.assert_frame_equal(fidelity.measure(random_organism, toybox_clips[:2], **asked), table)


def test_an_answer_that_is_cut_off_is_told(toybox_clips):
    model = avnb.load("toy-omni")
    whole, cut = (fidelity.measure(model, toybox_clips[:2], [HEAR], max_new_tokens=n) for n in (24, 2))
    assert not whole["truncated"].any() and cut["truncated"].all()
    assert all(long.startswith(short) for long, short in zip(whole["answer"], cut["answer"], strict=True))


def test_every_prompt_about_every_clip():
    model = Planted("looks")
    clips = [clip_of("a", ["dog"], ["bell"]), clip_of("b", ["cat", "drum"], ["drum"], kind="counterfactual")]
    table = fidelity.measure(model, iter(clips), inputs=["both", "audio"])
    assert table.columns.tolist() == COLUMNS
    shown = {"both": ("video", "audio"), "audio": ("audio",)}
    asked = [(c.id, q, m) for c in clips for m in shown.values() for q in (BOTH, SEE, HEAR)]
    assert model.calls == asked
    about = {BOTH: ["video", "audio"], SEE: ["video"], HEAR: ["audio"]}
    rows = [(c, s, q, m) for c, q, shown_ in asked for m in about[q] for s, v in shown.items() if v == shown_]
    assert list(table[["clip", "inputs", "question", "modality"]].itertuples(index=False, name=None)) == rows
    for row in table.itertuples():
        clip = clips[row.clip == "b"]
        expected = score(row.answer, clip, row.modality)
        assert (row.value, row.matched, row.missed, row.invented) == (
            expected.value,
            expected.matched,
            expected.missed,
            expected.invented,
        )
    told = table[(table["clip"] == "a") & (table["question"] == HEAR)].iloc[0]
    assert (told["answer"], told["value"], told["invented"]) == ("I hear a dog barking.", 0, ("dog",))
    only_here = table.drop_duplicates(["clip", "modality"]).set_index(["clip", "modality"])["elsewhere"].to_dict()
    assert only_here == {
        ("a", "video"): ("bell",),
        ("a", "audio"): ("dog",),
        ("b", "video"): (),
        ("b", "audio"): ("cat",),
    }


def test_answers_are_cut_off():
    clips = [clip_of("a", ["dog"], ["bell", "dog"])]
    assert fidelity.measure(Planted(), clips, [HEAR], inputs=["both"])["value"].tolist() == [1]
    assert fidelity.measure(Planted(), clips, [HEAR], inputs=["both"], max_new_tokens=5)["missed"].tolist() == [
        ("dog",)
    ]


def test_what_a_question_asks_for():
    assert modalities_of("Describe what you see and hear") == ("video", "audio")
    assert modalities_of("What can you HEAR?") == ("audio",)
    assert modalities_of("Tell me what you see.") == ("video",)
    with pytest.raises(ValueError, match=r"'Describe the seesaw.' asks neither to see nor to hear; say \"see\""):
        fidelity.measure(Planted(), [clip_of("a", ["dog"], ["bell"])], ["Describe the seesaw."])
    with pytest.raises(ValueError, match="inputs 'sound' are unknown; use some of both, video, audio"):
        fidelity.measure(Planted(), [], inputs=["sound"])


def test_a_mute_clip_is_never_asked_from_sound_alone():
    mute = clip_of("m", ["dog"], ["dog", "bell"], kind="mute")
    table = fidelity.measure(Planted("looks"), [mute], [HEAR], inputs=["both", "audio", "video"])
    assert table["inputs"].tolist() == ["both", "video"]
    assert table["value"].tolist() == [0, 0] and table["elsewhere"].tolist() == [("dog",)] * 2
    table = fidelity.measure(Planted("looks"), [mute], [SEE], inputs=["both"])
    assert table["value"].tolist() == [1] and table["elsewhere"].tolist() == [()]  # it lists a sound that is not there


def test_a_deaf_model_is_asked_what_it_sees():
    deaf = Planted(hears=False)
    clip = clip_of("a", ["dog"], ["bell"])
    for inputs in (["both"], ["both", "video", "audio"]):
        table = fidelity.measure(deaf, [clip], inputs=inputs)
        assert table[["inputs", "question", "modality"]].values.tolist() == [["video", SEE, "video"]]
    for questions, inputs in ([[HEAR, BOTH], ["both"]], [[SEE], ["audio"]]):
        with pytest.raises(ValueError, match="planted does not hear; ask it what it sees"):
            fidelity.measure(deaf, [clip], questions, inputs=inputs)


def test_bad_media_are_left_out_and_unknown_events_have_a_reason(caplog):
    clips = [clip_of("a", ["dog"], ["bell"]), clip_of("bad", ["dog"], ["bell"])]
    assert fidelity.measure(Planted(), clips, [HEAR], inputs=["both"])["clip"].tolist() == ["a"]
    assert "left out clip bad" in caplog.text
    model = Planted()
    silent = Clip("late", "late.mp4", seen=("dog",), audio_captions=("A man walks.",))
    table = fidelity.measure(model, [clips[0], silent], [HEAR], inputs=["both"])
    assert table["value"].notna().tolist() == [True, False] and all(table["answer"])
    assert table["reason"].tolist() == ["", "no audio events are known of it; set heard=(...)"]
    assert fidelity.drop(table).empty and len(fidelity.chance(table)) == 0
    assert fidelity.measure(model, [silent], [SEE], inputs=["both"])["value"].tolist() == [1]
    assert fidelity.measure(model, [], inputs=["both"]).columns.tolist() == COLUMNS


def test_drop_of_planted_models():
    clips = many(12)
    listens = fidelity.drop(fidelity.measure(Planted("listens"), clips, inputs=["both"]))
    assert (listens[["factual", "counterfactual"]] == 1).all(axis=None)
    assert (listens["mean"] == 0).all() and set(listens["n"]) == {24}
    assert listens["low"].max() < 0 < listens["high"].min()
    looks = fidelity.drop(fidelity.measure(Planted("looks"), clips, inputs=["both"]))
    assert (looks.query("modality == 'audio'")["mean"] == 1).all()
    assert (looks.query("modality == 'video'")["mean"] == 0).all()


def test_drop_is_the_difference_of_two_means():
    rng = np.random.default_rng(0)
    f, c = rng.choice([0, 0.5, 1], 60, p=[0.1, 0.2, 0.7]), rng.choice([0, 0.5, 1], 90, p=[0.5, 0.3, 0.2])
    table = pd.DataFrame({"clip": range(150), "kind": ["factual"] * 60 + ["counterfactual"] * 90, "value": [*f, *c]})
    table = table.assign(inputs="both", question=HEAR, modality="audio")
    others = table.head(5).assign(kind="mute", value=0.0)
    found = fidelity.drop(pd.concat([table, others])).set_index("drop")
    draws = [(rng.choice(f, 60).mean(), rng.choice(c, 90).mean()) for _ in range(4000)]
    for name, values in {
        "absolute": [a - b for a, b in draws],
        "relative": [(a - b) / a for a, b in draws],
    }.items():
        assert found.loc[name, ["low", "high"]].tolist() == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.02)
    assert found.loc["absolute", "mean"] == pytest.approx(f.mean() - c.mean())
    assert found.loc["relative", "mean"] == pytest.approx(1 - c.mean() / f.mean())
    assert found["n"].tolist() == [150, 150]
    pd.testing.assert_frame_equal(fidelity.drop(table), fidelity.drop(table))
    assert fidelity.drop(table[table["kind"] == "factual"]).empty
    nothing = fidelity.drop(table.assign(value=0.0)).set_index("drop")
    assert nothing.loc["absolute", "mean"] == 0 and nothing.loc["relative", ["mean", "low"]].isna().all()


def test_kinds_that_do_not_differ_show_no_drop():
    rng = np.random.default_rng(1)
    base = {"clip": range(40), "inputs": "both", "question": HEAR, "modality": "audio"}
    n_wrong = 0
    for _ in range(40):
        kinds = rng.permutation(["factual", "counterfactual"] * 20)
        found = fidelity.drop(pd.DataFrame(base | {"kind": kinds, "value": rng.random(40)})).iloc[0]
        n_wrong += not found["low"] <= 0 <= found["high"]
    assert n_wrong <= 6


def said_at_random(seed):
    rng = np.random.default_rng(seed)
    return lambda clip: [str(name) for name in rng.choice([*NAMES[:4], *clip.seen, *clip.heard], 2)]


@pytest.mark.parametrize(("question", "modality"), [(HEAR, "audio"), (SEE, "video")])
def test_chance_is_the_score_against_other_clips(question, modality):
    clips = many(6, seed=2) + [clip_of("m", ["dog"], [], kind="mute"), clip_of("n", ["cat"], [], kind="mute")]
    model = Planted(said_at_random(0))
    table = fidelity.measure(model, clips, [question], inputs=["both"])
    found = fidelity.chance(table).set_index("clip")
    known = {clip.id: clip for clip in clips}
    for row in table.itertuples():
        if row.kind == "mute" and modality == "audio":
            assert row.clip not in found.index  # all of them hold nothing: another is no other
            continue
        others = [clip for clip in clips if clip.kind == row.kind and clip.id != row.clip]
        null = np.mean([score(row.answer, clip, modality).value for clip in others])
        assert found.loc[row.clip, "value"] == row.value == score(row.answer, known[row.clip], modality).value
        assert found.loc[row.clip, "null"] == pytest.approx(null)
    assert fidelity.chance(table[table["clip"] == "0"]).empty


def test_confusions_name_what_only_the_other_modality_holds():
    clips = many(4, seed=3)[4:] + [clip_of("same", ["dog"], ["dog"]), clip_of("m", ["dog"], [], kind="mute")]
    table = fidelity.measure(Planted("looks"), clips, inputs=["both"])
    found = fidelity.confusions(table)
    assert set(found["clip"]) == {clip.id for clip in clips} - {"same"}
    assert set(found.query("modality == 'audio'")["value"]) == {1} and set(
        found.query("modality == 'video'")["value"]
    ) == {0}
    assert set(fidelity.confusions(fidelity.measure(Planted("listens"), clips, inputs=["both"]))["value"]) == {0}
    alone = found[found["kind"] == "mute"]
    assert alone["null"].isna().all() and len(alone) == 2  # its picture is not confused: there is no sound

    table = fidelity.measure(Planted(said_at_random(1)), many(8, seed=4), [HEAR], inputs=["both"])
    found = fidelity.confusions(table)
    known = {clip.id: clip for clip in many(8, seed=4)}
    answers = table.set_index("clip")["answer"]
    assert 0 < found["value"].mean() < 1
    hits = {  # every answer judged anew, against every clip
        (a, b): bool({*score(answers[a], known[b], "audio").invented} & {*known[b].seen} - {*known[b].heard})
        for a, b in [*permutations(found["clip"], 2), *zip(found["clip"], found["clip"], strict=True)]
    }
    for row in found.itertuples():
        assert row.value == hits[row.clip, row.clip]
        assert row.null == pytest.approx(
            np.mean([hits[row.clip, other] for other in found["clip"] if other != row.clip])
        )


def all_kinds(way, n=8, seed=6):
    """Tables for `controls`: factual, counterfactual, shifted and mute clips; own sounds written anew."""
    clips = many(n, seed)
    late = [replace(c, id=f"{c.id}+shift1.5", kind="shifted") for c in clips[:n]]
    mute = [replace(c, id=f"{c.id}+mute", kind="mute") for c in clips[:n]]
    anew = [replace(c, id=f"{c.id}+{c.id}", kind="counterfactual") for c in clips[:n]]
    model = Planted(way)
    table = pd.concat(
        [
            fidelity.measure(model, [*clips, *late, *mute], inputs=["both"]),
            fidelity.measure(model, clips, [HEAR], inputs=["audio"]),
        ]
    )
    return table, fidelity.measure(model, anew[::-1], [HEAR], inputs=["both"])


def test_controls_of_planted_models():
    for way, drop in (("listens", 0), ("looks", -1)):
        found = fidelity.controls(*all_kinds(way)).set_index("label")
        assert found["n"].tolist() == [16, 8, 16, 8, 16]
        # A model that looks is asked from the sound alone here and still looks: the last control sees through it.
        assert found["mean"].tolist() == [drop, 0, drop, 0, drop]


def test_controls_are_paired_with_the_clip_they_were_made_of():
    table, anew = all_kinds(said_at_random(3), n=20)
    found = fidelity.controls(table, anew).set_index("label")
    hear = table[(table["question"] == HEAR) & (table["inputs"] == "both")].set_index("clip")["value"]
    own = [hear[str(i)] for i in range(20)]
    late = np.mean([hear[f"{i}+shift1.5"] - own[i] for i in range(20)])
    written = np.mean([anew.set_index("clip")["value"][f"{i}+{i}"] - own[i] for i in range(20)])
    other = np.mean([hear[str(i)] for i in range(20, 40)])
    assert found.loc["control: its own sound, late", "mean"] == pytest.approx(late) != 0
    assert found.loc["control: its own sound, encoded once more", "mean"] == pytest.approx(written) != 0
    assert found.loc["another sound", "mean"] == pytest.approx(other - np.mean(own))
    assert found.loc["another sound, beyond its own one late", "mean"] == pytest.approx(other - np.mean(own) - late)
    paired = np.std([hear[f"{i}+shift1.5"] - own[i] for i in range(20)]) / 20**0.5
    width = found.loc["control: its own sound, late", "high"] - found.loc["control: its own sound, late", "low"]
    assert width == pytest.approx(2 * 1.96 * paired, rel=0.3)
    with pytest.raises(ValueError, match="no shifted clips with inputs 'both' asked 'Describe what you hear.'"):
        fidelity.controls(table[table["kind"] != "shifted"], anew)


def test_numbers_as_the_study_prints_them():
    table, _ = all_kinds("looks")
    found = fidelity.as_published(table)
    assert all(name in paper.quantities() for name in found)
    assert {name: one.mean for name, one in found.items()} == {
        "audio fidelity, factual": 1,
        "audio fidelity, counterfactual": 0,
        "audio fidelity, counterfactual - factual": -1,
        "video fidelity, factual": 1,
        "video fidelity, counterfactual": 1,
        "video fidelity, counterfactual - factual": 0,
    }
    assert fidelity.as_published(table[table["question"] == BOTH]) == {}
    assert fidelity.as_published(table, audio=BOTH, video=BOTH) == found
    assert list(fidelity.as_published(table[table["question"] == SEE])) == list(found)[3:]


def test_figures_show_the_numbers():
    table, anew = all_kinds(said_at_random(3))
    ax = plots.fidelity.cells(table, fidelity.chance(table), "title").axes[0]
    by = ["modality", "question", "inputs", "kind"]
    drawn = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"]
    means = table[table["kind"].isin(["factual", "counterfactual"])].groupby(by)["value"].mean()
    assert sorted(drawn) == pytest.approx(sorted(means))
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels[:3] == ["“hear”: the sound, from the sound alone", "“hear”: the sound", "“see and hear”: the sound"]
    effects = fidelity.controls(table, anew)
    ax = plots.fidelity.changes(effects, "title").axes[0]
    drawn = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"]
    assert drawn == pytest.approx(effects["mean"][::-1].tolist())
    here = fidelity.as_published(table)
    ends = [here[f"audio fidelity, {kind}"] for kind in ("factual", "counterfactual")]
    ax = plots.fidelity.drops({"mine": ends}).axes[0]
    assert ax.get_title().endswith(f"mine goes from {ends[0].mean:.2f} to {ends[1].mean:.2f}")
    drawn = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"]
    assert [*drawn[:2], *drawn[-2:]] == pytest.approx([0.5358, 0.231, *(one.mean for one in ends)])
    assert [label.get_text() for label in ax.get_yticklabels()][::5] == ["Qwen2.5-Omni-3B (published)", "mine"]
    plt.close("all")


def test_tables_from_disk_serve_as_well(tmp_path):
    table = fidelity.measure(Planted(said_at_random(2)), many(5, seed=5), inputs=["both"])
    lists = table.map(lambda value: list(value) if isinstance(value, tuple) else value)
    for function in (fidelity.drop, fidelity.chance, fidelity.confusions):
        pd.testing.assert_frame_equal(function(table), function(lists))


def test_a_real_model_answers_the_same_twice(random_organism, toybox_clips):
    first, second = (fidelity.measure(random_organism, toybox_clips[:1], [HEAR], inputs=["audio"]) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)
    assert len(first) == 1 and first["answer"][0]
