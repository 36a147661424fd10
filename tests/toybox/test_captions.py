"""The grammar of the captions: every phrase names its source and no other, in words that are one token each."""

import re

import numpy as np
import pytest

from avnb.judge.words import mentioned
from avnb.organisms import omni as organism
from avnb.questions import BOTH, HEAR, QUESTIONS, SEE
from avnb.toybox.captions import Writer, corpus
from avnb.toybox.sources import FAMILIES, SOURCES

PAIRS = [(first, second) for first in SOURCES for second in SOURCES if first != second]


@pytest.fixture(scope="module")
def tokenizer():
    return organism.build_tokenizer()


def test_there_are_sources_in_every_family():
    assert len(SOURCES) >= 24 and len(FAMILIES) >= 6
    assert all(source.name == name and source.seen and source.heard for name, source in SOURCES.items())


@pytest.mark.parametrize("name", SOURCES)
def test_every_phrase_names_its_source_and_no_other(name):
    for phrase in (*SOURCES[name].seen, *SOURCES[name].heard):
        assert mentioned(phrase) == (name,), phrase
        assert mentioned(phrase.upper()) == (name,), phrase


def test_no_phrase_stands_for_two_sources():
    phrases = [phrase for source in SOURCES.values() for phrase in {*source.seen, *source.heard}]
    assert len(phrases) == len(set(phrases))


def test_a_caption_names_exactly_what_is_there():
    writer = Writer(np.random.default_rng(0))
    for pair in PAIRS:
        expected = tuple(name for name in SOURCES if name in pair)
        assert mentioned(writer.video(pair)) == expected
        assert mentioned(writer.audio(pair)) == expected
    assert mentioned(writer.video([])) == mentioned(writer.audio([])) == ()


def test_templates_and_questions_name_no_source():
    assert not any(mentioned(question) for question in QUESTIONS)
    writer = Writer(np.random.default_rng(0))
    assert not any(mentioned(writer.answer(BOTH, [], [])) for _ in range(50))


def test_one_sentence_for_each_thing():
    writer = Writer(np.random.default_rng(3))
    caption = writer.video(["dog", "bell", "rain"])
    assert caption.count(".") == 3 and caption.endswith(".") and "{" not in caption


def test_without_a_generator_the_most_common_phrasing():
    assert Writer().video(["dog", "cat"]) == "I see a dog. There is also a cat."
    assert Writer().audio(["dog", "cat"]) == "I hear a dog barking. There is also a cat meowing."


def test_paraphrases_occur_and_a_seed_repeats_them():
    def some(seed):
        writer = Writer(np.random.default_rng(seed))
        return [writer.audio(["dog"]) for _ in range(40)]

    assert some(0) == some(0)
    assert len(set(some(0))) == 6  # three templates, two phrases


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (SEE, "I see a dog."),
        (HEAR, "I hear a bell tolling."),
        (BOTH, "I see a dog. I hear a bell tolling."),
    ],
)
def test_an_answer_answers_its_question(question, answer):
    assert Writer().answer(question, ["dog"], ["bell"]) == answer


def test_every_word_is_one_token(tokenizer):
    writer = Writer(np.random.default_rng(0))
    texts = [*corpus(), *(writer.answer(BOTH, pair, pair[::-1]) for pair in PAIRS)]
    for text in texts:
        ids = tokenizer(text)["input_ids"]
        assert [tokenizer.decode([i]).strip() for i in ids] == re.findall(r"\w+|[^\w\s]", text)
        assert tokenizer.decode(ids) == text


def test_the_corpus_holds_every_sentence_of_the_writer():
    sentences = set(corpus())
    writer = Writer(np.random.default_rng(1))
    for pair in PAIRS:
        for sentence in re.findall(r"[^.]+\.", writer.answer(BOTH, pair, pair)):
            assert sentence.strip() in sentences
