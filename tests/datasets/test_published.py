"""Published sets in one call, on miniature copies in the layout of each, with real media."""

import json
import logging
import shutil
import zipfile

import datasets as hub
import huggingface_hub
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from avnb.datasets import DatasetError, columns, from_table, load
from avnb.files import file_name
from avnb.media import editing
from avnb.media.clip import Clip


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A tiny video with sound."""
    wave = 0.2 * np.sin(np.arange(8000) / 5)
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return editing.write(path, np.full((4, 32, 32, 3), 128, np.uint8), fps=8, wave=wave)


@pytest.fixture(scope="module")
def matroska(film):
    return editing.swap_audio(film, film, film.with_suffix(".mkv"))


@pytest.fixture
def put(film, matroska):
    """Puts videos to places."""

    def put(*paths):
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(matroska if path.suffix == ".mkv" else film, path)
        return paths[0]

    return put


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path):
    def offline(address, *_, **__):
        raise ConnectionError(f"no route to {address}")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    monkeypatch.setattr(hub.config, "HF_DATASETS_CACHE", tmp_path / "hub")
    monkeypatch.setenv("AVNB_CACHE", str(tmp_path / "cache"))


CAPTIONS = [
    "audiocap_id,youtube_id,start_time,caption",
    '10,-abc,30,"A dog barks, then howls"',
    "11,-abc,30,Barking",
    "12,def,0,NA",
    "13,ghi,5,Rain",
    "14,lost,5,Gone",
    "15,_-abc,420,Wind",
]


@pytest.mark.parametrize("table", ["val.csv", "dataset/val.csv", "dataset2.0/val.csv"])
def test_audiocaps(tmp_path, put, caplog, table):
    (tmp_path / table).parent.mkdir(exist_ok=True)
    (tmp_path / table).write_text("\n".join(CAPTIONS))
    videos = tmp_path / "videos"
    put(videos / "-abc_30.mkv", videos / "part 2" / "def.mp4", videos / "13.mp4", videos / "_-abc_420.mp4")
    with caplog.at_level(logging.INFO):
        assert load("audiocaps", "validation", root=tmp_path) == [
            Clip("-abc_30", videos / "-abc_30.mkv", audio_captions=("A dog barks, then howls", "Barking")),
            Clip("def_0", videos / "part 2" / "def.mp4", audio_captions=("NA",)),
            Clip("ghi_5", videos / "13.mp4", audio_captions=("Rain",)),
            Clip("_-abc_420", videos / "_-abc_420.mp4", audio_captions=("Wind",)),
        ]
    assert "1 of 5 clips lack their files" in caplog.text and "no file: val.csv, row 5: lost_5" in caplog.text


def test_audiocaps_says_what_to_put_where(tmp_path):
    needed = "YOUTUBE_ID_START.mkv"
    with pytest.raises(DatasetError, match=f"pass root=FOLDER with your copy, which holds val.csv .*{needed}.*mteb/"):
        load("audiocaps", "validation")
    with pytest.raises(DatasetError, match=f"holds no train.csv or dataset/train.csv .*{needed}"):
        load("audiocaps", "train", root=tmp_path)
    with pytest.raises(DatasetError, match="audiocaps has no split 'dev'; use 'train' or 'validation' or 'test'"):
        load("audiocaps", "dev", root=tmp_path)
    (tmp_path / "train.csv").write_text("\n".join(CAPTIONS))
    with pytest.raises(DatasetError, match="5 of 5 clips lack their files in .*row 1: -abc_30, .*; put"):
        load("audiocaps", "train", root=tmp_path)


def test_audiocaps_av_of_mteb(tmp_path, film, matroska):
    """Parquet with embedded media without names, and neither ids nor kinds."""
    sound = film.with_suffix(".wav")
    if not sound.exists():
        write_wav(sound)
    rows = {
        "video": [{"path": None, "bytes": path.read_bytes()} for path in (film, matroska)],
        "audio": [{"path": None, "bytes": sound.read_bytes()}] * 2,
        "caption": ["A dog barks", "A bell rings"],
        "youtube_id": ["-abc", "def"],
        "start_time": [30, 0],
    }
    features = {"video": hub.Video(), "audio": hub.Audio(sampling_rate=16000), "caption": hub.Value("string")}
    features |= {"youtube_id": hub.Value("string"), "start_time": hub.Value("int32")}
    (tmp_path / "data").mkdir()
    schema = hub.Features(features).arrow_schema
    parquet.write_table(pa.Table.from_pydict(rows, schema), tmp_path / "data" / "test-00000-of-00001.parquet")
    clips = load("mteb/AudioCaps_AV", root=tmp_path)
    assert [(c.id, c.kind, c.audio_captions, c.video.suffix, c.audio.suffix) for c in clips] == [
        ("-abc_30", "factual", ("A dog barks",), ".mp4", ".wav"),
        ("def_0", "factual", ("A bell rings",), ".mkv", ".wav"),
    ]
    assert clips[0].video.read_bytes() == film.read_bytes() and len(clips[0].wave()) == 8000
    assert clips[0].video.is_relative_to(tmp_path / "cache") and clips[1].frames(2)[0].shape[0] == 1


def write_wav(path):
    import wave

    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes((5000 * np.sin(np.arange(8000) / 5)).astype("<i2").tobytes())


AVCAPS = {
    "0a1b": {
        "audio_captions": ["A dog barks.", "Barking \n loudly"],
        "visual_captions": ["A dog on a lawn."],
        "audio_visual_captions": ["A dog barks on a lawn."],
        "GPT_AV_captions": ["A canine vocalises."],
    },
    "2c3d.mp4": {
        "audio_captions": ["Rain."],
        "visual_captions": [],
        "audio_visual_captions": [],
        "GPT_AV_captions": [],
    },
}


@pytest.mark.parametrize("zipped", [False, True])
def test_avcaps(tmp_path, put, film, zipped):
    (tmp_path / "val_captions.json").write_text(json.dumps(AVCAPS))
    if zipped:
        with zipfile.ZipFile(tmp_path / "val_videos.zip", "w") as file:
            for name in ("0a1b", "2c3d"):
                file.write(film, f"val_videos/{name}.mp4")
    else:
        put(tmp_path / "val_videos" / "0a1b.mp4", tmp_path / "val_videos" / "2c3d.mp4")
    for _ in range(2):
        one, two = load("AVCaps", "validation", root=tmp_path)
        assert (one.id, one.video.name, one.kind) == ("0a1b", "0a1b.mp4", "factual")
        assert one.audio_captions == ("A dog barks.", "Barking loudly") and one.video_captions == ("A dog on a lawn.",)
        assert (two.id, two.audio_captions, two.video_captions) == ("2c3d", ("Rain.",), ())
        assert two.video.read_bytes() == film.read_bytes()


def test_a_broken_archive_is_told(tmp_path):
    (tmp_path / "test_captions.json").write_text(json.dumps(AVCAPS))
    (tmp_path / "test_videos.zip").write_bytes(b"PK cut off")
    with pytest.raises(DatasetError, match="test_videos.zip is cut off or no archive"):
        load("avcaps", root=tmp_path)


def avscap(**more):
    audio = {"speech": ['A man says "hello".'], "music": [], "sfx": ["A door slams."]}
    event = {"visual_events": ["A man enters.", "He sits."], "audio_events": audio, "synergistic_events": ["He talks."]}
    return {"caption": "A man enters and talks.", "event": event, **more}


@pytest.mark.parametrize("table", ["metadata.jsonl", "metadata/OmniCaption.json"])
def test_avscapbench(tmp_path, put, table):
    put(tmp_path / "videos" / "1.mp4")
    (tmp_path / table).parent.mkdir(exist_ok=True)
    if table.endswith("jsonl"):
        rows = [avscap(file_name=f"videos/{i}.mp4", video_id=f"{i}.mp4") for i in (1, 2)]
        (tmp_path / table).write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        (tmp_path / table).write_text(json.dumps([avscap(video_id=f"{i}.mp4") for i in (1, 2)]))
    [clip] = load("avscapbench", root=tmp_path)
    assert (clip.id, clip.video) == ("1", tmp_path / "videos" / "1.mp4")
    assert clip.seen == ("A man enters.", "He sits.") and clip.heard == ('A man says "hello".', "A door slams.")
    with pytest.raises(DatasetError, match="avscapbench has no split 'train'; use 'test'"):
        load("avscapbench", "train", root=tmp_path)


@pytest.mark.parametrize(
    ("name", "visual", "audio"),
    [
        ("video_id", "visual", "audio"),
        ("id", "visual_description", "audio_description"),
        ("video", "video_text", "sound"),
    ],
)
def test_avhallubench(tmp_path, put, name, visual, audio):
    """A file with a description of the picture and of the sound, under whatever names."""
    put(tmp_path / "videos" / "-05w_123000_133000.mp4")
    row = {name: "-05w_123000_133000", visual: "A dog on a lawn.", audio: "A dog barks."}
    (tmp_path / "data.json").write_text(json.dumps([row]))
    [clip] = load("avhallubench", root=tmp_path)
    assert (clip.id, clip.video_captions, clip.audio_captions) == (row[name], ("A dog on a lawn.",), ("A dog barks.",))


@pytest.mark.parametrize(
    "more",
    [
        {"kind": ["counterfactual", "factual"]},
        {"condition": ["swapped audio", "original"]},
        {"is_counterfactual": [True, False]},
        {"audio_swapped": ["yes", "no"]},
    ],
)
def test_the_counterfactual_set_is_understood_by_its_content(tmp_path, put, more):
    put(tmp_path / "media" / "a.mp4", tmp_path / "media" / "b.mp4")
    rows = {
        "clip": ["media/a.mp4", "media/b.mp4"],
        "visual_caption": ["A dog.", "A cat."],
        "caption": ["Bell.", "Meow."],
    }
    pd.DataFrame(rows | more).to_csv(tmp_path / "test.csv", index=False)
    factual, swapped = load("counterfactual-av-eval", root=tmp_path)
    assert factual == Clip("b", tmp_path / "media" / "b.mp4", None, "factual", ("A cat.",), ("Meow.",))
    assert swapped == Clip("a", tmp_path / "media" / "a.mp4", None, "counterfactual", ("A dog.",), ("Bell.",))


def test_the_kinds_of_the_counterfactual_set_may_be_its_splits(tmp_path, put):
    for name in ("counterfactual", "factual"):
        put(tmp_path / "media" / f"{name}.mp4")
        table = pd.DataFrame({"path": [f"media/{name}.mp4"], "audio_caption": ["Rain."]})
        table.to_json(tmp_path / f"{name}.jsonl", orient="records", lines=True)
    splits = "".join(f"  - split: {name}\n    path: {name}.jsonl\n" for name in ("counterfactual", "factual"))
    header = f"---\nconfigs:\n- config_name: default\n  data_files:\n{splits}---\n"
    (tmp_path / "README.md").write_text(header)
    clips = load("counterfactual-av-eval", root=tmp_path)
    assert [(clip.id, clip.kind) for clip in clips] == [("factual", "factual"), ("counterfactual", "counterfactual")]


def test_a_counterfactual_set_without_kinds_is_refused_with_what_was_found(tmp_path, put):
    put(tmp_path / "a.mp4")
    (tmp_path / "test.csv").write_text("clip,colour\na.mp4,blue\n")
    with pytest.raises(
        DatasetError, match=r"not tell the kind .*clip \('a.mp4'\); colour \('blue'\).*avnb.curate.*avcaps"
    ):
        load("counterfactual-av-eval", root=tmp_path)
    assert [clip.kind for clip in from_table(hub.Dataset.from_dict({"clip": ["a.mp4"]}), tmp_path)] == ["factual"]


def test_what_cannot_be_fetched_is_explained(monkeypatch):
    for name in ("avcaps", "scb10x/avhallubench", "NJU-LINK/AVSCapBench"):
        with pytest.raises(DatasetError, match="no route to .*root=FOLDER"):
            load(name)


def test_a_set_is_fetched_in_one_call(monkeypatch, tmp_path, put):
    def fetch(address, repo_type, allow_patterns):
        put(tmp_path / "test_videos" / "0a1b.mp4")
        (tmp_path / "test_captions.json").write_text(json.dumps(AVCAPS))
        asked.append((address, repo_type, allow_patterns))
        return str(tmp_path)

    asked = []
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    assert [clip.id for clip in load("TUT-ARG/AVCaps")] == ["0a1b"]
    assert asked == [("TUT-ARG/AVCaps", "dataset", ["test_captions.json*", "test_videos*"])]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".jsonl", ".json"])
def test_a_table_of_ones_own(tmp_path, put, suffix):
    put(tmp_path / "media" / "a.mp4", tmp_path / "media" / "b.mp4")
    rows = [
        {"Video_Path": "media/a.mp4", "audio_caption": "A dog barks.", "visual_caption": "A dog.", "score": 1},
        {"Video_Path": "media/b.mp4", "audio_caption": '["Rain.", "It rains."]', "visual_caption": None, "score": 2},
    ]
    path, table = tmp_path / f"table{suffix}", pd.DataFrame(rows)
    if suffix in (".csv", ".tsv"):
        table.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
    elif suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_json(path, orient="records", lines=suffix == ".jsonl")
    assert load(path) == [
        Clip("a", tmp_path / "media" / "a.mp4", None, "factual", ("A dog.",), ("A dog barks.",)),
        Clip("b", tmp_path / "media" / "b.mp4", None, "factual", (), ("Rain.", "It rains.")),
    ]


def test_ids_are_safe_as_file_names(tmp_path, put):
    put(tmp_path / "a.mp4")
    (tmp_path / "t.csv").write_text("id,video\n../../x y,a.mp4\n,a.mp4\n")
    clips = load(tmp_path / "t.csv")
    assert [clip.id for clip in clips] == [file_name("../../x y"), "a"] and "/" not in clips[0].id


def test_two_files_of_one_name_are_not_guessed_between(tmp_path, put):
    put(tmp_path / "1" / "a.mp4", tmp_path / "2" / "a.mp4", tmp_path / "2" / "b.mp4")
    (tmp_path / "t.csv").write_text("video,caption\na.mp4,Rain\nb.mp4,Wind\n2/a.mp4,Hail\n")
    assert [(clip.id, clip.audio_captions) for clip in load(tmp_path / "t.csv")] == [("b", ("Wind",)), ("a", ("Hail",))]


def test_a_file_of_another_folder_does_not_stand_for_a_missing_one(tmp_path, put):
    """The clip with its own sound is no clip with another one."""
    put(tmp_path / "clips" / "a.mp4", tmp_path / "clips" / "b.mp4")
    (tmp_path / "t.csv").write_text("id,video\na,swapped/a.mp4\nb,b.mp4\nc,elsewhere/clips/b.mp4\n")
    assert [clip.id for clip in load(tmp_path / "t.csv")] == ["b"]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("t.csv", "", "t.csv holds no clips"),
        ("t.json", "[1, 2]", "t.json holds no clips"),
        ("t.json", "{", "t.json cannot be read .*a row for each clip"),
        ("t.parquet", "no parquet", "t.parquet cannot be read"),
        ("t.txt", "x", "t.txt is no manifest or other table"),
        ("t.csv", "path,other\na.mp4,b.mp4\n", "2 of 2|1 of 1 clips lack"),
        ("t.csv", "one,other\na.mp4,b.mp4\n", "does not tell the video"),
    ],
)
def test_bad_tables_are_explained(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(DatasetError, match=said):
        load(tmp_path / name)


def test_examples():
    import doctest

    assert doctest.testmod(columns).failed == 0
