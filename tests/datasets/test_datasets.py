"""Sets of clips: the toybox and its cache, manifests, folders, published tables."""

import doctest
import json

import datasets as hub
import numpy as np
import pytest

from avnb import datasets
from avnb.closure import closure
from avnb.datasets import DatasetError, drawn, from_table, load, save
from avnb.media import clip as media
from avnb.media import editing
from avnb.media.clip import Clip
from avnb.toybox import world


def recording(path, grey=128):
    wave = 0.2 * np.sin(np.arange(8000) / 5)
    return editing.write(path, np.full((4, 32, 32, 3), grey, np.uint8), fps=8, wave=wave)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return recording(tmp_path_factory.mktemp("video") / "some.mp4")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache with a toybox of two clips."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AVNB_CACHE", str(folder))
        load("toybox", n=2)
        yield folder


@pytest.fixture
def manifest(tmp_path, video):
    """Writes rows, or raw lines, to a manifest beside a video some.mp4."""
    (tmp_path / "some.mp4").write_bytes(video.read_bytes())

    def write(*rows):
        path = tmp_path / "manifest.jsonl"
        path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
        return path

    return write


def test_examples(cache):
    assert doctest.testmod(datasets).failed == 0


def test_the_toybox_is_half_factual_half_counterfactual(cache):
    clips = load("toybox", n=5, seed=3)
    assert [clip.kind for clip in clips] == ["factual"] * 3 + ["counterfactual"] * 2
    factual, swapped = clips[:3], clips[3:]
    for clip in factual:
        assert clip.seen == clip.heard and clip.seen and len(clip.audio_captions) == world.N_PARAPHRASES
    for clip in swapped:
        assert not set(clip.seen) & set(clip.heard) and clip.audio_captions and clip.video_captions
        assert clip.id.split("+")[0] not in {one.id for one in factual}
        assert clip.id.split("+")[1] not in {one.id for one in factual}
    for clip in clips:
        assert clip.video.is_relative_to(cache) and len(clip.wave()) > 60_000
    assert len({clip.id for clip in clips}) == 5


def test_the_source_of_a_picture_is_known_from_the_id_of_what_was_made_of_it(cache):
    clips = load("toybox", n=5, seed=3)
    assert datasets.sources([clip.id for clip in clips]).to_dict() == {clip.id: clip.seen[0] for clip in clips}
    a, b = clips[:2]
    ids = [f"{a.id}|{b.id}", f"{b.id}+mute"]
    assert datasets.sources(ids).to_dict() == dict(zip(ids, (a.seen[0], b.seen[0]), strict=True))
    for relation in world.RELATIONS:
        example = world.sample("train", 1, 2, relation)
        assert datasets.sources([example.id]).tolist() == [(*example.seen, "nothing")[0]]


@pytest.mark.parametrize("ids", [["holiday"], ["test-3-00001-matching", "holiday"], ["test-3-00001-sideways"], [7]])
def test_of_other_clips_no_source_is_known(ids):
    assert datasets.sources(ids) is None


def test_a_counterfactual_clip_sounds_like_its_donor(cache):
    swapped = load("toybox", n=2)[1]
    own, donor = (next(cache.rglob(f"clips/{name}.mp4")) for name in swapped.id.split("+"))
    assert np.array_equal(swapped.frames(2)[0], media.read_frames(own, 2)[0])

    def likeness(path):
        wave, other = swapped.wave(), media.read_audio(path)
        n = min(len(wave), len(other))
        return np.corrcoef(wave[:n], other[:n])[0, 1]

    assert likeness(donor) > 0.9 and likeness(own) < 0.3


def test_cached_clips_are_reused_and_missing_ones_made(cache, monkeypatch):
    clips = load("toybox", n=2)
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*.mp4")}
    assert load("toybox", n=2) == clips
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.mp4")} == before
    for clip in clips:
        clip.video.unlink()
    assert load("toybox", n=2) == clips and all(clip.video.exists() for clip in clips)
    changed = {path for path in before if path.stat().st_mtime_ns != before[path]}
    assert changed == {clip.video for clip in clips}


