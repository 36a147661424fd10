"""Which tokens name an event: by stems as the judge reads them, by a planted embedder, and in pieces."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from avnb.analyses.vocabulary import spelled, vocabulary
from avnb.errors import AvnbError
from avnb.judge.words import mentioned
from avnb.organisms import omni as organism
from avnb.toybox.sources import SOURCES


@pytest.fixture(scope="module")
def toybox():
    tokenizer = organism.build_processor().tokenizer
    return SimpleNamespace(
        tokenizer=tokenizer, name="stub", decoder=SimpleNamespace(config=SimpleNamespace(vocab_size=len(tokenizer)))
    )


class Words:
    """A tokenizer of whole words and pieces."""

    unk_token_id = 0
    names = ["<unk>", " bell", "铃", "campana", " dog", "kett", " le", "!", "\ufffd", "Hunde"]

    def __call__(self, text, add_special_tokens):
        found = [i for i, name in enumerate(self.names) if name.strip() == text.strip()]
        return {"input_ids": found or ([5, 6] if text.strip().lower() == "kettle" else [0])}

    def decode(self, ids):
        return "".join(self.names[i] for i in ids)


@pytest.fixture
def small():
    config = SimpleNamespace(vocab_size=len(Words.names))
    return SimpleNamespace(tokenizer=Words(), name="small", decoder=SimpleNamespace(config=config))


MEANINGS = {"bell": 0, "铃": 0, "campana": 0, "toll": 1, "dog": 2, "Hunde": 2}


def embed(texts):
    """An embedder that knows three meanings in three languages."""
    embed.asked.extend(texts)
    return np.array([[MEANINGS.get(text) == meaning for meaning in range(3)] for text in texts], dtype=float)


embed.asked = []


def test_words_are_those_of_the_judge(toybox):
    table = vocabulary(toybox, SOURCES)
    found = {(row.event, row.token_id) for row in table.itertuples()}
    texts = [toybox.tokenizer.decode([i]) for i in range(len(toybox.tokenizer))]
    assert found == {(event, i) for i, text in enumerate(texts) for event in mentioned(text)}
    assert set(table["event"]) == set(SOURCES)
    assert table["token"].tolist() == [texts[i] for i in table["token_id"]]


def test_an_embedder_knows_other_languages(small):
    assert vocabulary(small, ["bell", "dog"])["token"].tolist() == [" bell", " dog"]
    table = vocabulary(small, ["bell", "dog"], match=embed)
    assert table.groupby("event")["token"].agg(list).to_dict() == {
        "bell": [" bell", "铃", "campana"],
        "dog": [" dog", "Hunde"],
    }
    assert not {"!", "\ufffd"} & set(embed.asked)  # nothing to read in them
    assert len(vocabulary(small, ["bell"], match=embed, threshold=1.01)) == 1  # the stem alone
    assert len(vocabulary(small, ["bell"], match=embed, threshold=-1)) == len(Words.names) - 2


def test_a_tag_of_any_language_names_itself(small):
    assert vocabulary(small, ["铃"])["token_id"].tolist() == [2]


def test_pieces_stand_for_words_that_no_token_holds(small):
    assert vocabulary(small, ["kettle"]).query("event == 'kettle'")["token"].tolist() == ["kett"]


def test_an_embedder_by_name(small, monkeypatch):
    made = []

    class SentenceTransformer:
        def __init__(self, name, device):
            made.append(name)

        def encode(self, texts, **options):
            return embed(texts)

    monkeypatch.setitem(sys.modules, "sentence_transformers", SimpleNamespace(SentenceTransformer=SentenceTransformer))
    assert "铃" in vocabulary(small, ["bell"], match="some/multilingual")["token"].tolist()
    n_asked = len(embed.asked)
    vocabulary(small, ["bell"], match="some/multilingual")
    assert len(embed.asked) - n_asked < 5, "the words of the event, and not the tokens again"
    assert made == ["some/multilingual"], "nor is the embedder loaded again"
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(AvnbError, match="'other/multilingual' needs sentence-transformers; pip install"):
        vocabulary(small, ["bell"], match="other/multilingual")


def test_bad_input_is_named(small):
    with pytest.raises(AvnbError, match=r"array \[1\] for 8 texts"):
        vocabulary(small, ["bell"], match=lambda texts: np.zeros(1))
    assert vocabulary(small, ["unicorn", "bell"])["event"].unique().tolist() == ["bell"]
    small.tokenizer = None
    with pytest.raises(ValueError, match="small has no tokenizer"):
        vocabulary(small, ["bell"])


def test_tokens_of_a_word(toybox):
    dog = [toybox.tokenizer.decode([i]) for i in spelled(toybox, "dog")]
    assert " dog" in dog and {t.strip().lower() for t in dog} == {"dog"}
    assert [toybox.tokenizer.decode([i]) for i in spelled(toybox, "sirens")] == [" siren"]
