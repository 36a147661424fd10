"""Curating sets: who lends a sound to whom, and the files that come out."""

import doctest
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import avnb
from avnb import curate
from avnb.datasets.curate import CurationError, assign_donors, counterfactual, similarity
from avnb.datasets.similarity import embedded
from avnb.errors import AvnbError
from avnb.media import clip as media
from avnb.media import editing
from avnb.media.clip import Clip
from tests.bench import curation as bench

RATE = 16_000


def recording(path, hz=None, grey=128, seconds=1.0, peak=0.3):
    """A grey picture with a tone."""
    times = np.arange(round(seconds * RATE)) / RATE
    wave = None if hz is None else peak * np.sin(2 * np.pi * hz * times)
    return editing.write(path, np.full((8, 32, 32, 3), grey, np.uint8), fps=8, wave=wave, rate=RATE)


def pitch(clip):
    wave = clip.wave(RATE)
    return np.fft.rfftfreq(len(wave), 1 / RATE)[np.abs(np.fft.rfft(wave * np.hanning(len(wave)))).argmax()]


def captioned(name, caption, heard=(), seen=()):
    return Clip(name, f"{name}.mp4", audio_captions=(caption,), heard=heard, seen=seen)


@pytest.fixture
def three(tmp_path):
    """Three clips: low, middle and high."""
    rows = [("low", 300, "A drum beats.", "drum"), ("mid", 900, "A cat meows.", "cat"), ("high", 2700, "Wind.", "wind")]
    return [
        Clip(
            name,
            recording(tmp_path / f"{name}.mp4", hz, grey=40 + hz // 20),
            video_captions=(f"A {event}.",),
            audio_captions=(caption,),
            seen=(event,),
            heard=(event,),
        )
        for name, hz, caption, event in rows
    ]


def test_examples():
    assert doctest.testmod(curate, extraglobs={"avnb": avnb}).failed == 0


def test_similarity_is_a_cosine_over_stems():
    alike = similarity(["A dog is barking.", "Dogs bark", "The dog sleeps.", "a bell rings", "It is."])
    assert alike.shape == (5, 5) and np.allclose(alike, alike.T)
    assert np.allclose(alike.diagonal(), [1, 1, 1, 1, 0])  # the last one holds no meaningful word
    assert alike[0, 1] == pytest.approx(1) and 0 < alike[0, 2] < 1 and alike[0, 3] == 0
    assert np.all(alike[4] == 0)


def test_rare_words_count_more():
    alike = similarity(["dog bark", "dog meow", "bark loud", "dog", "dog run"])
    assert alike[0, 2] > alike[0, 1]


def test_any_embedding_can_be_used():
    alike = similarity(["north", "east", "southwest"], embed=lambda _: [[0, 5], [2, 0], [-1, -1]])
    assert alike.round(3).tolist() == [[1, 0, -0.707], [0, 1, -0.707], [-0.707, -0.707, 1]]
    with pytest.raises(AvnbError, match=r"array \[2\] for 2 texts"):
        similarity(["a", "b"], embed=lambda texts: np.ones(len(texts)))


def test_donors_are_the_least_alike_together():
    directions = {"a": [1, 0], "b": [-1, 0.1], "c": [0, 1], "d": [0.1, -1]}
    clips = [captioned(name, name) for name in directions]
    table = assign_donors(clips, embed=lambda texts: [directions[text] for text in texts])
    assert dict(zip(table["clip"], table["donor"], strict=True)) == {"a": "b", "b": "a", "c": "d", "d": "c"}
    assert (table["similarity"] < -0.9).all()


def test_every_donor_lends_once_and_never_to_itself():
    rng = np.random.default_rng(0)
    clips = [captioned(str(i), "same words for all") for i in range(30)]
    table = assign_donors(clips, embed=lambda texts: rng.standard_normal((len(texts), 4)))
    assert table["clip"].tolist() == [str(i) for i in range(30)]
    assert sorted(table["donor"], key=int) == table["clip"].tolist()
    assert (table["clip"] != table["donor"]).all()


def test_known_events_are_kept_apart():
    directions = {"a": [1, 0], "b": [-1, 0.1], "c": [0, 1], "d": [0.1, -1]}  # a and b, c and d are the least alike
    events = {"a": ((), ("dog",)), "b": (("dog",), ("cat",)), "c": ((), ("bell",)), "d": ((), ("rain",))}
    clips = [captioned(name, name, seen=seen, heard=heard) for name, (seen, heard) in events.items()]

    def donors(known_events):
        table = assign_donors(clips, lambda texts: [directions[text] for text in texts], known_events)
        return dict(table[["clip", "donor"]].to_numpy())

    assert donors(False) == {"a": "b", "b": "a", "c": "d", "d": "c"}
    assert donors(True)["b"] != "a"  # which sounds like what b shows
    assert donors(True)["a"] == "b"  # but b, a cat, may lend to a


def test_donors_are_reproducible():
    clips = [captioned(str(i), text) for i, text in enumerate(["a dog barks", "a bell", "rain falls", "a cat meows"])]
    assert assign_donors(clips).equals(assign_donors(clips))


@pytest.mark.parametrize(
    ("clips", "said"),
    [
        (
            [captioned("a", "x", heard=("dog",)), captioned("b", "y", heard=("dog",))],
            "none of the 2 clips can.*known_events=False, or raise at",
        ),
        ([captioned("a", "x")], "none of the 1 clips can lend"),
        ([captioned("a", "x"), Clip("b", "b.mp4")], "clip b has no audio caption"),
        ([captioned("a", "x"), Clip("b", "b.mp4", kind="mute", audio_captions=("y",))], "clip b has no audio caption"),
        ([captioned("a", "x"), captioned("a", "y")], "2 clips have the id 'a'"),
    ],
)
def test_what_cannot_be_assigned(clips, said):
    with pytest.raises(CurationError, match=said):
        assign_donors(clips)


def test_counterfactual_keeps_the_picture_and_takes_the_sound(three, tmp_path):
    table = assign_donors(three)
    made = counterfactual(three, tmp_path / "out", table)
    hz = {"low": 300, "mid": 900, "high": 2700}
    by_id = {clip.id: clip for clip in three}
    for new, (name, donor) in zip(made, table[["clip", "donor"]].to_numpy(), strict=True):
        clip, lender = by_id[name], by_id[donor]
        assert (new.id, new.kind, new.audio) == (f"{name}+{donor}", "counterfactual", None)
        assert new.video == tmp_path / "out" / f"{name}+{donor}.mp4"
        assert (new.seen, new.video_captions) == (clip.seen, clip.video_captions)
        assert (new.heard, new.audio_captions) == (lender.heard, lender.audio_captions)
        assert np.array_equal(new.frames(8)[0], clip.frames(8)[0])
        assert pitch(new) == pytest.approx(hz[donor], abs=5)


def test_counterfactual_finds_donors_by_itself(three, tmp_path):
    made = counterfactual(three, tmp_path / "out")
    assert [clip.id for clip in made] == [f"{a}+{b}" for a, b in assign_donors(three)[["clip", "donor"]].to_numpy()]


def test_loudness_is_matched_or_left(tmp_path):
    clips = [
        Clip("loud", recording(tmp_path / "loud.mp4", 500, peak=0.8), audio_captions=("A horn.",)),
        Clip("soft", recording(tmp_path / "soft.mp4", 1000, peak=0.05), audio_captions=("A bird.",)),
    ]

    def strength(clip):
        return np.abs(clip.wave(RATE)[RATE // 4 : RATE // 2]).max()

    matched = counterfactual(clips, tmp_path / "matched")[1]
    left = counterfactual(clips, tmp_path / "left", match_loudness=False)[1]
    assert matched.id == left.id == "soft+loud"
    assert strength(matched) < 0.15 and strength(left) == pytest.approx(0.8, abs=0.1)


def test_a_donor_that_is_shorter_is_repeated_or_padded(tmp_path):
    long = Clip("long", recording(tmp_path / "long.mp4", 500), audio_captions=("A horn.",))
    short = Clip("short", recording(tmp_path / "short.mp4", 1000, seconds=0.5), audio_captions=("A bird.",))
    for fit, is_heard in (("loop", True), ("pad", False)):
        made = counterfactual([long, short], tmp_path / fit, fit=fit, match_loudness=False)[0]
        assert (np.abs(made.wave(RATE)[round(0.7 * RATE) : round(0.9 * RATE)]).max() > 0.1) == is_heard


def test_files_that_exist_are_kept(three, tmp_path):
    first = counterfactual(three, tmp_path / "out")
    first[0].video.write_bytes(b"kept")
    first[1].video.unlink()
    assert counterfactual(three, tmp_path / "out") == first
    assert first[0].video.read_bytes() == b"kept" and first[1].video.exists()


def test_bad_clips_are_reported_and_left_out(three, tmp_path, caplog):
    three[1].video.write_bytes(b"no video")
    made = counterfactual(three, tmp_path / "out")
    donor_of = dict(assign_donors(three)[["clip", "donor"]].to_numpy())
    assert [clip.id for clip in made] == [f"{a}+{b}" for a, b in donor_of.items() if "mid" not in (a, b)]
    assert "skipped clip mid" in caplog.text and "mid.mp4" in caplog.text


def test_a_table_of_donors_must_fit_the_clips(three, tmp_path):
    table = assign_donors(three)
    with pytest.raises(CurationError, match="names 'high', which is not among the 2 clips"):
        counterfactual(three[:2], tmp_path, table)


def test_only_the_clips_of_the_table_are_made(three, tmp_path):
    assert len(counterfactual(three, tmp_path / "out", assign_donors(three).head(1))) == 1


def test_a_mute_donor_is_reported(three, tmp_path, caplog):
    table = assign_donors(three)
    mute = [Clip(c.id, c.video, kind="mute") if c.id == table["donor"][0] else c for c in three]
    assert counterfactual(mute, tmp_path / "out", table.head(1)) == []
    assert "is mute and cannot lend" in caplog.text


def test_mute(three, tmp_path, caplog):
    three[2].video.unlink()
    made = curate.mute(three, tmp_path / "out")
    assert [(clip.id, clip.kind, clip.heard, clip.audio_captions) for clip in made] == [
        ("low+mute", "mute", (), ()),
        ("mid+mute", "mute", (), ()),
    ]
    assert made[0].wave() is None and made[0].seen == ("drum",)
    with pytest.raises(media.ClipError, match="no audio track"):
        media.read_audio(made[0].video)
    assert "high.mp4 does not exist" in caplog.text


def test_shift(three, tmp_path):
    made = curate.shift(three[:1], tmp_path / "out", 0.5)[0]
    assert (made.id, made.kind, made.heard) == ("low+shift0.5", "shifted", ("drum",))
    wave = made.wave(RATE)
    early, late = np.abs(wave[: round(0.4 * RATE)]).max(), np.abs(wave[round(0.6 * RATE) : round(0.9 * RATE)]).max()
    assert early < 0.02 and late > 0.2
    assert curate.shift(three[:1], tmp_path / "out", -0.25)[0].id == "low+shift-0.25"


def test_a_sound_in_another_file_is_not_mistaken(three, tmp_path):
    apart = Clip("apart", three[0].video, audio=three[1].video, audio_captions=("A cat.",))
    late = curate.shift([apart], tmp_path / "out", 0.25)[0]
    assert pitch(late) == pytest.approx(900, abs=5) and late.audio is None
    quiet = recording(tmp_path / "quiet.mp4", 900, peak=0.02)
    clips = [replace(apart, audio=quiet), three[2]]
    made = counterfactual(clips, tmp_path / "swapped")[0]
    assert made.id == "apart+high" and np.abs(made.wave()).max() < 0.05  # as loud as the sound in the other file
    mute = replace(three[0], kind="mute")
    assert curate.shift([mute], tmp_path / "out", 0.5) == []


def test_split_half():
    clips = list(range(11))
    factual, rest = curate.split_half(clips, seed=1)
    assert len(factual) == 6 and sorted(factual + rest) == clips
    assert factual == sorted(factual) and rest == sorted(rest)
    assert curate.split_half(clips, seed=1) == (factual, rest)
    assert curate.split_half(clips, seed=2) != (factual, rest)


def test_agreement_and_summary_tell_the_kinds_apart(three, tmp_path):
    clips = [*three[:2], *counterfactual(three, tmp_path / "out"), Clip("bare", three[0].video)]
    table = curate.agreement(clips)
    assert table.columns.tolist() == ["clip", "kind", "similarity"] and len(table) == 5
    total = curate.summary(clips)
    assert total["kind"].tolist() == ["factual", "counterfactual"] and total["n"].tolist() == [3, 3]
    factual, swapped = total["similarity"]
    assert factual > 0.4 and swapped == 0
    means = table.groupby("kind")["similarity"].mean()
    assert (factual, swapped) == (means["factual"], means["counterfactual"])
    assert np.isnan(curate.summary([Clip("bare", three[0].video)])["similarity"][0])


@pytest.mark.parametrize("name", ["../../outside", "/tmp/outside", "train/x", "x" * 300])
def test_an_id_is_never_a_path(three, tmp_path, name):
    clip = replace(three[0], id=name)
    made = curate.mute([clip], tmp_path / "deep" / "out")
    assert [m.id for m in made] == [f"{name}+mute"]
    assert made[0].video.parent == tmp_path / "deep" / "out" and made[0].video.is_file()
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["deep"]


def test_ids_that_look_alike_as_files_stay_apart(three, tmp_path):
    made = curate.mute([replace(three[0], id="a/x"), replace(three[1], id="a+x")], tmp_path)
    assert len({clip.video for clip in made}) == 2


def crowd(n, seed=0, width=8):
    """Clips with events, and an embedder that gives each caption a random direction."""
    rng = np.random.default_rng(seed)
    table = {str(i): row for i, row in enumerate(rng.standard_normal((n, width)))}
    names = [tuple(str(e) for e in rng.choice(30, size=rng.integers(1, 4), replace=False)) for _ in range(n)]
    clips = [captioned(name, name, heard=heard, seen=heard[:1]) for name, heard in zip(table, names, strict=True)]
    return clips, lambda texts: [table[text] for text in texts]


def test_in_blocks_no_pair_shares_an_event_and_donors_lend_once():
    clips, embed = crowd(300)
    table = assign_donors(clips, embed, block=50)
    by_id = {clip.id: clip for clip in clips}
    assert table["clip"].tolist() == list(by_id) and sorted(table["donor"]) == sorted(by_id)
    for clip, donor in table[["clip", "donor"]].to_numpy():
        assert clip != donor and not {*by_id[clip].seen, *by_id[clip].heard} & {*by_id[donor].heard}
    vectors = np.array(embed(list(by_id)))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    own, lent = (vectors[[int(i) for i in table[column]]] for column in ("clip", "donor"))
    assert np.allclose(table["similarity"], (own * lent).sum(axis=1), atol=1e-6)


def test_blocks_lose_little_against_the_best_there_is():
    clips, embed = crowd(400)
    best, blocks = (assign_donors(clips, embed, block=size)["similarity"].mean() for size in (400, 100))
    alike = similarity([clip.id for clip in clips], embed)
    assert best <= blocks < best + 0.03 < alike.mean() - 0.5
    assert alike.min(axis=1).mean() <= best  # a bound for any assignment


def test_the_same_curation_gives_the_same_pairs_and_another_seed_others():
    clips, embed = crowd(300)
    first = assign_donors(clips, embed, block=50)
    assert first.equals(assign_donors(clips, embed, block=50))
    assert not first.equals(assign_donors(clips, embed, block=50, seed=1))


def test_nearly_the_same_sound_is_never_lent():
    directions = {"a": [1, 0, 0], "b": [1, 0.1, 0], "c": [1, 0, 0.1], "d": [0, 1, 0]}
    clips = [captioned(name, name) for name in directions]
    table = assign_donors(clips, lambda texts: [directions[text] for text in texts])
    assert len(table) == 2 and all("d" in pair for pair in table[["clip", "donor"]].to_numpy())
    assert len(assign_donors(clips, lambda texts: [directions[text] for text in texts], at_most=1)) == 4


def test_the_same_recording_is_never_lent():
    twice = [replace(captioned(name, name), video="one.mp4") for name in "ab"]
    table = assign_donors([*twice, captioned("c", "c"), captioned("d", "d")], lambda texts: np.eye(4)[: len(texts)])
    donor_of = dict(table[["clip", "donor"]].to_numpy())
    assert len(table) == 4 and {donor_of["a"], donor_of["b"]} == {"c", "d"}


def test_clips_without_a_donor_are_told_and_left_out(caplog):
    talk = [captioned(f"talk{i}", "A man speaks.", heard=("man",)) for i in range(5)]
    table = assign_donors(
        [*talk, captioned("bell", "A bell.", heard=("bell",)), captioned("rain", "Rain.", heard=("rain",))]
    )
    assert len(table) == 4 and {"bell", "rain"} < {*table["clip"]} and {"bell", "rain"} < {*table["donor"]}
    assert "no donor is left for 3 of the 7 clips: talk" in caplog.text


def test_an_embedder_is_found_by_name(monkeypatch):
    asked = []

    def model(name, device):
        asked.append((name, device))
        return SimpleNamespace(encode=lambda texts, **_: np.eye(len(texts), 3))

    monkeypatch.setitem(sys.modules, "sentence_transformers", SimpleNamespace(SentenceTransformer=model))
    assert similarity(["a", "b"], "some/model").tolist() == [[1, 0], [0, 1]] and asked == [("some/model", "cpu")]
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(AvnbError, match=r"pip install avnb\[embed\]"):
        similarity(["a"], "other/model")


def test_many_captions_are_never_a_dense_table():
    table = embedded([f"word{'abcdefghij'[i % 10]} thing{'klmnopqrst'[i // 10 % 10]}" for i in range(3000)])
    assert table.shape[0] == 3000 and table.nnz <= 6000 and np.allclose((table**2).sum(axis=1), 1)


def test_the_captions_that_stand_in_for_many_are_curated_without_shared_events():
    clips = bench.captions(400)
    assert len({clip.audio_captions for clip in clips}) > 390 and bench.captions(400) == clips
    table = assign_donors(clips, block=100)
    heard = {clip.id: {*clip.heard} for clip in clips}
    assert len(table) == 400 and table["similarity"].mean() < 0.01
    assert all(heard[clip].isdisjoint(heard[donor]) for clip, donor in table[["clip", "donor"]].to_numpy())