def test_the_cache_folder_follows_code_split_seed_and_number(cache, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(world, "write", lambda folder, *_: made.append(folder) or (_ for _ in ()).throw(KeyError))

    def folder(**options):
        with pytest.raises(KeyError):
            load("toybox", **{"n": 2, "root": tmp_path, **options})
        return made[-1]

    assert folder() == folder() and folder().is_relative_to(tmp_path)
    folders = [folder(), folder(n=4), folder(seed=1), folder(split="train"), folder(root=tmp_path / "x")]
    monkeypatch.setattr(drawn, "code_hash", lambda *modules: "other")
    assert len({*folders, folder()}) == 6


def test_the_version_of_drawn_clips_covers_what_makes_them_only():
    made_by = closure(*drawn.MAKERS)
    assert {"avnb.toybox.sounds", "avnb.toybox.drawings.animals", "avnb.media.editing"} <= made_by
    rooms = {name.split(".")[1] for name in made_by}
    assert rooms == {"toybox", "media", "datasets", "embedders", "errors", "files", "questions", "text"}


def test_damage_in_the_cache_is_told(cache):
    clips = load("toybox", n=2)
    kept = clips[1].video.read_bytes()
    source = next(cache.rglob(f"clips/{clips[1].id.split('+')[0]}.mp4"))
    whole = source.read_bytes()
    clips[1].video.unlink()
    source.write_bytes(b"damaged")
    with pytest.raises(DatasetError, match="damaged clips; delete the folder"):
        load("toybox", n=2)
    source.write_bytes(whole)
    clips[1].video.write_bytes(kept)


def test_a_manifest_is_read(manifest):
    full = {
        "id": "full",
        "video": "some.mp4",
        "audio": "some.mp4",
        "kind": "counterfactual",
        "video_captions": ["A dog.", "A puppy."],
        "audio_captions": ["A bell."],
        "seen": ["dog"],
        "heard": ["bell"],
        "split": "test",
    }
    path = manifest(full, {"id": 7, "video": "some.mp4"}, "", {"id": "null", "video": "some.mp4", "audio": None})
    clips = load(path)
    file = path.parent / "some.mp4"
    assert clips[0] == Clip(
        "full", file, file, "counterfactual", ("A dog.", "A puppy."), ("A bell.",), ("dog",), ("bell",)
    )
    assert clips[1] == Clip("7", file) and clips[2].audio is None
    assert load(path.parent) == load(str(path.parent)) == clips


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (['{"id": "a", "video": "some.mp4"}', "{not json"], r"manifest.jsonl, line 2: no JSON.*write one JSON object"),
        (["[1, 2]"], r"line 1: \[1, 2\] is no JSON object"),
        ([f'{{"id": {"9" * 5000}}}'], "line 1: no JSON .Exceeds the limit"),
        (["[" * 5000], "line 1: no JSON .maximum recursion depth"),
        (['{"id": true, "video": "some.mp4"}'], "line 1: the id is True; give a text"),
        (['{"id": [1, 2], "video": "some.mp4"}'], r"line 1: the id is \[1, 2\]; give a text"),
        (
            ['{"id": "a"}'],
            "not tell the video of a clip. Its columns: id .'a'.. Rename one to 'video', or .* 1 vid",
        ),
        (['{"id": "a", "video": ""}'], "manifest.jsonl does not tell the video"),
        (
            ['{"id": "a", "video": "gone.mp4"}'],
            "1 of 1 clips lack their files in .*: .*line 1: gone.mp4; put them",
        ),
        (['{"id": "a", "video": "some.mp4", "audio": "gone.wav"}'], "1 of 1 clips lack .*line 1: gone.wav; put them"),
        (['{"id": "a", "video": 3}'], "line 1: video is 3; give the path"),
        (['{"id": "a", "video": "some.mp4", "seen": "dog"}'], r"seen is 'dog'; give a list of texts, as \[\"dog\"\]"),
        (['{"id": "a", "video": "some.mp4", "heard": [1]}'], r"heard is \[1\]"),
        (
            ['{"id": "a", "video": "some.mp4", "kind": "odd"}'],
            "line 1: clip a: kind 'odd' is unknown; use one of factual",
        ),
        (['{"id": "a", "video": "some.mp4"}'] * 2, "the id 'a' stands for several clips"),
        ([""], "manifest.jsonl holds no clips"),
    ],
)
def test_a_bad_manifest_is_explained(manifest, lines, said):
    with pytest.raises(DatasetError, match=said):
        load(manifest(*lines))


def test_a_manifest_must_be_text(manifest):
    path = manifest()
    path.write_bytes(b'{"id": "\xff\xfe"}')
    with pytest.raises(DatasetError, match=r"manifest.jsonl is no UTF-8 text"):
        load(path)


