"""The event judge: it says what is right, what is missing and what is made up, for one modality at a time."""

import numpy as np
import pytest

from avnb import judge
from avnb.judge import JudgeError, score
from avnb.judge.parts import about
from avnb.judge.words import mentioned
from avnb.media.clip import Clip
from avnb.questions import BOTH, HEAR, SEE
from avnb.toybox.captions import Writer
from avnb.toybox.sources import SOURCES

NAMES = list(SOURCES)


def known(seen=("dog",), heard=("bell",), **more):
    return Clip("0", "0.mp4", seen=seen, heard=heard, **more)


def reason(clip, modality):
    return judge.named("events").check(clip, modality)


def worlds(n, seed=0):
    """Clips with 0 to 3 random events in each modality, and a writer of random paraphrases."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        seen, heard = (tuple(map(str, rng.choice(NAMES, rng.integers(4), replace=False))) for _ in range(2))
        clip = known(seen, heard) if seen or heard else known(seen, heard, kind="mute", video_captions=("Nothing.",))
        yield clip, Writer(rng)


def test_every_caption_of_the_grammar_is_right():
    for clip, writer in worlds(300):
        for question in (SEE, HEAR, BOTH):
            caption = writer.answer(question, clip.seen, clip.heard)
            for modality in {SEE: ["video"], HEAR: ["audio"], BOTH: ["video", "audio"]}[question]:
                assert score(caption, clip, modality).value == 1, (caption, clip)


@pytest.mark.parametrize("name", NAMES)
def test_every_phrase_of_a_source_names_it_and_nothing_else(name):
    clip = known((name,), (name,))
    for phrase in SOURCES[name].seen:
        assert score(f"There is {phrase}. I hear nothing special.", clip, "video").value == 1
        assert score(f"There is {phrase}. I hear nothing special.", clip, "audio").missed == (name,)
    for phrase in SOURCES[name].heard:
        assert score(f"The scene is empty. The audio contains {phrase}.", clip, "audio").value == 1


def test_the_other_modality_is_ignored():
    for clip, writer in worlds(300, seed=1):
        other = tuple(np.random.default_rng(2).choice(NAMES, 2, replace=False))
        right = [writer.answer(BOTH, other, clip.heard), writer.answer(BOTH, clip.seen, other)]
        assert score(right[0], clip, "audio").value == 1
        assert score(right[1], clip, "video").value == 1
        if set(other) - set(clip.seen):
            assert score(right[0], clip, "video").value < 1


def test_value_is_the_share_of_all_events_that_match():
    clip = known(heard=("bell", "rain"))
    expected = {
        "I hear a bell and rain.": (1, ("bell", "rain"), (), ()),
        "I hear rain.": (1 / 2, ("rain",), ("bell",), ()),
        "I hear rain, a drum and a cat.": (1 / 4, ("rain",), ("bell",), ("cat", "drum")),
        "I hear rain, a bell and a cat.": (2 / 3, ("bell", "rain"), (), ("cat",)),
        "I hear a drum.": (0, (), ("bell", "rain"), ("drum",)),
        "": (0, (), ("bell", "rain"), ()),
    }
    for caption, (value, *named) in expected.items():
        result = score(caption, clip, "audio")
        assert (result.value, result.matched, result.missed, result.invented) == (pytest.approx(value), *named)
        assert result.reason == ""


def test_naming_a_wrong_event_never_helps_and_a_right_one_never_hurts():
    rng = np.random.default_rng(3)
    for _ in range(100):
        heard, named = (tuple(map(str, rng.choice(NAMES, rng.integers(1, 4), replace=False))) for _ in range(2))
        clip = known(heard=heard)
        before = score(Writer().audio(named), clip, "audio")
        for extra in set(NAMES) - set(named):
            after = score(Writer().audio((*named, extra)), clip, "audio")
            if extra in heard:
                assert after.value > before.value and extra in after.matched
            else:
                assert after.value < before.value or before.value == 0
                assert extra in after.invented
        shuffled = score(Writer(rng).audio(tuple(rng.permutation(named))), clip, "audio")
        assert shuffled == before  # neither order nor wording counts


@pytest.mark.parametrize(
    ("caption", "heard", "seen"),
    [
        ("I see a dog. I hear ringing.", ["ringing"], ["dog"]),
        ("I hear ringing, and I see a dog and a cat.", ["ringing"], ["dog", "cat"]),
        ("A dog and a cat can be heard while a drum is visible.", ["dog", "cat"], ["drum"]),
        ("The video shows a dog, with the sound of a bell and rain.", ["bell", "rain"], ["dog"]),
        ("In the video, a dog and a bell can be heard.", ["dog", "bell"], []),
        ("The video has the sound of a bell.", ["bell"], []),
        ("A dog stands there. Then I hear ringing. It goes on, with a drum.", ["ringing", "drum"], ["dog"]),
        ("A dog barks. The sound grows louder.", ["dog", "bark"], []),
        ("Audio:\n- a bell\n- a drum\nVideo:\n- a dog", ["bell", "drum"], ["dog"]),
        ("The HEARTH shows a dog; AUDIO: bell!", ["bell"], ["dog", "hearth"]),
    ],
)
def test_free_text_is_divided_by_its_cue_words(caption, heard, seen):
    audio, video = about(caption, "audio"), about(caption, "video")
    for word in heard:
        assert word in audio and word not in video
    for word in seen:
        assert word in video and word not in audio


def test_a_caption_without_cue_is_about_what_is_judged():
    clip = known(("dog",), ("dog",))
    assert score("A dog barks.", clip, "audio").value == score("A dog barks.", clip, "video").value == 1


def test_silence():
    quiet = known(heard=())
    mute = known(heard=("dog",), kind="mute", audio_captions=("A dog barks.",))
    captioned = Clip("0", "0.mp4", audio_captions=("It is quiet.",))
    for clip in (quiet, mute, captioned):
        assert score("I see a dog. It is quiet.", clip, "audio").value == 1
        assert score("I see a dog. I hear a bell.", clip, "audio").value == 0
    assert score("The scene is empty. I hear a bell.", known(seen=()), "video").value == 1


def test_what_cannot_be_judged_has_a_reason_and_no_value():
    captioned = Clip("walk", "walk.mp4", seen=("dog",), audio_captions=("A man walks.", "Nothing but steps."))
    for clip, modality in ((captioned, "audio"), (Clip("0", "0.mp4"), "video")):
        found = score("I hear steps.", clip, modality)
        assert np.isnan(found.value) and found.matched == found.missed == found.invented == ()
        assert f"no {modality} events are known of it; set" in found.reason
    with pytest.raises(ValueError, match="'sound' is unknown; use one of audio, video"):
        score("I hear a dog.", known(), "sound")
    with pytest.raises(JudgeError, match="no judge 'oracle'; use one of 'events'"):
        score("I hear a dog.", known(), "audio", judge="oracle")


def test_an_event_that_the_toybox_does_not_know_is_named_by_its_own_words():
    clip = known(seen=("lumberjack",), heard=("chain saw", "dog"))
    found = score("I see lumberjacks. I hear chain saws and an owl.", clip, "audio")
    assert (found.matched, found.missed, found.invented) == (("chain saw",), ("dog",), ())
    assert score("I hear a chain.", clip, "audio").matched == (), "one of two words names something else"
    assert score("I hear a lumberjack.", clip, "audio").invented == ("lumberjack",)
    assert score("I hear barking and a bell.", clip, "audio").invented == (), "a bell is nothing in this clip's world"
    assert mentioned("Two Kettensägen, eine Glocke.", ["Kettensägen", "Glocke"]) == ("Kettensägen", "Glocke")


@pytest.mark.parametrize(
    "caption",
    ["It is quiet.", "I hear nothing special.", "There is no sound at all.", "Silence.", "The audio is silent."],
)
def test_a_caption_may_say_that_nothing_is_heard(caption):
    assert reason(Clip("0", "0.mp4", audio_captions=(caption, "It is quiet.")), "audio") == ""


@pytest.mark.parametrize(
    "caption",
    [
        "A quiet hum of insects.",
        "It is quiet, then a man speaks.",
        "It is not quiet.",
        "No sound but the wind.",
        "An empty barrel rolls.",
        "Nothing but steps.",
        "Silent night, sung by a choir.",
        "",
    ],
)
def test_what_only_mentions_quiet_is_no_silence(caption):
    assert "no audio events" in reason(Clip("0", "0.mp4", audio_captions=(caption, "It is quiet.")), "audio")


def test_quiet_is_not_empty():
    assert reason(Clip("0", "0.mp4", video_captions=("The scene is empty.", "I see nothing special.")), "video") == ""
    for caption in ("The scene is quiet.", "An empty road."):
        assert "no video events" in reason(Clip("0", "0.mp4", video_captions=(caption,)), "video")
