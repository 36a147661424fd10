"""The toybox on disk: relations of sound and picture hold, a seed gives the same clips, writing resumes."""

import json
from collections import Counter

import numpy as np
import pytest

from avnb import datasets
from avnb.judge.words import mentioned
from avnb.toybox import world
from avnb.toybox.sources import SOURCES


def examples(n=60, split="test", seed=0, relation=None):
    return [world.sample(split, seed, i, relation) for i in range(n)]


@pytest.mark.parametrize("relation", world.RELATIONS)
def test_relations_hold(relation):
    for example in examples(relation=relation):
        seen, heard = set(example.seen), set(example.heard)
        assert example.relation == relation and seen | heard <= set(SOURCES)
        assert len(seen) == len(example.seen) <= 2 and len(heard) == len(example.heard) <= 2
        assert {
            "matching": seen == heard and seen,
            "silent object": len(seen) == 2 and heard < seen and heard,
            "off-screen": seen and heard and not seen & heard,
            "quiet": seen and not heard,
            "dark": heard and not seen,
        }[relation]


def test_relations_come_in_their_shares():
    counts = Counter(example.relation for example in examples(1500))
    for relation, share in world.RELATIONS.items():
        assert abs(counts[relation] / 1500 - share) < 0.04
    assert sum(world.RELATIONS.values()) == pytest.approx(1)


def test_every_source_is_seen_and_heard():
    some = examples(400)
    assert {name for example in some for name in example.seen} == set(SOURCES)
    assert {name for example in some for name in example.heard} == set(SOURCES)


def test_sources_are_named_in_one_order():
    order = list(SOURCES).index
    for example in examples(relation="matching"):
        assert list(example.seen) == sorted(example.seen, key=order)


def test_samples_are_reproducible_and_different():
    assert examples(20) == examples(20)
    assert world.sample("test", 0, 5) == examples(20)[5]
    ids = {e.id for split in ("train", "validation", "test") for seed in (0, 1) for e in examples(5, split, seed)}
    assert len(ids) == 30
    assert [e.seen for e in examples(20)] != [e.seen for e in examples(20, seed=1)]
    assert [e.seen for e in examples(20)] != [e.seen for e in examples(20, split="train")]


def test_picture_and_sound_of_an_example():
    example = world.sample("train", 2, 0, "matching")
    times = [0.0, 1.0]
    assert example.frames(times).shape == (2, world.SIZE, world.SIZE, 3)
    assert example.wave().shape == (round(world.SECONDS * world.RATE),)
    assert np.array_equal(example.frames(times), example.frames(times))
    assert np.array_equal(example.wave(), example.wave())


def test_quiet_clips_are_quieter_than_others():
    quiet = np.sqrt(np.mean(np.square(world.sample("test", 0, 0, "quiet").wave())))
    assert quiet < 0.1 * np.sqrt(np.mean(np.square(world.sample("test", 0, 0, "matching").wave())))


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="'loud' is unknown; use one of matching, silent object"):
        world.sample("test", 0, 0, "loud")
    with pytest.raises(ValueError, match="'dev' is unknown"):
        world.sample("dev", 0, 0)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return world.write(tmp_path_factory.mktemp("world"), n=3, seed=5)


def test_the_manifest_tells_what_is_there(written):
    rows = [json.loads(line) for line in written.read_text().splitlines()]
    for row, example in zip(rows, examples(3, seed=5), strict=True):
        assert (row["id"], row["relation"], row["split"]) == (example.id, example.relation, "test")
        assert tuple(row["seen"]) == example.seen and tuple(row["heard"]) == example.heard
        assert len(row["video_captions"]) == len(row["audio_captions"]) == world.N_PARAPHRASES
        assert all(mentioned(caption) == example.seen for caption in row["video_captions"])
        assert all(mentioned(caption) == example.heard for caption in row["audio_captions"])
    assert {p.name for p in written.parent.rglob("*") if p.is_file()} == {
        written.name,
        *(f"{row['id']}.mp4" for row in rows),
    }


def test_files_hold_picture_and_sound(written):
    for clip, example in zip(datasets.load(written), examples(3, seed=5), strict=True):
        frames, times = clip.frames(fps=world.FPS)
        assert len(times) == world.SECONDS * world.FPS
        assert np.abs(frames.astype(int) - example.frames(times)).mean() < 6
        wave = clip.wave(world.RATE)
        assert len(wave) == pytest.approx(world.SECONDS * world.RATE, abs=1100)  # whole AAC packets
        if example.heard:
            made = example.wave()
            n = min(len(wave), len(made))
            assert np.corrcoef(wave[:n], made[:n])[0, 1] > 0.8


def test_the_same_seed_gives_the_same_clips(written, tmp_path):
    again = world.write(tmp_path, n=2, seed=5)
    assert again.read_text().splitlines() == written.read_text().splitlines()[:2]
    for one, other in zip(datasets.load(again), datasets.load(written), strict=False):
        assert np.array_equal(one.frames(fps=world.FPS)[0], other.frames(fps=world.FPS)[0])
        assert np.array_equal(one.wave(), other.wave())


def test_writing_goes_on_where_it_stopped(written):
    first, second, third = sorted((written.parent / "clips").iterdir())
    content = {path: path.read_bytes() for path in (first, second, third)}
    second.unlink()
    first.write_bytes(b"kept")
    written.unlink()
    assert world.write(written.parent, n=3, seed=5) == written
    assert first.read_bytes() == b"kept"
    assert second.read_bytes() == content[second]
    assert len(written.read_text().splitlines()) == 3
    first.write_bytes(content[first])
