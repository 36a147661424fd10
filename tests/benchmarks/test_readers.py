"""Miniature files in every published layout: their fields, their names, none of their data."""

import json
import shutil

import numpy as np
import pytest

from avnb import benchmarks
from avnb.benchmarks import toybox
from avnb.datasets.manifest import DatasetError
from avnb.media.clip import Clip
from avnb.media.editing import write


@pytest.fixture(scope="session")
def video(tmp_path_factory):
    """A short video with sound."""
    tone = 0.3 * np.sin(np.arange(8000) / 5)
    return write(tmp_path_factory.mktemp("video") / "a.mp4", np.full((5, 32, 32, 3), 90, np.uint8), 5, tone)


@pytest.fixture
def copy(tmp_path, video):
    """Writes a published file, and media at these paths."""

    def make(name, content, *media):
        for path in media:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(video, tmp_path / path)
        lines = name.endswith(".jsonl")
        (tmp_path / name).write_text("\n".join(map(json.dumps, content)) if lines else json.dumps(content))
        return tmp_path

    return make


def avhbench_row(video, task, text, label):
    return {"video_id": video, "task": task, "text": text, "label": label}


def test_avhbench(copy):
    heard, seen, match = "Video-driven Audio Hallucination", "Audio-driven Video Hallucination", "AV Matching"
    rows = [
        avhbench_row("00001", match, "Do they match?", "No"),
        avhbench_row("00002", heard, "Is the gong making sound in the audio?", "Yes"),
        avhbench_row("00001", heard, "Is the gong making sound in the audio?", "No"),
        avhbench_row("00001", "AV Captioning", "Describe it.", "A gong in a hall."),
        avhbench_row("00003", seen, "Is the gong visible in the video?", "Yes"),
        avhbench_row("00003", match, "Do they match?", "Yes"),
        avhbench_row("00001_swap", seen, "Is the gong visible in the video?", "Yes"),
    ]
    root = copy("QA.json", rows, "videos/00001.mp4", "videos/00001_swap.mp4", "deep/er/00003.mp4")
    clips = benchmarks.load("avhbench", root=root)
    assert [clip.id for clip in clips] == ["00001", "00003", "00001_swap"], "00002 has no video here"
    assert [clip.conflict for clip in clips] == [True, False, None]
    assert [clip.kind for clip in clips] == ["counterfactual", "factual", "factual"]
    assert [clip.cluster for clip in clips] == ["00001", "00003", "00001"]
    assert clips[1].video == root / "deep/er/00003.mp4"
    one = clips[0].questions[1]
    assert (one.task, one.answer, one.options, one.said) == (heard, "no", ("yes", "no"), ("Yes", "No"))
    assert one.asked() == "Is the gong making sound in the audio? Answer yes or no."
    everything = benchmarks.counts(benchmarks.read("avhbench", root)).set_index("task")
    assert everything["questions"].to_dict() == {match: 2, heard: 2, seen: 2}
    assert everything.loc[heard, "answers"] == "no 1, yes 1" and everything.loc[heard, "conflict"] == 1
    assert everything.loc[match, "conflict"] == 0.5 and everything.loc[seen, "videos"] == 2
    assert benchmarks.load(f"avhbench:{root}")[0] == clips[0]
    drawn = benchmarks.load("avhbench", root=root / "QA.json", n=2, seed=1)
    assert len(drawn) == 2 and drawn == benchmarks.load("avhbench", root=root, n=2, seed=1)


def test_cmm(copy):
    def row(category, modality, video, audio, answer="yes"):
        return {
            "category": "c", "sub_category": category, "modality": modality, "granularity": "object-level",
            "correlation_type": "x", "video_path": video, "audio_path": audio,
            "question": "Did you hear a gong? Answer with yes or no.", "answer": answer,
        }  # fmt: skip

    near, far = "./reorg_raw_files/one/7.mp4", "./reorg_raw_files/two/7.mp4"
    wave = "./reorg_raw_files/two/7.wav"
    rows = [
        row("overrely_visual_ignore_audio", "visual+audio", far, wave),
        row("overrely_visual_ignore_audio", "visual+audio", far, wave, "no"),
        row("audio-language", "audio", "None", wave),
        row("visual-language", "visual", near, None),
        row("visual-audio-language", "visual+audio", far, None),
    ]
    root = copy("all_data_final_reorg.json", rows, near, far, wave)
    clips = benchmarks.load("cmm", root=root)
    both, sound, picture, own = clips
    assert [len(clip.questions) for clip in clips] == [2, 1, 1, 1]
    assert both.video == root / "reorg_raw_files/two/7.mp4" and both.audio == root / "reorg_raw_files/two/7.wav"
    assert picture.video == root / "reorg_raw_files/one/7.mp4" and picture.kind == "mute"
    assert sound.video is None and sound.sound == both.audio and own.audio is None and own.kind == "factual"
    assert both.cluster == own.cluster == far and sound.cluster == wave
    assert both.questions[0].asked("Say yes or no.") == "Did you hear a gong? Say yes or no."
    assert [one.answer for one in both.questions] == ["yes", "no"]


def test_worldsense(copy):
    task = {"task_domain": "Recognition", "task_type": "Event", "question": "Which?", "answer": "C"}
    known = {"duration": "<1min", "task0": task | {"candidates": ["A. a gong", "B. a bell", "C. a drum"]}}
    known["task1"] = task | {"candidates": ["A. one", "B. two", "C. three", "D. four"], "task_domain": "Reasoning"}
    clips = benchmarks.load("worldsense", root=copy("worldsense_qa.json", {"abc": known}, "videos/abc.mp4"))
    first, second = clips[0].questions
    assert first.asked().startswith("Which?\nA. a gong\nB. a bell\nC. a drum\nAnswer") and first.answer == "C"
    assert first.chance == 1 / 3 and second.said == ("A", "B", "C", "D") and second.task == "Reasoning"