def test_a_folder_of_videos(tmp_path, video):
    for name in ("b.mp4", "a.MOV", "notes.txt", ".hidden.mp4"):
        (tmp_path / name).write_bytes(video.read_bytes())
    assert load(tmp_path) == [Clip("a", tmp_path / "a.MOV"), Clip("b", tmp_path / "b.mp4")]
    (tmp_path / "a.mp4").write_bytes(video.read_bytes())
    with pytest.raises(DatasetError, match="id 'a' stands for several clips"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "toybocks"}, "'toybocks' is no known set .toybox, counterfactual-av-eval, audiocaps"),
        ({"name": "toybox", "split": "dev"}, "no split 'dev'; use one of train, validation, test"),
        ({"name": "toybox", "n": 0}, "n=0 clips were asked for"),
    ],
)
def test_unknown_names_are_refused(options, said):
    with pytest.raises(DatasetError, match=said):
        load(**options)


def test_unusable_paths_are_refused(tmp_path, video):
    with pytest.raises(DatasetError, match=r"holds neither manifest.jsonl nor a video"):
        load(tmp_path)
    with pytest.raises(DatasetError, match=r"some.mp4 is no manifest"):
        load(video)


def test_a_part_is_drawn_evenly_over_the_kinds(manifest):
    kinds = ["factual"] * 8 + ["counterfactual"] * 8 + ["mute"]
    path = manifest(*({"id": f"{i:02}", "video": "some.mp4", "kind": kind} for i, kind in enumerate(kinds)))
    some = load(path, n=7, seed=1)
    assert sorted(clip.kind for clip in some) == ["counterfactual"] * 3 + ["factual"] * 3 + ["mute"]
    assert [clip.id for clip in some] == sorted(clip.id for clip in some)
    assert load(path, n=7, seed=1) == some != load(path, n=7, seed=2)
    assert load(path, n=17) == load(path)
    with pytest.raises(DatasetError, match="holds 17 clips, n=18 were asked for"):
        load(path, n=18)


def test_save_and_load(tmp_path, video):
    inside = recording(tmp_path / "set" / "clips" / "in.mp4")
    clips = [
        Clip("one", inside, video, "factual", ("A dog.",), ('A "loud" dog – ü.', "Barking."), ("dog",), ("dog",)),
        Clip("two", video),
        Clip("three", inside, kind="mute"),
    ]
    path = save(iter(clips), tmp_path / "set" / "manifest.jsonl")
    assert load(path.parent) == clips
    assert '"clips/in.mp4"' in path.read_text() and str(video) in path.read_text()
    moved = path.parent.rename(tmp_path / "moved")
    assert load(moved)[0].video == moved / "clips" / "in.mp4"
    assert [p.name for p in moved.iterdir() if p.is_file()] == ["manifest.jsonl"]
    table = hub.load_dataset("json", data_files=str(moved / "manifest.jsonl"), cache_dir=str(tmp_path), split="train")
    assert table["id"][:] == ["one", "two", "three"] and table[0]["audio_captions"] == list(clips[0].audio_captions)
    with pytest.raises(DatasetError, match=r"set.json must end in .jsonl"):
        save(clips, tmp_path / "set.json")


def test_a_toybox_manifest_is_readable_by_hugging_face(tmp_path):
    path = world.write(tmp_path, n=1)
    table = hub.load_dataset("json", data_files=str(path), cache_dir=str(tmp_path), split="train")
    assert table[0]["id"] == load(path)[0].id and table[0]["relation"] in world.RELATIONS


def test_saving_keeps_the_old_manifest_if_it_fails(tmp_path, video):
    path = save([Clip("one", video)], tmp_path / "manifest.jsonl")
    with pytest.raises(AttributeError):
        save([Clip("two", video), "no clip"], path)
    assert load(path) == [Clip("one", video)]


def test_a_table_with_paths(video):
    table = hub.Dataset.from_dict(
        {
            "ID": ["x", "y"],
            "video_path": [video.name, video.name],
            "audio_path": [video.name, None],
            "is_counterfactual": [True, False],
            "video_caption": ["A dog.", "A cat."],
            "audio_captions": [["A bell.", "Ringing."], ["Meowing."]],
        }
    )
    assert from_table(table, video.parent) == [
        Clip("y", video, None, "factual", ("A cat.",), ("Meowing.",)),
        Clip("x", video, video, "counterfactual", ("A dog.",), ("A bell.", "Ringing.")),
    ]


