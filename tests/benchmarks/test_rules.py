"""What each published scorer makes of the same answers."""

import pytest

from avnb.benchmarks import SETS, rules
from avnb.benchmarks.question import choice, yes_no

YES_NO = [  # answer, right: AVCD, MAD, CMM
    ("Yes", "yes", True, True, True),
    ("No.", "no", True, True, True),
    ("No.", "yes", False, False, False),
    ("I know it is.", "no", True, False, True),  # "know" holds "no"
    ("The dog is not heard, no.", "no", True, True, False),
    ("No, yes, it is.", "no", True, False, True),
    ("That is correct.", "yes", False, True, False),
    ("   yes", "yes", True, True, True),
    ("", "no", False, False, False),
]


@pytest.mark.parametrize(("answer", "right", "avcd", "mad", "cmm"), YES_NO)
def test_yes_or_no(answer, right, avcd, mad, cmm):
    arguments = (answer, ("yes", "no"), ("Yes", "No"), right)
    assert (rules.avcd(*arguments), rules.mad(*arguments), rules.cmm(*arguments)) == (avcd, mad, cmm)


LETTER = [  # answer, right: VLMEvalKit, lmms-eval, DAVE, Daily-Omni
    ("B", "B", True, True, False, True),
    ("(B)", "B", True, True, True, False),
    ("b.", "B", False, False, False, True),
    ("Answer: B", "B", True, False, False, False),  # the A of "Answer" comes first in the alphabet
    ("Best answer C", "B", True, True, False, True),  # the B of "Best"
    ("no idea", "A", False, True, False, False),
    ("It is (C), not (B)", "B", False, True, False, False),
    ("", "A", False, True, False, None),
]


@pytest.mark.parametrize(("answer", "right", "vlmevalkit", "lmms", "dave", "daily"), LETTER)
def test_letters(answer, right, vlmevalkit, lmms, dave, daily):
    arguments = (answer, tuple("ABCD"), tuple("ABCD"), right)
    found = [rule(*arguments) for rule in (rules.vlmevalkit, rules.lmms, rules.dave, rules.daily_omni)]
    assert found == [vlmevalkit, lmms, dave, daily]


def test_captions_are_told_apart_by_their_words():
    said = ("I hear a dog barking.", "I hear a bell tolling.")
    for answer, right in (("Barking of dogs.", "yes"), ("A bell.", "no"), ("Silence.", None), ("I hear a cat.", None)):
        assert [name for name in ("yes", "no") if rules.words(answer, ("yes", "no"), said, name)] == [right] * (
            right is not None
        )


def test_every_set_finds_its_own_form_right():
    for name, known in SETS.items():
        binary = name in ("avhbench", "cmm")
        one = yes_no("0", "Is it?", "Yes", "t") if binary else choice("0", "Which?", list("wxyz"), "B", "t")
        said = "(B)" if name == "dave" else one.said[one.options.index(one.answer)]
        assert all(rule(said, one.options, one.said, one.answer) for rule in known.rules.values())