def test_dave(copy):
    row = {
        "audio_class": "church_bells", "raw_choices_multimodal": ["cut", "wash", "open", "none of the above"],
        "overlayed_event_index": 1, "type": "regular", "video_with_overlayed_audio_path": "v/1.mp4",
        "silent_video_path": "v/silent.mp4",
    }  # fmt: skip
    none = row | {"type": "none_of_the_above_no_sound", "overlayed_event_index": None}
    none["video_with_overlayed_audio_path"] = "v/2.mp4"
    clips = benchmarks.load("dave", root=copy("epic.json", [row, none], "data/v/1.mp4", "data/v/2.mp4"))
    assert [clip.questions[0].answer for clip in clips] == ["B", "D"]
    assert clips[0].questions[0].said == ("(A)", "(B)", "(C)", "(D)") and "church bells" in clips[0].questions[0].text
    assert {clip.cluster for clip in clips} == {"v/silent.mp4"}


def test_daily_omni(copy):
    row = {
        "Question": "When?",
        "Choice": ["A. now", "B. then", "C. never", "D. ever"],
        "Answer": "B",
        "video_id": "x_1",
    }
    row |= {"Type": "AV Event Alignment", "video_category": "c", "video_duration": "30s"}
    root = copy("qa.json", [row, row | {"Answer": "A", "video_id": "y"}], "Videos/x_1/x_1_video.mp4",
                "Videos/x_1/x_1_audio.wav", "Videos/y/y_video.mp4")  # fmt: skip
    clips = benchmarks.load("daily-omni", root=root)
    assert clips[0].audio == root / "Videos/x_1/x_1_audio.wav" and clips[1].audio is None
    assert [clip.questions[0].answer for clip in clips] == ["B", "A"]


def test_media_that_are_not_there_are_counted_and_named(copy, caplog):
    rows = [avhbench_row(str(i), "AV Matching", "Do they match?", "Yes") for i in range(8)]
    root = copy("QA.json", rows, "7.mp4")
    assert [clip.id for clip in benchmarks.load("avhbench", root=root)] == ["7"]
    assert "the media of 7 of 8 clips are not there and left out: 0, 1, 2, 3, 4 ..." in caplog.text
    (root / "7.mp4").unlink()
    with pytest.raises(DatasetError, match="none of the 8 clips"):
        benchmarks.load("avhbench", root=root)
    assert len(benchmarks.read("avhbench", root)) == 8


def test_what_cannot_be_understood_is_said(copy, tmp_path):
    good = avhbench_row("1", "AV Matching", "Do they match?", "Yes")
    for row, message in (
        (good | {"label": "maybe"}, "'maybe' must be one of"),
        ({"video": "1"}, "QA.json, row 0: no field video_id, task, text, label, only video"),
        (["x"], "is no JSON object"),
    ):
        with pytest.raises(DatasetError, match=message):
            benchmarks.read("avhbench", copy("QA.json", [row]))
    (tmp_path / "QA.json").write_text("[")
    with pytest.raises(DatasetError, match="QA.json is no JSON"):
        benchmarks.read("avhbench", tmp_path)
    for name, root, message in (
        ("avhbench", tmp_path / "lost", "is no folder"),
        ("cmm", tmp_path, "holds no all_data_final_reorg.json"),
        ("cmm", None, "pass root=FOLDER"),
        ("quiz", tmp_path, "no known set of questions; use one of toybox, avhbench"),
    ):
        with pytest.raises(DatasetError, match=message):
            benchmarks.read(name, root)
    root = copy("QA.json", [good], "1.mp4")
    with pytest.raises(DatasetError, match="n=2 were asked for"):
        benchmarks.load("avhbench", root=root, n=2)


@pytest.mark.parametrize("conflict", [False, True])
def test_toybox_questions_are_true(conflict):
    """Right options are true of the clip, wrong ones are not, and all of a question have the same form."""
    phrases = {"dog": ("a dog", "a dog barking"), "bell": ("a bell", "a bell tolling")}
    heard = "bell" if conflict else "dog"
    clip = toybox.asked(Clip("0", "0.mp4", seen=("dog",), heard=(heard,)))
    true = {f"I see {phrases['dog'][0]}.", f"I hear {phrases[heard][1]}."}
    assert clip.conflict is conflict and [one.task for one in clip.questions] == [
        *(toybox.HEARD, toybox.HEARD, toybox.SEEN, toybox.SEEN), *(toybox.MATCH, toybox.WHICH, toybox.PAIR)
    ]  # fmt: skip
    for one in clip.questions:
        said = dict(zip(one.options, one.said, strict=True))
        is_true = {name: set(text.replace(". I", ".|I").split("|")) <= true for name, text in said.items()}
        if one.task == toybox.MATCH:
            assert one.answer == ("no" if conflict else "yes")
        assert is_true.pop(one.answer) and not any(is_true.values())
        assert len(set(one.said)) == len(one.said) and len({text.count(".") for text in one.said}) == 1
    tempting = clip.questions[1]  # is what is only seen heard?
    assert ("dog" in tempting.said[0]) is conflict and tempting.answer == "no"
    assert toybox.asked(clip) is clip and toybox.asked(clip) == toybox.asked(
        Clip("0", "0.mp4", seen=("dog",), heard=(heard,))
    )


def test_clips_that_the_toybox_does_not_know_are_asked_nothing():
    for clip in (Clip("0", "0.mp4", seen=("saw",), heard=("dog",)), Clip("0", "0.mp4", seen=("dog",))):
        assert toybox.asked(clip) is clip