def test_a_table_with_embedded_media(video, tmp_path):
    embedded = {"path": "some.mp4", "bytes": video.read_bytes()}
    features = hub.Features({"clip_id": hub.Value("string"), "video": hub.Video(), "type": hub.Value("string")})
    rows = {"clip_id": ["x"], "video": [embedded], "type": ["Counterfactual (swapped)"]}
    table = hub.Dataset.from_dict(rows, features=features)
    for _ in range(2):
        clip = from_table(table, tmp_path, tmp_path / "media")[0]
        assert clip == Clip("x", tmp_path / "media" / "x-video.mp4", kind="counterfactual")
        assert clip.video.read_bytes() == video.read_bytes()


def test_embedded_media_stay_in_their_folder_and_are_media(video, tmp_path):
    features = hub.Features({"id": hub.Value("string"), "video": hub.Video(), "type": hub.Value("string")})

    def load_one(name, path):
        rows = {"id": [name], "video": [{"path": path, "bytes": video.read_bytes()}], "type": ["factual"]}
        return from_table(hub.Dataset.from_dict(rows, features=features), tmp_path, tmp_path / "a" / "media")[0]

    assert load_one("../../outside", "some.mp4").video.parent == tmp_path / "a" / "media"
    assert load_one("x", "x.pth").video.name == "x-video.mp4"  # by what it holds
    video = tmp_path / "weights"
    video.write_bytes(b"no medium at all")
    with pytest.raises(DatasetError, match=r"row 0: embedded video x.pth is no medium \(.mp4, "):
        load_one("x", "x.pth")


def test_embedded_media_that_have_changed_are_written_anew(video, tmp_path):
    features = hub.Features({"id": hub.Value("string"), "video": hub.Video()})
    for content in (video.read_bytes(), video.read_bytes()[:-1] + b"x"):
        table = hub.Dataset.from_dict({"id": ["x"], "video": [{"path": "x.mp4", "bytes": content}]}, features=features)
        assert from_table(table, tmp_path, tmp_path / "media")[0].video.read_bytes() == content


def test_a_table_that_cannot_be_understood_lists_what_it_holds(tmp_path):
    table = hub.Dataset.from_dict({"youtube_id": ["x"], "clip": ["A dog barks all night"], "score": [1.5]})
    with pytest.raises(DatasetError, match=r"the video of a clip.*youtube_id \('x'\); clip \('A dog .*score \(1.5\)"):
        from_table(table, tmp_path)
    with pytest.raises(DatasetError, match="row 0: clip x: kind 'odd' is unknown; use one of factual"):
        from_table(hub.Dataset.from_dict({"id": ["x"], "video": [__file__], "kind": ["odd"]}), tmp_path)


def test_the_published_set_is_read_from_a_folder(tmp_path, video, monkeypatch):
    monkeypatch.setenv("AVNB_CACHE", str(tmp_path / "cache"))
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in "ab":
        (copy / f"{name}.mp4").write_bytes(video.read_bytes())
    rows = [{"file_name": f"{n}.mp4", "id": n, "kind": k} for n, k in (("a", "counterfactual"), ("b", "factual"))]
    (copy / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setattr(hub.config, "HF_DATASETS_CACHE", tmp_path / "hub")
    clips = load("counterfactual-av-eval", split="train", root=copy)
    assert [(clip.id, clip.kind) for clip in clips] == [("b", "factual"), ("a", "counterfactual")]
    assert len(load("counterfactual-av-eval", split="train", root=copy, n=1)) == 1
    assert all(clip.video.read_bytes() == video.read_bytes() for clip in clips)


def test_a_set_that_cannot_be_fetched_is_explained(monkeypatch):
    def offline(name, split):
        raise ConnectionError(f"no route to {name}")

    monkeypatch.setattr(hub, "load_dataset", offline)
    for name in ("counterfactual-av-eval", "gamma-lab-umd/counterfactual-av-eval"):
        with pytest.raises(DatasetError, match=r"gamma-lab-umd/counterfactual-av-eval, split 'test'.*root=FOLDER"):
            load(name)


def test_the_cache_folder_can_be_moved(monkeypatch, tmp_path):
    monkeypatch.setenv("AVNB_CACHE", str(tmp_path))
    assert datasets.cache_folder() == tmp_path
    monkeypatch.delenv("AVNB_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert datasets.cache_folder().parts[-2:] == (".cache", "avnb")
