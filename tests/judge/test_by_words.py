"""The word judge: captions are all it knows of a clip."""

import sys
from itertools import permutations
from math import isnan
from types import SimpleNamespace

import numpy as np
import pytest

from avnb import AvnbError, embedders, judge
from avnb.judge import score
from avnb.judge.by_words import Words
from avnb.media.clip import Clip


def heard(*captions, **more):
    return Clip("0", "0.mp4", audio_captions=captions, **more)


@pytest.mark.parametrize(
    ("answer", "value", "matched", "missed", "invented"),
    [
        ("I hear barking dogs.", 1, ("dog", "barks"), (), ()),
        ("A dog.", 1 / 2, ("dog",), ("barks",), ()),
        ("I hear a dog and a loud drum.", 1 / 4, ("dog",), ("barks",), ("loud", "drum")),
        ("I see a drum. A dog can be heard barking.", 1, ("dog", "barks"), (), ()),
        ("It is quiet.", 0, (), ("dog", "barks"), ()),
        ("", 0, (), ("dog", "barks"), ()),
    ],
)
def test_value_is_the_share_of_all_words_that_match(answer, value, matched, missed, invented):
    found = score(answer, heard("A dog barks."), "audio", "words")
    assert (found.value, found.matched, found.missed, found.invented) == (
        pytest.approx(value),
        matched,
        missed,
        invented,
    )


def test_the_reference_that_fits_best_counts_and_no_reference_makes_another_ones_word_invented():
    captions = ("A dog barks loudly.", "Rain falls on a roof.", "A dog in the rain.")
    for some in permutations(captions):
        found = score("I hear a dog in the rain on a roof.", heard(*some), "audio", "words")
        assert (found.value, found.missed, found.invented) == (1, (), ())
    assert score("I hear a dog and a bell.", heard(*captions), "audio", "words").value == pytest.approx(1 / 3)


def test_with_one_reference_it_is_the_index_of_jaccard():
    rng, words = np.random.default_rng(0), ["dog", "cat", "rain", "bell", "drum", "car", "bus", "wind", "child", "bird"]
    for _ in range(200):
        one, other = (rng.choice(words, rng.integers(1, 6), replace=False) for _ in range(2))
        found = score(f"I hear {' '.join(other)}.", heard("The sound of " + " and ".join(one)), "audio", "words")
        assert found.value == pytest.approx(len({*one} & {*other}) / len({*one} | {*other}))
        assert ({*found.matched}, {*found.missed}) == ({*one} & {*other}, {*one} - {*other})
        assert {*found.invented} == {*other} - {*one}


def test_silence():
    for clip in (heard("A dog barks.", kind="mute"), heard("It is quiet.")):
        assert score("I see a dog. I hear nothing special.", clip, "audio", "words").value == 1
        assert score("I hear a dog.", clip, "audio", "words").value == 0


def test_a_clip_without_captions_of_the_modality_has_no_score():
    found = score("I hear a dog.", Clip("0", "", heard=("dog",), video_captions=("A dog.",)), "audio", "words")
    assert isnan(found.value) and found.reason == "it has no audio caption; set audio_captions=(...)"


def test_it_needs_no_english():
    found = score("Ein Hund bellt, Straßenlärm.", heard("Straßenlärm, ein Hund bellt"), "audio", "words")
    assert found.value == 1


VECTORS = {"car": (1, 0), "automobile": (0.8, 0.6), "truck": (0.6, 0.8), "passes": (0, 1)}


@pytest.fixture
def embedder(monkeypatch):
    """sentence-transformers with a model of two dimensions; tells what it was asked to embed."""
    asked = []

    class Model:
        def __init__(self, name, device):
            if name != "tiny":
                raise OSError("no such model")

        def encode(self, words, **_):
            asked.extend(words)
            return np.array([VECTORS[word] for word in words])

    monkeypatch.setitem(sys.modules, "sentence_transformers", SimpleNamespace(SentenceTransformer=Model))
    embedders.embedder.cache_clear()
    yield asked
    embedders.embedder.cache_clear()


def test_an_embedder_tells_synonyms(embedder):
    clip, words = heard("A car passes."), judge.named("words:tiny")
    for _ in range(2):
        found = words.score("I hear an automobile.", clip, "audio")
        assert (found.value, found.matched, found.missed, found.invented) == (0.5, ("car",), ("passes",), ())
    assert sorted(embedder) == ["automobile", "car", "passes"], "each word once"
    assert words.score("I hear a car, an automobile.", clip, "audio").value == 0.5, "said twice counts once"
    assert score("I hear an automobile.", clip, "audio", "words").invented == ("automobile",)
    assert Words("tiny").score("A truck passes.", heard("A car."), "audio").invented == ("truck", "passes")


def test_an_embedder_that_is_not_there_is_told(embedder, monkeypatch):
    with pytest.raises(AvnbError, match="'lost' is no sentence embedder that can be loaded .no such model."):
        Words("lost").score("An automobile.", heard("A car."), "audio")
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    embedders.embedder.cache_clear()
    with pytest.raises(AvnbError, match="pip install avnb.embed."):
        Words("tiny").score("An automobile.", heard("A car."), "audio")


def test_names():
    assert judge.named("words").name == "words" and judge.named("words:a/b").name == "words:a/b"
    for name in ("words:", "word", "wordsx"):
        with pytest.raises(judge.JudgeError, match="there is no judge"):
            judge.named(name)
