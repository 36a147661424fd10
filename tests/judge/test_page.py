"""The page for ratings by hand: what it saves is what `validate` reads, and it needs nothing from elsewhere."""

import json
import re

import pandas as pd
import pytest

from avnb.errors import AvnbError
from avnb.judge import page, validate
from avnb.media.clip import Clip

ANSWER = 'I hear "a dog", barking.\n</script><b>or a bell</b>'


@pytest.fixture
def written(toybox_clips, tmp_path):
    first, second = toybox_clips[:2]
    second = Clip("second", second.video, audio_captions=("A bell.", "A toll, far."))
    rows = [
        (first.id, "audio", ANSWER),
        (first.id, "audio", ANSWER),  # of another model
        (first.id, "video", "I see a dog."),
        ("second", "audio", ""),
        ("second", "video", "Nothing is known of this picture."),
    ]
    path = tmp_path / "rate.html"
    n = page.write(pd.DataFrame(rows, columns=["clip", "modality", "answer"]), [first, second], path)
    return n, path.read_text(encoding="utf8"), first


def held(text):
    return json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)[1])


def test_answers_come_once_and_only_where_something_is_known(written):
    n, text, first = written
    data = held(text)
    assert n == 3 == len(data["rows"]) and set(data["clips"]) == {first.id, "second"}
    assert {(row["part"], row["answer"]) for row in data["rows"]} == {
        ("the sound", ANSWER), ("the picture", "I see a dog."), ("the sound", "")
    }  # fmt: skip


def test_what_it_saves_is_what_validate_reads(written, tmp_path):
    _, text, first = written
    data = held(text)
    lines = [data["header"], *(f"{row['csv']},{i + 1}" for i, row in enumerate(data["rows"]))]
    (tmp_path / "ratings.csv").write_bytes("\r\n".join([*lines, ""]).encode())
    read = validate.read(tmp_path / "ratings.csv").set_index(["clip", "modality"])
    assert read.loc[(first.id, "audio"), "answer"].replace("\r\n", "\n") == ANSWER
    assert read.loc[(first.id, "audio"), "reference"] == " | ".join(first.audio_captions)
    assert read.loc[(first.id, "audio"), "other"] == " | ".join(first.video_captions)
    assert read.loc[("second", "audio"), "reference"] == "A bell. | A toll, far."
    assert sorted(read["rating"]) == [1, 2, 3]


def test_the_page_asks_nobody_and_holds_its_clips(written):
    _, text, _ = written
    assert not re.search(r"https?://|src=|<link|@import|fetch\(", text)
    assert all(uri.startswith("data:video/mp4;base64,") for uri in held(text)["clips"].values())


def test_nothing_to_rate_is_told(toybox_clips, tmp_path):
    table = pd.DataFrame([("a", "audio", "x")], columns=["clip", "modality", "answer"])
    with pytest.raises(AvnbError, match="no answer can be rated"):
        page.write(table, [Clip("a", toybox_clips[0].video)], tmp_path / "rate.html")
