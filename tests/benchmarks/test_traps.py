"""Planted traps are found, and their sizes are right."""

from dataclasses import replace

import numpy as np
import pytest

from avnb.benchmarks import traps
from avnb.benchmarks.question import AskedClip, choice, yes_no
from avnb.media.editing import mute, write


def clip(name, *questions, **more):
    return AskedClip(name, more.pop("video", f"{name}.mp4"), questions=questions, cluster=name, **more)


def test_repeated_questions_and_contradictions():
    def asked(i, label, text="Is the gong heard?"):
        return yes_no(f"{i}", text, label, "t")

    clips = [
        clip("a", asked(0, "Yes"), asked(1, "No"), asked(2, "Yes", "Is the bell heard?")),
        clip("b", asked(3, "Yes"), asked(4, "Yes"), asked(5, "yes")),
        clip("c", asked(6, "Yes"), replace(asked(7, "No"), said=("A gong rings.", "A bell rings."))),
    ]
    found = traps.repeated(clips).set_index("clip")
    assert found["n"].to_dict() == {"a": 2, "b": 3} and found["contradict"].to_dict() == {"a": True, "b": False}
    told = traps.told(clips, media=False).set_index("trap")["share"]
    assert told["asked twice"] == 3 / 8 and told["asked twice, with both answers"] == 1 / 8


def test_the_prior_of_a_noun_is_that_of_leaving_one_out():
    labels = {"gong": "YYYYN", "bell": "NNN", "saw": "Y", "owl": "YN"}
    one_by_one = [(noun, label) for noun, some in labels.items() for label in some]
    clips = [
        clip(str(i), yes_no(str(i), f"Is the {noun} heard?", {"Y": "yes", "N": "no"}[label], "t"))
        for i, (noun, label) in enumerate(one_by_one)
    ]
    expected = []
    for noun, label in one_by_one:
        others = labels[noun].replace(label, "", 1)
        n_same, n_other = others.count(label), len(others) - others.count(label)
        expected.append(float(n_same > n_other) + 0.5 * (n_same == n_other))
    found = traps.prior(clips)
    assert found["value"].tolist() == expected and set(found["null"]) == {0.5}
    told = traps.told(clips, media=False).set_index("trap").loc["right by text alone"]
    assert told["share"] == pytest.approx(np.mean(expected)) and told["low"] < told["share"] < told["high"]


def test_a_text_that_never_varies_tells_nothing():
    same = [clip(str(i), yes_no(str(i), "Do they match?", label, "t")) for i, label in enumerate(("yes", "no") * 2)]
    assert traps.prior(same)["value"].tolist() == [0.5] * 4
    letters = [clip(str(i), choice(str(i), "Which?", list("wxyz"), "A", "u")) for i in range(3)]
    assert traps.prior(letters)["value"].tolist() == [0.25] * 3


def test_no_is_right_where_the_sound_is_foreign():
    def clips(conflict, labels):
        return [
            clip(f"{conflict}-{i}", yes_no(f"{conflict}-{i}", f"Is the {i} heard?", label, "hearing"),
                 yes_no(f"m-{conflict}-{i}", "Do they match?", "no" if conflict else "yes", "AV Matching"),
                 conflict=conflict)
            for i, label in enumerate(labels)
        ]  # fmt: skip

    told = traps.told([*clips(True, ["no"] * 3 + ["yes"]), *clips(False, ["yes"] * 3 + ["no"])], media=False)
    rows = told[told["trap"].str.startswith("no, where")]
    assert rows["task"].tolist() == ["hearing"], "matching itself says nothing else"
    assert rows["share"].item() == 0.75 and rows["null"].item() == 0.25 and rows["n"].item() == 4


def test_video_files_without_sound_are_found(tmp_path):
    grey = np.full((5, 32, 32, 3), 90, np.uint8)
    tone = write(tmp_path / "tone.mp4", grey, 5, 0.3 * np.sin(np.arange(16000) / 5))
    quiet = write(tmp_path / "quiet.mp4", grey, 5, np.zeros(16000))
    none = mute(tone, tmp_path / "none.mp4")
    clips = [
        clip("tone", video=tone), clip("quiet", video=quiet, audio=tone), clip("none", video=none),
        clip("mute", video=none, kind="mute"), clip("sound", video=None, audio=tone),
        clip("lost", video=tmp_path / "x.mp4"),
    ]  # fmt: skip
    found = traps.silent(clips).set_index("clip")
    assert found["found"].to_dict() == {
        "quiet": "silence", "none": "no track", "lost": f"{tmp_path / 'x.mp4'} does not exist; check the path"
    }  # fmt: skip
    assert found["elsewhere"].to_dict() == {"quiet": True, "none": False, "lost": False}
    asked = [clip(one.id, yes_no(one.id, "Is it?", "yes", "t"), video=one.video, kind=one.kind) for one in clips]
    told = traps.told(asked).set_index("trap").loc["video file without sound"]
    assert told["share"] == pytest.approx(2 / 4) and told["n"] == 4, "a lost file is no silent one"
