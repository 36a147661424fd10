"""Pictures of the toybox: reproducible, visible, moving, and with parameters that test clips share with no others."""

from dataclasses import replace

import numpy as np
import pytest

from avnb.toybox.drawings import BACKGROUNDS, DRAWINGS
from avnb.toybox.scenes import compose
from avnb.toybox.sources import SOURCES
from avnb.toybox.vary import N_SLICES, Variation


class Spy(Variation):
    """Keeps the slices of the ranges that its uniform draws come from."""

    def __init__(self, split, seed):
        super().__init__(split, seed)
        self.slices = []

    def uniform(self, low, high):
        value = super().uniform(low, high)
        self.slices.append(int((value - low) / (high - low) * N_SLICES + 1e-9))
        return value


def test_every_source_has_a_drawing():
    assert set(DRAWINGS) == set(SOURCES)


@pytest.mark.parametrize("names", [(), ("dog",), ("bell", "rain"), ("cat", "car", "wind")])
def test_frames_are_images_and_reproducible(names):
    times = [0.0, 0.5, 1.7]
    first, second = (compose(names, Variation("train", 5)).frames(times) for _ in range(2))
    assert first.shape == (3, 160, 160, 3) and first.dtype == np.uint8
    assert np.array_equal(first, second)


def test_size_changes_pixels_only():
    scene = compose(["kettle"], Variation("train", 1))
    large, small = scene.frames([0.3], 320)[0], scene.frames([0.3], 160)[0]
    averaged = large.reshape(160, 2, 160, 2, 3).mean(axis=(1, 3))
    assert large.shape == (320, 320, 3)
    assert np.abs(averaged - small).mean() < 4


@pytest.mark.parametrize("name", SOURCES)
def test_source_is_seen_and_moves(name):
    for seed in range(3):
        scene = compose([name], Variation("test", seed))
        bare = replace(scene, items=())
        times = [0.0, 0.4, 0.8]
        frames, empty = scene.frames(times).astype(int), bare.frames(times).astype(int)
        covered = (np.abs(frames - empty).max(axis=-1) > 30).mean()
        moved = (np.abs(np.diff(frames, axis=0)).max(axis=-1) > 30).mean()
        assert covered > 0.08, f"{name} covers {covered:.1%} of the picture"
        assert moved > 0.005, f"{name} changes {moved:.1%} of the picture"


def test_seeds_differ():
    frames = [compose(["frog"], Variation("train", seed)).frames([0.0])[0] for seed in range(8)]
    for i, one in enumerate(frames):
        assert all(not np.array_equal(one, other) for other in frames[:i])


def test_all_backgrounds_and_places_occur():
    scenes = [compose(["dog", "cat"], Variation("train", seed)) for seed in range(80)]
    assert {scene.background for scene in scenes} == set(BACKGROUNDS)
    dog_is_left = [{item.name: item.x for item in scene.items} for scene in scenes]
    assert 0.3 < np.mean([x["dog"] < x["cat"] for x in dog_is_left]) < 0.7


def test_sources_stay_inside_and_apart():
    for seed in range(40):
        items = compose(["train", "baby", "rain"], Variation("train", seed)).items
        for i, one in enumerate(items):
            assert one.x - one.size / 2 > -4 and one.x + one.size / 2 < 164
            for other in items[:i]:
                reach = (one.size + other.size) / 2
                overlap = max(0, reach - abs(one.x - other.x)) * max(0, reach - abs(one.y - other.y))
                assert overlap < 0.3 * min(one.size, other.size) ** 2


def test_splits_share_no_continuous_parameter():
    seen = {}
    for split in ("train", "validation", "test"):
        spies = [Spy(split, seed) for seed in range(30)]
        for spy in spies:
            compose(["car", "singer"], spy)
        seen[split] = {slice_ for spy in spies for slice_ in spy.slices}
    assert not seen["train"] & seen["test"] and not seen["train"] & seen["validation"]
    assert not seen["test"] & seen["validation"]


def test_colours_of_splits_differ():
    colours = [
        {item.look.colours for seed in range(200) for item in compose(["car"], Variation(split, seed)).items}
        for split in ("train", "test")
    ]
    assert not colours[0] & colours[1]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["dragon"], "'dragon'.*dog, cat"),
        (["dog", "cat", "cow", "frog"], "0 to 3 different sources.*dog, cat, cow, frog"),
        (["dog", "dog"], "different sources.*dog, dog"),
        ("dog", "list of names.*'dog'"),
    ],
)
def test_errors_say_what_was_given_and_what_is_possible(names, said):
    with pytest.raises(ValueError, match=said):
        compose(names, Variation("train", 0))
